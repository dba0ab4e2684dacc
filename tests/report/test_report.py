"""Baselines and files that reports rest on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from zoo import files
from zoo.data import TableData
from zoo.report.prediction.baselines import baselines


@pytest.mark.parametrize("name", ["breast_cancer", "diabetes_progression"])
def test_baselines_see_training_rows_only(name: str) -> None:
    data = TableData(name)
    y, target = data.dataset.y.numpy(), data.spec["target"]
    train = (data.samples["split"] == "train").to_numpy()
    spoilt = np.where(train, y, 1 - y if target["classes"] else -y)
    features = data.baseline_features
    other, again = baselines(features, spoilt, train, target), baselines(features, y, train, target)
    assert len(again) == 2
    for model in again:
        np.testing.assert_array_equal(other[model], again[model])


def test_baseline_features_are_fitted_on_training_rows_only(pima: TableData) -> None:
    features = pima.baseline_features(torch.arange(768))[""]
    train = (pima.samples["split"] == "train").to_numpy()
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[train].mean(0), 0, atol=1e-5)
    assert np.abs(features[~train].mean(0)).max() > 1e-3


def test_nothing_is_left_half_written(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("before")

    def interrupted() -> None:
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_text() == "before"
    with files.replacing(path) as temporary:
        temporary.write_text("after")
    assert path.read_text() == "after"

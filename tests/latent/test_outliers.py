"""Outliers in latent space."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from zoo.latent import outliers


@pytest.fixture
def adata() -> AnnData:
    """Two groups of training samples, and two test samples: ``between`` lies in the gap, ``far`` beyond all."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(202, 3))
    x[:100, 0] -= 20
    x[100:200, 0] += 20
    x[200], x[201] = 0, [0, 60, 0]
    names = [*(f"s{number}" for number in range(200)), "between", "far"]
    obs = pd.DataFrame({"split": ["train"] * 200 + ["test"] * 2}, index=names)
    return AnnData(x.astype(np.float32), obs)


def test_far_samples_come_first(adata: AnnData) -> None:
    table = outliers(adata)
    assert table.index[:2].tolist() == ["far", "between"]
    assert table.loc[["far", "between"], "neighbours_percentile"].tolist() == [100, 100]
    assert (table.loc[table["split"] == "train", "neighbours_percentile"] < 100).all()
    assert table.loc["far", "mahalanobis_percentile"] == 100
    assert table.loc["between", "mahalanobis_percentile"] < 50  # the middle of one cloud that spans both groups
    assert outliers(adata, by="mahalanobis").index[0] == "far"
    assert len(table) == 202


def test_a_training_sample_is_not_its_own_neighbour(adata: AnnData) -> None:
    adata.X[1] = adata.X[0]
    table = outliers(adata, k=1)
    assert table.loc[["s0", "s1"], "neighbours"].tolist() == [0, 0]  # each has the other
    assert (table["neighbours"] > 0).sum() == 200
    assert table["neighbours"].min() == 0


def test_only_training_samples_set_the_scale(adata: AnnData) -> None:
    before = outliers(adata)
    adata.X[201] = [0, 900, 0]
    after = outliers(adata)
    pd.testing.assert_frame_equal(before.drop(index="far"), after.drop(index="far"))


def test_mahalanobis_is_in_units_of_the_spread() -> None:
    rng = np.random.default_rng(0)
    adata = AnnData((rng.normal(size=(5000, 2)) * [1, 10]).astype(np.float32))
    new = AnnData(np.array([[4, 0], [0, 40]], np.float32))
    new.obs_names = ["a", "b"]
    table = outliers(adata, new).loc[["a", "b"]]
    assert table["mahalanobis"].tolist() == pytest.approx([4, 4], rel=0.1)
    assert "split" not in table


def test_new_samples_and_reconstruction_errors(adata: AnnData, message: Callable[..., str]) -> None:
    adata.obs["reconstruction_error"] = np.arange(202.0)
    new = AnnData(np.full((1, 3), 99, np.float32), pd.DataFrame({"reconstruction_error": [99.5]}, index=["new"]))
    table = outliers(adata, new)
    assert table.index[0] == "new"
    assert table.loc["new", "split"] == "new"
    assert table.loc["new", "reconstruction_error_percentile"] == 50
    assert "reconstruction_error" not in outliers(adata, AnnData(np.zeros((1, 3), np.float32)))
    assert "embed both by the same model" in message(lambda: outliers(adata, adata[:, :2].copy()))
    assert "k must be between 1 and 199, not 200" in message(lambda: outliers(adata, k=200))
    assert "by 'distance' is unknown" in message(lambda: outliers(adata, by="distance"))


def test_units_that_never_vary(adata: AnnData) -> None:
    dead = AnnData(np.concatenate([adata.X, np.zeros_like(adata.X)], 1), adata.obs)
    assert np.isfinite(outliers(dead)["mahalanobis"]).all()
    assert outliers(AnnData(np.ones((20, 2), np.float32)))["mahalanobis"].tolist() == [0] * 20

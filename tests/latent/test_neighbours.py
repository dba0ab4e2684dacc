"""Nearest neighbours in the latent space."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from zoo.latent import neighbours


@pytest.fixture
def embedded() -> AnnData:
    x = np.array([[1, 0], [2, 0.1], [0, 1], [0, 3], [-1, 0], [2, 0.1]], np.float32)
    obs = pd.DataFrame({"target": list("aabbca"), "prediction": list("aabbcb")}, index=[f"cell{i}" for i in range(6)])
    return AnnData(x, obs, uns={"layer": "latent"})


def test_neighbours_are_the_nearest(embedded: AnnData, message: Callable[..., str]) -> None:
    found = neighbours(embedded, "cell2", k=2)
    assert found.columns.tolist() == ["query", "neighbour", "rank", "distance", "target", "prediction"]
    assert found["neighbour"].tolist()[0] == "cell3"
    assert found["rank"].tolist() == [1, 2]
    assert found["distance"][0] == pytest.approx(0, abs=1e-6)
    assert found[["target", "prediction"]].iloc[0].tolist() == ["b", "b"]
    far = neighbours(embedded, ["cell2", "cell0"], k=1, metric="euclidean")
    assert far["query"].tolist() == ["cell2", "cell0"]
    assert far["neighbour"].tolist() == ["cell0", "cell1"]
    assert far["distance"].tolist() == pytest.approx([2**0.5, 1.01**0.5])
    for name, duplicate in (("cell1", "cell5"), ("cell5", "cell1")):  # equal samples: each is the other's, not its own
        assert neighbours(embedded, name, k=5)["neighbour"].tolist()[0] == duplicate
        assert name not in neighbours(embedded, name, k=5)["neighbour"].tolist()
    others = embedded[["cell2"]].copy()
    others.obs_names = ["new"]
    assert neighbours(embedded, others, 1, "euclidean")[["query", "neighbour"]].iloc[0].tolist() == ["new", "cell2"]
    assert "no sample 'cel2'; did you mean cell2" in message(lambda: neighbours(embedded, "cel2"))
    assert "k must be between 1 and 5, not 6" in message(lambda: neighbours(embedded, "cell2", k=6))
    assert "metric 'cosin' is unknown" in message(lambda: neighbours(embedded, "cell2", metric="cosin"))
    assert "same model and layer" in message(lambda: neighbours(embedded, embedded[:, :1].copy()))

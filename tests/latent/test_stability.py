"""Stability of clusters: highest for the true number of clusters."""

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from zoo.latent import plot_stability, stability


def blobs(groups: int, samples: int = 150, distance: float = 12.0) -> AnnData:
    rng = np.random.default_rng(0)
    centres = distance * np.eye(groups)
    x = rng.normal(size=(samples, groups)) + centres[np.arange(samples) % groups]
    return AnnData(x.astype(np.float32))


@pytest.mark.parametrize("groups", [3, 4])
def test_the_true_number_of_clusters_is_the_most_stable(groups: int) -> None:
    table = stability(blobs(groups), clusters=range(2, 7), resamples=10)
    assert table["clusters"].tolist() == [2, 3, 4, 5, 6]
    assert table.loc[table["ari"].idxmax(), "clusters"] == groups
    right = table[table["clusters"] == groups].iloc[0]
    assert right["ari"] > 0.99
    assert (right[[f"jaccard_{number}" for number in range(groups)]] > 0.95).all()
    too_many = table[table["clusters"] == groups + 2].iloc[0]
    assert too_many["ari"] < right["ari"] - 0.1
    assert too_many.filter(like="jaccard_").min() < 0.85
    assert right.filter(like="jaccard_").notna().sum() == groups


def test_the_same_for_the_same_seed_and_training_samples_only() -> None:
    adata = blobs(3)
    adata.obs["split"] = np.where(np.arange(150) < 120, "train", "test")
    before = stability(adata, clusters=[3, 5], resamples=5)
    adata.X[120:] = 1e3
    pd.testing.assert_frame_equal(before, stability(adata, clusters=[3, 5], resamples=5))
    assert not before["ari"].equals(stability(adata, clusters=[3, 5], resamples=5, seed=1)["ari"])
    assert before["samples"].tolist() == [120, 120]
    assert before.attrs["title"] == "k-means, 5 resamples of 120 training samples"
    assert not len(adata.obs.columns.difference(["split"]))


def test_methods_that_find_the_number_themselves() -> None:
    leiden = stability(blobs(3, 240), "leiden", resolutions=[0.1, 3.0], resamples=8)
    assert leiden["resolution"].tolist() == [0.1, 3.0]
    assert leiden["clusters"][0] == 3
    assert leiden["ari"][0] > 0.99 > leiden["ari"][1] + 0.1
    dense = stability(blobs(3), "hdbscan", resamples=8)
    assert dense["clusters"].tolist() == [3]
    assert dense["ari"][0] > 0.7
    rng = np.random.default_rng(0)
    noise = stability(AnnData(rng.normal(size=(60, 8)).astype(np.float32)), "hdbscan", resamples=5)
    assert len(noise) == 1


def test_many_samples_are_drawn_and_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["zoo.latent.stability"], "MOST", 60)
    table = stability(blobs(3), clusters=[3], resamples=3)
    assert table["samples"].tolist() == [60]
    assert "60 training samples" in plot_stability(table).get_suptitle()


def test_what_cannot_be_done(message: Callable[..., str]) -> None:
    adata = blobs(3, 30)
    assert "method 'kmean' is unknown" in message(lambda: stability(adata, "kmean"))
    assert "leave out clusters" in message(lambda: stability(adata, "leiden", clusters=[3]))
    assert "clusters must be between 2 and" in message(lambda: stability(adata, clusters=[25]))
    assert "resamples must be at least 2" in message(lambda: stability(adata, resamples=1))
    assert "at least 10 training samples, not 6" in message(lambda: stability(adata[:6].copy()))


def test_figure_has_a_point_for_each_cluster() -> None:
    table = stability(blobs(3), clusters=[2, 3], resamples=5)
    left, right = plot_stability(table).axes
    assert [label.get_text() for label in left.get_xticklabels()] == ["2", "3"]
    assert list(left.lines[0].get_ydata()) == table["ari"].tolist()
    points = [line for line in right.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in points] == [2, 3]

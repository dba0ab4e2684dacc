"""Projections of the latent space: new samples, t-SNE, PaCMAP, grids of settings, explained variance."""

import sys
from collections.abc import Callable

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix

from zoo.latent import embed, maps, pacmap, pca, plot, scree, tsne, umap, umap_grid


def blobs(samples: int = 60, seed: int = 0) -> AnnData:
    """Three well separated groups, half of the samples for training."""
    rng = np.random.default_rng(seed)
    group = np.arange(samples) % 3
    x = rng.normal(size=(samples, 4)) + 20 * np.eye(3, 4)[group]
    split = np.where(np.arange(samples) % 2, "train", "validation")
    obs = pd.DataFrame({"target": pd.Categorical(group.astype(str)), "split": split}, index=map(str, range(samples)))
    return AnnData(x.astype(np.float32), obs, uns={"layer": "latent"})


@pytest.mark.parametrize(("step", "basis"), [(pca, "X_pca"), (umap, "X_umap")])
def test_training_samples_placed_as_new_ones_lie_where_they_were(step, basis: str) -> None:
    adata, new = blobs(), blobs()
    assert step(adata, new) is adata
    here, there = adata.obsm[basis], new.obsm[basis]
    train = (adata.obs["split"] == "train").to_numpy()
    distances = np.linalg.norm(here[:, None] - there[None], axis=2)[np.ix_(train, train)]
    own = np.diag(distances)
    assert np.median(own) < 0.1 * np.median(distances)
    group = adata.obs["target"].to_numpy()[train]
    assert (group[distances.argmin(0)] == group).all()
    assert basis.removeprefix("X_") in new.uns


def test_new_samples_change_nothing_for_the_others() -> None:
    alone, beside = umap(pca(blobs())), blobs()
    new = blobs(9, seed=1)
    umap(pca(beside, new), new)
    for basis in ("X_pca", "X_umap"):
        np.testing.assert_array_equal(alone.obsm[basis], beside.obsm[basis])
    train = (beside.obs["split"] == "train").to_numpy()
    mean = beside.X[train].mean(0)
    np.testing.assert_allclose(new.obsm["X_pca"], (new.X - mean) @ beside.varm["PCs"], atol=1e-4)
    both = anndata.concat([beside, new], uns_merge="same", index_unique="-")
    assert plot(both, "X_pca").axes[0].get_xlabel().endswith("of variance)")
    assert sum(len(points.get_offsets()) for points in plot(both).axes[0].collections) == 69


def test_new_samples_of_another_model(message: Callable[..., str]) -> None:
    adata, other = blobs(), blobs()
    other.var_names = [f"body:{unit}" for unit in range(4)]
    assert "embed both by the same model and layer" in message(lambda: umap(adata, other))
    assert "new samples must be AnnData, not 15" in message(lambda: umap(adata, 15))
    assert "X_umap" not in adata.obsm
    broken = blobs()
    broken.X[3, 1] = np.inf
    assert "sample '3' has a value that is not finite" in message(lambda: pca(adata, broken))
    assert "X_pca" not in adata.obsm


def test_a_new_split_has_its_name_in_the_legend() -> None:
    adata, new = blobs(), blobs(12, seed=1)
    new.obs["split"] = "hospital B"
    pca(adata, new)
    figure = plot(anndata.concat([adata, new], uns_merge="same", index_unique="-"), "X_pca")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[-3:] == ["train (30)", "validation (30)", "hospital B (12)"]


def test_tsne_keeps_groups_together_repeats_and_places_nothing_new(message: Callable[..., str]) -> None:
    adata = tsne(blobs(), perplexity=10)
    xy = adata.obsm["X_tsne"]
    group = adata.obs["target"].to_numpy()
    distances = np.linalg.norm(xy[:, None] - xy[None], axis=2) + 1e9 * np.eye(60)
    assert (group[distances.argmin(1)] == group).all()
    np.testing.assert_array_equal(tsne(blobs(), perplexity=10).obsm["X_tsne"], xy)
    assert plot(adata, "X_tsne").axes[0].get_title() == "t-SNE of latent space (4 units)"
    assert "cannot place new samples" in message(lambda: tsne(adata, blobs()))
    assert "perplexity must be between 1 and 59, not 60" in message(lambda: tsne(adata, perplexity=60))
    assert tsne(AnnData(adata.X[:, :1]), perplexity=5).obsm["X_tsne"].shape == (60, 2)


def test_pacmap_is_asked_for_in_one_line(message: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pacmap", None)
    assert "pip install 'biozoo[maps]'" in message(lambda: pacmap(blobs(120)))
    assert "more than 50 training samples, not 30" in message(lambda: pacmap(blobs()))


def test_pacmap_places_new_samples() -> None:
    pytest.importorskip("pacmap")
    adata, new = blobs(150), blobs(30, seed=1)
    xy = pacmap(adata, new).obsm["X_pacmap"]
    centres = np.stack([xy[adata.obs["target"] == name].mean(0) for name in "012"])
    nearest = np.linalg.norm(new.obsm["X_pacmap"][:, None] - centres[None], axis=2).argmin(1)
    assert (nearest.astype(str) == new.obs["target"].to_numpy()).all()


def test_grid_has_a_map_for_each_pair_and_changes_nothing(message: Callable[..., str]) -> None:
    adata = blobs()
    figure = umap_grid(adata, neighbors=[4, 8], min_dist=[0.0, 0.3])
    assert not len(adata.obsm)
    assert [axis.get_title() for axis in figure.axes[:2]] == ["min_dist 0", "min_dist 0.3"]
    assert [axis.get_ylabel() for axis in figure.axes] == ["4 neighbours", "", "8 neighbours", ""]
    assert figure.get_suptitle() == "UMAP of latent space (4 units)"
    places = [np.concatenate([np.asarray(p.get_offsets()) for p in axis.collections]) for axis in figure.axes]
    assert all(len(xy) == 60 for xy in places)
    assert not np.allclose(places[0], places[3])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[:4] == ["target", "0", "1", "2"]
    assert "needs more than 50 training samples, not 30" in message(lambda: umap_grid(adata, neighbors=[50]))
    assert "at least one" in message(lambda: umap_grid(adata, neighbors=[]))
    assert "no column 'targt'" in message(lambda: umap_grid(adata, colour="targt"))


def test_grid_of_many_samples_draws_some_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "MOST", 40)
    figure = umap_grid(blobs(), neighbors=[5], min_dist=[0.1])
    assert figure.get_suptitle() == "UMAP of latent space (4 units), 40 of 60 samples"


def test_scree_shows_shares_and_their_sum(mlp, pima, message: Callable[..., str]) -> None:
    adata = embed(mlp, pima)
    assert "call pca(adata) first" in message(lambda: scree(adata))
    left, right = scree(pca(adata)).axes
    shares = adata.uns["pca"]["variance_ratio"]
    np.testing.assert_allclose([bar.get_height() for bar in left.patches], 100 * shares, rtol=1e-5)
    total = right.lines[0].get_ydata()
    np.testing.assert_allclose(total, 100 * np.cumsum(shares), rtol=1e-5)
    needed = int(np.argmax(np.cumsum(shares) >= 0.8)) + 1
    assert f"80%: {needed} of 8" in [text.get_text() for text in right.texts]


def test_an_embedding_that_is_sparse_or_absent(message: Callable[..., str]) -> None:
    dense = pca(blobs())
    sparse = pca(AnnData(csr_matrix(dense.X), dense.obs.copy()))
    np.testing.assert_allclose(sparse.obsm["X_pca"], dense.obsm["X_pca"], atol=1e-4)
    for empty in (AnnData(obs=dense.obs), AnnData(np.empty((0, 3), np.float32)), blobs()[:0].copy()):
        assert "there is no embedding" in message(lambda adata=empty: pca(adata))
        assert "there is no embedding" in message(lambda adata=empty: tsne(adata))
    assert "there is no embedding" in message(lambda: pca(blobs(), blobs()[:0].copy()))

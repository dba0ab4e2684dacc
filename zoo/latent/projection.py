"""Latent space in two dimensions: PCA and UMAP, both learnt from training samples and applied to all."""

import warnings

import numpy as np
from anndata import AnnData

from ..errors import InputError, check_range


def values(adata: AnnData) -> np.ndarray:
    """The embedding, ``shape=(samples, units)``.

    Raises:
        InputError: A value is NaN or infinite; the first such sample is named.
    """
    x = np.asarray(adata.X)
    if (bad := ~np.isfinite(x).all(1)).any():
        raise InputError(
            f"the embedding of sample {adata.obs_names[int(bad.argmax())]!r} has a value that is not finite "
            f"({bad.sum()} of {len(bad)} samples do); look at its inputs, and whether the training went well"
        )
    return x


def training_rows(adata: AnnData) -> np.ndarray:
    """Which samples have the split ``"train"``, ``shape=(samples,)``; all, if none has."""
    rows = adata.obs["split"].to_numpy() == "train" if "split" in adata.obs else np.zeros(adata.n_obs, bool)
    return rows if rows.any() else ~rows


def pca(adata: AnnData, components: int | None = None) -> AnnData:
    """Principal components (Hotelling 1933, doi:10.1037/h0071325), of centred units that are not scaled.

    Fitted on the training samples (on all if none is marked so in ``obs["split"]``), applied to all.

    Args:
        adata: From `embed`; it is changed in place.
        components: How many. Default: as many as there are, at most 50.

    Returns:
        The same ``adata`` with ``obsm["X_pca"]`` ``(samples, components)``, ``varm["PCs"]`` ``(units, components)``,
        ``uns["pca"]["variance"]`` and ``uns["pca"]["variance_ratio"]``, the places that scanpy uses.

    Raises:
        InputError: More components than training samples or units, or a value that is not finite.
    """
    from sklearn.decomposition import PCA

    x, rows = values(adata), training_rows(adata)
    most = int(min(rows.sum(), adata.n_vars))
    components = min(50, most) if components is None else components
    check_range("components", components, 1, most)
    with np.errstate(invalid="ignore"):  # a layer whose units are all constant has no variance to share out
        model = PCA(components, random_state=0).fit(x[rows])
    adata.obsm["X_pca"] = model.transform(x)
    adata.varm["PCs"] = model.components_.T.copy()
    adata.uns["pca"] = {
        "variance": model.explained_variance_,
        "variance_ratio": np.nan_to_num(model.explained_variance_ratio_),
    }
    return adata


def umap(adata: AnnData, neighbors: int = 15, min_dist: float = 0.1, seed: int = 0) -> AnnData:
    """UMAP in two dimensions (McInnes et al. 2018, doi:10.21105/joss.00861), the same for the same seed.

    Fitted on the training samples (on all if none is marked so in ``obs["split"]``); the others are placed among them.
    Distances between far groups, and sizes of groups, mean little in such a map.

    Args:
        adata: From `embed`; it is changed in place.
        neighbors: How many near samples are kept near: few show fine structure, many the whole.
        min_dist: How close samples may lie in the map, 0 to 1.
        seed: Of the layout.

    Returns:
        The same ``adata`` with ``obsm["X_umap"]`` ``(samples, 2)`` and ``uns["umap"]["params"]``.

    Raises:
        InputError: Too few training samples for so many neighbours, or a value that is not finite.
    """
    check_range("neighbors", neighbors, 2)
    check_range("min_dist", min_dist, 0, 1)
    x, rows = values(adata), training_rows(adata)
    if (count := int(rows.sum())) <= max(neighbors, 3):
        raise InputError(
            f"UMAP with {neighbors} neighbours needs more than {max(neighbors, 3)} training samples, not {count}; "
            "give fewer neighbors, or use pca"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # of tqdm, in a notebook without ipywidgets
        from umap import UMAP

    options = {"n_neighbors": neighbors, "min_dist": min_dist, "random_state": seed}
    model = UMAP(**options, transform_seed=seed, n_jobs=1)  # more jobs would not be deterministic
    layout = np.empty((adata.n_obs, 2), np.float32)
    layout[rows] = model.fit_transform(x[rows])
    if not rows.all():
        layout[~rows] = model.transform(x[~rows])
    adata.obsm["X_umap"], adata.uns["umap"] = layout, {"params": options}
    return adata

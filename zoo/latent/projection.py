"""PCA and UMAP of a latent space, fitted on the training samples and applied to all."""

import sys
import warnings

import numpy as np
from anndata import AnnData

from ..errors import InputError, check_range
from ..threads import same_threads
from .colours import OKABE_ITO, Figure
from .scatter import layer_title

MOST = 30  # components drawn
MARKS = (0.8, 0.95)  # shares of the variance marked in the scree plot


def scree(adata: AnnData) -> Figure:
    """Scree plot: variance explained by each principal component, and the cumulative sum.

    If many components explain similar shares, a plot of the first two shows little of the latent space.

    Args:
        adata: After `pca`.

    Returns:
        A matplotlib figure; the shares are in ``adata.uns["pca"]["variance_ratio"]``.

    Raises:
        InputError: `pca` was not called.
    """
    if "pca" not in adata.uns:
        raise InputError("there are no principal components; call pca(adata) first")
    shares = 100 * np.asarray(adata.uns["pca"]["variance_ratio"])[:MOST]
    numbers, total = np.arange(1, len(shares) + 1), np.cumsum(shares)
    figure = Figure(figsize=(8.4, 3.6), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.bar(numbers, shares, color=OKABE_ITO[0], width=0.75)
    left.set(xlabel="principal component", ylabel="variance explained [%]", title="each component")
    right.plot(numbers, total, "o-", color=OKABE_ITO[0], markersize=4)
    right.set(xlabel="number of components", ylabel="variance explained [%]", title="cumulative", ylim=(0, 104))
    for mark in MARKS:
        right.axhline(100 * mark, color="#888888", linewidth=0.8, linestyle=":")
        enough = np.flatnonzero(total >= 100 * mark - 1e-9)
        needed = f"{enough[0] + 1} of {adata.n_vars}" if len(enough) else f"more than {len(shares)}"
        right.annotate(
            f"{mark:.0%}: {needed}",
            (1, 100 * mark),
            (0, -3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
            color="#555555",
        )
    for axis in (left, right):
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlim(0.4, len(shares) + 0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.title.set_fontsize(10)
    figure.suptitle(f"Principal components of {layer_title(adata)}", fontsize=12)
    return figure


def values(adata: AnnData) -> np.ndarray:
    """The embedding, ``shape=(samples, units)``.

    Raises:
        InputError: There is no embedding, or a value is NaN or infinite; the message names the first such sample.
    """
    if adata.X is None or not adata.n_obs or not adata.n_vars:
        raise InputError("there is no embedding: X must have samples and units; see zoo.latent.embed")
    x = adata.X.toarray() if hasattr(adata.X, "toarray") else np.asarray(adata.X)
    if (bad := ~np.isfinite(x).all(1)).any():
        raise InputError(
            f"the embedding of sample {adata.obs_names[int(bad.argmax())]!r} has a value that is not finite "
            f"({bad.sum()} of {len(bad)} samples do); check its inputs, and whether training diverged"
        )
    return x


def training_rows(adata: AnnData) -> np.ndarray:
    """Mask of the samples of the split ``"train"``, ``shape=(samples,)``; all samples if there are none."""
    rows = adata.obs["split"].to_numpy() == "train" if "split" in adata.obs else np.zeros(adata.n_obs, bool)
    return rows if rows.any() else ~rows


def same_units(adata: AnnData, other: AnnData) -> None:
    """Raise an `InputError` unless both have units of the same names."""
    if list(other.var_names) != list(adata.var_names):
        raise InputError(
            f"the new samples have {other.n_vars} units of layer {other.uns.get('layer')!r}, the first samples "
            f"{adata.n_vars} of {adata.uns.get('layer')!r}; embed both by the same model and layer"
        )


def all_values(adata: AnnData, others: tuple[AnnData, ...]) -> list[np.ndarray]:
    """The embeddings of ``adata`` and of other samples with the same units.

    Raises:
        InputError: Not an AnnData; different units; a value is not finite.
    """
    for other in others:
        if not isinstance(other, AnnData):
            raise InputError(f"new samples must be AnnData, not {other!r}; pass options by keyword")
        same_units(adata, other)
    return [values(each) for each in (adata, *others)]


def pca(adata: AnnData, *others: AnnData, components: int | None = None) -> AnnData:
    """Principal component analysis (Hotelling 1933, doi:10.1037/h0071325) of the units, centred but not scaled.

    It is fitted on the training samples (on all if ``obs["split"]`` marks none) and applied to all.

    Args:
        adata: From `embed`; it is changed in place.
        *others: New samples, embedded by the same model and layer; they are projected too, in place.
        components: Number of components. Default: all, at most 50.

    Returns:
        The same ``adata`` with ``obsm["X_pca"]`` ``(samples, components)``, ``varm["PCs"]`` ``(units, components)``,
        ``uns["pca"]["variance"]`` and ``uns["pca"]["variance_ratio"]``, named as in scanpy; the others too.

    Raises:
        InputError: More components than training samples or units; different units; a value is not finite.
    """
    from sklearn.decomposition import PCA

    (x, *new), rows = all_values(adata, others), training_rows(adata)
    most = int(min(rows.sum(), adata.n_vars))
    components = min(50, most) if components is None else components
    check_range("components", components, 1, most)
    with np.errstate(invalid="ignore"):  # if all units are constant, the variance ratio is 0 / 0
        model = PCA(components, random_state=0).fit(x[rows])
    for each, embedding in zip((adata, *others), (x, *new), strict=True):
        each.obsm["X_pca"] = model.transform(embedding)
        each.varm["PCs"] = model.components_.T.copy()
        each.uns["pca"] = {
            "variance": model.explained_variance_.copy(),
            "variance_ratio": np.nan_to_num(model.explained_variance_ratio_),
        }
    return adata


def umap(adata: AnnData, *others: AnnData, neighbors: int = 15, min_dist: float = 0.1, seed: int = 0) -> AnnData:
    """UMAP in two dimensions (McInnes et al. 2018, doi:10.21105/joss.00861), reproducible for a fixed seed.

    It is fitted on the training samples (on all if ``obs["split"]`` marks none); the remaining samples are projected.
    Distances between distant groups, and sizes of groups, mean little.

    Args:
        adata: From `embed`; it is changed in place.
        *others: New samples, embedded by the same model and layer; they are projected too, in place. UMAP places even
            outliers near training samples; use `zoo.latent.outliers` to detect them.
        neighbors: Size of the neighbourhood: small values show local, large values global structure.
        min_dist: Minimum distance between points in the plot, 0 to 1.
        seed: Random seed of the layout.

    Returns:
        The same ``adata`` with ``obsm["X_umap"]`` ``(samples, 2)`` and ``uns["umap"]["params"]``; the others too.

    Raises:
        InputError: Too few training samples for the number of neighbours; different units; a value is not finite.

    Example:
        >>> umap(adata, new)  # doctest: +SKIP
        >>> both = anndata.concat([adata, new], uns_merge="same")  # doctest: +SKIP
        >>> plot(both, colour="split")  # doctest: +SKIP
    """
    check_range("neighbors", neighbors, 2)
    check_range("min_dist", min_dist, 0, 1)
    (x, *new), rows = all_values(adata, others), training_rows(adata)
    if (count := int(rows.sum())) <= max(neighbors, 3):
        raise InputError(
            f"UMAP with {neighbors} neighbours needs more than {max(neighbors, 3)} training samples, not {count}; "
            "give fewer neighbors, or use pca"
        )
    options = {"n_neighbors": neighbors, "min_dist": min_dist, "random_state": seed}
    with same_threads(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # tqdm in a notebook without ipywidgets
        warnings.filterwarnings("ignore", "Graph is not fully connected")  # normal for well separated groups
        warnings.filterwarnings("ignore", "Cannot cache compiled function")  # applies to two functions of UMAP
        from umap import UMAP

        _keep_compiled()
        model = UMAP(**options, transform_seed=seed, n_jobs=1)  # more jobs would not be deterministic
        layout = np.empty((adata.n_obs, 2), np.float32)
        layout[rows] = model.fit_transform(x[rows])
        if not rows.all():
            layout[~rows] = model.transform(x[~rows])
        layouts = [layout, *(model.transform(embedding) for embedding in new)]
    for each, found in zip((adata, *others), layouts, strict=True):
        each.obsm["X_umap"], each.uns["umap"] = found, {"params": dict(options)}
    return adata


def _keep_compiled() -> None:
    """Let numba cache the compiled code of UMAP on disk; the first map of a process then takes 1 s instead of 13 s."""
    from numba.core.registry import CPUDispatcher

    for name in [name for name in sys.modules if name.split(".")[0] in ("umap", "pynndescent")]:
        for function in vars(sys.modules[name]).values():
            if isinstance(function, CPUDispatcher) and not function.signatures:  # not compiled yet
                function.enable_caching()

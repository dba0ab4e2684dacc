"""Further projections of the latent space: UMAP with several settings, t-SNE, and PaCMAP if it is installed."""

import logging
from collections.abc import Sequence
from importlib import import_module

import numpy as np
from anndata import AnnData

from ..errors import InputError, check_range
from ..threads import same_threads
from .colours import Figure, colours, splits
from .measures import subsample
from .projection import all_values, training_rows, umap, values
from .scatter import draw, key, layer_title

MOST = 2000  # samples in each panel


def umap_grid(
    adata: AnnData,
    neighbors: Sequence[int] = (5, 15, 50),
    min_dist: Sequence[float] = (0.0, 0.1, 0.5),
    colour: str | None = None,
    seed: int = 0,
) -> Figure:
    """Plot UMAP for a grid of settings; rely only on structure that most panels share.

    Args:
        adata: From `embed`; it is not changed. Of more than 2000 samples, 2000 are drawn at random, as the title
            states.
        neighbors: Sizes of the neighbourhood; one row of panels for each.
        min_dist: Minimum distances between points in the plot, 0 to 1; one column of panels for each.
        colour: A column of ``obs``. Default: the target, if there is one.
        seed: Random seed of the layouts and of the drawn samples.

    Returns:
        A matplotlib figure.

    Raises:
        InputError: No settings; too few training samples for the number of neighbours; unknown column.
    """
    if not len(neighbors) or not len(min_dist):
        raise InputError("give at least one number of neighbors and one min_dist")
    shown = AnnData(adata.X, obs=adata.obs, var=adata.var[[]], uns=dict(adata.uns))
    shown = shown[subsample(adata.n_obs, MOST, seed)].copy()
    found, groups = colours(shown, colour), splits(shown)
    wide, high = len(min_dist), len(neighbors)
    figure = Figure(figsize=(2.5 * wide + 1.8, 2.5 * high + 0.7), dpi=100, layout="constrained")
    axes = figure.subplots(high, wide, squeeze=False)
    for (row, column), axis in np.ndenumerate(axes):
        umap(shown, neighbors=neighbors[row], min_dist=min_dist[column], seed=seed)
        draw(axis, shown, "X_umap", found.rgba(), groups)
        axis.set(xlabel="", ylabel="")
        axis.spines[["top", "right"]].set_visible(True)
        axis.spines[:].set_color("#AAAAAA")
        if row == 0:
            axis.set_title(f"min_dist {min_dist[column]:g}", fontsize=10)
        if column == 0:
            axis.set_ylabel(f"{neighbors[row]} neighbours", fontsize=10)
    drawn = f", {shown.n_obs} of {adata.n_obs} samples" if shown.n_obs < adata.n_obs else ""
    figure.suptitle(f"UMAP of {layer_title(adata)}{drawn}", fontsize=12)
    key(figure, axes, found, groups)
    return figure


def tsne(adata: AnnData, *others: AnnData, perplexity: float = 30.0, seed: int = 0) -> AnnData:
    """t-SNE in two dimensions (van der Maaten and Hinton 2008, jmlr.org/papers/v9/vandermaaten08a.html).

    t-SNE does not learn a function that projects new samples, so it is computed from the samples of all splits at once.
    Use it for display only: distances between groups, and the sizes of groups, mean little. Ten thousand samples take
    minutes.

    Args:
        adata: From `embed`; it is changed in place.
        *others: Not supported; use `umap` or `pca` to project new samples.
        perplexity: Approximate number of neighbours of each sample; less than the number of samples.
        seed: Random seed of the layout, which is initialised with the principal components.

    Returns:
        The same ``adata`` with ``obsm["X_tsne"]`` ``(samples, 2)`` and ``uns["tsne"]["params"]``.

    Raises:
        InputError: Other samples are given; too few samples for the perplexity; a value is not finite.
    """
    if others:
        raise InputError("t-SNE cannot place new samples on its map; use umap or pca, or embed all samples together")
    from sklearn.manifold import TSNE

    x = values(adata)
    if len(x) < 5:
        raise InputError(f"t-SNE needs at least 5 samples, not {len(x)}; use pca")
    check_range("perplexity", perplexity, 1, len(x) - 1)
    start = "pca" if adata.n_vars > 1 else "random"
    adata.obsm["X_tsne"] = TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(x)
    adata.uns["tsne"] = {"params": {"perplexity": perplexity, "random_state": seed}}
    return adata


def pacmap(adata: AnnData, *others: AnnData, neighbors: int = 10, seed: int = 0) -> AnnData:
    """PaCMAP in two dimensions (Wang et al. 2021, jmlr.org/papers/v22/20-1061.html).

    It preserves the arrangement of distant groups better than UMAP. It is fitted on the training samples (on all if
    ``obs["split"]`` marks none); the remaining samples are projected.

    Args:
        adata: From `embed`; it is changed in place.
        *others: New samples, embedded by the same model and layer; they are projected too, in place.
        neighbors: Size of the neighbourhood.
        seed: Random seed of the layout.

    Returns:
        The same ``adata`` with ``obsm["X_pacmap"]`` ``(samples, 2)`` and ``uns["pacmap"]["params"]``; the others too.

    Raises:
        InputError: The package pacmap is not installed; too few training samples; different units; a value is not
            finite.
    """
    check_range("neighbors", neighbors, 2)
    (x, *new), rows = all_values(adata, others), training_rows(adata)
    if (count := int(rows.sum())) <= 5 * neighbors:
        raise InputError(
            f"PaCMAP with {neighbors} neighbours needs more than {5 * neighbors} training samples, not {count}; give "
            "fewer neighbors, or use pca"
        )
    try:
        package = import_module("pacmap")
    except ImportError:
        raise InputError("PaCMAP needs the package pacmap: pip install 'biozoo[maps]'; or use umap") from None
    logging.getLogger("pacmap").setLevel(logging.ERROR)  # it warns whenever a seed is set
    model = package.PaCMAP(n_neighbors=neighbors, random_state=seed, save_tree=True)
    base, layout = x[rows], np.empty((adata.n_obs, 2), np.float32)
    with same_threads():
        layout[rows] = model.fit_transform(base)
        if not rows.all():
            layout[~rows] = model.transform(x[~rows], basis=base)
        layouts = [layout, *(model.transform(embedding, basis=base) for embedding in new)]
    for each, found in zip((adata, *others), layouts, strict=True):
        each.obsm["X_pacmap"] = found
        each.uns["pacmap"] = {"params": {"n_neighbors": neighbors, "random_state": seed}}
    return adata

"""Clustered heat map of samples by units."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.layout_engine import ConstrainedLayoutEngine
from scipy.cluster.hierarchy import dendrogram, linkage

from .colours import MORE, Colours, Figure, colours, entries, has_target, legend
from .projection import values
from .scatter import layer_title

MOST = 500  # samples drawn, and units drawn
MOST_LABELS = 40  # with more units, none is labelled
LIMIT = 3.0  # of the colour scale, in standard deviations


def heatmap(adata: AnnData, columns: Sequence[str] | None = None) -> Figure:
    """Plot the activation of each unit for each sample, both ordered by hierarchical clustering.

    Each unit is standardised over all samples and clipped at 3 standard deviations, so that units that are active in
    few samples do not dominate the dendrograms; a constant unit is drawn as 0. The clustering is that of Ward (1963,
    doi:10.1080/01621459.1963.10500845). At most 500 samples are drawn, evenly spaced among all sorted by ``columns``,
    so that the proportions of the classes are kept; and at most 500 units, those with the largest variance.

    Args:
        adata: From `embed`, and after `cluster` to show the clusters.
        columns: Columns of ``obs`` shown as colours beside the samples. Default: target and cluster, if available.

    Returns:
        A matplotlib figure; its title gives the number of samples and units drawn.

    Raises:
        InputError: Unknown column, or a value is not finite.
    """
    if columns is None:
        columns = ["target"] * has_target(adata) + ["cluster"] * ("cluster" in adata.obs)
    found: list[Colours] = []
    for column in columns:
        found.append(colours(adata, column, skip=sum(len(other.palette or ()) for other in found) % len(MORE)))
    x = values(adata)
    spread = x.std(0)
    x = ((x - x.mean(0)) / np.where(spread > 1e-6, spread, 1.0)).clip(-LIMIT, LIMIT)
    rows = _evenly(adata, columns)
    units = np.sort(np.argsort(-spread, kind="stable")[:MOST])
    x = x[np.ix_(rows, units)]
    tight = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    figure = Figure(figsize=(8.4, 6.4), dpi=100, layout=tight)
    grid = figure.add_gridspec(2, 3, width_ratios=[1.2, 0.3 * max(1, len(found)), 7], height_ratios=[1, 7])
    row_order = _tree(figure.add_subplot(grid[1, 0]), x, upright=False)
    unit_order = _tree(figure.add_subplot(grid[0, 2]), x.T, upright=True)
    heat = figure.add_subplot(grid[1, 2])
    shown = x[np.ix_(row_order, unit_order)]
    image = heat.imshow(shown, cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT, aspect="auto", interpolation="none")
    names = [adata.var_names[unit].rpartition(":")[2] for unit in units[unit_order]]
    labelled = len(names) <= MOST_LABELS
    heat.set_xticks(range(len(names)) if labelled else [], names if labelled else [], fontsize=7)
    heat.set_yticks([])
    heat.set_xlabel("unit")
    _strips(figure.add_subplot(grid[1, 1]), found, rows[row_order])
    place: dict[str, Any] = {"ax": heat, "aspect": 25, "shrink": 0.6, "anchor": (0.0, 0.0)}
    figure.colorbar(image, label="activation [standard deviations]", **place)
    for colouring in found:
        if colouring.palette is None:
            figure.colorbar(ScalarMappable(colouring.scale(), "viridis"), label=colouring.title, **place)
    drawn = f"{len(rows)} of {adata.n_obs}" if len(rows) < adata.n_obs else f"all {adata.n_obs}"
    most = f", the {MOST} most variable units" if len(units) < adata.n_vars else ""
    figure.suptitle(f"{layer_title(adata)}\n{drawn} samples{most}", fontsize=12)
    legend(figure, *((colouring.title, entries(colouring, "s")) for colouring in found))
    return figure


def _strips(axis: Axes, found: list[Colours], rows: np.ndarray) -> None:
    """Annotation of the samples: one strip of colours for each column."""
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    axis.set_xticks(range(len(found)), [colouring.title for colouring in found], rotation=90, fontsize=8)
    if found:
        axis.imshow(np.stack([colouring.rgba()[rows] for colouring in found], 1), aspect="auto", interpolation="none")


def _evenly(adata: AnnData, columns: Sequence[str]) -> np.ndarray:
    """Positions of at most 500 samples, evenly spaced among all sorted by the columns."""
    if adata.n_obs <= MOST or not columns:
        order = np.arange(adata.n_obs)
    else:
        codes = [adata.obs[column].rank(method="dense").to_numpy() for column in columns]
        order = np.lexsort(codes[::-1])
    chosen = np.linspace(0, len(order) - 1, min(MOST, len(order))).round().astype(int)
    return np.asarray(order[chosen])


def _tree(axis: Axes, x: np.ndarray, upright: bool) -> np.ndarray:
    """Draw the dendrogram of the rows of ``x`` and return their order."""
    axis.set_axis_off()
    if len(x) < 2:
        return np.arange(len(x))
    tree = dendrogram(linkage(x, "ward", optimal_ordering=True), no_plot=True)
    along, height = (np.array(tree["icoord"]) - 5) / 10, np.array(tree["dcoord"])  # scipy draws leaf i at 5 + 10 i
    lines = np.stack([along, height] if upright else [height, along], -1)
    axis.add_collection(LineCollection(list(lines), colors="#555555", linewidths=0.5, clip_on=False))
    leaves, top = (-0.5, len(x) - 0.5), (0, height.max() * 1.02)
    axis.set(xlim=leaves, ylim=top) if upright else axis.set(xlim=top[::-1], ylim=leaves[::-1])
    return np.array(tree["leaves"])

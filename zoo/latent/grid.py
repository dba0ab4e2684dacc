"""The same samples on many UMAPs, side by side: what is there whatever the options?"""

from collections.abc import Sequence

import numpy as np
from anndata import AnnData

from ..errors import InputError
from .colours import Figure, colours, splits
from .projection import umap
from .sampling import some
from .scatter import draw, key, layer_title

MOST = 2000  # samples on each map


def umap_grid(
    adata: AnnData,
    neighbors: Sequence[int] = (5, 15, 50),
    min_dist: Sequence[float] = (0.0, 0.1, 0.5),
    colour: str | None = None,
    seed: int = 0,
) -> Figure:
    """Draw a UMAP for each pair of options. Trust what is seen in most of them.

    Args:
        adata: From `embed`; it is not changed. Beyond 2000 samples as many are drawn at random by ``seed``, and the
            title says so.
        neighbors: How many near samples are kept near; a row of maps for each.
        min_dist: How close samples may lie in the map, 0 to 1; a column of maps for each.
        colour: A column of ``obs``. Default: the target, if there is one.
        seed: Of the layouts.

    Returns:
        A matplotlib figure.

    Raises:
        InputError: No options; too few training samples for so many neighbours; no such column.
    """
    if not len(neighbors) or not len(min_dist):
        raise InputError("give at least one number of neighbors and one min_dist")
    shown = AnnData(adata.X, obs=adata.obs, var=adata.var[[]], uns=dict(adata.uns))
    shown = shown[some(adata.n_obs, MOST, seed)].copy()
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

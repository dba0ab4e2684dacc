"""How much of the variance each principal component holds."""

import numpy as np
from anndata import AnnData

from ..errors import InputError
from .colours import OKABE_ITO, Figure
from .scatter import layer_title

MOST = 30  # components drawn
MARKS = (0.8, 0.95)  # shares of the variance


def scree(adata: AnnData) -> Figure:
    """Draw the share of variance of each principal component, and of all up to it.

    Many components of equal height mean that two of them show little of what the units hold.

    Args:
        adata: After `pca`.

    Returns:
        A matplotlib figure; the numbers are in ``adata.uns["pca"]["variance_ratio"]``.

    Raises:
        InputError: There are no principal components yet.
    """
    if "pca" not in adata.uns:
        raise InputError("there are no principal components; call pca(adata) first")
    shares = 100 * np.asarray(adata.uns["pca"]["variance_ratio"])[:MOST]
    numbers, total = np.arange(1, len(shares) + 1), np.cumsum(shares)
    figure = Figure(figsize=(8.4, 3.6), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.bar(numbers, shares, color=OKABE_ITO[0], width=0.75)
    left.set(xlabel="principal component", ylabel="variance [%]", title="of each component")
    right.plot(numbers, total, "o-", color=OKABE_ITO[0], markersize=4)
    right.set(xlabel="principal components", ylabel="variance [%]", title="of the first components", ylim=(0, 104))
    for mark in MARKS:
        right.axhline(100 * mark, color="#888888", linewidth=0.8, linestyle=":")
        enough = np.flatnonzero(total >= 100 * mark - 1e-9)
        told = f"{mark:.0%}: {enough[0] + 1} of {adata.n_vars}" if len(enough) else f"{mark:.0%}: more"
        right.annotate(
            told,
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

"""Scatter plots of the samples in two dimensions."""

from html import escape
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

from ..errors import InputError, suggest
from .colours import MARKERS, Colours, Figure, colours, entries, entry, legend, splits

if TYPE_CHECKING:
    import plotly.graph_objects as go

SYMBOLS = {"o": "circle", "^": "triangle-up", "D": "diamond", "s": "square"}
HOVER = ("target", "prediction", "split")
NAMES = {
    "X_pca": ("PCA", "PC"),
    "X_umap": ("UMAP", "UMAP"),
    "X_tsne": ("t-SNE", "t-SNE"),
    "X_pacmap": ("PaCMAP", "PaCMAP"),
}


@overload
def plot(
    adata: AnnData, basis: str = "X_umap", colour: str | None = None, interactive: Literal[False] = False
) -> Figure: ...


@overload
def plot(
    adata: AnnData, basis: str = "X_umap", colour: str | None = None, *, interactive: Literal[True]
) -> "go.Figure": ...


def plot(
    adata: AnnData, basis: str = "X_umap", colour: str | None = None, interactive: bool = False
) -> "Figure | go.Figure":
    """Scatter plot of the samples in two dimensions.

    Training samples are dots, validation samples triangles and test samples diamonds. If the basis has a single
    dimension, points are jittered at random along the other axis.

    Args:
        adata: From `embed`, after `pca`, `umap`, `tsne` or `pacmap`.
        basis: ``"X_umap"``, ``"X_pca"`` or another entry of ``obsm``.
        colour: A column of ``obs``: categories have a legend, numbers a colour bar. Default: the target, if there is
            one.
        interactive: Return a plotly figure that shows name, target, prediction and split of a sample on hover.

    Returns:
        A matplotlib figure (``figure.savefig(path)``), or a plotly figure (``figure.write_html(path)``). Both are
        displayed automatically in a notebook.

    Raises:
        InputError: Unknown column, or the basis was not computed.
    """
    if interactive:
        return scatter(adata, basis, colours(adata, colour))
    return panels(adata, [basis], colour)


def points(adata: AnnData, basis: str) -> tuple[np.ndarray, list[str]]:
    """Coordinates ``(samples, 2)`` and labels of both axes.

    Raises:
        InputError: The basis was not computed.
    """
    if basis not in adata.obsm:
        hint = f"call {basis.removeprefix('X_')}(adata) first" if basis in NAMES else suggest(basis, adata.obsm)
        raise InputError(f"there is no {basis!r}; {hint}")
    xy = np.asarray(adata.obsm[basis])[:, :2]
    labels = [f"{title(basis)[1]} {axis + 1}" for axis in range(xy.shape[1])]
    if basis == "X_pca" and "pca" in adata.uns:
        shares = adata.uns["pca"]["variance_ratio"]
        labels = [f"{label} ({_percent(share)} of variance)" for label, share in zip(labels, shares, strict=False)]
    if xy.shape[1] == 1:
        xy = np.column_stack([xy, np.random.default_rng(0).uniform(-1, 1, len(xy))])
        labels.append("random")
    return xy, labels


def _percent(share: float) -> str:
    return f"{share:.0%}" if share in (0, 1) or 0.01 <= share < 0.99 else f"{share:.1%}"


def title(basis: str) -> tuple[str, str]:
    """Names of a projection and of its axes."""
    return NAMES.get(basis, (basis.removeprefix("X_"),) * 2)


def layer_title(adata: AnnData) -> str:
    """Title of a layer, such as ``"body.relu1 (64 units)"``."""
    layer = adata.uns.get("layer", "embedding")
    return f"{'latent space' if layer == 'latent' else layer} ({adata.n_vars} unit{'s' * (adata.n_vars != 1)})"


def panels(adata: AnnData, bases: list[str], colour: str | None) -> Figure:
    """One panel for each basis, side by side, with one legend."""
    found, groups = colours(adata, colour), splits(adata)
    height = max(4.4, 0.22 * (len(entries(found)) + len(groups) + 4))  # room for a long legend
    figure = Figure(figsize=(4.4 * len(bases) + 1.6, height), dpi=100, layout="constrained")
    axes = figure.subplots(1, len(bases), squeeze=False)[0]
    for axis, basis in zip(axes, bases, strict=True):
        draw(axis, adata, basis, found.rgba(), groups)
        axis.set_title(title(basis)[0] if len(bases) > 1 else f"{title(basis)[0]} of {layer_title(adata)}")
    if len(bases) > 1:
        figure.suptitle(layer_title(adata))
    key(figure, axes, found, groups)
    return figure


def key(figure: Figure, axes: np.ndarray, found: Colours, groups: dict[str, np.ndarray]) -> None:
    """Add the legend of colours and markers to the right of all axes, or a colour bar for numbers."""
    if found.palette is None:
        figure.colorbar(ScalarMappable(found.scale(), "viridis"), ax=axes, label=found.title, aspect=30, pad=0.02)
    shapes = [entry(f"{name or 'other'} ({len(rows)})", "#555555", shape(name)) for name, rows in groups.items()]
    legend(figure, (found.title, entries(found)), ("split", shapes if len(shapes) > 1 else []))


def shape(split: str) -> str:
    """Marker of a split."""
    return MARKERS.get(split, "s" if split else "o")


def draw(axis: Axes, adata: AnnData, basis: str, rgba: np.ndarray, groups: dict[str, np.ndarray]) -> None:
    """Draw the samples as points, with a marker for each split."""
    xy, labels = points(adata, basis)
    size = float(np.clip(300 / len(xy) ** 0.5, 2, 30))
    for name, rows in groups.items():
        mixed = np.random.default_rng(0).permutation(rows)  # in table order, the last class would cover the others
        x, y = xy[mixed].T
        scale = 1.0 if name in ("train", "") else 1.5  # small markers are not distinguishable
        axis.scatter(x, y, s=size * scale, c=rgba[mixed], marker=shape(name), linewidths=0, alpha=0.8)
    axis.set_xlabel(labels[0])
    axis.set_ylabel(labels[1])
    if basis != "X_pca":  # the scale of UMAP axes has no meaning
        axis.set_xticks([])
    if basis != "X_pca" or labels[1] == "random":
        axis.set_yticks([])
    axis.spines[["top", "right"]].set_visible(False)


def scatter(adata: AnnData, basis: str, found: Colours) -> "go.Figure":
    """A plotly figure; see `zoo.latent.plot`. Each category in each split is a trace that the legend can hide."""
    import plotly.graph_objects as go

    xy, labels = points(adata, basis)
    text, size = _hover(adata), float(np.clip(160 / len(xy) ** 0.5, 4, 9))
    figure, groups = go.Figure(), splits(adata)
    for label in found.palette or [""]:
        for split, rows in groups.items():
            marker: dict[str, Any] = {"size": size, "opacity": 0.8, "symbol": SYMBOLS[shape(split)]}
            if found.palette is None:
                marker |= {"color": found.content[rows], "coloraxis": "coloraxis"}
            else:
                rows = rows[found.content[rows] == label]
                marker["color"] = found.palette[label]
            if len(rows):
                name = ", ".join(filter(None, (label, split if len(groups) > 1 else "")))
                figure.add_scattergl(
                    x=xy[rows, 0],
                    y=xy[rows, 1],
                    mode="markers",
                    marker=marker,
                    name=name,
                    text=text[rows],
                    hoverinfo="text",
                )
    axis = {"showticklabels": basis == "X_pca", "ticks": "outside" if basis == "X_pca" else ""}
    beside = {"x": 1.02} if found.palette else {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(
        template="simple_white",
        title=f"{title(basis)[0]} of {layer_title(adata)}",
        legend={"title": found.title if found.palette else "split", "itemsizing": "constant", **beside},
        xaxis={"title": labels[0], **axis},
        yaxis={"title": labels[1], **axis},
        coloraxis={"colorscale": "Viridis", "colorbar": {"title": found.title}},
        showlegend=len(figure.data) > 1,
    )
    return figure


def _hover(adata: AnnData) -> np.ndarray:
    """Hover text of each point, ``shape=(samples,)``."""
    columns = [column for column in HOVER if column in adata.obs]
    known = adata.obs[columns].map(lambda value: f"{value:.4g}" if isinstance(value, float) else str(value))
    rows = known.itertuples(index=False, name=None)
    lines = (zip(columns, row, strict=True) for row in rows)
    return np.array(
        [
            "<br>".join([f"<b>{escape(name)}</b>", *(f"{column}: {escape(value)}" for column, value in line)])
            for name, line in zip(adata.obs_names, lines, strict=True)
        ]
    )

"""The same points in a browser: zoom, switch classes off, read the name of a sample."""

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from .colours import Colours, splits
from .scatter import layer_title, points, shape, title

if TYPE_CHECKING:
    import plotly.graph_objects as go

SYMBOLS = {"o": "circle", "^": "triangle-up", "D": "diamond", "s": "square"}
HOVER = ("target", "prediction", "split")


def scatter(adata: AnnData, basis: str, found: Colours) -> "go.Figure":
    """A plotly figure; see `zoo.latent.plot`. Each category in each split is a trace, which the legend switches."""
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
    """What is shown at each point, ``shape=(samples,)``."""
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

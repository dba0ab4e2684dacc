"""Colours and axes that all figures of a report share."""

from textwrap import fill

from matplotlib.axes import Axes

from ..figure import Figure

# Palette of Okabe and Ito, which colour-blind readers can distinguish.
COLOURS = {"train": "#999999", "validation": "#E69F00", "test": "#0072B2"}
CLASS_COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000"]


def new_figure(title: str, x: str, y: str, size: tuple[float, float] = (5.4, 4.0)) -> tuple[Figure, Axes]:
    """An empty figure with a title and named axes; not bound to any window or backend."""
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    axes.set_title(fill(title, round(13 * size[0])), loc="left", fontsize=10)  # a caution about the split is long
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def legend_outside(axes: Axes) -> None:
    """Legend to the right of the data."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)

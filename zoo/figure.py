"""Figures without global state, and mosaics of images."""

from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure

from .files import replacing

GAP = 1  # white pixels between images


class Figure(MatplotlibFigure):
    """A figure that notebooks display with any backend, and that pyplot does not keep in memory.

    Notebooks show 100 pixels per inch of a picture drawn at 150 dpi, so that text has one size in all figures.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        self.savefig(buffer := BytesIO(), format="png", dpi=150)
        return buffer.getvalue(), {"width": round(100 * self.get_figwidth())}


def save(figure: MatplotlibFigure, path: Path, dpi: int | None = None) -> Path:
    """Write a figure to a file beside ``path`` and rename it, so that no half-written file is left.

    Args:
        figure: The figure.
        path: The file, whose suffix determines the format; its folder is created if it does not exist.
        dpi: Dots per inch. Default: the resolution of the figure.

    Returns:
        ``path``.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
    return path


def mosaic(images: np.ndarray, columns: int, low: float, high: float) -> np.ndarray:
    """One picture of several images, row by row.

    Args:
        images: ``shape=(images, channels, height, width)``; three channels are colours, otherwise the first is shown.
        columns: Images per row.
        low: Value shown as black.
        high: Value shown as white, or as a full colour.

    Returns:
        ``shape=(height, width, 3)``, 0 to 1.
    """
    rows, (height, width) = -(-len(images) // columns), images.shape[2:]
    picture = np.ones((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3))
    scaled = ((images.astype(float) - low) / max(high - low, 1e-9)).clip(0, 1)
    for number, image in enumerate(scaled if len(scaled[0]) == 3 else scaled[:, :1]):
        down, right = number // columns * (height + GAP), number % columns * (width + GAP)
        picture[down : down + height, right : right + width] = np.moveaxis(image, 0, -1)
    return picture


def show(axes: Axes, picture: np.ndarray, names: list[str], title: str) -> None:
    """Draw a mosaic with one row of images per name; names are to the left of the rows."""
    axes.imshow(picture, interpolation="nearest")
    pitch = (len(picture) + GAP) / max(1, len(names))
    axes.set_yticks((np.arange(len(names)) + 0.5) * pitch - 0.5 - GAP / 2, names, fontsize=8)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", fontsize=9)


def side_by_side(rows: dict[str, np.ndarray], ends: dict[str, tuple[float, float]], title: str) -> Figure:
    """One row per kind of image, one column per sample; of volumes the middle slice along the first axis.

    Args:
        rows: Images by name of the row, ``(samples, channels, *spatial)``.
        ends: Values of each row that are shown as black and as white.
        title: Title of the figure.
    """
    pictures, samples = [], len(next(iter(rows.values())))
    for name, images in rows.items():
        flat = images if images.ndim == 4 else images[:, :, images.shape[2] // 2]
        pictures.append(mosaic(flat, samples, *ends[name]))
        pictures.append(np.ones_like(pictures[-1][:1]))
    figure = Figure(figsize=(1.0 + 1.1 * samples, 0.6 + 1.15 * len(rows)), layout="constrained", dpi=150)
    show(figure.add_subplot(), np.concatenate(pictures[:-1]), list(rows), title)
    return figure

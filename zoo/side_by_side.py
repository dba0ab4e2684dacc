"""Several kinds of images of the same samples, one row each."""

import numpy as np

from .figure import Figure
from .mosaic import mosaic, show


def side_by_side(rows: dict[str, np.ndarray], ends: dict[str, tuple[float, float]], title: str) -> Figure:
    """A row for each kind of image, a column for each sample; of volumes the middle slice along their first axis.

    Args:
        rows: By name, ``(samples, channels, *spatial)``.
        ends: Of each row, what is black and what is white.
        title: Above the picture.
    """
    pictures, samples = [], len(next(iter(rows.values())))
    for name, images in rows.items():
        flat = images if images.ndim == 4 else images[:, :, images.shape[2] // 2]
        pictures.append(mosaic(flat, samples, *ends[name]))
        pictures.append(np.ones_like(pictures[-1][:1]))
    figure = Figure(figsize=(1.0 + 1.1 * samples, 0.6 + 1.15 * len(rows)), layout="constrained", dpi=150)
    show(figure.add_subplot(), np.concatenate(pictures[:-1]), list(rows), title)
    return figure

"""Figures of images that are made of images: side by side with the true ones, and how fine their structure is."""

from typing import TYPE_CHECKING

import numpy as np

from ..figure import Figure
from ..side_by_side import side_by_side
from .figures import CLASS_COLOURS, legend_outside, new_figure

if TYPE_CHECKING:
    from .translation import Examples


def made_and_real(found: "Examples", title: str) -> Figure:
    """Some inputs, what is made of them, and what is true."""
    image, made, real = (np.stack([getattr(pair, row) for pair in found.pairs]) for row in ("image", "made", "real"))
    ends = {"input": (float(image.min()), float(image.max())), "made": found.ends, "real": found.ends}
    return side_by_side({"input": image, "made": made, "real": real}, ends, title)


def spectra(found: "Examples", unit: str, title: str) -> Figure:
    """Power of the images at each spatial frequency: where a model lies below the real images, its own are blurred."""
    figure, axes = new_figure(title, "waves in the shortest side of the image", f"power [{unit or 'grey levels'}²]")
    figure.set_size_inches(6.6, 4.0)
    for (name, power), colour in zip(found.power.items(), ["#000000", *CLASS_COLOURS], strict=False):
        axes.plot(np.arange(1, len(power) + 1), power, color=colour, label=name, linewidth=1.6)
    axes.set(xscale="log", yscale="log")
    legend_outside(axes)
    return figure

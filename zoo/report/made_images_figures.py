"""Figures of made images: beside real ones, beside the training images they are nearest to, and how near that is."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..figure import Figure
from ..mosaic import mosaic, show
from .figures import CLASS_COLOURS, legend_outside, new_figure

COLUMNS, CLASSES = 6, 10  # images of a class, and classes, that are shown


class Examples(NamedTuple):
    """What is shown; images are pairs of raw values ``(images, *shape)`` and class codes ``(images,)``.

    Attributes:
        made: By the model.
        nearest: Position among the training images of that nearest to each made one.
        training: Images and codes.
        real: Of the split that is compared with.
        classes: Names; empty without classes.
    """

    made: tuple[Tensor, Tensor]
    nearest: np.ndarray
    training: tuple[Tensor, Tensor]
    real: tuple[Tensor, Tensor]
    classes: list[str]


def example_figure(found: Examples, title: str) -> Figure:
    """A row of images for each class: made ones, the training image nearest to each of these, real ones."""
    made, real = (_places(images[1], bool(found.classes)) for images in (found.made, found.real))
    codes = sorted(made.keys() & real.keys())[:CLASSES]
    columns = min([COLUMNS, *(len(places[code]) for places in (made, real) for code in codes)])
    ours, theirs = (torch.cat([places[code][:columns] for code in codes]) for places in (made, real))
    blocks = {
        "made": found.made[0][ours],
        "nearest training image": found.training[0][torch.from_numpy(found.nearest)[ours]],
        "real": found.real[0][theirs],
    }
    ends = float(found.training[0].min()), float(found.training[0].max())
    height, width = found.made[0].shape[2:]
    figure = Figure(figsize=(9.6, 1.0 + 3.0 * len(codes) * height / (columns * width)), layout="constrained", dpi=150)
    for axes, (label, images) in zip(figure.subplots(1, len(blocks)), blocks.items(), strict=True):
        names = [found.classes[code] if found.classes else "" for code in codes]
        show(axes, mosaic(images.numpy(), columns, *ends), names, label)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def distance_figure(curves: dict[str, np.ndarray], title: str) -> Figure:
    """Share of the images at most so far from their nearest training image; a curve left of that of real ones copies.

    Args:
        curves: Distances ``(images,)`` by the name of the images.
        title: Of the figure.
    """
    x, y = "distance to the nearest training image (features of mean square 1)", "share of images within this distance"
    figure, axes = new_figure(title, x, y, (6.8, 4.0))
    for (name, distance), colour in zip(curves.items(), CLASS_COLOURS, strict=False):
        share = np.arange(1, len(distance) + 1) / len(distance)
        real = name.startswith("real")
        axes.step(
            np.sort(distance),
            share,
            where="post",
            color="black" if real else colour,
            linestyle="--" if real else "-",
            label=name,
        )
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.02)
    legend_outside(axes)
    return figure


def _places(codes: Tensor, of_classes: bool) -> dict[int, Tensor]:
    """Positions of the images of each class; without classes they are dealt out to three rows."""
    codes = codes if of_classes else torch.arange(len(codes)) % 3
    return {int(code): (codes == code).nonzero()[:, 0] for code in codes.unique()}

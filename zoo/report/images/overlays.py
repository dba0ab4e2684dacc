"""Figures of a segmentation: outlines on the images, and the Dice coefficient of each image."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...figure import Figure
from ...spec import Target
from ..style import CLASS_COLOURS, COLOURS, legend_outside, new_figure

MEDIAN = {"color": "black", "linewidth": 2}


class Example(NamedTuple):
    """An image that is drawn: its name, raw values ``(channels, *spatial)``, true and predicted mask ``(*spatial)``."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


def overlays(examples: list[Example], target: Target, title: str) -> Figure:
    """Images side by side; below each the outlines of the true mask, and of the predicted one.

    Of a volume, the slice along its first axis with the most foreground pixels is drawn.
    """
    figure = Figure(figsize=(1.9 * len(examples) + 1.5, 6.2), layout="constrained", dpi=150)
    rows = figure.subplots(3, len(examples), squeeze=False)
    for column, example in zip(rows.T, examples, strict=True):
        image, truth, prediction = _slice(example)
        for axes, mask in zip(column, (None, truth, prediction), strict=True):
            axes.imshow(_picture(image), cmap="gray")
            axes.set(xticks=[], yticks=[])
            for code in range(1, len(target["classes"])):
                if mask is not None and (mask == code).any():
                    _outline(axes, mask == code, _colour(code))
        column[0].set_title(example.name, fontsize=8)
    for axes, label in zip(rows[:, 0], ("image", "truth", "prediction"), strict=True):
        axes.set_ylabel(label)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    names = target["classes"][1:]
    lines = [Line2D([], [], color=_colour(code), label=name) for code, name in enumerate(names, 1)]
    figure.legend(handles=lines, loc="outside right upper", frameon=False, fontsize=8)
    return figure


def dice_of_images(predictions: pd.DataFrame, target: Target, title: str) -> Figure:
    """Dice coefficient of every image by split and foreground class: one dot per image, and a box plot."""
    splits, names = list(predictions["split"].unique()), target["classes"][1:]
    figure, axes = new_figure(title, "", "Dice", (2.6 + 0.75 * len(splits) * len(names), 4.0))
    generator = np.random.default_rng(0)
    for number, split in enumerate(splits):
        rows, colour = predictions[predictions["split"] == split], COLOURS[str(split)]
        for code, name in enumerate(names):
            values = rows[f"dice_{name}"].dropna().to_numpy()
            place = code * (len(splits) + 1) + number
            axes.boxplot(values, positions=[place], widths=0.7, showfliers=False, medianprops=MEDIAN, zorder=3)
            jitter = generator.uniform(-0.25, 0.25, len(values))
            label = f"{split}, {len(rows)} images" if code == 0 else None
            axes.plot(place + jitter, values, "o", color=colour, markersize=4, alpha=0.6, label=label)
    middle = (len(splits) - 1) / 2
    axes.set_xticks([code * (len(splits) + 1) + middle for code in range(len(names))], names)
    axes.set_ylim(top=1.02)
    legend_outside(axes)
    return figure


def _colour(code: int) -> str:
    """Colour of a class; the first foreground class is orange, which is visible on black and on white."""
    return CLASS_COLOURS[code % len(CLASS_COLOURS)]


def _outline(axes: Axes, mask: np.ndarray, colour: str) -> None:
    """Draw the outline of a mask, also where it touches the border of the image."""
    height, width = mask.shape
    padded = np.pad(mask.astype(float), 1)
    axes.contour(np.arange(-1, width + 1), np.arange(-1, height + 1), padded, levels=[0.5], colors=colour, linewidths=1)
    axes.set(xlim=(-0.7, width - 0.3), ylim=(height - 0.3, -0.7))


def _slice(example: Example) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image ``(channels, height, width)`` and both masks ``(height, width)``."""
    _, image, truth, prediction = example
    if truth.ndim == 2:
        return image, truth, prediction
    fullest = int((truth > 0).sum((1, 2)).argmax())
    return image[:, fullest], truth[fullest], prediction[fullest]


def _picture(image: np.ndarray) -> np.ndarray:
    """Three channels as colours, else the first as grey: ``(height, width, 3)`` or ``(height, width)``."""
    picture: np.ndarray = image[0]
    if len(image) == 3:
        low, high = float(image.min()), float(image.max())
        picture = (np.moveaxis(image, 0, -1) - low) / max(high - low, 1e-9)
    return picture

"""Figures of decoded walks: features as a heat map, series as lines, images as pictures."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize

from ..figure import Figure

if TYPE_CHECKING:
    from .traversal import Walk

TOP = 10  # features of each walk
CHANNELS = 4  # of series
MOST_WRITTEN = 11  # places whose values are written into the cells
SMALL = {"fontsize": 8}


def figure(walks: Sequence["Walk"], title: str, along: str) -> Figure:
    """All walks in one figure.

    Args:
        walks: What was decoded, of one model.
        title: Of the figure.
        along: What the places are, for the axis.
    """
    kind, content = walks[0].decoded.modality["kind"], walks[0].decoded.encoded.shape[1:]
    if len(content) == 1 or kind == "sequence":
        return _features(walks, title, along)
    return _lines(walks, title, along) if len(content) == 2 else _pictures(walks, title, along)


def _new(title: str, width: float, height: float) -> Figure:
    made = Figure(figsize=(width, height), dpi=100, layout="constrained")
    made.suptitle(title, x=0.01, ha="left", fontsize=11)
    return made


def _ticks(walk: "Walk") -> list[str]:
    return [label.removesuffix(" sd") for label in walk.labels]


def _features(walks: Sequence["Walk"], title: str, along: str) -> Figure:
    """The features that change most: colours show how, the numbers in the cells are in the units of the data."""
    steps, top = len(walks[0].labels), min(TOP, len(walks[0].decoded.names))
    columns = min(2, len(walks))
    rows = math.ceil(len(walks) / columns)
    width = columns * (2.1 + min(0.5 * steps, 6.5)) + 1.1
    made = _new(title, max(width, 0.085 * len(title)), rows * (0.24 * top + 0.6) + 1.1)
    axes = made.subplots(rows, columns, squeeze=False)
    shown = []
    for walk in walks:
        chosen = np.argsort(-np.abs(walk.change), kind="stable")[:top]
        encoded = walk.decoded.encoded.reshape(steps, -1)[:, chosen].T
        shown.append((chosen, encoded - encoded.mean(1, keepdims=True)))
    most = max(float(np.abs(moved).max()) for _, moved in shown) or 1.0
    norm = Normalize(-most, most)
    units = {walk.decoded.units[number] for walk, (chosen, _) in zip(walks, shown, strict=True) for number in chosen}
    for axis, walk, (chosen, moved) in zip(axes.flat, walks, shown, strict=False):
        axis.imshow(moved, cmap="RdBu_r", norm=norm, aspect="auto")
        natural = walk.decoded.natural.reshape(steps, -1)[:, chosen].T
        names = [(_short(walk.decoded.names[place]), walk.decoded.units[place]) for place in chosen]
        labels = [f"{name} [{unit}]" if unit and len(units) > 1 else name for name, unit in names]
        axis.set_yticks(range(top), labels, **SMALL)
        axis.set_xticks(range(steps), _ticks(walk), **SMALL)
        axis.set_title(walk.title, loc="left", fontsize=9)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        texts = np.array([written(row) for row in natural])
        for (row, column), text in np.ndenumerate(texts if steps <= MOST_WRITTEN else np.empty((0, 0))):
            dark = abs(moved[row, column]) > 0.6 * most
            axis.text(column, row, text, ha="center", va="center", fontsize=7, color="w" if dark else "k")
    for axis in axes.flat[len(walks) :]:
        axis.axis("off")
    told = f"\nnumbers: {''.join(units)}" if len(units) == 1 and units != {""} else ""
    made.supxlabel(along + told, fontsize=9)
    probability = "; probability" if "probability" in units else ""
    label = f"difference from the mean of the row\n[standard units{probability}]"
    bar = made.colorbar(ScalarMappable(norm, "RdBu_r"), ax=axes, aspect=25, shrink=0.8 if rows > 1 else 1.0, pad=0.01)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return made


def written(row: np.ndarray) -> list[str]:
    """Numbers of one row with as many decimals as its largest needs for three digits.

    >>> written(np.array([3.04, 11.5, -0.001]))
    ['3.0', '11.5', '0.0']
    >>> written(np.array([164.9, 2e7]))
    ['1.6e+02', '2.0e+07']
    """
    largest = float(np.abs(row).max(initial=0))
    if largest >= 1e5:
        return [f"{value:.1e}" for value in row]
    digits = min(3, max(0, 2 - math.floor(math.log10(largest)))) if largest > 0 else 0
    return [f"{value:.{digits}f}" for value in row.round(digits) + 0.0]


def _short(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}…"


def _lines(walks: Sequence["Walk"], title: str, along: str) -> Figure:
    """Series, a line for each place; of many channels those that change most."""
    first = walks[0].decoded
    steps, (channels, length) = len(walks[0].labels), first.encoded.shape[1:]
    changes = sum(np.abs(walk.change).reshape(channels, length).mean(1) for walk in walks)
    few = np.sort(np.argsort(-np.asarray(changes), kind="stable")[:CHANNELS])
    more = f" ({len(few)} of {channels} channels, those that change most)" if len(few) < channels else ""
    made = _new(title + more, max(3.4 * len(few), 5.2) + 1.2, 1.7 * len(walks) + 1.1)
    axes = made.subplots(len(walks), len(few), squeeze=False, sharex=True, sharey="col")
    names = first.modality.get("channels") or [f"channel {place + 1}" for place in range(channels)]
    rate = first.modality.get("sampling_rate")
    times = np.arange(length) / rate if rate else np.arange(1, length + 1)
    colours = colormaps["viridis"](np.linspace(0, 0.93, steps))  # its end is too pale for a line
    for row, walk in zip(axes, walks, strict=True):
        for axis, channel in zip(row, few, strict=True):
            for line, colour in zip(walk.decoded.natural[:, channel], colours, strict=True):
                axis.plot(times, line, color=colour, linewidth=1.3)
            unit = walk.decoded.units[channel * length]
            axis.set_ylabel(f"{names[channel]} [{unit}]" if unit else names[channel], **SMALL)
            axis.tick_params(labelsize=7)
            axis.spines[["top", "right"]].set_visible(False)
            axis.margins(x=0.01)
        row[0].set_title(walk.title, loc="left", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("time [s]" if rate else "time [samples]", **SMALL)
    shades = ScalarMappable(Normalize(-0.5, steps - 0.5), ListedColormap(list(colours)))
    bar = made.colorbar(shades, ax=axes, aspect=30, pad=0.02)
    ticks = np.unique(np.linspace(0, steps - 1, min(steps, 9)).round().astype(int))
    bar.set_ticks(list(ticks), labels=[_ticks(walks[0])[tick] for tick in ticks])
    bar.set_label(along.replace(", ", ",\n"), fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return made


def _pictures(walks: Sequence["Walk"], title: str, along: str) -> Figure:
    """Images, a row for each walk, and where they change from the first place to the last."""
    steps = len(walks[0].labels)
    pictures = [picture(walk.decoded.natural) for walk in walks]
    changes = [walk.decoded.encoded[-1] - walk.decoded.encoded[0] for walk in walks]
    maps = [_slice(change[None])[0].mean(0) for change in changes]
    if walks[0].decoded.encoded.ndim == 5:
        title += " (middle slice)"
    low, high = min(map(np.min, pictures)), max(map(np.max, pictures))
    most = max(float(np.abs(found).max()) for found in maps) or 1.0
    size = 0.95 if len(walks) > 1 else 1.25
    made = _new(title, max(size * (steps + 1) + 2.0, 0.085 * len(title)), size * len(walks) + 1.1)
    axes = made.subplots(len(walks), steps + 1, squeeze=False)
    for row, walk, shown, found in zip(axes, walks, pictures, maps, strict=True):
        for axis, image in zip(row, shown, strict=False):
            axis.imshow((image - low) / ((high - low) or 1.0), cmap="gray", vmin=0, vmax=1)
        row[-1].imshow(found, cmap="RdBu_r", vmin=-most, vmax=most)
        row[0].set_ylabel(walk.title, rotation=0, ha="right", va="center", **SMALL)
        for axis in row:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    for axis, label in zip(axes[0], [*_ticks(walks[0]), "change"], strict=True):
        axis.set_title(label, **SMALL)
    made.supxlabel(along, fontsize=9)
    bar = made.colorbar(ScalarMappable(Normalize(-most, most), "RdBu_r"), ax=axes, aspect=20, pad=0.01)
    bar.set_label("change [standard units]", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return made


def picture(images: np.ndarray) -> np.ndarray:
    """``(places, channels, *spatial)`` as grey ``(places, height, width)``, or three channels as colours, last."""
    flat = _slice(images)
    return flat.transpose(0, 2, 3, 1) if flat.shape[1] == 3 else flat.mean(1)


def _slice(images: np.ndarray) -> np.ndarray:
    """The middle slice of volumes; images as they are."""
    return images[:, :, images.shape[2] // 2] if images.ndim == 5 else images

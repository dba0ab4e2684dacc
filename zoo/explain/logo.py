"""Sequence logos: letters as tall as they matter (Schneider and Stephens 1990, doi:10.1093/nar/18.20.6097)."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D

from ..figure import Figure
from .motif import Motif

COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"}  # Okabe and Ito 2008
GAP = 0.04  # between neighbouring letters, of their width


@cache
def _letter(base: str) -> Path:
    """A letter that fills the unit square."""
    path = TextPath((0, 0), base, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = path.get_extents()
    return Affine2D().translate(-box.x0, -box.y0).scale(1 / box.width, 1 / box.height).transform_path(path)


def draw(axes: Axes, heights: np.ndarray, first: int = 1) -> None:
    """Draw letters into axes; the larger ones stand outside, negative ones hang below zero.

    Args:
        axes: Limits are set to fit.
        heights: Of A, C, G and T at each position, ``shape=(length, 4)``; zeros are left blank.
        first: Number of the first position.
    """
    heights = np.nan_to_num(np.asarray(heights, dtype=float))
    tops = np.zeros((len(heights), 2))
    for sign, column in ((1, 0), (-1, 1)):
        part = np.where(sign * heights > 0, sign * heights, 0)
        order = part.argsort(1, kind="stable")
        ends = np.take_along_axis(part, order, 1).cumsum(1)
        bottoms = np.empty_like(part)
        np.put_along_axis(bottoms, order, ends - np.take_along_axis(part, order, 1), 1)
        tops[:, column] = sign * ends[:, -1]
        for number, base in enumerate("ACGT"):
            shape = _letter(base)
            corners, codes = np.asarray(shape.vertices), np.asarray(shape.codes)
            some = np.flatnonzero(part[:, number])
            if not len(some):
                continue
            # One path for all letters of a base: matplotlib draws it as fast as a single one.
            height, bottom = part[some, number, None], bottoms[some, number, None]
            x = (some[:, None] + first - 0.5 + GAP / 2) + corners[:, 0] * (1 - GAP)
            y = bottom + corners[:, 1] * height
            vertices = np.stack([x, y if sign > 0 else -(2 * bottom + height - y)], 2)
            path = Path(vertices.reshape(-1, 2), np.tile(codes, len(some)))
            artist = PathCollection([path], facecolors=COLOURS[base], edgecolors="none", label=base)
            axes.add_collection(artist, autolim=False)
    if (heights < 0).any():
        axes.axhline(0, color="#555555", linewidth=0.6)
    low, high = float(tops[:, 1].min(initial=0)), float(tops[:, 0].max(initial=0))
    room = 0.05 * ((high - low) or 1)
    axes.set_xlim(first - 0.5, first + len(heights) - 0.5)
    axes.set_ylim(low - room if low < 0 else 0, high + room)


def logo(heights: np.ndarray, title: str, ylabel: str, first: int = 1) -> Figure:
    """A logo of any heights, such as contributions.

    Args:
        heights: Of A, C, G and T at each position, ``shape=(length, 4)``.
        title: Above it.
        ylabel: What the height means, with its unit.
        first: Number of the first position.
    """
    figure = Figure(figsize=(min(16.0, max(5.0, 0.16 * len(heights) + 1)), 2.6), layout="constrained")
    axes = figure.add_subplot()
    draw(axes, heights, first)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("position [bases]")
    axes.set_ylabel(ylabel)
    _plain(axes)
    return figure


def bits(motif: Motif) -> np.ndarray:
    """Heights of the letters of a motif, probability times information in bits: ``shape=(width, 4)``."""
    result: np.ndarray = (motif.probabilities * motif.information).T
    return result


def motif_logo(motif: Motif) -> Figure:
    """The logo of one motif."""
    figure = logo(bits(motif), _name(motif), "information [bits]")
    figure.axes[0].set_ylim(0, 2)
    return figure


def logos(motifs: Sequence[Motif], title: str, notes: Sequence[str] | None = None, columns: int = 4) -> Figure:
    """A panel of logos.

    Args:
        motifs: In reading order.
        title: Above all.
        notes: A second line above each, such as the known motif it resembles.
        columns: Logos side by side.
    """
    rows = max(1, -(-len(motifs) // columns))
    width, height = 3.1 * columns, 1.55 * rows + 0.75
    figure = Figure(figsize=(width, height))  # a layout engine would take most of the time
    figure.subplots_adjust(
        0.5 / width, 0.45 / height, 1 - 0.1 / width, 1 - 0.75 / height, wspace=0.18, hspace=1.0 if notes else 0.75
    )
    figure.suptitle(title, x=0.1 / width, y=1 - 0.1 / height, ha="left", va="top", fontsize=11)
    for number, motif in enumerate(motifs):
        axes = figure.add_subplot(rows, columns, number + 1)
        draw(axes, bits(motif))
        axes.set_ylim(0, 2)
        note = f"\n{notes[number]}" if notes is not None and notes[number] else ""
        axes.set_title(_name(motif) + note, loc="left", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_yticks([0, 1, 2])
        if number % columns == 0:
            axes.set_ylabel("bits", fontsize=8)
        if number >= len(motifs) - columns:
            axes.set_xlabel("position [bases]", fontsize=8)
        _plain(axes)
    return figure


def _name(motif: Motif) -> str:
    return f"{motif.name} {motif.title}".strip() + f", {motif.sites:,} sites"


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))

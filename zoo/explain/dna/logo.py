"""Sequence logos: stacked letters whose heights are information or contributions.

Paper: Schneider and Stephens 1990, doi:10.1093/nar/18.20.6097.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from ...errors import InputError, check_range
from ...figure import Figure
from .motif import Motif

# Okabe and Ito (2008), https://jfly.uni-koeln.de/color/: safe for colour-blind readers.
COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"}
GAP = 0.06  # between neighbouring letters, as a fraction of the width of a position
ROW = 100  # positions in a row of a long logo; with more, letters are too narrow to read


@cache
def _letter(base: str) -> tuple[np.ndarray, np.ndarray]:
    """Outline of a letter that fills the unit square: vertices ``shape=(points, 2)`` and their codes."""
    outline = TextPath((0, 0), base, size=100, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box, vertices = outline.get_extents(), np.asarray(outline.vertices)
    # matplotlib ignores the coordinates of closing vertices, but they would enlarge the extents.
    closing = np.asarray(outline.codes) == Path.CLOSEPOLY
    vertices = np.where(closing[:, None], np.roll(vertices, 1, 0), vertices)
    return (vertices - box.min) / box.size, np.asarray(outline.codes)


def _boxes(heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inner and outer edge of each letter, ``shape=(length, 4)``; larger letters are stacked farther from zero."""
    starts, ends = np.zeros_like(heights), np.zeros_like(heights)
    for part in (np.maximum(heights, 0), np.minimum(heights, 0)):
        order = np.abs(part).argsort(1, kind="stable")
        stacked = np.empty_like(part)
        np.put_along_axis(stacked, order, np.take_along_axis(part, order, 1).cumsum(1), 1)
        starts += np.where(part != 0, stacked - part, 0)
        ends += np.where(part != 0, stacked, 0)
    return starts, ends


def _heights(content: Motif | np.ndarray) -> np.ndarray:
    if isinstance(content, Motif):
        return content.heights
    heights = np.asarray(content, dtype=float)
    if heights.ndim != 2 or heights.shape[1] != 4 or not len(heights):
        raise InputError(f"a logo needs heights of the shape (length, 4) for A, C, G and T, not {heights.shape}")
    if not np.isfinite(heights).all():
        position = int((~np.isfinite(heights)).any(1).argmax()) + 1
        raise InputError(f"a logo needs finite heights, but position {position} has others; use 0 to leave it blank")
    return heights


def draw(axes: Axes, content: Motif | np.ndarray, first: int = 1) -> PathCollection:
    """Draw a logo into axes, and set their limits.

    At each position positive letters are stacked upwards from zero, and negative ones downwards and upside down; larger
    letters are farther from zero.

    Args:
        axes: Axes of any figure; labels and ticks are left to the caller.
        content: A motif, drawn from 0 to 2 bits; or heights of A, C, G and T, ``shape=(length, 4)``, where zeros are
            left blank.
        first: Number of the first position.

    Returns:
        One path for each of A, C, G and T that holds all letters of that base, which is faster than separate letters.

    Raises:
        InputError: Heights of another shape, or not finite.
    """
    heights = _heights(content)
    starts, ends = _boxes(heights)
    paths = []
    for base, (start, end) in enumerate(zip(starts.T, ends.T, strict=True)):
        vertices, codes = _letter("ACGT"[base])
        shown = np.flatnonzero(start != end)
        x = (shown + first - 0.5 + GAP / 2)[:, None] + (1 - GAP) * vertices[:, 0]
        y = start[shown, None] + (end - start)[shown, None] * vertices[:, 1]
        paths.append(Path(np.stack([x, y], 2).reshape(-1, 2), np.tile(codes, len(shown))))
    letters = PathCollection(paths, facecolors=list(COLOURS.values()), linewidths=0, transform=axes.transData)
    axes.add_collection(letters, autolim=False)
    axes.set_xlim(first - 0.5, first + len(heights) - 0.5)
    axes.set_ylim(*((0, 2) if isinstance(content, Motif) else _limits(heights)))
    if (heights < 0).any():
        axes.axhline(0, color="black", linewidth=0.5)
    return letters


def _limits(heights: np.ndarray) -> tuple[float, float]:
    low, high = np.minimum(heights, 0).sum(1).min(), np.maximum(heights, 0).sum(1).max()
    return (1.05 * low, 1.05 * high) if low < high else (0, 1)


def logo(content: Motif | np.ndarray, title: str, label: str = "", first: int = 1) -> Figure:
    """The logo of a motif, or of the contributions of the bases of a sequence.

    Args:
        content: As in `draw`. More than 100 positions are drawn in several rows with a common scale.
        title: Title of the figure.
        label: Label of the vertical axis, with its unit. Default: ``"information [bits]"`` for a motif, or
            ``"contribution"``.
        first: Number of the first position.

    Raises:
        InputError: As in `draw`.
    """
    heights = _heights(content)
    label = label or ("information [bits]" if isinstance(content, Motif) else "contribution")
    parts = [heights[start : start + ROW] for start in range(0, len(heights), ROW)]
    width = min(len(heights), ROW)
    inches = (max(4.0, 1.0 + max(0.1, 0.3 - 0.002 * width) * width), 0.9 + 1.5 * len(parts))
    figure = Figure(figsize=inches, layout="constrained", dpi=150)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    for row, part in enumerate(parts):
        axes = figure.add_subplot(len(parts), 1, row + 1)
        start = first + row * ROW
        draw(axes, part, start)
        axes.set_xlim(start - 0.5, start + width - 0.5)
        axes.set_ylim(*((0, 2) if isinstance(content, Motif) else _limits(heights)))
        _finish(axes, start, len(part), 8)
    figure.supylabel(label, fontsize=9)
    axes.set_xlabel("position [bases]", fontsize=9)
    return figure


def logos(motifs: Sequence[Motif], title: str, notes: Sequence[str] | None = None, columns: int = 4) -> Figure:
    """Logos of many motifs in a grid with a common scale.

    Args:
        motifs: Motifs, drawn row by row with their names and numbers of sites.
        title: Title of the figure.
        notes: A second line for each motif, such as the known motif that it matches.
        columns: Number of logos in a row.

    Raises:
        InputError: No motifs, no columns, or the numbers of notes and motifs differ.
    """
    if not motifs:
        raise InputError("there are no motifs to draw")
    check_range("columns", columns, 1)
    if notes is not None and len(notes) != len(motifs):
        raise InputError(f"there are {len(notes)} notes for {len(motifs)} motifs; give one for each, '' for none")
    columns = min(columns, len(motifs))
    rows = -(-len(motifs) // columns)
    longest = max(motif.counts.shape[1] for motif in motifs)
    # Sizes in inches; set here because a layout engine would draw the figure twice.
    left, right, top, bottom, between, wide, tall = 0.55, 0.1, 0.3, 0.5, 0.25, max(2.2, 0.11 * longest), 0.62
    above = 0.18 + 0.13 * (1 + (notes is not None))
    width = left + columns * (wide + between) - between + right
    height = top + rows * (above + tall) + bottom
    figure = Figure(figsize=(width, height), dpi=150)
    figure.text(0.1 / width, 1 - 0.1 / height, title, va="top", fontsize=11)
    for number, motif in enumerate(motifs):
        row, column = divmod(number, columns)
        x, y = left + column * (wide + between), height - top - (row + 1) * (above + tall)
        axes = figure.add_axes((x / width, y / height, wide / width, tall / height))
        draw(axes, motif)
        axes.set_xlim(0.5, longest + 0.5)
        name = f"{motif.name} {motif.title if motif.title != motif.name else ''}".rstrip()
        text = f"{name}, {motif.sites:,} sites" + (f"\n{notes[number]}" if notes is not None else "")
        axes.set_title(text, loc="left", fontsize=7, pad=3)
        lowest = number + columns >= len(motifs)
        _finish(axes, 1, longest, 6, lowest, column == 0)
        axes.set_yticks([0, 1, 2])
    figure.text(0.1 / width, 0.5, "information [bits]", rotation=90, va="center", fontsize=8)
    figure.text((left + width - right) / 2 / width, 0.08 / height, "position [bases]", ha="center", fontsize=8)
    return figure


def _finish(axes: Axes, first: int, length: int, size: int, below: bool = True, beside: bool = True) -> None:
    """Set spines and ticks; only round positions are numbered."""
    axes.spines[["top", "right"]].set_visible(False)
    step = 1 if length <= 12 else 5 if length <= 60 else 10
    axes.set_xticks([place for place in range(first, first + length) if place % step == 0 or place == first])
    axes.tick_params(labelsize=size, labelbottom=below, labelleft=beside)

"""Figures of explanations: heat maps over images and slices, series coloured by influence, bar plots of conditions."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize

from ...figure import Figure
from ...report.style import CLASS_COLOURS
from ...spec import Modality

AGAINST, FOR = CLASS_COLOURS[0], CLASS_COLOURS[4]
# Zero is grey, not white, so that a line without influence is visible.
SIGNED = LinearSegmentedColormap.from_list("signed", [AGAINST, "#c4c4c4", FOR])
PAIRS = 4  # pairs of image and map in a row
CHANNELS, ROWS = 6, 24  # channels drawn of each series, and lines in total
SMALL = {"fontsize": 8}


@dataclass
class Samples:
    """Samples and texts of a figure.

    Attributes:
        x: Raw images or series, ``shape=(samples, channels, *spatial)``.
        titles: Title of each sample.
        label: Label of the colour bar.
        title: Title of the figure.
    """

    x: np.ndarray
    titles: list[str]
    label: str
    title: str


def image_figure(samples: Samples, maps: np.ndarray) -> Figure:
    """Each image, and beside it the image with its map as an overlay, on a common colour scale.

    Args:
        samples: Images, ``shape=(samples, channels, height, width)``.
        maps: ``shape=(samples, height, width)``.
    """
    count, norm = len(maps), _norm(maps)
    wide = min(count, PAIRS)
    figure = _figure(samples.title, (3.1 * wide + 1.2, 2.1 * math.ceil(count / wide) + 0.6))
    grid = figure.subplots(math.ceil(count / wide), 2 * wide, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for number, (image, found) in enumerate(zip(samples.x, maps, strict=True)):
        plain, covered = grid[number // wide, 2 * (number % wide) :][:2]
        picture = _picture(image)
        plain.imshow(picture, cmap="gray")
        plain.set_title(samples.titles[number], loc="left", **SMALL)
        _cover(covered, picture, found, norm)
    _colour_bar(figure, norm, samples.label)
    return figure


def volume_figure(samples: Samples, maps: np.ndarray) -> Figure:
    """Three slices of each volume through the voxel with the largest absolute value, and their overlays.

    Args:
        samples: Volumes, ``shape=(samples, channels, depth, height, width)``.
        maps: ``shape=(samples, depth, height, width)``.
    """
    count, norm = len(maps), _norm(maps)
    figure = _figure(samples.title, (11.5, 2.15 * count + 0.7))
    grid = figure.subplots(count, 6, squeeze=False)
    for row, volume, found, title in zip(grid, samples.x, maps, samples.titles, strict=True):
        voxel = np.unravel_index(int(np.abs(found).argmax()), found.shape)
        picture = _picture(volume)
        for axis, name in enumerate(("depth", "height", "width")):
            across = [int(place) for other, place in enumerate(voxel) if other != axis]
            cut = np.take(picture, voxel[axis], axis)
            row[axis].imshow(cut, cmap="gray")
            _cover(row[3 + axis], cut, np.take(found, voxel[axis], axis), norm)
            for axes, colour in ((row[axis], CLASS_COLOURS[6]), (row[3 + axis], "black")):
                axes.plot(across[1], across[0], "+", color=colour, markersize=7, markeredgewidth=0.9)
                axes.axis("off")
            row[3 + axis].set_title(f"{name} {voxel[axis] + 1}", loc="left", **SMALL)
        row[0].set_title(title, loc="left", **SMALL)
    _colour_bar(figure, norm, f"{samples.label}; + marks the voxel with the largest absolute value")
    return figure


def series_figure(
    samples: Samples, influence: np.ndarray, modality: Modality, fields: np.ndarray | None, maps: np.ndarray | None
) -> Figure:
    """Each channel as a line coloured by its influence, beside the Gramian angular field and its overlay.

    At most six channels are drawn, those with the largest influence, and at most 24 lines, of evenly spaced samples.

    Args:
        samples: Series, ``shape=(samples, channels, length)``.
        influence: The same shape.
        modality: Names and units of the channels, and the sampling rate.
        fields: Gramian angular fields, ``shape=(samples, channels, size, size)``, if the model uses them.
        maps: Heat maps of the fields, ``shape=(samples, channels or 1, size, size)``.
    """
    rate, units = modality.get("sampling_rate"), modality.get("units", {})
    names = modality.get("channels") or [f"channel {number + 1}" for number in range(samples.x.shape[1])]
    drawn = np.sort(np.abs(influence).mean((0, 2)).argsort()[::-1][:CHANNELS])
    more = f" (the {len(drawn)} most influential of {len(names)} channels)" if len(drawn) < len(names) else ""
    shown = np.unique(np.linspace(0, len(influence) - 1, max(1, min(len(influence), ROWS // len(drawn)))).round())
    places = [(int(sample), int(channel)) for sample in shown for channel in drawn]
    norm = _norm(influence)
    height = (1.5 if len(drawn) == 1 else 1.0) * len(places) + 1.0
    figure = _figure(samples.title + more, (8.4 if fields is None else 10.4, height))
    wide = [1.0, *([0.26] if fields is not None else []), *([0.26] if maps is not None else [])]
    grid = figure.subplots(len(places), len(wide), squeeze=False, width_ratios=wide, sharex="col")
    for (sample, channel), (axes, *beside) in zip(places, grid, strict=True):
        length = int(np.isfinite(samples.x[sample]).any(0).sum())
        times = np.arange(length) / rate if rate else np.arange(1, length + 1)
        _line(axes, times, samples.x[sample, channel, :length], influence[sample, channel, :length], norm)
        unit = units.get(names[channel])
        axes.set_ylabel(f"{names[channel]} [{unit}]" if unit else names[channel], **SMALL)
        if channel == drawn[0]:
            axes.set_title(samples.titles[sample], loc="left", **SMALL)
        if fields is not None:
            extent = (0.0, float(times[-1]), float(times[-1]), 0.0)
            beside[0].imshow(fields[sample, channel], cmap="gray", extent=extent)
            if maps is not None:
                found = maps[sample, min(channel, maps.shape[1] - 1)]
                _cover(beside[1], fields[sample, channel], found, _norm(maps), extent)
            for picture in beside:
                picture.tick_params(labelsize=6)
    axis = "time [s]" if rate else "time [samples]"
    for axes in grid[-1]:
        axes.set_xlabel(axis, **SMALL)
    if fields is not None:
        grid[0, 1].set_title("Gramian field", loc="left", **SMALL)
    if maps is not None:
        grid[0, 2].set_title(f"map (±{np.abs(maps).max():.2g})", loc="left", **SMALL)
    _colour_bar(figure, norm, samples.label)
    return figure


def condition_figure(table: pd.DataFrame, titles: list[str], title: str, unit: str) -> Figure:
    """Bar plots of the weights of the conditions, one panel for each sample.

    Args:
        table: From `zoo.explain.lime_table`.
        titles: Title of each sample.
        title: Title of the figure.
        unit: Unit of a continuous target; ``""`` for a class.
    """
    groups = [rows for _, rows in table.groupby("sample", sort=False)]
    wide = min(2, len(groups))
    tall = max(map(len, groups))
    figure = _figure(title, (5.4 * wide, (0.19 * tall + 0.75) * math.ceil(len(groups) / wide) + 0.5))
    grid = figure.subplots(math.ceil(len(groups) / wide), wide, squeeze=False, sharex=True)
    for axes in grid.flat[len(groups) :]:
        axes.axis("off")
    for axes, rows, heading in zip(grid.flat, groups, titles, strict=False):
        weights = rows["weight"].to_numpy()
        axes.barh(rows["condition"], weights, color=[FOR if weight > 0 else AGAINST for weight in weights], height=0.7)
        axes.invert_yaxis()
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_title(heading, loc="left", **SMALL)
        axes.set_xlabel(f"weight for {rows['class'].iloc[0]} [{unit or 'log-odds'}]", **SMALL)
        axes.tick_params(labelsize=7, labelbottom=True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _figure(title: str, size: tuple[float, float]) -> Figure:
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _norm(values: np.ndarray) -> Normalize:
    """Colour scale that is symmetric about 0."""
    most = float(np.abs(values).max()) or 1.0
    return Normalize(-most, most)


def _picture(image: np.ndarray) -> np.ndarray:
    """Grey image: luminance of three channels, else the mean of channels: ``(channels, *spatial) -> (*spatial)``."""
    weights = np.array([0.299, 0.587, 0.114]) if len(image) == 3 else np.full(len(image), 1 / len(image))
    picture: np.ndarray = np.tensordot(weights, image.astype(np.float64), 1)
    return picture


def _cover(
    axes: Axes,
    picture: np.ndarray,
    found: np.ndarray,
    norm: Normalize,
    extent: tuple[float, float, float, float] | None = None,
) -> None:
    """Draw a pale image with the map as an overlay, whose opacity increases with the absolute value."""
    low, high = float(picture.min()), float(picture.max())
    axes.imshow(picture, cmap="gray", vmin=low - 1.2 * (high - low or 1.0), vmax=high, extent=extent)
    share = np.abs(found) / (norm.vmax or 1.0)
    axes.imshow(found, cmap=SIGNED, norm=norm, alpha=0.85 * share**0.6, extent=extent, interpolation="nearest")


def _line(axes: Axes, times: np.ndarray, series: np.ndarray, influence: np.ndarray, norm: Normalize) -> None:
    """Draw a series with the colour of each time point from half-way to the previous to half-way to the next."""
    points = np.stack([times, series], 1)
    halves = np.concatenate([points[:1], (points[1:] + points[:-1]) / 2, points[-1:]])
    segments = np.stack([halves[:-1], points, halves[1:]], 1)
    axes.add_collection(LineCollection(list(segments), array=influence, cmap=SIGNED, norm=norm, linewidth=2.2))
    axes.plot(times, series, color="#666666", linewidth=0.5, zorder=0)
    axes.margins(x=0.01)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _colour_bar(figure: Figure, norm: Normalize, label: str) -> None:
    inch = 1 / figure.get_figheight()
    bar = figure.colorbar(
        ScalarMappable(norm, SIGNED),
        ax=figure.axes,
        location="bottom",
        shrink=0.45,
        fraction=0.1 * inch,
        pad=0.1 * inch,
    )
    bar.ax.locator_params(nbins=5)
    bar.ax.tick_params(labelsize=7)
    bar.set_label(label, fontsize=8)

"""Latent traversals and interpolations: decode points on a line in latent space to see what changes along it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize

from ..data import Data
from ..errors import InputError, check_range, suggest
from ..figure import Figure
from ..models import Model
from .decoding import Decoded, check_decoder, decode
from .embedding import embed
from .projection import training_rows, values

TOP = 10  # features drawn for each line
CHANNELS = 4  # of series
MOST_WRITTEN = 11  # with more points on the line, the values are not written into the cells
SMALL = {"fontsize": 8}
MOST = 6  # units drawn


Source: TypeAlias = Data | pd.DataFrame | AnnData


@dataclass
class Walk:
    """Points on a straight line in latent space, and their decoded values.

    Attributes:
        title: The unit that varies, such as ``"unit 3"``; empty for the line between two groups.
        labels: Name of each point.
        decoded: One entry for each point.
    """

    title: str
    labels: list[str]
    decoded: Decoded

    @property
    def change(self) -> np.ndarray:
        """Range of each decoded feature along the line, ``(features,)``; negative if it ends below its start."""
        flat = self.decoded.encoded.reshape(len(self.labels), -1)
        return np.asarray(np.ptp(flat, axis=0) * np.where(flat[-1] < flat[0], -1, 1))

    def table(self) -> pd.DataFrame:
        """One row for each decoded feature, the largest changes first."""
        flat = self.decoded.natural.reshape(len(self.labels), -1)
        table = pd.DataFrame(flat.T, pd.Index(self.decoded.names, name="feature"), self.labels)
        table.insert(0, "change", self.change)
        table.insert(1, "measured_in", self.decoded.units)
        return table.iloc[np.argsort(-np.abs(self.change), kind="stable")]


def traverse(
    model: Model,
    data: Source,
    unit: int | Sequence[int] | None = None,
    steps: int = 7,
    span: float = 2.0,
    sample: str | None = None,
    covariates: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """Decode each unit of the latent space from low to high values, with the other units fixed (latent traversal).

    Args:
        model: A model with a decoder.
        data: The data the model was trained on, or its embedding by `embed`. The mean and standard deviation of each
            unit are those of the training samples.
        unit: One or more units, counted from 0. Default: all.
        steps: Number of points along each unit.
        span: Distance from the mean of the unit to either side, in its standard deviations.
        sample: Name of a sample whose values the other units take. Default: their means.
        covariates: Covariates of the decoder, such as ``{"batch": "b1"}``. Default of each: its most frequent level, or
            the mean of a continuous covariate.

    Returns:
        One row for each decoded feature, grouped by unit, the largest changes first. ``change`` is its range along the
        line in standard deviations of the training samples (for categories and bases: in probability), negative if it
        decreases; ``measured_in`` is the unit of measurement of the remaining columns, its values at each point.

    Raises:
        InputError: The model has no decoder; unknown unit, sample or covariate; a value is not finite.
    """
    walks = _traversal(model, data, unit, steps, span, sample, covariates)
    return pd.concat({walk.title: walk.table() for walk in walks}, names=["unit"])


def plot_traversal(
    model: Model, data: Source, unit: int | Sequence[int] | None = None, sample: str | None = None, **options: Any
) -> Figure:
    """Plot the latent traversals of `traverse`.

    For tables and expression the ten features that change most are drawn, for images and volumes (middle slice) the
    decoded images and a map of the change, for series the decoded curves.

    Args:
        model: As in `traverse`.
        data: As in `traverse`.
        unit: As in `traverse`. Default: the six units that change most.
        sample: As in `traverse`.
        **options: Other arguments of `traverse`.

    Returns:
        A matplotlib figure.

    Raises:
        InputError: As in `traverse`.
    """
    walks = _traversal(model, data, unit, sample=sample, **options)
    title = f"Latent traversals of {type(model).__name__}"
    if unit is None and len(walks) > MOST:
        title += f": the {MOST} of {len(walks)} units with the largest changes"
        strength = [float(np.square(walk.change).sum()) for walk in walks]
        walks = [walks[number] for number in np.sort(np.argsort(strength)[-MOST:])]
    where = f"other units as in sample {sample}" if sample else "other units at their means"
    return figure(walks, title, f"distance from the mean of the unit [standard deviations], {where}")


def path(
    model: Model,
    data: Source,
    start: str,
    end: str,
    column: str | None = "target",
    steps: int = 9,
    covariates: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """Decode points on the straight line in latent space from one group of samples to another (interpolation).

    Args:
        model: A model with a decoder.
        data: The data the model was trained on, or its embedding by `embed`.
        start: First group: the line starts at the mean of its training samples.
        end: Second group: the line ends at the mean of its training samples.
        column: Column of ``obs`` that holds the groups. None: ``start`` and ``end`` are names of samples.
        steps: Number of points, start and end included.
        covariates: Covariates of the decoder, such as ``{"batch": "b1"}``. Default of each: its most frequent level, or
            the mean of a continuous covariate.

    Returns:
        One row for each decoded feature, the largest changes first. ``change`` is its range along the line in standard
        deviations of the training samples (for categories and bases: in probability), negative if it decreases;
        ``measured_in`` is the unit of measurement of the remaining columns, its values at each point.

    Raises:
        InputError: The model has no decoder; unknown column, group, sample or covariate; a value is not finite.
    """
    return _between(model, data, start, end, column, steps, covariates).table()


def plot_path(model: Model, data: Source, start: str, end: str, **options: Any) -> Figure:
    """Plot the interpolation of `path`, in the same style as `plot_traversal`.

    Args:
        model: As in `path`.
        data: As in `path`.
        start: As in `path`.
        end: As in `path`.
        **options: Other arguments of `path`.

    Returns:
        A matplotlib figure.

    Raises:
        InputError: As in `path`.
    """
    walk = _between(model, data, start, end, **options)
    title = f"Latent interpolation of {type(model).__name__}, from {start} to {end}"
    return figure([walk], title, f"position on the line from {start} to {end}")


def _embedding(model: Model, data: Source) -> AnnData:
    adata = data if isinstance(data, AnnData) and "layer" in data.uns else embed(model, data)
    check_decoder(model, adata.n_vars, adata.uns["layer"])
    return adata


def _traversal(
    model: Model,
    data: Source,
    unit: int | Sequence[int] | None,
    steps: int = 7,
    span: float = 2.0,
    sample: str | None = None,
    covariates: dict[str, Any] | None = None,
) -> list[Walk]:
    check_range("steps", steps, 2)
    check_range("span", span, 1e-6)
    adata = _embedding(model, data)
    x = values(adata)
    training = x[training_rows(adata)]
    base, spread = (x[_place(adata, sample)] if sample else training.mean(0)), training.std(0)
    units = range(adata.n_vars) if unit is None else [unit] if isinstance(unit, int | np.integer) else unit
    shifts = np.linspace(-span, span, steps)
    walks = []
    for number in units:
        check_range("unit", number, 0, adata.n_vars - 1)
        z = np.tile(base, (steps, 1))
        z[:, number] = training[:, number].mean() + shifts * spread[number]
        labels = [f"{shift:.3g} sd" for shift in shifts.round(9) + 0.0]
        walks.append(Walk(f"unit {number}", labels, decode(model, z, covariates)))
    return walks


def _between(
    model: Model,
    data: Source,
    start: str,
    end: str,
    column: str | None = "target",
    steps: int = 9,
    covariates: dict[str, Any] | None = None,
) -> Walk:
    check_range("steps", steps, 2)
    if start == end:
        raise InputError(f"the line from {start!r} to itself has no length; name two groups, or two samples")
    adata = _embedding(model, data)
    first, last = (_centre(adata, name, column) for name in (start, end))
    shares = np.linspace(0, 1, steps)
    z = first + shares[:, None] * (last - first)
    labels = [start, *(f"{100 * share:.3g}%" for share in shares[1:-1]), end]
    return Walk("", labels, decode(model, z, covariates))


def _centre(adata: AnnData, name: str, column: str | None) -> np.ndarray:
    """Mean embedding of the training samples of a group, or embedding of one sample: ``(units,)``."""
    x = values(adata)
    if column is None:
        return np.asarray(x[_place(adata, name)])
    if column not in adata.obs:
        raise InputError(f"there is no column {column!r} in the sample table; {suggest(column, adata.obs.columns)}")
    groups = adata.obs[column].astype(str)
    rows = (groups == str(name)).to_numpy() & training_rows(adata)
    if not rows.any():
        known = groups[training_rows(adata)].unique()
        raise InputError(f"no training sample has {column} {name!r}; {suggest(str(name), known)}")
    return np.asarray(x[rows].mean(0))


def _place(adata: AnnData, name: str) -> int:
    if name not in adata.obs_names:
        raise InputError(f"no sample {name!r}; {suggest(name, adata.obs_names)}")
    return int(np.flatnonzero(adata.obs_names == name)[0])


def figure(walks: Sequence["Walk"], title: str, along: str) -> Figure:
    """All lines in one figure.

    Args:
        walks: Decoded lines of one model.
        title: Title of the figure.
        along: Label of the axis along the line.
    """
    decoded = walks[0].decoded
    if decoded.encoded.ndim == 2 or set(decoded.units) == {"probability"}:  # columns, or letters
        return _features(walks, title, along)
    return _lines(walks, title, along) if decoded.encoded.ndim == 3 else _pictures(walks, title, along)


def _new(title: str, width: float, height: float) -> Figure:
    canvas = Figure(figsize=(width, height), dpi=100, layout="constrained")
    canvas.suptitle(title, x=0.01, ha="left", fontsize=11)
    return canvas


def _ticks(walk: "Walk") -> list[str]:
    return [label.removesuffix(" sd") for label in walk.labels]


def _features(walks: Sequence["Walk"], title: str, along: str) -> Figure:
    """Heat maps of the features that change most; the values in the cells are in the units of the data."""
    steps, top = len(walks[0].labels), min(TOP, len(walks[0].decoded.names))
    columns = min(2, len(walks))
    rows = math.ceil(len(walks) / columns)
    width = columns * (2.1 + min(0.5 * steps, 6.5)) + 1.1
    canvas = _new(title, max(width, 0.085 * len(title)), rows * (0.24 * top + 0.6) + 1.1)
    axes = canvas.subplots(rows, columns, squeeze=False)
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
    unit = f"\nvalues in the cells: {''.join(units)}" if len(units) == 1 and units != {""} else ""
    canvas.supxlabel(along + unit, fontsize=9)
    probability = "; probability" if "probability" in units else ""
    label = f"difference from the row mean\n[standard deviations{probability}]"
    bar = canvas.colorbar(ScalarMappable(norm, "RdBu_r"), ax=axes, aspect=25, shrink=0.8 if rows > 1 else 1.0, pad=0.01)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return canvas


def written(row: np.ndarray) -> list[str]:
    """Format the numbers of one row, with as many decimals as the largest needs for three significant digits.

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
    """Series, one curve for each point on the line; if there are many channels, those that change most."""
    first = walks[0].decoded
    steps, (channels, length) = len(walks[0].labels), first.encoded.shape[1:]
    changes = sum(np.abs(walk.change).reshape(channels, length).mean(1) for walk in walks)
    drawn = np.sort(np.argsort(-np.asarray(changes), kind="stable")[:CHANNELS])
    more = f" (the {len(drawn)} of {channels} channels that change most)" if len(drawn) < channels else ""
    canvas = _new(title + more, max(3.4 * len(drawn), 5.2) + 1.2, 1.7 * len(walks) + 1.1)
    axes = canvas.subplots(len(walks), len(drawn), squeeze=False, sharex=True, sharey="col")
    names = first.modality.get("channels") or [f"channel {place + 1}" for place in range(channels)]
    rate = first.modality.get("sampling_rate")
    times = np.arange(length) / rate if rate else np.arange(1, length + 1)
    colours = colormaps["viridis"](np.linspace(0, 0.93, steps))  # the yellow above is too pale for a line
    for row, walk in zip(axes, walks, strict=True):
        for axis, channel in zip(row, drawn, strict=True):
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
    bar = canvas.colorbar(shades, ax=axes, aspect=30, pad=0.02)
    ticks = np.unique(np.linspace(0, steps - 1, min(steps, 9)).round().astype(int))
    bar.set_ticks(list(ticks), labels=[_ticks(walks[0])[tick] for tick in ticks])
    bar.set_label(along.replace(", ", ",\n"), fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return canvas


def _pictures(walks: Sequence["Walk"], title: str, along: str) -> Figure:
    """Images, one row for each line, and a map of the change from the first point to the last."""
    steps = len(walks[0].labels)
    pictures = [picture(walk.decoded.natural) for walk in walks]
    changes = [walk.decoded.encoded[-1] - walk.decoded.encoded[0] for walk in walks]
    maps = [_slice(change[None])[0].mean(0) for change in changes]
    if walks[0].decoded.encoded.ndim == 5:
        title += " (middle slice)"
    low, high = min(map(np.min, pictures)), max(map(np.max, pictures))
    most = max(float(np.abs(found).max()) for found in maps) or 1.0
    size = 0.95 if len(walks) > 1 else 1.25
    canvas = _new(title, max(size * (steps + 1) + 2.0, 0.085 * len(title)), size * len(walks) + 1.1)
    axes = canvas.subplots(len(walks), steps + 1, squeeze=False)
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
    canvas.supxlabel(along, fontsize=9)
    bar = canvas.colorbar(ScalarMappable(Normalize(-most, most), "RdBu_r"), ax=axes, aspect=20, pad=0.01)
    bar.set_label("change [standard deviations]", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return canvas


def picture(images: np.ndarray) -> np.ndarray:
    """Images to draw: ``(points, channels, *spatial)`` to ``(points, height, width)``, or RGB with channels last."""
    flat = _slice(images)
    return flat.transpose(0, 2, 3, 1) if flat.shape[1] == 3 else flat.mean(1)


def _slice(images: np.ndarray) -> np.ndarray:
    """The middle slice of volumes; images unchanged."""
    return images[:, :, images.shape[2] // 2] if images.ndim == 5 else images

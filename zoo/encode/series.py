"""Time series: standardisation of channels, and reading of series from tables."""

import logging
from math import isclose
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .. import budget
from ..errors import InputError, check_choice, suggest
from ..spec import Modality
from ..tables.times import rate_text
from .base import Encoder
from .kinds import CARDS, READERS, WRITERS, InputLines, as_array, channels_of, layer

log = logging.getLogger("zoo")
SAME_RATE = 0.01  # relative difference up to which sampling rates are the same
WRITERS["series"] = as_array


@layer("series", "standardised", default=True)
class SeriesEncoder(Encoder):
    """Series with standardised channels; padding and missing channels are set to zero.

    Args:
        modality: Channels and length of the series.
        by: ``"training"``: standardise with mean and standard deviation over all training rows, which preserves
            differences in level and amplitude between samples. ``"sample"``: standardise each series with its own
            statistics, which removes these differences.

    Shape:
        ``(batch, channels, length) -> (batch, channels, length)``

    Example:
        >>> layer = SeriesEncoder({"kind": "series", "shape": [1, 3], "features": ["series"]}, by="sample")
        >>> layer(torch.tensor([[[1.0, 3.0, torch.nan]]]))
        tensor([[[-1.,  1.,  0.]]])
    """

    mean: Tensor
    scale: Tensor
    axis = "time"

    def __init__(self, modality: Modality, by: Literal["training", "sample"] = "training") -> None:
        super().__init__()
        check_choice("by", by, ["training", "sample"])
        channels, length = modality["shape"]
        self.by, self.out_shape = by, (channels, length)
        self.register_buffer("mean", torch.zeros(channels, 1))
        self.register_buffer("scale", torch.ones(channels, 1))
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, x: Tensor) -> None:
        """Fit mean and standard deviation of each channel to training rows, ``shape=(rows, channels, length)``."""
        values = x.double().transpose(0, 1).flatten(1)
        mean = values.nanmean(1, keepdim=True).nan_to_num()
        scale = (values - mean).square().nanmean(1, keepdim=True).nan_to_num().sqrt()
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(scale > 0, scale, 1.0))
        self.fitted.fill_(True)

    def example(self, rows: int, seed: int = 0) -> Tensor:
        """Random walks about the mean of each channel, ``shape=(rows, channels, length)``."""
        steps = torch.randn(rows, *self.out_shape, generator=torch.Generator().manual_seed(seed))
        walks: Tensor = steps.cumsum(2) / self.out_shape[1] ** 0.5
        return walks * self.scale.cpu() + self.mean.cpu()

    def forward(self, x: Tensor) -> Tensor:
        """Standardise; missing values are set to zero, the mean."""
        if self.by == "training":
            return ((x - self.mean) / self.scale).nan_to_num()
        centred = x - x.nanmean(2, keepdim=True)
        scale = centred.square().nanmean(2, keepdim=True).sqrt()
        units: Tensor = centred / torch.where(scale > 0, scale, 1.0)
        return units.nan_to_num()

    def observed(self, x: Tensor) -> Tensor | None:
        """Mask of measured values, False for padding; None if all were measured."""
        measured = x.isfinite()
        return None if measured.all() else measured

    def inverse(self, encoded: Tensor) -> Tensor:
        """Series in the units of the training series, ``(batch, channels, length)``."""
        if self.by != "training":
            return super().inverse(encoded)
        return encoded * self.scale + self.mean


def lengths(x: Tensor) -> Tensor:
    """Number of time points of each series before its padding: ``(batch, channels, length) -> (batch,)``."""
    measured = x.isfinite().any(1)
    if measured.all():
        return torch.full((len(x),), x.shape[2], device=x.device)
    ends: Tensor = x.shape[2] - measured.flip(1).int().argmax(1) * measured.any(1)
    return ends


@READERS.add("series")
def series_to_tensor(frame: pd.DataFrame, modality: Modality, source: str = "the table") -> Tensor:
    """Raw series, ``float32 shape=(samples, channels, length)``; shorter series are padded with NaN at their end.

    Args:
        frame: One series per row, ``(channels, length)`` (or ``(length,)`` for one channel), in the column that the
            modality names. Its ``attrs`` may hold ``channels``, ``sampling_rate`` and ``time_step``, as data modules
            find them in a file; they must be those of the modality.
        modality: Channels and length, and options for other lengths and missing values.
        source: Name of the table in errors.

    Raises:
        InputError: The column is missing, a series has other channels, another sampling rate or another length than
            the modality, or a value is missing or infinite.
    """
    (column,), (channels, length) = modality["features"], modality["shape"]
    if column not in frame:
        raise InputError(f"{source}: no column {column!r} with the series; {suggest(column, map(str, frame.columns))}")
    _check_facts(frame, modality, source)
    budget.check(
        4 * len(frame) * channels * length,
        f"{source}: {len(frame)} series of {length:,} time points",
        "lower --data.length, or give a part of the samples",
    )
    result = np.full((len(frame), channels, length), np.nan, dtype=np.float32)
    for number, (name, cell) in enumerate(zip(frame.index, frame[column], strict=True)):
        series = _series(cell, f"{source}: sample {name}")
        if len(series) != channels:
            raise InputError(f"{source}: sample {name} has {len(series)} channels, {channels} are expected")
        if series.shape[1] != length and not modality.get("resize"):
            raise InputError(
                f"{source}: sample {name} has {series.shape[1]} time points, {length} are expected; cut or resample it"
            )
        series = _complete(series[:, :length], modality, f"{source}: sample {name}")
        result[number, :, : series.shape[1]] = series
    return torch.from_numpy(result)


def _check_facts(frame: pd.DataFrame, modality: Modality, source: str) -> None:
    """Compare channels and sampling rate of a file with those of the modality, where both are known."""
    found, expected = (list(facts.get("channels") or []) for facts in (frame.attrs, modality))
    if found and expected and found != expected:
        raise InputError(
            f"{source}: the channels are {', '.join(found)}, expected are {', '.join(expected)}; give --data.channels "
            f"'[{', '.join(expected)}]'"
        )
    rate, usual = frame.attrs.get("sampling_rate"), modality.get("sampling_rate")
    if rate and usual and not isclose(rate, usual, rel_tol=SAME_RATE):
        raise InputError(
            f"{source}: {rate_text(rate)}, the model was trained on {rate_text(usual)}; give --data.resample {usual:g}"
        )
    step, other = frame.attrs.get("time_step"), modality.get("time_step")
    if step and other and not isclose(step, other, rel_tol=SAME_RATE):
        log.warning("%s: times are in steps of %g, those in training were in steps of %g", source, step, other)


@CARDS.add("series")
def series_card(modality: Modality, names: list[str]) -> InputLines:
    """Inputs of a model of series, for its card."""
    rate = f" at {rate_text(modality['sampling_rate'])}" if "sampling_rate" in modality else ""
    shorter = "; shorter series are padded" if modality.get("resize") else ""
    length = modality["shape"][1]
    return InputLines(
        "time-series",
        "model.predict(series)  # an array (samples, channels, length), or a list of series",
        f"Inputs: series of {channels_of(modality)} and {length} time points{rate}{shorter}, as measured.",
    )


def _series(cell: Any, where: str) -> np.ndarray:
    try:
        series = np.atleast_2d(np.asarray(cell, dtype=np.float64))
    except (TypeError, ValueError):
        raise InputError(f"{where} is not a series of numbers") from None
    if series.ndim != 2 or series.size == 0:
        raise InputError(f"{where} has the shape {series.shape}; (channels, length) is expected")
    return series


def _complete(series: np.ndarray, modality: Modality, where: str) -> np.ndarray:
    """The series with gaps interpolated if allowed; if lengths may differ, missing values at its end are cut off."""
    if np.isinf(series).any():
        channel, time = np.argwhere(np.isinf(series))[0]
        raise InputError(f"{where}, {_channel(modality, channel)}: infinite value at time point {time + 1}")
    missing = np.isnan(series)
    if modality.get("resize") and not missing.all():
        series = series[:, : int(np.flatnonzero(~missing.all(0))[-1]) + 1]
        missing = np.isnan(series)
    if not missing.any():
        return series
    if missing.all(1).any() or not modality.get("interpolate"):
        channel, time = np.argwhere(missing.all(1)[:, None] | missing)[0]
        hint = "leave the sample out" if missing[channel].all() else "fill it, or give --data.interpolate true"
        raise InputError(f"{where}, {_channel(modality, channel)}: no value at time point {time + 1}; {hint}")
    times = np.arange(series.shape[1])
    return np.stack([np.interp(times, times[~gap], row[~gap]) for row, gap in zip(series, missing, strict=True)])


def _channel(modality: Modality, number: int) -> str:
    names = modality.get("channels", [])
    return f"channel {names[number] if number < len(names) else number + 1}"

"""Gramian angular fields: time series as images."""

from functools import cache
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError, check_choice, check_range
from ..spec import Modality
from .base import Encoder
from .kinds import layer
from .series import SeriesEncoder, lengths

Kind = Literal["both", "summation", "difference"]
Range = Literal["-1..1", "0..1"]
Order = Literal["aggregate_first", "rescale_first"]
CHANNELS = {"both": 2, "summation": 1, "difference": 1}  # number of images per channel


@layer("series", "gramian")
class GramianAngularField(Encoder):
    """Gramian angular fields of a series, computed on the model's device (Wang and Oates 2015, arXiv:1509.07481).

    A series is averaged in ``size`` bins (piecewise aggregate approximation) and rescaled to [-1, 1]; the values are
    cosines of angles phi. The summation field is cos(phi_i + phi_j), the difference field sin(phi_i - phi_j), an image
    of the temporal correlation between all pairs of times. Rescaling discards minimum and maximum of each series,
    unless ``extremes`` adds them as two channels.

    Padding (missing values at the end) is not part of a series; each series fills the image whatever its length. A
    constant series is mapped to the middle of the range. Other missing values raise an error when data are read.

    Args:
        modality: Channels and length of the series.
        size: Side of the image, in pixels; the length by default.
        kind: Fields to compute: both, summation or difference.
        range: Range to which a series is rescaled, ``"-1..1"`` or ``"0..1"``.
        order: Average, then rescale (the default, as in the pyts package: averages cover the whole range), or rescale,
            then average (as in the script of Wang and Oates: the relative height of peaks that are shorter than a bin
            is preserved).
        upsample: Allow more pixels than time points, by linear interpolation.
        extremes: Add minimum and maximum of each channel, standardised over the training rows, as two constant
            channels.

    Shape:
        ``(batch, channels, length) -> (batch, 2 * channels, size, size)``: the summation fields of all channels, then
        the difference fields, then, with ``extremes``, minima and maxima.

    Raises:
        InputError: The image is larger than the series, without ``upsample``.
    """

    low_high: Tensor
    axis = "pixel"

    def __init__(
        self,
        modality: Modality,
        size: int | None = None,
        kind: Kind = "both",
        range: Range = "-1..1",  # noqa: A002 (the word that pyts users look for)
        order: Order = "aggregate_first",
        upsample: bool = False,
        extremes: bool = False,
    ) -> None:
        super().__init__()
        channels, length = modality["shape"]
        check_choice("kind", kind, CHANNELS)
        check_choice("range", range, ["-1..1", "0..1"])
        check_choice("order", order, ["aggregate_first", "rescale_first"])
        self.size = length if size is None else size
        check_range("size", self.size, 2)
        if self.size > length and not upsample:
            raise InputError(
                f"a Gramian field of {self.size} pixels needs more than the {length} time points of a series; lower "
                "encoding.size, or give encoding.upsample true"
            )
        self.kind, self.range, self.order, self.upsample, self.extremes = kind, range, order, upsample, extremes
        self.values = SeriesEncoder(modality)  # for scales of the extremes and for examples
        self.out_shape = (channels * (CHANNELS[kind] + 2 * extremes), self.size, self.size)
        self.register_buffer("low_high", torch.tensor([[0.0], [1.0]]).repeat(1, 2))  # mean and scale of both
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, x: Tensor) -> None:
        """Fit the scales of extremes and examples to training rows, ``shape=(rows, channels, length)``."""
        self.values.fit(x)
        self.fitted.fill_(True)

    def example(self, rows: int, seed: int = 0) -> Tensor:
        """Random walks, ``shape=(rows, channels, length)``."""
        return self.values.example(rows, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Images, in the precision of the weights."""
        ends = lengths(x)
        if not self.upsample and (shortest := int(ends.min())) < self.size:
            raise InputError(
                f"a series of {shortest} time points is shorter than its Gramian field of {self.size} pixels; lower "
                "encoding.size, or give encoding.upsample true"
            )
        cos, sin = angles(x, self.size, self.range, self.order, ends)
        image = fields(cos.to(self.values.mean.dtype), sin.to(self.values.mean.dtype), self.kind)
        if not self.extremes:
            return image
        low, high = x.nan_to_num(torch.inf).amin(2), x.nan_to_num(-torch.inf).amax(2)
        both = (torch.stack([low, high], 2) - self.values.mean) / self.values.scale
        flat = both.transpose(1, 2).flatten(1)[..., None, None]
        return torch.cat([image, flat.expand(-1, -1, self.size, self.size).to(image.dtype)], 1)


def angles(
    x: Tensor,
    size: int,
    range: Range,  # noqa: A002
    order: Order,
    ends: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the angles of a series, in float64: ``(batch, channels, length) -> (.., .., size)`` twice.

    With u = (x - low) / (high - low) and w = (high - x) / (high - low), on [-1, 1] cos = u - w and sin = 2 sqrt(u w),
    on [0, 1] cos = u and sin = sqrt(w (1 + u)). In float32, sqrt(1 - cos^2) would have errors of 4e-5 for cos near 1,
    and much larger ones for a series far from zero.

    Args:
        x: Series, padded with NaN at their end.
        size: Number of bins.
        range: As in `GramianAngularField`.
        order: As in `GramianAngularField`.
        ends: Number of time points of each series before its padding; computed if None.
    """
    ends, x = lengths(x) if ends is None else ends, x.double()
    if order == "aggregate_first":
        x = aggregate(x, ends, size)
    low, high = (x.nan_to_num(inf).aminmax(dim=2, keepdim=True)[end] for end, inf in enumerate((torch.inf, -torch.inf)))
    width = high - low
    constant = width == 0
    width = torch.where(constant, 1.0, width)
    u = torch.where(constant, 0.5, (x - low) / width)
    w = torch.where(constant, 0.5, (high - x) / width)
    if order == "rescale_first":
        u, w = aggregate(u, ends, size), aggregate(w, ends, size)
    return (u - w, 2 * (u * w).sqrt()) if range == "-1..1" else (u, (w * (1 + u)).sqrt())


def aggregate(x: Tensor, ends: Tensor, size: int) -> Tensor:
    """Mean of each of ``size`` bins of a series: ``(batch, channels, length) -> (batch, channels, size)``.

    Bins begin at linspace(0, end, size + 1), truncated to integers (piecewise aggregate approximation, Keogh et al.
    2001, doi:10.1007/PL00011669). A series with fewer time points than bins is linearly interpolated at
    linspace(0, end - 1, size).

    Args:
        x: Series; values after the end of a series are ignored.
        ends: Number of time points of each series, ``shape=(batch,)``.
        size: Number of bins.
    """
    first = x[..., :1]  # subtracted, so that sums over a series far from zero do not lose digits
    if size <= x.shape[2] and bool((ends == x.shape[2]).all()):
        return x if size == x.shape[2] else (x - first) @ _bins(x.shape[2], size).to(x.device) + first
    x = (x - first).nan_to_num()
    steps = torch.arange(size + 1, device=x.device, dtype=torch.float64)
    edges = (steps * (ends.double() / size)[:, None]).long()
    edges[:, -1] = ends
    sums = torch.cat([torch.zeros_like(first), x.cumsum(2)], 2)
    at = edges[:, None].expand(-1, x.shape[1], -1)
    means = sums.gather(2, at).diff() / edges.diff()[:, None]
    if bool((ends >= size).all()):
        return means + first
    place = steps[:-1] * ((ends - 1).double() / (size - 1))[:, None]
    left = place.long().clamp(max=x.shape[2] - 1)
    right = torch.minimum(left + 1, ends[:, None] - 1)
    share = (place - left)[:, None]
    on_left, on_right = (x.gather(2, side[:, None].expand(-1, x.shape[1], -1)) for side in (left, right))
    return torch.where((ends < size)[:, None, None], on_left + share * (on_right - on_left), means) + first


@cache
def _bins(length: int, size: int) -> Tensor:
    """Weight of each time point in the mean of each bin, ``shape=(length, size)``."""
    edges = (torch.arange(size + 1, dtype=torch.float64) * (length / size)).long()
    edges[-1] = length
    times = torch.arange(length)[:, None]
    return ((times >= edges[:-1]) & (times < edges[1:])).double() / edges.diff()


def fields(cos: Tensor, sin: Tensor, kind: Kind = "both") -> Tensor:
    """Gramian fields from angles: ``(batch, channels, size) -> (batch, channels or 2 * channels, size, size)``.

    Args:
        cos: Cosines of the angles.
        sin: Sines of the angles, not negative.
        kind: As in `GramianAngularField`.
    """
    batch, channels, size = cos.shape
    image = cos.new_empty(batch, CHANNELS[kind], channels, size, size)
    for number, name in enumerate(("summation", "difference") if kind == "both" else (kind,)):
        # cos(a + b) = cos a cos b - sin a sin b, and sin(a - b) = sin a cos b - cos a sin b
        first, second = (cos, sin) if name == "summation" else (sin, cos)
        part = torch.mul(first[..., None], cos[..., None, :], out=image[:, number])
        part.addcmul_(second[..., None], sin[..., None, :], value=-1)
    return image.flatten(1, 2)


def inverse(image: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Series from a summation and a difference field, ``(batch, 2 * channels, size, size) -> (batch, channels, size)``.

    The row r of the largest diagonal element determines the series: cos(phi_r + phi_j) and sin(phi_j - phi_r) are two
    linear equations for cos phi_j and sin phi_j, and no sine is negative, which determines the sign of cos phi_r. (The
    diagonal alone, cos(2 phi), loses signs on [-1, 1] and digits near zero on [0, 1].)

    Args:
        image: Output of `GramianAngularField` of the kind ``"both"``, with any order and range.
        low: Minimum of each series, ``shape=(batch, channels)``, to restore the units of a series on [-1, 1].
        high: Maximum of each series.

    Returns:
        Averages of the bins, in the range of the field, or between ``low`` and ``high``; accurate to 1e-6 in float32,
        and less accurate if with order ``rescale_first`` no average is near a limit of the range.
    """
    summation, difference = image.double().chunk(2, 1)
    largest, r = summation.diagonal(dim1=2, dim2=3).max(2, keepdim=True)
    row = summation.gather(2, r[..., None].expand(-1, -1, 1, image.shape[3])).squeeze(2)
    column = difference.gather(3, r[..., None].expand(-1, -1, image.shape[2], 1)).squeeze(3)
    cos, sin = ((1 + largest) / 2).clamp(0, 1).sqrt(), ((1 - largest) / 2).clamp(0, 1).sqrt()
    x, s = (cos * row + sin * column) / largest, (sin * row + cos * column) / largest
    flipped = (-cos * row + sin * column) / largest, (sin * row - cos * column) / largest
    x = torch.where(s.sum(2, keepdim=True) >= flipped[1].sum(2, keepdim=True), x, flipped[0])
    if low is not None and high is not None:
        x = low[..., None] + (x + 1) / 2 * (high - low)[..., None]
    return x

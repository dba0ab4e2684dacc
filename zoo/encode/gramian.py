"""Time series as images: Gramian angular fields."""

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
CHANNELS = {"both": 2, "summation": 1, "difference": 1}  # images of each channel


@layer("series", "gramian")
class GramianAngularField(Encoder):
    """Gramian angular fields of a series, made on the model's device and never stored.

    A series is cut into ``size`` bins and averaged in each (piecewise aggregate approximation), rescaled to [-1, 1],
    and read as cosines of angles phi. The summation field is cos(phi_i + phi_j), the difference field
    sin(phi_i - phi_j): an image of how each time goes with each other time (Wang and Oates 2015, arXiv:1509.07481).
    Smallest and largest value of each series are lost, unless they are kept as two more channels.

    Policies: padding (missing values at the end) is no part of a series, which fills the image whatever its length. A
    constant series lies in the middle of the range everywhere. Other missing values are refused when data are read.

    Args:
        modality: Channels and length of the series.
        size: Side of the image, in pixels; the length by default.
        kind: Which fields: both, summation or difference.
        range: What a series is rescaled to, ``"-1..1"`` or ``"0..1"``.
        order: Average, then rescale (the default, as the pyts package: smallest and largest value of every image are
            the ends of the range), or rescale, then average (as the script of Wang and Oates: peaks that are shorter
            than a bin keep their height relative to longer ones).
        upsample: Let an image have more pixels than the series has time points; between two, a line is followed.
        extremes: Keep smallest and largest value of each channel, in standard units of the training rows, as two more
            channels of that one value.

    Shape:
        ``(batch, channels, length) -> (batch, 2 * channels, size, size)``: the summation fields of all channels, then
        the difference fields, then, if asked for, smallest and largest values.

    Raises:
        InputError: An image larger than the series, without ``upsample``.
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
        self.values = SeriesEncoder(modality)  # scales of the extremes; examples
        self.out_shape = (channels * (CHANNELS[kind] + 2 * extremes), self.size, self.size)
        self.register_buffer("low_high", torch.tensor([[0.0], [1.0]]).repeat(1, 2))  # mean and scale of both
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, x: Tensor) -> None:
        """Scales of the extremes and of the examples from training rows, ``shape=(rows, channels, length)``."""
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
    on [0, 1] cos = u and sin = sqrt(w (1 + u)). sqrt(1 - cos^2) in float32 would be wrong by 4e-5 where cos is near 1,
    and by much more for a series that is far from zero.

    Args:
        x: Series, padded with NaN at their end.
        size: Bins.
        range: As in `GramianAngularField`.
        order: As in `GramianAngularField`.
        ends: Time points of each series before its padding, where they are known.
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
    2001, doi:10.1007/PL00011669). A series with fewer time points than bins is read off at linspace(0, end - 1, size),
    on lines between its time points.

    Args:
        x: Series; what lies behind its end is ignored.
        ends: Time points of each series, ``shape=(batch,)``.
        size: Bins.
    """
    first = x[..., :1]  # taken away, lest a sum over a series far from zero loses digits
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
    """What each time point adds to the mean of each bin, ``shape=(length, size)``."""
    edges = (torch.arange(size + 1, dtype=torch.float64) * (length / size)).long()
    edges[-1] = length
    times = torch.arange(length)[:, None]
    return ((times >= edges[:-1]) & (times < edges[1:])).double() / edges.diff()


def fields(cos: Tensor, sin: Tensor, kind: Kind = "both") -> Tensor:
    """Outer products of angles: ``(batch, channels, size) -> (batch, channels or 2 * channels, size, size)``.

    Args:
        cos: Cosines.
        sin: Sines, not negative.
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
    """Series of a summation and a difference field, ``(batch, 2 * channels, size, size) -> (batch, channels, size)``.

    The row r of the largest element on the diagonal tells the others: cos(phi_r + phi_j) and sin(phi_j - phi_r) are two
    linear equations for cos phi_j and sin phi_j, and no sine is negative, which settles the sign of cos phi_r. (The
    diagonal alone, cos(2 phi), loses signs on [-1, 1], and digits near zero on [0, 1].)

    Args:
        image: As `GramianAngularField` makes it, kind ``"both"``, of any order; on [-1, 1], or on [0, 1].
        low: Smallest value of each series, ``shape=(batch, channels)``, to get the units back of a series on [-1, 1].
        high: Largest value of each series.

    Returns:
        Averages of the bins, in the range of the angles, or between ``low`` and ``high``; right to 1e-6 in float32,
        and to fewer digits where order ``rescale_first`` left no average near an end of the range.
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

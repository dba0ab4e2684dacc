"""Quantile encoding of tables: numbers as normal scores, invertible with the decimals of the training table."""

import torch
from torch import Tensor

from ..spec import Modality
from .kinds import layer
from .table import TableEncoder

KNOTS = 1025  # number of quantiles per column
MOST_DECIMALS = 6
EDGE = 1e-3  # the scores of the minimum and maximum are the normal quantiles of EDGE and 1 - EDGE


@layer("table", "quantile")
class QuantileEncoder(TableEncoder):
    """Encodes numbers as rank-based normal scores, whatever their distribution.

    In training, ties are broken at random: a number is spread uniformly over the interval that is rounded to it (a
    count of 3 over 2.5 to 3.5). `inverse` rounds to the number of decimals of the training values and stays in their
    range. Each number has a missingness column, 1 where it is missing; a missing category is the level 'unknown'.
    Thus missing values can be generated too.

    Args:
        modality: As for `TableEncoder`; covariates are encoded like other features.
        missing_indicator: Whether numbers have missingness columns; False for a wide table without missing values.

    Attributes:
        knots: Quantiles of each number, ``shape=(numbers, 1025)``.
        decimals: Number of decimals of each number, ``shape=(numbers,)``.
        low: Minimum of each number in the training rows, ``shape=(numbers,)``.
        high: Maximum of each number in the training rows, ``shape=(numbers,)``.
        seen: Mean of each encoded column over the training rows, ``shape=(out_features,)``.

    Shape:
        ``(batch, features) -> (batch, out_features)``: scores, then missingness, then levels

    Example:
        >>> layer = QuantileEncoder({"kind": "table", "shape": [1], "features": ["children"]})
        >>> x = torch.tensor([[0.0], [0.0], [1.0], [3.0], [float("nan")]])
        >>> layer.fit(x)
        >>> layer.eval().inverse(layer(x)).flatten().tolist()
        [0.0, 0.0, 1.0, 3.0, nan]
    """

    knots: Tensor
    decimals: Tensor
    low: Tensor
    high: Tensor
    seen: Tensor
    levels: Tensor

    def __init__(self, modality: Modality, missing_indicator: bool = True) -> None:
        # Every number has a missingness column: the layout of the generated values does not depend on the data.
        free = Modality(**{**modality, "covariates": [], "incomplete": modality["features"]})
        super().__init__(free, missing_indicator=missing_indicator)
        count = len(self.numeric)
        self.register_buffer("knots", torch.linspace(-1, 1, KNOTS).repeat(count, 1))
        self.register_buffer("decimals", torch.full((count,), MOST_DECIMALS))
        self.register_buffer("low", torch.full((count,), -torch.inf))
        self.register_buffer("high", torch.full((count,), torch.inf))
        self.register_buffer("seen", torch.ones(self.out_features))
        self.register_buffer("levels", torch.linspace(0, 1, KNOTS), False)

    def fit(self, x: Tensor) -> None:
        """Fit quantiles, decimals and shares to raw training rows, ``shape=(samples, features)``."""
        super().fit(x)
        for number, column in enumerate(self.numeric.tolist()):
            values = x[:, column][x[:, column].isfinite()].double()
            if not len(values):
                continue
            places = _decimals(values)
            self.decimals[number], self.low[number], self.high[number] = places, values.min(), values.max()
            self.knots[number] = torch.quantile(_spread(values, 10.0**-places), self.levels.cpu().double()).to(
                self.knots
            )
        parts = [self(part.to(self.mean.device)).sum(0) for part in x.split(1024)]
        self.seen.copy_(torch.stack(parts).sum(0) / len(x))

    def scores(self, numeric: Tensor) -> Tensor:
        """Normal scores, missing values as NaN: ``(batch, numbers) -> (batch, numbers)``."""
        if self.training:
            numeric = numeric + (torch.rand_like(numeric) - 0.5) * 10.0 ** -self.decimals.to(numeric)
        share = interpolate(numeric, self.knots, self.levels.expand_as(self.knots))
        scores: Tensor = torch.special.ndtri(EDGE + (1 - 2 * EDGE) * share)
        return scores

    def inverse(self, encoded: Tensor) -> Tensor:
        """Raw values: numbers in their units, rounded and in the training range; codes of levels; NaN if missing.

        ``(batch, out_features) -> (batch, features)``
        """
        count, names = len(self.numeric), self.modality["features"]
        raw = encoded.new_full((len(encoded), len(names)), torch.nan)
        share = (torch.special.ndtr(encoded[:, :count]) - EDGE) / (1 - 2 * EDGE)
        values = interpolate(share, self.levels.expand_as(self.knots), self.knots).double()
        unit = 10.0 ** self.decimals.double()
        values = ((values * unit).round() / unit).clamp(self.low, self.high) + 0.0  # no negative zero
        if self.missing_indicator:
            values = torch.where(encoded[:, count : 2 * count] > 0.5, torch.nan, values)
        raw[:, self.numeric] = values.to(raw.dtype)
        for start, levels in self.levels_of.items():
            code = encoded[:, start : start + levels].argmax(1)
            raw[:, self.of[start]] = torch.where(code == levels - 1, torch.nan, code.to(raw.dtype))
        return raw


def interpolate(x: Tensor, at: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear interpolation for each column, constant outside the knots; NaN stays NaN.

    Args:
        x: ``shape=(batch, columns)``.
        at: Positions of the knots, ascending, ``shape=(columns, knots)``.
        values: Values at the knots, the same shape.
    """
    by_column = x.T.contiguous()
    right = torch.searchsorted(at.contiguous(), by_column).clamp(1, at.shape[1] - 1)
    x0, x1 = at.gather(1, right - 1), at.gather(1, right)
    y0, y1 = values.gather(1, right - 1), values.gather(1, right)
    share = ((by_column - x0) / (x1 - x0).clamp(min=1e-30)).clamp(0, 1)
    return torch.lerp(y0, y1, share).T


def _decimals(values: Tensor) -> int:
    """Number of decimals of all values, within the precision of float32."""
    for places in range(MOST_DECIMALS):
        scaled = values * 10**places
        if ((scaled - scaled.round()).abs() <= 1e-6 * scaled.abs().clamp(min=1e-3)).all():
            return places
    return MOST_DECIMALS


def _spread(values: Tensor, step: float) -> Tensor:
    """Sorted values with ties spread evenly over the interval that is rounded to them."""
    unique, counts = values.unique(return_counts=True)
    rank = torch.arange(len(values), device=values.device) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    inside = (rank + 0.5) / counts.repeat_interleave(counts)
    spread: Tensor = unique.repeat_interleave(counts) + (inside - 0.5) * step
    return spread

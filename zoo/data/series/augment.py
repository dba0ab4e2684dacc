"""Series are changed at random in ways that keep their meaning; missing values at their end stay."""

from math import pi

import torch
from torch import Tensor

from ...encode.series import lengths

WAVES = 3  # of a time warp: half a period, a whole one, one and a half


def jitter(x: Tensor, sd: float, generator: torch.Generator) -> Tensor:
    """Gaussian noise is added (Um et al. 2017, doi:10.1145/3136755.3136817).

    Args:
        x: Series, ``shape=(batch, channels, length)``.
        sd: Of the noise, in standard deviations of each channel of each series.
        generator: Of the noise.

    Returns:
        Series of the same shape.
    """
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    spread = (x - x.nanmean(2, keepdim=True)).square().nanmean(2, keepdim=True).sqrt()
    return x + sd * spread * noise


def scale(x: Tensor, sd: float, generator: torch.Generator) -> Tensor:
    """All channels of a series are stretched in height about their mean by one factor (Um et al. 2017).

    Args:
        x: Series, ``shape=(batch, channels, length)``.
        sd: Of the factor, which is 1 on average.
        generator: Of the factor.

    Returns:
        Series of the same shape.
    """
    factor = 1 + sd * torch.randn(len(x), 1, 1, generator=generator, device=x.device, dtype=x.dtype)
    mean = x.nanmean(2, keepdim=True)
    return mean + factor * (x - mean)


def warp(x: Tensor, strength: float, share: float, generator: torch.Generator) -> Tensor:
    """Time runs faster here and slower there, and a window is stretched to the whole length.

    The speed is one plus a few cosines with random weights, so that time never runs backwards (a smooth time warp as
    that of Um et al. 2017). The window lies at a random place (Le Guennec, Malinowski, Tavenard 2016, Data augmentation
    for time series classification using convolutional neural networks, AALTD workshop). Values are read off on lines
    between time points.

    Args:
        x: Series, ``shape=(batch, channels, length)``.
        strength: Speed lies between ``1 - strength`` and ``1 + strength``.
        share: Of the series that the window keeps.
        generator: Of weights and places.

    Returns:
        Series of the same shape; the length before the padding stays too.
    """
    last = (lengths(x) - 1)[:, None]
    place = torch.arange(x.shape[2], device=x.device, dtype=x.dtype) / last.clamp(min=1)  # 0 to 1, beyond in padding
    weights = torch.randn(len(x), WAVES, 1, generator=generator, device=x.device, dtype=x.dtype)
    weights = weights / weights.abs().sum(1, keepdim=True)
    turns = pi * torch.arange(1, WAVES + 1, device=x.device, dtype=x.dtype)[:, None]
    place = place + strength * (weights * torch.sin(turns * place[:, None]) / turns).sum(1)
    start = (1 - share) * torch.rand(len(x), 1, generator=generator, device=x.device, dtype=x.dtype)
    place = (start + share * place).clamp(0, 1) * last
    left = place.long()
    right = torch.minimum(left + 1, last)
    on_left, on_right = (x.gather(2, side[:, None].expand_as(x)) for side in (left, right))
    moved = on_left + (place - left)[:, None] * (on_right - on_left)
    return torch.where(x.isnan(), torch.nan, moved)

"""Augmentation of series by noise, scaling and time warping; padding at their end is preserved."""

from math import pi

import torch
from torch import Tensor

from ...encode.series import lengths

WAVES = 3  # cosines of a time warp, of 0.5, 1 and 1.5 periods


def jitter(x: Tensor, sd: float, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise (Um et al. 2017, doi:10.1145/3136755.3136817).

    Args:
        x: Series, ``shape=(batch, channels, length)``.
        sd: Standard deviation of the noise, relative to that of each channel of each series.
        generator: Generator of the noise.

    Returns:
        Series of the same shape.
    """
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    spread = (x - x.nanmean(2, keepdim=True)).square().nanmean(2, keepdim=True).sqrt()
    return x + sd * spread * noise


def scale(x: Tensor, sd: float, generator: torch.Generator) -> Tensor:
    """Scale all channels of a series about their mean by one random factor (Um et al. 2017).

    Args:
        x: Series, ``shape=(batch, channels, length)``.
        sd: Standard deviation of the factor, whose mean is 1.
        generator: Generator of the factor.

    Returns:
        Series of the same shape.
    """
    factor = 1 + sd * torch.randn(len(x), 1, 1, generator=generator, device=x.device, dtype=x.dtype)
    mean = x.nanmean(2, keepdim=True)
    return mean + factor * (x - mean)


def warp(x: Tensor, strength: float, share: float, generator: torch.Generator) -> Tensor:
    """Warp the time axis smoothly, and stretch a random window to the full length.

    The speed is one plus a sum of cosines with random weights, which keeps time monotonic (a smooth time warp similar
    to that of Um et al. 2017). The window is at a random position (Le Guennec, Malinowski, Tavenard 2016, Data
    augmentation for time series classification using convolutional neural networks, AALTD workshop). Values are
    linearly interpolated between time points.

    Args:
        x: Series, ``shape=(batch, channels, length)``.
        strength: The speed is between ``1 - strength`` and ``1 + strength``.
        share: Length of the window, as a fraction of the series.
        generator: Generator of weights and positions.

    Returns:
        Series of the same shape, with the same length before the padding.
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

"""How much of an image is coarse and how much is fine: its power at each spatial frequency."""

import torch
from torch import Tensor


def radial_power(images: Tensor) -> Tensor:
    """Mean power of the Fourier coefficients at each length of wave, whatever its direction.

    Images are multiplied by a Hann window, so that their borders are not taken for fine structure.

    Args:
        images: ``shape=(batch, channels, *spatial)``.

    Returns:
        ``shape=(batch, rings)``, mean over channels: of waves that fit 1, 2, 3, ... times into the shortest side, up to
        half of its pixels (one wave in two pixels).
    """
    axes, values = tuple(range(2, images.ndim)), images.float()
    values = values - values.mean(axes, keepdim=True)
    squares = torch.zeros((), device=images.device)
    for axis in axes:
        length, one_axis = images.shape[axis], [-1 if a == axis else 1 for a in axes]
        values = values * torch.hann_window(length, device=images.device).view(one_axis)
        squares = squares + torch.fft.fftfreq(length, device=images.device).square().view(one_axis)
    shortest = min(images.shape[2:])
    ring = (squares.sqrt() * shortest).round().long().flatten()
    wanted = torch.arange(1, shortest // 2 + 1, device=images.device)
    member = (ring[:, None] == wanted).float()
    power = torch.fft.fftn(values, dim=axes).abs().square().mean(1).flatten(1)
    result: Tensor = power @ (member / member.sum(0).clamp(min=1))
    return result


def spectral_distance(generated: Tensor, real: Tensor) -> Tensor:
    """How far the mean power of made images is from that of real ones, in decibels: a scalar.

    The root of the mean square of ``10 log10(made / real)`` over frequencies. Blurred images lack power at the high
    ones, whatever their pixels are on average (Durall et al. 2020, arXiv:2003.01826).

    Args:
        made: `radial_power` of made images, ``(batch, rings)``.
        real: Of real ones, ``(images, rings)``.
    """
    ratio = (generated.mean(0).clamp(min=1e-12) / real.mean(0).clamp(min=1e-12)).log10()
    return (10 * ratio).square().mean().sqrt()

"""Power spectra of images, and a distance between them."""

import torch
from torch import Tensor


def radial_power(images: Tensor) -> Tensor:
    """Radially averaged power spectrum: mean power of the Fourier coefficients at each spatial frequency.

    Images are multiplied by a Hann window, so that their borders do not contribute high frequencies.

    Args:
        images: ``shape=(batch, channels, *spatial)``.

    Returns:
        ``shape=(batch, rings)``, mean over channels, for 1, 2, 3, ... periods per shortest side, up to half of its
        pixels (the Nyquist frequency).
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
    frequencies = torch.arange(1, shortest // 2 + 1, device=images.device)
    member = (ring[:, None] == frequencies).float()
    power = torch.fft.fftn(values, dim=axes).abs().square().mean(1).flatten(1)
    result: Tensor = power @ (member / member.sum(0).clamp(min=1))
    return result


def spectral_distance(generated: Tensor, real: Tensor) -> Tensor:
    """Distance between the mean power spectra of generated and real images, in decibels: a scalar.

    The root mean square of ``10 log10(generated / real)`` over frequencies. Blurred images lack power at high
    frequencies (Durall et al. 2020, arXiv:2003.01826).

    Args:
        generated: `radial_power` of generated images, ``(batch, rings)``.
        real: `radial_power` of real images, ``(images, rings)``.
    """
    ratio = (generated.mean(0).clamp(min=1e-12) / real.mean(0).clamp(min=1e-12)).log10()
    return (10 * ratio).square().mean().sqrt()

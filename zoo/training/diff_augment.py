"""Differentiable augmentation of what a discriminator sees, for GANs that learn from few images."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT, HOLE = 0.125, 0.5  # largest shift, and side of the hole, as shares of the size of an image


def brightness_and_contrast(x: Tensor) -> Tensor:
    """Values move by up to 0.5 either way, and their differences from the mean of the image shrink or grow by half."""
    one_each = (len(x), 1, 1, 1)
    x = x + torch.rand(one_each, device=x.device) - 0.5
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (torch.rand(one_each, device=x.device) + 0.5)


def translation(x: Tensor) -> Tensor:
    """Images move by up to an eighth of their size, at least a pixel, along both axes; zeros come in."""
    height, width = x.shape[2:]
    down, right = (max(1, round(SHIFT * size)) for size in (height, width))
    padded = F.pad(x, (right, right, down, down))
    rows = torch.randint(2 * down + 1, (len(x), 1), device=x.device) + torch.arange(height, device=x.device)
    columns = torch.randint(2 * right + 1, (len(x), 1), device=x.device) + torch.arange(width, device=x.device)
    samples = torch.arange(len(x), device=x.device)
    chosen = padded[samples[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return chosen.movedim(3, 1)


def cutout(x: Tensor) -> Tensor:
    """A rectangle of half of the height and width is set to zero, anywhere, also half outside."""
    inside = []
    for axis in (2, 3):
        size = x.shape[axis]
        hole = max(1, round(HOLE * size))
        start = torch.randint(-(hole // 2), size - hole // 2 + 1, (len(x), 1), device=x.device)
        place = torch.arange(size, device=x.device)
        inside.append((place >= start) & (place < start + hole))
    return x * ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "brightness": brightness_and_contrast,
    "translation": translation,
    "cutout": cutout,
}


def diff_augment(x: Tensor, kinds: list[str]) -> Tensor:
    """Change each image at random, real and made ones alike, so that a discriminator cannot learn a few by heart.

    After Zhao et al. (2020, arXiv:2006.10738). Gradients pass, so that the generator learns through it, and because
    the discriminator never sees real images as they are, made ones need not look augmented.

    Args:
        x: Encoded images, ``shape=(batch, channels, height, width)``; 0 is the mean of the training images.
        kinds: Of `KINDS`: brightness (and contrast), translation, cutout; in this order.

    Returns:
        Images of the same shape.
    """
    for kind in kinds:
        x = KINDS[kind](x)
    return x

"""Differentiable augmentation of the input of a discriminator, for GANs with few training images."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT, HOLE = 0.125, 0.5  # largest shift, and side of the hole, as shares of the size of an image


def brightness_and_contrast(x: Tensor) -> Tensor:
    """Add a random value from -0.5 to 0.5, and scale the contrast of each image by a random factor from 0.5 to 1.5."""
    one_each = (len(x), 1, 1, 1)
    x = x + torch.rand(one_each, device=x.device) - 0.5
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (torch.rand(one_each, device=x.device) + 0.5)


def translation(x: Tensor) -> Tensor:
    """Shift images by up to an eighth of their size (at least one pixel) along both axes, with zero padding."""
    height, width = x.shape[2:]
    down, right = (max(1, round(SHIFT * size)) for size in (height, width))
    padded = F.pad(x, (right, right, down, down))
    rows = torch.randint(2 * down + 1, (len(x), 1), device=x.device) + torch.arange(height, device=x.device)
    columns = torch.randint(2 * right + 1, (len(x), 1), device=x.device) + torch.arange(width, device=x.device)
    samples = torch.arange(len(x), device=x.device)
    chosen = padded[samples[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return chosen.movedim(3, 1)


def cutout(x: Tensor) -> Tensor:
    """Set a random rectangle of half the height and width to zero; it may lie partly outside the image."""
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
    """Augment each image at random, so that the discriminator does not memorise the few real images.

    After Zhao et al. (2020, arXiv:2006.10738). Real and generated images are augmented in the same way, so that
    generated images need not look augmented; gradients pass to the generator.

    Args:
        x: Encoded images, ``shape=(batch, channels, height, width)``; 0 is the mean of the training images.
        kinds: Names of the augmentations in the order of application: brightness (and contrast), translation, cutout.

    Returns:
        Images of the same shape.
    """
    for kind in kinds:
        x = KINDS[kind](x)
    return x

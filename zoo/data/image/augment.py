"""Augmentation of training images and their masks, for entire batches on their device.

`torchvision.transforms.v2` draws the same parameters for all images of a batch. Applied image by image on a CPU, it
takes 15 times as long as these functions for 28 x 28 pixels and the same time for 3 x 128 x 128; MONAI takes three to a
hundred times as long. Neither draws the parameters of a batch from a generator, which a resumed run can repeat.
"""

from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ...errors import InputError, check_choice, check_range
from ..base import Batch

Flip = Literal["none", "horizontal", "vertical", "both", "all"]
FLIPS: dict[str, list[int]] = {"none": [], "horizontal": [-1], "vertical": [-2], "both": [-1, -2], "all": [-1, -2, -3]}


class Augmentation(NamedTuple):
    """Parameters of the augmentation; see the arguments of `zoo.data.ImageData`."""

    flip: Flip
    rotate: float
    shift: float
    zoom: float
    brightness: float
    contrast: float

    def check(self, size: list[int] | None = None) -> None:
        """Raise an `InputError` if a parameter is invalid, in general or for images of shape ``(*spatial)``."""
        check_choice("flip", self.flip, FLIPS)
        check_range("rotate", self.rotate, 0, 180)
        for name in ("shift", "zoom", "brightness", "contrast"):
            check_range(name, getattr(self, name), 0, 0.9)
        if size is None:
            return
        if len(size) == 2 and self.flip == "all":
            raise InputError("flip 'all' is for volumes; use both for images")
        if len(size) == 3 and (self.shift or self.zoom or self.rotate not in (0, 90)):
            raise InputError(
                "volumes can only be mirrored and rotated by quarter turns: set rotate to 0 or 90, shift and zoom to 0"
            )
        if len(size) == 3 and self.rotate and len(set(size)) > 1:
            raise InputError(f"rotate is for cubes only, not for volumes of {' x '.join(map(str, size))}; set it to 0")

    def __call__(self, batch: Batch, masked: bool, generator: Generator) -> Batch:
        """Augment the images of a batch, and ``y`` in the same way if it holds masks."""
        x, mask = batch["x"], batch["y"] if masked else None
        x, mask = flip(x, mask, FLIPS[self.flip], generator)
        if x.ndim == 5 and self.rotate:
            x, mask = quarter_turns(x, mask, generator)
        elif self.rotate or self.shift or self.zoom:
            x, mask = affine(x, mask, self.rotate, self.shift, self.zoom, generator)
        if self.brightness or self.contrast:
            x = light(x, self.brightness, self.contrast, generator)
        return {**batch, "x": x} if mask is None else {**batch, "x": x, "y": mask}


def uniform(spread: float, x: Tensor, generator: Generator) -> Tensor:
    """A uniform random number between -spread and spread for each sample, ``shape=(batch,)``."""
    return (2 * torch.rand(len(x), generator=generator, device=x.device) - 1) * spread


def flip(x: Tensor, mask: Tensor | None, axes: list[int], generator: Generator) -> tuple[Tensor, Tensor | None]:
    """Mirror each image with probability 0.5 along each of these axes, counted from the last."""
    for axis in axes:
        chosen = torch.rand(len(x), generator=generator, device=x.device) < 0.5
        x = torch.where(chosen.view(-1, *[1] * (x.ndim - 1)), x.flip(axis), x)
        if mask is not None:
            mask = torch.where(chosen.view(-1, *[1] * (mask.ndim - 1)), mask.flip(axis), mask)
    return x, mask


def quarter_turns(x: Tensor, mask: Tensor | None, generator: Generator) -> tuple[Tensor, Tensor | None]:
    """Rotate each cube by 0, 90, 180 or 270 degrees about each of its axes."""
    for plane in ((-1, -2), (-1, -3), (-2, -3)):
        turns = torch.randint(4, (len(x),), generator=generator, device=x.device)
        for count in (1, 2, 3):
            chosen = turns == count
            x = torch.where(chosen.view(-1, *[1] * (x.ndim - 1)), x.rot90(count, plane), x)
            if mask is not None:
                mask = torch.where(chosen.view(-1, *[1] * (mask.ndim - 1)), mask.rot90(count, plane), mask)
    return x, mask


def affine(
    x: Tensor, mask: Tensor | None, rotate: float, shift: float, zoom: float, generator: Generator
) -> tuple[Tensor, Tensor | None]:
    """Rotate, shift and scale images about their centre; the border is replicated outside the image.

    Args:
        x: Raw images, ``shape=(batch, channels, height, width)``.
        mask: Class codes, ``shape=(batch, height, width)``, or None.
        rotate: Largest angle, in degrees.
        shift: Largest shift, as a fraction of height and width.
        zoom: Largest relative change of size: 0.1 is a scale of 0.9 to 1.1.
        generator: Generator of angle, shift and scale of each image.
    """
    height, width = x.shape[2:]
    angle = uniform(rotate, x, generator).deg2rad()
    right, down = uniform(2 * shift, x, generator), uniform(2 * shift, x, generator)
    scale = 1 / (1 + uniform(zoom, x, generator))
    cos, sin, aspect = angle.cos() * scale, angle.sin() * scale, height / width  # in a grid of -1 to 1 on both axes
    rows = [torch.stack([cos, -sin * aspect, right], 1), torch.stack([sin / aspect, cos, down], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    if mask is not None:
        moved = F.grid_sample(mask[:, None].float(), grid, "nearest", "border", align_corners=False)
        mask = moved[:, 0].to(mask.dtype)
    return like(F.grid_sample(x.float(), grid, "bilinear", "border", align_corners=False), x), mask


def light(x: Tensor, brightness: float, contrast: float, generator: Generator) -> Tensor:
    """Multiply raw values by 1 +- brightness, and differences from the mean of the image by 1 +- contrast."""
    one_each = (-1, *[1] * (x.ndim - 1))
    values = x.float() * (1 + uniform(brightness, x, generator)).view(one_each)
    mean = values.flatten(1).mean(1).view(one_each)
    return like(mean + (values - mean) * (1 + uniform(contrast, x, generator)).view(one_each), x)


def like(values: Tensor, x: Tensor) -> Tensor:
    """Convert to the type of the images; uint8 is rounded and clipped to 0 to 255."""
    return values.round().clamp(0, 255).to(torch.uint8) if x.dtype == torch.uint8 else values

"""Images: standardisation of channels, and reading of images from tables."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import budget
from ..errors import InputError, suggest
from ..spec import Modality
from .base import Encoder
from .image_file import read_image
from .kinds import CARDS, READERS, WRITERS, InputLines, as_array, channels_of, layer

VALUES = 1 << 22  # values processed at a time while statistics are fitted

WRITERS["image"] = as_array


@layer("image", "standardised", default=True)
class ImageEncoder(Encoder):
    """Images with each channel standardised over the training images.

    Args:
        modality: Channels and size of the images.

    Shape:
        uint8 or float ``(batch, channels, *spatial) -> (batch, channels, *spatial)``, with two or three spatial axes

    Example:
        >>> layer = ImageEncoder({"kind": "image", "shape": [1, 1, 2], "features": ["image"]})
        >>> layer.fit(torch.tensor([[[[0, 100]]]], dtype=torch.uint8))
        >>> layer(torch.tensor([[[[50, 100]]]], dtype=torch.uint8))
        tensor([[[[0., 1.]]]])
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        channels, *sizes = modality["shape"]
        self.out_shape, self.axis = (channels, *sizes), "pixel" if len(sizes) == 2 else "voxel"
        one_each = (channels, *[1] * len(sizes))
        self.register_buffer("mean", torch.zeros(one_each))
        self.register_buffer("scale", torch.ones(one_each))
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, x: Tensor) -> None:
        """Fit mean and standard deviation of each channel to training images, ``shape=(rows, *shape)``."""
        sums = torch.zeros(2, len(self.mean), dtype=torch.float64)
        first = x[:1].double().flatten(2).mean(2)[0].cpu()  # near the mean, so that squares do not lose digits
        for part in x.split(max(1, VALUES // max(1, x[:1].numel()))):
            values = part.double().cpu().transpose(0, 1).flatten(1) - first[:, None]
            sums += torch.stack([values.sum(1), values.square().sum(1)])
        mean, square = sums / (x.numel() / x.shape[1])
        scale = (square - mean.square()).clamp(min=0).sqrt()
        self.mean.copy_((mean + first).view_as(self.mean))
        self.scale.copy_(torch.where(scale > 1e-9, scale, 1.0).view_as(self.scale))
        self.fitted.fill_(True)

    def example(self, rows: int, seed: int = 0) -> Tensor:
        """Smooth random images about the mean of each channel, ``shape=(rows, *shape)``."""
        coarse = torch.randn(
            rows,
            self.out_shape[0],
            *(max(2, n // 4) for n in self.out_shape[1:]),
            generator=torch.Generator().manual_seed(seed),
        )
        mode = "bilinear" if coarse.ndim == 4 else "trilinear"
        return F.interpolate(coarse, self.out_shape[1:], mode=mode) * self.scale.cpu() + self.mean.cpu()

    def forward(self, x: Tensor) -> Tensor:
        """Standardise."""
        return (x.to(self.mean.dtype) - self.mean) / self.scale

    def inverse(self, encoded: Tensor) -> Tensor:
        """Images in the scale of the training images, float ``(batch, channels, *spatial)``."""
        return encoded * self.scale + self.mean


@READERS.add("image")
def image_to_tensor(frame: pd.DataFrame, modality: Modality, source: str = "the table") -> Tensor:
    """Raw images, uint8 if all of them are, else float32: ``shape=(samples, channels, *spatial)``.

    Args:
        frame: One image per row, in the column that the modality names: an array ``(channels, *spatial)`` (or
            ``(*spatial)`` for one channel), or the path of a file. One channel is repeated if three are expected,
            and three equal channels are reduced to one if one is expected.
        modality: Channels and size, and whether other sizes are scaled.
        source: Name of the table in errors.

    Raises:
        InputError: The column is missing, an image has other channels or another size, a value is missing or infinite,
            or a file cannot be read.
    """
    (column,), shape = modality["features"], tuple(modality["shape"])
    if column not in frame:
        raise InputError(f"{source}: no column {column!r} with the images; {suggest(column, map(str, frame.columns))}")
    width = 4 if any(getattr(cell, "dtype", np.uint8) != np.uint8 for cell in frame[column].head(1)) else 1
    budget.check(
        (2 * width * len(frame) + 8) * math.prod(shape),  # each, then all in one tensor; one while it is scaled
        f"{source}: {len(frame)} images of {in_words(shape)}",
        "lower --data.size, or give a part of the samples",
    )
    images = [
        _image(cell, shape, modality.get("resize", False), f"{source}: sample {name}")
        for name, cell in zip(frame.index, frame[column], strict=True)
    ]
    if not images:
        return torch.empty(0, *shape)
    dtype = torch.uint8 if all(image.dtype == torch.uint8 for image in images) else torch.float32
    return torch.stack([image.to(dtype) for image in images])


@CARDS.add("image")
def image_card(modality: Modality, names: list[str]) -> InputLines:
    """Inputs of a model of images, for its card."""
    sizes = modality["shape"][1:]
    axes = ", ".join(("depth", "height", "width")[-len(sizes) :])
    scaled = "; others are scaled" if modality.get("resize") else ""
    content = f"{channels_of(modality)} and {' x '.join(map(str, sizes))} pixels"
    return InputLines(
        "image",
        f"model.predict(images)  # an array (samples, channels, {axes}), or a list of images or files",
        f"Inputs: images of {content}{scaled}, in the scale of the training images.",
    )


def in_words(shape: Sequence[int]) -> str:
    """Channels and size of an image as text.

    >>> in_words((3, 64, 48))
    '3 channels of 64 x 48 pixels'
    """
    return f"{shape[0]} channel{'s' * (shape[0] != 1)} of {' x '.join(map(str, shape[1:]))} pixels"


def _image(cell: Any, shape: tuple[int, ...], resize: bool, where: str) -> Tensor:
    if isinstance(cell, str | Path):
        where, cell = f"{where} ({cell})", read_image(Path(cell))
    try:
        array = np.asarray(cell)
    except ValueError:  # rows of unequal length
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "uifb":
        raise InputError(f"{where} is not an image of numbers")
    if array.ndim == len(shape) - 1:
        array = array[None]
    if array.ndim != len(shape):
        raise InputError(
            f"{where} has the shape {array.shape}, {shape} is expected: channels first, then {len(shape) - 1} axes"
        )
    array = _with_channels(array, shape, where)
    image = torch.from_numpy(np.array(array, dtype=np.uint8 if array.dtype == np.uint8 else np.float32))
    if image.is_floating_point() and not image.isfinite().all():
        raise InputError(f"{where} has a missing or infinite value; replace it, or leave the image out")
    if image.shape == shape:
        return image
    if not resize:
        raise InputError(f"{where} has {in_words(image.shape)}, {in_words(shape)} are expected; scale or crop it")
    mode = {3: "bilinear", 4: "trilinear"}[image.ndim]
    scaled = F.interpolate(image[None].float(), shape[1:], mode=mode, antialias=image.ndim == 3)[0]
    return scaled.round().clamp(0, 255).to(torch.uint8) if image.dtype == torch.uint8 else scaled


def _with_channels(array: np.ndarray, shape: tuple[int, ...], where: str) -> np.ndarray:
    if len(array) == shape[0]:
        return array
    if shape[0] == 3 and len(array) == 1:
        return np.repeat(array, 3, axis=0)
    if shape[0] == 1 and is_grey(array):
        return array[:1]
    colour = "; convert the colour image to grey" if (len(array), shape[0]) == (3, 1) else ""
    raise InputError(f"{where} has {in_words(array.shape)}, {in_words(shape)} are expected{colour}")


def nearest(mask: Tensor, size: Sequence[int]) -> Tensor:
    """A mask scaled to another size, uint8 ``(*spatial)``: each pixel has the class of the nearest one."""
    if mask.shape == tuple(size):
        return mask
    return F.interpolate(mask[None, None].float(), tuple(size), mode="nearest-exact")[0, 0].to(torch.uint8)


def is_grey(array: np.ndarray) -> bool:
    """True if an image has three equal channels."""
    return len(array) == 3 and bool((array == array[:1]).all())

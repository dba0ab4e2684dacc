"""PCANet: convolution filters from principal component analysis instead of gradient descent."""

from collections.abc import Callable
from math import ceil
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError, check_range
from ..base import MOST_ROWS, MOST_VALUES, Supervised
from ..layers import by
from .cnn import check_images

PATCH_VALUES = 1 << 24  # maximum number of values of patches in memory while filters are fitted
CACHED_VALUES = 1 << 28  # maximum number of values of cached histograms while the head is trained
FLAT = 1e-4  # smaller responses, relative to the scale of the first filter, are rounding errors, as of a flat patch


class PCAFilters(nn.Module):
    """Two stages of PCA filters, binary hashing, and block histograms; `fit` computes the filters, without gradients.

    Args:
        shape: Channels, height and width of the images.
        filters: Number of filters of both stages.
        patch_size: Height and width of the filters.
        block_size: Height and width of the blocks.
        overlap: Share of a block that overlaps with the next one.

    Attributes:
        first: Filters of the first stage, ``shape=(filters, channels, patch_size, patch_size)``.
        second: Filters of the second stage, ``shape=(filters, 1, patch_size, patch_size)``.
        threshold: Response above which a bit of the hash is 1.

    Shape:
        ``(batch, channels, height, width) -> (batch, first filters * blocks * 2^second filters)``
    """

    first: Tensor
    second: Tensor
    threshold: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(
        self, shape: tuple[int, ...], filters: list[int], patch_size: int, block_size: int, overlap: float
    ) -> None:
        super().__init__()
        channels, height, width = shape
        self.register_buffer("first", torch.zeros(filters[0], channels, patch_size, patch_size))
        self.register_buffer("second", torch.zeros(filters[1], 1, patch_size, patch_size))
        self.register_buffer("threshold", torch.tensor(0.0))
        # Not saved, since they follow from the arguments.
        self.register_buffer("rows", _blocks(height, block_size, overlap), False)
        self.register_buffer("columns", _blocks(width, block_size, overlap), False)
        self.bins = 2 ** filters[1]
        self.width = filters[0] * len(self.rows) * len(self.columns) * self.bins

    @torch.no_grad()
    def fit(self, x: Tensor, encode: Callable[[Tensor], Tensor]) -> None:
        """Compute the filters of both stages.

        Args:
            x: Raw training rows.
            encode: Encoding of raw values as images.
        """
        _, channels, height, width = encode(x[:1]).shape
        size = self.first.shape[2] ** 2 * height * width
        parts = x.split(max(1, PATCH_VALUES // (size * channels)))
        self.first.copy_(_components((encode(part) for part in parts), self.first)[0])
        parts = x.split(max(1, PATCH_VALUES // (size * len(self.first))))
        maps = (_convolve(encode(part), self.first).flatten(0, 1)[:, None] for part in parts)
        filters, variance = _components(maps, self.second)
        self.second.copy_(filters)
        self.threshold.copy_(FLAT * variance.sqrt())

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Square roots of the relative frequencies of hash values in each block; a row has Euclidean norm 1."""
        with torch.autocast(x.device.type, enabled=False):  # the sign of a response needs full precision
            hashed = self.hashed(x.to(self.first.dtype))
        blocks = hashed[:, :, self.rows[:, None, :, None], self.columns[None, :, None, :]].flatten(-2).long()
        counts = torch.zeros(*blocks.shape[:-1], self.bins, device=x.device, dtype=self.first.dtype)
        counts.scatter_add_(-1, blocks, counts.new_ones(()).expand(blocks.shape))
        return counts.flatten(1).div_(blocks.shape[-1] * self.width // self.bins).sqrt_()

    def hashed(self, x: Tensor) -> Tensor:
        """Hash of the responses; bit i is filter i of stage 2: int16 ``(batch, first filters, height, width)``."""
        maps = _convolve(x, self.first)
        response = _convolve(maps.flatten(0, 1)[:, None], self.second) > self.threshold
        numbers = torch.zeros_like(maps, dtype=torch.int16)
        for i in range(len(self.second)):
            numbers |= response[:, i].view(maps.shape).to(torch.int16) << i
        return numbers


class PCANet(Supervised):
    """Two-stage PCA network with a linear head (Chan et al. 2015, doi:10.1109/TIP.2015.2475625).

    The filters are the principal components of the patches of the training images, computed once before training; each
    channel of a patch is centred. The maps of the second stage are binarised; their bits form one integer per pixel of
    each map of the first stage, and block histograms of these integers are the features. Only the linear head is
    trained by gradient descent. For Gramian angular fields of heart beats see Zhang et al. 2019,
    doi:10.1109/ACCESS.2019.2955555.

    Args:
        filters: Number of filters of the first and the second stage. Histograms have ``2 ** filters[1]`` bins.
        patch_size: Height and width of the filters, in pixels; an odd number.
        block_size: Height and width of the blocks of the histograms, in pixels.
        overlap: Minimum share of a block that overlaps with the next one; blocks are spaced evenly and cover the image.
        dropout: Dropout rate of the histograms before the head.
        **shared: Arguments of `Supervised` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes)``

    Raises:
        InputError: The samples are not images, there are more filters than components of patches, or blocks are larger
            than images.
    """

    body: PCAFilters

    def __init__(
        self,
        filters: list[int] = [8, 8],  # noqa: B006 (never changed; shown by --help)
        patch_size: int = 7,
        block_size: int = 8,
        overlap: float = 0.0,
        dropout: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_images(self)
        channels, *sizes = self.encode.out_shape
        if len(filters) != 2:
            raise InputError(f"filters must list two numbers, one for each stage: {filters}")
        check_range("patch_size", patch_size, 3)
        if patch_size % 2 == 0:
            raise InputError(f"patch_size must be odd, not {patch_size}")
        for number, (count, depth) in enumerate(zip(filters, (channels, 1), strict=True), 1):
            # A centred patch has one component less per channel; 12 bits are 4096 bins.
            most = depth * (patch_size**2 - 1)
            check_range(f"filters of stage {number}", count, 1, min(most, 12) if number == 2 else most)
        check_range("overlap", overlap, 0, 0.9)
        check_range("dropout", dropout, 0, 1)
        check_range("block_size", block_size, 1)
        if block_size > min(sizes):
            raise InputError(f"images of {by(sizes)} are smaller than block_size {block_size}; lower it")
        self.body = PCAFilters(self.encode.out_shape, filters, patch_size, block_size, overlap)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.body.width, self.target_head.width))
        self.cache: dict[int, Tensor] | None = None

    def on_fit_start(self) -> None:
        """Start caching the outputs of the body, which is constant in training; epochs are then many times faster."""
        self.cache = {}

    def on_fit_end(self) -> None:
        """Discard the cache."""
        self.cache = None

    def embed(self, x: Tensor) -> Tensor:
        """As in `Model`; in training, outputs are cached by the bytes of a sample (augmented samples are not found)."""
        if self.cache is None:
            return super().embed(x)
        keys = [hash(row.tobytes()) for row in x.cpu().numpy()]
        if new := [i for i, key in enumerate(keys) if key not in self.cache]:
            computed = super().embed(x[new])
            found = {**self.cache, **{keys[i]: row for i, row in zip(new, computed, strict=True)}}
            if len(found) * self.body.width <= CACHED_VALUES:
                self.cache = found
        else:
            found = self.cache
        return torch.stack([found[key] for key in keys])

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Supervised`; also computes the filters."""
        super().fit_encoders(x, y)
        self.body.fit(x, self.encode)

    @property
    def rows_at_once(self) -> int:
        """As in `Model`, limited by the size of the histograms."""
        width: int = self.body.width
        return max(1, min(MOST_ROWS, MOST_VALUES // width))


def _convolve(x: Tensor, filters: Tensor) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    maps: Tensor = F.conv2d(x, filters, padding=filters.shape[-1] // 2)
    return maps


def _components(images: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """The leading principal components of all patches, shaped as ``like``, and the variance of the first.

    The sign of a component is arbitrary; its coefficient of largest magnitude is made positive.
    """
    count, channels, size, _ = like.shape
    total = torch.zeros(channels * size**2, dtype=torch.float64, device=like.device)
    products, patches = total[:, None] * total, 0
    for part in images:
        columns = F.unfold(part, size, padding=size // 2)
        total += columns.sum((0, 2))
        products += (columns @ columns.transpose(1, 2)).sum(0)
        patches += columns.shape[0] * columns.shape[2]
    # Centring each patch is a projection, so it can be applied to the covariance.
    centre = torch.eye(size**2, dtype=torch.float64, device=like.device) - 1 / size**2
    centre = torch.block_diag(*[centre] * channels)
    mean = total / patches
    variances, vectors = torch.linalg.eigh(centre @ (products / patches - mean[:, None] * mean) @ centre)
    leading = vectors.flip(1)[:, :count].T
    sign = leading.gather(1, leading.abs().argmax(1, keepdim=True)).sign()
    return (leading * sign).view_as(like), variances[-1]


def _blocks(length: int, size: int, overlap: float) -> Tensor:
    """Pixel positions of each block along one side of the image, ``shape=(blocks, size)``; blocks cover the side."""
    step = max(1, round(size * (1 - overlap)))
    starts = torch.linspace(0, length - size, ceil((length - size) / step) + 1).round().long()
    return starts[:, None] + torch.arange(size)

"""Encoder-decoder networks for semantic segmentation: U-Net and SegNet."""

import math
from collections import OrderedDict
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...errors import InputError, check_choice, check_range
from ...training.segmentation import dice_of_masks
from ...training.tasks.images import masks
from ..base import Batch, Supervised
from ..layers import ACTIVATIONS, LAYERS, Activation

Upsampling = Literal["nearest", "transposed", "unpool"]
UPSAMPLING: tuple[Upsampling, ...] = Upsampling.__args__  # type: ignore[attr-defined]
TRANSPOSED: dict[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
DROPOUT: dict[int, Any] = {2: nn.Dropout2d, 3: nn.Dropout3d}
INSTANCE: dict[int, Any] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


class Unpool(nn.Module):
    """Max unpooling: values return to the positions of the maxima (Zeiler et al. 2011, doi:10.1109/ICCV.2011.6126474).

    All other values are zero.

    Shape:
        ``(batch, channels, *pooled)``, and positions as `torch.nn.MaxPool2d` returns them
        ``-> (batch, channels, *size)``
    """

    def forward(self, x: Tensor, positions: Tensor, size: torch.Size) -> Tensor:
        """As `torch.nn.MaxUnpool2d`, which is not deterministic on GPUs."""
        zeros = x.new_zeros((*x.shape[:2], math.prod(size)))
        return zeros.scatter(2, positions.flatten(2), x.flatten(2)).view(*x.shape[:2], *size)


class Up(nn.Module):
    """Upsampling to twice the size, with fewer channels.

    Args:
        how: ``"nearest"``: each value is repeated; ``"transposed"``: a transposed convolution; ``"unpool"``: max
            unpooling with the positions of the maxima in the encoder.
        below: Number of channels of the smaller map.
        channels: Number of channels of the larger map.
        dimensions: 2 or 3.

    Shape:
        ``(batch, below, *pooled) -> (batch, channels, *size)``; maps are cropped to odd sizes
    """

    def __init__(self, how: Upsampling, below: int, channels: int, dimensions: int) -> None:
        super().__init__()
        if how == "transposed":
            self.convolution = TRANSPOSED[dimensions](below, channels, 2, stride=2)
        else:
            self.convolution = LAYERS[dimensions]["convolution"](below, channels, 1)
        resize = {"nearest": nn.Upsample(scale_factor=2), "transposed": nn.Identity(), "unpool": Unpool()}
        self.resize = resize[how]

    def forward(self, x: Tensor, positions: Tensor, size: torch.Size) -> Tensor:
        """Upsample; ``positions`` are those of the maxima in the encoder."""
        x = self.convolution(x)
        if isinstance(self.resize, Unpool):
            return self.resize(x, positions, size)  # type: ignore[no-any-return]
        return self.resize(x)[(..., *(slice(length) for length in size))]  # type: ignore[no-any-return]


class EncoderDecoder(nn.Module):
    """Encoder of convolution blocks, each at half the size of the previous one, and a mirrored decoder.

    Args:
        channels: Number of channels of the encoded image.
        dimensions: 2 or 3.
        filters: Number of filters of each level.
        upsampling: Upsampling of the decoder, see `Up`.
        skip_connections: Concatenate the encoder's map of the same size to the input of each block of the decoder.
        dropout: Dropout rate of the deepest maps.
        **block: Arguments of `_block`.

    Shape:
        ``(batch, channels, *spatial) -> (batch, filters[0], *spatial)``
    """

    def __init__(
        self,
        channels: int,
        dimensions: int,
        filters: list[int],
        upsampling: Upsampling,
        skip_connections: bool,
        dropout: float,
        **block: Any,
    ) -> None:
        super().__init__()
        self.levels, self.skip_connections = range(1, len(filters)), skip_connections
        for level, count in zip(self.levels, filters, strict=False):
            self.add_module(f"encoder{level}", _block(channels, count, dimensions, **block))
            self.add_module(f"pool{level}", LAYERS[dimensions]["max"](2, ceil_mode=True, return_indices=True))
            channels = count
        self.bottleneck = _block(channels, filters[-1], dimensions, **block)
        self.bottleneck.add_module("dropout", DROPOUT[dimensions](dropout))
        for level in reversed(self.levels):
            below, count = filters[level], filters[level - 1]
            self.add_module(f"up{level}", Up(upsampling, below, count, dimensions))
            self.add_module(f"decoder{level}", _block((1 + skip_connections) * count, count, dimensions, **block))

    def encoded(self, x: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The deepest map ``(batch, filters[-1], *smallest)``; map and positions of the maxima of each level."""
        levels = []
        for level in self.levels:
            large = self.get_submodule(f"encoder{level}")(x)
            x, positions = self.get_submodule(f"pool{level}")(large)
            levels.append((large, positions))
        return self.bottleneck(x), levels

    def forward(self, x: Tensor) -> Tensor:
        """Encode, then decode."""
        x, levels = self.encoded(x)
        for level in reversed(self.levels):
            same, positions = levels[level - 1]
            x = self.get_submodule(f"up{level}")(x, positions, same.shape[2:])
            x = self.get_submodule(f"decoder{level}")(torch.cat([same, x], 1) if self.skip_connections else x)
        return x


def _block(
    channels: int, filters: int, dimensions: int, kernel_size: int, normalisation: str, activation: str
) -> nn.Sequential:
    """Two convolutions that keep the size of the map."""
    kinds, layers = LAYERS[dimensions], OrderedDict[str, nn.Module]()
    for number, below in enumerate([channels, filters], 1):
        layers[f"convolution{number}"] = kinds["convolution"](below, filters, kernel_size, padding="same")
        if normalisation != "none":
            norm = kinds["norm"](filters) if normalisation == "batch" else INSTANCE[dimensions](filters, affine=True)
            layers[f"norm{number}"] = norm
        layers[f"{activation}{number}"] = ACTIVATIONS[activation]()
    return nn.Sequential(layers)


class Segmenter(Supervised):
    """Semantic segmentation of images in two or three dimensions: a class for each pixel.

    With skip connections and ``nearest`` or ``transposed`` it is a U-Net (Ronneberger et al. 2015, arXiv:1505.04597; in
    three dimensions Cicek et al. 2016, arXiv:1606.06650); without them and with ``unpool`` a SegNet (Badrinarayanan et
    al. 2017, doi:10.1109/TPAMI.2016.2644615). Images may have any size: half of an odd size is rounded up, and the
    decoder crops its maps accordingly.

    Args:
        filters: Number of filters of each level, from the full size of the image down; each level halves the size.
        kernel_size: Height and width (and depth) of the filters, in pixels.
        upsampling: Upsampling of the decoder: ``nearest`` (values are repeated), ``transposed`` (a transposed
            convolution) or ``unpool`` (max unpooling).
        skip_connections: Concatenate the encoder's map of the same size to the input of each block of the decoder.
        normalisation: none or batch, after each convolution.
        activation: sigmoid, tanh, relu, leaky_relu, elu, selu or gelu.
        dropout: Dropout rate of the deepest maps.
        loss: ``"auto"`` or ``dice_cross_entropy``, ``dice``, ``cross_entropy`` or ``focal``.
        **shared: Arguments of `Supervised` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes, *spatial)``

    Raises:
        InputError: The samples are not images, the target is not a mask, or there are fewer than two levels.
    """

    body: EncoderDecoder
    target_kinds = ("segmentation",)

    def __init__(
        self,
        filters: list[int] = [16, 32, 64],  # noqa: B006 (never changed; shown by --help)
        kernel_size: int = 3,
        upsampling: Upsampling = "nearest",
        skip_connections: bool = True,
        normalisation: Literal["none", "batch"] = "batch",
        activation: Activation = "relu",
        dropout: float = 0.0,
        loss: str = "auto",
        **shared: Any,
    ) -> None:
        super().__init__(loss=loss, **shared)
        check_choice("activation", activation, ACTIVATIONS)
        check_choice("normalisation", normalisation, ["none", "batch"])
        check_choice("upsampling", upsampling, UPSAMPLING)
        check_range("dropout", dropout, 0, 1)
        check_range("kernel_size", kernel_size, 1)
        if len(filters) < 2 or min(filters) < 1:
            raise InputError(f"filters must list one positive number for each of two or more levels: {filters}")
        shape = self.encode.out_shape
        if len(shape) not in (3, 4):
            raise InputError(f"Segmenter takes images; a sample of these data has shape {shape}")
        self.body = EncoderDecoder(
            *(shape[0], len(shape) - 1, filters, upsampling, skip_connections, dropout),
            kernel_size=kernel_size,
            normalisation=normalisation,
            activation=activation,
        )
        self.head = LAYERS[len(shape) - 1]["convolution"](filters[0], self.target_head.width, 1)

    def embed(self, x: Tensor) -> Tensor:
        """Mean of each of the deepest maps: ``(batch, *shape) -> (batch, filters[-1])``."""
        return self.body.encoded(self.encode(x))[0].flatten(2).mean(2)

    def forward(self, x: Tensor) -> Tensor:
        """Raw values to one map per class; for two classes, one map of the log-odds of the foreground."""
        return self.head(self.body(self.encode(x)))  # type: ignore[no-any-return]

    def masks(self, output: Tensor) -> Tensor:
        """Code of the most probable class from raw outputs: ``(batch, *spatial)``, uint8."""
        return masks(output)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Store loss and Dice of each image, but not its maps."""
        output, classes = self(batch["x"]), len(self.target["classes"])
        dice = dice_of_masks(self.masks(output), batch["y"], classes)
        self.target_head.outputs.update(self.target_head.loss(output, batch["y"]), dice)

    def log_epoch(self, split: str) -> None:
        """Log the loss and the mean Dice over images and foreground classes."""
        loss, dice = self.target_head.outputs.take()
        self.log_scores(split, loss.mean(), dice=dice.nanmean())

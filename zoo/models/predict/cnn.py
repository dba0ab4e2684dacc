"""Convolutional networks for images in two and three dimensions."""

from collections import OrderedDict
from math import prod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ...errors import InputError, check_choice, check_range
from ...spec import modality_of
from ..base import Supervised
from ..layers import ACTIVATIONS, LAYERS, Activation, Convolution, by


class Convolutional(Supervised, abstract=True):
    """Blocks of convolution, normalisation, activation and pooling, then dense layers.

    Args:
        filters: Number of filters of each convolution.
        kernel_sizes: Height and width (and depth) of the filters of each convolution, in pixels.
        strides: Stride of each convolution, in pixels; 1 by default.
        padding: ``"same"`` pads maps with zeros, so that a convolution of stride 1 keeps their size; ``"valid"`` does
            not pad.
        normalisation: none or batch (Ioffe and Szegedy 2015, arXiv:1502.03167), after each convolution.
        activation: sigmoid, tanh, relu, leaky_relu, elu, selu or gelu.
        pooling: Maximum or average pooling of neighbouring pixels.
        pool_sizes: Height and width of the pooling window after each convolution; 2 by default, 1 for no pooling.
        global_pooling: Pool each final map to its maximum or average, independent of position; with ``"none"`` maps are
            flattened and positions matter.
        hidden: Width of each dense layer before the output.
        dropout: Dropout rate before each dense layer and the output.
        **shared: Arguments of `Supervised` and `Model`.

    Raises:
        InputError: The samples are not images or too small for the network, or lists differ in length.
    """

    dimensions: ClassVar[int]

    def __init__(
        self,
        filters: list[int] = [16, 32, 64],  # noqa: B006 (never changed; shown by --help)
        kernel_sizes: list[int] = [3, 3, 3],  # noqa: B006
        strides: list[int] | None = None,
        padding: Literal["same", "valid"] = "same",
        normalisation: Literal["none", "batch"] = "none",
        activation: Activation = "relu",
        pooling: Literal["max", "average"] = "max",
        pool_sizes: list[int] | None = None,
        global_pooling: Literal["none", "max", "average"] = "none",
        hidden: list[int] = [],  # noqa: B006
        dropout: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_choice("activation", activation, ACTIVATIONS)
        check_choice("padding", padding, ["same", "valid"])
        check_choice("normalisation", normalisation, ["none", "batch"])
        check_choice("pooling", pooling, ["max", "average"])
        check_choice("global_pooling", global_pooling, ["none", "max", "average"])
        check_range("dropout", dropout, 0, 1)
        strides, pool_sizes = strides or [1] * len(filters), pool_sizes or [2] * len(filters)
        for name, values in {"kernel_sizes": kernel_sizes, "strides": strides, "pool_sizes": pool_sizes}.items():
            if len(values) != len(filters) or not filters:
                raise InputError(f"{name} must list one number for each of the {len(filters)} convolutions: {values}")
            check_range(f"each of {name}", min(values), 1)
        check_range("number of filters", min(filters), 1)
        for width in hidden:
            check_range("hidden width", width, 1)
        if padding == "same" and (even := [size for size in kernel_sizes if size % 2 == 0]):
            raise InputError(f"padding 'same' needs odd kernel_sizes, not {even[0]}; or choose padding 'valid'")
        check_images(self, self.dimensions)
        kinds = LAYERS[self.dimensions]
        channels, *sizes = self.encode.out_shape
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (count, size, stride, pool) in enumerate(
            zip(filters, kernel_sizes, strides, pool_sizes, strict=True), 1
        ):
            pad = size // 2 if padding == "same" else 0
            if min(sizes) < (needed := size - 2 * pad + stride * (pool - 1)):
                raise InputError(
                    f"images of {by(self.encode.out_shape[1:])} are too small: convolution {number} gets {by(sizes)}, "
                    f"needs {by([needed] * len(sizes))}; lower kernel_sizes, strides or pool_sizes"
                )
            layers[f"convolution{number}"] = kinds["convolution"](channels, count, size, stride, pad)
            if normalisation == "batch":
                layers[f"norm{number}"] = kinds["norm"](count)
            layers[f"{activation}{number}"] = ACTIVATIONS[activation]()
            if pool > 1:
                layers[f"pool{number}"] = kinds[pooling](pool)
            channels, sizes = count, [((n + 2 * pad - size) // stride + 1) // pool for n in sizes]
        if global_pooling != "none":
            layers["pool"] = kinds[f"global {global_pooling}"](1)
            sizes = [1] * len(sizes)
        layers["flatten"] = nn.Flatten()
        below = channels * prod(sizes)
        for number, width in enumerate(hidden, 1):
            if dropout:
                layers[f"dropout{number}"] = nn.Dropout(dropout)
            layers[f"linear{number}"] = nn.Linear(below, width)
            layers[f"dense_{activation}{number}"] = ACTIVATIONS[activation]()
            below = width
        self.body = nn.Sequential(layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(below, self.target_head.width))

    @property
    def last_convolution(self) -> Convolution:
        """The last convolution, with the coarsest map, ``(batch, filters, *spatial)``, for Grad-CAM."""
        return [layer for layer in self.body.modules() if isinstance(layer, Convolution)][-1]


def check_images(model: Supervised, dimensions: int = 2) -> None:
    """Raise an `InputError` unless the encoded samples of a model are images."""
    modality, shape = modality_of(model.spec), model.encode.out_shape
    if len(shape) == dimensions + 1:
        return
    axes = "height, width" if dimensions == 2 else "depth, height, width"
    series = ", or series with encoding {layer: gramian}" if dimensions == 2 else ""
    raise InputError(
        f"{type(model).__name__} takes images of shape (channels, {axes}){series}; a sample of these data "
        f"({modality['kind']}) has shape ({', '.join(map(str, shape))})"
    )


class CNN2D(Convolutional):
    """Convolutional network for images (LeCun et al. 1998, doi:10.1109/5.726791).

    The images may be Gramian angular fields of series: ``encoding: {layer: gramian, size: 64}``.

    Args:
        **shared: Arguments of `Convolutional`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes)``
    """

    dimensions = 2

    def embed(self, x: Tensor) -> Tensor:
        """As in `Model`, in the channels-last memory format, which is faster for convolutions."""
        return self.body(self.encode(x).contiguous(memory_format=torch.channels_last))  # type: ignore[no-any-return]


class CNN3D(Convolutional):
    """Convolutional network for volumes (Ji et al. 2013, doi:10.1109/TPAMI.2012.59).

    Args:
        **shared: Arguments of `Convolutional`.

    Shape:
        ``(batch, channels, depth, height, width) -> (batch, 1 or classes)``
    """

    dimensions = 3

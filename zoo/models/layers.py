"""Layers that several families of models share."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..errors import check_choice, check_range

Convolution = nn.Conv2d | nn.Conv3d


class _OneValue(nn.modules.batchnorm._BatchNorm):
    """Normalises a single value per channel with the running statistics, as `zoo.models.layers.BatchNorm` does."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


class BatchNorm2d(_OneValue, nn.BatchNorm2d):
    """Batch normalisation that also takes a batch of one image with a map of one pixel, which has no variance.

    Such a batch is normalised with the running statistics.
    """


class BatchNorm3d(_OneValue, nn.BatchNorm3d):
    """`BatchNorm2d` in three dimensions."""


LAYERS: dict[int, dict[str, Any]] = {  # by the number of spatial dimensions
    2: {
        "convolution": nn.Conv2d,
        "norm": BatchNorm2d,
        "max": nn.MaxPool2d,
        "average": nn.AvgPool2d,
        "global max": nn.AdaptiveMaxPool2d,
        "global average": nn.AdaptiveAvgPool2d,
    },
    3: {
        "convolution": nn.Conv3d,
        "norm": BatchNorm3d,
        "max": nn.MaxPool3d,
        "average": nn.AvgPool3d,
        "global max": nn.AdaptiveMaxPool3d,
        "global average": nn.AdaptiveAvgPool3d,
    },
}


def by(sizes: Iterable[int]) -> str:
    """Sizes as text, such as ``"28 x 28"``."""
    return " x ".join(map(str, sizes))


Normalisation = Literal["none", "batch", "layer"]
Activation = Literal["sigmoid", "tanh", "relu", "leaky_relu", "elu", "maxout", "selu", "gelu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
}


class Maxout(nn.Module):
    """Largest of two linear functions (Goodfellow et al. 2013, arXiv:1302.4389).

    Shape:
        ``(batch, 2 * width) -> (batch, width)``
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maximum over the pieces."""
        return torch.maximum(*x.chunk(2, 1))


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that normalises a training batch of one row with its running statistics.

    The layer of torch raises an error for one row, which has no variance; the last batch of an epoch may be one row.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, width) -> (batch, width)``."""
        if self.training and len(x) == 1:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


def dense_layers(
    sizes: list[int], activation: Activation, normalisation: Normalisation, dropout: float
) -> nn.Sequential:
    """Linear layers, each followed by normalisation, activation and dropout.

    Args:
        sizes: Width of the input, then of each layer.
        activation: See `MLP`.
        normalisation: See `MLP`.
        dropout: See `MLP`.

    Shape:
        ``(batch, sizes[0]) -> (batch, sizes[-1])``

    Raises:
        InputError: An option is unknown, or a number is out of range.
    """
    check_choice("activation", activation, [*ACTIVATIONS, "maxout"])
    check_choice("normalisation", normalisation, ["none", "batch", "layer"])
    check_range("dropout", dropout, 0, 1)
    for width in sizes[1:]:
        check_range("hidden width", width, 1)
    layers = nn.Sequential()
    for number, (below, above) in enumerate(pairwise(sizes), 1):
        layers.add_module(f"linear{number}", nn.Linear(below, above * (2 if activation == "maxout" else 1)))
        if activation == "maxout":
            layers.add_module(f"maxout{number}", Maxout())
        if normalisation != "none":
            layers.add_module(f"norm{number}", (BatchNorm if normalisation == "batch" else nn.LayerNorm)(above))
        if activation != "maxout":
            layers.add_module(f"{activation}{number}", ACTIVATIONS[activation]())
        if dropout:
            layers.add_module(f"dropout{number}", (nn.AlphaDropout if activation == "selu" else nn.Dropout)(dropout))
    return layers


def normal_weights(model: nn.Module) -> None:
    """Initialise linear layers for SELU: normal weights with variance 1 / inputs."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

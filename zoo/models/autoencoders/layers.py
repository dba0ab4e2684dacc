"""Encoder and decoder networks of autoencoders; the decoder mirrors the encoder."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError, check_choice, check_range
from ..layers import ACTIVATIONS, BatchNorm, BatchNorm2d, BatchNorm3d, Normalisation

Activation = Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu"]
Network = Literal["auto", "mlp", "convolutional"]
CODER_ACTIVATIONS: dict[str, type[nn.Module]] = {"linear": nn.Identity, **ACTIVATIONS}
CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}  # by the number of spatial axes
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
NORMS = {0: BatchNorm, 1: BatchNorm, 2: BatchNorm2d, 3: BatchNorm3d}


class TiedLinear(nn.Module):
    """A linear layer with the transposed weights of another layer and a bias of its own.

    Shape:
        ``(batch, outputs of the other layer) -> (batch, inputs of the other layer)``
    """

    def __init__(self, other: nn.Linear) -> None:
        super().__init__()
        self.other = (other,)  # in a tuple, so that its weights are not counted and saved twice
        self.bias = nn.Parameter(other.weight.new_zeros(other.in_features))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the transposed weights."""
        return F.linear(x, self.other[0].weight.T, self.bias)


class TiedConvolution(nn.Module):
    """A transposed convolution with the weights of a convolution and a bias of its own.

    Shape:
        ``(batch, filters, *smaller) -> (batch, channels, *larger)``
    """

    def __init__(self, other: Any, extra: list[int]) -> None:
        super().__init__()
        self.other, self.extra = (other,), extra
        self.bias = nn.Parameter(other.weight.new_zeros(other.in_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the transposed convolution."""
        other = self.other[0]
        transpose = TRANSPOSE[len(self.extra)]
        return transpose(x, other.weight, self.bias, other.stride, other.padding, self.extra)


class Coder:
    """Builds encoder and decoder for samples of one shape.

    With ``"convolutional"``, each convolution of stride 2 halves length, height, width and depth; the dense layers
    follow. ``"mlp"`` flattens. The decoder has the same layers in reverse order, with an activation after each but the
    last, and no dropout.

    Args:
        shape: Shape of an encoded sample without covariates: ``(values,)`` or ``(channels, *spatial)``.
        covariates: Number of covariates, which are concatenated to the flattened values and to the latent coordinates.
        network: ``"auto"`` is convolutional for samples with channels.
        hidden: Width of each dense layer.
        filters: Number of filters of each convolution.
        kernel_size: Size of the filters; odd.
        activation: linear, sigmoid, tanh, relu, leaky_relu, elu, selu or gelu.
        normalisation: none, batch or layer (dense layers only), before the activation.
        dropout: Dropout rate before each dense layer of the encoder.

    Raises:
        InputError: An option is invalid.
    """

    def __init__(
        self,
        shape: Sequence[int],
        covariates: int,
        network: Network,
        hidden: list[int],
        filters: list[int],
        kernel_size: int,
        activation: Activation,
        normalisation: Normalisation,
        dropout: float,
    ) -> None:
        check_choice("network", network, ["auto", "mlp", "convolutional"])
        check_choice("activation", activation, CODER_ACTIVATIONS)
        check_choice("normalisation", normalisation, ["none", "batch", "layer"])
        check_range("dropout", dropout, 0, 1)
        check_range("kernel_size", kernel_size, 1)
        for width in [*hidden, *filters]:
            check_range("hidden width and number of filters", width, 1)
        self.shape, self.covariates, self.hidden = tuple(shape), covariates, hidden
        self.activation, self.normalisation, self.dropout = activation, normalisation, dropout
        self.axes = 0 if network == "mlp" else len(shape) - 1
        if network == "convolutional" and self.axes == 0:
            raise InputError("network 'convolutional' needs series, sequences or images; for a table use mlp")
        if self.axes and kernel_size % 2 == 0:
            raise InputError(f"kernel_size must be odd, not {kernel_size}")
        if self.axes and normalisation == "layer":
            raise InputError("normalisation 'layer' is for dense layers; use batch, or network mlp")
        self.filters, self.kernel_size = filters if self.axes else [], kernel_size
        sizes = [list(self.shape[1:])]
        for _ in self.filters:
            sizes.append([(size + 1) // 2 for size in sizes[-1]])
        self.sizes = sizes  # spatial sizes before each convolution and after the last one
        self.flat = [self.filters[-1], *sizes[-1]] if self.filters else list(self.shape)

    def encoder(self) -> nn.Sequential:
        """``(batch, *shape) -> (batch, self.width)``; covariates are appended to flat values by the caller."""
        body = nn.Sequential()
        channels = self.shape[0]
        for number, count in enumerate(self.filters, 1):
            convolution = CONVOLUTIONS[self.axes](channels, count, self.kernel_size, 2, self.kernel_size // 2)
            body.add_module(f"convolution{number}", convolution)
            self._after(body, f"c{number}", count, self.axes)
            channels = count
        if len(self.shape) > 1:
            body.add_module("flatten", nn.Flatten())
        below = prod(self.flat) + self.covariates
        for number, width in enumerate(self.hidden, 1):
            if self.dropout:
                body.add_module(f"dropout{number}", nn.Dropout(self.dropout))
            body.add_module(f"linear{number}", nn.Linear(below, width))
            self._after(body, str(number), width, 0)
            below = width
        self.width = below
        return body

    def decoder(self, latent: int, maps: int = 1, tied_to: nn.Sequential | None = None) -> nn.Sequential:
        """``(batch, latent + covariates) -> (batch, maps * shape[0], *shape[1:])``.

        Args:
            latent: Width of the latent space.
            maps: Outputs per value.
            tied_to: An encoder with its latent layer as last layer, whose weights are used transposed.
        """
        linears = _reversed(tied_to, nn.Linear)
        convolutions = _reversed(tied_to, tuple(CONVOLUTIONS.values()))
        body = nn.Sequential()
        below = latent + self.covariates
        end = prod(self.flat) if self.filters else maps * prod(self.shape)
        for number, width in enumerate([*self.hidden[::-1], end], 1):
            body.add_module(f"linear{number}", TiedLinear(next(linears)) if tied_to else nn.Linear(below, width))
            if number <= len(self.hidden):
                self._after(body, str(number), width, 0)
            elif self.filters and self.activation != "linear":
                body.add_module(f"{self.activation}{number}", CODER_ACTIVATIONS[self.activation]())
            below = width
        if len(self.shape) > 1:
            unflat = self.flat if self.filters else [maps * self.shape[0], *self.shape[1:]]
            body.add_module("unflatten", nn.Unflatten(1, tuple(unflat)))
        targets = [*self.filters[-2::-1], maps * self.shape[0]] if self.filters else []
        channels = self.flat[0]
        for number, count in enumerate(targets, 1):
            # An encoder rounds half sizes up; this restores whether the larger size was even or odd.
            extra = [2 * small - large for small, large in zip(*self.sizes[-number : -number - 2 : -1], strict=True)]
            extra = [1 - odd for odd in extra]
            half = self.kernel_size // 2
            body.add_module(
                f"transposed{number}",
                TiedConvolution(next(convolutions), extra)
                if tied_to
                else TRANSPOSED[self.axes](channels, count, self.kernel_size, 2, half, tuple(extra)),  # type: ignore[arg-type]
            )
            if number < len(targets):
                self._after(body, f"t{number}", count, self.axes)
            channels = count
        return body

    def _after(self, body: nn.Sequential, number: str, width: int, axes: int) -> None:
        if self.normalisation != "none":
            norm = NORMS[axes](width) if self.normalisation == "batch" else nn.LayerNorm(width)
            body.add_module(f"norm{number}", norm)
        if self.activation != "linear":
            body.add_module(f"{self.activation}{number}", CODER_ACTIVATIONS[self.activation]())


def _reversed(body: nn.Sequential | None, kinds: Any) -> Iterator[Any]:
    return iter([layer for layer in body if isinstance(layer, kinds)][::-1] if body is not None else [])

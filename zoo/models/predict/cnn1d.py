"""One-dimensional convolutional network."""

from collections import OrderedDict
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...encode.one_hot import OneHotDNA
from ...errors import InputError, check_choice, check_range
from ...spec import modality_of
from ..base import Supervised
from ..layers import ACTIVATIONS, Activation, BatchNorm

Pooling = Literal["max", "average", "both"]


class FirstConvolution(nn.Conv1d):
    """`torch.nn.Conv1d` computed as one matrix product, which is faster on a CPU for few channels.

    Each window of the input becomes a row, which is multiplied with all filters at once. The weights are those of
    `Conv1d`, and so is the output up to rounding.

    Shape:
        ``(batch, channels, length) -> (batch, filters, length - dilation * (width - 1))``
    """

    def forward(self, x: Tensor) -> Tensor:
        """As `Conv1d`."""
        if x.device.type != "cpu" or x.dtype != self.weight.dtype or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        (width,), (dilation,) = self.kernel_size, self.dilation
        windows = x.unfold(2, dilation * (width - 1) + 1, 1)[..., ::dilation]  # (batch, channels, positions, width)
        rows = windows.permute(0, 2, 3, 1).flatten(2)
        return nn.functional.linear(rows, self.weight.permute(0, 2, 1).flatten(1), self.bias).transpose(1, 2)


class Exponential(nn.Module):
    """exp(x); first-layer filters then resemble motifs (Koo and Ploenzke 2021, doi:10.1038/s42256-020-00291-x)."""

    def forward(self, x: Tensor) -> Tensor:
        """exp(x)."""
        return x.exp()


class MaxAndAverage(nn.Module):
    """Maximum and average pooling, concatenated.

    Args:
        width: Width of the pooling window; None pools all positions.

    Shape:
        ``(batch, channels, length) -> (batch, 2 * channels, length // width)``
    """

    def __init__(self, width: int | None = None) -> None:
        super().__init__()
        self.maximum = nn.AdaptiveMaxPool1d(1) if width is None else nn.MaxPool1d(width)
        self.average = nn.AdaptiveAvgPool1d(1) if width is None else nn.AvgPool1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate both kinds of pooling."""
        return torch.cat([self.maximum(x), self.average(x)], 1)


class BothStrands(nn.Module):
    """Apply a network to one-hot DNA and to its reverse complement, with shared weights.

    Args:
        network: From one-hot DNA to a latent space.
        how: ``"average"`` of both outputs (Siamese; Zhou et al. 2022, doi:10.1038/s42256-022-00445-9), or ``"shared"``:
            their element-wise maximum, as in DeepBind (Alipanahi et al. 2015, doi:10.1038/nbt.3300).

    Shape:
        ``(batch, 4, length) -> (batch, latent)``, the same for a sequence and its reverse complement
    """

    def __init__(self, network: nn.Sequential, how: Literal["average", "shared"]) -> None:
        super().__init__()
        self.network, self.how = network, how

    def forward(self, x: Tensor) -> Tensor:
        """Combine both strands; reversing the channels A, C, G, T complements the bases."""
        both = self.network(torch.cat([x, x.flip(1, 2)]))
        forward, reverse = both.chunk(2)
        return (forward + reverse) / 2 if self.how == "average" else torch.maximum(forward, reverse)


class CNN1D(Supervised):
    """Convolutional network for sequences and series (Zou et al. 2019, doi:10.1038/s41588-018-0295-5).

    On one-hot DNA the filters of the first convolution are motif detectors, see `zoo.explain.filter_motifs`.

    Args:
        filters: Number of filters of each convolution.
        widths: Width of the filters of each convolution, in positions.
        dilations: Dilation of each convolution; 1 by default.
        activation: sigmoid, tanh, relu, leaky_relu, elu, selu or gelu.
        first_activation: Activation of the first convolution: ``exponential``, or one of the others; by default the
            same as ``activation``.
        pooling: Pooling by maximum, by average, or both.
        pool_widths: Width of the pooling window after each convolution; 1 (no pooling) by default.
        global_pooling: Pool all remaining positions, so that the position of a motif does not matter; if false, they
            are flattened and positions matter.
        hidden: Width of each dense layer before the output.
        dropout: Dropout rate before each dense layer and the output.
        normalisation: none or batch, after each convolution.
        reverse_complement: Apply the network to both strands of DNA with shared weights: ``average`` or ``shared`` (the
            element-wise maximum); none by default.
        **shared: Arguments of `Supervised` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes)``

    Raises:
        InputError: Lists differ in length, or sequences are too short for the convolutions.
    """

    def __init__(
        self,
        filters: list[int] = [32],  # noqa: B006 (never changed; shown by --help)
        widths: list[int] = [12],  # noqa: B006
        dilations: list[int] | None = None,
        activation: Activation = "relu",
        first_activation: Activation | Literal["exponential"] | None = None,
        pooling: Pooling = "max",
        pool_widths: list[int] | None = None,
        global_pooling: bool = True,
        hidden: list[int] = [],  # noqa: B006
        dropout: float = 0.0,
        normalisation: Literal["none", "batch"] = "none",
        reverse_complement: Literal["none", "average", "shared"] = "none",
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        activations = {**ACTIVATIONS, "exponential": Exponential}
        check_choice("activation", activation, ACTIVATIONS)
        check_choice("first_activation", first_activation or activation, activations)
        check_choice("pooling", pooling, ["max", "average", "both"])
        check_choice("normalisation", normalisation, ["none", "batch"])
        check_choice("reverse_complement", reverse_complement, ["none", "average", "shared"])
        check_range("dropout", dropout, 0, 1)
        dilations, pool_widths = dilations or [1] * len(filters), pool_widths or [1] * len(filters)
        for name, values in {"widths": widths, "dilations": dilations, "pool_widths": pool_widths}.items():
            if len(values) != len(filters) or not filters:
                raise InputError(f"{name} must list one number for each of the {len(filters)} convolutions: {values}")
            check_range(f"each of {name}", min(values), 1)
        check_range("number of filters", min(filters), 1)
        if len(shape := self.encode.out_shape) != 2:
            raise InputError(
                f"{type(self).__name__} takes encoded samples of shape (channels, positions), such as sequences and "
                f"series; a sample of these data ({modality_of(self.spec)['kind']}) has shape {shape}"
            )
        channels, length = shape
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (count, width, dilation, pool) in enumerate(
            zip(filters, widths, dilations, pool_widths, strict=True), 1
        ):
            if length < (span := dilation * (width - 1) + 1) or length - span + 1 < pool:
                raise InputError(
                    f"sequences of {self.encode.out_shape[1]} are too short: convolution {number} gets {length}, needs "
                    f"{span + pool - 1}; lower widths, dilations or pool_widths"
                )
            kind = FirstConvolution if number == 1 else nn.Conv1d
            layers[f"convolution{number}"] = kind(channels, count, width, dilation=dilation)
            if normalisation == "batch":
                layers[f"norm{number}"] = BatchNorm(count)
            name = (first_activation or activation) if number == 1 else activation
            layers[f"{name}{number}"] = activations[name]()
            channels, length = count, length - span + 1
            if pool > 1:
                layers[f"pool{number}"] = _pool(pooling, pool)
                channels, length = channels * (2 if pooling == "both" else 1), length // pool
        if global_pooling:
            layers["pool"] = _pool(pooling, None)
            channels, length = channels * (2 if pooling == "both" else 1), 1
        layers["flatten"] = nn.Flatten()
        below = channels * length
        for number, width in enumerate(hidden, 1):
            if dropout:
                layers[f"dropout{number}"] = nn.Dropout(dropout)
            layers[f"linear{number}"] = nn.Linear(below, width)
            layers[f"dense_{activation}{number}"] = ACTIVATIONS[activation]()
            below = width
        network = nn.Sequential(layers)
        if reverse_complement != "none" and not (isinstance(self.encode, OneHotDNA) and self.encode.out_shape[0] == 4):
            raise InputError("reverse_complement needs DNA with the one-hot encoding")
        self.body = network if reverse_complement == "none" else BothStrands(network, reverse_complement)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(below, self.target_head.width))

    @property
    def first_convolution(self) -> nn.Conv1d:
        """The first convolution, on the encoded sequence; its ``weight`` is ``(filters, channels, width)``."""
        return next(layer for layer in self.body.modules() if isinstance(layer, nn.Conv1d))


def _pool(how: Pooling, width: int | None) -> nn.Module:
    if how == "both":
        return MaxAndAverage(width)
    if width is None:
        return nn.AdaptiveMaxPool1d(1) if how == "max" else nn.AdaptiveAvgPool1d(1)
    return nn.MaxPool1d(width) if how == "max" else nn.AvgPool1d(width)

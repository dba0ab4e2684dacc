"""Multilayer perceptron."""

from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..errors import check_choice, check_range
from ..spec import output_width
from .supervised import Supervised

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
    """Batch normalisation that lets a training batch of one row through with its running statistics.

    One row has no variance, and torch's own layer stops there; the last batch of an epoch often is one row.
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
    """Linear layers, each with normalisation, activation and dropout, from the first width to the last.

    Args:
        sizes: Width of the input, then of each layer.
        activation: See `MLP`.
        normalisation: See `MLP`.
        dropout: See `MLP`.

    Shape:
        ``(batch, sizes[0]) -> (batch, sizes[-1])``

    Raises:
        InputError: An unknown name, or a number out of its range.
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
    """Initial weights that SELU needs: normal, with variance 1 / inputs."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)


class MLP(Supervised):
    """Multilayer perceptron: linear layers with an activation between (Rumelhart et al. 1986, doi:10.1038/323533a0).

    The output is one linear unit for a number, ONE logistic unit for two classes, a softmax for three or more.

    Args:
        hidden: Width of each hidden layer. None at all makes it a linear or a logistic regression.
        activation: sigmoid, tanh, relu, leaky_relu, elu, maxout, selu (with its own initial weights and dropout,
            Klambauer et al. 2017, arXiv:1706.02515) or gelu.
        dropout: Share of hidden units silenced in each training step (Srivastava et al. 2014).
        normalisation: none, batch (Ioffe and Szegedy 2015, arXiv:1502.03167) or layer (Ba et al. 2016,
            arXiv:1607.06450), before the activation.
        **shared: Arguments of `Supervised` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes)``; a sequence is flattened
    """

    def __init__(
        self,
        hidden: list[int] = [64, 32],  # noqa: B006 (never changed; shown by --help)
        activation: Activation = "relu",
        dropout: float = 0.0,
        normalisation: Normalisation = "none",
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        sizes = [self.encode.out_features, *hidden]
        self.body = nn.Sequential()
        if len(self.encode.out_shape) > 1:
            self.body.add_module("flatten", nn.Flatten())
        for name, layer in dense_layers(sizes, activation, normalisation, dropout).named_children():
            self.body.add_module(name, layer)
        self.head = nn.Linear(sizes[-1], output_width(self.target))
        if activation == "selu":
            normal_weights(self)

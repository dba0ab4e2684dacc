"""Multilayer perceptron."""

from typing import Any

from torch import nn

from ..base import Supervised
from ..layers import Activation, Normalisation, dense_layers, normal_weights


class MLP(Supervised):
    """Multilayer perceptron: linear layers with activations in between (Rumelhart et al. 1986, doi:10.1038/323533a0).

    The output is one linear unit for a continuous target, one logistic unit for two classes, and a softmax for three or
    more classes.

    Args:
        hidden: Width of each hidden layer. An empty list gives a linear or a logistic regression.
        activation: sigmoid, tanh, relu, leaky_relu, elu, maxout, selu (with its own initialisation and alpha dropout,
            Klambauer et al. 2017, arXiv:1706.02515) or gelu.
        dropout: Dropout rate of hidden units (Srivastava et al. 2014).
        normalisation: none, batch (Ioffe and Szegedy 2015, arXiv:1502.03167) or layer (Ba et al. 2016,
            arXiv:1607.06450), before the activation.
        **shared: Arguments of `Supervised` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes)``; sequences, series and images are flattened
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
        self.head = nn.Linear(sizes[-1], self.target_head.width)
        if activation == "selu":
            normal_weights(self)

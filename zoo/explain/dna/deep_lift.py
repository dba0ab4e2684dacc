"""Rewrite networks into an equivalent form for which captum's DeepLIFT is exact.

DeepLIFT passes a sequence and its reference through a network together, and replaces the gradient of each non-linear
layer by the slope between the two (the rescale rule). captum's implementation is exact under four conditions, which the
networks of the zoo do not meet without changes:

- Each type of non-linear layer has a rule; global pooling and some activations have none.
- The reference is in the second half of the batch; this fails where both strands are processed in one batch.
- No layer is used twice.
- The input of a non-linear layer is used by no other layer, and is not the output of another non-linear layer. captum
  changes the gradient of that input: too late for the layer below (pooling after an activation), and for all layers
  that use the input (maximum and average pooling in parallel).
"""

import copy
import warnings

import torch
from torch import Tensor, nn

from ...models.predict.cnn1d import BothStrands, Exponential, MaxAndAverage


class _Copy(nn.Module):
    """Copies the input of a non-linear layer, so that captum changes no other gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


class _Logarithm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.log()


class LogOdds(nn.Module):
    """`zoo.explain.dna.mutagenesis.log_odds` of three or more classes, layer by layer.

    Shape:
        raw outputs ``(batch, classes) -> (batch, classes)``
    """

    def __init__(self) -> None:
        super().__init__()
        self.exponential = nn.Sequential(_Copy(), Exponential())
        self.logarithm = _Logarithm()

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds of each class."""
        x = x - x.mean(1, keepdim=True)  # leaves the odds unchanged, and avoids overflow of the exponentials
        others = 1 - torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        return x - self.logarithm(self.exponential(x) @ others)  # type: ignore[no-any-return]


class _Strands(nn.Module):
    """`BothStrands` with a separate copy of the network for each strand."""

    def __init__(self, strands: BothStrands, x: Tensor) -> None:
        super().__init__()
        self.this, self.other = prepared(strands.network, x), prepared(strands.network, x)
        self.larger = nn.MaxPool1d(2) if strands.how == "shared" else None

    def forward(self, x: Tensor) -> Tensor:
        both = torch.stack([self.this(x), self.other(x.flip(1, 2))], 2)
        return both.mean(2) if self.larger is None else self.larger(both).squeeze(2)


def prepared(network: nn.Module, x: Tensor) -> nn.Module:
    """A copy of a network that meets the conditions of this module and has the same output.

    Args:
        network: In evaluation mode; not changed.
        x: An input, ``shape=(1, channels, length)``.
    """
    if isinstance(network, BothStrands):
        return _Strands(network, x)
    if isinstance(network, nn.Sequential):
        layers = []
        for layer in network:
            layers.append(prepared(layer, x))
            x = layer(x)
        return nn.Sequential(*layers)
    if isinstance(network, nn.AdaptiveMaxPool1d):
        return nn.Sequential(_Copy(), nn.MaxPool1d(x.shape[2]))
    new = copy.deepcopy(network)
    if isinstance(new, MaxAndAverage):
        new.add_module("maximum", prepared(new.maximum, x))
    return nn.Sequential(_Copy(), new)


KNOWN = (  # need no rule: linear in evaluation mode, or containers whose layers are checked separately
    nn.Linear,
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.dropout._DropoutNd,
    nn.Identity,
    nn.Flatten,
    nn.Unflatten,
    nn.Sequential,
    MaxAndAverage,
    LogOdds,
    _Copy,
    _Strands,
)


def without_rule(network: nn.Module, x: Tensor) -> list[str]:
    """Types of the layers of a network that are neither linear nor have a DeepLIFT rule in captum.

    Args:
        network: In evaluation mode; not changed.
        x: An input, ``shape=(1, channels, length)``.
    """
    with torch.no_grad():
        ready = prepared(network, x)
    return sorted({type(layer).__name__ for layer in ready.modules() if not isinstance(layer, (*KNOWN, *_rules()))})


def _rules() -> tuple[type[nn.Module], ...]:
    """Types of non-linear layers with a rule in captum, after adding those of the zoo to captum's table."""
    from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR, nonlinear

    for kind in (Exponential, _Logarithm, nn.GELU, nn.SELU):
        SUPPORTED_NON_LINEAR.setdefault(kind, nonlinear)
    return tuple(SUPPORTED_NON_LINEAR)


def multipliers(network: nn.Module, x: Tensor, references: Tensor, columns: Tensor) -> Tensor:
    """DeepLIFT multipliers by the rescale rule (Shrikumar et al. 2017, arXiv:1704.02685), by captum.

    Args:
        network: From one-hot sequences to outputs, in evaluation mode; not changed.
        x: One-hot sequences, ``shape=(batch, 4, length)``.
        references: One for each sequence, the same shape.
        columns: Index of the explained output of each sequence, ``shape=(batch,)``.

    Returns:
        ``shape=(batch, 4, length)``. Multiplied by ``x - references`` they sum to the difference of the outputs.
    """
    from captum.attr import DeepLift

    _rules()
    with torch.no_grad():
        ready = prepared(network, x[:1])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*(Setting forward|did not already require)", UserWarning)
        found: Tensor = DeepLift(ready, multiply_by_inputs=False).attribute(x, references, columns)
    return found.detach()

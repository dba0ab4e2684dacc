"""Networks in a form in which captum's DeepLIFT is exact.

DeepLIFT passes a sequence and its reference through a network side by side, and gives each non-linear layer the slope
between the two in place of its gradient (the rescale rule). captum does it under four conditions that networks of the
zoo do not meet as they are:

- It has a rule for the layer, found by its type; not for pools of all positions, nor for some activations.
- The reference is in the other half of the batch; not so where both strands are read in one batch.
- No layer is used twice.
- The input of a non-linear layer goes nowhere else, and is not itself the output of one: captum changes the gradient of
  that input, too late for the layer below (as in a pool after an activation) and for all that it enters (as in a
  maximum beside an average).
"""

import copy
import warnings

import torch
from torch import Tensor, nn

from ...models.predict.cnn1d import BothStrands, Exponential, MaxAndAverage


class _Copy(nn.Module):
    """Before a non-linear layer, so that captum changes the gradient of nothing else."""

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
        """Log-odds."""
        x = x - x.mean(1, keepdim=True)  # changes no odds, and keeps exponentials small
        others = 1 - torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        return x - self.logarithm(self.exponential(x) @ others)  # type: ignore[no-any-return]


class _Strands(nn.Module):
    """`BothStrands` with a copy of the network for each."""

    def __init__(self, strands: BothStrands, x: Tensor) -> None:
        super().__init__()
        self.this, self.other = prepared(strands.network, x), prepared(strands.network, x)
        self.larger = nn.MaxPool1d(2) if strands.how == "shared" else None

    def forward(self, x: Tensor) -> Tensor:
        both = torch.stack([self.this(x), self.other(x.flip(1, 2))], 2)
        return both.mean(2) if self.larger is None else self.larger(both).squeeze(2)


def prepared(network: nn.Module, x: Tensor) -> nn.Module:
    """A copy of a network that meets the conditions above and has the same output.

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


KNOWN = (  # need no rule: linear in evaluation mode, or made of layers that are looked at one by one
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
    """Kinds of layers of a network that DeepLIFT has no rule for: neither linear, nor such that captum knows them.

    Args:
        network: In evaluation mode; not changed.
        x: An input, ``shape=(1, channels, length)``.
    """
    with torch.no_grad():
        ready = prepared(network, x)
    return sorted({type(layer).__name__ for layer in ready.modules() if not isinstance(layer, (*KNOWN, *_rules()))})


def _rules() -> tuple[type[nn.Module], ...]:
    """Kinds of non-linear layers that captum has a rule for, with those of the zoo, which it is given here."""
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
        columns: Output that is meant for each sequence, ``shape=(batch,)``.

    Returns:
        ``shape=(batch, 4, length)``. Times ``x - references`` they sum to the difference of the outputs.
    """
    from captum.attr import DeepLift

    _rules()
    with torch.no_grad():
        ready = prepared(network, x[:1])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*(Setting forward|did not already require)", UserWarning)
        found: Tensor = DeepLift(ready, multiply_by_inputs=False).attribute(x, references, columns)
    return found.detach()

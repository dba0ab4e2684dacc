"""Networks in the form in which captum's DeepLIFT is exact.

DeepLIFT passes a sequence and its reference through the network side by side and gives each non-linear layer the slope
between the two as its gradient (the rescale rule). captum knows the layers that have such a rule by their type, and
finds the reference in the second half of the batch; hence pools of all positions, both strands read in one batch, and
log-odds of more than two classes are written here with the layers that captum knows.
"""

import copy
import warnings

import torch
from torch import Tensor, nn

from ..models.cnn1d import BothStrands, Exponential, MaxAndAverage


class _Logarithm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.log()


class _LogOdds(nn.Module):
    """Log-odds of each class from raw outputs of more than two, step by step: ``(batch, classes)``."""

    def __init__(self) -> None:
        super().__init__()
        self.exponential, self.logarithm = Exponential(), _Logarithm()

    def forward(self, x: Tensor) -> Tensor:
        x = x - x.mean(1, keepdim=True)  # changes no odds, and keeps exponentials small
        others = 1 - torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        return x - self.logarithm(self.exponential(x) @ others)


class _Strands(nn.Module):
    """`BothStrands` with a copy of the network for each strand, for in a batch of both captum finds no reference."""

    def __init__(self, strands: BothStrands, x: Tensor) -> None:
        super().__init__()
        self.this, self.other = prepared(strands.network, x), prepared(strands.network, x)
        self.larger = nn.MaxPool1d(2) if strands.how == "shared" else None

    def forward(self, x: Tensor) -> Tensor:
        both = torch.stack([self.this(x), self.other(x.flip(1, 2))], 2)
        return both.mean(2) if self.larger is None else self.larger(both).squeeze(2)


def prepared(network: nn.Module, x: Tensor) -> nn.Module:
    """A copy of a network with layers that captum has a rule for.

    Args:
        network: In evaluation mode; not changed.
        x: An input, ``shape=(1, channels, length)``.

    Returns:
        A network with the same output.
    """
    if isinstance(network, BothStrands):
        return _Strands(network, x)
    if isinstance(network, nn.Sequential):
        layers = []
        for layer in network:
            layers.append(prepared(layer, x))
            x = layer(x)
        return nn.Sequential(*layers)
    new = copy.deepcopy(network)
    if isinstance(new, nn.AdaptiveMaxPool1d):
        return nn.MaxPool1d(x.shape[2])
    if isinstance(new, MaxAndAverage):
        new.maximum = prepared(new.maximum, x)
    return new


def multipliers(network: nn.Module, x: Tensor, references: Tensor, columns: Tensor, log_odds: bool) -> Tensor:
    """DeepLIFT multipliers by the rescale rule (Shrikumar et al. 2017, arXiv:1704.02685).

    Args:
        network: From one-hot sequences to raw outputs, in evaluation mode.
        x: One-hot sequences, ``shape=(batch, 4, length)``.
        references: One for each sequence, the same shape.
        columns: Output that is meant for each sequence, ``shape=(batch,)``.
        log_odds: The raw outputs are those of three or more classes, and their log-odds are meant.

    Returns:
        ``shape=(batch, 4, length)``. Times ``x - references`` they sum to the difference of the outputs.
    """
    from captum.attr import DeepLift
    from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR, nonlinear

    for kind in (Exponential, _Logarithm, nn.GELU, nn.SELU):
        SUPPORTED_NON_LINEAR.setdefault(kind, nonlinear)
    with torch.no_grad():
        steps = [prepared(network, x[:1]), *([_LogOdds()] if log_odds else [])]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting forward, backward hooks", UserWarning)
        found: Tensor = DeepLift(nn.Sequential(*steps), multiply_by_inputs=False).attribute(x, references, columns)
    return found.detach()

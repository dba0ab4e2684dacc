"""Losses by name, one value a row, so that rows can carry weights.

Shapes: ``output`` is ``(batch, 1)`` for a number and for two classes (one logistic unit), ``(batch, classes)`` for
more; ``y`` is ``(batch,)``, float for a number and integer class codes otherwise. Every loss returns ``(batch,)``.
Those of masks are in `zoo.training.segmentation`, those of survival in `zoo.training.survival`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError, suggest
from ..spec import TargetKind
from . import segmentation, survival


def mean_squared_error(output: Tensor, y: Tensor) -> Tensor:
    """(output - y)^2."""
    return F.mse_loss(output.squeeze(1), y, reduction="none")


def mean_absolute_error(output: Tensor, y: Tensor) -> Tensor:
    """|output - y|."""
    return F.l1_loss(output.squeeze(1), y, reduction="none")


def huber(output: Tensor, y: Tensor) -> Tensor:
    """Squared within 1 of the truth, linear beyond (Huber 1964, doi:10.1214/aoms/1177703732)."""
    return F.huber_loss(output.squeeze(1), y, reduction="none")


def binary_cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    """Of one logistic unit; ``output`` is the log-odds of the positive class."""
    return F.binary_cross_entropy_with_logits(output.squeeze(1), y.to(output.dtype), reduction="none")


def categorical_cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    """Of a softmax over the classes."""
    return F.cross_entropy(output, y, reduction="none")


def focal(output: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy times (1 - p)^2, p the probability of the truth (Lin et al. 2017, arXiv:1708.02002, gamma 2)."""
    entropy = binary_cross_entropy(output, y) if output.shape[1] == 1 else categorical_cross_entropy(output, y)
    return (1 - torch.exp(-entropy)).square() * entropy


Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[TargetKind, dict[str, Loss]] = {  # the first of each is the default
    "binary": {"bce": binary_cross_entropy, "focal": focal},
    "multiclass": {"cce": categorical_cross_entropy, "focal": focal},
    "regression": {"mse": mean_squared_error, "mae": mean_absolute_error, "huber": huber},
    "survival": {"efron": survival.efron, "breslow": survival.breslow},
    "segmentation": segmentation.LOSSES,
}


def loss_function(name: str, kind: TargetKind) -> Loss:
    """Loss by name; ``"auto"`` is the usual one of this kind of target.

    Raises:
        InputError: This kind of target has no such loss.
    """
    choices = LOSSES[kind]
    if name == "auto":
        return next(iter(choices.values()))
    if name not in choices:
        raise InputError(f"loss {name!r} does not fit a {kind} target; {suggest(name, choices)}")
    return choices[name]

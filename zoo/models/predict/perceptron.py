"""The perceptron: one threshold logic unit."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...errors import check_choice
from ...training.optimisers import OptimizerName
from ...training.tasks import TargetHead
from ..base import Supervised


class StepHead(TargetHead):
    """The head of a `Perceptron`: its loss stands for a learning rule, and its "probabilities" are 0 and 1."""

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """The learning rule, see `Perceptron.rule_as_loss`."""
        rows: Tensor = self.owner.rule_as_loss(output, y)
        return rows

    def predict_from(self, output: Tensor) -> Tensor:
        """0 or 1 for each class: ``(batch, 1) -> (batch, 2)``."""
        positive = (output >= 0).to(output.dtype)
        return torch.cat([1 - positive, positive], 1)


class Perceptron(Supervised):
    """One threshold logic unit: the class is the side of a hyperplane on which a sample lies.

    With z = w.x + b, the output is step(z). The perceptron rule (Rosenblatt 1958, doi:10.1037/h0042519) changes the
    weights only for misclassified samples, ``w += lr * (y - step(z)) * x``; the delta rule (Widrow and Hoff 1960)
    changes them for each sample in proportion to its error, ``w += lr * (y - z) * x`` with y = -1 or 1. Both are
    implemented as a loss whose negative gradient is the update, so that plain gradient descent (SGD without momentum)
    applies the rule, sample by sample with ``batch_size: 1`` as in the papers.

    The output is not graded: the "probabilities" are 0 and 1, and the ROC curve has a single corner.

    Args:
        step: ``heaviside``: classes are 0 and 1; ``sign``: they are -1 and 1.
        rule: ``perceptron`` or ``delta``.
        optimizer: ``sgd`` for the rules as published.
        lr: Learning rate.
        momentum: 0 for the rules as published.
        weight_decay: 0 for the rules as published.
        **shared: Arguments of `Supervised` and `Model`.

    Shape:
        ``(batch, features) -> (batch, 1)``: z, before the step

    Raises:
        InputError: The target does not have two classes.
    """

    head_class, target_kinds = StepHead, ("binary",)

    def __init__(
        self,
        step: Literal["heaviside", "sign"] = "heaviside",
        rule: Literal["perceptron", "delta"] = "perceptron",
        optimizer: OptimizerName = "sgd",
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, lr=lr, momentum=momentum, weight_decay=weight_decay, **shared)
        check_choice("step", step, ["heaviside", "sign"])
        check_choice("rule", rule, ["perceptron", "delta"])
        self.low, self.rule = (0.0 if step == "heaviside" else -1.0), rule
        self.body = nn.Flatten() if len(self.encode.out_shape) > 1 else nn.Identity()
        self.head = nn.Linear(self.encode.out_features, 1)

    def step(self, z: Tensor) -> Tensor:
        """1 for z >= 0, else 0 (Heaviside) or -1 (sign)."""
        return torch.where(z >= 0, 1.0, self.low)

    def rule_as_loss(self, output: Tensor, y: Tensor) -> Tensor:
        """One value per row, whose negative gradient with respect to the weights is the learning rule."""
        z = output.squeeze(1)
        if self.rule == "delta":
            return (torch.where(y > 0, 1.0, -1.0) - z).square() / 2
        return (self.step(z.detach()) - torch.where(y > 0, 1.0, self.low)) * z

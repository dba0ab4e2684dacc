"""One target of a model: from the raw outputs of its head to a loss and to predictions."""

from typing import Any

import pandas as pd
from torch import Tensor, nn

from ...errors import check_range
from ...spec import Target
from ..outputs import Outputs
from .base import TASKS


class TargetHead:
    """What a model does with one of its targets; a model is composed of one or more.

    It is no module: the weights of the head, what it knows of the training targets and the outputs of an epoch belong
    to a module that owns it, the model itself or an `ExtraTarget`.

    Args:
        owner: Module with the attribute ``head``, from the latent space to raw outputs.
        target: What is predicted.
        loss: Name of the loss, see the task; ``"auto"`` is the usual one.
        name: Of an extra target; "" of the first.
        weight: What its loss is multiplied by.

    Attributes:
        task: The kind of target, see `zoo.training.tasks`.
        loss_of_rows: Raw outputs and targets to one value a row.
        column: Of a batch, where its targets are.
        prefix: Of the names of the owner's buffers in the ``state_dict`` of the model.

    Raises:
        InputError: This kind of target has no such loss.
    """

    def __init__(self, owner: Any, target: Target, loss: str = "auto", name: str = "", weight: float = 1.0) -> None:
        check_range("target weight", weight, 0)
        self.owner, self.target, self.name, self.weight = owner, target, name, weight
        self.task, self.column = TASKS[target["kind"]], f"y {name}" if name else "y"
        self.prefix = f"further.{name}." if name else ""
        self.loss_of_rows = self.task.loss(loss)
        for key, value in self.task.buffers().items():
            owner.register_buffer(key, value)
        owner.outputs = Outputs()

    @property
    def network(self) -> nn.Module:
        """From the latent space to raw outputs."""
        network: nn.Module = self.owner.head
        return network

    @property
    def mean(self) -> Tensor:
        """What is added to a raw output: the mean of the training targets, of survival minus the mean log hazard."""
        mean: Tensor = self.owner.y_mean
        return mean

    @property
    def scale(self) -> Tensor:
        """What a raw output is multiplied by before: the standard deviation of continuous training targets, or 1."""
        scale: Tensor = self.owner.y_scale
        return scale

    @property
    def outputs(self) -> Outputs:
        """What was kept of an epoch."""
        outputs: Outputs = self.owner.outputs
        return outputs

    @property
    def width(self) -> int:
        """Width of the raw outputs."""
        return self.task.width(self.target)

    def fit(self, y: Tensor) -> None:
        """Learn from training targets what the task needs to know of them."""
        self.task.fit(self, y)

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """One value a row."""
        return self.loss_of_rows(output, self.task.standardised(self, y))

    def predict_from(self, output: Tensor) -> Tensor:
        """What raw outputs mean: probabilities ``(rows, classes)``, values or risks ``(rows,)``."""
        return self.task.predict_from(self, output)

    def prediction_frame(self, output: Tensor, index: pd.Index) -> pd.DataFrame:
        """Raw outputs as users read them, one row a sample."""
        return self.task.prediction_frame(self, output.to(self.mean.device), index)

    def headline_value(self, output: Tensor, y: Tensor) -> float:
        """The headline metric of raw outputs."""
        return self.task.headline_value(self.predict_from(output), y, self.target)


class ExtraTarget(nn.Module):
    """Weights and buffers of an extra target.

    Args:
        name: What it is called.
        target: What it is, and the weight of its loss.
        head: From the latent space to raw outputs.
    """

    def __init__(self, name: str, target: Target, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.target_head = TargetHead(self, target, name=name, weight=target.get("weight", 1.0))

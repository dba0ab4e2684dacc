"""One target of a model: from the raw outputs of its head to a loss and to predictions."""

from typing import Any

import pandas as pd
from torch import Tensor, nn

from ...errors import check_range
from ...spec import Target
from ..outputs import Outputs
from .base import TASKS


class TargetHead:
    """Loss and predictions of one target; a model is composed of one or more target heads.

    It is not a module: the weights of the head, the statistics of the training targets and the outputs of an epoch
    belong to the module that owns it, which is the model itself or an `ExtraTarget`.

    Args:
        owner: Module with the attribute ``head``, from the latent space to raw outputs.
        target: Description of the target.
        loss: Name of the loss, see the task; ``"auto"`` is its default.
        name: Name of an extra target; "" for the first target.
        weight: Weight of the loss.

    Attributes:
        task: The task of the target, see `zoo.training.tasks`.
        loss_of_rows: Raw outputs and targets to one value per row.
        column: Key of the target in a batch.
        prefix: Prefix of the owner's buffers in the ``state_dict`` of the model.

    Raises:
        InputError: The loss is unknown for this kind of target.
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
        """Offset of raw outputs: the mean of continuous training targets; for survival minus the mean log hazard."""
        mean: Tensor = self.owner.y_mean
        return mean

    @property
    def scale(self) -> Tensor:
        """Scale of raw outputs: the standard deviation of continuous training targets, else 1."""
        scale: Tensor = self.owner.y_scale
        return scale

    @property
    def outputs(self) -> Outputs:
        """Stored outputs of the epoch."""
        outputs: Outputs = self.owner.outputs
        return outputs

    @property
    def width(self) -> int:
        """Width of the raw outputs."""
        return self.task.width(self.target)

    def fit(self, y: Tensor) -> None:
        """Fit the statistics of the training targets that the task needs."""
        self.task.fit(self, y)

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Loss of each row."""
        return self.loss_of_rows(output, self.task.standardised(self, y))

    def predict_from(self, output: Tensor) -> Tensor:
        """Predictions from raw outputs: probabilities ``(rows, classes)``, values or risks ``(rows,)``."""
        return self.task.predict_from(self, output)

    def prediction_frame(self, output: Tensor, index: pd.Index) -> pd.DataFrame:
        """Predictions from raw outputs as a table, one row per sample."""
        return self.task.prediction_frame(self, output.to(self.mean.device), index)

    def headline_value(self, output: Tensor, y: Tensor) -> float:
        """Value of the headline metric for raw outputs."""
        return self.task.headline_value(self.predict_from(output), y, self.target)


class ExtraTarget(nn.Module):
    """Module with the weights and buffers of an extra target.

    Args:
        name: Name of the target.
        target: Description of the target, with the weight of its loss.
        head: From the latent space to raw outputs.
    """

    def __init__(self, name: str, target: Target, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.target_head = TargetHead(self, target, name=name, weight=target.get("weight", 1.0))

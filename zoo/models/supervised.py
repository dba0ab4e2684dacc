"""Models that predict a target: losses, metrics and predictions shared by models of classes, numbers and survival."""

from typing import Any, ClassVar

from torch import Tensor, nn

from ..errors import InputError, suggest
from ..spec import HEADLINE, modality_of
from ..training.metrics import Outputs, headline
from .base import Batch, Model
from .predicting import Predicting


class Supervised(Predicting, Model, abstract=True):
    """A model of a class, a number, or the risk of an event (survival): ``head(embed(x))``.

    A number is learnt in standard units, (y - mean) / standard deviation of the training rows, so that learning rates
    and losses mean the same whatever its unit; `answer` and `predict` give it back in its own. Of survival the output
    is a log hazard ratio, and the loss Cox's partial likelihood: samples of a batch are compared with each other, so
    that batches should hold some events.

    Args:
        loss: ``"auto"`` (the usual one), or for two classes ``bce`` or ``focal``, for more ``cce`` or ``focal``, for a
            number ``mse``, ``mae`` or ``huber``, for survival ``efron`` or ``breslow`` (how equal times are handled).
        **shared: Arguments of `Model`.
    """

    head: nn.Module
    several_targets: ClassVar[bool] = False

    def __init__(self, loss: str = "auto", **shared: Any) -> None:
        super().__init__(**shared)
        if self.target["kind"] == "none":
            columns = modality_of(self.spec).get("features", [])
            raise InputError(
                f"{type(self).__name__}: which column is to be predicted? Give --data.target; {suggest('', columns)}"
            )
        if self.spec.get("also") and not self.several_targets:
            raise InputError(f"{type(self).__name__} predicts one target; leave out data.also, or use MultiModal")
        if self.target.get("unlabelled") and not self.several_targets:
            raise InputError(f"{type(self).__name__} needs a target for each sample; leave out data.unlabelled")
        self.set_target(loss)
        self.outputs = Outputs()

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`; a number also gives its mean and standard deviation."""
        super().fit_encoders(x, y)
        if y is not None:
            self.fit_target(y)

    @property
    def task(self) -> str:
        """The kind of target."""
        return self.target["kind"]

    @property
    def network(self) -> nn.Sequential:
        """From encoded values to raw outputs, as a plain module: ``model.network(model.encode(x))``.

        For DNA it takes one-hot ``(batch, 4, length)``, the layout of captum and tangermeme.
        """
        return nn.Sequential(self.body, self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Raw values to raw outputs: ``(batch, *shape) -> (batch, 1 or classes)``."""
        return self.head(self.embed(x))  # type: ignore[no-any-return]

    def loss(self, batch: Batch) -> Tensor:
        """Mean loss of the rows, weighted where the batch carries ``weight``."""
        rows = self.loss_of_rows(self(batch["x"]), self.standardised(batch["y"]))
        return (rows * batch["weight"]).mean() if "weight" in batch else rows.mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the outputs; metrics are computed once, on the whole epoch."""
        self.outputs.update(self(batch["x"]), batch["y"])

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """As in validation."""
        self.validation_step(batch, batch_idx)

    def summarise(self, x: Tensor) -> Tensor:
        """Raw outputs."""
        return self(x)  # type: ignore[no-any-return]

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the headline metric of the validation rows."""
        self._log_epoch("validation")

    def on_test_epoch_end(self) -> None:
        """Log the loss and the headline metric of the test rows."""
        self._log_epoch("test")

    def _log_epoch(self, split: str) -> None:
        output, y = self.outputs.compute()
        self.outputs.reset()
        kind = self.target["kind"]
        loss = self.loss_of_rows(output, self.standardised(y)).mean()
        if split == "validation":
            self.stop_if_not_finite(split, loss)
        self.log(f"{split}_loss", loss, sync_dist=True)
        self.log(f"{split}_{HEADLINE[kind]}", headline(self.answer(output), y, self.target), sync_dist=True)

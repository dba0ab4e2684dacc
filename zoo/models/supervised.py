"""Models that predict a target: losses, metrics and predictions shared by classifiers and regressors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ..encode import to_tensor
from ..spec import only_modality
from ..training.losses import loss_function
from ..training.metrics import HEADLINE, Outputs, headline, probabilities
from .base import Batch, Model


class Supervised(Model, abstract=True):
    """A model of a class or a number: ``head(embed(x))``.

    A number is learnt in standard units, (y - mean) / standard deviation of the training rows, so that learning rates
    and losses mean the same whatever its unit; `answer` and `predict` give it back in its own.

    Args:
        loss: ``"auto"`` (the usual one), or for two classes ``bce`` or ``focal``, for more ``cce`` or ``focal``, for a
            number ``mse``, ``mae`` or ``huber``.
        **shared: Arguments of `Model`.
    """

    head: nn.Module
    y_mean: Tensor
    y_scale: Tensor

    def __init__(self, loss: str = "auto", **shared: Any) -> None:
        super().__init__(**shared)
        self.target = self.spec["target"]
        self.loss_of_rows = loss_function(loss, self.target["kind"])
        self.outputs = Outputs()
        self.register_buffer("y_mean", torch.tensor(0.0))
        self.register_buffer("y_scale", torch.tensor(1.0))

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`; a number also gives its mean and standard deviation."""
        super().fit_encoders(x, y)
        if y is not None and self.target["kind"] == "regression":
            self.y_mean.copy_(y.mean())
            self.y_scale.copy_(y.std(correction=0) if len(y) > 1 and y.std() > 0 else torch.tensor(1.0))

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

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Raw outputs of a batch."""
        return self(batch["x"])  # type: ignore[no-any-return]

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

    def standardised(self, y: Tensor) -> Tensor:
        """Numbers in standard units; class codes as they are."""
        return (y - self.y_mean) / self.y_scale if self.target["kind"] == "regression" else y

    def answer(self, output: Tensor) -> Tensor:
        """Raw outputs as probabilities ``(batch, classes)``, or as numbers ``(batch,)``."""
        if self.target["kind"] == "regression":
            return output.squeeze(1) * self.y_scale + self.y_mean
        return probabilities(output, self.target)

    def table(self, output: Tensor, index: pd.Index) -> pd.DataFrame:
        """Raw outputs as users read them: one probability column a class, and the prediction."""
        answer = self.answer(output.to(self.device)).float().cpu().numpy()
        if self.target["kind"] == "regression":
            return pd.DataFrame({"prediction": answer}, index=index)
        classes = self.target["classes"]
        frame = pd.DataFrame(answer, index=index, columns=[f"probability_{name}" for name in classes])
        frame["prediction"] = [classes[code] for code in answer.argmax(1)]
        return frame

    @torch.inference_mode()
    def predict(self, frame: pd.DataFrame | Sequence[Any] | np.ndarray) -> pd.DataFrame:
        """Predict the samples of a raw table, or raw sequences, series or images.

        Args:
            frame: One sample a row, columns found by name in any order; more columns than needed are ignored. A model
                of sequences, series or images also takes a list or an array of them.

        Returns:
            One row a sample, named by the id column of the training table if there is one, else by the index:
            ``probability_CLASS`` for each class, and ``prediction`` (a number comes in ``target["unit"]``). Of masks,
            ``mask``, the class code of each pixel, and ``share_CLASS``, the share of the pixels of each class.

        Raises:
            InputError: A feature that the model needs is absent, or a value cannot be used.
        """
        modality = only_modality(self.spec)
        if not isinstance(frame, pd.DataFrame):
            frame = pd.DataFrame({modality["features"][0]: list(frame)}, index=pd.RangeIndex(1, len(frame) + 1))
        x = to_tensor(frame, modality)
        training, _ = self.training, self.eval()
        name = self.spec["id"]
        index = pd.Index(frame[name], name=name) if name and name in frame else frame.index
        parts = torch.arange(len(x)).split(self.rows_at_once)
        tables = [self.table(self(x[rows].to(self.device)), index[rows.numpy()]) for rows in parts]
        self.train(training)
        return pd.concat(tables)

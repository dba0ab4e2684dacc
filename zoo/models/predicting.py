"""What all models that predict a class or a number share: the loss, the units of the target, and the answer."""

import pandas as pd
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from ..spec import Target
from ..training.losses import loss_function
from ..training.metrics import probabilities


class Predicting(LightningModule):
    """Raw outputs of a head as a loss and as an answer.

    A number is learnt in standard units, (y - mean) / standard deviation of the training rows, so that learning rates
    and losses mean the same whatever its unit; `answer` and `table` give it back in its own.
    """

    target: Target
    y_mean: Tensor
    y_scale: Tensor

    def set_target(self, loss: str) -> None:
        """Choose the loss of each row and make room for the units of a number; see `zoo.training.losses`."""
        self.loss_of_rows = loss_function(loss, self.target["kind"])
        self.register_buffer("y_mean", torch.tensor(0.0))
        self.register_buffer("y_scale", torch.tensor(1.0))

    def fit_target(self, y: Tensor) -> None:
        """Learn mean and standard deviation of a number from training rows, ``shape=(rows,)``; NaN is left out."""
        if self.target["kind"] == "regression":
            y = y[y.isfinite()]
            self.y_mean.copy_(y.mean())
            self.y_scale.copy_(y.std(correction=0) if len(y) > 1 and y.std() > 0 else torch.tensor(1.0))

    def standardised(self, y: Tensor) -> Tensor:
        """Numbers in standard units; class codes as they are."""
        return (y - self.y_mean) / self.y_scale if self.target["kind"] == "regression" else y

    def answer(self, output: Tensor) -> Tensor:
        """Raw outputs as probabilities ``(batch, classes)``, or as numbers ``(batch,)``."""
        if self.target["kind"] == "regression":
            return output.squeeze(1) * self.y_scale + self.y_mean
        return probabilities(output, self.target)

    def table(self, summary: Tensor, index: pd.Index) -> pd.DataFrame:
        """Raw outputs as users read them: one probability column a class, and the prediction."""
        answer = self.answer(summary.to(self.device)).float().cpu().numpy()
        if self.target["kind"] == "regression":
            return pd.DataFrame({"prediction": answer}, index=index)
        classes = self.target["classes"]
        frame = pd.DataFrame(answer, index=index, columns=[f"probability_{name}" for name in classes])
        frame["prediction"] = [classes[code] for code in answer.argmax(1)]
        return frame

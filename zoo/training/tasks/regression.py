"""Regression: continuous targets, standardised over the training rows."""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import torchmetrics.functional as M
from torch import Tensor
from torchmetrics.functional.regression import r2_score, spearman_corrcoef

from ...spec import Target
from ...tables.values import numbers
from .base import Task
from .head import TargetHead


def mean_squared_error(output: Tensor, y: Tensor) -> Tensor:
    """(output - y)^2, ``(batch, 1), (batch,) -> (batch,)``."""
    return F.mse_loss(output.squeeze(1), y, reduction="none")


def mean_absolute_error(output: Tensor, y: Tensor) -> Tensor:
    """|output - y|."""
    return F.l1_loss(output.squeeze(1), y, reduction="none")


def huber(output: Tensor, y: Tensor) -> Tensor:
    """Squared within 1 of the truth, linear beyond (Huber 1964, doi:10.1214/aoms/1177703732)."""
    return F.huber_loss(output.squeeze(1), y, reduction="none")


class Regression(Task):
    """A continuous target, ``y`` float32 ``shape=(samples,)``; NaN where missing.

    It is standardised with mean and standard deviation of the training rows, so that learning rates and losses do not
    depend on its unit; predictions are in the original unit.
    """

    kind = "regression"
    noun = "a continuous value"
    headline = "r2"
    losses = {"mse": mean_squared_error, "mae": mean_absolute_error, "huber": huber}

    def encode(self, frame: pd.DataFrame, target: Target, source: str) -> Tensor:
        """Values of the column."""
        return torch.from_numpy(numbers(frame[[target["name"]]], source)[:, 0])

    def effect_scale(self, head: TargetHead) -> float:
        """The scale of the target, since raw outputs are standardised."""
        return float(head.scale)

    def association(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """F statistic of the correlation with the target."""
        from sklearn.feature_selection import f_regression

        strength: np.ndarray = f_regression(x, y)[0]
        return strength

    def fit(self, head: TargetHead, y: Tensor) -> None:
        """Mean and standard deviation of the training targets ``(rows,)``; NaN is excluded."""
        y = y[y.isfinite()]
        head.mean.copy_(y.mean())
        head.scale.copy_(y.std(correction=0) if len(y) > 1 and y.std() > 0 else torch.tensor(1.0))

    def standardised(self, head: TargetHead, y: Tensor) -> Tensor:
        """Standardised targets."""
        return (y - head.mean) / head.scale

    def predict_from(self, head: TargetHead, output: Tensor) -> Tensor:
        """Values in the unit of the target, ``(rows,)``."""
        return output.squeeze(1) * head.scale + head.mean

    def prediction_frame(self, head: TargetHead, output: Tensor, index: pd.Index) -> pd.DataFrame:
        """``prediction``, in the unit of the target."""
        return pd.DataFrame({"prediction": head.predict_from(output).float().cpu().numpy()}, index=index)

    def scores(self, predictions: Tensor, y: Tensor, target: Target, reference: Tensor) -> dict[str, float]:
        """mse, mae, r2 and spearman; the last two are NaN for one row or a constant target."""
        enough = len(y) > 1 and bool(y.std() > 0)
        return {
            "mse": float(M.mean_squared_error(predictions, y)),
            "mae": float(M.mean_absolute_error(predictions, y)),
            "r2": float(r2_score(predictions, y)) if enough else float("nan"),
            "spearman": float(spearman_corrcoef(predictions, y)) if enough else float("nan"),
        }

    def headline_value(self, predictions: Tensor, y: Tensor, target: Target) -> float:
        """R2."""
        return float(r2_score(predictions, y)) if len(y) > 1 else float("nan")

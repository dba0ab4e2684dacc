"""Metrics by kind of target, all from torchmetrics where it has them; more of survival in `survival_metrics`."""

from typing import Any

import torch
import torchmetrics
import torchmetrics.functional as M
from torch import Tensor
from torchmetrics.functional.regression import r2_score, spearman_corrcoef

from ..spec import Target
from .survival_metrics import concordance


def probabilities(output: Tensor, target: Target) -> Tensor:
    """Raw outputs as probabilities: ``(batch, 1 or classes, *spatial) -> (batch, classes, *spatial)``."""
    if len(target["classes"]) == 2:
        positive = output.sigmoid()
        return torch.cat([1 - positive, positive], 1)
    return output.softmax(1)


def scores(prediction: Tensor, y: Tensor, target: Target) -> dict[str, float]:
    """All metrics of one split.

    Args:
        prediction: Probabilities ``(rows, classes)``, or predicted numbers ``(rows,)``.
        y: Truth ``(rows,)``: class codes, or numbers.
        target: Kind and classes.

    Returns:
        Binary: accuracy, balanced_accuracy, precision, sensitivity, specificity, f1, mcc, roc_auc, average_precision,
        brier, calibration_error (15 bins), the last class being the positive one, at threshold 0.5. Multiclass: the
        same, macro-averaged over classes, one against the rest. Regression: mse, mae, r2, spearman. NaN where a metric
        is undefined, such as an ROC of one class or R2 of one row.
    """
    if target["kind"] == "regression":
        enough = len(y) > 1 and bool(y.std() > 0)
        return {
            "mse": float(M.mean_squared_error(prediction, y)),
            "mae": float(M.mean_absolute_error(prediction, y)),
            "r2": float(r2_score(prediction, y)) if enough else float("nan"),
            "spearman": float(spearman_corrcoef(prediction, y)) if enough else float("nan"),
        }
    count = len(target["classes"])
    binary = target["kind"] == "binary"
    by_class: dict[str, Any] = {"task": "multiclass", "num_classes": count, "validate_args": False}
    options: dict[str, Any] = {"task": "binary", "validate_args": False} if binary else {**by_class, "average": "macro"}
    ranked = prediction[:, 1].contiguous() if binary else prediction
    guess, every_class = prediction.argmax(1), len(y.unique()) == count
    truth = torch.nn.functional.one_hot(y, count)
    calibration = {key: value for key, value in options.items() if key != "average"}
    result = {
        "accuracy": (guess == y).float().mean(),
        "balanced_accuracy": M.accuracy(guess, y, **{**by_class, "average": "macro"}),
        "precision": M.precision(guess, y, **options),
        "sensitivity": M.recall(guess, y, **options),
        "specificity": M.specificity(guess, y, **options),
        "f1": M.f1_score(guess, y, **options),
        "mcc": M.matthews_corrcoef(guess, y, **by_class),
        "roc_auc": M.auroc(ranked, y, **options) if every_class else float("nan"),
        "average_precision": M.average_precision(ranked, y, **options) if every_class else float("nan"),
        "brier": (prediction - truth).square().sum(1).mean() / (2 if binary else 1),
        "calibration_error": M.calibration_error(ranked, y, n_bins=15, **calibration),
    }
    return {name: float(value) for name, value in result.items()}  # type: ignore[arg-type]


def headline(prediction: Tensor, y: Tensor, target: Target) -> float:
    """The one metric that is followed during training: ROC-AUC, R2 for a number, C-index for survival."""
    if target["kind"] == "survival":
        return concordance(prediction.float().cpu().numpy(), y.cpu().numpy())
    if target["kind"] == "regression":
        return float(r2_score(prediction, y)) if len(y) > 1 else float("nan")
    count = len(target["classes"])
    if len(y.unique()) < count:
        return float("nan")
    if target["kind"] == "binary":
        return float(M.auroc(prediction[:, 1], y, task="binary", validate_args=False))  # type: ignore[arg-type]
    return float(M.auroc(prediction, y, task="multiclass", num_classes=count, validate_args=False))  # type: ignore[arg-type]


class Outputs(torchmetrics.Metric):
    """Outputs and truths of an epoch, kept on the device and gathered over processes; computed once, at its end."""

    full_state_update = False
    output: list[Tensor]
    y: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("output", [], dist_reduce_fx="cat")
        self.add_state("y", [], dist_reduce_fx="cat")

    def update(self, output: Tensor, y: Tensor) -> None:
        """Keep one batch: ``(batch, width)`` and ``(batch,)``, of survival ``(batch, 2)``."""
        self.output.append(output)
        self.y.append(y)

    def compute(self) -> tuple[Tensor, Tensor]:
        """All rows of the epoch."""
        return torchmetrics.utilities.dim_zero_cat(self.output), torchmetrics.utilities.dim_zero_cat(self.y)

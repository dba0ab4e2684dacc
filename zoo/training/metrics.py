"""Metrics by kind of target, all from torchmetrics where it has them."""

from collections.abc import Callable
from typing import Any

import torch
import torchmetrics
import torchmetrics.functional as M
from torch import Tensor
from torchmetrics.functional.regression import r2_score, spearman_corrcoef

from ..spec import Target, TargetKind

HEADLINE: dict[TargetKind, str] = {"binary": "roc_auc", "multiclass": "roc_auc", "regression": "r2"}
LOWER_IS_BETTER = {"loss", "brier", "calibration_error", "mse", "mae"}


def probabilities(output: Tensor, target: Target) -> Tensor:
    """Raw outputs as probabilities: ``(batch, 1 or classes) -> (batch, classes)``."""
    if target["kind"] == "binary":
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
    options: dict[str, Any] = {"task": "multiclass", "num_classes": count, "validate_args": False}
    macro = {**options, "average": "macro"}
    ranked = count if target["kind"] == "multiclass" else 2
    every_class = len(y.unique()) == ranked
    if target["kind"] == "binary":
        macro, by_rank = {"task": "binary", "validate_args": False}, prediction[:, 1].contiguous()
    else:
        by_rank = prediction
    guess = prediction.argmax(1)
    truth = torch.nn.functional.one_hot(y, count).to(prediction.dtype)

    def ranking(metric: Callable[..., Tensor]) -> float:
        extra = {} if target["kind"] == "binary" else {"num_classes": count}
        task = macro if target["kind"] == "binary" else {**macro, **extra}
        return float(metric(by_rank, y, **task)) if every_class else float("nan")

    return {
        "accuracy": float((guess == y).float().mean()),
        "balanced_accuracy": float(M.accuracy(guess, y, **{**options, "average": "macro"})),
        "precision": float(M.precision(guess, y, **macro)),
        "sensitivity": float(M.recall(guess, y, **macro)),
        "specificity": float(M.specificity(guess, y, **macro)),
        "f1": float(M.f1_score(guess, y, **macro)),
        "mcc": float(M.matthews_corrcoef(guess, y, **options)),
        "roc_auc": ranking(M.auroc),
        "average_precision": ranking(M.average_precision),
        "brier": float((prediction - truth).square().sum(1).mean() / (2 if target["kind"] == "binary" else 1)),
        "calibration_error": _calibration_error(by_rank, y, target),
    }


def _calibration_error(prediction: Tensor, y: Tensor, target: Target) -> float:
    if target["kind"] == "binary":
        return float(M.calibration_error(prediction, y, task="binary", n_bins=15, validate_args=False))
    count = len(target["classes"])
    return float(
        M.calibration_error(prediction, y, task="multiclass", num_classes=count, n_bins=15, validate_args=False)
    )


def headline(prediction: Tensor, y: Tensor, target: Target) -> float:
    """The one metric that is followed during training: ROC-AUC, or R2 for a number."""
    if target["kind"] == "regression":
        return float(r2_score(prediction, y)) if len(y) > 1 else float("nan")
    if len(y.unique()) < len(target["classes"]):
        return float("nan")
    if target["kind"] == "binary":
        return float(M.auroc(prediction[:, 1], y, task="binary", validate_args=False))
    return float(M.auroc(prediction, y, task="multiclass", num_classes=len(target["classes"]), validate_args=False))


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
        """Keep one batch: ``(batch, width)`` and ``(batch,)``."""
        self.output.append(output)
        self.y.append(y)

    def compute(self) -> tuple[Tensor, Tensor]:
        """All rows of the epoch."""
        return torchmetrics.utilities.dim_zero_cat(self.output), torchmetrics.utilities.dim_zero_cat(self.y)

"""Classification: two classes with one logistic unit, or more classes with a softmax."""

from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import torchmetrics.functional as M
from torch import Tensor

from ...errors import InputError
from ...spec import Target
from ...tables.values import level_codes
from .base import Task
from .head import TargetHead


def binary_cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of one logistic unit, from log-odds of the positive class: ``(batch, 1), (batch,) -> (batch,)``."""
    return F.binary_cross_entropy_with_logits(output.squeeze(1), y.to(output.dtype), reduction="none")


def categorical_cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of a softmax over the classes, ``(batch, classes), (batch,) -> (batch,)``."""
    return F.cross_entropy(output, y, reduction="none")


def focal(output: Tensor, y: Tensor) -> Tensor:
    """Focal loss with gamma 2: cross-entropy * (1 - p)^2, p of the true class (Lin et al. 2017, arXiv:1708.02002)."""
    entropy = binary_cross_entropy(output, y) if output.shape[1] == 1 else categorical_cross_entropy(output, y)
    return (1 - torch.exp(-entropy)).square() * entropy


def probabilities(output: Tensor, target: Target) -> Tensor:
    """Probabilities from raw outputs: ``(batch, 1 or classes, *spatial) -> (batch, classes, *spatial)``."""
    if len(target["classes"]) == 2:
        positive = output.sigmoid()
        return torch.cat([1 - positive, positive], 1)
    return output.softmax(1)


def _mcc(confusion: Tensor) -> Tensor:
    """Matthews correlation coefficient (Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006).

    torchmetrics gives values between -1 and 1 where it is undefined, since only one class occurs or is predicted.

    Args:
        confusion: Counts of true (rows) and predicted classes, float64 ``shape=(classes, classes)``.
    """
    total, true, predicted = confusion.sum(), confusion.sum(1), confusion.sum(0)
    scale = (total.square() - true.square().sum()) * (total.square() - predicted.square().sum())
    covariance = confusion.trace() * total - true @ predicted
    return torch.where(scale > 0, covariance / scale.sqrt(), 0.0)


class Classes(Task):
    """Base class of both kinds of classification: ``y`` are integer class codes, -1 where missing."""

    headline = "roc_auc"
    classified = True

    def encode(self, frame: pd.DataFrame, target: Target, source: str) -> Tensor:
        """Class codes, int64 ``shape=(samples,)``."""
        codes, unknown = level_codes(frame[target["name"]], target["classes"])
        if len(unknown):
            raise InputError(
                f"{source}: target {target['name']!r}, row {unknown.index[0]}: {unknown.iloc[0]!r} is not one of the "
                f"classes {', '.join(target['classes'])}"
            )
        return torch.from_numpy(np.nan_to_num(codes, nan=-1).astype(np.int64))

    def decode(self, y: Tensor, target: Target) -> dict[str, Any]:
        """Names of the classes, None where missing."""
        return {"target": [target["classes"][code] if code >= 0 else None for code in y.tolist()]}

    def one_value(self, y: Tensor, target: Target) -> pd.Series:
        """The class, as a category."""
        return pd.Series(pd.Categorical.from_codes(y.tolist(), pd.Index(target["classes"])))

    def without_arrays(self, frame: pd.DataFrame, target: Target) -> pd.DataFrame:
        """The predicted class as a category."""
        if "prediction" in frame:
            frame["prediction"] = pd.Categorical(frame["prediction"], target["classes"])
        return frame

    def effect_unit(self, target: Target) -> str:
        """Raw outputs are log-odds, or are converted to them."""
        return "log-odds"

    def strata(self, y: Tensor, target: Target) -> np.ndarray:
        """The class; samples without a class are a separate stratum."""
        return y.where(y >= 0, len(target["classes"])).numpy()

    def check_split(self, y: Tensor, split: np.ndarray, target: Target, source: str) -> None:
        """Each class needs a training sample."""
        known = y.numpy()[split == "train"]
        counts = np.bincount(known[known >= 0], minlength=len(target["classes"]))
        if counts.min() == 0:
            raise InputError(
                f"{source}: class {target['classes'][int(counts.argmin())]!r} of {target['name']!r} has no training "
                "sample (it has too few samples, or all are in one group); remove it or merge it with another"
            )

    def association(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """F statistic of the analysis of variance."""
        from sklearn.feature_selection import f_classif

        strength: np.ndarray = f_classif(x, y)[0]
        return strength

    def predict_from(self, head: TargetHead, output: Tensor) -> Tensor:
        """Probabilities, ``(rows, classes)``."""
        return probabilities(output, head.target)

    def prediction_frame(self, head: TargetHead, output: Tensor, index: pd.Index) -> pd.DataFrame:
        """``probability_CLASS`` for each class, and ``prediction``."""
        classes, values = head.target["classes"], head.predict_from(output).float().cpu().numpy()
        frame = pd.DataFrame(values, index=index, columns=[f"probability_{name}" for name in classes])
        frame["prediction"] = [classes[code] for code in values.argmax(1)]
        return frame

    def scores(self, predictions: Tensor, y: Tensor, target: Target, reference: Tensor) -> dict[str, float]:
        """Metrics of the predicted classes, of the ranking and of the probabilities.

        Returns:
            accuracy, balanced_accuracy, precision, sensitivity, specificity, f1, mcc, roc_auc, average_precision,
            brier, calibration_error (15 bins). For two classes the last is the positive one; for more they are
            one-vs-rest macro-averages. NaN where a metric is undefined, such as the ROC with one class. In a split with
            few classes, as in scikit-learn: balanced_accuracy is the mean over classes that occur, and mcc is 0 if all
            rows have one class or all are predicted to.
        """
        count = len(target["classes"])
        binary = count == 2
        by_class: dict[str, Any] = {"task": "multiclass", "num_classes": count, "validate_args": False}
        options: dict[str, Any] = (
            {"task": "binary", "validate_args": False} if binary else {**by_class, "average": "macro"}
        )
        ranked = predictions[:, 1].contiguous() if binary else predictions
        guess, all_present = predictions.argmax(1), len(y.unique()) == count
        truth = F.one_hot(y, count)
        confusion = torch.bincount(y * count + guess, minlength=count**2).view(count, count).cpu().double()
        recall = confusion.diagonal() / confusion.sum(1)
        calibration = {key: value for key, value in options.items() if key != "average"}
        result = {
            "accuracy": (guess == y).float().mean(),
            "balanced_accuracy": recall[confusion.sum(1) > 0].mean(),
            "precision": M.precision(guess, y, **options),
            "sensitivity": M.recall(guess, y, **options),
            "specificity": M.specificity(guess, y, **options),
            "f1": M.f1_score(guess, y, **options),
            "mcc": _mcc(confusion),
            "roc_auc": M.auroc(ranked, y, **options) if all_present else float("nan"),
            "average_precision": M.average_precision(ranked, y, **options) if all_present else float("nan"),
            "brier": (predictions - truth).square().sum(1).mean() / (2 if binary else 1),
            "calibration_error": M.calibration_error(ranked, y, n_bins=15, **calibration),
        }
        return {name: float(value) for name, value in result.items()}  # type: ignore[arg-type]

    def headline_value(self, predictions: Tensor, y: Tensor, target: Target) -> float:
        """ROC-AUC."""
        count = len(target["classes"])
        if len(y.unique()) < count:
            return float("nan")
        if count == 2:
            return float(M.auroc(predictions[:, 1], y, task="binary", validate_args=False))  # type: ignore[arg-type]
        return float(M.auroc(predictions, y, task="multiclass", num_classes=count, validate_args=False))  # type: ignore[arg-type]


class Binary(Classes):
    """Binary classification: one logistic unit, whose raw output is the log-odds of the last class."""

    kind = "binary"
    noun = "one of two classes"
    losses = {"bce": binary_cross_entropy, "focal": focal}


class Multiclass(Classes):
    """Multiclass classification: a softmax over three or more classes."""

    kind = "multiclass"
    noun = "one of several classes"
    losses = {"cce": categorical_cross_entropy, "focal": focal}


OF_ONE_CLASS = ("precision", "sensitivity", "specificity", "f1", "average_precision")  # the positive one of two


def positive_class(target: Target) -> str:
    """The positive one of two classes; ``""`` for other targets."""
    return target["classes"][-1] if target["kind"] == Binary.kind else ""


def named_metric(metric: str, positive: str) -> str:
    """A metric with the class that it is of, for tables that people read.

    >>> named_metric("sensitivity", "case"), named_metric("accuracy", "case"), named_metric("f1_low", "case")
    ('sensitivity (case)', 'accuracy', 'f1_low (case)')
    """
    plain = metric.removesuffix("_low").removesuffix("_high")
    return f"{metric} ({positive})" if positive and plain in OF_ONE_CLASS else metric

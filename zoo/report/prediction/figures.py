"""Figures of predicted classes and of predicted values."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from ...figure import Figure
from ...spec import Target
from ...training.tasks import Task, nearest, task_of
from ...training.tasks.classes import Classes, named_metric, positive_class
from ...training.tasks.regression import Regression
from ..style import CLASS_COLOURS, COLOURS, legend_outside, new_figure

Draw = Callable[[str], Figure]  # takes the name of model and data, for the title
FIGURES: dict[type[Task], Callable[[pd.DataFrame, Target], dict[str, Draw]]] = {}


def target_figures(predictions: pd.DataFrame, target: Target) -> dict[str, Draw]:
    """Figures of one target by file name, as its kind requires.

    Args:
        predictions: ``split``, true and predicted values of each sample.
        target: The predicted target.
    """
    return nearest(FIGURES, task_of(target))(predictions, target)


def class_figures(predictions: pd.DataFrame, target: Target) -> dict[str, Draw]:
    """ROC curve, confusion matrix and calibration, for the samples whose class is known."""
    predictions = predictions[predictions["target"].notna()]
    last, classes = predictions["split"].iloc[-1], target["classes"]
    what = f"{target['name']} = {classes[-1]}" if len(classes) == 2 else f"each class, {last} rows"
    return {
        "roc": lambda name: roc(predictions, target, f"{name}: ROC of {what}"),
        "confusion_matrix": lambda name: confusion(predictions, target, f"{name}: confusion matrix, {last} rows"),
        "calibration": lambda name: calibration(predictions, target, f"{name}: calibration"),
    }


def value_figures(predictions: pd.DataFrame, target: Target) -> dict[str, Draw]:
    """Measured against predicted values, and residuals, for the samples whose value is known."""
    predictions = predictions[predictions["target"].notna()]
    return {
        "measured_against_predicted": lambda name: measured_against_predicted(
            predictions, target, f"{name}: measured against predicted"
        ),
        "residuals": lambda name: residuals(predictions, target, f"{name}: residuals"),
    }


FIGURES.update({Classes: class_figures, Regression: value_figures})


def roc(predictions: pd.DataFrame, target: Target, title: str) -> Figure:
    """ROC curves: of each split for two classes; of each class against the rest, on the last split, for more."""
    sensitivity = named_metric("sensitivity", positive_class(target))
    figure, axes = new_figure(title, "1 - specificity", sensitivity, (6.2, 4.0))
    axes.plot([0, 1], [0, 1], ":", color="#bbbbbb", label="chance")
    splits = predictions["split"].unique()
    if len(target["classes"]) == 2:
        positive = target["classes"][-1]
        curves = [(split, predictions[predictions["split"] == split], positive, COLOURS[split]) for split in splits]
    else:
        last = predictions[predictions["split"] == splits[-1]]
        colours = (CLASS_COLOURS * 9)[: len(target["classes"])]
        curves = [(name, last, name, colour) for name, colour in zip(target["classes"], colours, strict=False)]
    for label, rows, positive, colour in curves:
        truth, rank = rows["target"].astype(str) == positive, rows[f"probability_{positive}"]
        if truth.nunique() == 2:
            axes.plot(*roc_curve(truth, rank)[:2], color=colour, label=f"{label}, AUC {roc_auc_score(truth, rank):.3f}")
    axes.set_aspect("equal")
    legend_outside(axes)
    return figure


def confusion(predictions: pd.DataFrame, target: Target, title: str) -> Figure:
    """Confusion matrix of the last split: counts, shaded by their share of the true class."""
    rows = predictions[predictions["split"] == predictions["split"].iloc[-1]]
    classes = target["classes"]
    counts = confusion_matrix(rows["target"].astype(str), rows["prediction"], labels=classes)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.6 + 0.45 * len(classes)
    figure, axes = new_figure(title, "predicted class", "true class", (side + 1.4, side))
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=45 if len(classes) > 3 else 0)
    axes.set_yticks(range(len(classes)), classes)
    if len(classes) <= 20:
        for (i, j), count in np.ndenumerate(counts):
            text = f"{count}\n{share[i, j]:.0%}" if len(classes) <= 5 else f"{count}"
            axes.text(j, i, text, ha="center", va="center", fontsize=9, color="white" if share[i, j] > 0.6 else "black")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def calibration(predictions: pd.DataFrame, target: Target, title: str) -> Figure:
    """Observed frequency against predicted probability of the positive class (of the predicted class for several)."""
    what = " of ".join(filter(None, ("predicted probability", positive_class(target))))
    figure, axes = new_figure(title, what, "observed frequency", (6.2, 4.0))
    axes.plot([0, 1], [0, 1], ":", color="#bbbbbb", label="perfect")
    for split, rows in predictions.groupby("split", sort=False):
        if len(target["classes"]) == 2:
            positive = target["classes"][-1]
            truth, probability = rows["target"].astype(str) == positive, rows[f"probability_{positive}"]
        else:
            probability = rows[[f"probability_{name}" for name in target["classes"]]].max(axis=1)
            truth = rows["target"].astype(str) == rows["prediction"]
        bins = int(np.clip(len(rows) // 20, 3, 10))
        observed, predicted = calibration_curve(truth, probability.clip(0, 1), n_bins=bins, strategy="quantile")
        axes.plot(
            predicted, observed, "o-", markersize=4, color=COLOURS[str(split)], label=f"{split}, {len(rows)} samples"
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_aspect("equal")
    legend_outside(axes)
    return figure


def measured_against_predicted(predictions: pd.DataFrame, target: Target, title: str) -> Figure:
    """Measured against predicted values, one point per sample, and the identity line."""
    unit = f" [{target['unit']}]" if target["unit"] else ""
    name = target["name"]
    figure, axes = new_figure(title, f"predicted {name}{unit}", f"measured {name}{unit}", (6.2, 4.0))
    for split, rows in predictions.groupby("split", sort=False):
        axes.plot(
            rows["prediction"], rows["target"], "o", markersize=3, alpha=0.6, color=COLOURS[str(split)], label=split
        )
    limits = [predictions[["prediction", "target"]].min().min(), predictions[["prediction", "target"]].max().max()]
    axes.plot(limits, limits, ":", color="#888888", label="equal")
    legend_outside(axes)
    return figure


def residuals(predictions: pd.DataFrame, target: Target, title: str) -> Figure:
    """Measured minus predicted, by predicted value."""
    unit = f" [{target['unit']}]" if target["unit"] else ""
    figure, axes = new_figure(title, f"predicted {target['name']}{unit}", f"measured - predicted{unit}", (6.2, 4.0))
    for split, rows in predictions.groupby("split", sort=False):
        error, colour = rows["target"] - rows["prediction"], COLOURS[str(split)]
        axes.plot(rows["prediction"], error, "o", markersize=3, alpha=0.6, color=colour, label=split)
    axes.axhline(0, color="#888888", linestyle=":")
    legend_outside(axes)
    return figure

"""Figures of a run: learning curve, ROC, confusion matrix, calibration; measured against predicted for a number.

Those of masks are in `zoo.report.images.overlays`, those of survival in `zoo.report.prediction.survival_figures`.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from .. import files
from ..figure import Figure
from ..spec import Target
from .evaluation import Evaluation
from .style import CLASS_COLOURS, COLOURS, legend_outside, new_figure


def learning_curve(metrics: pd.DataFrame, title: str) -> Figure:
    """Loss of training and validation rows by epoch; the lowest validation loss is marked.

    Of adversarial networks the two losses of training are in a panel of their own, for neither is to fall.
    """
    figure, axes = new_figure(title, "epoch", "loss", (5.4, 4.0))
    if "discriminator_loss" in metrics:
        figure.set_figheight(6.0)
        axes.set_subplotspec(figure.add_gridspec(2, 1)[0])
        for name, column, colour in (("generator", "train_loss", 0), ("discriminator", "discriminator_loss", 4)):
            axes.plot(metrics["epoch"], metrics[column], color=CLASS_COLOURS[colour], label=name)
        axes.set(xlabel="", ylabel="loss in training")
        legend_outside(axes)
        axes = figure.add_subplot(2, 1, 2, sharex=axes, xlabel="epoch", ylabel="validation loss")
        axes.spines[["top", "right"]].set_visible(False)
    else:
        axes.plot(metrics["epoch"], metrics["train_loss"], color=COLOURS["train"], label="train")
    axes.plot(metrics["epoch"], metrics["validation_loss"], color=COLOURS["validation"], label="validation")
    if metrics["validation_loss"].notna().any():
        best = metrics.loc[metrics["validation_loss"].idxmin()]
        axes.plot(best["epoch"], best["validation_loss"], "o", color="black", label=f"best, epoch {best['epoch']:.0f}")
    legend_outside(axes)
    return figure


def roc(predictions: pd.DataFrame, target: Target, title: str) -> Figure:
    """ROC of each split (two classes), or of each class against the rest on the last split (more)."""
    figure, axes = new_figure(title, "1 - specificity", "sensitivity", (6.2, 4.0))
    axes.plot([0, 1], [0, 1], ":", color="#bbbbbb", label="chance")
    splits = predictions["split"].unique()
    if target["kind"] == "binary":
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
    """Counts of true and predicted classes on the last split, shaded by their share of the true class."""
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
    """Observed frequency against predicted probability (of the positive class, or of the predicted one)."""
    figure, axes = new_figure(title, "predicted probability", "observed frequency", (6.2, 4.0))
    axes.plot([0, 1], [0, 1], ":", color="#bbbbbb", label="perfect")
    for split, rows in predictions.groupby("split", sort=False):
        if target["kind"] == "binary":
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
    """One point a sample, and the line on which both agree."""
    unit = f" [{target['unit']}]" if target["unit"] else ""
    name = target["name"]
    figure, axes = new_figure(title, f"predicted {name}{unit}", f"measured {name}{unit}", (6.2, 4.0))
    for split, rows in predictions.groupby("split", sort=False):
        axes.plot(
            rows["prediction"], rows["target"], "o", markersize=3, alpha=0.6, color=COLOURS[str(split)], label=split
        )
    ends = [predictions[["prediction", "target"]].min().min(), predictions[["prediction", "target"]].max().max()]
    axes.plot(ends, ends, ":", color="#888888", label="equal")
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


def target_figures(predictions: pd.DataFrame, target: Target, name: str) -> dict[str, Figure]:
    """Figures of a class, a number or survival, by the name of their file; samples without the target are left out."""
    if target["kind"] == "survival":
        from .prediction.survival_figures import survival_figures

        return survival_figures(predictions, target, name)
    predictions = predictions[predictions["target"].notna()]
    if target["kind"] == "regression":
        title = f"{name}: measured against predicted"
        return {
            "measured_against_predicted": measured_against_predicted(predictions, target, title),
            "residuals": residuals(predictions, target, f"{name}: residuals"),
        }
    last, classes = predictions["split"].iloc[-1], target["classes"]
    what = f"{target['name']} = {classes[-1]}" if target["kind"] == "binary" else f"each class, {last} rows"
    return {
        "roc": roc(predictions, target, f"{name}: ROC of {what}"),
        "confusion_matrix": confusion(predictions, target, f"{name}: confusion matrix, {last} rows"),
        "calibration": calibration(predictions, target, f"{name}: calibration"),
    }


def write_figures(evaluation: Evaluation, name: str, folder: Path) -> list[Path]:
    """All figures that fit the target, and the learning curve if ``folder`` has the metrics of a training.

    Args:
        evaluation: Of the model.
        name: Recipe, for the titles.
        folder: Run folder; figures go to ``folder/figures``.

    Returns:
        What was written.
    """
    predictions, target = evaluation.predictions, evaluation.target
    figures = {stem: draw(name) for stem, draw in evaluation.figures.items()}
    if figures:
        pass  # a model of such a task brings its own
    elif evaluation.representation is not None:
        from .representation.figures import representation_figures

        figures = representation_figures(evaluation.representation, name)
        if target["kind"] == "survival" and "risk" in predictions:
            figures |= target_figures(predictions, target, name)
    elif target["kind"] == "segmentation":
        from .images.overlays import dice_of_images, overlays

        last = predictions["split"].iloc[-1]
        figures = {
            "overlays": overlays(evaluation.examples, target, f"{name}: outlines, {last} images"),
            "dice": dice_of_images(predictions, target, f"{name}: Dice of each image"),
        }
    else:
        figures = target_figures(predictions, target, name)
    for other, about in evaluation.also.items():
        columns = {column: column.removeprefix(f"{other}_") for column in predictions if column.startswith(f"{other}_")}
        own = predictions[["split", *columns]].rename(columns=columns)
        made = target_figures(own, about, f"{name}, {other}")
        figures |= {f"{other}_{stem}": figure for stem, figure in made.items()}
    if evaluation.measured is not None:
        from .prediction.modalities import combination_figure

        count = len(evaluation.measured)
        figures["modalities"] = combination_figure(evaluation.measured, f"{name}: what the {count} samples have")
    if (path := folder / "metrics.csv").is_file() and len(metrics := pd.read_csv(path)):
        figures["learning_curve"] = learning_curve(metrics, f"{name}: learning curve")
    written = []
    for stem, figure in figures.items():
        with files.replacing(folder / "figures" / f"{stem}.png") as path:
            figure.savefig(path)
        written.append(folder / "figures" / f"{stem}.png")
    return written

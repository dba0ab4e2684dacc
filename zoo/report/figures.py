"""The learning curve, and all figures of an evaluation as files."""

import logging
from pathlib import Path

import pandas as pd

from .. import files
from ..errors import InputError
from ..figure import Figure
from ..tables import read_table
from .evaluation import Evaluation
from .style import CLASS_COLOURS, COLOURS, legend_outside, new_figure

log = logging.getLogger("zoo")


def _metrics(path: Path) -> pd.DataFrame | None:
    """Metrics of each epoch; None if the file is damaged, which does not harm the evaluation."""
    try:
        metrics = read_table(path)
    except InputError as error:
        log.warning("no learning curve is drawn: %s", error)
        return None
    losses = {"discriminator_loss", "train_loss"} & {*metrics.columns}
    needed = ["epoch", "validation_loss", *losses]
    if not losses or not all(name in metrics and metrics[name].dtype.kind in "iuf" for name in needed):
        log.warning("no learning curve is drawn: %s is damaged", path)
        return None
    return metrics


def learning_curve(metrics: pd.DataFrame, title: str) -> Figure:
    """Loss of training and validation rows by epoch; the lowest validation loss is marked.

    The two training losses of adversarial networks have a separate panel, because neither is expected to fall.
    """
    figure, axes = new_figure(title, "epoch", "loss", (5.4, 4.0))
    if "discriminator_loss" in metrics:
        figure.set_figheight(6.0)
        axes.set_subplotspec(figure.add_gridspec(2, 1)[0])
        for name, column, colour in (("generator", "train_loss", 0), ("discriminator", "discriminator_loss", 4)):
            updated = metrics[["epoch", column]].dropna()  # the generator may not be updated in every epoch
            axes.plot(updated["epoch"], updated[column], color=CLASS_COLOURS[colour], label=name)
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


def write_figures(evaluation: Evaluation, name: str, folder: Path) -> list[Path]:
    """Write all figures of an evaluation, and the learning curve if ``folder`` has the metrics of a training.

    Args:
        evaluation: Evaluation of the model.
        name: Name of model and data, for the titles.
        folder: Run folder; figures go to ``folder/figures``.

    Returns:
        Paths of the files written.
    """
    figures = {stem: draw(name) for stem, draw in evaluation.figures.items()}
    if (path := folder / "metrics.csv").is_file() and (metrics := _metrics(path)) is not None:
        figures["learning_curve"] = learning_curve(metrics, f"{name}: learning curve")
    written = []
    for stem, figure in figures.items():
        with files.replacing(folder / "figures" / f"{stem}.png") as path:
            figure.savefig(path)
        written.append(folder / "figures" / f"{stem}.png")
    return written

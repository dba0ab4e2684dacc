"""Figures of a model that finds anomalies: curves, scores of each class, and series with their score over time."""

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from ..figure import Figure
from ..spec import Modality
from .anomaly import Example
from .figures import CLASS_COLOURS, legend_outside, new_figure

GREY, BLUE, ORANGE = "#777777", "#0072B2", "#D55E00"
BINS = 40
TICKS = [-1, 0, *(step * 10**power for power in range(5) for step in (1, 3))]


def curves(found: dict[str, tuple[np.ndarray, np.ndarray]], split: str, name: str) -> Figure:
    """ROC and precision-recall curves of the model and of the simple ones.

    Args:
        found: Which series are anomalies, and their scores, by model.
        split: What is drawn.
        name: For the title.
    """
    figure = Figure(figsize=(9.6, 4.2), layout="constrained", dpi=150)
    roc, recalled = figure.subplots(1, 2)
    for (model, (truth, score)), colour in zip(found.items(), CLASS_COLOURS, strict=False):
        if 0 < truth.sum() < len(truth):
            precision, recall, _ = precision_recall_curve(truth, score)
            area, average = roc_auc_score(truth, score), average_precision_score(truth, score)
            label = f"{model}\nAUC {area:.3f}, average precision {average:.3f}"
            roc.plot(*roc_curve(truth, score)[:2], color=colour, label=label)
            precision[-1] = precision[-2]  # where nothing is flagged it has none
            recalled.step(recall, precision, where="post", color=colour)
    roc.set(xlabel="1 - specificity", ylabel="sensitivity")
    recalled.set(xlabel="recall (sensitivity)", ylabel="precision")
    for axes in (roc, recalled):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{name}: anomalies among the {split} series", x=0.01, ha="left", fontsize=10)
    figure.legend(*roc.get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8)
    return figure


def distributions(predictions: pd.DataFrame, normal: str, threshold: float, name: str) -> Figure:
    """Histogram of the scores of each class, and the threshold.

    Args:
        predictions: Of one split, with ``split``, ``target`` and ``anomaly_score``.
        normal: The normal class.
        threshold: Above which a series is called an anomaly.
        name: For the title.
    """
    classes = sorted(predictions["target"].dropna().unique(), key=lambda one: (one != normal, one))
    score, split = predictions["anomaly_score"], predictions["split"].iloc[0]
    title = f"{name}: anomaly scores of the {split} series"
    unit = "standard deviations of normal training series, log scale"
    figure, axes = new_figure(title, f"anomaly score ({unit})", "series", (7.2, 4))
    floor = min(0.0, float(score.min()))  # most scores lie near 0, the largest far out
    shifted, line = np.log1p(score - floor), np.log1p(max(threshold - floor, 0.0))
    edges = np.linspace(0, max(float(shifted.max()), line, 1e-6), BINS).tolist()
    for place, (one, colour) in enumerate(zip(classes, CLASS_COLOURS * len(classes), strict=False)):
        own = shifted[predictions["target"] == one]
        label = f"{one}{' (normal)' * (place == 0 and one != 'normal')}, {len(own)}"
        axes.hist(own, edges, color=colour, alpha=0.35)
        axes.hist(own, edges, color=colour, histtype="step", linewidth=1.5, label=label)
    axes.axvline(line, color="black", linestyle="--", label=f"threshold {threshold:.2f}")
    ticks = [value for value in TICKS if floor <= value <= np.expm1(edges[-1]) + floor]
    axes.set_xticks(np.log1p(np.array(ticks) - floor), [f"{value:g}" for value in ticks])
    axes.locator_params("y", integer=True)
    legend_outside(axes)
    return figure


def examples(found: list[Example], known: Modality, name: str) -> Figure:
    """The series of each class with the median score: above the series and the nearest made one, below the score.

    Args:
        found: Series, at most four.
        known: Sampling rate and channels.
        name: For the title.
    """
    figure = Figure(figsize=(2.6 * len(found) + 1.6, 4.6), layout="constrained", dpi=150)
    upper, lower = figure.subplots(2, len(found), sharex=True, sharey="row", squeeze=False, height_ratios=[3, 2])
    rate, channel = known.get("sampling_rate"), (known.get("channels") or ["value"])[0]
    unit = known.get("units", {}).get(channel)
    for above, below, one in zip(upper, lower, found, strict=True):
        time = np.arange(len(one.series)) / (rate or 1)
        above.plot(time, one.series, color=GREY, linewidth=2, label="series")
        above.plot(time, one.nearest, color=BLUE, linewidth=1.2, label="nearest that is made")
        above.set_title(one.title, fontsize=9)
        below.fill_between(time, one.score, color=ORANGE, alpha=0.4, linewidth=0)
        below.plot(time, one.score, color=ORANGE, linewidth=1, label="anomaly score")
        below.set_xlabel("time [s]" if rate else "time point")
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
    upper[0].set_ylabel(f"{channel} [{unit}]" if unit else channel)
    lower[0].set_ylabel("anomaly score")
    figure.suptitle(f"{name}: series of median score of each class", x=0.01, ha="left", fontsize=10)
    lines = [pair for axes in (upper[0], lower[0]) for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    figure.legend(*zip(*lines, strict=True), loc="outside right upper", frameon=False, fontsize=8)
    return figure

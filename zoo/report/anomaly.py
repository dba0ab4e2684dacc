"""Scores of a model that detects anomalies in series, beside principal components and nearest neighbours."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from ..data import Data
from ..figure import Figure
from ..models.anomaly import QUANTILE
from ..models.gans.madgan import MADGAN
from ..spec import Modality, modality_of
from .evaluation import Evaluation, evaluates, with_truth
from .style import CLASS_COLOURS, legend_outside, new_figure

GREY, BLUE, ORANGE = "#777777", "#0072B2", "#D55E00"
BINS = 40
TICKS = [-1, 0, *(step * 10**power for power in range(5) for step in (1, 3))]
COMPONENTS = 10
FLAG_ALL, PRINCIPAL, NEIGHBOUR = "flag all", f"PCA of {COMPONENTS}", "nearest neighbour"


class Example(NamedTuple):
    """A series that is drawn.

    Attributes:
        title: Its class and name.
        series: First channel, ``(length,)``.
        nearest: The most similar series that the generator produces, in the same units, ``(length,)``.
        score: Anomaly score of each time point, ``(length,)``.
    """

    title: str
    series: np.ndarray
    nearest: np.ndarray
    score: np.ndarray


@evaluates("anomaly", "series")
def evaluate_anomaly(model: MADGAN, data: Data, present: list[str]) -> Evaluation:
    """Score every series; all classes but the normal one are anomalies.

    The metrics are ``roc_auc`` and ``average_precision`` of the anomaly score; ``f1`` at the threshold that 5 % of the
    normal validation series exceed; and ``best_f1`` at the best threshold for the scored split itself, which is unknown
    in practice. A series counts once: no point adjustment is made for partly detected anomalies (Kim et al. 2022,
    doi:10.1609/aaai.v36i7.20680). With several anomalous classes, ``roc_auc_CLASS`` compares each with the normal one.
    The reference models, fitted on the same normal training series, are the reconstruction error after 10 principal
    components, the distance to the nearest training series, and to flag all series.

    Args:
        model: In evaluation mode.
        data: Its data.
        present: Splits that have samples.

    Returns:
        Predictions, one row per series: ``split``, ``target``, ``anomaly_score``, ``anomaly``,
        ``reconstruction_error``, ``discrimination``. Scores as above; the reference models are not scored on training
        series, to which they were fitted.
    """
    content, ours, tables = data.dataset, type(model).__name__, []
    found: dict[tuple[str, str], np.ndarray] = {}
    references = _References(model, data)
    for split in present:
        rows = content.rows(split)
        batches = [batch["x"].to(model.device) for batch in data.loader(split)]
        table = model.prediction_frame(
            torch.cat([model.raw_predictions(x) for x in batches]), content.samples.index[rows.numpy()]
        )
        found[ours, split] = table["anomaly_score"].to_numpy()
        if split != "train":
            for name, score in references.scores(_flat(model, batches)).items():
                found[name, split] = score
        tables.append(with_truth(model, data, split, table))
    thresholds = {ours: float(model.threshold), **references.thresholds}
    scores: list[tuple[str, str, str, float]] = []
    for name in thresholds:
        for split in present:
            if (name, split) in found:
                y = content.y[content.rows(split)]
                values = _metrics(found[name, split], y, model, thresholds[name])
                scores += [(name, split, metric, value) for metric, value in values.items()]
    last, predictions = present[-1], pd.concat(tables)
    truth = (content.y[content.rows(last)] != model.code).numpy()
    own = predictions[predictions["split"] == last]
    drawn = {name: (truth, score) for (name, split), score in found.items() if split == last}
    normal = model.target["classes"][model.code]
    figures: dict[str, Callable[[str], Figure]] = {
        "curves": partial(curves, drawn, last),
        "scores": partial(distributions, own, normal, thresholds[ours]),
        "examples": partial(examples, _examples(model, data, own, normal), modality_of(model.spec)),
    }
    table = pd.DataFrame(scores, columns=["model", "split", "metric", "value"])
    return Evaluation(predictions, table, figures=figures)


class _References:
    """Reference models of normal training series, and their thresholds from normal validation series."""

    def __init__(self, model: MADGAN, data: Data) -> None:
        content = data.dataset
        normal = {
            split: rows[model.is_normal(content.y[rows])]
            for split in ("train", "validation")
            if len(rows := content.rows(split))
        }
        self.known = len(normal.get("train", [])) > 1
        self.thresholds: dict[str, float] = {}
        if not self.known:
            return
        x = _flat(model, [content.x[normal["train"]].to(model.device)])
        self.components = PCA(min(COMPONENTS, len(x) - 1, x.shape[1]), random_state=0).fit(x)
        self.neighbours = NearestNeighbors(n_neighbors=1).fit(x)
        held_out = normal.get("validation", torch.empty(0, dtype=torch.long))
        scores = self.scores(_flat(model, [content.x[held_out].to(model.device)])) if len(held_out) else {}
        names = FLAG_ALL, PRINCIPAL, NEIGHBOUR
        self.thresholds = {n: float(np.quantile(scores[n], QUANTILE)) if scores else np.nan for n in names}
        self.thresholds[FLAG_ALL] = -1.0

    def scores(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Anomaly scores by the name of the model, ``(samples,)``."""
        if not self.known:
            return {}
        residual = x - self.components.inverse_transform(self.components.transform(x))
        return {
            FLAG_ALL: np.zeros(len(x)),
            PRINCIPAL: np.square(residual).mean(1),
            NEIGHBOUR: self.neighbours.kneighbors(x)[0][:, 0],
        }


def _flat(model: MADGAN, batches: list[Tensor]) -> np.ndarray:
    """Encoded series, ``(samples, channels * length)``."""
    result: np.ndarray = torch.cat([model.encode(x).flatten(1) for x in batches]).cpu().numpy()
    return result


def _metrics(score: np.ndarray, y: Tensor, model: MADGAN, threshold: float) -> dict[str, float]:
    """Metrics of one model and split; NaN unless there are both normal and anomalous series."""
    known = y >= 0
    score, codes = score[known.numpy()], y[known].numpy()
    truth, classes = codes != model.code, model.target["classes"]
    metrics = {"roc_auc": np.nan, "average_precision": np.nan, "best_f1": np.nan, "f1": np.nan}
    if truth.any() and not truth.all():
        precision, recall, _ = precision_recall_curve(truth, score)
        metrics = {
            "roc_auc": roc_auc_score(truth, score),
            "average_precision": average_precision_score(truth, score),
            "best_f1": (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max(),
            "f1": f1_score(truth, score > threshold),
        }
    others = [code for code in range(len(classes)) if code != model.code]
    for code in others if len(others) > 1 else []:
        pair = (codes == code) | ~truth
        both = len(np.unique(codes[pair])) == 2
        metrics[f"roc_auc_{classes[code]}"] = roc_auc_score(truth[pair], score[pair]) if both else np.nan
    return {name: float(value) for name, value in metrics.items()}


def _examples(model: MADGAN, data: Data, table: pd.DataFrame, normal: str) -> list[Example]:
    """The series with the median score of each of the first four classes, the normal one first."""
    content, result = data.dataset, []
    rows = content.rows(str(table["split"].iloc[0]))
    classes = sorted(table["target"].dropna().unique(), key=lambda name: (name != normal, name))
    for name in classes[:4]:
        own = np.flatnonzero(table["target"] == name)
        place = own[np.argsort(table["anomaly_score"].to_numpy()[own])[len(own) // 2]]
        x = content.x[rows[place : place + 1]].to(model.device)
        encoded = model.encode(x)
        nearest = model.windows.join(model.nearest(model.windows.cut(encoded))[0])
        result.append(
            Example(
                f"{name}: {table.index[place]}",
                model.encode.inverse(encoded)[0, 0].cpu().numpy(),
                model.encode.inverse(nearest)[0, 0].cpu().numpy(),
                model.scores(model.over_time(x))[0].cpu().numpy(),
            )
        )
    return result


def curves(found: dict[str, tuple[np.ndarray, np.ndarray]], split: str, name: str) -> Figure:
    """ROC and precision-recall curves of the model and of the reference models.

    Args:
        found: By model: which series are anomalies, and the scores, both ``(samples,)``.
        split: Split that is drawn.
        name: Name for the title.
    """
    figure = Figure(figsize=(9.6, 4.2), layout="constrained", dpi=150)
    roc, recalled = figure.subplots(1, 2)
    for (model, (truth, score)), colour in zip(found.items(), CLASS_COLOURS, strict=False):
        if 0 < truth.sum() < len(truth):
            precision, recall, _ = precision_recall_curve(truth, score)
            area, average = roc_auc_score(truth, score), average_precision_score(truth, score)
            label = f"{model}\nAUC {area:.3f}, average precision {average:.3f}"
            roc.plot(*roc_curve(truth, score)[:2], color=colour, label=label)
            precision[-1] = precision[-2]  # precision is undefined where nothing is flagged
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
        predictions: Predictions of one split, with ``split``, ``target`` and ``anomaly_score``.
        normal: The normal class.
        threshold: Score above which a series is flagged as an anomaly.
        name: Name for the title.
    """
    classes = sorted(predictions["target"].dropna().unique(), key=lambda one: (one != normal, one))
    score, split = predictions["anomaly_score"], predictions["split"].iloc[0]
    title = f"{name}: anomaly scores of the {split} series"
    unit = "standard deviations of normal training series, log scale"
    figure, axes = new_figure(title, f"anomaly score ({unit})", "series", (7.2, 4))
    floor = min(0.0, float(score.min()))  # most scores are near 0, a few are very large
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
    """The series with the median score of each class: above, the series and its reconstruction; below, the score.

    Args:
        found: Series, at most four.
        known: Modality, for sampling rate and channels.
        name: Name for the title.
    """
    figure = Figure(figsize=(2.6 * len(found) + 1.6, 4.6), layout="constrained", dpi=150)
    upper, lower = figure.subplots(2, len(found), sharex=True, sharey="row", squeeze=False, height_ratios=[3, 2])
    rate, channel = known.get("sampling_rate"), (known.get("channels") or ["value"])[0]
    unit = known.get("units", {}).get(channel)
    for above, below, one in zip(upper, lower, found, strict=True):
        time = np.arange(len(one.series)) / (rate or 1)
        above.plot(time, one.series, color=GREY, linewidth=2, label="series")
        above.plot(time, one.nearest, color=BLUE, linewidth=1.2, label="nearest generated")
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

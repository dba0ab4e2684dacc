"""Scores and predictions of a trained model on the splits of its data, beside the baselines."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from .. import files
from ..data import Data
from ..errors import InputError
from ..figure import Figure
from ..models import Model
from ..spec import modality_of
from ..tables.writing import write_csv
from ..training.tasks import task_of

log = logging.getLogger("zoo")


@dataclass
class Evaluation:
    """Scores and predictions of a model.

    Attributes:
        predictions: One row per sample: ``split``, ``target``, probabilities, ``prediction``; for survival ``split``,
            ``time``, ``event``, ``risk``, probabilities; for masks ``split``, and the metrics of each image and
            foreground class; for models without a target their outputs for each sample.
        scores: One row per value: ``model``, ``split``, ``metric``, ``value``.
        also: Names of the extra targets, with which their columns and metrics begin.
        positive: Positive class of each target with two classes, by the name of the target, ``""`` for the first.
        figures: By file name: the function that draws each figure, given the name for its title.
    """

    predictions: pd.DataFrame
    scores: pd.DataFrame
    also: list[str] = field(default_factory=list)
    figures: dict[str, Callable[[str], Figure]] = field(default_factory=dict)
    positive: dict[str, str] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """Metrics in rows, splits in columns; baselines on the last split only."""
        wide = self.scores.pivot(index="metric", columns=["model", "split"], values="value")
        ours, last = self.scores["model"].iloc[0], self.scores["split"].iloc[-1]
        columns = [(m, s) for m, s in self.scores[["model", "split"]].drop_duplicates().itertuples(index=False)]
        wide = wide[[column for column in columns if column[0] == ours or column[1] == last]]
        return wide.reindex(self.scores["metric"].unique())

    def value(self, metric: str, split: str = "test", model: str | None = None) -> float:
        """One score, by default of the evaluated model."""
        s = self.scores
        chosen = s[(s["metric"] == metric) & (s["split"] == split) & (s["model"] == (model or s["model"].iloc[0]))]
        return float(chosen["value"].iloc[0])

    def write(self, folder: Path) -> None:
        """Write ``predictions.csv`` and ``scores.csv``."""
        with files.replacing(folder / "predictions.csv") as path:
            write_csv(self.predictions, path)
        with files.replacing(folder / "scores.csv") as path:
            write_csv(self.scores, path, index=False)


Evaluator = Callable[[Any, Data, list[str]], Evaluation]
EVALUATORS: dict[tuple[str, str], Evaluator] = {}  # by task and modality ("" for any other)


def evaluates(task: str, *modalities: str) -> Callable[[Evaluator], Evaluator]:
    """Register an evaluator: ``(model, data, splits) -> Evaluation``, the model in evaluation mode.

    Args:
        task: ``model.task``; "" for all models that predict a target.
        *modalities: Kinds of modality; none for any.
    """

    def add(evaluator: Evaluator) -> Evaluator:
        EVALUATORS.update({(task, modality): evaluator for modality in modalities or ("",)})
        return evaluator

    return add


@torch.inference_mode()
def evaluate(model: Model, data: Data, splits: tuple[str, ...] = ("train", "validation", "test")) -> Evaluation:
    """Predict and score all rows of the given splits, in evaluation mode and without class balancing.

    Args:
        model: A trained model.
        data: Its data, or other data with the same columns.
        splits: Splits to score; leave ``"test"`` out until all settings are fixed.

    Raises:
        InputError: These splits have no samples.
    """
    present = [split for split in splits if len(data.dataset.rows(split))]
    if not present:
        raise InputError(f"no sample in {', '.join(splits)}; change fractions or split")
    task, modality = model.task, modality_of(model.spec)["kind"]
    evaluator = EVALUATORS.get((task, modality)) or EVALUATORS.get((task, "")) or EVALUATORS["", ""]
    training, _ = model.training, model.eval()
    try:
        evaluation = evaluator(model, data, present)
    finally:
        model.train(training)
    own = evaluation.scores[evaluation.scores["model"] == type(model).__name__]
    for split, values in own.groupby("split", sort=False)["value"]:
        if values.isna().all():
            count = len(data.dataset.rows(str(split)))
            log.warning("%d %s samples are too few for any score, or all alike", count, split)
    return evaluation


def raw_predictions(model: Model, data: Data, split: str) -> torch.Tensor:
    """Raw predictions of all samples of a split, on the CPU."""
    batches = (batch["x"].to(model.device) for batch in data.loader(split))
    return torch.cat([model.raw_predictions(x).float().cpu() for x in batches])


def with_truth(model: Model, data: Data, split: str, predicted: pd.DataFrame) -> pd.DataFrame:
    """Predictions of a split with its name and the true values as first columns, indexed by sample names."""
    rows = data.dataset.rows(split)
    truth = task_of(model.target).decode(data.dataset.y[rows], model.target)
    predicted = predicted.set_axis(data.dataset.samples.index[rows.numpy()])
    for place, (column, values) in enumerate({"split": split, **truth}.items()):
        predicted.insert(place, column, values)
    return predicted

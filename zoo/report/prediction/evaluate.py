"""Evaluation of models that predict one or several targets: scores beside baselines, predictions and figures."""

import pandas as pd
import torch

from ...data import Data
from ...models import Model
from ...spec import Target
from ...training.tasks.classes import positive_class
from ..evaluation import Evaluation, evaluates, raw_predictions
from .figures import Draw, target_figures
from .modalities import combination_figure, subset_scores
from .scores import target_scores


@evaluates("")
def evaluate_targets(model: Model, data: Data, present: list[str]) -> Evaluation:
    """Score each target; with several modalities also without each of them, and with each alone.

    Predictions have the columns ``split``, and true and predicted values of each target. Columns and metrics of extra
    targets begin with the name of the target.
    """
    content, heads = data.dataset, model.target_heads
    outputs = {split: raw_predictions(model, data, split) for split in present}
    rows = torch.cat([content.rows(split) for split in present])
    predictions = model.prediction_frame(torch.cat(list(outputs.values())), content.samples.index[rows.numpy()])
    widths = [head.width for head in heads.values()]
    parts = {split: dict(zip(heads, output.split(widths, 1), strict=True)) for split, output in outputs.items()}
    figures: dict[str, Draw] = {}
    scores, place = [], 0
    for name, head in heads.items():
        y, prefix = content.also[name] if name else content.y, f"{name}_" if name else ""
        own = {split: part[name] for split, part in parts.items()}
        for who, split, metric, value in target_scores(type(model).__name__, head, y, own, data):
            scores.append((who, split, prefix + metric, value))
        for column, values in head.task.decode(y[rows], head.target).items():
            predictions.insert(place, prefix + column, values)
            place += 1
    predictions.insert(0, "split", content.samples["split"].to_numpy()[rows.numpy()])
    for name, head in heads.items():
        figures |= _figures(predictions, head.target, name)
    if (measured := data.measured_modalities()) is not None:
        if len(measured.columns) > 1:
            scores += subset_scores(model, data, present[-1])
        title = f"modalities measured in {len(measured)} samples"
        figures["modalities"] = lambda name: combination_figure(measured, f"{name}: {title}")
    table = pd.DataFrame(scores, columns=["model", "split", "metric", "value"])
    positive = {name: positive_class(head.target) for name, head in heads.items()}
    return Evaluation(predictions, table, [name for name in heads if name], figures, positive)


def _figures(predictions: pd.DataFrame, target: Target, extra: str) -> dict[str, Draw]:
    """Figures of one target; file names and titles of an extra target contain its name."""
    if not extra:
        return target_figures(predictions, target)
    columns = {name: name.removeprefix(f"{extra}_") for name in predictions if name.startswith(f"{extra}_")}
    drawn = target_figures(predictions[["split", *columns]].rename(columns=columns), target)
    return {f"{extra}_{stem}": lambda name, draw=draw: draw(f"{name}, {extra}") for stem, draw in drawn.items()}  # type: ignore[misc]

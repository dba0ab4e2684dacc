"""Scores of one target on every split, and those of the baselines."""

import numpy as np
import torch
from torch import Tensor

from ...data import Data
from ...training.tasks import TargetHead
from .baselines import baselines, late_average

RESAMPLES, LEVEL = 500, 0.95  # of the bootstrap, and of its confidence intervals
Scores = list[tuple[str, str, str, float]]


def target_scores(name: str, head: TargetHead, y: Tensor, outputs: dict[str, Tensor], data: Data) -> Scores:
    """Scores of the samples with a known target: model, split, metric, value.

    With several modalities, where samples are few, the headline metric of the last split comes with the bounds of its
    95% interval, from 500 bootstrap resamples of the samples (Efron 1979, doi:10.1214/aos/1176344552).

    Args:
        name: Name of the model.
        head: Head of the target.
        y: The target of all samples.
        outputs: Raw outputs of the samples of each split.
        data: The data.
    """
    content, target, task = data.dataset, head.target, head.task
    labelled, several = task.labelled, data.measured_modalities() is not None
    known = {split: (rows := content.rows(split))[labelled(y[rows])] for split in outputs}
    train = (content.samples["split"] == "train").to_numpy() & labelled(y).numpy()
    # Without training rows, as in an external validation, censoring is estimated from the samples themselves.
    reference = y[torch.from_numpy(train)] if train.any() else y[torch.cat(list(known.values()))]
    device = head.mean.device
    own = {
        split: task.scored_predictions(head, found[labelled(y[content.rows(split)])].to(device), reference).cpu()
        for split, found in outputs.items()
    }
    by_name = {name: own}
    if train.any():  # not for a table of test samples alone, as in an external validation
        found = baselines(data.baseline_features, y.numpy(), train, target)
        if several and task.classified:
            found |= late_average(data.baseline_modalities, y.numpy(), train, target)
        for baseline, values in found.items():
            by_name[baseline] = {split: torch.from_numpy(values).float()[rows] for split, rows in known.items()}
    result: Scores = []
    for name, by_split in by_name.items():
        for split, predicted in by_split.items():
            truth = y[known[split]]
            result += [
                (name, split, metric, value)
                for metric, value in task.scores(predicted, truth, target, reference).items()
            ]
        if several:  # of the last split
            low, high = interval(predicted, truth, head)
            metric = task.headline
            result += [(name, split, f"{metric}_low", low), (name, split, f"{metric}_high", high)]
    return result


def interval(predicted: Tensor, y: Tensor, head: TargetHead) -> tuple[float, float]:
    """Bounds of the 95% bootstrap interval of the headline metric; NaN if the metric is undefined."""
    if head.task.needs_event:
        predicted = predicted[:, 0]
    rng = np.random.default_rng(0)
    draws = (torch.from_numpy(rng.integers(len(y), size=len(y))) for _ in range(RESAMPLES))
    values = [head.task.headline_value(predicted[rows], y[rows], head.target) for rows in draws] if len(y) else []
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

"""Scores of one target on every split, beside those of the baselines."""

import numpy as np
import torch
from torch import Tensor

from ...data import Data
from ...data.multiomics.multiomics import MultiOmicsData
from ...models.predict.supervised import Predicting
from ...spec import HEADLINE, Target, labelled
from ...training.metrics import headline
from ...training.metrics import scores as score
from ...training.survival_metrics import scored_times, survival_scores
from .baselines import baselines, late_average

RESAMPLES, LEVEL = 500, 0.95  # of the bootstrap; of its intervals
Scores = list[tuple[str, str, str, float]]


def target_scores(name: str, part: Predicting, y: Tensor, outputs: dict[str, Tensor], data: Data) -> Scores:
    """Scores of all samples that have a target: model, split, metric, value.

    Of several modalities, where samples are few, the headline metric of the last split comes with the ends of its 95%
    interval, by 500 bootstrap resamples of the samples (Efron 1979, doi:10.1214/aos/1176344552).

    Args:
        name: Of the model.
        part: The model, or a further target of it.
        y: The target of all samples.
        outputs: Raw outputs of the samples of each split.
        data: The data.
    """
    content, target = data.content, part.target
    known = {split: (rows := content.rows(split))[labelled(y[rows])] for split in outputs}
    train = (content.samples["split"] == "train").to_numpy() & labelled(y).numpy()
    # Without training rows, as in an external validation, censoring is estimated from the samples themselves.
    reference = y[torch.from_numpy(train)] if train.any() else y[torch.cat(list(known.values()))]
    answers = {
        split: _answer(part, found[labelled(y[content.rows(split)])], reference) for split, found in outputs.items()
    }
    by_name = {name: answers}
    if train.any():  # not for a table of test samples alone, as in an external validation
        found = baselines(data.baseline_features, y.numpy(), train, target)
        if isinstance(data, MultiOmicsData) and target["classes"]:
            found |= late_average(data.baseline_modalities, y.numpy(), train, target)
        for baseline, values in found.items():
            by_name[baseline] = {split: torch.from_numpy(values).float()[rows] for split, rows in known.items()}
    result: Scores = []
    for name, by_split in by_name.items():
        for split, answer in by_split.items():
            truth = y[known[split]]
            result += [
                (name, split, metric, value) for metric, value in _scores(answer, truth, reference, target).items()
            ]
        if isinstance(data, MultiOmicsData):  # of the last split
            metric = HEADLINE[target["kind"]]
            low, high = interval(answer, truth, target)
            result += [(name, split, f"{metric}_low", low), (name, split, f"{metric}_high", high)]
    return result


def _answer(part: Predicting, output: Tensor, reference: Tensor) -> Tensor:
    """What a model says of samples: probabilities, numbers, or risks and survival functions."""
    found = part.answer(output.to(part.device))
    if part.target["kind"] == "survival":
        times = torch.from_numpy(scored_times(reference.numpy())).float()
        found = torch.cat([found.unsqueeze(1), part.survival(found, times)], 1)
    return found.cpu()


def _scores(answer: Tensor, y: Tensor, reference: Tensor, target: Target) -> dict[str, float]:
    if target["kind"] == "survival":
        return survival_scores(answer.numpy(), y.numpy(), reference.numpy())
    return score(answer, y, target)


def interval(answer: Tensor, y: Tensor, target: Target, seed: int = 0) -> tuple[float, float]:
    """Ends of the 95% interval of the headline metric; NaN if it is not defined."""
    if target["kind"] == "survival":
        answer = answer[:, 0]
    rng = np.random.default_rng(seed)
    draws = (torch.from_numpy(rng.integers(len(y), size=len(y))) for _ in range(RESAMPLES))
    values = [headline(answer[rows], y[rows], target) for rows in draws] if len(y) else []
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

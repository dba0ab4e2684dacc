"""Which features say most about the target, one by one, in training samples."""

import numpy as np
from torch import Tensor

from ...encode.expression import ExpressionEncoder
from ...errors import InputError
from ...spec import Modality, Target
from ...training.tasks import task_of


def select(part: Modality, x: Tensor, y: Tensor, target: Target, count: int) -> None:
    """Keep in a modality only its features that say most about the target.

    Args:
        part: Of expression; it is changed in place, and keeps its covariates.
        x: Raw training samples, ``shape=(samples, features)``.
        y: Their targets.
        target: Kind of the target.
        count: How many features to keep.

    Raises:
        InputError: There is no target, or the samples have one and the same value of it.
    """
    layer = ExpressionEncoder(part)
    layer.fit(x)
    kept = most_predictive(layer(x)[:, : layer.genes].numpy(), y.numpy(), target, count)
    part["features"] = [part["features"][number] for number in kept] + part["features"][layer.genes :]
    part["shape"] = [len(part["features"])]


def most_predictive(x: np.ndarray, y: np.ndarray, target: Target, count: int) -> list[int]:
    """Positions of the features with the strongest relation to the target, in their own order.

    How strong a relation is, the task of the target says (`association` in `zoo.training.tasks`).

    Args:
        x: Encoded training samples, ``shape=(samples, features)``.
        y: Their targets; those without one are left out.
        target: Kind of the target.
        count: How many features to keep.

    Raises:
        InputError: There is no target, or the samples have one and the same value of it.
    """
    known = np.isfinite(y).reshape(len(y), -1).all(1) & (y >= 0 if target["classes"] else True)
    x, y = x[known], y[known]
    if len(np.unique(y, axis=0)) < 2:
        what = f"target {target['name']!r} that differs" if target["name"] else "target: give --data.target"
        raise InputError(f"most_predictive needs training samples with a {what}")
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = task_of(target).association(x, y)
    order = np.argsort(-np.nan_to_num(strength, nan=-1.0), kind="stable")
    return sorted(order[:count].tolist())

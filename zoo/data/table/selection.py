"""Univariate selection of the features most strongly associated with the target, on training samples."""

import numpy as np
from torch import Tensor

from ...encode.expression import ExpressionEncoder
from ...errors import InputError
from ...spec import Modality, Target
from ...training.tasks import task_of


def select(part: Modality, x: Tensor, y: Tensor, target: Target, count: int) -> None:
    """Reduce a modality to the features most strongly associated with the target.

    Args:
        part: Modality of expression; changed in place. Its covariates are kept.
        x: Raw training samples, ``shape=(samples, features)``.
        y: Targets of the training samples.
        target: Description of the target.
        count: Number of features to select.

    Raises:
        InputError: There is no target, or all samples have the same value of it.
    """
    layer = ExpressionEncoder(part)
    layer.fit(x)
    kept = most_predictive(layer(x)[:, : layer.genes].numpy(), y.numpy(), target, count)
    part["features"] = [part["features"][number] for number in kept] + part["features"][layer.genes :]
    part["shape"] = [len(part["features"])]


def most_predictive(x: np.ndarray, y: np.ndarray, target: Target, count: int) -> list[int]:
    """Positions of the features most strongly associated with the target, in ascending order.

    The task of the target defines the measure of association (`association` in `zoo.training.tasks`).

    Args:
        x: Encoded training samples, ``shape=(samples, features)``.
        y: Targets of the training samples; those with a missing target are left out.
        target: Description of the target.
        count: Number of features to select.

    Raises:
        InputError: There is no target, or all samples have the same value of it.
    """
    known = np.isfinite(y).reshape(len(y), -1).all(1) & (y >= 0 if target["classes"] else True)
    x, y = x[known], y[known]
    if len(np.unique(y, axis=0)) < 2:
        what = f"different values of target {target['name']!r}" if target["name"] else "a target: give --data.target"
        raise InputError(f"most_predictive needs training samples with {what}")
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = task_of(target).association(x, y)
    order = np.argsort(-np.nan_to_num(strength, nan=-1.0), kind="stable")
    return sorted(order[:count].tolist())

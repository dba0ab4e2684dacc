"""Which features say most about the target, one by one, in training samples."""

import numpy as np
from torch import Tensor

from ...encode.expression import ExpressionEncoder
from ...errors import InputError
from ...spec import Modality, Target


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

    Classes: F statistic of the analysis of variance. Numbers: correlation. Survival: correlation with the martingale
    residuals of a model without features (Therneau et al. 1990, doi:10.1093/biomet/77.1.147), as a score test does.

    Args:
        x: Encoded training samples, ``shape=(samples, features)``.
        y: Their targets; those without one are left out.
        target: Kind of the target.
        count: How many features to keep.

    Raises:
        InputError: There is no target, or the samples have one and the same value of it.
    """
    from sklearn.feature_selection import f_classif, f_regression

    known = np.isfinite(y).reshape(len(y), -1).all(1) & (y >= 0 if target["classes"] else True)
    x, y = x[known], y[known]
    if len(np.unique(y, axis=0)) < 2:
        what = f"target {target['name']!r} that differs" if target["name"] else "target: give --data.target"
        raise InputError(f"most_predictive needs training samples with a {what}")
    with np.errstate(divide="ignore", invalid="ignore"):
        if target["classes"]:
            strength = f_classif(x, y)[0]
        else:
            strength = f_regression(x, _martingale_residuals(y) if target["kind"] == "survival" else y)[0]
    order = np.argsort(-np.nan_to_num(strength, nan=-1.0), kind="stable")
    return sorted(order[:count].tolist())


def _martingale_residuals(y: np.ndarray) -> np.ndarray:
    """Events less the cumulative hazard (Nelson-Aalen) at the time of each sample."""
    time, event = y.T
    times = np.unique(time)
    at_risk = (time[None] >= times[:, None]).sum(1)
    events = ((time[None] == times[:, None]) & (event > 0)).sum(1)
    hazard = np.cumsum(events / at_risk)
    result: np.ndarray = event - hazard[np.searchsorted(times, time)]
    return result

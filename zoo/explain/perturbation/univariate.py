"""The simple peers of a perturbation: each feature by itself, with a t-test or a linear model."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats

from ...data import Data
from ...encode.table import TableEncoder
from ...errors import InputError, check_range, suggest
from ...spec import modality_of
from .copies import copy_names, encoded
from .shifts import Value, check_feature, check_table, code_of, columns_of, positions, step_of
from .statistics import benjamini_hochberg


def univariate(
    data: Data,
    feature: str | Sequence[str],
    value: Value,
    adjust: Sequence[str] = (),
    split: str | None = None,
    level: float = 0.05,
) -> pd.DataFrame:
    """What `perturb` asks, answered without a network: one test for each pair of features.

    Without ``adjust``, samples with that level are compared with all others that are known (Welch's t-test); of a
    number, the slope of a straight line is tested. With ``adjust``, a linear model of each feature has these columns
    beside the one in question, and its coefficient is tested. Samples that lack the feature are left out; missing
    values of ``adjust`` are the mean, or a level of their own.

    This is no weaker for being simple: where effects add up and what confounds them was measured, a linear model is
    hard to beat. What was not measured it takes for an effect (``benchmarks/perturbation.py``).

    Args:
        data: A table; copies (`with_copies`) are left out.
        feature: The feature in question, or several; false discoveries are counted over all.
        value: As for `perturb`. Of a number it only sets the unit of the shift: that from the mean to ``value``, or
            along so many standard deviations.
        adjust: Columns such as age, sex, centre and the other drugs. The feature in question is left out by itself.
        split: Samples of ``"train"``, ``"validation"`` or ``"test"``; all by default.
        level: q value up to which a feature is significant.

    Returns:
        As `perturb`; what does not apply is NaN. The q values are those of Benjamini and Hochberg. Columns in
        ``adjust`` are left out.

    Raises:
        InputError: No such feature or level; a target or covariate; too few samples.
    """
    check_range("level", level, 0, 1)
    check_table(data)
    names = [feature] if isinstance(feature, str) else list(feature)
    modality, rows = modality_of(data.spec), positions(data, split)
    features = modality["features"]
    for name in names:
        check_feature(data, name)
    if unknown := [name for name in adjust if name not in features]:
        raise InputError(f"there is no feature {unknown[0]!r} to adjust for; {suggest(unknown[0], features)}")
    encode = TableEncoder(modality)
    encode.fit(data.training_inputs())
    columns = columns_of(encode, data.training_inputs())
    raw = data.dataset.x[torch.arange(len(data.samples))]
    measured = raw[rows].isfinite().numpy()[:, [features.index(name) for name in columns.features]]
    y = encode(raw[rows]).double().numpy()[:, columns.at] / columns.deviation
    copies = {copy for name in features for copy in copy_names(name, features)}
    tables = []
    for name in names:
        given = [other for other in adjust if other != name]
        conditions = encoded(raw, modality, given, data.dataset.rows("train"))[rows.numpy()]
        cause, reach = _cause(data, name, value, raw[rows, features.index(name)].double().numpy())
        rest = [place for place, other in enumerate(columns.features) if other not in {name, *given, *copies}]
        shift, p = np.full((2, len(rest)), np.nan)
        known = measured[:, rest] & np.isfinite(cause)[:, None]
        test = _welch if not given and name in modality.get("levels", {}) else _linear
        for pattern in np.unique(known, axis=1).T:  # features with the same gaps are tested together
            same = (known == pattern[:, None]).all(0)
            shift[same], p[same] = test(cause[pattern], y[pattern][:, np.array(rest)[same]], conditions[pattern])
        shift = shift * reach * columns.deviation[rest]
        table = pd.DataFrame({"perturbed": name, "feature": np.array(columns.names)[rest]})
        table["shift"], table["shift_sd"] = shift * columns.scale[rest], shift / columns.deviation[rest]
        tables.append(table.assign(models_sd=np.nan, probability=np.nan, bayes_factor=np.nan, p_value=p))
    result = pd.concat(tables, ignore_index=True)
    result["q_value"] = benjamini_hochberg(result["p_value"].to_numpy())
    result["significant"] = result["q_value"] <= level
    order = np.lexsort([-result["shift_sd"].abs(), result["p_value"].fillna(2)])
    return result.iloc[order].reset_index(drop=True)


def _cause(data: Data, name: str, value: Value, own: np.ndarray) -> tuple[np.ndarray, float]:
    """The column in question, NaN where missing: 1 for the level and 0 for others, or standard units; and how far."""
    modality, step = modality_of(data.spec), step_of(value)
    if name in modality.get("levels", {}) or step is None:
        goal = code_of(modality, name, value)
    if name in modality.get("levels", {}):
        return np.where(np.isfinite(own), own == goal, np.nan), 1.0
    training = data.training_inputs()[:, modality["features"].index(name)].double().numpy()
    mean, deviation = np.nanmean(training), np.nanstd(training) or 1.0
    return (own - mean) / deviation, step if step is not None else float((goal - mean) / deviation)


def _welch(cause: np.ndarray, y: np.ndarray, conditions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Difference of means and p value of each column."""
    one, other = y[cause == 1], y[cause == 0]
    if min(len(one), len(other)) < 2:
        return np.full((2, y.shape[1]), np.nan)  # type: ignore[return-value]
    return one.mean(0) - other.mean(0), stats.ttest_ind(one, other, equal_var=False).pvalue


def _linear(cause: np.ndarray, y: np.ndarray, conditions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficient of the cause and its p value, after the conditions have explained what they can of both.

    The same as in one linear model (Frisch and Waugh 1933, doi:10.2307/1907330), and conditions may be redundant.
    """
    design = np.column_stack([np.ones(len(y)), conditions])
    both = np.column_stack([cause, y])
    solution, _, rank, _ = np.linalg.lstsq(design, both, rcond=None)
    left = both - design @ solution
    freedom, variance = len(y) - rank - 1, left[:, 0] @ left[:, 0]
    if freedom < 1 or variance < 1e-9 * len(y):
        return np.full((2, y.shape[1]), np.nan)  # type: ignore[return-value]
    slope = left[:, 0] @ left[:, 1:] / variance
    residual = left[:, 1:] - slope * left[:, :1]
    error = np.sqrt(np.square(residual).sum(0) / freedom / variance)
    return slope, 2 * stats.t.sf(np.abs(slope) / error.clip(min=1e-300), freedom)

"""Univariate tests as baselines of a perturbation: a t-test or a linear model for each feature."""

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
    """Test the associations of a feature with all others without a network: one test for each pair.

    Without ``adjust``, samples with the level are compared with all other samples whose level is known (Welch's
    t-test); for a number, the slope of a linear regression is tested. With ``adjust``, the coefficient of the feature
    is tested in a linear model with these columns as covariates. Samples with missing values of either feature are left
    out; missing values of ``adjust`` are replaced by the mean, or are a separate level.

    If effects are additive and all confounders were measured, a linear model is hard to improve on. Confounders that
    were not measured appear as effects (``benchmarks/perturbation.py``).

    Args:
        data: A table; copies (`with_copies`) are left out.
        feature: The feature to test, or several; false discoveries are controlled over all.
        value: As in `perturb`. For a number it only sets the scale of the shift: from the mean to ``value``, or by the
            given number of standard deviations.
        adjust: Covariates, such as age, sex, centre and the other drugs. The tested feature is removed automatically.
        split: Samples of ``"train"``, ``"validation"`` or ``"test"``. Default: all.
        level: q value up to which a feature is significant.

    Returns:
        As from `perturb`, with NaN in columns that do not apply. The q values are those of Benjamini and Hochberg.
        Columns in ``adjust`` are left out.

    Raises:
        InputError: Unknown feature or level; a target or covariate; too few samples.
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
        covariates = [other for other in adjust if other != name]
        conditions = encoded(raw, modality, covariates, data.dataset.rows("train"))[rows.numpy()]
        tested, reach = _tested(data, name, value, raw[rows, features.index(name)].double().numpy())
        rest = [place for place, other in enumerate(columns.features) if other not in {name, *covariates, *copies}]
        shift, p = np.full((2, len(rest)), np.nan)
        known = measured[:, rest] & np.isfinite(tested)[:, None]
        test = _welch if not covariates and name in modality.get("levels", {}) else _linear
        for pattern in np.unique(known, axis=1).T:  # features with the same missing samples are tested together
            same = (known == pattern[:, None]).all(0)
            shift[same], p[same] = test(tested[pattern], y[pattern][:, np.array(rest)[same]], conditions[pattern])
        shift = shift * reach * columns.deviation[rest]
        table = pd.DataFrame({"perturbed": name, "feature": np.array(columns.names)[rest]})
        table["shift"], table["shift_sd"] = shift * columns.scale[rest], shift / columns.deviation[rest]
        tables.append(table.assign(models_sd=np.nan, probability=np.nan, bayes_factor=np.nan, p_value=p))
    result = pd.concat(tables, ignore_index=True)
    result["q_value"] = benjamini_hochberg(result["p_value"].to_numpy())
    result["significant"] = result["q_value"] <= level
    order = np.lexsort([-result["shift_sd"].abs(), result["p_value"].fillna(2)])
    return result.iloc[order].reset_index(drop=True)


def _tested(data: Data, name: str, value: Value, column: np.ndarray) -> tuple[np.ndarray, float]:
    """The tested column as 0 or 1 for a level, else standardised, NaN if missing; and the size of the shift in it."""
    modality, step = modality_of(data.spec), step_of(value)
    if name in modality.get("levels", {}) or step is None:
        goal = code_of(modality, name, value)
    if name in modality.get("levels", {}):
        return np.where(np.isfinite(column), column == goal, np.nan), 1.0
    training = data.training_inputs()[:, modality["features"].index(name)].double().numpy()
    mean, deviation = np.nanmean(training), np.nanstd(training) or 1.0
    return (column - mean) / deviation, step if step is not None else float((goal - mean) / deviation)


def _welch(tested: np.ndarray, y: np.ndarray, conditions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Difference of means and p value of each column of ``y``."""
    one, other = y[tested == 1], y[tested == 0]
    if min(len(one), len(other)) < 2:
        return np.full((2, y.shape[1]), np.nan)  # type: ignore[return-value]
    return one.mean(0) - other.mean(0), stats.ttest_ind(one, other, equal_var=False).pvalue


def _linear(tested: np.ndarray, y: np.ndarray, conditions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficient of the tested column and its p value, after regressing both sides on the conditions.

    Equivalent to one linear model (Frisch and Waugh 1933, doi:10.2307/1907330), but conditions may be collinear.
    """
    design = np.column_stack([np.ones(len(y)), conditions])
    both = np.column_stack([tested, y])
    solution, _, rank, _ = np.linalg.lstsq(design, both, rcond=None)
    left = both - design @ solution
    freedom, variance = len(y) - rank - 1, left[:, 0] @ left[:, 0]
    if freedom < 1 or variance < 1e-9 * len(y):
        return np.full((2, y.shape[1]), np.nan)  # type: ignore[return-value]
    slope = left[:, 0] @ left[:, 1:] / variance
    residual = left[:, 1:] - slope * left[:, :1]
    error = np.sqrt(np.square(residual).sum(0) / freedom / variance)
    return slope, 2 * stats.t.sf(np.abs(slope) / error.clip(min=1e-300), freedom)

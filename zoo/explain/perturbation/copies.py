"""Random copies of columns without effects, whose perturbation gives a null distribution."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...data import TableData
from ...data.base import Dataset
from ...encode.table import TableEncoder
from ...errors import InputError, check_range, suggest
from ...spec import Modality, Spec, modality_of
from .shifts import check_table

ADJUSTED = "copies adjusted for"  # entry of data.samples.attrs: columns that the copies are conditioned on


def copy_names(name: str, features: Sequence[str]) -> list[str]:
    """The features that are copies of a column."""
    return [feature for feature in features if feature.startswith(f"{name} (copy ") and feature.endswith(")")]


def with_copies(
    data: TableData, columns: Sequence[str], adjust: Sequence[str] = (), count: int = 2, seed: int = 0
) -> TableData:
    """Add randomised copies of columns, which have the same confounders as the columns but no effects.

    The value of a copy is drawn for each sample from the conditional distribution of the column given ``adjust`` and
    the other ``columns``: a category by its probability (logistic regression), a number as its prediction (linear
    regression) plus the residual of a random sample. A copy of a drug is thus associated with age like the drug itself,
    if age is in ``adjust``, but affects no feature. An autoencoder trained on data with copies learns some dependence
    on them by chance and by overfitting, which `perturb` uses as the null distribution.

    This is the conditional randomisation of Candes et al. 2018 (doi:10.1111/rssb.12265), fitted on training rows.

    Args:
        data: A table; it is not changed.
        columns: Columns to be copied, such as all drugs.
        adjust: Possible confounders, such as age, sex and centre. Features whose shifts are to be tested must not be
            among them, because copies would then reproduce the effects of the drugs on them.
        count: Copies of each column. Two are enough for ten columns; a single column needs five to ten, because p
            values cannot be below one divided by the number of shifts by copies.
        seed: Random seed of the copies.

    Returns:
        Data whose last features are ``"NAME (copy 1)"``, ``"NAME (copy 2)"``, ...; the split is the same.

    Raises:
        InputError: Unknown column; no column to copy; a target or covariate among the columns.
    """
    check_range("count", count, 1)
    check_table(data)
    modality = modality_of(data.spec)
    features = modality["features"]
    if not columns:
        raise InputError("no columns to copy; name at least one")
    for name in [*columns, *adjust]:
        if name not in features:
            raise InputError(f"there is no feature {name!r}; {suggest(name, features)}")
    for name in columns:
        if name in modality.get("covariates", []):
            raise InputError(f"{name!r} is a covariate, which no model reconstructs; leave it out of the covariates")
        if copy_names(name, features):
            raise InputError(f"{name!r} has copies already")
    x = data.dataset.x[torch.arange(len(data.samples))]
    training = data.dataset.rows("train")
    drawn = []
    for place, name in enumerate(columns):
        random = np.random.default_rng([seed, place])
        conditions = [other for other in dict.fromkeys([*adjust, *columns]) if other != name]
        predictors = encoded(x, modality, conditions, training)
        column = x[:, features.index(name)].double().numpy()
        category = name in modality.get("levels", {})
        draw = _categories if category else _numbers
        drawn += draw(column, predictors, training.numpy(), count, random)
    names = {f"{name} (copy {number})": name for name in columns for number in range(1, count + 1)}
    result = copy.copy(data)
    for cached in ("training", "_standardised"):
        result.__dict__.pop(cached, None)
    extended = torch.cat([x, torch.from_numpy(np.stack(drawn, 1).astype(np.float32))], 1)
    spec: Spec = {**data.spec, "modalities": {"table": _extended(modality, names)}}
    samples = data.samples.copy()
    samples.attrs[ADJUSTED] = list(dict.fromkeys([*adjust, *columns, *data.samples.attrs.get(ADJUSTED, [])]))
    result.dataset = Dataset(extended, data.dataset.y, samples, spec)
    return result


def _extended(modality: Modality, names: dict[str, str]) -> Modality:
    """The modality with copies; ``names`` maps each copy to its original."""
    result = copy.deepcopy(modality)
    result["features"] = [*modality["features"], *names]
    result["shape"] = [len(result["features"])]
    for new, old in names.items():
        if old in result.get("levels", {}):
            result["levels"][new] = result["levels"][old]
        if old in result.get("units", {}):
            result["units"][new] = result["units"][old]
        if old in modality.get("ordered", []):
            result["ordered"].append(new)
    return result


def encoded(x: Tensor, modality: Modality, names: list[str], training: Tensor) -> np.ndarray:
    """Encoded columns without missing values, standardised by the training rows: ``(samples, values)``."""
    if not names:
        return np.zeros((len(x), 1))
    part = Modality(
        kind="table",
        shape=[len(names)],
        features=names,
        levels={name: levels for name, levels in modality.get("levels", {}).items() if name in names},
        ordered=[name for name in modality.get("ordered", []) if name in names],
    )
    layer, columns = TableEncoder(part), x[:, [modality["features"].index(name) for name in names]]
    layer.fit(columns[training])
    result: np.ndarray = layer(columns).double().numpy()
    return result


def _categories(
    column: np.ndarray, predictors: np.ndarray, training: np.ndarray, count: int, random: np.random.Generator
) -> list[np.ndarray]:
    """Codes drawn by their predicted probabilities; missing where the column is missing."""
    from sklearn.linear_model import LogisticRegression

    known = training[np.isfinite(column[training])]
    if len(np.unique(column[known])) < 2:
        return [column] * count
    model = LogisticRegression(max_iter=1000).fit(predictors[known], column[known])
    edges = model.predict_proba(predictors).cumsum(1)
    copies = []
    for _ in range(count):
        place = (random.random(len(column))[:, None] > edges).sum(1).clip(max=len(model.classes_) - 1)
        copies.append(np.where(np.isfinite(column), model.classes_[place], np.nan))
    return copies


def _numbers(
    column: np.ndarray, predictors: np.ndarray, training: np.ndarray, count: int, random: np.random.Generator
) -> list[np.ndarray]:
    """Predictions plus the residuals of random training samples; missing where the column is missing."""
    from sklearn.linear_model import RidgeCV

    known = training[np.isfinite(column[training])]
    if len(known) < 2:
        return [column] * count
    predicted = RidgeCV(np.logspace(-3, 3, 7)).fit(predictors[known], column[known]).predict(predictors)
    residuals = (column - predicted)[known]
    copies = (predicted + random.choice(residuals, len(column)) for _ in range(count))
    return [np.where(np.isfinite(column), copy, np.nan) for copy in copies]

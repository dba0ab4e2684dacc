"""Copies of columns that mean nothing: what a perturbation finds in them, it finds by chance."""

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

ADJUSTED = "copies adjusted for"  # entry of data.samples.attrs: columns that the copies were drawn by


def copy_names(name: str, features: Sequence[str]) -> list[str]:
    """Those of the features that are copies of this column."""
    return [feature for feature in features if feature.startswith(f"{name} (copy ") and feature.endswith(")")]


def with_copies(
    data: TableData, columns: Sequence[str], adjust: Sequence[str] = (), count: int = 2, seed: int = 0
) -> TableData:
    """The same data with copies of some columns, which keep what explains a column, and nothing of what it explains.

    A copy is drawn anew for each sample from what the column is expected to be, given ``adjust`` and the other
    ``columns``: a category by its probability (logistic regression), a number as its prediction (linear regression)
    and the residual of another sample. So a copy of a drug is confounded by age as the drug is, if age is in
    ``adjust``, but does nothing to any feature. An autoencoder that is trained on data with copies learns some
    dependence on them, by chance and by overfitting; `perturb` takes that as its yardstick.

    This is the conditional randomisation of Candes et al. 2018 (doi:10.1111/rssb.12265), learnt from training rows.

    Args:
        data: A table; it is left as it is.
        columns: Columns to be copied, such as all drugs.
        adjust: Columns that may drive them, such as age, sex and centre. The features that are to be found must not be
            among them, else the copies would learn the effects of the drugs from them.
        count: Copies of each column. Two are enough for ten columns; a single one needs five to ten, for no p value is
            below one by the number of shifts by copies.
        seed: Of the draws.

    Returns:
        Data whose last features are ``"NAME (copy 1)"``, ``"NAME (copy 2)"``, ...; the split is the same.

    Raises:
        InputError: No such column, no column to copy, or a target or covariate among them.
    """
    check_range("count", count, 1)
    check_table(data)
    modality = modality_of(data.spec)
    features = modality["features"]
    if not columns:
        raise InputError("name the columns that are to be copied")
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
        given = [other for other in dict.fromkeys([*adjust, *columns]) if other != name]
        conditions = encoded(x, modality, given, training)
        own = x[:, features.index(name)].double().numpy()
        category = name in modality.get("levels", {})
        draw = _categories if category else _numbers
        drawn += draw(own, conditions, training.numpy(), count, random)
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
    """The same with copies; ``names`` says of what."""
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
    """Columns as numbers without gaps, standardised by training rows: ``(samples, numbers)``."""
    if not names:
        return np.zeros((len(x), 1))
    part = Modality(
        kind="table",
        shape=[len(names)],
        features=names,
        levels={name: levels for name, levels in modality.get("levels", {}).items() if name in names},
        ordered=[name for name in modality.get("ordered", []) if name in names],
    )
    layer, own = TableEncoder(part), x[:, [modality["features"].index(name) for name in names]]
    layer.fit(own[training])
    result: np.ndarray = layer(own).double().numpy()
    return result


def _categories(
    own: np.ndarray, conditions: np.ndarray, training: np.ndarray, count: int, random: np.random.Generator
) -> list[np.ndarray]:
    """Codes drawn by their probability; missing where the column is."""
    from sklearn.linear_model import LogisticRegression

    known = training[np.isfinite(own[training])]
    if len(np.unique(own[known])) < 2:
        return [own] * count
    model = LogisticRegression(max_iter=1000).fit(conditions[known], own[known])
    edges = model.predict_proba(conditions).cumsum(1)
    copies = []
    for _ in range(count):
        place = (random.random(len(own))[:, None] > edges).sum(1).clip(max=len(model.classes_) - 1)
        copies.append(np.where(np.isfinite(own), model.classes_[place], np.nan))
    return copies


def _numbers(
    own: np.ndarray, conditions: np.ndarray, training: np.ndarray, count: int, random: np.random.Generator
) -> list[np.ndarray]:
    """Predictions with the residual of another sample; missing where the column is."""
    from sklearn.linear_model import RidgeCV

    known = training[np.isfinite(own[training])]
    if len(known) < 2:
        return [own] * count
    predicted = RidgeCV(np.logspace(-3, 3, 7)).fit(conditions[known], own[known]).predict(conditions)
    residuals = (own - predicted)[known]
    return [np.where(np.isfinite(own), predicted + random.choice(residuals, len(own)), np.nan) for _ in range(count)]

"""The simple models that a network must be held against, on the very same rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from torch import Tensor

from ..spec import Target
from .survival_baseline import survival_baselines

MOST_ROWS = 20_000  # a forest on more takes longer than the network


def baselines(
    features: Callable[[Tensor], dict[str, np.ndarray]], y: np.ndarray, train: np.ndarray, target: Target
) -> dict[str, np.ndarray]:
    """Fit the baselines on the training rows and let them predict every row.

    Args:
        features: From positions of samples to sets of features, ``shape=(rows, features)``, such as
            ``data.baseline_features``.
        y: Class codes or numbers, ``shape=(samples,)``; of survival times and events, ``shape=(samples, 2)``.
        train: True for training rows, ``shape=(samples,)``.
        target: Kind and classes.

    Returns:
        By name: probabilities ``(samples, classes)``, or numbers ``(samples,)``. Logistic (ridge) regression on every
        set of features, and a random forest of 300 trees on the first, scikit-learn's settings otherwise. Of more than
        20,000 training rows, 20,000 are drawn. Of survival see `zoo.report.survival_baseline`.
    """
    if target["kind"] == "survival":
        return survival_baselines(features, y, train)
    rows = np.flatnonzero(train)
    if len(rows) > MOST_ROWS:
        rows = np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False)
    models: dict[str, tuple[str, Any]] = {}
    for number, (prefix, x) in enumerate(features(torch.from_numpy(rows)).items()):
        for name, model in _models(target, forest=number == 0).items():
            models[prefix + name] = prefix, model.fit(x, y[rows])
    parts: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for some in torch.arange(len(y)).split(MOST_ROWS):
        sets = features(some)
        for name, (prefix, model) in models.items():
            parts[name].append(_answer(model, sets[prefix], target))
    return {name: np.concatenate(answers) for name, answers in parts.items()}


def late_average(
    modalities: Callable[[Tensor], dict[str, np.ndarray]], y: np.ndarray, train: np.ndarray, target: Target
) -> dict[str, np.ndarray]:
    """One logistic regression a modality, their probabilities averaged over those that a sample has.

    Args:
        modalities: From positions of samples to the features of each modality, NaN where it was not measured.
        y: Class codes, ``shape=(samples,)``.
        train: True for training rows, ``shape=(samples,)``.
        target: Classes.

    Returns:
        Probabilities ``(samples, classes)`` by the name of the baseline.
    """
    sums = np.zeros((len(y), len(target["classes"])))
    for x in modalities(torch.arange(len(y))).values():
        there = ~np.isnan(x).any(1)
        if len(np.unique(y[train & there])) > 1:
            model = LogisticRegression(max_iter=2000).fit(x[train & there], y[train & there])
            sums[there] += _answer(model, x[there], target)
    shares = np.bincount(y[train], minlength=sums.shape[1]) / train.sum()
    total = sums.sum(1, keepdims=True)
    return {"late logistic regression": np.where(total > 0, sums / np.maximum(total, 1e-12), shares)}


def _models(target: Target, forest: bool) -> dict[str, Any]:
    if target["kind"] == "regression":
        models: dict[str, Any] = {"ridge regression": RidgeCV(np.logspace(-3, 3, 13))}
        return models | ({"random forest": RandomForestRegressor(300, random_state=0, n_jobs=-1)} if forest else {})
    models = {"logistic regression": LogisticRegression(max_iter=2000)}
    return models | ({"random forest": RandomForestClassifier(300, random_state=0, n_jobs=-1)} if forest else {})


def _answer(model: Any, x: np.ndarray, target: Target) -> np.ndarray:
    if target["kind"] == "regression":
        numbers: np.ndarray = model.predict(x)
        return numbers
    answer = np.zeros((len(x), len(target["classes"])))
    answer[:, model.classes_] = model.predict_proba(x)
    return answer

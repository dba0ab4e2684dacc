"""Baselines: simple models that are trained and tested on the same rows as a network."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from torch import Tensor

from ...spec import Target
from ...training.tasks import Task, nearest, task_of
from ...training.tasks.classes import Classes
from ...training.tasks.regression import Regression

MOST_ROWS = 20_000  # a forest of more rows takes longer than the network
Features = Callable[[Tensor], dict[str, np.ndarray]]
Baseline = Callable[[Features, np.ndarray, np.ndarray, Target], dict[str, np.ndarray]]
BASELINES: dict[type[Task], Baseline] = {}


def baselines(features: Features, y: np.ndarray, train: np.ndarray, target: Target) -> dict[str, np.ndarray]:
    """Fit the baselines of a kind of target on the training rows and predict every row.

    Args:
        features: From positions of samples to sets of features, ``shape=(rows, features)``, such as
            ``data.baseline_features``.
        y: Targets of all samples, ``shape=(samples,)``; for survival, times and events, ``shape=(samples, 2)``.
        train: True for training rows, ``shape=(samples,)``.
        target: Kind and classes.

    Returns:
        By name: probabilities ``(samples, classes)``, or values ``(samples,)``; for survival see
        `zoo.report.prediction.survival`. The models are logistic (ridge) regression on every set of features, and a
        random forest of 300 trees on the first set, with scikit-learn's default settings otherwise. From more than
        20,000 training rows, 20,000 are drawn at random.
    """
    return nearest(BASELINES, task_of(target))(features, y, train, target)


def class_baselines(features: Features, y: np.ndarray, train: np.ndarray, target: Target) -> dict[str, np.ndarray]:
    """Logistic regression and a random forest; see `baselines`."""

    def predict(model: Any, x: np.ndarray) -> np.ndarray:
        return _probabilities(model, x, len(target["classes"]))

    forest = RandomForestClassifier(300, random_state=0, n_jobs=-1)
    simple = {"logistic regression": lambda: LogisticRegression(max_iter=2000), "random forest": lambda: forest}
    return _fitted(features, y, train, simple, predict)


def value_baselines(features: Features, y: np.ndarray, train: np.ndarray, target: Target) -> dict[str, np.ndarray]:
    """Ridge regression with a penalty chosen by cross-validation, and a random forest; see `baselines`."""
    forest = RandomForestRegressor(300, random_state=0, n_jobs=-1)
    simple = {"ridge regression": lambda: RidgeCV(np.logspace(-3, 3, 13)), "random forest": lambda: forest}
    return _fitted(features, y, train, simple, lambda model, x: model.predict(x))


BASELINES.update({Classes: class_baselines, Regression: value_baselines})


def _fitted(
    features: Features,
    y: np.ndarray,
    train: np.ndarray,
    simple: dict[str, Callable[[], Any]],
    predict: Callable[[Any, np.ndarray], np.ndarray],
) -> dict[str, np.ndarray]:
    """Predictions of all rows: the first model on every set of features, the second on the first set only."""
    rows = np.flatnonzero(train)
    if len(rows) > MOST_ROWS:
        rows = np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False)
    models: dict[str, tuple[str, Any]] = {}
    for number, (prefix, x) in enumerate(features(torch.from_numpy(rows)).items()):
        for name, make in list(simple.items())[: 1 if number else 2]:
            models[prefix + name] = prefix, make().fit(x, y[rows])
    parts: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for chunk in torch.arange(len(y)).split(MOST_ROWS):
        sets = features(chunk)
        for name, (prefix, model) in models.items():
            parts[name].append(predict(model, sets[prefix]))
    return {name: np.concatenate(found) for name, found in parts.items()}


def _probabilities(model: Any, x: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities of all classes; 0 for classes without training rows."""
    found = np.zeros((len(x), classes))
    found[:, model.classes_] = model.predict_proba(x)
    return found


def late_average(
    modalities: Callable[[Tensor], dict[str, np.ndarray]], y: np.ndarray, train: np.ndarray, target: Target
) -> dict[str, np.ndarray]:
    """One logistic regression per modality; probabilities are averaged over the measured modalities of a sample.

    Args:
        modalities: From positions of samples to the features of each modality, NaN where it was not measured.
        y: Class codes, ``shape=(samples,)``.
        train: True for training rows, ``shape=(samples,)``.
        target: The target, with its classes.

    Returns:
        Probabilities ``(samples, classes)`` by the name of the baseline.
    """
    sums = np.zeros((len(y), len(target["classes"])))
    for x in modalities(torch.arange(len(y))).values():
        there = ~np.isnan(x).any(1)
        if len(np.unique(y[train & there])) > 1:
            model = LogisticRegression(max_iter=2000).fit(x[train & there], y[train & there])
            sums[there] += _probabilities(model, x[there], len(target["classes"]))
    shares = np.bincount(y[train], minlength=sums.shape[1]) / train.sum()
    total = sums.sum(1, keepdims=True)
    return {"late logistic regression": np.where(total > 0, sums / np.maximum(total, 1e-12), shares)}

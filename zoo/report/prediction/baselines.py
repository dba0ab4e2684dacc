"""The simple models that a network must be held against, on the very same rows."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from torch import Tensor

from ...errors import need_scikit_survival
from ...spec import Target
from ...training.survival_metrics import scored_times, structured

MOST_SAMPLES, MOST_FOREST, TREES = 20_000, 2_000, 300  # training rows; a survival forest on more takes minutes
FOLDS, PENALTIES, L1_RATIO, SMALLEST = 5, 10, 0.5, 0.03
MOST_ROWS = 20_000  # a forest on more takes longer than the network


def survival_baselines(
    features: Callable[[Tensor], dict[str, np.ndarray]], y: np.ndarray, train: np.ndarray
) -> dict[str, np.ndarray]:
    """Fit the baselines on the training rows and let them predict every row.

    Args:
        features: As for `zoo.report.prediction.baselines.baselines`.
        y: Times and events, ``shape=(samples, 2)``.
        train: True for training rows, ``shape=(samples,)``.

    Returns:
        By name: risks, then probabilities of no event until each of ``scored_times`` of the training rows,
        ``shape=(samples, 1 + times)``. Cox regression with an elastic net on every set of features, its penalty chosen
        by a cross-validation within the training rows (Simon et al. 2011, doi:10.18637/jss.v039.i05); a random survival
        forest of 300 trees on the first, of at most 2,000 rows (Ishwaran et al. 2008, doi:10.1214/08-AOAS169); and
        Kaplan-Meier, which is the same for all samples.
    """
    need_scikit_survival()
    from sksurv.ensemble import RandomSurvivalForest

    rows, times = np.flatnonzero(train), scored_times(y[train])
    if len(rows) > MOST_SAMPLES:
        rows = np.random.default_rng(0).choice(rows, MOST_SAMPLES, replace=False)
    known, models = structured(y[rows]), {}
    for number, (prefix, x) in enumerate(features(torch.from_numpy(rows)).items()):
        if (cox := _cox(x, known)) is not None:
            models[f"{prefix}Cox regression"] = prefix, cox
        if number == 0:
            some = np.random.default_rng(0).permutation(len(rows))[:MOST_FOREST]
            if known["event"][some].any():
                forest = RandomSurvivalForest(TREES, min_samples_leaf=15, random_state=0, n_jobs=-1)
                models[f"{prefix}random survival forest"] = prefix, forest.fit(x[some], known[some])
    parts: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for some_rows in torch.arange(len(y)).split(MOST_FOREST):
        sets = features(some_rows)
        for name, (prefix, model) in models.items():
            parts[name].append(_risk_and_survival(model, sets[prefix], times))
    same = np.concatenate([[0.0], _kaplan_meier(known, times)])
    return {name: np.concatenate(found) for name, found in parts.items()} | {"Kaplan-Meier": np.tile(same, (len(y), 1))}


def _cox(x: np.ndarray, known: np.ndarray) -> Any:
    """The regression with the penalty that ranks held-out training rows best, or None if none can be fitted."""
    from sklearn.model_selection import StratifiedKFold
    from sksurv.linear_model import CoxnetSurvivalAnalysis

    events = known["event"]
    folds = min(FOLDS, int(events.sum()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of penalties that do not converge; they are not chosen
        try:
            first = CoxnetSurvivalAnalysis(n_alphas=2, alpha_min_ratio=0.5, l1_ratio=L1_RATIO).fit(x, known)
            shares = np.logspace(-0.2, -2.5, PENALTIES)  # of the largest penalty, for which all coefficients are 0
            if x.shape[1] > len(x) / 2:  # small ones would learn the rows by heart, and take minutes
                shares = shares[shares > SMALLEST]
            penalties = first.alphas_[0] * shares
            ranked = np.zeros((max(folds, 1), len(penalties)))
            for fold, (train, held) in enumerate(_folds(StratifiedKFold, folds, x, events)):
                # A path from large to small penalties starts each from the one before, and is much faster.
                path = CoxnetSurvivalAnalysis(l1_ratio=L1_RATIO, alphas=penalties).fit(x[train], known[train])
                ranked[fold] = [_concordance(path.predict(x[held], alpha=alpha), known[held]) for alpha in penalties]
            best = int(np.nan_to_num(np.nanmean(ranked, 0)).argmax())
            model = CoxnetSurvivalAnalysis(l1_ratio=L1_RATIO, alphas=penalties[: best + 1], fit_baseline_model=True)
            return model.fit(x, known)  # it answers with its last penalty
        except (ValueError, ArithmeticError):  # features that say nothing at all
            return None


def _folds(splitter: Any, folds: int, x: np.ndarray, events: np.ndarray) -> Any:
    return splitter(folds, shuffle=True, random_state=0).split(x, events) if folds > 1 else []


def _concordance(risk: np.ndarray, known: np.ndarray) -> float:
    from sksurv.exceptions import NoComparablePairException
    from sksurv.metrics import concordance_index_censored

    try:
        return float(concordance_index_censored(known["event"], known["time"], risk)[0])
    except (NoComparablePairException, ValueError):
        return float("nan")


def _risk_and_survival(model: Any, x: np.ndarray, times: np.ndarray) -> np.ndarray:
    curves = model.predict_survival_function(x, return_array=True)
    return np.column_stack([model.predict(x), _at(model.unique_times_, curves, times)])


def _kaplan_meier(known: np.ndarray, times: np.ndarray) -> np.ndarray:
    from sksurv.nonparametric import kaplan_meier_estimator

    own, curve = kaplan_meier_estimator(known["event"], known["time"])
    return _at(own, curve[None], times).squeeze(0)


def _at(own: np.ndarray, curves: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Step functions with value 1 before the first of their own times, ``(samples, own) -> (samples, times)``."""
    with_start = np.column_stack([np.ones(len(curves)), curves])
    found: np.ndarray = with_start[:, np.searchsorted(own, times, side="right")]
    return found


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
        20,000 training rows, 20,000 are drawn. Of survival see `zoo.report.prediction.baselines`.
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

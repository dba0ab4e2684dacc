"""Simple models trained on synthetic rows: prediction of the target, and discrimination from real rows."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score

from .columns import Columns

FOLDS = 5
CLASSIFIERS: dict[str, Any] = {
    "logistic_regression": LogisticRegression(max_iter=2000),
    "random_forest": RandomForestClassifier(100, random_state=0),
    "gradient_boosting": GradientBoostingClassifier(random_state=0),
}
REGRESSORS: dict[str, Any] = {
    "ridge_regression": RidgeCV(np.logspace(-3, 3, 13)),
    "random_forest": RandomForestRegressor(100, random_state=0),
    "gradient_boosting": GradientBoostingRegressor(random_state=0),
}
# Averaged in the two-sample test; a linear model detects little but differences of means.
TWO_SAMPLE_CLASSIFIERS = ("random_forest", "gradient_boosting")


def two_sample_test(holdout: np.ndarray, other: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv:1610.06545); 0.5 is ideal.

    Args:
        holdout: Encoded real rows, ``shape=(rows, columns)``.
        other: Encoded rows to be distinguished from them; equal numbers of both are drawn.
        seed: Seed of the rows and the folds.

    Returns:
        ROC-AUC of each classifier (``c2st_random_forest``, ...) in 5-fold cross-validation, and ``c2st``, the mean
        of random forest and gradient boosting.
    """
    size, rng = min(len(holdout), len(other)), np.random.default_rng(seed)
    x = np.vstack([rows[rng.permutation(len(rows))[:size]] for rows in (holdout, other)])
    folds = StratifiedKFold(min(FOLDS, size), shuffle=True, random_state=seed)
    found = {
        f"c2st_{name}": float(cross_val_score(model, x, np.repeat([0, 1], size), cv=folds, scoring="roc_auc").mean())
        for name, model in CLASSIFIERS.items()
    }
    return {"c2st": float(np.mean([found[f"c2st_{name}"] for name in TWO_SAMPLE_CLASSIFIERS])), **found}


def utility(other: pd.DataFrame, train: pd.DataFrame, holdout: pd.DataFrame, columns: Columns) -> dict[str, float]:
    """Train on synthetic rows, test on real ones (Esteban et al. 2017, arXiv:1706.02633).

    Args:
        other: Tidy rows to train on.
        train: Tidy training rows, to which the encoding is fitted.
        holdout: Tidy rows to predict.
        columns: Types of the columns.

    Returns:
        ``tstr``, the mean over three models, and the score of each: ROC-AUC of classes (the mean over classes, each
        against the rest), R2 of a continuous target. Empty without a target; NaN if ``other`` has only one class.
    """
    target, name = columns.target, columns.target["name"]
    if not name:
        return {}
    other, holdout = (rows[rows[name].notna()] for rows in (other, holdout))
    encode = columns.encoder(features_only=True).fit(train)
    x, query = encode.transform(other), encode.transform(holdout)
    models = CLASSIFIERS if target["classes"] else REGRESSORS
    found = {}
    for key, model in models.items():
        if other[name].nunique() < 2:
            found[f"tstr_{key}"] = float("nan")
            continue
        fitted = clone(model).fit(x, other[name])
        if not target["classes"]:
            found[f"tstr_{key}"] = float(r2_score(holdout[name], fitted.predict(query)))
            continue
        predicted = pd.DataFrame(fitted.predict_proba(query), columns=fitted.classes_)
        truth = pd.get_dummies(holdout[name])
        predicted = predicted.reindex(columns=truth.columns, fill_value=0)
        found[f"tstr_{key}"] = float(roc_auc_score(truth, predicted)) if truth.shape[1] > 1 else float("nan")
    return {"tstr": float(np.mean(list(found.values()))), **found}

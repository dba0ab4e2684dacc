"""The simple models that a network must be held against, on the very same rows."""

from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV

from ..spec import Target

MOST_ROWS = 20_000  # a forest on more takes longer than the network


def baselines(features: np.ndarray, y: np.ndarray, train: np.ndarray, target: Target) -> dict[str, np.ndarray]:
    """Fit the baselines on the training rows and let them predict every row.

    Args:
        features: Imputed and standardised, ``shape=(samples, features)``.
        y: Class codes or numbers, ``shape=(samples,)``.
        train: True for training rows, ``shape=(samples,)``.
        target: Kind and classes.

    Returns:
        By name: probabilities ``(samples, classes)``, or numbers ``(samples,)``. Logistic (ridge) regression and a
        random forest of 300 trees, scikit-learn's settings otherwise. Of more than 20,000 training rows, 20,000 are
        drawn.
    """
    rows = np.flatnonzero(train)
    if len(rows) > MOST_ROWS:
        rows = np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False)
    if target["kind"] == "regression":
        models: dict[str, Any] = {
            "ridge regression": RidgeCV(np.logspace(-3, 3, 13)),
            "random forest": RandomForestRegressor(300, random_state=0, n_jobs=-1),
        }
        return {name: model.fit(features[rows], y[rows]).predict(features) for name, model in models.items()}
    models = {
        "logistic regression": LogisticRegression(max_iter=2000),
        "random forest": RandomForestClassifier(300, random_state=0, n_jobs=-1),
    }
    result = {}
    for name, model in models.items():
        fitted = model.fit(features[rows], y[rows])
        result[name] = np.zeros((len(y), len(target["classes"])))
        result[name][:, fitted.classes_] = fitted.predict_proba(features)
    return result

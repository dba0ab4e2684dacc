"""A simulated cohort with known effects of drugs; the same seed gives the same data on every machine."""

import math
from random import Random

import numpy as np
import pandas as pd

PREVALENCE = [0.45, 0.35, 0.3, 0.25, 0.2, 0.2, 0.15, 0.12, 0.1, 0.07]  # of drug_01 to drug_10
LAYERS = ("protein", "metabolite", "transcript")
EACH, FACTORS, TARGETS = 40, 10, 6  # features of a layer, latent factors, features that a drug shifts
SMALLEST, LARGEST = 0.2, 1.0  # effect of a drug on a feature, in standard deviations
DRUGS = [f"drug_{number:02}" for number in range(1, len(PREVALENCE) + 1)]
FEATURES = [f"{layer}_{number:02}" for layer in LAYERS for number in range(1, EACH + 1)]


def drugs(seed: int = 0, patients: int = 1000, frailty: float = 0.6) -> pd.DataFrame:
    """Patients with clinical columns, ten drugs and 120 omics features, after the cohort of Allesoe et al. 2023.

    The features depend on ten latent factors, so that they are correlated within and between layers. Age, sex, body
    mass index and centre affect four of the factors and the probability of taking each drug: measured confounding.
    Frailty, which has no column, affects a fifth factor, and frail patients take more drugs: unmeasured confounding.
    drug_02 is rarely taken together with drug_01. In addition, each drug shifts six features by 0.2 to 1 standard
    deviations (`planted_pairs`); drugs have no other effects. (Allesoe RL et al. 2023, doi:10.1038/s41587-022-01520-x)

    Args:
        seed: Seed of all random draws, including the planted pairs.
        patients: Number of patients.
        frailty: Correlation of frailty with the fifth factor; 0 gives no unmeasured confounding.

    Returns:
        One row per patient: ``patient``, ``age`` in years, ``sex``, ``bmi`` in kg/m2, ``centre``, the drugs (yes or
        no), and the features, each on its own scale. Some features, entire layers of some patients, and some values of
        ``bmi`` and ``drug_03`` are missing.
    """
    random = Random(seed)
    effects, loadings, levels, spreads = _plan(random)
    normal = _normals(random, patients, 4 + FACTORS + len(FEATURES))
    uniform = np.array([[random.random() for _ in range(4 + len(DRUGS))] for _ in range(patients)])
    age, female, centre = normal[:, 0], uniform[:, 0] < 0.45, (4 * uniform[:, 1]).astype(int)
    body = 0.3 * age + math.sqrt(1 - 0.3**2) * normal[:, 1]
    conditions = np.column_stack([age, 2.0 * female - 0.9, body, (centre - 1.5) / 1.118])  # mean 0, deviation about 1
    taken = _prescribed(random, conditions, normal[:, 2], uniform[:, 4:])
    factors = normal[:, 4 : 4 + FACTORS].copy()
    factors[:, :4] = 0.6 * conditions + 0.8 * factors[:, :4]
    factors[:, 4] = frailty * normal[:, 2] + math.sqrt(1 - frailty**2) * factors[:, 4]
    values = factors @ loadings + normal[:, 4 + FACTORS :] * np.sqrt(1 - (loadings**2).sum(0)) + taken @ effects
    values = levels + spreads * values
    _lose(random, values)
    weight = np.where([random.random() < 0.04 for _ in range(patients)], np.nan, (28 + 4.5 * body).clip(17, 50))
    columns = {
        "patient": [f"p{number:04}" for number in range(1, patients + 1)],
        "age": (58 + 11 * age).clip(20, 95).round().astype(int),
        "sex": np.where(female, "f", "m"),
        "bmi": weight.round(1),
        "centre": np.array(list("ABCD"))[centre],
        **{name: np.where(taken[:, number], "yes", "no") for number, name in enumerate(DRUGS)},
    }
    frame = pd.DataFrame({**columns, **dict(zip(FEATURES, values.T.round(3), strict=True))})
    frame["drug_03"] = frame["drug_03"].where([random.random() >= 0.02 for _ in range(patients)])
    return frame


def planted_pairs(seed: int = 0) -> pd.DataFrame:
    """True effects of `drugs`: ``drug``, ``feature`` and ``effect`` in standard deviations, one row per pair.

    The standard deviation is that of a feature among patients without drugs. Within the cohort it is a little larger.
    """
    effects = _plan(Random(seed))[0]
    found = [(DRUGS[i], FEATURES[j], float(effects[i, j])) for i, j in np.argwhere(effects)]
    return pd.DataFrame(found, columns=["drug", "feature", "effect"])


def _plan(random: Random) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Effects ``(drugs, features)``, loadings ``(factors, features)``, and level and spread of each feature."""
    effects, loadings = np.zeros((len(DRUGS), len(FEATURES))), np.zeros((FACTORS, len(FEATURES)))
    for drug in range(len(DRUGS)):
        for place, feature in enumerate(random.sample(range(len(FEATURES)), TARGETS)):
            size = SMALLEST + (LARGEST - SMALLEST) * place / (TARGETS - 1)
            effects[drug, feature] = size * random.choice([-1, 1])
    for feature in range(len(FEATURES)):
        for factor in random.sample(range(FACTORS), 2):
            loadings[factor, feature] = random.uniform(0.3, 0.7) * random.choice([-1, 1])
    levels = np.array([random.uniform(4, 14) for _ in FEATURES])
    return effects.round(6), loadings, levels, np.array([random.uniform(0.3, 1.5) for _ in FEATURES])


def _prescribed(random: Random, conditions: np.ndarray, frailty: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """True where a patient takes a drug: ``(patients, drugs)``; each drug depends on two clinical columns."""
    taken = np.zeros(chance.shape, dtype=bool)
    for drug, share in enumerate(PREVALENCE):
        score = 0.6 * frailty
        for column in random.sample(range(conditions.shape[1]), 2):
            score = score + random.choice([-1, 1]) * random.uniform(0.4, 0.9) * conditions[:, column]
        if drug == 1:
            score = score - 2.5 * taken[:, 0]
        taken[:, drug] = 1 / (1 + np.exp(-score - _intercept(score, share))) > chance[:, drug]
    return taken


def _intercept(score: np.ndarray, share: float) -> float:
    """Intercept of the log-odds at which this share of the patients takes a drug, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if (1 / (1 + np.exp(-score - middle))).mean() > share else (middle, high)
    return (low + high) / 2


def _lose(random: Random, values: np.ndarray) -> None:
    """Set values of every fifth feature, and entire layers of some patients, to missing; in place."""
    for feature in range(0, values.shape[1], 5):
        rate = random.uniform(0.02, 0.15)
        values[[random.random() < rate for _ in values], feature] = np.nan
    for layer, rate in enumerate((0.0, 0.06, 0.03)):
        values[[random.random() < rate for _ in values], layer * EACH : (layer + 1) * EACH] = np.nan


def _normals(random: Random, rows: int, columns: int) -> np.ndarray:
    return np.array([[random.gauss(0, 1) for _ in range(columns)] for _ in range(rows)])

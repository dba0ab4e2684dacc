"""Statistics of the importances of many models: relative importances, p values, ranks, top lists and agreement."""

from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from ..perturbation.statistics import empirical_p
from .data import Design


def relative(importances: list[np.ndarray], modalities: np.ndarray) -> list[np.ndarray]:
    """Importance divided by the median importance in its modality, in the same model.

    This removes differences in the range of the outputs between models, and in the distributions of values between
    modalities. If the median of any model is 0, the mean is used for all models.

    Args:
        importances: Importances of several sets of models, ``shape=(models, features)`` each.
        modalities: Number of the modality of each feature, ``shape=(features,)``.

    Returns:
        Relative importances, with the same shapes.
    """
    found = [values.copy() for values in importances]
    for modality in np.unique(modalities):
        members = modalities == modality
        middles = [np.median(values[:, members], 1, keepdims=True) for values in importances]
        if any((middle == 0).any() for middle in middles):
            middles = [values[:, members].mean(1, keepdims=True) for values in importances]
        for values, middle in zip(found, middles, strict=True):
            values[:, members] /= np.where(middle > 0, middle, 1.0)
    return found


def p_values(statistic: np.ndarray, null: np.ndarray, modalities: np.ndarray) -> np.ndarray:
    """Permutation p value of each feature, with a null distribution for each modality: ``shape=(features,)``.

    Args:
        statistic: Test statistic of each feature, ``shape=(features,)``.
        null: The same for each permutation, ``shape=(permutations, features)``; pooled over the features of a modality.
        modalities: Number of the modality of each feature.
    """
    p = np.empty(len(statistic))
    for modality in np.unique(modalities):
        members = modalities == modality
        p[members] = empirical_p(statistic[members], null[:, members].ravel())
    return p


def ranks(importances: np.ndarray) -> np.ndarray:
    """Rank of each feature in each model, 1 for the most important: ``shape=(models, features)``."""
    return np.asarray(rankdata(-importances, axis=1))


def selected(importances: np.ndarray, top: int) -> np.ndarray:
    """Whether each feature is among the ``top`` of each model (ties: the first), ``shape=(models, features)``."""
    chosen = np.zeros(importances.shape, dtype=bool)
    np.put_along_axis(chosen, np.argsort(-importances, axis=1, kind="stable")[:, :top], True, axis=1)
    return chosen


def pairs(models: int, design: Design) -> list[tuple[int, int]]:
    """Pairs of models to compare: all pairs, or for ``halves`` only the two disjoint halves."""
    if design == "halves":
        return [(number, number + 1) for number in range(0, models, 2)]
    return list(combinations(range(models), 2))


def agreement(importances: np.ndarray, top: int, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Spearman correlation of the importances of two models, and the fraction of their top lists that they share.

    Returns:
        ``shape=(pairs,)`` each. The correlation is 0 if all importances of a model are equal.
    """
    compared = pairs(len(importances), design)
    rank, chosen = ranks(importances), selected(importances, top)
    rank = rank - rank.mean(1, keepdims=True)
    size = np.sqrt(np.square(rank).sum(1, keepdims=True))
    rank = rank / np.where(size > 0, size, 1.0)
    spearman = np.array([rank[a] @ rank[b] for a, b in compared])
    shared = np.array([(chosen[a] & chosen[b]).sum() / top for a, b in compared])
    return spearman, shared

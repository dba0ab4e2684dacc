"""From the importances of many models to decisions: ranks, top lists, agreement, and what chance makes of them."""

from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from ..perturbation.statistics import chance
from .data import Design


def relative(importances: list[np.ndarray], modalities: np.ndarray) -> list[np.ndarray]:
    """Importance as a multiple of that of the median feature of its modality in the same model.

    Models differ in how far their outputs reach, and modalities in how their values are distributed; what is left
    compares a feature with its like. Where the median of any model is 0, the mean takes its place in all.

    Args:
        importances: Of several sets of models, ``shape=(models, features)`` each.
        modalities: Number of the modality of each feature, ``shape=(features,)``.

    Returns:
        The same shapes.
    """
    found = [values.copy() for values in importances]
    for modality in np.unique(modalities):
        own = modalities == modality
        middles = [np.median(values[:, own], 1, keepdims=True) for values in importances]
        if any((middle == 0).any() for middle in middles):
            middles = [values[:, own].mean(1, keepdims=True) for values in importances]
        for values, middle in zip(found, middles, strict=True):
            values[:, own] /= np.where(middle > 0, middle, 1.0)
    return found


def p_values(statistic: np.ndarray, null: np.ndarray, modalities: np.ndarray) -> np.ndarray:
    """How often chance makes a feature of the same modality at least as important: ``shape=(features,)``.

    Args:
        statistic: ``shape=(features,)``.
        null: The same of each permutation, ``shape=(permutations, features)``; pooled over the features of a modality.
        modalities: Number of the modality of each feature.
    """
    p = np.empty(len(statistic))
    for modality in np.unique(modalities):
        own = modalities == modality
        p[own] = chance(statistic[own], null[:, own].ravel())
    return p


def ranks(importances: np.ndarray) -> np.ndarray:
    """Rank of each feature in each model, 1 the most important: ``shape=(models, features)``."""
    return np.asarray(rankdata(-importances, axis=1))


def selected(importances: np.ndarray, top: int) -> np.ndarray:
    """Which features are among the ``top`` of each model; of equal ones the first: ``shape=(models, features)``."""
    chosen = np.zeros(importances.shape, dtype=bool)
    np.put_along_axis(chosen, np.argsort(-importances, axis=1, kind="stable")[:, :top], True, axis=1)
    return chosen


def pairs(models: int, design: Design) -> list[tuple[int, int]]:
    """Which models are compared: all with all, or halves with the other half."""
    if design == "halves":
        return [(number, number + 1) for number in range(0, models, 2)]
    return list(combinations(range(models), 2))


def agreement(importances: np.ndarray, top: int, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Spearman's correlation of the importances of two models, and the share of their top lists that they share.

    Returns:
        ``shape=(pairs,)`` each. A model whose importances are all equal correlates with none (0).
    """
    compared = pairs(len(importances), design)
    rank, chosen = ranks(importances), selected(importances, top)
    rank = rank - rank.mean(1, keepdims=True)
    size = np.sqrt(np.square(rank).sum(1, keepdims=True))
    rank = rank / np.where(size > 0, size, 1.0)
    spearman = np.array([rank[a] @ rank[b] for a, b in compared])
    shared = np.array([(chosen[a] & chosen[b]).sum() / top for a, b in compared])
    return spearman, shared

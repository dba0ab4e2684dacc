"""From shifts to decisions: Bayes factors, a vote of t-tests, comparison with copies; and false discoveries."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import false_discovery_control


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """False discovery rate at which each of these p values is a discovery, ``shape=(tests,)``; NaN stays NaN.

    Paper: Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.

    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    q, known = np.full(len(p), np.nan), np.isfinite(p)
    q[known] = false_discovery_control(p[known])
    return q


def bayes_factor(rising: np.ndarray, count: int) -> np.ndarray:
    """Bayes factor log p - log(1 - p) of the probability that a difference is above 0.

    Args:
        rising: Share of ``count`` differences that are above 0; a share of 0 or 1 counts as half a difference less.
        count: Number of differences.
    """
    p = rising.clip(0.5 / count, 1 - 0.5 / count)
    result: np.ndarray = np.log(p) - np.log1p(-p)
    return result


def cumulative_evidence(rising: np.ndarray, count: int, size: np.ndarray) -> np.ndarray:
    """False discovery rate if all features up to one are discoveries: the mean of their 1 - p, ``shape=(tests,)``.

    p is the probability of the likelier direction; features are ranked by it, and by their size among equals. As
    Allesoe et al. 2023 and, before them, Lopez et al. 2018 (doi:10.1038/s41592-018-0229-2) do it.
    """
    p = np.maximum(rising, 1 - rising).clip(max=1 - 0.5 / count)
    order = np.lexsort([-np.abs(size), -p])
    q = np.empty(len(p))
    q[order] = np.cumsum(1 - p[order]) / np.arange(1, len(p) + 1)
    return q


def vote(p: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """The p value at which half of the models of a group, in three of four groups, agree: ``shape=(tests,)``.

    Args:
        p: Of each model, ``shape=(models, tests)``.
        groups: Latent size of each model.
    """
    half = []
    for group in sorted(set(groups)):
        own = np.sort(p[np.array(groups) == group], 0)
        half.append(own[(len(own) - 1) // 2])
    return np.sort(half, 0)[int(np.ceil(0.75 * len(half))) - 1]  # type: ignore[no-any-return]


def chance(size: np.ndarray, null: np.ndarray) -> np.ndarray:
    """How often chance makes a shift at least as large, counted among shifts that mean nothing: ``shape=(tests,)``.

    Args:
        size: Shifts in question.
        null: Shifts by copies, ``shape=(any number,)``.
    """
    sorted_ = np.sort(np.abs(null))
    larger = len(sorted_) - np.searchsorted(sorted_, np.abs(size))
    result: np.ndarray = (1 + larger) / (1 + len(sorted_))
    return result

"""Statistics of perturbations: Bayes factors, combined t-tests, empirical p values and false discovery rates."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import false_discovery_control


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Smallest false discovery rate at which each test is significant (q value), ``shape=(tests,)``; NaN stays NaN.

    Paper: Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.

    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    q, known = np.full(len(p), np.nan), np.isfinite(p)
    q[known] = false_discovery_control(p[known])
    return q


def bayes_factor(rising: np.ndarray, count: int) -> np.ndarray:
    """Logarithmic Bayes factor log(p) - log(1 - p), where p is the probability that a difference is positive.

    Args:
        rising: Fraction of positive differences, clipped half a difference away from 0 and 1.
        count: Number of differences.
    """
    p = rising.clip(0.5 / count, 1 - 0.5 / count)
    result: np.ndarray = np.log(p) - np.log1p(-p)
    return result


def cumulative_evidence(rising: np.ndarray, count: int, size: np.ndarray) -> np.ndarray:
    """Bayesian false discovery rate of all features up to each one: the mean of their 1 - p, ``shape=(tests,)``.

    p is the probability of the more likely direction; features are ranked by it, ties by ``size``. As in Allesoe et al.
    2023 and Lopez et al. 2018 (doi:10.1038/s41592-018-0229-2).
    """
    p = np.maximum(rising, 1 - rising).clip(max=1 - 0.5 / count)
    order = np.lexsort([-np.abs(size), -p])
    q = np.empty(len(p))
    q[order] = np.cumsum(1 - p[order]) / np.arange(1, len(p) + 1)
    return q


def vote(p: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """The p value reached by half of the models of a group, for three of four groups: ``shape=(tests,)``.

    Args:
        p: p values of each model, ``shape=(models, tests)``.
        groups: Latent size of each model.
    """
    half = []
    for group in sorted(set(groups)):
        ordered = np.sort(p[np.array(groups) == group], 0)
        half.append(ordered[(len(ordered) - 1) // 2])
    return np.sort(half, 0)[int(np.ceil(0.75 * len(half))) - 1]  # type: ignore[no-any-return]


def empirical_p(size: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Empirical two-sided p values from a sample of the null distribution: ``shape=(tests,)``.

    Args:
        size: Observed statistics, ``shape=(tests,)``.
        null: Statistics under the null hypothesis, ``shape=(any number,)``.
    """
    sorted_ = np.sort(np.abs(null))
    larger = len(sorted_) - np.searchsorted(sorted_, np.abs(size))
    result: np.ndarray = (1 + larger) / (1 + len(sorted_))
    return result

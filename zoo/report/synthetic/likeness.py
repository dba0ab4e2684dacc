"""Similarity of synthetic and real rows, by column and by pair of columns; 1 is ideal.

The metrics follow the formulas of SDMetrics (docs.sdv.dev/sdmetrics/data-metrics/quality).
"""

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from .columns import Columns

BINS = 10  # of a numeric column paired with a category


def shapes(real: pd.DataFrame, other: pd.DataFrame, columns: Columns) -> pd.Series:
    """Similarity of each column of tidy rows, without missing values; 1 if both have the same distribution.

    For numbers, the complement of the Kolmogorov-Smirnov statistic (KSComplement); for categories, the complement of
    the total variation distance, half the sum of the differences of the shares of all levels (TVComplement).
    """
    found = {}
    for name in columns.numbers:
        one, two = real[name].dropna(), other[name].dropna()
        found[name] = 1 - ks_2samp(one, two, method="asymp").statistic if len(one) and len(two) else np.nan
    for name in columns.categories:
        one, two = (rows[name].value_counts(normalize=True) for rows in (real, other))
        found[name] = 1 - one.sub(two, fill_value=0).abs().sum() / 2
    return pd.Series(found, dtype=float)


def likeness(real: pd.DataFrame, other: pd.DataFrame, columns: Columns) -> dict[str, float]:
    """Overall similarity of tidy rows and real rows.

    Returns:
        Means over columns: ``column_shapes`` (see `shapes`), ``ks_complement`` of numbers, ``tv_complement`` of
        categories, and, if real values are missing, ``missing_similarity``, 1 - the difference of their shares.
        Means over pairs: ``correlation_similarity`` of two numbers, 1 - half the difference of their Pearson
        correlations; ``contingency_similarity`` of a category and another column, the complement of the total variation
        distance of their joint distribution, with numbers in 10 bins of equal width of the real values.
    """
    of = shapes(real, other, columns)
    scores = {"column_shapes": of.mean()}
    if columns.numbers:
        scores["ks_complement"] = of[columns.numbers].mean()
    if columns.categories:
        scores["tv_complement"] = of[columns.categories].mean()
    if real.isna().any(axis=None):
        scores["missing_similarity"] = 1 - (real.isna().mean() - other.isna().mean()).abs().mean()
    if len(columns.numbers) > 1:
        one, two = (rows[columns.numbers].corr().to_numpy() for rows in (real, other))
        similar = 1 - np.abs(one - two)[np.triu_indices(len(one), 1)] / 2
        scores["correlation_similarity"] = similar[~np.isnan(similar)].mean() if (~np.isnan(similar)).any() else np.nan
    if columns.categories and len(columns.names) > 1:
        scores["contingency_similarity"] = _contingency(real, other, columns)
    return {name: float(value) for name, value in scores.items()}


def _contingency(real: pd.DataFrame, other: pd.DataFrame, columns: Columns) -> float:
    """Mean over the pairs of columns with at least one category; missing values are a separate level."""
    both, levels = pd.concat([real, other]), {}
    for name in columns.categories:
        levels[name] = pd.factorize(both[name], use_na_sentinel=False)[0]
    for name in columns.numbers:
        edges = np.histogram_bin_edges(real[name].dropna(), BINS)[1:-1]
        levels[name] = np.where(both[name].isna(), BINS, np.digitize(both[name], edges))
    one_hot = {name: np.eye(codes.max() + 1)[codes] for name, codes in levels.items()}
    found = []
    for i, name in enumerate(columns.categories):
        for second in [*columns.numbers, *columns.categories[i + 1 :]]:
            parts = (slice(len(real)), slice(len(real), None))
            one, two = (one_hot[name][rows].T @ one_hot[second][rows] for rows in parts)
            found.append(1 - np.abs(one / len(real) - two / len(other)).sum() / 2)
    return float(np.mean(found))

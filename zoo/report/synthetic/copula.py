"""Gaussian copula for each class, the reference for generative networks of tables."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from ...errors import InputError, check_range, suggest
from ...spec import Target
from ...tables.values import as_text
from .columns import Columns

MOST_DECIMALS = 6
STRONGEST = 0.999  # correlation


@dataclass
class _Class:
    """The copula of the rows of one class, as in `GaussianCopula`.

    Attributes:
        share: Share of the rows.
        sorted: Sorted values of each numeric column.
        bounds: Upper bound of each level in cumulative shares of the rows, for each category and missing indicator.
        factor: ``factor @ factor.T`` is the correlation matrix of the latent normal variables.
    """

    share: float
    sorted: list[np.ndarray]
    bounds: list[np.ndarray]
    factor: np.ndarray


class GaussianCopula:
    """Class-conditional Gaussian copula of mixed columns (Nelsen 2006, doi:10.1007/0-387-28678-0).

    Each column is a monotone function of a latent normal variable. A value that several rows share (an integer, a
    category, a missing value) corresponds to an interval of that variable: its score is the mean over the interval, and
    correlations of scores are corrected for the loss of variance within intervals (to the first order the polyserial
    correlation, Olsson et al. 1982, doi:10.1007/BF02294164). Levels of a category are sorted. Some thousand columns
    take seconds.

    Args:
        frame: Real rows, one per sample; missing values are empty.
        target: Column with classes, each of which has its own copula; a continuous target is treated like any column;
            None for no target.
        **about: Further arguments of `zoo.report.synthetic.columns.Columns.of`.

    Raises:
        InputError: See `zoo.report.synthetic.columns.Columns.of`.

    Example:
        >>> real = pd.DataFrame({"age": [30, 40, 50, 60], "sick": ["no", "no", "yes", "yes"]})
        >>> GaussianCopula(real, "sick").sample(2, {"sick": "yes"})["sick"].tolist()
        ['yes', 'yes']
    """

    def __init__(self, frame: pd.DataFrame, target: str | Target | None = None, **about: Any) -> None:
        columns = Columns.of(frame, target, **about)
        self.target = columns.target["name"] if columns.target["classes"] else ""
        frame = frame[frame[self.target].notna()] if self.target else frame
        self.frame, self.numbers = frame.iloc[:0], columns.numbers
        self.categories = [name for name in columns.categories if name != self.target]
        values = columns.tidy(frame, "the real rows")[self.numbers].to_numpy()
        self.decimals = [_decimals(column[~np.isnan(column)]) for column in values.T]
        self.partial = np.flatnonzero(np.isnan(values).any(0))  # columns with missing values
        codes, self.levels = np.empty((len(frame), len(self.categories)), int), []
        for number, name in enumerate(self.categories):
            codes[:, number], levels = pd.factorize(frame[name], sort=True, use_na_sentinel=False)
            self.levels.append(levels)
        marks = np.hstack([codes, np.isnan(values[:, self.partial])])
        counts = [len(levels) for levels in self.levels] + [2] * len(self.partial)
        of, names = pd.factorize(frame[self.target] if self.target else np.zeros(len(frame)), sort=True)
        self.classes = {
            name: _fit(values[of == code], marks[of == code], counts, len(frame)) for code, name in enumerate(names)
        }

    def sample(self, n: int, conditions: dict[str, Any] | None = None, seed: int = 0) -> pd.DataFrame:
        """Synthetic rows: columns and dtypes as those of the real rows.

        Args:
            n: Number of rows.
            conditions: Class of the rows, such as ``{"diabetes": "pos"}``; by default all classes, in the
                proportions of the real rows.
            seed: Seed of all draws.

        Raises:
            InputError: A condition on another column than the target, or a class that no real row has.
        """
        check_range("n", n, 1)
        names, rng = list(self.classes), np.random.default_rng(seed)
        bounds = np.cumsum([0.0, *(part.share for part in self.classes.values())]) * n
        of = rng.permutation(np.repeat(np.arange(len(names)), np.diff(bounds.round().astype(int))))
        for column, wanted in (conditions or {}).items():
            if column != self.target:
                hint = suggest(column, [self.target] if self.target else [])
                raise InputError(f"rows cannot be conditioned on {column!r}; {hint}")
            text = as_text(pd.Series(names)).tolist()
            if str(wanted) not in text:
                raise InputError(f"{column} {wanted!r} does not occur in the real rows; {suggest(str(wanted), text)}")
            of[:] = text.index(str(wanted))
        values, marks = np.empty((n, len(self.numbers))), np.empty((n, len(self.levels) + len(self.partial)), int)
        for code, part in enumerate(self.classes.values()):
            rows = of == code
            u = ndtr(rng.standard_normal((int(rows.sum()), len(part.factor))) @ part.factor.T)
            for place, (known, decimals) in enumerate(zip(part.sorted, self.decimals, strict=True)):
                at = (np.arange(len(known)) + 0.5) / max(1, len(known))
                values[rows, place] = np.interp(u[:, place], at, known).round(decimals) if len(known) else np.nan
            for place, bounds in enumerate(part.bounds):
                marks[rows, place] = np.searchsorted(bounds, u[:, len(self.numbers) + place])
        values[:, self.partial] = np.where(marks[:, len(self.levels) :], np.nan, values[:, self.partial])
        drawn: dict[str, Any] = dict(zip(self.numbers, values.T, strict=True))
        for name, levels, codes in zip(self.categories, self.levels, marks.T, strict=False):  # then indicators
            drawn[name] = levels.take(codes)
        if self.target:
            drawn[self.target] = pd.Index(names).take(of)
        frame = pd.DataFrame({name: drawn[name] for name in self.frame}, pd.RangeIndex(1, n + 1, name="sample"))
        return frame.astype(self.frame.dtypes)


def _decimals(values: np.ndarray) -> int:
    """Number of decimals of all values."""
    tolerance = 1e-6 * np.abs(values).max(initial=1e-12)  # of single precision
    exact = (d for d in range(MOST_DECIMALS) if np.abs(values.round(d) - values).max(initial=0) <= tolerance)
    return next(exact, MOST_DECIMALS)


def _fit(values: np.ndarray, marks: np.ndarray, counts: list[int], total: int) -> _Class:
    """Fit the copula of one class.

    Args:
        values: Numeric columns, ``shape=(rows, numbers)``.
        marks: Codes of categories and missing indicators, ``shape=(rows, categories and indicators)``.
        counts: Number of levels of each column of ``marks``.
        total: Number of rows of all classes.
    """
    scores, bounds = np.full((len(values), values.shape[1] + marks.shape[1]), np.nan), []
    for place, column in enumerate(values.T):
        present = ~np.isnan(column)
        _, codes, sizes = np.unique(column[present], return_inverse=True, return_counts=True)
        scores[present, place] = _scores(sizes)[codes]
    for place, (codes, count) in enumerate(zip(marks.T, counts, strict=True)):
        sizes = np.bincount(codes, minlength=count)
        scores[:, values.shape[1] + place] = _scores(sizes)[codes]
        bounds.append(sizes.cumsum()[:-1] / sizes.sum())
    there = (~np.isnan(scores)).astype(float)
    scores = np.nan_to_num(scores)
    correlations = (scores.T @ scores / np.maximum(there.T @ there, 1)).clip(-STRONGEST, STRONGEST)
    np.fill_diagonal(correlations, 1)
    sizes, vectors = np.linalg.eigh(correlations)
    factor = vectors * np.sqrt(np.maximum(sizes, 1e-6))  # the nearest positive definite matrix
    factor /= np.linalg.norm(factor, axis=1, keepdims=True)
    return _Class(len(values) / total, [np.sort(c[~np.isnan(c)]) for c in values.T], bounds, factor)


def _scores(sizes: np.ndarray) -> np.ndarray:
    """Normal score of each level, from the number of rows at each level, in order."""
    if not sizes.sum():
        return np.zeros(len(sizes))
    bounds = np.concatenate([[0], sizes.cumsum()]) / sizes.sum()
    density = np.exp(-np.square(ndtri(bounds)) / 2) / np.sqrt(2 * np.pi)
    share = np.diff(bounds)
    means = -np.diff(density) / np.maximum(share, 1e-12)
    result: np.ndarray = means / max((share * means**2).sum(), 1e-12)
    return result

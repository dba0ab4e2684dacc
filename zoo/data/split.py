"""Splits into training, validation and test samples, by group and stratified by class."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..errors import InputError
from ..tables.values import as_text

SPLITS = ("train", "validation", "test")


def related(*columns: pd.Series) -> np.ndarray:
    """Group samples that are equal in any of the columns, directly or through other samples (connected components).

    Args:
        *columns: Labels, ``shape=(samples,)`` each, such as the patient and a hash of the features. A missing label
            relates a sample to no other.

    Returns:
        Group numbers, ``shape=(samples,)``.

    Example:
        >>> related(pd.Series(["anna", "anna", "bob", "carl"]), pd.Series([1, 2, 2, 3]))
        array([0, 0, 0, 1], dtype=int32)
    """
    count, rows, links, offset = len(columns[0]), [], [], len(columns[0])
    for column in columns:
        codes, labels = pd.factorize(column)
        rows.append(np.flatnonzero(codes >= 0))
        links.append(codes[codes >= 0] + offset)
        offset += len(labels)
    pair = np.concatenate(rows), np.concatenate(links)
    _, component = connected_components(
        coo_array((np.ones(len(pair[0])), pair), shape=(offset, offset)), directed=False
    )
    return np.unique(component[:count], return_inverse=True)[1].astype(np.int32)


def _deal(groups: np.ndarray, labels: np.ndarray | None, shares: np.ndarray, seed: int) -> np.ndarray:
    """Part number of each sample: groups are shuffled within their (majority) class, then divided by share."""
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    majority = np.zeros(count, dtype=int)
    if labels is not None:
        votes = np.zeros((count, int(labels.max()) + 1))
        np.add.at(votes, (groups, labels), 1)
        majority = votes.argmax(1)
    part = np.empty(count, dtype=int)
    for label in np.unique(majority):
        members = rng.permutation(np.flatnonzero(majority == label))
        edges = np.rint(np.cumsum(shares)[:-1] * len(members)).astype(int)
        for number, piece in enumerate(np.split(members, edges)):
            part[piece] = number
    for number in np.flatnonzero(shares > 0).tolist():  # rounding may leave a part empty: fill it
        sizes = np.bincount(part, minlength=len(shares))
        if sizes[number] == 0 and sizes.max() > 1:
            part[rng.choice(np.flatnonzero(part == sizes.argmax()))] = number
    result: np.ndarray = part[groups]
    return result


def fractions(groups: np.ndarray, labels: np.ndarray | None, shares: list[float], seed: int) -> np.ndarray:
    """Random split by fractions.

    Args:
        groups: Group of each sample, 0 to the number of groups - 1; a group is never divided between splits.
        labels: Class code of each sample, to stratify by; None for a continuous target.
        shares: Fractions of training, validation and test, met in each class up to rounding.
        seed: The same seed gives the same split.

    Returns:
        ``"train"``, ``"validation"`` or ``"test"`` for each sample.
    """
    result: np.ndarray = np.array(SPLITS)[_deal(groups, labels, np.asarray(shares), seed)]
    return result


def folds(
    groups: np.ndarray, labels: np.ndarray | None, count: int, fold: int, validation: float, seed: int
) -> np.ndarray:
    """Split of one fold of a cross-validation.

    Args:
        groups: As in `fractions`.
        labels: As in `fractions`.
        count: Number of folds.
        fold: Index of the fold used as test set, 0 to ``count - 1``.
        validation: Fraction of the other folds used for validation.
        seed: The same seed gives the same folds; another seed gives a repeat.

    Returns:
        ``"train"``, ``"validation"`` or ``"test"`` for each sample.

    Raises:
        InputError: More folds than groups.
    """
    if count > (most := len(np.unique(groups))):
        raise InputError(
            f"{count} folds need as many samples that are no duplicates (or groups), there are {most}; give --folds "
            f"{most} or fewer"
        )
    number = _deal(groups, labels, np.full(count, 1 / count), seed)
    split = np.where(number == fold, "test", "train").astype("<U10")
    rest = np.flatnonzero(number != fold)
    renumbered = np.unique(groups[rest], return_inverse=True)[1]
    inner = _deal(
        renumbered, None if labels is None else labels[rest], np.array([1 - validation, validation]), seed + 1000 + fold
    )
    split[rest[inner == 1]] = "validation"
    return split


def with_test(
    groups: np.ndarray, labels: np.ndarray | None, shares: list[float], seed: int, is_test: np.ndarray
) -> np.ndarray:
    """Random split where the test samples are known; training and validation keep the ratio of their fractions.

    Args:
        groups: As in `fractions`.
        labels: As in `fractions`.
        shares: As in `fractions`; the test fraction is not used.
        seed: As in `fractions`.
        is_test: True for test samples, ``shape=(samples,)``.

    Returns:
        ``"train"``, ``"validation"`` or ``"test"`` for each sample.
    """
    rest_groups, rest_shares = np.unique(groups[~is_test], return_inverse=True)[1], np.array([*shares[:2], 0.0])
    result = np.full(len(groups), "test", dtype="<U10")
    rest_labels = None if labels is None else labels[~is_test]
    result[~is_test] = fractions(rest_groups, rest_labels, list(rest_shares / max(rest_shares.sum(), 1e-12)), seed)
    return result


def given(column: pd.Series) -> np.ndarray:
    """The split that a column of the table defines.

    Raises:
        InputError: A value other than train, validation or test.
    """
    text = as_text(column)
    if not (valid := text.isin(SPLITS)).all():
        wrong = text[~valid].iloc[0]
        raise InputError(f"split column {column.name!r} has the value {wrong!r}; use train, validation or test")
    result: np.ndarray = text.to_numpy(dtype="<U10")
    return result

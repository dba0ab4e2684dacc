"""Types of the features of a table: numbers, categories, dates; columns that are no features; doubts and problems."""

import logging
import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from . import dates as in_text
from .numbers import MISSING, is_number, missing_word
from .reading import listing
from .values import as_text, is_code

log = logging.getLogger("zoo")
FEW = 20  # different texts that a column of categories may have in any case
NUMBERS_ROWS = "it numbers the rows; if it names the samples, give it as --data.id, else list it in --data.features"
INFINITE = ("inf", "-inf", "infinity", "-infinity")
NAMES_SAMPLES = "it identifies the samples; give it as --data.id, or list it in --data.features if it is a feature"
IDENTIFIER = re.compile(
    r"(.*[ _.-])?(id|ids|mrn|barcode|accession|identifier|uuid)([ _.-]?(no|nr|num|number))?|.*[a-z]ID"
    r"|(sample|patient|subject|case|record|donor|participant|individual)([ _.-]?(no|nr|num|number|code|name))?",
    re.IGNORECASE,
)
STAND_INS = (-9, -99, -999, -9999, 99, 999, 9999)  # numbers that often stand for a missing value


@dataclass
class Types:
    """Types of features, and what was found while they were determined.

    Attributes:
        features: Names of the columns that are features, in order.
        categories: Those of them that hold categories.
        dates: Format of those that hold dates, ``""`` for columns of a date type.
        left_out: Columns that are no features, and why.
        doubts: Sentences on what may be wrong, each with the option that settles it.
        problems: Sentences on what must be corrected before training.
    """

    features: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    dates: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def report(self, source: str) -> None:
        """Log what was left out and the doubts.

        Raises:
            InputError: There are problems; the message lists all of them, one a line.
        """
        if self.problems:
            raise InputError("\n".join(f"{source}: {problem}" for problem in self.problems))
        for reason in dict.fromkeys(self.left_out.values()):
            names = [name for name, why in self.left_out.items() if why == reason]
            log.warning("%s: %s left out: %s", source, listing(names), reason)
        for doubt in self.doubts:
            log.warning("%s: %s", source, doubt)


def types_of(
    frame: pd.DataFrame,
    chosen: bool,
    categorical: Collection[str] = (),
    ordered: Collection[str] = (),
    missing: Mapping[str, Collection[Any]] | None = None,
    dates: Mapping[str, str] | None = None,
) -> Types:
    """Determine the type of each column.

    Args:
        frame: The columns that may be features, as `zoo.tables.read_table` returns them.
        chosen: The user listed them, so that none is left out.
        categorical: Columns that the user declares as categories.
        ordered: Columns with ordered levels.
        missing: Values that mean a missing value, by column.
        dates: Formats of dates, by column, such as ``"%d/%m/%Y"``.
    """
    types = Types()
    numeric = {str(name) for name, kind in frame.dtypes.items() if pd.api.types.is_numeric_dtype(kind)}
    numbering, empty = counters(frame, numeric), set(frame.columns[frame.isna().all()])
    empty |= {name for name, kind in frame.dtypes.items() if kind.kind == "O" and _only_missing(frame[name])}
    for name in map(str, frame.columns):
        words = {str(word) for word in (missing or {}).get(name, ())}
        if name in empty and not chosen:
            types.left_out[name] = "no value"
            continue
        if not chosen and name not in categorical and name in numeric and _is_identifier(frame[name], name):
            types.left_out[name] = NAMES_SAMPLES
            continue
        if name in numbering and not chosen and name not in categorical:
            types.left_out[name] = NUMBERS_ROWS
            continue
        types.features.append(name)
        if name in numeric:
            if name in categorical or name in ordered:
                types.categories.append(name)
        else:
            _type_of(frame[name], name, types, categorical, ordered, words, (missing or {}), dates or {})
    _stand_ins(frame, types, missing or {})
    return types


def _type_of(
    column: pd.Series,
    name: str,
    types: Types,
    categorical: Collection[str],
    ordered: Collection[str],
    words: set[str],
    missing: Mapping[str, Collection[Any]],
    dates: Mapping[str, str],
) -> None:
    """Add a column that is not numeric to the types."""
    if pd.api.types.is_datetime64_any_dtype(column):
        types.dates[name] = ""
        return
    if pd.api.types.is_timedelta64_dtype(column):
        types.problems.append(
            f"column {name!r} holds durations; convert them to numbers, or leave it out: --data.exclude [{name}]"
        )
        return
    if isinstance(column.dropna().iloc[0] if column.notna().any() else None, (np.ndarray, list, dict)):
        types.problems.append(f"column {name!r} holds a list in each cell; leave it out: --data.exclude [{name}]")
        return
    text = as_text(column)
    counts = text[~text.isin(words)].value_counts()
    if name in dates:
        if (bad := in_text.parse(pd.Series(counts.index, dtype=object), dates[name]).isna()).any():
            types.problems.append(f"column {name!r}: {counts.index[bad][0]!r} is no date of the format {dates[name]}")
        types.dates[name] = dates[name]
        return
    if name in categorical or name in ordered or isinstance(column.dtype, pd.CategoricalDtype):
        types.categories.append(name)
        return
    present = [str(value) for value in counts.index]
    digits = counts[[is_number(value) for value in present]].sum()
    if digits >= 0.5 * counts.sum() and not any(is_code(value) for value in present):
        odd = [value for value in present if not (is_number(value) or missing_word(value) or value.lower() in INFINITE)]
        if odd:
            row = column.index[(text == odd[0]).to_numpy().argmax()]
            quoted = ", ".join(f'"{value}"' for value in odd[:4])
            hint = "write 1.5 for 1,5; " if any("," in value for value in odd) else ""
            types.problems.append(
                f"column {name!r}, row {row}: {odd[0]!r} is not a number ({counts[odd].sum()} such values: "
                f"{', '.join(odd[:4])}{', ...' if len(odd) > 4 else ''}); {hint}correct them, or state that they are "
                f"missing: --data.missing '{{{name}: [{quoted}]}}', or that the column holds categories: "
                f"--data.categorical [{name}]"
            )
        return
    if found := in_text.formats(value for value in present if not missing_word(value)):
        if len(found) > 1:
            types.problems.append(
                f"column {name!r}: dates such as {present[0]} may have the day or the month first; give the format: "
                f'--data.dates \'{{{name}: "{found[0]}"}}\' or "{found[1]}"'
            )
        types.dates[name] = found[0]
        return
    if len(counts) > max(FEW, int(counts.sum()) // 2):
        types.problems.append(
            f"text column {name!r} has {len(counts)} different values in {counts.sum()} rows; if it names the samples, "
            f"give it as --data.id {name}, else leave it out: --data.exclude [{name}]"
        )
        return
    types.categories.append(name)
    _doubt_levels(counts, name, types, missing)


def _doubt_levels(counts: pd.Series, name: str, types: Types, missing: Mapping[str, Collection[Any]]) -> None:
    """Doubts on levels that are alike or may mean a missing value."""
    plain = pd.Series(counts.index.str.lower().str.replace(r"[\s_-]+", " ", regex=True), counts.index)
    for value in plain[plain.duplicated()].unique():
        alike = " and ".join(f"{level!r} ({counts[level]})" for level in plain.index[plain == value])
        types.doubts.append(
            f"column {name!r}: the levels {alike} differ in case or blanks only; correct them if they are one"
        )
    unsure = [level for level in counts.index if level.lower() in MISSING and name not in missing]
    if unsure:
        quoted = ", ".join(f'"{level}"' for level in unsure)
        said = ", ".join(f"{level!r} ({counts[level]})" for level in unsure)
        types.doubts.append(
            f"column {name!r}: {said} is taken as a level; if it means a missing value: "
            f"--data.missing '{{{name}: [{quoted}]}}'"
        )


def counters(frame: pd.DataFrame, numeric: Collection[str]) -> set[str]:
    """Columns that number the rows, in order or shuffled; also row names that pandas wrote (``Unnamed: 0``)."""
    rows, found = len(frame), set()
    for name, kind in frame.dtypes.items():
        if str(name).startswith("Unnamed: ") and name in numeric:
            found.add(str(name))
        elif kind.kind == "i" and rows > 5:
            values = frame[name].to_numpy()
            low, high = values.min(), values.max()
            if high - low == rows - 1 and low in (0, 1) and len(np.unique(values)) == rows:
                found.add(str(name))
    return found


def _only_missing(column: pd.Series) -> bool:
    """Whether a column has nothing but words for missing values."""
    return all(isinstance(value, str) and missing_word(value) for value in column.dropna().head(100)) and all(
        missing_word(value) for value in as_text(column.dropna()).unique()
    )


def _is_identifier(column: pd.Series, name: str) -> bool:
    """Whether a column of numbers has a different whole number in each of 10 or more rows, and the name of an id."""
    if len(column) < 10 or not IDENTIFIER.fullmatch(name):
        return False
    return bool(column.is_unique and column.notna().all() and (column % 1 == 0).all())


def names_samples(column: pd.Series, name: str) -> bool:
    """Whether a first column of text names the samples: all different, and called an id or more than `FEW` rows."""
    if pd.api.types.is_numeric_dtype(column) or not column.is_unique or column.isna().any():
        return False
    if in_text.formats(column.head(20)):
        return False
    return IDENTIFIER.fullmatch(name) is not None or len(column) > FEW


def _stand_ins(frame: pd.DataFrame, types: Types, missing: Mapping[str, Collection[Any]]) -> None:
    """Doubts on numbers such as -999 that lie far from all others of their column and occur repeatedly."""
    kinds, others = dict(frame.dtypes.items()), {*types.categories, *missing}
    columns = [name for name in types.features if kinds[name].kind in "if" and name not in others]
    if not columns:
        return
    values = frame[columns].to_numpy(dtype=np.float64)
    for number in STAND_INS:
        hits = (values == number).sum(0)
        for at in np.flatnonzero(hits >= 2):
            rest = values[:, at][(values[:, at] != number) & ~np.isnan(values[:, at])]
            if len(rest) < 3 or not (number > rest.max() + np.ptp(rest) or number < min(rest.min() - np.ptp(rest), 0)):
                continue
            name = columns[at]
            types.doubts.append(
                f"column {name!r}: {number} occurs {hits[at]} times, far from all other values ({rest.min():g} to "
                f"{rest.max():g}); if it means a missing value: --data.missing '{{{name}: [{number}]}}'"
            )


def check_ids(ids: pd.Series, source: str) -> None:
    """Raise an `InputError` that names the first missing or repeated sample name."""
    if (missing := ids.isna()).any():
        raise InputError(f"{source}: row {ids.index[missing][0]} has no id in column {ids.name!r}; fill it in")
    if (doubled := ids.duplicated()).any():
        raise InputError(f"{source}: id '{ids[doubled].iloc[0]}' occurs more than once in column {ids.name!r}")


def leaks(frame: pd.DataFrame, target: pd.Series, types: Types) -> list[str]:
    """Doubts on features that alone determine the target; with 50 rows or more.

    Args:
        frame: The features.
        target: Class or value of each row, NaN where missing.
        types: Types of the features.
    """
    known = target.notna().to_numpy()
    if known.sum() < 50:
        return []
    y, found = target[known], []
    continuous = pd.api.types.is_numeric_dtype(y) and y.nunique() > 10
    sizes = y.value_counts()
    if not continuous and (len(sizes) < 2 or sizes.iloc[-1] < 5):
        return []
    kinds, nominal = dict(frame.dtypes.items()), set(types.categories)
    numeric = [name for name in types.features if kinds[name].kind in "if" and name not in nominal]
    if numeric:
        x = frame[numeric].to_numpy(dtype=np.float64)[known]
        found += [numeric[at] for at in (_equal(x, y) if continuous else _separated(x, y))]
    if not continuous:
        for name in types.categories:
            level = as_text(frame[name])[known]
            if (
                level.notna().all()
                and level.nunique() <= max(len(sizes), 10)
                and (y.groupby(level.to_numpy()).nunique() == 1).all()
            ):
                found.append(name)
    return [
        f"column {name!r} alone determines the target {target.name!r} (a leak?); if it is not known before the target, "
        f"leave it out: --data.exclude [{name}]"
        for name in found[:10]
    ]


def _equal(x: np.ndarray, y: pd.Series) -> np.ndarray:
    """Columns that are a linear function of a continuous target."""
    z = y.to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = ((x - x.mean(0)) * (z - z.mean())[:, None]).mean(0) / (x.std(0) * z.std())
    result: np.ndarray = np.flatnonzero(np.abs(r) > 0.9999)
    return result


def _separated(x: np.ndarray, y: pd.Series) -> np.ndarray:
    """Columns of which the values of the classes do not overlap, or that are missing in one class only."""
    labels = y.astype(str).to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # on columns without a value in a class
        low = np.stack([np.nanmin(x[labels == label], 0) for label in np.unique(labels)])
        high = np.stack([np.nanmax(x[labels == label], 0) for label in np.unique(labels)])
        order = np.argsort(low, axis=0)
        low, high = np.take_along_axis(low, order, 0), np.take_along_axis(high, order, 0)
        apart = (high[:-1] < low[1:]).all(0)
    absent = np.isnan(x)
    share = np.stack([absent[labels == label].mean(0) for label in np.unique(labels)])
    one_class = ((share == 0) | (share == 1)).all(0) & (share.max(0) == 1) & (share.min(0) == 0)
    result: np.ndarray = np.flatnonzero((apart & ~np.isnan(low).any(0)) | one_class)
    return result

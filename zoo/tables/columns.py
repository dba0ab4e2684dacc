"""Types of the features of a table: numbers, categories, dates; columns that are no features; doubts and problems."""

import logging
import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError, counted
from . import dates as in_text
from .numbers import MISSING, is_number, missing_word
from .reading import listing
from .values import alike, as_text, is_code

log = logging.getLogger("zoo")
FEW = 20  # different texts that a column of categories may have in any case
NUMBERS_ROWS = "it numbers the rows; if it names the samples, give it as --data.id, else list it in --data.features"
INFINITE = ("inf", "-inf", "infinity", "-infinity")
NAMES_SAMPLES = "it identifies the samples; give it as --data.id, or list it in --data.features if it is a feature"
IDENTIFIER = re.compile(
    r"(.*[ _.-])?(id|ids|mrn|barcode|accession|identifier|uuid)([ _.-]?(no|nr|num|number))?|.*[a-z]ID"
    r"|(sample|patient|subject|case|record|donor|participant|individual)([ _.-]?(no|nr|num|number|code|name))?"
    r"|index|level_0|row|no\.?|#|(.*[ _.-])?nr\.?",
    re.IGNORECASE,
)
NAME = re.compile(r"[A-Za-z][\w.:|/-]*\d[\w.:|/-]*|0\d+")  # P001, TCGA-OR-A5J1, AAACCTG-1, 0017
UNIT = re.compile(
    r"[<>≤≥~]?\s*[+-]?\d+([.,]\d+)?\s*(k?g|mg|[µμu]g|ng|[ckm]?m|m?l|dl|[mµμn]?mol|iu|years?|yrs?|months?|weeks?|days?|"
    r"hours?|hrs?|h|min|minutes?|sec|s|mmhg|bpm|°?c|€|eur|usd)(/\w+)?",
    re.IGNORECASE,
)
CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?( ?[ap]m)?", re.IGNORECASE)
SUMMARIES = {"total", "totals", "sum", "mean", "average", "avg", "sd", "std", "median", "count", "summe", "mittelwert"}
RELATED = (
    "it identifies several rows each; if these are related, give it as --data.group, else list it as --data.features"
)
MANY = 10  # different values from which a repeated identifier is no category
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
    types, dates_or_none = Types(), dates or {}
    numeric = {str(name) for name, kind in frame.dtypes.items() if pd.api.types.is_numeric_dtype(kind)}
    numbering, empty = counters(frame, numeric), set(frame.columns[frame.isna().all()])
    empty |= {name for name, kind in frame.dtypes.items() if kind.kind == "O" and _only_missing(frame[name])}
    for name in map(str, frame.columns):
        words = {str(word) for word in (missing or {}).get(name, ())}
        if name in empty and not chosen:
            types.left_out[name] = "no value"
            continue
        named = not chosen and name not in (*categorical, *ordered) and IDENTIFIER.fullmatch(name) is not None
        if named and (reason := _identifies(frame[name], name in numeric)):
            types.left_out[name] = reason
            continue
        if name in numbering and not chosen and name not in categorical:
            types.left_out[name] = NUMBERS_ROWS
            continue
        types.features.append(name)
        if name in numeric:
            if name in categorical or name in ordered:
                types.categories.append(name)
            elif name in dates_or_none or _are_dates(frame[name]):
                types.dates[name] = dates_or_none.get(name, "%Y%m%d")
        else:
            _type_of(frame[name], name, types, categorical, ordered, words, (missing or {}), dates_or_none)
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
    filled = [value for value in present if not missing_word(value)]
    if found := in_text.formats(filled):
        if late := in_text.later_than_today(filled, found[0]):
            types.problems.append(
                f"column {name!r}: the year of {late!r} may be 20 or 19 and these digits; write years with four digits"
            )
        elif len(found) > 1:
            types.problems.append(
                f"column {name!r}: dates such as {present[0]} may have the day or the month first; give the format: "
                f'--data.dates \'{{{name}: "{found[0]}"}}\' or "{found[1]}"'
            )
        types.dates[name] = found[0]
        return
    if problem := _almost(filled, counts, name):
        types.problems.append(problem)
        return
    if len(counts) > max(FEW, int(counts.sum()) // 2):
        types.problems.append(
            f"text column {name!r} has {len(counts)} different values in {counts.sum()} rows; if it names the samples, "
            f"give it as --data.id {name}, else leave it out: --data.exclude [{name}]"
        )
        return
    types.categories.append(name)
    _doubt_levels(counts, name, types, missing)


def _almost(present: list[str], counts: pd.Series, name: str) -> str:
    """Problem of a column of text of which most values are dates, clock times, or numbers with a unit; else empty."""
    total = counts[present].sum()
    kept = f"or state that it holds categories: --data.categorical [{name}]"
    if counts[[value for value in present if in_text.LIKELY.fullmatch(value)]].sum() > 0.5 * total:
        odd = in_text.odd_ones(present)
        quoted = ", ".join(f'"{value}"' for value in odd[:4])
        return (
            f"column {name!r}: {', '.join(map(repr, odd[:4]))}{', ...' if len(odd) > 4 else ''} are no dates of the "
            f"format of the others; correct them, state that they are missing: "
            f"--data.missing '{{{name}: [{quoted}]}}', {kept}"
        )
    if counts[[value for value in present if CLOCK.fullmatch(value)]].sum() > 0.5 * total:
        return f"column {name!r} holds times of day such as {present[0]}; convert them to hours (8.25), {kept}"
    with_unit = [value for value in present if UNIT.fullmatch(value)]
    if counts[with_unit].sum() > 0.5 * total and len(present) > MANY:
        return f"column {name!r} holds numbers with a unit such as {with_unit[0]!r}; remove the unit, {kept}"
    return ""


def _are_dates(column: pd.Series) -> bool:
    """Whether a column of whole numbers holds dates such as 20240131."""
    if column.dtype.kind != "i" or len(column) < 5 or column.min() < 19000101 or column.max() > 21001231:
        return False
    return bool(in_text.parse(pd.Series(column.unique()).map(str), "%Y%m%d").notna().all())


def _doubt_levels(counts: pd.Series, name: str, types: Types, missing: Mapping[str, Collection[Any]]) -> None:
    """Doubts on levels that are alike or may mean a missing value."""
    plain = alike(counts.index)
    for value in plain[plain.duplicated()].unique():
        same = " and ".join(f"{level!r} ({counts[level]})" for level in plain.index[plain == value])
        types.doubts.append(
            f"column {name!r}: the levels {same} differ in case or blanks only; correct them if they are one"
        )
    if summary := [level for level in counts.index if level.lower() in SUMMARIES and counts[level] == 1]:
        types.doubts.append(
            f"column {name!r}: the row with {summary[0]!r} looks like a summary of the others; remove it"
        )
    if with_unit := [level for level in counts.index if UNIT.fullmatch(level)][:1]:
        types.doubts.append(
            f"column {name!r}: {with_unit[0]!r} is taken as a level; if it is a number, remove the unit"
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
    for name in frame.columns:
        if str(name).startswith("Unnamed: ") and name in numeric:
            found.add(str(name))
    at = [number for number, kind in enumerate(frame.dtypes) if kind.kind in "if"]
    if rows <= 5 or not at:
        return found
    values = frame.iloc[:, at].to_numpy(dtype=np.float64)
    low, high = values.min(0), values.max(0)  # NaN where a value is missing
    for number in np.flatnonzero((high - low == rows - 1) & np.isin(low % 100, (0, 1))):
        whole = np.unique(values[:, number])
        name = str(frame.columns[at[number]])
        if len(whole) == rows and (whole % 1 == 0).all() and "year" not in name.lower():
            found.add(name)
    return found


def _only_missing(column: pd.Series) -> bool:
    """Whether a column has nothing but words for missing values."""
    return all(isinstance(value, str) and missing_word(value) for value in column.dropna().head(100)) and all(
        missing_word(value) for value in as_text(column.dropna()).unique()
    )


def _identifies(column: pd.Series, numeric: bool) -> str:
    """Why a column with the name of an identifier is no feature; empty if its values are none of an identifier."""
    present = column.dropna()
    if len(present) < MANY or (numeric and (present % 1 != 0).any()):
        return ""
    different = present.nunique()
    if different == len(column):
        return NAMES_SAMPLES if numeric else ""  # text that is different in each row is a problem
    return RELATED if different >= MANY and different > len(present) / 50 else ""


def names_samples(column: pd.Series, name: str) -> bool:
    """Whether a first column of text names the samples: all different, and called an id or more than `FEW` rows."""
    if pd.api.types.is_numeric_dtype(column) or not column.is_unique or column.isna().any():
        return False
    if IDENTIFIER.fullmatch(name):
        return True
    text = column.map(str)
    return len(column) > FEW and not in_text.formats(text.head(20)) and bool(text.str.fullmatch(NAME).mean() > 0.9)


def _stand_ins(frame: pd.DataFrame, types: Types, missing: Mapping[str, Collection[Any]]) -> None:
    """Doubts on numbers such as -999 that lie far from all others of their column and occur repeatedly."""
    kinds, others = dict(frame.dtypes.items()), {*types.categories, *missing}
    columns = [name for name in types.features if kinds[name].kind in "if" and name not in others]
    if not columns:
        return
    values = frame[columns].to_numpy(dtype=np.float64)
    for number in STAND_INS:
        hits = (values == number).sum(0)
        for at in np.flatnonzero(hits >= (1 if number < -9 else 2)):
            rest = values[:, at][(values[:, at] != number) & ~np.isnan(values[:, at])]
            if len(rest) < 3 or not (number > rest.max() + np.ptp(rest) or number < min(rest.min() - np.ptp(rest), 0)):
                continue
            name = columns[at]
            if hits[at] == 1 and rest.min() < 0:
                continue
            types.doubts.append(
                f"column {name!r}: {number} occurs {counted(int(hits[at]), 'time')}, far from all other "
                f"values ({rest.min():g} to {rest.max():g}); if it means a missing value: "
                f"--data.missing '{{{name}: [{number}]}}'"
            )


def check_ids(ids: pd.Series, source: str) -> None:
    """Raise an `InputError` that names the first missing or repeated sample name."""
    if (missing := ids.isna()).any():
        raise InputError(f"{source}: row {ids.index[missing][0]} has no id in column {ids.name!r}; fill it in")
    if (doubled := ids.duplicated()).any():
        raise InputError(f"{source}: id '{ids[doubled].iloc[0]}' occurs more than once in column {ids.name!r}")
    if (last := str(ids.iloc[-1])).lower() in SUMMARIES:
        log.warning("%s: the last row, %s, looks like a summary of the others; remove it", source, last)


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

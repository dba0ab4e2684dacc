"""Series in tables with one series per row (wide) or one time point per row (long)."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ...errors import InputError, suggest
from ...tables.columns import NUMBERS_ROWS, types_of
from ...tables.numbers import is_number
from ...tables.reading import listing, read_headerless
from ...tables.target import class_names
from ...tables.times import Times, is_name, parse, read
from ...tables.values import as_text, numbers
from .files import LABEL, SERIES
from .steps import Order, by_time, in_order_of_file, rate_of

log = logging.getLogger("zoo")
CATEGORIES = "that the column holds categories: --data.categorical"  # a hint for tables of features only
Missing = Mapping[str, Collection[Any]]


def read_unnamed(path: Path, missing: Missing) -> pd.DataFrame | None:
    """Read a table without a header, as in the UCR archive: each row has the label and the values of one series.

    Args:
        path: CSV, TSV or text (also gzipped), separated by tabs, commas, semicolons or spaces.
        missing: Other words that mean a missing value, by number of the column, from 1.

    Returns:
        Columns ``"series"`` and ``"label"``; None if there is no such file, or its first line is a header.

    Raises:
        InputError: A cell is not a number, or a line has another number of cells than the others.
    """
    cells = read_headerless(path, missing)
    if cells is None:
        return None
    cells.index += 1
    values = numbers(cells.iloc[:, 1:], str(path), missing)
    labels = cells.iloc[:, 0]
    return pd.DataFrame({SERIES: list(values[:, None]), LABEL: class_names(labels).to_numpy()})


def _measured(frame: pd.DataFrame, others: Collection[str], missing: Missing, source: str) -> list[str]:
    """Columns of numbers; others are logged, and all problems of columns raised at once."""
    rest = frame[[name for name in frame.columns if name not in others]]
    types = types_of(rest[[name for name in rest if _is_numeric(rest[name])]], chosen=False, missing=missing)
    numbering = "it numbers the rows; if it names the samples, give it as --data.id"
    types.left_out = {n: numbering if why == NUMBERS_ROWS else why for n, why in types.left_out.items()}
    types.problems = [problem.replace(CATEGORIES, "leave it out: --data.exclude") for problem in types.problems]
    types.report(source)
    return [name for name in types.features if name not in types.categories]


def _is_numeric(column: pd.Series) -> bool:
    """Whether at least half of the values are numbers."""
    if pd.api.types.is_numeric_dtype(column):
        return True
    present = column.dropna()
    if not (pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)) or present.empty:
        return False
    return bool(as_text(present).map(is_number).mean() >= 0.5)


def wide(
    frame: pd.DataFrame,
    others: list[str],
    missing: Missing,
    time_format: str | None,
    source: str,
) -> pd.DataFrame:
    """Gather one series of one channel per row.

    Its time points are the columns whose names are times (``t1``, ``0.5 s``, dates), in the order of time; if names are
    no times, all columns of numbers in the order of the file.

    Args:
        frame: The table.
        others: Columns that are not time points.
        missing: Values that mean a missing value, by column.
        time_format: Format of dates that are names of columns.
        source: Name of the table in an error.

    Returns:
        The other columns, and ``"series"``; ``attrs`` hold the ``sampling_rate`` if the names tell it.

    Raises:
        InputError: There is no column of numbers, or one has text, or the columns are those of several channels.
    """
    rest = [name for name in frame if name not in others]
    times = read(pd.Series(rest, dtype=object), time_format)
    numeric = [name for name in rest if _is_numeric(frame[name])]
    points = [name for name, fits in zip(rest, times.fits, strict=True) if fits]
    ordered = np.argsort(times.numbers[times.fits], kind="stable")
    unique = (np.diff(times.numbers[times.fits][ordered]) > 0).all()
    rate = None
    if len(points) >= max(3, len(numeric) / 2) and unique:
        if len(times.formats) > 1:
            parse(pd.Series(points, dtype=object), source)  # raises
        _check_others([name for name in numeric if name not in points], points, source)
        if (np.diff(ordered) < 0).any():
            first, last = points[ordered[0]], points[ordered[-1]]
            log.warning("%s: the columns of time points are sorted by time, %s to %s", source, first, last)
        points = [points[at] for at in ordered]
        values_of = Times(times.numbers[times.fits][ordered], times.kind, times.seconds, times.formats)
        rate = rate_of(values_of, points, f"{source}: names of the columns")
    else:
        points = _measured(frame, others, missing, source)
    if not points:
        raise InputError(f"{source}: there is no column of numbers beside {', '.join(others) or 'the first'}")
    log.info("%s: %d time points, columns %s to %s", source, len(points), points[0], points[-1])
    values = numbers(without(frame[points], missing), source, missing)
    result = frame.drop(columns=points).assign(**{SERIES: list(values[:, None])})
    if rate is not None:
        result.attrs["sampling_rate"] = rate
    return result


def _check_others(others: list[str], points: list[str], source: str) -> None:
    """Log the columns of numbers whose names are no times; raise an `InputError` if they are another channel."""
    if not others:
        return
    also = read(pd.Series(others, dtype=object))
    if also.fits.sum() >= 3 and not also.formats:
        one, two = f"{points[0]} to {points[-1]}", f"{others[also.fits.argmax()]} ..."
        raise InputError(
            f"{source}: columns {one} and {two} look like several channels or measurements; a table with one series "
            "per row has one channel: write one time point per row (--data.record, --data.time), or leave columns out: "
            "--data.exclude"
        )
    log.warning(
        "%s: %s left out: no time points by their names, as %s to %s are; rename those that are; one that names the "
        "samples is given as --data.id",
        source,
        listing(others),
        points[0],
        points[-1],
    )


def without(frame: pd.DataFrame, missing: Missing) -> pd.DataFrame:
    """The columns with NaN where numbers mean that a value is missing."""
    listed = {name: list(map(str, missing[name])) for name in frame if name in missing}
    return frame.assign(**{name: frame[name].mask(as_text(frame[name]).isin(words)) for name, words in listed.items()})


def long(
    frame: pd.DataFrame,
    record: str,
    time: str | None,
    others: list[str],
    ignore: list[str],
    channels: list[str] | None,
    missing: Missing,
    formats: tuple[str | None, str | None],
    source: str,
) -> pd.DataFrame:
    """Gather the rows of each record, one per time point, into one series whose channels are the numeric columns.

    Args:
        frame: The table.
        record: Column that identifies the rows of one series.
        time: Column by which rows are ordered (see `zoo.tables.times`); by default the order of the file is kept.
        others: Columns that are not channels and must be constant within a record, such as the target.
        ignore: Other columns that are not channels.
        channels: Columns that are channels; by default all other numeric columns.
        missing: Values that mean a missing value, by column.
        formats: Format of the times as given, and the one to use if they are ambiguous.
        source: Name of the table in an error.

    Returns:
        One row per record: its name, all columns that are constant within every record, and ``"series"``, with missing
        values at missing time points; ``attrs`` hold the names of the ``channels``, and what the times tell:
        ``sampling_rate`` or ``time_step``, ``time_format``.

    Raises:
        InputError: A column does not exist, or a record has several values in a column of ``others``, or a time
            twice or missing, or a time cannot be read.
    """
    keys = [record, time] if time else [record]
    for name in [*keys, *(channels or [])]:
        if name not in frame:
            raise InputError(f"{source}: no column {name!r}; {suggest(name, frame.columns)}")
    for name in keys:
        if (absent := frame[name].isna()).any():
            raise InputError(f"{source}: row {int(absent.to_numpy().argmax()) + 1} has no {name!r}; fill it in")
    order = by_time(frame, record, time, source, *formats) if time else in_order_of_file(frame[record])
    chosen = channels or _channels(frame, record, time, [*keys, *others, *ignore], order, missing, source)
    if not chosen:
        raise InputError(f"{source}: there is no column of numbers beside {', '.join([*keys, *others])}")
    rest = frame.drop(columns=[*keys[1:], *chosen])
    groups = rest.groupby(record, sort=False)
    changing = groups.nunique(dropna=False) > 1
    for name in [n for n in others if n in changing]:
        if changing[name].any():
            raise InputError(f"{source}: record '{changing[name].idxmax()}' has more than one value of {name!r}")
    constant = [record, *changing.columns[~changing.any()]]
    samples = rest[constant].drop_duplicates(record).reset_index(drop=True)
    values = numbers(without(frame[chosen], missing), source, missing)
    samples[SERIES] = _gathered(values, order)
    samples.attrs |= {"channels": list(chosen), **order.facts}
    return samples


def _gathered(values: np.ndarray, order: Order) -> list[np.ndarray]:
    """Series ``(channels, length)`` of each record, NaN at missing time points."""
    starts = np.flatnonzero(np.r_[True, order.records[1:] != order.records[:-1]])
    series = []
    for rows, places in zip(np.split(order.rows, starts[1:]), np.split(order.places, starts[1:]), strict=True):
        one = np.full((values.shape[1], places[-1] + 1), np.nan, dtype=np.float32)
        one[:, places] = values[rows].T
        series.append(one)
    return series


def _channels(
    frame: pd.DataFrame,
    record: str,
    time: str | None,
    others: list[str],
    order: Order,
    missing: Missing,
    source: str,
) -> list[str]:
    """Columns of numbers, without those that number the time points or are times."""
    found = _measured(frame, others, missing, source)
    if time is None:
        if named := next((name for name in found if is_name(name)), None):
            raise InputError(
                f"{source}: column {named!r} looks like the time of the rows: give it as --data.time {named}, else "
                f"leave it out: --data.exclude [{named}]"
            )
        _check_file_order(frame, [n for n in frame if n not in (*others, *found)], order, source)
    counted = [name for name in found if _counts(frame[name].to_numpy(), order)]
    if counted and len(counted) < len(found):
        log.warning("%s: %s left out: it numbers the rows of each record", source, listing(counted))
        if time is None:
            _check_file_order(frame, counted, order, source)
        return [name for name in found if name not in counted]
    return found


def _check_file_order(frame: pd.DataFrame, names: list[str], order: Order, source: str) -> None:
    """Raise an `InputError` if a column of times that is not given as ``time`` has another order than the file."""
    for name in names:
        column = frame[name].iloc[order.rows]
        if column.isna().any() or not (times := read(column)).fits.all():
            continue
        steps = np.diff(times.numbers)[np.diff(order.records) == 0]
        if (steps < 0).any():
            raise InputError(
                f"{source}: the rows of a record are not in the order of column {name!r} ({times.kind}); if it is the "
                f"time: --data.time {name}, else leave it out: --data.exclude [{name}]"
            )
        if (steps > 0).any():
            log.info("%s: the rows of a record are in the order of column %r (%s)", source, name, times.kind)


def _counts(column: np.ndarray, order: Order) -> bool:
    """Whether whole numbers count the rows of every record from 0 or 1, in any order."""
    if column.dtype.kind not in "iu":
        return False
    counts = np.diff(np.flatnonzero(np.r_[True, order.records[1:] != order.records[:-1], True]))
    values = column[order.rows]
    values = values[np.lexsort((values, order.records))]
    expected = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    return bool(counts.max() > 2 and len(counts) > 1 and (np.ptp(values - expected) == 0) and values[0] in (0, 1))


def common_length(
    series: pd.Series, length: int | Literal["longest", "shortest"] | None, interpolate: bool, source: str
) -> int:
    """Common number of time points of all series.

    Args:
        series: Arrays ``(channels, length)``, indexed by sample name. Values that are missing in all channels at the
            end are padding, unless gaps are interpolated and ``length`` is None.
        length: Requested length; None requires equal lengths.
        interpolate: Whether gaps are interpolated.
        source: Name of the table in an error.

    Raises:
        InputError: The series differ in length, and no length was requested.
    """
    if isinstance(length, int):
        return length
    count = (lambda values: values.shape[1]) if interpolate and length is None else _end
    counts = series.map(count)
    if length is None and (other := (counts != counts.iloc[0]).to_numpy()).any():
        raise InputError(
            f"{source}: sample {counts.index[0]} has {counts.iloc[0]} time points, sample {counts.index[other][0]} has "
            f"{counts[other].iloc[0]}; give --data.length longest (or shortest, or a number) to pad or crop them"
        )
    return int(counts.min() if length == "shortest" else counts.max())


def _end(series: np.ndarray) -> int:
    """Number of time points before the padding."""
    measured = np.flatnonzero(~np.isnan(series).all(0))
    return int(measured[-1]) + 1 if len(measured) else 0

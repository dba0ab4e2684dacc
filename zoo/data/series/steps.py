"""Order of the rows of long tables by parsed time, steps between time points, and time points that are missing."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InputError
from ...tables.times import Times, interval, parse, rate_text

log = logging.getLogger("zoo")
JITTER = 0.25  # largest deviation of a regular step, as a share of it: times in ms at 128 Hz are 7 or 8 ms apart
EQUAL = 0.01  # deviation up to which steps are equal
MOST_MISSING = 0.25  # share of time points up to which a gap is missing time points, and not another spacing
COMMON = 0.75  # share of records that begin at the same time, so that a later beginning is missing time points


@dataclass
class Order:
    """Rows of a long table in the order of records and time.

    Attributes:
        rows: Positions of the rows, sorted by record and time, ``shape=(rows,)``.
        records: Number of the record of each of them, by first occurrence in the table.
        places: Number of the time point in its record of each of them, from 0; numbers that are skipped are missing
            time points.
        facts: Keys of the modality that the times tell: ``sampling_rate`` or ``time_step``, ``time_format``.
    """

    rows: np.ndarray
    records: np.ndarray
    places: np.ndarray
    facts: dict[str, Any]


def in_order_of_file(record: pd.Series) -> Order:
    """Rows of each record in the order of the table."""
    codes, _ = pd.factorize(record)
    rows = np.argsort(codes, kind="stable")
    records = codes[rows]
    return Order(rows, records, _counted(records), {})


def by_time(
    frame: pd.DataFrame, record: str, time: str, source: str, given: str | None = None, usual: str | None = None
) -> Order:
    """Rows of each record in the order of their times.

    What was understood, unequal steps and missing time points are logged.

    Args:
        frame: The table; record and time have no missing values.
        record: Column that identifies the rows of one series.
        time: Column of times, in any form that `zoo.tables.times` knows.
        source: Name of the table in errors.
        given: Format of the times, if it was given.
        usual: Format to use if dates are ambiguous.

    Raises:
        InputError: A time cannot be read, occurs twice in a record, or clock times pass midnight.
    """
    times = parse(frame[time], source, given, usual)
    codes, names = pd.factorize(frame[record])
    rows = np.lexsort((times.numbers, codes))
    records, values = codes[rows], times.numbers[rows]
    same = records[1:] == records[:-1]
    if times.kind == "clock times":
        _check_midnight(times.numbers, codes, names, f"{source}: column {time!r}")
    if (twice := same & (np.diff(values) == 0)).any():
        at = int(rows[1:][twice].min())
        hint = "; if the record passes midnight, give a column with the date" if times.kind == "clock times" else ""
        raise InputError(
            f"{source}: record '{frame[record].iloc[at]}' has the time {frame[time].iloc[at]} twice in column "
            f"{time!r}{hint}"
        )
    facts: dict[str, Any] = {}
    places = _counted(records)
    if same.any():
        cells = frame[time].iloc[rows].astype(str).to_numpy()
        places, facts = _places(times, values, records, cells, list(map(str, names)), f"{source}: column {time!r}")
    if times.formats:
        facts["time_format"] = times.formats[0]
    return Order(rows, records, places, facts)


def rate_of(times: Times, texts: list[str], source: str) -> float | None:
    """Sampling rate of times in ascending order, in Hz, where known; unequal steps are logged."""
    if len(times.numbers) < 3:
        return None
    one = np.zeros(len(times.numbers), dtype=int)
    places, facts = _places(times, times.numbers, one, np.array(texts), [""], source)
    return facts.get("sampling_rate") if places[-1] == len(places) - 1 else None


def _counted(records: np.ndarray) -> np.ndarray:
    """Number of each row within its record, from 0."""
    if not len(records):
        return records
    starts = np.flatnonzero(np.r_[True, records[1:] != records[:-1]])
    return np.arange(len(records)) - np.repeat(starts, np.diff(np.r_[starts, len(records)]))


def _places(
    times: Times, values: np.ndarray, records: np.ndarray, cells: np.ndarray, names: list[str], where: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """Number of the time point of each row within its record, and the step or sampling rate."""
    same = records[1:] == records[:-1]
    steps = np.diff(values)[same]
    step = float(np.median(steps))
    counts = np.maximum(np.rint(steps / step), 1)
    off = float(np.abs(steps - counts * step).max()) / step
    starts = np.flatnonzero(np.r_[True, ~same])
    late = _late(values[starts], step)
    missing = int((counts - 1).sum() + late.sum())
    low, high = (interval(s) if times.seconds else f"{s:g}" for s in (steps.min(), steps.max()))
    if off > JITTER or missing > MOST_MISSING * (len(values) + missing):
        log.warning("%s: steps differ (from %s to %s); they are treated as equal", where, low, high)
        return _counted(records), {}
    mean = float(steps.sum() / counts.sum())
    rate = float(f"{1 / mean:.6g}")
    facts = {"sampling_rate": rate} if times.seconds else {"time_step": float(f"{mean:.6g}")}
    said = rate_text(rate) if times.seconds else f"steps of {mean:g}"
    if times.seconds or names[0]:
        log.info("%s: %s, %s", where, times.kind + (f" ({times.formats[0]})" if times.formats else ""), said)
    if off > EQUAL:
        single = steps[counts == 1]
        low, high = (interval(s) if times.seconds else f"{s:g}" for s in (single.min(), single.max()))
        log.warning("%s: steps differ (from %s to %s); they are treated as equal", where, low, high)
    jumps = np.zeros(len(values), dtype=np.int64)
    jumps[1:][same] = counts.astype(np.int64)
    if missing:
        jumps[starts] += late
        _say_missing(jumps, starts, late, records, cells, names, missing, where)
    total = np.cumsum(jumps)
    begin = np.repeat(total[starts] - jumps[starts], np.diff(np.r_[starts, len(values)]))
    return total - begin, facts


def _late(first: np.ndarray, step: float) -> np.ndarray:
    """Number of time points that are missing at the start of each record, if most records begin at the same time."""
    levels, counts = np.unique(first, return_counts=True)
    none = np.zeros(len(first), dtype=np.int64)
    if len(first) < 4 or counts.max() < COMMON * len(first):
        return none
    after = (first - levels[counts.argmax()]) / step
    whole = np.rint(after)
    return np.where((whole > 0) & (np.abs(after - whole) <= JITTER), whole, none).astype(np.int64)


def _say_missing(
    jumps: np.ndarray,
    starts: np.ndarray,
    late: np.ndarray,
    records: np.ndarray,
    cells: np.ndarray,
    names: list[str],
    missing: int,
    where: str,
) -> None:
    """Log the number of missing time points, and the first of them."""
    inside = jumps > 1
    inside[starts] = False
    affected = len({*records[inside], *records[starts[late > 0]]})
    if inside.any():
        at = int(inside.argmax())
        record = f"record {names[records[at]]!r} has " if names[records[at]] else "there is "
        first = f"{record}none between {cells[at - 1]} and {cells[at]}"
    else:
        at = int(starts[int((late > 0).argmax())])
        first = f"record {names[records[at]]!r} begins at {cells[at]}, later than most"
    in_records = f" in {affected} of {len(starts)} records" if len(starts) > 1 else ""
    log.warning("%s: missing time points: %d%s; %s", where, missing, in_records, first)


def _check_midnight(values: np.ndarray, codes: np.ndarray, names: pd.Index, where: str) -> None:
    """Raise an `InputError` if the clock times of a record seem to go on after midnight.

    They do if they fall in the order of the file, and the longest pause lies within the day, not around midnight.
    """
    rows = np.argsort(codes, kind="stable")
    for record, own in enumerate(np.split(values[rows], np.flatnonzero(np.diff(codes[rows])) + 1)):
        if (falls := np.diff(own) < 0).any():
            ordered = np.sort(own)
            pause, around = float(np.diff(ordered).max()), 86_400 - float(ordered[-1] - ordered[0])
            if pause > around or (pause == around and falls.sum() == 1 and own[-1] < own[0]):
                raise InputError(
                    f"{where}: the clock times of record '{names[record]}' seem to pass midnight, so that their order "
                    "is not certain; give a column that has the date as well"
                )

"""Series in tables: one a row (wide), or one time point a row (long)."""

import gzip
import logging
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ...errors import InputError, suggest
from ..reading import read_table
from ..target import class_names
from .files import LABEL, SERIES

log = logging.getLogger("zoo")
TEXT = {".csv", ".tsv", ".txt"}


def read_unnamed(path: Path) -> pd.DataFrame | None:
    """A table without a header, as the UCR archive has them: the label, then the values of one series a row.

    Args:
        path: CSV, TSV or text (also gzipped), separated by tabs, commas or spaces.

    Returns:
        Columns ``"series"`` and ``"label"``; None if there is no such file, or its first line is a header.

    Raises:
        InputError: A cell that is no number, or a line with too many.
    """
    if (path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix) not in TEXT or not path.is_file():
        return None
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as file
        ):
            line = file.readline().strip()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    separator = next((sign for sign in "\t," if sign in line), r"\s+")
    if not _all_numbers(line.split(None if separator == r"\s+" else separator)):
        return None
    try:
        cells = pd.read_csv(path, header=None, sep=separator, low_memory=False, encoding="utf-8-sig")
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    values = _floats(cells.set_axis(range(1, cells.shape[1] + 1), axis=1), str(path))
    return pd.DataFrame({SERIES: list(values[:, None, 1:]), LABEL: class_names(pd.Series(values[:, 0]))})


def _all_numbers(cells: list[str]) -> bool:
    """Whether a first line is one of values; 0, 1, 2, ... are names, as a data frame counts its columns."""
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        return False
    return len(values) > 1 and values not in ([*range(len(values))], [*range(1, len(values) + 1)])


def _floats(frame: pd.DataFrame, source: str) -> np.ndarray:
    """Columns as numbers, missing values as NaN; raise an `InputError` that names the first text."""
    for name in frame.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]]:
        present = frame[name].dropna()
        if (bad := pd.to_numeric(present, errors="coerce").isna()).any():
            row = int(bad.to_numpy().argmax())
            raise InputError(
                f"{source}: column {name!r}, row {present.index[row] + 1}: {str(present.iloc[row])!r} is not a number; "
                "mend it, or leave it empty if missing"
            )
    values: np.ndarray = frame.apply(pd.to_numeric).to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _measured(frame: pd.DataFrame, others: list[str]) -> list[str]:
    """Columns of numbers, those in which most values are numbers among them."""
    rest = frame[[name for name in frame.columns if name not in others]]
    text = [name for name, kind in rest.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
    shares = {name: pd.to_numeric(rest[name].dropna(), errors="coerce").notna().mean() for name in text}
    return [n for n in rest.columns if shares.get(n, 1) >= 0.5 and not pd.api.types.is_bool_dtype(rest[n])]


def wide(frame: pd.DataFrame, others: list[str], source: str) -> pd.DataFrame:
    """One series of one channel a row: all columns of numbers, in order, are its time points.

    Args:
        frame: The table.
        others: Columns that are no time points.
        source: What to call the table in an error.

    Returns:
        The other columns, and ``"series"``.

    Raises:
        InputError: No column of numbers, or a text in one.
    """
    times = _measured(frame, others)
    if not times:
        raise InputError(f"{source}: there is no column of numbers beside {', '.join(others) or 'the first'}")
    log.info("%s: %d time points, columns %s to %s", source, len(times), times[0], times[-1])
    if len(frame) > 2 and (pd.to_numeric(frame[times[0]], errors="coerce").diff().dropna() == 1).all():
        log.warning("column %r only counts the rows; if it names the samples, give it as --data.id", times[0])
    values = _floats(frame[times], source)
    return frame.drop(columns=times).assign(**{SERIES: list(values[:, None])})


def long(
    frame: pd.DataFrame,
    record: str,
    time: str | None,
    others: list[str],
    ignore: list[str],
    channels: list[str] | None,
    source: str,
) -> pd.DataFrame:
    """One row a time point: the rows of a record become one series, the columns of numbers its channels.

    Args:
        frame: The table.
        record: Column that says which rows are one series.
        time: Column to order them by; by default they stay in the order of the file.
        others: Columns that are no channels and must be constant within a record, such as the target.
        ignore: Columns that are no channels either.
        channels: Columns that are channels; by default all others with numbers.
        source: What to call the table in an error.

    Returns:
        One row a record: its name, all columns that are constant within every record, and ``"series"``;
        ``attrs["channels"]`` names the channels.

    Raises:
        InputError: No such column; a record that changes a column of ``others``, has a time twice or none.
    """
    keys = [record, time] if time else [record]
    for name in [*keys, *(channels or [])]:
        if name not in frame:
            raise InputError(f"{source}: no column {name!r}; {suggest(name, frame.columns)}")
    for name in keys:
        if (missing := frame[name].isna()).any():
            raise InputError(f"{source}: row {int(missing.to_numpy().argmax()) + 1} has no {name!r}; fill it in")
    channels = channels or _measured(frame, [*keys, *others, *ignore])
    if not channels:
        raise InputError(f"{source}: there is no column of numbers beside {', '.join([*keys, *others])}")
    order = frame[record].drop_duplicates()
    if time:
        if (twice := frame.duplicated(keys)).any():
            name, when = frame.loc[twice, keys].iloc[0]
            raise InputError(f"{source}: record '{name}' has the time {when} twice in column {time!r}")
        frame = frame.sort_values(time, kind="stable")
        if pd.api.types.is_numeric_dtype(frame[time]):
            steps = frame.groupby(record)[time].diff().dropna()
            if steps.max() > 1.01 * steps.min():
                told = f"from {steps.min():g} to {steps.max():g}"
                log.warning("%s: steps of %r differ (%s); series are read as if they were equal", source, time, told)
    rest = frame.drop(columns=[*keys[1:], *channels])
    groups = rest.groupby(record, sort=False)
    changing = groups.nunique(dropna=False) > 1
    for name in [n for n in others if n in changing]:
        if changing[name].any():
            raise InputError(f"{source}: record '{changing[name].idxmax()}' has more than one value of {name!r}")
    constant = [record, *changing.columns[~changing.any()]]
    samples = rest[constant].drop_duplicates(record).set_index(record).loc[order].reset_index()
    values, places = _floats(frame[channels], source), groups.indices
    samples[SERIES] = [values[places[name]].T for name in order]
    samples.attrs["channels"] = list(channels)
    return samples


def common_length(
    series: pd.Series, length: int | Literal["longest", "shortest"] | None, interpolate: bool, source: str
) -> int:
    """Time points that every series is to have.

    Args:
        series: Arrays ``(channels, length)``, indexed by the name of the sample. What is missing in all channels at
            the end is padding, unless gaps are to be filled and no length was asked for.
        length: What was asked for.
        interpolate: Gaps are to be filled.
        source: What to call the table in an error.

    Raises:
        InputError: Series of two lengths, and none was asked for.
    """
    if isinstance(length, int):
        return length
    count = (lambda values: values.shape[1]) if interpolate and length is None else _end
    ends = series.map(count)
    if length is None and (other := (ends != ends.iloc[0]).to_numpy()).any():
        raise InputError(
            f"{source}: sample {ends.index[0]} has {ends.iloc[0]} time points, sample {ends.index[other][0]} has "
            f"{ends[other].iloc[0]}; give --data.length longest (or shortest, or a number) to pad or crop them"
        )
    return int(ends.min() if length == "shortest" else ends.max())


def _end(series: np.ndarray) -> int:
    """Time points before the padding."""
    measured = np.flatnonzero(~np.isnan(series).all(0))
    return int(measured[-1]) + 1 if len(measured) else 0


def read_any_table(path: Path) -> pd.DataFrame:
    """A table with a header, or one of the UCR archive without."""
    unnamed = read_unnamed(path)
    return read_table(path) if unnamed is None else unnamed

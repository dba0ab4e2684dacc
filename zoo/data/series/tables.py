"""Series in tables with one series per row (wide) or one time point per row (long)."""

import gzip
import logging
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ...errors import InputError, suggest
from ...tables.reading import read_table
from ...tables.target import class_names
from .files import LABEL, SERIES

log = logging.getLogger("zoo")
TEXT = {".csv", ".tsv", ".txt"}


def read_unnamed(path: Path) -> pd.DataFrame | None:
    """Read a table without a header, as in the UCR archive: each row has the label and the values of one series.

    Args:
        path: CSV, TSV or text (also gzipped), separated by tabs, commas or spaces.

    Returns:
        Columns ``"series"`` and ``"label"``; None if there is no such file, or its first line is a header.

    Raises:
        InputError: A cell is not a number, or a line has too many cells.
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
    """Whether a first line holds values; the numbers 0, 1, 2, ... are column names, as those of a data frame."""
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        return False
    return len(values) > 1 and values not in ([*range(len(values))], [*range(1, len(values) + 1)])


def _floats(frame: pd.DataFrame, source: str) -> np.ndarray:
    """Columns as numbers, with NaN for missing values; raise an `InputError` for the first text."""
    for name in frame.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]]:
        present = frame[name].dropna()
        if (bad := pd.to_numeric(present, errors="coerce").isna()).any():
            row = int(bad.to_numpy().argmax())
            raise InputError(
                f"{source}: column {name!r}, row {present.index[row] + 1}: {str(present.iloc[row])!r} is not a number; "
                "correct it, or leave the cell empty if the value is missing"
            )
    values: np.ndarray = frame.apply(pd.to_numeric).to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _measured(frame: pd.DataFrame, others: list[str]) -> list[str]:
    """Numeric columns, including those in which most values are numbers."""
    rest = frame[[name for name in frame.columns if name not in others]]
    text = [name for name, kind in rest.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
    shares = {name: pd.to_numeric(rest[name].dropna(), errors="coerce").notna().mean() for name in text}
    return [n for n in rest.columns if shares.get(n, 1) >= 0.5 and not pd.api.types.is_bool_dtype(rest[n])]


def wide(frame: pd.DataFrame, others: list[str], source: str) -> pd.DataFrame:
    """Gather one series of one channel per row, whose time points are all numeric columns in order.

    Args:
        frame: The table.
        others: Columns that are not time points.
        source: Name of the table in an error.

    Returns:
        The other columns, and ``"series"``.

    Raises:
        InputError: There is no numeric column, or one has text.
    """
    times = _measured(frame, others)
    if not times:
        raise InputError(f"{source}: there is no column of numbers beside {', '.join(others) or 'the first'}")
    log.info("%s: %d time points, columns %s to %s", source, len(times), times[0], times[-1])
    if len(frame) > 2 and (pd.to_numeric(frame[times[0]], errors="coerce").diff().dropna() == 1).all():
        log.warning("column %r numbers the rows; if it names the samples, give it as --data.id", times[0])
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
    """Gather the rows of each record, one per time point, into one series whose channels are the numeric columns.

    Args:
        frame: The table.
        record: Column that identifies the rows of one series.
        time: Column by which rows are ordered; by default the order of the file is kept.
        others: Columns that are not channels and must be constant within a record, such as the target.
        ignore: Other columns that are not channels.
        channels: Columns that are channels; by default all other numeric columns.
        source: Name of the table in an error.

    Returns:
        One row per record: its name, all columns that are constant within every record, and ``"series"``;
        ``attrs["channels"]`` names the channels.

    Raises:
        InputError: A column does not exist, or a record has several values in a column of ``others``, or a time
            twice or missing.
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
                range_ = f"from {steps.min():g} to {steps.max():g}"
                log.warning("%s: steps of %r differ (%s); they are treated as equal", source, time, range_)
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


def read_any_table(path: Path) -> pd.DataFrame:
    """Read a table with a header, or one without as in the UCR archive."""
    unnamed = read_unnamed(path)
    return read_table(path) if unnamed is None else unnamed

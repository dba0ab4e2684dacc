"""Long text files, read in parts for the prediction of a trained model, in bounded memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..spec import Modality
from . import dates, numbers
from .contract import levels_of_text
from .conventions import has_decimal_comma
from .reading import TEXT, as_objects, check_names, suffix_of
from .text import UNNAMED, read_batches, shape_of

LONG = 50_000_000  # bytes from which a file is read in parts
MOST_COLUMNS = 1000  # of more, a part would hold few rows
BLOCK = 1 << 23  # bytes that are parsed at a time


class NotPlainError(Exception):
    """The file must be read as a whole, for the reason that the message states."""


def is_long(path: Path) -> bool:
    """Whether a file is read in parts."""
    return path.is_file() and suffix_of(path) in TEXT and path.stat().st_size > LONG


def read_parts(
    path: Path, modality: Modality, names: list[str], rows: int, decimal: str | None = None
) -> Iterator[tuple[pd.DataFrame, float]]:
    """Rows of a text file in order, with the columns of a model.

    The parts together are what `zoo.tables.read_table` would return, as far as the model reads it: numbers in one
    convention, which the first part tells (decimal points, or decimal commas without thousands separators).

    Args:
        path: The file.
        modality: Description of the table that the model takes.
        names: Columns of names, which stay text; those that the file lacks are left out, and so is `UNNAMED` unless it
            is the first.
        rows: Each part but the last has a multiple of this number of rows.
        decimal: The decimal sign, if the user states it.

    Yields:
        Rows, numbered from 1 like those of the whole file; and the bytes that they take approximately.

    Raises:
        NotPlainError: A value needs the whole file to be understood, or cannot be understood, or the table is wide.
        InputError: As `zoo.tables.read_table`.
    """
    shape = shape_of(path)
    check_names([name for name in shape.names if name], str(path))
    if len(shape.names) > MOST_COLUMNS:
        raise NotPlainError(f"it has {len(shape.names)} columns")
    place = {name: at for at, name in enumerate(shape.names)}
    names = [name for name in names if name != UNNAMED or shape.names[0] == UNNAMED]
    times = modality.get("dates", {})
    text = {*names, *levels_of_text(modality), *times}
    wanted = [name for name in dict.fromkeys([*names, *modality["features"]]) if name in place]
    missing = modality.get("missing_values", {})
    comma = None if decimal is None else decimal == ","
    waiting: list[pd.DataFrame] = []
    count, size = 0, 0.0
    for block in read_batches(path, shape, BLOCK):
        if not len(block):
            continue
        batch = _without_empty_rows(block.combine_chunks().to_batches()[0])
        if comma is None:
            comma = _decimal_comma(batch, shape.separator)
        columns: dict[str, Any] = {
            name: as_objects(numbers.trimmed(batch.column(place[name])))
            if name in text
            else _numbers(batch.column(place[name]), name, comma, missing.get(name, ()))
            for name in wanted
        }
        for name in times:
            _check_dates(pd.Series(columns[name], name=name), times[name]["format"])
        waiting.append(pd.DataFrame(columns, pd.RangeIndex(count + 1, count + len(batch) + 1, name="row")))
        count, size = count + len(batch), size + batch.nbytes - 3 * batch.num_columns * len(batch)
        if (held := sum(map(len, waiting))) >= rows:
            frame = pd.concat(waiting)
            kept = held - held % rows
            yield frame.iloc[:kept], size
            waiting, size = [frame.iloc[kept:]], 0.0
    if waiting and len(frame := pd.concat(waiting)):
        yield frame, size


def _without_empty_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    empty = pc.is_null(batch.column(0))
    for column in batch.columns[1:]:
        if not pc.any(empty).as_py():
            return batch
        empty = pc.and_(empty, column.is_null())
    return batch.filter(pc.invert(empty)) if pc.any(empty).as_py() else batch


def _decimal_comma(batch: pa.RecordBatch, separator: str) -> bool:
    """Whether numbers have decimal commas; from the first rows."""
    texts = (text for column in batch.slice(0, 2000).columns for text in column.drop_null().to_pylist())
    return bool(has_decimal_comma((text.strip() for text in texts if numbers.plain(text, True) is not None), separator))


def _numbers(column: pa.Array, name: str, comma: bool, words: Any) -> Any:
    """Numbers of a column, NaN where they are missing."""
    cells = column
    if comma:
        if pc.any(pc.match_substring(column, ".")).as_py():
            raise NotPlainError(f"column {name!r} has points beside decimal commas")
        cells = pc.replace_substring(column, ",", ".")
    values = numbers.cast(cells)
    if values is None:
        cells = numbers.trimmed(cells)
        values = numbers.cast(cells)
    if values is None:
        values = numbers.cast(pc.if_else(numbers.is_word(cells, words), None, cells))
    if values is None:
        raise NotPlainError(f"column {name!r} has values that are not plain numbers")
    return values


def _check_dates(texts: pd.Series, form: str) -> None:
    present = texts[texts.map(numbers.missing_word, na_action="ignore") == False]  # noqa: E712 (NaN where missing)
    if np.isnan(dates.days(present, form)).any():
        raise NotPlainError(f"column {texts.name!r} has dates of another format")

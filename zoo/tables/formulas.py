"""Text that a spreadsheet would run as a formula: written with an apostrophe before it, and read without.

A name such as ``=HYPERLINK(...)`` in a table of predictions would otherwise be run when the CSV is opened.
"""

import re
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .numbers import is_number

FORMULA = re.compile(r"'*[=+\-@\t\r].", re.DOTALL)


def is_formula(text: str) -> bool:
    """Whether text, possibly after apostrophes, begins as a formula does and is no number.

    >>> [is_formula(text) for text in ("=1+1", "'@a", "-5", "-", "+1.5e3", "a=1")]
    [True, True, False, False, False, False]
    """
    return FORMULA.match(text) is not None and not is_number(text.lstrip("'"))


def guarded(value: Any) -> Any:
    """Text with an apostrophe before a formula; other values unchanged."""
    return f"'{value}" if isinstance(value, str) and is_formula(value) else value


def unguarded(text: str) -> str:
    """Text as it was before `guarded`."""
    return text[1:] if text.startswith("'") and is_formula(text) else text


def guarded_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table with `guarded` text, index and names of columns."""
    columns = {
        at: column.map(guarded)
        for at, (_, column) in enumerate(table.items())
        if not pd.api.types.is_numeric_dtype(column.dtype) and column.dtype.kind not in "Mm"
    }
    parts = [columns.get(at, table.iloc[:, at]) for at in range(table.shape[1])]
    result = pd.concat(parts, axis=1) if columns else table.copy(deep=False)
    result.columns = table.columns.map(guarded)
    if not pd.api.types.is_numeric_dtype(table.index.dtype):
        result.index = table.index.map(guarded)
    return result.rename_axis(index=guarded)


def unguarded_table(table: pa.Table) -> pa.Table:
    """A table of text as it was before `guarded_table`."""
    for at, column in enumerate(table.columns):
        if pc.any(pc.starts_with(column, "'")).as_py():
            cells = [cell if cell is None else unguarded(cell) for cell in column.to_pylist()]
            table = table.set_column(at, table.field(at), pa.array(cells, pa.string()))
    return table

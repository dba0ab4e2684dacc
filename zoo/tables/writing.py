"""Writing of tables: text, workbooks, Parquet, Feather and ``.h5ad``, beside the target and renamed at the end."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import numpy as np
import pandas as pd

from .. import files
from ..errors import InputError
from .formulas import guarded_table
from .reading import suffix_of

SEPARATORS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".xlsx", ".ods", ".parquet", ".feather", ".h5ad")
MOST_ROWS, MOST_COLUMNS = 1_048_575, 16_384  # of a sheet, below the header
Append: TypeAlias = Callable[[pd.DataFrame], None]


def check_suffix(path: Path | None, suffixes: tuple[str, ...], others: tuple[str, ...] = ()) -> None:
    """Raise an `InputError` unless the name of an output file ends in one of these; ``others`` are named too."""
    if path is None or not path.name.lower().endswith(suffixes):
        *most, last = [*suffixes, *others]
        known = f"{', '.join(most)} or {last}" if most else last
        raise InputError(f"--output {path if path else 'is missing'}: use {known}")


def write_csv(table: pd.DataFrame, target: Path | TextIO, **how: Any) -> None:
    """`DataFrame.to_csv`, with an apostrophe before text that a spreadsheet would run as a formula.

    `zoo.tables.read_table` reads it without the apostrophe; numbers are written unchanged.
    """
    guarded_table(table).to_csv(target, **how)


def write_table(table: pd.DataFrame, path: Path | None, index: bool = True) -> None:
    """Write a table; see `writing`."""
    with writing(path, index) as append:
        append(table)


@contextmanager
def writing(path: Path | None, index: bool = True) -> Iterator[Append]:
    """Yield a function that appends rows to a file, which appears under its name if the block succeeds.

    Text stays text: in a sheet the name ``0001`` is a cell of text; for formulas, see `write_csv`. An ``.h5ad`` has the
    columns in ``obs`` and no features. Only text files are written row by row; the rows of others are held until the
    end.

    Args:
        path: The file, one of `SUFFIXES`; None to print CSV.
        index: Whether the index is written, as the first column.

    Raises:
        InputError: The suffix is unknown, or a sheet cannot hold the table.
    """
    if path is None:
        begun = False

        def show(part: pd.DataFrame) -> None:
            nonlocal begun
            write_csv(part, sys.stdout, index=index, header=not begun)
            begun = True

        yield show
        return
    check_suffix(path, SUFFIXES)
    suffix = suffix_of(path)
    with files.replacing(path) as temporary:
        if suffix in SEPARATORS:
            packed: Any = {"method": "gzip", "mtime": 0} if path.suffix == ".gz" else None

            def append(part: pd.DataFrame) -> None:
                new = not temporary.exists()
                how = {"sep": SEPARATORS[suffix], "header": new, "mode": "a", "compression": packed}
                write_csv(part, temporary, index=index, **how)

            yield append
        else:
            parts: list[pd.DataFrame] = []
            yield parts.append
            WRITERS[suffix](pd.concat(parts) if len(parts) > 1 else parts[0], temporary, index)


def _columns(table: pd.DataFrame, index: bool) -> pd.DataFrame:
    return table.reset_index(names=table.index.name or "row") if index else table


def _xlsx(table: pd.DataFrame, path: Path, index: bool) -> None:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    table = _columns(table, index)
    _check_size(table)
    book = Workbook(write_only=True)
    sheet = book.create_sheet("predictions")

    def cell(value: Any) -> Any:
        if isinstance(value, str):
            text = WriteOnlyCell(sheet, value)
            text.data_type = "s"  # also of '=a', which is no formula
            return text
        return None if value is None or value is pd.NaT or value != value else value

    sheet.append([cell(name) for name in map(str, table.columns)])
    for row in zip(*(_plain(table[name]) for name in table), strict=True):
        sheet.append([cell(value) for value in row])
    book.save(path)


def _plain(column: pd.Series) -> list[Any]:
    """Values of Python; float32 with its own digits rather than those of float64."""
    if column.dtype == np.float32:
        return [float(str(value)) for value in column.to_numpy()]
    values: list[Any] = column.astype(object).tolist()
    return values


def _ods(table: pd.DataFrame, path: Path, index: bool) -> None:
    table = _columns(table, index)
    _check_size(table)
    cells = pd.DataFrame({name: pd.Series(_plain(table[name]), dtype=object) for name in table})
    cells.to_excel(path, sheet_name="predictions", index=False, engine="odf")


def _check_size(table: pd.DataFrame) -> None:
    if len(table) > MOST_ROWS or table.shape[1] > MOST_COLUMNS:
        raise InputError(
            f"a sheet holds at most {MOST_ROWS} rows and {MOST_COLUMNS} columns, not {len(table)} and "
            f"{table.shape[1]}; write .parquet or .csv"
        )


def _parquet(table: pd.DataFrame, path: Path, index: bool) -> None:
    table.to_parquet(path, index=index)


def _feather(table: pd.DataFrame, path: Path, index: bool) -> None:
    _columns(table, index).reset_index(drop=True).to_feather(path)


def _h5ad(table: pd.DataFrame, path: Path, index: bool) -> None:
    from anndata import AnnData

    text = {
        str(name): column.map(str, na_action="ignore").astype("category")
        for name, column in table.items()
        if not pd.api.types.is_numeric_dtype(column)
    }
    obs = table.assign(**text).rename(columns=lambda name: str(name).replace("/", "_"))  # as keys of HDF5 cannot have /
    AnnData(obs=obs.set_axis(table.index.map(str), axis=0)).write_h5ad(path)


WRITERS = {".xlsx": _xlsx, ".ods": _ods, ".parquet": _parquet, ".feather": _feather, ".h5ad": _h5ad}

"""Sheets of Excel and OpenDocument workbooks as columns of text."""

import datetime
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from .. import files
from ..errors import InputError, suggest
from .text import LINES, UNNAMED, check_header, spelled, titles

MOST_UNPACKED, MOST_RATIO = 1 << 27, 100  # bytes, and times the size of the file: a workbook beyond both is refused


def read_sheet(path: Path, sheet: str | None) -> tuple[list[str], list[pa.Array]]:
    """Names and text of the columns of one sheet; its first row with content is the header.

    Whole numbers are written as ``1``, dates as ``2024-01-31``, empty cells are null.

    Raises:
        InputError: The sheet does not exist, several sheets have content and none is chosen, or a value stands beside
            the named columns.
    """
    if not zipfile.is_zipfile(files.regular(path)):
        raise InputError(f"{path}: this is {_what(path)}")
    try:
        sheets = _ods(path) if _is_ods(path) else _xlsx(path)
    except InputError:
        raise
    except Exception as error:  # openpyxl and odfpy raise anything for a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        kind = "an OpenDocument sheet" if path.suffix.lower() == ".ods" else "an Excel workbook"
        raise InputError(f"{path}: cannot be read as {kind} ({reason}); save it anew as .xlsx") from None
    filled = [name for name, rows in sheets.items() if rows]
    if sheet is None and len(filled) > 1:
        raise InputError(f"{path}: {len(filled)} sheets have content ({', '.join(filled)}); choose one: --data.sheet")
    if sheet is not None and sheet not in sheets:
        raise InputError(f"{path}: no sheet {sheet!r}; {suggest(sheet, sheets)}")
    if not filled or not sheets[sheet or filled[0]]:
        raise InputError(f"{path}: {f'sheet {sheet!r}' if sheet else 'the file'} is empty")
    rows = sheets[sheet or filled[0]]
    header, *rows = rows[titles(rows) :]
    width = max(len(row) for row in (header, *rows))
    names = [*(spelled(name or "") for name in header), *[""] * (width - len(header))]
    if not names[0] and any(row[0] for row in rows):
        names[0] = UNNAMED
    check_header(names, rows[:LINES], f"{path}: the first row")
    padded = [[*row, *[None] * (width - len(row))] for row in rows]
    return names, [pa.array([row[at] for row in padded], pa.string()) for at in range(width)]


def _is_ods(path: Path) -> bool:
    """Whether the content, not the name, is an OpenDocument sheet; some programs name Excel files .ods.

    Raises:
        InputError: The workbook unpacks to more than any sheet holds.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
        if size > MOST_UNPACKED and size > MOST_RATIO * path.stat().st_size:
            raise InputError(
                f"{path}: {path.stat().st_size:,} bytes unpack to {size / 1e9:.1f} GB, more than a workbook does; "
                "save it as .csv"
            )
        return "content.xml" in archive.namelist()


def _what(path: Path) -> str:
    """What a file is that is named as a workbook and is none."""
    with path.open("rb") as file:
        begin = file.read(512)
    if begin.startswith(b"\xd0\xcf\x11\xe0"):
        return "an Excel file of the old kind, or one with a password; save it anew as .xlsx, without a password"
    if begin.lstrip().startswith(b"<"):
        return "a web page or XML, not a workbook; open it in a spreadsheet program and save it as .xlsx"
    if begin.startswith(b"%PDF"):
        return "a PDF, not a workbook; export its table as .csv"
    if b"\0" in begin or not begin.strip():
        return "a damaged or empty workbook; save it anew as .xlsx"
    return "text, not a workbook; rename it to .csv"


def _xlsx(path: Path) -> dict[str, list[list[str | None]]]:
    import warnings

    import openpyxl

    with warnings.catch_warnings(), path.open("rb") as file:  # openpyxl refuses a path by its suffix
        warnings.simplefilter("ignore")  # on styles that openpyxl does not know
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        return {s.title: _filled(s.iter_rows(values_only=True)) for s in book.worksheets}


def _ods(path: Path) -> dict[str, list[list[str | None]]]:
    import pandas as pd

    book = pd.read_excel(path, sheet_name=None, header=None, dtype=object, engine="odf", keep_default_na=False)
    return {str(name): _filled(frame.itertuples(index=False)) for name, frame in book.items()}


def _filled(rows: Any) -> list[list[str | None]]:
    """Text of the cells, without empty rows and without empty cells at the ends of rows."""
    result = []
    for row in rows:
        cells = [_text(cell) for cell in row]
        while cells and cells[-1] is None:
            cells.pop()
        if cells:
            result.append(cells)
    return result


def _text(cell: Any) -> str | None:
    match cell:
        case None:
            return None
        case bool():
            return str(cell)
        case float() if cell.is_integer() and abs(cell) < 1e15:
            return str(int(cell))
        case datetime.datetime() if cell.time() == datetime.time():
            return cell.date().isoformat()
        case datetime.datetime():
            return cell.isoformat(" ")
        case _:
            return str(cell).strip() or None

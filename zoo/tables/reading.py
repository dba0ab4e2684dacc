"""Reading of tables: every cell as text first; a column becomes numbers only if all its values are numbers."""

import logging
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from .. import budget, files
from ..errors import InputError, counted, suggest
from . import numbers
from .conventions import read_variants, variants
from .hdf5 import annotation, matrix_of, opened_hdf5
from .text import UNNAMED, headerless, read_all, shape_of

if TYPE_CHECKING:
    from anndata import AnnData

log = logging.getLogger("zoo")
TEXT = (".csv", ".tsv", ".txt", ".tab", ".gct")
BOOKS = (".xlsx", ".xlsm", ".ods")
KINDS = ".csv, .tsv, .txt (also .gz), .xlsx, .ods, .parquet, .feather or .h5ad"
COLUMN = 7000  # bytes that a column takes while it is read, whatever its length; measured with 100,000 columns
OTHERS = {  # what to do with files of other programs
    "save it as .xlsx in a spreadsheet program": (".xls", ".xlsb", ".numbers"),
    "export it as .csv, or convert it by pandas.read_stata": (".dta",),
    "export it as .csv, or convert it by pandas.read_spss": (".sav",),
    "export it as .csv, or convert it by pandas.read_sas": (".sas7bdat", ".xpt"),
    "write it as .csv, in R: write.csv(x, 'x.csv')": (".rds", ".rdata", ".rda"),
    "write it as .csv": (".json", ".mat", ".pkl", ".pickle"),
    "unpack it, and give one of its files": (".zip", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz"),
}
Words = Mapping[str, Collection[Any]]


class Names(tuple[str, ...]):
    """Names of columns in the ``attrs`` of a table, which pandas copies with every column."""

    def __deepcopy__(self, memo: Any) -> "Names":
        return self


def suffix_of(path: Path) -> str:
    """Suffix of a file in lower case, without that of a compression."""
    return next((s.lower() for s in reversed(path.suffixes) if s.lower() not in (".gz", ".bgz")), "")


def hint_for(suffix: str) -> str:
    """What to do with a file of a kind that is not read."""
    hint = next((hint for hint, suffixes in OTHERS.items() if suffix in suffixes), None)
    return hint or f"if it is a table of text, rename it to .txt; tables are {KINDS}"


def read_table(
    path: Path,
    text: Collection[str] = (),
    missing: Words | None = None,
    sheet: str | None = None,
    first: Callable[[str], bool] | None = None,
    decimal: str | None = None,
) -> pd.DataFrame:
    """Read a table from a text file, a workbook, Parquet, Feather or ``.h5ad``.

    Text files may be gzipped and in any usual encoding, with any usual separator, decimal commas and thousands
    separators; what was recognised is logged. A column of which all values are numbers becomes int64 or float64;
    there, and only there, words such as NA mean that a value is missing. All other columns stay text without blanks at
    the ends, NaN where a cell is empty. Codes such as ``0012`` and ``1E5`` stay text.

    Args:
        path: The file.
        text: Columns that stay text: names of samples, groups. A first column without a header always does; it becomes
            the column ``"sample"``.
        missing: Other words that mean a missing value, by column.
        sheet: Name of a sheet of a workbook; required if several have content.
        first: Whether a first column with this header holds names, which stay text.
        decimal: The decimal sign of text, ``"."`` or ``","``; by default the file tells it.

    Returns:
        The table; rows are numbered from 0. ``attrs["whole"]`` names the float64 columns that hold whole numbers and
        missing values. For ``.h5ad`` the annotation of samples stands beside the features, which ``attrs["features"]``
        lists.

    Raises:
        InputError: The file is missing, damaged, without rows, has repeated column names or rows of unequal length.
    """
    if not files.regular(path).exists():
        raise InputError(f"no file or data set {str(path)!r}; {_nearest(path)}")
    suffix = suffix_of(path)
    if sheet is not None and suffix not in BOOKS:
        raise InputError(f"{path}: sheet {sheet!r} is for .xlsx and .ods files")
    try:
        if suffix in TEXT:
            frame = _read_text(path, text, missing or {}, first, decimal)
        elif suffix in BOOKS:
            from .workbook import read_sheet

            header, columns = read_sheet(path, sheet)
            text = _with_first(text, header, first)
            frame = typed(header, columns, str(path), text, missing or {}, "\t", [], decimal)
        elif suffix in (".parquet", ".pq", ".feather", ".arrow"):
            frame = _read_arrow(path, suffix, text, missing or {}, first)
        elif suffix == ".h5ad":
            frame = _read_h5ad(path)
        else:
            raise InputError(f"{path}: unknown kind of table {suffix or '(no suffix)'}; {hint_for(suffix)}")
    except InputError:
        raise
    except (ValueError, OSError, EOFError, KeyError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as {suffix[1:]}: {' '.join(str(error).split())[:200]}") from None
    check_names(list(frame.columns), str(path))
    if frame.empty:
        raise InputError(f"{path}: there is a header but no rows")
    return frame


def _nearest(path: Path) -> str:
    """Files of a similar name; else the kinds of tables."""
    near = [
        p.name
        for p in path.parent.glob("*")
        if suffix_of(p) in {*TEXT, *BOOKS, ".parquet", ".feather", ".h5ad", suffix_of(path)}
    ]
    found = suggest(path.name, [*near, *files.datasets()])
    return (
        found
        if found.startswith("did you mean")
        else f"give the path of a table ({KINDS}), or a data set of 'zoo list'"
    )


def check_names(names: list[str], source: str) -> None:
    """Raise an `InputError` that names repeated columns."""
    if doubled := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"{source}: column {doubled[0]!r} occurs more than once; rename or remove one")


def _with_first(text: Collection[str], header: list[str], first: Callable[[str], bool] | None) -> Collection[str]:
    return {*text, header[0]} if first is not None and header and first(header[0]) else text


def _read_text(
    path: Path,
    text: Collection[str],
    missing: Words,
    first: Callable[[str], bool] | None,
    decimal: str | None,
) -> pd.DataFrame:
    shape = shape_of(path)
    size, hint = COLUMN * len(shape.names), "leave out columns, or transpose a table with samples in columns"
    budget.check(size, f"{path}: {len(shape.names):,} columns", hint)
    text = _with_first(text, shape.names, first)
    table = read_all(path, shape)
    check_names([name for name in shape.names if name], str(path))
    return typed(shape.names, table.columns, str(path), text, missing, shape.separator, shape.notes, decimal)


def read_headerless(path: Path, missing: Words | None = None) -> pd.DataFrame | None:
    """Read a text file that has values from its first line on; columns are numbered from 1.

    Returns:
        The table; None if the first line holds the names of the columns, or the file is none of text.

    Raises:
        InputError: The file is damaged, or has rows of unequal length.
    """
    if suffix_of(path) not in TEXT or not path.is_file():
        return None
    try:
        if (shape := headerless(path)) is None:
            return None
        columns = read_all(path, shape).columns
    except (ValueError, OSError, EOFError, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    return typed(shape.names, columns, str(path), (), missing or {}, shape.separator, shape.notes)


def typed(
    names: list[str],
    columns: list[Any],
    source: str,
    text: Collection[str],
    missing: Words,
    separator: str,
    notes: list[str],
    decimal: str | None = None,
) -> pd.DataFrame:
    """A table from columns of text; those that hold numbers only become numbers (see `read_table`)."""
    arrays, empty = _without_empty_rows([_array(column) for column in columns])
    result: dict[str, Any] = {}
    whole: set[str] = set()  # whole numbers with missing values
    taken: dict[str, Counter[str]] = {}  # words taken for missing values
    blanks: list[str] = []
    odd: dict[str, tuple[pa.Array, list[str]]] = {}  # columns that may be numbers in another convention
    for number, (name, array) in enumerate(zip(names, arrays, strict=True)):
        stays = name in text or (name == UNNAMED and number == 0)
        if not stays and (values := numbers.cast(array)) is not None:
            if name or array.null_count < len(array):
                result[name] = values
                if array.null_count and _are_whole(values, array):
                    whole.add(name)
            continue
        cells = numbers.trimmed(array)
        if pc.any(pc.not_equal(cells, array)).as_py():
            blanks.append(name)
        if not stays:
            if (values := numbers.cast(cells)) is not None:
                result[name] = values
                if cells.null_count and _are_whole(values, cells):
                    whole.add(name)
                continue
            if found := numbers.without_missing(cells, missing.get(name, ())):
                result[name], taken[name] = found
                if _are_whole(found[0], cells):
                    whole.add(name)
                continue
            if different := variants(cells):
                odd[name] = cells, different
        result[name] = as_objects(cells)
    if odd or decimal == "," or separator == ";":
        numeric = {n: a for n, a in zip(names, arrays, strict=True) if n in result and result[n].dtype == np.float64}
        values_of, words, said = read_variants(odd, numeric, missing, separator, source, decimal)
        result, taken, notes = {**result, **values_of}, {**taken, **words}, [*notes, *said]
    if "" in result:
        raise InputError(f"{source}: column {names.index('') + 1} has values but no name; name it in the header")
    if blanks:
        notes = [*notes, f"blanks around values removed in {listing(blanks)}"]
    if empty:
        notes = [*notes, f"{counted(empty, 'empty row')} left out"]
    if notes:
        log.info("%s: %s", source, "; ".join(notes))
    if taken:
        total: Counter[str] = sum(taken.values(), Counter())
        what = ", ".join(f"{word!r} ({count})" for word, count in total.most_common(5))
        log.info("%s: taken as missing in columns of numbers: %s; in %s", source, what, listing(list(taken)))
    frame = pd.DataFrame(result)  # copied into one block for each type: thousands of blocks are slow
    frame.attrs["whole"] = Names(sorted(whole))
    return frame


def _are_whole(values: np.ndarray, cells: pa.Array) -> bool:
    """Whether values are whole numbers, written without a decimal point; NaN where they are missing."""
    present = values[~np.isnan(values)]
    return bool(
        len(present) and (present % 1 == 0).all() and not pc.any(pc.match_substring_regex(cells, r"\d\.|\.\d")).as_py()
    )


def _array(column: Any) -> pa.Array:
    while isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column


def as_objects(cells: pa.Array) -> np.ndarray:
    """Text as an array of objects, NaN where it is null."""
    values: np.ndarray = cells.to_numpy(zero_copy_only=False)
    values[cells.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return values


def _without_empty_rows(arrays: list[pa.Array]) -> tuple[list[pa.Array], int]:
    """Columns without the rows of which all cells are empty (below the last one of a spreadsheet), and their number."""
    empty = None
    for array in arrays:
        null = array.is_null()
        empty = null if empty is None else pc.and_(empty, null)
        if not pc.any(empty).as_py():
            return arrays, 0
    kept = pc.invert(empty)
    return [array.filter(kept) for array in arrays], pc.sum(empty).as_py() or 0


def listing(names: list[str], most: int = 5) -> str:
    """Column names for a message: ``column 'a'`` or ``7 columns (a, b, c, d, e, ...)``."""
    if len(names) == 1:
        return f"column {names[0]!r}"
    return f"{len(names)} columns ({', '.join(names[:most])}{', ...' if len(names) > most else ''})"


def _read_arrow(
    path: Path, suffix: str, text: Collection[str], missing: Words, first: Callable[[str], bool] | None
) -> pd.DataFrame:
    frame = pd.read_parquet(path) if suffix in (".parquet", ".pq") else pd.read_feather(path)
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(names=frame.index.name or UNNAMED)
    return normalised(frame, str(path), _with_first(text, list(map(str, frame.columns)), first), missing)


def normalised(
    frame: pd.DataFrame, source: str, text: Collection[str] = (), missing: Words | None = None
) -> pd.DataFrame:
    """A table of a typed file in the types of `read_table`: int64 or float64, text, dates, or categories."""
    frame = frame.set_axis(frame.columns.map(str), axis=1)
    check_names(list(frame.columns), source)
    columns: dict[str, Any] = {}
    whole: set[str] = set()
    for name, column in frame.items():
        kind = column.dtype
        if isinstance(kind, pd.CategoricalDtype):
            columns[name] = column
        elif pd.api.types.is_bool_dtype(kind):
            columns[name] = column.astype(object).map(str, na_action="ignore").where(column.notna(), np.nan)
        elif pd.api.types.is_numeric_dtype(kind):
            filled = pd.api.types.is_integer_dtype(kind) and column.notna().all()
            columns[name] = column.to_numpy("int64" if filled else "float64", na_value=0 if filled else np.nan)
            if pd.api.types.is_integer_dtype(kind) and not filled:
                whole.add(str(name))
        elif kind.kind == "O" or pd.api.types.is_string_dtype(kind):
            columns[name] = _text_or_numbers(column, str(name), source, text, missing or {})
        else:
            columns[name] = column
    result = pd.DataFrame(columns, index=frame.index)
    result.attrs["whole"] = Names(sorted(whole))
    return result


def _text_or_numbers(column: pd.Series, name: str, source: str, text: Collection[str], missing: Words) -> Any:
    """Text as `typed` reads it; cells of other types (Decimal, date, bool) by their text; arrays unchanged."""
    present = column.dropna()
    if present.map(lambda cell: isinstance(cell, (np.ndarray, list, dict))).any():
        return column
    cells = pa.array(column.map(str, na_action="ignore").where(column.notna(), None), pa.string(), from_pandas=True)
    frame = typed([name], [cells], source, text, missing, "\t", [])
    return frame[name].to_numpy() if len(frame) == len(column) else column


def _read_h5ad(path: Path) -> pd.DataFrame:
    from anndata import AnnData

    with opened_hdf5(path, "h5ad") as file:
        values = matrix_of(file["X"]) if "X" in file else None
        obs, names = annotation(file, path)
        values = values if values is None or sparse.issparse(values) else values[:]
        return as_table(AnnData(values, obs=obs, var=pd.DataFrame(index=names)))


def as_table(adata: "AnnData") -> pd.DataFrame:
    """A table of the columns of ``obs`` and the features of ``X``; the names of the features are in ``attrs``."""
    values = adata.to_df() if adata.X is not None else pd.DataFrame(index=adata.obs_names)
    obs = normalised(adata.obs.loc[:, ~adata.obs.columns.isin(values.columns)], "obs")
    frame = pd.concat([obs, values], axis=1).reset_index(names=UNNAMED)
    frame.attrs["features"] = list(map(str, values.columns))
    return frame

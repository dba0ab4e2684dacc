"""Reading and checking of tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from .. import files
from ..errors import InputError, suggest

if TYPE_CHECKING:
    from anndata import AnnData


SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
UNNAMED = "sample"  # name of a first column without a header, as R and pandas write row names


def read_table(path: Path) -> pd.DataFrame:
    """A table from CSV, TSV (also gzipped), Parquet or ``.h5ad``.

    The row names of an ``.h5ad`` (and of a CSV whose first header is empty) become the column ``"sample"``; its sample
    annotation becomes columns beside the features, and ``frame.attrs["features"]`` lists the features.

    Raises:
        InputError: The file is missing, empty, without rows, damaged, or has duplicate column names.
    """
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise InputError(f"no file or data set {str(path)!r}; {suggest(path.name, [*near, *files.datasets()])}")
    suffix = next((s for s in reversed(path.suffixes) if s != ".gz"), "")
    try:
        if suffix in SEPARATORS:
            frame = _read_text(path, SEPARATORS[suffix])
        elif suffix in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
            if not isinstance(frame.index, pd.RangeIndex):
                frame = frame.reset_index(names=frame.index.name or UNNAMED)
        elif suffix == ".h5ad":
            frame = _read_h5ad(path)
        else:
            raise InputError(f"{path}: unknown kind of table; use .csv, .tsv (also .gz), .parquet or .h5ad")
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: the file is empty") from None
    except InputError:
        raise
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as {suffix[1:]}: {' '.join(str(error).split())[:200]}") from None
    frame.columns = frame.columns.map(str)
    if doubled := list(frame.columns[frame.columns.duplicated()]):
        raise InputError(f"{path}: column {doubled[0]!r} occurs more than once; rename or remove one")
    if frame.empty:
        raise InputError(f"{path}: there is a header but no rows")
    return frame


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    options: dict[str, Any] = {"sep": separator, "encoding": "utf-8-sig"}
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, **options).iloc[0]
    names = [name.strip() for name in header]
    if names[0] == "":
        names[0] = UNNAMED
    if len(names) == 1 and any(sign in names[0] for sign in ",;\t"):
        raise InputError(f"{path}: only one column was found; separate columns by {separator!r}, or rename the file")
    if doubled := [name for i, name in enumerate(names) if name in names[:i]]:  # pandas would rename it silently
        raise InputError(f"{path}: column {doubled[0]!r} occurs more than once; rename or remove one")
    options |= {"names": names, "skiprows": 1, "index_col": False, "low_memory": False, "skipinitialspace": True}
    frame = pd.read_csv(path, header=None, **options)
    if "" in frame:  # from a separator at the end of each line
        if frame[""].notna().any():
            raise InputError(f"{path}: column {names.index('') + 1} has values but no name; name it in the first line")
        frame = frame.drop(columns="")
    return frame


def _read_h5ad(path: Path) -> pd.DataFrame:
    import anndata

    return as_table(anndata.read_h5ad(path))


def as_table(adata: "AnnData") -> pd.DataFrame:
    """A table of the columns of ``obs`` and the features of ``X``; the names of the features are in ``attrs``."""
    values = adata.to_df()
    frame = pd.concat([adata.obs.loc[:, ~adata.obs.columns.isin(values.columns)], values], axis=1)
    frame = frame.reset_index(names=UNNAMED)
    frame.attrs["features"] = list(map(str, values.columns))
    return frame

"""Tables by path or by the name of a data set, checked as they are read."""

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import files
from ..errors import InputError, suggest

if TYPE_CHECKING:
    from anndata import AnnData

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
UNNAMED = "sample"  # name given to a first column without a header, as R and pandas write their row names


def read_table(path: Path) -> pd.DataFrame:
    """A table from CSV, TSV (also gzipped), Parquet or ``.h5ad``.

    The row names of an ``.h5ad`` (and of a CSV whose first header is empty) become the column ``"sample"``; its sample
    annotation becomes columns beside the features, and ``frame.attrs["features"]`` lists the features.

    Raises:
        InputError: No such file; empty; no rows; doubled column names; damaged.
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
    if "" in frame:  # as a comma at the end of each line makes it
        if frame[""].notna().any():
            raise InputError(f"{path}: column {names.index('') + 1} has values but no name; name it in the first line")
        frame = frame.drop(columns="")
    return frame


def _read_h5ad(path: Path) -> pd.DataFrame:
    import anndata

    return _as_table(anndata.read_h5ad(path))


def _as_table(adata: "AnnData") -> pd.DataFrame:
    values = adata.to_df()
    frame = pd.concat([adata.obs.loc[:, ~adata.obs.columns.isin(values.columns)], values], axis=1)
    frame = frame.reset_index(names=UNNAMED)
    frame.attrs["features"] = list(map(str, values.columns))
    return frame


def read_dataset(card: dict[str, Any]) -> pd.DataFrame:
    """Table of a packaged data set, its checksum compared with the card's.

    Raises:
        InputError: The content is not what the card was written for, or it is not shipped.
    """
    if "package" in card:
        from .series_files import read_installed

        return read_installed(card)
    if "fetch" in card:
        raise InputError(
            f"data set {card['name']} is not shipped: fetch it from {card['fetch']} and give your file as --data.path "
            f"('zoo show {card['name']}' tells how)"
        )
    if "download" in card:
        return _arrays(downloaded(card))
    if "simulated" in card:
        made = simulated(card)
        if isinstance(made, dict):
            return made["samples"].copy()  # the simulation is kept
        return made if isinstance(made, pd.DataFrame) else _as_table(made)
    if "scikit_learn" in card:
        frame = _scikit_learn(card["scikit_learn"])
        _check(card, checksum(frame), card["sha256"])
        return frame
    path = verified(card, card["file"], card["sha256"])
    return _arrays(path) if path.suffix == ".npz" else read_table(path)


def _check(card: dict[str, Any], found: str, expected: str) -> None:
    if found != expected:
        raise InputError(f"data set {card['name']} is not the one of its card: sha256 {found}, expected {expected}")


def verified(card: dict[str, Any], name: str, expected: str) -> Path:
    """A file of a packaged data set, or an `InputError` if its checksum is another."""
    path: Path = card["folder"] / name
    _check(card, files.sha256(path), expected)
    return path


def assay_of(card: dict[str, Any], name: str | None) -> dict[str, Any]:
    """What a card says of one of its assays, by default of the one that it names as ``assay``, and its ``name``.

    Raises:
        InputError: It has no such assay.
    """
    name = name or card["assay"]
    if name not in card["assays"]:
        raise InputError(f"data set {card['name']} has no assay {name!r}; {suggest(name, card['assays'])}")
    return {**card["assays"][name], "name": name}


def _arrays(path: Path) -> pd.DataFrame:
    from .image_arrays import read_arrays

    return read_arrays(path)


def checksum(content: "pd.DataFrame | AnnData | dict[str, pd.DataFrame]") -> str:
    """sha256 of a table as CSV; arrays in its cells count by their type, shape and bytes, after all other columns.

    Of an AnnData: its annotation of samples, the names of the genes, and the values that are not 0.
    """
    if isinstance(content, dict):
        from .multiomics_simulated import checksum as checksum_of_tables

        return checksum_of_tables(content)
    if not isinstance(content, pd.DataFrame):
        digest = hashlib.sha256("\n".join([content.obs.to_csv(), *content.var_names]).encode())
        for part, kind in (("indptr", "<i8"), ("indices", "<i4"), ("data", "<f4")):
            digest.update(getattr(content.X, part).astype(kind).tobytes())
        return digest.hexdigest()
    arrays = [name for name in content if isinstance(content[name].iloc[0], np.ndarray)]
    digest = hashlib.sha256(content.drop(columns=arrays).to_csv(index=False).encode())
    for name in arrays:
        digest.update(str(name).encode())
        for cell in content[name]:
            digest.update(f"{cell.dtype.str}{cell.shape}".encode() + cell.tobytes())
    return digest.hexdigest()


def downloaded(card: dict[str, Any]) -> Path:
    """The file of a card with ``download`` (its address) and ``sha256`` or ``md5``; it is fetched once and kept.

    Raises:
        InputError: No network, or another content than that of the card.
    """
    import pooch

    url, kind = card["download"], "md5" if "md5" in card else "sha256"
    path: Path = Path(pooch.os_cache("biozoo")) / url.rpartition("/")[2]
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(url, f"{kind}:{card[kind]}", path.name, path.parent, progressbar=sys.stderr.isatty())
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"data set {card['name']} cannot be fetched from {url} ({reason}); give a copy of yours as --data.path, or "
            f"put it at {path}"
        ) from None
    return path


def _scikit_learn(name: str) -> pd.DataFrame:
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

    match name:
        case "breast_cancer":
            data = load_breast_cancer(as_frame=True)
            diagnosis = data.target.map(dict(enumerate(data.target_names)))
            return data.data.assign(diagnosis=diagnosis)
        case "diabetes_progression":
            data = load_diabetes(as_frame=True, scaled=False)
            return data.data.assign(progression=data.target)
        case "digits":
            data = load_digits()
            return pd.DataFrame({"digit": data.target, "image": list(data.images[:, None].astype(np.uint8))})
        case _:
            raise InputError(f"scikit-learn data set {name!r} is not known here")


def simulated(card: dict[str, Any]) -> "pd.DataFrame | AnnData | dict[str, pd.DataFrame]":
    """Data that are made up anew, their checksum compared with the card's.

    Raises:
        InputError: No such simulation, or another content than that of the card.
    """
    from .simulate import SIMULATIONS

    if (name := card["simulated"]) not in SIMULATIONS:
        raise InputError(f"simulation {name!r} is not known here; {suggest(name, SIMULATIONS)}")
    made = SIMULATIONS[name]()
    _check(card, checksum(made), card["sha256"])
    return made

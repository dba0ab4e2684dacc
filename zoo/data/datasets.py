"""Data sets by the name of their card: packaged, downloaded or simulated, each checked by its sha256."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import files
from ..errors import InputError, suggest
from ..tables.reading import as_table, read_table

if TYPE_CHECKING:
    from anndata import AnnData

IS_TEST = "__test__"  # column that marks the rows of a separate test file while they are read
# The modules of the modalities register their readers here.
SOURCES: dict[str, Callable[[dict[str, Any]], pd.DataFrame]] = {}  # by the key of a card that states where its data are
FILES: dict[str, Callable[[Path], pd.DataFrame]] = {}  # by the suffix of a file


def read_dataset(card: dict[str, Any]) -> pd.DataFrame:
    """Table of a packaged data set, its checksum compared with the card's.

    Raises:
        InputError: The checksum differs from that of the card, or the data set is not shipped.
    """
    if "package" in card:
        return SOURCES["package"](card)
    if "fetch" in card:
        raise InputError(
            f"data set {card['name']} is not shipped: fetch it from {card['fetch']} and give your file as --data.path "
            f"('zoo show {card['name']}' explains how)"
        )
    if "download" in card:
        return _file(downloaded(card))
    if "simulated" in card:
        result = simulated(card)
        if isinstance(result, dict):
            return result["samples"].copy()  # the simulation is cached
        return result if isinstance(result, pd.DataFrame) else as_table(result)
    if "scikit_learn" in card:
        frame = _scikit_learn(card["scikit_learn"])
        _check(card, checksum(frame), card["sha256"])
        return frame
    path = verified(card, card["file"], card["sha256"])
    return _file(path)


def _file(path: Path) -> pd.DataFrame:
    return FILES.get(path.suffix, read_table)(path)


def _check(card: dict[str, Any], found: str, expected: str) -> None:
    if found != expected:
        raise InputError(f"data set {card['name']} differs from its card: sha256 {found}, expected {expected}")


def verified(card: dict[str, Any], name: str, expected: str) -> Path:
    """Path of a file of a packaged data set, or an `InputError` if its checksum differs from the card's."""
    path: Path = card["folder"] / name
    _check(card, files.sha256(path), expected)
    return path


def assay_of(card: dict[str, Any], name: str | None) -> dict[str, Any]:
    """Entry of a card for one of its assays (by default the one under its key ``assay``), with its ``name``.

    Raises:
        InputError: The data set has no such assay.
    """
    name = name or card["assay"]
    if name not in card["assays"]:
        raise InputError(f"data set {card['name']} has no assay {name!r}; {suggest(name, card['assays'])}")
    return {**card["assays"][name], "name": name}


def checksum(content: "pd.DataFrame | AnnData | dict[str, pd.DataFrame]") -> str:
    """sha256 of a table as CSV, followed by type, shape and bytes of arrays in its cells.

    For an AnnData: sha256 of the annotation of samples, the names of the genes, and the non-zero values.
    """
    if isinstance(content, dict):
        from .simulated.multiomics import checksum as checksum_of_tables

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
    """The file of a card with ``download`` (its URL) and ``sha256`` or ``md5``; it is downloaded once and cached.

    Raises:
        InputError: No network, or the checksum differs from that of the card.
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
            f"data set {card['name']} cannot be downloaded from {url} ({reason}); give your own copy as --data.path, "
            f"or save it as {path}"
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
            raise InputError(f"unknown scikit-learn data set {name!r}")


def simulated(card: dict[str, Any]) -> "pd.DataFrame | AnnData | dict[str, pd.DataFrame]":
    """Run the simulation of a card and compare its checksum with the card's.

    Raises:
        InputError: No such simulation, or the checksum differs from that of the card.
    """
    from .simulated import SIMULATIONS

    if (name := card["simulated"]) not in SIMULATIONS:
        raise InputError(f"unknown simulation {name!r}; {suggest(name, SIMULATIONS)}")
    result = SIMULATIONS[name]()
    _check(card, checksum(result), card["sha256"])
    return result

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
from .reading import as_table, read_table

if TYPE_CHECKING:
    from anndata import AnnData


# Folders of modalities add what they read.
SOURCES: dict[str, Callable[[dict[str, Any]], pd.DataFrame]] = {}  # by the key of a card that says where its data lie
FILES: dict[str, Callable[[Path], pd.DataFrame]] = {}  # by the suffix of a file


def read_dataset(card: dict[str, Any]) -> pd.DataFrame:
    """Table of a packaged data set, its checksum compared with the card's.

    Raises:
        InputError: The content is not what the card was written for, or it is not shipped.
    """
    if "package" in card:
        return SOURCES["package"](card)
    if "fetch" in card:
        raise InputError(
            f"data set {card['name']} is not shipped: fetch it from {card['fetch']} and give your file as --data.path "
            f"('zoo show {card['name']}' tells how)"
        )
    if "download" in card:
        return _file(downloaded(card))
    if "simulated" in card:
        made = simulated(card)
        if isinstance(made, dict):
            return made["samples"].copy()  # the simulation is kept
        return made if isinstance(made, pd.DataFrame) else as_table(made)
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


def checksum(content: "pd.DataFrame | AnnData | dict[str, pd.DataFrame]") -> str:
    """sha256 of a table as CSV; arrays in its cells count by their type, shape and bytes, after all other columns.

    Of an AnnData: its annotation of samples, the names of the genes, and the values that are not 0.
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
    from .simulated import SIMULATIONS

    if (name := card["simulated"]) not in SIMULATIONS:
        raise InputError(f"simulation {name!r} is not known here; {suggest(name, SIMULATIONS)}")
    made = SIMULATIONS[name]()
    _check(card, checksum(made), card["sha256"])
    return made

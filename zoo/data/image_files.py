"""Folders, tables, arrays and volumes of images, as a table with one image a row."""

import hashlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from .. import files
from ..encode.image_file import SUFFIXES, TIFF, UnreadableImageError, read_image
from ..errors import InputError, suggest
from .image_arrays import IMAGE, LABEL, MASK, PARTS, SPLIT, VOLUME, ImageFile, checksum, read_arrays
from .masks import read_mask
from .reading import UNNAMED, read_table

log = logging.getLogger("zoo")
MANY = 200  # files that deserve a progress bar


class Reading(NamedTuple):
    """How files become samples: arguments of `zoo.data.ImageData`, and the bytes of images that memory may hold."""

    image: str
    masks: str | None
    axis: int | None
    pages: Literal["samples", "volume"]
    skip_unreadable: bool
    memory: int


def read_images(path: Path, how: Reading) -> pd.DataFrame:
    """One image a row: ``image`` (an array with the channels first), and whatever else is known of it.

    Args:
        path: A folder, a table of paths, ``.npz``, or one image file.
        how: What to do with columns, volumes and damaged files.

    Returns:
        ``image`` (arrays, or each an `ImageFile` if they do not fit into memory), ``mask`` (arrays or paths) and
        ``label`` where there are any, and of files ``sample``, their names. ``split`` holds an official split that
        comes with the files, named in ``frame.attrs["official_split"]``. Slices of volumes also have ``volume`` and
        ``slice``.

    Raises:
        InputError: Nothing there, or a file that cannot be read; it is named.
    """
    if not path.exists():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise InputError(f"no file, folder or data set {str(path)!r}; {suggest(path.name, [*near, *files.datasets()])}")
    if path.suffix == ".npz":
        return read_arrays(path)
    if path.is_dir():
        frame = _folder(path, how.masks or "masks")
    elif path.name.lower().endswith(SUFFIXES):
        mask = {MASK: [Path(how.masks)]} if how.masks else {}
        frame = pd.DataFrame({UNNAMED: [path.name], IMAGE: [path], **mask})
    else:
        frame = _table(read_table(path), path, how)
    attrs, frame = frame.attrs, _loaded(frame, how)
    frame.attrs = attrs
    return frame


def _table(frame: pd.DataFrame, path: Path, how: Reading) -> pd.DataFrame:
    """Paths are relative to the folder of the table."""
    if how.image not in frame:
        raise InputError(f"{path}: no column {how.image!r} (given as image); {suggest(how.image, frame.columns)}")
    if (missing := frame[how.image].isna()).any():
        raise InputError(f"{path}: row {int(missing.argmax()) + 1} has no path in column {how.image!r}")
    cells: dict[str, list[Path | None]] = {IMAGE: [path.parent / str(cell) for cell in frame[how.image]]}
    if how.masks in frame:
        cells[MASK] = [None if pd.isna(cell) else path.parent / str(cell) for cell in frame[how.masks]]
    names = {} if UNNAMED in frame or frame[how.image].duplicated().any() else {UNNAMED: frame[how.image].map(str)}
    rest = frame.drop(columns=[c for c in (how.image, how.masks) if c in frame])
    if clash := [c for c in cells if c in rest]:
        raise InputError(f"{path}: there are a column {clash[0]!r} and {how.image!r} with the paths; rename {clash[0]}")
    return pd.DataFrame({**names, **cells, **{str(name): column for name, column in rest.items()}})


def _folder(path: Path, masks: str) -> pd.DataFrame:
    """Sub-folders are classes, or ``images`` and ``masks``; above them there may be ``train``, ``val`` and ``test``."""
    inside = _subfolders(path)
    if "train" in inside and set(inside) <= set(PARTS):
        parts = [(PARTS[name], path / name) for name in sorted(inside, key=list(PARTS).index)]
    else:
        parts = [("", path)]
    rows = []
    for part, folder in parts:
        names = _subfolders(folder)
        base = folder / "images" if "images" in names else folder
        own = {_stem(file, folder / masks): file for file in _files(folder / masks)} if base != folder else None
        for name in _subfolders(base):
            if not _files(base / name):
                raise InputError(f"{base / name}: there is no image in this folder of a class; remove or fill it")
        for file in _files(base):
            inner = file.relative_to(base).parts
            row: dict[str, Any] = {UNNAMED: file.relative_to(path).as_posix(), IMAGE: file}
            if own is not None and (own or masks != "masks"):
                row[MASK] = own.get(_stem(file, base))
            rows.append({**row, **({LABEL: inner[0]} if len(inner) > 1 else {}), **({SPLIT: part} if part else {})})
    if not rows:
        raise InputError(f"{path}: there is no image in this folder; it should hold {', '.join(SUFFIXES)}")
    frame = pd.DataFrame(rows)
    frame.attrs["official_split"] = parts[0][0] != ""
    return frame


def _subfolders(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.name.lower().endswith(SUFFIXES) and not p.name.startswith("."))


def _stem(file: Path, base: Path) -> str:
    name = file.relative_to(base).as_posix()
    return name.removesuffix(".gz").rpartition(".")[0]


def _loaded(frame: pd.DataFrame, how: Reading) -> pd.DataFrame:
    """Read all files once; unreadable ones are left out if asked for, volumes are cut if asked for."""
    from rich.console import Console
    from rich.progress import track

    hidden, console = len(frame) < MANY or not sys.stderr.isatty(), Console(stderr=True)
    rows: list[dict[str, Any]] = []
    lazy = False
    for row in track(frame.to_dict("records"), "reading images", console=console, transient=True, disable=hidden):
        try:
            image = read_image(row[IMAGE])
        except UnreadableImageError as error:
            if not how.skip_unreadable:
                raise InputError(f"{error} (--data.skip_unreadable true)") from None
            log.warning("left out: %s", error)
            continue
        if not rows and (lazy := image.nbytes * len(frame) > how.memory):
            log.info("the images do not fit into %.1f GB of memory; they are read when needed", how.memory / 1e9)
        if image.ndim == 4 and (how.axis is not None or (how.pages == "samples" and _is_tiff(row[IMAGE]))):
            rows += _slices({str(key): value for key, value in row.items()}, image, how.axis or 0)
        elif how.axis is not None:
            raise InputError(f"{row[IMAGE]}: axis is for volumes, this is an image of shape {image.shape}")
        else:
            rows.append({**row, IMAGE: ImageFile(row[IMAGE], image.shape, checksum(image)) if lazy else image})
    if not rows:
        raise InputError(f"{frame[IMAGE].iloc[0]}: not one image of {len(frame)} can be read")
    return pd.DataFrame(rows)


def _is_tiff(path: Path) -> bool:
    return path.name.lower().endswith(TIFF)


def _slices(row: dict[str, Any], image: np.ndarray, axis: int) -> Iterator[dict[str, Any]]:
    """A volume as one row a slice, its mask too."""
    name, mask = row.pop(UNNAMED, row[IMAGE].name), row.get(MASK)
    if mask is not None and (mask := read_mask(mask, str(mask))).shape != image.shape[1:]:
        raise InputError(f"{row[MASK]}: the mask is of shape {mask.shape}, the image {image.shape[1:]}")
    for number, one in enumerate(np.moveaxis(image, axis + 1, 0)):
        own = {UNNAMED: f"{name} {number}", **row, IMAGE: one, VOLUME: name, "slice": number}
        yield own if mask is None else {**own, MASK: np.take(mask, number, axis)}


def folder_sha256(folder: Path) -> str:
    """Checksum of the names and contents of all files in a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    content = "".join(f"{path.relative_to(folder).as_posix()} {files.sha256(path)}\n" for path in paths)
    return hashlib.sha256(content.encode()).hexdigest()

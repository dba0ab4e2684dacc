"""Files with one series per record: ``.ts``, ARFF, NumPy, and those of an installed package."""

import importlib.util
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import files
from ...errors import InputError
from ...files import opened
from ...tables.reading import suffix_of
from ...tables.target import class_names
from ...tables.text import SAMPLE, encoding_of
from ..arrays import arrays_of
from ..datasets import IS_TEST, SOURCES

SERIES, LABEL = "series", "label"
Lines = Iterator[tuple[int, str]]  # number and text


def read_series(path: Path) -> pd.DataFrame | None:
    """Read a table with one series per row: arrays ``(channels, length)`` in column ``"series"``, and ``"label"``.

    Args:
        path: A ``.ts`` or ``.arff`` file, in any usual encoding, ``.npz`` or ``.npy``; all also gzipped.

    Returns:
        The table; None if the file has another format, or does not exist.

    Raises:
        InputError: The file is damaged or has invalid content; the error names the line or array.
    """
    suffix = suffix_of(path)
    if suffix not in (".ts", ".arff", ".npz", ".npy") or not path.is_file():
        return None
    try:
        if suffix in (".npz", ".npy"):
            return _arrays(path)
        with opened(path) as raw:
            encoding = encoding_of(raw.read(SAMPLE), path)
            raw.seek(0)
            file = TextIOWrapper(raw, encoding)
            lines = ((number, line.strip()) for number, line in enumerate(file, 1) if line.strip())
            rows = list((_ts if suffix == ".ts" else _arff)(lines, path))
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read as {suffix[1:]}: {' '.join(str(error).split())[:200]}") from None
    if not rows:
        raise InputError(f"{path}: there are no series after @data")
    frame = pd.DataFrame({SERIES: [series for series, _ in rows], LABEL: [label for _, label in rows]})
    return frame if frame[LABEL].notna().any() else frame.drop(columns=LABEL)


def _header(lines: Lines, comments: str, path: Path) -> Iterator[tuple[str, str]]:
    """Keys (in lower case) and values of the lines before ``@data``."""
    for number, line in lines:
        if line[0] in comments:
            continue
        key, *value = line.split(None, 1)
        if key.lower() == "@data":
            return
        if line[0] != "@":
            raise InputError(f"{path}, line {number}: expected a header line that begins with @, not {line[:20]!r}")
        yield key.lower(), "".join(value)
    raise InputError(f"{path}: there is no line @data")


def _ts(lines: Lines, path: Path) -> Iterator[tuple[np.ndarray, Any]]:
    """Lines of a ``.ts`` file (UEA archive, aeon): channels separated by colons, the label last."""
    header = dict(_header(lines, "#%", path))
    if header.get("@timestamps", "").lower().startswith("true"):
        raise InputError(
            f"{path}: series with time stamps are not supported; convert them to a long table and give --data.time"
        )
    _, *classes = header.get("@classlabel", "false").split()
    continuous = header.get("@targetlabel", "").lower().startswith("true")
    labelled = continuous or header.get("@classlabel", "").lower().startswith("true")
    for number, line in lines:
        if line[0] in "#%":
            continue
        *parts, last = line.split(":") if labelled else (*line.split(":"), "?")
        if labelled and classes and last not in (*classes, "?"):
            raise InputError(f"{path}, line {number}: class {last!r} is not among {', '.join(classes)} of @classLabel")
        label = None if last == "?" else float(last) if continuous else last
        yield _channels(parts, f"{path}, line {number}"), label


def _arff(lines: Lines, path: Path) -> Iterator[tuple[np.ndarray, Any]]:
    r"""Lines of an ARFF file: the class is the last attribute; channels are one quoted string, separated by ``\n``.

    `scipy.io.arff` takes two to four times as long, does not name the line of an error, does not support classes of
    type string, and silently drops values of a channel beyond its declared length.
    """
    attributes = [value.lower() for key, value in _header(lines, "%", path) if key == "@attribute"]
    continuous = bool(attributes) and attributes[-1].endswith(("numeric", "real"))
    for number, line in lines:
        if line[0] == "%":
            continue
        if (quote := line[0]) in "'\"":
            text, _, last = line[1:].partition(quote)
        else:
            text, _, last = line.rpartition(",")
        last = last.strip(",'\" ")
        label = None if last == "?" else float(last) if continuous else last
        yield _channels(text.split("\\n"), f"{path}, line {number}"), label


def _channels(parts: list[str], where: str) -> np.ndarray:
    """Channels of one series, ``shape=(channels, length)``; a missing value is NaN."""
    rows = []
    for channel, part in enumerate(parts, 1):
        try:
            rows.append(np.array(part.replace("?", "nan").split(","), dtype=np.float64))
        except ValueError as error:
            raise InputError(f"{where}, channel {channel}: {error}") from None
        if len(rows[-1]) != len(rows[0]):
            raise InputError(
                f"{where}: channel {channel} has {len(rows[-1])} time points, channel 1 has {len(rows[0])}; all "
                "channels of a series must be of one length"
            )
    return np.stack(rows)


def _arrays(path: Path) -> pd.DataFrame:
    """Arrays ``X`` and ``y``, or ``X_train``, ``y_train``, ``X_test`` and ``y_test``; other arrays become columns."""
    found = arrays_of(path)
    arrays = {n.lower() if n[:2].lower() in ("x", "x_", "y", "y_") else n: found[n] for n in found}
    parts = []
    suffixes = ["_train", "_test"] if "x_train" in arrays else [""]
    for suffix in suffixes:
        if (x := arrays.pop(f"x{suffix}", None)) is None:
            raise InputError(f"{path}: there is no array 'X{suffix}'; found {', '.join(arrays) or 'none'}")
        if x.ndim not in (2, 3) or x.size == 0 or not np.issubdtype(x.dtype, np.number):
            raise InputError(
                f"{path}: X{suffix} is of type {x.dtype} and shape {x.shape}; expected numbers of shape (samples, "
                "channels, length) or (samples, length)"
            )
        part = pd.DataFrame({SERIES: list(x[:, None] if x.ndim == 2 else x)})
        for name in [n for n in arrays if n.endswith(suffix)]:
            if arrays[name].shape != (len(x),):
                raise InputError(
                    f"{path}: array {name!r} is of shape {arrays[name].shape}, not ({len(x)},) as X{suffix}"
                )
            values, column = arrays.pop(name), name.removesuffix(suffix)
            part[LABEL if column == "y" else column] = values.astype(str) if values.dtype.kind == "S" else values
        parts.append(part.assign(**{IS_TEST: suffix == "_test"}) if suffix else part)
    if arrays:
        raise InputError(f"{path}: array {next(iter(arrays))!r} belongs to neither training (_train) nor test (_test)")
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(label=class_names(frame[LABEL])) if LABEL in frame else frame


def read_installed(card: dict[str, Any]) -> pd.DataFrame:
    """Read a data set that is shipped with an installed package, without importing the package.

    Raises:
        InputError: The package or file does not exist, or a checksum differs from that of the card.
    """
    spec = importlib.util.find_spec(card["package"])
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"data set {card['name']} is part of the package {card['package']}, which is not installed here: 'pip "
            f"install {card['package']}' (in any environment) or fetch it from {card['fetch']}, and give its files as "
            "--data.path and --data.test_path"
        )
    parts, folder = [], Path(next(iter(spec.submodule_search_locations)))
    for key, checksum in (("file", "sha256"), ("test_file", "test_sha256")):
        if (frame := read_series(path := folder / card[key])) is None:
            raise InputError(f"{path}: no such file; try another release of {card['package']}")
        if (found := files.sha256(path)) != card[checksum]:
            raise InputError(f"{path} differs from its card: sha256 {found}, expected {card[checksum]}")
        parts.append(frame.assign(**{IS_TEST: key == "test_file"}))
    return pd.concat(parts, ignore_index=True)


SOURCES["package"] = read_installed

"""Intervals of a genome from BED files, and windows of equal length centred on them."""

import io
import re
import zlib
from collections import Counter
from itertools import compress
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import InputError
from ...files import BYTE_ORDER_MARK, opened
from .genome import Genome

REQUIRED = ["chromosome", "start", "end"]
COLUMNS = [*REQUIRED, "name", "score", "strand"]
MISSING = ["", ".", "NA", "NaN", "nan"]
SKIPPED = (b"#", b"track ", b"track\t", b"browser ", b"browser\t")


def read_bed(path: Path) -> pd.DataFrame:
    """Read intervals of a BED file (also gzipped), separated by tabs or spaces.

    Args:
        path: The file. Lines that begin with ``#``, ``track`` or ``browser`` are skipped, except one that begins with
            ``#chrom``, which names the columns after the third.

    Returns:
        One row per interval, indexed by its line in the file (``line``, from 1): ``chromosome``, ``start`` and ``end``
        (counted from 0, the end is exclusive), then if available ``name``, ``score``, ``strand`` (``+``, ``-`` or
        ``.``), ``column7`` and so on, or the names in a ``#chrom`` line.

    Raises:
        InputError: The file is missing or has no intervals, lines have too few or different numbers of columns, a start
            or end is not an integer, a start is negative, an interval is empty, or a strand is invalid.
    """
    numbers, lines, header = _lines(path)
    tabs = b"\t" in lines[0]
    counts = [line.count(b"\t") + 1 if tabs else len(line.split()) for line in lines]
    if (width := counts[0]) < len(REQUIRED):
        raise InputError(
            f"{path}, line {numbers[0]}: {width} column{'s' * (width > 1)}; a BED file has at least chromosome, start "
            "and end, separated by tabs"
        )
    if counts.count(width) < len(counts):
        at = next(i for i, count in enumerate(counts) if count != width)
        raise InputError(f"{path}, line {numbers[at]}: {counts[at]} columns, line {numbers[0]} has {width}")
    names = _names(path, header, width)
    content = b"\n".join(lines)
    del lines, counts  # half of the memory
    text = ["chromosome", "name", "strand"]
    try:
        frame = pd.read_csv(
            io.BytesIO(content),
            sep="\t" if tabs else r"\s+",
            names=names,
            dtype={name: str for name in text if name in names},
            keep_default_na=False,
            na_values={name: MISSING for name in names if name not in {*text, "start", "end"}},
            quoting=3,  # quotation marks are ordinary characters
            low_memory=False,
        )
    except ValueError as error:
        raise InputError(f"{path}: cannot be read as BED: {' '.join(str(error).split())[:200]}") from None
    frame.index = pd.Index(numbers, name="line")
    for column, name in ((1, "start"), (2, "end")):
        if frame[name].dtype != np.int64:
            fields = [line.split(b"\t" if tabs else None) for line in content.split(b"\n")]
            _refuse_numbers(name, [row[column].decode() for row in fields], numbers, path)
    _check(frame, path)
    return frame


def _lines(path: Path) -> tuple[np.ndarray, list[bytes], bytes]:
    """Numbers and text of the lines with intervals, and the line that names columns, if any."""
    try:
        with opened(path) as file:
            content = file.read()
    except FileNotFoundError:
        raise InputError(f"no file {str(path)!r}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    every = content.removeprefix(BYTE_ORDER_MARK).replace(b"\r", b"").split(b"\n")
    header = next((line for line in every if line[:6].lower() == b"#chrom"), b"")
    kept = [bool(line.strip()) and not line.startswith(SKIPPED) for line in every]
    if not any(kept):
        raise InputError(f"{path}: {'there are no intervals' if content.strip() else 'the file is empty'}")
    return np.flatnonzero(kept) + 1, list(compress(every, kept)), header


def _names(path: Path, header: bytes, width: int) -> list[str]:
    names = [*COLUMNS, *(f"column{number}" for number in range(len(COLUMNS) + 1, width + 1))][:width]
    if header:
        given = [name.strip() for name in header.decode("utf-8", "replace").split("\t" if b"\t" in header else None)]
        if len(given) != width:
            raise InputError(f"{path}: the line that begins with #chrom names {len(given)} columns, there are {width}")
        names = [*REQUIRED, *given[3:]]
    if doubled := [name for i, name in enumerate(names) if name in names[:i]]:
        raise InputError(f"{path}: column {doubled[0]!r} occurs more than once; rename or remove one")
    return names


def _refuse_numbers(name: str, values: list[str], numbers: np.ndarray, path: Path) -> None:
    at = next(i for i, value in enumerate(values) if not re.fullmatch(r"-?\d{1,18}", value))
    hint = "; a line of column names must begin with #" if at == 0 else ""
    raise InputError(f"{path}, line {numbers[at]}: {name} {values[at]!r} is not a whole number{hint}")


def _check(frame: pd.DataFrame, path: Path) -> None:
    for wrong, words in (
        (frame["start"] < 0, "start {start} is negative; BED counts from 0"),
        (
            frame["start"] >= frame["end"],
            "start {start} is not before end {end}; BED counts from 0, and the end is exclusive",
        ),
    ):
        if wrong.any():
            line = int(wrong.idxmax())
            raise InputError(f"{path}, line {line}: " + words.format(**frame.loc[line, ["start", "end"]]))
    if "strand" in frame and not (right := frame["strand"].isin(["+", "-", "."])).all():
        line = int(right.idxmin())
        raise InputError(
            f"{path}, line {line}: strand {frame['strand'][line]!r} is not '+', '-' or '.'; if the column is something "
            "else, name all columns in a line that begins with #chrom"
        )


def windows(frame: pd.DataFrame, genome: Genome, length: int | None = None, source: str = "intervals") -> np.ndarray:
    """Starts of windows of equal length centred on intervals.

    The central base of an interval, ``(start + end) // 2``, is at position ``length // 2`` of its window.

    Args:
        frame: Intervals as of `read_bed`.
        genome: Genome of the intervals.
        length: Bases of each window; by default all intervals must have the same length.
        source: File of the intervals, for errors.

    Returns:
        int64, counted from 0, ``shape=(intervals,)``.

    Raises:
        InputError: The intervals differ in length, the genome lacks a chromosome, or a window extends beyond its
            chromosome.
    """
    start, end = frame["start"].to_numpy(), frame["end"].to_numpy()
    if length is None:
        counts = Counter((end - start).tolist()).most_common()
        if len(counts) > 1:
            lengths = ", ".join(f"{n} of {size}" for size, n in counts[:4]) + (", ..." if len(counts) > 4 else "")
            raise InputError(
                f"{source}: intervals differ in length ({lengths} bases); give a length (--data.length {counts[0][0]}) "
                "for windows centred on them"
            )
        starts = start
    else:
        starts = (start + end) // 2 - length // 2
    sizes = frame["chromosome"].map(genome.sizes)
    if (unknown := sizes.isna().to_numpy()).any():
        at = int(unknown.argmax())
        raise InputError(f"{source}, line {frame.index[at]}: {genome.lacks(frame['chromosome'].iloc[at])}")
    ends = starts + (end - start if length is None else length)
    if (beyond := (starts < 0) | (ends > sizes.to_numpy())).any():
        at = int(beyond.argmax())
        raise InputError(
            f"{source}, line {frame.index[at]}: bases {starts[at]} to {ends[at]} (counted from 0) are not inside "
            f"{frame['chromosome'].iloc[at]}, which has {int(sizes.iloc[at])} bases; remove the interval"
            + ("" if length is None else " or give a shorter length")
        )
    return np.asarray(starts, np.int64)

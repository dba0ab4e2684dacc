"""Random access to windows of a genome in an indexed FASTA file."""

import logging
import os
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ... import files
from ...encode.dna import ILLEGAL, TRANSLATE, reverse_complement
from ...errors import InputError, NotWritableError, suggest

CHUNK = 1 << 22  # bases read at a time
LONGEST_HEADER = 1 << 16  # most bytes between two records; with more, an index belongs to another file

log = logging.getLogger("zoo")


class Genome:
    """An uncompressed FASTA file, of which only the index is held in memory and windows are read on access.

    The index is that of ``samtools faidx`` (``genome.fa.fai``). It is created beside the genome if it is missing, older
    than the genome, or belongs to another file; if the folder is not writable, it is created for this run only.

    Windows are read with ``pread`` instead of a memory map, whose pages would count as memory of the process. pyfaidx
    creates and reads the index, but not the windows: it reads one at a time, which takes four times as long, and its
    objects cannot be pickled. A pickled `Genome` contains the index, and each process opens the file anew.

    Args:
        path: Path of the genome.

    Attributes:
        sizes: Bases of each chromosome, in the order of the file.

    Raises:
        InputError: The file is missing, compressed, empty or not FASTA, has lines of unequal length, or a name occurs
            twice.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        _check_fasta(self.path)
        names, table = _index(self.path)
        self.sizes: dict[str, int] = dict(zip(names, table[0].tolist(), strict=True))
        self._size, self._offset, self._bases, self._width = table
        self._file: FileIO | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def numbers(self, names: Sequence[str] | pd.Series) -> np.ndarray:
        """Numbers of chromosomes (positions in `sizes`) for `fetch`: int64, ``shape=(names,)``.

        Raises:
            InputError: The genome lacks a chromosome; the error suggests the most similar name.
        """
        numbers: np.ndarray = pd.Index(self.sizes).get_indexer(pd.Index(names)).astype(np.int64)
        if (unknown := numbers < 0).any():
            raise InputError(self.lacks(pd.Index(names)[unknown][0]))
        return numbers

    def lacks(self, name: object) -> str:
        """Error message for a chromosome that the genome lacks, with the most similar name."""
        name = str(name)
        other = {"MT": "chrM", "chrM": "MT"}.get(name) or (name[3:] if name.startswith("chr") else f"chr{name}")
        hint = f"did you mean {other}?" if other in self.sizes else suggest(name, self.sizes)
        return f"no chromosome {name!r} in {self.path.name}; {hint}"

    def fetch(
        self, chromosomes: np.ndarray, starts: np.ndarray, length: int, minus: np.ndarray | None = None
    ) -> Tensor:
        """Read the codes of windows of equal length.

        Args:
            chromosomes: Numbers of the chromosomes from `numbers`, ``shape=(windows,)``.
            starts: First base of each window, counted from 0, ``shape=(windows,)``.
            length: Bases of each window, at least 1.
            minus: True for windows read as reverse complement, ``shape=(windows,)``.

        Returns:
            uint8 codes as of `zoo.encode.dna.dna_codes`, ``shape=(windows, length)``.

        Raises:
            InputError: A window extends beyond its chromosome, contains a letter that is not an IUPAC code (the error
                names the position), or the file has changed since its index was read.
        """
        outside = (starts < 0) | (starts + length > self._size[chromosomes])
        if outside.any():
            at = int(outside.argmax())
            name, size = list(self.sizes.items())[int(chromosomes[at])]
            raise InputError(
                f"{self.path}: bases {starts[at]} to {starts[at] + length} (counted from 0) are not inside {name}, "
                f"which has {size} bases"
            )
        codes = np.empty((len(starts), length), np.uint8)
        rows = max(1, CHUNK // length)
        for begin in range(0, len(starts), rows):
            part = slice(begin, begin + rows)
            codes[part] = self._read(chromosomes[part], starts[part], length)
            if minus is not None and (turned := np.flatnonzero(minus[part]) + begin).size:
                codes[turned] = reverse_complement(torch.from_numpy(codes[turned])).numpy()
        return torch.from_numpy(codes)

    def _read(self, chromosomes: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        if self._file is None:
            self._file = self.path.open("rb", buffering=0)
        file, first = self._file.fileno(), self._byte(chromosomes, starts)
        sizes = self._byte(chromosomes, starts + (length - 1)) + 1 - first
        pieces = [os.pread(file, size, at) for size, at in zip(sizes.tolist(), first.tolist(), strict=True)]
        codes = np.frombuffer(b"".join(pieces).translate(TRANSLATE, b"\r\n"), np.uint8)
        if len(codes) != len(starts) * length:
            raise InputError(
                f"{self.path}: the file does not match its index; remove {self.path.name}.fai and try again"
            )
        codes = codes.reshape(-1, length)
        if codes.max(initial=0) == ILLEGAL:
            window, column = np.argwhere(codes == ILLEGAL)[0]
            number, position = chromosomes[window], int(starts[window] + column)
            letter = os.pread(file, 1, int(self._byte(number, position))).decode("latin-1")
            raise InputError(
                f"{self.path}: {list(self.sizes)[number]}, position {position + 1}: {letter!r} is not a letter of DNA"
            )
        return codes

    def _byte(self, chromosome: np.ndarray, position: Any) -> np.ndarray:
        """Byte offsets of bases in the file."""
        line, column = np.divmod(position, self._bases[chromosome])
        byte: np.ndarray = self._offset[chromosome] + line * self._width[chromosome] + column
        return byte


def _check_fasta(path: Path) -> None:
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise InputError(f"no file {str(path)!r}" + (f"; {suggest(path.name, near)}" if near else ""))
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if not start:
        raise InputError(f"{path}: the file is empty")
    if start.startswith(b"\x1f\x8b"):
        raise InputError(f"{path}: random access needs an uncompressed genome: gunzip {path}")
    if (text := start.lstrip()) and text[:1] not in b">;":
        raise InputError(f"{path}: a FASTA file begins with '>', not {text[:1].decode('latin-1')!r}")


def _index(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of the records, and length, offset, bases and bytes per line of each, ``shape=(4, records)``."""
    beside = path.with_name(path.name + ".fai")
    if beside.is_file():
        if beside.stat().st_mtime_ns < path.stat().st_mtime_ns:
            log.warning("%s is older than the genome; it is created anew", beside)
        elif (found := _fitting(path, beside)) is not None:
            return found
        else:
            log.warning("%s is not the index of %s; it is created anew", beside, path.name)
    else:
        log.info("creating the index %s", beside)
    try:
        with files.replacing(beside) as temporary:
            return _records(path, temporary)
    except NotWritableError:
        log.warning(
            "%s cannot be written, so that every run indexes the genome anew; create it with: samtools faidx %s",
            beside,
            path,
        )
    with TemporaryDirectory() as folder:
        return _records(path, Path(folder) / beside.name)


def _records(path: Path, index: Path) -> tuple[list[str], np.ndarray]:
    """Records of an index, which is created if it does not exist."""
    from pyfaidx import Faidx, FastaIndexingError

    try:
        with Faidx(str(path), indexname=str(index), rebuild=False) as opened:
            records = opened.index
    except (FastaIndexingError, ValueError) as error:
        text = " ".join(str(error).split())
        if text.startswith("Duplicate key "):
            raise InputError(f"{path}: {text[14:]} names more than one record; rename or remove one") from None
        if isinstance(error, UnicodeDecodeError):
            text = "it is not text"
        raise InputError(f"{path}: cannot be indexed as FASTA: {text[:200]}") from None
    # The lines of an empty record have length 0, by which offsets cannot be divided.
    table = [(r.rlen, r.offset, max(r.lenc, 1), max(r.lenb, 1)) for r in records.values()]
    return list(records), np.array(table, np.int64).reshape(-1, 4).T.copy()


def _fitting(path: Path, index: Path) -> tuple[list[str], np.ndarray] | None:
    """Records of an index; None if the text between two of them is not the header of the second."""
    try:
        names, table = _records(path, index)
    except InputError:
        return None
    size, offset, bases, width = table
    ends = offset + size // bases * width + size % bases
    with path.open("rb", buffering=0) as file:
        for name, begin, end in zip([*names, ""], [0, *ends], [*offset, path.stat().st_size], strict=True):
            if not 0 <= end - begin <= LONGEST_HEADER:
                return None
            lines = [line for line in os.pread(file.fileno(), end - begin, begin).split(b"\n") if line.strip()]
            header = lines.pop() if name and lines else b""
            if name and [header[:1], *header[1:].split()[:1]] != [b">", name.encode()]:
                return None
            if any(not line.startswith(b";") for line in lines):
                return None
    return names, table

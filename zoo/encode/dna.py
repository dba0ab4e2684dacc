"""DNA as one byte per base.

A code is the index of the letter in `LETTERS`: A, C, G and T are 0 to 3, N is 4, then the other IUPAC letters
(Cornish-Bowden 1985, doi:10.1093/nar/13.9.3021), each of which stands for two or three bases.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .. import budget
from ..errors import InputError
from ..spec import Modality
from .kinds import CARDS, MISSING, READERS, WRITERS, InputLines, Missing

LETTERS = "ACGTNRYSWKMBDHV"
UNKNOWN = LETTERS.index("N")
ILLEGAL = 255
CHUNK = 1024
MISSING["sequence"] = Missing(torch.uint8, UNKNOWN)
# Letter (either case, U as T) -> code, for bytes.translate.
TRANSLATE = bytes((LETTERS + "T").find(chr(i).upper().replace("U", "T")) % 256 for i in range(256))
# Code -> code of the complementary base.
COMPLEMENT = torch.tensor([LETTERS.index(letter) for letter in "TGCANYRSWMKVHDB"], dtype=torch.uint8)


def reverse_complement(codes: Tensor) -> Tensor:
    """Reverse complement of codes: uint8 ``(..., length) -> (..., length)``.

    Example:
        >>> dna_text(reverse_complement(dna_codes(["AACRN"])))
        ['NYGTT']
    """
    flipped = codes.flip(-1)
    return COMPLEMENT.to(codes.device).index_select(0, flipped.reshape(-1).int()).view(codes.shape)


def dna_codes(
    sequences: Sequence[str],
    length: int | None = None,
    names: Sequence[str] | None = None,
    source: str = "sequences",
) -> Tensor:
    """Codes of DNA sequences.

    Args:
        sequences: IUPAC letters in either case; U is read as T.
        length: Length to which sequences are padded with N or cropped about their centre; by default all sequences
            must have the same length.
        names: Names of the sequences in errors, such as ``"record 'seq1'"``; by default ``"sequence 1"`` and so on.
        source: Name of the file in errors.

    Returns:
        uint8, ``shape=(sequences, length)``.

    Raises:
        InputError: A sequence has a gap or an invalid letter (the message names its position) or is empty, or lengths
            differ (the message counts them).
    """
    lengths = set(map(len, sequences))
    if 0 in lengths or (length is None and len(lengths) > 1):
        _refuse(sequences, names, source)
    width = length or next(iter(lengths), 0)
    codes = np.empty((len(sequences), width), dtype=np.uint8)
    for start in range(0, len(sequences), CHUNK):  # four times as fast in chunks that fit into the processor's cache
        chunk = sequences[start : start + CHUNK]
        if ILLEGAL in _raw(chunk):
            _refuse(sequences, names, source)
        if length is not None and lengths != {length}:
            chunk = [fit_length(sequence, length) for sequence in chunk]
        codes[start : start + CHUNK] = np.frombuffer(_raw(chunk), np.uint8).reshape(-1, width)
    return torch.from_numpy(codes)


def _raw(sequences: Sequence[str]) -> bytearray:
    return bytearray("".join(sequences), "ascii", "replace").translate(TRANSLATE)


def _refuse(sequences: Sequence[str], names: Sequence[str] | None, source: str) -> NoReturn:
    """Raise an `InputError` for the first invalid sequence, or for unequal lengths."""
    for number, sequence in enumerate(sequences):
        name = names[number] if names is not None else f"sequence {number + 1}"
        if not sequence:
            raise InputError(f"{source}: {name} is empty; remove it")
        position = sequence.encode("ascii", "replace").translate(TRANSLATE).find(ILLEGAL)
        if position >= 0:
            letter = sequence[position]
            why = "is a gap; remove gaps" if letter in "-." else "is not a letter of DNA"
            if set(sequence[:200].upper()) & set("EFILPQ"):
                why += "; this looks like a protein"
            raise InputError(f"{source}: {name}, position {position + 1}: {letter!r} {why}")
    counts = Counter(map(len, sequences)).most_common()
    listed = ", ".join(f"{count} of {length}" for length, count in counts[:4]) + (", ..." if len(counts) > 4 else "")
    raise InputError(
        f"{source}: sequences differ in length ({listed} bases); give a length (--data.length {counts[0][0]}) to pad "
        "them with N or crop them about their centre"
    )


def fit_length(sequence: str, length: int) -> str:
    """A sequence padded with N, or cropped, about its centre.

    Example:
        >>> fit_length("ACGT", 7), fit_length("ACGTA", 3)
        ('NACGTNN', 'CGT')
    """
    if (extra := len(sequence) - length) > 0:
        return sequence[extra // 2 : extra // 2 + length]
    return "N" * (-extra // 2) + sequence + "N" * (-extra - -extra // 2)


def dna_text(codes: Tensor) -> list[str]:
    """Letters of codes, ``shape=(sequences, length)``."""
    letters = np.frombuffer(LETTERS.encode(), np.uint8)[codes.cpu().numpy()]
    return [row.tobytes().decode() for row in letters]


def check_sequences(column: pd.Series, source: str) -> None:
    """Raise an `InputError` that names the first sample without a sequence."""
    if (missing := column.isna()).any():
        raise InputError(f"{source}: {_name(column.index, int(missing.to_numpy().argmax()))} has no sequence")


def _name(index: pd.Index, position: int) -> str:
    kind = index.name or "row"
    return f"{kind} {index[position]!r}" if isinstance(index[position], str) else f"{kind} {index[position]}"


class _Names(Sequence[str]):
    """Names of samples for errors, formatted only when needed."""

    def __init__(self, labels: pd.Index) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, position: Any) -> Any:
        return _name(self.labels, position)


@READERS.add("sequence")
def sequence_to_tensor(frame: pd.DataFrame, modality: Modality, source: str = "the table") -> Tensor:
    """Codes of the sequences in a user's table.

    Args:
        frame: One sample per row, with the sequence column of the modality.
        modality: Column, length, and whether sequences of other lengths are padded or cropped (``resize``).
        source: Name of the table in errors.

    Returns:
        uint8, ``shape=(samples, length)``.

    Raises:
        InputError: The column is missing, or as `dna_codes`.
    """
    from .table import check_features

    check_features(frame, modality["features"], source)
    column = frame[modality["features"][0]]
    check_sequences(column, source)
    (length,) = modality["shape"]
    resize = length if modality.get("resize") else None
    budget.check(
        3 * len(frame) * length,  # text, padded text, and codes
        f"{source}: {len(frame)} sequences of {length:,} bases",
        "lower --data.length, or give a part of the samples",
    )
    codes = dna_codes(list(column.map(str)), resize, _Names(frame.index), source)
    if len(codes) and codes.shape[1] != length:
        raise InputError(
            f"{source}: sequences have {codes.shape[1]} bases, the model takes {length}; cut them to that length about "
            "the site, or train with --data.length"
        )
    return codes


@WRITERS.add("sequence")
def sequence_frame(raw: Tensor, modality: Modality, index: pd.Index | None) -> pd.DataFrame:
    """Letters of codes as a table with one column, the inverse of `sequence_to_tensor`."""
    return pd.DataFrame({modality["features"][0]: dna_text(raw)}, index=index)


@CARDS.add("sequence")
def sequence_card(modality: Modality, names: list[str]) -> InputLines:
    """Inputs of a model of DNA, for its card."""
    (length,), (column, *_) = modality["shape"], names
    resized = "; others are padded with N or cropped." if modality.get("resize") else "."
    return InputLines(
        "dna",
        f'model.predict(sequences)  # a list of DNA, or a pandas table with the column "{column}"',
        f"Inputs: DNA of {length} bases, A, C, G, T or N in either case, column `{column}`{resized}",
    )


def random_codes(rows: int, length: int, seed: int) -> Tensor:
    """Random bases, 2 % of them unknown: uint8 ``shape=(rows, length)``."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(4, (rows, length), generator=generator, dtype=torch.uint8)
    codes[torch.rand(rows, length, generator=generator) < 0.02] = UNKNOWN
    return codes

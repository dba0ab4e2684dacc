"""Data module of DNA sequences from FASTA files, tables with a sequence column, and packaged data sets."""

import hashlib
import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ... import files
from ...encode import to_tensor
from ...encode.dna import UNKNOWN, check_sequences, dna_codes, dna_text, reverse_complement
from ...encode.kmer import kmer_counts
from ...encode.one_hot import one_hot
from ...errors import InputError, check_choice, check_range
from ...spec import Modality, Target
from ..base import Batch, Source
from ..frame import FrameData
from .fasta import NO_LABEL, is_fasta, read_fasta
from .negatives import dinucleotide_shuffle

KMER = 5  # of the baseline
CHUNK = 16_384  # sequences at a time
POSITIVE, NEGATIVE = "positive", "negative"  # labels if negatives are generated
SOURCE = "shuffled from"  # column of the row from which a negative was generated
FASTA_LABEL = "label"  # column of the labels of a FASTA file

log = logging.getLogger("zoo")


class SequenceData(FrameData):
    """DNA sequences with a label: FASTA (also gzipped), CSV, TSV or Parquet, or a packaged data set by name.

    A FASTA file has the label in each header (``>seq1|EI``, ``>seq1 EI``); a folder has one FASTA file per class, named
    after it. The log states which words were taken as labels; where that is doubtful, as in ``>seq1 len=60``, the file
    is refused until ``label`` or ``target_kind`` settles it. Exact duplicates and reverse complements among the samples
    always share a split.

    Args:
        path: A file, a folder, or the name of a data set with a card (``splice``).
        target: Column to predict; ``label`` for a FASTA file.
        sequence: Column of the sequences in a table.
        label: Regular expression whose group is the label in a FASTA header; by default its last word, after a space
            or a ``|``, see `read_fasta`.
        negatives: For a file with positives only: ``shuffled`` generates one negative per sequence by a shuffle that
            preserves dinucleotide counts. A negative shares the split of its sequence.
        length: Bases of every sequence: shorter ones are padded with N at both ends, longer ones cropped to the centre.
            By default all sequences must have the same length.
        reverse_complement: Augmentation: replace training sequences by their reverse complement with probability 0.5.
            Valid only if both strands have the same label.
        shift: Augmentation: largest random shift of training sequences, in bases; N is inserted at the end.
        mask: Augmentation: fraction of random bases of training sequences replaced by N, different in each epoch, as
            regularisation; most useful with few sequences.
        target_kind: binary, multiclass or regression; detected by default. ``none`` for sequences without labels.
        positive: The positive one of two classes; by default the last in alphabetical order.
        id: Column of unique sample names; for a FASTA file, the name of the record.
        test_path: Separate file of test samples; ``fractions`` then apply to training and validation only.
        **shared: Arguments of `Data`.

    Raises:
        InputError: Anything that is wrong with the sequences, in one line.
    """

    kind = "sequence"

    def __init__(
        self,
        path: str,
        target: str | None = None,
        sequence: str = "sequence",
        label: str | None = None,
        negatives: Literal["none", "shuffled"] = "none",
        length: int | None = None,
        reverse_complement: bool = False,
        shift: int = 0,
        mask: float = 0.0,
        target_kind: str | None = None,
        positive: str | None = None,
        id: str | None = None,  # noqa: A002 (the word that users look for)
        test_path: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(path, target, target_kind, positive, id, test_path, **shared)
        if length is not None:
            check_range("length", length, 1)
        check_range("shift", shift, 0)
        check_range("mask", mask, 0, 1)
        check_choice("negatives", negatives, ["none", "shuffled"])
        self.sequence, self.label, self.negatives, self.length = sequence, label, negatives, length
        self.reverse_complement, self.shift, self.mask = reverse_complement, shift, mask
        self._no_label = ""  # why a FASTA file has no labels
        if not self.card and (Path(path).is_dir() or is_fasta(Path(path))):
            self.target, self.id = self.target or FASTA_LABEL, self.id or "record"
        if negatives != "none":
            self.target, self.group = self.target or FASTA_LABEL, self.group or SOURCE

    def read_file(self, path: Path) -> pd.DataFrame:
        """Read FASTA or a table, and generate negatives as requested."""
        if path.is_dir() or is_fasta(path):
            target = self.trained["target"] if self.trained else Target(kind="", name="", classes=[], unit="")
            numbers = "regression" in (self.target_kind, target["kind"])
            frame = read_fasta(path, self.label, target["classes"], numbers)
            self._no_label = frame.attrs.pop(NO_LABEL, self._no_label)
        else:
            frame = self.read_table(path)
        return self._with_shuffled(frame, str(path)) if self.negatives == "shuffled" else frame

    def check_column(self, frame: pd.DataFrame, name: str, role: str) -> None:
        """Raise an `InputError` if there is no such column; for the labels of a FASTA file, it states why."""
        if name == FASTA_LABEL and role == "target" and self._no_label and self.negatives == "none":
            raise InputError(self._no_label)
        super().check_column(frame, name, role)

    def encode_target(self, frame: pd.DataFrame, target: Target) -> Tensor:
        """Encoded targets; the log states which words of FASTA headers were taken as labels."""
        y = super().encode_target(frame, target)
        if target["name"] == FASTA_LABEL and is_fasta(Path(self.path)) and self.negatives == "none":
            labels = frame[FASTA_LABEL]
            if target["classes"]:
                counts = labels.value_counts()
                found = ", ".join(f"{name} ({counts.get(name, 0)})" for name in target["classes"])
            else:
                found = f"{labels.min():g} to {labels.max():g}"
            which = f"that matches {self.label!r}" if self.label else "after its last space or |"
            log.info("%s: the part of each header %s is taken as label: %s", self.path, which, found)
        return y

    def _with_shuffled(self, frame: pd.DataFrame, path: str) -> pd.DataFrame:
        self.check_column(frame, self.sequence, "sequence")
        check_sequences(frame[self.sequence], path)
        frame = frame.assign(**{self.target or "label": POSITIVE, SOURCE: range(1, len(frame) + 1)})
        shuffled = frame[self.sequence].map(str)
        for _, same in shuffled.groupby(shuffled.str.len()):
            shuffled[same.index] = dna_text(dinucleotide_shuffle(dna_codes(list(same), source=path), self.seed))
        negatives = frame.assign(**{self.target or "label": NEGATIVE, self.sequence: shuffled})
        if self.id in negatives:
            negatives[self.id] = negatives[self.id].map("{} shuffled".format)
        return pd.concat([frame, negatives], ignore_index=True)

    def describe(self) -> dict[str, Any]:
        """Name, checksum, licence and citation of the data."""
        if self.card or not (folder := Path(self.path)).is_dir():
            return super().describe()
        listing = "".join(f"{p.name} {files.sha256(p)}\n" for p in sorted(folder.iterdir()) if is_fasta(p))
        return {
            "name": folder.resolve().name,
            "sha256": hashlib.sha256(listing.encode()).hexdigest(),
            "licence": "not stated",
        }

    def modality(self, frame: pd.DataFrame) -> Modality:
        """The column and the length of the sequences."""
        self.roles(frame)
        self.check_column(frame, self.sequence, "sequence")
        check_sequences(frame[self.sequence], self.path)
        length = self.length or len(str(frame[self.sequence].iloc[0]))
        modality = Modality(kind="sequence", shape=[length], features=[self.sequence])
        return {**modality, "resize": True} if self.length else modality

    def values(self, frame: pd.DataFrame, modality: Modality) -> Source:
        """Codes of the sequences; errors name the record."""
        named = frame.set_index(self.id) if self.id and self.id in frame else frame
        return to_tensor(named, modality, self.path)

    def duplicates(self, frame: pd.DataFrame, modality: Modality) -> pd.Series:
        """A number that is equal for equal sequences and for reverse complements of each other."""
        return strand_duplicates(self.values(frame, modality))

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Apply reverse complement, shift and mask as requested."""
        x = batch["x"]
        if self.reverse_complement:
            other = torch.rand(len(x), 1, generator=generator, device=x.device) < 0.5
            x = torch.where(other, reverse_complement(x), x)
        if self.shift:
            by = torch.randint(-self.shift, self.shift + 1, (len(x), 1), generator=generator, device=x.device)
            source = torch.arange(x.shape[1], device=x.device) + by
            inside = (source >= 0) & (source < x.shape[1])
            x = torch.where(inside, x.gather(1, source.clamp(0, x.shape[1] - 1)), UNKNOWN)
        if self.mask:
            x = x.masked_fill(torch.rand(x.shape, generator=generator, device=x.device) < self.mask, UNKNOWN)
        return {**batch, "x": x}

    def baseline_features(self, rows: Tensor) -> dict[str, np.ndarray]:
        """One-hot bases by position, and counts of 5-mers."""
        codes = self.dataset.x[rows]
        return {"one-hot ": one_hot(codes).flatten(1).numpy(), f"{KMER}-mer ": kmer_counts(codes, KMER)}


def strand_duplicates(codes: Source) -> pd.Series:
    """Hash of each sequence that is equal for its reverse complement, ``shape=(samples,)``.

    It is the smaller of the linear hashes of both strands, with random 64-bit weights.
    ``attrs["reverse_complements"]`` is the number of sequences that are duplicates only as reverse complement.
    """
    parts = []
    for rows in torch.arange(len(codes)).split(CHUNK):
        part = codes[rows]
        weights = np.random.default_rng(0).integers(1 << 63, size=part.shape[1], dtype=np.uint64)
        parts.append(
            np.stack([(p.numpy().astype(np.uint64) * weights).sum(1) for p in (part, reverse_complement(part))])
        )
    this, other = np.concatenate(parts, 1)
    duplicates = pd.Series(np.minimum(this, other))
    duplicates.attrs["reverse_complements"] = int(duplicates.duplicated().sum()) - int(
        pd.Series(this).duplicated().sum()
    )
    return duplicates

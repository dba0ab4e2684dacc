"""Data module of genomic intervals from a BED file, whose bases are read from the genome for each batch."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...encode.dna import dna_text
from ...errors import InputError, check_choice, suggest
from ...spec import Modality, modality_of
from ..base import Source
from .bed import read_bed, windows
from .genome import Genome
from .negatives import dinucleotide_shuffle, gc_matched
from .sequence import NEGATIVE, POSITIVE, SequenceData


class Windows:
    """Windows of a genome, read on access; the bases of shuffled windows are held in memory.

    Args:
        genome: Genome of the windows.
        chromosomes: Numbers of chromosomes from `Genome.numbers`, ``shape=(windows,)``.
        starts: Starts, counted from 0, ``shape=(windows,)``.
        length: Bases of each window.
        minus: True where the reverse complement is read, ``shape=(windows,)``.
        shuffled: True where the bases are shuffled, ``shape=(windows,)``.
        seed: Seed of the shuffling.
    """

    def __init__(
        self,
        genome: Genome,
        chromosomes: np.ndarray,
        starts: np.ndarray,
        length: int,
        minus: np.ndarray,
        shuffled: np.ndarray,
        seed: int,
    ) -> None:
        self.genome, self.length = genome, length
        self.chromosomes, self.starts, self.minus = chromosomes, starts, minus
        self.place = np.where(shuffled, np.cumsum(shuffled) - 1, -1)
        mixed = np.flatnonzero(shuffled)
        self.mixed = dinucleotide_shuffle(self._read(mixed), seed) if len(mixed) else torch.empty(0, length)

    def _read(self, rows: np.ndarray) -> Tensor:
        return self.genome.fetch(self.chromosomes[rows], self.starts[rows], self.length, self.minus[rows])

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Codes of these windows: uint8 ``shape=(rows, length)``."""
        chosen = rows.numpy()
        codes = self._read(chosen)
        if (mixed := self.place[chosen] >= 0).any():
            codes[torch.from_numpy(mixed)] = self.mixed[torch.from_numpy(self.place[chosen][mixed])]
        return codes


class IntervalData(SequenceData):
    """Intervals of a genome, from a BED file (also gzipped) and a FASTA file of the genome.

    The genome is not loaded into memory: windows are read for each batch through its index (``genome.fa.fai``, created
    if missing). Intervals on the minus strand are read as reverse complements. Splits are by chromosome, since
    neighbouring and repeated sequences are related. In BED, positions count from 0 and the end is exclusive.

    Args:
        path: BED file. A line that begins with ``#chrom`` names its columns.
        genome: FASTA file, not compressed.
        target: Column to predict; by default ``name``, the fourth, or ``label`` if negatives are generated.
        length: Bases of every window, centred on its interval. By default all intervals must have the same length.
        negatives: For a BED file with positives only: generate an equal number of negatives, ``shuffled`` (each
            interval dinucleotide-shuffled) or ``gc_matched`` (random windows of the same chromosome and GC content).
        validation_chromosomes: Chromosomes of the validation set.
        test_chromosomes: Chromosomes of the test set. By default entire chromosomes are assigned by ``fractions``.
        reverse_complement: Augmentation, as in `SequenceData`.
        shift: Augmentation, as in `SequenceData`.
        mask: Augmentation, as in `SequenceData`.
        group: Column that identifies related intervals; by default ``chromosome``.
        split: Column with the values train, validation or test, in place of chromosomes.
        **shared: Arguments of `SequenceData` and `Data`.

    Raises:
        InputError: Anything that is wrong with the intervals or the genome, in one line.
    """

    def __init__(
        self,
        path: str,
        genome: str,
        target: str | None = None,
        length: int | None = None,
        negatives: Literal["none", "shuffled", "gc_matched"] = "none",
        validation_chromosomes: list[str] | None = None,
        test_chromosomes: list[str] | None = None,
        reverse_complement: bool = False,
        shift: int = 0,
        mask: float = 0.0,
        group: str | None = "chromosome",
        split: str | None = None,
        **shared: Any,
    ) -> None:
        check_choice("negatives", negatives, ["none", "shuffled", "gc_matched"])
        if (validation_chromosomes is None) != (test_chromosomes is None):
            raise InputError("give both validation_chromosomes and test_chromosomes, or neither")
        self.column = target or ("name" if negatives == "none" else "label")
        super().__init__(
            path,
            self.column,
            length=length,
            reverse_complement=reverse_complement,
            shift=shift,
            mask=mask,
            group=None if validation_chromosomes else group,
            split="chromosome split" if validation_chromosomes else split,
            **shared,
        )
        self.interval_negatives = negatives
        self.chromosomes = {"validation": validation_chromosomes or [], "test": test_chromosomes or []}
        self.genome = Genome(genome)

    def describe(self) -> dict[str, Any]:
        """Name, checksum and licence of the data, and the name of the genome."""
        return {**super().describe(), "genome": self.genome.path.name}

    def read_file(self, path: Path) -> pd.DataFrame:
        """Intervals and generated negatives, with the start of their windows and their split."""
        frame = read_bed(path)
        (length,) = modality_of(self.trained)["shape"] if self.trained else (self.length,)
        frame["window"] = windows(frame, self.genome, length, str(path))
        self.width = length or int(frame["end"].iloc[0] - frame["start"].iloc[0])
        frame["chromosome"] = frame["chromosome"].astype("category")
        if self.interval_negatives != "none":
            frame = pd.concat([frame.assign(**{self.column: POSITIVE}), self._negatives(frame)])
            frame[self.column] = frame[self.column].astype("category")
        for name in [name for names in self.chromosomes.values() for name in names]:
            if name not in set(frame["chromosome"]):
                raise InputError(
                    f"{path}: no interval on chromosome {name!r}; {suggest(name, frame['chromosome'].unique())}"
                )
        if self.chromosomes["test"]:
            parts = {name: part for part, names in self.chromosomes.items() for name in names}
            frame["chromosome split"] = frame["chromosome"].astype(object).map(parts).fillna("train").astype("category")
        return frame

    def _negatives(self, frame: pd.DataFrame) -> pd.DataFrame:
        negatives = frame.assign(**{self.column: NEGATIVE})
        if self.interval_negatives == "shuffled":
            return negatives.assign(shuffled=True)
        numbers = self.genome.numbers(frame["chromosome"])
        starts = gc_matched(self.genome, numbers, frame["window"].to_numpy(), self.width, self.seed)
        return negatives.assign(window=starts, start=starts, end=starts + self.width)

    def check_features(self, frame: pd.DataFrame, modality: Modality) -> None:
        """No check: the bases come from the genome."""

    def modality(self, frame: pd.DataFrame) -> Modality:
        """Length of the windows."""
        self.roles(frame)
        return Modality(kind="sequence", shape=[self.width], features=[self.sequence])

    def values(self, frame: pd.DataFrame, modality: Modality) -> Source:
        """Windows, which are read for each batch."""
        none = pd.Series(False, index=frame.index)
        return Windows(
            self.genome,
            self.genome.numbers(frame["chromosome"]),
            frame["window"].to_numpy(),
            self.width,
            (frame["strand"] == "-" if "strand" in frame else none).to_numpy(),
            (frame["shuffled"] == True if "shuffled" in frame else none).to_numpy(),  # noqa: E712 (NaN is not)
            self.seed,
        )

    def training_inputs(self) -> Tensor:
        """No rows: encodings of DNA are not fitted, so the genome is not read."""
        return torch.empty(0, self.width, dtype=torch.uint8)

    def frame(self) -> pd.DataFrame:
        """Intervals with their bases."""
        frame = super().frame()
        source = self.values(frame, self.modality(frame))
        parts = [dna_text(source[rows]) for rows in torch.arange(len(frame)).split(1 << 16)]
        return frame.assign(**{self.sequence: [text for part in parts for text in part]})

"""Motifs: counts of each base at each position of a set of aligned sites."""

from dataclasses import dataclass, field

import numpy as np

from ...errors import InputError

PSEUDOCOUNT = 1.0  # sites added in total, a quarter for each base
CLEAR = 0.5  # fraction of the sites from which a base is the consensus


@dataclass(frozen=True, eq=False)
class Motif:
    """Base counts of the aligned sites of a transcription factor, a filter or a pattern.

    Attributes:
        name: Identifier, such as ``"MA0139.2"`` or ``"filter3"``; unique within a file.
        counts: Number of sites with A, C, G and T at each position, ``shape=(4, width)``; need not be integers.
        sites: Number of aligned sites.
        title: A second name, such as ``"CTCF"``.

    Raises:
        InputError: Counts with another shape, negative or not finite; a negative number of sites.

    Example:
        >>> motif = Motif("m", np.array([[8, 0, 2], [0, 4, 2], [0, 4, 2], [0, 0, 2]]), 8)
        >>> motif.information
        array([2., 1., 0.])
        >>> motif.consensus, motif.reverse_complement().consensus, motif.trimmed(0.5).counts.shape
        ('ACN', 'NCT', (4, 2))
    """

    name: str
    counts: np.ndarray = field(repr=False)
    sites: int
    title: str = ""

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts, dtype=float)
        if counts.ndim != 2 or counts.shape[0] != 4 or not counts.shape[1]:
            raise InputError(f"motif {self.name!r}: counts must have the shape (4, width), not {counts.shape}")
        if not (np.isfinite(counts) & (counts >= 0)).all():
            position = int((~(np.isfinite(counts) & (counts >= 0))).any(0).argmax()) + 1
            raise InputError(f"motif {self.name!r}, position {position}: counts must be finite and not negative")
        if self.sites < 0:
            raise InputError(f"motif {self.name!r}: the number of sites must not be negative, but is {self.sites}")
        object.__setattr__(self, "counts", counts)

    @property
    def frequencies(self) -> np.ndarray:
        """Fraction of the sites with each base, ``shape=(4, width)``; 0.25 at positions without counts."""
        total = self.counts.sum(0)
        result: np.ndarray = np.where(total > 0, self.counts / np.where(total > 0, total, 1), 0.25)
        return result

    @property
    def probabilities(self) -> np.ndarray:
        """Probability of each base, ``shape=(4, width)``, never zero: a pseudocount of 0.25 is added for each base."""
        result: np.ndarray = (self.counts + 0.25 * PSEUDOCOUNT) / (self.counts.sum(0) + PSEUDOCOUNT)
        return result

    @property
    def information(self) -> np.ndarray:
        """Information content of each position for a uniform background, 0 to 2 bits, ``shape=(width,)``.

        The small-sample correction of Schneider and Stephens (1990, doi:10.1093/nar/18.20.6097) is not applied, as in
        the logos of JASPAR: for n sites, about 2.2/n bits are expected by chance.
        """
        shares = self.frequencies
        logarithms = np.log2(shares, where=shares > 0, out=np.zeros_like(shares))
        result: np.ndarray = np.maximum(2 + (shares * logarithms).sum(0), 0)
        return result

    @property
    def heights(self) -> np.ndarray:
        """Height of each letter in the logo [bits], frequency times information: ``shape=(width, 4)``."""
        result: np.ndarray = (self.frequencies * self.information).T
        return result

    @property
    def consensus(self) -> str:
        """Most frequent base of each position if at least half of the sites have it, else N."""
        shares = self.frequencies
        best = shares.argmax(0)
        return "".join("ACGT"[base] if share >= CLEAR else "N" for base, share in zip(best, shares.max(0), strict=True))

    def reverse_complement(self) -> "Motif":
        """The motif of the same sites on the other strand."""
        return Motif(self.name, self.counts[::-1, ::-1], self.sites, self.title)

    def trimmed(self, bits: float = 0.25) -> "Motif":
        """The motif without outer positions of less information than ``bits``; unchanged if all positions have less."""
        kept = np.flatnonzero(self.information >= bits)
        if not len(kept):
            return self
        return Motif(self.name, self.counts[:, kept[0] : kept[-1] + 1], self.sites, self.title)

"""Motifs: how often each base stands at each position of aligned sites."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..errors import InputError

JASPAR = Path(__file__).parent / "jaspar2024_vertebrates"
PSEUDOCOUNT = 1.0  # sites added in all, shared out among the four bases
CLEAR = 0.5  # share of the sites that a base needs to be named in the consensus


@dataclass(frozen=True)
class Motif:
    """A position frequency matrix.

    Attributes:
        name: Such as ``"MA0139.2"`` or ``"filter3"``.
        counts: Sites with A, C, G and T at each position, ``shape=(4, width)``.
        sites: How many sites were aligned.
        title: Such as ``"CTCF"``.
    """

    name: str
    counts: np.ndarray = field(repr=False)
    sites: int
    title: str = ""

    @property
    def probabilities(self) -> np.ndarray:
        """Of A, C, G and T, ``shape=(4, width)``; one site in all is added as pseudocount, so that none is zero."""
        counts = np.asarray(self.counts, dtype=float)
        result: np.ndarray = (counts + PSEUDOCOUNT / 4) / (counts.sum(0) + PSEUDOCOUNT)
        return result

    @property
    def information(self) -> np.ndarray:
        """Information of each position in bits, 0 to 2, against equally frequent bases, ``shape=(width,)``.

        Schneider et al. 1986, doi:10.1016/0022-2836(86)90165-8; the pseudocount stands for their correction of small
        samples.
        """
        p = self.probabilities
        result: np.ndarray = 2 + (p * np.log2(p)).sum(0)
        return result

    @property
    def consensus(self) -> str:
        """The base that at least half of the sites have at each position, else N.

        Example:
            >>> Motif("m", np.array([[9, 2], [0, 2], [0, 3], [0, 2]]), 9).consensus
            'AN'
        """
        p = self.probabilities
        return "".join("ACGT"[best] if p[best, i] >= CLEAR else "N" for i, best in enumerate(p.argmax(0)))

    def reverse_complement(self) -> "Motif":
        """The motif as the other strand shows it."""
        return Motif(self.name, self.counts[::-1, ::-1], self.sites, self.title)

    def trimmed(self, bits: float = 0.25) -> "Motif":
        """Without the outer positions of less information; as it is if no position has so much."""
        kept = np.flatnonzero(self.information >= bits)
        if not len(kept):
            return self
        return Motif(self.name, self.counts[:, kept[0] : kept[-1] + 1], self.sites, self.title)


def read_motifs(path: Path) -> list[Motif]:
    """Motifs of a JASPAR file, or of a MEME one (``.meme``).

    Raises:
        InputError: No such file, no motifs, or damaged.
    """
    from Bio import motifs

    try:
        with path.open(encoding="utf-8") as file:
            kind = "minimal" if path.suffix == ".meme" else "jaspar"
            found: list[Any] = list(motifs.parse(file, kind))  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise InputError(f"no file {str(path)!r}") from None
    except Exception as error:  # Biopython raises whatever comes
        raise InputError(f"{path}: cannot be read as motifs: {' '.join(str(error).split())[:200]}") from None
    if not found:
        raise InputError(f"{path}: there are no motifs")
    return [_motif(m) for m in found]


def _motif(motif: Any) -> Motif:
    counts = np.array([motif.counts[base] for base in "ACGT"], dtype=float)
    if "matrix_id" in vars(motif):  # a JASPAR one
        return Motif(motif.matrix_id, counts, round(counts.sum(0).max(initial=0)), motif.name)
    return Motif(
        motif.name, counts, int(motif.num_occurrences or 0), motif.alt_name if hasattr(motif, "alt_name") else ""
    )


def write_jaspar(motifs: Sequence[Motif], path: Path) -> None:
    """Counts in the format of JASPAR."""
    lines = []
    for motif in motifs:
        lines.append(f">{motif.name}\t{motif.title or motif.name}")
        lines += [
            f"{base} [ {' '.join(f'{x:g}' for x in row)} ]" for base, row in zip("ACGT", motif.counts, strict=True)
        ]
    with files.replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_meme(motifs: Sequence[Motif], path: Path) -> None:
    """Probabilities in the minimal format of MEME (version 4)."""
    text = "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n"
    text += "Background letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n"
    for motif in motifs:
        p = motif.probabilities
        text += f"\nMOTIF {motif.name} {motif.title}".rstrip()
        text += f"\nletter-probability matrix: alength= 4 w= {p.shape[1]} nsites= {motif.sites} E= 0\n"
        text += "".join(" ".join(f"{x:.6f}" for x in column) + "\n" for column in p.T)
    with files.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@cache
def jaspar() -> tuple[Motif, ...]:
    """The packaged motifs: JASPAR 2024 CORE of vertebrates, CC BY 4.0 (see its card).

    Raises:
        InputError: The file is not that of the card.
    """
    card = files.read_yaml(JASPAR / "card.yaml")
    if (found := files.sha256(path := JASPAR / "motifs.jaspar")) != card["sha256"]:
        raise InputError(f"{path.name} is not the file of its card: sha256 {found}, expected {card['sha256']}")
    return tuple(read_motifs(path))

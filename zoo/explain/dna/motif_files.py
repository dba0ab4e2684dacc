"""Reading and writing of motifs in JASPAR and minimal MEME format, and the packaged motifs of JASPAR."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ... import files
from ...errors import InputError
from .motif import Motif

PACKAGED = Path(__file__).parent / "jaspar2024_vertebrates"
DEFAULT_SITES = 20  # for a MEME motif without nsites=, as the format defines
ROUNDING = 0.01  # by which the probabilities of a position may deviate from a sum of 1
Lines = Iterator[tuple[int, str]]


def read_motifs(path: Path | str) -> list[Motif]:
    """Read motifs from a file in JASPAR format, or in minimal MEME format (version 4 or later).

    `Bio.motifs` is not used because it does not name the line of an error, silently drops a truncated motif, accepts
    probabilities that do not sum to 1, requires the optional background of MEME, rounds probabilities to whole sites,
    and drops the second name of MEME motifs.

    Args:
        path: The file; its first line determines the format.

    Returns:
        Motifs in the order of the file. For JASPAR, ``sites`` is the largest sum of counts at a position; for MEME,
        counts are probabilities times ``nsites``.

    Raises:
        InputError: The file does not exist, has neither format, has no motifs, or is damaged (the message names the
            line and the motif).
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file of motifs") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; motifs must be in JASPAR or MEME format") from None
    lines = iter([(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()])
    number, first = next(lines, (1, ""))
    if first.startswith(">"):
        motifs = list(_read_jaspar(path, number, first, lines))
    elif first.startswith("MEME version"):
        motifs = list(_read_meme(path, lines))
    else:
        raise InputError(
            f"{path}, line {number}: neither JASPAR ('>MA0139.2 CTCF') nor MEME ('MEME version 4'): {first[:40]!r}"
        )
    if not motifs:
        raise InputError(f"{path}: no motifs; a line such as 'MOTIF MA0139.2 CTCF' begins each")
    return motifs


def _read_jaspar(path: Path, number: int, header: str, lines: Lines) -> Iterator[Motif]:
    while header:
        where = f"{path}, line {number}"
        if not header.startswith(">") or not (names := header[1:].split(None, 1)):
            raise InputError(f"{where}: expected a header such as '>MA0139.2 CTCF', found {header[:40]!r}")
        rows: list[np.ndarray] = []
        for base in "ACGT":
            number, line = next(lines, (number + 1, "nothing"))
            where = f"{path}, line {number}: motif {names[0]!r}"
            if not (match := re.fullmatch(rf"{base}\s*\[([^\]]*)\]", line, re.IGNORECASE)):
                raise InputError(f"{where}: expected a row such as '{base} [ 12 0 3 ]', found {line[:40]!r}")
            rows.append(_numbers(match[1], where))
            if len(rows[-1]) != len(rows[0]):
                raise InputError(f"{where}: {len(rows[-1])} counts of {base}, but {len(rows[0])} of A")
        yield _motif(names, np.stack(rows), None, where)
        number, header = next(lines, (number, ""))


def _read_meme(path: Path, lines: Lines) -> Iterator[Motif]:
    names: list[str] = []
    for number, line in lines:
        where = f"{path}, line {number}"
        if line.startswith("ALPHABET=") and line[9:].strip() != "ACGT":
            raise InputError(f"{where}: these are not motifs of DNA (ALPHABET= ACGT): {line[:40]!r}")
        if line.startswith("MOTIF"):
            if names:
                raise InputError(f"{where}: motif {names[0]!r} before it has no letter-probability matrix")
            if not (names := line[5:].split(None, 1)):
                raise InputError(f"{where}: expected a name after MOTIF")
        elif line.startswith("letter-probability matrix"):
            if not names:
                raise InputError(f"{where}: a matrix without a line such as 'MOTIF MA0139.2 CTCF' before it")
            yield _matrix(names, line, lines, path, number)
            names = []
    if names:
        raise InputError(f"{path}: motif {names[0]!r} has no letter-probability matrix")


def _matrix(names: list[str], header: str, lines: Lines, path: Path, number: int) -> Motif:
    where = f"{path}, line {number}: motif {names[0]!r}"
    attributes = dict(re.findall(r"(\w+)=\s*(\S+)", header))
    try:
        width, sites = int(attributes["w"]), round(float(attributes.get("nsites", DEFAULT_SITES)))
    except (KeyError, ValueError, OverflowError):
        raise InputError(f"{where}: expected 'w= WIDTH nsites= SITES', found {header[26:66]!r}") from None
    rows = []
    for position in range(1, width + 1):
        number, line = next(lines, (number + 1, "nothing"))
        where = f"{path}, line {number}: motif {names[0]!r}"
        row = _numbers(line, f"{where}, position {position} of {width}")
        if len(row) != 4 or abs(row.sum() - 1) > ROUNDING:
            raise InputError(f"{where}: expected probabilities of A, C, G and T that sum to 1, found {line[:40]!r}")
        rows.append(row)
    return _motif(names, sites * np.array(rows).T, sites, where)


def _numbers(text: str, where: str) -> np.ndarray:
    try:
        return np.array(text.split(), dtype=float)
    except ValueError:
        raise InputError(f"{where}: expected numbers, found {text[:40]!r}") from None


def _motif(names: list[str], counts: np.ndarray, sites: int | None, where: str) -> Motif:
    if not np.isfinite(counts).all():
        raise InputError(f"{where}: a number is not finite")
    try:
        return Motif(names[0], counts, round(counts.sum(0).max(initial=0)) if sites is None else sites, *names[1:])
    except InputError as error:
        raise InputError(f"{where.rsplit(': motif', 1)[0]}: {error}") from None


def write_jaspar(motifs: Sequence[Motif], path: Path | str) -> None:
    """Write counts in JASPAR format; spaces in names become ``_``, as both formats require."""
    with files.replacing(Path(path)) as temporary:
        temporary.write_text("".join(map(_jaspar_text, motifs)), encoding="utf-8")


def _jaspar_text(motif: Motif) -> str:
    rows = (" ".join(f"{count:.10g}" for count in row) for row in motif.counts)
    table = "".join(f"{base} [ {row} ]\n" for base, row in zip("ACGT", rows, strict=True))
    return f">{_word(motif.name)}\t{_word(motif.title or motif.name)}\n{table}"


def write_meme(motifs: Sequence[Motif], path: Path | str) -> None:
    """Write frequencies in minimal MEME format; spaces in names become ``_``."""
    header = "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\nBackground letter frequencies\n"
    with files.replacing(Path(path)) as temporary:
        temporary.write_text(
            header + "A 0.25 C 0.25 G 0.25 T 0.25\n\n" + "".join(map(_meme_text, motifs)), encoding="utf-8"
        )


def _meme_text(motif: Motif) -> str:
    title = f" {_word(motif.title)}" if motif.title else ""
    table = "".join(" ".join(f"{share:.8f}" for share in position) + "\n" for position in motif.frequencies.T)
    width = motif.counts.shape[1]
    size = f"alength= 4 w= {width} nsites= {motif.sites} E= 0"
    return f"MOTIF {_word(motif.name)}{title}\nletter-probability matrix: {size}\n{table}\n"


def _word(name: str) -> str:
    return "_".join(name.split())


def jaspar() -> list[Motif]:
    """The packaged motifs of transcription factors: JASPAR 2024 CORE, vertebrates (doi:10.1093/nar/gkad1059).

    Raises:
        InputError: The checksum of the file differs from that in its card.
    """
    return list(_packaged())


@cache
def _packaged() -> tuple[Motif, ...]:
    path = PACKAGED / "motifs.jaspar"
    if files.sha256(path) != files.read_yaml(PACKAGED / "card.yaml")["sha256"]:
        raise InputError(f"{path}: not the file that card.yaml describes (its checksum differs); install zoo again")
    return tuple(read_motifs(path))

"""Reading of variants from VCF files."""

import logging
import zlib
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from ...errors import InputError
from ...files import BYTE_ORDER_MARK, opened

HEADER = ["#CHROM", "POS", "ID", "REF", "ALT"]
COLUMNS = ["chromosome", "position", "id", "reference", "alternative"]
BASES = r"[ACGTNacgtn]+"
# Alternatives that are skipped, by reason; the first pattern that fits counts.
SKIPPED = {
    "symbolic": r"<.*",
    "overlapped by a deletion (*)": r"\*",
    "none (.)": r"\.",
    "breakends": r".*[][].*|\.[ACGTNacgtn]+|[ACGTNacgtn]+\.",
}
LETTERS = r"[A-Za-z]+"
OTHER_LETTERS = "with letters other than A, C, G, T and N"

log = logging.getLogger("zoo")


def read_vcf(path: Path) -> pd.DataFrame:
    """Read alleles of a VCF file (also gzipped, as by bgzip), one row each.

    Alleles that are not bases are skipped with a warning that counts them by reason: symbolic ones (``<DEL>``), ``*``,
    ``.``, breakends, and those where the allele or its reference has letters other than A, C, G, T and N, such as IUPAC
    codes. Genotypes and annotations are ignored.

    Format: Danecek et al. 2011, doi:10.1093/bioinformatics/btr330.

    Args:
        path: The file.

    Returns:
        One row per allele, indexed by its line in the file (``line``, from 1): ``chromosome``, ``position`` (of the
        first base of the reference, counted from 1 as in the file), ``id`` (``.`` if missing), ``reference`` and
        ``alternative`` (upper case).

    Raises:
        InputError: The file is missing, not VCF, or has no variants or none with bases, columns are missing or not
            separated by tabs, a position is not an integer, or an allele has other characters than letters.
    """
    try:
        with opened(path, held=False) as file:
            above = _skip_header(file, path)
            frame = pd.read_csv(
                file,
                sep="\t",
                header=None,
                usecols=range(len(COLUMNS)),
                names=COLUMNS,
                dtype=str,
                keep_default_na=False,
                quoting=3,
                skip_blank_lines=False,
            )
    except FileNotFoundError:
        raise InputError(f"no file {str(path)!r}") from None
    except (ValueError, OSError, EOFError, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        if isinstance(error, pd.errors.ParserError):
            _refuse_short(path)
        raise InputError(f"{path}: cannot be read as VCF: {' '.join(str(error).split())[:200]}") from None
    frame.index = pd.RangeIndex(above + 1, above + 1 + len(frame), name="line")
    return _alleles(frame[frame["chromosome"] != ""], path)


def _skip_header(file: BinaryIO, path: Path) -> int:
    """Number of lines up to the names of the columns."""
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
            if not line.startswith(b"##fileformat=VCF"):
                raise InputError(f"{path}: cannot be read as VCF: its first line must begin with ##fileformat=VCF")
        if not line.startswith(b"##"):
            if line.decode("utf-8", "replace").rstrip("\r\n").split("\t")[: len(HEADER)] != HEADER:
                raise InputError(f"{path}, line {number}: expected {' '.join(HEADER)} ..., separated by tabs")
            return number
    raise InputError(f"{path}: the file is empty or ends before {' '.join(HEADER)}")


def _few_columns(path: Path, line: int) -> str:
    return f"{path}, line {line}: fewer than {len(COLUMNS)} columns, which are separated by tabs"


def _refuse_short(path: Path) -> None:
    """Raise an `InputError` that names the first line with too few columns, of a file that pandas cannot read."""
    with opened(path, held=False) as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.startswith((b"#", BYTE_ORDER_MARK)) and line.count(b"\t") < len(COLUMNS) - 1:
                raise InputError(_few_columns(path, number)) from None


def _alleles(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if frame.empty:
        raise InputError(f"{path}: there is a header but no variants")
    if (short := frame["alternative"] == "").any():
        line = int(short.idxmax())
        raise InputError(_few_columns(path, line))
    integers = frame["position"].str.fullmatch(r"\d{1,18}")
    if not integers.all():
        line = int(integers.idxmin())
        raise InputError(f"{path}, line {line}: position {frame['position'][line]!r} is not a whole number")
    alleles = frame.assign(
        position=frame["position"].astype("int64"),
        id=frame["id"].where(frame["id"] != "", "."),
        alternative=frame["alternative"].str.split(","),
    ).explode("alternative")
    reasons = pd.Series("", index=alleles.index)
    for reason, pattern in SKIPPED.items():
        reasons[(reasons == "") & alleles["alternative"].str.fullmatch(pattern)] = reason
    for name in ("reference", "alternative"):
        letters = alleles[name].str.fullmatch(LETTERS) | ((name == "alternative") & (reasons != ""))
        if not letters.all():
            line, allele = alleles.index[~letters][0], alleles[name][~letters].iloc[0]
            raise InputError(f"{path}, line {line}: {name} {allele!r} has characters that are not bases")
        reasons[(reasons == "") & ~alleles[name].str.fullmatch(BASES)] = OTHER_LETTERS
    counts = reasons[reasons != ""].value_counts()
    if len(counts):
        listed = ", ".join(f"{count} {reason}" for reason, count in counts.items())
        log.warning("%s: %d of %d alleles skipped: %s", path, counts.sum(), len(alleles), listed)
    if not reasons.isin(["", OTHER_LETTERS]).any():
        raise InputError(f"{path}: no variant has an alternative allele of bases")
    kept = alleles[reasons == ""]
    return kept.assign(reference=kept["reference"].str.upper(), alternative=kept["alternative"].str.upper())

"""Reading of variants from VCF files."""

import gzip
import logging
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import pandas as pd

from ...errors import InputError

HEADER = ["#CHROM", "POS", "ID", "REF", "ALT"]
COLUMNS = ["chromosome", "position", "id", "reference", "alternative"]
BASES = r"[ACGTNacgtn]+"
NO_BASES = r"<.*|\*|\.|.*[][].*|\.[ACGTNacgtn]+|[ACGTNacgtn]+\."  # symbolic, overlapped, absent, breakends

log = logging.getLogger("zoo")


def read_vcf(path: Path) -> pd.DataFrame:
    """Read alleles of a VCF file (also gzipped), one row each.

    Alleles that are not bases are skipped with a warning: symbolic ones (``<DEL>``), ``*``, ``.`` and
    breakends. Genotypes and annotations are ignored.

    Format: Danecek et al. 2011, doi:10.1093/bioinformatics/btr330.

    Args:
        path: The file.

    Returns:
        One row per allele, indexed by its line in the file (``line``, from 1): ``chromosome``, ``position`` (of the
        first base of the reference, counted from 1 as in the file), ``id`` (``.`` if missing), ``reference`` and
        ``alternative`` (upper case).

    Raises:
        InputError: The file is missing, not VCF or has no variants, a position is not an integer, or an allele has
            letters that are not bases.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as opened:
            file = cast(BinaryIO, opened)
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
        raise InputError(f"{path}: cannot be read as VCF: {' '.join(str(error).split())[:200]}") from None
    frame.index = pd.RangeIndex(above + 1, above + 1 + len(frame), name="line")
    return _alleles(frame[frame["chromosome"] != ""], path)


def _skip_header(file: BinaryIO, path: Path) -> int:
    """Number of lines up to the names of the columns."""
    for number, line in enumerate(file, 1):
        if number == 1 and not line.startswith(b"##fileformat=VCF"):
            raise InputError(f"{path}: the first line of a VCF file must begin with ##fileformat=VCF")
        if not line.startswith(b"##"):
            if line.decode("utf-8", "replace").rstrip("\r\n").split("\t")[: len(HEADER)] != HEADER:
                raise InputError(f"{path}, line {number}: expected {' '.join(HEADER)} ..., separated by tabs")
            return number
    raise InputError(f"{path}: the file is empty or ends before {' '.join(HEADER)}")


def _alleles(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if frame.empty:
        raise InputError(f"{path}: there is a header but no variants")
    if (short := frame["alternative"] == "").any():
        line = int(short.idxmax())
        raise InputError(f"{path}, line {line}: fewer than {len(COLUMNS)} columns, which are separated by tabs")
    integers = frame["position"].str.fullmatch(r"\d{1,18}")
    if not integers.all():
        line = int(integers.idxmin())
        raise InputError(f"{path}, line {line}: position {frame['position'][line]!r} is not a whole number")
    if not (right := frame["reference"].str.fullmatch(BASES)).all():
        line = int(right.idxmin())
        raise InputError(f"{path}, line {line}: reference {frame['reference'][line]!r} has letters that are not bases")
    frame = frame.assign(position=frame["position"].astype("int64"), alternative=frame["alternative"].str.split(","))
    frame = frame.explode("alternative")
    no_bases = frame["alternative"].str.fullmatch(NO_BASES)
    kept = frame[~no_bases]
    if not (right := kept["alternative"].str.fullmatch(BASES)).all():
        line, allele = kept.index[~right][0], kept["alternative"][~right].iloc[0]
        raise InputError(f"{path}, line {line}: alternative {allele!r} has letters that are not bases")
    if no_bases.any():
        log.warning("%s: %d of %d alleles skipped (symbolic, '*', '.' or breakend)", path, no_bases.sum(), len(frame))
    if kept.empty:
        raise InputError(f"{path}: no variant has an alternative allele of bases")
    return kept.assign(reference=kept["reference"].str.upper(), alternative=kept["alternative"].str.upper())

"""Reading of FASTA files as tables."""

import gzip
import re
from pathlib import Path

import pandas as pd

from ...errors import InputError

LABEL = r"[|\s]([^|\s]+)\s*$"  # the last word of a header, after a space or a |
SUFFIXES = {".fa", ".fasta", ".fna", ".ffn", ".fas"}


def is_fasta(path: Path) -> bool:
    """Whether a file has a suffix of FASTA files, plain or gzipped."""
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix in SUFFIXES


def read_fasta(path: Path, label: str = LABEL) -> pd.DataFrame:
    """Read records of a FASTA file (also gzipped), or of a folder with one FASTA file per class.

    Args:
        path: File, or folder whose files are named after their classes: ``promoter.fa``, ``other.fa``.
        label: Regular expression whose group is the label in a header, such as ``EI`` in ``>seq1|EI``.

    Returns:
        One row per record: ``record`` (its name), ``sequence``, and ``label`` if the headers have it.

    Raises:
        InputError: The file is missing, empty or not FASTA, or only some headers have a label.
    """
    if path.is_dir():
        if not (paths := sorted(p for p in path.iterdir() if is_fasta(p))):
            raise InputError(f"{path}: no FASTA files in this folder; name them by class: promoter.fa, other.fa")
        parts = [_records(p).assign(label=p.name.split(".")[0]) for p in paths]
        return pd.concat(parts, ignore_index=True)[["record", "sequence", "label"]]
    records = _records(path)
    try:
        found = records["header"].str.extract(label)[0]
    except (re.error, ValueError):
        raise InputError(f"label {label!r} is not a regular expression with a group, as in '[|]([^|]+)$'") from None
    if found.isna().all():
        return records[["record", "sequence"]]
    if found.isna().any():
        header = records["header"][found.isna()].iloc[0]
        raise InputError(
            f"{path}: record {header!r} has no label in its header, unlike others; add it (>name|label), or give "
            "a pattern as --data.label"
        )
    numbers = pd.to_numeric(found, errors="coerce")
    # The label is not part of the name, unless names would not be unique without it.
    names = records["header"].str.replace(label, "", regex=True).str.split(n=1).str[0]
    if names.notna().all() and names.is_unique:
        records["record"] = names
    return records[["record", "sequence"]].assign(label=found if numbers.isna().any() else numbers)


def _records(path: Path) -> pd.DataFrame:
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            if (start := file.read(1)) != ">":
                what = "the file is empty" if not start else f"a FASTA file begins with '>', not {start!r}"
                raise InputError(f"{path}: {what}")
            file.seek(0)
            records = list(SimpleFastaParser(file))  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise InputError(f"no file {str(path)!r}") from None
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as FASTA: {' '.join(str(error).split())[:200]}") from None
    frame = pd.DataFrame(records, columns=["header", "sequence"])
    if (empty := frame["sequence"] == "").any():
        raise InputError(f"{path}: record {frame['header'][empty].iloc[0]!r} is empty; remove it")
    if (bare := frame["header"].str.strip() == "").any():
        raise InputError(f"{path}: record {int(bare.to_numpy().argmax()) + 1} has no name")
    return frame.assign(record=frame["header"].str.split(n=1).str[0])

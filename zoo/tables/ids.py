"""Names of samples that differ between two tables only in their spelling."""

import re
from collections.abc import Callable

import pandas as pd

BARCODE = 12  # first characters of a TCGA barcode, which identify the patient
SPELLINGS: dict[str, Callable[[str], str]] = {
    "in case": str.lower,
    "in blanks": lambda name: re.sub(r"\s+", "", name),
    "by '.0' at their end": lambda name: name.removesuffix(".0"),
    "in leading zeros": lambda name: re.sub(r"(?<!\d)0+(?=\d)", "", name),
    "in the folder or the ending, as those of .bam files": lambda name: re.sub(
        r"(\.sorted)?\.(bam|sam|cram|fastq|fq)(\.gz)?$", "", name.rpartition("/")[2]
    ),
    "in points, hyphens, underscores or a first X, as R writes them": lambda name: re.sub(
        r"[-._\s]+", ".", re.sub(r"^X(?=\d)", "", name)
    ),
}


def difference(names: pd.Index, others: pd.Index, here: str, there: str) -> str:
    """How names differ in spelling from those of another table, and what to do; empty if they do not match otherwise.

    Args:
        names: Names of the samples, text without missing values.
        others: Those of the other table.
        here: What ``names`` belongs to, in the message.
        there: What ``others`` belongs to, in the message.
    """
    for what, plain in SPELLINGS.items():
        known = {plain(other): other for other in others}
        for name in names:
            if (other := known.get(plain(name), name)) != name:
                return f"the names differ {what}: use the same spelling in both ({name!r} and {other!r})"
    for long, short, which in ((names, others, here), (others, names, there)):
        if (cut := long.str[:BARCODE].isin(short) & (long.str.len() > BARCODE)).any():
            first = long[cut][0]
            return f"{which} has sample barcodes ({first}): shorten them to those of patients ({first[:BARCODE]})"
    return ""

"""Reading of FASTA files as tables."""

import codecs
import logging
import re
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import InputError
from ...files import opened

LAST_WORD = r"[|\s]([^|\s]+)\s*$"  # of a header, after a space or a |
SUFFIXES = {".fa", ".fasta", ".fna", ".ffn", ".fas", ".fsa", ".frn", ".faa"}
# Related formats, which are refused with the way to convert them: the beginning of their files.
OTHERS = {
    "@": ("FASTQ", "seqtk seq -A reads.fastq > reads.fa"),
    "LOCUS": ("GenBank", "python -c \"from Bio import SeqIO; SeqIO.convert('a.gb', 'genbank', 'a.fa', 'fasta')\""),
    "ID ": ("EMBL", "python -c \"from Bio import SeqIO; SeqIO.convert('a.embl', 'embl', 'a.fa', 'fasta')\""),
}
OTHER_SUFFIXES = {".fastq", ".fq", ".gb", ".gbk", ".genbank", ".embl"}
NUMBER = r"[-+]?(?:0|[1-9]\d*)?(?:\.\d+)?(?:[eE]-\d+)?(?<=\d)"  # 01 and 1E1 are names
DESCRIPTION = r"[^\s|]\s+[^\s|]+\s+[^\s|]+\s*$"  # the last word follows others, without a |
FIELDS = {  # last words of headers that describe the record rather than its class: pattern, and what it is
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|(?:19|20)\d\d": "is a date",
    r"chr(?:omosome|\d+|[XYWZM]|MT|Un)(?:[_.]\w+)*|(?:scaffold|contig)[_.]?\d+|N[CTW]_\d+(?:\.\d+)?": (
        "is the name of a chromosome"
    ),
    r"f(?:or)?wd?|forward|rev(?:erse)?|r(?:ev)?_?c(?:omp(?:lement)?)?|reverse_?complement|plus|minus|sense"
    r"|antisense": "is a strand",
    r"\d+/\d+": "is the number of a part",
    r"\d+(?:bp|nt|kb|mb|aa)": "is a length",
}
MOST_NUMBERS = 10  # different whole numbers that are taken as classes
REMEDY = (
    "give --data.label REGEX with the label as its group, such as 'class=(\\w+)', a folder with one FASTA file per "
    "class, or --data.target_kind none for sequences without labels"
)
NO_LABEL = "no label"  # attribute of the table: why it has no labels
REMOVED = str.maketrans("", "", " \t\v\f0123456789")  # of lines of sequences, such as the positions in GenBank

log = logging.getLogger("zoo")


def is_fasta(path: Path) -> bool:
    """Whether a file has a suffix of FASTA files, or of formats that must be converted to FASTA, plain or gzipped."""
    name = path.with_suffix("") if path.suffix.lower() in (".gz", ".bgz") else path
    return name.suffix.lower() in SUFFIXES | OTHER_SUFFIXES


def read_fasta(
    path: Path, label: str | None = None, classes: Collection[str] = (), numbers: bool = False
) -> pd.DataFrame:
    """Read records of a FASTA file (also gzipped), or of a folder with one FASTA file per class.

    Without a pattern the last word of each header is the label, after a space or a ``|``. It is not if that is
    doubtful: the word differs in nearly every record, contains ``=``, is a length, a position, a date, a chromosome or
    a strand, belongs to a description of several words, or only some headers have one.

    Args:
        path: File, or folder whose files are named after their classes: ``promoter.fa``, ``other.fa``.
        label: Regular expression whose group is the label in a header, such as ``EI`` in ``>seq1|EI``.
        classes: Labels that are known, such as those of a trained model; they are not doubted.
        numbers: The labels are numbers to predict, which may differ in every record.

    Returns:
        One row per record: ``record`` (its name), ``sequence``, and ``label`` if the headers have it. Otherwise
        ``attrs["no label"]`` states why they have none, in one line.

    Raises:
        InputError: The file is missing, empty or not FASTA, contains proteins, names a record twice, or the pattern is
            not a regular expression with a group.
    """
    if path.is_dir():
        if not (paths := sorted(p for p in path.iterdir() if is_fasta(p))):
            raise InputError(f"{path}: no FASTA files in this folder; name them by class: promoter.fa, other.fa")
        parts = [_records(p).assign(label=p.name.split(".")[0]) for p in paths]
        return _unique(pd.concat(parts, ignore_index=True)[["record", "sequence", "label"]], path)
    records = _records(path)
    headers = records["header"]
    try:
        found = headers.str.extract(label or LAST_WORD)[0]
    except (re.error, ValueError):
        raise InputError(f"label {label!r} is not a regular expression with a group, as in '[|]([^|]+)$'") from None
    why = _without_label(headers, found)
    if not why and label is None and not set(found) <= set(classes):
        why = _doubt(records, found, numbers)
    if why:
        plain = records[["record", "sequence"]]
        plain.attrs[NO_LABEL] = f"{path}: {why}"
        return _unique(plain, path)
    # The label is not part of the name, unless names would not be unique without it.
    names = headers.str.replace(label or LAST_WORD, "", regex=True).str.split(n=1).str[0]
    if names.notna().all() and names.is_unique:
        records["record"] = names
    labels = found.drop_duplicates()
    if labels.str.fullmatch(NUMBER).all() and not set(labels) <= set(classes):
        values = found.astype("float64")
        if numbers or (values % 1 != 0).any() or len(labels) > MOST_NUMBERS:
            found = values
    return _unique(records[["record", "sequence"]].assign(label=found), path)


def _without_label(headers: pd.Series, found: pd.Series) -> str:
    """Why the headers have no label, if only some or none have; otherwise an empty string."""
    if found.isna().all():
        return f"no column 'label': the headers, such as {headers.iloc[0]!r}, have no label; {REMEDY}"
    if found.isna().any():
        return f"record {headers[found.isna()].iloc[0]!r} has no label in its header, unlike others; {REMEDY}"
    return ""


def _doubt(records: pd.DataFrame, found: pd.Series, numbers: bool) -> str:
    """Why it is doubtful that the last words of the headers are labels; otherwise an empty string."""
    headers, labels = records["header"], found.drop_duplicates()
    numeric, lone = bool(labels.str.fullmatch(NUMBER).all()), not headers.str.contains(r"[^\s|]\s+[^\s|]").any()
    if numeric and (numbers or (lone and (labels.astype("float64") % 1 != 0).any())):
        return ""
    for doubtful, what in (
        (labels.str.contains("[=:]"), "is not a plain word"),
        *((_all_are(labels, pattern), what) for pattern, what in FIELDS.items()),
        (~labels.str.contains(r"\w"), "has no letter or digit"),
        (
            numeric and (found.astype("float64") == records["sequence"].str.len()).all(),
            "is the length of the sequence",
        ),
        (
            numeric and len(labels) > MOST_NUMBERS,
            "is a number (if it is to be predicted, give --data.target_kind regression)",
        ),
        (headers.str.contains(DESCRIPTION), "belongs to a description of several words"),
        (len(labels) > max(2, len(found) // 2), f"is one of {len(labels)} different ones"),
    ):
        if np.any(doubtful):
            first = doubtful.idxmax() if isinstance(doubtful, pd.Series) else 0
            return (
                f"it is not clear which word is the label: in the header {headers[first]!r}, {found[first]!r} {what}; "
                f"{REMEDY}"
            )
    return ""


def _all_are(labels: pd.Series, pattern: str) -> bool:
    return bool(labels.str.fullmatch(pattern, case=False).all())


def _unique(records: pd.DataFrame, path: Path) -> pd.DataFrame:
    if (doubled := records["record"].duplicated()).any():
        name = records["record"][doubled].iloc[0]
        count = int((records["record"] == name).sum())
        raise InputError(f"{path}: {count} records are named {name!r}; give each record a name of its own")
    return records


def _records(path: Path) -> pd.DataFrame:
    """Headers, names and sequences of a file."""
    try:
        with opened(path) as file:
            text = _decoded(file.read())
    except FileNotFoundError:
        raise InputError(f"no file {str(path)!r}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as FASTA: {' '.join(str(error).split())[:200]}") from None
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line and not line.startswith(";")]
    if not lines or not lines[0].startswith(">"):
        raise InputError(f"{path}: {_not_fasta(lines[0]) if lines else 'the file is empty'}")
    headers: list[str] = []
    parts: list[list[str]] = []
    for line in lines:
        if line.startswith(">"):
            headers.append(line[1:].strip())
            parts.append([])
        else:
            parts[-1].append(line)
    frame = pd.DataFrame({"header": headers, "sequence": _cleaned(["".join(p) for p in parts], path)}, dtype=object)
    if (bare := frame["header"] == "").any():
        raise InputError(f"{path}: record {int(bare.to_numpy().argmax()) + 1} has no name")
    if (empty := frame["sequence"] == "").any():
        raise InputError(f"{path}: record {frame['header'][empty].iloc[0]!r} is empty; remove it")
    return frame.assign(record=frame["header"].str.split(n=1).str[0])


def _decoded(content: bytes) -> str:
    """Text in UTF-8, in UTF-16 (told by its byte-order mark or by the zero byte beside the first ``>``), or Latin-1."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    kinds = {b">\0": "utf-16-le", b"\0>": "utf-16-be"}
    if kind := "utf-16" if wide else kinds.get(content[:2]):
        return content.decode(kind, "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _not_fasta(line: str) -> str:
    for start, (name, command) in OTHERS.items():
        if line.startswith(start):
            return f"this is {name}, convert it to FASTA first: {command}"
    return f"a FASTA file begins with '>', not {line[0]!r}"


def _cleaned(sequences: list[str], path: Path) -> list[str]:
    """Sequences without blanks, digits and a final ``*``; proteins are refused by their letters."""
    joined = "".join(sequences).upper().encode("ascii", "replace")
    counts = np.bincount(np.frombuffer(joined, np.uint8), minlength=256)
    present = {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}
    letters = sum(count for letter, count in present.items() if letter.isalpha())
    if 2 * sum(present.get(letter, 0) for letter in "ACGTUN") < letters:
        own = ", ".join(sorted(set(present) & set("EFILPQXZ"))) or "mostly other letters than A, C, G, T, U and N"
        raise InputError(f"{path}: the sequences look like proteins ({own}); models of sequences take DNA or RNA")
    if any(letter.isdigit() or letter.isspace() for letter in present):
        log.info("%s: digits and blanks inside the sequences are left out", path)
        sequences = [sequence.translate(REMOVED) for sequence in sequences]
    if "*" in present and (ended := sum(sequence.endswith("*") for sequence in sequences)):
        log.info("%s: the '*' at the end of %d sequences is left out", path, ended)
        sequences = [sequence.removesuffix("*") for sequence in sequences]
    if "U" in present:
        log.info("%s: U (RNA) is read as T", path)
    return sequences

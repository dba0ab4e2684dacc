"""Numbers in text: words for missing values, decimal commas, thousands separators, codes that look like numbers."""

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# In a column of numbers these words, in any case, mean that the value is missing.
WORDS = """
    na n/a n.a. #n/a #na <na> nan -nan null nil none missing unknown ? . - -- #num! #div/0! #value! #ref! #name?
    1.#qnan 1.#ind
"""
MISSING = frozenset(WORDS.split())
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# '0012' and '1E5' (a well, an identifier) are codes; programs write numbers as 12 and 1e+05 or 1.0E5.
CODE = re.compile(r"0\d+|\d+[eE]\d+")
ODD = r"^0\d|^\d+[eE]\d+$|[nN]"  # among text that Arrow accepts as numbers: codes, 'nan' and 'inf'
COMMA = re.compile(r"[+-]?(\d{1,3}([. '’\u00a0\u202f]\d{3})+|\d+),\d+([eE][+-]?\d+)?")  # 1,5 and 1.234,5
GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")  # 219,085
POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")  # 219.085 in a file with decimal commas
BLANKS = re.compile(r"[+-]?[1-9]\d{0,2}([ '’\u00a0\u202f]\d{3})+([.,]\d+)?")  # 219 085 and 219'085


def is_number(text: str) -> bool:
    """Whether a text is a number as programs write it (not a code such as 0012, and not 'nan' or 'inf')."""
    text = text.strip()
    return NUMBER.fullmatch(text) is not None and CODE.fullmatch(text) is None


def plain(text: str, comma: bool) -> float | None:
    """Value of a number written with a decimal comma (``comma``) or with thousands separators; None if it is neither.

    >>> plain("1.234,5", comma=True), plain("219,085", comma=False), plain("219 085", comma=False)
    (1234.5, 219085.0, 219085.0)
    """
    text = text.strip().replace("−", "-").removesuffix("%").rstrip()
    if NUMBER.fullmatch(text) and not CODE.fullmatch(text) and not (comma and POINTS.fullmatch(text)):
        return float(text)
    if comma and (COMMA.fullmatch(text) or POINTS.fullmatch(text)):
        return float(re.sub(r"[. '’\u00a0\u202f]", "", text).replace(",", "."))
    if BLANKS.fullmatch(text):
        return float(re.sub(r"[ '’\u00a0\u202f]", "", text).replace(",", "."))
    return float(text.replace(",", "")) if not comma and GROUPS.fullmatch(text) else None


def missing_word(text: str, words: Iterable[str] = ()) -> bool:
    """Whether a text means that a number is missing: one of `MISSING`, or of the words that the user lists."""
    return text.strip().lower() in MISSING or text in words


def cast(column: pa.Array) -> np.ndarray | None:
    """Numbers of a column of text, int64 or float64 (NaN where null); None if a value is not written as a number."""
    if column.null_count == len(column):
        return np.full(len(column), np.nan)
    try:
        values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    if pc.any(pc.match_substring_regex(column, ODD)).as_py():
        return None
    if column.null_count == 0 and (values == np.floor(values)).all():
        with suppress(pa.ArrowInvalid):  # 1.0 and 1e6 stay float64
            values = pc.cast(column, pa.int64()).to_numpy(zero_copy_only=False)
    result: np.ndarray = values
    return result


def trimmed(column: pa.Array) -> pa.Array:
    """Text without blanks at its ends; null where nothing is left."""
    column = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(column, ""), None, column)


def is_word(column: pa.Array, words: Iterable[str]) -> pa.Array:
    """Where trimmed text is one of `MISSING`, or of the words that the user lists for this column."""
    found = pc.is_in(pc.utf8_lower(column), pa.array(sorted(MISSING)))
    listed = [str(word) for word in words]
    return pc.or_kleene(found, pc.is_in(column, pa.array(listed))) if listed else found


def without_missing(column: pa.Array, words: Iterable[str]) -> tuple[np.ndarray, Counter[str]] | None:
    """Numbers of a column that also has words for missing values, and how often each occurs; None if it has other text.

    Args:
        column: Trimmed text.
        words: Words that the user lists for this column.
    """
    missing = is_word(column, words)
    count = pc.sum(missing).as_py() or 0
    if not count or count + column.null_count == len(column):
        return None  # a column of words only is not one of numbers
    values = cast(pc.if_else(missing, None, column))
    if values is None:
        return None
    taken = pc.value_counts(column.filter(missing)).to_pylist()
    return values, Counter({entry["values"]: entry["counts"] for entry in taken})

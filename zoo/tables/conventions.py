"""Decimal commas and thousands separators, which the numbers of a whole file decide together."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from .numbers import BLANKS, COMMA, GROUPS, NUMBER, POINTS, missing_word, plain

MOST_NOTES = 5  # columns of which an example is given
FEWEST = 3  # different values with three digits after the point from which these may be thousands
Cells: TypeAlias = Any  # pyarrow array of the text of a column, without blanks at the ends, null where empty


def variants(cells: Cells) -> list[str] | None:
    """The different texts of a column, if at least half of the first ones are numbers in any convention; else None."""
    few = pc.unique(cells.drop_null()[:500]).to_pylist()
    likely = sum(plain(text, True) is not None or plain(text, False) is not None for text in few)
    if not few or likely < 0.5 * len(few):
        return None
    found: list[str] = pc.unique(cells.drop_null()).to_pylist()
    return found


def has_decimal_comma(texts: Iterable[str], separator: str) -> bool | None:
    """Whether numbers are written with decimal commas (True) or thousands commas (False); None if that is not certain.

    >>> has_decimal_comma(["1,5", "219,085"], ";"), has_decimal_comma(["1,234,567"], ";")
    (True, False)
    """
    commas = [bare(text) for text in texts if "," in text]
    if any(COMMA.fullmatch(text) and not GROUPS.fullmatch(text) for text in commas):
        return True
    if any(text.count(",") > 1 or "." in text for text in commas if GROUPS.fullmatch(text)):
        return False
    # 219,085 can be either; where commas separate the columns, nobody writes decimal commas.
    return False if separator == "," or not commas else None


def bare(text: str) -> str:
    """A number without a percent sign, and with a plain minus."""
    return text.replace("−", "-").removesuffix("%").rstrip()


def read_variants(
    odd: Mapping[str, tuple[Cells, list[str]]],
    plain_numbers: Mapping[str, Cells],
    words: Mapping[str, Iterable[str]],
    separator: str,
    source: str,
    decimal: str | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, Counter[str]], list[str]]:
    """Numbers of the columns that have commas, points or blanks between digits, or percent signs.

    Args:
        odd: Text of columns that are not plain numbers, and its different values.
        plain_numbers: Text of the columns that are plain numbers.
        words: Words that the user lists as missing, by column.
        separator: Separator of the columns.
        source: Name of the file in an error.
        decimal: The decimal sign, a point or a comma, if the user states it.

    Returns:
        Values (float64, NaN where missing) of the columns that are numbers, and words taken for missing values there;
        for columns that have other text as well the text, with numbers written as 1.5; and a note for each column.

    Raises:
        InputError: A comma or a point may be a decimal sign or a thousands separator.
    """
    listed = {name: set(map(str, words.get(name, ()))) for name in odd}
    texts = {name: [t for t in found if not missing_word(t, listed[name])] for name, (_, found) in odd.items()}
    stated = None if decimal is None else decimal == ","
    own = {name: has_decimal_comma(found, separator) if stated is None else stated for name, found in texts.items()}
    uncertain = stated is None and (separator == ";" or any(o is not False for o in own.values()))
    pointed = [name for name, cells in plain_numbers.items() if _has_point(cells)] if uncertain else []
    grouped = [name for name in pointed if _all_match(plain_numbers[name], rf"{POINTS.pattern}|\d{{1,3}}")]
    decimal_points = len(pointed) > len(grouped)
    whole = stated if stated is not None else True if True in own.values() else False if decimal_points else None
    values, taken, notes = {}, {}, []
    for name, found in texts.items():
        commas = [text for text in found if "," in text]
        others = any(BLANKS.fullmatch(t) or t.endswith("%") or t.startswith("−") or t.count(".") > 1 for t in found)
        if not commas and not others and not (whole and any(POINTS.fullmatch(t) for t in found)):
            continue
        comma = own[name] if own[name] is not None and commas else whole
        if commas and comma is None:
            raise InputError(_unclear(name, commas[0], ",", source))
        points = [t for t in found if comma and "." in t and NUMBER.fullmatch(t) and not POINTS.fullmatch(t)]
        if commas and points:
            raise InputError(
                f"{source}: column {name!r}: {commas[0]} and {points[0]} have different decimal signs; correct one"
            )
        known = {text: plain(text, bool(comma)) for text in found}
        percent = sum(text.endswith("%") for text in found)
        if percent not in (0, len(found)):
            continue
        if None in known.values():  # the text that is no number is refused where the column is used
            values[name] = _rewritten(odd[name][0], known)
            continue
        values[name], taken[name] = _looked_up(odd[name][0], known)  # type: ignore[arg-type]
        example = next(t for t in [*commas, *found] if not NUMBER.fullmatch(t) or POINTS.fullmatch(t))
        notes.append(f"column {name!r}: {example} is read as {known[example]:.10g}")
    if whole is None and separator == ";":
        for name in grouped:
            if pc.count_distinct(plain_numbers[name]).as_py() >= FEWEST:
                raise InputError(_unclear(name, plain_numbers[name].drop_null()[0].as_py(), ".", source))
    if whole:
        for name, cells in plain_numbers.items():
            if _has_point(cells) and _all_match(cells, rf"{POINTS.pattern}|\d{{1,3}}"):
                text = pc.replace_substring(cells, ".", "")
                values[name] = pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
                example = cells.drop_null()[0].as_py()
                notes.append(
                    f"column {name!r}: {example} is read as {example.replace('.', '')}, as decimals have commas"
                )
    if len(notes) > MOST_NOTES:
        notes = [*notes[:MOST_NOTES], f"and so in {len(notes) - MOST_NOTES} more columns"]
    return values, {name: counts for name, counts in taken.items() if counts}, notes


def _unclear(name: str, example: str, sign: str, source: str) -> str:
    kinds = {",": "a decimal comma or commas", ".": "a decimal point or points"}[sign]
    other = "." if sign == "," else ","
    return (
        f"{source}: column {name!r}: {example} may have {kinds} between thousands; state the decimal sign: "
        f"--data.decimal '{sign}' if it is {example.replace(sign, '.')}, --data.decimal '{other}' if it is "
        f"{example.replace(sign, '')}"
    )


def _has_point(cells: Cells) -> bool:
    return bool(pc.any(pc.match_substring(cells, ".")).as_py())


def _all_match(cells: Cells, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(cells, f"^({pattern})$")).as_py())


def _rewritten(cells: Cells, known: dict[str, float | None]) -> np.ndarray:
    """Text of each cell, numbers as Python writes them; NaN where null."""
    written = {text: repr(value) for text, value in known.items() if value is not None}
    return np.array([np.nan if t is None else written.get(t, t) for t in cells.to_pylist()], dtype=object)


def _looked_up(cells: Cells, known: dict[str, float]) -> tuple[np.ndarray, Counter[str]]:
    """Value of each cell, NaN for all others, and how often each of the others occurs."""
    encoded = cells.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    values = np.array([*(known.get(text, np.nan) for text in texts), np.nan])
    codes = pc.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False)
    return values[codes], Counter({t: int((codes == i).sum()) for i, t in enumerate(texts) if t not in known})

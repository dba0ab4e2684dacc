"""Values of columns in any type: text of levels, numbers, codes of levels; the same in training and prediction."""

import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from .numbers import CODE, NUMBER, is_number, missing_word, plain

TRUTH = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def natural_order(value: str) -> tuple[int, float, str]:
    """Sort key: numbers by value, then text in alphabetical order."""
    return (0, float(value), value) if NUMBER.fullmatch(value) else (1, 0.0, value)


def as_text(column: pd.Series) -> pd.Series:
    """Levels as text without blanks at the ends; 1.0 and 1 are the same level; NaN where missing or empty.

    >>> as_text(pd.Series([1.0, 2.5, None])).tolist()
    ['1', '2.5', nan]
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype if not column.isna().any() else object)
    if pd.api.types.is_float_dtype(column):
        return column.map(_of_float, na_action="ignore").astype(object).where(column.notna(), np.nan)
    if pd.api.types.is_integer_dtype(column) and not column.isna().any():
        return column.map(str)
    text = column.astype(object).map(_of_any, na_action="ignore")
    return text.where(text.notna() & (text != ""), np.nan)


def _of_float(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _of_any(value: Any) -> str:
    return _of_float(value) if isinstance(value, float) else str(value).strip()


def alike(levels: pd.Index) -> pd.Series:
    """Spelling of levels in which case, blanks, signs between words and invisible characters do not matter."""
    plain = [
        "".join(sign for sign in unicodedata.normalize("NFKC", level) if unicodedata.category(sign) != "Cf").lower()
        for level in levels
    ]
    return pd.Series(plain, levels, dtype=object).str.replace(r"[\s_-]+", " ", regex=True)


def is_code(text: str) -> bool:
    """Whether a text looks like a number but is none: leading zeros (``0012``), or an exponent without a sign."""
    return CODE.fullmatch(text) is not None


def level_codes(column: pd.Series, known: list[str], missing: Collection[Any] = ()) -> tuple[np.ndarray, pd.Series]:
    """Positions of the values of a column among known levels.

    ``1``, ``1.0``, ``"1"`` and a pandas category are the same level, and so are ``True``, ``TRUE`` and ``1`` if the
    known levels are true and false; ``01`` is not 1.

    Args:
        column: Values of any type.
        known: Levels, as text.
        missing: Values that mean a missing value.

    Returns:
        float32 ``shape=(rows,)``: the position, ``len(known)`` for an unknown level, NaN where missing; and the unknown
        levels as text, indexed by row.
    """
    text = without(as_text(column), missing)
    place: dict[str, int] = {level: code for code, level in enumerate(known)}
    spelling = _truth if known and all(level.lower() in ("true", "false") for level in known) else _number
    other = {spelling(level): code for level, code in place.items()}
    codes = {}
    for value in text.dropna().unique():
        code = place.get(value)
        if code is None:
            same = spelling(value)
            code = len(known) if same is None else other.get(same, len(known))
        codes[value] = float(code)
    found = text.map(codes).to_numpy(dtype=np.float32, na_value=np.nan)
    return found, text[found == len(known)]


def without(text: pd.Series, missing: Collection[Any]) -> pd.Series:
    """Text as from `as_text`, NaN where it is one of the values that mean a missing value."""
    return text.mask(text.isin({_of_any(word) for word in missing}), np.nan) if len(missing) else text


def _number(level: str) -> float | None:
    """Value of a level that is a number, which other spellings share."""
    return float(level) if NUMBER.fullmatch(level) and not is_code(level) else None


def _truth(level: str) -> bool | None:
    """Meaning of a level of true and false, which other spellings share."""
    return TRUTH.get(level.lower().removesuffix(".0"))


def numbers(frame: pd.DataFrame, source: str, missing: Mapping[str, Collection[Any]] | None = None) -> np.ndarray:
    """Columns as float32, ``shape=(rows, columns)``, missing values as NaN.

    Text that is a number counts as one, True and False as 1 and 0; in columns of text the words of
    `zoo.tables.numbers.MISSING` mean a missing value.

    Args:
        frame: Columns of numbers, whatever their type.
        source: Name of the table in errors.
        missing: Other words that mean a missing value, by column.

    Raises:
        InputError: A value is text or infinite; the message names column and row.
    """
    plain = [pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]
    if not all(plain):
        parsed = {
            number: _parsed(frame.iloc[:, number], source, (missing or {}).get(str(frame.columns[number]), ()))
            for number, numeric in enumerate(plain)
            if not numeric
        }
        values = np.empty(frame.shape, dtype=np.float32)
        numeric = np.flatnonzero(plain)
        values[:, numeric] = _float32(frame.iloc[:, numeric])
        for number, column in parsed.items():
            with np.errstate(over="ignore"):
                values[:, number] = column
    else:
        values = _float32(frame)
    if (bad := np.isinf(values)).any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"{source}: column {frame.columns[column]!r}, row {frame.index[row]}: the value is infinite or beyond "
            "float32; correct it, or leave it empty if missing"
        )
    return values


def _float32(frame: pd.DataFrame) -> np.ndarray:
    with np.errstate(over="ignore"):
        values: np.ndarray = frame.to_numpy(dtype=np.float32, na_value=np.nan)
    return values


def _parsed(column: pd.Series, source: str, words: Collection[Any]) -> np.ndarray:
    text = as_text(column)
    listed = {_of_any(word) for word in words}
    values = {}
    different = text.dropna().unique()
    # Where one value is no number at all, others may have remained text with decimal commas: it is named first.
    different = sorted(different, key=lambda value: plain(value, True) is not None or plain(value, False) is not None)
    for value in different:
        if value in listed or missing_word(value):
            values[value] = np.nan
        elif value.lower() in ("true", "false"):
            values[value] = float(value.lower() == "true")
        elif is_number(value) or NUMBER.fullmatch(value) or value.lower() in ("inf", "-inf", "infinity", "-infinity"):
            values[value] = float(value)
        else:
            row = text.index[(text == value).to_numpy().argmax()]
            raise InputError(
                f"{source}: column {column.name!r}, row {row}: {value!r} is not a number; correct it, or leave it "
                f"empty if missing (--data.missing '{{{column.name}: [\"{value}\"]}}')"
            )
    result: np.ndarray = text.map(values).to_numpy(dtype=np.float64, na_value=np.nan)
    return result

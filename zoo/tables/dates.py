"""Dates in text: which formats fit a whole column, and days since a date."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..spec import DateColumn

FORMATS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d.%m.%y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%Y-%m",
    "%b %Y",
    "%B %Y",
)
TIMES = (
    "%H:%M",
    "%H:%M:%S",
    "%H:%M:%S.%f",
    "%H:%M:%SZ",
    "%H:%M:%S.%fZ",
    "%H:%M:%S%z",
    "%H:%M:%S.%f%z",
    "%I:%M %p",
    "%I:%M:%S %p",
)
CLOCKS = ("", *(f" {time}" for time in TIMES), *(f"T{time}" for time in TIMES))
LIKELY = re.compile(
    r"(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}\.?[ -][^\W\d]{3,9}[ -]\d{2,4}|[^\W\d]{3,9} \d{1,2}, \d{4}"
    r"|(19|20)\d\d-\d\d|(jan|feb|m[aä]r|apr|ma[yi]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[^\W\d]* (19|20)\d\d)\b.*",
    re.IGNORECASE,
)
DAY = 86_400.0  # seconds
PADDING = re.compile(r"^0(?=\d)|(?<=[-/. ])0(?=\d[-/., ])")
AT_END = re.compile(r"(?<=[-/.])0(?=\d(?:$|[ T]))")
UNPADDED = re.compile(r"^\d[-/. ]|[-/. ]\d[-/., ]|[-/.]\d(?:$|T)")


def formats(texts: Iterable[str]) -> list[str]:
    """Formats that fit every text, each of which reads at least one differently; none if they are no dates.

    >>> formats(["10/1/2024", "3/2/2024"]), formats(["31/1/2024"]), formats(["2024-01-31 8:00"])
    (['%d/%m/%Y', '%m/%d/%Y'], ['%d/%m/%Y'], ['%Y-%m-%d %H:%M'])
    """
    different = pd.Series(list(dict.fromkeys(texts)), dtype=object)
    if not len(different) or not different.str.fullmatch(LIKELY).all():
        return []
    fitting: dict[str, pd.Series] = {}
    first = different.iloc[:20]
    for day in FORMATS:
        for clock in CLOCKS:
            kind = day + clock
            if parse(first, kind).isna().any() or (parsed := parse(different, kind)).isna().any():
                continue
            if not any(parsed.equals(known) for known in fitting.values()):
                fitting[kind] = parsed
    return list(fitting)


def odd_ones(texts: list[str]) -> list[str]:
    """Texts that do not fit the format that fits most of them; at least one."""
    different = pd.Series(texts, dtype=object)
    fits = [parse(different, day + clock).notna() for day in FORMATS for clock in ("", " %H:%M", " %H:%M:%S")]
    best = max(fits, key=lambda fit: int(fit.sum()))
    found: list[str] = different[~best].tolist()
    return found or texts[:1]


def later_than_today(texts: Iterable[str], kind: str) -> str:
    """The first date of a format with two digits for the year that lies in the future, or an empty text."""
    if "%y" not in kind:
        return ""
    different = pd.Series(list(texts), dtype=object)
    later = different[parse(different, kind) > pd.Timestamp.now()]
    return str(later.iloc[0]) if len(later) else ""


def parse(texts: pd.Series, kind: str) -> pd.Series:
    """Dates of text in this format (datetime64, in UTC if a zone is stated), NaT where it does not fit."""
    return pd.to_datetime(texts, format=kind, errors="coerce", utc="%z" in kind or kind.endswith("Z") or None)


def written(days: np.ndarray, how: DateColumn) -> pd.Series:
    """Dates of a column as in the training file, from days since its origin; datetime64 if they had no format.

    >>> written(np.array([1.0, np.nan]), {"format": "%d/%m/%Y", "origin": "2020-01-31", "padded": False}).tolist()
    ['1/2/2020', nan]
    """
    since = pd.Series(pd.to_timedelta(days, unit="D")).dt.round("s")
    times = pd.Timestamp(how["origin"]) + since
    if not how["format"]:
        return times
    text = times.dt.strftime(how["format"].replace("%f", "000").replace("%z", "+0000")).astype(object)
    if not how.get("padded", True):
        text = text.str.replace(PADDING, "", regex=True)
        if how["format"].startswith("%Y"):  # the day is last, not the year
            text = text.str.replace(AT_END, "", regex=True)
    return text.where(times.notna(), np.nan)


def are_padded(texts: pd.Series, form: str) -> bool:
    """Whether days and months of text in this format have two digits."""
    return not texts.str.contains(UNPADDED, regex=True).any() if "%d" in form or "%m" in form else True


def days(column: pd.Series, kind: str | None = None) -> np.ndarray:
    """Days since 1 January 1970 of a column of dates or of text in this format; float64, NaN where missing.

    >>> days(pd.Series(["1970-01-02 12:00", None]), "%Y-%m-%d %H:%M").tolist()
    [1.5, nan]
    """
    dates = column if pd.api.types.is_datetime64_any_dtype(column) else parse(column, kind or "%Y-%m-%d")
    if getattr(dates.dt, "tz", None) is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    seconds = dates.to_numpy("datetime64[us]").astype("int64") / 1e6
    result: np.ndarray = np.where(dates.isna().to_numpy(), np.nan, seconds / DAY)
    return result

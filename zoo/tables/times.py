"""Times in a column or in names: numbers, dates, clock times, durations, and numbers in constant text (``day 10``)."""

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..errors import InputError
from . import dates
from .numbers import NUMBER
from .values import as_text

SECONDS = {
    **dict.fromkeys(("us", "µs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("wk", "week", "weeks"), 604_800.0),
}
NAMES = {"t", "time", "times", "timestamp", "timepoint", "date", "datetime", *(unit for unit in SECONDS if unit != "d")}
CLOCK = re.compile(
    r"(?:(?P<days>-?\d+)\s*(?:d|days?)[\s,]+\+?)?"
    r"(?P<hours>\d{1,3}):(?P<minutes>[0-5]\d)(?::(?P<seconds>[0-5]\d(?:\.\d+)?))?\s*(?P<half>[ap]\.?m\.?)?"
)
AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zµ]+)\s*")
NUMBERED = re.compile(r"(.*?)([+-]?\d+(?:\.\d+)?)(\D*)")
ISO = re.compile(r"\d{4}-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?)?")
HELP = "use numbers, dates, clock times or the like (day 10)"


@dataclass
class Times:
    """Times, as numbers.

    Attributes:
        numbers: float64 ``shape=(rows,)``, NaN for text that is no time of this kind.
        kind: ``"numbers"``, ``"dates"``, ``"clock times"`` or ``"durations"``.
        seconds: Whether numbers are in seconds; otherwise their unit is not known.
        formats: Formats of the dates; more than one if day and month cannot be told apart.
    """

    numbers: np.ndarray
    kind: str
    seconds: bool
    formats: list[str] = field(default_factory=list)

    @property
    def fits(self) -> np.ndarray:
        """Which rows are times."""
        result: np.ndarray = ~np.isnan(self.numbers)
        return result


def parse(column: pd.Series, source: str, given: str | None = None, usual: str | None = None) -> Times:
    """Times of a column that has no missing values.

    Args:
        column: Of any type; its index names the rows, its name the column in errors.
        source: Name of the table in errors.
        given: Format of the dates or clock times, such as ``"%d/%m/%Y"``; by default it is detected.
        usual: Format to use if dates can be read in several ways; by default this is an error.

    Raises:
        InputError: A value is no time, or not of the kind of the others, or a date has several readings.
    """
    what = f"column {column.name!r}" if column.name is not None else "the names of the columns"
    times = read(column, given, usual)
    if len(times.formats) > 1:
        raise InputError(
            f"{source}: {what}: dates such as {as_text(column).iloc[0]} may have the day or the month first; give "
            f"--data.time_format '{times.formats[0]}' or '{times.formats[1]}'"
        )
    if not times.fits.all():
        at = int((~times.fits).argmax())
        where = f"{source}: {what}, row {column.index[at]}: {str(column.iloc[at])!r}"
        if given:
            raise InputError(f"{where} is no time of the format {given}; correct it, or --data.time_format")
        if not times.fits.any():
            raise InputError(f"{where} is not a time; {HELP}, or leave out --data.time to keep the order of the file")
        example = str(column.iloc[int(times.fits.argmax())])
        raise InputError(f"{where} is not written as the other times are ({example}); {HELP}, all in one form")
    return times


def read(column: pd.Series, given: str | None = None, usual: str | None = None) -> Times:
    """Times in the kind that most values have; NaN for the others. Arguments are those of `parse`.

    >>> read(pd.Series(["day 2", "day 10"])).numbers.tolist(), read(pd.Series(["7:00 PM"])).numbers.tolist()
    ([172800.0, 864000.0], [68400.0])
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return Times(_since_first(column), "dates", True)
    if pd.api.types.is_timedelta64_dtype(column):
        return Times(_nanoseconds(column) / 1e9, "durations", True)
    if pd.api.types.is_numeric_dtype(column) and given is None:
        return _of_numbers(column)
    codes, texts = pd.factorize(as_text(column))
    different = pd.Series(texts, dtype=object)
    if given is not None:
        found = Times(_since_first(dates.parse(different, given)), "dates", True, [given])
        if not re.search("%[aAbBcdjmUWwxyY]", given):
            found.kind = "clock times"
    else:
        found = _best(different, usual)
    values = np.append(found.numbers, np.nan)[codes]  # -1 where missing
    return Times(values, found.kind, found.seconds, found.formats)


def _of_numbers(column: pd.Series) -> Times:
    """Times of a column of numbers, in the unit that its name states; dates if all are of the form 20240131."""
    if pd.api.types.is_integer_dtype(column) and column.between(19_000_101, 21_001_231).all():
        days = dates.parse(column.astype(str), "%Y%m%d")
        if days.notna().all():
            return Times(_since_first(days), "dates", True, ["%Y%m%d"])
    unit = unit_of(str(column.name))
    return Times(column.to_numpy(dtype=np.float64, na_value=np.nan) * (unit or 1), "numbers", unit is not None)


def unit_of(name: str) -> float | None:
    """Seconds per unit of a column of numbers, from its name; None if it does not state the unit.

    >>> unit_of("time (ms)"), unit_of("hours"), unit_of("visit")
    (0.001, 3600.0, None)
    """
    words = re.findall("[a-zµ]+", name.lower())
    return SECONDS.get(words[-1]) if words else None


def is_name(name: str) -> bool:
    """Whether a column is likely a time by its name.

    >>> is_name("time_s"), is_name("Timestamp"), is_name("heart rate")
    (True, True, False)
    """
    words = re.findall("[a-zµ]+", name.lower())
    return bool(words) and words[0] in NAMES and all(word in NAMES or word in SECONDS for word in words)


def _best(texts: pd.Series, usual: str | None) -> Times:
    """Of all kinds the one that fits most of the different texts."""
    best: Times | None = None
    for reader in (_numbers, _clock, _durations, _dates, _numbered):
        found = reader(texts)
        if best is None or found.fits.sum() > best.fits.sum():
            best = found
        if best.fits.all():
            break
    assert best is not None
    if len(best.formats) > 1 and usual in best.formats:
        return Times(_since_first(dates.parse(texts, str(usual))), "dates", True, [str(usual)])
    return best


def _numbers(texts: pd.Series) -> Times:
    """Numbers, also with leading zeros."""
    values = [float(text) if NUMBER.fullmatch(text) else np.nan for text in texts]
    return Times(np.array(values, dtype=np.float64), "numbers", False)


def _clock(texts: pd.Series) -> Times:
    """Clock times, with AM or PM in all or none, and durations of days and hours; hours beyond 23 are durations."""
    parts = texts.str.lower().str.extract(f"^{CLOCK.pattern}$")
    hours = parts["hours"].astype(float)
    half = parts["half"].str[0]
    noon = half.notna()
    hours = hours.where(~noon, hours % 12 + 12 * (half == "p"))
    elapsed = bool(parts["days"].notna().any() or (hours > 23).any())
    seconds = hours * 3600 + parts["minutes"].astype(float) * 60 + parts["seconds"].astype(float).fillna(0)
    seconds += parts["days"].astype(float).fillna(0) * 86_400
    timed = hours.notna()
    if (noon & timed).any() and not noon[timed].all():  # 7:00 beside 7:00 PM: those of the rarer form do not fit
        seconds = seconds.where(noon == (noon[timed].mean() >= 0.5))
    # 75:30 may mean hours and minutes, or minutes and seconds.
    certain = not elapsed or bool(parts["days"].notna().any() or parts["seconds"].notna().any())
    return Times(seconds.to_numpy(dtype=np.float64), "durations" if elapsed else "clock times", certain)


def _durations(texts: pd.Series) -> Times:
    """Amounts of time, such as ``90 min``, ``1.5 h`` and ``1h 30min``."""
    values = []
    for text in texts.str.lower():
        amounts = AMOUNT.findall(text)
        known = AMOUNT.sub("", text) == "" and all(unit in SECONDS for _, unit in amounts)
        values.append(sum(float(n) * SECONDS[unit] for n, unit in amounts) if amounts and known else np.nan)
    return Times(np.array(values, dtype=np.float64), "durations", True)


def _numbered(texts: pd.Series) -> Times:
    """One number in text that is otherwise the same in all: ``day 10``, ``T_3``; a unit before it is taken as such."""
    parts = texts.str.lower().str.extract(f"^{NUMBERED.pattern}$")
    parts = parts.set_axis(["before", "number", "after"], axis=1)
    before, after = parts["before"].str.strip(), parts["after"].str.strip()
    around = before.str.cat(after, sep="{}")
    if not around.notna().any():
        return Times(np.full(len(texts), np.nan), "numbers", False)
    usual = around.value_counts().index[0]
    same = around == usual
    number = parts["number"].where(same)
    if number[same].str.startswith("-").all() and parts["before"][same].str.contains(r"[a-z]$").all():
        number = number.str.removeprefix("-")  # 'visit-2' has a hyphen, 'day -2' a sign
    unit = SECONDS.get(re.sub(r"[\W_]+$", "", usual[:-2])) if usual.endswith("{}") else None
    unit = unit if len(usual) > 3 else None  # 's1' may be a sample
    values = number.to_numpy(dtype=np.float64, na_value=np.nan)
    return Times(values * (unit or 1), "numbers", unit is not None)


def _dates(texts: pd.Series) -> Times:
    """Dates with or without time; if the texts are not of one format, in that which fits most."""
    if found := dates.formats(texts):
        return Times(_since_first(dates.parse(texts, found[0])), "dates", True, found)
    if texts.str.fullmatch(ISO).any():  # such as with and without fractions of a second
        iso = texts.where(texts.str.fullmatch(ISO))
        parsed = pd.to_datetime(iso, format="ISO8601", errors="coerce", utc=True)
        return Times(_since_first(parsed), "dates", True)
    few = texts[texts.str.fullmatch(dates.LIKELY)]
    best = Times(np.full(len(texts), np.nan), "dates", True)
    if len(few):
        kinds = [day + clock for day in dates.FORMATS for clock in dates.CLOCKS]
        kind = max(kinds, key=lambda kind: int(dates.parse(few.iloc[:50], kind).notna().sum()))
        best.numbers = _since_first(dates.parse(texts, kind))
    return best


def _since_first(column: pd.Series) -> np.ndarray:
    """Seconds since the earliest date."""
    return _nanoseconds(column - column.min()) / 1e9


def _nanoseconds(column: pd.Series) -> np.ndarray:
    whole = column.to_numpy("timedelta64[ns]").astype(np.int64).astype(np.float64)
    result: np.ndarray = np.where(column.isna().to_numpy(), np.nan, whole)
    return result


def interval(seconds: float) -> str:
    """An amount of time in its largest usual unit.

    >>> interval(86400.0), interval(0.004), interval(300.0)
    ('1 d', '4 ms', '5 min')
    """
    for unit, size in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= 0.999 * size:  # a rate has six digits
            return f"{seconds / size:.5g} {unit}"
    return f"{seconds * 1000:.5g} ms"


def rate_text(rate: float) -> str:
    """A sampling rate for people: in Hz, or slower ones as the interval between time points.

    >>> rate_text(200.0), rate_text(1.15741e-05)
    ('200 Hz', 'one time point per 1 d')
    """
    return f"{rate:g} Hz" if rate >= 0.1 else f"one time point per {interval(1 / rate)}"

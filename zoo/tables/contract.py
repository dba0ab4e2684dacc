"""Comparison of new data with the training data: levels never seen, and numbers far outside the range of training."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from ..errors import InputError
from ..spec import Modality
from .numbers import is_number
from .reading import listing
from .values import level_codes

log = logging.getLogger("zoo")
FEWEST = 3  # values of a column from which a whole column can be judged
FACTOR = 3  # positive numbers that all differ by more than this factor from the range are in another unit
MOST = 10  # problems that are listed
FORCE = "--data.force true (force=True in Python) predicts all the same"


class Seen:
    """What new tables of a model hold, gathered over their parts.

    Args:
        modality: Description of the table the model was trained on, with ``ranges``; without these nothing is compared.
    """

    def __init__(self, modality: Modality) -> None:
        self.modality, count = modality, len(modality["features"])
        self.levels = {n: known for n, known in modality.get("levels", {}).items() if known}
        self.low, self.high = np.full(count, np.inf), np.full(count, -np.inf)
        self.present, self.near, self.rows = np.zeros(count, int), np.zeros(count, int), 0
        self.bounds = _bounds(modality)
        self.unknown: dict[str, Counter[str]] = {name: Counter() for name in self.levels}

    def add(self, frame: pd.DataFrame, values: np.ndarray) -> None:
        """Take in rows of the new data.

        Args:
            frame: The rows.
            values: Their raw values, ``shape=(rows, features)``, with codes of levels as from ``level_codes``.
        """
        if not len(values):
            return
        filled = ~np.isnan(values)
        self.rows += len(values)
        self.present += filled.sum(0)
        self.near += ((values >= self.bounds[0]) & (values <= self.bounds[1])).sum(0)
        self.low = np.fmin(self.low, np.where(filled, values, np.inf).min(0))
        self.high = np.fmax(self.high, np.where(filled, values, -np.inf).max(0))
        place = {name: at for at, name in enumerate(self.modality["features"])} if self.levels else {}
        for name, known in self.levels.items():
            if self.low[place[name]] >= len(known):  # no known level so far
                _, unknown = level_codes(frame[name], known, self.modality.get("missing_values", {}).get(name, ()))
                self.unknown[name].update(unknown)

    def report(self, source: str) -> None:
        """Log columns without a value, and dates far from those of training.

        Raises:
            InputError: Columns of which all values are levels never seen or numbers far outside the range of training;
                one line for each.
        """
        if not (ranges := self.modality.get("ranges")) or not self.rows:
            return
        place = {name: at for at, name in enumerate(self.modality["features"])}
        problems = []
        for name, known in self.levels.items():
            unknown = self.unknown[name]
            if self.low[place[name]] >= len(known) and unknown.total() >= FEWEST:
                found = ", ".join(map(repr, list(unknown)[:4]))
                problems.append(
                    f"column {name!r}: none of its levels occurs in the training data: {found} instead of "
                    f"{', '.join(map(repr, known[:4]))}{', ...' if len(known) > 4 else ''}; correct the spelling"
                )
        empty = [n for n, at in place.items() if not self.present[at] and not self.unknown.get(n)]
        if empty:
            log.warning("%s: no value in %s; the model takes them as missing", source, listing(empty))
        problems += self._outside(ranges, place, source)
        if problems:
            more = [f"... and {len(problems) - MOST} more columns"] if len(problems) > MOST else []
            lines = [*(f"{problem}; {FORCE}" for problem in problems[:MOST]), *more]
            raise InputError("\n".join(f"{source}: {line}" for line in lines))

    def _outside(self, ranges: Mapping[str, list[float]], place: dict[str, int], source: str) -> list[str]:
        names = [name for name in ranges if self.present[place[name]] >= FEWEST]
        if not names:
            return []
        at = [place[name] for name in names]
        known = np.array([ranges[name] for name in names])
        low, high, least, most = known[:, 0], known[:, 1], self.low[at], self.high[at]
        units, found = self.modality.get("units", {}), []
        for number in np.flatnonzero(self.near[at] == 0):
            name = names[number]
            if name in self.modality.get("dates", {}):
                log.warning("%s: all dates of column %r lie far outside those of the training data", source, name)
                continue
            unit = f" {units[name]}" if name in units else ""
            found.append(
                f"column {name!r}: all {self.present[place[name]]} values ({least[number]:g} to {most[number]:g}) lie "
                f"far outside the range of the training data ({low[number]:g} to {high[number]:g}{unit}); convert the "
                "unit"
            )
        return found


def _bounds(modality: Modality) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the values that may come from the same measurement, ``shape=(features,)`` each.

    They are the range of training widened by its width on both sides, and for positive numbers at most `FACTOR`-fold.
    """
    ranges = modality.get("ranges", {})
    low, high = np.array([ranges.get(name, [-np.inf, np.inf]) for name in modality["features"]]).T
    with np.errstate(invalid="ignore"):
        span = np.where(high > low, high - low, np.maximum(np.abs(high), 1))
        below, above = low - span, high + span
    positive = low > 0
    return np.where(positive, np.maximum(below, low / FACTOR), below), np.where(
        positive, np.minimum(above, high * FACTOR), above
    )


def unchecked(modality: Modality) -> Modality:
    """The modality without ranges, so that new data are not compared with the training data."""
    kept: dict[str, Any] = {key: value for key, value in modality.items() if key != "ranges"}
    if "parts" in kept:
        kept["parts"] = {name: unchecked(part) for name, part in kept["parts"].items()}
    return cast(Modality, kept)


def levels_of_text(modality: Modality) -> list[str]:
    """Categories with a level that is no number; they are read as text from new files, whatever these hold."""
    return [name for name, known in modality.get("levels", {}).items() if not all(map(is_number, known))]

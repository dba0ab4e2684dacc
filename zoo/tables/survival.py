"""Survival times and events in the columns of a table."""

import numpy as np
import pandas as pd

from ..errors import InputError
from ..spec import Target
from .values import level_codes, numbers


def times_and_events(frame: pd.DataFrame, target: Target, source: str) -> np.ndarray:
    """Times, and events as 1 or 0 if censored, float32 ``shape=(samples, 2)``; NaN in both where one is missing.

    A time of 0 is valid: an event at the start, or a sample without follow-up.

    Raises:
        InputError: A time is no number or negative, or an event is none of the two levels.
    """
    times = numbers(frame[[target["name"]]], source)[:, 0]
    if (negative := times < 0).any():
        row = frame.index[int(negative.argmax())]
        raise InputError(
            f"{source}: column {target['name']!r}, row {row}: the time {times[negative][0]:g} is negative; correct "
            "it, or leave it empty if missing"
        )
    codes, unknown = level_codes(frame[target["event"]], target["event_levels"])
    if len(unknown):
        raise InputError(
            f"{source}: event {target['event']!r}, row {unknown.index[0]}: {unknown.iloc[0]!r} is neither "
            f"{' nor '.join(filter(None, target['event_levels']))}"
        )
    y = np.column_stack([times, codes])
    y[np.isnan(times) | np.isnan(codes)] = np.nan
    return y

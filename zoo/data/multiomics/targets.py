"""Extra targets: those that are predicted in addition to the first one."""

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...encode.joint import check_names
from ...errors import InputError, check_range, suggest
from ...spec import Target

if TYPE_CHECKING:
    from .multiomics import MultiOmicsData

OPTIONS = ("target", "event", "target_kind", "positive", "weight")


def check_extra_targets(also: dict[str, dict[str, Any]], first: str | None) -> dict[str, dict[str, Any]]:
    """Return the options of the extra targets, or raise an `InputError` that names the option at fault.

    Args:
        also: Options of each extra target by its name.
        first: Column of the first target.
    """
    check_names(also, "target")
    for name, given in also.items():
        if not isinstance(given, dict) or "target" not in given:
            raise InputError(f"also: {name!r} needs a column to predict: {{{name}: {{target: COLUMN}}}}")
        for option in given:
            if option not in OPTIONS:
                raise InputError(f"also: {name!r} has no option {option!r}; {suggest(option, OPTIONS)}")
        if first is None:
            raise InputError(f"also: {name!r} is an extra target; give the first target as --data.target")
        check_range(f"also: weight of {name}", given.get("weight", 1.0), 0)
    return also


def columns_of(given: dict[str, Any]) -> list[str]:
    """Columns of an extra target: its own and, for survival, that of the event."""
    return [given["target"], *([given["event"]] if "event" in given else [])]


def has_any_target(frame: pd.DataFrame, first: list[str], also: dict[str, dict[str, Any]]) -> np.ndarray:
    """True for samples that have a value of at least one target, ``shape=(samples,)``.

    Args:
        frame: The sample table.
        first: Columns of the first target.
        also: Options of each extra target by its name.
    """
    targets = [first, *map(columns_of, also.values())]
    known: np.ndarray = np.any([frame[columns].notna().all(axis=1) for columns in targets], axis=0)
    return known


def extra_target(data: "MultiOmicsData", samples: pd.DataFrame, given: dict[str, Any]) -> Target:
    """Describe an extra target, detected in the same way as the first one.

    Args:
        data: The data module.
        samples: The sample table.
        given: Options of the target.
    """
    other = copy.copy(data)
    other.target, other.event = given["target"], given.get("event")
    other.target_kind, other.positive = given.get("target_kind"), given.get("positive")
    return {**other.find_target(samples), "weight": float(given.get("weight", data.also_weight))}

"""Checks of the columns of a table: names of samples, categories and their levels, and size of the splits."""

import logging

import numpy as np
import pandas as pd
from torch import Tensor

from ..encode.table import as_text
from ..errors import InputError
from ..spec import Target
from ..training.tasks import task_of

log = logging.getLogger("zoo")


def check_ids(ids: pd.Series, source: str) -> None:
    """Raise an `InputError` that names the first missing or repeated sample name."""
    if (missing := ids.isna()).any():
        raise InputError(f"{source}: row {ids.index[missing][0]} has no id in column {ids.name!r}; fill it in")
    if (doubled := ids.duplicated()).any():
        raise InputError(f"{source}: id '{ids[doubled].iloc[0]}' occurs more than once in column {ids.name!r}")


def text_columns(frame: pd.DataFrame, source: str) -> list[str]:
    """Columns of text, which hold categories; a column in which most values are numbers counts as numeric.

    Raises:
        InputError: A text column with a different value in nearly every row, such as a name.
    """
    found = []
    for name, kind in frame.dtypes.items():
        if pd.api.types.is_numeric_dtype(kind):
            if pd.api.types.is_integer_dtype(kind) and len(frame) > 2 and (frame[name].diff().dropna() == 1).all():
                log.warning("column %r numbers the rows; if it names the samples, give it as --data.id", name)
            continue
        present = frame[name].dropna()
        if present.astype(str).str.fullmatch(r"-?\d+,\d+").mean() > 0.5:
            raise InputError(f"{source}: column {name!r} has decimal commas; write 1.5 for 1,5")
        if len(present) == 0 or pd.to_numeric(present, errors="coerce").notna().mean() >= 0.5:
            continue
        if (count := present.nunique()) > max(20, len(present) // 2):
            raise InputError(
                f"{source}: text column {name!r} has {count} different values in {len(present)} rows; if it names the "
                "samples, give it as --data.id, else leave it out of --data.features"
            )
        found.append(str(name))
    return found


def levels(
    samples: pd.DataFrame,
    training: pd.DataFrame,
    names: dict[str, list[str]],
    ordered: dict[str, list[str]],
    source: str,
) -> dict[str, list[str]]:
    """Levels of the categorical columns.

    Args:
        samples: All samples.
        training: Training samples; a level that does not occur in them is 'unknown', as it would be in new data.
        names: Categorical columns (keys).
        ordered: Levels of the ordered columns, from low to high.
        source: Name of the table in an error.

    Raises:
        InputError: An ordered column has a level that was not listed.
    """
    result = {}
    for name in names:
        if name not in ordered:
            result[name] = sorted(as_text(training[name]).dropna().unique())
            continue
        result[name] = [str(level) for level in ordered[name]]
        if unlisted := [level for level in as_text(samples[name]).dropna().unique() if level not in result[name]]:
            raise InputError(
                f"{source}: column {name!r} has the level {unlisted[0]!r}, not among {', '.join(result[name])}"
            )
    return result


def check_training(split: np.ndarray, target: Target, y: Tensor, source: str) -> None:
    """Raise an `InputError` if there are too few training or validation samples, of a class, or with an event."""
    training, validation = split == "train", int((split == "validation").sum())
    if training.sum() < 2 or validation == 0:
        raise InputError(
            f"{source}: {training.sum()} training and {validation} validation samples are too few; change fractions, "
            "split or folds"
        )
    task_of(target).check_split(y, split, target, source)

"""Checks of the columns of a table: names of samples, categories and their levels, and size of the splits."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from ..errors import InputError
from ..spec import Target
from ..tables.values import as_text, level_codes
from ..training.tasks import task_of


def levels(
    samples: pd.DataFrame,
    training: pd.DataFrame,
    names: dict[str, list[str]],
    ordered: Mapping[str, list[str]],
    missing: Mapping[str, Collection[Any]],
    source: str,
) -> dict[str, list[str]]:
    """Levels of the categorical columns.

    Args:
        samples: All samples.
        training: Training samples; a level that does not occur in them is 'unknown', as it would be in new data.
        names: Categorical columns (keys).
        ordered: Levels of the ordered columns, from low to high.
        missing: Values that mean a missing value, by column.
        source: Name of the table in an error.

    Raises:
        InputError: An ordered column has a level that was not listed.
    """
    result = {}
    for name in names:
        words = missing.get(name, [])
        if name not in ordered:
            text = as_text(training[name])
            result[name] = sorted(text[~text.isin(list(map(str, words)))].dropna().unique())
            continue
        result[name] = [str(level) for level in ordered[name]]
        _, unlisted = level_codes(samples[name], result[name], words)
        if len(unlisted):
            raise InputError(
                f"{source}: column {name!r} has the level {unlisted.iloc[0]!r}, not among {', '.join(result[name])}"
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

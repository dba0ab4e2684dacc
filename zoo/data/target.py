"""The column that is to be predicted: its kind, its classes, its codes."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..encode.table import as_text, numbers
from ..errors import InputError
from ..spec import Target, TargetKind

MOST_CLASSES = 10  # whole numbers with more values than this are taken for a quantity


def detect(column: pd.Series, kind: TargetKind | None, positive: str | None, unit: str) -> Target:
    """Kind and classes of a target column.

    Two values make it binary; text, or up to ten whole numbers, multiclass; anything else is a number. Classes are
    sorted, and the last of two is the positive one, unless ``positive`` names it.

    Raises:
        InputError: Constant, too many classes, no such positive class, or a kind that the values cannot be.
    """
    name, present = str(column.name), column.dropna()
    text = as_text(present)
    values = text.unique()
    if len(values) < 2:
        raise InputError(
            f"target {name!r} is constant ({values[0] if len(values) else 'empty'}); nothing can be learnt"
        )
    numeric = pd.api.types.is_numeric_dtype(column)
    if kind is None:
        whole = numeric and bool((present.astype(float) % 1 == 0).all()) and len(values) <= MOST_CLASSES
        kind = "binary" if len(values) == 2 else "multiclass" if whole or not numeric else "regression"
    if kind == "regression":
        numbers(column.to_frame(), "the table")
        return Target(kind=kind, name=name, classes=[], unit=unit)
    if kind == "binary" and len(values) != 2:
        raise InputError(
            f"target {name!r} has {len(values)} values ({', '.join(values[:5])}, ...), a binary one has two"
        )
    classes = [str(value) for value in sorted(values, key=_natural)]
    if len(classes) > max(MOST_CLASSES, len(present) // 2):
        raise InputError(
            f"target {name!r} has {len(classes)} classes for {len(present)} samples; is it a name or an id?"
        )
    if positive is not None:
        if positive not in classes:
            raise InputError(
                f"positive class {positive!r} does not occur in {name!r}; its classes: {', '.join(classes)}"
            )
        if kind == "binary":
            classes.sort(key=positive.__eq__)
    counts = text.value_counts()
    if counts.min() < 2:
        raise InputError(
            f"target {name!r}: class {counts.idxmin()!r} has one sample; remove it, merge it with another class, "
            "or set target_kind to 'regression' if these are numbers"
        )
    return Target(kind="binary" if len(classes) == 2 else kind, name=name, classes=classes, unit="")


def _natural(value: str) -> tuple[int, float, str]:
    """Numbers by size, then text by alphabet."""
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value


def encode(column: pd.Series, target: Target, source: str) -> Tensor:
    """Codes of the classes (int64, -1 if missing), or numbers (float32, NaN if missing), ``shape=(samples,)``.

    Raises:
        InputError: A class that the target does not have, or a text where a number is due.
    """
    if target["kind"] == "regression":
        return torch.from_numpy(numbers(column.to_frame(), source)[:, 0])
    text = as_text(column)
    codes = pd.Categorical(text, categories=target["classes"]).codes.astype(np.int64)
    if (unknown := (codes < 0) & text.notna().to_numpy()).any():
        row = int(unknown.argmax())
        raise InputError(
            f"{source}: target {target['name']!r}, row {text.index[row]}: {text.iloc[row]!r} is not one of the classes "
            f"{', '.join(target['classes'])}"
        )
    return torch.from_numpy(codes)

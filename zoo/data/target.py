"""The column that is to be predicted: its kind, its classes, its codes; of survival, time and event."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..encode.table import as_text, numbers
from ..errors import InputError, need_scikit_survival
from ..spec import Target, TargetKind


def class_names(labels: pd.Series) -> pd.Series:
    """Whole numbers as text, for they name classes however many they are; other labels as they are."""
    numeric = pd.api.types.is_numeric_dtype(labels) and not pd.api.types.is_bool_dtype(labels)
    if not numeric or (labels.dropna() % 1 != 0).any():
        return labels
    return labels.map(lambda label: str(int(label)), na_action="ignore").astype(object)


MOST_CLASSES = 10  # whole numbers with more values than this are taken for a quantity
EVENTS = [
    ("0", "1"),
    ("no", "yes"),
    ("false", "true"),
    ("alive", "dead"),
    ("censored", "event"),
]  # words that are known


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


def detect_survival(frame: pd.DataFrame, name: str, event: str, positive: str | None, unit: str) -> Target:
    """Survival: a column of times, and one that says whether the event happened then.

    The event is 1, yes, true, dead or event, and its opposite 0, no, false, alive or censored; of two other levels
    ``positive`` names the one that is the event.

    Raises:
        InputError: Equal times, or an event with other levels.
    """
    need_scikit_survival()  # the scores of every epoch are its own
    if frame[name].dropna().nunique() < 2:
        raise InputError(f"times {name!r} are all the same, or missing; nothing can be learnt")
    levels = sorted(as_text(frame[event].dropna()).unique(), key=_natural)
    if positive is not None and positive not in levels:
        raise InputError(
            f"positive {positive!r} does not occur in the event {event!r}; it says {', '.join(levels[:5])}"
        )
    if not 0 < len(levels) <= 2:
        told = f"has {len(levels)} values ({', '.join(levels[:5])}, ...)" if levels else "is empty"
        raise InputError(f"event {event!r} {told}; it must say whether the event happened, such as 1 and 0")
    target = Target(kind="survival", name=name, classes=[], unit=unit, event=event)
    if positive is not None:
        return {**target, "event_levels": [next((level for level in levels if level != positive), ""), positive]}
    for words in EVENTS:
        if {level.lower() for level in levels} <= set(words):
            own = {level.lower(): level for level in levels}
            return {**target, "event_levels": [own.get(word, word) for word in words]}
    raise InputError(f"event {event!r} says {' and '.join(levels)}; give the one that is the event as --data.positive")


def encode_survival(frame: pd.DataFrame, target: Target, source: str) -> Tensor:
    """Times and events (1, or 0 if censored), float32 ``shape=(samples, 2)``; both NaN where either is missing.

    A time of 0 is taken as it is: an event at the very start, or a sample that nothing is known of.

    Raises:
        InputError: A text or a negative number where a time is due, or a third level of the event.
    """
    times = numbers(frame[[target["name"]]], source)[:, 0]
    if (negative := times < 0).any():
        row = frame.index[int(negative.argmax())]
        raise InputError(
            f"{source}: column {target['name']!r}, row {row}: the time {times[negative][0]:g} is negative; mend it, or "
            "leave it empty if missing"
        )
    text = as_text(frame[target["event"]])
    codes = pd.Categorical(text, categories=target["event_levels"]).codes.astype(np.float32)
    if (unknown := (codes < 0) & text.notna().to_numpy()).any():
        row = int(unknown.argmax())
        raise InputError(
            f"{source}: event {target['event']!r}, row {text.index[row]}: {text.iloc[row]!r} is neither "
            f"{' nor '.join(filter(None, target['event_levels']))}"
        )
    y = np.column_stack([times, codes])
    y[np.isnan(times) | (codes < 0)] = np.nan
    return torch.from_numpy(y)


def decode(y: Tensor, target: Target) -> dict[str, Any]:
    """Codes as columns that a user reads: ``target``, of survival ``time`` and ``event``, without a target nothing."""
    if target["kind"] == "none":
        return {}
    if target["kind"] == "survival":
        event = y[:, 1].numpy()
        return {"time": y[:, 0].numpy(), "event": event if np.isnan(event).any() else event.astype(int)}
    if target["classes"]:
        return {"target": [target["classes"][code] if code >= 0 else None for code in y.tolist()]}
    return {"target": y.numpy()}

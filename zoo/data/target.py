"""The column that is to be predicted: which kind of target it is."""

import pandas as pd

from ..encode.table import as_text
from ..errors import InputError, check_choice
from ..spec import Target
from ..training.tasks import TASKS
from ..training.tasks.classes import MOST_CLASSES


def class_names(labels: pd.Series) -> pd.Series:
    """Whole numbers as text, for they name classes however many they are; other labels as they are."""
    numeric = pd.api.types.is_numeric_dtype(labels) and not pd.api.types.is_bool_dtype(labels)
    if not numeric or (labels.dropna() % 1 != 0).any():
        return labels
    return labels.map(lambda label: str(int(label)), na_action="ignore").astype(object)


def detect(
    frame: pd.DataFrame,
    name: str,
    kind: str | None = None,
    positive: str | None = None,
    unit: str = "",
    event: str | None = None,
) -> Target:
    """The target in a column of a table.

    Without a ``kind``, two values make it binary; text, or up to ten whole numbers, multiclass; anything else is
    continuous. With an ``event`` it is survival.

    Args:
        frame: The table.
        name: Column of the target, of survival that of the times.
        kind: As the user says.
        positive: The positive one of two classes; of survival the level of ``event`` that says it happened.
        unit: Of the values.
        event: Column that says whether the event happened.

    Raises:
        InputError: Constant, too many classes, no such positive class, or a kind that the values cannot be.
    """
    if event == name:
        raise InputError(f"the time {name!r} cannot say if the event happened: it needs --data.event, another column")
    if kind is not None:
        check_choice("target_kind", kind, TASKS)
        if TASKS[kind].needs_event and event is None:
            raise InputError(
                f"target_kind {kind!r} needs --data.event, the column that says if it happened at {name!r}"
            )
        if event and not TASKS[kind].needs_event:
            raise InputError(f"target_kind {kind!r} contradicts event {event!r}: {name!r} is a time of survival")
    if event:
        kind = kind or "survival"
        return TASKS[kind].describe(frame, name, positive, unit, event)
    present = frame[name].dropna()
    values = as_text(present).unique()
    if len(values) < 2:
        raise InputError(
            f"target {name!r} is constant ({values[0] if len(values) else 'empty'}); nothing can be learnt"
        )
    if kind is None:
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        whole = numeric and bool((present.astype(float) % 1 == 0).all()) and len(values) <= MOST_CLASSES
        kind = "binary" if len(values) == 2 else "multiclass" if whole or not numeric else "regression"
    return TASKS[kind].describe(frame, name, positive, unit, None)

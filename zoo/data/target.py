"""Detection of the kind of a target from the values of its column."""

import pandas as pd

from ..encode.table import as_text
from ..errors import InputError, check_choice
from ..spec import Target
from ..training.tasks import TASKS
from ..training.tasks.classes import MOST_CLASSES


def class_names(labels: pd.Series) -> pd.Series:
    """Integer labels as text, since they name classes however many there are; other labels unchanged."""
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
    """Describe the target in a column of a table.

    Without a ``kind``, a column with two values is binary; text, or up to ten different integers, is multiclass; all
    else is continuous (regression). With an ``event`` the target is survival.

    Args:
        frame: The table.
        name: Column of the target; for survival, the column of times.
        kind: Kind of target; None detects it.
        positive: The positive one of two classes; for survival, the value of ``event`` that marks an event.
        unit: Unit of the values.
        event: Column that states whether the event occurred (survival).

    Raises:
        InputError: The target is constant, has too many classes, lacks the positive class, or does not fit ``kind``.
    """
    if event == name:
        raise InputError(f"column {name!r} cannot be both time and event: give the column of events as --data.event")
    if kind is not None:
        check_choice("target_kind", kind, TASKS)
        if TASKS[kind].needs_event and event is None:
            raise InputError(
                f"target_kind {kind!r} needs --data.event, the column that states whether it occurred at {name!r}"
            )
        if event and not TASKS[kind].needs_event:
            raise InputError(f"target_kind {kind!r} contradicts event {event!r}: {name!r} is a survival time")
    if event:
        kind = kind or "survival"
        return TASKS[kind].describe(frame, name, positive, unit, event)
    present = frame[name].dropna()
    values = as_text(present).unique()
    if len(values) < 2:
        raise InputError(
            f"target {name!r} is constant ({values[0] if len(values) else 'empty'}); no model can be trained"
        )
    if kind is None:
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        integers = numeric and bool((present.astype(float) % 1 == 0).all()) and len(values) <= MOST_CLASSES
        kind = "binary" if len(values) == 2 else "multiclass" if integers or not numeric else "regression"
    return TASKS[kind].describe(frame, name, positive, unit, None)

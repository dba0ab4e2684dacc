"""The target of a table: its kind, classes, positive class, and how an event is coded."""

import logging
import re
from collections.abc import Callable

import pandas as pd

from ..errors import InputError, check_choice, need_scikit_survival
from ..spec import Target
from .numbers import is_number, missing_word
from .values import alike, as_text, natural_order, numbers

log = logging.getLogger("zoo")
MOST_CLASSES = 10  # different integers up to which they are classes
CLUSTERS = 50  # different integers that may name clusters
Describe = Callable[[pd.DataFrame, str, str | None, str, str | None], Target]
POSITIVE = """
    case cases disease diseased yes y ja oui pos positive true t event events bound binding mutant mutated mut
    treated treatment drug dead deceased died death relapse relapsed recurrence recurred progression progressed
    tumor tumour cancer malignant carcinoma affected patient patients sick ill infected infection abnormal responder
    responders response present detected high metastatic metastasis resistant progressive failure after post fall
    malade active knockout ko stimulated exposed perturbed hit positives enhancer promoter
"""
NEGATIVE = """
    control controls ctrl ctl healthy gesund normal no n nein neg negative 0 false f free unbound wt wildtype wild
    vehicle untreated placebo dmso mock alive living censored benign none unaffected uninfected absent undetected
    inactive low primary sensitive survivor survived stable success before pre kontrolle sain background reference
    unstimulated unexposed unperturbed baseline not non without negatives nonresponder unmutated
"""
POSITIVE_WORDS, NEGATIVE_WORDS = frozenset(POSITIVE.split()), frozenset(NEGATIVE.split())
# Words of an event indicator that mean no event, and an event.
CENSORED = {"0", "no", "n", "false", "f", "alive", "living", "censored", "none", "diseasefree", "progressionfree"}
HAPPENED = {
    "1", "yes", "y", "true", "t", "dead", "deceased", "died", "death",
    "event", "recurred", "relapsed", "uncensored",
    "recurredprogressed", "progressed", "progression", "relapse", "recurrence",
}  # fmt: skip


NO_EVENT = re.compile(r"censor|zensiert|(^|[ _.-])(alive|living|lebt|survived|survivor)($|[ _.-])")
ANSWERS = {"0", "1", "yes", "no", "y", "n", "true", "false", "t", "f"}
TIME = re.compile(r"(^|[ _.-])(os|pfs|dfs|rfs|efs|survival|follow[ _-]?up|futime|time[ _-]to)", re.IGNORECASE)
EVENT = re.compile(r"(^|[ _.-])(event|status|dead|death|died|deceased|vital|censored)($|[ _.-])", re.IGNORECASE)


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
    else is continuous (regression). With an ``event`` the target is survival. What may be doubted is logged.

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
        check_choice("target_kind", kind, [*KINDS, "none"])
        if kind == "survival" and event is None:
            raise InputError(
                f"target_kind {kind!r} needs --data.event, the column that states whether it occurred at {name!r}"
            )
        if event and kind != "survival":
            raise InputError(f"target_kind {kind!r} contradicts event {event!r}: {name!r} is a survival time")
    if event:
        return KINDS["survival"](frame, name, positive, unit, event)
    present = frame[name].dropna()
    if pd.api.types.is_datetime64_any_dtype(present):
        raise InputError(f"target {name!r} is a date; give a column of numbers, classes, or times with --data.event")
    values = as_text(present).unique()
    if len(values) < 2:
        raise InputError(
            f"target {name!r} is constant ({values[0] if len(values) else 'empty'}); no model can be trained"
        )
    if kind is None:
        kind = "binary" if len(values) == 2 else _kind_of_many(frame[name], name, len(values))
    return KINDS[kind](frame, name, positive, unit, None)


def _kind_of_many(column: pd.Series, name: str, count: int) -> str:
    """Kind of a target with three or more different values."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return "multiclass"
    present = column.dropna().astype(float)
    integers = bool((present % 1 == 0).all())
    if integers and count <= MOST_CLASSES:
        if count > 2 and len(present) >= 2 * count:
            log.info(
                "target %r: %d different whole numbers are taken as classes; if they are a quantity, give "
                "--data.target_kind regression",
                name,
                count,
            )
        return "multiclass"
    if integers and count <= CLUSTERS and len(present) >= 4 * count:
        log.warning(
            "target %r: %d different whole numbers (%d to %d) are taken as a quantity; if they name classes, "
            "give --data.target_kind multiclass",
            name,
            count,
            present.min(),
            present.max(),
        )
    return "regression"


def _words(label: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", re.sub(r"([a-z])([A-Z])", r"\1 \2", label).lower())


def _leaning(label: str, other: str) -> int:
    """1 if a class is positive by the usual words of the field, -1 if it is the control, 0 if the words do not tell."""
    words, others = _words(label), _words(other)
    text, against = "".join(words), "".join(others)
    if text == against and label[-1:] + other[-1:] in ("+-", "-+"):  # ER+ and ER-
        return 1 if label.endswith("+") else -1
    if text in {f"{prefix}{against}" for prefix in ("non", "no", "not", "un", "in")}:
        return 1 if against in NEGATIVE_WORDS else -1
    if any(word in NEGATIVE_WORDS for word in words) or text in NEGATIVE_WORDS:
        return -1
    return int(any(word in POSITIVE_WORDS for word in words) or text in POSITIVE_WORDS)


def positive_of(classes: list[str]) -> tuple[str, bool]:
    """The positive one of two classes, and whether the usual words of the field tell it (else it is the last).

    >>> positive_of(["case", "control"]), positive_of(["drug", "vehicle"]), positive_of(["a", "b"])
    (('case', True), ('drug', True), ('b', False))
    """
    first, last = classes
    lean = _leaning(first, last) - _leaning(last, first)
    return (first if lean > 0 else last), lean != 0


def _classes(frame: pd.DataFrame, name: str, positive: str | None, unit: str, event: str | None) -> Target:
    """Classes in natural order; of two classes the positive one is last."""
    present = frame[name].dropna()
    text = as_text(present)
    classes = [str(value) for value in sorted(text.unique(), key=natural_order)]
    numeric = [value for value in classes if is_number(value)]
    if len(classes) > MOST_CLASSES and len(numeric) >= 0.5 * len(classes) and len(numeric) < len(classes):
        odd = [value for value in classes if value not in set(numeric)]
        quoted = ", ".join(f'"{value}"' for value in odd[:4])
        raise InputError(
            f"target {name!r}: most values are numbers, but not {', '.join(map(repr, odd[:4]))}; correct them, or "
            f"state that they are missing: --data.missing '{{{name}: [{quoted}]}}'"
        )
    if len(classes) > max(MOST_CLASSES, len(present) // 2):
        raise InputError(
            f"target {name!r} has {len(classes)} classes for {len(present)} samples; is it a name or an id?"
        )
    if positive is not None and positive not in classes:
        raise InputError(f"positive class {positive!r} does not occur in {name!r}; its classes: {', '.join(classes)}")
    counts = text.value_counts()
    similar = alike(pd.Index(classes))
    if counts.min() < 2 and (similar == similar[str(counts.idxmin())]).sum() > 1:
        same = " and ".join(map(repr, similar.index[similar == similar[str(counts.idxmin())]]))
        raise InputError(f"target {name!r}: the classes {same} differ in case or blanks only; correct them")
    if counts.min() < 2:
        raise InputError(
            f"target {name!r}: class {counts.idxmin()!r} has one sample; remove it, merge it with another class, "
            "or give --data.target_kind regression if these are numbers"
        )
    if len(classes) == 2:
        chosen, known = (positive, True) if positive is not None else positive_of(classes)
        classes.sort(key=str(chosen).__eq__)
        if positive is None:
            how = "" if known else ", as the last in order"
            log.info(
                "target %r: positive class %s (%d samples)%s, other class %s (%d); --data.positive %s reverses this",
                name,
                classes[1],
                counts[classes[1]],
                how,
                classes[0],
                counts[classes[0]],
                classes[0],
            )
    if unsure := [value for value in classes if missing_word(value)]:
        log.warning(
            "target %r: %s is a class; if it means a missing value: --data.missing '{%s: [\"%s\"]}'",
            name,
            repr(unsure[0]),
            name,
            unsure[0],
        )
    if similar.duplicated().any():
        twice = similar.index[similar == similar[similar.duplicated()].iloc[0]]
        log.warning(
            "target %r: the classes %s differ in case or blanks only; correct them if they are one class",
            name,
            " and ".join(map(repr, twice)),
        )
    return Target(kind="binary" if len(classes) == 2 else "multiclass", name=name, classes=classes, unit="")


def _binary(frame: pd.DataFrame, name: str, positive: str | None, unit: str, event: str | None) -> Target:
    text = as_text(frame[name].dropna())
    if text.nunique() != 2:
        values = ", ".join(map(str, text.unique()[:5]))
        raise InputError(f"target {name!r} has {text.nunique()} values ({values}, ...), a binary target has two")
    return _classes(frame, name, positive, unit, event)


def _regression(frame: pd.DataFrame, name: str, positive: str | None, unit: str, event: str | None) -> Target:
    numbers(frame[[name]], "the table")
    if TIME.search(name) and (events := [str(n) for n in frame if n != name and EVENT.search(str(n))]):
        log.warning(
            "target %r may be a survival time; if %r states whether the event occurred: --data.event %s",
            name,
            events[0],
            events[0],
        )
    return Target(kind="regression", name=name, classes=[], unit=unit)


def _survival(frame: pd.DataFrame, name: str, positive: str | None, unit: str, event: str | None) -> Target:
    """An event is 1, yes, true, dead, event or the like, and censoring 0, no, false, alive, censored or the like.

    A column whose name says that it marks censoring is read the other way round.
    """
    assert event is not None
    need_scikit_survival()  # for the metric of each epoch
    if frame[name].dropna().nunique() < 2:
        raise InputError(f"times {name!r} are all equal or missing; a model needs at least two different times")
    text = as_text(frame[event].dropna())
    levels = sorted(text.unique(), key=natural_order)
    if positive is not None and positive not in levels:
        raise InputError(
            f"positive {positive!r} does not occur in the event {event!r}; its values: {', '.join(levels[:5])}"
        )
    if not 0 < len(levels) <= 2:
        problem = f"has {len(levels)} values ({', '.join(levels[:5])}, ...)" if levels else "is empty"
        raise InputError(f"event {event!r} {problem}; it must have two, such as 1 (event) and 0 (censored)")
    target = Target(kind="survival", name=name, classes=[], unit=unit, event=event)
    if positive is not None:
        return {**target, "event_levels": [next((level for level in levels if level != positive), ""), positive]}
    meaning = {level: _meaning(level) for level in levels}
    if None in meaning.values() or len(set(meaning.values())) < len(levels):
        raise InputError(
            f"event {event!r} has the values {' and '.join(levels)}; give that of the event as --data.positive"
        )
    if event.lower() == "cens" and set(levels) <= {"0", "1"}:
        raise InputError(f"event {event!r} may mark events or censoring; give the value of an event as --data.positive")
    inverse = bool(NO_EVENT.search(event.lower())) and {level.lower() for level in levels} <= ANSWERS
    no = next((level for level in levels if meaning[level] is inverse), "")
    yes = next((level for level in levels if meaning[level] is not inverse), "")
    if inverse:
        log.warning(
            "event %r: its name says that it marks samples without an event, so %s (%d samples) is taken as the event; "
            "--data.positive %s reverses this",
            event,
            yes,
            (text == yes).sum(),
            no,
        )
    elif yes:
        log.info(
            "event %r: %s marks an event (%d samples), %s censoring", event, yes, (text == yes).sum(), no or "nothing"
        )
    return {**target, "event_levels": [no or ("1" if inverse else "0"), yes or ("0" if inverse else "1")]}


def _meaning(level: str) -> bool | None:
    """True for an event, False for none; of codes such as '0:LIVING' the word counts."""
    words = [word for word in re.split(r"[^a-z0-9]+", level.lower()) if word]
    whole = "".join(word for word in words if not word.isdigit()) or "".join(words)
    if whole in HAPPENED or whole in CENSORED:
        return whole in HAPPENED
    return None


# How a column of a table is described as a target of each kind; kinds that are no column have no entry.
KINDS: dict[str, Describe] = {
    "binary": _binary,
    "multiclass": _classes,
    "regression": _regression,
    "survival": _survival,
}

"""User errors with one-line messages, and suggestions of the nearest valid spelling."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec
from numbers import Real
from typing import Any

MOST_SEED = 2**32 - 1  # that numpy, scikit-learn and torch all take


class InputError(ValueError):
    """Invalid user input.

    The message is one line that names the file, column, row, key or sample at fault and what to do about it.
    The command line prints it without a traceback and exits with status 2.
    """


class NotWritableError(InputError):
    """A file cannot be written: a full disk, a folder without permission, a loop of links."""


class Terminated(KeyboardInterrupt):
    """The signal SIGTERM, which ends a command like Ctrl-C."""


def suggest(name: str, known: Iterable[str]) -> str:
    """The nearest known names, or the first known names if none is similar.

    >>> suggest("mlp_pma", ["mlp_pima", "vae"])
    'did you mean mlp_pima?'
    """
    known = [str(item) for item in known]
    lower = {item.lower(): item for item in known}
    close = [lower[match] for match in get_close_matches(name.lower(), lower, n=3)]
    if close := close or [item for item in known if len(name) > 2 and name.lower() in item.lower()][:3]:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``"1 row"``, ``"2,000 rows"``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def check_range(name: str, value: Any, low: float, high: float = float("inf")) -> None:
    """Raise an `InputError` unless ``value`` is a number, and ``low <= value <= high``.

    >>> check_range("folds", None, 2)
    Traceback (most recent call last):
    zoo.errors.InputError: folds must be at least 2, not null
    """
    number = isinstance(value, Real)  # the parser of options accepts null for a number, and any value in a mapping
    if not number or not low <= value <= high:
        limits = f"at least {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
        shown = f"{value:g}" if number else "null" if value is None else repr(value)
        raise InputError(f"{name} must be {limits}, not {shown}")


def check_different(name: str, values: Iterable[str]) -> None:
    """Raise an `InputError` if one of ``values`` occurs twice."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise InputError(f"{name}: {value!r} occurs more than once; remove one")
        seen.add(value)


def need_scikit_survival() -> None:
    """Raise an `InputError` unless scikit-survival is installed, which is optional because of its licence (GPL)."""
    if find_spec("sksurv") is None:
        raise InputError("survival needs the package scikit-survival: pip install 'biozoo[survival]'")


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise an `InputError` unless ``value`` is one of ``choices``."""
    choices = list(choices)
    if value not in choices:
        raise InputError(f"{name} {value!r} is unknown; {suggest(value, choices)}")

"""Registries of functions and classes by kind of modality, filled by the modules of each kind."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .errors import InputError

T = TypeVar("T")
Added = TypeVar("Added")
JOINT = "joint"  # several modalities of the same samples
ONE = "one"  # in a list of supported kinds: every kind except joint
WORDS = {JOINT: "multi-modality", ONE: "single-modality"}


class Registry(dict[str, T]):
    """One entry per kind of modality; each module adds its own entries, so that there is no central list of kinds.

    Args:
        what: What the entries do, as the subject of the error message for a kind without an entry.

    Example:
        >>> LENGTHS = Registry[Callable[[str], int]]("counting letters")
        >>> @LENGTHS.add("sequence")
        ... def length(text: str) -> int:
        ...     return len(text)
        >>> LENGTHS.of("sequence")("ACGT")
        4
        >>> LENGTHS.of("image")
        Traceback (most recent call last):
        zoo.errors.InputError: counting letters is not available for image data; it is for sequence data
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def add(self, *kinds: str) -> Callable[[Added], Added]:
        """Decorator that makes a function or class the entry of these kinds.

        Raises:
            TypeError: A kind already has an entry.
        """

        def register(entry: Any) -> Any:
            for kind in kinds:
                if kind in self:
                    raise TypeError(f"{self.what}: two entries for {kind}")
                self[kind] = entry
            return entry

        return register

    def of(self, kind: str) -> T:
        """The entry of a kind.

        Raises:
            InputError: The kind has no entry.
        """
        check_kind(self.what, kind, self)
        return self[kind]


def check_kind(what: str, kind: str, kinds: Iterable[str], hint: str = "") -> None:
    """Raise an `InputError` unless a kind of modality is supported.

    Args:
        what: Subject of the message, such as ``"zoo.explain.lime_image"``.
        kind: Kind of the data.
        kinds: Supported kinds; `ONE` stands for all except joint.
        hint: What to do instead.
    """
    known = list(kinds)
    if kind in known or (ONE in known and kind != JOINT):
        return
    *most, last = [WORDS.get(name, name) for name in known]
    supported = f"{', '.join(most)} and {last}" if most else last
    refused = f"{what} is not available for {WORDS.get(kind, kind)} data; it is for {supported} data"
    raise InputError(f"{refused}; {hint}" if hint else refused)

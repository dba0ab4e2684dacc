"""What a room has for each modality, looked up by its kind and filled by the files of the kinds."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .errors import InputError

T = TypeVar("T")
Added = TypeVar("Added")
JOINT = "joint"  # several modalities of the same samples
ONE = "one"  # among the kinds that something is for: every kind but joint, those to come included
WORDS = {JOINT: "multi-modality", ONE: "single-modality"}


class Registry(dict[str, T]):
    """One entry a kind of modality; a file that knows a kind adds its own, so no list of all kinds is kept anywhere.

    Args:
        what: What the entries do, the subject of the error for a kind that has none.

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
            TypeError: A kind has an entry already.
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
            InputError: It has none.
        """
        check_kind(self.what, kind, self)
        return self[kind]


def check_kind(what: str, kind: str, kinds: Iterable[str], hint: str = "") -> None:
    """Raise an `InputError` unless a kind of modality is one of those that something is for.

    Args:
        what: The subject of the error, such as ``"zoo.explain.lime_image"``.
        kind: Of the data.
        kinds: Those that it is for; `ONE` stands for all but joint.
        hint: What to do instead.
    """
    known = list(kinds)
    if kind in known or (ONE in known and kind != JOINT):
        return
    *most, last = [WORDS.get(name, name) for name in known]
    told = f"{', '.join(most)} and {last}" if most else last
    refused = f"{what} is not available for {WORDS.get(kind, kind)} data; it is for {told} data"
    raise InputError(f"{refused}; {hint}" if hint else refused)

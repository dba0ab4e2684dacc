"""Comparison of plain values, as in JSON and YAML, with the type annotations of classes and functions."""

import inspect
from collections.abc import Callable
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from .errors import InputError, suggest

LONGEST_TEXT, LARGEST = 100_000, 1 << 53  # bytes; whole numbers above it are inexact in the JSON of other programs


def check(value: Any, annotation: Any, where: str) -> None:
    """Raise an `InputError` unless a value has the type of an annotation.

    Numbers must be finite and below `LARGEST`, texts valid and below `LONGEST_TEXT`. A tuple is a list. Annotations
    other than scalars, ``Literal``, ``list``, ``dict``, unions and ``TypedDict`` allow any plain value.

    Args:
        value: A plain value.
        annotation: The expected type. A ``TypedDict`` allows its own keys only.
        where: Path of the value for the message, such as ``"config.json: init_args.lr"``, or a file and ``": "``.

    Example:
        >>> check([64, "32"], list[int], "hidden")
        Traceback (most recent call last):
        zoo.errors.InputError: hidden[1]: '32' is not a whole number
    """
    try:
        _check(value, annotation, where)
    except RecursionError:
        raise InputError(f"{where.removesuffix(': ')}: too many lists and mappings within each other") from None


def _check(value: Any, annotation: Any, where: str) -> None:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        _check_union(value, inner, where)
    elif annotation in SCALARS:
        _require(SCALARS[annotation](value), value, annotation, where)
    elif origin is Literal:
        if isinstance(value, str) and value not in inner:
            raise InputError(f"{where}: {_shown(value)} is unknown; {suggest(value[:80], inner)}")
        _require(value in inner, value, annotation, where)
    elif origin is list:
        _require(isinstance(value, list | tuple), value, annotation, where)
        if inner[0] in SCALARS and all(map(SCALARS[inner[0]], value)):
            return  # much faster for the names of many features
        for number, item in enumerate(value):
            _check(item, inner[0], f"{where}[{number}]")
    elif origin is dict:
        _require(isinstance(value, dict) and all(map(_is_text, value)), value, annotation, where)
        for key, item in value.items():
            _check(item, inner[1], _below(where, key))
    elif is_typeddict(annotation):
        _require(isinstance(value, dict) and all(map(_is_text, value)), value, dict, where)
        hints = _hints(annotation)
        check_keys(value, list(hints), annotation.__required_keys__, where)
        for key, item in value.items():
            _check(item, hints[key], _below(where, key))
    else:
        _check_plain(value, where)


def check_keys(value: dict[str, Any], known: list[str], needed: Any, where: str) -> None:
    """Raise an `InputError` for an unknown or a missing key of a mapping."""
    for key in value:
        if key not in known:
            raise InputError(f"{where.removesuffix(': ')}: unknown key {key[:80]!r}; {suggest(key[:80], known)}")
    for key in known:
        if key in needed and key not in value:
            raise InputError(f"{where.removesuffix(': ')}: no key {key!r}")


def check_arguments(function: Any, values: Any, where: str) -> None:
    """Raise an `InputError` unless these are valid arguments of a function or class, by name and type.

    A class that passes ``**kwargs`` on also has the arguments of its base class.
    """
    check(values, dict[str, Any], where)
    known, needed = arguments(function)
    check_keys(values, list(known), needed, where)
    for name, value in values.items():
        check(value, known[name], _below(where, name))


def _below(where: str, key: str) -> str:
    return f"{where}{key}" if where.endswith(": ") else f"{where}.{key}"


@cache
def arguments(function: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """Annotations of the arguments of a function or class by name, and the names of those without a default."""
    known: dict[str, Any] = {}
    needed = set()
    is_class = isinstance(function, type)
    makers = [vars(c)["__init__"] for c in function.__mro__ if "__init__" in vars(c)] if is_class else [function]
    for maker in makers:
        parameters = list(inspect.signature(maker).parameters.values())[is_class:]
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        hints = _hints(maker)
        for parameter in named:
            if parameter.name not in known:
                known[parameter.name] = hints.get(parameter.name, Any)
                needed |= {parameter.name} if parameter.default is parameter.empty else set()
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
            break
    return known, frozenset(needed)


@cache
def _hints(annotated: Any) -> dict[str, Any]:
    try:
        return get_type_hints(annotated)
    except NameError:  # a name that is imported for type checkers only
        return {}


def _is_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value.encode()) <= LONGEST_TEXT
    except UnicodeEncodeError:  # half of a surrogate pair, which cannot be printed
        return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and isfinite(value))


SCALARS: dict[Any, Callable[[Any], bool]] = {
    str: _is_text,
    int: _is_whole,
    float: _is_number,
    bool: lambda value: isinstance(value, bool),
    NoneType: lambda value: value is None,
}
WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null", dict: "keys"}


def _words(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin in (Union, UnionType):
        return " or ".join(map(_words, inner))
    if origin is list:
        return f"a list (of {_words(inner[0])})"
    return WORDS.get(origin or annotation, "a value")


def _require(valid: bool, value: Any, annotation: Any, where: str) -> None:
    if not valid:
        size = f" of at most {LARGEST:,}" if isinstance(value, int) and annotation in (int, float) else ""
        raise InputError(f"{where.removesuffix(': ')}: {_shown(value)} is not {_words(annotation)}{size}")


def _shown(value: Any) -> str:
    """A value for a message, shortened; deep and long values are not written out."""
    if isinstance(value, dict | list | tuple):
        return f"a {'mapping' if isinstance(value, dict) else 'list'}" if value else repr(value)
    text = repr(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _check_union(value: Any, annotations: tuple[Any, ...], where: str) -> None:
    if value is None and NoneType in annotations:
        return
    possible = [annotation for annotation in annotations if annotation is not NoneType]
    if len(possible) == 1:  # the message of which names the item at fault
        _check(value, possible[0], where)
    else:
        _require(any(_fits(value, annotation) for annotation in possible), value, Union[annotations], where)  # noqa: UP007


def _fits(value: Any, annotation: Any) -> bool:
    try:
        _check(value, annotation, "")
    except InputError:
        return False
    return True


def _check_plain(value: Any, where: str) -> None:
    """Any plain value, with texts and numbers as in `check`."""
    match value:
        case dict():
            _check(value, dict[str, Any], where)
        case list() | tuple():
            _check(value, list[Any], where)
        case int() | float() if not isinstance(value, bool):
            _require(_is_number(value), value, float, where)
        case _:
            _require(any(test(value) for test in SCALARS.values()), value, str | float | bool | None, where)

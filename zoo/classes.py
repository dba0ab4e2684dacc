"""Classes that recipes and options may name: models, data modules, callbacks, and those of modules of the user."""

import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import reduce
from importlib import import_module
from operator import or_
from pathlib import Path
from traceback import extract_tb
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from lightning.pytorch import callbacks as of_lightning
from lightning.pytorch.callbacks import Callback

from .data import Data
from .errors import InputError, suggest
from .models import REGISTRY

# Callbacks of Lightning that take plain options, write no files and call no functions that an option names.
CALLBACKS = (
    "DeviceStatsMonitor", "EarlyStopping", "EMAWeightAveraging", "GradientAccumulationScheduler", "LearningRateMonitor",
    "ModelSummary", "StochasticWeightAveraging", "Timer",
)  # fmt: skip
KINDS = ("model", "data", "callback")
SCALARS = (str, int, float, bool, NoneType, timedelta, Path, Any)
CONTAINERS = (list, tuple, dict, Sequence, Mapping)
imported: list[str] = []  # modules of the user, named by --import


def subclasses(base: type) -> list[type]:
    """All direct and indirect subclasses."""
    children: list[type] = base.__subclasses__()
    return [c for child in children for c in (child, *subclasses(child))]


def known(kind: str = "") -> dict[str, type]:
    """Classes by name.

    Args:
        kind: ``"model"``, ``"data"`` or ``"callback"``; all of them if empty.
    """
    if not kind:
        return {name: found for each in KINDS for name, found in known(each).items()}
    if kind == "model":
        return {**REGISTRY}
    if kind == "data":
        return {c.__name__: c for c in subclasses(Data)}
    own = {c.__name__: c for c in subclasses(Callback) if _of_user(c.__module__)}
    return {**{name: getattr(of_lightning, name) for name in CALLBACKS}, **own}


def _of_user(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in imported)


def find(kind: str, name: Any) -> type:
    """The class of this name, or of its import path.

    Args:
        kind: ``"model"``, ``"data"`` or ``"callback"``; any of them if empty.
        name: Such as ``"MLP"`` or ``"zoo.models.MLP"``. Nothing is imported: the path has to be that of a known class.

    Raises:
        InputError: There is no such class.
    """
    classes = known(kind)
    place, _, short = str(name).rpartition(".")
    found = classes.get(short)
    if found is not None and place in ("", found.__module__, _place(found)):
        return found
    if place.split(".")[0] not in ("", "zoo", "lightning") and short not in ("yaml", "yml"):
        raise InputError(
            f"class_path {name!r} is not part of zoo or Lightning; if you trust this code, name its module on the "
            f"command line: --import {place}"
        )
    raise InputError(f"no class {name!r}; {suggest(short, classes)}")


def _place(found: type) -> str:
    """The shortest module that holds a class, as jsonargparse writes it."""
    parts = found.__module__.split(".")
    names = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return next(name for name in names if getattr(sys.modules.get(name), found.__name__, None) is found)


def path_of(found: type) -> str:
    """Import path of a class."""
    return f"{_place(found)}.{found.__name__}"


def import_own(name: str) -> None:
    """Import a module of the user, whose models, data modules and callbacks are then known by name.

    Args:
        name: Such as ``"my_module"`` or ``"my_package.models"``, in the working folder or installed.

    Raises:
        InputError: There is no such module, it fails, or one of its classes has a name that is taken.
    """
    if name.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
        raise InputError(f"--import {name}: give the name of a module, such as my_module for the file my_module.py")
    if name in imported:
        return
    before, path = {kind: known(kind) for kind in KINDS}, list(sys.path)
    sys.path.append(str(Path.cwd()))  # behind all else: no file here replaces an installed package
    try:
        import_module(name)
    except Exception as error:
        at = extract_tb(error.__traceback__)[-1]
        where = f" ({at.filename}, line {at.lineno})" if not isinstance(error, ModuleNotFoundError) else ""
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"--import {name}: {reason}{where}") from error
    finally:
        sys.path[:] = path
    imported.append(name)
    for kind, classes in before.items():
        for short, found in known(kind).items():
            if found is not classes.get(short, found):
                raise InputError(f"--import {name}: the name {short} is taken by {path_of(classes[short])}; rename it")


def plain(annotation: Any) -> Any:
    """The part of a type that plain values can have: no classes, no functions. None if nothing is left.

    A callback is its name, or a mapping of ``class_path`` and ``init_args``.

    >>> plain(Callback | int | None)
    str | dict[str, typing.Any] | int | None
    """
    if (named := getattr(annotation, "__value__", None)) is not None:  # type Name = ...
        return plain(named)
    if annotation is Callback:
        return str | dict[str, Any]
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation in SCALARS or origin is Literal:
        return annotation
    if origin in (Union, UnionType):
        kept = [part for part in map(plain, parts) if part is not None]
        if kept == [NoneType]:
            return Literal[None]  # the option remains, but is always null; jsonargparse does not check a bare NoneType
        return reduce(or_, kept) if kept else None
    if origin in CONTAINERS:
        inner = [part if part is ... else plain(part) for part in parts]
        return None if None in inner else origin[tuple(inner)]
    return annotation if annotation in CONTAINERS else None

"""Schema of the card of weights, ``config.json``, and of the spec that it and checkpoints hold."""

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from math import prod
from pathlib import Path
from typing import Any, NotRequired, TypedDict, get_type_hints

from .errors import InputError, check_choice
from .schema import check
from .spec import Modality, Spec, Target

CARD = "config.json"
MOST_BYTES = 64 << 20  # of a card; the names of a million features take 20 MB
MOST_VALUES = 1_000_000_000  # of one sample, which are 4 GB
AXES = {"table": (1,), "expression": (1,), "sequence": (1,), "series": (2,), "image": (3, 4)}
SCALES = ("counts", "abundance", "log", "beta", "none")
CLASSES = {  # fewest and most by kind of target
    "binary": (2, 2),
    "multiclass": (1, 65_536),
    "segmentation": (2, 256),
    **dict.fromkeys(("regression", "survival", "image", "none"), (0, 0)),
}
Scores = dict[str, float | None]


class DataFacts(TypedDict):
    """Facts on the training data that every card has; data modules add further ones, such as a citation."""

    name: str
    sha256: str
    licence: str
    samples: dict[str, int]
    seed: int
    split_sha256: str


class Spread(TypedDict):
    """Mean and standard deviation of a score; None where it is undefined."""

    mean: float | None
    sd: float | None


class CrossValidation(TypedDict):
    """Spread of the scores over folds, by model and metric."""

    folds: int
    repeats: int
    scores: dict[str, dict[str, Spread]]


class Card(TypedDict):
    """Content of ``config.json``.

    Attributes:
        name: Name of the folder.
        model: Name of the class.
        task: Task of the model.
        headline: Name of the metric that listings show.
        parameters: Number of trained weights.
        sha256: Checksum of each file with tensors.
        recipe: Name of the recipe.
        target: Column of the target, or ``""``.
        inputs: Names of the features.
        data: Facts on the training data, see `DataFacts`.
        seed: Seed of the training.
        scores: Scores by model, split and metric.
        crossval: Spread over the folds of a cross-validation.
        limits: Limits of use.
        versions: Versions of packages.
        git: Revision of the code, or None.
        init_args: Arguments of the class.
    """

    name: str
    model: str
    task: str
    headline: str
    parameters: int
    sha256: dict[str, str]
    recipe: str
    target: str
    inputs: list[str]
    data: dict[str, Any]
    seed: int
    scores: dict[str, dict[str, Scores]]
    crossval: NotRequired[CrossValidation]
    limits: str
    versions: dict[str, str]
    git: str | None
    init_args: dict[str, Any]


def read_card(folder: Path, sha256: str | None = None) -> dict[str, Any]:
    """The checked content of ``config.json`` in a folder.

    Args:
        folder: A folder written by ``zoo export``.
        sha256: Expected checksum of the file.

    Raises:
        InputError: Missing, damaged, not the file of that checksum, or a key does not fit the schema.
    """
    path = folder / CARD
    if not path.is_file():
        raise InputError(f"{path} is missing; is {str(folder)!r} a folder written by 'zoo export'?")
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES:,} bytes; no card of weights is")
    if sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != sha256.lower():
        raise InputError(f"{path} is not the file of that checksum: sha256 {found}, expected {sha256}")
    try:
        card = json.loads(content)
    except ValueError as error:
        raise InputError(f"{path} is damaged: {str(error)[:200]}") from None
    except RecursionError:
        raise InputError(f"{path} is damaged: too many brackets within brackets") from None
    check(card, Card, f"{path}: ")
    facts = {key: card["data"][key] for key in get_type_hints(DataFacts) if key in card["data"]}
    check(facts, DataFacts, f"{path}: data")
    if "test" not in card["scores"].get(card["model"], {}):
        raise InputError(f"{path}: scores: no test scores of {card['model']!r}")
    if "spec" not in card["init_args"]:
        raise InputError(f"{path}: init_args: no key 'spec'")
    check_spec(card["init_args"]["spec"], f"{path}: init_args.spec")
    return dict(card)


def check_spec(spec: Any, where: str) -> None:
    """Raise an `InputError` unless a spec has the types of `Spec`, and its entries fit each other.

    Args:
        spec: Any plain value.
        where: Path of the spec for the message.
    """
    check(spec, Spec, where)
    _need(bool(spec["modalities"]), f"{where}.modalities", "none is given")
    for name, modality in spec["modalities"].items():
        _check_modality(modality, f"{where}.modalities.{name}")
    _check_target(spec["target"], f"{where}.target")
    for name, target in spec.get("also", {}).items():
        _check_target(target, f"{where}.also.{name}")


def _check_modality(modality: Modality, where: str) -> None:
    kind, features, levels = modality["kind"], modality.get("features", []), modality.get("levels", {})
    _need("parts" not in modality and kind != "joint", where, "a modality cannot have modalities as parts")
    _check_shape(modality["shape"], AXES.get(kind, ()), f"{where}.shape")
    _distinct(features, f"{where}.features")
    if kind in AXES:
        expected = modality["shape"][0] if kind in ("table", "expression") else 1
        given = len(features)
        _need(given == expected, f"{where}.features", f"{given} for {kind} data of the shape {modality['shape']}")
    conditions = modality.get("covariates", [])
    _among(conditions, features, f"{where}.covariates", "features")
    if conditions and kind == "expression":
        _need(conditions == features[-len(conditions) :], f"{where}.covariates", "must be the last features")
    _among(levels, features, f"{where}.levels", "features")
    for name, known in levels.items():
        _distinct(known, f"{where}.levels.{name}")
    _among(modality.get("ordered", []), levels, f"{where}.ordered", "levels")
    _among(dates := modality.get("dates", {}), [f for f in features if f not in levels], f"{where}.dates", "features")
    for name, how in dates.items():
        try:
            date.fromisoformat(how["origin"])
        except ValueError:
            raise InputError(f"{where}.dates.{name}.origin: {how['origin'][:40]!r} is no ISO 8601 date") from None
    if "channels" in modality:
        _distinct(modality["channels"], f"{where}.channels")
        _need(len(modality["channels"]) == modality["shape"][0], f"{where}.channels", "not one name for each channel")
    rates: dict[str, float] = {key: modality.get(key, 1.0) for key in ("sampling_rate", "time_step")}  # type: ignore[misc]
    for key, value in rates.items():
        _need(value > 0, f"{where}.{key}", "must be positive")
    check_choice(f"{where}.scale", modality.get("scale", "none"), SCALES)


def _check_target(target: Target, where: str) -> None:
    kind, classes = target["kind"], target["classes"]
    least, most = CLASSES.get(kind, (0, len(classes)))
    limits = f"{least}" if least == most else f"{least} to {most}"
    _need(least <= len(classes) <= most, f"{where}.classes", f"{len(classes)} for a {kind} target, {limits} expected")
    _distinct(classes, f"{where}.classes")
    if kind == "survival":
        _need(bool(target.get("event")), f"{where}.event", "no column is given")
        _need(len(set(target.get("event_levels", []))) == 2, f"{where}.event_levels", "two different values expected")
    if kind == "image" or "shape" in target:
        _check_shape(target.get("shape", []), AXES["image"], f"{where}.shape")
    if "values" in target:
        _distinct(target["values"], f"{where}.values")
        _need(len(target["values"]) == len(classes), f"{where}.values", "not one value for each class")
    weight: float = target.get("weight", 1.0)
    _need(weight >= 0, f"{where}.weight", "must be at least 0")


def _check_shape(shape: list[int], axes: tuple[int, ...], where: str) -> None:
    known = axes or range(1, 6)
    _need(len(shape) in known, where, f"{len(shape)} axes, {' or '.join(map(str, known))} expected")
    _need(min(shape) > 0, where, "every size must be at least 1")
    _need(prod(shape) <= MOST_VALUES, where, f"{prod(shape):,} values in one sample, at most {MOST_VALUES:,} are read")


def _need(valid: bool, where: str, problem: str) -> None:
    if not valid:
        raise InputError(f"{where}: {problem}")


def _distinct(items: list[Any], where: str) -> None:
    seen = set()
    for item in items:
        _need(item not in seen, where, f"{str(item)[:80]!r} is there twice")
        seen.add(item)


def _among(items: Iterable[str], known: Iterable[str], where: str, of: str) -> None:
    names = set(known)
    for item in items:
        _need(item in names, where, f"{item[:80]!r} is not one of the {of}")

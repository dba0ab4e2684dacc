"""Registries of encodings by kind of modality; the file of each kind adds its entries."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor

from ..errors import InputError, check_choice, suggest
from ..registry import Registry
from ..schema import arguments, check
from ..spec import Modality
from .base import Encoder


class Missing(NamedTuple):
    """Raw values of samples that lack a modality.

    Attributes:
        dtype: Type of the raw values if no sample has the modality.
        code: Value where raw values are integers; floating-point values are NaN.
    """

    dtype: torch.dtype
    code: int


class InputLines(NamedTuple):
    """Lines on the inputs of a model, for its card.

    Attributes:
        tag: Tag of the Hugging Face Hub that precedes the task, such as ``"dna"``.
        example: A line of code that predicts.
        inputs: A sentence that describes the inputs.
    """

    tag: str
    example: str
    inputs: str


ENCODERS = Registry[Callable[[Modality, dict[str, Any]], Encoder]]("an encoding")
LAYERS = Registry[dict[str, type[Encoder]]]("a choice of encoding layers")  # the first is the default
READERS = Registry[Callable[[Any, Modality, str], Any]]("reading raw values")
WRITERS = Registry[Callable[[Tensor, Modality, pd.Index | None], pd.DataFrame | np.ndarray]]("writing raw values")
MISSING = Registry[Missing]("a code for missing samples")
CARDS = Registry[Callable[[Modality, list[str]], InputLines]]("a card")
NUMBERS = Missing(torch.float32, 0)
Layer = TypeVar("Layer", bound=type[Encoder])


def layer(kind: str, name: str, default: bool = False) -> Callable[[Layer], Layer]:
    """Class decorator that registers an encoding layer of a kind of modality.

    Args:
        kind: Kind of the modality.
        name: Name for users, as in ``encoding={"layer": name}``.
        default: Whether the layer is the default.
    """

    def register(cls: Layer) -> Layer:
        registered = LAYERS.get(kind, {})
        LAYERS[kind] = {name: cls, **registered} if default else {**registered, name: cls}
        ENCODERS[kind] = _chosen
        return cls

    return register


def _chosen(modality: Modality, options: dict[str, Any]) -> Encoder:
    layers, options = LAYERS.of(modality["kind"]), dict(options)
    chosen = options.pop("layer", next(iter(layers)))
    check(chosen, str, "layer of an encoding")
    check_choice(f"layer of a {modality['kind']} encoding", chosen, layers)
    made: Any = layers[chosen]
    known = {name: kind for name, kind in arguments(made)[0].items() if name != "modality"}
    for name, value in options.items():
        if name not in known:
            raise InputError(f"a {chosen} encoding has no option {name!r}; {suggest(name, [*known, 'layer'])}")
        check(value, known[name], f"encoding.{name}")
    encoding: Encoder = made(modality, **options)
    return encoding


def encoder(modality: Modality, options: dict[str, Any] | None = None) -> Encoder:
    """First layer of a model, for raw values of this modality.

    Args:
        modality: An entry of ``spec["modalities"]``.
        options: ``layer``, if there are several (``{"layer": "k-mer"}``), and keyword arguments of the layer, such
            as ``{"missing_indicator": True}``. For several modalities: options by their names.

    Raises:
        InputError: The layer or an option is unknown, or a value has another type.
    """
    check(options, dict[str, Any] | None, "encoding")
    return ENCODERS.of(modality["kind"])(modality, options or {})


def to_tensor(frame: pd.DataFrame | AnnData, modality: Modality, source: str = "the table") -> Tensor:
    """Raw values of a user's table as the model expects them (see `READERS`).

    For an AnnData the result is an `ExpressionRows`, from which batches are read by indexing.
    """
    x: Tensor = READERS.of(modality["kind"])(frame, modality, source)
    return x


def from_tensor(raw: Tensor, modality: Modality, index: pd.Index | None = None) -> pd.DataFrame | np.ndarray:
    """Raw values as a table or array for users; the inverse of `to_tensor`.

    Args:
        raw: Raw values, ``shape=(samples, *shape)``; for expression, covariates may be left out.
        modality: Their modality.
        index: Names of the samples.

    Returns:
        Tables and expression: one row per sample, one column per feature except covariates, with the names of levels.
        Sequences: a table with their letters. Series and images: an array.
    """
    return WRITERS.of(modality["kind"])(raw, modality, index)


def blank(part: Modality, rows: int, dtype: torch.dtype | None = None) -> Tensor:
    """Raw values of a missing modality, ``(rows, *shape)``: NaN, N for sequences, and 0 for integer-valued images."""
    missing = MISSING.get(part["kind"], NUMBERS)
    dtype = dtype or missing.dtype
    return torch.full((rows, *part["shape"]), torch.nan if dtype.is_floating_point else missing.code, dtype=dtype)


def as_array(raw: Tensor, modality: Modality, index: pd.Index | None) -> np.ndarray:
    """Raw values as an array."""
    values: np.ndarray = raw.detach().cpu().numpy()
    return values


def channels_of(modality: Modality) -> str:
    """Number and names of the channels, for a card."""
    count = modality["shape"][0]
    named = modality.get("channels")
    return ("one channel" if count == 1 else f"{count} channels") + (f" ({', '.join(named)})" if named else "")

"""What an encoding knows of each kind of modality; the file of a kind adds its own entries."""

from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor

from ..errors import InputError, check_choice, suggest
from ..registry import Registry
from ..spec import Modality
from .base import Encoder


class Missing(NamedTuple):
    """What stands for a sample that lacks this modality while others of it were measured.

    Attributes:
        dtype: Of raw values of which no sample is known.
        code: In their place where raw values are whole numbers; other raw values are NaN.
    """

    dtype: torch.dtype
    code: int


class InputLines(NamedTuple):
    """What the card of a model says of its inputs.

    Attributes:
        tag: Of the Hugging Face Hub, before the task, such as ``"dna"``.
        example: A line of code that predicts.
        inputs: A sentence on what goes in.
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
    """Class decorator: an encoding layer of a kind by the name that users choose it by.

    Args:
        kind: Of the modality.
        name: As in ``encoding={"layer": name}``.
        default: Where nothing is chosen.
    """

    def register(cls: Layer) -> Layer:
        others = LAYERS.get(kind, {})
        LAYERS[kind] = {name: cls, **others} if default else {**others, name: cls}
        ENCODERS[kind] = _chosen
        return cls

    return register


def _chosen(modality: Modality, options: dict[str, Any]) -> Encoder:
    layers, options = LAYERS.of(modality["kind"]), dict(options)
    chosen = options.pop("layer", next(iter(layers)))
    check_choice(f"layer of a {modality['kind']} encoding", chosen, layers)
    known = [name for name in signature(layers[chosen]).parameters if name != "modality"]
    for name in options:
        if name not in known:
            raise InputError(f"a {chosen} encoding has no option {name!r}; {suggest(name, [*known, 'layer'])}")
    return layers[chosen](modality, **options)


def encoder(modality: Modality, options: dict[str, Any] | None = None) -> Encoder:
    """First layer of a model, for raw values of this modality.

    Args:
        modality: An entry of ``spec["modalities"]``.
        options: ``layer``, where there is a choice (``{"layer": "k-mer"}``), and keyword arguments of the layer, such
            as ``{"missing_indicator": True}``. Of several modalities: such options by their names.

    Raises:
        InputError: No such layer, or an option that it does not have.
    """
    return ENCODERS.of(modality["kind"])(modality, options or {})


def to_tensor(frame: pd.DataFrame | AnnData, modality: Modality, source: str = "the table") -> Tensor:
    """Raw values of a user's table as the model expects them (see `READERS`).

    Of an AnnData it is no tensor, but what makes one when it is asked for rows (`ExpressionRows`).
    """
    x: Tensor = READERS.of(modality["kind"])(frame, modality, source)
    return x


def from_tensor(raw: Tensor, modality: Modality, index: pd.Index | None = None) -> pd.DataFrame | np.ndarray:
    """Raw values as users read them; the opposite of `to_tensor`.

    Args:
        raw: Raw values, ``shape=(samples, *shape)``; of expression, covariates may be left out.
        modality: What they are.
        index: Names of the samples.

    Returns:
        Tables and expression: one row a sample, one column a feature that is no covariate, categories by the names of
        their levels. Sequences: a table with their letters. Series and images: the array.
    """
    return WRITERS.of(modality["kind"])(raw, modality, index)


def blank(part: Modality, rows: int, dtype: torch.dtype | None = None) -> Tensor:
    """What stands for a modality that was not measured: NaN, of sequences N, of images black: ``(rows, *shape)``."""
    missing = MISSING.get(part["kind"], NUMBERS)
    dtype = dtype or missing.dtype
    return torch.full((rows, *part["shape"]), torch.nan if dtype.is_floating_point else missing.code, dtype=dtype)


def as_array(raw: Tensor, modality: Modality, index: pd.Index | None) -> np.ndarray:
    """Raw values that users read as the array they are."""
    values: np.ndarray = raw.detach().cpu().numpy()
    return values


def channels_of(modality: Modality) -> str:
    """How many channels there are, and their names where known, for a card."""
    count = modality["shape"][0]
    named = modality.get("channels")
    return ("one channel" if count == 1 else f"{count} channels") + (f" ({', '.join(named)})" if named else "")

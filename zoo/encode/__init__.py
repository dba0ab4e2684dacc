"""Biology becomes tensors: encodings are layers, fitted on training rows and saved with the weights."""

from inspect import signature
from typing import Any

import pandas as pd
from torch import Tensor

from ..errors import InputError, suggest
from ..spec import Modality
from .base import Encoder as Encoder
from .table import TableEncoder, table_to_tensor

ENCODERS = {"table": TableEncoder}
READERS = {"table": table_to_tensor}


def encoder(modality: Modality, options: dict[str, Any] | None = None) -> Encoder:
    """First layer of a model, for raw values of this modality.

    Args:
        modality: An entry of ``spec["modalities"]``.
        options: Keyword arguments of the layer, such as ``{"missing_indicator": True}``.

    Raises:
        InputError: An option that this layer does not have.
    """
    layer, options = ENCODERS[modality["kind"]], options or {}
    known = [name for name in signature(layer).parameters if name != "modality"]
    for name in options:
        if name not in known:
            raise InputError(f"a {modality['kind']} encoding has no option {name!r}; {suggest(name, known)}")
    return layer(modality, **options)


def to_tensor(frame: pd.DataFrame, modality: Modality, source: str = "the table") -> Tensor:
    """Raw values of a user's table as the model expects them (see `table_to_tensor`)."""
    return READERS[modality["kind"]](frame, modality, source)

"""Biology becomes tensors: encodings are layers, fitted on training rows and saved with the weights."""

from inspect import signature
from typing import Any

import pandas as pd
from torch import Tensor

from ..errors import InputError, check_choice, suggest
from ..spec import Modality
from .base import Encoder as Encoder
from .dna import sequence_to_tensor
from .gramian import GramianAngularField
from .image import ImageEncoder, image_to_tensor
from .kmer import KmerEmbedding
from .one_hot import OneHotDNA
from .series import SeriesEncoder, series_to_tensor
from .table import TableEncoder, table_to_tensor

LAYERS: dict[str, dict[str, type[Encoder]]] = {  # of each kind of modality; the first is the default
    "table": {"standardised": TableEncoder},
    "sequence": {"one-hot": OneHotDNA, "k-mer": KmerEmbedding},
    "series": {"standardised": SeriesEncoder, "gramian": GramianAngularField},
    "image": {"standardised": ImageEncoder},
}
READERS = {
    "table": table_to_tensor,
    "sequence": sequence_to_tensor,
    "series": series_to_tensor,
    "image": image_to_tensor,
}


def encoder(modality: Modality, options: dict[str, Any] | None = None) -> Encoder:
    """First layer of a model, for raw values of this modality.

    Args:
        modality: An entry of ``spec["modalities"]``.
        options: ``layer``, where there is a choice (``{"layer": "k-mer"}``), and keyword arguments of the layer, such
            as ``{"missing_indicator": True}``.

    Raises:
        InputError: No such layer, or an option that it does not have.
    """
    layers, options = LAYERS[modality["kind"]], dict(options or {})
    chosen = options.pop("layer", next(iter(layers)))
    check_choice(f"layer of a {modality['kind']} encoding", chosen, layers)
    known = [name for name in signature(layers[chosen]).parameters if name != "modality"]
    for name in options:
        if name not in known:
            raise InputError(f"a {chosen} encoding has no option {name!r}; {suggest(name, [*known, 'layer'])}")
    return layers[chosen](modality, **options)


def to_tensor(frame: pd.DataFrame, modality: Modality, source: str = "the table") -> Tensor:
    """Raw values of a user's table as the model expects them (see `READERS`)."""
    return READERS[modality["kind"]](frame, modality, source)

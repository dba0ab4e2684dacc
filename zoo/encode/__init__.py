"""Biology becomes tensors: encodings are layers, fitted on training rows and saved with the weights."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import pandas as pd
from anndata import AnnData
from torch import Tensor

from ..errors import InputError, check_choice, suggest
from ..spec import Modality
from .base import Encoder as Encoder
from .dna import sequence_to_tensor
from .expression import ExpressionEncoder
from .expression_rows import expression_to_tensor
from .gramian import GramianAngularField
from .image import ImageEncoder, image_to_tensor
from .kmer import KmerEmbedding
from .one_hot import OneHotDNA
from .quantile import QuantileEncoder
from .readable import from_tensor as from_tensor
from .readable import sample_names as sample_names
from .series import SeriesEncoder, series_to_tensor
from .table import TableEncoder, table_to_tensor

LAYERS: dict[str, dict[str, type[Encoder]]] = {  # of each kind of modality; the first is the default
    "table": {"standardised": TableEncoder, "quantile": QuantileEncoder},
    "sequence": {"one-hot": OneHotDNA, "k-mer": KmerEmbedding},
    "series": {"standardised": SeriesEncoder, "gramian": GramianAngularField},
    "image": {"standardised": ImageEncoder},
    "expression": {"standardised": ExpressionEncoder},
}
READERS: dict[str, Callable[[Any, Modality, str], Any]] = {
    "table": table_to_tensor,
    "sequence": sequence_to_tensor,
    "series": series_to_tensor,
    "image": image_to_tensor,
    "expression": expression_to_tensor,
}


def _joint(modality: Modality, options: dict[str, Any]) -> Encoder:
    from .joint import JointEncoder

    parts = modality["parts"]
    for name in options:
        if name not in parts:
            raise InputError(f"encoding: the data have no modality {name!r}; {suggest(name, parts)}")
    layers = {name: encoder(part, options.get(name)) for name, part in parts.items()}
    return JointEncoder(layers, [name for name, part in parts.items() if part.get("imputed")])


def _joint_to_tensor(frame: Any, modality: Modality, source: str) -> Any:
    from .joint import joint_to_tensor

    return joint_to_tensor(frame, modality, source)


def encoder(modality: Modality, options: dict[str, Any] | None = None) -> Encoder:
    """First layer of a model, for raw values of this modality.

    Args:
        modality: An entry of ``spec["modalities"]``.
        options: ``layer``, where there is a choice (``{"layer": "k-mer"}``), and keyword arguments of the layer, such
            as ``{"missing_indicator": True}``. Of several modalities: such options by their names.

    Raises:
        InputError: No such layer, or an option that it does not have.
    """
    if modality["kind"] == "joint":
        return _joint(modality, options or {})
    layers, options = LAYERS[modality["kind"]], dict(options or {})
    chosen = options.pop("layer", next(iter(layers)))
    check_choice(f"layer of a {modality['kind']} encoding", chosen, layers)
    known = [name for name in signature(layers[chosen]).parameters if name != "modality"]
    for name in options:
        if name not in known:
            raise InputError(f"a {chosen} encoding has no option {name!r}; {suggest(name, [*known, 'layer'])}")
    return layers[chosen](modality, **options)


def to_tensor(frame: pd.DataFrame | AnnData, modality: Modality, source: str = "the table") -> Tensor:
    """Raw values of a user's table as the model expects them (see `READERS`).

    Of an AnnData it is no tensor, but what makes one when it is asked for rows (`ExpressionRows`).
    """
    reader = _joint_to_tensor if modality["kind"] == "joint" else READERS[modality["kind"]]
    x: Tensor = reader(frame, modality, source)
    return x

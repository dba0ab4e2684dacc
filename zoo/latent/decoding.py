"""Decode points of the latent space into features with names and units."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..encode import Encoder
from ..errors import InputError
from ..models import Model
from ..spec import Modality, modality_of
from .probe import evaluating

# Unit of decoded expression, by the scale of the data.
EXPRESSION = {"counts": "counts per 10,000", "abundance": "abundance", "log": "logarithm", "beta": "share"}


@dataclass
class Decoded:
    """Decoded points of the latent space.

    Attributes:
        encoded: Output of the decoder: standardised values, probabilities of categories and bases,
            ``shape=(points, *sample_shape)``.
        natural: The same in the units of the data; categories remain probabilities.
        names: Name of each decoded feature, in the order of a flattened sample.
        units: Unit of each feature in ``natural``.
        modality: Specification of the decoded modality.
    """

    encoded: np.ndarray
    natural: np.ndarray
    names: list[str]
    units: list[str]
    modality: Modality


def check_decoder(model: Model, units: int, layer: str = "latent") -> None:
    """Raise an `InputError` unless ``layer`` is the latent space of a model with a decoder and has as many units."""
    if not hasattr(model, "decode"):
        raise InputError(
            f"{type(model).__name__} has no decoder; train an Autoencoder or a VAE, or use zoo.latent.loadings"
        )
    if layer != "latent":
        raise InputError(f"a decoder takes the latent space, not {layer!r}; call embed(model, data) without a layer")
    if (latent := getattr(model, "latent", units)) != units:
        raise InputError(
            f"the latent space of the model has {latent} units, the embedding {units}; embed the data by the same model"
        )


def decode(model: Model, z: np.ndarray, covariates: dict[str, Any] | None = None) -> Decoded:
    """Decode points of the latent space.

    Args:
        model: A model with a decoder.
        z: ``shape=(points, latent)``.
        covariates: Covariates of the decoder, such as ``{"batch": "b1"}``. Default of each: its most frequent level, or
            its mean.

    Raises:
        InputError: The model has no decoder, or a latent space of another size; unknown covariate or level.
    """
    check_decoder(model, z.shape[1])
    modality, encode = modality_of(model.spec), model.encode
    with evaluating(model):
        parts = torch.as_tensor(z, dtype=torch.float32, device=model.device).split(model.rows_at_once)
        conditions = [model.conditions(covariates or {}, len(part)) for part in parts]  # type: ignore[operator]
        decoded = [model.decode(*pair) for pair in zip(parts, conditions, strict=True)]  # type: ignore[operator]
        encoded = torch.cat(decoded)
        try:
            raw = encode.inverse(encoded)
        except InputError:  # an encoding without an inverse
            raw = None
    numbers = encoded.float().cpu().numpy()
    names, units, natural = _labels(modality, encode, numbers.shape[1:]), ["standard deviations"], numbers
    if numbers.ndim == 2:
        natural, units = _columns(modality, names, numbers, raw)
    elif encode.letters:
        units = ["probability"]
    elif raw is not None and raw.shape == encoded.shape:
        natural = raw.float().cpu().numpy()
        channels = modality.get("channels", [""] * numbers.shape[1])
        each = [modality.get("units", {}).get(name, "") for name in channels]
        units = np.repeat(each, numbers[0, 0].size).tolist()
    return Decoded(numbers, natural, names, units * len(names) if len(units) == 1 else units, modality)


def _labels(modality: Modality, encode: Encoder, shape: tuple[int, ...]) -> list[str]:
    """Names of the features of one sample: columns, genes, time points, pixels or bases."""
    if len(shape) == 1:
        return list(encode.feature_names)[: shape[0]]
    channels = list(encode.letters) or modality.get("channels", [])
    if len(channels) != shape[0]:
        channels = [f"channel {number + 1}" for number in range(shape[0])] if shape[0] > 1 else [""]
    places = [f"{encode.axis} {','.join(map(str, at))}" for at in product(*(range(1, n + 1) for n in shape[1:]))]
    return [f"{channel} {place}".strip() for channel in channels for place in places]


def _columns(
    modality: Modality, names: list[str], numbers: np.ndarray, raw: Tensor | None
) -> tuple[np.ndarray, list[str]]:
    """Columns and genes in the units of the data; categories remain probabilities.

    Without an inverse encoding (``raw`` is None) all columns remain standardised.
    """
    if raw is None:
        return numbers, ["standard deviations"]
    levels, ordered = modality.get("levels", {}), modality.get("ordered", [])
    natural, units = numbers.copy(), []
    for column, name in enumerate(names):
        place = modality["features"].index(name) if name in modality["features"] else None
        if place is None or (name in levels and name not in ordered):
            units.append("probability")
            continue
        natural[:, column] = raw[:, place].float().cpu().numpy()
        scale = EXPRESSION.get(modality.get("scale", ""), "")
        units.append("rank" if name in ordered else modality.get("units", {}).get(name, scale))
    return natural, units

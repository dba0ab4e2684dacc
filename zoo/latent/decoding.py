"""What a decoder makes of places in latent space: numbers, their names and their units."""

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

EXPRESSION = {"counts": "counts per 10,000", "abundance": "abundance", "log": "logarithm", "beta": "share"}


@dataclass
class Decoded:
    """Decoded places in latent space.

    Attributes:
        encoded: As the model computes: standard units of the training samples, probabilities of categories and bases,
            ``shape=(places, *content)``.
        natural: In the units of the data, the same shape; a category keeps its probabilities.
        names: Of each number, in the order of the flattened content.
        units: Unit of each number in ``natural``.
        modality: What is decoded.
    """

    encoded: np.ndarray
    natural: np.ndarray
    names: list[str]
    units: list[str]
    modality: Modality


def check_decoder(model: Model, units: int, layer: str = "latent") -> None:
    """Raise an `InputError` unless the model decodes a latent space of so many units, and this is it."""
    if not hasattr(model, "decode"):
        raise InputError(
            f"{type(model).__name__} cannot decode its latent space; train an Autoencoder or a VAE, or look at "
            "zoo.latent.loadings"
        )
    if layer != "latent":
        raise InputError(f"a decoder reads the latent space, not {layer!r}; give embed(model, data) without a layer")
    if (latent := getattr(model, "latent", units)) != units:
        raise InputError(f"the latent space of the model has {latent} units, not {units}; was it embedded by another?")


def decode(model: Model, z: np.ndarray, covariates: dict[str, Any] | None = None) -> Decoded:
    """Decode places in latent space.

    Args:
        model: With a decoder.
        z: ``shape=(places, latent)``.
        covariates: Their values, such as ``{"batch": "b1"}``; those not named are the commonest level, or the mean.

    Raises:
        InputError: The model has no decoder, or one of another latent space; no such covariate or level.
    """
    check_decoder(model, z.shape[1])
    modality, encode = modality_of(model.spec), model.encode
    with evaluating(model):
        parts = torch.as_tensor(z, dtype=torch.float32, device=model.device).split(model.rows_at_once)
        given = [model.conditions(covariates or {}, len(part)) for part in parts]  # type: ignore[operator]
        encoded = torch.cat([model.decode(*pair) for pair in zip(parts, given, strict=True)])  # type: ignore[operator]
        try:
            raw = encode.inverse(encoded)
        except InputError:  # an encoding that cannot be undone
            raw = None
    numbers = encoded.float().cpu().numpy()
    names, units, natural = _labels(modality, encode, numbers.shape[1:]), ["standard units"], numbers
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


def _labels(modality: Modality, encode: Encoder, content: tuple[int, ...]) -> list[str]:
    """Names of the numbers of one sample: columns, genes, time points, pixels, bases."""
    if len(content) == 1:
        return list(encode.feature_names)[: content[0]]
    channels = list(encode.letters) or modality.get("channels", [])
    if len(channels) != content[0]:
        channels = [f"channel {number + 1}" for number in range(content[0])] if content[0] > 1 else [""]
    places = [f"{encode.axis} {','.join(map(str, at))}" for at in product(*(range(1, n + 1) for n in content[1:]))]
    return [f"{channel} {place}".strip() for channel in channels for place in places]


def _columns(
    modality: Modality, names: list[str], numbers: np.ndarray, raw: Tensor | None
) -> tuple[np.ndarray, list[str]]:
    """Numbers and genes in their own units; categories stay probabilities, and so does what cannot be undone."""
    if raw is None:
        return numbers, ["standard units"]
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

"""Covariates that a decoder is told when nobody says which: those of a typical sample, or drawn."""

from typing import Any

import torch
from torch import Tensor

from ..encode import Encoder
from ..errors import InputError, suggest
from ..spec import Modality


def level_columns(modality: Modality, names: list[str]) -> list[list[int]]:
    """For each categorical covariate, where its levels are among the encoded covariates ``names``."""
    nominal = [name for name in modality.get("covariates", []) if name not in modality.get("ordered", [])]
    known = {name: modality["levels"][name] for name in nominal if name in modality.get("levels", {})}
    return [[names.index(f"{name}={level}") for level in [*levels, "unknown"]] for name, levels in known.items()]


def typical(mean: Tensor, levels: list[list[int]]) -> Tensor:
    """Numbers at their mean, the commonest level of each category; a mean of levels is a sample that does not exist.

    Args:
        mean: Encoded covariates of the mean training sample, so that levels have their shares, ``(covariates,)``.
        levels: From `level_columns`.

    Returns:
        The same shape.
    """
    result = mean.clone()
    for columns in levels:
        result[columns] = 0.0
        result[columns[int(mean[columns].argmax())]] = 1.0
    return result


def drawn(mean: Tensor, levels: list[list[int]], rows: int) -> Tensor:
    """Numbers at their mean, levels drawn by their share of the training samples: ``(rows, covariates)``.

    Args:
        mean: As in `typical`.
        levels: As in `typical`; each category is drawn for itself.
        rows: How many.
    """
    result = mean.repeat(rows, 1)
    for columns in levels:
        picked = torch.multinomial(mean[columns].clamp(min=0), rows, replacement=True)
        result[:, columns] = torch.nn.functional.one_hot(picked, len(columns)).to(mean.dtype)
    return result


def given(wanted: dict[str, Any], modality: Modality, encode: Encoder) -> tuple[Tensor, Tensor]:
    """Encoded covariates of these values, and which of their numbers were given: ``(covariates,)`` each.

    Raises:
        InputError: No such covariate, or level.
    """
    known, levels = modality.get("covariates", []), modality.get("levels", {})
    raw = torch.full((1, modality["shape"][0]), torch.nan)
    for name, value in wanted.items():
        if name not in known:
            raise InputError(f"{name!r} is no covariate of this model; {suggest(name, known)}")
        if name in levels and str(value) not in levels[name]:
            raise InputError(f"{name} {value!r} was never seen; {suggest(str(value), levels[name])}")
        raw[0, modality["features"].index(name)] = levels[name].index(str(value)) if name in levels else float(value)
    content = encode.out_shape[0] - encode.covariates
    named = [name.partition("=")[0] in wanted or name in wanted for name in encode.feature_names[content:]]
    device = next(encode.buffers()).device
    return encode(raw.to(device))[0, content:], torch.tensor(named, device=device)

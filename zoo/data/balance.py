"""Class balance, on training rows only."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..spec import Modality

Balance = Literal["none", "weights", "undersample", "oversample", "smote"]


def class_weights(y: Tensor) -> Tensor:
    """Weight of each row, ``samples / (classes * samples of its class)``; they average to 1."""
    counts = torch.bincount(y)
    return (len(y) / ((counts > 0).sum() * counts.clamp(min=1)))[y]


def resample(how: Balance, x: Tensor, y: Tensor, modality: Modality, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Training rows with classes of equal size, by imbalanced-learn.

    Args:
        how: ``"undersample"`` drops rows of the larger classes, ``"oversample"`` repeats rows of the smaller ones,
            ``"smote"`` puts new rows between neighbours of a smaller class (Chawla et al. 2002, doi:10.1613/jair.953).
            For SMOTE alone, missing numbers are filled with their mean and distances are taken between standardised
            columns; categories are chosen among those of the neighbours (SMOTE-NC).
        x: Raw values, ``shape=(rows, features)``.
        y: Class codes, ``shape=(rows,)``.
        modality: Which columns are categories.
        seed: Of the random choice.

    Returns:
        Values, class codes, and the position in ``x`` that each row came from (-1 for a new row).

    Raises:
        InputError: A class too small for SMOTE's five neighbours.
    """
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    if how in ("undersample", "oversample"):
        sampler = (RandomUnderSampler if how == "undersample" else RandomOverSampler)(random_state=seed)
        sampler.fit_resample(np.arange(len(y))[:, None], y.numpy())
        chosen = torch.as_tensor(np.sort(sampler.sample_indices_))
        return x[chosen], y[chosen], chosen
    levels = modality.get("levels", {})
    categorical = np.array(
        [name in levels and name not in modality.get("ordered", []) for name in modality["features"]]
    )
    values = x.double().numpy().copy()
    mean = np.nan_to_num(np.nanmean(np.where(categorical, np.nan, values), 0)) if not categorical.all() else 0.0
    scale = np.where(categorical, 1.0, np.nan_to_num(np.nanstd(values, 0)))
    scale[scale == 0] = 1.0
    fill = np.array([len(levels[n]) if c else 0.0 for n, c in zip(modality["features"], categorical, strict=True)])
    values = (values - np.where(categorical, 0.0, mean)) / scale
    values = np.where(np.isnan(values), fill, values)
    try:
        new, classes = _smote(categorical, seed)(values, y.numpy())
    except ValueError as error:
        smallest = int(torch.bincount(y)[torch.bincount(y) > 0].min())
        raise InputError(
            f"balance 'smote' needs at least 6 training rows a class, the smallest has {smallest}; "
            f"use 'oversample' or 'weights' ({str(error).splitlines()[0]})"
        ) from None
    synthetic = torch.as_tensor(new[len(y) :] * scale + np.where(categorical, 0.0, mean), dtype=x.dtype)
    origin = torch.cat([torch.arange(len(y)), torch.full((len(synthetic),), -1)])
    return torch.cat([x, synthetic]), torch.as_tensor(classes), origin


def _smote(categorical: np.ndarray, seed: int) -> Callable[..., Any]:
    from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

    if categorical.all():
        return SMOTEN(random_state=seed).fit_resample  # type: ignore[no-any-return]
    if categorical.any():
        return SMOTENC(categorical, random_state=seed).fit_resample  # type: ignore[no-any-return]
    return SMOTE(random_state=seed).fit_resample  # type: ignore[no-any-return]

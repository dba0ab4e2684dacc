"""Balancing of classes in the training rows."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..encode.table import TableEncoder
from ..errors import InputError
from ..spec import Modality

Balance = Literal["none", "weights", "undersample", "oversample", "smote"]
NEIGHBOURS = 5  # of SMOTE


def class_weights(y: Tensor) -> Tensor:
    """Weight of each row, ``samples / (classes * samples of its class)``; the weights average to 1."""
    counts = torch.bincount(y)
    return (len(y) / ((counts > 0).sum() * counts.clamp(min=1)))[y]


def resample(how: Literal["undersample", "oversample"], y: Tensor, seed: int) -> Tensor:
    """Training rows with classes of equal size, by imbalanced-learn.

    Args:
        how: ``"undersample"`` drops rows of the larger classes, ``"oversample"`` repeats rows of the smaller ones.
        y: Class codes, ``shape=(rows,)``.
        seed: Seed of the random choice.

    Returns:
        Positions of the selected rows, in ascending order.
    """
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    sampler = (RandomUnderSampler if how == "undersample" else RandomOverSampler)(random_state=seed)
    sampler.fit_resample(np.arange(len(y))[:, None], y.numpy())
    return torch.as_tensor(np.sort(sampler.sample_indices_))


def smote(x: Tensor, y: Tensor, modality: Modality, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Training rows of a table, with synthetic rows interpolated between neighbours until classes are of equal size.

    Chawla et al. 2002, doi:10.1613/jair.953, by imbalanced-learn. For the interpolation, missing values are replaced by
    the mean of their column and distances are computed on standardised columns; the categories of a synthetic row are
    chosen among those of its neighbours (SMOTE-NC).

    Args:
        x: Raw values, ``shape=(rows, features)``.
        y: Class codes, ``shape=(rows,)``.
        modality: States which columns are categories.
        seed: Seed of the random choice.

    Returns:
        Values, class codes, and the original position in ``x`` of each row (-1 for a synthetic row).

    Raises:
        InputError: A class is too small for the five neighbours of SMOTE.
    """
    if (smallest := int(torch.bincount(y)[torch.bincount(y) > 0].min())) <= NEIGHBOURS:
        raise InputError(
            f"balance 'smote' needs at least {NEIGHBOURS + 1} training rows per class, the smallest has {smallest}; "
            "use 'oversample' or 'weights'"
        )
    levels = modality.get("levels", {})
    nominal = [i for i, n in enumerate(modality["features"]) if n in levels and n not in modality.get("ordered", [])]
    encode = TableEncoder({**modality, "levels": {}})  # standardise; missing numbers become the mean, 0
    encode.fit(x)
    values = encode(x).double().numpy()
    for i in nominal:
        unknown = len(levels[modality["features"][i]])
        values[:, i] = x[:, i].nan_to_num(unknown)
    new, classes = _sampler(nominal, values.shape[1], seed)(values, y.numpy())
    synthetic = torch.as_tensor(new[len(y) :], dtype=x.dtype)
    restored = synthetic * encode.scale + encode.mean
    restored[:, nominal] = synthetic[:, nominal]
    origin = torch.cat([torch.arange(len(y)), torch.full((len(synthetic),), -1)])
    return torch.cat([x, restored]), torch.as_tensor(classes), origin


def _sampler(nominal: list[int], width: int, seed: int) -> Callable[..., Any]:
    from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

    if len(nominal) == width:
        return SMOTEN(random_state=seed, k_neighbors=NEIGHBOURS).fit_resample  # type: ignore[no-any-return]
    if nominal:
        return SMOTENC(nominal, random_state=seed, k_neighbors=NEIGHBOURS).fit_resample  # type: ignore[no-any-return]
    return SMOTE(random_state=seed, k_neighbors=NEIGHBOURS).fit_resample  # type: ignore[no-any-return]

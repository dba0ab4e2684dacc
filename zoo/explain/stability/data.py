"""Copies of a data module with other training rows or permuted labels, without reading or splitting again."""

import copy
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...data import Data
from ...data import split as splitting
from ...data.base import Dataset, Source
from ...errors import InputError
from ...training.tasks import task_of

Design = Literal["seeds", "bootstrap", "halves"]


class Chosen:
    """Raw values of selected samples, which may be reordered or repeated; values are copied only on access."""

    def __init__(self, x: Source, at: Tensor) -> None:
        self.x, self.at = x, at

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, rows: Tensor) -> Any:
        """``shape=(rows, *shape)``."""
        return self.x[self.at[rows]]


def training_sets(data: Data, design: Design, models: int, seed: int) -> list[Tensor]:
    """Training rows of each model, as positions in the data.

    Args:
        data: Data to draw from; if it has groups, whole groups are drawn.
        design: ``seeds``: all training rows. ``bootstrap``: a bootstrap sample of the groups. ``halves``: disjoint
            halves of the groups, stratified by class; models 1 and 2 are a pair, as are 3 and 4.
        models: Number of sets; must be even for ``halves``.
        seed: Random seed of the draws.

    Raises:
        InputError: An odd number of models for ``halves``, or fewer than two groups.
    """
    rows = data.dataset.rows("train")
    if design == "seeds":
        return [rows] * models
    groups = _groups(data, rows)
    if (count := int(groups.max()) + 1) < 2:
        raise InputError(f"all training samples belong to one group of {data.group!r}; choose design 'seeds'")
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == group) for group in range(count)]
    sets: list[np.ndarray] = []
    if design == "bootstrap":
        sets = [np.concatenate([members[group] for group in rng.integers(count, size=count)]) for _ in range(models)]
    elif models % 2:
        raise InputError(f"halves come in pairs; give an even number of models, not {models}")
    else:
        for _ in range(models // 2):
            half = splitting.fractions(groups, _strata(data, rows), [0.5, 0.5, 0.0], int(rng.integers(1 << 31)))
            sets += [np.flatnonzero(half == part) for part in ("train", "validation")]
    return [rows[torch.from_numpy(positions)] for positions in sets]


def with_training(data: Data, training: Tensor) -> Data:
    """A copy of the data module with other training rows, and the same validation and test rows."""
    dataset = data.dataset
    rest = torch.from_numpy(np.flatnonzero(dataset.samples["split"].to_numpy() != "train"))
    rows = torch.cat([training, rest])
    chosen = Dataset(
        x=Chosen(dataset.x, rows),
        y=dataset.y[rows],
        samples=dataset.samples.iloc[rows.numpy()],
        spec=dataset.spec,
        also={name: values[rows] for name, values in dataset.also.items()},
    )
    return _with_dataset(data, chosen)


def permuted(data: Data, seed: int) -> Data:
    """A copy of the data module with labels permuted among the labelled training rows.

    The split, the features and the labels of validation and test rows are unchanged. All targets of a sample are
    permuted together. If samples have groups, the labels of whole groups of equal size are exchanged, because samples
    of a group are not independent (Winkler et al. 2014, doi:10.1016/j.neuroimage.2014.01.060).

    Args:
        data: Data with a target.
        seed: Random seed of the permutation.
    """
    dataset, rng = data.dataset, np.random.default_rng(seed)
    rows = dataset.rows("train")
    rows = rows[dataset.labelled(rows)]
    groups = _groups(data, rows)
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)[groups[order]]
    source = np.arange(len(rows))
    for size in np.unique(sizes):
        blocks = order[sizes == size].reshape(-1, size)
        source[blocks] = blocks[rng.permutation(len(blocks))]
    target = dataset.y.clone()
    target[rows] = dataset.y[rows[source]]
    also = {}
    for name, values in dataset.also.items():
        also[name] = values.clone()
        also[name][rows] = values[rows[source]]
    return _with_dataset(data, replace(dataset, y=target, also=also))


def _with_dataset(data: Data, dataset: Dataset) -> Data:
    """A copy of the data module that holds another data set."""
    result = copy.copy(data)
    for name in [*result.__dict__]:
        if isinstance(getattr(type(result), name, None), cached_property):  # computed from the former data set
            del result.__dict__[name]
    result.__dict__["dataset"], result.trainer = dataset, None
    return result


def _groups(data: Data, rows: Tensor) -> np.ndarray:
    """Group number of each row."""
    column = data.samples[data.group].iloc[rows.numpy()] if data.group else pd.Series(range(len(rows)))
    return splitting.related(column.reset_index(drop=True))


def _strata(data: Data, rows: Tensor) -> np.ndarray | None:
    y, target = data.dataset.y[rows], data.spec["target"]
    return task_of(target).strata(y, target)

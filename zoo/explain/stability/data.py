"""The same data with other training rows or permuted labels; nothing is read or split again."""

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
    """Raw values of some samples, in another order or more than once; none is copied before it is asked for."""

    def __init__(self, x: Source, at: Tensor) -> None:
        self.x, self.at = x, at

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, rows: Tensor) -> Any:
        """``shape=(rows, *shape)``."""
        return self.x[self.at[rows]]


def training_sets(data: Data, design: Design, models: int, seed: int) -> list[Tensor]:
    """Training rows of each model, as positions in the data; other rows stay as they are.

    Args:
        data: What to draw from; whole groups are drawn, where it has groups.
        design: ``seeds``: all training rows. ``bootstrap``: as many groups as there are, with replacement. ``halves``:
            disjoint halves of the groups, stratified by class; models 1 and 2 are a pair, as are 3 and 4.
        models: How many sets, an even number of halves.
        seed: Of the draws.

    Raises:
        InputError: An odd number of halves, or fewer than two groups.
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
    return [rows[torch.from_numpy(own)] for own in sets]


def with_training(data: Data, training: Tensor) -> Data:
    """The same data module, whose training rows are these; validation and test rows stay."""
    content = data.dataset
    others = torch.from_numpy(np.flatnonzero(content.samples["split"].to_numpy() != "train"))
    rows = torch.cat([training, others])
    chosen = Dataset(
        x=Chosen(content.x, rows),
        y=content.y[rows],
        samples=content.samples.iloc[rows.numpy()],
        spec=content.spec,
        also={name: values[rows] for name, values in content.also.items()},
    )
    return _with_content(data, chosen)


def permuted(data: Data, seed: int) -> Data:
    """The same data module, whose labels are permuted among the training rows that have one.

    All else stays: the split, the features, and so all that encodings learn; the labels of validation and test rows.
    All targets of a sample move together. Where samples have groups, the labels of whole groups of equal size are
    exchanged, for samples of one group are no independent draws (Winkler et al. 2014,
    doi:10.1016/j.neuroimage.2014.01.060).

    Args:
        data: With a target.
        seed: Of the permutation.
    """
    content, rng = data.dataset, np.random.default_rng(seed)
    rows = content.rows("train")
    rows = rows[content.labelled(rows)]
    groups = _groups(data, rows)
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)[groups[order]]
    source = np.arange(len(rows))
    for size in np.unique(sizes):
        blocks = order[sizes == size].reshape(-1, size)
        source[blocks] = blocks[rng.permutation(len(blocks))]
    target = content.y.clone()
    target[rows] = content.y[rows[source]]
    also = {}
    for name, values in content.also.items():
        also[name] = values.clone()
        also[name][rows] = values[rows[source]]
    return _with_content(data, replace(content, y=target, also=also))


def _with_content(data: Data, content: Dataset) -> Data:
    made = copy.copy(data)
    for name in [*made.__dict__]:
        if isinstance(getattr(type(made), name, None), cached_property):  # it was made of the former content
            del made.__dict__[name]
    made.__dict__["dataset"], made.trainer = content, None
    return made


def _groups(data: Data, rows: Tensor) -> np.ndarray:
    """Number of the group of each of these rows."""
    column = data.samples[data.group].iloc[rows.numpy()] if data.group else pd.Series(range(len(rows)))
    return splitting.related(column.reset_index(drop=True))


def _strata(data: Data, rows: Tensor) -> np.ndarray | None:
    y, target = data.dataset.y[rows], data.spec["target"]
    return task_of(target).strata(y, target)

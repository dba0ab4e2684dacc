"""What was read, and whole batches of it in an order that a resumed run repeats."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset, RandomSampler

from ..spec import Spec, labelled

Batch = dict[str, Tensor]
# Without gradients there is no reason for small batches, but what stays in the processor's cache is faster.
EVALUATION_BATCH, EVALUATION_VALUES = 1024, 1 << 16


class Source(Protocol):
    """Raw values of all samples: a tensor, or what reads them from a file when a batch is made."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Raw values of these samples, ``shape=(rows, *shape)``."""


@dataclass
class Content:
    """What was read: all samples, in the order of the file.

    Attributes:
        x: Raw values, ``shape=(samples, *shape)``; what does not fit into memory is read a batch at a time.
        y: Class codes (int64) or numbers (float32), ``shape=(samples,)``; -1 or NaN where the target is missing. Of
            survival times and events (float32), ``shape=(samples, 2)``.
        samples: One row a sample, indexed by its name; the columns of the table, and ``split``.
        spec: Shapes, names and target.
        also: As ``y``, of each further target.
    """

    x: Source
    y: Tensor
    samples: pd.DataFrame
    spec: Spec
    also: dict[str, Tensor] = field(default_factory=dict)

    def rows(self, split: str) -> Tensor:
        """Positions of the samples of one split."""
        return torch.as_tensor(np.flatnonzero(self.samples["split"].to_numpy() == split))

    def targets(self, rows: Tensor) -> dict[str, Tensor]:
        """Targets of these samples as they lie in a batch: ``y``, and ``"y NAME"`` of further ones."""
        return {"y": self.y[rows], **{f"y {name}": values[rows] for name, values in self.also.items()}}

    def labelled(self, rows: Tensor) -> Tensor:
        """Which of these samples have a value of the target, ``shape=(rows,)``."""
        return labelled(self.y[rows])


class Rows(Dataset[Batch]):
    """Some of the samples; a list of indices gives a ready batch, which is much cheaper than collating rows.

    Args:
        x: Raw values of all samples.
        at: Positions in ``x`` of the samples that are meant.
        **columns: Further tensors, one value for each sample that is meant.
    """

    def __init__(self, x: Source, at: Tensor, **columns: Tensor) -> None:
        self.x, self.at, self.columns = x, at, columns

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(indices)
        return {"x": self.x[self.at[chosen]], **{name: column[chosen] for name, column in self.columns.items()}}


class Shuffle(RandomSampler):
    """A new order every epoch that depends on the seed and the epoch alone, so that a resumed run sees the same."""

    def __init__(self, data: Dataset[Any], seed: int) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return super().__iter__()


def evaluation_batch(batch_size: int, spec: Spec) -> int:
    """Samples that are evaluated at a time, at least those of a training batch; fewer where samples are large."""
    values = sum(math.prod(modality["shape"]) for modality in spec["modalities"].values())
    return max(batch_size, min(EVALUATION_BATCH, EVALUATION_VALUES // values))


def whole_batch(batch: Batch) -> Batch:
    """Collate nothing: the batch is ready."""
    return batch

"""Whole batches from memory, in an order that a resumed run repeats."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, RandomSampler

Batch = dict[str, Tensor]


class Rows(Dataset[Batch]):
    """Rows held in memory; a list of indices gives a ready batch, which is much cheaper than collating rows."""

    def __init__(self, **columns: Tensor) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns["row"])

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(indices)
        return {name: column[chosen] for name, column in self.columns.items()}


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


def whole_batch(batch: Batch) -> Batch:
    """Collate nothing: the batch is ready."""
    return batch

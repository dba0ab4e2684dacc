"""Base of all data modules: read once, split once, hand out whole batches of raw values."""

import copy
import hashlib
import logging
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler
from torch.utils.data import Dataset as TorchDataset

from ..errors import InputError, check_choice, check_range
from ..spec import Modality, Spec, Target
from ..training.tasks import task_of
from . import split as splitting
from .balance import Balance, class_weights, resample

# Without gradients there is no reason for small batches, but what stays in the processor's cache is faster.
EVALUATION_BATCH, EVALUATION_VALUES = 1024, 1 << 16
IS_TEST = "__test__"  # column that marks the rows of a separate test file while they are read


Batch = dict[str, Tensor]


class Source(Protocol):
    """Raw values of all samples: a tensor, or what reads them from a file when a batch is made."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Raw values of these samples, ``shape=(rows, *shape)``."""


@dataclass
class Dataset:
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
        return task_of(self.spec["target"]).labelled(self.y[rows])


@dataclass
class Unsplit:
    """What was read and checked, before it is split.

    Attributes:
        frame: One row a sample, in the order of the file.
        modality: What the samples are, as far as it can be told before the split.
        target: What is to be predicted.
        y: As of `Dataset`.
        duplicates: Equal for samples that are copies of each other, ``shape=(samples,)``.
    """

    frame: pd.DataFrame
    modality: Modality
    target: Target
    y: Tensor
    duplicates: pd.Series


class Rows(TorchDataset[Batch]):
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

    def __init__(self, data: "Rows", seed: int) -> None:
        super().__init__(data)
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


log = logging.getLogger("zoo")


class Data(LightningDataModule):
    """Base of all data modules.

    A batch: ``x`` raw values, ``y`` target, ``row`` in ``samples`` (-1 if made up), and ``weight`` of weighted classes.

    Args:
        batch_size: Training rows a step. A last, smaller batch is used too, even if it is a single row.
        num_workers: Loader processes; 0 is fastest for what fits into memory.
        seed: Of the split, the shuffling and the balance; independent of the seed of the weights.
        fractions: Shares of train, validation and test, stratified by class. Validation tunes (early stopping); test is
            not looked at before the end. (Clinical journals often call the test rows 'validation cohort'.)
        split: Column that says train, validation or test, in place of ``fractions``.
        group: Column whose samples belong together (a patient, a litter): no group straddles a split.
        folds: Number of folds of a cross-validation; None splits once.
        fold: Which fold tests, from 0.
        repeat: Which repeat of the cross-validation, from 0; each deals the folds anew.
        balance: none; ``weights`` (class-weighted loss); ``undersample``, ``oversample`` or ``smote``. It touches
            training rows only.
    """

    def __init__(
        self,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        fractions: list[float] = [0.7, 0.15, 0.15],  # noqa: B006 (never changed; shown by --help)
        split: str | None = None,
        group: str | None = None,
        folds: int | None = None,
        fold: int = 0,
        repeat: int = 0,
        balance: Balance = "none",
    ) -> None:
        super().__init__()
        check_range("batch_size", batch_size, 1)
        for name, value in {"num_workers": num_workers, "seed": seed, "repeat": repeat}.items():
            check_range(name, value, 0)
        check_choice("balance", balance, ["none", "weights", "undersample", "oversample", "smote"])
        if folds is not None:
            check_range("folds", folds, 2)
            check_range("fold", fold, 0, folds - 1)
        if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
            raise InputError(f"fractions must be three shares of train, validation and test that sum to 1: {fractions}")
        if folds is not None and fractions[0] == 0:
            raise InputError("folds need a share of training rows in fractions")
        self.fractions, self.split, self.group = list(fractions), split, group
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.folds, self.fold, self.repeat, self.balance = folds, fold, repeat, balance
        self.trained: Spec | None = None
        self.external = False
        self._augmented_epoch = -1

    @abstractmethod
    def read(self) -> Unsplit:
        """Read and check; the split is left to `divide`."""

    @abstractmethod
    def divide(self, read: Unsplit) -> Dataset:
        """Split what was read, which stays as it is: the folds of a cross-validation share it."""

    @abstractmethod
    def frame(self) -> pd.DataFrame:
        """All samples as they lie in the file, for `predict`; no target is needed."""

    @abstractmethod
    def baseline_features(self, rows: Tensor) -> dict[str, np.ndarray]:
        """What simple models would be given of the samples at these rows: finite, fitted on training rows only.

        Returns:
            Sets of features, ``shape=(rows, features)``; the key comes before the name of a model.
        """

    def baseline_modalities(self, rows: Tensor) -> dict[str, np.ndarray]:
        """Of several modalities: the features of each, NaN where it was not measured."""
        return {}

    def who_has_what(self) -> pd.DataFrame | None:
        """Of several modalities: one row a sample, one column a modality, True where it was measured."""
        return None

    def describe(self) -> dict[str, Any]:
        """Name, checksum and licence of the data, for the card of the weights."""
        return {}

    @property
    def caution(self) -> str:
        """What every report must say of how these data are split, or nothing."""
        return ""

    def synthesised(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training rows with made-up ones beside (SMOTE), and the position each came from, -1 if it was made up."""
        raise InputError("balance 'smote' is for tables; use oversample, undersample or weights")

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """A training batch of raw values, changed in ways that keep the target true; by default as it is."""
        return batch

    def conform(self, spec: Spec, external: bool = False) -> "Data":
        """Read as this trained model expects, in place of detecting columns, levels and classes.

        Args:
            spec: Of the trained model.
            external: These are not the data of the training; all samples are test samples.
        """
        self.trained, self.external = spec, external
        return self

    def split_samples(
        self, frame: pd.DataFrame, duplicates: pd.Series, labels: np.ndarray | None, is_test: np.ndarray | None = None
    ) -> np.ndarray:
        """Who trains, validates and tests, as the arguments of this data module say.

        Args:
            frame: Sample table, with the ``split`` and ``group`` columns where they were asked for.
            duplicates: Equal for samples that are copies of each other; they share a split.
            labels: Class codes to stratify by, ``shape=(samples,)``; None for a number.
            is_test: True for the samples of a separate test file.

        Returns:
            ``"train"``, ``"validation"`` or ``"test"``, ``shape=(samples,)``.
        """
        if self.external:
            return np.full(len(frame), "test")
        groups = splitting.related(duplicates, *([frame[self.group]] if self.group else []))
        if self.split:
            result = splitting.given(frame[self.split])
        elif self.folds is not None:
            share = self.fractions[1] / (self.fractions[0] + self.fractions[1])
            result = splitting.folds(groups, labels, self.folds, self.fold, share, self.seed + self.repeat * 7919)
        elif is_test is not None:
            result = splitting.with_test(groups, labels, self.fractions, self.seed, is_test)
        else:
            result = splitting.fractions(groups, labels, self.fractions, self.seed)
        if straddling := int((pd.Series(result).groupby(groups).nunique() > 1).sum()):
            log.warning("%d groups or duplicates straddle the splits as given", straddling)
        return result

    def split_sha256(self) -> str:
        """Checksum of who is in which split; a model is scored only on the split that it was trained with."""
        split = self.samples["split"]
        return hashlib.sha256("\n".join(f"{name}\t{part}" for name, part in split.items()).encode()).hexdigest()

    @cached_property
    def dataset(self) -> Dataset:
        """Everything read; the first use reads."""
        return self.divide(self.read())

    @cached_property
    def _unsplit(self) -> Unsplit:
        return self.read()

    def with_fold(self, fold: int, repeat: int = 0) -> "Data":
        """Another fold of the same cross-validation; the file is read once for all that come from this data module.

        Args:
            fold: Which fold tests, from 0.
            repeat: Which repeat, from 0.

        Raises:
            InputError: No such fold.
        """
        if self.folds is None or "dataset" in self.__dict__:
            raise RuntimeError("with_fold needs data with folds that are not split yet")
        check_range("fold", fold, 0, self.folds - 1)
        check_range("repeat", repeat, 0)
        read, data = self._unsplit, copy.copy(self)
        data.fold, data.repeat = fold, repeat
        data.dataset = data.divide(read)
        return data

    @property
    def spec(self) -> Spec:
        """What a model must know of these data."""
        return self.dataset.spec

    @property
    def samples(self) -> pd.DataFrame:
        """The sample table, with ``split``."""
        return self.dataset.samples

    @cached_property
    def training(self) -> Rows:
        """Training rows, after balance."""
        rows = (content := self.dataset).rows("train")
        y, columns = content.y[rows], content.targets(rows)
        task = task_of(target := self.spec["target"])
        if self.balance != "none" and not task.classified:
            what = task.noun if target["name"] else "not given"
            raise InputError(f"balance {self.balance!r} is for classes of samples; target {target['name']!r} is {what}")
        if self.balance != "none" and target.get("unlabelled"):
            raise InputError(f"balance {self.balance!r} needs a class for each sample; drop the unlabelled")
        match self.balance:
            case "none":
                return Rows(content.x, rows, row=rows, **columns)
            case "weights":
                return Rows(content.x, rows, row=rows, weight=class_weights(y), **columns)
            case "smote":
                x, y, origin = self.synthesised(content.x[rows], y)
                return Rows(x, torch.arange(len(y)), y=y, row=torch.where(origin >= 0, rows[origin], -1))
            case how:
                chosen = rows[resample(how, y, self.seed)]
                return Rows(content.x, chosen, row=chosen, **content.targets(chosen))

    def training_inputs(self) -> Tensor:
        """Raw values of the training rows as measured, without balance: encodings learn from these."""
        return self.dataset.x[self.dataset.rows("train")]

    def training_targets(self) -> Tensor:
        """Targets of the training rows, without balance."""
        return self.dataset.y[self.dataset.rows("train")]

    def setup(self, stage: str) -> None:
        """Read, unless it was done."""
        _ = self.dataset

    def loader(self, split: str) -> DataLoader[Batch]:
        """All samples of a split in order, without balance, for evaluation."""
        content, rows = self.dataset, self.dataset.rows(split)
        data = Rows(content.x, rows, row=rows, **content.targets(rows))
        return self._loader(data, SequentialSampler(data), evaluation_batch(self.batch_size, self.spec))

    def _loader(self, data: Rows, sampler: Any, size: int) -> DataLoader[Batch]:
        return DataLoader(
            data,
            batch_size=size,
            sampler=sampler,
            collate_fn=whole_batch,  # type: ignore[arg-type]
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            generator=torch.Generator(),  # its own, lest making an iterator shifts the dropout of a resumed run
        )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment a training batch on the model's device; seed and epoch decide how, and a resumed run repeats it."""
        if self.trainer is None or not self.trainer.training:
            return batch
        if (epoch := self.trainer.current_epoch) != self._augmented_epoch:
            self._augmented_epoch = epoch
            self._generator = torch.Generator(batch["x"].device)
            self._generator.manual_seed((self.seed * 1_000_003 + epoch) * 1009 + self.trainer.global_rank)
        return self.augment(batch, self._generator)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Training rows after balance, shuffled anew each epoch."""
        if len(self.training) < self.batch_size:
            log.info("a batch has %d samples, all that train, not %d", len(self.training), self.batch_size)
        return self._loader(self.training, Shuffle(self.training, self.seed), self.batch_size)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation rows in order."""
        return self.loader("validation")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Test rows in order."""
        return self.loader("test")

    predict_dataloader = test_dataloader

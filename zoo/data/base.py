"""Base class of all data modules: data are read once, split once, and loaded in batches of raw values."""

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

from ..errors import MOST_SEED, InputError, check_choice, check_range
from ..spec import Modality, Spec, Target
from ..training.tasks import task_of
from . import columns
from . import split as splitting
from .balance import Balance, class_weights, resample
from .datasets import IS_TEST as IS_TEST

# Without gradients, batches need not be small for memory, but batches that fit into the processor's cache are faster.
EVALUATION_BATCH, EVALUATION_VALUES = 1024, 1 << 16


Batch = dict[str, Tensor]


class Source(Protocol):
    """Raw values of all samples: a tensor, or an object that reads them from a file for each batch."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Raw values of these samples, ``shape=(rows, *shape)``."""


@dataclass
class Dataset:
    """All samples, in the order of the file, with their targets and their split.

    Attributes:
        x: Raw values, ``shape=(samples, *shape)``; values that do not fit into memory are read batch by batch.
        y: Class codes (int64) or continuous values (float32), ``shape=(samples,)``; -1 or NaN where the target is
            missing. For survival, times and events (float32), ``shape=(samples, 2)``.
        samples: One row per sample, indexed by sample name: the columns of the table, and ``split``.
        spec: Shapes, names and target.
        also: The extra targets by name, each encoded as ``y``.
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
        """Targets of these samples under their keys in a batch: ``y``, and ``"y NAME"`` for each extra target."""
        return {"y": self.y[rows], **{f"y {name}": values[rows] for name, values in self.also.items()}}

    def labelled(self, rows: Tensor) -> Tensor:
        """True for the samples whose target is not missing, ``shape=(rows,)``."""
        return task_of(self.spec["target"]).labelled(self.y[rows])


@dataclass
class UnsplitDataset:
    """Samples that were read and checked but not yet assigned to training, validation and test.

    Attributes:
        frame: One row per sample, in the order of the file.
        modality: Description of the samples, without what is derived from training samples only.
        target: Description of the target.
        y: Targets as in `Dataset`.
        duplicates: Equal for samples that are duplicates of each other, ``shape=(samples,)``.
    """

    frame: pd.DataFrame
    modality: Modality
    target: Target
    y: Tensor
    duplicates: pd.Series


class Rows(TorchDataset[Batch]):
    """A subset of the samples; a list of indices returns a whole batch, which is much faster than collating rows.

    Args:
        x: Raw values of all samples.
        at: Positions in ``x`` of the samples of the subset.
        **columns: Other tensors of a batch, such as targets, with one entry per sample of the subset.
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
    """A new random order each epoch, which depends only on seed and epoch, so that a resumed run repeats it."""

    def __init__(self, data: "Rows", seed: int) -> None:
        super().__init__(data)
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning calls this at the start of each one."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return super().__iter__()


def evaluation_batch(batch_size: int, spec: Spec) -> int:
    """Batch size for evaluation: at least that of training, and smaller where samples are large."""
    values = sum(math.prod(modality["shape"]) for modality in spec["modalities"].values())
    return max(batch_size, min(EVALUATION_BATCH, EVALUATION_VALUES // values))


def whole_batch(batch: Batch) -> Batch:
    """Collate function of `Rows`, whose batches need no collation."""
    return batch


log = logging.getLogger("zoo")


class Data(LightningDataModule):
    """Base class of all data modules.

    A batch is a dict: ``x`` raw values, ``y`` target, ``row`` the position in ``samples`` (-1 for a synthetic sample),
    and ``weight`` with class-weighted losses.

    Args:
        batch_size: Training rows per step. The last batch of an epoch may be smaller, down to a single row.
        num_workers: Number of loader processes; 0 is fastest for data that fit into memory.
        seed: Seed of the split, the shuffling and the balancing; independent of the seed of the weights.
        fractions: Fractions of training, validation and test samples, stratified by class. Validation samples are used
            for early stopping, test samples only for the final evaluation. (Clinical journals often call the test
            samples 'validation cohort'.)
        split: Column with the values train, validation or test, in place of ``fractions``.
        group: Column that identifies related samples (a patient, a litter); a group is never divided between splits.
        folds: Number of folds of a cross-validation; None gives a single split.
        fold: Index of the fold used as test set, from 0.
        repeat: Index of the repeat of the cross-validation, from 0; each repeat assigns the folds anew.
        balance: none; ``weights`` (class-weighted loss); ``undersample``, ``oversample`` or ``smote``. It changes
            training rows only.

    Attributes:
        full_masks: For a segmentation of scaled images: the class codes in the size of each file, ``(*spatial)``.
    """

    full_masks: list[np.ndarray] | None = None

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
        for name, value in {"num_workers": num_workers, "repeat": repeat}.items():
            check_range(name, value, 0)
        check_range("seed", seed, 0, MOST_SEED)
        check_choice("balance", balance, ["none", "weights", "undersample", "oversample", "smote"])
        if folds is not None:
            check_range("folds", folds, 2)
            check_range("fold", fold, 0, folds - 1)
        if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
            raise InputError(f"fractions must be three shares of train, validation and test that sum to 1: {fractions}")
        if folds is not None and fractions[0] == 0:
            raise InputError("folds need a share of training rows in fractions")
        if folds is not None and split:
            raise InputError(
                f"folds and the split in {split!r} exclude each other, since every fold would have that split; leave "
                "out one of them (--data.split null)"
            )
        self.fractions, self.split, self.group = list(fractions), split, group
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.folds, self.fold, self.repeat, self.balance = folds, fold, repeat, balance
        self.trained: Spec | None = None
        self.external = False
        self._augmented_epoch = -1

    @abstractmethod
    def read(self) -> UnsplitDataset:
        """Read and check all samples; `apply_split` then splits them."""

    @abstractmethod
    def apply_split(self, unsplit: UnsplitDataset) -> Dataset:
        """Split the samples. ``unsplit`` is not changed, since the folds of a cross-validation share it."""

    @abstractmethod
    def frame(self) -> pd.DataFrame:
        """All samples as they are in the file, for `predict`; a target is not required."""

    @abstractmethod
    def baseline_features(self, rows: Tensor) -> dict[str, np.ndarray]:
        """Inputs of the baseline models for these rows: finite values, with statistics of training rows only.

        Returns:
            Sets of features, ``shape=(rows, features)``; the key is prepended to the name of a baseline.
        """

    def baseline_modalities(self, rows: Tensor) -> dict[str, np.ndarray]:
        """With several modalities: the features of each, NaN where it was not measured."""
        return {}

    def measured_modalities(self) -> pd.DataFrame | None:
        """With several modalities: one row per sample, one column per modality, True where it was measured."""
        return None

    def describe(self) -> dict[str, Any]:
        """Name, checksum and licence of the data, for the model card."""
        return {}

    @property
    def caution(self) -> str:
        """A warning about the split that every report must show, or an empty string."""
        return ""

    def with_smote(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training rows followed by synthetic ones (SMOTE): values, targets, original positions (-1 if synthetic)."""
        raise InputError("balance 'smote' is for tables; use oversample, undersample or weights")

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Augment a training batch of raw values such that its targets stay valid; by default it is not changed."""
        return batch

    def conform(self, spec: Spec, external: bool = False) -> "Data":
        """Read the data as a trained model expects, instead of detecting columns, levels and classes.

        Args:
            spec: Spec of the trained model.
            external: True for data other than the training data; all samples are then test samples.
        """
        self.trained, self.external = spec, external
        return self

    def split_samples(
        self, frame: pd.DataFrame, duplicates: pd.Series, labels: np.ndarray | None, is_test: np.ndarray | None = None
    ) -> np.ndarray:
        """Assign each sample to training, validation or test, by the arguments of this data module.

        Args:
            frame: Sample table, with the columns ``split`` and ``group`` refer to.
            duplicates: Equal for samples that are duplicates of each other; they share a split.
            labels: Class codes to stratify by, ``shape=(samples,)``; None for a continuous target.
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
            log.warning(
                "%d groups (or sets of duplicates) are divided between the splits of the split column", straddling
            )
        return result

    def split_sha256(self) -> str:
        """Checksum of the assignment of samples to splits; a model is evaluated only on its own split."""
        split = self.samples["split"]
        return hashlib.sha256("\n".join(f"{name}\t{part}" for name, part in split.items()).encode()).hexdigest()

    @cached_property
    def dataset(self) -> Dataset:
        """All samples, split; the first access reads them."""
        return self.apply_split(self.read())

    @cached_property
    def _unsplit(self) -> UnsplitDataset:
        return self.read()

    def for_fold(self, fold: int, repeat: int = 0) -> "Data":
        """A copy of this data module for another fold; the file is read only once for all folds.

        Args:
            fold: Index of the fold used as test set, from 0.
            repeat: Index of the repeat, from 0.

        Raises:
            InputError: No such fold.
        """
        if self.folds is None or "dataset" in self.__dict__:
            raise RuntimeError("for_fold needs a data module with folds whose dataset was not accessed yet")
        check_range("fold", fold, 0, self.folds - 1)
        check_range("repeat", repeat, 0)
        unsplit, data = self._unsplit, copy.copy(self)
        data.fold, data.repeat = fold, repeat
        data.dataset = data.apply_split(unsplit)
        return data

    def check_folds(self, repeats: int) -> None:
        """Split the samples into all folds, so that a fold that cannot be trained on is refused before any training.

        A warning names the smallest class if it has fewer samples than there are folds.

        Raises:
            InputError: There are more folds than samples or groups, or too few samples of a class for training.
        """
        assert self.folds is not None
        unsplit, data, task = self._unsplit, copy.copy(self), task_of(self._unsplit.target)
        labels = task.strata(unsplit.y, unsplit.target)
        for data.repeat in range(repeats):
            for data.fold in range(self.folds):
                split = data.split_samples(unsplit.frame, unsplit.duplicates, labels)
                columns.check_training(split, unsplit.target, unsplit.y, f"fold {data.fold + 1} of {self.folds}")
        if not task.classified:
            return
        names = unsplit.target["classes"]
        counts = np.bincount(unsplit.y[unsplit.y >= 0].numpy(), minlength=len(names))
        if (fewest := int(counts.min())) < self.folds:
            log.warning(
                "class %r has %d samples, fewer than the %d folds: some test folds have none of it; with --folds %d or "
                "fewer each has one",
                names[int(counts.argmin())],
                fewest,
                self.folds,
                fewest,
            )

    @property
    def spec(self) -> Spec:
        """Shapes, names and targets of the data, from which a model is built."""
        return self.dataset.spec

    @property
    def samples(self) -> pd.DataFrame:
        """The sample table, with the column ``split``."""
        return self.dataset.samples

    @cached_property
    def training(self) -> Rows:
        """Training rows after balancing."""
        rows = (dataset := self.dataset).rows("train")
        y, columns = dataset.y[rows], dataset.targets(rows)
        task = task_of(target := self.spec["target"])
        if self.balance != "none" and not task.classified:
            what = task.noun if target["name"] else "not given"
            raise InputError(f"balance {self.balance!r} is for classes of samples; target {target['name']!r} is {what}")
        if self.balance != "none" and target.get("unlabelled"):
            raise InputError(f"balance {self.balance!r} needs a class for each sample: set --data.unlabelled drop")
        match self.balance:
            case "none":
                return Rows(dataset.x, rows, row=rows, **columns)
            case "weights":
                return Rows(dataset.x, rows, row=rows, weight=class_weights(y), **columns)
            case "smote":
                x, y, origin = self.with_smote(dataset.x[rows], y)
                return Rows(x, torch.arange(len(y)), y=y, row=torch.where(origin >= 0, rows[origin], -1))
            case how:
                chosen = rows[resample(how, y, self.seed)]
                return Rows(dataset.x, chosen, row=chosen, **dataset.targets(chosen))

    def training_inputs(self) -> Tensor:
        """Raw values of the training rows before balancing, to which encodings are fitted."""
        return self.dataset.x[self.dataset.rows("train")]

    def training_targets(self) -> Tensor:
        """Targets of the training rows before balancing."""
        return self.dataset.y[self.dataset.rows("train")]

    def setup(self, stage: str) -> None:
        """Read the data, unless they were read already."""
        _ = self.dataset

    def loader(self, split: str) -> DataLoader[Batch]:
        """All samples of a split in order, without balancing, for evaluation."""
        dataset, rows = self.dataset, self.dataset.rows(split)
        data = Rows(dataset.x, rows, row=rows, **dataset.targets(rows))
        return self._loader(data, SequentialSampler(data), evaluation_batch(self.batch_size, self.spec))

    def _loader(self, data: Rows, sampler: Any, size: int) -> DataLoader[Batch]:
        return DataLoader(
            data,
            batch_size=max(1, min(size, len(data))),
            sampler=sampler,
            collate_fn=whole_batch,  # type: ignore[arg-type]
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            generator=torch.Generator(),  # its own: an iterator would else draw from the generator of dropout
        )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment a training batch on its device; seed and epoch determine how, so that a resumed run repeats it."""
        if self.trainer is None or not self.trainer.training:
            return batch
        if (epoch := self.trainer.current_epoch) != self._augmented_epoch:
            self._augmented_epoch = epoch
            self._generator = torch.Generator(batch["x"].device)
            self._generator.manual_seed((self.seed * 1_000_003 + epoch) * 1009 + self.trainer.global_rank)
        return self.augment(batch, self._generator)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Training rows after balancing, shuffled anew each epoch."""
        if len(self.training) < self.batch_size:
            log.info("a batch has %d samples (all training samples), not %d", len(self.training), self.batch_size)
        return self._loader(self.training, Shuffle(self.training, self.seed), self.batch_size)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation rows in order."""
        return self.loader("validation")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Test rows in order."""
        return self.loader("test")

    predict_dataloader = test_dataloader

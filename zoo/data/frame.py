"""Base class of data modules whose samples are rows of a table: target, names of the samples and split."""

import copy
import logging
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .. import files
from ..encode import to_tensor
from ..encode.table import check_features
from ..errors import InputError, check_choice, suggest
from ..registry import Registry
from ..spec import Modality, Spec, Target, modality_of
from ..tables.columns import check_ids
from ..tables.contract import levels_of_text, unchecked
from ..tables.reading import BOOKS, read_table, suffix_of
from ..tables.target import detect
from ..tables.text import UNNAMED
from ..tables.values import level_codes
from ..training.tasks import task_of
from . import columns
from .base import IS_TEST, Data, Dataset, Source, UnsplitDataset
from .datasets import read_dataset

log = logging.getLogger("zoo")
KINDS = Registry[type["FrameData"]]("a data module")  # by kind of modality


def card_options(path: str, module: str) -> dict[str, Any]:
    """Options of a data module in the card of a data set; none for a user's file."""
    card = files.card(path) if path in files.datasets() else {}
    options: dict[str, Any] = card.get("options", {}).get(module, {})
    return options


class FrameData(Data):
    """Base class of data modules whose samples are the rows of a table, with a column for the target.

    Args:
        path: A file, or the name of a data set with a card.
        target: Column to predict; not required for autoencoders. Default: the target in the card of the data set.
        target_kind: binary, multiclass, regression or survival; detected by default. ``none`` ignores the target.
        event: Column that states whether the event occurred at the time in ``target`` (survival): 1 or 0, yes or no.
            Default: the event in the card of the data set.
        positive: The positive one of two classes; by default the one that the usual words of the field mark (case
            over control), else the last in order. For survival, the value of ``event`` that marks an event.
        id: Column of unique sample names. Default: a first column without a header, else rows are numbered from 1.
        missing: Values that mean a missing value, numbers or words, by column: ``{insulin: [0], sex: [unknown]}``.
        exclude: Columns of the table that are not used.
        force: Predict new data even if all values of a column lie far outside those of the training data.
        sheet: Name of a sheet, if the file is a workbook with several.
        decimal: The decimal sign of text files, a point or a comma; by default the file tells it.
        test_path: Separate file of test samples; ``fractions`` then apply to training and validation only.
        unlabelled: ``"drop"`` or ``"keep"`` samples with a missing target; autoencoders are trained on them too.
        **shared: Arguments of `Data`.

    Attributes:
        kind: Kind of modality; a class that defines it is registered in `KINDS` as the data module of that kind.
        columns_are_features: True if samples are rows of numbers and categories, so that a table among several
            modalities can be identified as this kind by its columns.
        arrays: Names of the arrays of samples and classes in an ``.npz`` file; None if samples are written as tables.
    """

    kind: str
    columns_are_features: ClassVar[bool] = False
    arrays: ClassVar[tuple[str, str] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in vars(cls):
            KINDS.add(cls.kind)(cls)

    def __init__(
        self,
        path: str,
        target: str | None = None,
        target_kind: str | None = None,
        positive: str | None = None,
        id: str | None = None,  # noqa: A002 (the word that users look for)
        test_path: str | None = None,
        unlabelled: Literal["drop", "keep"] = "drop",
        event: str | None = None,
        missing: dict[str, list[str]] | None = None,
        exclude: list[str] | None = None,
        sheet: str | None = None,
        decimal: Literal[".", ","] | None = None,
        force: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.exclude, self.sheet, self.force, self.decimal = exclude or [], sheet, force, decimal
        check_choice("unlabelled", unlabelled, ["drop", "keep"])
        self.path, self.test_path, self.unlabelled = path, test_path, unlabelled
        self.card = files.card(path) if path in files.datasets() else {}
        # Options of this data module that belong to the data set, for those that the user does not give.
        self.own = card_options(path, type(self).__name__)
        self.facts: dict[str, dict[str, Any]] = self.card.get("columns", {})
        self.target = target or self.card.get("target")
        own = self.card if self.target == self.card.get("target") else {}
        self.target_kind, self.positive = target_kind, positive or own.get("positive")
        self.event = event or own.get("event")
        self.units = {name: fact["unit"] for name, fact in self.facts.items() if "unit" in fact}
        self.id = id or self.card.get("id")
        own_missing = {name: fact["missing"] for name, fact in self.facts.items() if "missing" in fact}
        marks = own_missing if missing is None else missing
        self.missing_values = {name: list(map(str, words)) for name, words in marks.items()}

    @abstractmethod
    def modality(self, frame: pd.DataFrame) -> Modality:
        """Description of the samples, without what is derived from training samples only (see `complete`)."""

    @abstractmethod
    def duplicates(self, frame: pd.DataFrame, modality: Modality) -> pd.Series:
        """Equal for samples that are duplicates of each other."""

    def complete(self, modality: Modality, frame: pd.DataFrame, training: pd.DataFrame) -> None:
        """Add to the modality what is derived from training samples only, such as levels; in place."""

    def check_features(self, frame: pd.DataFrame, modality: Modality) -> None:
        """Raise an `InputError` if the table lacks what a trained model needs."""
        check_features(frame, modality["features"], self.path)

    def values(self, frame: pd.DataFrame, modality: Modality) -> Source:
        """Raw values of the samples."""
        return to_tensor(frame, unchecked(modality) if self.force else modality, self.path)

    def find_target(self, frame: pd.DataFrame) -> Target:
        """Description of the target, from the arguments and the values of its column."""
        if self.event and not self.target:
            raise InputError(f"{self.path}: event {self.event!r} needs a time: give its column as --data.target")
        if self.target is None or self.target_kind == "none":
            return Target(kind="none", name="", classes=[], unit="")
        self.check_column(frame, self.target, "target")
        if self.event and self.event != self.target:
            self.check_column(frame, self.event, "event")
        column = frame[self.target]
        if (infinite := column.isin([np.inf, -np.inf])).any():
            raise InputError(f"{self.path}: target {self.target!r}, row {infinite.idxmax()}: an infinite value")
        unit = self.units.get(self.target, "")
        found = detect(frame, self.target, self.target_kind, self.positive, unit, self.event)
        if self.unlabelled == "keep" and frame[[self.target, *filter(None, [self.event])]].isna().any(axis=None):
            found["unlabelled"] = True
        return found

    def encode_target(self, frame: pd.DataFrame, target: Target) -> Tensor:
        """Targets of all samples, encoded by the task of the target (see `zoo.training.tasks`)."""
        return task_of(target).encode(frame, target, self.path)

    def read_file(self, path: Path) -> pd.DataFrame:
        """The table in a file."""
        return self.read_table(path)

    def read_table(self, path: Path) -> pd.DataFrame:
        """The table in a file; names of samples and groups stay text, and a trained model decides on its columns."""
        names, missing = self.text_columns(), self.missing_values
        if self.trained:
            modality = modality_of(self.trained)
            names = [*names, *levels_of_text(modality)]
            known = modality.get("missing_values", {}).items()  # numbers among them are recognised by `raw_values`
            missing = {**missing, **{n: [word for word in words if isinstance(word, str)] for n, words in known}}
        sheet = self.sheet if suffix_of(path) in BOOKS else None
        return self.without_excluded(read_table(path, names, missing, sheet, decimal=self.decimal))

    def text_columns(self) -> list[str]:
        """Columns that stay text: names of samples, groups and splits."""
        return [name for name in (self.id, self.group, self.split) if name]

    def without_excluded(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The table without the columns that the user leaves out."""
        for name in [] if self.trained else self.exclude:
            self.check_column(frame, name, "exclude")
        frame = frame.drop(columns=self.exclude, errors="ignore")  # a new file may lack them
        for name in self.target_columns():
            if name in frame and (words := self.missing_values.get(name)):
                frame[name] = frame[name].mask(level_codes(frame[name], words)[0] < len(words))
        return frame

    def describe(self) -> dict[str, Any]:
        """Name, checksum, licence and citation of the data."""
        if self.card:
            return {key: self.card[key] for key in ("name", "sha256", "licence", "citation", "source", "limits")}
        return {"name": Path(self.path).name, "sha256": files.sha256(Path(self.path)), "licence": "not stated"}

    def read(self) -> UnsplitDataset:
        """Read and check the table, and identify the target."""
        frame = self._frame_with_test()
        if self.trained:
            modality, target = modality_of(self.trained), self.trained["target"]
            self.check_features(frame, modality)
            for role, name in zip(("target", "event"), self.target_columns(), strict=False):
                self.check_column(frame, name, role)
        else:
            target, modality = self.find_target(frame), self.modality(frame)
            if self.event in modality["features"]:
                raise InputError(f"event {self.event!r} is among the features (leakage); remove it")
        y = self.encode_target(frame, target)
        task = task_of(target)
        if not target.get("unlabelled") and (unlabelled := ~task.labelled(y).numpy()).any():
            log.info("%d samples with a missing %s are left out", unlabelled.sum(), " or ".join(self.target_columns()))
            frame, y = frame[~unlabelled], y[torch.from_numpy(~unlabelled)]
        duplicates = self.duplicates(frame, modality)
        if not self.trained:
            self._report_duplicates(duplicates, frame, target)
        return UnsplitDataset(frame, modality, target, y, duplicates)

    def apply_split(self, unsplit: UnsplitDataset) -> Dataset:
        """Split the samples, and complete the modality from the training samples."""
        frame, y = unsplit.frame, unsplit.y
        modality, target = copy.deepcopy((unsplit.modality, unsplit.target))
        is_test = frame[IS_TEST].to_numpy(dtype=bool) if IS_TEST in frame else None
        split = self.split_samples(frame, unsplit.duplicates, task_of(target).strata(y, target), is_test)
        if not self.trained:
            columns.check_training(split, target, y, self.path)
            self.complete(modality, frame, frame[split == "train"])
        x = self.values(frame, modality)
        name = self._id(frame) or ""
        index = pd.Index(frame[name].map(str) if name else frame.index.map(str), name=name or "row")
        renamed = {} if self.split == "split" else {"split": "split (of the table)"}  # a feature may have this name
        # Series, images and masks are stored only once, as tensors.
        objects = frame.columns[[kind.kind == "O" for kind in frame.dtypes]]
        arrays = [c for c in objects if isinstance(frame[c].iloc[0], np.ndarray)]
        samples = frame.drop(columns=[IS_TEST, *arrays], errors="ignore").rename(columns=renamed)
        samples = samples.assign(split=split).set_axis(index)
        spec = self.trained or Spec(modalities=modality.get("parts", {self.kind: modality}), target=target, id=name)
        return Dataset(x, y, samples, spec)

    def _report_duplicates(self, duplicates: pd.Series, frame: pd.DataFrame, target: Target) -> None:
        copies, reversed_ = int(duplicates.duplicated().sum()), duplicates.attrs.get("reverse_complements", 0)
        if not copies:
            return
        how = f"{copies - reversed_} samples are exact duplicates of others"
        how += f" and {reversed_} are reverse complements" if reversed_ else ""
        log.info("%s; duplicates share a split", how)
        if not task_of(target).classified:
            return
        same, labels = duplicates.to_numpy(), frame[target["name"]].to_numpy()
        contradictory = (pd.Series(labels).groupby(same).transform("nunique") > 1).to_numpy()
        if contradictory.any():
            name = self._id(frame)
            names = frame[name].to_numpy() if name else frame.index
            one = np.flatnonzero(contradictory)[0]
            two = np.flatnonzero((same == same[one]) & (labels != labels[one]))[0]
            example = f"{names[one]} ({labels[one]}) and {names[two]} ({labels[two]})"
            log.warning("%d of them have contradictory labels, such as %s", int(contradictory.sum()), example)

    def frame(self) -> pd.DataFrame:
        """The table as it is in the file; rows are named by the id column, or numbered from 1."""
        frame = self._frame()
        if name := self._id(frame):
            frame.index = pd.Index(frame[name].map(str), name=name)
        frame.attrs["source"] = self.path  # for errors of a model
        return frame

    def target_columns(self) -> list[str]:
        """Columns of the target: none, one, or time and event of survival."""
        if self.trained:
            target = self.trained["target"]
            return [name for name in (target["name"], target.get("event")) if name]
        return [name for name in (self.target, self.event) if name]

    def roles(self, frame: pd.DataFrame) -> dict[str, str | None]:
        """Columns that are not measurements (id, group, split and event) by their role; checks that they exist."""
        roles = {"id": self._id(frame), "group": self.group, "split": self.split, "event": self.event}
        for role, name in roles.items():
            if name is not None:
                self.check_column(frame, name, role)
        if name := roles["id"]:
            check_ids(frame[name], self.path)
        return roles

    def check_column(self, frame: pd.DataFrame, name: str, role: str) -> None:
        """Raise an `InputError` that suggests the most similar name if there is no such column."""
        if name not in frame:
            raise InputError(f"{self.path}: no column {name!r} (given as {role}); {suggest(name, frame.columns)}")

    def _frame(self) -> pd.DataFrame:
        """The table of ``path``, its index numbering the rows of the file from 1, as in errors."""
        frame = read_dataset(self.card) if self.card else self.read_file(Path(self.path))
        frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
        return frame

    def _frame_with_test(self) -> pd.DataFrame:
        """All samples; those of a separate test file are marked in the column `IS_TEST`."""
        frame = self._frame()
        if self.test_path is None or self.external:
            return frame
        test = self.read_file(Path(self.test_path))
        test.index = pd.Index([f"{row} of {self.test_path}" for row in range(1, len(test) + 1)])
        return pd.concat([frame.assign(**{IS_TEST: False}), test.assign(**{IS_TEST: True})])

    def _id(self, frame: pd.DataFrame) -> str | None:
        if self.id:
            self.check_column(frame, self.id, "id")
        return self.id or (UNNAMED if frame.columns[0] == UNNAMED else None)

"""Tables: clinical data, expression matrices, anything with one sample a row."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .. import files
from ..encode.table import TableEncoder, check_features, table_to_tensor
from ..errors import InputError, suggest
from ..spec import Modality, Spec, Target, TargetKind, only_modality
from . import columns
from . import target as targets
from .balance import resample
from .base import Content, Data
from .reading import UNNAMED, read_dataset, read_table

log = logging.getLogger("zoo")
IS_TEST = "__test__"  # column that marks the rows of a separate test file while they are read


class TableData(Data):
    """A table with one sample a row: CSV, TSV (also gzipped), Parquet or ``.h5ad``, or a packaged data set by name.

    What is not said is detected: a text column is a category (unless most of its values are numbers, then the rest are
    reported as errors), the target is a class or a number by its values. Exact duplicates among the samples always
    share a split.

    Args:
        path: A file, or the name of a data set with a card (``pima``).
        target: Column to predict. A data set's card knows its own.
        features: Columns to learn from. Default: all but target, id, group and split columns.
        categorical: Columns of numbers that are categories (1 = male, 2 = female).
        ordered: Categories with an order, with their levels from low to high: ``{stage: [I, II, III]}``.
        target_kind: binary, multiclass or regression; detected by default.
        positive: The positive one of two classes; by default the last in alphabetical order.
        missing: Numbers that stand for a missing value, by column: ``{insulin: [0]}``.
        id: Column of unique sample names. Default: a first column without a header, else rows are counted from 1.
        test_path: Separate file of test samples; ``fractions`` then share out the others.
        **shared: Arguments of `Data`.

    Raises:
        InputError: Anything that is wrong with the table, in one line.
    """

    def __init__(
        self,
        path: str,
        target: str | None = None,
        features: list[str] | None = None,
        categorical: list[str] | None = None,
        ordered: dict[str, list[str]] | None = None,
        target_kind: TargetKind | None = None,
        positive: str | None = None,
        missing: dict[str, list[float]] | None = None,
        id: str | None = None,  # noqa: A002 (the word that users look for)
        test_path: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.path, self.test_path = path, test_path
        self.card = files.card(path) if path in files.datasets() else {}
        facts = self.card.get("columns", {})
        self.target = target or self.card.get("target")
        self.features, self.categorical, self.ordered = features, categorical or [], ordered or {}
        self.target_kind, self.positive = target_kind, positive or self.card.get("positive")
        self.missing = missing or {name: fact["missing"] for name, fact in facts.items() if "missing" in fact}
        self.units = {name: fact["unit"] for name, fact in facts.items() if "unit" in fact}
        self.id = id

    def describe(self) -> dict[str, Any]:
        """Name, checksum, licence and citation of the data."""
        if self.card:
            return {key: self.card[key] for key in ("name", "sha256", "licence", "citation", "source", "limits")}
        return {"name": Path(self.path).name, "sha256": files.sha256(Path(self.path)), "licence": "not stated"}

    def read(self) -> Content:
        """Read, check and split the table."""
        frame = self._frame_with_test()
        if self.trained:
            modality, target = only_modality(self.trained), self.trained["target"]
            check_features(frame, modality["features"], self.path)
            self._column(frame, target["name"], "target")
        else:
            target = self._target(frame)
            modality = self._modality(frame)
        y = targets.encode(frame[target["name"]], target, self.path)
        if (unlabelled := (y < 0 if target["classes"] else y.isnan()).numpy()).any():
            log.info("%d samples without a value of %s are left out", unlabelled.sum(), target["name"])
            frame, y = frame[~unlabelled], y[torch.from_numpy(~unlabelled)]
        features = frame[modality["features"]]
        text = {name: str for name in features if not pd.api.types.is_numeric_dtype(features[name])}
        twins = pd.util.hash_pandas_object(features.astype(text), index=False)
        is_test = frame[IS_TEST].to_numpy(dtype=bool) if IS_TEST in frame else None
        split = self.split_samples(frame, twins, y.numpy() if target["classes"] else None, is_test)
        if not self.trained:
            columns.check_training(split, target, y, self.path)
            training = frame[split == "train"]
            modality["levels"] = columns.levels(frame, training, modality["levels"], self.ordered, self.path)
        x = table_to_tensor(frame, modality, self.path)
        name = self._id(frame) or ""
        index = pd.Index(frame[name].map(str) if name else frame.index.map(str), name=name or "row")
        own = {} if self.split == "split" else {"split": "split (of the table)"}  # a feature may be called so
        samples = frame.rename(columns=own).assign(split=split).drop(columns=IS_TEST, errors="ignore").set_axis(index)
        spec = self.trained or Spec(modalities={"table": modality}, target=target, id=name)
        return Content(x, y, samples, spec)

    def balanced(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training rows after under- or over-sampling or SMOTE."""
        if self.balance == "none":
            return super().balanced(x, y)
        if not self.spec["target"]["classes"]:
            raise InputError(f"balance {self.balance!r} is for classes; {self.spec['target']['name']!r} is a number")
        return resample(self.balance, x, y, only_modality(self.spec), self.seed)

    def baseline_features(self) -> np.ndarray:
        """Imputed, standardised, one-hot columns."""
        layer = TableEncoder(only_modality(self.spec))
        layer.fit(self.training_inputs())
        features: np.ndarray = layer(self.content.x).numpy()
        return features

    def frame(self) -> pd.DataFrame:
        """The table as it lies in the file; rows are named by the id column, or counted from 1."""
        frame = read_dataset(self.card) if self.card else read_table(Path(self.path))
        name = self._id(frame)
        frame.index = (
            pd.Index(frame[name].map(str), name=name) if name else pd.RangeIndex(1, len(frame) + 1, name="row")
        )
        return frame

    def _frame_with_test(self) -> pd.DataFrame:
        """All samples; the index counts the rows of their file from 1, as errors name them."""
        frame = read_dataset(self.card) if self.card else read_table(Path(self.path))
        frame.index = pd.RangeIndex(1, len(frame) + 1)
        if self.test_path is None or self.external:
            return frame
        test = read_table(Path(self.test_path))
        test.index = pd.Index([f"{row} of {self.test_path}" for row in range(1, len(test) + 1)])
        return pd.concat([frame.assign(**{IS_TEST: False}), test.assign(**{IS_TEST: True})])

    def _column(self, frame: pd.DataFrame, name: str, role: str) -> None:
        if name not in frame:
            raise InputError(f"{self.path}: no column {name!r} (given as {role}); {suggest(name, frame.columns)}")

    def _id(self, frame: pd.DataFrame) -> str | None:
        if self.id:
            self._column(frame, self.id, "id")
        return self.id or (UNNAMED if frame.columns[0] == UNNAMED else None)

    def _target(self, frame: pd.DataFrame) -> Target:
        if self.target is None:
            raise InputError(
                f"{self.path}: which column is to be predicted? Give --data.target; {suggest('', frame.columns[:-1])}"
            )
        self._column(frame, self.target, "target")
        column = frame[self.target].replace([np.inf, -np.inf], np.nan)
        if len(column.dropna()) < len(frame[self.target].dropna()):
            raise InputError(f"{self.path}: target {self.target!r} has an infinite value")
        return targets.detect(column, self.target_kind, self.positive, self.units.get(self.target, ""))

    def _modality(self, frame: pd.DataFrame) -> Modality:
        roles = {"id": self._id(frame), "group": self.group, "split": self.split}
        for role, name in roles.items():
            if name is not None:
                self._column(frame, name, role)
        taken = {*roles.values(), self.target, IS_TEST}
        features = self.features or frame.attrs.get("features") or [n for n in frame.columns if n not in taken]
        for name in [*features, *self.categorical, *self.ordered, *self.missing]:
            self._column(frame, name, "feature")
        if self.target in features:
            raise InputError(f"target {self.target!r} is among the features; a model would only copy it")
        if not features:
            raise InputError(f"{self.path}: there is no column to learn from beside {self.target!r}")
        if name := roles["id"]:
            columns.check_ids(frame[name], self.path)
        text = columns.text_columns(frame[features], self.path)
        categorical = [n for n in features if n in {*self.categorical, *text} and n not in self.ordered]
        return Modality(
            kind="table",
            shape=[len(features)],
            features=list(features),
            levels={name: [] for name in [*categorical, *self.ordered] if name in features},
            ordered=[name for name in self.ordered if name in features],
            missing_values={name: [float(v) for v in self.missing[name]] for name in features if name in self.missing},
            units={name: self.units[name] for name in features if name in self.units},
        )

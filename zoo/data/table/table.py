"""Data module of tables: clinical data, expression matrices, and all else with one sample per row."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from ...encode.table import TableEncoder
from ...errors import InputError
from ...spec import Modality, modality_of
from .. import columns
from ..balance import smote
from ..base import IS_TEST
from ..frame import FrameData


class TableData(FrameData):
    """A table with one sample per row: CSV, TSV (also gzipped), Parquet or ``.h5ad``, or a packaged data set by name.

    Types are detected unless they are specified: a text column is categorical (unless most of its values are numbers;
    the others are then reported as errors), and the kind of target follows from its values. Exact duplicates among the
    samples always share a split.

    Args:
        path: A file, or the name of a data set with a card (``pima``).
        target: Column to predict; not required for autoencoders. Default: the target in the card of the data set.
        features: Columns used as input. Default: all but target, id, group and split columns.
        covariates: Features that are conditions (centre, sex): an autoencoder is given them as input and does not
            reconstruct them; other models use them as features.
        categorical: Numeric columns that hold categories (1 = male, 2 = female).
        ordered: Ordered categories, with their levels from low to high: ``{stage: [I, II, III]}``.
        target_kind: binary, multiclass, regression or survival; detected by default. ``none`` ignores the target.
        positive: The positive one of two classes; by default the last in alphabetical order.
        missing: Numbers that denote a missing value, by column: ``{insulin: [0]}``.
        id: Column of unique sample names. Default: a first column without a header, else rows are numbered from 1.
        **shared: Arguments of `FrameData` (test_path, unlabelled, event) and `Data`.

    Raises:
        InputError: Anything that is wrong with the table, in one line.
    """

    kind = "table"
    columns_are_features = True

    def __init__(
        self,
        path: str,
        target: str | None = None,
        features: list[str] | None = None,
        covariates: list[str] | None = None,
        categorical: list[str] | None = None,
        ordered: dict[str, list[str]] | None = None,
        target_kind: str | None = None,
        positive: str | None = None,
        missing: dict[str, list[float]] | None = None,
        id: str | None = None,  # noqa: A002 (the word that users look for)
        **shared: Any,
    ) -> None:
        super().__init__(path, target, target_kind, positive, id, **shared)
        self.features = features
        self.covariates = self.card.get("covariates", []) if covariates is None else covariates
        self.categorical, self.ordered = categorical or [], ordered or {}
        self.missing = missing or {name: fact["missing"] for name, fact in self.facts.items() if "missing" in fact}

    def modality(self, frame: pd.DataFrame) -> Modality:
        """Features and their types; levels of categories follow from training rows in `complete`."""
        taken = {*self.roles(frame).values(), self.target, IS_TEST}
        features = self.features or frame.attrs.get("features") or [n for n in frame.columns if n not in taken]
        for name in [*features, *self.covariates, *self.categorical, *self.ordered, *self.missing]:
            self.check_column(frame, name, "feature")
        features = [*features, *(name for name in self.covariates if name not in features)]
        if self.target in features:
            raise InputError(f"target {self.target!r} is among the features (leakage); remove it")
        if not features:
            raise InputError(f"{self.path}: there is no feature column beside {self.target!r}")
        text = columns.text_columns(frame[features], self.path)
        categorical = [n for n in features if n in {*self.categorical, *text} and n not in self.ordered]
        known = [name for name in (self.target, self.event) if name in frame]
        return Modality(
            kind="table",
            shape=[len(features)],
            features=list(features),
            covariates=self.covariates,
            levels={name: [] for name in [*categorical, *self.ordered] if name in features},
            ordered=[name for name in self.ordered if name in features],
            missing_values={name: [float(v) for v in self.missing[name]] for name in features if name in self.missing},
            units={name: self.units[name] for name in features if name in self.units},
            dtypes={name: str(frame[name].dtype) for name in [*features, *known]},
        )

    def duplicates(self, frame: pd.DataFrame, modality: Modality) -> pd.Series:
        """A hash of the features."""
        features = frame[modality["features"]]
        text = {name: str for name in features if not pd.api.types.is_numeric_dtype(features[name])}
        return pd.util.hash_pandas_object(features.astype(text), index=False)

    def complete(self, modality: Modality, frame: pd.DataFrame, training: pd.DataFrame) -> None:
        """Set the levels of the categorical columns, from training rows."""
        modality["levels"] = columns.levels(frame, training, modality["levels"], self.ordered, self.path)

    def with_smote(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training rows after SMOTE."""
        return smote(x, y, modality_of(self.spec), self.seed)

    @cached_property
    def _standardised(self) -> TableEncoder:
        layer = TableEncoder(modality_of(self.spec))
        layer.fit(self.training_inputs())
        return layer

    def baseline_features(self, rows: Tensor) -> dict[str, np.ndarray]:
        """Imputed, standardised, one-hot columns."""
        return {"": self._standardised(self.dataset.x[rows]).numpy()}

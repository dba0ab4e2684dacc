"""Data module of tables: clinical data, expression matrices, and all else with one sample per row."""

import logging
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from ...encode.table import TableEncoder, days_since, raw_values
from ...errors import InputError, check_different
from ...spec import DateColumn, Modality, modality_of
from ...tables import UNNAMED, dates
from ...tables.columns import leaks, names_samples, types_of
from ...tables.numbers import is_number
from ...tables.values import as_text
from .. import columns
from ..balance import smote
from ..base import IS_TEST
from ..frame import FrameData

log = logging.getLogger("zoo")


class TableData(FrameData):
    """A table with one sample per row: text, Excel, ODS, Parquet, Feather, ``.h5ad``, or a packaged data set by name.

    Types are detected unless they are specified (see `zoo.tables`): a column of numbers is numeric, dates become days
    since the earliest one in training rows, other text is categorical, and the kind of target follows from its values.
    Columns that number the rows, or are empty, are left out. Exact duplicates among the samples always share a split.

    Args:
        path: A file, or the name of a data set with a card (``pima``).
        target: Column to predict; not required for autoencoders. Default: the target in the card of the data set.
        features: Columns used as input. Default: all but target, id, group and split columns.
        covariates: Features that are conditions (centre, sex): an autoencoder is given them as input and does not
            reconstruct them; other models use them as features.
        categorical: Numeric columns that hold categories (1 = male, 2 = female).
        ordered: Ordered categories, with their levels from low to high: ``{stage: [I, II, III]}``.
        dates: Formats of dates that are ambiguous: ``{visit: "%d/%m/%Y"}``.
        target_kind: binary, multiclass, regression or survival; detected by default. ``none`` ignores the target.
        positive: The positive one of two classes; by default by the usual words of the field, or the last in order.
        id: Column of unique sample names. Default: a first column without a header, else rows are numbered from 1.
        **shared: Arguments of `FrameData` (test_path, unlabelled, event, missing, exclude, sheet) and `Data`.

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
        dates: dict[str, str] | None = None,
        id: str | None = None,  # noqa: A002 (the word that users look for)
        **shared: Any,
    ) -> None:
        super().__init__(path, target, target_kind, positive, id, **shared)
        if features is not None and not features:
            raise InputError("features is empty; name columns, or leave it out to use all")
        lists = {"features": features, "covariates": covariates, "categorical": categorical}
        lists |= {f"ordered of {name}": levels for name, levels in (ordered or {}).items()}
        for name, values in lists.items():
            check_different(name, values or [])
        self.features = features
        self.covariates = self.card.get("covariates", []) if covariates is None else covariates
        self.categorical, self.dates = categorical or [], dates or {}
        self.ordered: dict[str, list[str]] = self.own.get("ordered", {}) if ordered is None else ordered

    def _id(self, frame: pd.DataFrame) -> str | None:
        """The column of names: the given one, that of the training table, or a first column of different text."""
        if (given := super()._id(frame)) or self.card:
            return given
        if self.trained:
            return self.trained["id"] if self.trained["id"] in frame else None
        first = str(frame.columns[0])
        used = {
            *self.target_columns(),
            self.group,
            self.split,
            *(self.features or []),
            *self.categorical,
            *self.ordered,
        }
        return first if first not in used and names_samples(frame[first], first) else None

    def modality(self, frame: pd.DataFrame) -> Modality:
        """Features and their types; levels of categories follow from training rows in `complete`."""
        taken = {*self.roles(frame).values(), *self.target_columns(), IS_TEST}
        listed = self.features or frame.attrs.get("features")
        candidates = listed or [str(name) for name in frame.columns if name not in taken]
        for name in [
            *candidates,
            *self.covariates,
            *self.categorical,
            *self.ordered,
            *self.missing_values,
            *self.dates,
        ]:
            self.check_column(frame, name, "feature")
        candidates = [*candidates, *(name for name in self.covariates if name not in candidates)]
        if self.target in candidates:
            raise InputError(f"target {self.target!r} is among the features (leakage); remove it")
        types = types_of(
            frame[candidates], listed is not None, self.categorical, self.ordered, self.missing_values, self.dates
        )
        features = types.features
        if not features and not types.problems:
            beside = f" beside {self.target!r}" if self.target else ""
            raise InputError(f"{self.path}: there is no feature column{beside}")
        if self.target and self.target_kind != "none" and not self.event and not types.problems:
            types.doubts += leaks(frame[features], frame[self.target], types)
        if not self.id and (name := self._id(frame)) and name != UNNAMED:
            log.info("%s: column %r names the samples (another: --data.id)", self.path, name)
        types.report(self.path)
        kept, known = set(features), [name for name in self.target_columns() if name in frame]
        return Modality(
            kind="table",
            shape=[len(features)],
            features=list(features),
            covariates=self.covariates,
            levels={name: [] for name in [*types.categories, *self.ordered] if name in kept},
            ordered=[name for name in self.ordered if name in kept],
            dates={name: _dates(frame[name], form) for name, form in types.dates.items()},
            missing_values={
                name: [float(word) if is_number(word) else word for word in words]
                for name, words in self.missing_values.items()
                if name in kept
            },
            units={name: self.units[name] for name in features if name in self.units},
            dtypes=_types(frame, {*features, *known}, types.categories),
        )

    def duplicates(self, frame: pd.DataFrame, modality: Modality) -> pd.Series:
        """A hash of the features."""
        features = frame[modality["features"]]
        numeric = [pd.api.types.is_numeric_dtype(kind) for kind in features.dtypes]
        values = features.loc[:, numeric].to_numpy(np.float64, na_value=np.nan) + 0.0  # so that -0.0 equals 0.0
        rows = np.array([row.tobytes() for row in values], dtype=object)
        hashed = pd.DataFrame({0: pd.util.hash_array(rows, categorize=False)}, features.index)
        if not all(numeric):
            text = features.loc[:, [not number for number in numeric]].astype(str)
            hashed = pd.concat([hashed, text], axis=1)
        return pd.util.hash_pandas_object(hashed, index=False)

    def complete(self, modality: Modality, frame: pd.DataFrame, training: pd.DataFrame) -> None:
        """Set levels of categories, origins of dates and ranges of numbers, from training rows."""
        words = modality["missing_values"]
        modality["levels"] = columns.levels(frame, training, modality["levels"], self.ordered, words, self.path)
        for name, how in modality["dates"].items():
            days = days_since(training[name], how, self.path)
            if np.isfinite(days).any():
                how["origin"] = str(np.datetime64("1970-01-01") + int(np.floor(np.nanmin(days))))
        values = raw_values(training, modality, self.path).astype(float)
        missing = np.isnan(values)
        names = [(at, name) for at, name in enumerate(modality["features"]) if name not in modality["levels"]]
        modality["incomplete"] = [name for at, name in names if missing[:, at].any()]
        with_values = [(at, name) for at, name in names if not missing[:, at].all()]
        known = values[:, [at for at, _ in with_values]]
        limits = zip(np.nanmin(known, 0).tolist(), np.nanmax(known, 0).tolist(), strict=True)
        modality["ranges"] = {
            name: [float(f"{low:.7g}"), float(f"{high:.7g}")]
            for (_, name), (low, high) in zip(with_values, limits, strict=True)
        }

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


def _types(frame: pd.DataFrame, names: set[str], categories: list[str]) -> dict[str, str]:
    """Types of the columns in the file, as in `Modality`."""
    types = {str(name): str(kind) for name, kind in frame.dtypes.items() if name in names}
    types |= {name: "Int64" for name in frame.attrs.get("whole", ()) if name in types and types[name] == "float64"}
    for name in [name for name in categories if types[name] == "object"]:
        if set(frame[name].dropna()) <= {"True", "False"}:
            types[name] = "bool"
    return types


def _dates(column: pd.Series, form: str) -> DateColumn:
    """How the dates of a column are written; the origin follows from training rows."""
    return DateColumn(
        format=form,
        origin="1970-01-01",
        padded=dates.are_padded(as_text(column).dropna(), form),
    )

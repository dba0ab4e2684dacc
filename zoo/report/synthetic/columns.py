"""Columns of a table as numbers and categories, the same for real and for synthetic rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ...data.columns import text_columns
from ...data.target import detect
from ...encode.table import as_text, check_features, numbers
from ...errors import InputError
from ...spec import Target

MOST_COLUMNS, KEPT = 500, 0.9  # of more columns, the principal components of so much variance are taken


@dataclass
class Columns:
    """Which columns are compared, and what they are, as the real training rows say.

    Attributes:
        numbers: Columns of numbers.
        categories: Columns of text, and the target if it is a class.
        target: What is to be predicted; of the kind ``"none"`` without a target.
    """

    numbers: list[str]
    categories: list[str]
    target: Target

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        target: str | None = None,
        kind: str | None = None,
        categorical: Sequence[str] = (),
    ) -> "Columns":
        """The columns of real rows.

        Args:
            frame: Real rows.
            target: Column to predict, or None.
            kind: Of the target; by default two values, text, or up to ten whole numbers are classes.
            categorical: Columns of numbers that are categories; those of text are too.

        Raises:
            InputError: No such target; a column that is all missing, or whose text differs in nearly every row.
        """
        check_features(frame, [*([target] if target is not None else []), *categorical], "the real rows")
        if empty := [name for name in frame if frame[name].isna().all()]:
            raise InputError(f"the real rows: column {empty[0]!r} has no value at all; leave it out")
        found = Target(kind="none", name="", classes=[], unit="")
        if target is not None:
            found = detect(frame, target, kind)
        others = frame[[name for name in frame if name != target and name not in categorical]]
        text = {*categorical, *text_columns(others, "the real rows"), *([found["name"]] if found["classes"] else [])}
        return cls([n for n in frame if n not in text], [n for n in frame if n in text], found)

    @property
    def names(self) -> list[str]:
        """Numbers first."""
        return [*self.numbers, *self.categories]

    def tidy(self, frame: pd.DataFrame, source: str) -> pd.DataFrame:
        """These columns, numbers as float64 of single precision, categories as text; missing values are NaN.

        Raises:
            InputError: A column is absent, or a value is not a number.
        """
        check_features(frame, self.names, source)
        tidy = pd.DataFrame(numbers(frame[self.numbers], source).astype(float), frame.index, self.numbers)
        text = {name: as_text(frame[name]).astype(object) for name in self.categories}
        return tidy.assign(**{name: column.where(column.notna(), np.nan) for name, column in text.items()})

    def encoder(self, features_only: bool = False) -> Any:
        """Standardised numbers with a mark for each missing one, which becomes the mean, and one-hot categories.

        Of more than 500 columns, principal components with 90% of the variance take their place.

        Args:
            features_only: Leave the target out.

        Returns:
            A transformer of scikit-learn, to be fitted on tidy training rows.
        """
        left_out = self.target["name"] if features_only else ""
        imputed = make_pipeline(
            StandardScaler(), SimpleImputer(strategy="constant", fill_value=0.0, add_indicator=True)
        )
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        parts = [
            ("numbers", imputed, [name for name in self.numbers if name != left_out]),
            ("categories", one_hot, [name for name in self.categories if name != left_out]),
        ]
        wide = len(self.names) > MOST_COLUMNS
        return make_pipeline(ColumnTransformer(parts), PCA(KEPT, svd_solver="full") if wide else "passthrough")

"""Numeric and categorical columns of a table, the same for real and synthetic rows."""

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

from ...encode.table import check_features
from ...errors import InputError
from ...spec import Target
from ...tables.columns import types_of
from ...tables.target import detect
from ...tables.values import as_text, numbers

MOST_COLUMNS, KEPT = 500, 0.9  # with more columns, principal components that explain this share of the variance


@dataclass
class Columns:
    """The columns that are compared, and their types in the real training rows.

    Attributes:
        numbers: Numeric columns.
        categories: Text columns, and the target if it is a class.
        target: The target; of kind ``"none"`` if there is none.
    """

    numbers: list[str]
    categories: list[str]
    target: Target

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        target: str | Target | None = None,
        categorical: Sequence[str] = (),
    ) -> "Columns":
        """The columns of real rows.

        Args:
            frame: Real rows.
            target: Column to predict, or None; or its description, by default two values, text, or up to ten integers
                are classes.
            categorical: Numeric columns that are categories; text columns are always categories.

        Raises:
            InputError: No such target; a column without values, or with different text in nearly every row.
        """
        named = target["name"] if isinstance(target, dict) else target
        check_features(frame, [*([named] if named is not None else []), *categorical], "the real rows")
        if empty := [name for name in frame if frame[name].isna().all()]:
            raise InputError(f"the real rows: column {empty[0]!r} has no value; leave it out")
        found = Target(kind="none", name="", classes=[], unit="")
        if target is not None:
            found = target if isinstance(target, dict) else detect(frame, target)
        others = frame[[name for name in frame if name != named and name not in categorical]]
        types = types_of(others, chosen=True)
        types.report("the real rows")
        text = {*categorical, *types.categories, *([found["name"]] if found["classes"] else [])}
        return cls([n for n in frame if n not in text], [n for n in frame if n in text], found)

    @property
    def names(self) -> list[str]:
        """Names of all columns, numeric columns first."""
        return [*self.numbers, *self.categories]

    def tidy(self, frame: pd.DataFrame, source: str) -> pd.DataFrame:
        """These columns with numbers as float64 (rounded to single precision) and categories as text; missing is NaN.

        Raises:
            InputError: A column is absent, or a value is not a number.
        """
        check_features(frame, self.names, source)
        tidy = pd.DataFrame(numbers(frame[self.numbers], source).astype(float), frame.index, self.numbers)
        text = {name: as_text(frame[name]).astype(object) for name in self.categories}
        return tidy.assign(**{name: column.where(column.notna(), np.nan) for name, column in text.items()})

    def encoder(self, features_only: bool = False) -> Any:
        """Encoding with standardised, mean-imputed numbers, missing-value indicators and one-hot categories.

        More than 500 columns are replaced by the principal components that explain 90% of the variance.

        Args:
            features_only: Leave the target out.

        Returns:
            A scikit-learn transformer, to be fitted on tidy training rows.
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

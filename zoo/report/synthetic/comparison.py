"""A comparison of synthetic tables with real rows: the tables, their scores and distances."""

from dataclasses import dataclass, field

import pandas as pd

from .columns import Columns
from .privacy import Privacy

REAL, COPULA = "real rows", "Gaussian copula"


@dataclass
class Comparison:
    """Synthetic tables beside real rows.

    Attributes:
        columns: What is compared.
        train: Tidy training rows (see `zoo.report.synthetic.columns.Columns.tidy`).
        holdout: Tidy hold-out rows.
        tables: Tidy synthetic rows by the name of their generator, the evaluated model first.
        scores: Model, split, metric, value: similarity to the training rows (split ``"train"``), and all scores
            against the hold-out rows. The scores of ``"real rows"`` compare training rows with hold-out rows, which is
            the best that can be expected.
        privacy: Measures of privacy by name, also for real rows.
        units: Units of columns, where known.
    """

    columns: Columns
    train: pd.DataFrame
    holdout: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    scores: list[tuple[str, str, str, float]] = field(default_factory=list)
    privacy: dict[str, Privacy] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def value(self, model: str, metric: str) -> float:
        """The score against the hold-out rows; NaN if there is none."""
        return next((v for who, _, what, v in reversed(self.scores) if (who, what) == (model, metric)), float("nan"))

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
        tables: Tidy synthetic rows by the name of what made them, the one that is asked about first.
        scores: Model, split, metric, value: likeness to the training rows (split ``"train"``), and all scores against
            the hold-out rows; of ``"real rows"`` those of training rows against hold-out rows, which can be hoped for.
        privacy: Distances by name, of real rows too.
        units: Of columns, where known.
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

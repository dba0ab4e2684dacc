"""What the scores of synthetic tables mean, in plain words: what is ideal, and how they did."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .synthetic import COPULA, REAL, Comparison

ALIKE = 0.005  # scores that differ by less are called equal
LIKENESS = {
    "column_shapes": "distributions of all columns",
    "ks_complement": "distributions of numbers (Kolmogorov-Smirnov)",
    "tv_complement": "shares of categories (total variation)",
    "missing_similarity": "shares of missing values",
    "correlation_similarity": "correlations of pairs of numbers",
    "contingency_similarity": "pairs with a category",
}
TOLD_APART = {
    "c2st": "mean of forest and boosting",
    "c2st_random_forest": "random forest",
    "c2st_gradient_boosting": "gradient boosting",
    "c2st_logistic_regression": "logistic regression",
}
USE = {
    "tstr": "mean of the three models",
    "tstr_logistic_regression": "logistic regression",
    "tstr_ridge_regression": "ridge regression",
    "tstr_random_forest": "random forest",
    "tstr_gradient_boosting": "gradient boosting",
}
PRIVACY = {
    "dcr_share": "share of rows nearer to training rows",
    "membership_inference": "attack on membership, ROC-AUC",
    "copies": "exact copies of training rows",
}


@dataclass
class Block:
    """One question: what it is called, what the figures say of it in plain words, and the figures.

    Attributes:
        heading: The question.
        words: What is ideal, and how the rows did.
        rows: Of each figure its name, its value for each kind of rows, and the ideal.
    """

    heading: str
    words: str
    rows: list[tuple[str, list[str], str]]


def blocks(found: Comparison) -> list[Block]:
    """The questions that the report answers, in order."""
    name, target = next(iter(found.tables)), found.columns.target
    made = [
        Block(
            "Are they like real rows?",
            "1 is ideal, but two samples of real rows differ by chance too. Against hold-out rows, the columns of "
            f"{name} get {_beside(found, 'column_shapes', 1)}.",
            [*_rows(found, LIKENESS, "1"), *_rows(found, LIKENESS, "1", "train")],
        ),
        Block(
            "Can they be told from real rows?",
            "Classifiers learn to tell them from as many hold-out rows; 0.5, which is guessing, is ideal, 1 means that "
            f"every row is recognised. {name} gets {_beside(found, 'c2st', 0.5)}.",
            list(_rows(found, TOLD_APART, "0.5")),
        ),
    ]
    if target["name"]:
        what = "ROC-AUC" if target["classes"] else "R²"
        made.append(
            Block(
                "Are they of use?",
                f"Models that learnt {target['name']} from these rows predict hold-out rows; what real training rows "
                f"give is ideal. {name} gets a mean {what} of {_beside(found, 'tstr', 1)}.",
                list(_rows(found, USE, "real rows'")),
            )
        )
    copied, chance = (int(found.value(who, "copies")) for who in (name, REAL))
    made.append(
        Block(
            "Do they give training rows away?",
            f"0.5 is ideal: synthetic rows lie no nearer to training rows than to as many hold-out rows. {name} gets "
            f"{_beside(found, 'dcr_share', 0.5)}. Guessing from the nearest synthetic row who was in the "
            f"training rows gives a ROC-AUC of {found.value(name, 'membership_inference'):.3f}, and 0.5 is chance. "
            f"{copied} rows are exact copies of training rows, and of the hold-out rows {chance} are, by chance.",
            list(_rows(found, PRIVACY, "0.5")),
        )
    )
    return made


def _beside(found: Comparison, metric: str, ideal: float) -> str:
    name = next(iter(found.tables))
    ours, copula, real = (found.value(who, metric) for who in (name, COPULA, REAL))
    text = f"{ours:.3f}"
    if not np.isnan(copula):
        # Beyond an ideal of 1 there is nothing; below one of 0.5 is chance, as good as 0.5.
        gain = ours - copula if ideal == 1 else max(copula, ideal) - max(ours, ideal)
        word = "as good as" if abs(gain) < ALIKE else "better than" if gain > 0 else "worse than"
        text += f", {word} the simple Gaussian copula ({copula:.3f})"
    return f"{text}; real rows get {real:.3f}"


def _rows(
    found: Comparison, names: dict[str, str], ideal: str, split: str = ""
) -> Iterator[tuple[str, list[str], str]]:
    """Lines of a table, only those that there are values for."""
    known = {(who, what): v for who, part, what, v in found.scores if (part == "train") == (split == "train")}
    suffix = {"train": ", against training rows"}.get(split, "")
    for metric, words in names.items():
        values = [known.get((who, metric), np.nan) for who in (*found.tables, REAL)]
        if not np.isnan(values).all():
            digits = 0 if metric == "copies" else 3
            cells = ["-" if np.isnan(value) else f"{value:.{digits}f}" for value in values]
            yield words + suffix, cells, "0" if metric == "copies" else ideal

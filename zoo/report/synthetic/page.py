"""The report on synthetic tables: one HTML page that needs no network, or one picture."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from textwrap import fill

import numpy as np
from PIL import Image

from ... import files
from ...errors import InputError
from ...figure import Figure
from ...template import render
from .comparison import COPULA, REAL, Comparison
from .scores import figures_of

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
SUFFIXES = (".html", ".png")
CAPTIONS = {
    "marginals": "Distribution of each column. The nearer the lines to the grey area, the better.",
    "correlations": "How columns go together. The paler the difference, the better.",
    "usefulness": "Prediction of hold-out rows by simple models that learnt from each kind of rows.",
    "nearest": "Distance of real rows to the nearest synthetic row. If the line of the training rows lies left of that "
    "of the hold-out rows, synthetic rows give training rows away.",
    "joint_map": "Rows on the principal components of the training rows. Clouds should have the same form.",
}
CAVEAT = (
    "No figure proves that synthetic rows are safe to share: these are averages, and one rare person can stand out "
    "where the average does not. Ask for a formal guarantee (differential privacy) where harm would be grave."
)
ENOUGH = 100  # hold-out rows
FEW = " So few hold-out rows give rough figures: read differences of less than 0.1 as none."


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


def write_report(found: Comparison, title: str, path: Path) -> None:
    """Write the report.

    Args:
        found: From `zoo.report.synthetic.scores.compare`.
        title: Model and data.
        path: ``.html`` or ``.png``.

    Raises:
        InputError: Another suffix.
    """
    check_suffix(path)
    drawn = {stem: draw(title) for stem, draw in figures_of(found).items()}
    with files.replacing(path) as temporary:
        if path.suffix == ".html":
            temporary.write_text(_page(found, title, drawn), encoding="utf-8")
        else:
            _picture([_summary(found, title), *drawn.values()]).save(temporary)


def check_suffix(path: Path) -> None:
    """Raise an `InputError` unless a report can be written to this file."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"--report {path}: use {' or '.join(SUFFIXES)}")


def _page(found: Comparison, title: str, drawn: dict[str, Figure]) -> str:
    figures = []
    for stem, figure in drawn.items():
        figure.savefig(buffer := BytesIO(), format="png", dpi=150)
        figures.append((b64encode(buffer.getvalue()).decode(), stem.replace("_", " "), CAPTIONS[stem]))
    return render(
        Path(__file__).with_name("page.html"),
        title=title,
        facts=_facts(found),
        columns=[*found.tables, REAL, "ideal"],
        blocks=blocks(found),
        figures=figures,
        caveat=CAVEAT,
    )


def _facts(found: Comparison) -> str:
    (name, rows), split = next(iter(found.tables.items())), found.scores[-1][1]
    chose = " (validation rows, which chose the epoch)" if split == "validation" else ""
    return (
        f"{len(rows)} rows of {name} beside {len(found.train)} training rows, {len(found.holdout)} hold-out rows{chose}"
        " that the model never learnt from, and a Gaussian copula, the simple model that a network must beat."
        + (FEW if len(found.holdout) < ENOUGH else "")
    )


def _summary(found: Comparison, title: str) -> Figure:
    """The tables and words as a picture."""
    lines: list[tuple[float, str, list[str], str]] = [
        (0.9, words, [], "normal") for words in fill(_facts(found), 125).split("\n")
    ]
    names = [*found.tables, REAL, "ideal"]
    for block in blocks(found):
        lines += [
            (1.7, block.heading, names, "bold"),
            *((0.9, w, [], "normal") for w in fill(block.words, 125).split("\n")),
        ]
        lines += [(0.9, row, [*values, ideal], "normal") for row, values, ideal in block.rows]
    height = 0.2 * (sum(line[0] for line in lines) + 6)
    figure = Figure(figsize=(10, height), dpi=150)
    figure.text(0.02, 1 - 0.3 / height, f"Synthetic rows: {title}", fontsize=13, va="center")
    place = height - 0.5
    for space, text, values, weight in lines:
        place -= 0.2 * space
        figure.text(0.02, place / height, text, fontsize=9, weight=weight, va="center")
        for number, value in enumerate(values):
            at = 0.98 - 0.14 * (len(values) - 1 - number)
            figure.text(at, place / height, value, fontsize=9, weight=weight, va="center", ha="right")
    figure.text(0.02, 0.35 / height, fill(CAVEAT, 135), fontsize=8, color="#586574", va="center")
    return figure


def _picture(parts: list[Figure]) -> Image.Image:
    """Figures below each other."""
    pictures = []
    for figure in parts:
        figure.savefig(buffer := BytesIO(), format="png", dpi=150)
        pictures.append(Image.open(buffer).convert("RGB"))
    whole = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), "white")
    for number, picture in enumerate(pictures):
        whole.paste(picture, (0, sum(p.height for p in pictures[:number])))
    return whole

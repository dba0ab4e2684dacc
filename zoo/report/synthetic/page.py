"""The report on synthetic tables: one HTML page that needs no network access, or one picture."""

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

EQUAL = 0.005  # scores that differ by less are reported as equally good
LIKENESS = {
    "column_shapes": "distributions of all columns",
    "ks_complement": "distributions of numbers (Kolmogorov-Smirnov)",
    "tv_complement": "shares of categories (total variation)",
    "missing_similarity": "shares of missing values",
    "correlation_similarity": "correlations of pairs of numbers",
    "contingency_similarity": "pairs with a category",
}
DISTINGUISHABLE = {
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
    "dcr_share": "share of rows nearer to training than to hold-out rows",
    "membership_inference": "membership inference attack, ROC-AUC",
    "copies": "exact copies of training rows",
}
SUFFIXES = (".html", ".png")
CAPTIONS = {
    "marginals": "Distribution of each column. The closer the lines to the grey area, the better.",
    "correlations": "Correlations of columns. The paler the difference, the better.",
    "usefulness": "Prediction of hold-out rows by simple models trained on each kind of rows.",
    "nearest": "Distance of real rows to the nearest synthetic row. If the curve of the training rows is to the "
    "left of that of the hold-out rows, synthetic rows reveal training rows.",
    "joint_map": "Rows on the principal components of the training rows. The distributions should be similar.",
}
CAVEAT = (
    "No score proves that synthetic rows are safe to share: these are averages, and a rare person can be identifiable "
    "even if most are not. Require a formal guarantee (differential privacy) if disclosure would cause serious harm."
)
ENOUGH = 100  # hold-out rows
FEW = " With so few hold-out rows, scores are imprecise: ignore differences below 0.1."


@dataclass
class Block:
    """One section of the report: a question, a summary in words, and scores.

    Attributes:
        heading: The question.
        words: The ideal value, and the result.
        rows: For each score its name, its value for each kind of rows, and the ideal.
    """

    heading: str
    words: str
    rows: list[tuple[str, list[str], str]]


def blocks(found: Comparison) -> list[Block]:
    """The sections of the report, in order."""
    name, target = next(iter(found.tables)), found.columns.target
    sections = [
        Block(
            "Are they similar to real rows?",
            "1 is ideal, but two samples of real rows also differ by chance. The columns of "
            f"{name} and of hold-out rows have a mean similarity of {_beside(found, 'column_shapes', 1)}.",
            [*_rows(found, LIKENESS, "1"), *_rows(found, LIKENESS, "1", "train")],
        ),
        Block(
            "Are they distinguishable from real rows?",
            "ROC-AUC of classifiers that distinguish synthetic from as many hold-out rows. 0.5 (chance) is ideal; 1 "
            f"means that every row is recognised. {name} has {_beside(found, 'c2st', 0.5)}.",
            list(_rows(found, DISTINGUISHABLE, "0.5")),
        ),
    ]
    if target["name"]:
        what = "ROC-AUC" if target["classes"] else "R²"
        sections.append(
            Block(
                "Are they useful?",
                f"Models of {target['name']} are trained on these rows and predict hold-out rows; the score of real "
                f"training rows is ideal. {name} has a mean {what} of {_beside(found, 'tstr', 1)}.",
                list(_rows(found, USE, "real rows'")),
            )
        )
    copied, chance = (int(found.value(who, "copies")) for who in (name, REAL))
    sections.append(
        Block(
            "Do they reveal training rows?",
            f"0.5 is ideal: synthetic rows are no nearer to training rows than to as many hold-out rows. {name} has "
            f"{_beside(found, 'dcr_share', 0.5)}. Membership inference, which predicts membership in the training rows "
            "from the distance to the nearest synthetic row, has a ROC-AUC of "
            f"{found.value(name, 'membership_inference'):.3f}; 0.5 is chance. {copied} synthetic rows are exact copies "
            f"of training rows; by chance, {chance} hold-out rows are as well.",
            list(_rows(found, PRIVACY, "0.5")),
        )
    )
    return sections


def _beside(found: Comparison, metric: str, ideal: float) -> str:
    name = next(iter(found.tables))
    ours, copula, real = (found.value(who, metric) for who in (name, COPULA, REAL))
    text = f"{ours:.3f}"
    if not np.isnan(copula):
        # Values cannot exceed an ideal of 1; values below an ideal of 0.5 are chance, and count as 0.5.
        gain = ours - copula if ideal == 1 else max(copula, ideal) - max(ours, ideal)
        word = "as good as" if abs(gain) < EQUAL else "better than" if gain > 0 else "worse than"
        text += f", {word} the Gaussian copula ({copula:.3f})"
    return f"{text}; real rows have {real:.3f}"


def _rows(
    found: Comparison, names: dict[str, str], ideal: str, split: str = ""
) -> Iterator[tuple[str, list[str], str]]:
    """Rows of a table; scores without any value are left out."""
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
        InputError: ``path`` has another suffix.
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
    chose = " (validation rows, by which the epoch was chosen)" if split == "validation" else ""
    return (
        f"{len(rows)} rows of {name} beside {len(found.train)} training rows, {len(found.holdout)} hold-out rows{chose}"
        " that were not used for training, and a Gaussian copula, the simple model that a network should outperform."
        + (FEW if len(found.holdout) < ENOUGH else "")
    )


def _summary(found: Comparison, title: str) -> Figure:
    """The text and tables of the report as a picture."""
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
    """One picture of all figures, one below the other."""
    pictures = []
    for figure in parts:
        figure.savefig(buffer := BytesIO(), format="png", dpi=150)
        pictures.append(Image.open(buffer).convert("RGB"))
    whole = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), "white")
    for number, picture in enumerate(pictures):
        whole.paste(picture, (0, sum(p.height for p in pictures[:number])))
    return whole

"""Tables of scores, printed to the screen."""

import sys

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ..training.tasks.classes import named_metric
from .evaluation import Evaluation

DASH = "-"  # for a metric that a model does not have


def show_scores(evaluation: Evaluation, title: str) -> None:
    """Print the metrics of all splits side by side, which reveals overfitting, and those of the baselines.

    Each target has a table of its own; for several modalities another one shows the scores without each of them.
    """
    wide = evaluation.table().map(_number)
    wide.columns = pd.Index([f"{model}\n{split}" for model, split in wide.columns])
    _show(wide, title, evaluation.also, evaluation.positive)


def show_crossval(scores: pd.DataFrame, title: str, also: list[str], positive: dict[str, str]) -> None:
    """Print mean and standard deviation over folds and repeats, in the same tables.

    Args:
        scores: One row per value, with columns ``model``, ``metric`` and ``value``.
        title: Title of the table.
        also: Names of extra targets.
        positive: Positive classes, as in `Evaluation`.
    """
    summary = scores.groupby(["metric", "model"], sort=False)["value"].agg(["mean", "std"])
    text = pd.Series([_number(*pair) for pair in summary.to_numpy()], summary.index).unstack("model")
    _show(text.reindex(scores["metric"].unique(), columns=scores["model"].unique()).fillna(DASH), title, also, positive)


def _show(wide: pd.DataFrame, title: str, also: list[str], positive: dict[str, str]) -> None:
    """Metrics in rows, models in columns, values as text: one table per target, and one for the modalities."""
    parts = [metric for metric in wide.index if metric.endswith(" alone") or " without " in metric]
    first = wide.drop(index=parts)
    tables: dict[str, tuple[str, pd.DataFrame]] = {}  # by title: positive class and scores
    for name in also:
        own = [metric for metric in first.index if metric.startswith(f"{name}_")]
        table = first.loc[own].set_axis([metric.removeprefix(f"{name}_") for metric in own])
        tables[f"{title}: {name}"] = positive.get(name, ""), table
        first = first.drop(index=own)
    for heading, (label, table) in {title: (positive.get("", ""), first), **tables}.items():
        named = table.set_axis([named_metric(str(metric), label) for metric in table.index])
        _print(named.loc[:, (named != DASH).any()], "metric", heading)
    if parts:
        ours = wide.loc[parts].apply(lambda row: next((value for value in row if value != DASH), DASH), axis=1)
        _print(_by_modality(ours), "modality", f"{title}: without a modality, and with it alone")


def _by_modality(scores: pd.Series) -> pd.DataFrame:
    """One row per modality, two columns per metric."""
    metrics = dict.fromkeys(str(metric).partition(" with")[0] for metric in scores.index)
    names = dict.fromkeys(str(m).partition(" without ")[2] for m in scores.index if " without " in str(m))
    columns = {}
    for metric in metrics:
        columns[f"{metric}\nwithout"] = [scores[f"{metric} without {name}"] for name in names]
        columns[f"{metric}\nalone"] = [scores[f"{metric} with {name} alone"] for name in names]
    return pd.DataFrame(columns, index=list(names))


def _number(value: float, spread: float | None = None) -> str:
    """Three decimals, one for large numbers."""
    if np.isnan(value):
        return DASH
    text = f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"
    return text if spread is None else f"{text} ± {_number(spread)}"


def _print(values: pd.DataFrame, rows: str, title: str) -> None:
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    table.add_column(rows, no_wrap=True)
    for column in values:
        table.add_column(str(column), justify="right")
    for name, line in values.iterrows():
        table.add_row(str(name), *line)
    Console(width=None if sys.stdout.isatty() else 120).print(table)

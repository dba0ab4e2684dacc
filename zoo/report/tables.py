"""Scores on the screen."""

import sys

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .evaluation import Evaluation


def show_scores(evaluation: Evaluation, title: str) -> None:
    """Metrics of all splits side by side, so that overfitting shows, and the baselines' beside them."""
    wide = evaluation.table()
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    table.add_column("metric", no_wrap=True)
    for model, split in wide.columns:
        table.add_column(f"{model}\n{split}", justify="right")
    for metric, values in wide.iterrows():
        table.add_row(str(metric), *(_number(value) for value in values))
    _print(table)


def show_crossval(scores: pd.DataFrame, title: str) -> None:
    """Mean and standard deviation over folds and repeats.

    Args:
        scores: One row a value, with columns ``model``, ``metric`` and ``value``.
        title: Above the table.
    """
    summary = scores.groupby(["metric", "model"], sort=False)["value"].agg(["mean", "std"])
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    table.add_column("metric", no_wrap=True)
    models = scores["model"].unique()
    for model in models:
        table.add_column(model, justify="right")
    for metric in scores["metric"].unique():
        pairs = (summary.reindex([(metric, model)]).iloc[0] for model in models)
        table.add_row(metric, *(_number(pair["mean"], pair["std"]) for pair in pairs))
    _print(table)


def _number(value: float, spread: float | None = None) -> str:
    """Three decimals, fewer of large numbers; a dash where a model has no such metric."""
    if np.isnan(value):
        return "-"
    text = f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"
    return text if spread is None else f"{text} ± {_number(spread)}"


def _print(table: Table) -> None:
    Console(width=None if sys.stdout.isatty() else 120).print(table)

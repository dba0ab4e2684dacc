"""The numbers of latent spaces as a table that can be taken in at a glance."""

import numpy as np
import pandas as pd
from matplotlib import colormaps

from .colours import Figure

# What is better the higher it is, with the value of chance; and what else is shown.
CHANCE = {"silhouette": 0.0, "knn_accuracy": 0.0, "knn_r2": 0.0, "trustworthiness": 0.5, "continuity": 0.5}
HIGHER = {**CHANCE, "batch_mixing": 0.0}
PLAIN = ("units", "active_units", "effective_dimension")


def plot_comparison(table: pd.DataFrame) -> Figure:
    """Draw the numbers of each layer; the darker a cell, the further from chance (white) to perfect; the best is bold.

    Args:
        table: From `zoo.latent.compare`.

    Returns:
        A matplotlib figure.
    """
    columns = [name for name in (*PLAIN, *HIGHER) if name in table]
    shown = table[columns].to_numpy(float)
    low = np.array([HIGHER.get(name, 0.0) for name in columns])
    if "knn_accuracy" in table:
        low[columns.index("knn_accuracy")] = min(table["majority_accuracy"].iloc[0], 0.99)
    shade = np.nan_to_num((shown - low) / (1 - low)).clip(0, 1)
    shade[:, [name in PLAIN for name in columns]] = 0
    best = np.round(shown, 3) == np.round(np.nanmax(np.nan_to_num(shown, nan=-np.inf), 0), 3)
    best[:, [name in PLAIN for name in columns]] = False
    names = [str(name) for name in table.index]
    left = 0.085 * max(map(len, names)) + 0.2
    title = table.attrs.get("title", "")
    figure = Figure(
        figsize=(max(left + 1.15 * len(columns) + 0.2, 0.085 * len(title)), 0.3 * len(names) + 1.3),
        dpi=100,
        layout="constrained",
    )
    axis = figure.add_subplot()
    picture = colormaps["Blues"](0.75 * shade)
    picture[:, [name in PLAIN for name in columns]] = 1.0  # neither good nor bad
    axis.imshow(picture, aspect="auto")
    for (row, column), value in np.ndenumerate(shown):
        text = "-" if np.isnan(value) else _written(columns[column], value)
        if columns[column].startswith("knn"):
            text += f" ± {table['knn_se'].iloc[row]:.3f}"
        colour = "white" if shade[row, column] > 0.7 else "black"
        weight = "bold" if best[row, column] else "normal"
        axis.text(column, row, text, ha="center", va="center", fontsize=9, color=colour, fontweight=weight)
    heads = [name.replace("knn_", "kNN ").replace("r2", "R²").replace("_", "\n") for name in columns]
    if "majority_accuracy" in table:
        heads = [
            f"{head}\n(chance {table['majority_accuracy'].iloc[0]:.3f})" if "accuracy" in head else head
            for head in heads
        ]
    axis.set_xticks(range(len(columns)), heads, fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=9)
    axis.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axis.spines[:].set_visible(False)
    axis.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=2)
    axis.tick_params(which="minor", length=0)
    figure.suptitle(title, fontsize=11)
    return figure


def _written(name: str, value: float) -> str:
    return f"{value:.0f}" if name in ("units", "active_units") else f"{value:.1f}" if name in PLAIN else f"{value:.3f}"

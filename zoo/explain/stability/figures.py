"""Figure of feature stability: selection frequencies and agreement of models, on real and on permuted labels."""

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes

from ...errors import check_range
from ...figure import Figure
from ...report.style import CLASS_COLOURS
from .feature_stability import PERMUTED, REAL, FeatureStability

CONSENSUS, OTHER, NULL = CLASS_COLOURS[0], CLASS_COLOURS[5], CLASS_COLOURS[4]
MODELS = {
    "seeds": "models of the same patients",
    "bootstrap": "models of patients drawn with replacement",
    "halves": "models of disjoint halves of the patients",
}
LONGEST = 30  # characters of a feature name


def plot_feature_stability(result: FeatureStability, most: int = 25) -> Figure:
    """Plot selection frequencies and agreement of models, on real and on permuted labels.

    Args:
        result: From `feature_stability`.
        most: Number of features shown, the most significant first.

    Returns:
        A matplotlib figure. Left: the fraction of models with a feature in their top list, for real and for permuted
        labels; known features are marked. Right: Spearman correlation of the importances of two models, and the
        fraction of their top lists that they share, with the standard deviation over pairs; the dotted line is the
        expectation for random lists.
    """
    check_range("most", most, 1)
    table = result.table[:most]
    figure = Figure(figsize=(9.0, 2.2 + 0.2 * len(table)), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    at = np.arange(len(table))[::-1]
    for colour, label, rows in (
        (CONSENSUS, f"left: consensus (false discovery rate {result.fdr:.0%})", table["consensus"]),
        (OTHER, "left: not significant", ~table["consensus"]),
    ):
        if rows.any():
            left.barh(at[rows], table["selection"][rows], 0.7, color=colour, label=label)
    left.plot(
        table["null_selection"],
        at,
        "D",
        markersize=4,
        color=NULL,
        linestyle="",
        label=f"left: {PERMUTED}",
        clip_on=False,
    )
    known = table.get("known", table["consensus"] & False)
    names = [
        (name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…") + (" (known)" if old else "")
        for name, old in zip(table["feature"], known, strict=True)
    ]
    left.set_yticks(at, names, fontsize=8)
    left.set(xlabel=f"fraction of models with the feature in their top {result.top}", ylabel="feature", xlim=(0, 1.02))
    left.set_ylim(-0.7, len(table) - 0.3)
    _agreement(right, result)
    shown = [pair for axes in (left, right) for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    handles, labels = [handle for handle, _ in shown], [label for _, label in shown]
    figure.legend(handles, labels, loc="outside lower left", ncols=3, frameon=False, fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    models = len(result.importances)
    figure.suptitle(fill(f"{models} {MODELS[result.design]}: {result.note}", 105), x=0.01, ha="left", fontsize=10)
    return figure


def _agreement(axes: Axes, result: FeatureStability) -> None:
    table, spread = result.agreement, ("spearman_sd", "top_shared_sd")
    for number, (row, colour) in enumerate(((REAL, CONSENSUS), (PERMUTED, NULL))):
        x = np.arange(2) - 0.2 + 0.4 * number
        values, errors = table.loc[row, ["spearman", "top_shared"]], table.loc[row, [*spread]]
        axes.bar(x, values.to_numpy(float), 0.36, color=colour, label=f"right: {row}")
        axes.errorbar(
            x, values.to_numpy(float), errors.to_numpy(float), color="black", linewidth=1, fmt="none", capsize=2
        )
    chance = result.top / len(result.table)
    axes.plot([0.55, 1.45], [chance, chance], ":", color="black", linewidth=1, label="right: random lists")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks([0, 1], ["correlation of\nimportances", f"fraction of the\ntop {result.top} in both"], fontsize=8)
    axes.set(ylabel=f"agreement of two models, {table.attrs['patients']} patients", ylim=(None, 1))

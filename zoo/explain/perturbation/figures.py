"""Figures of perturbations: heat map of all shifts, and volcano plot of the shifts by one feature."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ...errors import InputError, suggest
from ...figure import Figure
from ...report.style import CLASS_COLOURS, new_figure
from ..pixels.pictures import SIGNED

MOST, NAMED = 60, 12  # features in the heat map, and labels in the volcano plot
RISE, FALL, NONE = CLASS_COLOURS[4], CLASS_COLOURS[0], "#b3b3b3"


def shift_map(table: pd.DataFrame, title: str = "") -> Figure:
    """Heat map of shifts, one row for each perturbed feature; dots mark significant shifts.

    If there are more than 60 features, features without significant shifts are left out first, then those with the
    smallest shifts. Features are ordered by the row of their largest shift.

    Args:
        table: From `perturb` or `univariate`.
        title: Title of the figure, to which the number of features is added.

    Returns:
        A matplotlib figure; the colour scale is limited by the largest shift.

    Raises:
        InputError: The table is empty.
    """
    if table.empty:
        raise InputError("there are no shifts to draw")
    size = table.pivot(index="perturbed", columns="feature", values="shift_sd")
    marked = table.pivot(index="perturbed", columns="feature", values="significant").eq(True)
    total = size.shape[1]
    if total > MOST:
        size = size.loc[:, marked.any()] if marked.any(axis=None) else size
    strongest = size.abs().max().sort_values(ascending=False, kind="stable").index[:MOST]
    size = size[strongest].sort_index(axis=1)
    size = size.iloc[:, np.argsort(size.abs().to_numpy(na_value=0).argmax(0), kind="stable")]
    marked = marked[size.columns]
    rows, columns = size.shape
    width = 2.6 + 0.17 * columns
    figure = Figure(figsize=(max(5.0, width), 1.9 + 0.22 * rows), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    limit = float(np.nanmax(size.abs().to_numpy(), initial=1e-9))
    image = axes.imshow(size, cmap=SIGNED, vmin=-limit, vmax=limit, aspect="auto", interpolation="none")
    y, x = np.nonzero(marked.to_numpy())
    axes.scatter(x, y, s=9, color="black", linewidths=0)
    axes.set_xticks(range(columns), list(size.columns), rotation=90, fontsize=7)
    axes.set_yticks(range(rows), list(size.index), fontsize=8)
    itself = " (white: not tested)" if size.isna().any(axis=None) else ""
    axes.set(xlabel=f"feature{itself}", ylabel="perturbed feature")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, label="shift [standard deviations]", aspect=15, pad=0.02)
    shown = f"{columns} of {total} features" if columns < total else f"{total} features"
    dots = f"{int(marked.to_numpy().sum())} significant pairs (dots)"
    axes.set_title(f"{title}: {shown}, {dots}" if title else f"{shown}, {dots}", loc="left", fontsize=10)
    return figure


def volcano(table: pd.DataFrame, perturbed: str | None = None, title: str = "") -> Figure:
    """Volcano plot: shift of each feature against its significance; the most significant features are labelled.

    Significance is -log10 of the p value, or the absolute Bayes factor if there are no p values.

    Args:
        table: From `perturb` or `univariate`.
        perturbed: The perturbed feature, if the table has several.
        title: Title of the figure.

    Returns:
        A matplotlib figure.

    Raises:
        InputError: Unknown perturbed feature.
    """
    known = list(table["perturbed"].unique())
    perturbed = perturbed if perturbed is not None or len(known) != 1 else known[0]
    if perturbed not in known:
        raise InputError(f"no perturbed feature {perturbed!r} in the table; {suggest(str(perturbed), known)}")
    rows = table[table["perturbed"] == perturbed]
    bayes = rows["p_value"].isna().all()
    rows = rows if bayes else rows[rows["p_value"].notna()]
    height = rows["bayes_factor"].abs() if bayes else -np.log10(rows["p_value"].clip(lower=1e-300))
    label = "absolute Bayes factor" if bayes else "-log10(p value)"
    figure, axes = new_figure(title or str(perturbed), "shift [standard deviations]", label, (6.4, 4.4))
    axes.axvline(0, color="#dddddd", linewidth=1, zorder=0)
    groups = {
        "increase": (rows["significant"] & (rows["shift_sd"] > 0), RISE, "^"),
        "decrease": (rows["significant"] & (rows["shift_sd"] <= 0), FALL, "v"),
        "not significant": (~rows["significant"], NONE, "o"),
    }
    for name, (members, colour, marker) in groups.items():
        size = 12 if marker == "o" else 30
        label = f"{name} ({int(members.sum())})"
        x, y = rows["shift_sd"][members], height[members]
        axes.scatter(x, y, s=size, color=colour, marker=marker, linewidths=0, label=label)
    reach, top = 1.7 * max(rows["shift_sd"].abs().max(), 1e-9), 1.08 * max(height.max(), 1e-9)
    axes.set(xlim=(-reach, reach), ylim=(-0.03 * top, top))
    _name(axes, rows[rows["significant"]].assign(height=height))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    return figure


def _name(axes: Axes, rows: pd.DataFrame) -> None:
    """Label the most significant points; a label that would overlap another is moved down and connected by a line."""
    strongest = rows.sort_values(["height", "shift_sd"], key=np.abs, ascending=False)[:NAMED]
    taken: list[tuple[float, float, float]] = []  # left and right end and height, as shares of the axes
    for name, x, y in strongest[["feature", "shift_sd", "height"]].itertuples(index=False):
        across, up = ((at - low) / (high - low) for at, (low, high) in ((x, axes.get_xlim()), (y, axes.get_ylim())))
        side, length = (1 if x > 0 else -1), 0.017 * len(name)
        begin, end = sorted([across, across + side * (0.02 + length)])
        place = up
        while any(abs(place - other) < 0.035 and begin < right and left < end for left, right, other in taken):
            place -= 0.036
        if place < 0.02:  # no space is left
            continue
        taken.append((begin, end, place))
        line = {"arrowstyle": "-", "color": "#888888", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
        axes.annotate(
            name,
            (x, y),
            (across + side * 0.015, place),
            textcoords="axes fraction",
            fontsize=7,
            va="center",
            ha="left" if x > 0 else "right",
            arrowprops=line if place < up else None,
        )

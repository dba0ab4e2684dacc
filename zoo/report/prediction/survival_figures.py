"""Figures of survival: Kaplan-Meier curves of groups of risk, and whether predicted probabilities come true."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ...figure import Figure
from ...spec import Target
from ...training.survival_metrics import structured
from ..style import COLOURS, legend_outside, new_figure

GROUPS = {"low": "#0072B2", "medium": "#E69F00", "high": "#D55E00"}  # of Okabe and Ito
MOST_BINS, SMALLEST_BIN = 5, 15
TRUTH = ["time", "event"]


def survival_figures(predictions: pd.DataFrame, target: Target, name: str) -> dict[str, Figure]:
    """Both figures, by file name.

    Args:
        predictions: ``split``, ``time``, ``event``, ``risk`` and ``survival_TIME`` of each sample.
        target: Names and unit.
        name: Model and data, for the titles.
    """
    known = predictions.dropna(subset=TRUTH)
    last = predictions["split"].iloc[-1]
    how = "thirds of the training risks" if (predictions["split"] == "train").any() else "sign of the risk"
    figures = {"kaplan_meier": kaplan_meier(known, target, f"{name}: Kaplan-Meier curves of the {last} rows by {how}")}
    probabilities = [column for column in predictions if column.startswith("survival_")]
    if probabilities:
        middle = probabilities[len(probabilities) // 2]
        figures["calibration"] = calibration(known, middle, target, f"{name}: calibration")
    return figures


def groups_of_risk(predictions: pd.DataFrame) -> pd.Series:
    """Low, medium or high risk: thirds of the training risks; without training rows below or above their mean, 0."""
    training = predictions.loc[predictions["split"] == "train", "risk"]
    if training.empty:
        return predictions["risk"].gt(0).map({False: "low", True: "high"})
    low, high = training.quantile([1 / 3, 2 / 3])
    group = np.select([predictions["risk"] <= low, predictions["risk"] <= high], ["low", "medium"], "high")
    return pd.Series(group, index=predictions.index)


def kaplan_meier(predictions: pd.DataFrame, target: Target, title: str) -> Figure:
    """Share without the event by time, of the last split, with 95% intervals, a log-rank test and numbers at risk."""
    from sksurv.compare import compare_survival
    from sksurv.nonparametric import kaplan_meier_estimator

    chosen = (predictions["split"] == predictions["split"].iloc[-1]).to_numpy()
    rows, group = predictions[chosen], groups_of_risk(predictions)[chosen].to_numpy()
    figure, (axes, table) = _two_axes(title, target)
    present = [name for name in GROUPS if (group == name).any()]
    for name in present:
        own, colour = rows[group == name], GROUPS[name]
        event, time = own["event"].to_numpy() > 0, own["time"].to_numpy(float)
        label = f"{name} risk, {event.sum()} events of {len(own)}"
        if not event.any():  # the estimator wants one
            axes.plot([0, time.max()], [1, 1], color=colour, label=label)
            continue
        at, share, (below, above) = kaplan_meier_estimator(event, time, conf_type="log-log")
        at, share = np.r_[0, at], np.r_[1, share]
        axes.step(at, share, where="post", color=colour, label=label)
        axes.fill_between(at, np.r_[1, below], np.r_[1, above], step="post", color=colour, alpha=0.15, linewidth=0)
        censored = time[~event]
        level = share[np.searchsorted(at, censored, side="right") - 1]
        axes.plot(censored, level, "|", color=colour, markersize=5)
    if len(present) > 1 and (rows["event"] > 0).any():
        p_value = float(compare_survival(structured(rows[TRUTH].to_numpy(float)), group)[1])
        axes.plot([], [], " ", label=f"log-rank p {'< 0.0001' if p_value < 1e-4 else f'= {p_value:.2g}'}")
    axes.plot([], [], "|", color="#555555", markersize=5, label="censored")
    axes.set(ylim=(-0.02, 1.02), xlim=(0, None))
    legend_outside(axes)
    _numbers_at_risk(table, axes.get_xticks(), rows["time"].to_numpy(), group, present)
    return figure


def _two_axes(title: str, target: Target) -> tuple[Figure, tuple[Axes, Axes]]:
    """Room for curves, and for a table below that shares their time axis."""
    figure = Figure(figsize=(6.8, 4.8), layout="constrained", dpi=150)
    axes, table = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    axes.set_title(fill(title, 80), loc="left", fontsize=10)
    axes.set_ylabel(f"share without an event ({target['event']})")
    axes.spines[["top", "right"]].set_visible(False)
    table.set_xlabel(target["name"] + (f" [{target['unit']}]" if target["unit"] else ""))
    table.spines[:].set_visible(False)
    return figure, (axes, table)


def _numbers_at_risk(table: Axes, ticks: np.ndarray, time: np.ndarray, group: np.ndarray, present: list[str]) -> None:
    """How many of each group are followed at each tick."""
    table.set(ylim=(len(present) - 0.5, -0.5))
    table.set_title("number at risk", loc="left", fontsize=8)
    table.set_yticks(range(len(present)), present)
    table.tick_params(axis="y", length=0, pad=14, labelsize=8)  # beside the numbers at time 0
    for place, name in enumerate(present):
        for tick in ticks[(ticks >= 0) & (ticks <= time.max())]:
            count = int((time[group == name] >= tick).sum())
            table.text(tick, place, str(count), ha="center", va="center", fontsize=8, color=GROUPS[name])


def calibration(predictions: pd.DataFrame, column: str, target: Target, title: str) -> Figure:
    """Kaplan-Meier's share without the event against the mean predicted probability, in groups of equal size.

    Args:
        predictions: As in `survival_figures`.
        column: The probability, ``survival_TIME`` or ``survival_TIME_UNIT``.
        target: Names and unit.
        title: Above the figure.
    """
    from sksurv.nonparametric import kaplan_meier_estimator

    horizon = float(column.split("_")[1])
    until = f"until {horizon:g} {target['unit']}".rstrip()
    figure, axes = new_figure(
        title, f"predicted probability of no event {until}", "observed share (Kaplan-Meier)", (6.2, 4.0)
    )
    axes.plot([0, 1], [0, 1], ":", color="#bbbbbb", label="perfect")
    for split, rows in predictions.groupby("split", sort=False):
        bins = int(np.clip(len(rows) // SMALLEST_BIN, 1, MOST_BINS))
        points = []
        ordered = rows.sort_values(column)
        for some in (ordered.iloc[part] for part in np.array_split(np.arange(len(rows)), bins)):
            event, time = some["event"].to_numpy() > 0, some["time"].to_numpy(float)
            if not event.any() or time.max() < horizon:  # no curve, or one that ends before
                continue
            at, share, (below, above) = kaplan_meier_estimator(event, time, conf_type="log-log")
            values = np.column_stack([share, below, above])
            place = np.searchsorted(at, horizon, side="right") - 1
            points.append([some[column].mean(), *(values[place] if place >= 0 else (1, 1, 1))])
        if points:
            mean, share, below, above = np.array(points).T
            colour, label = COLOURS[str(split)], f"{split}, {len(rows)} samples"
            axes.plot(mean, share, "o-", markersize=4, color=colour, label=label)
            axes.vlines(mean, below, above, color=colour, alpha=0.5, linewidth=1)
    axes.plot([], [], "-", color="#555555", linewidth=1, alpha=0.5, label="95% interval")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    legend_outside(axes)
    return figure

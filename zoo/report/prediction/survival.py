"""Survival: baselines, Kaplan-Meier curves of risk groups, and calibration."""

import warnings
from collections.abc import Callable
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from ...errors import need_scikit_survival
from ...figure import Figure
from ...spec import Target
from ...training.survival_metrics import scored_times, structured
from ...training.tasks.survival import Survival
from ..style import COLOURS, legend_outside, new_figure
from .baselines import BASELINES
from .figures import FIGURES, Draw

MOST_SAMPLES, MOST_FOREST, TREES = 20_000, 2_000, 300  # training rows; a survival forest on more takes minutes
FOLDS, PENALTIES, L1_RATIO, SMALLEST = 5, 10, 0.5, 0.03
GROUPS = {"low": "#0072B2", "medium": "#E69F00", "high": "#D55E00"}  # palette of Okabe and Ito
MOST_BINS, SMALLEST_BIN = 5, 15
TRUTH = ["time", "event"]


def survival_baselines(
    features: Callable[[Tensor], dict[str, np.ndarray]], y: np.ndarray, train: np.ndarray, target: Target
) -> dict[str, np.ndarray]:
    """Fit the baselines on the training rows and predict every row.

    Args:
        features: As for `zoo.report.prediction.baselines.baselines`.
        y: Times and events, ``shape=(samples, 2)``.
        train: True for training rows, ``shape=(samples,)``.
        target: The survival target.

    Returns:
        By name: risks, then probabilities of no event until each of ``scored_times`` of the training rows,
        ``shape=(samples, 1 + times)``. The models are Cox regression with an elastic net on every set of features, its
        penalty chosen by cross-validation within the training rows (Simon et al. 2011, doi:10.18637/jss.v039.i05); a
        random survival forest of 300 trees on the first set, of at most 2,000 rows (Ishwaran et al. 2008,
        doi:10.1214/08-AOAS169); and Kaplan-Meier, which is the same for all samples.
    """
    need_scikit_survival()
    from sksurv.ensemble import RandomSurvivalForest

    rows, times = np.flatnonzero(train), scored_times(y[train])
    if len(rows) > MOST_SAMPLES:
        rows = np.random.default_rng(0).choice(rows, MOST_SAMPLES, replace=False)
    known, models = structured(y[rows]), {}
    for number, (prefix, x) in enumerate(features(torch.from_numpy(rows)).items()):
        if (cox := _cox(x, known)) is not None:
            models[f"{prefix}Cox regression"] = prefix, cox
        if number == 0:
            drawn = np.random.default_rng(0).permutation(len(rows))[:MOST_FOREST]
            if known["event"][drawn].any():
                forest = RandomSurvivalForest(TREES, min_samples_leaf=15, random_state=0, n_jobs=-1)
                models[f"{prefix}random survival forest"] = prefix, forest.fit(x[drawn], known[drawn])
    parts: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for chunk in torch.arange(len(y)).split(MOST_FOREST):
        sets = features(chunk)
        for name, (prefix, model) in models.items():
            parts[name].append(_risk_and_survival(model, sets[prefix], times))
    same = np.concatenate([[0.0], _kaplan_meier(known, times)])
    return {name: np.concatenate(found) for name, found in parts.items()} | {"Kaplan-Meier": np.tile(same, (len(y), 1))}


def _cox(x: np.ndarray, known: np.ndarray) -> Any:
    """Cox regression with the penalty that ranks held-out training rows best, or None if no fit succeeds."""
    from sklearn.model_selection import StratifiedKFold
    from sksurv.linear_model import CoxnetSurvivalAnalysis

    events = known["event"]
    folds = min(FOLDS, int(events.sum()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of penalties that do not converge, which are not chosen
        try:
            first = CoxnetSurvivalAnalysis(n_alphas=2, alpha_min_ratio=0.5, l1_ratio=L1_RATIO).fit(x, known)
            shares = np.logspace(-0.2, -2.5, PENALTIES)  # of the largest penalty, for which all coefficients are 0
            if x.shape[1] > len(x) / 2:  # small penalties would overfit, and take minutes
                shares = shares[shares > SMALLEST]
            penalties = first.alphas_[0] * shares
            ranked = np.zeros((max(folds, 1), len(penalties)))
            for fold, (train, held) in enumerate(_folds(StratifiedKFold, folds, x, events)):
                # On a path from large to small penalties each fit starts from the one before, which is much faster.
                path = CoxnetSurvivalAnalysis(l1_ratio=L1_RATIO, alphas=penalties).fit(x[train], known[train])
                ranked[fold] = [_concordance(path.predict(x[held], alpha=alpha), known[held]) for alpha in penalties]
            best = int(np.nan_to_num(np.nanmean(ranked, 0)).argmax())
            model = CoxnetSurvivalAnalysis(l1_ratio=L1_RATIO, alphas=penalties[: best + 1], fit_baseline_model=True)
            return model.fit(x, known)  # predicts with its last penalty
        except (ValueError, ArithmeticError):  # no penalty can be fitted, such as on constant features
            return None


def _folds(splitter: Any, folds: int, x: np.ndarray, events: np.ndarray) -> Any:
    return splitter(folds, shuffle=True, random_state=0).split(x, events) if folds > 1 else []


def _concordance(risk: np.ndarray, known: np.ndarray) -> float:
    from sksurv.exceptions import NoComparablePairException
    from sksurv.metrics import concordance_index_censored

    try:
        return float(concordance_index_censored(known["event"], known["time"], risk)[0])
    except (NoComparablePairException, ValueError):
        return float("nan")


def _risk_and_survival(model: Any, x: np.ndarray, times: np.ndarray) -> np.ndarray:
    curves = model.predict_survival_function(x, return_array=True)
    return np.column_stack([model.predict(x), _at(model.unique_times_, curves, times)])


def _kaplan_meier(known: np.ndarray, times: np.ndarray) -> np.ndarray:
    from sksurv.nonparametric import kaplan_meier_estimator

    own, curve = kaplan_meier_estimator(known["event"], known["time"])
    return _at(own, curve[None], times).squeeze(0)


def _at(own: np.ndarray, curves: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Step functions with value 1 before the first of their own times, ``(samples, own) -> (samples, times)``."""
    with_start = np.column_stack([np.ones(len(curves)), curves])
    found: np.ndarray = with_start[:, np.searchsorted(own, times, side="right")]
    return found


def survival_figures(predictions: pd.DataFrame, target: Target) -> dict[str, Draw]:
    """Functions that draw Kaplan-Meier curves and calibration, by file name.

    Args:
        predictions: ``split``, ``time``, ``event``, ``risk`` and ``survival_TIME`` of each sample.
        target: Names and unit.
    """
    known = predictions.dropna(subset=TRUTH)
    last = predictions["split"].iloc[-1]
    how = "thirds of the training risks" if (predictions["split"] == "train").any() else "sign of the risk"
    title = f"Kaplan-Meier curves of the {last} rows by {how}"
    figures: dict[str, Draw] = {"kaplan_meier": lambda name: kaplan_meier(known, target, f"{name}: {title}")}
    probabilities = [column for column in predictions if column.startswith("survival_")]
    if probabilities:
        middle = probabilities[len(probabilities) // 2]
        figures["calibration"] = lambda name: calibration(known, middle, target, f"{name}: calibration")
    return figures


def groups_of_risk(predictions: pd.DataFrame) -> pd.Series:
    """Low, medium or high risk by thirds of the training risks; without training rows, below or above 0, their mean."""
    training = predictions.loc[predictions["split"] == "train", "risk"]
    if training.empty:
        return predictions["risk"].gt(0).map({False: "low", True: "high"})
    low, high = training.quantile([1 / 3, 2 / 3])
    group = np.select([predictions["risk"] <= low, predictions["risk"] <= high], ["low", "medium"], "high")
    return pd.Series(group, index=predictions.index)


def kaplan_meier(predictions: pd.DataFrame, target: Target, title: str) -> Figure:
    """Kaplan-Meier curves of the last split by risk group, with 95% intervals, log-rank test and numbers at risk."""
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
        if not event.any():  # the estimator requires an event
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
        try:
            p_value = float(compare_survival(structured(rows[TRUTH].to_numpy(float)), group)[1])
            found = "p < 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}"
        except np.linalg.LinAlgError:  # no time at which both groups were at risk
            found = "test not possible"
        axes.plot([], [], " ", label=f"log-rank {found}")
    axes.plot([], [], "|", color="#555555", markersize=5, label="censored")
    axes.set(ylim=(-0.02, 1.02), xlim=(0, None))
    legend_outside(axes)
    _numbers_at_risk(table, axes.get_xticks(), rows["time"].to_numpy(), group, present)
    return figure


def _two_axes(title: str, target: Target) -> tuple[Figure, tuple[Axes, Axes]]:
    """Axes for the curves, and for a table below that shares their time axis."""
    figure = Figure(figsize=(6.8, 4.8), layout="constrained", dpi=150)
    axes, table = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    axes.set_title(fill(title, 80), loc="left", fontsize=10)
    axes.set_ylabel(f"share without an event ({target['event']})")
    axes.spines[["top", "right"]].set_visible(False)
    table.set_xlabel(target["name"] + (f" [{target['unit']}]" if target["unit"] else ""))
    table.spines[:].set_visible(False)
    return figure, (axes, table)


def _numbers_at_risk(table: Axes, ticks: np.ndarray, time: np.ndarray, group: np.ndarray, present: list[str]) -> None:
    """Print the number at risk of each group at each tick."""
    table.set(ylim=(len(present) - 0.5, -0.5))
    table.set_title("number at risk", loc="left", fontsize=8)
    table.set_yticks(range(len(present)), present)
    table.tick_params(axis="y", length=0, pad=14, labelsize=8)  # beside the numbers at time 0
    for place, name in enumerate(present):
        for tick in ticks[(ticks >= 0) & (ticks <= time.max())]:
            count = int((time[group == name] >= tick).sum())
            table.text(tick, place, str(count), ha="center", va="center", fontsize=8, color=GROUPS[name])


def calibration(predictions: pd.DataFrame, column: str, target: Target, title: str) -> Figure:
    """Kaplan-Meier estimate of survival against the mean predicted probability, in groups of equal size.

    Args:
        predictions: As in `survival_figures`.
        column: The probability, ``survival_TIME`` or ``survival_TIME_UNIT``.
        target: Names and unit.
        title: Title of the figure.
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
        for group in (ordered.iloc[part] for part in np.array_split(np.arange(len(rows)), bins)):
            event, time = group["event"].to_numpy() > 0, group["time"].to_numpy(float)
            if not event.any() or time.max() < horizon:  # no curve, or one that ends before the horizon
                continue
            at, share, (below, above) = kaplan_meier_estimator(event, time, conf_type="log-log")
            values = np.column_stack([share, below, above])
            place = np.searchsorted(at, horizon, side="right") - 1
            points.append([group[column].mean(), *(values[place] if place >= 0 else (1, 1, 1))])
        if points:
            mean, share, below, above = np.array(points).T
            colour, label = COLOURS[str(split)], f"{split}, {len(rows)} samples"
            axes.plot(mean, share, "o-", markersize=4, color=colour, label=label)
            axes.vlines(mean, below, above, color=colour, alpha=0.5, linewidth=1)
    axes.plot([], [], "-", color="#555555", linewidth=1, alpha=0.5, label="95% interval")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    legend_outside(axes)
    return figure


BASELINES[Survival], FIGURES[Survival] = survival_baselines, survival_figures

"""Figures of synthetic tables and real rows: columns, correlations, usefulness, privacy, principal components."""

from collections.abc import Callable
from textwrap import shorten

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.decomposition import PCA

from ...figure import Figure
from ..style import CLASS_COLOURS, new_figure
from .comparison import REAL, Comparison
from .likeness import shapes
from .utility import CLASSIFIERS, REGRESSORS

MOST_PANELS, ACROSS, MOST_LEVELS, MOST_COLUMNS, MOST_POINTS = 24, 4, 8, 30, 2000
GREY = "#999999"
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]  # of synthetic tables, in their order


def colours(found: Comparison) -> dict[str, str]:
    """Colour of each kind of rows."""
    return {REAL: GREY, **dict(zip(found.tables, COLOURS, strict=False))}


def _canvas(title: str, rows: int, across: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    axes = list(figure.subplots(rows, across, squeeze=False).flat)
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(labelsize=7)
    return figure, axes


def marginals(found: Comparison, title: str) -> Figure:
    """Distribution of each column in training and synthetic rows; of many columns the 24 least similar."""
    first = next(iter(found.tables))
    similarity = shapes(found.train, found.tables[first], found.columns)
    chosen = set(similarity.sort_values().index[:MOST_PANELS])
    names = [name for name in found.columns.names if name in chosen]
    rows = -(-len(names) // ACROSS)
    what = f"{title}: columns" + (f", the {MOST_PANELS} least similar" if len(similarity) > MOST_PANELS else "")
    figure, axes = _canvas(what, rows, ACROSS, (9.6, 0.6 + 2.1 * rows))
    tables = {REAL: found.train, **found.tables}
    for name, panel in zip(names, axes, strict=False):
        (_bars if name in found.columns.categories else _steps)(panel, name, tables, colours(found))
        missing = [
            f"{100 * rows[name].isna().mean():.0f}" for rows in tables.values() if found.train[name].isna().any()
        ]
        label = f"similarity {similarity[name]:.3f}" + (f", missing {'/'.join(missing)}%" if missing else "")
        panel.set_title(f"{shorten(name, 30, placeholder='...')}\n{label}", fontsize=7.5, loc="left")
        panel.set_xlabel(f"[{found.units[name]}]" if name in found.units else "", fontsize=7)
    for panel in axes[len(names) :]:
        panel.set_axis_off()
    for panel in axes[::ACROSS]:
        panel.set_ylabel("share of rows", fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=4, frameon=False, fontsize=8)
    return figure


def _steps(panel: Axes, name: str, tables: dict[str, pd.DataFrame], colour: dict[str, str]) -> None:
    values = {key: rows[name].dropna().to_numpy() for key, rows in tables.items()}
    everything = np.concatenate(list(values.values()))
    edges = np.histogram_bin_edges(everything, int(np.clip(len(np.unique(everything)), 2, 20)))
    for key, own in values.items():
        heights = np.histogram(own, edges)[0] / max(1, len(own))
        filled = key == REAL
        panel.stairs(heights, edges, fill=filled, color=colour[key], alpha=0.45 if filled else 1, label=_label(key))


def _bars(panel: Axes, name: str, tables: dict[str, pd.DataFrame], colour: dict[str, str]) -> None:
    shares = {key: rows[name].fillna("missing").value_counts(normalize=True) for key, rows in tables.items()}
    levels = list(shares[REAL].index[:MOST_LEVELS])
    width = 0.8 / len(tables)
    for number, (key, own) in enumerate(shares.items()):
        places = np.arange(len(levels)) + (number - (len(tables) - 1) / 2) * width
        panel.bar(places, own.reindex(levels, fill_value=0), width * 0.92, color=colour[key], label=_label(key))
    panel.set_xticks(range(len(levels)), [shorten(str(level), 12, placeholder="...") for level in levels])


def _label(name: str) -> str:
    return "training rows" if name == REAL else name


def correlations(found: Comparison, title: str) -> Figure:
    """Pearson correlations in training and synthetic rows, and their difference; of many columns the first 30."""
    first = next(iter(found.tables))
    columns = found.columns.names[:MOST_COLUMNS]
    real, synthetic = (_coded(rows, columns, found).corr() for rows in (found.train, found.tables[first]))
    side = 1.2 + 0.16 * len(real)
    figure, axes = _canvas(f"{title}: correlations", 1, 3, (3 * side + 1.6, side + 1.3))
    size = max(4.0, 8 - len(real) / 8)
    for panel, (name, values) in zip(
        axes, {"training rows": real, first: synthetic, "difference": synthetic - real}.items(), strict=True
    ):
        image = panel.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
        panel.set_title(name, fontsize=8, loc="left")
        panel.set_xticks(range(len(real)), real.columns, rotation=90, fontsize=size)
        panel.set_yticks(range(len(real)) if panel is axes[0] else [], real.columns[: len(real) * (panel is axes[0])])
        panel.tick_params(labelsize=size)
        panel.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.7)
    bar.set_label("correlation, or difference", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def _coded(rows: pd.DataFrame, columns: list[str], found: Comparison) -> pd.DataFrame:
    """Numbers unchanged; each level of a category except the first as 0 or 1."""
    parts = []
    for name in columns:
        if name in found.columns.numbers:
            parts.append(rows[[name]])
            continue
        levels = sorted(found.train[name].dropna().unique())[1 : MOST_LEVELS + 1]
        parts.append(pd.DataFrame({f"{name}={level}": (rows[name] == level).astype(float) for level in levels}))
    return pd.concat(parts, axis=1)


def nearest(found: Comparison, title: str) -> Figure:
    """Distances from training and hold-out rows to the nearest synthetic row; equal if membership does not leak."""
    names = [*found.tables, REAL]
    figure, axes = _canvas(f"{title}: distance to the nearest synthetic row", 1, len(names), (3.2 * len(names), 3.1))
    for name, panel in zip(names, axes, strict=True):
        private = found.privacy[name]
        for values, label, colour in (
            (private.nearest_training, "training rows", "#D55E00"),
            (private.nearest_holdout, "hold-out rows", "#0072B2"),
        ):
            panel.ecdf(values, color=colour, label=label)
        who = "other real rows in place of synthetic ones" if name == REAL else name
        panel.set_title(f"{who}\nattack AUC {private.membership_inference:.3f}", fontsize=8, loc="left")
        panel.set_xlabel("distance [standard deviations]", fontsize=8)
        panel.set_ylim(0, 1.02)
    axes[0].set_ylabel("share of real rows", fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2, frameon=False, fontsize=8)
    return figure


def usefulness(found: Comparison, title: str) -> Figure:
    """Scores on hold-out rows of models trained on synthetic or on training rows."""
    classes = bool(found.columns.target["classes"])
    models = [*(CLASSIFIERS if classes else REGRESSORS), "mean"]
    what = "ROC-AUC" if classes else "R²"
    figure, panel = new_figure(f"{title}: prediction of hold-out rows", "", f"{what} on hold-out rows", (8.4, 3.2))
    names = [REAL, *found.tables]
    width = 0.8 / len(names)
    lowest = 1.0
    for number, name in enumerate(names):
        keys = ["tstr" if model == "mean" else f"tstr_{model}" for model in models]
        values = [found.value(name, key) for key in keys]
        places = np.arange(len(models)) + (number - (len(names) - 1) / 2) * width
        label = "trained on training rows" if name == REAL else f"trained on {name}"
        panel.bar(places, values, width * 0.92, color=colours(found)[name], label=label)
        for place, value in zip(places, values, strict=True):
            panel.text(place, value, f"{value:.3f}", ha="center", va="bottom", fontsize=6.5)
        lowest = min(lowest, np.nanmin(values))
    panel.set_xticks(range(len(models)), [model.replace("_", " ") for model in models], fontsize=8)
    panel.set_ylim(min(0.5 if classes else 0.0, lowest), 1)
    panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    return figure


def joint_map(found: Comparison, title: str) -> Figure:
    """Training and synthetic rows on the principal components of the training rows."""
    encode, colour = found.columns.encoder().fit(found.train), found.columns.target
    pca = PCA(2, random_state=0).fit(encode.transform(found.train))
    tables = {"training rows": found.train, **found.tables}
    figure, axes = _canvas(f"{title}: principal components", 1, len(tables), (3.3 * len(tables), 3.5))
    shares = pca.explained_variance_ratio_
    for panel, (name, rows) in zip(axes, tables.items(), strict=True):
        drawn = rows.sample(min(len(rows), MOST_POINTS, len(found.train)), random_state=0)
        points = pca.transform(encode.transform(drawn))
        levels = colour["classes"][: len(CLASS_COLOURS)] if colour["classes"] else ["rows"]
        for level, shade in zip(levels, CLASS_COLOURS, strict=False):
            own = points[(drawn[colour["name"]] == level).to_numpy()] if colour["classes"] else points
            label = f"{colour['name']} = {level}" if colour["classes"] else "rows"
            panel.plot(*own.T, "o", markersize=2.5, alpha=0.5, markeredgewidth=0, color=shade, label=label)
        panel.set_title(name, fontsize=8, loc="left")
        panel.set_xlabel(f"PC 1, {shares[0]:.0%} of the variance", fontsize=8)
        panel.sharex(axes[0])
        panel.sharey(axes[0])
    axes[0].set_ylabel(f"PC 2, {shares[1]:.0%} of the variance", fontsize=8)
    if colour["classes"]:
        shown = axes[0].get_legend_handles_labels()
        figure.legend(*shown, loc="outside lower left", ncols=4, frameon=False, fontsize=8, markerscale=2)
    return figure


def figures(found: Comparison) -> dict[str, Callable[[Comparison, str], Figure]]:
    """Functions that draw the figures, by file name, in the order of a report."""
    drawn: dict[str, Callable[[Comparison, str], Figure]] = {"marginals": marginals, "correlations": correlations}
    if found.columns.target["name"]:
        drawn["usefulness"] = usefulness
    return {**drawn, "nearest": nearest, "joint_map": joint_map}

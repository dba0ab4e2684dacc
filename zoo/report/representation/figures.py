"""Figures of representations: reconstruction errors, latent units and reconstructed samples."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ...figure import Figure
from ...spec import Modality
from ..style import COLOURS, legend_outside, new_figure
from .scores import Representation

MOST_FEATURES = 30  # that are drawn: the best and the worst reconstructed
BLUE, GREY, ORANGE = "#0072B2", "#999999", "#D55E00"


def representation_figures(found: Representation) -> dict[str, Callable[[str], Figure]]:
    """Functions that draw the figures for this kind of samples, by file name; each takes the name for its title."""
    figures: dict[str, Callable[[str], Figure]] = {
        "reconstruction_error": lambda name: errors(found.predictions, f"{name}: reconstruction error"),
        "latent_units": lambda name: units(found.units, f"{name}: latent units"),
    }
    if len(found.features):
        figures["features"] = lambda name: features(found.features, f"{name}: explained share of each feature")
    elif found.examples[0].ndim > 2:  # series and images; reconstructions of sequences are codes
        title = f"{found.predictions['split'].iloc[-1]} samples and their reconstructions"
        figures["reconstructions"] = lambda name: reconstructions(found, f"{name}: {title}")
    return figures


def errors(predictions: pd.DataFrame, title: str) -> Figure:
    """Empirical distribution function of the reconstruction error in each split."""
    figure, axes = new_figure(title, "reconstruction error of a sample", "share of samples with at most this error")
    for split, rows in predictions.groupby("split", sort=False):
        values = np.sort(rows["reconstruction_error"])
        share = np.arange(1, len(values) + 1) / len(values)
        axes.step(values, share, where="post", color=COLOURS[str(split)], label=f"{split}, {len(rows)} samples")
    everything = predictions["reconstruction_error"]
    if everything.min() > 0 and everything.max() > 30 * everything.min():
        axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    legend_outside(axes)
    return figure


def units(table: pd.DataFrame, title: str) -> Figure:
    """Information in each latent unit, in descending order: nats of a VAE, standard deviation otherwise."""
    column = "divergence" if table["divergence"].notna().all() else "deviation"
    label = {"divergence": "divergence from the prior [nats]", "deviation": "standard deviation over samples"}[column]
    sorted_ = table.sort_values(column, ascending=False)
    width = float(np.clip(2.5 + 0.28 * len(table), 4.5, 12))
    figure, axes = new_figure(title, "latent unit", label, (width, 4.0))
    used = sorted_["deviation"] > 0.1
    colours = [BLUE if is_used else GREY for is_used in used]
    axes.bar(range(len(sorted_)), sorted_[column], color=colours, width=0.75)
    shown = range(len(sorted_)) if len(sorted_) <= 40 else range(0, len(sorted_), 5)
    axes.set_xticks(list(shown), [str(sorted_.index[i]) for i in shown])
    if not used.all():
        axes.bar([0], [0], color=BLUE, label=f"used ({int(used.sum())})")
        axes.bar([0], [0], color=GREY, label=f"unused ({int((~used).sum())})")
        legend_outside(axes)
    return figure


def features(explained: pd.Series, title: str) -> Figure:
    """Explained variance of each feature in descending order; of more than 30, the best and the worst."""
    ordered = explained.sort_values(ascending=False)
    if len(ordered) > MOST_FEATURES:
        half = MOST_FEATURES // 2
        title = f"{title} (best and worst {half} of {len(ordered)})"
        ordered = pd.concat([ordered[:half], ordered[-half:]])
    height = 1.4 + 0.2 * len(ordered)
    figure, axes = new_figure(title, "share explained (0: no better than the mean)", "", (6.4, height))
    axes.barh(
        range(len(ordered)), ordered.clip(lower=-1), color=[BLUE if v > 0 else ORANGE for v in ordered], height=0.7
    )
    axes.set_yticks(range(len(ordered)), [str(name)[:30] for name in ordered.index], fontsize=8)
    if len(explained) > MOST_FEATURES:
        axes.axhline(MOST_FEATURES // 2 - 0.5, color=GREY, linestyle=":")
    axes.invert_yaxis()
    axes.set_xlim(min(0.0, max(-1.0, float(ordered.min()))), 1)
    return figure


def reconstructions(found: Representation, title: str) -> Figure:
    """Series or images above their reconstructions."""
    before, after = found.examples
    count = len(before)
    if before.ndim == 3:
        return _series(before, after, found.modality, title)
    figure = Figure(figsize=(max(5.0, 0.85 * count + 1), 2.6), layout="constrained", dpi=150)
    grid = figure.subplots(2, count, squeeze=False)
    limits = {"vmin": before.min(), "vmax": before.max(), "cmap": "gray"}
    for row, images in enumerate((before, after)):
        for axes, image in zip(grid[row], images, strict=True):
            if image.ndim == 4:  # the middle slice of a volume
                image = image[:, image.shape[1] // 2]
            colour = np.moveaxis(image, 0, -1)
            scaled = (colour - limits["vmin"]) / max(limits["vmax"] - limits["vmin"], 1e-9)
            axes.imshow(scaled.clip(0, 1)) if len(image) == 3 else axes.imshow(image[0], **limits)
            axes.set_xticks([])
            axes.set_yticks([])
        grid[row, 0].set_ylabel(("sample", "reconstruction")[row], fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _series(before: np.ndarray, after: np.ndarray, known: Modality, title: str) -> Figure:
    rate, count = known.get("sampling_rate"), min(6, len(before))
    figure = Figure(figsize=(8.4, 4.2), layout="constrained", dpi=150)
    grid = figure.subplots(2, 3, sharex=True, squeeze=False)
    time = np.arange(before.shape[2]) / (rate or 1)
    for number, axes in enumerate(grid.flat):
        axes.set_visible(number < count)
        if number >= count:
            continue
        axes.plot(time, before[number, 0], color=GREY, linewidth=2, label="sample")
        axes.plot(time, after[number, 0], color=BLUE, linewidth=1.2, label="reconstruction")
        axes.spines[["top", "right"]].set_visible(False)
        if number // 3 == (count - 1) // 3:
            axes.set_xlabel("time [s]" if rate else "time point")
    channels = known.get("channels") or ["value"]
    for axes in grid[:, 0]:
        axes.set_ylabel(channels[0])
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8)
    return figure

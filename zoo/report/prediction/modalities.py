"""Several modalities: scores without some of them, and which modalities were measured in which samples."""

from itertools import compress
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...data import Data
from ...data.multiomics.join import combinations
from ...encode.joint import MEASURED
from ...figure import Figure
from ...models import Model

BLUE, ORANGE, PALE = "#0072B2", "#E69F00", "#DDDDDD"
MOST_COMBINATIONS = 20


@torch.inference_mode()
def subset_scores(model: Model, data: Data, split: str) -> list[tuple[str, str, str, float]]:
    """The headline metric of each target without each modality in turn, and with each modality alone.

    Samples in which none of the remaining modalities was measured are not scored.

    Args:
        model: In evaluation mode.
        data: Its data.
        split: Split whose samples are scored.

    Returns:
        Model, split, metric, value; metrics such as ``"roc_auc without rna"`` and ``"roc_auc with rna alone"``.
    """
    content, names = data.dataset, list(data.spec["modalities"])
    rows, result = content.rows(split), []
    every = {"without": 1 - torch.eye(len(names)), "with": torch.eye(len(names))}
    there = cast(Any, content.x[rows])[MEASURED].any(0)  # other data may lack a modality
    for how, masks in every.items():
        for name, mask in compress(zip(names, masks.bool(), strict=True), there):
            output, seen = _outputs(model, data, rows, mask)
            heads = model.target_heads
            parts = output.split([head.width for head in heads.values()], 1)
            for (target, head), part in zip(heads.items(), parts, strict=True):
                y = (content.also[target] if target else content.y)[rows]
                scored = seen & head.task.labelled(y)
                metric = f"{target}_" * bool(target) + head.task.headline
                metric += f" without {name}" if how == "without" else f" with {name} alone"
                predicted = head.predict_from(part[scored].to(model.device)).cpu()
                value = head.task.headline_value(predicted, y[scored], head.target) if scored.any() else np.nan
                result.append((type(model).__name__, split, metric, value))
    return result


def _outputs(model: Model, data: Data, rows: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Raw outputs if only the modalities of ``mask`` are used, and which samples have at least one of them."""
    outputs, seen = [], []
    for chunk in rows.split(model.rows_at_once):
        x: Any = data.dataset.x[chunk].clone()  # a TensorDict
        x[MEASURED] = x[MEASURED] & mask
        outputs.append(model.raw_predictions(x.to(model.device)).float().cpu())
        seen.append(x[MEASURED].any(1))
    return torch.cat(outputs), torch.cat(seen)


def combination_figure(measured: pd.DataFrame, title: str) -> Figure:
    """Number of samples with each combination of modalities, an UpSet plot.

    The plot is that of Lex et al. (2014, doi:10.1109/TVCG.2014.2346248).

    Args:
        measured: One row per sample, one column per modality, True where it was measured.
        title: Title of the figure.
    """
    counts, totals = combinations(measured).head(MOST_COMBINATIONS), measured.sum()
    names, columns = list(measured), len(counts)
    figure = Figure(figsize=(max(5.0, 2.6 + 0.42 * columns), 2.4 + 0.32 * len(names)), layout="constrained", dpi=150)
    grid = figure.subplots(
        2, 2, width_ratios=[1.1, max(2.2, 0.32 * columns)], height_ratios=[1.6, 0.32 * len(names)], squeeze=False
    )
    grid[0, 0].axis("off")
    bars, sizes, dots = grid[0, 1], grid[1, 0], grid[1, 1]
    bars.bar(range(columns), counts["samples"], color=BLUE, width=0.6)
    bars.bar_label(bars.containers[0], fontsize=8)
    bars.set(ylabel="samples", xticks=[], xlim=(-0.6, max(columns, 4) - 0.4))
    sizes.barh(range(len(names)), totals, color=ORANGE, height=0.6)
    sizes.bar_label(sizes.containers[0], fontsize=8, padding=2)
    sizes.set(yticks=range(len(names)), yticklabels=names, xlabel="samples measured")
    sizes.set_xlim(0, float(totals.max()) * 1.25)
    dots.set(xlim=(-0.6, max(columns, 4) - 0.4), xticks=[], yticks=[], xlabel="combinations, most frequent first")
    for column, row in enumerate(counts[names].to_numpy(bool)):
        has = np.flatnonzero(row)
        dots.plot([column] * len(names), range(len(names)), "o", color=PALE, markersize=7)
        dots.plot([column] * len(has), has, "-o", color="black", markersize=7, linewidth=1.5)
    for axes in (sizes, dots):
        axes.set_ylim(len(names) - 0.4, -0.6)
    for axes in (bars, sizes, dots):
        axes.spines[["top", "right"]].set_visible(False)
    dots.spines[["left", "bottom"]].set_visible(False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure

"""Which modalities does a model rely on? Five answers side by side, and where they contradict each other."""

import logging
from itertools import combinations
from textwrap import fill

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ...data import Data
from ...encode.joint import JointEncoder
from ...errors import InputError, check_range
from ...figure import Figure
from ...latent.probe import evaluating
from ...models import Supervised
from ...registry import JOINT
from ...report.style import CLASS_COLOURS, legend_outside, new_figure
from ..dna.attribution import _explained
from ..explainers import check_takes
from .attribution import Encoded, Split, attributions, encode_split
from .fused_layers import Fused, fused_layers, watched

MEASURES = {
    "weights": "weight norm",
    "latent": "contribution of its latent",
    "integrated_gradients": "integrated gradients",
    "permutation": "permutation",
    "ablation": "ablation",
}
CLEAR = 0.1  # difference of two shares that is worth a word

log = logging.getLogger("zoo")


def modality_weights(
    model: Supervised, data: Data, split: Split = "validation", shuffles: int = 20, seed: int = 0
) -> pd.DataFrame:
    """How much a model relies on each modality, by five measures that need not agree.

    The first three look at the model, the last two at what happens to its predictions. All averages are over all
    samples of the split with a known target; a modality that few of them have counts for little.

    - ``weights``: Norm of the weights that read the modality, in the first linear layer that reads several (of early
      fusion their encoded values, else their latent spaces), divided by the square root of the number of its inputs,
      so that no modality counts for being wide. It does not tell what predictions depend on: weights that read noise
      have a norm too. Late fusion has none.
    - ``latent``: Mean change of the output (log-odds, number or log hazard) if the latent space of the modality, where
      several are put side by side, is replaced by its mean over training samples. Early fusion has none.
    - ``integrated_gradients``: Sum of the sizes of the contributions of its encoded values, see `feature_importance`;
      none where on average they miss the difference that they explain by more than 50%.
    - ``permutation``: Mean rise of the loss if the modality is shuffled among the samples that have it (Breiman 2001,
      doi:10.1023/A:1010933404324).
    - ``ablation``: Rise of the loss if the modality counts as not measured, in samples that have another one.

    Two modalities that tell the same share what they tell: permutation and ablation may call either dispensable.

    Args:
        model: A trained model of several modalities.
        data: What it was trained on.
        split: Samples to look at; beyond 2000 as many are drawn at random. Leave ``"test"`` for the end.
        shuffles: Of each modality.
        seed: Of the shuffles.

    Returns:
        One row a modality: the five measures as shares that sum to 1 (a loss that falls counts as 0; NaN if the model
        has no such layer, no loss rises, or integrated gradients are too far off); ``permutation_loss`` and
        ``permutation_sd``, mean and standard deviation over the shuffles of the rise of the loss, ``ablation_loss``,
        and ``samples`` that have the modality.
        ``attrs["note"]`` says in a sentence where the measures disagree, and in another if integrated gradients are
        inexact (see `feature_importance`); ``attrs["title"]`` what was measured.

    Raises:
        InputError: A model of one modality or of other data; no sample with a known target in the split.
    """
    encode = model.encode
    check_takes("modality_weights", model, JOINT)
    assert isinstance(encode, JointEncoder)
    check_range("shuffles", shuffles, 1)
    places, names = encode.places, list(encode.places)
    here = _known(encode_split(model, data, split), data, split)
    training = encode_split(model, data, "train")
    x = torch.cat([here.content, here.told], 1).to(model.device)
    seen = torch.cat([training.content, training.told], 1).to(model.device)
    has = torch.stack([here.measured[:, places[name].start] for name in names], 1)
    table = pd.DataFrame(np.nan, pd.Index(names, name="modality"), [*MEASURES])
    explained = _explained(model)
    reading, fused = fused_layers(explained, seen, places)
    if reading is not None:
        weight = reading.layer.get_parameter("weight").detach()
        for name, columns in reading.blocks.items():
            table.loc[name, "weights"] = float(weight[:, columns].square().mean().sqrt())
    if fused is not None:
        for name, change in _latent_changes(explained, fused, seen, x, dict(zip(names, has.T, strict=True))).items():
            table.loc[name, "latent"] = change
    found, shown, gap = attributions(model, data, split, "integrated_gradients")
    if not gap.refusal:
        sizes = found[torch.isin(shown.rows, here.rows)].abs().mean(0)
        table["integrated_gradients"] = [float(sizes[places[name]].sum()) for name in names]
    rises, ablated = _rises(model, x, has, data.dataset.y[here.rows], shuffles, seed)
    table["permutation"], table["ablation"] = rises.mean(1), ablated
    losses = {"permutation_loss": rises.mean(1), "permutation_sd": rises.std(1), "ablation_loss": ablated}
    shares = table.clip(lower=0)
    table = (shares / shares.sum(skipna=False).replace(0, np.nan)).assign(**losses, samples=has.sum(0).numpy())
    table.attrs["note"] = _note(table)
    if gap.note:
        log.warning("%s", gap.note)
        table.attrs["note"] += f" {gap.note[0].upper()}{gap.note[1:]}."
    table.attrs["title"] = f"What {type(model).__name__} relies on, {len(x)} {split} samples"
    return table


def plot_modality_weights(table: pd.DataFrame) -> Figure:
    """Draw the shares of the modalities, one group of bars for each measure.

    Args:
        table: From `modality_weights`.

    Returns:
        A matplotlib figure; its title says where the measures disagree.
    """
    width = 0.8 / len(table)
    figure, axes = new_figure(
        "", "measure (line: standard deviation over shuffles)", "share of all modalities", (8, 4.2)
    )
    title = [table.attrs.get("title", ""), fill(table.attrs.get("note", ""), 88)]
    axes.set_title("\n".join(filter(None, title)), loc="left", fontsize=9)
    total = table["permutation_loss"].clip(lower=0).sum()
    for number, (name, row) in enumerate(table.iterrows()):
        x = np.arange(len(MEASURES)) - 0.4 + (number + 0.5) * width
        axes.bar(x, row[[*MEASURES]].to_numpy(float), 0.92 * width, color=(CLASS_COLOURS * 9)[number], label=str(name))
        if total > 0:
            place = [*MEASURES].index("permutation")
            share, spread = row["permutation"], row["permutation_sd"] / total
            axes.errorbar(x[place], share, spread, color="black", linewidth=1, capsize=2)
    for place, name in enumerate(MEASURES):
        if table[name].isna().all():
            axes.text(place, 0.02, "none", ha="center", fontsize=8, color="#666666")
    labels = [
        label.replace(" of its ", "\nof its ").replace("integrated ", "integrated\n") for label in MEASURES.values()
    ]
    axes.set_xticks(range(len(MEASURES)), labels, fontsize=8)
    axes.set(xlim=(-0.5, len(MEASURES) - 0.5), ylim=(0, None))
    legend_outside(axes)
    return figure


def _known(found: Encoded, data: Data, split: Split) -> Encoded:
    """Those with a known target."""
    known = data.dataset.labelled(found.rows)
    if not known.any():
        raise InputError(f"no {split} sample has a known target; name another split")
    return Encoded(found.rows[known], found.content[known], found.told[known], found.measured[known])


@torch.no_grad()
def _latent_changes(
    network: nn.Module, fused: Fused, training: Tensor, x: Tensor, has: dict[str, Tensor]
) -> dict[str, float]:
    """Mean change of the output if the latent space of a modality is that of the mean training sample."""
    means: list[Tensor] = []

    def note(layer: nn.Module, z: Tensor) -> None:
        if layer is fused.layer:
            means.append(z.mean(0))

    with watched(network, note):
        network(training)
    before, changes = network(x), {}
    for name, columns in fused.blocks.items():
        rows = has[name].nonzero().to(x.device)

        def replaced(layer: nn.Module, z: Tensor, rows: Tensor = rows, columns: Tensor = columns) -> Tensor | None:
            if layer is not fused.layer:
                return None
            z = z.clone()
            z[rows, columns] = means[0][columns]
            return z

        with watched(network, replaced):
            changes[name] = float((network(x) - before).abs().mean())
    return changes


def _rises(
    model: Supervised, x: Tensor, has: Tensor, y: Tensor, shuffles: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rise of the loss by each shuffle ``(modalities, shuffles)``, and without each modality ``(modalities,)``."""
    encode, rng = model.encode, np.random.default_rng(seed)
    assert isinstance(encode, JointEncoder)
    y = y.to(model.device)

    def loss(encoded: Tensor) -> float:
        output = torch.cat([model.network(part) for part in encoded.split(model.rows_at_once)])
        return float(model.target_head.loss(output, y).double().mean())

    rises, ablated = np.zeros((len(encode.places), shuffles)), np.zeros(len(encode.places))
    with evaluating(model):
        before = loss(x)
        for number, (name, place) in enumerate(encode.places.items()):
            rows = has[:, number].nonzero()[:, 0]
            for turn in range(shuffles):
                changed = x.clone()
                changed[rows, place] = x[rows[torch.from_numpy(rng.permutation(len(rows)))], place]
                rises[number, turn] = loss(changed) - before
            changed, others = x.clone(), has.sum(1) > 1
            rows = (has[:, number] & others).nonzero()[:, 0]
            changed[rows, place] = 0.0
            if name not in encode.imputed:
                changed[rows, len(x[0]) - len(encode.places) + number] = 0.0
            ablated[number] = loss(changed) - before
    return rises, ablated


def _note(table: pd.DataFrame) -> str:
    """One sentence about the measures that can be told."""
    shares = table[[name for name in MEASURES if table[name].notna().any()]]
    if "permutation" not in shares:
        return "No loss rises when a modality is shuffled: predictions of these samples depend on none, or are no good."
    order = {name: list(column.sort_values(ascending=False, kind="stable").index) for name, column in shares.items()}
    gap, modality, high, low = max(
        (abs(row[a] - row[b]), str(name), *((a, b) if row[a] > row[b] else (b, a)))
        for name, row in shares.iterrows()
        for a, b in combinations(shares.columns, 2)
        if np.isfinite(row[a]) and np.isfinite(row[b])
    )
    others = [MEASURES[str(name)] for name in order if order[name] != order["permutation"]]
    told = "all put the modalities in the same order"
    if others:
        told = f"{' and '.join(others)} put{'s' * (len(others) == 1)} them in another order than permutation"
    if gap < CLEAR:
        return f"The measures agree to {gap:.2f} in all shares; {told}."
    norms = ", not on weight norms" if "weights" in shares else ""
    return (
        f"The measures disagree most on {modality}, {table.loc[modality, high]:.2f} by {MEASURES[high]} against "
        f"{table.loc[modality, low]:.2f} by {MEASURES[low]}, and {told}; predictions depend on what permutation and "
        f"ablation tell{norms}."
    )

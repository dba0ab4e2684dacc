"""Importance of the modalities of a fusion model by five measures, and where the measures disagree."""

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
from ..dna.attribution import explained_network
from ..explainers import check_takes
from .attribution import Encoded, Split, attributions, encode_split
from .fused_layers import Fused, fused_layers, watched

MEASURES = {
    "weights": "weight norm",
    "latent": "latent contribution",
    "integrated_gradients": "integrated gradients",
    "permutation": "permutation",
    "ablation": "ablation",
}
CLEAR = 0.1  # difference between two shares that the note reports

log = logging.getLogger("zoo")


def modality_weights(
    model: Supervised, data: Data, split: Split = "validation", shuffles: int = 20, seed: int = 0
) -> pd.DataFrame:
    """Measure the importance of each modality in five ways, which need not agree.

    The first three measures are computed from the model, the last two from the loss of its predictions. All are means
    over the samples of the split with a known target, so a modality that few samples have gets low values.

    - ``weights``: Norm of the weights of the modality, in the first linear layer whose input concatenates modalities
      (encoded values in early fusion, else latent spaces), divided by the square root of the number of its inputs to
      correct for their number. It does not show what predictions depend on: weights of uninformative inputs have a norm
      too. Late fusion has none.
    - ``latent``: Mean change of the output (log-odds, continuous value or log hazard) if the latent space of the
      modality, at its concatenation with others, is replaced by its mean over training samples. Early fusion has none.
    - ``integrated_gradients``: Sum of the absolute contributions of its encoded values, see `feature_importance`; none
      if the contributions fail the completeness check.
    - ``permutation``: Mean increase of the loss if the modality is permuted among the samples that have it (Breiman
      2001, doi:10.1023/A:1010933404324).
    - ``ablation``: Increase of the loss if the modality is treated as not measured, in samples that have another one.

    If two modalities are redundant, permutation and ablation may show low importance for both.

    Args:
        model: A trained model of several modalities.
        data: The data it was trained on.
        split: Samples to use; of more than 2000, 2000 are drawn at random. Use ``"test"`` only after all settings are
            fixed.
        shuffles: Number of permutations of each modality.
        seed: Random seed of the permutations.

    Returns:
        One row for each modality: the five measures as shares that sum to 1 (a decrease of the loss counts as 0; NaN if
        the model has no such layer, no loss increases, or integrated gradients fail the completeness check);
        ``permutation_loss`` and ``permutation_sd``, mean and standard deviation of the increase of the loss over the
        permutations, ``ablation_loss``, and ``samples``, the number of samples that have the modality.
        ``attrs["note"]`` states where the measures disagree, and whether integrated gradients are inexact (see
        `feature_importance`); ``attrs["title"]`` is a title for figures.

    Raises:
        InputError: The model has a single modality or was trained on other data; no sample of the split has a known
            target.
    """
    encode = model.encode
    check_takes("modality_weights", model, JOINT)
    assert isinstance(encode, JointEncoder)
    check_range("shuffles", shuffles, 1)
    places, names = encode.places, list(encode.places)
    here = _known(encode_split(model, data, split), data, split)
    training = encode_split(model, data, "train")
    x = torch.cat([here.content, here.presence], 1).to(model.device)
    training_x = torch.cat([training.content, training.presence], 1).to(model.device)
    has = torch.stack([here.measured[:, places[name].start] for name in names], 1)
    table = pd.DataFrame(np.nan, pd.Index(names, name="modality"), [*MEASURES])
    explained = explained_network(model)
    linear, fused = fused_layers(explained, training_x, places)
    if linear is not None:
        weight = linear.layer.get_parameter("weight").detach()
        for name, columns in linear.blocks.items():
            table.loc[name, "weights"] = float(weight[:, columns].square().mean().sqrt())
    if fused is not None:
        by_name = dict(zip(names, has.T, strict=True))
        for name, change in _latent_changes(explained, fused, training_x, x, by_name).items():
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
    table.attrs["title"] = f"Importance of modalities in {type(model).__name__}, {len(x)} {split} samples"
    return table


def plot_modality_weights(table: pd.DataFrame) -> Figure:
    """Bar plot of the shares of the modalities, one group of bars for each measure.

    Args:
        table: From `modality_weights`.

    Returns:
        A matplotlib figure; its title states where the measures disagree.
    """
    width = 0.8 / len(table)
    figure, axes = new_figure(
        "", "measure (error bars: standard deviation over permutations)", "share of the sum over modalities", (8, 4.2)
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
        label.replace("latent ", "latent\n").replace("integrated ", "integrated\n") for label in MEASURES.values()
    ]
    axes.set_xticks(range(len(MEASURES)), labels, fontsize=8)
    axes.set(xlim=(-0.5, len(MEASURES) - 0.5), ylim=(0, None))
    legend_outside(axes)
    return figure


def _known(found: Encoded, data: Data, split: Split) -> Encoded:
    """The samples with a known target."""
    known = data.dataset.labelled(found.rows)
    if not known.any():
        raise InputError(f"no {split} sample has a known target; name another split")
    return Encoded(found.rows[known], found.content[known], found.presence[known], found.measured[known])


@torch.no_grad()
def _latent_changes(
    network: nn.Module, fused: Fused, training: Tensor, x: Tensor, has: dict[str, Tensor]
) -> dict[str, float]:
    """Mean change of the output if the latent space of a modality is replaced by its mean over training samples."""
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
    """Increase of the loss by permutation ``(modalities, shuffles)``, and by ablation ``(modalities,)``."""
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
            changed, has_others = x.clone(), has.sum(1) > 1
            rows = (has[:, number] & has_others).nonzero()[:, 0]
            changed[rows, place] = 0.0
            if name not in encode.imputed:
                changed[rows, len(x[0]) - len(encode.places) + number] = 0.0
            ablated[number] = loss(changed) - before
    return rises, ablated


def _note(table: pd.DataFrame) -> str:
    """One sentence on the agreement of the measures that were computed."""
    shares = table[[name for name in MEASURES if table[name].notna().any()]]
    if "permutation" not in shares:
        return (
            "Permuting a modality increases no loss: predictions for these samples depend on no modality, or are poor."
        )
    order = {name: list(column.sort_values(ascending=False, kind="stable").index) for name, column in shares.items()}
    gap, modality, high, low = max(
        (abs(row[a] - row[b]), str(name), *((a, b) if row[a] > row[b] else (b, a)))
        for name, row in shares.iterrows()
        for a, b in combinations(shares.columns, 2)
        if np.isfinite(row[a]) and np.isfinite(row[b])
    )
    others = [MEASURES[str(name)] for name in order if order[name] != order["permutation"]]
    ranking = "all rank the modalities in the same order"
    if others:
        ranking = f"{' and '.join(others)} rank{'s' * (len(others) == 1)} the modalities differently from permutation"
    if gap < CLEAR:
        return f"The measures agree to within {gap:.2f} in all shares; {ranking}."
    norms = ", not by weight norms" if "weights" in shares else ""
    return (
        f"The measures disagree most on {modality}: {table.loc[modality, high]:.2f} by {MEASURES[high]}, "
        f"{table.loc[modality, low]:.2f} by {MEASURES[low]}; {ranking}; the dependence of predictions on modalities is "
        f"shown by permutation and ablation{norms}."
    )

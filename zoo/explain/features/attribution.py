"""How much each feature contributes to the predictions of a model, over the samples of a split."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from ...data import Data
from ...encode import Encoder
from ...encode.joint import MEASURED, JointEncoder
from ...errors import InputError, check_choice
from ...latent.measures import subsample
from ...models import Supervised
from ...spec import Modality, modality_of
from ..completeness import Gap
from ..dna.attribution import _explained

Method = Literal["integrated_gradients", "gradient_shap"]
Split = Literal["train", "validation", "test"]
MOST = 2000  # samples of a split that are looked at
STEPS = {"integrated_gradients": 32, "gradient_shap": 50}  # of an integral (0.5 % off 300), or draws of a sample
REFERENCES = 100  # training rows that are drawn from
VALUES = 1 << 23  # encoded numbers at a time, of samples and steps


@dataclass
class Encoded:
    """Samples as the network behind the encoding takes them.

    Attributes:
        rows: Their positions in the data.
        content: Encoded numbers without those that tell what was measured, ``shape=(samples, numbers)``.
        told: Those that tell, ``shape=(samples, modalities)``; of one modality ``(samples, 0)``.
        measured: Which numbers belong to a modality that the sample has, bool ``shape=(samples, numbers)``.
    """

    rows: Tensor
    content: Tensor
    told: Tensor
    measured: Tensor


class Summed(nn.Module):
    """The explained output of all samples together, with what was measured apart from what is attributed.

    The gradient of the sum is that of each sample, for samples do not meet in a network that is not trained; captum
    takes a tenth of the time that it needs for one output a sample.

    Shape:
        ``(batch, numbers), (batch, numbers), (batch, modalities), (batch, 1) -> (1,)``
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, content: Tensor, measured: Tensor, told: Tensor, columns: Tensor) -> Tensor:
        """A modality that was not measured stays 0."""
        outputs: Tensor = self.network(torch.cat([content * measured, told], 1))
        return outputs.gather(1, columns).sum(0)


def feature_importance(
    model: Supervised,
    data: Data,
    split: Split = "train",
    method: Method = "integrated_gradients",
    by_class: bool = False,
) -> pd.DataFrame:
    """How much each feature contributes to the predictions, on average over samples, by captum.

    What is explained is the log-odds of each sample's own class (the likeliest one where the class is not known), or
    the predicted number or log hazard. The columns of a category count together. A sample counts only for features of
    modalities that it has; what is missing within a modality contributes nothing.

    - ``integrated_gradients``: along the straight line from the mean of the training rows, in 32 steps (Sundararajan
      et al. 2017, arXiv:1703.01365).
    - ``gradient_shap``: expected gradients, between the sample and training rows drawn at random, 50 draws (Erion et
      al. 2021, doi:10.1038/s42256-021-00343-w); the same on each call.

    By both, the contributions in a sample should sum to the difference of its output from that of the (mean) reference.
    If on average they miss it by more than 5% of the mean difference, this is logged as a warning; more than 50% are an
    error.

    Args:
        model: A trained model of a table, of expression or of several modalities.
        data: What it was trained on; training rows give the references.
        split: Samples to average over; beyond 2000 as many are drawn at random.
        method: As above.
        by_class: Also the signed mean over the samples of each class: above 0 if what they have of this feature speaks
            for their class.

    Returns:
        One row a feature, the most important first: ``feature`` (``"rna:TP53"`` of several modalities), ``importance``
        (mean size of the contribution, in natural logarithms of odds or of the hazard, or in the unit of a predicted
        number), ``samples`` that count, ``contribution_CLASS`` for each class, and ``unexplained_share``, the same in
        all rows: the mean gap just described as a share of the mean difference. ``attrs["note"]`` says it in words if
        it is above 5%.

    Raises:
        InputError: A model of another kind or not of these data; no sample in the split; ``by_class`` without classes;
            contributions that are far from summing to what they should.
    """
    names, at = features_of(model.encode, modality_of(model.spec))
    if by_class and not model.target["classes"]:
        raise InputError(f"{model.target['name']} has no classes; leave out by_class")
    found, encoded, gap = attributions(model, data, split, method)
    gap.check()
    summed = torch.zeros(len(found), len(names)).index_add_(1, at, found)
    counted = encoded.measured[:, np.unique(at.numpy(), return_index=True)[1]]
    columns: dict[str, object] = {
        "feature": names,
        "importance": _mean(summed.abs(), counted),
        "samples": counted.sum(0).numpy().astype(int),
    }
    if by_class:
        y = data.dataset.y[encoded.rows]
        for code, name in enumerate(model.target["classes"]):
            columns[f"contribution_{name}"] = _mean(summed[y == code], counted[y == code])
    table = pd.DataFrame(columns).assign(unexplained_share=gap.share)
    table = table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    table.attrs["note"] = gap.note
    return table


def attributions(model: Supervised, data: Data, split: Split, method: Method) -> tuple[Tensor, Encoded, Gap]:
    """Contribution of each encoded number in each sample, ``shape=(samples, numbers)``; and the samples.

    And how far contributions are from summing to what they should, which is not checked yet. See `feature_importance`.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # of tqdm, in a notebook without ipywidgets
        from captum.attr import GradientShap, IntegratedGradients

    check_choice("method", method, Method.__args__)  # type: ignore[attr-defined]
    here, training = encode_split(model, data, split), encode_split(model, data, "train")
    mean = training.content.sum(0) / training.measured.sum(0).clamp(min=1)
    network = _explained(model)
    columns, signs = _explained_outputs(model, network, data.dataset.y[here.rows], here)
    parts, gaps = [], []
    with torch.inference_mode(False), torch.enable_grad(), isolate_rng():
        np.random.seed(0)  # noqa: NPY002 (captum draws references by it)
        explainer = (IntegratedGradients if method == "integrated_gradients" else GradientShap)(Summed(network))
        steps = {"n_steps" if method == "integrated_gradients" else "n_samples": STEPS[method]}
        drawn = training.content[subsample(len(training.rows), REFERENCES, 0)].to(model.device)
        size = max(1, VALUES // (STEPS[method] * here.content.shape[1]))
        for rows in torch.arange(len(here.rows)).split(size):
            x, *also = (v[rows].to(model.device) for v in (here.content, here.measured, here.told, columns[:, None]))
            references = mean.to(x)[None] if method == "integrated_gradients" else drawn
            baselines = references.expand_as(x) if method == "integrated_gradients" else references
            part = explainer.attribute(x, baselines, additional_forward_args=tuple(also), **steps)
            parts.append(part.detach().float().cpu())
            gaps.append(_gaps(network, x, references, part, *also))
    unit = model.target_head.task.effect_scale(model.target_head)
    difference, unexplained = (torch.cat(gaps) * (unit * signs)[:, None]).T
    few = "steps are too few for this network" if method == "integrated_gradients" else "draws are too few"
    other = next(name for name in Method.__args__ if name != method)  # type: ignore[attr-defined]
    gap = Gap(method, difference, unexplained, f"{STEPS[method]} {few}", other, averaged=True, unit=unit)
    return torch.cat(parts) * here.measured * (unit * signs)[:, None], here, gap


@torch.no_grad()
def _gaps(
    network: nn.Module,
    x: Tensor,
    references: Tensor,
    contributions: Tensor,
    measured: Tensor,
    told: Tensor,
    columns: Tensor,
) -> Tensor:
    """Difference that contributions should sum to, and the part that they do not sum to: ``(samples, 2)``.

    Args:
        network: From encoded samples to outputs.
        x: Encoded numbers of the samples, ``shape=(samples, numbers)``.
        references: The same for all samples, ``shape=(references, numbers)``; the mean over them counts.
        contributions: ``shape=(samples, numbers)``.
        measured: As of `Encoded`; what a sample lacks is 0 in its references too.
        told: As of `Encoded`.
        columns: Output that is explained, ``shape=(samples, 1)``.
    """
    # Samples that lack the same have the same references: their outputs are computed once.
    patterns, which = torch.cat([measured.to(told), told], 1).unique(dim=0, return_inverse=True)
    start = []
    for pattern in patterns:
        has, tells = pattern[: x.shape[1]], pattern[x.shape[1] :]
        start.append(network(torch.cat([references * has, tells.expand(len(references), -1)], 1)).mean(0))
    end = network(torch.cat([x * measured, told], 1))
    wanted = (end - torch.stack(start)[which]).gather(1, columns)[:, 0]
    return torch.stack([wanted, wanted - contributions.sum(1)], 1).float().cpu()


@torch.no_grad()
def encode_split(model: Supervised, data: Data, split: Split) -> Encoded:
    """Encoded samples of a split, on the CPU; beyond 2000 as many are drawn at random.

    Raises:
        InputError: No sample in the split, or a model of other data.
    """
    check_choice("split", split, Split.__args__)  # type: ignore[attr-defined]
    if modality_of(model.spec) != modality_of(data.spec):
        raise InputError(f"this {type(model).__name__} was trained on other features; give the data of its training")
    rows = data.dataset.rows(split)
    if not len(rows):
        raise InputError(f"there are no {split} samples; name another split")
    rows = rows[subsample(len(rows), MOST, 0)]
    encode = model.encode
    joint = isinstance(encode, JointEncoder)
    parts, measured = [], []
    for chunk in rows.split(model.rows_at_once):
        x = data.dataset.x[chunk]
        parts.append(encode(x.to(model.device)).float().cpu())
        measured.append(x[MEASURED] if joint else torch.ones(len(chunk), 1, dtype=torch.bool))  # type: ignore[index]
    content, has = torch.cat(parts), torch.cat(measured)
    if not isinstance(encode, JointEncoder):
        return Encoded(rows, content, content[:, :0], has.expand(content.shape))
    widths = torch.tensor([place.stop - place.start for place in encode.places.values()])
    count = int(widths.sum())
    return Encoded(rows, content[:, :count], content[:, count:], has.repeat_interleave(widths, 1))


def features_of(encode: Encoder, modality: Modality) -> tuple[list[str], Tensor]:
    """Names of all features, and which of them each encoded number belongs to (without those that tell).

    Raises:
        InputError: Samples of one modality whose features have no names, such as images.
    """
    if not isinstance(encode, JointEncoder):
        if (numbers := encode.feature_numbers()) is None:
            told = f"{modality['kind']} data, which have no features by name"
            raise InputError(f"zoo.explain.feature_importance is not available for {told}; see zoo explain")
        return list(modality["features"]), numbers
    names: list[str] = []
    places = []
    for key, layer in encode.layers.items():
        assert isinstance(layer, Encoder)
        own, at = modality["parts"][key]["features"], layer.feature_numbers()
        if at is None:  # a sequence, a series or an image is one feature
            own, at = own[:1], torch.zeros(layer.out_features, dtype=torch.long)
        places.append(at + len(names))
        names += [f"{key}:{name}" for name in own]
    return names, torch.cat(places)


@torch.no_grad()
def _explained_outputs(model: Supervised, network: nn.Module, y: Tensor, here: Encoded) -> tuple[Tensor, Tensor]:
    """Which output is explained in each sample, and -1 where its opposite is meant."""
    several, first = len(model.target["classes"]) > 2, torch.zeros(len(y), dtype=torch.long)
    if not model.target["classes"]:
        return first, torch.ones(len(y))
    encoded = torch.cat([here.content, here.told], 1)
    output = torch.cat([network(part.to(model.device)).cpu() for part in encoded.split(model.rows_at_once)])
    codes = torch.where(y >= 0, y, output.argmax(1) if several else (output[:, 0] > 0).long())
    return (codes, torch.ones(len(y))) if several else (first, codes * 2.0 - 1)


def _mean(values: Tensor, counted: Tensor) -> np.ndarray:
    """Mean over the samples that count, NaN without any: ``(samples, features) -> (features,)``."""
    total, count = (values * counted).double().sum(0), counted.sum(0)
    return torch.where(count > 0, total / count.clamp(min=1), torch.nan).numpy()

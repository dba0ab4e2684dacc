"""Feature importance: mean contribution of each feature to the predictions for the samples of a split."""

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
from ..dna.attribution import explained_network

Method = Literal["integrated_gradients", "gradient_shap"]
Split = Literal["train", "validation", "test"]
MOST = 2000  # samples of a split
STEPS = {"integrated_gradients": 128, "gradient_shap": 50}  # steps (gap of at most 1.4% in packaged models), draws
REFERENCES = 100  # training rows from which expected gradients draw
VALUES = 1 << 23  # encoded values computed at once, over samples and steps


@dataclass
class Encoded:
    """Encoded samples, the input of the network.

    Attributes:
        rows: Positions of the samples in the data.
        content: Encoded values of the features, ``shape=(samples, values)``.
        presence: Further inputs that state which modalities were measured, ``shape=(samples, modalities)``;
            ``(samples, 0)`` for a single modality.
        measured: Whether the modality of each value was measured, bool ``shape=(samples, values)``.
    """

    rows: Tensor
    content: Tensor
    presence: Tensor
    measured: Tensor


class Summed(nn.Module):
    """Sum over the samples of the explained output, as a function of the encoded values only.

    In evaluation mode samples are independent, so the gradient of the sum holds the gradient of each sample; captum
    needs a tenth of the time that it needs for one output per sample.

    Shape:
        ``(batch, values), (batch, values), (batch, modalities), (batch, 1) -> (1,)``
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, content: Tensor, measured: Tensor, presence: Tensor, columns: Tensor) -> Tensor:
        """Sum of the outputs ``columns``; values of modalities that were not measured are set to 0."""
        outputs: Tensor = self.network(torch.cat([content * measured, presence], 1))
        return outputs.gather(1, columns).sum(0)


def feature_importance(
    model: Supervised,
    data: Data,
    split: Split = "train",
    method: Method = "integrated_gradients",
    by_class: bool = False,
) -> pd.DataFrame:
    """Mean absolute contribution of each feature to the predictions, computed by captum.

    The explained output is the log-odds of the true class of each sample (of the predicted class if it is unknown), the
    predicted continuous value, or the log hazard. The contributions of the one-hot columns of a category are added.
    Samples are averaged over only for features of modalities they have; missing values within a modality contribute 0.

    - ``integrated_gradients``: along the straight line from the mean of the training rows, in 32 steps (Sundararajan
      et al. 2017, arXiv:1703.01365).
    - ``gradient_shap``: expected gradients, between the sample and training rows drawn at random, 50 draws with a fixed
      seed (Erion et al. 2021, doi:10.1038/s42256-021-00343-w).

    For both methods the contributions in a sample should sum to the difference between its output and that for the
    reference (the mean over references). A mean deviation above 5% of the mean difference is logged as a warning, one
    above 50% is an error.

    Args:
        model: A trained model of a table, of expression or of several modalities.
        data: The data the model was trained on; training rows are the references.
        split: Samples to average over. Of more than 2000 samples, 2000 are drawn at random.
        method: As above.
        by_class: Add the mean signed contribution over the samples of each class: positive if the values of the feature
            in this class increase the log-odds of the class.

    Returns:
        One row for each feature, the most important first: ``feature`` (``"rna:TP53"`` for several modalities),
        ``importance`` (mean absolute contribution, in natural log-odds or log hazard, or in the unit of a continuous
        target), ``samples`` averaged over, ``contribution_CLASS`` for each class, and ``unexplained_share``, the mean
        deviation described above divided by the mean difference (the same in all rows). ``attrs["note"]`` states it in
        words if it is above 5%.

    Raises:
        InputError: The model has another modality or was trained on other data; no sample in the split; ``by_class``
            without classes; contributions fail the completeness check.
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
    """Contributions of the encoded values, ``shape=(samples, values)``, the samples, and the completeness gap.

    The gap is not checked here. See `feature_importance`.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # of tqdm, in a notebook without ipywidgets
        from captum.attr import GradientShap, IntegratedGradients

    check_choice("method", method, Method.__args__)  # type: ignore[attr-defined]
    here, training = encode_split(model, data, split), encode_split(model, data, "train")
    mean = training.content.sum(0) / training.measured.sum(0).clamp(min=1)
    network = explained_network(model)
    columns, signs = _explained_outputs(model, network, data.dataset.y[here.rows], here)
    parts, gaps = [], []
    with torch.inference_mode(False), torch.enable_grad(), isolate_rng():
        np.random.seed(0)  # noqa: NPY002 (captum uses it to draw references)
        explainer = (IntegratedGradients if method == "integrated_gradients" else GradientShap)(Summed(network))
        steps = {"n_steps" if method == "integrated_gradients" else "n_samples": STEPS[method]}
        drawn = training.content[subsample(len(training.rows), REFERENCES, 0)].to(model.device)
        size = max(1, VALUES // (STEPS[method] * here.content.shape[1]))
        for rows in torch.arange(len(here.rows)).split(size):
            values = (here.content, here.measured, here.presence, columns[:, None])
            x, *other_inputs = (value[rows].to(model.device) for value in values)
            references = mean.to(x)[None] if method == "integrated_gradients" else drawn
            baselines = references.expand_as(x) if method == "integrated_gradients" else references
            part = explainer.attribute(x, baselines, additional_forward_args=tuple(other_inputs), **steps)
            parts.append(part.detach().float().cpu())
            gaps.append(_gaps(network, x, references, part, *other_inputs))
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
    presence: Tensor,
    columns: Tensor,
) -> Tensor:
    """Difference that contributions should sum to, and its part that they do not explain: ``(samples, 2)``.

    Args:
        network: From encoded samples to outputs.
        x: Encoded values of the samples, ``shape=(samples, values)``.
        references: References for all samples, ``shape=(references, values)``; outputs are averaged over them.
        contributions: ``shape=(samples, values)``.
        measured: As in `Encoded`; modalities that a sample lacks are 0 in its references too.
        presence: As in `Encoded`.
        columns: Index of the explained output, ``shape=(samples, 1)``.
    """
    # Samples with the same missing modalities share their references, whose outputs are computed once.
    patterns, which = torch.cat([measured.to(presence), presence], 1).unique(dim=0, return_inverse=True)
    start = []
    for pattern in patterns:
        has, present = pattern[: x.shape[1]], pattern[x.shape[1] :]
        start.append(network(torch.cat([references * has, present.expand(len(references), -1)], 1)).mean(0))
    end = network(torch.cat([x * measured, presence], 1))
    difference = (end - torch.stack(start)[which]).gather(1, columns)[:, 0]
    return torch.stack([difference, difference - contributions.sum(1)], 1).float().cpu()


@torch.no_grad()
def encode_split(model: Supervised, data: Data, split: Split) -> Encoded:
    """Encoded samples of a split, on the CPU; of more than 2000 samples, 2000 are drawn at random.

    Raises:
        InputError: No sample in the split, or the model was trained on other data.
    """
    check_choice("split", split, Split.__args__)  # type: ignore[attr-defined]
    if modality_of(model.spec) != modality_of(data.spec):
        raise InputError(f"this {type(model).__name__} was trained on other features; use the data it was trained on")
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
    """Names of all features, and index of the feature of each encoded value.

    Raises:
        InputError: A single modality without named features, such as images.
    """
    if not isinstance(encode, JointEncoder):
        if (numbers := encode.feature_numbers()) is None:
            kind = f"{modality['kind']} data, which have no named features"
            raise InputError(f"zoo.explain.feature_importance is not available for {kind}; see zoo explain")
        return list(modality["features"]), numbers
    names: list[str] = []
    places = []
    for key, layer in encode.layers.items():
        assert isinstance(layer, Encoder)
        features, at = modality["parts"][key]["features"], layer.feature_numbers()
        if at is None:  # a sequence, a series or an image counts as one feature
            features, at = features[:1], torch.zeros(layer.out_features, dtype=torch.long)
        places.append(at + len(names))
        names += [f"{key}:{name}" for name in features]
    return names, torch.cat(places)


@torch.no_grad()
def _explained_outputs(model: Supervised, network: nn.Module, y: Tensor, here: Encoded) -> tuple[Tensor, Tensor]:
    """Index of the explained output of each sample, and its sign: -1 for the negative class of two."""
    several, first = len(model.target["classes"]) > 2, torch.zeros(len(y), dtype=torch.long)
    if not model.target["classes"]:
        return first, torch.ones(len(y))
    encoded = torch.cat([here.content, here.presence], 1)
    output = torch.cat([network(part.to(model.device)).cpu() for part in encoded.split(model.rows_at_once)])
    codes = torch.where(y >= 0, y, output.argmax(1) if several else (output[:, 0] > 0).long())
    return (codes, torch.ones(len(y))) if several else (first, codes * 2.0 - 1)


def _mean(values: Tensor, counted: Tensor) -> np.ndarray:
    """Mean over the samples with ``counted``, NaN if there are none: ``(samples, features) -> (features,)``."""
    total, count = (values * counted).double().sum(0), counted.sum(0)
    return torch.where(count > 0, total / count.clamp(min=1), torch.nan).numpy()

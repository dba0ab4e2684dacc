"""Shifts in the reconstructions of autoencoders when one input is changed."""

import re
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import ttest_rel
from torch import Tensor

from ...data import Data
from ...encode.table import TableEncoder
from ...errors import InputError, check_choice, suggest
from ...latent.probe import evaluating
from ...models import Model
from ...models.autoencoders.base import Unsupervised
from ...registry import check_kind
from ...spec import Modality, modality_of

DRAWS = 10  # reconstructions of the unchanged samples that a t-test averages
Value = str | float


@dataclass
class Columns:
    """Reconstructed columns, in the order in which they are reported.

    Attributes:
        names: Name of each column; for a category ``"NAME=LEVEL"``, with the second of two levels, or each of more.
        features: Feature of each column.
        at: Position of each column in the encoded values.
        scale: Size of one encoded unit in the unit of the data.
        deviation: Standard deviation over training rows, in encoded units.
    """

    names: list[str]
    features: list[str]
    at: np.ndarray
    scale: np.ndarray
    deviation: np.ndarray


@dataclass
class Shift:
    """Changes in the reconstructions of each model and column: ``shape=(models, columns)``.

    Attributes:
        mean: Mean change over samples, in encoded units.
        rising: Fraction of the samples whose reconstruction increases.
        p: p values of a paired t-test over samples, if requested.
        samples: Number of perturbed samples.
    """

    mean: np.ndarray
    rising: np.ndarray
    p: np.ndarray | None
    samples: int


def check_table(data: Data) -> None:
    """Raise an `InputError` unless the data are a table."""
    check_kind("a perturbation of single features", modality_of(data.spec)["kind"], ("table",))


def check_models(models: list[Model], data: Data) -> list[Unsupervised]:
    """Check that all models can reconstruct the data, and return them.

    Raises:
        InputError: No models; a model without a decoder, or trained on other columns, levels or units.
    """
    if isinstance(models, Model) or not models:
        raise InputError("give a list of trained models, such as those of zoo.explain.ensemble")
    check_table(data)
    found: list[Unsupervised] = []
    for number, model in enumerate(models, 1):
        if not isinstance(model, Unsupervised):
            raise InputError(f"model {number} is a {type(model).__name__}, which has no decoder; train a VAE")
        theirs, ours = modality_of(model.spec), modality_of(data.spec)
        if theirs != ours:
            differing = [name for name in ours["features"] if name not in theirs.get("features", [])]
            differing = differing or [name for name in theirs.get("features", []) if name not in ours["features"]]
            what = f"{differing[0]!r} is in one of them only" if differing else "levels, covariates or units differ"
            raise InputError(f"model {number} was trained on other data: {what}")
        if not model.encode.fitted:
            raise InputError(f"model {number} is not trained")
        found.append(model)
    return found


def columns_of(encode: TableEncoder, x: Tensor) -> Columns:
    """The reconstructed columns of a table encoder; ``x`` are raw training rows."""
    modality = encode.modality
    names_in_order = encode.feature_names[: encode.out_features - encode.covariates]
    numbers = [modality["features"][place] for place in encode.numeric.tolist()]
    scales = dict(zip(numbers, encode.scale.tolist(), strict=True))
    levels = {at for start, count in encode.levels_of.items() for at in range(start, start + count)}
    found = [(name, name, at, scales[name], 1.0) for at, name in enumerate(names_in_order) if at not in levels]
    with torch.inference_mode():
        encoded = encode(x.to(encode.mean.device)).double().cpu()
    for start, count in encode.levels_of.items():
        known = range(start, start + count - 1)  # the last column is 'unknown'
        counts = encoded[:, known.start : known.stop].sum(0)
        for at in known[-1:] if len(known) == 2 else known:
            share = float(counts[at - start] / counts.sum())
            spread = (share * (1 - share)) ** 0.5 or 1.0
            found.append((names_in_order[at], modality["features"][int(encode.of[at])], at, 1.0, spread))
    order = {name: place for place, name in enumerate(modality["features"])}
    found.sort(key=lambda column: order[column[1]])
    names, features, at_, scale, deviation = zip(*found, strict=True)
    return Columns(list(names), list(features), np.array(at_), np.array(scale), np.array(deviation))


def positions(data: Data, split: str | None) -> Tensor:
    """Positions of the samples of one split, or of all."""
    if split is None:
        return torch.arange(len(data.samples))
    check_choice("split", split, ["train", "validation", "test"])
    return data.dataset.rows(split)


def check_feature(data: Data, name: str) -> int:
    """Position of a feature among the raw values.

    Raises:
        InputError: Unknown feature, or a covariate or the target.
    """
    modality = modality_of(data.spec)
    if name == data.spec["target"]["name"] and name:
        raise InputError(f"{name!r} is the target, which is not an input of the models; name a feature")
    if name in modality.get("covariates", []):
        raise InputError(
            f"{name!r} is a covariate, which decoders take as input; remove it from data.covariates, and train again"
        )
    if name not in modality["features"]:
        raise InputError(f"there is no feature {name!r}; {suggest(name, modality['features'])}")
    return modality["features"].index(name)


def step_of(value: Value) -> float | None:
    """Change in standard deviations for a value such as ``"+1 sd"``; None for an absolute value."""
    found = re.fullmatch(r"([+-]\d*\.?\d+) ?sd", value.strip()) if isinstance(value, str) else None
    return float(found[1]) if found else None


def code_of(modality: Modality, name: str, value: Value) -> float:
    """Raw value of a level or a number.

    Raises:
        InputError: Unknown level, or not a number.
    """
    if levels := modality.get("levels", {}).get(name):
        if str(value) not in levels:
            raise InputError(f"{name!r} has no level {str(value)!r} among training rows; {suggest(str(value), levels)}")
        return float(levels.index(str(value)))
    try:
        return float(value)
    except ValueError:
        raise InputError(f"{name!r} is a number; set it to one, or to '+1 sd', not {value!r}") from None


def changed(data: Data, name: str, value: Value, split: str | None) -> tuple[Tensor, Tensor]:
    """Raw values before and after the perturbation, two tensors of ``shape=(samples, features)``.

    Samples whose value is missing, or would not change, are left out.

    Raises:
        InputError: Unknown feature or level, or no sample would change.
    """
    place, modality = check_feature(data, name), modality_of(data.spec)
    before = data.dataset.x[positions(data, split)]
    after = before.clone()
    step = step_of(value)
    if step is None:
        after[:, place] = code_of(modality, name, value)
    elif name in modality.get("levels", {}):
        raise InputError(f"{name!r} is a category; set it to one of its levels, not {value!r}")
    else:
        training = data.training_inputs()[:, place]
        after[:, place] += step * training[training.isfinite()].std(correction=0)
    rows = before[:, place].isfinite() & (before[:, place] != after[:, place])
    if not rows.any():
        raise InputError(f"there is no sample whose {name!r} is known and would change to {value!r}")
    return before[rows], after[rows]


def shift(models: list[Unsupervised], columns: Columns, before: Tensor, after: Tensor, test: bool = False) -> Shift:
    """Changes in the reconstructions; ``test`` adds a paired t-test between sampled reconstructions."""
    mean, rising, p = [], [], []
    for number, model in enumerate(models):
        parts = torch.arange(len(before)).split(model.rows_at_once)
        with evaluating(model):
            one = torch.cat([_reconstruction(model, before[rows]) for rows in parts])
            two = torch.cat([_reconstruction(model, after[rows]) for rows in parts])
            difference = (two - one).numpy()[:, columns.at]
            mean.append(difference.mean(0, dtype=np.float64))
            rising.append((difference > 0).mean(0))
            if test:
                generator = torch.Generator(model.device).manual_seed(number)
                unchanged = torch.stack([_sampled(model, before, parts, generator) for _ in range(DRAWS)]).mean(0)
                perturbed = _sampled(model, after, parts, generator)
                p.append(ttest_rel(perturbed.numpy()[:, columns.at], unchanged.numpy()[:, columns.at]).pvalue)
    return Shift(np.array(mean), np.array(rising), np.nan_to_num(p, nan=1.0) if test else None, len(before))


def _reconstruction(model: Unsupervised, x: Tensor) -> Tensor:
    x = x.to(model.device)
    return model.decode(model.embed(x), model.covariates_of(x)).double().cpu()


def _sampled(model: Unsupervised, x: Tensor, parts: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
    """As `_reconstruction`, but z is sampled if the encoder outputs a distribution, as in training."""
    outputs = []
    for samples in (x[rows].to(model.device) for rows in parts):
        outputs.append(model.decode(model.draw(samples, generator), model.covariates_of(samples)).double().cpu())
    return torch.cat(outputs)

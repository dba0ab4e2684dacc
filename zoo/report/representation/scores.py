"""Scores of a representation, beside as many principal components."""

import warnings
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...data import Data
from ...data.base import Batch, Source
from ...errors import InputError
from ...models import Unsupervised
from ...spec import Modality, modality_of
from ...training.count_likelihoods import Poisson
from ...training.tasks import task_of
from ...training.tasks.regression import Regression
from ..evaluation import with_truth

NEIGHBOURS = 15
EXAMPLES = 10
MOST_ROWS = 20_000  # that principal components and nearest neighbours are fitted to
PRINCIPAL = "PCA"
FACTORED_ROWS = 5000


@dataclass
class Representation:
    """Evaluation of the latent space of a model.

    Attributes:
        predictions: One row per sample of the evaluated splits: ``split``, ``target``, and the outputs of the model.
        scores: Model, split, metric, value.
        modality: Modality of the samples.
        examples: Some samples of the last split and their reconstructions, in the units of the data where the encoding
            can be inverted; ``shape=(2, samples, *shape)``.
        features: Explained variance, or deviance, of each encoded column on the last split; empty without columns.
        units: For each latent unit on the last split: ``deviation`` of its values, and ``divergence`` from the prior in
            nats (NaN if there is none).
    """

    predictions: pd.DataFrame
    scores: list[tuple[str, str, str, float]]
    modality: Modality
    examples: np.ndarray
    features: pd.Series
    units: pd.DataFrame


def evaluate_representation(model: Unsupervised, data: Data, present: list[str]) -> Representation:
    """Latent representation of every sample, and how much of the data it explains.

    The metrics are ``explained_variance`` of the encoded values (1 - squared error / squared distance from the training
    mean; 0 is no better than the mean); for counts ``explained_deviance`` instead, with the Poisson deviance (Townes et
    al. 2019, doi:10.1186/s13059-019-1861-6); ``elbo`` of a VAE (the evidence lower bound in nats per sample); and how
    well the 15 nearest training samples in latent space predict the target, if there is one: ``neighbours_accuracy`` of
    classes, ``neighbours_r2`` of a continuous target. The reference is PCA of the encoded training rows with as many
    components; for the deviance, non-negative matrix factorisation of at most 5,000 rows.

    Args:
        model: In evaluation mode.
        data: Its data.
        present: Splits that have samples.

    """
    content, name = data.dataset, type(model).__name__
    training = content.rows("train") if len(content.rows("train")) else content.rows(present[0])
    if len(training) > MOST_ROWS:
        training = training[torch.randperm(len(training), generator=torch.Generator().manual_seed(0))[:MOST_ROWS]]
    components = _Components(model, content.x, training)
    learnt: dict[str, list[np.ndarray]] = {name: [], PRINCIPAL: []}
    for rows in training.split(model.rows_at_once):
        x = content.x[rows].to(model.device)
        learnt[name].append(model.embed(x).float().cpu().numpy())
        learnt[PRINCIPAL].append(components.project(model.split(model.encode(x))[0]))
    tables, scores = [], []
    for split in present:
        rows = content.rows(split)
        found = _Sums(model, components)
        for batch in data.loader(split):
            found.add(batch)
        tables.append(with_truth(model, data, split, pd.concat(found.tables)))
        measure = "explained_deviance" if components.nmf else "explained_variance"
        scores += [(key, split, measure, found.explained(key)) for key in found.errors]
        if found.bound is not None:
            scores.append((name, split, "elbo", found.bound / len(rows)))
        if metric := _metric(model):
            for key, latents in found.latents.items():
                points = np.concatenate(learnt[key]), content.y[training].numpy()
                value = _neighbours(*points, np.concatenate(latents), content.y[rows].numpy(), split == "train")
                scores.append((key, split, metric, value))
    last = content.rows(present[-1])[:EXAMPLES]
    x = content.x[last].to(model.device)
    pair = [model.split(model.encode(x))[0], model(x)]
    with suppress(InputError):  # an encoding that cannot be inverted is shown as it is
        pair = [model.encode.inverse(values) for values in pair]
    return Representation(
        pd.concat(tables),
        scores,
        modality_of(model.spec),
        torch.stack(pair).float().cpu().numpy(),
        found.by_feature(),
        found.by_unit(),
    )


class _Components:
    """PCA and matrix factorisation of encoded training rows, with as many components as the model has latent units."""

    def __init__(self, model: Unsupervised, x: Source, rows: Tensor) -> None:
        from sklearn.decomposition import NMF, PCA

        parts = [model.split(model.encode(x[chunk].to(model.device)))[0] for chunk in rows.split(model.rows_at_once)]
        flat = torch.cat([part.flatten(1).float().cpu() for part in parts]).numpy()
        count = min(model.latent, *flat.shape)
        self.pca = PCA(count, random_state=0).fit(flat)
        self.mean, self.nmf = torch.from_numpy(flat.mean(0)), None
        if isinstance(model.likelihood, Poisson):
            counts = x[rows[:FACTORED_ROWS]][:, : model.content[0]].float().nan_to_num()
            self.mean = counts.sum(0) / counts.sum()
            self.nmf = NMF(count, init="nndsvda", solver="mu", beta_loss="kullback-leibler", tol=1e-3, random_state=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # warnings of too few iterations, which do not matter for a baseline
                self.nmf.fit(counts.numpy())

    def project(self, content: Tensor) -> np.ndarray:
        """``(batch, *content) -> (batch, components)``."""
        return self.pca.transform(content.flatten(1).float().cpu().numpy())  # type: ignore[no-any-return]

    def factored(self, counts: Tensor) -> Tensor:
        """Counts reconstructed by the matrix factorisation, ``(batch, genes)``."""
        assert self.nmf is not None
        return torch.from_numpy(self.nmf.transform(counts.numpy()) @ self.nmf.components_).float()


class _Sums:
    """Sums over the samples of one split."""

    def __init__(self, model: Unsupervised, components: _Components) -> None:
        self.model, self.components, self.name = model, components, type(model).__name__
        self.baseline = "NMF" if components.nmf else PRINCIPAL
        self.errors = {name: torch.zeros_like(components.mean) for name in (self.name, self.baseline)}
        self.total = torch.zeros_like(components.mean)
        self.latents: dict[str, list[np.ndarray]] = {self.name: [], PRINCIPAL: []}
        self.tables: list[pd.DataFrame] = []
        self.divergence = torch.full((model.latent,), torch.nan)
        self.bound: float | None = None
        self.steps = 0

    def add(self, batch: Batch) -> None:
        """Add the samples of a batch."""
        model, x = self.model, batch["x"].to(self.model.device)
        content, covariates = model.split(model.encode(x))
        z = model.embed(x)
        points = self.components.project(content)
        seen = model.encode.observed(x)
        weight = torch.ones(()) if seen is None else seen.flatten(1).cpu()
        if isinstance(model.likelihood, Poisson):
            truth = x[:, : model.content[0]].float().nan_to_num().cpu()
            shares = model.likelihood.log_shares(model.output(z, covariates)).exp().cpu()
            library = truth.sum(1, keepdim=True)
            built = [shares * library, self.components.factored(truth)]
            distances = [_deviance(truth, mean) for mean in (*built, self.components.mean * library)]
        else:
            truth = content.flatten(1).float().cpu()
            back = torch.from_numpy(self.components.pca.inverse_transform(points))
            built = [model.decode(z, covariates).flatten(1).float().cpu(), back]
            distances = [(truth - values).square() for values in (*built, self.components.mean)]
        for name, distance in zip((self.name, self.baseline), distances[:2], strict=True):
            self.errors[name] += (distance * weight).sum(0)
        self.total += (distances[2] * weight).sum(0)
        self.latents[self.name].append(z.float().cpu().numpy())
        self.latents[PRINCIPAL].append(points)
        self.tables.append(model.prediction_frame(model.raw_predictions(x).cpu(), pd.RangeIndex(len(x))))
        if (evidence := model.evidence(x, self.steps)) is not None:
            bound, divergence = evidence
            self.bound = (self.bound or 0.0) + float(bound.sum())
            self.divergence = self.divergence.nan_to_num() + divergence.sum(0).cpu()
        self.steps += 1

    def explained(self, name: str) -> float:
        """Explained share of all encoded values together."""
        return float(1 - self.errors[name].sum() / self.total.sum().clamp(min=1e-12))

    def by_feature(self) -> pd.Series:
        """Explained share of each column that varies."""
        if len(self.model.content) > 1:
            return pd.Series(dtype=float)
        names = self.model.encode.feature_names[: self.model.content[0]]
        varies = (self.total > 1e-9).numpy()
        return pd.Series((1 - self.errors[self.name] / self.total).numpy(), names)[varies]

    def by_unit(self) -> pd.DataFrame:
        """Standard deviation and divergence of each latent unit."""
        z = np.concatenate(self.latents[self.name])
        names = pd.RangeIndex(z.shape[1], name="unit")
        return pd.DataFrame({"deviation": z.std(0), "divergence": self.divergence.numpy() / len(z)}, names)


def _deviance(counts: Tensor, mean: Tensor) -> Tensor:
    """Poisson deviance of each count."""
    mean = mean.clamp(min=1e-6)
    result: Tensor = 2 * (torch.special.xlogy(counts, counts / mean) - (counts - mean))
    return result


def _metric(model: Unsupervised) -> str | None:
    task = task_of(model.target)
    return "neighbours_accuracy" if task.classified else "neighbours_r2" if isinstance(task, Regression) else None


def _neighbours(points: np.ndarray, y: np.ndarray, queries: np.ndarray, truth: np.ndarray, own: bool) -> float:
    """Score of the majority or mean of the nearest training samples; a sample is not its own neighbour."""
    from sklearn.metrics import accuracy_score, r2_score
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    is_class = y.dtype.kind == "i"
    known, asked = (y >= 0, truth >= 0) if is_class else (np.isfinite(y), np.isfinite(truth))
    count = min(NEIGHBOURS, int(known.sum()) - own)
    if count < 1 or asked.sum() < 2 or (own and len(points) != len(queries)):
        return float("nan")
    model = (KNeighborsClassifier if is_class else KNeighborsRegressor)(count).fit(points[known], y[known])
    if own:
        near = model.kneighbors(return_distance=False)
        votes = y[known][near]
        guess = np.array([np.bincount(row).argmax() for row in votes]) if is_class else votes.mean(1)
    else:
        guess = model.predict(queries[asked])
    score = accuracy_score if is_class else r2_score
    return float(score(truth[asked], guess))

"""Base class of autoencoders, with or without a target: embed, decode, reconstruct."""

import logging
from abc import abstractmethod
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...encode import Encoder, from_tensor
from ...errors import InputError, check_range, suggest
from ...registry import ONE
from ...spec import Modality, modality_of
from ...training.count_likelihoods import Poisson
from ...training.likelihood_choice import LikelihoodName, choose
from ...training.likelihoods import Variance
from ...training.outputs import Outputs
from ..base import Batch, Model, RawSamples
from ..layers import Normalisation
from .layers import Activation, Coder, Network


def level_columns(modality: Modality, names: list[str]) -> list[list[int]]:
    """For each categorical covariate, the positions of its levels among the encoded covariates ``names``."""
    nominal = [name for name in modality.get("covariates", []) if name not in modality.get("ordered", [])]
    known = {name: modality["levels"][name] for name in nominal if name in modality.get("levels", {})}
    return [[names.index(f"{name}={level}") for level in [*levels, "unknown"]] for name, levels in known.items()]


def typical_covariates(mean: Tensor, levels: list[list[int]]) -> Tensor:
    """Typical covariates: the mean of numbers, and the most frequent level of each category.

    A mean of one-hot levels is no valid input, as no sample has it.

    Args:
        mean: Mean of the encoded covariates over the training samples, where levels have their shares,
            ``(covariates,)``.
        levels: From `level_columns`.

    Returns:
        Encoded covariates, ``(covariates,)``.
    """
    result = mean.clone()
    for columns in levels:
        result[columns] = 0.0
        result[columns[int(mean[columns].argmax())]] = 1.0
    return result


def sample_covariates(mean: Tensor, levels: list[list[int]], rows: int) -> Tensor:
    """Random covariates: the mean of numbers, and levels drawn by their share: ``(rows, covariates)``.

    Args:
        mean: As in `typical_covariates`.
        levels: As in `typical_covariates`; categories are drawn independently.
        rows: Number of rows.
    """
    result = mean.repeat(rows, 1)
    for columns in levels:
        picked = torch.multinomial(mean[columns].clamp(min=0), rows, replacement=True)
        result[:, columns] = torch.nn.functional.one_hot(picked, len(columns)).to(mean.dtype)
    return result


def encode_covariates(covariates: dict[str, Any], modality: Modality, encode: Encoder) -> tuple[Tensor, Tensor]:
    """Encoded values of named covariates, and a mask of the encoded columns they set: ``(covariates,)`` each.

    Raises:
        InputError: A covariate or a level is unknown.
    """
    known, levels = modality.get("covariates", []), modality.get("levels", {})
    raw = torch.full((1, modality["shape"][0]), torch.nan)
    for name, value in covariates.items():
        if name not in known:
            raise InputError(f"{name!r} is not a covariate of this model; {suggest(name, known)}")
        if name in levels and str(value) not in levels[name]:
            raise InputError(f"{name} {value!r} is not in the training data; {suggest(str(value), levels[name])}")
        raw[0, modality["features"].index(name)] = levels[name].index(str(value)) if name in levels else float(value)
    content = encode.out_shape[0] - encode.covariates
    columns = encode.feature_names[content:]
    named = [name.partition("=")[0] in covariates or name in covariates for name in columns]
    device = next(encode.buffers()).device
    return encode(raw.to(device))[0, content:], torch.tensor(named, device=device)


log = logging.getLogger("zoo")


class Unsupervised(Model, abstract=True):
    """A model that compresses samples to a latent space and reconstructs them from it.

    Args:
        latent: Number of dimensions of the latent space.
        network: ``"mlp"`` flattens the samples, ``"convolutional"`` has convolutions over their spatial axes,
            ``"auto"`` is convolutional for sequences, series and images.
        hidden: Width of each dense layer of the encoder; the decoder has them in reverse order.
        filters: Number of filters of each convolution; each convolution halves the size.
        kernel_size: Length, or height and width, of the filters; odd.
        activation: linear, sigmoid, tanh, relu, leaky_relu, elu, selu or gelu.
        normalisation: none, batch (Ioffe and Szegedy 2015, arXiv:1502.03167) or layer (Ba et al. 2016,
            arXiv:1607.06450).
        dropout: Dropout rate before each dense layer of the encoder.
        likelihood: Distribution of a sample given the output of the decoder: gaussian (numbers; the categories of a
            table are categorical), bernoulli (values in a limited range, such as grey levels), poisson,
            negative_binomial or zero_inflated_negative_binomial (counts). ``"auto"``: negative binomial for counts,
            categorical for the bases of DNA, else gaussian.
        **shared: Arguments of `Model`.

    Attributes:
        content: Shape of the reconstructed part of an encoded sample, that is without covariates.

    Raises:
        InputError: Options contradict each other or do not suit the data.
    """

    modalities = (ONE,)
    variance: Variance = "unit"
    covariate_mean: Tensor

    def __init__(
        self,
        latent: int = 8,
        network: Network = "auto",
        hidden: list[int] = [128],  # noqa: B006 (never changed; shown by --help)
        filters: list[int] = [16, 32],  # noqa: B006
        kernel_size: int = 3,
        activation: Activation = "relu",
        normalisation: Normalisation = "none",
        dropout: float = 0.0,
        likelihood: LikelihoodName = "auto",
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_range("latent", latent, 1)
        self.latent, encode = latent, self.encode
        reconstructed = encode.out_shape[0] - encode.covariates
        self.content = (reconstructed, *encode.out_shape[1:])
        if reconstructed == 0:
            raise InputError("all features are covariates; leave at least one to be reconstructed")
        if latent >= (count := encode.out_features - encode.covariates):
            log.warning(
                "the latent space has %d dimensions, samples have %d values: the model may copy them unchanged",
                latent,
                count,
            )
        if (self.hparams["encoding"] or {}).get("missing_indicator"):
            raise InputError("missing_indicator is for models that predict; missing values are not reconstructed")
        self.likelihood = choose(likelihood, modality_of(self.spec), encode, self.content, self.variance)
        options = (network, hidden, filters, kernel_size, activation, normalisation, dropout)
        self.coder = Coder(self.content, encode.covariates, *options)
        self.register_buffer("covariate_mean", torch.zeros(encode.covariates), persistent=encode.covariates > 0)
        self.outputs = Outputs()

    @property
    def task(self) -> str:
        """Representation learning."""
        return "representation"

    @property
    def headline(self) -> str:
        """Explained share of the variance, or of the deviance for counts."""
        return f"explained_{'deviance' if isinstance(self.likelihood, Poisson) else 'variance'}"

    def evidence(self, x: Tensor, step: int) -> tuple[Tensor, Tensor] | None:
        """Evidence lower bound of each sample in nats, and the divergence of each latent dimension from its prior.

        Args:
            x: Raw values.
            step: Seed of the random draws, so that the result is reproducible.

        Returns:
            ``(batch,)`` and ``(batch, latent)``; None for a model without a prior.
        """
        return None

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Latent coordinates of raw values, ``(batch, latent)``; random if the encoder outputs a distribution."""
        return self.embed(x)

    @abstractmethod
    def terms(self, x: Tensor, step: int) -> Tensor:
        """Terms of the loss of validation samples, the loss first: ``(batch, terms)``; the same for the same step."""

    @abstractmethod
    def epoch_metrics(self, terms: Tensor, latent: Tensor) -> dict[str, Tensor | float]:
        """Metrics that are logged besides the loss, from `terms` and the latent coordinates of a whole split."""

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`; also fits the ranges and library sizes of the likelihood."""
        super().fit_encoders(x, y)
        self.likelihood.fit(self.encode, x)
        if self.encode.covariates:
            parts = [self.encode(part)[:, self.content[0] :].sum(0) for part in x.split(1024)]
            self.covariate_mean.copy_(torch.stack(parts).sum(0) / len(x))

    def split(self, encoded: Tensor) -> tuple[Tensor, Tensor | None]:
        """Content and covariates of encoded values."""
        if not self.encode.covariates:
            return encoded, None
        return encoded[:, : self.content[0]], encoded[:, self.content[0] :]

    def covariates_of(self, x: Tensor) -> Tensor | None:
        """Encoded covariates of raw values, ``(batch, covariates)``; None if there are none."""
        return self.split(self.encode(x))[1]

    def output(self, z: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Output of the decoder: ``(batch, latent) -> (batch, maps * content[0], *content[1:])``."""
        if self.encode.covariates:
            conditions = self.conditions({}, len(z)) if covariates is None else covariates
            z = torch.cat([z, conditions], 1)  # type: ignore[list-item]
        return self.decoder(z)  # type: ignore[operator, no-any-return]

    def decode(self, z: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Expected encoded content: ``(batch, latent) -> (batch, *content)``.

        Args:
            z: Latent coordinates.
            covariates: Encoded covariates ``(batch, covariates)``, see `conditions`; None for typical covariates: the
                most frequent level of each category and the training mean of numbers.

        Returns:
            Standardised numbers, probabilities of categories and bases, encoded expression.
            ``model.encode.inverse`` converts them to the units of the data.
        """
        return self.likelihood.expected(self.output(z, covariates))

    def forward(self, x: Tensor) -> Tensor:
        """Raw values to their encoded reconstruction: ``(batch, *shape) -> (batch, *content)``."""
        return self.decode(self.embed(x), self.covariates_of(x))

    def raw_predictions(self, x: Tensor) -> Tensor:
        """Reconstruction error and latent coordinates: ``(batch, *shape) -> (batch, 1 + latent)``."""
        encoded = self.encode(x)
        content, covariates = self.split(encoded)
        z = self.embed(x)
        error = self.likelihood.error(self.output(z, covariates), x, content, self.encode.observed(x))
        return torch.cat([error.unsqueeze(1), z], 1)

    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """A table with ``reconstruction_error``, ``latent_0``, ``latent_1``, ..., one row per sample."""
        names = ["reconstruction_error", *(f"latent_{number}" for number in range(self.latent))]
        return pd.DataFrame(raw[:, : len(names)].float().cpu().numpy(), index, names)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Store the terms of the loss and the latent coordinates; metrics are computed once, over the whole epoch."""
        self.outputs.update(self.terms(batch["x"], batch_idx), self.embed(batch["x"]))

    def log_epoch(self, split: str) -> None:
        """Log the loss and its terms."""
        terms, latent = self.outputs.take()
        self.log_scores(split, terms[:, 0].mean(), **self.epoch_metrics(terms, latent))

    @torch.inference_mode()
    def reconstruct(self, frame: RawSamples) -> pd.DataFrame | np.ndarray:
        """Reconstructed samples in the units of the data; missing values are imputed.

        Args:
            frame: As for `predict`.

        Returns:
            A table (also for expression and DNA), or an array of series or images; counts per 10,000 for counts.
        """
        x, index = self.raw(frame)
        parts = torch.arange(len(x)).split(self.rows_at_once)
        was, _ = self.training, self.eval()
        reconstructed = torch.cat([self.encode.inverse(self(x[rows].to(self.device))).cpu() for rows in parts])
        self.train(was)
        return from_tensor(reconstructed, modality_of(self.spec), index)

    @torch.inference_mode()
    def interpolate(self, start: RawSamples, end: RawSamples, steps: int = 9) -> pd.DataFrame | np.ndarray:
        """Samples on the straight line in latent space between two samples, both included.

        Args:
            start: One sample, as for `predict`.
            end: Another sample.
            steps: Number of samples.

        Returns:
            As `reconstruct`; covariates are interpolated too.
        """
        check_range("steps", steps, 2)
        samples = [self.raw(frame)[0] for frame in (start, end)]
        if any(len(x) != 1 for x in samples):
            raise InputError("interpolate takes one sample as start and one as end")
        was, _ = self.training, self.eval()
        first, last = (x[torch.tensor([0])].to(self.device) for x in samples)
        position = torch.linspace(0, 1, steps, device=self.device).unsqueeze(1)
        z = torch.lerp(self.embed(first), self.embed(last), position)
        conditions = [self.covariates_of(x) for x in (first, last)]
        between = None if conditions[0] is None else torch.lerp(conditions[0], conditions[1], position)  # type: ignore[arg-type]
        reconstructed = self.encode.inverse(self.decode(z, between))
        self.train(was)
        return from_tensor(reconstructed, modality_of(self.spec), pd.RangeIndex(steps, name="step"))

    def conditions(self, covariates: dict[str, Any], rows: int, draw: bool = False) -> Tensor | None:
        """Encoded covariates with the given values: ``(rows, covariates)``; None if the model has none.

        Args:
            covariates: Values by name, such as ``{"batch": "b1"}``.
            rows: Number of rows.
            draw: How covariates without a given value are chosen. True: levels are drawn by their share of the
                training samples. False: the most frequent level. Numbers are at their mean in both cases.

        Raises:
            InputError: A covariate or a level is unknown.
        """
        if not self.encode.covariates and not covariates:
            return None
        modality = modality_of(self.spec)
        values, named = encode_covariates(covariates, modality, self.encode)
        levels = level_columns(modality, self.encode.feature_names[self.content[0] :])
        mean = self.covariate_mean
        default = sample_covariates(mean, levels, rows) if draw else typical_covariates(mean, levels).expand(rows, -1)
        return torch.where(named, values, default)

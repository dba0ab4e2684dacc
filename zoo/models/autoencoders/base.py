"""Models that learn to describe samples, with or without a target: embed, decode, reconstruct."""

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
from ..base import Batch, RawSamples, Model
from ..layers import Normalisation
from .layers import Activation, Coder, Network


def level_columns(modality: Modality, names: list[str]) -> list[list[int]]:
    """For each categorical covariate, where its levels are among the encoded covariates ``names``."""
    nominal = [name for name in modality.get("covariates", []) if name not in modality.get("ordered", [])]
    known = {name: modality["levels"][name] for name in nominal if name in modality.get("levels", {})}
    return [[names.index(f"{name}={level}") for level in [*levels, "unknown"]] for name, levels in known.items()]


def typical(mean: Tensor, levels: list[list[int]]) -> Tensor:
    """Numbers at their mean, the commonest level of each category; a mean of levels is a sample that does not exist.

    Args:
        mean: Encoded covariates of the mean training sample, so that levels have their shares, ``(covariates,)``.
        levels: From `level_columns`.

    Returns:
        The same shape.
    """
    result = mean.clone()
    for columns in levels:
        result[columns] = 0.0
        result[columns[int(mean[columns].argmax())]] = 1.0
    return result


def drawn(mean: Tensor, levels: list[list[int]], rows: int) -> Tensor:
    """Numbers at their mean, levels drawn by their share of the training samples: ``(rows, covariates)``.

    Args:
        mean: As in `typical`.
        levels: As in `typical`; each category is drawn for itself.
        rows: How many.
    """
    result = mean.repeat(rows, 1)
    for columns in levels:
        picked = torch.multinomial(mean[columns].clamp(min=0), rows, replacement=True)
        result[:, columns] = torch.nn.functional.one_hot(picked, len(columns)).to(mean.dtype)
    return result


def given(wanted: dict[str, Any], modality: Modality, encode: Encoder) -> tuple[Tensor, Tensor]:
    """Encoded covariates of these values, and which of their numbers were given: ``(covariates,)`` each.

    Raises:
        InputError: No such covariate, or level.
    """
    known, levels = modality.get("covariates", []), modality.get("levels", {})
    raw = torch.full((1, modality["shape"][0]), torch.nan)
    for name, value in wanted.items():
        if name not in known:
            raise InputError(f"{name!r} is no covariate of this model; {suggest(name, known)}")
        if name in levels and str(value) not in levels[name]:
            raise InputError(f"{name} {value!r} was never seen; {suggest(str(value), levels[name])}")
        raw[0, modality["features"].index(name)] = levels[name].index(str(value)) if name in levels else float(value)
    content = encode.out_shape[0] - encode.covariates
    named = [name.partition("=")[0] in wanted or name in wanted for name in encode.feature_names[content:]]
    device = next(encode.buffers()).device
    return encode(raw.to(device))[0, content:], torch.tensor(named, device=device)


log = logging.getLogger("zoo")


class Unsupervised(Model, abstract=True):
    """A model that squeezes samples through a small latent space and builds them again from there.

    Args:
        latent: Size of the latent space.
        network: ``"mlp"`` flattens its samples, ``"convolutional"`` keeps their neighbourhoods, ``"auto"`` is
            convolutional for sequences, series and images.
        hidden: Width of each dense layer of the encoder; the decoder has them in opposite order.
        filters: Filters of each convolution, each of which halves the size.
        kernel_size: Length, or height and width, of the filters; odd.
        activation: linear, sigmoid, tanh, relu, leaky_relu, elu, selu or gelu.
        normalisation: none, batch (Ioffe and Szegedy 2015, arXiv:1502.03167) or layer (Ba et al. 2016,
            arXiv:1607.06450).
        dropout: Share of the units before each dense layer of the encoder silenced in each training step.
        likelihood: How the decoder describes a sample: gaussian (numbers; the categories of a table are categorical),
            bernoulli (values between two ends, such as grey levels), poisson, negative_binomial or
            zero_inflated_negative_binomial (counts). ``"auto"``: negative binomial for counts, a softmax over the
            bases of DNA, else gaussian.
        **shared: Arguments of `Model`.

    Attributes:
        content: Shape of one encoded sample without covariates, which is what is reconstructed.

    Raises:
        InputError: Options that do not fit each other or the data.
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
        own = encode.out_shape[0] - encode.covariates
        self.content = (own, *encode.out_shape[1:])
        if own == 0:
            raise InputError("all features are covariates; nothing is left to be reconstructed")
        if latent >= (count := encode.out_features - encode.covariates):
            log.warning("a latent space of %d for samples of %d numbers need not leave anything out", latent, count)
        if (self.hparams["encoding"] or {}).get("missing_indicator"):
            raise InputError("missing_indicator is for models that predict; missing values are not reconstructed")
        self.likelihood = choose(likelihood, modality_of(self.spec), encode, self.content, self.variance)
        options = (network, hidden, filters, kernel_size, activation, normalisation, dropout)
        self.coder = Coder(self.content, encode.covariates, *options)
        self.register_buffer("covariate_mean", torch.zeros(encode.covariates), persistent=encode.covariates > 0)
        self.outputs = Outputs()

    @property
    def task(self) -> str:
        """To represent its samples."""
        return "representation"

    @property
    def headline(self) -> str:
        """Share of the variance, of counts of the deviance, that is kept."""
        return f"explained_{'deviance' if isinstance(self.likelihood, Poisson) else 'variance'}"

    def evidence(self, x: Tensor, step: int) -> tuple[Tensor, Tensor] | None:
        """Evidence lower bound of each sample in nats, and the divergence of each latent dimension from its prior.

        Args:
            x: Raw values.
            step: Of the draws, which are the same each time.

        Returns:
            ``(batch,)`` and ``(batch, latent)``; None of a model without a prior.
        """
        return None

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Places in latent space of raw values, ``(batch, latent)``; drawn, where the encoder gives a distribution."""
        return self.embed(x)

    @abstractmethod
    def terms(self, x: Tensor, step: int) -> Tensor:
        """Terms of the loss of validation samples, the loss first and the same each time: ``(batch, terms)``."""

    @abstractmethod
    def epoch_metrics(self, terms: Tensor, latent: Tensor) -> dict[str, Tensor | float]:
        """What is logged beside the loss, from `terms` and the latent space of all samples of a split."""

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`; the likelihood learns its ranges and library sizes too."""
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
        """What the likelihood reads: ``(batch, latent) -> (batch, maps * content[0], *content[1:])``."""
        if self.encode.covariates:
            conditions = self.conditions({}, len(z)) if covariates is None else covariates
            z = torch.cat([z, conditions], 1)  # type: ignore[list-item]
        return self.decoder(z)  # type: ignore[operator, no-any-return]

    def decode(self, z: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Expected encoded content: ``(batch, latent) -> (batch, *content)``.

        Args:
            z: Places in latent space.
            covariates: Encoded covariates ``(batch, covariates)``, see `conditions`; None stands for typical ones: the
                commonest level of each category, numbers at their training mean.

        Returns:
            Numbers in standard units, probabilities of categories and bases, expression as its encoding gives it.
            ``model.encode.inverse`` turns them into the units of the data.
        """
        return self.likelihood.expected(self.output(z, covariates))

    def forward(self, x: Tensor) -> Tensor:
        """Raw values to their reconstruction: ``(batch, *shape) -> (batch, *content)``."""
        return self.decode(self.embed(x), self.covariates_of(x))

    def raw_predictions(self, x: Tensor) -> Tensor:
        """Reconstruction error and latent coordinates: ``(batch, *shape) -> (batch, 1 + latent)``."""
        encoded = self.encode(x)
        content, covariates = self.split(encoded)
        z = self.embed(x)
        error = self.likelihood.error(self.output(z, covariates), x, content, self.encode.observed(x))
        return torch.cat([error.unsqueeze(1), z], 1)

    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """``reconstruction_error``, then ``latent_0``, ``latent_1``, ..., one row a sample."""
        names = ["reconstruction_error", *(f"latent_{number}" for number in range(self.latent))]
        return pd.DataFrame(raw[:, : len(names)].float().cpu().numpy(), index, names)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Keep the terms of the loss and the latent space; they are summed up once, over the whole epoch."""
        self.outputs.update(self.terms(batch["x"], batch_idx), self.embed(batch["x"]))

    def log_epoch(self, split: str) -> None:
        """Log the loss and its terms."""
        terms, latent = self.outputs.take()
        self.log_scores(split, terms[:, 0].mean(), **self.epoch_metrics(terms, latent))

    @torch.inference_mode()
    def reconstruct(self, frame: RawSamples) -> pd.DataFrame | np.ndarray:
        """Samples as the model builds them again, in the units of the data; missing values are filled in.

        Args:
            frame: As for `predict`.

        Returns:
            A table (of expression and DNA too), or an array of series or images; counts as counts per 10,000.
        """
        x, index = self.raw(frame)
        parts = torch.arange(len(x)).split(self.rows_at_once)
        was, _ = self.training, self.eval()
        built = torch.cat([self.encode.inverse(self(x[rows].to(self.device))).cpu() for rows in parts])
        self.train(was)
        return from_tensor(built, modality_of(self.spec), index)

    @torch.inference_mode()
    def interpolate(self, start: RawSamples, end: RawSamples, steps: int = 9) -> pd.DataFrame | np.ndarray:
        """Samples on the straight line in latent space from one sample to another, both ends included.

        Args:
            start: One sample, as for `predict`.
            end: Another.
            steps: Number of samples.

        Returns:
            As `reconstruct`; covariates go along the line too.
        """
        check_range("steps", steps, 2)
        ends = [self.raw(frame)[0] for frame in (start, end)]
        if any(len(x) != 1 for x in ends):
            raise InputError("interpolate takes one sample for each end")
        was, _ = self.training, self.eval()
        one, two = (x[torch.tensor([0])].to(self.device) for x in ends)
        way = torch.linspace(0, 1, steps, device=self.device).unsqueeze(1)
        z = torch.lerp(self.embed(one), self.embed(two), way)
        conditions = [self.covariates_of(x) for x in (one, two)]
        between = None if conditions[0] is None else torch.lerp(conditions[0], conditions[1], way)  # type: ignore[arg-type]
        built = self.encode.inverse(self.decode(z, between))
        self.train(was)
        return from_tensor(built, modality_of(self.spec), pd.RangeIndex(steps, name="step"))

    def conditions(self, wanted: dict[str, Any], rows: int, draw: bool = False) -> Tensor | None:
        """Encoded covariates with these values: ``(rows, covariates)``; None, if the model has none.

        Args:
            wanted: Values by name, such as ``{"batch": "b1"}``.
            rows: How many.
            draw: What becomes of those that are not named. True: levels are drawn by their share of the training
                samples. False: the commonest level. Numbers are at their mean.

        Raises:
            InputError: No such covariate, or level.
        """
        if not self.encode.covariates and not wanted:
            return None
        modality = modality_of(self.spec)
        values, named = given(wanted, modality, self.encode)
        levels = level_columns(modality, self.encode.feature_names[self.content[0] :])
        mean = self.covariate_mean
        others = drawn(mean, levels, rows) if draw else typical(mean, levels).expand(rows, -1)
        return torch.where(named, values, others)

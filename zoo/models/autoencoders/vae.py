"""Variational autoencoder, optionally conditional and semi-supervised."""

import logging
import math
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ...encode import from_tensor
from ...errors import InputError, check_choice, check_range
from ...spec import modality_of
from ...training.tasks import TargetHead, task_of
from ..base import Batch, RawSamples
from .base import Unsupervised

log = logging.getLogger("zoo")
ACTIVE = 0.01  # a latent unit is active if the variance of its mean over samples is larger


class VAE(Unsupervised):
    """Variational autoencoder (Kingma and Welling 2014, arXiv:1312.6114).

    The encoder outputs an approximate posterior for each sample, a normal distribution z = mu + sigma * noise, and the
    decoder the likelihood of the sample given z. The loss is minus the evidence lower bound in nats: minus the
    log-likelihood plus the Kullback-Leibler divergence of the posterior from a standard normal distribution, summed
    over latent dimensions and averaged over samples. Counts are modelled as in scVI (Lopez et al. 2018,
    doi:10.1038/s41592-018-0229-2). With covariates (``--data.covariates``) it is a conditional VAE (Sohn et al. 2015):
    encoder and decoder are given the covariates as input, so that the latent space need not represent them.

    Args:
        beta: Weight of the divergence (Higgins et al. 2017).
        warm_up: Epochs over which that weight rises from near 0 to ``beta`` (Sonderby et al. 2016, arXiv:1602.02282).
        free_bits: Divergence of each latent dimension, in nats, below which it is not penalised (Kingma et al. 2016,
            arXiv:1606.04934).
        variance: Variance of a gaussian likelihood: ``"shared"``: one trained value; ``"feature"``: one trained value
            per feature; ``"unit"``: 1.
        supervision: Weight of the loss of a linear head that predicts the target from mu, for labelled samples; 0 for
            no head (Kingma et al. 2014, arXiv:1406.5298). With ``data.unlabelled: keep`` unlabelled samples are used
            for training too.
        **shared: Arguments of `Unsupervised` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, *content)``, the expected encoded samples
    """

    def __init__(
        self,
        beta: float = 1.0,
        warm_up: int = 0,
        free_bits: float = 0.0,
        variance: Literal["unit", "shared", "feature"] = "shared",
        supervision: float = 0.0,
        **shared: Any,
    ) -> None:
        check_choice("variance", variance, ["unit", "shared", "feature"])
        for name, value in {
            "beta": beta,
            "warm_up": warm_up,
            "free_bits": free_bits,
            "supervision": supervision,
        }.items():
            check_range(name, value, 0)
        self.variance = variance
        super().__init__(**shared)
        self.beta, self.warm_up, self.free_bits, self.supervision = beta, warm_up, free_bits, supervision
        self.body = self.coder.encoder()
        self.mean = nn.Linear(self.coder.width, self.latent)
        self.log_variance = nn.Linear(self.coder.width, self.latent)
        self.decoder = self.coder.decoder(self.latent, self.likelihood.maps)
        if supervision:
            if not self.target["name"] or task_of(self.target).per_pixel:
                raise InputError("supervision needs a class, a value or a time as target: give --data.target")
            self.target_head = TargetHead(self, self.target)
            self.head = nn.Linear(self.latent, self.target_head.width)

    @property
    def target_heads(self) -> dict[str, TargetHead]:
        """The head of the target, if there is supervision."""
        return {"": self.target_head} if self.supervision else {}

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Unsupervised`; also fits the statistics of the targets that the task needs."""
        super().fit_encoders(x, y)
        if self.supervision and y is not None:
            self.target_head.fit(y)

    def embed(self, x: Tensor) -> Tensor:
        """The means mu: ``(batch, *shape) -> (batch, latent)``."""
        return self.posterior(self.encode(x))[0]

    def posterior(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of z for encoded samples, ``(batch, latent)`` each."""
        hidden = self.body(encoded)
        # Outside these limits float32 may overflow in the first steps of an unstable start.
        return self.mean(hidden), self.log_variance(hidden).clamp(-20, 20)

    def _bound(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Log-likelihood ``(batch,)``, divergence of each latent dimension ``(batch, latent)``, and mu."""
        encoded = self.encode(x)
        content, covariates = self.split(encoded)
        mean, log_variance = self.posterior(encoded)
        noise = torch.randn_like(mean) if noise is None else noise
        z = mean + noise * (log_variance / 2).exp()
        log_prob = self.likelihood.log_prob(self.output(z, covariates), x, content, self.encode.observed(x))
        return log_prob, (mean.square() + log_variance.exp() - 1 - log_variance) / 2, mean

    def loss(self, batch: Batch) -> Tensor:
        """Minus the evidence lower bound, plus the weighted loss of the head."""
        log_prob, divergence, mean = self._bound(batch["x"])
        weight = self.beta * (min(1.0, (self.current_epoch + 1) / self.warm_up) if self.warm_up else 1.0)
        loss = weight * divergence.mean(0).clamp(min=self.free_bits).sum() - log_prob.mean()
        if self.supervision and (known := self.target_head.task.labelled(batch["y"])).any():
            rows = self.target_head.loss(self.head(mean[known]), batch["y"][known])
            loss = loss + self.supervision * (rows * batch["weight"][known] if "weight" in batch else rows).mean()
        return loss

    def terms(self, x: Tensor, step: int) -> Tensor:
        """Loss with the full ``beta``, minus the log-likelihood, and the divergences: ``(batch, 2 + latent)``."""
        generator = torch.Generator(x.device).manual_seed(step)
        noise = torch.randn(len(x), self.latent, device=x.device, generator=generator)
        log_prob, divergence, _ = self._bound(x, noise)
        loss = self.beta * divergence.sum(1) - log_prob
        return torch.cat([loss.unsqueeze(1), -log_prob.unsqueeze(1), divergence], 1)

    def evidence(self, x: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """As in `Unsupervised`."""
        terms = self.terms(x, step)
        return -terms[:, 1] - terms[:, 2:].sum(1), terms[:, 2:]

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A sample of the approximate posterior, as in training."""
        mean, log_variance = self.posterior(self.encode(x))
        noise = torch.randn(mean.shape, device=mean.device, generator=generator)
        return mean + noise * (log_variance / 2).exp()

    def epoch_metrics(self, terms: Tensor, latent: Tensor) -> dict[str, Tensor | float]:
        """Log-likelihood, divergence, and number of active latent units (Burda et al. 2016, arXiv:1509.00519)."""
        active = int((latent.var(0) > ACTIVE).sum()) if len(latent) > 1 else self.latent
        divergence = terms[:, 2:].sum(1).mean()
        return {"log_likelihood": -terms[:, 1].mean(), "divergence": divergence, "active_units": float(active)}

    def on_train_end(self) -> None:
        """Warn of posterior collapse."""
        super().on_train_end()
        active = self.trainer.callback_metrics.get("validation_active_units")
        if active is not None and active < self.latent:
            log.warning(
                "%d of %d latent units are active (posterior collapse: the means of the others hardly vary between "
                "samples); for more active units lower beta or latent, or set warm_up or free_bits",
                int(active),
                self.latent,
            )

    def raw_predictions(self, x: Tensor) -> Tensor:
        """Reconstruction error and mu, then the raw outputs of the head: ``(batch, 1 + latent + head)``."""
        raw = super().raw_predictions(x)
        return torch.cat([raw, self.head(raw[:, 1:])], 1) if self.supervision else raw

    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """A table with the predictions of the head, if any, then ``reconstruction_error`` and ``latent_0``, ..."""
        frame = super().prediction_frame(raw, index)
        if not self.supervision:
            return frame
        return self.target_head.prediction_frame(raw[:, 1 + self.latent :], index).join(frame)

    @torch.inference_mode()
    def log_likelihood(self, frame: RawSamples, samples: int = 100, seed: int = 0) -> pd.Series:
        """Importance-weighted log-likelihood of each sample, in nats (Burda et al. 2016, arXiv:1509.00519).

        Args:
            frame: As for `predict`.
            samples: Number of draws of z; with more draws the lower bound approaches the true log-likelihood.
            seed: Seed of the draws.

        Returns:
            One value per sample; for numbers the log-density of the standardised values.
        """
        x, index = self.raw(frame)
        generator = torch.Generator(self.device).manual_seed(seed)
        was, _ = self.training, self.eval()
        parts = [
            self.importance_weighted(x[rows].to(self.device), samples, generator)
            for rows in torch.arange(len(x)).split(self.rows_at_once)
        ]
        self.train(was)
        return pd.Series(torch.cat(parts).cpu().numpy(), index, name="log_likelihood")

    def importance_weighted(self, x: Tensor, samples: int, generator: torch.Generator | None = None) -> Tensor:
        """Importance-weighted log-likelihood of raw values, see `log_likelihood`: ``(batch,)``."""
        check_range("samples", samples, 1)
        encoded = self.encode(x)
        content, covariates = self.split(encoded)
        mean, log_variance = self.posterior(encoded)
        observed = self.encode.observed(x)
        total = mean.new_full((len(x),), -torch.inf)
        for _ in range(samples):
            noise = torch.randn(mean.shape, device=mean.device, generator=generator)
            z = mean + noise * (log_variance / 2).exp()
            log_ratio = ((noise.square() + log_variance - z.square()) / 2).sum(1)  # log prior - log posterior
            log_prob = self.likelihood.log_prob(self.output(z, covariates), x, content, observed)
            total = torch.logaddexp(total, log_prob + log_ratio)
        return total - math.log(samples)

    @torch.inference_mode()
    def sample(self, n: int, seed: int = 0, covariates: dict[str, Any] | None = None) -> pd.DataFrame | np.ndarray:
        """Generated samples: z from a standard normal distribution, then a draw from the likelihood.

        Args:
            n: Number of samples.
            seed: Seed of both draws.
            covariates: Values by name, such as ``{"batch": "b1"}``. For other covariates levels are drawn by their
                share of the training samples, and numbers are at their mean.

        Returns:
            A table of the features (counts for expression, letters for DNA), or an array of series or images.
        """
        check_range("n", n, 1)
        was, _ = self.training, self.eval()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            z = torch.randn(n, self.latent, device=self.device)
            conditions = self.conditions(covariates or {}, n, draw=True)
            generated = self.likelihood.draw(self.output(z, conditions), self.encode)
        self.train(was)
        return from_tensor(generated, modality_of(self.spec), pd.RangeIndex(1, n + 1, name="sample"))

"""Autoencoder: plain, tied, denoising or sparse."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...errors import InputError, check_choice, check_range
from ..base import Batch
from .base import Unsupervised


class Autoencoder(Unsupervised):
    """Autoencoder (Hinton and Salakhutdinov 2006, doi:10.1126/science.1127647).

    The loss is the reconstruction error, by default the mean squared error of the standardised values. With
    ``activation: linear`` and ``tied: true`` the latent space spans the subspace of principal component analysis
    (Bourlard and Kamp 1988, doi:10.1007/BF00332918).

    Args:
        tied: The decoder has the transposed weights of the encoder, and biases of its own.
        noise: Corruption of the training batches, which a denoising autoencoder (Vincent et al. 2008,
            doi:10.1145/1390156.1390294) learns to remove: ``"masking"`` sets values to zero, the mean; ``"gaussian"``
            adds Gaussian noise.
        noise_level: Share of masked values, or standard deviation of the Gaussian noise on standardised values.
        sparsity: Weight of the L1 penalty on the latent values (their mean absolute value), which favours values near
            zero.
        **shared: Arguments of `Unsupervised` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, *content)``, the reconstructed encoded samples
    """

    def __init__(
        self,
        tied: bool = False,
        noise: Literal["none", "masking", "gaussian"] = "none",
        noise_level: float = 0.2,
        sparsity: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_choice("noise", noise, ["none", "masking", "gaussian"])
        check_range("noise_level", noise_level, 0, 1 if noise == "masking" else math.inf)
        check_range("sparsity", sparsity, 0)
        if tied and (self.encode.covariates or self.likelihood.maps > 1):
            raise InputError("tied weights work neither with covariates nor with two outputs per value; leave out tied")
        self.noise, self.noise_level, self.sparsity = noise, noise_level, sparsity
        self.body = self.coder.encoder()
        self.body.add_module("latent", nn.Linear(self.coder.width, self.latent))
        self.decoder = self.coder.decoder(self.latent, self.likelihood.maps, self.body if tied else None)

    def loss(self, batch: Batch) -> Tensor:
        """Mean reconstruction error of the original samples, from samples with noise if there is any."""
        x = batch["x"]
        encoded = self.encode(x)
        content, covariates = self.split(encoded)
        z = self.body(self._noisy(encoded))
        errors = self.likelihood.error(self.output(z, covariates), x, content, self.encode.observed(x))
        return errors.mean() + self.sparsity * z.abs().mean() if self.sparsity else errors.mean()

    def _noisy(self, encoded: Tensor) -> Tensor:
        """Adds noise to the content; covariates are unchanged."""
        if self.noise == "none":
            return encoded
        content, covariates = self.split(encoded)
        if self.noise == "masking":
            content = content * (torch.rand_like(content) >= self.noise_level)
        else:
            content = content + self.noise_level * torch.randn_like(content)
        return content if covariates is None else torch.cat([content, covariates], 1)

    def terms(self, x: Tensor, step: int) -> Tensor:
        """Reconstruction error of each sample without noise, ``(batch, 1)``."""
        content, covariates = self.split(encoded := self.encode(x))
        output = self.output(self.body(encoded), covariates)
        return self.likelihood.error(output, x, content, self.encode.observed(x)).unsqueeze(1)

    def epoch_metrics(self, terms: Tensor, latent: Tensor) -> dict[str, Tensor | float]:
        """No metrics besides the loss."""
        return {}

"""CustOmics: mixed fusion of several omics in two phases."""

from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...encode.joint import JointEncoder
from ...errors import InputError, check_choice, check_range, suggest
from ...spec import Target
from ...training.cox import breslow
from ...training.tasks import TargetHead, task_of
from ...training.tasks.survival import Survival
from ..base import Batch
from ..layers import BatchNorm, Normalisation
from .base import Fusion

SLOPE = 0.2  # of the leaky rectifiers
TWICE = 0.19  # 1 - 0.9^2: in the package a batch normalisation processes each batch twice with momentum 0.1
NORMS = {"batch": BatchNorm, "layer": nn.LayerNorm, "none": nn.Identity}


def blocks(
    sizes: list[int], dropout: float, normalisation: Normalisation, published: bool = False, every: bool = False
) -> nn.Sequential:
    """Linear layers with normalisation and leaky ReLU, then a linear output layer.

    Args:
        sizes: Width of the input, of each hidden layer, and of the output.
        dropout: Dropout rate; the published network has dropout before the activation of every second layer.
        normalisation: none, batch or layer.
        published: Build the layers as the authors' package does.
        every: Dropout in every layer also of the published network.

    Shape:
        ``(batch, sizes[0]) -> (batch, sizes[-1])``
    """
    layers = nn.Sequential()
    for number, (below, above) in enumerate(pairwise(sizes[:-1]), 1):
        layers.add_module(f"linear{number}", nn.Linear(below, above))
        layers.add_module(f"norm{number}", NORMS[normalisation](above) if normalisation != "none" else nn.Identity())
        after: list[tuple[str, nn.Module]] = [("leaky_relu", nn.LeakyReLU(SLOPE))]
        if dropout and (every or not published or number % 2):
            after.insert(0 if published else 1, ("dropout", nn.Dropout(dropout)))
        for name, layer in after:
            layers.add_module(f"{name}{number}", layer)
    layers.add_module("output", nn.Linear(sizes[-2], sizes[-1]))
    return layers


def published_survival_head(sizes: list[int], dropout: float) -> nn.Sequential:
    """Linear layers with batch normalisation and SELU, also at the output, so that risks are at least -1.76."""
    layers = nn.Sequential()
    for number, (below, above) in enumerate(pairwise(sizes), 1):
        if dropout and number > 1:
            layers.add_module(f"dropout{number}", nn.Dropout(dropout))
        layers.add_module(f"linear{number}", nn.Linear(below, above))
        layers.add_module(f"norm{number}", BatchNorm(above))
        layers.add_module(f"selu{number}", nn.SELU())
    return layers


class Integration(nn.Module):
    """Autoencoders of the modalities and a central VAE: from encoded modalities to the central means.

    Args:
        encode: The encoding of the modalities.
        hidden: Width of each hidden layer of an encoder; decoders have them in reverse order.
        latents: Width of the latent space of each modality.
        central_hidden: Width of each hidden layer of the central encoder; its decoder has them in reverse order.
        central: Width of the central latent space.
        dropout: See `blocks`.
        normalisation: See `blocks`.
        published: Build the network as the authors' package does; its central decoder ends in a sigmoid.

    Attributes:
        encoders: Encoder of each modality.
        decoders: Decoder of each modality.
        absent: Trained vector that replaces the latent coordinates of each modality where it is missing.
        central_encoder: Central encoder, whose input are the concatenated latent spaces of the modalities.
        mean: Output layer for the means of the central latent space.
        log_variance: Output layer for the logarithms of its variances.
        central_decoder: From the central latent space back to the concatenated latent spaces.

    Shape:
        ``(batch, encoded) -> (batch, central)``
    """

    def __init__(
        self,
        encode: JointEncoder,
        hidden: list[int],
        latents: dict[str, int],
        central_hidden: list[int],
        central: int,
        dropout: float,
        normalisation: Normalisation,
        published: bool,
    ) -> None:
        super().__init__()
        self.places, total = encode.places, sum(latents.values())
        options = dropout, normalisation, published
        widths = {name: place.stop - place.start for name, place in encode.places.items()}
        sizes = {name: [widths[name], *hidden, latents[name]] for name in widths}
        self.encoders = nn.ModuleDict({name: blocks(layers, *options) for name, layers in sizes.items()})
        self.decoders = nn.ModuleDict({name: blocks(layers[::-1], *options) for name, layers in sizes.items()})
        self.absent = nn.ParameterList([torch.zeros(latents[name]) for name in widths])
        # The last linear layer outputs the mean; the layer of the variance shares the hidden layers.
        self.central_encoder = blocks([total, *central_hidden, central], *options)
        self.mean = self.central_encoder.get_submodule("output")
        self.central_encoder.output = nn.Identity()
        below = central_hidden[-1] if central_hidden else total
        self.log_variance = nn.Linear(below, central)
        self.central_decoder = blocks([central, *central_hidden[::-1], total], *options)
        if published:
            self.central_decoder.add_module("sigmoid", nn.Sigmoid())
            for part in (self.encoders, self.decoders, self.central_encoder):
                for layer in part.modules():
                    if isinstance(layer, BatchNorm):
                        layer.momentum = TWICE

    def latents(self, encoded: Tensor) -> dict[str, Tensor]:
        """Latent coordinates by modality, ``(batch, width)``; meaningless for samples without the modality."""
        return {name: encoder(encoded[:, self.places[name]]) for name, encoder in self.encoders.items()}

    def concatenate(self, latents: dict[str, Tensor], measured: Tensor) -> Tensor:
        """Concatenated latent coordinates, with trained vectors for missing modalities: ``(batch, total)``."""
        parts = [
            torch.where(measured[:, number, None] > 0, z, self.absent[number])
            for number, z in enumerate(latents.values())
        ]
        return torch.cat(parts, 1)

    def posterior(self, concatenated: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the central latent space, ``(batch, central)`` each."""
        hidden = self.central_encoder(concatenated)
        return self.mean(hidden), self.log_variance(hidden).clamp(-20, 20)

    def forward(self, encoded: Tensor) -> Tensor:
        """The means of the central latent space."""
        return self.posterior(self.concatenate(self.latents(encoded), encoded[:, -len(self.encoders) :]))[0]


def kullback_leibler(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence from a standard normal distribution in nats, a mean over samples."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2


def maximum_mean_discrepancy(z: Tensor, published: bool = False) -> Tensor:
    """Squared maximum mean discrepancy from as many samples of a standard normal distribution (Gretton et al. 2012).

    The kernel is the inverse multiquadratic one of Tolstikhin et al. (2018, arXiv:1711.01558), c / (c + d^2) with c
    twice the number of dimensions. The kernel of the authors' package, exp(-mean(diff^2) / dimensions), is so wide that
    it hardly distinguishes a collapsed latent space from the prior.

    Args:
        z: Samples, ``shape=(batch, dimensions)``.
        published: Use the kernel of the package.
    """
    prior, width = torch.randn_like(z), z.shape[1]

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        # Not torch.cdist: the gradient of a distance is undefined where it is 0.
        squares = (a[:, None] - b[None]).square().sum(2)
        return (-squares / width**2).exp() if published else 2 * width / (2 * width + squares)

    return kernel(prior, prior).mean() + kernel(z, z).mean() - 2 * kernel(prior, z).mean()


class CustOmics(Fusion):
    """CustOmics (Benkirane et al. 2023, doi:10.1371/journal.pcbi.1010921): mixed fusion.

    Each modality has an autoencoder; the input of a central variational autoencoder are their latent spaces. In the
    first phase each autoencoder is trained separately to reconstruct its modality and to predict the targets from its
    latent space. In the second phase all are trained jointly to predict from the means of the central latent space,
    from which all predictions are made.

    ``variant="published"`` has the network and the loss of the authors' package (0.1.1), with Adam, for comparison.
    ``"corrected"`` differs from it as follows: the divergence is effective; latent spaces may have any width; outputs
    of unbounded values are linear; normalisation is by layer, so that a batch may be one sample; the targets of the
    central reconstruction are detached, so that latent spaces do not shrink to lower its error; every latent space has
    heads in both phases; the central network is trained from the first epoch (in the first phase without gradients into
    the latent spaces), so that every epoch can be validated; and samples may lack modalities.

    Args:
        variant: corrected or published.
        switch_epoch: First epoch of the second phase.
        latent: Width of the latent spaces of the modalities, one for all or by name; latent spaces of another width
            than the central one are projected before the heads.
        central: Width of the central latent space.
        hidden: Width of each hidden layer of the encoders; decoders have them in reverse order.
        central_hidden: Width of each hidden layer of the central encoder; its decoder has them in reverse order.
        classifier: Width of each hidden layer of the heads of classes and continuous targets.
        survival_head: Width of each hidden layer of the heads of survival times.
        dropout: Dropout rate.
        normalisation: batch, layer or none; the published network has batch normalisation.
        divergence: Divergence of the central latent space from a standard normal distribution: ``mmd`` or ``kl``.
        beta: Weight of the divergence.
        target_weight: Weight of the loss of the first target relative to the reconstructions.
        **shared: Arguments of `Fusion`, `Supervised` and `Model`.

    Shape:
        ``{name: (batch, *shape)} -> (batch, 1 or classes)``
    """

    body: Integration

    def __init__(
        self,
        variant: Literal["corrected", "published"] = "corrected",
        switch_epoch: int = 10,
        latent: int | dict[str, int] = 128,
        central: int = 128,
        hidden: list[int] = [512, 256],  # noqa: B006 (never changed; shown by --help)
        central_hidden: list[int] = [512, 256],  # noqa: B006
        classifier: list[int] = [128, 64],  # noqa: B006
        survival_head: list[int] = [64, 32],  # noqa: B006
        dropout: float = 0.2,
        normalisation: Normalisation = "layer",
        divergence: Literal["kl", "mmd"] = "mmd",
        beta: float = 1.0,
        target_weight: float = 5.0,
        **shared: Any,
    ) -> None:
        check_choice("variant", variant, ["corrected", "published"])
        check_choice("divergence", divergence, ["kl", "mmd"])
        check_choice("normalisation", normalisation, ["none", "batch", "layer"])
        check_range("switch_epoch", switch_epoch, 0)
        check_range("dropout", dropout, 0, 0.99)
        check_range("beta", beta, 0)
        self.published = variant == "published"
        if self.published:
            shared |= {"optimizer": "adam", "weight_decay": 0.0, "modality_dropout": 0.0}
            normalisation, divergence = "batch", "mmd"
        super().__init__(target_weight=target_weight, **shared)
        self.switch_epoch, self.divergence, self.beta = switch_epoch, divergence, beta
        self.dropout, self.normalisation = dropout, normalisation
        self.classifier, self.survival_head = classifier, survival_head
        widths = self._widths(latent)
        if self.published and set(widths.values()) != {central}:
            raise InputError(
                "the published variant needs latent spaces of one width: set latent to the value of central"
            )
        self.body = Integration(
            self.encode, hidden, widths, central_hidden, central, dropout, normalisation, self.published
        )
        self.projections = nn.ModuleDict(
            {name: nn.Linear(width, central) for name, width in widths.items() if width != central}
        )
        self.make_heads(central)
        if self.published:
            for head in self.target_heads.values():
                if isinstance(head.task, Survival):
                    head.loss_of_rows = breslow

    def _widths(self, latent: int | dict[str, int]) -> dict[str, int]:
        widths = latent if isinstance(latent, dict) else dict.fromkeys(self.names, latent)
        for name in widths:
            if name not in self.names:
                raise InputError(f"latent: the data have no modality {name!r}; {suggest(name, self.names)}")
        if absent := [name for name in self.names if name not in widths]:
            raise InputError(f"latent: no width for {absent[0]}")
        for name, width in widths.items():
            check_range(f"latent of {name}", width, 1)
        return {name: widths[name] for name in self.names}

    def new_head(self, width: int, target: Target) -> nn.Module:
        """A new head for one target; all latent spaces share it."""
        survival = isinstance(task := task_of(target), Survival)
        sizes = [width, *(self.survival_head if survival else self.classifier), task.width(target)]
        if survival and self.published:
            return published_survival_head(sizes, self.dropout)
        return blocks(sizes, self.dropout, self.normalisation, self.published, every=True)

    def loss(self, batch: Batch) -> Tensor:
        """Loss of the current phase: reconstructions, targets, and the central autoencoder."""
        encoded = self.encode(batch["x"])
        measured, second = self.encode.measured(encoded), self.current_epoch >= self.switch_epoch
        latents = self.body.latents(encoded)
        total = self._reconstruction(encoded, latents, measured)
        if not second or not self.published:
            losses = torch.stack(self._target_losses(latents, measured, batch))
            total = total + (losses.sum() if self.published else losses.mean())
        if second or not self.published:
            inputs = latents if second else {name: z.detach() for name, z in latents.items()}
            central, mean = self._central(self.body.concatenate(inputs, self.retained(measured)))
            total = total + central + self.loss_of(mean, batch)
        return total

    def _reconstruction(self, encoded: Tensor, latents: dict[str, Tensor], measured: Tensor) -> Tensor:
        """Mean squared error of each modality over its samples and features, summed over modalities."""
        total = encoded.new_zeros(())
        for number, (name, z) in enumerate(latents.items()):
            if (rows := measured[:, number] > 0).any():
                reconstructed = self.body.decoders[name](z[rows])
                total = total + F.mse_loss(reconstructed, encoded[rows, self.encode.places[name]])
        return total

    def _target_losses(self, latents: dict[str, Tensor], measured: Tensor, batch: Batch) -> list[Tensor]:
        """Loss of the targets predicted from the latent space of each modality."""
        losses = []
        for number, (name, z) in enumerate(latents.items()):
            if (rows := measured[:, number] > 0).any():
                z = self.projections[name](z[rows]) if name in self.projections else z[rows]
                measured_rows = {key: values[rows] for key, values in batch.items() if key != "x"}
                losses.append(self.loss_of(z, measured_rows))
        return losses

    def _central(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of the central autoencoder for concatenated latent coordinates, and the central means."""
        mean, log_variance = self.body.posterior(latents)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        reconstructed = self.body.central_decoder(z)
        if self.published:
            return F.mse_loss(reconstructed, latents) + self.beta * maximum_mean_discrepancy(z, published=True), mean
        error = F.mse_loss(reconstructed, latents.detach())
        if self.divergence == "mmd":
            return error + self.beta * maximum_mean_discrepancy(z), mean
        # The evidence lower bound divided by the number of reconstructed values, as the mean squared error is.
        return error + 2 * self.beta * kullback_leibler(mean, log_variance) / latents.shape[1], mean

    def loss_of_target(self, head: TargetHead, output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """As in `Fusion`; the published Cox loss is divided by the number of samples, not of events."""
        loss = super().loss_of_target(head, output, y, weight)
        if self.published and self.training and isinstance(head.task, Survival):
            return loss * y[:, 1].nan_to_num().mean()
        return loss

"""The network of CustOmics: an autoencoder a modality, and a central variational one on top of their latent spaces."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from ..encode.joint import JointEncoder
from .coder import Normalisation
from .mlp import BatchNorm

SLOPE = 0.2  # of the leaky rectifiers
TWICE = 0.19  # momentum of a batch normalisation that sees each batch twice in the package: 1 - 0.9^2
NORMS = {"batch": BatchNorm, "layer": nn.LayerNorm, "none": nn.Identity}


def blocks(
    sizes: list[int], dropout: float, normalisation: Normalisation, published: bool = False, every: bool = False
) -> nn.Sequential:
    """Linear layers with normalisation and leaky rectifiers; the last one is linear.

    Args:
        sizes: Width of the input, of each hidden layer, and of the output.
        dropout: Share of silenced units, in the published network of every second block, before the rectifier.
        normalisation: none, batch or layer.
        published: As the package does it.
        every: Dropout in every block of the published network too.

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
    """Linear, batch normalisation and SELU, on the output too, so that no risk is below -1.76."""
    layers = nn.Sequential()
    for number, (below, above) in enumerate(pairwise(sizes), 1):
        if dropout and number > 1:
            layers.add_module(f"dropout{number}", nn.Dropout(dropout))
        layers.add_module(f"linear{number}", nn.Linear(below, above))
        layers.add_module(f"norm{number}", BatchNorm(above))
        layers.add_module(f"selu{number}", nn.SELU())
    return layers


class Integration(nn.Module):
    """From encoded modalities to the means of the central latent space.

    Args:
        encode: The encoding of the modalities.
        hidden: Width of each hidden layer of an encoder; decoders have them in opposite order.
        latents: Width of the latent space of each modality.
        central_hidden: The same of the central autoencoder.
        central: Width of the central latent space.
        dropout: See `blocks`.
        normalisation: See `blocks`.
        published: As the package does it: the central decoder ends in a sigmoid.

    Attributes:
        encoders: Of each modality.
        decoders: Of each modality.
        central_encoder: From the latent spaces side by side.
        mean: To the means of the central latent space.
        log_variance: To the logarithms of its variances.
        central_decoder: Back to the latent spaces side by side.

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
        self.encoders = nn.ModuleDict({name: blocks(some, *options) for name, some in sizes.items()})
        self.decoders = nn.ModuleDict({name: blocks(some[::-1], *options) for name, some in sizes.items()})
        self.absent = nn.ParameterList([torch.zeros(latents[name]) for name in widths])
        # The last linear layer of these blocks gives the mean; the variance shares what is below.
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
        """Latent space of each modality, ``(batch, width)``; of samples that lack it, it means nothing."""
        return {name: encoder(encoded[:, self.places[name]]) for name, encoder in self.encoders.items()}

    def together(self, latents: dict[str, Tensor], measured: Tensor) -> Tensor:
        """Latent spaces side by side, what is learnt for a modality that is absent in its place: ``(batch, total)``."""
        parts = [
            torch.where(measured[:, number, None] > 0, z, self.absent[number])
            for number, z in enumerate(latents.values())
        ]
        return torch.cat(parts, 1)

    def posterior(self, together: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the central latent space, ``(batch, central)`` each."""
        hidden = self.central_encoder(together)
        return self.mean(hidden), self.log_variance(hidden).clamp(-20, 20)

    def forward(self, encoded: Tensor) -> Tensor:
        """The means."""
        return self.posterior(self.together(self.latents(encoded), encoded[:, -len(self.encoders) :]))[0]


def kullback_leibler(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence from a standard normal distribution in nats, a mean over samples."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2


def maximum_mean_discrepancy(z: Tensor, published: bool = False) -> Tensor:
    """Squared distance between samples and as many of a standard normal distribution (Gretton et al. 2012).

    The kernel is the inverse multiquadratic one of Tolstikhin et al. (2018, arXiv:1711.01558), c / (c + d^2) with c
    twice the number of dimensions. That of the package, exp(-mean(diff^2) / dimensions), is so wide that it hardly
    tells a collapsed latent space from the prior.

    Args:
        z: ``shape=(batch, dimensions)``.
        published: The kernel of the package.
    """
    prior, width = torch.randn_like(z), z.shape[1]

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        # Squares by hand: the gradient of a distance has no value where it is 0.
        squares = (a[:, None] - b[None]).square().sum(2)
        return (-squares / width**2).exp() if published else 2 * width / (2 * width + squares)

    return kernel(prior, prior).mean() + kernel(z, z).mean() - 2 * kernel(prior, z).mean()

"""Segmentation with adversarial losses of discriminators that distinguish true masks from predicted ones."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import InputError, check_range
from ...training.segmentation import one_hot
from ..base import Batch
from ..predict.segmenter import Segmenter
from .base import Adversarial
from .patch_discriminator import ImageDiscriminator, PatchDiscriminator

WIDER = 2  # hidden units of a mixing layer per input
CERTAIN = 40.0  # a raw output with probability 1 in single precision


class Mixing(nn.Module):
    """A mixer block: a dense network over the pixels of each channel, then over the channels of each pixel.

    From MLP-Mixer (Tolstikhin et al. 2021, arXiv:2105.01601), used between the convolutions of a generator as in
    MLP-GAN (Xie et al. 2022, arXiv:2207.08134). Maps must have a fixed size, the width of the dense layers over pixels.

    Args:
        channels: Number of channels of the map.
        size: Its ``(*spatial)`` size, in pixels.

    Shape:
        ``(batch, channels, *size) -> (batch, channels, *size)``
    """

    def __init__(self, channels: int, size: Sequence[int]) -> None:
        super().__init__()
        self.space_norm, self.space = nn.LayerNorm(channels), _dense(prod(size))
        self.channel_norm, self.channel = nn.LayerNorm(channels), _dense(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Mix pixels, then channels, each with a residual connection."""
        pixels: Tensor = x.flatten(2).transpose(1, 2)
        pixels = pixels + self.space(self.space_norm(pixels).transpose(1, 2)).transpose(1, 2)
        pixels = pixels + self.channel(self.channel_norm(pixels))
        return pixels.transpose(1, 2).view_as(x)


def _dense(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, WIDER * width), nn.GELU(), nn.Linear(WIDER * width, width))


class SegmentationGAN(Adversarial, Segmenter):
    """A `Segmenter` as generator of masks, with discriminators of an image together with its mask.

    After Tjio et al. (2019, doi:10.1007/978-3-030-32956-3_18) on thin vessels of the retina: one discriminator scores
    the whole image, one its patches, and one the edges of the mask, which make up most of a thin vessel. They
    distinguish true masks (0 or 1) from predicted probabilities. The loss of the generator is that of the `Segmenter`
    plus the weighted adversarial losses. With all weights 0 the model is equal to the `Segmenter`.

    Args:
        image_weight: Weight of the discriminator of the whole image in the loss of the generator.
        patch_weight: Weight of the discriminator of patches.
        edge_weight: Weight of the discriminator of patches of the edge map, see `edges`.
        patch_layers: Depth of both discriminators of patches: the receptive field of a score is 16 pixels per side with
            one layer, 34 with two, 70 with three.
        discriminator_filters: Number of filters of the first layer of each discriminator.
        mixing: Number of `Mixing` blocks at the deepest level of the generator (Xie et al. 2022, arXiv:2207.08134).
        **shared: Arguments of `Adversarial`, `Segmenter` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes, *spatial)``

    Raises:
        InputError: As `Segmenter`; images too small for the discriminators.
    """

    discriminator: nn.ModuleDict

    def __init__(
        self,
        image_weight: float = 0.01,
        patch_weight: float = 0.01,
        edge_weight: float = 0.01,
        patch_layers: int = 2,
        discriminator_filters: int = 16,
        mixing: int = 0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        weights = {"image": image_weight, "patch": patch_weight, "edge": edge_weight}
        for name, weight in weights.items():
            check_range(f"{name}_weight", weight, 0)
        check_range("mixing", mixing, 0)
        if self.average:
            raise InputError("average is for models that generate samples; leave it out for SegmentationGAN")
        if self.gradient_penalty:
            raise InputError("gradient_penalty is not defined for masks; leave it out for SegmentationGAN")
        channels, *size = self.encode.out_shape
        deepest = [-(-length // 2 ** len(self.body.levels)) for length in size]
        for number in range(1, mixing + 1):
            self.body.bottleneck.add_module(f"mixing{number}", Mixing(self.hparams["filters"][-1], deepest))
        used = {name: weight for name, weight in weights.items() if weight} or {"image": 0.0}
        self.weights, inputs = list(used.values()), channels + self.target_head.width
        self.discriminator = nn.ModuleDict()
        with torch.random.fork_rng([]):  # later random draws are the same as without discriminators
            for name in used:
                if name == "image":
                    self.discriminator[name] = ImageDiscriminator(inputs, size, discriminator_filters)
                else:
                    self.discriminator[name] = PatchDiscriminator(inputs, size, discriminator_filters, patch_layers)

    def generate(self, batch: Batch) -> Tensor:
        """Raw outputs of the `Segmenter`: ``(batch, maps, *spatial)``."""
        return self(batch["x"])  # type: ignore[no-any-return]

    def real(self, batch: Batch) -> Tensor:
        """Raw outputs with probability 1 for the true mask."""
        classes = len(self.target["classes"])
        truth = one_hot(batch["y"], classes)[:, 1 if classes == 2 else 0 :]
        return (2.0 * truth - 1) * CERTAIN

    def discriminate(self, sample: Tensor, batch: Batch) -> list[Tensor]:
        """Scores of each discriminator for the encoded image together with the probabilities of raw outputs."""
        image, mask = self.encode(batch["x"]), sample.sigmoid() if sample.shape[1] == 1 else sample.softmax(1)
        return [
            network(torch.cat([image, edges(mask) if name == "edge" else mask], 1))
            for name, network in self.discriminator.items()
        ]

    def generator_terms(self, batch: Batch, generated: Tensor) -> Tensor:
        """The loss of the `Segmenter`."""
        return self.target_head.loss(generated, batch["y"]).mean()

    def every_layer(self, x: Tensor) -> Any:
        """Discriminator scores of predicted masks."""
        return self.discriminate(self.generate({"x": x}), {"x": x})


def edges(mask: Tensor) -> Tensor:
    """Magnitude of the gradient of each map, by central differences; maps are padded with their border values.

    Shape:
        ``(batch, maps, *spatial) -> (batch, maps, *spatial)``
    """
    squares = torch.zeros_like(mask)
    for axis in range(2, mask.ndim):
        length = mask.shape[axis]
        first, last = mask.narrow(axis, 0, 1), mask.narrow(axis, length - 1, 1)
        longer = torch.cat([first, mask, last], axis)
        squares = squares + (longer.narrow(axis, 2, length) - longer.narrow(axis, 0, length)).square()
    return (squares + 1e-6).sqrt()  # the derivative of a square root is infinite at 0

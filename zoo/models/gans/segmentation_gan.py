"""Segmentation that is also judged by networks that tell a drawn mask from a predicted one."""

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

WIDER = 2  # hidden units of a dense layer for each value that it mixes
CERTAIN = 40.0  # a raw output whose probability is 1 in single precision


class Mixing(nn.Module):
    """Every pixel of a map hears of every other one, then every channel of every other one.

    MLP-Mixer (Tolstikhin et al. 2021, arXiv:2105.01601), as the generator of MLP-GAN has it between its convolutions
    (Xie et al. 2022, arXiv:2207.08134). Dense layers over the pixels take maps of one size only.

    Args:
        channels: Of the map.
        size: Its ``(*spatial)``, in pixels.

    Shape:
        ``(batch, channels, *size) -> (batch, channels, *size)``
    """

    def __init__(self, channels: int, size: Sequence[int]) -> None:
        super().__init__()
        self.space_norm, self.space = nn.LayerNorm(channels), _dense(prod(size))
        self.channel_norm, self.channel = nn.LayerNorm(channels), _dense(channels)

    def forward(self, x: Tensor) -> Tensor:
        """What is mixed is added to the map."""
        pixels: Tensor = x.flatten(2).transpose(1, 2)
        pixels = pixels + self.space(self.space_norm(pixels).transpose(1, 2)).transpose(1, 2)
        pixels = pixels + self.channel(self.channel_norm(pixels))
        return pixels.transpose(1, 2).view_as(x)


def _dense(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, WIDER * width), nn.GELU(), nn.Linear(WIDER * width, width))


class SegmentationGAN(Adversarial, Segmenter):
    """The `Segmenter` as generator of masks, with discriminators that see an image with a mask.

    After Tjio et al. (2019, doi:10.1007/978-3-030-32956-3_18), who segment thin vessels of the retina: one
    discriminator judges the image as a whole, one its patches, and one the edges of the mask, which are most of what
    there is of a thin vessel. They tell the true mask (0 or 1) from predicted probabilities; the generator's loss is
    that of the `Segmenter` and the weighted terms of the discriminators. With all weights 0 it is the `Segmenter`.

    Args:
        image_weight: Of the discriminator of the whole image in the generator's loss.
        patch_weight: Of the discriminator of patches.
        edge_weight: Of the discriminator of patches of the edge map, see `edges`.
        patch_layers: Depth of both discriminators of patches: a score sees 16 pixels a side with one layer, 34 with
            two, 70 with three.
        discriminator_filters: Of the first layer of each discriminator.
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
            raise InputError("average is for models that make samples; SegmentationGAN predicts with what it trains")
        if self.gradient_penalty:
            raise InputError("gradient_penalty needs samples between real and made ones; between two masks are none")
        channels, *size = self.encode.out_shape
        deepest = [-(-length // 2 ** len(self.body.levels)) for length in size]
        for number in range(1, mixing + 1):
            self.body.bottleneck.add_module(f"mixing{number}", Mixing(self.hparams["filters"][-1], deepest))
        used = {name: weight for name, weight in weights.items() if weight} or {"image": 0.0}
        self.weights, seen = list(used.values()), channels + self.target_head.width
        self.discriminator = nn.ModuleDict()
        with torch.random.fork_rng([]):  # what is drawn after them is as without them
            for name in used:
                if name == "image":
                    self.discriminator[name] = ImageDiscriminator(seen, size, discriminator_filters)
                else:
                    self.discriminator[name] = PatchDiscriminator(seen, size, discriminator_filters, patch_layers)

    def generate(self, batch: Batch) -> Tensor:
        """Raw outputs: ``(batch, maps, *spatial)``."""
        return self(batch["x"])  # type: ignore[no-any-return]

    def real(self, batch: Batch) -> Tensor:
        """Raw outputs that mean the true mask, and no doubt."""
        classes = len(self.target["classes"])
        truth = one_hot(batch["y"], classes)[:, 1 if classes == 2 else 0 :]
        return (2.0 * truth - 1) * CERTAIN

    def discriminate(self, sample: Tensor, batch: Batch) -> list[Tensor]:
        """Outputs of each discriminator, which see the encoded image with the probabilities of raw outputs."""
        image, mask = self.encode(batch["x"]), sample.sigmoid() if sample.shape[1] == 1 else sample.softmax(1)
        return [
            network(torch.cat([image, edges(mask) if name == "edge" else mask], 1))
            for name, network in self.discriminator.items()
        ]

    def generator_terms(self, batch: Batch, generated: Tensor) -> Tensor:
        """The loss of the `Segmenter`."""
        return self.target_head.loss(generated, batch["y"]).mean()

    def every_layer(self, x: Tensor) -> Any:
        """A mask made, and judged."""
        return self.discriminate(self.generate({"x": x}), {"x": x})


def edges(mask: Tensor) -> Tensor:
    """Length of the gradient of each map, by central differences; beyond the border it goes on as it ends.

    Shape:
        ``(batch, maps, *spatial) -> (batch, maps, *spatial)``
    """
    squares = torch.zeros_like(mask)
    for axis in range(2, mask.ndim):
        length = mask.shape[axis]
        first, last = mask.narrow(axis, 0, 1), mask.narrow(axis, length - 1, 1)
        longer = torch.cat([first, mask, last], axis)
        squares = squares + (longer.narrow(axis, 2, length) - longer.narrow(axis, 0, length)).square()
    return (squares + 1e-6).sqrt()  # the slope of a square root is not finite at 0

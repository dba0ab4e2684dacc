"""Discriminators of images: one with a score for every patch, and one with a score for the whole image."""

from collections.abc import Sequence

from torch import Tensor, nn

from ...errors import InputError, check_range
from ..layers import LAYERS
from ..predict.segmenter import INSTANCE

SMALLEST = 4  # pixels per side of the last map, over which the mean is taken
SLOPE = 0.2  # negative slope of leaky ReLU


class PatchDiscriminator(nn.Sequential):
    """PatchGAN: a score for every patch of an image, which depends on texture (Isola et al. 2017, arXiv:1611.07004).

    Convolutions with filters of 4 pixels: the first ``layers`` halve the map, two more keep its size. The receptive
    field of a score is 16 x 16 pixels with one layer, 34 x 34 with two, 70 x 70 with three (as published) and
    142 x 142 with four. Normalisation is by instance, so that a score does not depend on other images of the batch.

    Args:
        channels: Number of channels of the input.
        size: Its ``(*spatial)`` size, in pixels.
        filters: Number of filters of the first layer; it doubles with each layer, up to eight times.
        layers: Number of layers that halve the map.

    Shape:
        ``(batch, channels, *size) -> (batch, 1, *patches)``

    Raises:
        InputError: The image is too small for so many layers.
    """

    def __init__(self, channels: int, size: Sequence[int], filters: int, layers: int) -> None:
        check_range("patch_layers", layers, 1)
        check_range("discriminator_filters", filters, 1)
        if min(size) < 3 * 2**layers:
            most = max(0, (min(size) // 3).bit_length() - 1)
            shape = " x ".join(map(str, size))
            raise InputError(
                f"patch_layers {layers} needs images of {3 * 2**layers} pixels, these have {shape}; set it to {most}"
                if most
                else f"a patch discriminator needs images of 6 pixels or more per side, these have {shape}"
            )
        kind, blocks = LAYERS[len(size)]["convolution"], list[nn.Module]()
        for number in range(layers + 1):
            width = filters * 2 ** min(number, 3)
            blocks.append(kind(channels, width, 4, stride=2 if number < layers else 1, padding=1))
            if number:
                blocks.append(INSTANCE[len(size)](width))
            blocks.append(nn.LeakyReLU(SLOPE))
            channels = width
        super().__init__(*blocks, kind(channels, 1, 4, padding=1))
        self.receptive_field = receptive_field(layers)


class ImageDiscriminator(nn.Sequential):
    """One score for an image: convolutions halve the map to 4 pixels per side; a linear layer scores its mean.

    Args:
        channels: Number of channels of the input.
        size: Its ``(*spatial)`` size, in pixels.
        filters: Number of filters of the first layer; it doubles with each layer, up to eight times.

    Shape:
        ``(batch, channels, *size) -> (batch, 1)``
    """

    def __init__(self, channels: int, size: Sequence[int], filters: int) -> None:
        check_range("discriminator_filters", filters, 1)
        kind, blocks, left, number = LAYERS[len(size)]["convolution"], list[nn.Module](), max(size), 0
        while left > SMALLEST or not blocks:
            width = filters * 2 ** min(number, 3)
            blocks += [kind(channels, width, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
            channels, left, number = width, -(-left // 2), number + 1
        super().__init__(*blocks, Mean(), nn.Linear(channels, 1))


class Mean(nn.Module):
    """Mean of each map: ``(batch, channels, *spatial) -> (batch, channels)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Over all pixels."""
        return x.flatten(2).mean(2)


def receptive_field(layers: int) -> int:
    """Side of the receptive field of one score of a `PatchDiscriminator`, in pixels.

    >>> [receptive_field(layers) for layers in (1, 2, 3, 4)]
    [16, 34, 70, 142]
    """
    pixels = 7  # receptive field of the last two convolutions
    for _ in range(layers):
        pixels = 2 * pixels + 2
    return pixels

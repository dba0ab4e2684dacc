"""Discriminators of images: one that judges every patch, and one that judges the image as a whole."""

from collections.abc import Sequence

from torch import Tensor, nn

from ...errors import InputError, check_range
from ..layers import LAYERS
from ..predict.segmenter import INSTANCE

SMALLEST = 4  # pixels a side at which an image counts as a whole
SLOPE = 0.2  # of negative values


class PatchDiscriminator(nn.Sequential):
    """A score for every patch of an image, so that what is judged is texture (Isola et al. 2017, arXiv:1611.07004).

    Convolutions with filters of 4 pixels: the first ``layers`` halve the map, two more keep it. A score sees 16 x 16
    pixels with one layer, 34 x 34 with two, 70 x 70 with three (the published one) and 142 x 142 with four. An image is
    normalised by itself, never by its batch.

    Args:
        channels: Of what is judged.
        size: Its ``(*spatial)``, in pixels.
        filters: Of the first layer; each further one has twice as many, up to eight times.
        layers: How many halve the map.

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
                else f"a patch discriminator needs images of 6 pixels or more a side, these have {shape}"
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
    """One score for an image: convolutions halve it until 4 pixels a side are left, whose mean is scored.

    Args:
        channels: Of what is judged.
        size: Its ``(*spatial)``, in pixels.
        filters: Of the first layer; each further one has twice as many, up to eight times.

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
    """Pixels a side that one score of a `PatchDiscriminator` sees.

    >>> [receptive_field(layers) for layers in (1, 2, 3, 4)]
    [16, 34, 70, 142]
    """
    pixels = 7  # of the last two convolutions
    for _ in range(layers):
        pixels = 2 * pixels + 2
    return pixels

"""Deep convolutional generative adversarial network for small images."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import InputError, check_range
from ..layers import BatchNorm2d, by
from .generative import Projection
from .image_gan import ImageGAN, Within

EMBEDDING = 16  # dimensions of the class embedding of the generator
DEVIATION = 0.02  # standard deviation of the initial weights of the generator (Radford et al. 2015)


class Transposed(nn.Module):
    """DCGAN generator: noise and class to encoded images; each transposed convolution doubles the size.

    Args:
        noise: Number of noise dimensions.
        classes: Number of classes; 0 for none.
        shape: Shape of an image, ``(channels, height, width)``.
        filters: Number of filters of each map, the coarsest first.
        sizes: Height and width of each map, and of the image.

    Shape:
        ``(batch, noise), (batch,) -> (batch, *shape)``
    """

    def __init__(
        self, noise: int, classes: int, shape: tuple[int, ...], filters: list[int], sizes: list[list[int]]
    ) -> None:
        super().__init__()
        self.classes = nn.Embedding(classes, EMBEDDING) if classes else None
        height, width = sizes[0]
        self.start = nn.Linear(noise + (EMBEDDING if classes else 0), filters[0] * height * width)
        self.unflatten = nn.Unflatten(1, (filters[0], height, width))
        self.maps = nn.ModuleList(nn.Sequential(BatchNorm2d(count), nn.ReLU()) for count in filters)
        self.larger = nn.ModuleList(
            nn.ConvTranspose2d(below, count, 4, 2, 1) for below, count in pairwise([*filters, shape[0]])
        )
        self.sizes, self.within = sizes[1:], Within(shape[0])
        for layer in (self.start, *self.larger):
            nn.init.normal_(layer.weight, std=DEVIATION)

    def forward(self, noise: Tensor, label: Tensor | None) -> Tensor:
        """Generate images; ``label`` is None without classes."""
        if self.classes is not None:
            noise = torch.cat([noise, self.classes(label)], 1)
        x = self.unflatten(self.start(noise))
        for norm, convolution, (height, width) in zip(self.maps, self.larger, self.sizes, strict=True):
            x = convolution(norm(x))[:, :, :height, :width]  # an odd size is one less than twice the half
        return self.within(x)  # type: ignore[no-any-return]


class DCGAN(ImageGAN):
    """Deep convolutional GAN (Radford et al. 2015, arXiv:1511.06434) of small images, conditional on their class.

    As in the paper, the generator upsamples noise by transposed convolutions with batch normalisation and ReLU, and the
    discriminator downsamples images by convolutions of stride 2 with leaky ReLU, without pooling. Unlike in the paper,
    the class enters the generator through an embedding concatenated to the noise and the discriminator through a
    `Projection`, and the discriminator has no normalisation: a ``gradient_penalty`` below 1 regularises it. (Spectral
    normalisation gave worse results on the digits.) Generated values stay in the range of the training images.

    Args:
        filters: Number of filters of the generator's maps, the coarsest first; the discriminator has them in reverse
            order. Each convolution halves height and width, rounded up: images may have any size.
        **shared: Arguments of `ImageGAN`, `Generative`, `Adversarial` and `Model`.

    Raises:
        InputError: The samples are not images, or too small for the number of filters.

    Shape:
        ``(batch, channels, height, width) -> (batch, 1)``, the score of the discriminator
    """

    def __init__(
        self,
        filters: list[int] = [128, 64],  # noqa: B006 (never changed; shown by --help)
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_range("number of filters", min(filters, default=0), 1)
        channels, *size = self.encode.out_shape
        sizes = [size]
        for _ in filters:
            if max(sizes[-1]) == 1:
                raise InputError(
                    f"images of {by(size)} are too small for {len(filters)} convolutions, each of which halves them; "
                    f"give {len(sizes) - 1} filters at most"
                )
            sizes.append([(length + 1) // 2 for length in sizes[-1]])
        trunk = nn.Sequential()
        for below, count in pairwise([channels, *reversed(filters)]):
            trunk.extend([nn.Conv2d(below, count, 3, 2, 1), nn.LeakyReLU(0.2)])
        trunk.append(nn.Flatten())
        height, width = sizes[-1]
        self.set_networks(
            Transposed(self.noise, self.classes, self.encode.out_shape, filters, sizes[::-1]),
            Projection(trunk, filters[0] * height * width, self.classes),
        )

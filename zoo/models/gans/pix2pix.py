"""pix2pix: conditional adversarial network for image-to-image translation."""

import logging
from collections import OrderedDict
from math import prod
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from ...encode import Encoder
from ...encode.image import ImageEncoder
from ...errors import InputError, check_range
from ...figure import Figure, side_by_side
from ...spec import Modality
from ...training.outputs import Outputs
from ...training.power_spectrum import radial_power, spectral_distance
from ..base import Batch
from ..layers import LAYERS
from ..predict.segmenter import EncoderDecoder
from .base import Adversarial
from .patch_discriminator import PatchDiscriminator

log = logging.getLogger("zoo")
SHOWN = 6  # images in a figure of generated images


class ConditionalGAN(Adversarial):
    """Image-to-image translation, such as from a mask to a picture: pix2pix (Isola et al. 2017, arXiv:1611.07004).

    The generator is a U-Net; the discriminator scores patches of the real or generated image, concatenated with the
    input image. The loss of the generator is the adversarial loss of these scores plus 100 times the mean absolute
    error (L1), scaled as if the range of the training images were -1 to 1. The networks have instance normalisation
    (Ulyanov et al. 2016, arXiv:1607.08022), so that a generated image does not depend on the others of its batch.

    The L1 loss alone is minimal for the median of all plausible images, which is smooth; the adversarial loss also
    requires their texture. Texture that does not follow from the input must come from ``noise``. The noise at
    prediction is fixed, and there is no dropout (unlike in the publication), so that predictions are reproducible.

    ``validation_loss``, by which the epoch is selected, is the L1 of standardised images plus a tenth of the
    `spectral_distance` in decibels: it is high both for blurred images and for sharp images with a wrong content.

    Args:
        filters: Number of filters of each level of the U-Net; each level halves the size.
        noise: Number of noise maps that are concatenated with the input.
        dropout: Dropout rate of the deepest maps.
        patch_layers: Depth of the discriminator: the receptive field of a score is 16 x 16 pixels with one layer,
            34 x 34 with two, 70 x 70 with three (as published, for images of 256 pixels) and 142 x 142 with four.
        discriminator_filters: Number of filters of the first layer of the discriminator; 64 as published.
        l1_weight: Weight of the L1 in the loss of the generator.
        adversarial_weight: Weight of the adversarial loss. With 0 no discriminator is trained.
        **shared: Arguments of `Adversarial` and `Model`.

    Attributes:
        standard: Encoding that standardises target images with the statistics of the training rows.
        ends: Minimum and maximum of each channel of the target images of the training rows; generated images are
            clamped to them.

    Shape:
        ``(batch, *shape) -> (batch, channels, *spatial)``, in the units of the target images

    Raises:
        InputError: Samples or target are not images, there are fewer than two levels, or images are too small for the
            networks.
    """

    target_kinds = ("image",)
    noise_at_prediction: Tensor
    ends: Tensor

    def __init__(
        self,
        filters: list[int] = [16, 32, 64, 128],  # noqa: B006 (never changed; shown by --help)
        noise: int = 4,
        dropout: float = 0.0,
        patch_layers: int = 3,
        discriminator_filters: int = 64,
        l1_weight: float = 100.0,
        adversarial_weight: float = 1.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        for name, value in {"noise": noise, "l1_weight": l1_weight, "adversarial_weight": adversarial_weight}.items():
            check_range(name, value, 0)
        check_range("dropout", dropout, 0, 1)
        (channels, *size), target = self.encode.out_shape, self.target
        if len(size) not in (2, 3):
            raise InputError(f"ConditionalGAN takes images; a sample of these data has shape {self.encode.out_shape}")
        if len(filters) < 2 or min(filters) < 1:
            raise InputError(f"filters must list one positive number for each of two or more levels: {filters}")
        if prod(-(-length // 2 ** (len(filters) - 1)) for length in size) < 2:
            shape = " x ".join(map(str, size))
            raise InputError(f"filters: {len(filters)} levels leave one pixel of {shape}; list fewer")
        out_channels = target["shape"][0]
        self.standard: Encoder = ImageEncoder(Modality(kind="image", shape=target["shape"]))
        limits = torch.tensor([-1.0, 1.0]).view(2, 1, *[1] * len(size)).repeat_interleave(out_channels, 1)
        self.register_buffer("ends", limits)
        drawn = torch.randn(1, noise, *size, generator=torch.Generator().manual_seed(0))
        self.register_buffer("noise_at_prediction", drawn)
        u_net = EncoderDecoder(
            *(channels + noise, len(size), filters, "nearest", True, dropout),
            kernel_size=3,
            normalisation="instance",
            activation="leaky_relu",
        )
        head = LAYERS[len(size)]["convolution"](filters[0], out_channels, 1)
        discriminator = PatchDiscriminator(channels + out_channels, size, discriminator_filters, patch_layers)
        self.set_networks(nn.Sequential(OrderedDict(body=u_net, head=head)), discriminator)
        self.weights, self.l1_weight, self.outputs = [adversarial_weight], l1_weight, Outputs()
        self._shown: Batch = {}
        if discriminator.receptive_field > max(size):
            log.info(
                "the receptive field of a discriminator score is %d pixels, larger than the image",
                discriminator.receptive_field,
            )

    @property
    def task(self) -> str:
        """Image-to-image translation."""
        return "translation"

    @property
    def headline(self) -> str:
        """Structural similarity."""
        return "ssim"

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`; also fits scale and range of the target images to the training rows."""
        super().fit_encoders(x, y)
        if y is None:
            raise InputError("fit_encoders of a ConditionalGAN needs the target images: give y")
        self.standard.fit(y)
        by_channel = y.transpose(0, 1).flatten(1)
        self.ends.copy_(torch.stack([by_channel.amin(1), by_channel.amax(1)]).view_as(self.ends))

    def noisy(self, x: Tensor) -> Tensor:
        """Encoded input with noise maps, which are random in training and fixed otherwise."""
        encoded = self.encode(x)
        drawn = self.noise_at_prediction.expand(len(x), *self.noise_at_prediction.shape[1:])
        return torch.cat([encoded, torch.randn_like(drawn) if self.training else drawn], 1)

    def generate(self, batch: Batch) -> Tensor:
        """Generated standardised images."""
        return self.generator(self.noisy(batch["x"]))  # type: ignore[no-any-return]

    def real(self, batch: Batch) -> Tensor:
        """Standardised target images."""
        return self.standard(batch["y"])  # type: ignore[no-any-return]

    def discriminate(self, sample: Tensor, batch: Batch) -> list[Tensor]:
        """Score of each patch of an image, given the encoded input."""
        return [self.discriminator(torch.cat([self.encode(batch["x"]), sample], 1))]

    def generator_terms(self, batch: Batch, generated: Tensor) -> Tensor | float:
        """The weighted L1 of images scaled to the range -1 to 1."""
        error = (self.standard.inverse(generated) - batch["y"]) / (self.ends[1] - self.ends[0]).clamp(min=1e-12)
        return self.l1_weight * 2 * error.abs().mean()

    def embed(self, x: Tensor) -> Tensor:
        """Mean of each of the deepest maps of the generator: ``(batch, *shape) -> (batch, filters[-1])``."""
        return self.sampler.body.encoded(self.noisy(x))[0].flatten(2).mean(2)  # type: ignore[union-attr, operator, no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Raw values to images in the units of the target, clamped to the range of the training rows."""
        generated = self.standard.inverse(self.sampler(self.noisy(x)))
        return generated.clamp(self.ends[0], self.ends[1])

    def every_layer(self, x: Tensor) -> Any:
        """Generated images, and the discriminator scores of generated images."""
        return self(x), self.discriminate(self.generate({"x": x}), {"x": x})

    def raw_predictions(self, x: Tensor) -> Tensor:
        """Generated images."""
        return self(x)  # type: ignore[no-any-return]

    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """A table with ``image``, the generated image of each sample, float32 ``(channels, *spatial)``."""
        return pd.DataFrame({"image": list(raw.float().cpu().numpy())}, index=index)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Store L1 and power spectrum of each image, and the first images for a figure."""
        generated, real = self.standard(self(batch["x"])), self.real(batch)
        error = (generated - real).abs().flatten(1).mean(1, keepdim=True)
        self.outputs.update(torch.cat([error, radial_power(generated)], 1), radial_power(real))
        if batch_idx == 0:
            self._shown = {name: batch[name][:SHOWN] for name in ("x", "y")}

    def log_epoch(self, split: str) -> None:
        """Log L1 and spectral distance."""
        generated, real = self.outputs.take()
        error, distance = generated[:, 0].mean(), spectral_distance(generated[:, 1:], real)
        self.log_scores(split, error + distance / 10, l1=error, spectral_distance=distance)

    def sample_figure(self) -> Figure | None:
        """A figure of validation samples: input, generated image and real image."""
        if not self._shown:
            return None
        x, real = (self._shown[name].float() for name in ("x", "y"))
        images = {"input": x, "generated": self(self._shown["x"]), "real": real}
        low, high = float(self.ends[0].min()), float(self.ends[1].max())
        limits = {"input": (float(x.min()), float(x.max())), "generated": (low, high), "real": (low, high)}
        rows = {name: values.cpu().numpy() for name, values in images.items()}
        return side_by_side(rows, limits, f"ConditionalGAN: images generated in epoch {self.current_epoch + 1}")

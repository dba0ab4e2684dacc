"""Images made of images."""

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
SHOWN = 6  # images in a picture of what is generated


class ConditionalGAN(Adversarial):
    """Makes an image of another one, such as a picture of a mask: pix2pix (Isola et al. 2017, arXiv:1611.07004).

    The generator is a U-Net; the discriminator scores patches of the image that is generated, seen with the one that it is
    made of. The loss of the generator is cross-entropy on these scores and 100 times the mean absolute difference (L1)
    from the true image, as if the range of the training images were -1 to 1. Images are normalised by themselves
    (Ulyanov et al. 2016, arXiv:1607.08022), so that what is made of one does not depend on the others of its batch.

    L1 alone is lowest for the median of all images that would fit, which is smooth; a discriminator asks for their
    texture too. Where the input does not tell the texture, it must come from ``noise``. At prediction the noise is
    always the same, and nothing is dropped out (the publication drops out at prediction too), so that a prediction can
    be repeated.

    ``validation_loss``, which chooses the epoch, is the L1 in standard units and a tenth of the `spectral_distance` in
    decibels: neither a blurred image nor a sharp one of something else has a low one.

    Args:
        filters: Number of filters of each level of the U-Net; each level halves the size.
        noise: Number of maps of noise beside the input.
        dropout: Share of the deepest maps silenced in each training step.
        patch_layers: Depth of the discriminator: a score sees 16 x 16 pixels with one layer, 34 x 34 with two, 70 x 70
            with three (as published, for images of 256 pixels) and 142 x 142 with four.
        discriminator_filters: Of the first layer of the discriminator; 64 as published.
        l1_weight: Of the L1 in the loss of the generator.
        adversarial_weight: Of the discriminator's term. With 0 there is no discriminator.
        **shared: Arguments of `Adversarial` and `Model`.

    Attributes:
        standard: From made images to standard units of the training rows, and back.
        ends: Lowest and highest value of each channel of the images of the training rows; what is made stays within.

    Shape:
        ``(batch, *shape) -> (batch, channels, *spatial)``, in the units of the images that are generated

    Raises:
        InputError: Samples or a target that are no images, fewer than two levels, or images too small for the networks.
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
        generated = target["shape"][0]
        self.standard: Encoder = ImageEncoder(Modality(kind="image", shape=target["shape"]))
        self.register_buffer("ends", torch.tensor([-1.0, 1.0]).view(2, 1, *[1] * len(size)).repeat_interleave(generated, 1))
        drawn = torch.randn(1, noise, *size, generator=torch.Generator().manual_seed(0))
        self.register_buffer("noise_at_prediction", drawn)
        u_net = EncoderDecoder(
            *(channels + noise, len(size), filters, "nearest", True, dropout),
            kernel_size=3,
            normalisation="instance",
            activation="leaky_relu",
        )
        head = LAYERS[len(size)]["convolution"](filters[0], generated, 1)
        judge = PatchDiscriminator(channels + generated, size, discriminator_filters, patch_layers)
        self.set_networks(nn.Sequential(OrderedDict(body=u_net, head=head)), judge)
        self.weights, self.l1_weight, self.outputs = [adversarial_weight], l1_weight, Outputs()
        self._shown: Batch = {}
        if judge.receptive_field > max(size):
            log.info("each score of the discriminator sees %d pixels, the whole image", judge.receptive_field)

    @property
    def task(self) -> str:
        """To make images of images."""
        return "translation"

    @property
    def headline(self) -> str:
        """Structural similarity."""
        return "ssim"

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`; units and range of the images that are made come from those of the training rows."""
        super().fit_encoders(x, y)
        if y is None:
            raise InputError("fit_encoders of a ConditionalGAN needs the images that are to be generated: give y")
        self.standard.fit(y)
        by_channel = y.transpose(0, 1).flatten(1)
        self.ends.copy_(torch.stack([by_channel.amin(1), by_channel.amax(1)]).view_as(self.ends))

    def noisy(self, x: Tensor) -> Tensor:
        """Encoded input with maps of noise: drawn anew in training, else always the same."""
        encoded = self.encode(x)
        drawn = self.noise_at_prediction.expand(len(x), *self.noise_at_prediction.shape[1:])
        return torch.cat([encoded, torch.randn_like(drawn) if self.training else drawn], 1)

    def generate(self, batch: Batch) -> Tensor:
        """Images in standard units."""
        return self.generator(self.noisy(batch["x"]))  # type: ignore[no-any-return]

    def real(self, batch: Batch) -> Tensor:
        """The true images in standard units."""
        return self.standard(batch["y"])  # type: ignore[no-any-return]

    def discriminate(self, sample: Tensor, batch: Batch) -> list[Tensor]:
        """Score of each patch of an image, which is seen with the encoded input."""
        return [self.discriminator(torch.cat([self.encode(batch["x"]), sample], 1))]

    def generator_terms(self, batch: Batch, generated: Tensor) -> Tensor | float:
        """The weighted L1, of images whose range is -1 to 1."""
        error = (self.standard.inverse(generated) - batch["y"]) / (self.ends[1] - self.ends[0]).clamp(min=1e-12)
        return self.l1_weight * 2 * error.abs().mean()

    def embed(self, x: Tensor) -> Tensor:
        """Mean of each of the deepest maps of the generator: ``(batch, *shape) -> (batch, filters[-1])``."""
        return self.sampler.body.encoded(self.noisy(x))[0].flatten(2).mean(2)  # type: ignore[union-attr, operator, no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Raw values to images in their own units, within the range of those of the training rows."""
        generated = self.standard.inverse(self.sampler(self.noisy(x)))
        return generated.clamp(self.ends[0], self.ends[1])

    def every_layer(self, x: Tensor) -> Any:
        """An image made, and judged."""
        return self(x), self.discriminate(self.generate({"x": x}), {"x": x})

    def raw_predictions(self, x: Tensor) -> Tensor:
        """The images that are made."""
        return self(x)  # type: ignore[no-any-return]

    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """``image``: what is made of each sample, float32 ``(channels, *spatial)``."""
        return pd.DataFrame({"image": list(raw.float().cpu().numpy())}, index=index)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Keep the L1 and the spectrum of each image, and some images to draw."""
        generated, real = self.standard(self(batch["x"])), self.real(batch)
        error = (made - real).abs().flatten(1).mean(1, keepdim=True)
        self.outputs.update(torch.cat([error, radial_power(generated)], 1), radial_power(real))
        if batch_idx == 0:
            self._shown = {name: batch[name][:SHOWN] for name in ("x", "y")}

    def log_epoch(self, split: str) -> None:
        """Log L1 and spectral distance."""
        found, real = self.outputs.take()
        error, distance = found[:, 0].mean(), spectral_distance(found[:, 1:], real)
        self.log_scores(split, error + distance / 10, l1=error, spectral_distance=distance)

    def sample_figure(self) -> Figure | None:
        """Some validation samples: what they are made of, what is made, and what is true."""
        if not self._shown:
            return None
        x, real = (self._shown[name].float() for name in ("x", "y"))
        generated = {"input": x, "generated": self(self._shown["x"]), "real": real}
        low, high = (float(end) for end in (self.ends[0].min(), self.ends[1].max()))
        ends = {"input": (float(x.min()), float(x.max())), "generated": (low, high), "real": (low, high)}
        rows = {name: images.cpu().numpy() for name, images in generated.items()}
        return side_by_side(rows, ends, f"ConditionalGAN: images generated in epoch {self.current_epoch + 1}")

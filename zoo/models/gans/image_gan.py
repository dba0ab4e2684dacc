"""Base class of GANs of images: range of the pixels, differentiable augmentation, and figures."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ...errors import InputError, check_choice
from ...figure import Figure, mosaic, show
from ...spec import modality_of
from ...training.diff_augment import KINDS, diff_augment
from ...training.tasks import task_of
from ..base import Batch
from .generative import Generative

SHOWN, CLASSES = 8, 10  # images per class, and maximum number of classes, in a figure of generated images


class Within(nn.Module):
    """Maps real numbers to encoded pixels between the minimum and the maximum of the training images.

    Shape:
        ``(batch, channels, height, width) ->`` the same
    """

    ends: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        ends = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).repeat(1, channels, 1, 1)
        self.register_buffer("ends", ends)  # minimum and maximum of each channel

    def forward(self, x: Tensor) -> Tensor:
        """A scaled sigmoid."""
        return torch.lerp(self.ends[0], self.ends[1], x.sigmoid().to(self.ends))


class ImageGAN(Generative, abstract=True):
    """A GAN of images, conditional on the class if there is one.

    Args:
        diff_augment: Differentiable augmentation of real and generated images before the discriminator (Zhao et al.
            2020, arXiv:2006.10738), which helps with few training images. True for all of brightness (and contrast),
            translation and cutout, or a list of some of these.
        **shared: Arguments of `Generative`, `Adversarial` and `Model`.

    Attributes:
        seen: Minimum and maximum of each channel of the training images.
        whole: True if the training images are integer-valued.

    Raises:
        InputError: The samples are not images of two dimensions, the target is a mask, or an augmentation is unknown.
    """

    modalities = ("image",)
    seen: Tensor
    whole: Tensor

    def __init__(self, diff_augment: bool | list[str] = False, **shared: Any) -> None:
        super().__init__(**shared)
        modality, name = modality_of(self.spec), type(self).__name__
        if len(modality["shape"]) != 3:
            raise InputError(
                f"{name} generates images of shape (channels, height, width); a sample of these data has shape "
                f"({', '.join(map(str, modality['shape']))})"
            )
        if task_of(self.target).per_pixel:
            raise InputError(f"{name} generates images, but not masks; give --data.target_kind none")
        self.changes = (list(KINDS) if diff_augment else []) if isinstance(diff_augment, bool) else diff_augment
        for kind in self.changes:
            check_choice("diff_augment", kind, KINDS)
        self.register_buffer("seen", torch.zeros(2, self.encode.out_shape[0], 1, 1))
        self.register_buffer("whole", torch.tensor(False))

    @property
    def headline(self) -> str:
        """Frechet distance between the features of generated and real images."""
        return "fid"

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Generative`; also computes the range of each channel and the type of the training images."""
        super().fit_encoders(x, y)
        self.seen.copy_(torch.stack([x.amin((0, 2, 3)), x.amax((0, 2, 3))])[..., None, None])
        self.whole.fill_(not x.is_floating_point())
        for layer in self.modules():
            if isinstance(layer, Within):
                layer.ends.copy_(self.encode(self.seen))

    def discriminate(self, sample: Tensor, batch: Batch) -> list[Tensor]:
        """As in `Generative`; in training, images are augmented first."""
        return super().discriminate(diff_augment(sample, self.changes) if self.training else sample, batch)

    def as_frame(self, encoded: Tensor, labels: Tensor | None, seed: int) -> pd.DataFrame:
        """As in `Generative`; images have the type of the training images and stay in their range."""
        frame = super().as_frame(encoded, labels, seed)
        column, (low, high) = modality_of(self.spec)["features"][0], self.seen.cpu().numpy()
        images = [np.clip(image, low, high) for image in frame[column]]
        frame[column] = [image.round().astype(np.uint8) for image in images] if self.whole else images
        return frame

    def sample_figure(self) -> Figure:
        """A figure with one row of generated images per class; three rows without classes."""
        names = self.target["classes"][:CLASSES] if self.classes else [""] * 3
        count = SHOWN * len(names)
        labels = torch.arange(len(names), device=self.device).repeat_interleave(SHOWN) if self.classes else None
        images = self.as_frame(self.sample(labels, count, seed=0), None, seed=0).iloc[:, 0]
        grid = mosaic(np.stack(list(images)), SHOWN, float(self.seen.min()), float(self.seen.max()))
        figure = Figure(figsize=(5.4, 1.0 + 0.55 * len(names)), layout="constrained", dpi=150)
        show(
            figure.add_subplot(),
            grid,
            names,
            f"{type(self).__name__}: images generated in epoch {self.current_epoch + 1}",
        )
        return figure

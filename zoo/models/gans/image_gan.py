"""What networks that make images share: their range, what the discriminator sees, and a picture of what is made."""

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

SHOWN, CLASSES = 8, 10  # images of a class, and classes, in a picture of what is generated


class Within(nn.Module):
    """Any numbers to encoded pixels between the darkest and the brightest one of the training images.

    Shape:
        ``(batch, channels, height, width) ->`` the same
    """

    ends: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        ends = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).repeat(1, channels, 1, 1)
        self.register_buffer("ends", ends)  # of each channel

    def forward(self, x: Tensor) -> Tensor:
        """A sigmoid, scaled."""
        return torch.lerp(self.ends[0], self.ends[1], x.sigmoid().to(self.ends))


class ImageGAN(Generative, abstract=True):
    """Makes images, of the classes that it is told if there are any.

    Args:
        diff_augment: The discriminator sees real and made images only after random changes through which the generator
            learns (Zhao et al. 2020, arXiv:2006.10738), which helps where training images are few. True for all of
            brightness (and contrast), translation and cutout, or a list of some of these.
        **shared: Arguments of `Generative`, `Adversarial` and `Model`.

    Raises:
        InputError: Samples that are no images of two dimensions; masks; unknown changes.
    """

    modalities = ("image",)
    seen: Tensor
    whole: Tensor

    def __init__(self, diff_augment: bool | list[str] = False, **shared: Any) -> None:
        super().__init__(**shared)
        modality, name = modality_of(self.spec), type(self).__name__
        if len(modality["shape"]) != 3:
            raise InputError(
                f"{name} makes images of shape (channels, height, width); a sample of these data has shape "
                f"({', '.join(map(str, modality['shape']))})"
            )
        if task_of(self.target).per_pixel:
            raise InputError(f"{name} makes images, of classes or without, and no masks; give --data.target_kind none")
        self.changes = (list(KINDS) if diff_augment else []) if isinstance(diff_augment, bool) else diff_augment
        for kind in self.changes:
            check_choice("diff_augment", kind, KINDS)
        self.register_buffer("seen", torch.zeros(2, self.encode.out_shape[0], 1, 1))
        self.register_buffer("whole", torch.tensor(False))

    @property
    def headline(self) -> str:
        """Frechet distance of the features of generated and real images."""
        return "fid"

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Generative`; the range of each channel of the training images is learnt too, and their type."""
        super().fit_encoders(x, y)
        self.seen.copy_(torch.stack([x.amin((0, 2, 3)), x.amax((0, 2, 3))])[..., None, None])
        self.whole.fill_(not x.is_floating_point())
        for layer in self.modules():
            if isinstance(layer, Within):
                layer.ends.copy_(self.encode(self.seen))

    def discriminate(self, sample: Tensor, batch: Batch) -> list[Tensor]:
        """As in `Generative`; in training of augmented images."""
        return super().discriminate(diff_augment(sample, self.changes) if self.training else sample, batch)

    def as_frame(self, encoded: Tensor, labels: Tensor | None, seed: int) -> pd.DataFrame:
        """As in `Generative`; images are of the type of the training images, and within their range."""
        frame = super().as_frame(encoded, labels, seed)
        column, (low, high) = modality_of(self.spec)["features"][0], self.seen.cpu().numpy()
        images = [np.clip(image, low, high) for image in frame[column]]
        frame[column] = [image.round().astype(np.uint8) for image in images] if self.whole else images
        return frame

    def sample_figure(self) -> Figure:
        """Some images of each class, a row each; without classes three rows."""
        names = self.target["classes"][:CLASSES] if self.classes else [""] * 3
        count = SHOWN * len(names)
        labels = torch.arange(len(names), device=self.device).repeat_interleave(SHOWN) if self.classes else None
        images = self.as_frame(self.sample(labels, count, seed=0), None, seed=0).iloc[:, 0]
        picture = mosaic(np.stack(list(images)), SHOWN, float(self.seen.min()), float(self.seen.max()))
        figure = Figure(figsize=(5.4, 1.0 + 0.55 * len(names)), layout="constrained", dpi=150)
        show(
            figure.add_subplot(),
            picture,
            names,
            f"{type(self).__name__}: images generated in epoch {self.current_epoch + 1}",
        )
        return figure

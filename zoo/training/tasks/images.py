"""Targets of the size of the image: segmentation masks, and images for image-to-image translation."""

import pandas as pd
import torch
from torch import Tensor

from ...spec import Target
from ..segmentation import LOSSES
from .base import Task
from .classes import probabilities
from .head import TargetHead


def masks(output: Tensor) -> Tensor:
    """Most probable class codes of raw outputs, uint8: ``(rows, 1 or classes, *spatial) -> (rows, *spatial)``."""
    return (output[:, 0] > 0 if output.shape[1] == 1 else output.argmax(1)).to(torch.uint8)


class Segmentation(Task):
    """Segmentation: a class for each pixel, ``y`` integer ``shape=(samples, *spatial)``; class 0 is the background."""

    kind = "segmentation"
    noun = "a mask"
    how_given = "give --data.masks"
    headline = "dice"
    losses = LOSSES
    per_pixel = True
    array = "mask"

    def encode(self, frame: pd.DataFrame, target: Target, source: str) -> Tensor:
        """Masks of the column, unchanged."""
        return torch.stack([torch.as_tensor(mask) for mask in frame[target["name"]]])

    def labelled(self, y: Tensor) -> Tensor:
        """True for all samples, since reading requires a mask for each image."""
        return torch.ones(len(y), dtype=torch.bool, device=y.device)

    def one_value(self, y: Tensor, target: Target) -> pd.Series:
        """The share of foreground pixels."""
        return pd.Series((y.numpy() > 0).reshape(len(y), -1).mean(1))

    def without_arrays(self, frame: pd.DataFrame, target: Target) -> pd.DataFrame:
        """Replaces the mask by ``prediction``, the predicted share of foreground pixels."""
        return super().without_arrays(frame, target).assign(prediction=1 - frame[f"share_{target['classes'][0]}"])

    def predict_from(self, head: TargetHead, output: Tensor) -> Tensor:
        """Probabilities of each pixel, ``(rows, classes, *spatial)``."""
        return probabilities(output, head.target)

    def prediction_frame(self, head: TargetHead, output: Tensor, index: pd.Index) -> pd.DataFrame:
        """``mask``, the class code of each pixel (uint8), and ``share_CLASS``, the share of pixels of each class."""
        mask = masks(output).cpu()
        frame = pd.DataFrame({"mask": list(mask.numpy())}, index=index)
        for code, name in enumerate(head.target["classes"]):
            frame[f"share_{name}"] = (mask == code).flatten(1).double().mean(1).numpy()
        return frame


class Image(Task):
    """A target image of the same size, ``y`` float32 ``shape=(samples, channels, *spatial)``."""

    kind = "image"
    noun = "an image"
    how_given = "give pairs of images with ImagePairData"
    per_pixel = True
    array = "image"

    def one_value(self, y: Tensor, target: Target) -> None:
        """None, since an image is not a single value."""

    def encode(self, frame: pd.DataFrame, target: Target, source: str) -> Tensor:
        """Images of the column, unchanged."""
        return torch.stack([torch.as_tensor(image) for image in frame[target["name"]]])

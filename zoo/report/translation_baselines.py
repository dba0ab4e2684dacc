"""Simple models that make images of images, a pixel at a time."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ..data import Data

MOST_LEVELS = 32  # of the input that have a mean of their own
MOST_PIXELS = 50_000  # that the regression learns from
REACH = {2: 4, 3: 2}  # pixels on each side that the regression sees, by the dimensions of the images

Maker = Callable[[Tensor], Tensor]  # raw images (batch, channels, *spatial) to what is made of them


def pixel_makers(data: Data) -> dict[str, Maker]:
    """Makers of images that are fitted on the training pairs; none without such pairs.

    Args:
        data: Pairs of images.

    Returns:
        ``"mean of each input level"``: the mean of all training pixels whose input has the same value, of a mask the
        mean of each class; of inputs with more than 32 values, of each of 32 equally filled ranges. ``"ridge
        regression"`` on the neighbourhood of a pixel: 9 x 9 pixels, of volumes 5 x 5 x 5.
    """
    rows = data.content.rows("train")
    if not len(rows):
        return {}
    return {"mean of each input level": _levels(data, rows), "ridge regression": _ridge(data, rows)}


def _levels(data: Data, rows: Tensor) -> Maker:
    x, y = data.training_inputs(), data.training_targets()
    values = x[:, 0].double().flatten().numpy()  # of the first channel
    edges = np.unique(values)
    if len(edges) > MOST_LEVELS:
        edges = np.unique(np.quantile(values, np.linspace(0, 1, MOST_LEVELS + 1)[:-1]))
    code = np.searchsorted(edges, values, "right").clip(1) - 1
    count = np.bincount(code, minlength=len(edges)).clip(1)
    flat = y.transpose(0, 1).flatten(1).double().numpy()
    means = torch.from_numpy(np.stack([np.bincount(code, one, len(edges)) / count for one in flat])).float()

    def make(images: Tensor) -> Tensor:
        at = np.searchsorted(edges, images[:, 0].double().numpy(), "right").clip(1) - 1
        return means[:, torch.from_numpy(at)].transpose(0, 1)

    return make


def _ridge(data: Data, rows: Tensor) -> Maker:
    x, y, generator = data.training_inputs(), data.training_targets(), np.random.default_rng(0)
    pixels = x[0, 0].numel()
    features, truths = [], []
    for image, truth in zip(x, y, strict=True):
        drawn = generator.choice(pixels, min(pixels, max(1, MOST_PIXELS // len(x))), replace=False)
        features.append(neighbourhoods(image)[drawn])
        truths.append(truth.flatten(1).T.numpy()[drawn])
    model = make_pipeline(StandardScaler(), Ridge()).fit(np.concatenate(features), np.concatenate(truths))
    channels = y.shape[1]

    def make(images: Tensor) -> Tensor:
        made = [model.predict(neighbourhoods(image)).reshape(pixels, channels).T for image in images]
        return torch.from_numpy(np.stack(made)).float().view(len(images), channels, *images.shape[2:])

    return make


def neighbourhoods(image: Tensor) -> np.ndarray:
    """All pixels about each pixel, the border repeated: ``(channels, *spatial) -> (pixels, features)``."""
    reach = REACH[image.ndim - 1]
    padded = np.pad(image.float().numpy(), [(0, 0), *[(reach, reach)] * (image.ndim - 1)], mode="edge")
    window = (2 * reach + 1,) * (image.ndim - 1)
    seen = np.lib.stride_tricks.sliding_window_view(padded, window, axis=tuple(range(1, image.ndim)))
    result: np.ndarray = np.moveaxis(seen, 0, image.ndim - 1).reshape(image[0].numel(), -1)
    return result

"""Scores of predicted masks, beside pixel-wise models; images are processed in batches."""

from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ...data import Data
from ...encode.image import nearest
from ...models.predict.segmenter import Segmenter
from ...training.segmentation import scores_of_masks
from ..evaluation import Evaluation, evaluates
from .overlays import Example, dice_of_images, overlays

MOST_PIXELS, FOREST_PIXELS = 200_000, 20_000  # for training the pixel-wise models
EXAMPLES = 6


@evaluates("segmentation")
def evaluate_masks(model: Segmenter, data: Data, splits: list[str]) -> Evaluation:
    """Predict and score the masks of some splits; only one batch of maps is in memory.

    Args:
        model: In evaluation mode.
        data: Images and masks.
        splits: Splits to score, each with at least one image.

    Returns:
        - Predictions, one row per image: ``split``, and ``METRIC_CLASS`` for each metric of
          `zoo.training.segmentation.scores_of_masks` and each foreground class.
        - Scores: the mean over images and foreground classes, without NaN; with several foreground classes also
          ``dice_CLASS``, the mean over images. Masks of scaled images are scored in the size of their files.
        - Figures: outlines of six evenly spaced images of the last split, and the Dice coefficient of each image.
    """
    content, classes = data.dataset, model.spec["target"]["classes"]
    references = pixel_models(data)
    parts: dict[tuple[str, str], list[pd.DataFrame]] = {
        (name, split): [] for name in [type(model).__name__, *references] for split in splits
    }
    shown = content.rows(splits[-1])
    shown = shown[torch.linspace(0, len(shown) - 1, min(EXAMPLES, len(shown))).long()]
    examples: list[Example] = []
    for split in splits:
        for batch in data.loader(split):
            x, y, rows = batch["x"], batch["y"], batch["row"]
            masks = {type(model).__name__: model.masks(model(x.to(model.device))).cpu()} | _predict(references, x)
            names = content.samples.index[rows.numpy()]
            for name, mask in masks.items():
                parts[name, split].append(_by_class(_scores(mask, y, rows, data, len(classes)), classes, names))
            ours = masks[type(model).__name__]
            for i in torch.isin(rows, shown).nonzero()[:, 0].tolist() if split == splits[-1] else []:
                examples.append(Example(str(names[i]), x[i].numpy(), y[i].numpy(), ours[i].numpy()))
    tables = {key: pd.concat(frames) for key, frames in parts.items()}
    scores = [
        (name, split, metric, value)
        for (name, split), table in tables.items()
        for metric, value in _means(table, classes).items()
    ]
    predictions = pd.concat([tables[type(model).__name__, split].assign(split=split) for split in splits])
    predictions.insert(0, "split", predictions.pop("split"))
    target, last = model.target, splits[-1]
    return Evaluation(
        predictions,
        pd.DataFrame(scores, columns=["model", "split", "metric", "value"]),
        figures={
            "overlays": lambda name: overlays(examples, target, f"{name}: outlines, {last} images"),
            "dice": lambda name: dice_of_images(predictions, target, f"{name}: Dice of each image"),
        },
    )


def _scores(masks: Tensor, y: Tensor, rows: Tensor, data: Data, classes: int) -> dict[str, Tensor]:
    """Metrics of predicted masks, each in the size of the file of its true mask."""
    if data.full_masks is None:
        return scores_of_masks(masks, y, classes)
    each = []
    for mask, row in zip(masks, rows.tolist(), strict=True):
        truth = torch.from_numpy(data.full_masks[row])
        each.append(scores_of_masks(nearest(mask, truth.shape)[None], truth[None], classes))
    return {metric: torch.cat([values[metric] for values in each]) for metric in each[0]}


def _by_class(values: dict[str, Tensor], classes: list[str], names: pd.Index) -> pd.DataFrame:
    columns = {
        f"{metric}_{name}": value[:, number].numpy()
        for metric, value in values.items()
        for number, name in enumerate(classes[1:])
    }
    return pd.DataFrame(columns, index=names)


def _means(table: pd.DataFrame, classes: list[str]) -> dict[str, float]:
    """Means over images and foreground classes, without NaN; ``dice_CLASS`` if there are several classes."""
    foreground, count = classes[1:], len(classes) - 1
    metrics = [name.removesuffix(f"_{foreground[0]}") for name in table.columns[::count]]
    means = {
        metric: float(pd.Series(table[[f"{metric}_{name}" for name in foreground]].to_numpy().ravel()).mean())
        for metric in metrics
    }
    return means | ({f"dice_{name}": float(table[f"dice_{name}"].mean()) for name in foreground} if count > 1 else {})


def pixel_models(data: Data) -> dict[str, Any]:
    """Pixel-wise classifiers, fitted on pixels drawn from the training images; none without training images.

    Args:
        data: Images and masks.

    Returns:
        ``"pixel logistic regression"`` on at most 200,000 pixels, the same number from each image, and ``"pixel random
        forest"``, 100 trees of depth 10 at most, on 20,000 of these pixels.
    """
    images, generator = len(data.dataset.rows("train")), np.random.default_rng(0)
    features, labels = [], []
    for batch in data.loader("train") if images else []:
        for x, y in zip(pixel_features(batch["x"]), batch["y"].flatten(1).numpy(), strict=True):
            drawn = generator.choice(len(y), min(len(y), max(1, MOST_PIXELS // images)), replace=False)
            features.append(x[drawn])
            labels.append(y[drawn])
    if not images or len(np.unique(y := np.concatenate(labels))) < 2:
        return {}
    x = np.concatenate(features)
    drawn = generator.permutation(len(y))[:FOREST_PIXELS]
    forest = RandomForestClassifier(100, max_depth=10, random_state=0, n_jobs=-1)
    return {
        "pixel logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(x, y),
        "pixel random forest": forest.fit(x[drawn], y[drawn]),
    }


def pixel_features(x: Tensor) -> np.ndarray:
    """Features of each pixel and its surroundings.

    Args:
        x: Raw images, ``shape=(batch, channels, *spatial)``.

    Returns:
        float32, ``shape=(batch, pixels, features)``. For each channel: its value; the value smoothed by a Gaussian of
        1, 2 and 4 pixels; at 1 and 2 pixels the magnitude of the gradient, and the eigenvalues of the Hessian, which
        distinguish ridges, blobs and edges (Frangi et al. 1998, doi:10.1007/BFb0056195).
    """
    from scipy.ndimage import gaussian_filter

    images = x.numpy().astype(np.float32)
    axes = range(2, images.ndim)

    def smooth(sigma: float, *derivatives: int) -> np.ndarray:
        order = [derivatives.count(axis) for axis in range(images.ndim)]
        result: np.ndarray = gaussian_filter(images, [0 if axis < 2 else sigma for axis in range(images.ndim)], order)
        return result

    features = [images, *(smooth(sigma) for sigma in (1, 2, 4))]
    for sigma in (1, 2):
        features.append(np.sqrt(sum(smooth(sigma, axis) ** 2 for axis in axes)))
        hessian = np.empty((*images.shape, len(axes), len(axes)), np.float32)
        for one, two in combinations_with_replacement(axes, 2):
            hessian[..., one - 2, two - 2] = hessian[..., two - 2, one - 2] = smooth(sigma, one, two)
        features += list(np.moveaxis(np.linalg.eigvalsh(hessian), -1, 0))
    stacked = np.stack(features, -1)  # (batch, channels, *spatial, features)
    return np.moveaxis(stacked, 1, -2).reshape(len(x), -1, images.shape[1] * len(features))


def _predict(models: dict[str, Any], x: Tensor) -> dict[str, Tensor]:
    """Masks of a batch of raw images, predicted by each of the pixel-wise models."""
    if not models:
        return {}
    features, shape = pixel_features(x), (len(x), *x.shape[2:])
    pixels = features.reshape(-1, features.shape[-1])
    return {name: torch.from_numpy(model.predict(pixels).reshape(shape)) for name, model in models.items()}

"""Scores of generated images against held-out real images, beside those of simple generators."""

from math import prod
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...data import Data
from ...errors import InputError
from ...figure import Figure, mosaic, show
from ...models.gans.image_gan import ImageGAN
from ...spec import modality_of
from ...training.tasks import task_of
from ..evaluation import Evaluation, evaluates, raw_predictions, with_truth
from ..style import CLASS_COLOURS, legend_outside, new_figure
from .features import FeatureNetwork, distances, gaussian_images, nearest

COLUMNS, CLASSES = 6, 10  # images per class, and classes, that are drawn
MOST, MOST_VALUES = 5000, 1 << 26  # images of a split, and their values
GAUSSIAN, TRAINING = "Gaussian of pixels", "training images"  # reference images


class Images(NamedTuple):
    """Images, real or generated.

    Attributes:
        x: Raw, ``shape=(images, channels, height, width)``.
        y: Class codes, ``shape=(images,)``; zeros without classes.
    """

    x: Tensor
    y: Tensor


@torch.inference_mode()
@evaluates("synthesis", "image")
def evaluate_generated_images(model: ImageGAN, data: Data, present: list[str]) -> Evaluation:
    """Similarity of generated images and the real images of each split.

    As many images are generated as there are training images, with the same shares of classes. Features of images come
    from a `FeatureNetwork`, which is trained on the training images here; nothing is downloaded. The metrics:

    - ``fid`` and ``kid``, see `distances`; 0 is best.
    - ``nearest_ratio``: median distance of a generated image to its nearest training image, divided by that of a real
      image of the split. 1 is ideal; values far below indicate copies of training images. ``nearer_share``: share of
      the generated images that are nearer to a training image than the median real image is; 0.5 is ideal. Both are
      computed for splits without training images.
    - ``tstr_accuracy``: accuracy on the real images of a network that was trained on the generated images and their
      classes only (train on synthetic, test on real); ``class_agreement``: share of the generated images that the
      network of the training images assigns to the intended class. Both only with classes.

    The references are a Gaussian of the principal components of the pixels, one for each class, and the training images
    themselves, which have the best possible distances although every image is a copy.

    Args:
        model: In evaluation mode.
        data: Its data.
        present: Splits that have images.

    Returns:
        Predictions have ``split``, the target, and ``realism``, the score of the discriminator.

    Raises:
        InputError: Fewer than two images in a split.
    """
    source = "train" if len(data.dataset.rows("train")) else present[0]
    training, real = images_of(data, source), {split: images_of(data, split) for split in present}
    for split, images in real.items():
        if len(images.x) < 2:
            raise InputError(f"one {split} image is too few to compare with; raise its share in data.fractions")
    network = FeatureNetwork(model.spec, *training)
    generated = generated_by(model, len(training.x))
    sets = {
        type(model).__name__: generated,
        GAUSSIAN: Images(gaussian_images(*training, generated.y), generated.y),
        TRAINING: training,
    }
    training_features, seen = network(training.x), {split: network(images.x) for split, images in real.items()}
    near = {split: nearest(training_features, features)[0] for split, features in seen.items() if split != source}
    scores, curves = [], {}
    for name, images in sets.items():
        features = network(images.x)
        distance, places = nearest(training_features, features)
        if images is generated:
            example_places = places
        if images is not training:
            curves[name] = distance
        found = {split: distances(seen[split], features) for split in present}
        for split, reference in near.items():
            found[split] |= _copied(distance, reference)
        if task_of(model.target).classified:
            trained = network if images is training else FeatureNetwork(model.spec, *images)
            for split in present:
                found[split]["tstr_accuracy"] = trained.accuracy(*real[split])
                found[split]["class_agreement"] = network.accuracy(*images)
        scores += [(name, split, metric, value) for split in present for metric, value in found[split].items()]
    last = present[-1]
    if last in near:
        curves[f"real images, {last}"] = near[last]
    shown = Examples(generated, example_places, training, real[last], model.target["classes"] if model.classes else [])
    return Evaluation(
        _predictions(model, data, present),
        pd.DataFrame(scores, columns=["model", "split", "metric", "value"]),
        figures={
            "made_images": lambda name: example_figure(shown, f"{name}: generated and real images ({last})"),
            "nearest_distance": lambda name: distance_figure(curves, f"{name}: distance to the nearest training image"),
        },
    )


def images_of(data: Data, split: str) -> Images:
    """Images of a split; at most 5,000 are drawn at random, fewer if they are large."""
    rows, most = data.dataset.rows(split), min(MOST, max(2, MOST_VALUES // prod(modality_of(data.spec)["shape"])))
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:most]
    rows = rows[torch.sort(drawn)[0]]
    y = data.dataset.y[rows]
    return Images(data.dataset.x[rows], y if task_of(data.spec["target"]).classified else torch.zeros(len(rows)).long())


def generated_by(model: ImageGAN, n: int) -> Images:
    """This number of images from the `synthesise` method of a model."""
    frame, target = model.synthesise(n), model.target
    x = torch.from_numpy(np.stack(list(frame[modality_of(model.spec)["features"][0]])))
    codes = [target["classes"].index(name) for name in frame[target["name"]]] if model.classes else [0] * n
    return Images(x, torch.tensor(codes))


def _copied(distance: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Measures of copying, from distances of generated and of real images to training images, ``(images,)``."""
    median = float(np.median(reference))
    share = (distance < median).mean() + (distance == median).mean() / 2
    return {"nearest_ratio": float(np.median(distance)) / max(median, 1e-9), "nearer_share": float(share)}


def _predictions(model: ImageGAN, data: Data, present: list[str]) -> pd.DataFrame:
    tables = []
    for split in present:
        raw = raw_predictions(model, data, split)
        tables.append(with_truth(model, data, split, model.prediction_frame(raw, pd.RangeIndex(len(raw)))))
    return pd.concat(tables)


class Examples(NamedTuple):
    """Images that are drawn, as pairs of raw values ``(images, *shape)`` and class codes ``(images,)``.

    Attributes:
        generated: Generated by the model.
        nearest: Position of the nearest training image of each generated image.
        training: Training images.
        real: Images of the split for comparison.
        classes: Names of the classes; empty without classes.
    """

    generated: tuple[Tensor, Tensor]
    nearest: np.ndarray
    training: tuple[Tensor, Tensor]
    real: tuple[Tensor, Tensor]
    classes: list[str]


def example_figure(found: Examples, title: str) -> Figure:
    """One row of images per class: generated images, the training image nearest to each, and real images."""
    generated, real = (_places(images[1], bool(found.classes)) for images in (found.generated, found.real))
    codes = sorted(generated.keys() & real.keys())[:CLASSES]
    columns = min([COLUMNS, *(len(places[code]) for places in (generated, real) for code in codes)])
    ours, theirs = (torch.cat([places[code][:columns] for code in codes]) for places in (generated, real))
    blocks = {
        "generated": found.generated[0][ours],
        "nearest training image": found.training[0][torch.from_numpy(found.nearest)[ours]],
        "real": found.real[0][theirs],
    }
    limits = float(found.training[0].min()), float(found.training[0].max())
    height, width = found.generated[0].shape[2:]
    figure = Figure(figsize=(9.6, 1.0 + 3.0 * len(codes) * height / (columns * width)), layout="constrained", dpi=150)
    for axes, (label, images) in zip(figure.subplots(1, len(blocks)), blocks.items(), strict=True):
        names = [found.classes[code] if found.classes else "" for code in codes]
        show(axes, mosaic(images.numpy(), columns, *limits), names, label)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def distance_figure(curves: dict[str, np.ndarray], title: str) -> Figure:
    """Empirical distribution of the distance to the nearest training image.

    A curve to the left of that of real images indicates copies of training images.

    Args:
        curves: Distances ``(images,)`` by the name of the images.
        title: Title of the figure.
    """
    x, y = "distance to the nearest training image (features of mean square 1)", "share of images within this distance"
    figure, axes = new_figure(title, x, y, (6.8, 4.0))
    for (name, distance), colour in zip(curves.items(), CLASS_COLOURS, strict=False):
        share = np.arange(1, len(distance) + 1) / len(distance)
        real = name.startswith("real")
        axes.step(
            np.sort(distance),
            share,
            where="post",
            color="black" if real else colour,
            linestyle="--" if real else "-",
            label=name,
        )
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.02)
    legend_outside(axes)
    return figure


def _places(codes: Tensor, of_classes: bool) -> dict[int, Tensor]:
    """Positions of the images of each class; without classes images are distributed over three rows."""
    codes = codes if of_classes else torch.arange(len(codes)) % 3
    return {int(code): (codes == code).nonzero()[:, 0] for code in codes.unique()}

"""Scores of the recipes for images over several seeds, beside simple models on the same images.

    vessels        segmenter_vessels as it is (U-Net) and as a SegNet, trained on vessels_simulated and tested on images
                   simulated with another seed; beside a Frangi filter (scikit-image), whose widths and
                   threshold are the best on the training images
    NAME[=FILE]    test scores of a recipe on its own (official) split, such as cnn3d_vessels, or
                   backbone_pneumonia=pneumoniamnist.npz; with ``--weights pretrained`` (or a file) a Backbone also
                   fine-tuned from these weights, beside the same network from random weights

A seed determines initial weights, order and augmentation. CPU seconds are those of the whole training.
Run: ``python benchmarks/accuracy_images.py [--seeds 5] [--weights pretrained] vessels NAME ...``
"""

import tempfile
import time

import numpy as np
import pandas as pd
import torch
from _common import parser, smoke

from zoo import runs
from zoo.data.simulated.vessels import vessels
from zoo.report import evaluate
from zoo.training.segmentation import scores_of_masks

HELD_OUT = range(1001, 1004)  # seeds of simulated images that were not used for training or choices
IMAGES: int | None = None  # so many of them; all
WIDTHS = ([1], [1, 2], [1, 2, 3], [2, 3])
SEGNET = ["--model.upsampling=unpool", "--model.skip_connections=false"]
METRICS = ["accuracy", "balanced_accuracy", "roc_auc", "dice", "iou", "surface_distance"]


def masks_of(column: pd.Series) -> torch.Tensor:
    """Masks of a table as one tensor."""
    return torch.from_numpy(np.stack(list(column)))


def mean_scores(predicted: torch.Tensor, truth: torch.Tensor) -> dict[str, float]:
    """Mean over images of each metric of the vessels."""
    return {name: float(values.nanmean()) for name, values in scores_of_masks(predicted, truth, 2).items()}


def frangi(images: np.ndarray, widths: list[int]) -> np.ndarray:
    """Vesselness of bright ridges, ``(samples, height, width)``."""
    from skimage.filters import frangi as ridge

    return np.stack([ridge(image.astype(float), sigmas=widths, black_ridges=False) for image in images])


def tuned_frangi(train: pd.DataFrame) -> tuple[list[int], float]:
    """Widths and threshold with the highest Dice on the training images."""
    images, truth = np.stack(list(train["image"]))[:, 0], masks_of(train["mask"])
    found = []
    for widths in WIDTHS:
        response = frangi(images, widths)
        for threshold in np.quantile(response, np.linspace(0.6, 0.98, 39)):
            guess = torch.from_numpy((response > threshold).astype(np.uint8))
            both, sizes = (guess * truth).flatten(1).sum(1), (guess + truth).flatten(1).sum(1)
            found.append((float((2 * both / sizes).mean()), widths, float(threshold)))
    best = max(found, key=lambda item: item[0])
    return best[1], best[2]


def trained(recipe: str, seed: int, root: str, *options: str) -> tuple[runs.Run, float]:
    """A run and its CPU seconds."""
    start = time.process_time()
    fixed = [f"--seed_everything={seed}", "--trainer.accelerator=cpu", "--trainer.default_root_dir", root]
    return runs.fit(recipe, *fixed, *options), time.process_time() - start


def show(title: str, rows: list[tuple[str, str, float]]) -> None:
    """Mean and spread of each model and metric."""
    table = pd.DataFrame(rows, columns=["model", "metric", "value"])
    print(f"\n{title}; mean ± standard deviation over seeds")
    for (model, metric), values in table.groupby(["model", "metric"], sort=False)["value"]:
        spread = f" ± {values.std():.4f}  ({values.min():.4f} to {values.max():.4f})" if len(values) > 1 else ""
        print(f"  {model:28} {metric:18} {values.mean():8.4f}{spread}", flush=True)


def segmentation(seeds: range, root: str) -> None:
    """U-Net, SegNet and Frangi on held-out simulated images."""
    held_out = pd.concat([vessels(seed) for seed in HELD_OUT])[:IMAGES]
    truth = masks_of(held_out["mask"])
    rows = []
    for name, options in {"U-Net": [], "SegNet": SEGNET}.items():
        for seed in seeds:
            run, seconds = trained("segmenter_vessels", seed, root, *options)
            predicted = masks_of(run.model.predict(list(held_out["image"]))["mask"])
            rows += [(name, *item) for item in mean_scores(predicted, truth).items()] + [(name, "CPU seconds", seconds)]
    train = vessels().iloc[run.data.dataset.rows("train").numpy()][:IMAGES]
    widths, threshold = tuned_frangi(train)
    response = frangi(np.stack(list(held_out["image"]))[:, 0], widths)
    guess = torch.from_numpy((response > threshold).astype(np.uint8))
    rows += [(f"Frangi, widths {widths}", *item) for item in mean_scores(guess, truth).items()]
    show(f"vessels_simulated: {len(held_out)} held-out images of seeds {list(HELD_OUT)}", rows)


def official(recipe: str, file: str, seeds: range, root: str, weights: str | None) -> None:
    """Test scores on the split of the data set."""
    rows, variants = [], {"": [f"--data.path={file}"] if file else []}
    if weights:
        variants[f", finetuned from {weights}"] = [*variants[""], "--model.mode=finetune", f"--model.weights={weights}"]
    for seed in seeds:
        for suffix, options in variants.items():
            run, seconds = trained(recipe, seed, root, *options)
            scores = evaluate(run.model, run.data, ("test",)).scores
            name = type(run.model).__name__
            scores = scores[scores["metric"].isin(METRICS) & ((scores["model"] == name) | (suffix == ""))]
            scores["model"] = scores["model"].replace(name, name + suffix)
            rows += list(scores[["model", "metric", "value"]].itertuples(index=False, name=None))
            rows.append((name + suffix, "CPU seconds", seconds))
    show(f"{recipe}: {run.data.samples['split'].value_counts().to_dict()}", rows)


def main() -> None:
    """What is asked for."""
    smoke(globals(), "vessels", "--seeds=1", HELD_OUT=range(1001, 1002), WIDTHS=([1],), IMAGES=2)
    command = parser(__doc__)
    command.add_argument("tasks", nargs="+", help="vessels, NAME or NAME=FILE")
    command.add_argument("--seeds", type=int, default=5)
    command.add_argument("--weights", help="of a Backbone: pretrained, or a file")
    options = command.parse_args()
    runs.quieten()
    for task in options.tasks:
        recipe, _, file = task.partition("=")
        with tempfile.TemporaryDirectory() as root:
            if recipe == "vessels":
                segmentation(range(options.seeds), root)
            else:
                official(recipe, file, range(options.seeds), root, options.weights)


if __name__ == "__main__":
    main()

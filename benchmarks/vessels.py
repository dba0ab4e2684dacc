"""Effect of adversarial losses on simulated vessels over 3 seeds: segmentation, or with --translation pix2pix.

Segmentation: `segmentationgan_vessels` beside `segmenter_vessels`, the same network without discriminators.

    dice           mean over images
    thin recall    share of the pixels of thin vessels that are detected, over all images: true vessel pixels that no
                   square of 3 x 3 pixels inside the true mask covers, where the vessel is less than 3 pixels wide
    precision      share of vessel pixels among the predicted ones, over all images

Translation: `pix2pix_vessels`, which generates images from masks, beside the same network trained without its
discriminator, the mean grey level of each class, and a ridge regression; metrics are those of
`zoo.report.images.translation`.

A seed determines the initial weights, dropout and noise; the split is that of the recipe. Options of the model were
chosen by validation rows (``--choose`` prints these for each set of options); test rows are used once.

    python benchmarks/vessels.py
    python benchmarks/vessels.py --translation
    python benchmarks/vessels.py --choose image_weight=0.1,patch_weight=0 edge_weight=0.1
"""

import tempfile
import time

import numpy as np
import pandas as pd
import torch
from _common import parser, smoke
from scipy.ndimage import binary_opening

from zoo import runs
from zoo.data import Data
from zoo.models import Segmenter
from zoo.report import evaluate
from zoo.training.segmentation import dice_of_masks

PLAIN = {  # the same network without discriminators
    "segmentationgan_vessels": ["--model.image_weight=0", "--model.patch_weight=0", "--model.edge_weight=0"],
    "pix2pix_vessels": ["--model.adversarial_weight=0"],
}


def thin(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask where it is less than 3 pixels wide, ``(*spatial)``."""
    result: np.ndarray = mask & ~binary_opening(mask, np.ones((3,) * mask.ndim))
    return result


@torch.inference_mode()
def scores_of_vessels(model: Segmenter, data: Data, split: str) -> dict[str, float]:
    """Dice, thin recall and precision of one split."""
    rows = data.dataset.rows(split)
    truth = data.dataset.y[rows]
    masks = torch.cat([model.masks(model(x)) for x in data.dataset.x[rows].split(8)])
    ours, vessel = masks.numpy() == 1, truth.numpy() == 1
    narrow = np.stack([thin(mask) for mask in vessel])
    return {
        "dice": float(dice_of_masks(masks, truth, 2).nanmean()),
        "thin recall": float(ours[narrow].mean()),
        "precision": float(vessel[ours].mean()),
    }


def measured(recipe: str, name: str, options: list[str], seed: int, split: str) -> pd.DataFrame:
    """Train once: columns ``model``, ``seed``, ``metric``, ``value``."""
    with tempfile.TemporaryDirectory() as root:
        where = [f"--trainer.default_root_dir={root}", "--trainer.accelerator=cpu", f"--seed_everything={seed}"]
        start = time.process_time()
        run = runs.fit(recipe, *where, *options)
        seconds = time.process_time() - start
    if isinstance(run.model, Segmenter):
        found = {name: scores_of_vessels(run.model, run.data, split)}
    else:
        table = evaluate(run.model, run.data, (split,)).scores
        ours = type(run.model).__name__
        found = {
            name if model == ours else model: dict(zip(part["metric"], part["value"], strict=True))
            for model, part in table.groupby("model", sort=False)
        }
    found[name]["CPU seconds"] = seconds
    rows = [(model, seed, metric, value) for model, some in found.items() for metric, value in some.items()]
    return pd.DataFrame(rows, columns=["model", "seed", "metric", "value"])


def show(table: pd.DataFrame, ours: str, plain: str) -> None:
    """Mean and standard deviation over seeds, and the differences of the same seed."""
    for (model, metric), values in table.groupby(["model", "metric"], sort=False)["value"]:
        print(f"  {model:34} {metric:18} {values.mean():9.4f} ± {values.std():.4f}")
    wide = table.pivot(index="seed", columns=["model", "metric"], values="value")
    if {ours, plain} <= set(wide.columns.get_level_values(0)) and ours != plain:
        for metric, values in (wide[ours] - wide[plain]).items():
            every = ", ".join(f"{value:+.4f}" for value in values)
            print(f"  {f'{ours} - {plain}':34} {metric:18} {values.mean():+9.4f} ± {values.std():.4f}  ({every})")


def main() -> None:
    """Print one table."""
    smoke(globals(), "--seeds=1")
    command = parser(__doc__)
    command.add_argument("--translation", action="store_true", help="pix2pix in place of the segmentation")
    command.add_argument("--choose", nargs="+", metavar="OPTION=VALUE,...", help="sets of options of the model")
    command.add_argument("--seeds", type=int, default=3)
    given = command.parse_args()
    runs.quieten()
    torch.set_num_threads(1)
    recipe = "pix2pix_vessels" if given.translation else "segmentationgan_vessels"
    ours, plain = ("pix2pix", "U-Net, L1 alone") if given.translation else ("SegmentationGAN", "Segmenter")
    split = "validation" if given.choose else "test"
    tries = {plain: PLAIN[recipe]}
    if given.choose:
        tries |= {text: [f"--model.{option}" for option in text.split(",")] for text in given.choose}
    else:
        tries |= {ours: []}
    print(f"{recipe}: {split} rows, {given.seeds} seeds, mean ± standard deviation", flush=True)
    tables = []
    for name, options in tries.items():
        parts = [measured(recipe, name, options, seed, split) for seed in range(given.seeds)]
        tables.append(pd.concat(parts))
        if given.choose:
            show(tables[-1][tables[-1]["model"] == name], ours, plain)
    if not given.choose:
        show(pd.concat(tables).drop_duplicates(["model", "seed", "metric"], keep="last"), ours, plain)


if __name__ == "__main__":
    main()

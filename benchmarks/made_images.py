"""Generated images: DCGAN, ViTGAN, a Gaussian of pixels, and the training images themselves.

Each network is trained by its recipe with other initial weights and other noise for each of three seeds; split and
baselines are the same. Scores are those of `zoo.report.images.scores` on the test rows, which were not used for
choices. CPU seconds are those of the whole training, with its validation. Digits take about 5 CPU-minutes; pneumonia
needs the file of the user, and takes 2 for each seed:

    python benchmarks/made_images.py
    python benchmarks/made_images.py --pneumonia pneumoniamnist.npz [--seeds 1]
"""

import tempfile
import time

import pandas as pd
import torch
from _common import parser, smoke

from zoo import runs
from zoo.report import evaluate


def measured(recipe: str, given: list[str], seeds: int, root: str) -> pd.DataFrame:
    """Scores on test rows of a recipe and of what stands beside it, for each seed: ``model``, ``metric``, ``value``."""
    tables = []
    for seed in range(seeds):
        options = [*given, f"--seed_everything={seed}", "--trainer.accelerator=cpu", "--trainer.default_root_dir", root]
        start = time.process_time()
        run = runs.fit(recipe, *options)
        seconds = time.process_time() - start
        scores = evaluate(run.model, run.data, ("test",)).scores
        ours = type(run.model).__name__
        tables += [scores if seed == 0 else scores[scores["model"] == ours]]
        tables += [pd.DataFrame({"model": [ours], "metric": "CPU seconds", "value": seconds})]
    return pd.concat(tables)


def main() -> None:
    """A line for each model and metric."""
    smoke(globals(), "--seeds=1")
    command = parser(__doc__)
    command.add_argument("--pneumonia", help="pneumoniamnist.npz, as MedMNIST gives it out")
    command.add_argument("--seeds", type=int, default=3, help="trainings of each recipe")
    options = command.parse_args()
    runs.quieten()
    torch.set_num_threads(1)
    recipes: dict[str, list[str]] = {"dcgan_digits": [], "vitgan_digits": []}
    if options.pneumonia:
        recipes = {"dcgan_pneumonia": [f"--data.path={options.pneumonia}"]}
    shown: set[str] = set()
    for recipe, given in recipes.items():
        with tempfile.TemporaryDirectory() as root:
            table = measured(recipe, given, options.seeds, root)
        print(f"\n{recipe}, test rows; seeds: {options.seeds}; mean ± standard deviation (lowest to highest)")
        for (model, metric), values in table[~table["model"].isin(shown)].groupby(["model", "metric"], sort=False)[
            "value"
        ]:
            spread = f" ± {values.std():.4f}  ({values.min():.4f} to {values.max():.4f})" if len(values) > 1 else ""
            print(f"  {model:22} {metric:16} {values.mean():8.4f}{spread}", flush=True)
        shown |= set(table["model"])


if __name__ == "__main__":
    main()

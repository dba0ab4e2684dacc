"""Scores of the recipes for series on official splits over 5 seeds, beside simple models and MiniRocket.

Recipes were chosen on training rows only. A seed determines the initial weights, the validation rows that are taken
from the training rows, augmentation and order; the test rows are those of the archive or, for the simulated beats,
patients that no seed uses for training. CPU seconds are those of the whole training.

Data that are not packaged are given as files; MiniRocket and ROCKET need aeon in a separate environment:

    python -m venv peers && peers/bin/pip install aeon
    python benchmarks/accuracy_series.py --peers peers/bin/python \\
        cnn2d_ecg200=ECG200_TRAIN.tsv,ECG200_TEST.tsv cnn2d_beats pcanet_beats
"""

import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _common import parser, smoke

from zoo import runs
from zoo.report import evaluate

SEEDS = range(5)
PEERS = """
import sys, time
import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier, RocketClassifier
data = np.load(sys.argv[1])
for name, peer in {"MiniRocket": MiniRocketClassifier, "ROCKET": RocketClassifier}.items():
    for seed in range(5):
        start = time.process_time()
        model = peer(random_state=seed, n_jobs=1).fit(data["x"], data["y"])
        seconds = time.process_time() - start
        print(name, (model.predict(data["x_test"]) == data["y_test"]).mean(), seconds, sep=",")
"""


def measured(recipe: str, files: list[str], root: str) -> tuple[pd.DataFrame, runs.Run]:
    """Accuracy and ROC-AUC of every model and seed: columns ``model``, ``metric``, ``value``; and the last run."""
    given = [f"--data.path={files[0]}", f"--data.test_path={files[1]}", "--data.fractions=[0.8,0.2,0]"] if files else []
    tables = []
    for seed in SEEDS:
        options = [*given, f"--seed_everything={seed}", "--trainer.accelerator=cpu", "--trainer.default_root_dir", root]
        options += [f"--data.seed={seed}"] if files else []
        start = time.process_time()
        run = runs.fit(recipe, *options)
        seconds = time.process_time() - start
        scores = evaluate(run.model, run.data, ("test",)).scores
        scores = scores[scores["metric"].isin(["accuracy", "roc_auc"])]
        name = type(run.model).__name__
        tables += [scores, pd.DataFrame({"model": [name], "metric": "CPU seconds", "value": seconds})]
    return pd.concat(tables), run


def rockets(python: str, run: runs.Run, root: str) -> pd.DataFrame:
    """The same of aeon's classifiers, on training and validation rows together."""
    content, path = run.data.dataset, Path(root) / "peers.npz"
    test = content.rows("test")
    rest = torch.as_tensor(np.setdiff1d(np.arange(len(content.y)), test.numpy()))
    arrays = {"x": content.x[rest], "y": content.y[rest], "x_test": content.x[test], "y_test": content.y[test]}
    np.savez(path, **{name: array.numpy() for name, array in arrays.items()})
    done = subprocess.run([python, "-W", "ignore", "-c", PEERS, str(path)], capture_output=True, text=True, check=True)
    rows = [line.split(",") for line in done.stdout.splitlines()]
    return pd.DataFrame(
        [(n, m, float(v)) for n, a, s in rows for m, v in (("accuracy", a), ("CPU seconds", s))],
        columns=["model", "metric", "value"],
    )


def main() -> None:
    """Every recipe that is named, with its files."""
    smoke(globals(), "cnn2d_beats", SEEDS=range(1))
    command = parser(__doc__)
    command.add_argument("recipes", nargs="+", help="NAME, or NAME=TRAIN_FILE,TEST_FILE")
    command.add_argument("--peers", help="python of an environment with aeon")
    options = command.parse_args()
    runs.quieten()
    for given in options.recipes:
        recipe, _, files = given.partition("=")
        with tempfile.TemporaryDirectory() as root:
            table, run = measured(recipe, [f for f in files.split(",") if f], root)
            if options.peers:
                table = pd.concat([table, rockets(options.peers, run, root)])
        samples = run.data.samples["split"].value_counts().to_dict()
        print(f"\n{recipe}: {samples}; {len(SEEDS)} seeds, mean ± standard deviation (lowest to highest)")
        for (model, metric), values in table.groupby(["model", "metric"], sort=False)["value"]:
            spread = f"{values.mean():8.4f} ± {values.std():.4f}  ({values.min():.4f} to {values.max():.4f})"
            print(f"  {model:22} {metric:12} {spread}", flush=True)


if __name__ == "__main__":
    main()

"""Detection of simulated drug effects by in-silico perturbation, beside a t-test and a linear model of each feature.

Simulated cohorts of 1,000 patients (`zoo.data.simulated.drugs`): ten drugs shift six of 120 features each. Clinical
columns drive both drugs and features; in the first setting an unmeasured frailty does so too, in the second there are
no unmeasured confounders. Six autoencoders of the recipe ``vae_drugs``, three of each of two latent sizes, are trained
on 900 patients, with the other 100 for early stopping; two copies of each drug are among their columns. Tests of single
features use all 1,000.

Each method reports pairs of a drug and a feature at a false discovery rate of 5%, so that precision should be 0.95.
``ranking`` is the average precision of the whole ranking, independent of a threshold. Options of the recipe were chosen
on other seeds. Seconds are CPU seconds, one thread; the training is shared by the last three methods.

Run: ``python benchmarks/perturbation.py``
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # libraries read them when imported

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _common import smoke
from sklearn.metrics import average_precision_score

from zoo import explain
from zoo.data import TableData
from zoo.data.simulated.drugs import DRUGS, FEATURES, drugs, planted_pairs

SEEDS, SIZES, EACH = (0, 1, 2), (48, 80), 3
CLINICAL, COMPONENTS = ["age", "sex", "bmi", "centre"], 10
Scores = dict[str, list[list[float]]]


def table(seed: int, frailty: float, folder: Path) -> Path:
    """A cohort as a file, with its first principal components beside the features."""
    frame = drugs(seed, frailty=frailty)
    values = frame[FEATURES].fillna(frame[FEATURES].mean()).to_numpy()
    left, _, _ = np.linalg.svd((values - values.mean(0)) / values.std(0), full_matrices=False)
    for number in range(COMPONENTS):
        frame[f"component_{number}"] = left[:, number]
    frame.to_parquet(path := folder / f"cohort_{seed}_{frailty}.parquet")
    return path


def score(found: pd.DataFrame, seed: int) -> list[float]:
    """Pairs found, precision, recall, and average precision of the ranking, over drugs and omics features."""
    found = found[found["feature"].isin(FEATURES)]
    planted = set(planted_pairs(seed)[["drug", "feature"]].itertuples(index=False, name=None))
    true = np.array([pair in planted for pair in found[["perturbed", "feature"]].itertuples(index=False, name=None)])
    chosen = found["significant"].to_numpy()
    ranking = average_precision_score(true, -np.arange(len(true)))  # the table is in order
    precision = true[chosen].mean() if chosen.any() else np.nan
    return [chosen.sum(), precision, true[chosen].sum() / len(planted), ranking]


def cohort(seed: int, frailty: float, folder: Path, scores: Scores) -> None:
    """Add the scores of all methods on one cohort."""
    path = table(seed, frailty, folder)
    options = {"id": "patient", "covariates": ["centre"], "batch_size": 256, "fractions": [0.9, 0.1, 0.0]}
    components = [f"component_{number}" for number in range(COMPONENTS)]
    whole = TableData(str(path), **options)
    plain = TableData(str(path), features=[*CLINICAL, *DRUGS, *FEATURES], **options)

    def measured(name: str, work: Callable[[], pd.DataFrame]) -> None:
        start = time.process_time()
        found = work()
        scores[name].append([*score(found, seed), time.process_time() - start])

    adjust = [*CLINICAL, *DRUGS]
    measured("t-test (Welch)", lambda: explain.univariate(plain, DRUGS, "yes"))
    measured("linear model, adjusted", lambda: explain.univariate(plain, DRUGS, "yes", adjust))
    more = [*adjust, *components]
    measured(f"the same with {COMPONENTS} components", lambda: explain.univariate(whole, DRUGS, "yes", more))
    start = time.process_time()
    data = explain.with_copies(plain, DRUGS, CLINICAL)
    models = [
        model
        for size in SIZES
        for model in explain.ensemble("vae_drugs", data, f"--model.latent={size}", f"--seed_everything={size}", n=EACH)
    ]
    scores["training"].append([np.nan] * 4 + [time.process_time() - start])
    for method in ("bayes", "t_test", "copies"):
        measured(f"{len(models)} VAEs, {method}", partial(explain.perturb, models, data, DRUGS, "yes", method))


def main() -> None:
    """Both settings."""
    smoke(globals(), SEEDS=(0,), SIZES=(8,), DRUGS=DRUGS[:1])
    torch.set_num_threads(1)
    print(f"{len(SEEDS)} cohorts each, mean ± standard deviation; 60 planted pairs of 1,200; false discovery rate 5%")
    for frailty, title in ((0.6, "with an unmeasured frailty"), (0.0, "all confounders measured")):
        scores: Scores = defaultdict(list)
        with tempfile.TemporaryDirectory() as temporary:
            for seed in SEEDS:
                cohort(seed, frailty, Path(temporary), scores)
        print(f"\n{title:29} {'pairs':>12} {'precision':>15} {'recall':>15} {'ranking':>15} {'seconds':>8}")
        for name, rows in scores.items():
            mean, spread = np.mean(rows, 0), np.std(rows, 0, ddof=1)
            cells = [
                f"{m:.3f} ± {s:.3f}" if np.isfinite(m) else "" for m, s in zip(mean[1:4], spread[1:4], strict=True)
            ]
            pairs = f"{mean[0]:.0f} ± {spread[0]:.0f}" if np.isfinite(mean[0]) else ""
            print(f"{name:29} {pairs:>12} {cells[0]:>15} {cells[1]:>15} {cells[2]:>15} {mean[4]:8.1f}", flush=True)


if __name__ == "__main__":
    main()

"""Synthetic Pima women: TabularGAN beside a Gaussian copula and real rows, on held-out rows, over 5 seeds.

A seed determines the split (70% for training, 30% held out, stratified), weights, noise, and the draws of the copula.
The network takes its validation rows from the 70%; the copula, which needs none, is fitted to all of these. Both
generate as many rows as there are in the 70%, and are scored once against the 30%. "Real rows" are the training rows
scored like synthetic ones; their privacy is that of one half of the held-out rows compared with the other. CPU seconds
are those of the whole training; the copula's include sampling.

The metrics are those of `zoo.report.synthetic.scores.synthetic_scores`. Columns and pairs are scored by the formulas of
SDMetrics, which is not a dependency: its licence is MIT, but it needs copulas, which is under the Business Source
Licence. In an environment that has it, our metrics are compared with its own:

    python -m venv peer && peer/bin/pip install sdmetrics
    python benchmarks/synthetic_tables.py --sdmetrics peer/bin/python
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from _common import parser, smoke

from zoo import files, runs
from zoo.data import TableData
from zoo.models.gans.generative import Generative
from zoo.parsing import CLI
from zoo.report.synthetic.columns import Columns
from zoo.report.synthetic.comparison import COPULA
from zoo.report.synthetic.copula import GaussianCopula
from zoo.report.synthetic.likeness import likeness
from zoo.report.synthetic.scores import compare, real_rows

RECIPE, TARGET = "tabulargan_pima", "diabetes"
FRACTIONS = [0.6, 0.1, 0.3]
SHOWN = {  # metric: what is ideal
    "tstr": "real rows'",
    "tstr_logistic_regression": "real rows'",
    "tstr_random_forest": "real rows'",
    "tstr_gradient_boosting": "real rows'",
    "ks_complement": "1",
    "tv_complement": "1",
    "missing_similarity": "1",
    "correlation_similarity": "1",
    "c2st": "0.5",
    "c2st_random_forest": "0.5",
    "c2st_gradient_boosting": "0.5",
    "c2st_logistic_regression": "0.5",
    "dcr_share": "0.5",
    "membership_inference": "0.5",
    "copies": "0",
    "CPU seconds": "0",
}

PEER = """
import json, sys, warnings
from itertools import combinations
import numpy as np, pandas as pd
from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity
from sdmetrics.single_column import KSComplement, MissingValueSimilarity, TVComplement
warnings.simplefilter("ignore")
columns, (real, made) = json.loads(sys.argv[1]), map(pd.read_pickle, sys.argv[2:])
numbers, categories = columns["numbers"], columns["categories"]
def mean(metric, names, **more):
    return float(np.mean([metric.compute(real[name].copy(), made[name].copy(), **more) for name in names]))
found = {
    "ks_complement": mean(KSComplement, numbers),
    "tv_complement": mean(TVComplement, categories),
    "missing_similarity": mean(MissingValueSimilarity, [*numbers, *categories]),
    "correlation_similarity": mean(CorrelationSimilarity, map(list, combinations(numbers, 2))),
    "contingency_similarity": np.mean([
        mean(ContingencySimilarity, [[one, two]], continuous_column_names=[two] if two in numbers else None)
        for i, one in enumerate(categories) for two in [*numbers, *categories[i + 1:]]
    ]),
}
print(json.dumps(found))
"""


def agreement(python: str) -> None:
    """Print the largest difference between each of our metrics and that of SDMetrics, of rows of the copula."""
    real = real_rows(TableData("pima"), "train")
    columns = Columns.of(real, TARGET)
    tables = [columns.tidy(rows, "table") for rows in (real, GaussianCopula(real, TARGET).sample(250))]
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{number}.pkl") for number in range(2)]
        for rows, path in zip(tables, paths, strict=True):
            rows.to_pickle(path)
        names = json.dumps({"numbers": columns.numbers, "categories": columns.categories})
        done = subprocess.run([python, "-c", PEER, names, *paths], capture_output=True, text=True, check=True)
    ours = likeness(*tables, columns)
    for name, value in json.loads(done.stdout).items():
        print(f"{name:26} ours {ours[name]:.6f}, difference from SDMetrics {abs(ours[name] - value):.0e}")


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and its CPU seconds."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def network(seed: int) -> tuple[Generative, float]:
    """The recipe, trained on the split of a seed, and its CPU seconds."""
    options = [f"--seed_everything={seed}", f"--data.seed={seed}", f"--data.fractions={FRACTIONS}"]
    cli = CLI(["--config", RECIPE, "--trainer.accelerator=cpu", *options])
    torch.manual_seed(seed)
    data = cli.make_data()
    model, seconds = timed(lambda: runs.fit_data(cli, data))
    assert isinstance(model, Generative)
    return model, seconds


def scores_of_seed(seed: int) -> pd.DataFrame:
    """Model, metric, value."""
    data = TableData("pima", seed=seed, fractions=FRACTIONS)
    known = pd.concat([real_rows(data, split) for split in ("train", "validation")])
    made, seconds = {}, {}
    if RECIPE in files.recipes():
        model, seconds["TabularGAN"] = network(seed)
        made["TabularGAN"] = model.synthesise(len(known), seed=seed)
    made[COPULA], seconds[COPULA] = timed(lambda: GaussianCopula(known, TARGET).sample(len(known), seed=seed))
    found = compare(known, made, real_rows(data, "test"), TARGET, seed)
    # Likeness to the rows that were learnt from comes first and counts; real rows are compared with held-out ones.
    rows = [(who, what, value) for who, _, what, value in found.scores]
    rows += [(name, "CPU seconds", value) for name, value in seconds.items()]
    return pd.DataFrame(rows, columns=["model", "metric", "value"]).drop_duplicates(["model", "metric"])


def main() -> None:
    """Print a table."""
    smoke(globals(), "--seeds=1")
    command = parser(__doc__)
    command.add_argument("--seeds", type=int, default=5)
    command.add_argument("--sdmetrics", help="python of an environment with sdmetrics")
    options = command.parse_args()
    seeds = options.seeds
    runs.quieten()
    torch.set_num_threads(1)
    if options.sdmetrics:
        agreement(options.sdmetrics)
    table = pd.concat([scores_of_seed(seed) for seed in range(seeds)])
    names = list(table["model"].unique())
    print(f"Pima, {seeds} seeds, mean ± standard deviation")
    print(f"{'':26}" + "".join(f"{name:>18}" for name in [*names, "ideal"]))
    for metric, ideal in SHOWN.items():
        cells = []
        for name in names:
            values = table[(table["model"] == name) & (table["metric"] == metric)]["value"]
            cells.append(f"{values.mean():.3f} ± {values.std():.3f}" if len(values) else "-")
        print(f"{metric:26}" + "".join(f"{cell:>18}" for cell in [*cells, ideal]), flush=True)


if __name__ == "__main__":
    main()

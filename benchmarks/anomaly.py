"""Anomaly detection by MAD-GAN over several seeds, beside simple models of the same normal training series.

A seed determines the weights, the order of the batches and the validation series; for the simulated beats also the
training patients. Official test series are the same for all seeds. All scores are of test series. The simple models
flag all series, or use the residual after 10 principal components, or the distance to the nearest training series.

    AUROC, AP   of the score, anomalies against normal series (area under the ROC curve, average precision)
    best F1     at the best threshold for the test series; no point adjustment for partly detected anomalies
    F1          at the threshold that 5 % of the normal validation series exceed
    descent     milliseconds per window for the search for its noise, all test windows at once, one thread

    python benchmarks/anomaly.py --basic-motions BasicMotions_TRAIN.ts,BasicMotions_TEST.ts \\
        --ecg200 FOLDER_OF_ECG200 --ecg5000 FOLDER_OF_ECG5000

BasicMotions need not be given where aeon is installed. Class 1 is normal in ECG200 and ECG5000; ECG200 has no recipe
and is trained with that of ECG5000.
"""

import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import pandas as pd
import torch
from _common import parser, smoke

from zoo import runs
from zoo.report import evaluate

COLUMNS = {"roc_auc": "AUROC", "average_precision": "AP", "best_f1": "best F1", "f1": "F1"}
ENDINGS = (".ts", ".tsv", ".tsv.gz", ".txt", ".arff")


def official(folder: Path, name: str) -> list[str]:
    """Training and test file of the UCR archive."""
    for ending in ENDINGS:
        pair = [folder / f"{name}_{part}{ending}" for part in ("TRAIN", "TEST")]
        if all(path.is_file() for path in pair):
            return [str(path) for path in pair]
    raise SystemExit(f"{folder} has no {name}_TRAIN and {name}_TEST ({', '.join(ENDINGS)})")


def descent(run: runs.Run) -> tuple[float, int]:
    """Milliseconds a window of the search for its noise, median of 5, and the number of windows."""
    model, content = run.model, run.data.dataset
    windows = model.windows.cut(model.encode(content.x[content.rows("test")]))  # type: ignore[union-attr, operator]
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        model.nearest(windows)  # type: ignore[operator]
        taken.append(time.perf_counter() - start)
    return 1000 * median(taken) / len(windows), len(windows)


def measured(recipe: str, files: list[str], seeds: int, *options: str) -> None:
    """Train with every seed, and print a table."""
    tables, milliseconds = [], []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as root:
            given = [f"--seed_everything={seed}", f"--data.seed={seed}", "--trainer.accelerator=cpu", *options]
            given += [f"--data.{name}={file}" for name, file in zip(("path", "test_path"), files, strict=False)]
            start = time.process_time()
            run = runs.fit(recipe, *given, "--trainer.default_root_dir", root)
            seconds = time.process_time() - start
        taken, count = descent(run)
        milliseconds.append(taken)
        found = evaluate(run.model, run.data, ("test",)).scores
        tables += [found, pd.DataFrame({"model": ["MADGAN"], "metric": "CPU seconds", "value": seconds})]
    table = pd.concat(tables)
    samples, normal = run.data.samples["split"].value_counts().to_dict(), run.model.hparams["normal"]
    print(f"\n{recipe} {' '.join(map(str, (*files, *options)))}: {samples}, normal is {normal!r}; {seeds} seeds")
    for (model, metric), values in table.groupby(["model", "metric"], sort=False)["value"]:
        name = COLUMNS.get(str(metric), str(metric).replace("roc_auc_", "AUROC of "))
        print(f"  {model:18} {name:24} {values.mean():7.3f} ± {values.std():.3f}", flush=True)
    print(f"  {'MADGAN':18} {'descent':24} {median(milliseconds):7.2f} ms a window, {count} windows", flush=True)


def main() -> None:
    """All data that are there."""
    smoke(globals(), "--seeds=1")
    command = parser(__doc__)
    command.add_argument("--seeds", type=int, default=5)
    command.add_argument("--basic-motions", help="a file, or TRAIN_FILE,TEST_FILE")
    command.add_argument("--ecg200", type=Path, help="folder of ECG200_TRAIN and ECG200_TEST")
    command.add_argument("--ecg5000", type=Path, help="folder of ECG5000_TRAIN and ECG5000_TEST")
    options = command.parse_args()
    runs.quieten()
    torch.set_num_threads(1)
    measured("madgan_beats", [], options.seeds)
    if options.basic_motions or find_spec("aeon"):
        measured("madgan_basic_motions", (options.basic_motions or "basic_motions").split(","), options.seeds)
    else:
        print("\nBasicMotions: not measured; give --basic-motions, or install aeon")
    for name, folder in (("ECG200", options.ecg200), ("ECG5000", options.ecg5000)):
        if folder:
            measured("madgan_ecg5000", official(folder, name), options.seeds)
        else:
            print(f"\n{name}: not measured; give --{name.lower()}")


if __name__ == "__main__":
    main()

"""Our CustOmics beside the published `customics` (Benkirane et al. 2023, doi:10.1371/journal.pcbi.1010921).

Both are trained on the same samples with the same inputs, those of our encoders (the package does not scale its
inputs), with the same network (autoencoders of 512, 256 and 128 units, a central one of as many), batches of 32, Adam
at 1e-3, the same weights of the losses (5 of classes, 1 of survival) and the same switch between the phases:

    published            our network and loss as in the package, for as many epochs on all training samples
    corrected            ours, as long and on the same samples
    corrected, stopped   the same with a fifth of the training samples held out to choose the best epoch

The simulated cohort has three omics, and a subtype and a time of survival to predict. With ``--breast`` the breast
tumours of mixOmics are measured too (Singh et al. 2019, doi:10.1093/bioinformatics/bty1054; TCGA 2012,
doi:10.1038/nature11412): a folder with ``mrna_train.csv.gz``, ``mirna_test.csv.gz`` and so on, and the classes in
``subtype_train.csv`` and ``subtype_test.csv``; the proteins are not used, because test samples lack them. The split
is fixed; seeds change initial weights and order of batches only, to which standard deviations refer. F1 is the mean
over classes, the C-index Harrell's. The equality of both networks is checked from equal weights.

The package runs in a separate environment; both run alternately, in separate processes, with one thread
each; without ``--peer`` only ours is measured. Seconds are those of the processor, of training alone, after a short
training to warm up. The package computes the Cox loss even where its weight is 0; that is part of its time.

    python -m venv peer && peer/bin/pip install customics
    python benchmarks/customics.py --peer peer/bin/python --breast FOLDER
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from shutil import which
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from _common import parser, smoke
from customics_ours import read
from customics_peer import BATCH, Job
from expression import Worker
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split

from zoo.data.simulated.multiomics import multiomics, truth
from zoo.training.survival_metrics import concordance

TRAIN, TEST, VALIDATION, STEPS = 400, 1000, 0.2, 10  # patients; share of the training samples; of the check
SCALES = {"rna": "log", "methylation": "beta", "mirna": "counts"}
SCALES_BREAST = {"mrna": "log", "mirna": "log"}
PEAKS: dict[str, list[float]] = {}  # GB that each worker has had at most, from its start on
VARIANTS = ("published", "corrected", "corrected, stopped")
MEASURES = ("accuracy", "F1", "C-index")


class Cohort:
    """Samples with their split, in tables for ours and, encoded by ours, in a file for the package.

    Args:
        folder: Where to put them.
        samples: ``label``, ``split``, and of survival ``time`` and ``event``; the index names the samples.
        tables: Of each modality, with the same index.
        scales: What the values of each are.
    """

    def __init__(
        self, folder: Path, samples: pd.DataFrame, tables: dict[str, pd.DataFrame], scales: dict[str, str]
    ) -> None:
        training = samples[samples["split"] == "train"]
        kept = train_test_split(training.index, test_size=VALIDATION, stratify=training["label"], random_state=0)[1]
        # Data modules want validation samples: without any, the test samples are called so, and only predicted at last.
        without = samples["split"].replace("test", "validation")
        some = samples["split"].where(~samples.index.isin(kept), "validation")
        self.samples = samples.assign(without=without, with_validation=some).rename_axis("sample")
        self.survival = "time" in samples
        table, encoded = folder / "samples.csv", folder / "encoded.npz"
        self.samples.to_csv(table)
        for name, rows in tables.items():
            rows.rename_axis("sample").to_csv(folder / f"{name}.csv")
        self.job: Job = {"do": "train", "survival": self.survival, "table": str(table), "path": str(encoded)}
        self.job["modalities"] = json.dumps({n: {"path": str(folder / f"{n}.csv"), "scale": scales[n]} for n in tables})
        self.data = read(str(table), "without", self.survival, self.job["modalities"])
        content = self.data.dataset
        # What the package reads: our encoded values; of a cohort without survival everybody is censored.
        rows = self.samples.loc[content.samples.index]
        values = {f"x {name}": x for name, x in self.data.baseline_modalities(torch.arange(len(rows))).items()}
        about = {"name": rows.index, "label": rows["label"], "split": rows["split"]}
        about |= {name: rows.get(name, pd.Series(0, rows.index)) for name in ("time", "event")}
        np.savez(encoded, **values, **{name: np.array(list(column)) for name, column in about.items()})

    def score(self, classes: "pd.Series[Any]", risk: "pd.Series[Any] | None" = None) -> list[float]:
        """Accuracy, F1 and C-index of answers for the test samples."""
        test = self.samples[self.samples["split"] == "test"]
        answer, ranked = classes[test.index], np.nan
        if risk is not None and self.survival:
            ranked = concordance(risk[test.index].to_numpy(), test[["time", "event"]].to_numpy())
        return [accuracy_score(test["label"], answer), f1_score(test["label"], answer, average="macro"), ranked]

    def logistic(self) -> list[float]:
        """The same of logistic regression on all encoded values side by side."""
        content = self.data.dataset
        train, test = (content.rows(split) for split in ("train", "validation"))
        x, y = self.data.baseline_features(train)[""], content.y[train].numpy()
        codes = LogisticRegression(max_iter=10_000).fit(x, y).predict(self.data.baseline_features(test)[""])
        classes = np.array(self.data.spec["target"]["classes"])[codes]
        return self.score(pd.Series(classes, content.samples.index[test.numpy()]))


def simulated(workers: dict[str, Worker], folder: Path, options: argparse.Namespace) -> None:
    """Three omics, all measured in every patient."""
    tables = {name: table.set_index("patient") for name, table in multiomics(TRAIN + TEST, missing={}).items()}
    samples = tables.pop("samples").rename(columns={"subtype": "label"})
    samples["split"] = np.where(np.arange(len(samples)) < TRAIN, "train", "test")
    cohort, true = Cohort(folder, samples, tables, SCALES), truth(TRAIN + TEST)
    best = cohort.score(true.probabilities.idxmax(axis=1), true.log_hazard)
    compare("Simulated cohort", cohort, workers, options, {"true probabilities and hazards": best})
    if "customics" in workers:
        check(cohort, workers, folder / "weights.npz")


def check(cohort: Cohort, workers: dict[str, Worker], weights: Path) -> None:
    """Check that ``published`` reproduces the package, from the same weights through the same batches."""
    job = {**cohort.job, "do": "check", "variant": "published", "seed": 0, "switch": 1}
    theirs, ours = (workers[name].do(**job, weights=str(weights), steps=STEPS) for name in ("customics", "ours"))
    print(f"\nSame first weights and batches, no dropout, {STEPS} steps in each phase: largest difference")
    for name in ("losses", "output"):
        a, b = np.array(ours[name]), np.array(theirs[name])
        print(f"{name:<8} {np.abs(a - b).max():.5f} of {np.abs(b).mean():.3f}")


def breast(workers: dict[str, Worker], folder: Path, options: argparse.Namespace) -> None:
    """Subtypes of breast tumours."""
    if options.breast is None:
        return print("\nbreast tumours: not measured; give --breast")
    parts = {
        (name, split): pd.read_csv(options.breast / f"{name}_{split}.csv{end}", index_col=0)
        for name, end in {"subtype": "", "mrna": ".gz", "mirna": ".gz"}.items()
        for split in ("train", "test")
    }
    read = {name: pd.concat([parts[name, "train"], parts[name, "test"]]) for name in ("subtype", *SCALES_BREAST)}
    samples = read.pop("subtype").rename(columns={"subtype": "label"})
    samples["split"] = np.where(samples.index.isin(parts["subtype", "train"].index), "train", "test")
    return compare("Breast tumours", Cohort(folder, samples, read, SCALES_BREAST), workers, options, {})


def compare(
    title: str, cohort: Cohort, workers: dict[str, Worker], options: argparse.Namespace, known: dict[str, list[float]]
) -> None:
    """Train with each seed, and print a table."""
    sizes = cohort.samples["split"].value_counts()
    widths = ", ".join(f"{name} {len(part['features'])}" for name, part in cohort.data.spec["modalities"].items())
    print(f"\n{title}: {sizes['train']:,} samples to train, {sizes['test']:,} to test; {widths}; second phase")
    print(f"from epoch {options.switch}; {options.seeds} seeds, mean +- standard deviation")
    made: dict[str, list[Job]] = {}
    for seed in range(-1, options.seeds):
        for name, worker in workers.items():
            for variant in VARIANTS if name == "ours" else ("",):
                job = {**cohort.job, "variant": variant, "seed": seed + 1, "switch": options.switch}
                if seed < 0:  # both phases once, to warm up
                    PEAKS.setdefault(name, []).append(worker.do(**{**job, "switch": 1}, epochs=2)["peak"])
                    continue
                made.setdefault(f"{name} {variant}".strip(), []).append(worker.do(**job, epochs=options.epochs))
    shown = MEASURES if cohort.survival else MEASURES[:2]
    row("", *shown, "CPU seconds", "epochs kept", "parameters")
    scores, seconds = {}, {}
    for name, answers in made.items():
        scores[name] = np.array([cohort.score(pd.Series(one["class"]), pd.Series(one["risk"])) for one in answers]).T
        seconds[name] = np.array([one["seconds"] for one in answers])
        epochs, weights = median(one["epochs"] for one in answers), answers[0]["parameters"]
        cells = [spread(values) for values, _ in zip(scores[name], shown, strict=False)]
        row(name, *cells, spread(seconds[name], ".1f"), f"{epochs:.0f}", f"{weights:,}")
    for name, values in {"logistic regression": cohort.logistic(), **known}.items():
        row(name, *(f"{value:.3f}{'':9}" for value in values[: len(shown)] if value == value))
    if "customics" not in made:
        return
    print("Ours less customics, seed by seed; CPU seconds, ours / theirs: median and range")
    for name in (f"ours {variant}" for variant in VARIANTS):
        apart, ratio = scores[name] - scores["customics"], seconds[name] / seconds["customics"]
        cells = [spread(values, "+.3f") for values, _ in zip(apart, shown, strict=False)]
        row(name, *cells, f"{median(ratio):.2f}, {min(ratio):.2f}-{max(ratio):.2f}")


def row(name: str, *cells: str) -> None:
    """Print a row of a table."""
    print(f"{name:<31}" + "".join(f"{cell:>18}" for cell in cells).rstrip(), flush=True)


def spread(values: np.ndarray, digits: str = ".3f") -> str:
    """Mean and standard deviation."""
    return f"{np.mean(values):{digits}} +- {np.std(values, ddof=1):{digits.strip('+')}}"


def cox(workers: dict[str, Worker], folder: Path, options: argparse.Namespace) -> None:
    """The Cox loss alone: with its gradient, of whole days with ties."""
    print(f"\nCox loss forward and backward, milliseconds: medians of 20, of customics above {BATCH} samples of 3")
    rng = np.random.default_rng(0)
    for count in (BATCH, 1024, 10_000):
        given = {
            "time": np.ceil(1000 * rng.exponential(size=count)).astype(int).tolist(),
            "event": rng.integers(0, 2, count).tolist(),
            "risk": rng.normal(size=count).round(4).tolist(),
        }
        found = {ties: workers["ours"].do(do="cox", ties=ties, repeats=20, **given) for ties in ("efron", "breslow")}
        line = "".join(f"{ties} {one['seconds'] * 1e3:.2f}, " for ties, one in found.items())
        if "customics" in workers and count <= 1024:
            theirs = workers["customics"].do(do="cox", repeats=20 if count == BATCH else 3, **given)
            # The package divides by all samples, ours by those with an event.
            same = found["breslow"]["loss"] * np.mean(given["event"])
            line += f"customics {theirs['seconds'] * 1e3:,.1f}, {theirs['seconds'] / found['breslow']['seconds']:,.0f} "
            line += f"times breslow; {theirs['loss']:.5f} there, {same:.5f} here on its scale"
        print(f"{count:>6,} samples: {line.rstrip(', ')}", flush=True)


def main() -> None:
    """Print all tables, or those asked for."""
    sections = {work.__name__: work for work in (simulated, breast, cox)}
    smoke(globals(), "simulated", "cox", "--seeds=2", "--epochs=1", "--switch=1", TRAIN=60, TEST=40)
    command = parser(__doc__)
    command.add_argument("sections", nargs="*", default=list(sections), help=f"some of {', '.join(sections)}")
    command.add_argument("--peer", help="Python of an environment with customics")
    command.add_argument("--breast", type=Path, help="folder of the breast tumours")
    command.add_argument("--seeds", type=int, default=10, help="at least 2")
    command.add_argument("--epochs", type=int, default=20, help="of the published networks")
    command.add_argument("--switch", type=int, default=10, help="first epoch of the second phase")
    options = command.parse_args()
    for given, found in ((options.peer, which), (options.breast, os.path.isdir)):
        if given and not found(given):
            command.error(f"there is no {given}")
    workers = {"ours": Worker(sys.executable, "customics_ours.py")}
    if options.peer:
        workers["customics"] = Worker(options.peer, "customics_peer.py")
    else:
        print("customics: not measured; give --peer")
    for name, worker in workers.items():
        hello = worker.do(do="hello")
        PEAKS[name] = [hello["peak"]]
        print(f"{name:<10} " + ", ".join(f"{n} {v}" for n, v in hello["versions"].items()))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.sections:
            (own := Path(folder) / name).mkdir()
            sections[name](workers, own, options)
    print("\nPeak memory of reading and the first training, GB (of that the libraries)")
    for name, worker in workers.items():
        print(f"{name:<10} {PEAKS[name][:2][-1]:.2f} ({PEAKS[name][0]:.2f})")
        worker.end()


if __name__ == "__main__":
    main()

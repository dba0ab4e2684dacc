"""Our VAE on counts beside scVI of scvi-tools: quality of what is learnt, time an epoch, memory.

Both learn from the same training cells of the same ``.h5ad``, with the same network (one hidden layer of 128, 10 latent
dimensions, ReLU, batch normalisation, dropout of 0.1, the batch as a covariate, the observed library size, one
dispersion a gene), batches of 128, Adam at 1e-3, no warm-up of the divergence, and as many epochs. What is left is what
each package does of its own accord: scVI reads log(1 + count), ours the same per 10,000 counts and in standard units;
ours tells the encoder the batch too and drops inputs, scVI drops hidden units; scVI has Adam divide by at least 0.01
(``eps``), which for others is 1e-8, and a third contestant is scVI with that.

    log-likelihood   of a test cell, in nats, a sum over genes: importance-weighted with as many draws of z for both
                     (Burda et al. 2016, arXiv:1509.00519). Both include all constants of the distribution; that the
                     numbers mean the same is checked on given counts, means and dispersions before anything is trained.
    error            minus the log-likelihood of a test cell given one draw of z from its posterior, in nats
    silhouette, ARI  of the true groups among test cells in latent space; ARI is that of k-means with the true number
    mixing           of batches among the 15 nearest test cells: 1 is as if they were shuffled (see `zoo.latent.quality`)

scVI lives in an environment of its own, and both in processes of their own that take turns, so that whatever else the
machine does reaches both; without ``--peer`` only ours is measured. Times are of one epoch through the real trainers;
the first epoch of each training warms up. Ratios are those within a round.

    python -m venv peer && peer/bin/pip install scvi-tools scanpy
    python benchmarks/expression.py --peer peer/bin/python
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from anndata import AnnData, read_h5ad
from expression_peer import BATCH, DROPOUT, HIDDEN, LATENT, RATE, Clock, Job, peak, serve
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from zoo.data import ExpressionData
from zoo.data.expression_simulated import expression
from zoo.encode import Encoder
from zoo.latent.clustering import labelled
from zoo.latent.measures import batch_mixing, silhouette
from zoo.models import VAE
from zoo.report.history import History, Last, TensorBoard
from zoo.runs import quieten
from zoo.training.count_likelihoods import NegativeBinomial, ZeroInflatedNegativeBinomial
from zoo.training.profiler import NoProfiler

NAMES = {"nb": "negative_binomial", "zinb": "zero_inflated_negative_binomial"}
CLASSES = {"nb": NegativeBinomial, "zinb": ZeroInflatedNegativeBinomial}
DECAY = 1e-6  # of the weights, as in scVI
DRAWS, SEEDS = 50, 3


class Worker:
    """A process that does one job after the other."""

    def __init__(self, python: str, *arguments: str) -> None:
        self.errors = tempfile.TemporaryFile("w+")
        environment = {**os.environ, "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
        self.process = subprocess.Popen(
            [python, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )

    def do(self, **job: Any) -> Job:
        """The answer to a job."""
        assert self.process.stdin and self.process.stdout
        try:
            print(json.dumps(job), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass
        if answer := self.process.stdout.readline():
            return dict(json.loads(answer))
        self.errors.seek(0)
        raise SystemExit(f"{self.process.args} failed:\n{self.errors.read()[-2000:]}")


@cache
def read(path: str, batch: str | None) -> ExpressionData:
    """Cells of a file, with their split."""
    return ExpressionData(
        path, covariates=[batch] if batch else [], split="split", scale="counts", batch_size=BATCH, id="cell"
    )


def zoo_job(job: Job, clock: Clock) -> Job:
    """Train our VAE, or do what else is asked for."""
    quieten()
    if job["do"] == "hello":
        return {"versions": {name: version(name) for name in ("biozoo", "torch", "lightning")}}
    data = read(job["path"], job["batch"])
    pl.seed_everything(job["seed"], verbose=False)
    data.seed = job["seed"]
    model = VAE(
        spec=data.spec,
        latent=LATENT,
        hidden=[HIDDEN],
        normalisation="batch",
        dropout=DROPOUT,
        likelihood=NAMES[job["likelihood"]],
        optimizer="adam",
        lr=RATE,
        weight_decay=DECAY,
    )
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "callbacks": [clock]}
        if job.get("everything"):
            best = ModelCheckpoint(folder, "best", "validation_loss", enable_version_counter=False)
            stop = EarlyStopping("validation_loss", patience=10**6)
            saving = [stop, History(Path(folder) / "metrics.csv"), best, Last(Path(folder) / "last.ckpt"), clock]
            options = {"logger": TensorBoard(folder, default_hp_metric=False), "callbacks": saving}
            options["profiler"] = NoProfiler()
        trainer = pl.Trainer(
            max_epochs=job["epochs"],
            accelerator="cpu",
            limit_val_batches=None if job["validate"] else 0,
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )
        trainer.fit(model, data)
    return quality(model.eval(), data, job["draws"]) if job.get("draws") else {}


@torch.inference_mode()
def quality(model: VAE, data: ExpressionData, draws: int) -> Job:
    """What a trained model makes of the test cells."""
    parts = [data.content.x[rows] for rows in data.content.rows("test").split(BATCH)]
    exact = torch.cat([model.importance_weighted(x, draws) for x in parts])
    error = torch.cat([model.terms(x, number)[:, 1] for number, x in enumerate(parts)])
    latent = torch.cat([model.embed(x) for x in parts])
    return {"log_likelihood": float(exact.mean()), "error": float(error.mean()), "latent": latent.tolist()}


def prepare(cells: AnnData, path: Path) -> AnnData:
    """Write cells, each with its split, and only the genes that training cells have counts of."""
    order = np.random.default_rng(0).permutation(cells.n_obs)
    split = np.full(cells.n_obs, "train", dtype=object)
    split[order[: cells.n_obs // 5]] = "test"
    split[order[cells.n_obs // 5 : 3 * cells.n_obs // 10]] = "validation"
    cells.obs["split"] = split
    cells.obs.index.name = "cell"
    train = cells.X[split == "train"]
    cells = cells[:, (train.max(0) > train.min(0)).toarray().ravel()].copy()
    cells.write_h5ad(path)
    return cells


def told(cells: AnnData) -> str:
    """What the cells are."""
    count = cells.obs["split"].value_counts()
    share = cells.X.nnz / (cells.n_obs * cells.n_vars)
    batches = cells.obs["batch"].nunique() if "batch" in cells.obs else 1
    return (
        f"{cells.n_obs:,} cells x {cells.n_vars:,} genes, {share:.0%} of the counts above 0, {cells.obs['group'].nunique()} "
        f"groups, {batches} batches; {count['train']:,} cells to train, {count['test']:,} to test"
    )


def check(peer: Worker) -> None:
    """Both log-likelihoods of the same counts, with the same means, dispersions and odds of loss."""
    rng = np.random.default_rng(0)
    shares, theta = rng.dirichlet(np.ones(50), 20), np.exp(rng.normal(0, 1, 50))
    counts, lost = rng.poisson(1000 * shares * rng.gamma(1, 1, shares.shape)), rng.normal(0, 1, shares.shape)
    counts[rng.random(counts.shape) < 0.3] = 0
    given = {"mean": shares * counts.sum(1, keepdims=True), "theta": theta, "lost": lost, "counts": counts * 1.0}
    x = torch.tensor(counts, dtype=torch.float32)
    print("\nLog-likelihood of the same 20 made-up cells of 50 genes, largest difference in nats:")
    for name, kind in CLASSES.items():
        layer = kind(Encoder(), (50,))
        layer.log_dispersion.data.copy_(torch.tensor(theta).log())
        output = torch.tensor(np.concatenate([np.log(shares), lost], 1)[:, : 50 * kind.maps], dtype=torch.float32)
        ours = layer.log_prob(output, x, x, None).detach().numpy()
        theirs = peer.do(do="check", likelihood=name, **{key: value.tolist() for key, value in given.items()})
        print(f"{name:<6} {np.abs(ours - np.array(theirs['log_prob'])).max():.4f} of {np.abs(ours).mean():.0f}")


def compare_quality(
    workers: dict[str, Worker], path: Path, cells: AnnData, likelihoods: list[str], epochs: int
) -> None:
    """Train with three seeds, and print a table."""
    batch = "batch" if "batch" in cells.obs else None
    test = cells.obs[cells.obs["split"] == "test"]
    groups = np.unique(test["group"], return_inverse=True)[1]
    batches = np.unique(test["batch"], return_inverse=True)[1] if batch else None
    print(f"{'':<22} {'log-likelihood':>16} {'error':>14} {'silhouette':>14} {'ARI':>13} {'mixing':>13}")
    contestants: dict[str, tuple[Worker, Job]] = {name: (worker, {}) for name, worker in workers.items()}
    if "scVI" in workers:
        contestants["scVI, eps 1e-8"] = (workers["scVI"], {"plan": {"eps": 1e-8}})
    for likelihood in likelihoods:
        found: dict[str, list[list[float]]] = {name: [] for name in contestants}
        for seed in range(SEEDS):
            for name, (worker, more) in contestants.items():
                job = {"do": "train", "path": str(path), "batch": batch, "likelihood": likelihood, "epochs": epochs}
                made = worker.do(**job, seed=seed, threads=1, validate=False, draws=DRAWS, **more)
                x = np.array(made["latent"])
                kmeans = labelled(x, "kmeans", int(groups.max()) + 1, 1.0, 0)
                row = [made["log_likelihood"], made["error"], silhouette(x, groups), rand_index(groups, kmeans)]
                found[name].append([*row, *([] if batches is None else [batch_mixing(x, batches, 15, 0)])])
        for name, rows in found.items():
            told = [f"{mean(v):.{d}f} +- {stdev(v):.{d}f}" for v, d in zip(zip(*rows), (2, 2, 3, 3, 3))]
            print(f"{likelihood:<6} {name:<15} " + " ".join(f"{t:>15}" for t in told), flush=True)


def rand_index(one: np.ndarray, two: np.ndarray) -> float:
    """Adjusted Rand index."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one, two))


def compare_speed(workers: dict[str, Worker], path: Path, rounds: int) -> None:
    """Time one epoch, and print a table."""
    print(f"{'':<44} {'ours':>7} {'scVI':>7} {'ours CPU':>9} {'scVI CPU':>9}   scVI / ours, range; of CPU seconds")
    for likelihood, threads, validate, everything in (
        ("zinb", 1, False, False),
        ("nb", 1, False, False),
        ("zinb", 2, False, False),
        ("nb", 2, False, False),
        ("zinb", 1, True, False),
        ("zinb", 1, True, True),
    ):
        taken: dict[str, list[np.ndarray]] = {name: [] for name in workers}
        for number in range(rounds):
            for name, worker in workers.items():
                job = {"do": "train", "path": str(path), "batch": "batch", "likelihood": likelihood, "seed": number}
                made = worker.do(**job, epochs=3, threads=threads, validate=validate, everything=everything)
                taken[name].append(np.diff(np.array(made["times"])[1:], axis=0).mean(0))
        what = f"{likelihood}, {threads} thread{'s'[: threads - 1]}{', validation' * validate}"
        what += ", logs, checkpoints" * everything
        ours, *theirs = (np.array(values) for values in taken.values())
        told = [f"{np.median(ours[:, 0]):7.2f}", " " * 7, f"{np.median(ours[:, 1]):9.2f}", " " * 9, ""]
        if theirs:
            ratio = theirs[0] / ours
            told[1], told[3] = f"{np.median(theirs[0][:, 0]):7.2f}", f"{np.median(theirs[0][:, 1]):9.2f}"
            wall, cpu = (f"{median(r):.2f}, {min(r):.2f} to {max(r):.2f}" for r in ratio.T)
            told[4] = f"  {wall}; {cpu}"
        print(f"{what:<44} " + " ".join(told), flush=True)


def speed(workers: dict[str, Worker], folder: Path, options: argparse.Namespace) -> None:
    """Time and memory, on simulated cells."""
    cells = prepare(expression(10_000, 2_000, 6, 3, markers=30, depth=1000), folder / "big.h5ad")
    before = {name: worker.do(do="hello")["peak"] for name, worker in workers.items()}
    print(f"\nSeconds an epoch: {told(cells)}; medians of {options.rounds} rounds of 2 epochs")
    compare_speed(workers, folder / "big.h5ad", options.rounds)
    print("\nPeak memory, GB")
    for name, worker in workers.items():
        print(f"{name:<6} {worker.do(do='hello')['peak']:.2f}, of which the libraries {before[name]:.2f}")


def simulated(workers: dict[str, Worker], folder: Path, options: argparse.Namespace) -> None:
    """Quality, on simulated cells."""
    path = folder / "small.h5ad"
    cells = prepare(expression(3_000, 1_000, 6, 3, seed=1, markers=30, depth=1000), path)
    print(f"\nQuality, simulated: {told(cells)}; {options.epochs} epochs")
    compare_quality(workers, path, cells, ["nb", "zinb"], options.epochs)


def real(workers: dict[str, Worker], folder: Path, options: argparse.Namespace) -> None:
    """Quality, on real cells: those that scanpy ships, or a user's."""
    path, given = folder / "real.h5ad", options.counts
    if given is None and ("scVI" not in workers or not workers["scVI"].do(do="real", path=str(path))["cells"]):
        return print("\nreal cells: not measured; give --counts, or install scanpy beside scvi-tools")
    cells = prepare(read_h5ad(given or path), path)
    name = given.name if given else "blood cells of pbmc68k_reduced, which scanpy ships"
    print(f"\nQuality, {name}: {told(cells)}; {3 * options.epochs} epochs")
    compare_quality(workers, path, cells, ["nb"], 3 * options.epochs)
    return None


def main() -> None:
    """Print all tables."""
    sections = {work.__name__: work for work in (speed, simulated, real)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", default=list(sections), help=f"some of {', '.join(sections)}")
    parser.add_argument("--peer", help="Python of an environment with scvi-tools")
    parser.add_argument("--rounds", type=int, default=3, help="of timing")
    parser.add_argument("--epochs", type=int, default=40, help="of the trainings that are judged")
    parser.add_argument("--counts", type=Path, help=".h5ad of counts with obs['group'], and obs['batch'] if it has one")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return serve(zoo_job)
    here = Path(__file__)
    workers = {"ours": Worker(sys.executable, str(here), "--worker")}
    if options.peer:
        workers["scVI"] = Worker(options.peer, str(here.with_name("expression_peer.py")))
    else:
        print("scVI: not measured; give --peer")
    begun = {name: worker.do(do="hello") for name, worker in workers.items()}
    print("; ".join(", ".join(f"{n} {v}" for n, v in b["versions"].items()) for b in begun.values()))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if options.peer:
        check(workers["scVI"])
    with tempfile.TemporaryDirectory() as folder:
        for name in options.sections:
            sections[name](workers, Path(folder), options)
    return None


if __name__ == "__main__":
    main()

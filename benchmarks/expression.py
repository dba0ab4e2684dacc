"""Our VAE on counts beside scVI of scvi-tools: quality of the latent space, time per epoch, memory.

Both are trained on the same cells of the same ``.h5ad``, with the same network (one hidden layer of 128, 10 latent
dimensions, ReLU, batch normalisation, dropout of 0.1, the batch as a covariate, the observed library size, one
dispersion a gene), batches of 128, the same Adam at 1e-3, no warm-up of the divergence, and as many epochs. The
remaining differences are those of the packages: the input of scVI is log(1 + count), that of ours the standardised
log(1 + count per 10,000); in ours the batch is also an input of the encoder; the running averages of scVI's batch
normalisation span ten times as many steps.

    log-likelihood   of a test cell, in nats, a sum over genes: importance-weighted with as many draws of z for both
                     (Burda et al. 2016, arXiv:1509.00519). Both include all constants of the distribution; their
                     equality is checked on given counts, means and dispersions before the training.
    error            minus the log-likelihood of a test cell given one draw of z from its posterior, in nats
    silhouette, ARI  of the true groups among test cells in latent space; ARI is that of k-means with the true number
    mixing           of batches among the 15 nearest test cells; 1 is as if they were shuffled (`zoo.latent.quality`)

scVI runs in a separate environment; both run alternately in separate processes, so that other load on the machine
affects both; without ``--peer`` only ours is measured. Times are of one epoch through the real trainers;
the first epoch of each training warms up. Ratios are those within a round. CPU seconds are less affected
by other processes than wall-clock time.

    python -m venv peer && peer/bin/pip install scvi-tools scanpy
    python benchmarks/expression.py --peer peer/bin/python
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from shutil import which
from statistics import median
from typing import Any

import numpy as np
import torch
from _common import parser, smoke
from anndata import AnnData, read_h5ad
from expression_peer import Job
from sklearn.metrics import adjusted_rand_score

from zoo.data.simulated.expression import expression
from zoo.encode import Encoder
from zoo.encode.expression_rows import as_csr
from zoo.latent.clustering import labelled
from zoo.latent.measures import batch_mixing, silhouette
from zoo.training.count_likelihoods import NegativeBinomial, ZeroInflatedNegativeBinomial

DRAWS, SEEDS = 50, 3
TIMED_SIZE, SIZE = (10_000, 2_000), (3_000, 1_000)  # cells and genes, where time and where quality is measured
DIGITS = {"log-likelihood": 2, "error": 2, "silhouette": 3, "ARI": 3, "mixing": 3}
TIMED: list[Job] = [
    {"likelihood": "zinb", "threads": 1, "validate": False},
    {"likelihood": "nb", "threads": 1, "validate": False},
    {"likelihood": "zinb", "threads": 2, "validate": False},
    {"likelihood": "zinb", "threads": 1, "validate": True},
    {"likelihood": "zinb", "threads": 1, "validate": True, "everything": True},  # `zoo fit`
]


class Worker:
    """A process that does one job after the other."""

    def __init__(self, python: str, script: str) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it is needed as long as the process lives)
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name(script))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
        )

    def do(self, **job: Any) -> Job:
        """The answer to a job."""
        with suppress(BrokenPipeError):
            print(json.dumps(job), file=self.process.stdin, flush=True)
        if answer := self.process.stdout.readline():  # type: ignore[union-attr]
            return dict(json.loads(answer))
        self.errors.seek(0)
        raise SystemExit(f"{self.process.args} failed:\n{self.errors.read()[-2000:]}")

    def end(self) -> None:
        """Let it go, without its libraries' own farewell."""
        self.process.kill()
        self.process.wait()


def check(peer: Worker) -> None:
    """Both log-likelihoods of the same counts, with the same means, dispersions and odds of loss."""
    rng, genes = np.random.default_rng(0), 50
    shares, theta = rng.dirichlet(np.ones(genes), 20), np.exp(rng.normal(0, 1, genes))
    counts, lost = rng.poisson(1000 * shares * rng.gamma(1, 1, shares.shape)) * 1.0, rng.normal(0, 1, shares.shape)
    counts[rng.random(counts.shape) < 0.3] = 0
    given = {"mean": shares * counts.sum(1, keepdims=True), "theta": theta, "lost": lost, "counts": counts}
    x = torch.tensor(counts).float()
    print("\nLog-likelihood of the same 20 made-up cells, largest difference between ours and scVI's, nats")
    for name, kind in {"nb": NegativeBinomial, "zinb": ZeroInflatedNegativeBinomial}.items():
        layer = kind(Encoder(), (genes,))
        layer.log_dispersion.data.copy_(torch.tensor(theta).log())
        output = torch.tensor(np.concatenate([np.log(shares), lost], 1)[:, : genes * kind.maps]).float()
        ours = layer.log_prob(output, x, x, None).detach().numpy()
        theirs = peer.do(do="check", likelihood=name, **{key: value.tolist() for key, value in given.items()})
        print(f"{name:<6} {np.abs(ours - np.array(theirs['log_prob'])).max():.4f} of {np.abs(ours).mean():.0f}")


def prepare(cells: AnnData, path: Path) -> AnnData:
    """Write cells, each with its split, and only the genes that differ between training cells."""
    order = np.random.default_rng(0).permutation(cells.n_obs)
    split = np.full(cells.n_obs, "train", dtype=object)
    split[order[: cells.n_obs // 5]] = "test"
    split[order[cells.n_obs // 5 : 3 * cells.n_obs // 10]] = "validation"
    cells.X, cells.obs["split"], cells.obs.index.name = as_csr(cells.X), split, "cell"
    train = cells.X[split == "train"]
    cells = cells[:, (train.max(0) > train.min(0)).toarray().ravel()].copy()
    cells.write_h5ad(path)
    parts = cells.obs["split"].value_counts()
    print(
        f"{cells.n_obs:,} cells x {cells.n_vars:,} genes, {cells.X.nnz / np.prod(cells.shape):.0%} of the counts above "
        f"0, {cells.obs['group'].nunique()} groups; {parts['train']:,} cells to train, {parts['test']:,} to test"
    )
    return cells


def speed(workers: dict[str, Worker], path: Path, options: argparse.Namespace) -> None:
    """Time and memory, on simulated cells."""
    print(f"\nSeconds an epoch, medians of {options.rounds} rounds of 2 epochs")
    prepare(expression(*TIMED_SIZE, 6, 3, markers=30, depth=1000), path)
    peaks = {name: [worker.do(do="hello")["peak"]] for name, worker in workers.items()}
    print(f"{'':<41}{'ours':>6}{'scVI':>7}  scVI / ours, range    {'ours':>6}{'scVI':>7}  scVI / ours, range (CPU)")
    for setting in TIMED:
        taken: dict[str, list[np.ndarray]] = {name: [] for name in workers}
        for number in range(options.rounds):
            for name, worker in workers.items():
                made = worker.do(do="train", path=str(path), batch="batch", seed=number, epochs=3, **setting)
                taken[name].append(np.diff(np.array(made["times"])[1:], axis=0).mean(0))
                peaks[name] = [*peaks[name], made["peak"]][:2]
        what = f"{setting['likelihood']}, {setting['threads']} thread{'s' * (setting['threads'] > 1)}"
        what += ", validation" * setting["validate"] + ", checkpoints" * setting.get("everything", False)
        line = f"{what:<41}"
        for clock in (0, 1):
            ours, *theirs = ([values[clock] for values in taken[name]] for name in workers)
            line += f"{median(ours):>6.2f}"
            if theirs:
                ratios = [b / a for a, b in zip(ours, theirs[0], strict=True)]
                spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
                line += f"{median(theirs[0]):>7.2f}  {median(ratios):.2f}, {spread:<17}"
        print(line.rstrip(), flush=True)
    print("\nPeak memory of reading and the first training, GB (of that the libraries)")
    for name, (libraries, first) in peaks.items():
        print(f"{name:<6} {first:.2f} ({libraries:.2f})")


def simulated(workers: dict[str, Worker], path: Path, options: argparse.Namespace) -> None:
    """Quality, on simulated cells."""
    print(f"\nQuality, simulated cells, {options.epochs} epochs")
    cells = prepare(expression(*SIZE, 6, 3, seed=1, markers=30, depth=1000), path)
    compare(workers, path, cells, ["nb", "zinb"], options.epochs)


def real(workers: dict[str, Worker], path: Path, options: argparse.Namespace) -> None:
    """Quality, on real cells: a user's, or those that scanpy ships."""
    given = options.counts
    if given is None and ("scVI" not in workers or not workers["scVI"].do(do="real", path=str(path))["cells"]):
        return print("\nreal cells: not measured; give --counts, or install scanpy beside scvi-tools")
    name, epochs = given.name if given else "blood cells of pbmc68k_reduced, which scanpy ships", 4 * options.epochs
    print(f"\nQuality, {name}, {epochs} epochs")
    return compare(workers, path, prepare(read_h5ad(given or path), path), ["nb"], epochs)


def compare(workers: dict[str, Worker], path: Path, cells: AnnData, likelihoods: list[str], epochs: int) -> None:
    """Train with each seed, and print a table."""
    batch = "batch" if "batch" in cells.obs else None
    test = cells.obs[cells.obs["split"] == "test"]
    groups, batches = (np.unique(test[name], return_inverse=True)[1] for name in ("group", batch or "group"))
    print(f"{'':<12}" + "".join(f"{name:>18}" for name in DIGITS) + f"   ({SEEDS} seeds, mean +- standard deviation)")
    for likelihood in likelihoods:
        found: dict[str, list[list[float]]] = {name: [] for name in workers}
        for seed in range(SEEDS):
            for name, worker in workers.items():
                job = {"do": "train", "path": str(path), "batch": batch, "likelihood": likelihood, "epochs": epochs}
                made = worker.do(**job, seed=seed, threads=1, validate=False, draws=DRAWS)
                x = np.array(made["latent"])
                alike = adjusted_rand_score(groups, labelled(x, "kmeans", len(np.unique(groups)), 1.0, 0))
                mixing = batch_mixing(x, batches, 15, 0) if batch else np.nan
                found[name].append([made["log_likelihood"], made["error"], silhouette(x, groups), alike, mixing])
        for name, rows in found.items():
            values = zip(np.mean(rows, 0), np.std(rows, 0, ddof=1), DIGITS.values(), strict=True)
            line = "".join(f"{f'{value:.{d}f} +- {spread:.{d}f}':>18}" for value, spread, d in values)
            print(f"{likelihood:<5} {name:<6}" + line.replace("nan +- nan", "one batch "), flush=True)


def main() -> None:
    """Print all tables, or those asked for."""
    small = {"TIMED_SIZE": (300, 200), "SIZE": (300, 200), "TIMED": TIMED[:1], "DRAWS": 2, "SEEDS": 2}
    smoke(globals(), "speed", "simulated", "--rounds=1", "--epochs=1", **small)
    sections = {work.__name__: work for work in (speed, simulated, real)}
    command = parser(__doc__)
    command.add_argument("sections", nargs="*", default=list(sections), help=f"some of {', '.join(sections)}")
    command.add_argument("--peer", help="Python of an environment with scvi-tools")
    command.add_argument("--rounds", type=int, default=3, help="of timing")
    command.add_argument("--epochs", type=int, default=40, help="on simulated cells; four times as many on real ones")
    command.add_argument("--counts", type=Path, help="real cells: .h5ad of counts with obs['group'] and maybe 'batch'")
    options = command.parse_args()
    if options.peer and not which(options.peer):
        command.error(f"there is no {options.peer}")
    workers = {"ours": Worker(sys.executable, "expression_ours.py")}
    if options.peer:
        workers["scVI"] = Worker(options.peer, "expression_peer.py")
    else:
        print("scVI: not measured; give --peer")
    for name, worker in workers.items():
        print(f"{name:<6} " + ", ".join(f"{n} {v}" for n, v in worker.do(do="hello")["versions"].items()))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if options.peer:
        check(workers["scVI"])
    with tempfile.TemporaryDirectory() as folder:
        for name in options.sections:
            sections[name](workers, Path(folder) / f"{name}.h5ad", options)
    for worker in workers.values():
        worker.end()


if __name__ == "__main__":
    main()

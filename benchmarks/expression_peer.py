"""scVI of scvi-tools for `benchmarks/expression.py`, run by the Python of a separate environment.

A worker reads jobs from its standard input, one JSON object a line, and replies to each with one, so that both
implementations, each in a process that lives as long as the benchmark, can run alternately.
"""

import json
import logging
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

import anndata
import lightning.pytorch as pl
import numpy as np
import torch

Job = dict[str, Any]
BATCH, HIDDEN, LATENT, DROPOUT, RATE, DECAY = 128, 128, 10, 0.1, 1e-3, 1e-6  # of both implementations
EPS = 1e-8  # of Adam, as in torch and ours; scVI would take 0.01


class Clock(pl.Callback):
    """When each epoch starts and the last one ends: seconds of the wall clock, and of the processor."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.times.append((time.perf_counter(), time.process_time()))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.times.append((time.perf_counter(), time.process_time()))


def peak() -> float:
    """Most memory that this process has had resident, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def serve(work: Callable[[Job, Clock], Job]) -> None:
    """Do jobs until there are no more; what libraries print goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for line in sys.stdin:
        job, clock = json.loads(line), Clock()
        torch.set_num_threads(job.get("threads", 1))
        found = work(job, clock)
        print(json.dumps({**found, "times": clock.times, "peak": peak()}), file=answers, flush=True)


@cache
def read(path: str, batch: str | None) -> anndata.AnnData:
    """Cells, registered with scVI."""
    import scvi

    cells = anndata.read_h5ad(path)
    scvi.model.SCVI.setup_anndata(cells, batch_key=batch)
    return cells


def scvi_job(job: Job, clock: Clock) -> Job:
    """Train scVI, or do what else is asked for."""
    import scvi

    scvi.settings.verbosity = logging.ERROR
    match job["do"]:
        case "hello":
            return {"versions": {name: version(name) for name in ("scvi-tools", "torch", "lightning")}}
        case "real":
            return {"cells": real(job["path"])}
        case "check":
            return {"log_prob": check(job)}
    cells = read(job["path"], job["batch"])
    train, validation, test = (np.flatnonzero(cells.obs["split"] == s) for s in ("train", "validation", "test"))
    scvi.settings.seed = job["seed"]
    model = scvi.model.SCVI(
        cells, n_hidden=HIDDEN, n_latent=LATENT, dropout_rate=DROPOUT, gene_likelihood=job["likelihood"]
    )
    model.train(
        max_epochs=job["epochs"],
        batch_size=BATCH,
        accelerator="cpu",
        check_val_every_n_epoch=1 if job["validate"] else None,
        datasplitter_kwargs={"external_indexing": [train, validation, test]},
        plan_kwargs={"lr": RATE, "weight_decay": DECAY, "eps": EPS, "n_epochs_kl_warmup": None},
        enable_progress_bar=False,
        callbacks=[clock],
    )
    if not job.get("draws"):
        return {}
    exact = model.get_marginal_ll(indices=test, n_mc_samples=job["draws"], return_mean=False, batch_size=BATCH)
    error = model.get_reconstruction_error(indices=test, batch_size=BATCH)["reconstruction_loss"]
    return {
        "log_likelihood": float(exact.mean()),
        "error": abs(float(error)),
        "latent": model.get_latent_representation(indices=test).tolist(),
    }


def check(job: Job) -> list[float]:
    """Log-likelihood of given counts by scvi-tools' own distributions, a sum over genes for each cell."""
    from scvi.distributions import NegativeBinomial, ZeroInflatedNegativeBinomial

    counts, mean, theta, lost = (torch.tensor(job[name]) for name in ("counts", "mean", "theta", "lost"))
    plain = NegativeBinomial(mu=mean, theta=theta)
    inflated = ZeroInflatedNegativeBinomial(mu=mean, theta=theta, zi_logits=lost)
    return (plain if job["likelihood"] == "nb" else inflated).log_prob(counts).sum(1).tolist()


def real(path: str) -> int:
    """Write the real cells that scanpy ships, their counts made again from the logarithms; 0 without scanpy.

    ``pbmc68k_reduced`` holds log(1 + counts per 10,000) with three decimals, and the total of each cell; counts below
    300 are at most 0.1 off whole numbers, so that rounding gives back what was counted.
    """
    try:
        import scanpy
    except ImportError:
        return 0
    cells = scanpy.datasets.pbmc68k_reduced()
    matrix = cells.raw.X.tocsr().astype(np.float64)
    counts = np.expm1(matrix.data) * np.repeat(cells.obs["n_counts"].to_numpy() / 1e4, np.diff(matrix.indptr))
    if np.abs(counts - counts.round()).max() > 0.1:
        raise ValueError("these are not the cells they were: counts are no whole numbers")
    matrix.data = counts.round()
    obs = cells.obs[["bulk_labels"]].rename(columns={"bulk_labels": "group"})
    anndata.AnnData(matrix.astype(np.float32), obs=obs, var=cells.raw.var[[]]).write_h5ad(path)
    return int(cells.n_obs)


if __name__ == "__main__":
    serve(scvi_job)

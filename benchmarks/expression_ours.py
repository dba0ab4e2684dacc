"""Our VAE on counts for `benchmarks/expression.py`; a worker like that of `expression_peer.py`."""

import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from expression_peer import BATCH, DECAY, DROPOUT, HIDDEN, LATENT, RATE, Clock, Job, serve
from lightning.pytorch.callbacks import EarlyStopping

from zoo.checkpoints import recorders
from zoo.data import ExpressionData
from zoo.models import VAE
from zoo.report.history import TensorBoard
from zoo.runs import quieten
from zoo.training.profiler import NoProfiler

NAMES = {"nb": "negative_binomial", "zinb": "zero_inflated_negative_binomial"}


@cache
def read(path: str, batch: str | None) -> ExpressionData:
    """Cells of a file, with their split."""
    conditions = [batch] if batch else []
    return ExpressionData(path, covariates=conditions, split="split", scale="counts", batch_size=BATCH)


def work(job: Job, clock: Clock) -> Job:
    """Train, or report the versions."""
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
            options = everything(Path(folder), clock)
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


def everything(folder: Path, clock: Clock) -> dict[str, Any]:
    """What `zoo fit` adds to a trainer: logs, history, two checkpoints, early stopping."""
    recording, checkpoints = recorders(folder)
    stop = EarlyStopping("validation_loss", patience=10**6)
    callbacks = [stop, *recording, clock]
    logger = TensorBoard(str(folder), default_hp_metric=False)
    return {"logger": logger, "callbacks": callbacks, "plugins": checkpoints, "profiler": NoProfiler()}


@torch.inference_mode()
def quality(model: VAE, data: ExpressionData, draws: int) -> Job:
    """Results of a trained model on the test cells."""
    parts = [data.dataset.x[rows] for rows in data.dataset.rows("test").split(BATCH)]
    exact = torch.cat([model.importance_weighted(x, draws) for x in parts])
    error = torch.cat([model.terms(x, number)[:, 1] for number, x in enumerate(parts)])
    latent = torch.cat([model.embed(x) for x in parts])
    return {"log_likelihood": float(exact.mean()), "error": float(error.mean()), "latent": latent.tolist()}


if __name__ == "__main__":
    serve(work)

"""Our CustOmics for `benchmarks/customics.py`; a worker like that of `customics_peer.py`."""

import json
import tempfile
from functools import cache
from importlib.metadata import version
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from customics_peer import (
    BATCH,
    BETA,
    CLASS_WEIGHT,
    CLASSIFIER,
    DROPOUT,
    HIDDEN,
    LATENT,
    RATE,
    RISK,
    SURVIVAL_WEIGHT,
    Job,
    clocked,
    serve,
    usage,
)
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from zoo.data import MultiOmicsData
from zoo.models.fusion.customics import CustOmics
from zoo.runs import quieten
from zoo.training.cox import breslow, efron

PATIENCE, LONGER = 20, 4  # of who stops early, and may train so many times as long as others
COX = {"efron": efron, "breslow": breslow}


@cache
def read(table: str, split: str, survival: bool, modalities: str) -> MultiOmicsData:
    """Samples with their split; the time of survival is an extra target. The modalities are written as JSON."""
    more: dict[str, Any] = {}
    if survival:
        more["also"] = {"survival": {"target": "time", "event": "event", "weight": SURVIVAL_WEIGHT}}
    return MultiOmicsData(
        table, modalities=json.loads(modalities), target="label", split=split, batch_size=BATCH, **more
    )


def build(job: Job, dropout: float = DROPOUT) -> tuple[CustOmics, MultiOmicsData]:
    """Our model of these samples, with the first weights of this seed."""
    variant, _, stop = job["variant"].partition(", ")
    data = read(job["table"], "with_validation" if stop else "without", job["survival"], job["modalities"])
    data.seed = job["seed"]
    pl.seed_everything(job["seed"], verbose=False)
    model = CustOmics(
        spec=data.spec,
        variant=variant,
        switch_epoch=job["switch"],
        hidden=HIDDEN,
        central_hidden=HIDDEN,
        latent=LATENT,
        central=LATENT,
        classifier=CLASSIFIER,
        survival_head=RISK,
        dropout=dropout,
        beta=BETA,
        target_weight=CLASS_WEIGHT,
        lr=RATE,
    )
    return model, data


def train(job: Job) -> Job:
    """Train, and predict class and risk of each test sample."""
    model, data = build(job)
    stop, content = "stopped" in job["variant"], data.dataset
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, "best", "validation_loss", save_weights_only=True)
        trainer = pl.Trainer(
            max_epochs=job["epochs"] * (LONGER if stop else 1),
            accelerator="cpu",
            logger=False,
            limit_val_batches=None if stop else 0,
            enable_checkpointing=stop,
            callbacks=[EarlyStopping("validation_loss", patience=PATIENCE), best] if stop else [],
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        start = usage()[0]
        trainer.fit(model, data)
        seconds = usage()[0] - start
        epochs = trainer.current_epoch
        if stop:
            kept = torch.load(best.best_model_path, weights_only=True)
            model.load_state_dict(kept["state_dict"])
            epochs = kept["epoch"] + 1
    rows = content.rows("test" if stop else "validation")
    names = content.samples.index[rows.numpy()]
    model.eval()
    with torch.inference_mode():
        z = model.embed(content.x[rows])
        classes = [model.target["classes"][code] for code in model.head(z).argmax(1).tolist()]
        risk = model.target_heads["survival"].network(z)[:, 0].tolist() if job["survival"] else [0.0] * len(rows)
    return {
        "seconds": seconds,
        "epochs": epochs,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "class": dict(zip(names, classes, strict=True)),
        "risk": dict(zip(names, risk, strict=True)),
    }


def check(job: Job) -> Job:
    """As in `customics_peer`, from the weights that it began with."""
    model, data = build(job, dropout=0.0)
    content, body = data.dataset, model.body
    train, test = content.rows("train"), content.rows("validation")
    model.fit_encoders(content.x[train])
    coders = [part[name] for name in model.names for part in (body.encoders, body.decoders)]
    central = [body.central_encoder, body.mean, body.log_variance, body.central_decoder]
    with torch.no_grad():
        parts = [*coders, *central, model.head, model.targets()["survival"].head]
        for mine, theirs in zip((p for part in parts for p in part.parameters()), weights(job), strict=True):
            mine.copy_(theirs)
    steps, optimiser = job["steps"], torch.optim.Adam(model.parameters(), RATE)
    losses = []
    for step in range(2 * steps):
        torch.manual_seed(step)
        model.switch_epoch = 1 - step // steps  # without a trainer the epoch is 0
        rows = train[BATCH * (step % steps) : BATCH * (step % steps + 1)]
        optimiser.zero_grad()
        loss = model.loss({"x": content.x[rows], **content.targets(rows)})
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    with torch.inference_mode():
        output = model.eval().raw_predictions(content.x[test])
    return {"losses": losses, "output": output.tolist()}


def weights(job: Job) -> list[torch.Tensor]:
    """Those that the package began with."""
    with np.load(job["weights"]) as held:
        return [torch.from_numpy(held[name]) for name in held.files]


def work(job: Job) -> Job:
    """Do what is asked for."""
    quieten()
    match job["do"]:
        case "hello":
            return {"versions": {name: version(name) for name in ("biozoo", "torch", "lightning", "numpy", "pandas")}}
        case "cox":
            y = torch.tensor([job["time"], job["event"]]).float().T.contiguous()
            loss = COX[job["ties"]]
            return clocked(lambda output: loss(output, y).mean(), job["risk"], job["repeats"])
        case "check":
            return check(job)
    return train(job)


if __name__ == "__main__":
    serve(work)

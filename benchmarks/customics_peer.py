"""The published `customics` for `benchmarks/customics.py`, run by the Python of a separate environment.

A worker reads jobs from its standard input, one JSON object a line, and replies to each with one, so that both
implementations, each in a process that lives as long as the benchmark, can run alternately.
"""

import importlib
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

Job = dict[str, Any]
# Of both implementations: the sizes of the authors' own training script.
HIDDEN, LATENT, CLASSIFIER, RISK, DROPOUT, RATE, BATCH = [512, 256], 128, [128, 64], [64, 32], 0.2, 1e-3, 32
CLASS_WEIGHT, SURVIVAL_WEIGHT, BETA = 5.0, 1.0, 1.0


def usage() -> tuple[float, float]:
    """Seconds of the processor that this process has used, and the most memory that it has had resident, in GB."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9


def serve(work: Callable[[Job], Job]) -> None:
    """Do jobs until there are no more; what libraries print goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    for line in sys.stdin:
        found = work(json.loads(line))
        print(json.dumps({**found, "peak": usage()[1]}), file=answers, flush=True)


def clocked(loss: Callable[[torch.Tensor], torch.Tensor], risk: list[float], repeats: int) -> Job:
    """A loss of risks, and seconds of the wall clock that it takes with its gradient: the median."""
    seconds = []
    for _ in range(repeats):
        output = torch.tensor(risk)[:, None].requires_grad_()
        start = time.perf_counter()
        value = loss(output)
        value.backward()
        seconds.append(time.perf_counter() - start)
    return {"loss": value.item(), "seconds": median(seconds)}


@cache
def package(name: str = "customics") -> Any:
    """A module of the published package, not the benchmark of that name beside this file."""
    here = Path(__file__).resolve().parent
    sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != here]
    return importlib.import_module(name)


@cache
def read(path: str) -> tuple[Any, Any]:
    """Training and test samples as the package takes them."""
    from anndata import AnnData
    from mudata import MuData
    from pandas import DataFrame

    held = np.load(path)
    columns = {name: held[name] for name in ("label", "event", "time")}
    samples = DataFrame(columns, index=held["name"])
    parts = []
    for split in ("train", "test"):
        rows = held["split"] == split
        tables = {name.removeprefix("x "): held[name][rows] for name in held.files if name.startswith("x ")}
        whole = MuData({name: AnnData(x, obs=DataFrame(index=held["name"][rows])) for name, x in tables.items()})
        whole.obs = samples[rows]
        package().prepare_input(whole, label="label", event="event", surv_time="time")
        parts.append(whole)
    return parts[0], parts[1]


def build(job: Job, training: Any, dropout: float = DROPOUT) -> Any:
    """The package's model of these samples, with the first weights of this seed."""
    torch.manual_seed(job["seed"])
    coder = {"hidden_dim": HIDDEN, "latent_dim": LATENT, "norm": True, "dropout": dropout}
    return package().CustOMICS(
        source_params={name: {"input_dim": part.n_vars, **coder} for name, part in training.mod.items()},
        central_params={**coder, "beta": BETA},
        classif_params={
            "n_class": training.obs["label"].nunique(),
            "lambda": CLASS_WEIGHT,
            "hidden_layers": CLASSIFIER,
            "dropout": dropout,
        },
        surv_params={
            "lambda": SURVIVAL_WEIGHT if job["survival"] else 0.0,
            "dims": RISK,
            "activation": "SELU",
            "l2_reg": 0.0,
            "norm": True,
            "dropout": dropout,
        },
        train_params={"switch": job["switch"], "lr": RATE},
        device=torch.device("cpu"),
    )


def train(job: Job) -> Job:
    """Train, and predict class and risk of each test sample."""
    training, test = read(job["path"])
    model = build(job, training)
    start = usage()[0]
    model.fit(training, batch_size=BATCH, n_epochs=job["epochs"], verbose=False)
    seconds = usage()[0] - start
    names = package().get_shared_samples(test)  # the order of its answers
    classes = model.label_encoder.inverse_transform(model.predict(test))
    with torch.no_grad():
        risk = model.survival_predictor(torch.tensor(model.get_latent_representation(test)))[:, 0]
    return {
        "seconds": seconds,
        "epochs": job["epochs"],
        "parameters": model.get_number_parameters(),
        "class": dict(zip(names, classes.tolist(), strict=True)),
        "risk": dict(zip(names, risk.tolist(), strict=True)),
    }


def check(job: Job) -> Job:
    """Losses of the first steps of both phases, and what test samples get after them; without dropout."""
    training, test = read(job["path"])
    model = build(job, training, dropout=0.0)
    np.savez(job["weights"], *[values.detach().numpy() for values in model.parameters()])
    x = [torch.tensor(part.X).float() for part in training.mod.values()]
    codes = torch.tensor(np.unique(training.obs["label"], return_inverse=True)[1])
    time, event = (torch.tensor(training.obs[name].to_numpy()) for name in ("time", "event"))
    model.train()
    losses = []
    for step in range(2 * job["steps"]):
        torch.manual_seed(step)
        model.phase = 1 + step // job["steps"]
        rows = slice(BATCH * (step % job["steps"]), BATCH * (step % job["steps"] + 1))
        loss = model._train_step([part[rows] for part in x], codes[rows], time[rows], event[rows])
        loss.backward()
        model.optimizer.step()
        losses.append(loss.item())
    with torch.inference_mode():
        z = model.eval()([torch.tensor(part.X).float() for part in test.mod.values()])[2]
        output = torch.cat([model.classifier(z), model.survival_predictor(z)], 1)
    return {"losses": losses, "output": output.tolist()}


def cox(job: Job) -> Job:
    """The package's loss of risks; it takes whole days, as its data set makes them."""
    time, event = torch.tensor(job["time"]), torch.tensor(job["event"])
    loss = package("customics.loss").CoxLoss
    return clocked(lambda output: loss(time, event, output, torch.device("cpu")), job["risk"], job["repeats"])


def work(job: Job) -> Job:
    """Do what is asked for."""
    match job["do"]:
        case "hello":
            package()
            names = ("customics", "torch", "numpy", "pandas", "anndata", "mudata")
            return {"versions": {name: version(name) for name in names}}
        case "cox":
            return cox(job)
        case "check":
            return check(job)
    return train(job)


if __name__ == "__main__":
    serve(work)

"""Time per epoch of our `Trainer.fit` against bare PyTorch loops: same network, batches and optimiser, on the CPU.

Every round runs each loop once, alternately in one process, so that other load on the machine affects all of them;
the table gives the median over the rounds, and the median of the ratios within a round. An epoch is timed from the
start of one to the start of the next (validation, logging and checkpoints are inside; set-up, the sanity check and the
first epochs are not).

    ours         TableData and MLP, with all that `zoo fit` adds: logs, history, two checkpoints, early stopping
    plain        DataLoader(TensorDataset(x, y), shuffle=True), as most people write it
    tight        torch.randperm and whole-batch indexing: the fastest simple loop
    lightning    bare Lightning (barebones=True, nothing logged) on our loaders

All of them compute the validation loss each epoch; only ours ranks, logs and saves. They use the optimiser that ours
uses; with `/torch` they take torch's own default.
"""

import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from _common import parser, smoke
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader, TensorDataset

from zoo.checkpoints import recorders
from zoo.data.base import EVALUATION_BATCH
from zoo.data.table.table import TableData
from zoo.models.predict.mlp import MLP
from zoo.report.history import TensorBoard

MakeOptimizer = Callable[[MLP], Optimizer]
OURS: MakeOptimizer = lambda model: model.configure_optimizers()["optimizer"]  # noqa: E731
TORCH: MakeOptimizer = lambda model: AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)  # noqa: E731
ROWS = 50_000  # of the synthetic table
NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"  # `import lightning` sets it; without a GPU it slows down each step of Adam


class Clock(pl.Callback):
    """When each epoch starts, and when the last one has ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.times.append(time.perf_counter())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.times.append(time.perf_counter())


class Bare(pl.LightningModule):
    """The least that Lightning asks for; a barebones trainer takes no callbacks, so it has the clock."""

    def __init__(self, model: MLP, make: MakeOptimizer) -> None:
        super().__init__()
        self.model, self.make, self.clock = model, make, Clock()

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        return self.model.target_head.loss(self.model(batch["x"]), batch["y"]).mean()

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        self.model.target_head.loss(self.model(batch["x"]), batch["y"]).mean()

    def on_train_epoch_start(self) -> None:
        self.clock.on_train_epoch_start(self.trainer, self)

    def on_train_end(self) -> None:
        self.clock.on_train_end(self.trainer, self)

    def configure_optimizers(self) -> Optimizer:
        return self.make(self.model)


def network(data: TableData) -> MLP:
    """The same weights for every loop."""
    pl.seed_everything(0, verbose=False)
    model = MLP(spec=data.spec, hidden=[64, 32])
    model.fit_encoders(data.training_inputs())
    model.trainer = pl.Trainer(accelerator="cpu", barebones=True)  # what configure_optimizers looks at
    return model


def ours(data: TableData, epochs: int) -> list[float]:
    """Epoch boundaries of `fit` as users run it."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        recording, checkpoints = recorders(Path(folder))
        stop = EarlyStopping("validation_loss", patience=10**6)
        trainer = pl.Trainer(
            accelerator="cpu",
            callbacks=[stop, *recording, clock],
            enable_model_summary=False,
            enable_progress_bar=False,
            logger=TensorBoard(folder, default_hp_metric=False),
            max_epochs=epochs,
            plugins=checkpoints,
        )
        trainer.fit(network(data), data)
    return clock.times


@patch.dict(os.environ, {NVML: "1"})
def bare_lightning(data: TableData, epochs: int, make: MakeOptimizer) -> list[float]:
    """Epoch boundaries of Lightning without anything of ours but the loaders."""
    trainer = pl.Trainer(accelerator="cpu", barebones=True, max_epochs=epochs)
    model = Bare(network(data), make)
    trainer.fit(model, data.train_dataloader(), data.val_dataloader())
    return model.clock.times


@patch.dict(os.environ)
def bare(data: TableData, epochs: int, tight: bool, make: MakeOptimizer) -> list[float]:
    """Epoch boundaries of a loop without Lightning and the changes that its import makes to torch."""
    os.environ.pop(NVML, None)
    times, content, model = [], data.dataset, network(data)
    optimiser, size = make(model), EVALUATION_BATCH
    (x, y), (x_valid, y_valid) = ((content.x[r], content.y[r]) for r in map(content.rows, ("train", "validation")))
    loader = DataLoader(TensorDataset(x, y), batch_size=data.batch_size, shuffle=True)
    valid = DataLoader(TensorDataset(x_valid, y_valid), batch_size=size)
    for _ in range(epochs):
        times.append(time.perf_counter())
        model.train()
        for xb, yb in ((x[i], y[i]) for i in torch.randperm(len(x)).split(data.batch_size)) if tight else loader:
            optimiser.zero_grad()
            model.target_head.loss(model(xb), yb).mean().backward()
            optimiser.step()
        model.eval()
        with torch.inference_mode():
            parts = zip(x_valid.split(size), y_valid.split(size), strict=True) if tight else valid
            torch.cat([model.target_head.loss(model(xb), yb) for xb, yb in parts]).mean().item()
    return [*times, time.perf_counter()]


LOOPS: dict[str, Callable[[TableData, int], list[float]]] = {
    "ours": ours,
    "plain": partial(bare, tight=False, make=OURS),
    "plain/torch": partial(bare, tight=False, make=TORCH),
    "tight": partial(bare, tight=True, make=OURS),
    "tight/torch": partial(bare, tight=True, make=TORCH),
    "lightning": partial(bare_lightning, make=OURS),
}


def compare(name: str, data: TableData, epochs: int, rounds: int, warm: int) -> None:
    """Time every loop in turn, and print a table."""
    seconds: dict[str, list[float]] = {loop: [] for loop in LOOPS}
    for number in range(rounds + 1):  # the first round warms up and is not counted
        for loop, run in LOOPS.items():
            times = run(data, warm + epochs)
            if number:
                seconds[loop].append((times[-1] - times[warm]) / epochs)
    rows, size = len(data.training), data.batch_size
    print(f"\n{name}: {rows} training rows, {-(-rows // size)} batches of {size}, {rounds} rounds of {epochs} epochs")
    print(f"{'loop':<12} {'ms/epoch':>9} {'ours/loop':>10}   range")
    for loop, values in seconds.items():
        ratios = [a / b for a, b in zip(seconds["ours"], values, strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{loop:<12} {1000 * median(values):>9.2f} {median(ratios):>10.2f}   {spread}")


def synthetic(path: Path, rows: int, features: int = 20) -> Path:
    """A table of normal numbers and a class that depends on them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, features))
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(features)])
    frame["y"] = np.where(x @ rng.normal(size=features) + rng.normal(size=rows) > 0, "case", "control")
    frame.to_parquet(path)
    return path


def main() -> None:
    """Print both tables."""
    smoke(globals(), "--rounds=1", "--pima-epochs=1", "--large-epochs=1", short=False, ROWS=1000)
    command = parser(__doc__)
    command.add_argument("--rounds", type=int, default=5, help="counted rounds (one more warms up)")
    command.add_argument("--pima-epochs", type=int, default=60, help="epochs a round on Pima")
    command.add_argument("--large-epochs", type=int, default=8, help="epochs a round on 50,000 rows")
    options = command.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    compare("Pima", TableData("pima", batch_size=32), options.pima_epochs, options.rounds, warm=3)
    with tempfile.TemporaryDirectory() as folder:
        data = TableData(str(synthetic(Path(folder) / "large.parquet", ROWS)), target="y", batch_size=256)
        compare(f"{ROWS:,} x 20", data, options.large_epochs, options.rounds, warm=1)


if __name__ == "__main__":
    main()

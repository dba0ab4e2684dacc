"""Metrics of each epoch, in a table that a resumed run continues; and TensorBoard."""

import csv
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger

from .. import files


class TensorBoard(TensorBoardLogger):
    """Lightning's logger without its ``hparams.yaml``, which would repeat ``config.yaml``."""

    def save(self) -> None:
        """Write buffered values."""
        self.experiment.flush()


class History(Checkpoint):
    """Collect the metrics of each epoch; they are part of every checkpoint, and `write` makes ``metrics.csv`` of them.

    Lightning's own CSV logger loses the epochs before a resume. The base class is `Checkpoint` because checkpoints run
    last, when all metrics of the epoch are known; place this callback before the checkpoint that should contain it.

    Args:
        path: File to write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        """Rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after these rows."""
        self.rows = list(state_dict["rows"])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add this epoch."""
        row: dict[str, float] = {"epoch": trainer.current_epoch, "lr": trainer.optimizers[0].param_groups[0]["lr"]}
        self.rows.append(row | {name: float(value) for name, value in trainer.callback_metrics.items()})

    def write(self) -> None:
        """Write one row per epoch."""
        if not self.rows:
            return
        with files.replacing(self.path) as path, path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)

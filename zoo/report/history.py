"""Metrics of each epoch, in a table that a resumed run continues; and the last checkpoint."""

import csv
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger


class TensorBoard(TensorBoardLogger):
    """Lightning's logger without its ``hparams.yaml``, which would repeat ``config.yaml``."""

    def save(self) -> None:
        """Write buffered values."""
        self.experiment.flush()


class History(Checkpoint):
    """Write ``metrics.csv``, one row per epoch; the rows so far are part of every checkpoint.

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

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a new file, with the rows of a resumed run."""
        if not trainer.is_global_zero:
            return
        self.path.write_text("")
        for row in self.rows:
            self._append(row, header=row is self.rows[0])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add this epoch."""
        row: dict[str, float] = {"epoch": trainer.current_epoch, "lr": trainer.optimizers[0].param_groups[0]["lr"]}
        row |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.rows.append(row)
        if trainer.is_global_zero:
            self._append(row, header=len(self.rows) == 1)

    def _append(self, row: dict[str, float], header: bool) -> None:
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0], extrasaction="ignore")
            if header:
                writer.writeheader()
            writer.writerow(row)


class Last(Checkpoint):
    """Write a checkpoint after an epoch, at most once in ``seconds``, and when training ends.

    Lightning's ``save_last`` writes only when there is a new best checkpoint. A file in each epoch would take longer
    than the epoch of a small model. After a crash at most ``seconds``, or one epoch if that is longer, are lost.

    Args:
        path: File to write; it contains the state of the callbacks before this one.
        seconds: Minimum time between two writes.
    """

    def __init__(self, path: Path, seconds: float = 2.0) -> None:
        self.path, self.seconds, self.saved = path, seconds, float("-inf")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, unless the last write is recent and more epochs follow."""
        ends = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if ends or time.monotonic() - self.saved >= self.seconds:
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()

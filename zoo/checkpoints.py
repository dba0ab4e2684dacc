"""Checkpoints of a training: written completely or not at all, and what they tell about a run that is resumed."""

import io
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from . import files
from .errors import InputError, NotWritableError
from .report.history import History

KEYS = {"epoch": int, "global_step": int, "loops": dict, "callbacks": dict}
KEYS |= {"optimizer_states": list, "lr_schedulers": list}  # Lightning reads these when a training is resumed


class CheckpointIO(TorchCheckpointIO):
    """Write checkpoints by `files.replacing`, the best one together with the last one.

    Lightning writes them through the temporary folder of the system, from which they are copied if it is on another
    file system. A network of small size improves many times in a second, in each of which the disk would be waited for;
    its best checkpoint is therefore kept in memory until `write`.

    Args:
        best: File that is kept in memory.
    """

    def __init__(self, best: Path) -> None:
        self.best = best.resolve()
        self.kept: memoryview | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint, or keep the best one."""
        buffer = io.BytesIO()  # with a file in its place, torch hides the error of a full disk behind another one
        torch.save(checkpoint, buffer)
        if Path(path).resolve() == self.best:
            self.kept = buffer.getbuffer()
        else:
            self._write(Path(path), buffer.getbuffer())

    def write(self) -> None:
        """Write the best checkpoint, if there is a new one."""
        if self.kept is not None:
            self._write(self.best, self.kept)
            self.kept = None

    @staticmethod
    def _write(path: Path, content: memoryview) -> None:
        with files.replacing(path) as temporary:
            temporary.write_bytes(content)


class Best(ModelCheckpoint):
    """Save the epoch of the lowest validation loss, also after its folder was moved.

    Args:
        path: File to write.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent, path.stem, "validation_loss", enable_version_counter=False)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with the score of the best epoch; Lightning forgets it if the folder has another name."""
        here = str(Path(str(self.dirpath)) / f"{self.filename}{self.FILE_EXTENSION}")
        scores = dict.fromkeys([here], state_dict["best_model_score"]) if state_dict["best_k_models"] else {}
        paths = {"best_model_path": here, "kth_best_model_path": here} if scores else {}
        super().load_state_dict({**state_dict, "dirpath": self.dirpath, "best_k_models": scores, **paths})


class Last(Checkpoint):
    """Write a checkpoint after an epoch, at most once in ``seconds``, and when training ends.

    Lightning's ``save_last`` writes only when there is a new best checkpoint. A file in each epoch would take longer
    than the epoch of a small model. After a crash at most ``seconds``, or one epoch if that is longer, are lost.

    It tells whether early stopping has ended the training, so that a resumed run knows it, at whichever moment the
    process was killed.

    Args:
        path: File to write; it contains the state of the callbacks before this one.
        *before: Functions that write other files of the same epoch, called before, and when an error ends the training.
        seconds: Minimum time between two writes.
    """

    def __init__(self, path: Path, *before: Callable[[], None], seconds: float = 2.0) -> None:
        self.path, self.before, self.seconds, self.saved = path, before, seconds, float("-inf")
        self.ended = False

    def state_dict(self) -> dict[str, Any]:
        """Whether early stopping has ended the training."""
        return {"ended": self.ended}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, unless the last write is recent and more epochs follow."""
        stops = trainer.should_stop and trainer.fit_loop._can_stop_early
        early = [callback.stopping_reason for callback in trainer.early_stopping_callbacks]
        self.ended = stops and any(reason is not EarlyStoppingReason.NOT_STOPPED for reason in early)
        ends = stops or trainer.current_epoch + 1 == trainer.max_epochs
        if ends or time.monotonic() - self.saved >= self.seconds:
            self._write_others(trainer)
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the other files, such as the best epoch so far."""
        with suppress(NotWritableError):  # of a full disk, which may be the exception
            self._write_others(trainer)

    def _write_others(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            for write in self.before:
                write()


def recorders(folder: Path) -> tuple[list[Checkpoint], CheckpointIO]:
    """Callbacks that write metrics, best and last checkpoint to a run folder, and the plugin that they need."""
    checkpoints, history = CheckpointIO(folder / files.BEST), History(folder / "metrics.csv")
    last = Last(folder / files.LAST, history.write, checkpoints.write)
    return [history, Best(folder / files.BEST), last], checkpoints


def is_over(checkpoint: dict[str, Any], max_epochs: int | None, path: str) -> bool:
    """Whether a training has nothing left to do after this checkpoint.

    Args:
        checkpoint: Content of the checkpoint.
        max_epochs: Epochs of the training; negative or None for no end.
        path: The checkpoint, for messages.

    Raises:
        InputError: The training cannot go on from this checkpoint: it is damaged, or the learning rate was planned for
            fewer epochs.
    """
    for key, kind in KEYS.items():
        if not isinstance(checkpoint.get(key), kind):
            raise InputError(f"checkpoint {path} cannot be resumed: it has no {key!r}; resume from another")
    epochs = checkpoint["epoch"] + 1
    last = checkpoint["callbacks"].get("Last")
    if (isinstance(last, dict) and last.get("ended")) or 0 <= (max_epochs or -1) <= epochs:
        return True
    for plan in checkpoint["lr_schedulers"]:
        if isinstance(plan, dict) and "total_steps" in plan and plan.get("last_epoch"):
            planned = round(epochs * plan["total_steps"] / plan["last_epoch"])
            if max_epochs is None or not 0 <= max_epochs <= planned:
                raise InputError(
                    f"trainer.max_epochs {max_epochs}: the schedule one_cycle of {path} was planned for {planned} "
                    f"epochs; leave the option out, or start a new run"
                )
    return False

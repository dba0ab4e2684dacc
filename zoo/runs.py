"""Training: from the parsed options to a run folder."""

import json
import logging
import math
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, RichProgressBar

from . import budget, files, weights
from .checkpoints import Best, is_over, recorders
from .data import Data
from .errors import InputError, Terminated
from .models import Model
from .models.layer_table import layer_table, layer_text
from .parsing import CLI
from .report import Evaluation, evaluate
from .report.figures import write_figures
from .report.history import TensorBoard
from .report.tables import show_scores

log = logging.getLogger("zoo")
FEW = 5  # validation samples below which the choice of the epoch is mostly chance


@dataclass
class Run:
    """A finished training.

    Attributes:
        folder: Run folder with all results.
        model: Model of the best epoch.
        data: Data module.
        evaluation: Scores and predictions of training and validation rows.
    """

    folder: Path
    model: Model = field(repr=False)
    data: Data = field(repr=False)
    evaluation: Evaluation = field(repr=False)


def fit(name: str, *options: str) -> Run:
    """Train on a file or by a recipe, as ``zoo fit FILE OPTIONS`` and ``zoo fit NAME OPTIONS`` do.

    Args:
        name: A file of data, the name of a recipe, path of a config, or a run folder (to repeat it).
        *options: As on the command line, such as ``"--trainer.max_epochs=5"`` or, after a file, ``"--target=outcome"``.
            ``"--ckpt_path=last"`` resumes a run.

    Returns:
        Folder, model of the best epoch, data, and scores of training and validation rows.

    Raises:
        InputError: Invalid options or data, or a loss that is not finite.
    """
    return train([name, *options], show=False)


def train(args: list[str], show: bool = True) -> Run:
    """``zoo fit``: train and write a run folder, see `fit`; with ``show``, print the scores."""
    quieten()
    cli = CLI(args)
    seed_everything(cli.config.seed_everything, workers=True, verbose=False)
    data = cli.make_data()
    model = cli.make_model(data)
    _ = data.training
    if cli.config.trainer.enable_checkpointing is False:
        raise InputError("trainer.enable_checkpointing: a run is resumed and tested from checkpoints; leave it out")
    with _folder_of(cli) as folder:
        over = _is_over(cli, model, folder)
        callbacks, checkpoints = recorders(folder)
        trainer = cli.make_trainer(*callbacks, *_progress(), **_trainer_options(folder))
        trainer.strategy.checkpoint_io = checkpoints
        model.prepare(data)
        os.environ["ZOO_RUN_FOLDER"] = str(folder)  # for the processes that Lightning starts on other devices
        counts = _sizes(data)
        sizes = ", ".join(f"{count} {split}" for split, count in counts.items())
        title = title_of(model, data)
        log.info("%s (%s) -> %s", title, sizes, folder)
        if over:
            log.info("the training of %s is over; no epoch is left, and only its report is written", folder)
        else:
            if counts["validation"] < FEW:
                log.warning(
                    "the epoch is chosen by few validation samples (%d): raise their share in data.fractions",
                    counts["validation"],
                )
            _describe(cli, model, data, folder)
            files.set_stage(folder, "training")
            _run_trainer(trainer, model, data, cli.ckpt_path)
            if not trainer.is_global_zero:
                raise SystemExit(0)  # the first process reports
            files.set_stage(folder, "stopped")
        if (folder / files.BEST).is_file():  # not after a fast_dev_run
            model = weights.from_checkpoint(folder / files.BEST)
        files.set_stage(folder, "reporting")
        evaluation = evaluate(model, data, ("train", "validation"))
        write_report(evaluation, title, folder, show)
        files.set_stage(folder, "done")
    log.info("written to %s; after all settings are fixed, score the test rows with: zoo test %s", folder, folder)
    return Run(folder, model, data, evaluation)


def _describe(cli: CLI, model: Model, data: Data, folder: Path) -> None:
    """Write what is trained on what: the complete configuration, facts on the data, and the layers."""
    with files.replacing(folder / "config.yaml") as path:
        path.write_text(cli.as_yaml(), encoding="utf-8")
    with files.replacing(folder / "data.json") as path:
        path.write_text(json.dumps(_facts(cli, data), indent=2, ensure_ascii=False), encoding="utf-8")
    with files.replacing(folder / files.LAYERS) as path:
        path.write_text(layer_text(layer_table(model)) + "\n", encoding="utf-8")


def _check_batch(trainer: Trainer, model: Model, data: Data) -> None:
    """Refuse a batch of which the outputs of all layers, and their gradients, exceed the memory of the processor."""
    if trainer.strategy.root_device.type != "cpu":
        return
    with torch.random.fork_rng(devices=[]):
        values = sum(math.prod(layer["shape"]) for layer in layer_table(model))
    rows = min(data.batch_size, len(data.training))
    budget.check(2 * 4 * rows * values, f"a batch of {rows:,} samples", "lower --data.batch_size")


def _run_trainer(trainer: Trainer, model: Model, data: Data, ckpt_path: str | None) -> None:
    """Fit; Ctrl-C, SIGTERM and an incompatible checkpoint end with a one-line message."""
    _check_batch(trainer, model, data)
    trainer.callbacks.insert(0, _OwnSigterm())  # type: ignore[attr-defined]
    try:
        trainer.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    except (KeyboardInterrupt, SystemExit) as error:
        if not trainer.interrupted:
            raise
        terminated = trainer.received_sigterm or isinstance(error.__context__, Terminated)
        raise (Terminated if terminated else KeyboardInterrupt) from None
    except MisconfigurationException as error:
        raise InputError(f"trainer: {' '.join(str(error).split())}") from None
    except RuntimeError as error:
        if "Early stopping conditioned on metric" in str(error):
            raise InputError(f"early_stopping.monitor: {' '.join(str(error).split())}") from None
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if "val_check_interval" in str(error):  # of more batches than there are
            raise InputError(f"trainer: {' '.join(str(error).split())[:200]}") from None
        if trainer._checkpoint_connector._loaded_checkpoint and not isinstance(error, InputError):  # while it restores
            raise InputError(f"checkpoint {ckpt_path} is damaged: {error}; resume from another") from None
        raise


class _OwnSigterm(Callback):
    """Keep the handler of SIGTERM that the command line has set.

    That of Lightning waits for the processes of other devices, which are waiting for something else.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set it again after Lightning has set its own."""
        if callable(self.handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.handler)


def check_folds(cli: CLI, folds: int, repeats: int) -> None:
    """Prepare the training on every fold, so that none is refused after others were trained.

    Raises:
        InputError: The samples of a fold do not suffice for the model; the error names the fold.
    """
    cli.check_folds(folds, repeats)
    was = log.level
    log.setLevel(logging.ERROR)  # the training says the rest
    try:
        for repeat, fold in product(range(repeats), range(folds)):
            try:
                data = cli.make_fold(folds, fold, repeat)
                _ = data.training
                cli.make_model(data).prepare(data)
            except InputError as error:
                raise InputError(f"fold {fold + 1} of {folds}: {error}") from None
    finally:
        log.setLevel(was)


def fit_fold(cli: CLI, folds: int, fold: int, repeat: int) -> tuple[Model, Data]:
    """Train on one fold of a cross-validation with a separate seed; the model of the best epoch, and its data."""
    seed_everything(cli.config.seed_everything + repeat * folds + fold, workers=True, verbose=False)
    data = cli.make_fold(folds, fold, repeat)
    return fit_data(cli, data), data


def fit_data(cli: CLI, data: Data) -> Model:
    """Train on these data without writing files; the model of the best epoch."""
    model = cli.make_model(data)
    with tempfile.TemporaryDirectory() as temporary:
        best = Best(Path(temporary) / files.BEST)
        _run_trainer(cli.make_trainer(best, logger=False, enable_progress_bar=False), model, data, None)
        return weights.from_checkpoint(Path(temporary) / files.BEST)


def title_of(model: Model, data: Data) -> str:
    """Title of tables and figures: model, data, and a caution on the split if there is one."""
    title = f"{type(model).__name__} on {data.describe()['name']}"
    return f"{title} ({data.caution})" if data.caution else title


def quieten() -> None:
    """Silence tips and hardware notes of Lightning, which are irrelevant to users."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*isinstance.treespec, LeafSpec.*",
        ".*exists and is not empty.*",
        ".*`LeafSpec`.*",
    ):
        warnings.filterwarnings("ignore", message)


def run_of(ckpt_path: str) -> Path | None:
    """The run folder of a checkpoint, or None."""
    return files.run_folder(str(Path(ckpt_path).parent.parent))


@contextmanager
def _folder_of(cli: CLI) -> Iterator[Path]:
    """The folder of a resumed run, otherwise a new one; all processes of a run on several devices share it.

    A new folder is removed if the block fails before the first checkpoint. If the user stops the block, the message
    says how to go on.
    """
    if "ZOO_RUN_FOLDER" in os.environ and int(os.environ.get("LOCAL_RANK", 0)) > 0:
        yield Path(os.environ["ZOO_RUN_FOLDER"])
        return
    new = Path(cli.config.trainer.default_root_dir) / cli.name
    with _resumed(cli.ckpt_path) if cli.ckpt_path and run_of(cli.ckpt_path) else files.new_run_folder(new) as folder:
        try:
            yield folder
        except KeyboardInterrupt:
            if (folder / files.LAST).is_file():
                log.warning(
                    "best and last checkpoint are saved; resume with: zoo fit --config %s --ckpt_path last", folder
                )
            else:
                log.warning("stopped before the first checkpoint, of which nothing is kept; start over")
            raise


@contextmanager
def _resumed(ckpt_path: str) -> Iterator[Path]:
    """The locked folder of a run; the run is marked as abandoned if it was killed before its first checkpoint."""
    folder = run_of(ckpt_path)
    assert folder is not None
    with files.locked(folder):
        if not Path(ckpt_path).exists() and not (folder / files.LAST).exists():
            files.set_stage(folder, "abandoned")
            raise InputError(
                f"{folder} ended before its first checkpoint and cannot be resumed; it is marked as abandoned; "
                f"start over with: zoo fit --config {folder}"
            )
        yield folder


def _is_over(cli: CLI, model: Model, folder: Path) -> bool:
    """Whether the checkpoint that a run is resumed from is its end, so that only the report is left.

    Raises:
        InputError: The run cannot be resumed from the checkpoint; found before a file of the run is written.
    """
    if not cli.ckpt_path:
        return False
    checkpoint = weights.read_checkpoint(cli.ckpt_path)
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    if shapes != {name: getattr(value, "shape", None) for name, value in checkpoint["state_dict"].items()}:
        raise InputError(f"checkpoint {cli.ckpt_path} has another architecture than the config")
    over = is_over(checkpoint, cli.config.trainer.max_epochs, cli.ckpt_path)
    return over and (folder / files.BEST).is_file()


def _sizes(data: Data) -> dict[str, int]:
    counts = data.samples["split"].value_counts()
    return {split: int(counts.get(split, 0)) for split in ("train", "validation", "test")}


def _facts(cli: CLI, data: Data) -> dict[str, Any]:
    """Facts on the data for the card of the weights."""
    modalities = data.spec["modalities"].values()
    return {
        "recipe": cli.name,
        "target": data.spec["target"]["name"],
        "inputs": [name for modality in modalities for name in modality.get("features", [])],
        "data": {
            **data.describe(),
            "samples": _sizes(data),
            "seed": data.seed,
            "split_sha256": data.split_sha256(),
            "caution": data.caution,
        },
        "seed": cli.config.seed_everything,
    }


def _progress() -> list[RichProgressBar]:
    return [RichProgressBar()] if sys.stderr.isatty() else []


def _trainer_options(folder: Path) -> dict[str, Any]:
    logger = TensorBoard(folder.parent, name="", version=folder.name, default_hp_metric=False)
    return {"logger": logger, "enable_progress_bar": sys.stderr.isatty()}


def write_report(evaluation: Evaluation, title: str, folder: Path, show: bool = True) -> None:
    """Write scores, predictions and figures to the folder, and print the scores."""
    evaluation.write(folder)
    write_figures(evaluation, title, folder)
    if show:
        show_scores(evaluation, title)

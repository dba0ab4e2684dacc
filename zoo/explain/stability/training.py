"""Training of models for feature stability, all for the same number of epochs."""

import logging
from collections.abc import Callable
from pathlib import Path
from statistics import median

from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from ...data import Data
from ...errors import InputError
from ...models import Supervised
from ...parsing import CLI
from ...runs import _run_trainer, quieten

Fit = Callable[[Data, int], Supervised]
PILOTS = 3  # preliminary trainings that determine the number of epochs

log = logging.getLogger("zoo")


class _Losses(Callback):
    """Records the validation loss of each epoch."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self.losses.append(float(trainer.callback_metrics["validation_loss"]))


def fitter(fit: str | Path | Fit, data: Data, options: tuple[str, ...], seed: int) -> Fit:
    """A function that trains one model on given data, from a recipe or from a function.

    Models trained on permuted labels do not generalise to validation rows, so early stopping and the choice of the best
    epoch would leave them almost untrained, and their importances too small for a null distribution. All models of a
    recipe are therefore trained for the same number of epochs: the median of the best epochs of three preliminary
    trainings on ``data``.

    Args:
        fit: Name of a recipe, path of a config, or a run folder, whose model and training settings are used; or a
            function ``(data, seed) -> model``, which is used unchanged.
        data: Data of the preliminary trainings.
        options: Options of a recipe, as on the command line.
        seed: Random seed of the preliminary trainings.

    Raises:
        InputError: Invalid options or data; options together with a function.
    """
    quieten()
    if not isinstance(fit, str | Path):
        if options:
            raise InputError(f"option {options[0]!r} is for a recipe; set it inside the function")
        return _seeded(fit)
    cli = CLI(["--config", str(fit), *options])
    best = []
    for number in range(PILOTS):
        losses = _Losses()
        _train(cli, data, seed + number, losses)
        best.append(losses.losses.index(min(losses.losses)) + 1)
    epochs = int(median(best))
    log.info("each model is trained for %d epochs, without early stopping", epochs)
    return lambda data, seed: _train(cli, data, seed, max_epochs=epochs, min_epochs=epochs)


def _seeded(fit: Fit) -> Fit:
    def run(data: Data, seed: int) -> Supervised:
        seed_everything(seed, workers=True, verbose=False)
        return _checked(fit(data, seed))

    return run


def _train(cli: CLI, data: Data, seed: int, *callbacks: Callback, **changes: int) -> Supervised:
    """Train a model and return it after the last epoch, without writing files."""
    seed_everything(seed, workers=True, verbose=False)
    model = cli.make_model(data)
    trainer = cli.make_trainer(
        *callbacks, logger=False, enable_progress_bar=False, enable_checkpointing=False, **changes
    )
    _run_trainer(trainer, model, data, None)
    return _checked(model)


def _checked(model: object) -> Supervised:
    if not isinstance(model, Supervised):
        raise InputError(f"a {type(model).__name__} predicts no target; train a model that does, such as an MLP")
    return model.eval()

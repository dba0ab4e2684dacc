"""Models of one recipe that are all trained for the same number of epochs, whatever their labels are."""

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
PILOTS = 3  # trainings that tell how many epochs are best

log = logging.getLogger("zoo")


class _Losses(Callback):
    """Notes the validation loss of each epoch."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self.losses.append(float(trainer.callback_metrics["validation_loss"]))


def fitter(fit: str | Path | Fit, data: Data, options: tuple[str, ...], seed: int) -> Fit:
    """A function that trains one model on data, from a recipe or from a function.

    On permuted labels nothing is learnt that holds for validation rows: early stopping, and the choice of the best
    epoch, leave such a model almost untrained, and chance beside it looks too small. So all models of a recipe are
    trained for the same number of epochs: the median of the best epochs of three trainings on ``data``.

    Args:
        fit: Name of a recipe, path of a config, or a run folder: its model and its training are taken. Or a function
            ``(data, seed) -> model``, which is used as it is.
        data: What the epochs are chosen on.
        options: As on the command line, of a recipe.
        seed: Of the three trainings.

    Raises:
        InputError: Anything wrong with the options or the data; options of a function.
    """
    quieten()
    if not isinstance(fit, str | Path):
        if options:
            raise InputError(f"option {options[0]!r} is for a recipe; a function has its own")
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
    """The model of the last epoch; nothing is written."""
    seed_everything(seed, workers=True, verbose=False)
    model = cli.make_model(data)
    trainer = cli.make_trainer(
        *callbacks, logger=False, enable_progress_bar=False, enable_checkpointing=False, **changes
    )
    _run_trainer(trainer, model, data, None, Path())
    return _checked(model)


def _checked(model: object) -> Supervised:
    if not isinstance(model, Supervised):
        raise InputError(f"a {type(model).__name__} predicts no target; train a model that does, such as an MLP")
    return model.eval()

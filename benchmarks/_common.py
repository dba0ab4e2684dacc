"""What the benchmarks share: their command line, with ``--smoke``.

``--smoke`` runs a script from end to end with the smallest sizes, to see that it still runs. What it prints then is no
result.
"""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any
from unittest.mock import patch

EPOCHS, BATCHES, TREES = 2, 2, 5  # of each training; of each forest


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser of options that shows the documentation of a script as it is written."""
    return argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="--smoke in place of all options: the smallest sizes, to see that the script runs; no result",
    )


def peer(module: str) -> Any:
    """A module that is not part of the project; None, and a line, where it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        return print(f"{module}: not installed")


def smoke(script: dict[str, Any], *options: str, short: bool = True, **constants: Any) -> bool:
    """Make everything small if the command line is ``--smoke``; to be called before options are parsed.

    Args:
        script: Its ``globals()``.
        *options: Its command line in place of ``--smoke``.
        short: Trainings and forests are cut short, whatever the script asks for; without it, options must see to that.
        **constants: New values of constants of the script.

    Returns:
        True if the sizes are small.
    """
    if "--smoke" not in sys.argv[1:]:
        return False
    sys.argv[1:] = options
    resize(script, **constants)
    if short:
        _cut_short()
    print("smoke: the sizes are too small for figures to mean anything")
    return True


def resize(script: dict[str, Any], **constants: Any) -> None:
    """New values of constants of a script."""
    if unknown := constants.keys() - script.keys():
        raise KeyError(f"no constants of the script: {', '.join(sorted(unknown))}")
    script.update(constants)


def _cut_short() -> None:
    """Two epochs of two batches, and cheap reports."""
    from lightning.pytorch import Trainer

    fit = Trainer.fit

    def short(trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        trainer.fit_loop.max_epochs, trainer.limit_train_batches = EPOCHS, BATCHES
        fit(trainer, *args, **kwargs)

    patch.object(Trainer, "fit", short).start()
    cheap_reports()


def cheap_reports() -> None:
    """Forests and boosting of five trees, few draws of a bootstrap."""
    from sklearn.ensemble._forest import BaseForest
    from sklearn.ensemble._gb import BaseGradientBoosting

    from zoo.report.images import features
    from zoo.report.prediction import scores, survival

    def few(grow: Callable[..., Any]) -> Callable[..., Any]:
        def fitted(model: Any, *args: Any, **kwargs: Any) -> Any:
            model.n_estimators = min(model.n_estimators, TREES)
            return grow(model, *args, **kwargs)

        return fitted

    for kind in (BaseForest, BaseGradientBoosting):
        patch.object(kind, "fit", few(kind.fit)).start()
    for module, name, value in ((features, "STEPS", 5), (scores, "RESAMPLES", 5), (survival, "TREES", TREES)):
        patch.object(module, name, value).start()
    patch.object(survival, "PENALTIES", 3).start()

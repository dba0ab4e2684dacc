"""Results of a run: scores beside those of baselines, predictions and figures.

All modules of this package are imported, so that each registers its evaluators (`zoo.report.evaluation.evaluates`).
"""

from importlib import import_module
from pkgutil import iter_modules

from .evaluation import Evaluation as Evaluation
from .evaluation import evaluate as evaluate

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

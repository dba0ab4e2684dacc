"""What a run leaves behind: scores beside a baseline, predictions, figures.

Files and folders here are imported, so that they can add their evaluators (`zoo.report.evaluation.evaluates`).
"""

from importlib import import_module
from pkgutil import iter_modules

from .evaluation import Evaluation as Evaluation
from .evaluation import evaluate as evaluate

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

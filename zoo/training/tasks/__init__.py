"""Tasks: one object for each kind of target, with everything that depends on it except baselines and figures.

All files in this folder are imported, which registers their tasks. Baselines and figures are in
`zoo.report.prediction`.
"""

from importlib import import_module
from pkgutil import iter_modules

from ...spec import Target
from .base import TASKS as TASKS
from .base import Task as Task
from .base import nearest as nearest
from .head import ExtraTarget as ExtraTarget
from .head import TargetHead as TargetHead

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def task_of(target: Target) -> Task:
    """The task for the kind of a target."""
    return TASKS[target["kind"]]

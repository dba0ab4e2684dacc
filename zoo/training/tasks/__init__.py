"""Kinds of targets. A file in this folder is imported, and its tasks are registered: all that depends on a kind of
target, but for baselines and figures (`zoo.report.prediction`), is said there.
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
    """The task of a target."""
    return TASKS[target["kind"]]

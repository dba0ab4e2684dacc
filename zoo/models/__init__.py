"""Models. A file dropped into this folder is imported, and its concrete classes are registered."""

from importlib import import_module
from pkgutil import iter_modules

from .base import REGISTRY as REGISTRY
from .base import Model as Model
from .supervised import Supervised as Supervised
from .unsupervised import Unsupervised as Unsupervised

for _module in iter_modules(__path__):
    globals().update({k: v for k, v in vars(import_module(f"{__name__}.{_module.name}")).items() if k in REGISTRY})

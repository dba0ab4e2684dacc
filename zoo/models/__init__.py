"""Models. A file in this folder or in a folder of it is imported, and its concrete classes are registered."""

from importlib import import_module
from pkgutil import walk_packages

from .autoencoders.base import Unsupervised as Unsupervised
from .base import REGISTRY as REGISTRY
from .base import Model as Model
from .base import Supervised as Supervised

for _module in walk_packages(__path__, f"{__name__}."):
    globals().update({k: v for k, v in vars(import_module(_module.name)).items() if k in REGISTRY})

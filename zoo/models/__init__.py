"""Models. All files of this package and its subpackages are imported, which registers their concrete classes."""

from importlib import import_module
from pkgutil import walk_packages

from .autoencoders.base import Unsupervised as Unsupervised
from .base import REGISTRY as REGISTRY
from .base import Model as Model
from .base import Supervised as Supervised

for _module in walk_packages(__path__, f"{__name__}."):
    globals().update({k: v for k, v in vars(import_module(_module.name)).items() if k in REGISTRY})

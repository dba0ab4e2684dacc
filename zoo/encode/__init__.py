"""Biology becomes tensors: encodings are layers, fitted on training rows and saved with the weights.

Every file in this folder is imported; those of a modality add it to the registries of `zoo.encode.kinds`.
"""

from importlib import import_module
from pkgutil import walk_packages

from .base import Encoder as Encoder
from .kinds import encoder as encoder
from .kinds import from_tensor as from_tensor
from .kinds import to_tensor as to_tensor
from .names import sample_names as sample_names

for _module in walk_packages(__path__, f"{__name__}."):
    import_module(_module.name)

"""A PyTorch-Lightning model zoo for biological data.

>>> import zoo
>>> zoo.pretrained()  # doctest: +SKIP
['mlp_pima', ...]
>>> model = zoo.load("mlp_pima")  # doctest: +SKIP
>>> model.predict(my_table)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .files import pretrained as pretrained
    from .publish import export as export
    from .runs import fit as fit
    from .weights import load as load

__version__ = "0.1.0"
__all__ = ["export", "fit", "load", "pretrained"]

_HOME = {"export": "publish", "fit": "runs", "load": "weights", "pretrained": "files"}


def __getattr__(name: str) -> Any:
    """Import torch only when an attribute needs it (PEP 562)."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    if name in ("data", "encode", "explain", "latent", "models", "report", "weights"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

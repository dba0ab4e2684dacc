"""Data modules: they read and check data once, split them, and load batches of raw values.

All modules in this folder and its subfolders are imported when a data module is first looked up here by its name, so
that readers of files can be imported without torch.
"""

from importlib import import_module
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import Data as Data
    from .expression.expression import ExpressionData as ExpressionData
    from .image.image import ImageData as ImageData
    from .image.pairs import ImagePairData as ImagePairData
    from .multiomics.multiomics import MultiOmicsData as MultiOmicsData
    from .sequence.interval import IntervalData as IntervalData
    from .sequence.sequence import SequenceData as SequenceData
    from .series.series import SeriesData as SeriesData
    from .table.table import TableData as TableData


def __getattr__(name: str) -> Any:
    """Import all data modules (PEP 562); names in lower case are those of submodules."""
    if name[:1].isupper():
        from .base import Data

        for module in walk_packages(__path__, f"{__name__}."):
            found = vars(import_module(module.name)).items()
            globals().update({k: v for k, v in found if isinstance(v, type) and issubclass(v, Data)})
        if name in globals():
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

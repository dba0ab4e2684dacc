"""Data modules: they read and check data once, split them, and load batches of raw values.

All modules in this folder and its subfolders are imported, so that their data modules are available here by name.
"""

from importlib import import_module
from pkgutil import walk_packages

from .base import Data as Data
from .expression.expression import ExpressionData as ExpressionData
from .image.image import ImageData as ImageData
from .image.pairs import ImagePairData as ImagePairData
from .multiomics.multiomics import MultiOmicsData as MultiOmicsData
from .sequence.interval import IntervalData as IntervalData
from .sequence.sequence import SequenceData as SequenceData
from .series.series import SeriesData as SeriesData
from .table.table import TableData as TableData

for _module in walk_packages(__path__, f"{__name__}."):
    _found = vars(import_module(_module.name)).items()
    globals().update({k: v for k, v in _found if isinstance(v, type) and issubclass(v, Data)})

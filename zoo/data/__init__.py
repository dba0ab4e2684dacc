"""Data modules: they read once, check, split, and hand out raw values.

Every file in this folder or in a folder of it is imported, and its data modules are found here by their names.
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

"""Data modules: they read once, check, split, and hand out raw values."""

from .base import Data as Data
from .expression.expression import ExpressionData as ExpressionData
from .image.image import ImageData as ImageData
from .image.pairs import ImagePairData as ImagePairData
from .multiomics.multiomics import MultiOmicsData as MultiOmicsData
from .sequence.interval import IntervalData as IntervalData
from .sequence.sequence import SequenceData as SequenceData
from .series.series import SeriesData as SeriesData
from .table.table import TableData as TableData

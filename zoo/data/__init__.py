"""Data modules: they read once, check, split, and hand out raw values."""

from .base import Data as Data
from .expression import ExpressionData as ExpressionData
from .image import ImageData as ImageData
from .interval import IntervalData as IntervalData
from .multiomics import MultiOmicsData as MultiOmicsData
from .paired import ImagePairData as ImagePairData
from .sequence import SequenceData as SequenceData
from .series import SeriesData as SeriesData
from .table import TableData as TableData

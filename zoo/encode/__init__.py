"""Encodings of biological data as tensors: layers that are fitted to training rows and saved with the weights.

All files in this folder are imported; the files of a modality add it to the registries of `zoo.encode.kinds`.
"""

from importlib import import_module
from pkgutil import walk_packages

from .base import Encoder as Encoder
from .dna import sequence_to_tensor as sequence_to_tensor
from .expression import ExpressionEncoder as ExpressionEncoder
from .expression_rows import expression_to_tensor as expression_to_tensor
from .gramian import GramianAngularField as GramianAngularField
from .image import ImageEncoder as ImageEncoder
from .image import image_to_tensor as image_to_tensor
from .kinds import encoder as encoder
from .kinds import from_tensor as from_tensor
from .kinds import to_tensor as to_tensor
from .kmer import KmerEmbedding as KmerEmbedding
from .names import sample_names as sample_names
from .one_hot import OneHotDNA as OneHotDNA
from .quantile import QuantileEncoder as QuantileEncoder
from .series import SeriesEncoder as SeriesEncoder
from .series import series_to_tensor as series_to_tensor
from .table import TableEncoder as TableEncoder
from .table import table_to_tensor as table_to_tensor

for _module in walk_packages(__path__, f"{__name__}."):
    import_module(_module.name)

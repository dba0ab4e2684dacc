"""Reports on generated images, translated images and masks."""

from . import scores as scores
from . import segmentation as segmentation
from . import translation as translation

"""Convolutional network over volumes."""

from .convolutional import Convolutional


class CNN3D(Convolutional):
    """Convolutions over volumes, pooling, and dense layers (Ji et al. 2013, doi:10.1109/TPAMI.2012.59).

    Args:
        **shared: Arguments of `Convolutional`.

    Shape:
        ``(batch, channels, depth, height, width) -> (batch, 1 or classes)``
    """

    dimensions = 3

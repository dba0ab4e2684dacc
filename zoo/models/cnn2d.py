"""Convolutional network over images."""

import torch
from torch import Tensor

from .convolutional import Convolutional


class CNN2D(Convolutional):
    """Convolutions over images, pooling, and dense layers (LeCun et al. 1998, doi:10.1109/5.726791).

    The images may be Gramian angular fields of series: ``encoding: {layer: gramian, size: 64}``.

    Args:
        **shared: Arguments of `Convolutional`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes)``
    """

    dimensions = 2

    def embed(self, x: Tensor) -> Tensor:
        """As in `Model`; the channels of a pixel lie side by side in memory, which convolutions go through faster."""
        return self.body(self.encode(x).contiguous(memory_format=torch.channels_last))  # type: ignore[no-any-return]

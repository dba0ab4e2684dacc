"""What every encoding layer has."""

from abc import abstractmethod
from math import prod

from torch import Tensor, nn


class Encoder(nn.Module):
    """First layer of a model: raw values of one modality become numbers that a network can learn from.

    Attributes:
        out_shape: Shape of one encoded sample: ``(features,)``, or ``(channels, length)``.
        fitted: True once the statistics come from training rows; saved with the weights.
    """

    out_shape: tuple[int, ...]
    fitted: Tensor

    @property
    def out_features(self) -> int:
        """Numbers that one encoded sample has."""
        return prod(self.out_shape)

    @abstractmethod
    def fit(self, x: Tensor) -> None:
        """Learn statistics from raw training rows, ``shape=(samples, *shape)``."""

    @abstractmethod
    def example(self, rows: int, seed: int = 0) -> Tensor:
        """Made-up raw values that show no real sample, ``shape=(rows, *shape)``."""

"""What every encoding layer has."""

from abc import abstractmethod
from math import prod

from torch import Tensor, nn

from ..errors import InputError


class Encoder(nn.Module):
    """First layer of a model: raw values of one modality become numbers that a network can learn from.

    Attributes:
        out_shape: Shape of one encoded sample: ``(features,)``, or ``(channels, length)``.
        fitted: True once the statistics come from training rows; saved with the weights.
        covariates: How many of the encoded numbers, the last ones, are conditions that are not reconstructed.
        feature_names: Names of the encoded numbers of tables and expression.
        letters: Of a sequence whose encoded channels are probabilities of letters: all letters; else empty.
        axis: What a place along the axes behind the channels is called, such as ``"time"``.
        of_sample_table: Its features are facts about a sample that belong into a table of samples.
    """

    out_shape: tuple[int, ...]
    fitted: Tensor
    covariates: int = 0
    feature_names: list[str]
    letters: str = ""
    axis: str = "place"
    of_sample_table: bool = True

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

    def feature_numbers(self) -> Tensor | None:
        """Which feature of the modality each encoded number belongs to; None if they have no names of their own."""
        return None

    def observed(self, x: Tensor) -> Tensor | None:
        """Which encoded numbers (without covariates) stem from measured values, ``(batch, *content)``; None if all."""
        return None

    def inverse(self, encoded: Tensor) -> Tensor:
        """Raw values of encoded ones (without covariates): ``(batch, *content) -> (batch, *shape)``.

        Raises:
            InputError: This encoding loses too much to be undone.
        """
        raise InputError(f"a {type(self).__name__} cannot be turned back into what was measured")

"""Base class of encoding layers."""

from abc import abstractmethod
from math import prod

from torch import Tensor, nn

from ..errors import InputError


class Encoder(nn.Module):
    """First layer of a model, which encodes raw values of one modality as inputs of a network.

    Attributes:
        out_shape: Shape of one encoded sample: ``(features,)``, or ``(channels, length)``.
        fitted: True once the statistics are fitted to training rows; saved with the weights.
        covariates: Number of encoded covariates, which are the last encoded values and are not reconstructed.
        feature_names: Names of the encoded values of tables and expression.
        letters: All letters of a sequence whose encoded channels are probabilities of letters; else empty.
        axis: Name of a position along the axes after the channels, such as ``"time"``.
        of_sample_table: True if the features describe samples and may be columns of a table of samples.
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
        """Number of values of one encoded sample."""
        return prod(self.out_shape)

    @abstractmethod
    def fit(self, x: Tensor) -> None:
        """Fit statistics to raw training rows, ``shape=(samples, *shape)``."""

    @abstractmethod
    def example(self, rows: int, seed: int = 0) -> Tensor:
        """Simulated raw values that contain no real sample, ``shape=(rows, *shape)``."""

    def feature_numbers(self) -> Tensor | None:
        """Index of the feature to which each encoded value belongs; None if encoded values have no names."""
        return None

    def observed(self, x: Tensor) -> Tensor | None:
        """Mask of encoded values (without covariates) that were measured, ``(batch, *content)``; None if all were."""
        return None

    def inverse(self, encoded: Tensor) -> Tensor:
        """Raw values from encoded values (without covariates): ``(batch, *content) -> (batch, *shape)``.

        Raises:
            InputError: The encoding is not invertible.
        """
        raise InputError(f"a {type(self).__name__} is not invertible: its raw values cannot be reconstructed")

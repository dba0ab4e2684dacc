"""Made numbers get the marginal distributions of the training rows."""

import torch
from torch import Tensor, nn

from ..encode.quantile import interpolate

QUANTILES = 257
MANY = 100  # made rows of a class that have quantiles of their own


class Calibration(nn.Module):
    """Quantile by quantile, what is made becomes what is real, in each class and each column by itself.

    A generator of a few hundred rows learns how columns hang together long before it has the exact distribution of each
    one, which is known. The order of the made values stays. Many rows of a class are calibrated by their own quantiles,
    so that a large table has the distributions of the training rows without the noise of sampling; a few rows by those
    of the generator.

    Args:
        classes: Number of classes; 0 for none.
        columns: Number of columns.
    """

    made: Tensor
    real: Tensor

    def __init__(self, classes: int, columns: int) -> None:
        super().__init__()
        identity = torch.linspace(-3, 3, QUANTILES).repeat(max(1, classes), columns, 1)
        self.register_buffer("made", identity)
        self.register_buffer("real", identity.clone())

    def learn(self, which: str, values: Tensor, codes: Tensor) -> None:
        """Learn the quantiles of ``"made"`` or ``"real"`` values.

        Args:
            which: Which they are.
            values: ``shape=(rows, columns)``, NaN where missing; a column without values keeps what it has.
            codes: Their classes, ``(rows,)``; zeros without classes.
        """
        known: Tensor = getattr(self, which)
        for code in range(len(known)):
            if len(rows := values[codes == code]):
                known[code] = _quantiles(rows, known[code])

    def forward(self, values: Tensor, codes: Tensor) -> Tensor:
        """Calibrated values of made rows, ``(rows, columns)``, NaN where missing, of these classes."""
        result = values.clone()
        for code in codes.unique().tolist():
            own = values[codes == code]
            made = _quantiles(own, self.made[code]) if len(own) >= MANY else self.made[code]
            result[codes == code] = interpolate(own, made, self.real[code])
        return result


def _quantiles(values: Tensor, known: Tensor) -> Tensor:
    """Quantiles of each column, ``(columns, 257)``; known ones where it has no value."""
    levels = torch.linspace(0, 1, QUANTILES, device=values.device)
    found: Tensor = torch.nanquantile(values.float(), levels, dim=0).T
    return torch.where(found.isnan(), known, found)

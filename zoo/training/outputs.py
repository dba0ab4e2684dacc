"""Store of the outputs of an epoch, so that metrics are computed once, on all of its rows."""

import torchmetrics
from torch import Tensor


class Outputs(torchmetrics.Metric):
    """Outputs and targets of an epoch, stored on the device and gathered over processes."""

    full_state_update = False
    output: list[Tensor]
    y: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("output", [], dist_reduce_fx="cat")
        self.add_state("y", [], dist_reduce_fx="cat")

    def update(self, output: Tensor, y: Tensor) -> None:
        """Store one batch: outputs ``(batch, width)`` and targets ``(batch,)``, for survival ``(batch, 2)``."""
        self.output.append(output)
        self.y.append(y)

    def compute(self) -> tuple[Tensor, Tensor]:
        """Outputs and targets of all rows of the epoch."""
        return torchmetrics.utilities.dim_zero_cat(self.output), torchmetrics.utilities.dim_zero_cat(self.y)

    def take(self) -> tuple[Tensor, Tensor]:
        """Outputs and targets of all rows of the epoch; the store is emptied."""
        shapes = self.output[0].shape[1:], self.y[0].shape[1:]
        output, y = self.compute()
        self.reset()
        # Of a single row with a single value, torchmetrics makes a scalar.
        return output.reshape(-1, *shapes[0]), y.reshape(-1, *shapes[1])

"""What is kept of an epoch, so that metrics are computed once, on all of its rows."""

import torchmetrics
from torch import Tensor


class Outputs(torchmetrics.Metric):
    """Outputs and truths of an epoch, kept on the device and gathered over processes; computed once, at its end."""

    full_state_update = False
    output: list[Tensor]
    y: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("output", [], dist_reduce_fx="cat")
        self.add_state("y", [], dist_reduce_fx="cat")

    def update(self, output: Tensor, y: Tensor) -> None:
        """Keep one batch: ``(batch, width)`` and ``(batch,)``, of survival ``(batch, 2)``."""
        self.output.append(output)
        self.y.append(y)

    def compute(self) -> tuple[Tensor, Tensor]:
        """All rows of the epoch."""
        return torchmetrics.utilities.dim_zero_cat(self.output), torchmetrics.utilities.dim_zero_cat(self.y)

    def take(self) -> tuple[Tensor, Tensor]:
        """All rows of the epoch, which are then forgotten."""
        found = self.compute()
        self.reset()
        return found

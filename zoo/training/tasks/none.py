"""No target: for representation learning and generative models."""

from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ...spec import Target
from .base import Task


class NoTarget(Task):
    """There is no target; ``y`` is NaN."""

    kind = "none"
    noun = "nothing"

    def encode(self, frame: pd.DataFrame, target: Target, source: str) -> Tensor:
        """NaN for each sample."""
        return torch.full((len(frame),), torch.nan)

    def one_value(self, y: Tensor, target: Target) -> None:
        """None, since there is no target."""

    def labelled(self, y: Tensor) -> Tensor:
        """True for all samples, since no target is needed."""
        return torch.ones(len(y), dtype=torch.bool, device=y.device)

    def decode(self, y: Tensor, target: Target) -> dict[str, Any]:
        """No column."""
        return {}

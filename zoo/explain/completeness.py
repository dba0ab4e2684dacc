"""Whether the contributions of an attribution sum to what they explain.

Integrated gradients, DeepLIFT and expected gradients are complete: contributions sum to the difference between the
output for the sample and that for the reference (Sundararajan et al. 2017, arXiv:1703.01365; Shrikumar et al. 2017,
arXiv:1704.02685, call it summation-to-delta). What is computed only approximates this: an integral has a finite number
of steps, an expectation a finite number of draws, and DeepLIFT is wrong at a layer that it has no rule for.
"""

import logging
from dataclasses import dataclass

from torch import Tensor

from ..errors import InputError

TOLERATED = 0.05  # as good as exact: the error that Sundararajan et al. (2017) accept of an integral
REFUSED = 0.5  # above it, less than half of what is explained is right
NEGLIGIBLE = 0.01  # log-odds or standard deviations; an output that differs less from its reference is the same output
MANY = 10  # from here on a share is told as a multiple, not in per cent

log = logging.getLogger("zoo")


@dataclass
class Gap:
    """By how much contributions miss the differences that they should sum to.

    Attributes:
        method: Name of the method.
        difference: Output for each sample less that for its reference (or the mean of several), ``shape=(samples,)``,
            in the unit of the contributions.
        unexplained: The part of it that the contributions do not sum to, the same shape and unit.
        why: What the cause may be, in a few words.
        instead: What to use in place of the method.
        averaged: What is shown are averages over the samples, so that the average gap counts, not the largest one.
        unit: Of a continuous target, how many units a standard deviation is.
    """

    method: str
    difference: Tensor
    unexplained: Tensor
    why: str
    instead: str
    averaged: bool = False
    unit: float = 1.0

    @property
    def share(self) -> float:
        """The largest gap as a share of the largest difference, or the mean one as a share of the mean."""
        missed, wanted = self.unexplained.abs(), self.difference.abs()
        missed, wanted = (missed.mean(), wanted.mean()) if self.averaged else (missed.max(), wanted.max())
        return float(missed / wanted.clamp(min=NEGLIGIBLE * self.unit))

    @property
    def note(self) -> str:
        """What figures and tables say of it; empty if contributions are as good as exact."""
        if self.share <= TOLERATED:
            return ""
        how, of = ("on average by", "mean") if self.averaged else ("by up to", "largest")
        times = f"{self.share:.0%} of" if self.share < MANY else f"{self.share:.0f} times"
        return (
            f"{self.method} is inexact here: contributions miss the differences that they should sum to {how} {times} "
            f"the {of} difference ({self.why})"
        )

    @property
    def refusal(self) -> str:
        """Why the contributions cannot be used; empty if they can."""
        return "" if self.share <= REFUSED else f"{self.note}; use {self.instead}"

    def check(self) -> None:
        """Log a gap of more than 5%.

        Raises:
            InputError: It is more than 50%.
        """
        if self.refusal:
            raise InputError(self.refusal)
        if self.note:
            log.warning("%s; compare with %s", self.note, self.instead)

"""Completeness check of attributions: do contributions sum to the difference that they explain?

Integrated gradients, DeepLIFT and expected gradients are complete: contributions sum to the difference between the
output for the sample and that for the reference (Sundararajan et al. 2017, arXiv:1703.01365; Shrikumar et al. 2017,
arXiv:1704.02685, call it summation-to-delta). Computed contributions only approximate this: an integral has a finite
number of steps, an expectation a finite number of draws, and DeepLIFT is wrong for layers without a rule.
"""

import logging
from dataclasses import dataclass

from torch import Tensor

from ..errors import InputError

TOLERATED = 0.05  # relative error that Sundararajan et al. (2017) accept for the integral
REFUSED = 0.5  # above this relative error, less than half of the difference is explained
NEGLIGIBLE = 0.01  # log-odds or standard deviations; smaller differences from the reference are not used as divisors
MANY = 10  # from this relative error on, messages give a multiple instead of a percentage

log = logging.getLogger("zoo")


@dataclass
class Gap:
    """Difference between the outputs to be explained and the sum of the contributions.

    Attributes:
        method: Name of the method.
        difference: Output for each sample minus that for its reference (or the mean over several), in the unit of the
            contributions, ``shape=(samples,)``.
        unexplained: ``difference`` minus the sum of the contributions, the same shape and unit.
        why: Possible cause, in a few words.
        instead: Methods to use instead.
        averaged: Results are averages over the samples, so the mean gap is checked instead of the largest one.
        unit: Standard deviation of a continuous target, in its unit; 1 for log-odds.
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
        """Relative error: the largest gap divided by the largest difference, or the mean gap by the mean difference."""
        gap, difference = self.unexplained.abs(), self.difference.abs()
        gap, difference = (gap.mean(), difference.mean()) if self.averaged else (gap.max(), difference.max())
        return float(gap / difference.clamp(min=NEGLIGIBLE * self.unit))

    @property
    def note(self) -> str:
        """Caution for figures and tables; empty if the relative error is tolerated."""
        if self.share <= TOLERATED:
            return ""
        how, of = ("on average by", "mean") if self.averaged else ("by up to", "largest")
        times = f"{self.share:.0%} of" if self.share < MANY else f"{self.share:.0f} times"
        return (
            f"{self.method} is inexact here: the sum of contributions deviates from the difference of the outputs "
            f"{how} {times} the {of} difference ({self.why})"
        )

    @property
    def refusal(self) -> str:
        """Error message if the relative error is too large; else empty."""
        return "" if self.share <= REFUSED else f"{self.note}; use {self.instead}"

    def check(self) -> None:
        """Log a warning for a relative error above 5%.

        Raises:
            InputError: The relative error is above 50%.
        """
        if self.refusal:
            raise InputError(self.refusal)
        if self.note:
            log.warning("%s; compare with %s", self.note, self.instead)

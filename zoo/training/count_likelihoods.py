"""Likelihoods of counts, such as sequencing reads of genes: Poisson, negative binomial and its zero-inflated form.

The decoder outputs the share of each gene in the reads of a sample, a softmax over the genes; the expected count is
that share times the library size, the number of reads of the sample (as in scVI, Lopez et al. 2018,
doi:10.1038/s41592-018-0229-2).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..encode import Encoder
from .likelihoods import Likelihood, Variance

PER = 10_000.0  # the expression encoding scales counts to this library size
SMALL = 16  # terms of counts up to this one are looked up in a table
LOG_ZERO = -1e30  # finite stand-in for log(0), so that its product with a count of 0 is 0


class Poisson(Likelihood):
    """Poisson-distributed counts, without overdispersion: ``x ~ Poisson(share * library)``."""

    log_library: Tensor
    content_mean: Tensor
    content_scale: Tensor

    def __init__(self, encode: Encoder, content: tuple[int, ...], variance: Variance = "unit") -> None:
        super().__init__(encode, content, variance)
        self.register_buffer("log_library", torch.zeros(2))  # mean and standard deviation over training rows
        self.register_buffer("content_mean", torch.zeros(content))
        self.register_buffer("content_scale", torch.ones(content))

    def fit(self, encode: Encoder, x: Tensor) -> None:
        """Fit the log-normal distribution of library sizes, and store the scaling of the encoding."""
        library = x[:, : self.content[0]].nansum(1).clamp(min=1).log()
        self.log_library.copy_(torch.stack([library.mean(), library.std(correction=0)]))
        self.content_mean.copy_(encode.mean)  # type: ignore[arg-type]
        self.content_scale.copy_(encode.scale)  # type: ignore[arg-type]

    def log_prob(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Sum over genes; genes that were not measured are excluded, also from the shares."""
        counts = x[:, : self.content[0]].contiguous()
        shares, *extra = output.chunk(self.maps, 1)
        if observed is not None:  # a count of 0 with an expectation of 0 has probability 1
            counts, shares = counts.nan_to_num(), shares.float().masked_fill(~observed, LOG_ZERO)
        log_mean = shares.log_softmax(1) + counts.sum(1, keepdim=True).clamp(min=1).log()
        return self.of_counts(counts, log_mean, *extra)

    def of_counts(self, counts: Tensor, log_mean: Tensor, *extra: Tensor) -> Tensor:
        """Log-likelihood ``(batch,)`` of counts ``(batch, genes)``, from log expected counts and further outputs."""
        at, positive = _above_zero(counts)
        return (counts * log_mean).sum(1) - log_mean.exp().sum(1) - _sums(torch.lgamma(positive + 1), at, counts)

    def log_shares(self, output: Tensor) -> Tensor:
        """Logarithm of the share of each gene in the reads, ``(batch, genes)``."""
        return output[:, : self.content[0]].log_softmax(1)

    def error(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Minus the log-likelihood, a mean over genes."""
        genes = self.content[0] if observed is None else observed.sum(1).clamp(min=1)
        return -self.log_prob(output, x, content, observed) / genes

    def expected(self, output: Tensor) -> Tensor:
        """Encoded expected counts."""
        return ((self.log_shares(output).exp() * PER).log1p() - self.content_mean) / self.content_scale

    def draw(self, output: Tensor, encode: Encoder) -> Tensor:
        """Random counts, with library sizes from the distribution of the training rows."""
        mean, spread = self.log_library
        library = (mean + spread * torch.randn(len(output), 1, device=output.device)).exp().round().clamp(min=1)
        return self.draw_counts(self.log_shares(output).exp() * library, output)

    def draw_counts(self, mean: Tensor, output: Tensor) -> Tensor:
        """Random counts with the expected counts ``mean``, ``(batch, genes)``."""
        return torch.poisson(mean)


class NegativeBinomial(Poisson):
    """Overdispersed counts: variance = mean + mean^2 / dispersion, with one dispersion per gene."""

    def __init__(self, encode: Encoder, content: tuple[int, ...], variance: Variance = "unit") -> None:
        super().__init__(encode, content, variance)
        self.log_dispersion = nn.Parameter(torch.zeros(content))

    def of_counts(self, counts: Tensor, log_mean: Tensor, *extra: Tensor) -> Tensor:
        """As in `Poisson`."""
        return self._of_counts(counts, log_mean)[0]

    def _of_counts(self, counts: Tensor, log_mean: Tensor) -> tuple[Tensor, Tensor]:
        """Log-likelihood ``(batch,)``, and minus that of a count of 0, ``(batch, genes)``."""
        log_ratio = log_mean - self.log_dispersion
        log_sum = F.softplus(log_ratio)  # log((mean + theta) / theta)
        of_zero = self.log_dispersion.exp() * log_sum
        result = (counts * (log_ratio - log_sum)).sum(1) - of_zero.sum(1)
        return result + self._log_coefficient(counts), of_zero

    def _log_coefficient(self, counts: Tensor) -> Tensor:
        """Sum of ``log(gamma(theta + count) / gamma(theta) / count!)`` over genes, ``(batch,)``; 0 for a count of 0.

        The quotient is the product of ``(theta + k) / (k + 1)`` over all k below the count. Most counts are 0 or small,
        and a table of their terms avoids the slow gamma functions and their derivatives.
        """
        theta, (at, positive) = self.log_dispersion.exp(), _above_zero(counts)
        genes, below = at % len(theta), torch.arange(SMALL, device=theta.device, dtype=theta.dtype)
        table = ((theta.unsqueeze(1) + below) / (below + 1)).log().cumsum(1)
        terms = table.view(-1).index_select(0, genes * SMALL + (positive.clamp(max=SMALL) - 1).long())
        large = (positive > SMALL).nonzero().squeeze(1)
        if len(large):
            positive, theta = positive[large], theta[genes[large]]
            exact = torch.lgamma(positive + theta) - torch.lgamma(theta) - torch.lgamma(positive + 1)
            terms = terms.index_copy(0, large, exact)
        return _sums(terms, at, counts)

    def draw_counts(self, mean: Tensor, output: Tensor) -> Tensor:
        """Poisson counts with gamma-distributed means."""
        theta = self.log_dispersion.exp().expand_as(mean)
        return torch.poisson(torch._standard_gamma(theta) * mean / theta)


class ZeroInflatedNegativeBinomial(NegativeBinomial):
    """A zero-inflated negative binomial; a second output per gene is the log-odds of an excess zero."""

    maps = 2

    def of_counts(self, counts: Tensor, log_mean: Tensor, *extra: Tensor) -> Tensor:
        """As in `NegativeBinomial`; with the odds e^l of an excess zero, P(0) = (e^l + p(0)) / (1 + e^l)."""
        (log_odds,) = extra
        not_inflated, of_zero = self._of_counts(counts, log_mean)
        is_zero = 1 - counts.clamp(max=1)  # counts are integers; faster than a mask
        return not_inflated + (is_zero * F.softplus(log_odds + of_zero)).sum(1) - F.softplus(log_odds).sum(1)

    def draw(self, output: Tensor, encode: Encoder) -> Tensor:
        """Random counts with excess zeros."""
        drawn = super().draw(output, encode)
        return drawn * (torch.rand_like(drawn) > output[:, self.content[0] :].sigmoid())


def _above_zero(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Flat indices of positive counts, and these counts; both ``(number,)``."""
    above = (counts > 0).view(-1)
    on_cpu = above.device.type == "cpu"  # numpy needs a fifth of the time on a CPU
    at = torch.from_numpy(np.flatnonzero(above.numpy())) if on_cpu else above.nonzero().squeeze(1)
    return at, counts.view(-1).index_select(0, at)


def _sums(values: Tensor, at: Tensor, counts: Tensor) -> Tensor:
    """Row sums of values at flat indices of ``counts``, ``(batch,)``."""
    return values.new_zeros(counts.numel()).index_copy(0, at, values).view_as(counts).sum(1)

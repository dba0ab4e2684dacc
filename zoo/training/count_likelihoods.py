"""Likelihoods of counts, such as sequencing reads of genes: Poisson, negative binomial and its zero-inflated form.

The decoder gives each gene's share of all reads of a sample, a softmax over the genes; the expected count is that share
times the library size, the reads of the sample (as scVI, Lopez et al. 2018, doi:10.1038/s41592-018-0229-2).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..encode import Encoder
from .likelihoods import Likelihood, Variance

PER = 10_000.0  # reads that the expression encoding scales a sample to


class Poisson(Likelihood):
    """Counts without more spread than chance: ``x ~ Poisson(share * library)``."""

    log_library: Tensor
    content_mean: Tensor
    content_scale: Tensor

    def __init__(self, encode: Encoder, content: tuple[int, ...], variance: Variance = "unit") -> None:
        super().__init__(encode, content, variance)
        self.register_buffer("log_library", torch.zeros(2))  # mean and standard deviation over training rows
        self.register_buffer("content_mean", torch.zeros(content))
        self.register_buffer("content_scale", torch.ones(content))

    def fit(self, encode: Encoder, x: Tensor) -> None:
        """Learn how library sizes spread, and note the standard units of the encoding."""
        library = x[:, : self.content[0]].nansum(1).log()
        self.log_library.copy_(torch.stack([library.mean(), library.std(correction=0)]))
        self.content_mean.copy_(encode.mean)  # type: ignore[arg-type]
        self.content_scale.copy_(encode.scale)  # type: ignore[arg-type]

    def log_prob(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Sum over genes; those that were not measured do not count, nor do their shares."""
        counts, shares = x[:, : self.content[0]], self.log_shares(output)
        if observed is not None:
            counts = counts.nan_to_num()
            shares = shares - shares.masked_fill(~observed, -torch.inf).logsumexp(1, keepdim=True)
        log_mean = shares + counts.sum(1, keepdim=True).clamp(min=1).log()
        return self.of_counts(counts, log_mean, output, observed)

    def of_counts(self, counts: Tensor, log_mean: Tensor, output: Tensor, observed: Tensor | None) -> Tensor:
        """Log-likelihood ``(batch,)`` of counts ``(batch, genes)`` with these expected ones."""
        result = counts * log_mean - log_mean.exp()
        result = (result if observed is None else result * observed).sum(1)
        return result - _of_positive(counts, lambda some, _: torch.lgamma(some + 1))

    def log_shares(self, output: Tensor) -> Tensor:
        """Logarithm of each gene's share of the reads, ``(batch, genes)``."""
        return output[:, : self.content[0]].log_softmax(1)

    def error(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Minus the log-likelihood, a mean over genes."""
        genes = self.content[0] if observed is None else observed.sum(1).clamp(min=1)
        return -self.log_prob(output, x, content, observed) / genes

    def expected(self, output: Tensor) -> Tensor:
        """What the encoding makes of the expected shares."""
        return ((self.log_shares(output).exp() * PER).log1p() - self.content_mean) / self.content_scale

    def draw(self, output: Tensor, encode: Encoder) -> Tensor:
        """Counts of samples whose library sizes spread as those of the training rows."""
        mean, spread = self.log_library
        library = (mean + spread * torch.randn(len(output), 1, device=output.device)).exp().round().clamp(min=1)
        return self.draw_counts(self.log_shares(output).exp() * library, output)

    def draw_counts(self, mean: Tensor, output: Tensor) -> Tensor:
        """Counts with these expected ones, ``(batch, genes)``."""
        return torch.poisson(mean)


class NegativeBinomial(Poisson):
    """Counts that spread more than chance: variance = mean + mean^2 / dispersion, one dispersion a gene."""

    def __init__(self, encode: Encoder, content: tuple[int, ...], variance: Variance = "unit") -> None:
        super().__init__(encode, content, variance)
        self.log_dispersion = nn.Parameter(torch.zeros(content))

    def of_counts(self, counts: Tensor, log_mean: Tensor, output: Tensor, observed: Tensor | None) -> Tensor:
        """As in `Poisson`; the costly terms are computed for counts above zero only, for all others they vanish."""
        theta = self.log_dispersion.exp()
        # log(theta + mean), stable for means near zero and far above the dispersion alike
        log_sum = torch.logaddexp(self.log_dispersion.expand_as(log_mean), log_mean)
        result = theta * (self.log_dispersion - log_sum) + counts * (log_mean - log_sum)
        result = (result if observed is None else result * observed).sum(1)
        return result - _of_positive(counts, self._gammas)

    def _gammas(self, counts: Tensor, genes: Tensor) -> Tensor:
        theta = self.log_dispersion.exp()[genes]
        return torch.lgamma(theta) + torch.lgamma(counts + 1) - torch.lgamma(counts + theta)

    def draw_counts(self, mean: Tensor, output: Tensor) -> Tensor:
        """A gamma of Poissons."""
        theta = self.log_dispersion.exp().expand_as(mean)
        return torch.poisson(torch._standard_gamma(theta) * mean / theta)


class ZeroInflatedNegativeBinomial(NegativeBinomial):
    """A negative binomial of which some counts were lost: a second output a gene is the log-odds of that."""

    maps = 2

    def of_counts(self, counts: Tensor, log_mean: Tensor, output: Tensor, observed: Tensor | None) -> Tensor:
        """As in `NegativeBinomial`."""
        theta, lost = self.log_dispersion.exp(), output[:, self.content[0] :]
        log_sum = torch.logaddexp(self.log_dispersion.expand_as(log_mean), log_mean)
        of_zero = theta * (self.log_dispersion - log_sum)
        kept = -F.softplus(lost)  # log(1 - p)
        at_zero = torch.logaddexp(F.logsigmoid(lost), kept + of_zero)
        above = kept + of_zero + counts * (log_mean - log_sum)
        result = torch.where(counts > 0, above, at_zero)
        result = (result if observed is None else result * observed).sum(1)
        return result - _of_positive(counts, self._gammas)

    def draw(self, output: Tensor, encode: Encoder) -> Tensor:
        """Counts, of which some are lost."""
        drawn = super().draw(output, encode)
        return drawn * (torch.rand_like(drawn) > output[:, self.content[0] :].sigmoid())


def _of_positive(counts: Tensor, term: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Sum over genes of a term of each count above zero and its gene, ``(batch,)``; most counts are zero."""
    rows, genes = counts.nonzero(as_tuple=True)
    return counts.new_zeros(len(counts)).index_add(0, rows, term(counts[rows, genes], genes))

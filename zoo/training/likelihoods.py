"""Likelihoods: distributions of samples given the output of a decoder; in nats, one value per sample.

Shapes: ``content`` are the encoded values of ``x`` without covariates, ``(batch, *content)``; ``output`` is the output
of a decoder, ``(batch, maps * content[0], *content[1:])``, with ``maps`` numbers per value. Likelihoods of counts are
in `zoo.training.count_likelihoods`.
"""

import math
from abc import abstractmethod
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..encode import Encoder
from ..errors import InputError

Variance = Literal["unit", "shared", "feature"]


class Likelihood(nn.Module):
    """Base of all likelihoods.

    Args:
        encode: The fitted or unfitted encoding of the model.
        content: Shape of one encoded sample without covariates.
        variance: Variance of a gaussian likelihood; others ignore it.

    Attributes:
        maps: Number of decoder outputs per encoded value.
    """

    maps: ClassVar[int] = 1

    def __init__(self, encode: Encoder, content: tuple[int, ...], variance: Variance = "unit") -> None:
        super().__init__()
        self.content = content

    def fit(self, encode: Encoder, x: Tensor) -> None:
        """Fit to raw training rows, ``shape=(rows, *shape)``; does nothing by default."""

    @abstractmethod
    def log_prob(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Log-likelihood of each sample ``(batch,)``, in nats; values that were not measured are excluded."""

    @abstractmethod
    def error(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Reconstruction error of each sample ``(batch,)``, a mean over its measured values."""

    @abstractmethod
    def expected(self, output: Tensor) -> Tensor:
        """Expected encoded content, ``(batch, *content)``."""

    @abstractmethod
    def draw(self, output: Tensor, encode: Encoder) -> Tensor:
        """Raw values of one random sample per output, drawn with the global generator of torch."""


class Gaussian(Likelihood):
    """Standardised numbers are normally distributed with the output as mean; categories have a softmax.

    Args:
        encode: As in `Likelihood`.
        content: As in `Likelihood`.
        variance: ``"unit"``: 1, so that the loss is half the squared error. ``"shared"``: one trained value, as in
            probabilistic PCA (Tipping and Bishop 1999, doi:10.1111/1467-9868.00196). ``"feature"``: one trained value
            per feature, as in factor analysis.
    """

    log_variance: Tensor

    def __init__(self, encode: Encoder, content: tuple[int, ...], variance: Variance = "unit") -> None:
        super().__init__(encode, content, variance)
        self.groups: dict[int, int] = getattr(encode, "levels_of", {})
        levels = {column for start, count in self.groups.items() for column in range(start, start + count)}
        size = math.prod(content)
        self.numbers = [column for column in range(size) if column not in levels] if levels else None
        shape = {"unit": (), "shared": (), "feature": (len(self.numbers) if self.numbers else size,)}[variance]
        if variance == "unit":
            self.register_buffer("log_variance", torch.zeros(()), persistent=False)
        else:
            self.log_variance = nn.Parameter(torch.zeros(shape))

    def log_prob(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Sum over numbers and categories."""
        square = (self._numbers(content) - self._numbers(output)).square()
        density = -0.5 * (square / self.log_variance.exp() + self.log_variance + math.log(2 * math.pi))
        result = (density if observed is None else density * self._numbers(observed)).sum(1)
        return result - self._entropies(output, content, observed).sum(1)

    def error(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Mean of the squared errors of standardised numbers and of the cross-entropies of categories."""
        square = (self._numbers(content) - self._numbers(output)).square()
        entropy = self._entropies(output, content, observed)
        if observed is None:
            return torch.cat([square, entropy], 1).mean(1)
        measured = self._numbers(observed)
        count = measured.sum(1) + sum(observed[:, start].int() for start in self.groups)
        return ((square * measured).sum(1) + entropy.sum(1)) / count.clamp(min=1)

    def expected(self, output: Tensor) -> Tensor:
        """The means, and the probabilities of the levels."""
        if not self.groups:
            return output
        parts = output.clone()
        for start, count in self.groups.items():
            parts[:, start : start + count] = output[:, start : start + count].softmax(1)
        return parts

    def draw(self, output: Tensor, encode: Encoder) -> Tensor:
        """Normally distributed numbers, and a level of each category by its probability."""
        drawn = output + torch.randn_like(output) * self._deviation(output)
        for start, count in self.groups.items():
            # The last level, 'unknown', is never drawn.
            chosen = output[:, start : start + count - 1].softmax(1).multinomial(1).squeeze(1)
            drawn[:, start : start + count] = F.one_hot(chosen, count).to(drawn.dtype)
        return encode.inverse(drawn)

    def _deviation(self, output: Tensor) -> Tensor:
        deviation = (self.log_variance / 2).exp()
        if self.numbers is not None and deviation.ndim:
            full = output.new_zeros(output.shape[1])
            full[self.numbers] = deviation
            return full
        return deviation.view(self.content) if deviation.ndim else deviation

    def _numbers(self, values: Tensor) -> Tensor:
        """The columns of numbers, without the levels of categories: ``(batch, numbers)``."""
        return values.flatten(1) if self.numbers is None else values[:, self.numbers]

    def _entropies(self, output: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Cross-entropy of each category, ``(batch, categories)``; 0 where it was not measured."""
        if not self.groups:
            return output.new_zeros(len(output), 0)
        entropies = []
        for start, count in self.groups.items():
            entropy = F.cross_entropy(
                output[:, start : start + count], content[:, start : start + count], reduction="none"
            )
            entropies.append(entropy if observed is None else entropy * observed[:, start])
        return torch.stack(entropies, 1)


class Categorical(Likelihood):
    """DNA: a softmax over the four bases of each position; unknown bases are excluded."""

    def log_prob(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Sum over positions."""
        return (content * output.log_softmax(1)).sum((1, 2))

    def error(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Mean cross-entropy per base, in nats; that of a uniform distribution is 1.39."""
        return -self.log_prob(output, x, content, observed) / content.sum((1, 2)).clamp(min=1)

    def expected(self, output: Tensor) -> Tensor:
        """Probabilities of the bases."""
        return output.softmax(1)

    def draw(self, output: Tensor, encode: Encoder) -> Tensor:
        """A random base for each position by its probability."""
        flat = output.softmax(1).transpose(1, 2).flatten(0, 1)
        return flat.multinomial(1).view(len(output), -1).to(torch.uint8)


class Bernoulli(Likelihood):
    """Values in a limited range, such as grey levels, scaled to 0 to 1 and treated as probabilities.

    The limits are the minimum and maximum of the training rows: of each column of a table, else of all pixels or time
    points.
    """

    low: Tensor
    range: Tensor

    def __init__(self, encode: Encoder, content: tuple[int, ...], variance: Variance = "unit") -> None:
        super().__init__(encode, content, variance)
        if getattr(encode, "levels_of", None):
            raise InputError("likelihood 'bernoulli' is for numbers; for categories use 'gaussian'")
        size = content if len(content) == 1 else ()
        self.register_buffer("low", torch.zeros(size))
        self.register_buffer("range", torch.ones(size))

    def fit(self, encode: Encoder, x: Tensor) -> None:
        """Fit the limits."""
        limits = []
        for part in x.split(1024):
            content = encode(part)
            content = content[:, : self.content[0]]
            flat = content if len(self.content) == 1 else content.reshape(-1, 1)
            limits.append(torch.stack([flat.amin(0), flat.amax(0)]))
        low, high = torch.stack(limits).amin(0)[0], torch.stack(limits).amax(0)[1]
        self.low.copy_(low.view(self.low.shape))
        self.range.copy_(torch.where(high > low, high - low, 1.0).view(self.range.shape))

    def log_prob(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Minus the sum of the cross-entropies."""
        return -self._entropy(output, content, observed).sum(1)

    def error(self, output: Tensor, x: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        """Mean cross-entropy per value, in nats."""
        count = math.prod(self.content) if observed is None else observed.flatten(1).sum(1).clamp(min=1)
        return self._entropy(output, content, observed).sum(1) / count

    def expected(self, output: Tensor) -> Tensor:
        """Values within the limits."""
        return self.low + output.sigmoid() * self.range

    def draw(self, output: Tensor, encode: Encoder) -> Tensor:
        """The expected values: draws of zeros and ones would not look like grey levels."""
        return encode.inverse(self.expected(output))

    def _entropy(self, output: Tensor, content: Tensor, observed: Tensor | None) -> Tensor:
        scaled = ((content - self.low) / self.range).clamp(0, 1)
        entropy = F.binary_cross_entropy_with_logits(output, scaled, reduction="none").flatten(1)
        return entropy if observed is None else entropy * observed.flatten(1)

"""The generator of tables, and where it starts from: the Gaussian copula of each class."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .mlp import dense_layers

TEMPERATURE = 0.5  # of the relaxed draws
SHARPNESS = 16.0  # logits of a category for each standard deviation of its liability
STRONGEST = 0.99  # correlation, lest rounding makes columns the same


class TableGenerator(nn.Module):
    """Noise to an encoded row: ``correction(noise, class) + class Gaussian(noise)``, then a draw of each category.

    Numbers are taken as they are. Missingness and levels are drawn by the Gumbel-max trick, through which gradients
    pass (Jang et al. 2017, arXiv:1611.01144). The linear part is learnt like the rest, but `begin` sets it to the
    Gaussian copula of each class and the correction to zero: on a few hundred rows that is where a network that starts
    at random hardly gets to.

    Args:
        noise: Width of the noise.
        classes: Number of classes; 0 for none.
        hidden: Width of each hidden layer of the correction.
        numbers: Encoded numbers, which come first.
        flags: Missingness columns, of the first ``flags`` numbers.
        groups: Number of levels of each category.

    Shape:
        ``(batch, noise), (batch,) -> (batch, numbers + flags + sum(groups))``
    """

    allowed: Tensor

    def __init__(
        self, noise: int, classes: int, hidden: list[int], numbers: int, flags: int, groups: list[int]
    ) -> None:
        super().__init__()
        self.noise, self.classes, self.parts = noise, classes, [numbers, flags, *groups]
        width = sum(self.parts)
        self.correction = dense_layers([noise + classes, *hidden], "leaky_relu", "none", 0.0)
        self.head = nn.Linear(hidden[-1], width)
        self.slope = nn.Parameter(torch.randn(max(1, classes), noise, width) / noise**0.5)
        self.offset = nn.Parameter(torch.zeros(max(1, classes), width))
        self.register_buffer("allowed", torch.ones(width, dtype=torch.bool))

    @torch.no_grad()
    def begin(self, spread: Tensor, middle: Tensor, codes: Tensor) -> None:
        """Start at the copula of training rows, twice ``(rows, width)``, of these classes, ``(rows,)``; see `gaussian`.

        What is never 1 among them, such as missingness of a column that is always there, will never be made.
        """
        numbers, flags = self.parts[:2]
        self.allowed[numbers:] = (spread[:, numbers:] > 0).any(0)
        self.head.weight.zero_()
        self.head.bias.zero_()
        for code in range(len(self.offset)):
            if (own := codes == code).sum() > 1:
                offset, slope = gaussian(spread[own].double(), middle[own].double(), numbers, flags, self.noise)
                self.offset[code], self.slope[code] = offset.float(), slope.float()

    def forward(self, noise: Tensor, label: Tensor | None) -> Tensor:
        """Rows of these classes; None without classes."""
        if label is None:
            output = torch.addmm(self.offset[0], noise, self.slope[0]) + self.head(self.correction(noise))
        else:
            told = F.one_hot(label, self.classes).to(noise)
            # The noise times each class, so that one product serves all classes of a batch.
            by_class = (told.unsqueeze(2) * noise.unsqueeze(1)).flatten(1)
            output = told @ self.offset + by_class @ self.slope.flatten(0, 1)
            output = output + self.head(self.correction(torch.cat([noise, told], 1)))
        numbers, flags, *groups = output.masked_fill(~self.allowed, -1e4).split(self.parts, 1)
        missing = F.gumbel_softmax(torch.stack([flags, torch.zeros_like(flags)], 2), TEMPERATURE, hard=True)[..., 0]
        levels = [F.gumbel_softmax(group, TEMPERATURE, hard=True) for group in groups]
        return torch.cat([hide(numbers, missing), missing, *levels], 1)


def hide(numbers: Tensor, missing: Tensor) -> Tensor:
    """Numbers with 0 where they are missing, as the encoding has it: ``(rows, numbers), (rows, flags)``."""
    count = missing.shape[1]
    return torch.cat([numbers[:, :count] * (1 - missing), numbers[:, count:]], 1) if count else numbers


def gaussian(spread: Tensor, middle: Tensor, numbers: int, flags: int, noise: int) -> tuple[Tensor, Tensor]:
    """A Gaussian copula of encoded rows as a linear map from noise to numbers and logits.

    Missingness and levels count as liabilities (Pearson 1900): normal numbers that are above a threshold. Of each value
    the mean of its normal number is taken, and correlations, of the pairs of values that are there, are corrected for
    what this mean hides, to the first order (the polyserial correlation, Olsson et al. 1982, doi:10.1007/BF02294164).

    Args:
        spread: Rows of one class with their ties spread evenly, ``shape=(rows, width)``: numbers, missingness, levels.
        middle: The same rows with each tie at its middle.
        numbers: How many columns are numbers.
        flags: How many are missingness, of the first numbers.
        noise: Width of the noise; if it is smaller than that of the rows, the largest components are kept.

    Returns:
        Offset ``(width,)`` and slope ``(noise, width)``.
    """
    there = torch.ones_like(spread, dtype=torch.bool)
    there[:, :flags] = spread[:, numbers : numbers + flags] < 0.5
    weight = there[:, :numbers].double()
    count = weight.sum(0).clamp(min=1)
    mean = (spread[:, :numbers] * weight).sum(0) / count
    scale = (((spread[:, :numbers] - mean) * weight).square().sum(0) / count).sqrt().clamp(min=1e-3)
    share = spread[:, numbers:].mean(0).clamp(1e-3, 1 - 1e-3)
    threshold = torch.special.ndtri(1 - share)
    density = (-threshold.square() / 2).exp() / (2 * torch.pi) ** 0.5
    liability = torch.where(spread[:, numbers:] > 0.5, density / share, -density / (1 - share))
    liability[:, (spread[:, numbers:] == spread[:1, numbers:]).all(0)] = 0.0  # what never varies goes with nothing
    latent = torch.cat([(middle[:, :numbers] - mean) / scale * weight, liability], 1)
    told = latent.square().sum(0) / there.double().sum(0).clamp(min=1)  # share of the variance that the means have
    pairs = (there.double().T @ there.double()).clamp(min=1)
    correlation = (latent.T @ latent / pairs / told.outer(told).clamp(min=1e-6)).clamp(-STRONGEST, STRONGEST)
    correlation.fill_diagonal_(1.0)
    values, vectors = torch.linalg.eigh(correlation)
    kept = min(noise, len(values))
    factor = vectors[:, -kept:] * values[-kept:].clamp(min=1e-6).sqrt()
    if kept == len(values):
        factor = factor / factor.norm(dim=1, keepdim=True)  # the nearest correlations that are possible together
    units = torch.cat([scale, torch.full_like(threshold, SHARPNESS)])
    slope = spread.new_zeros(noise, spread.shape[1])
    slope[:kept] = factor.T * units
    return torch.cat([mean, -SHARPNESS * threshold]), slope

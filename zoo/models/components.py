"""Wide tables as a few principal components and what is left over."""

import torch
from torch import Tensor, nn


class Components(nn.Module):
    """Principal components of numbers, each with a standard deviation of 1, and the noise that they leave out.

    Args:
        columns: Number of numbers.
        count: Number of components.
    """

    centre: Tensor
    loadings: Tensor
    scale: Tensor
    residual: Tensor

    def __init__(self, columns: int, count: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(columns))
        self.register_buffer("loadings", torch.zeros(columns, count))
        self.register_buffer("scale", torch.ones(count))
        self.register_buffer("residual", torch.zeros(columns))

    def fit(self, numbers: Tensor) -> None:
        """Learn from encoded training rows, ``shape=(rows, columns)``."""
        count = self.loadings.shape[1]
        centre = numbers.mean(0)
        _, values, vectors = torch.linalg.svd(numbers - centre, full_matrices=False)
        kept = vectors[:count].T
        left = numbers - centre - (numbers - centre) @ kept @ kept.T
        self.centre.copy_(centre)
        self.loadings.copy_(kept)
        self.scale.copy_((values[:count] / max(1, len(numbers) - 1) ** 0.5).clamp(min=1e-6))
        self.residual.copy_(left.std(0, correction=0))

    def forward(self, numbers: Tensor) -> Tensor:
        """``(rows, columns) -> (rows, count)``."""
        return (numbers - self.centre) @ self.loadings / self.scale

    def inverse(self, components: Tensor, seed: int) -> Tensor:
        """``(rows, count) -> (rows, columns)``, with noise of the variance that the components leave out."""
        noise = torch.randn(len(components), len(self.centre), generator=torch.Generator().manual_seed(seed))
        return self.centre + (components * self.scale) @ self.loadings.T + noise.to(components) * self.residual

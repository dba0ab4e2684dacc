"""What noise a generator makes given samples of."""

from collections.abc import Callable

import torch
from torch import Tensor


def mismatch(made: Tensor, goal: Tensor, z: Tensor, prior: float) -> Tensor:
    """``mean((goal - made)^2) + prior * mean(z^2)`` of each sample, ``(batch,)``."""
    return (made - goal).square().flatten(1).mean(1) + prior * z.square().flatten(1).mean(1)


def invert(
    generator: Callable[[Tensor], Tensor], x: Tensor, start: Tensor, steps: int, lr: float, prior: float
) -> tuple[Tensor, Tensor]:
    """Noise whose sample is nearest to each given one, by gradient descent on the noise of all samples at once.

    What is minimised, by Adam with a learning rate that falls to 0, is ``mean((x - generator(z))^2) + prior *
    mean(z^2)`` of each sample by itself: the logarithm of the posterior of z up to a constant, if what is made is off
    by Gaussian noise. The generator is not changed. It works within `torch.inference_mode`.

    Args:
        generator: From noise to samples, without dependence between the samples of a batch.
        x: Samples, ``shape=(batch, *shape)``.
        start: Noise to start from, ``shape=(batch, *noise)``.
        steps: Of gradient descent; 0 leaves the start.
        lr: Learning rate of the first step.
        prior: Weight of the squared noise.

    Returns:
        The noise ``(batch, *noise)``, and what is minimised, ``(batch,)``.
    """
    with torch.inference_mode(False), torch.enable_grad():
        goal, z = x.clone(), start.detach().clone().requires_grad_()
        optimiser = torch.optim.Adam([z], lr)
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = lr * (1 - step / steps)
            (z.grad,) = torch.autograd.grad(mismatch(generator(z), goal, z, prior).sum(), z)
            optimiser.step()
    with torch.no_grad():
        found = z.detach()
        return found, mismatch(generator(found), x, found, prior)

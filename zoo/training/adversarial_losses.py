"""Losses of discriminator and generator in generative adversarial networks."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

EXPLODED = 1e6  # absolute loss above which training has diverged
AdversarialLoss = Literal["non_saturating", "hinge", "least_squares", "wasserstein"]


def discriminator_loss(name: AdversarialLoss, real: Tensor, generated: Tensor) -> Tensor:
    """Mean loss of a discriminator, whose output is to be high for real and low for generated samples.

    Args:
        name: ``"non_saturating"``: binary cross-entropy (Goodfellow et al. 2014, arXiv:1406.2661); ``"hinge"`` (Lim and
            Ye 2017, arXiv:1705.02894); ``"least_squares"`` (Mao et al. 2017, arXiv:1611.04076); ``"wasserstein"``: the
            difference of the means (Arjovsky et al. 2017, arXiv:1701.07875).
        real: Outputs for real samples, of any shape.
        generated: Outputs for generated samples.
    """
    match name:
        case "non_saturating":
            return softplus(-real).mean() + softplus(generated).mean()
        case "hinge":
            return relu(1 - real).mean() + relu(1 + generated).mean()
        case "least_squares":
            return (real - 1).square().mean() / 2 + generated.square().mean() / 2
        case "wasserstein":
            return generated.mean() - real.mean()


def generator_loss(name: AdversarialLoss, generated: Tensor) -> Tensor:
    """Mean loss of the generator, from the discriminator outputs for its samples; see `discriminator_loss`."""
    match name:
        case "non_saturating":
            return softplus(-generated).mean()
        case "least_squares":
            return (generated - 1).square().mean() / 2
        case "hinge" | "wasserstein":
            return -generated.mean()


def gradient_penalty(discriminate: Callable[[Tensor], list[Tensor]], real: Tensor, generated: Tensor) -> Tensor:
    """Gradient penalty: mean of (norm of the gradient - 1)^2 at random interpolations of real and generated samples.

    Gulrajani et al. 2017, arXiv:1704.00028.

    Args:
        discriminate: Outputs of each discriminator for samples; each discriminator has a penalty of its own.
        real: Real samples, ``shape=(batch, *shape)``.
        generated: Generated samples of the same shape.
    """
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    between = torch.lerp(real, generated.to(real), share).requires_grad_()  # generated may be in half precision
    total = real.new_zeros(())
    for output in discriminate(between):
        (gradient,) = torch.autograd.grad(output.sum(), between, create_graph=True)
        total = total + (gradient.flatten(1).float().norm(dim=1) - 1).square().mean()
    return total


def first_explosion(losses: dict[str, list[tuple[int, Tensor]]]) -> tuple[int, str, float] | None:
    """Step, network and loss of the first update whose loss is not finite or larger than 1e6; None if there is none.

    Args:
        losses: Step and loss of each update, by the name of the network.
    """
    exploded = [
        (step, name, float(loss))
        for name, updates in losses.items()
        if updates and not (torch.stack([loss for _, loss in updates]).abs() < EXPLODED).all()
        for step, loss in updates
        if not abs(float(loss)) < EXPLODED
    ]
    return min(exploded, default=None)

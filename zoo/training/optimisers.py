"""Optimisers and learning-rate schedules by name."""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau, StepLR

from ..errors import InputError

OptimizerName = Literal["sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw"]
ScheduleName = Literal["constant", "step", "cosine", "reduce_on_plateau", "one_cycle"]


def optimizer(
    name: OptimizerName,
    parameters: Iterable[torch.nn.Parameter] | list[dict[str, Any]],
    lr: float,
    momentum: float,
    weight_decay: float,
    fused: bool | None = None,
    beta1: float = 0.9,
) -> Optimizer:
    """An optimiser of torch by name; ``momentum`` is used by SGD and RMSprop, ``beta1`` by Adam and AdamW.

    ``fused`` updates all weights in one call; None is the default of torch. RMSprop and Adadelta have no fused form.
    """
    common: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
    if name not in ("rmsprop", "adadelta"):
        common["fused"] = fused
    match name:
        case "sgd":
            return torch.optim.SGD(parameters, momentum=momentum, **common)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, momentum=momentum, **common)
        case "adagrad":
            return torch.optim.Adagrad(parameters, **common)
        case "adadelta":
            return torch.optim.Adadelta(parameters, **common)
        case "adam":
            return torch.optim.Adam(parameters, betas=(beta1, 0.999), **common)
        case "adamw":
            return torch.optim.AdamW(parameters, betas=(beta1, 0.999), **common)


def schedule(
    name: ScheduleName, optimiser: Optimizer, every: int, factor: float, epochs: int, steps: float
) -> dict[str, Any] | None:
    """A learning-rate schedule by name, in the form that Lightning takes.

    Args:
        name: ``"step"`` multiplies the rate by ``factor`` every ``every`` epochs; ``"cosine"`` decreases it to zero
            over all ``epochs``; ``"reduce_on_plateau"`` multiplies it by ``factor`` when the validation loss has not
            decreased for ``every`` epochs; ``"one_cycle"`` increases it to the maximum learning rate and decreases it
            again over all ``steps`` (Smith and Topin 2018, arXiv:1708.07120); ``"constant"`` returns None.
        optimiser: The optimiser.
        every: Number of epochs, see ``name``.
        factor: Factor between 0 and 1.
        epochs: Number of epochs of the whole training.
        steps: Number of optimiser steps of the whole training.

    Raises:
        InputError: The schedule needs a known end of training.
    """
    if name in ("cosine", "one_cycle") and (epochs < 1 or steps == float("inf")):
        raise InputError(f"schedule {name!r} needs the number of epochs: set trainer.max_epochs")
    match name:
        case "constant":
            return None
        case "step":
            return {"scheduler": StepLR(optimiser, every, factor)}
        case "cosine":
            return {"scheduler": CosineAnnealingLR(optimiser, epochs)}
        case "reduce_on_plateau":
            return {
                "scheduler": ReduceLROnPlateau(optimiser, factor=factor, patience=every),
                "monitor": "validation_loss",
            }
        case "one_cycle":
            rates = [group["lr"] for group in optimiser.param_groups]
            has_momentum = bool({"momentum", "betas"} & set(optimiser.defaults))
            plan = OneCycleLR(optimiser, rates, total_steps=int(steps), cycle_momentum=has_momentum)
            return {"scheduler": plan, "interval": "step"}

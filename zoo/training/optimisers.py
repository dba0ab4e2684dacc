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
    """An optimiser of torch; ``momentum`` reaches SGD and RMSprop, ``beta1`` Adam and AdamW.

    ``fused`` updates all weights in one call; None leaves the choice to torch. RMSprop and Adadelta cannot.
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
    """How the learning rate changes, as Lightning wants it told.

    Args:
        name: ``"step"`` multiplies the rate by ``factor`` each ``every`` epochs; ``"cosine"`` lets it fall to zero over
            all ``epochs``; ``"reduce_on_plateau"`` multiplies by ``factor`` when the validation loss has not fallen for
            ``every`` epochs; ``"one_cycle"`` rises to the (highest) learning rate and falls again over all ``steps``
            (Smith and Topin 2018, arXiv:1708.07120); ``"constant"`` is None.
        optimiser: What to steer.
        every: Epochs.
        factor: Between 0 and 1.
        epochs: Epochs of the whole training.
        steps: Optimiser steps of the whole training.
    """
    if name in ("cosine", "one_cycle") and (epochs < 1 or steps == float("inf")):
        raise InputError(f"schedule {name!r} needs to know the end of training: set trainer.max_epochs")
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

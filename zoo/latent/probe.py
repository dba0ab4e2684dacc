"""Layers of a model and their outputs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.base import Source
from ..errors import InputError, suggest
from ..models import Model


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Set evaluation and inference mode; afterwards each module is back in its own mode, which may differ if frozen."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def flat(output: Tensor, layer: str) -> Tensor:
    """Output as ``(batch, width)``: the encoded input is flattened, other layers are max-pooled over positions."""
    return output if output.ndim == 2 else output.flatten(1) if layer == "encode" else output.flatten(2).amax(2)


def layers(model: Model) -> dict[str, int]:
    """Layers that `embed` accepts, with their width, in the order of the forward pass.

    Of a layer with output ``(batch, channels, positions)``, such as a convolution, `embed` takes the maximum of each
    channel.

    Args:
        model: A trained or an untrained model.

    Returns:
        Width of every named sub-module with one output row for each sample, such as
        ``{"encode": 8, "body.linear1": 64, "body.relu1": 64, "body": 64, "head": 1}``. A container follows its
        modules. The widths are determined by one forward pass of two synthetic samples.
    """
    found: dict[str, int] = {}

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim >= 2 and len(output) == 2:
                found[name] = flat(output, name).shape[1]

        return hook

    named = [(name, module) for name, module in model.named_modules() if name and not name.startswith("encode.")]
    hooks = [module.register_forward_hook(note(name)) for name, module in named]
    try:
        with evaluating(model):
            model(model.encode.example(2).to(model.device))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def run(model: Model, x: Source, layer: str | None) -> tuple[np.ndarray, Tensor]:
    """Output of one layer and of the model, for all samples.

    Args:
        model: The model; it stays on its device.
        x: Raw values, ``shape=(samples, *shape)``.
        layer: A name from `layers`; None is ``model.embed``.

    Returns:
        Output of the layer, float32 ``shape=(samples, width)``, and output of ``model.raw_predictions``.

    Raises:
        InputError: Unknown layer, or a layer without one output row for each sample.
    """
    if layer is not None and layer not in (known := layers(model)):
        if layer in dict(model.named_modules()):
            raise InputError(f"layer {layer!r} has no output for each sample; {suggest(layer, known)}")
        raise InputError(f"{type(model).__name__} has no layer {layer!r}; {suggest(layer, known)}")
    latents, outputs = [], []
    caught: list[Tensor] = []
    hook = layer and model.get_submodule(layer).register_forward_hook(lambda module, inputs, out: caught.append(out))
    try:
        with evaluating(model):
            for rows in torch.arange(len(x)).split(model.rows_at_once):
                part = x[rows].to(model.device)
                outputs.append(model.raw_predictions(part).float().cpu())
                latents.append((flat(caught[-1], layer) if layer else model.embed(part)).float().cpu())
                caught.clear()
    finally:
        if hook:
            hook.remove()
    return torch.cat(latents).numpy(), torch.cat(outputs)

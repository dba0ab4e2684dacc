"""Table of the layers of a model, with output shapes and numbers of weights."""

from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from .base import Model


class Layer(TypedDict):
    """One row of the table.

    Attributes:
        name: Path in the model, such as ``"body.convolution1"``.
        type: Name of the class.
        shape: Shape of the output for one sample.
        weights: Number of weights, trained or frozen; running statistics of normalisations are not counted.
    """

    name: str
    type: str
    shape: list[int]
    weights: int


def layer_table(model: Model) -> list[Layer]:
    """All layers from the encoding to the head or the decoder, in the order of the forward pass.

    They are recorded during a forward pass of a simulated sample. The encoding is one row. A module that has both
    sublayers and weights of its own, such as the attention of a transformer, has a row after its sublayers. The weights
    of all rows sum to those of the model.
    """
    rows: list[Layer] = []
    counted: set[nn.Parameter] = set()

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if any(row["name"] == name for row in rows):
                return
            first = output if isinstance(output, Tensor) else output[0]
            own = set(module.parameters()) - counted
            counted.update(own)
            weights = sum(weight.numel() for weight in own)
            rows.append(Layer(name=name, type=type(module).__name__, shape=list(first.shape[1:]), weights=weights))

        return hook

    hooks = [
        module.register_forward_hook(note(name))
        for name, module in model.named_modules()
        if name == "encode" or (name and not name.startswith(("encode", "likelihood")) and _does_something(module))
    ]
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            model.every_layer(model.encode.example(1).to(model.device))
    finally:
        for module, mode in modes.items():
            module.training = mode
        for hook in hooks:
            hook.remove()
    likelihood = getattr(model, "likelihood", None)  # not a layer, but it may have trained variances
    if isinstance(likelihood, nn.Module) and (weights := sum(weight.numel() for weight in likelihood.parameters())):
        rows.append(Layer(name="likelihood", type=type(likelihood).__name__, shape=[], weights=weights))
    return rows


def layer_text(rows: list[Layer]) -> str:
    """The table as aligned text; the last line has the total number of weights."""
    total = f"{sum(row['weights'] for row in rows):,}"
    cells = [("layer", "type", "output", "weights")]
    cells += [(row["name"], row["type"], " x ".join(map(str, row["shape"])), f"{row['weights']:,}") for row in rows]
    cells.append(("all", "", "", total))
    name, kind, shape, weights = (max(map(len, column)) for column in zip(*cells, strict=True))
    return "\n".join(f"{a:<{name}}  {b:<{kind}}  {c:<{shape}}  {d:>{weights}}" for a, b, c, d in cells)


def _does_something(module: nn.Module) -> bool:
    """True for a layer, False for a mere container of layers."""
    return not any(True for _ in module.children()) or any(True for _ in module.parameters(recurse=False))

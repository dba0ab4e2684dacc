"""Find the layers where a network concatenates modalities, by changing one modality after the other."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

ROWS = 256  # samples used
SAME = 1e-5  # smaller changes, relative to the largest value, are rounding errors


@dataclass
class Fused:
    """A layer whose inputs each depend on one modality.

    Attributes:
        layer: The layer.
        blocks: Indices of the inputs that depend on each modality; modalities without such inputs are left out.
        of_input: Whether the input of the layer is the encoded samples.
    """

    layer: nn.Module
    blocks: dict[str, Tensor]
    of_input: bool


def fused_layers(network: nn.Module, encoded: Tensor, places: Mapping[str, slice]) -> tuple[Fused | None, Fused | None]:
    """Find the first linear layer, and the first layer behind the encoding, whose input concatenates modalities.

    Each modality in turn is exchanged between samples, and the inputs of all layers are compared. A layer qualifies if
    its input depends on at least two modalities, and each input value on at most one.

    Args:
        network: From encoded samples to outputs, in evaluation mode.
        encoded: At least two samples, ``shape=(samples, values)``.
        places: Position of each modality among the values.

    Returns:
        The two layers, each None if there is none. For early fusion the second is None.
    """
    encoded = encoded[:ROWS]
    before = _inputs(network, encoded)
    touched: dict[nn.Module, dict[str, Tensor]] = {layer: {} for layer in before}
    for name, place in places.items():
        changed = encoded.clone()
        changed[:, place] = encoded[:, place].roll(1, 0)
        for layer, values in _inputs(network, changed).items():
            difference = (values - before[layer]).abs().amax(0)
            touched[layer][name] = difference > SAME * before[layer].abs().max().clamp(min=1e-12)
    linear = latent = None
    for layer, by_name in touched.items():
        once = torch.stack([*by_name.values()]).sum(0).max() == 1
        blocks = {name: columns.nonzero()[:, 0] for name, columns in by_name.items() if columns.any()}
        if not once or len(blocks) < 2:
            continue
        found = Fused(layer, blocks, before[layer].shape == encoded.shape and torch.equal(before[layer], encoded))
        if linear is None and isinstance(layer, nn.Linear):
            linear = found
        if latent is None and not found.of_input:
            latent = found
    return linear, latent


@contextmanager
def watched(network: nn.Module, see: Callable[[nn.Module, Tensor], Tensor | None]) -> Iterator[None]:
    """Call a function with each layer and its input ``(samples, values)``; a returned tensor replaces the input."""

    def hook(layer: nn.Module, inputs: tuple[Any, ...]) -> Any:
        if not inputs or not isinstance(inputs[0], Tensor) or inputs[0].ndim != 2:
            return None
        changed = see(layer, inputs[0])
        return None if changed is None else (changed, *inputs[1:])

    hooks = [layer.register_forward_pre_hook(hook) for layer in network.modules()]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()


@torch.no_grad()
def _inputs(network: nn.Module, encoded: Tensor) -> dict[nn.Module, Tensor]:
    """First input of each layer, in the order of the calls."""
    found: dict[nn.Module, Tensor] = {}

    def note(layer: nn.Module, x: Tensor) -> None:
        found.setdefault(layer, x)

    with watched(network, note):
        network(encoded)
    return {layer: x for layer, x in found.items() if len(x) == len(encoded)}

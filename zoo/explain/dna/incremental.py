"""Outputs of a network for all mutants of a sequence, recomputed only where a mutation has an effect.

A mutated base changes a window of the output of each layer: a convolution widens the window, pooling narrows it. Only
the windows are recomputed, for many mutants in one batch; elsewhere the outputs are those of the original sequence (the
idea of fastISM; Nair et al. 2022, doi:10.1093/bioinformatics/btac135).

The offset of a window within the pooling windows depends on the position. Positions are therefore processed in groups
whose positions differ by multiples of the product of all pooling sizes, so that all windows in a group have the same
offset. Windows may extend beyond the ends of a layer; values outside never affect values inside, and are left out where
positions are pooled or flattened.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...models.layers import ACTIVATIONS
from ...models.predict.cnn1d import Exponential, MaxAndAverage

DROPOUT = (nn.Dropout, nn.AlphaDropout)
ELEMENTWISE = (*ACTIVATIONS.values(), Exponential, nn.BatchNorm1d)
NUMBERS = {"cpu": 1 << 19}  # values in the largest tensor of a batch; faster if it fits into the processor's cache
NUMBERS_ELSEWHERE = 1 << 27


def traceable(*modules: nn.Module) -> list[nn.Module] | None:
    """Layers of consecutive modules without dropout, or None if a layer is not supported here."""
    layers = [layer for module in modules for layer in (module if isinstance(module, nn.Sequential) else [module])]
    layers = [layer for layer in layers if not isinstance(layer, DROPOUT)]
    dense = False
    for number, layer in enumerate(layers):
        if isinstance(layer, nn.Flatten) and not dense:
            dense = known = any(isinstance(above, nn.Linear) for above in layers[number + 1 : number + 2])
        elif dense:
            known = isinstance(layer, (nn.Flatten, nn.Linear, *ELEMENTWISE))
        else:
            dense = (pools := _pools(layer)) == inf
            known = pools > 0 or _plain_convolution(layer) or isinstance(layer, ELEMENTWISE)
        if not known:
            return None
    return layers if dense else None


def _plain_convolution(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv1d) and (layer.stride, layer.padding, layer.groups) == ((1,), (0,), 1)


def _pools(layer: nn.Module) -> float:
    """Pooling size of a layer; infinity for global pooling, 0 for other layers and unsupported pooling."""
    if isinstance(layer, MaxAndAverage):
        return _pools(layer.maximum)
    if isinstance(layer, (nn.AdaptiveMaxPool1d, nn.AdaptiveAvgPool1d)):
        return inf if layer.output_size in (1, (1,)) else 0
    if not isinstance(layer, (nn.MaxPool1d, nn.AvgPool1d)) or layer.ceil_mode or getattr(layer, "dilation", 1) != 1:
        return 0
    width, stride, padding = (
        v if isinstance(v, int) else v[0] for v in (layer.kernel_size, layer.stride, layer.padding)
    )
    return width if stride == width and padding == 0 else 0


@dataclass
class _Windows:
    """Windows of the output of one layer that mutations at given positions change.

    Attributes:
        values: Values with the mutations, ``shape=(sequences, positions, mutants, width, channels)``.
        first: Start of the window of the first position in the output of the layer; may be negative.
        step: Distance between the windows of consecutive positions.
    """

    values: Tensor
    first: int
    step: int

    @property
    def width(self) -> int:
        """Positions in one window."""
        return self.values.shape[3]

    def unmutated(self, whole: Tensor, first: int, width: int, step: int) -> Tensor:
        """Windows of the original sequences, zero outside: ``(sequences, positions, 1, width, channels)``."""
        count = self.values.shape[1]
        missing = first + step * (count - 1) + width - whole.shape[1]
        padded = F.pad(whole, (0, 0, max(0, -first), max(0, missing)))[:, max(0, first) :]
        return padded.unfold(1, width, step)[:, :count, None].transpose(3, 4)

    def change(self, whole: Tensor) -> Tensor:
        """Values with the mutations minus those without."""
        return self.values - self.unmutated(whole, self.first, self.width, self.step)


def mutant_outputs(layers: Sequence[nn.Module], x: Tensor, bases: Tensor) -> Tensor:
    """Output of a network for every mutant of every sequence.

    Args:
        layers: From `traceable`, in evaluation mode.
        x: Encoded sequences, ``shape=(sequences, channels, length)``.
        bases: Encoded replacements at each position, ``shape=(sequences, length, mutants, channels)``.

    Returns:
        ``shape=(sequences, length, mutants, outputs)``.
    """
    length, mutants = bases.shape[1:3]
    step = prod(int(pools) for layer in layers if 0 < (pools := _pools(layer)) < inf)
    at_a_time = max(1, NUMBERS.get(x.device.type, NUMBERS_ELSEWHERE) // (mutants * _widest(layers)))
    span = step * min(at_a_time, -(-length // step))
    rows = max(1, at_a_time * step // span)
    parts = []
    for sequences, new in zip(x.split(rows), bases.split(rows), strict=True):
        wholes = _wholes(layers, sequences)
        part = bases.new_empty(0)
        for begin in range(0, length, span):
            for first in range(begin, min(begin + step, length)):
                here = slice(first, begin + span, step)
                output = _follow(layers, wholes, _Windows(new[:, here, :, None], first, step))
                if not len(part):
                    part = output.new_empty(*new.shape[:3], output.shape[-1])
                part[:, here] = output
        parts.append(part)
    return torch.cat(parts)


def _widest(layers: Sequence[nn.Module]) -> int:
    """Largest number of values that any layer computes for one mutant."""
    width = widest = 1
    for layer in layers:
        if isinstance(layer, nn.Conv1d):
            widest = max(widest, width * layer.out_channels * layer.kernel_size[0])
            width += layer.dilation[0] * (layer.kernel_size[0] - 1)
            widest = max(widest, width * layer.out_channels)
        elif 0 < (pools := _pools(layer)) < inf:
            width = (width + int(pools) - 2) // int(pools) + 1
    return widest


def _wholes(layers: Sequence[nn.Module], x: Tensor) -> list[Tensor]:
    """Input of the first layer and outputs of all layers for the original sequences, channels last."""
    outputs = [x]
    for layer in layers:
        outputs.append(layer(outputs[-1]))
    return [output.transpose(1, 2).contiguous() if output.ndim == 3 else output for output in outputs]


def _follow(layers: Sequence[nn.Module], wholes: Sequence[Tensor], windows: _Windows) -> Tensor:
    """Output of the last layer for mutated inputs: ``(sequences, positions, mutants, outputs)``."""
    for number, layer in enumerate(layers):
        before, after = wholes[number : number + 2]
        if isinstance(layer, nn.Conv1d):
            windows = _convolve(layer, before, after, windows)
        elif isinstance(layer, nn.Flatten):
            linear = layers[number + 1]
            assert isinstance(linear, nn.Linear)
            return _dense(layers[number + 2 :], _flatten(linear, before, wholes[number + 2], windows))
        elif (pools := _pools(layer)) == inf:
            return _dense(layers[number + 1 :], _pool_all(layer, before, windows))
        elif pools:
            windows = _pool(layer, int(pools), before, windows)
        else:
            windows = _Windows(_apply(layer, windows.values), windows.first, windows.step)
    raise AssertionError("neither global pooling nor a dense layer")


def _apply(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer to each position separately."""
    output: Tensor = layer(x.reshape(-1, x.shape[-1]))
    return output.view(*x.shape[:-1], -1)


def _dense(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = x if isinstance(layer, nn.Flatten) else _apply(layer, x)
    return x


def _convolve(layer: nn.Conv1d, before: Tensor, after: Tensor, windows: _Windows) -> _Windows:
    """Convolve only the change, and add it to the output for the original sequence."""
    (width,), (dilation,) = layer.kernel_size, layer.dilation
    span = dilation * (width - 1) + 1
    # Contribution of one input value to each output whose kernel covers it, from the last weight to the first.
    spread = layer.weight.flip(2).permute(2, 0, 1).flatten(0, 1)
    added = F.linear(windows.change(before), spread).unflatten(-1, (width, -1))
    first, wider = windows.first - span + 1, windows.width + span - 1
    output = windows.unmutated(after, first, wider, windows.step).expand(-1, -1, added.shape[2], -1, -1).clone()
    for position in range(windows.width):
        output[..., position : position + span : dilation, :] += added[..., position, :, :]
    return _Windows(output, first, windows.step)


def _pool(layer: nn.Module, pools: int, before: Tensor, windows: _Windows) -> _Windows:
    """Extend the windows to complete pooling windows with values of the original sequence, and pool them."""
    first, offset = divmod(windows.first, pools)
    width = -(-(offset + windows.width) // pools)
    left, right = (
        windows.unmutated(before, begin, size, windows.step).expand(-1, -1, windows.values.shape[2], -1, -1)
        for begin, size in (
            (windows.first - offset, offset),
            (windows.first + windows.width, width * pools - offset - windows.width),
        )
    )
    whole = torch.cat([left, windows.values, right], 3).unflatten(3, (width, pools))
    pooled = [whole.amax(4) if how == "max" else whole.mean(4) for how in _ways(layer)]
    return _Windows(torch.cat(pooled, -1), first, windows.step // pools)


def _ways(layer: nn.Module) -> Iterator[str]:
    if isinstance(layer, (MaxAndAverage, nn.MaxPool1d, nn.AdaptiveMaxPool1d)):
        yield "max"
    if isinstance(layer, (MaxAndAverage, nn.AvgPool1d, nn.AdaptiveAvgPool1d)):
        yield "average"


def _pool_all(layer: nn.Module, before: Tensor, windows: _Windows) -> Tensor:
    """Global pooling: maximum of the window and the positions beside it, or average plus the change in the window."""
    length = before.shape[1]
    pooled, start = [], windows.first + windows.step * torch.arange(windows.values.shape[1], device=before.device)
    places = start[:, None] + torch.arange(windows.width, device=before.device)
    outside = ((places < 0) | (places >= length))[:, None, :, None]
    for how in _ways(layer):
        if how == "max":
            # Maximum of the positions before i, and of those from i on.
            until = F.pad(before.cummax(1).values, (0, 0, 1, 0), value=-inf)
            since = F.pad(before.flip(1).cummax(1).values, (0, 0, 1, 0), value=-inf).flip(1)
            others = torch.maximum(until[:, start.clamp(0, length)], since[:, (start + windows.width).clamp(0, length)])
            largest = windows.values.masked_fill(outside, -inf).amax(3)
            pooled.append(torch.maximum(others[:, :, None], largest))
        else:
            change = windows.change(before).masked_fill(outside, 0).sum(3)
            pooled.append((before.sum(1)[:, None, None] + change) / length)
    return torch.cat(pooled, -1)


def _flatten(linear: nn.Linear, before: Tensor, after: Tensor, windows: _Windows) -> Tensor:
    """Output of the dense layer: that for the original sequence plus the contribution of the change in the window."""
    length, channels = before.shape[1:]
    (sequences, positions, mutants, width), units = windows.values.shape[:4], linear.out_features
    last = windows.first + windows.step * (positions - 1) + width
    weight = linear.weight.view(units, channels, length).permute(2, 1, 0)
    # Zero weights for positions outside.
    weight = F.pad(weight, (0, 0, 0, 0, max(0, -windows.first), max(0, last - length)))[max(0, windows.first) :]
    window_weights = weight.contiguous().as_strided(
        (positions, width * channels, units), (windows.step * channels * units, units, 1)
    )
    change = windows.change(before).transpose(0, 1).reshape(positions, sequences * mutants, width * channels)
    added = torch.bmm(change, window_weights).view(positions, sequences, mutants, units).transpose(0, 1)
    return after[:, None, None] + added

"""Networks of torchvision made into bodies: without classifier, for any number of channels, cut into stages."""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchvision import models as torchvision
from torchvision.models.resnet import ResNet
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2
from torchvision.models.vision_transformer import Encoder as TransformerEncoder

from ..errors import InputError
from .convolutional import BatchNorm2d

UNFIT = ["googlenet", "inception_v3"]  # in training they have further outputs
CONTAINERS = (nn.Sequential, nn.ModuleList, TransformerEncoder)


def names() -> list[str]:
    """The classification networks of torchvision that can be a backbone."""
    return [name for name in torchvision.list_models(module=torchvision) if name not in UNFIT]


def build(name: str, channels: int, stem: Literal["original", "small"]) -> nn.Module:
    """A network with random weights whose output is what its classifier would read.

    Batch normalisation lets a batch of one pass, and no activation overwrites its input, which explanations need.

    Args:
        name: One of `names`.
        channels: Of the images.
        stem: As in `Backbone`.

    Shape:
        ``(batch, channels, height, width) -> (batch, features)``
    """
    network: nn.Module = torchvision.get_model(name, weights=None)
    _replace(network, last_layer(network), nn.Identity())
    old = network.get_submodule(first := first_convolution(network))
    assert isinstance(old, nn.Conv2d)
    if stem == "small":
        if not isinstance(network, ResNet):
            raise InputError(f"stem 'small' is for ResNets, not {name}; leave it out, and set resize")
        _replace(network, first, nn.Conv2d(channels, old.out_channels, 3, 1, 1, bias=False))
        _replace(network, "maxpool", nn.Identity())
    elif channels != 3:
        window: Any = {"kernel_size": old.kernel_size, "stride": old.stride, "padding": old.padding}
        _replace(network, first, nn.Conv2d(channels, old.out_channels, **window, bias=old.bias is not None))
    for where, layer in list(network.named_modules()):
        if type(layer) is nn.BatchNorm2d:
            _replace(network, where, BatchNorm2d(layer.num_features, layer.eps, layer.momentum))
        elif hasattr(layer, "inplace"):
            layer.inplace = False
    return network


def first_convolution(network: nn.Module) -> str:
    """Name of the convolution that reads the image."""
    name: str = next(name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d))
    return name


def last_layer(network: nn.Module) -> str:
    """Name of the layer that gives the classes (a convolution in SqueezeNet)."""
    names: list[str] = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    return names[-1]


def output_shape(network: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of what a network makes of a batch of this shape, worked out without computing it.

    Raises:
        RuntimeError, AssertionError or ValueError: It cannot take them.
    """
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    nothing = {name: value.detach().to("meta") for name, value in state.items()}
    output: Tensor = torch.func.functional_call(network.eval(), nothing, torch.empty(shape, device="meta"))
    network.train()
    return tuple(output.shape)


def stages(network: nn.Module) -> list[list[nn.Module]]:
    """Parts of a network from the image upwards, each with weights; what works at one resolution is one.

    Where resolution changes less than twice, as in a transformer, each block is one.
    """
    by_resolution, by_block, shrunk = list[list[nn.Module]](), list[list[nn.Module]](), True
    for block in _blocks(network):
        shrunk = shrunk or _shrinks(block)
        if any(True for _ in block.parameters()):
            by_block.append([])
            if shrunk:
                by_resolution.append([])
            shrunk = False
        by_resolution[-1].append(block)
        by_block[-1].append(block)
    return by_resolution if len(by_resolution) > 2 else by_block


def weights_of(network: nn.Module) -> list[list[nn.Parameter]]:
    """Weights of each stage; those that lie in no block, such as a class token, belong to the lowest."""
    found = [[weight for block in blocks for weight in block.parameters()] for blocks in stages(network)]
    known = {weight for weights in found for weight in weights}
    found[0] += [weight for weight in network.parameters() if weight not in known]
    return found


def _replace(network: nn.Module, where: str, layer: nn.Module) -> None:
    parent, _, name = where.rpartition(".")
    setattr(network.get_submodule(parent), name, layer)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, CONTAINERS):
            yield from _blocks(child)
        else:
            yield child


def _shrinks(block: nn.Module) -> bool:
    if isinstance(block, PatchMerging | PatchMergingV2):
        return True
    strides = [getattr(layer, "stride", 1) for layer in block.modules()]
    return any(max(stride) > 1 if isinstance(stride, tuple) else stride > 1 for stride in strides)

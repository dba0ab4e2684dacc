"""Transfer learning: a network of torchvision with a new head."""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models as torchvision
from torchvision.models.resnet import ResNet
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2
from torchvision.models.vision_transformer import Encoder as TransformerEncoder

from ...errors import InputError, check_choice, check_range
from ..base import MOST_ROWS, MOST_VALUES, Batch, Supervised
from ..layers import BatchNorm2d, by
from .cnn import check_images

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


State = dict[str, Tensor]


def load_pretrained(network: nn.Module, name: str, weights: str) -> None:
    """Give a network pretrained weights, but for its classifier.

    Args:
        network: Built by `zoo.models.predict.backbone.build`.
        name: Of the network.
        weights: ``"pretrained"``, or a file.

    Raises:
        InputError: The weights cannot be had, or are not of this network.
    """
    state, source = fetch(name) if weights == "pretrained" else read(Path(weights))
    taken_off = tuple(f"{name}." for name, layer in network.named_modules() if isinstance(layer, nn.Identity))
    state = {key: value for key, value in state.items() if not key.startswith(taken_off)}
    own = network.state_dict()
    key = f"{first_convolution(network)}.weight"
    if key in state and state[key].ndim == 4 and state[key].shape[1] == 3:
        state[key] = adapted(state[key], own[key])
    needed = {name: value for name, value in own.items() if not name.endswith("num_batches_tracked")}
    for key in [*needed, *state]:
        if key not in state or key not in own or state[key].shape != own[key].shape:
            what = "is missing" if key not in state else "has another shape" if key in own else "has no place in it"
            raise InputError(f"{source} does not hold the weights of {name}: {key} {what}")
    network.load_state_dict(state, strict=False)


def adapted(filters: Tensor, like: Tensor) -> Tensor:
    """Filters of RGB images for another number of channels, or made smaller.

    For one channel they are summed, so that a grey image is answered as the same image in red, green and blue. For
    more they are repeated in turn and rescaled by ``3 / channels``, so that the sum keeps its size.

    Args:
        filters: ``shape=(filters, 3, height, width)``.
        like: Weights of the convolution that is to hold them.
    """
    channels, (height, width) = like.shape[1], like.shape[2:]
    if channels != 3:
        turns = torch.arange(channels) % 3
        filters = filters.sum(1, keepdim=True) if channels == 1 else filters[:, turns] * (3 / channels)
    if filters.shape[2] > height:
        gain = filters.shape[2] * filters.shape[3] / (height * width)
        filters = nn.functional.interpolate(filters, (height, width), mode="area") * gain
    return filters


def fetch(name: str) -> tuple[State, str]:
    """Weights that torchvision gives for a network, kept in torch's cache, and where they came from.

    Raises:
        InputError: They cannot be fetched; the message says where to put the file by hand.
    """
    from torchvision.models import get_model_weights

    url: str = get_model_weights(name).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    by_hand = f"put the file at {path}, or give its path as model.weights"
    try:
        state: State = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=sys.stderr.isatty(), check_hash=True, weights_only=True
        )
    except Exception as error:  # a damaged file makes the reader raise anything
        if path.is_file():
            raise InputError(f"{path} is damaged ({_first_line(error)}); delete it, and fetch {url} again") from None
        raise InputError(f"{url} cannot be fetched ({_first_line(error)}); {by_hand}") from None
    # DenseNet's published files have the names of an older version.
    renamed = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key): value for key, value in state.items()
    }
    return renamed, str(path)


def read(path: Path) -> tuple[State, str]:
    """Weights in a ``.safetensors`` file or a state dict written by torch, and the name of the file.

    Raises:
        InputError: No such file, or it holds something else.
    """
    if not path.is_file():
        raise InputError(f"no weights {str(path)!r}; model.weights is none, pretrained, or a file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path), str(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # as above
        raise InputError(f"{path} cannot be read as weights: {_first_line(error)}") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path} is no state dict: it must map names of layers to tensors")
    return state, str(path)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


class Resize(nn.Module):
    """Images scaled bilinearly to a square, smoothed before they get smaller.

    Args:
        size: Height and width in pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, height, width) -> (batch, channels, size, size)``."""
        return nn.functional.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)


class Backbone(Supervised):
    """A network of torchvision with a new head (by default a ResNet; He et al. 2016, doi:10.1109/CVPR.2016.90).

    Pretrained networks saw images of ImageNet whose channels had mean 0 and standard deviation 1. The encoding brings
    every channel of other images to the same with the statistics of their training rows, whatever their unit, so
    ImageNet's own mean and standard deviation are not used.

    Building a model fetches nothing and reads no file: weights are looked for once, before training.

    Args:
        name: Of the network: resnet18, vgg16, efficientnet_b0, densenet121, convnext_tiny, vit_b_16 and so on; not
            GoogLeNet nor Inception.
        weights: ``"none"``, ``"pretrained"`` (fetched by torchvision), or a file with a state dict of the network
            (``.pth`` or ``.safetensors``). The filters of the first convolution are summed for grey images, or
            repeated and rescaled for other numbers of channels.
        mode: ``"scratch"``: all is trained from random weights. ``"features"``: the network is frozen, its
            normalisations too, and only the head is trained. ``"finetune"``: all is trained, the lower the slower.
        stem: ``"original"``, or ``"small"`` for images of a few dozen pixels: a first convolution of 3 x 3 with stride
            1 and no pooling after it, in ResNets; pretrained filters are scaled down.
        resize: Height and width that images are scaled to inside the model; by default they stay as they are.
        layer_decay: In finetune, the learning rate of each stage is this times the one of the stage above; the head has
            ``lr`` (discriminative fine-tuning; Howard and Ruder 2018, arXiv:1801.06146). A stage is what works at one
            resolution, or a block where resolution stays.
        unfreeze_epochs: In finetune, the head is trained alone at first, and each so many epochs one more stage from
            the top joins it (gradual unfreezing, same paper); 0 trains all at once.
        dropout: Share of the features silenced in each training step, before the head.
        **shared: Arguments of `Supervised` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes)``

    Raises:
        InputError: Unknown network, arguments that exclude each other, or images that the network cannot take.
    """

    def __init__(
        self,
        name: str = "resnet18",
        weights: str = "none",
        mode: Literal["features", "finetune", "scratch"] = "scratch",
        stem: Literal["original", "small"] = "original",
        resize: int | None = None,
        layer_decay: float = 0.5,
        unfreeze_epochs: int = 0,
        dropout: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_choice("backbone", name, names())
        check_choice("mode", mode, ["features", "finetune", "scratch"])
        check_choice("stem", stem, ["original", "small"])
        if (mode == "scratch") != (weights == "none"):
            raise InputError(
                "mode 'scratch' starts from random weights: leave out model.weights, or choose features or finetune"
                if mode == "scratch"
                else f"mode {mode!r} needs model.weights: pretrained, or a file; from random weights choose scratch"
            )
        for argument, value in {"layer_decay": layer_decay, "dropout": dropout}.items():
            check_range(argument, value, 0, 1)
        check_range("unfreeze_epochs", unfreeze_epochs, 0)
        if resize is not None:
            check_range("resize", resize, 1)
        check_images(self)
        channels, *sizes = self.encode.out_shape
        sizes = [resize, resize] if resize else sizes
        network = build(name, channels, stem)
        try:
            _, width = output_shape(network, (1, channels, *sizes))
        except (RuntimeError, AssertionError, ValueError) as error:
            why = " ".join(str(error).split())[:120]
            raise InputError(f"{name} cannot take images of {by(sizes)} ({why}); set resize, such as 224") from None
        self.body = nn.Sequential()
        if resize:
            self.body.add_module("resize", Resize(resize))
        self.body.add_module("network", network)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, self.target_head.width))
        self.frozen = 0  # stages, from the lowest; training sets it

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Supervised`; pretrained weights are looked for here."""
        super().fit_encoders(x, y)
        if (weights := self.hparams["weights"]) != "none":
            load_pretrained(self.backbone, self.hparams["name"], weights)

    @property
    def rows_at_once(self) -> int:
        """As in `Model`, of the images after they were scaled."""
        size: int | None = self.hparams["resize"]
        if size is None:
            return super().rows_at_once
        return max(1, min(MOST_ROWS, MOST_VALUES // (self.encode.out_shape[0] * size**2)))

    @property
    def backbone(self) -> nn.Module:
        """The network of torchvision, from images to features."""
        return self.body.get_submodule("network")

    @property
    def last_convolution(self) -> nn.Module:
        """The last block that convolves, ``(batch, filters, height, width)``, which Grad-CAM reads.

        Of a transformer this is the first layer, which shows little.
        """
        blocks = [block for stage in stages(self.backbone) for block in stage]
        return [block for block in blocks if any(isinstance(layer, nn.Conv2d) for layer in block.modules())][-1]

    def frozen_at(self, epoch: int) -> int:
        """Number of stages, counted from the lowest, that are not trained in this epoch."""
        mode, every = self.hparams["mode"], self.hparams["unfreeze_epochs"]
        count = len(stages(self.backbone))
        if mode == "features":
            return count
        return max(0, count - epoch // every) if mode == "finetune" and every else 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """As in `Model`, after freezing what the epoch asks for (Lightning skips other hooks after a resume)."""
        if batch_idx == 0:
            self.freeze_stages(self.frozen_at(self.current_epoch))
        return super().training_step(batch, batch_idx)

    def freeze_stages(self, count: int) -> None:
        """Train all but this many of the lowest stages, whose normalisations and dropout stay as in evaluation."""
        self.frozen = count
        for number, weights in enumerate(weights_of(self.backbone)):
            for weight in weights:
                weight.requires_grad_(number >= count)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """As of every module, but frozen stages stay in evaluation mode."""
        super().train(mode)
        for stage in stages(self.backbone)[: self.frozen]:
            for block in stage:
                block.eval()
        return self

    def parameter_groups(self) -> Iterable[nn.Parameter] | list[dict[str, Any]]:
        """All weights from scratch; in finetune a learning rate for each stage, in features the head alone."""
        h = self.hparams
        if h["mode"] == "scratch":
            return super().parameter_groups()
        groups: list[dict[str, Any]] = [{"params": list(self.head.parameters()), "lr": h["lr"]}]
        if h["mode"] == "finetune":
            for weights in reversed(weights_of(self.backbone)):
                groups.append({"params": weights, "lr": groups[-1]["lr"] * h["layer_decay"]})
        return groups

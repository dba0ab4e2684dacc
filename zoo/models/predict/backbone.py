"""Transfer learning: a torchvision network with a new head."""

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

UNFIT = ["googlenet", "inception_v3"]  # they have auxiliary outputs in training
CONTAINERS = (nn.Sequential, nn.ModuleList, TransformerEncoder)


def names() -> list[str]:
    """Names of the classification networks of torchvision that can be a backbone."""
    return [name for name in torchvision.list_models(module=torchvision) if name not in UNFIT]


def build(name: str, channels: int, stem: Literal["original", "small"]) -> nn.Module:
    """A network with random weights and without its classifier: it outputs the features before the classifier.

    Batch normalisation takes batches of one image, and no activation is in place, since attributions need its input.

    Args:
        name: One of `names`.
        channels: Number of channels of the images.
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
    """Name of the first convolution, whose input is the image."""
    name: str = next(name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d))
    return name


def last_layer(network: nn.Module) -> str:
    """Name of the classification layer (a convolution in SqueezeNet)."""
    names: list[str] = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    return names[-1]


def output_shape(network: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Output shape of a network for a batch of this shape, inferred on the meta device without computation.

    Raises:
        RuntimeError, AssertionError or ValueError: The network cannot take the batch.
    """
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    meta = {name: value.detach().to("meta") for name, value in state.items()}
    output: Tensor = torch.func.functional_call(network.eval(), meta, torch.empty(shape, device="meta"))
    network.train()
    return tuple(output.shape)


def stages(network: nn.Module) -> list[list[nn.Module]]:
    """Stages of a network from input to output, each with weights; a stage has the blocks of one resolution.

    If the resolution changes less than twice, as in a transformer, each block is a stage.
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
    """Weights of each stage; weights outside all blocks, such as a class token, belong to the first stage."""
    by_stage = [[weight for block in blocks for weight in block.parameters()] for blocks in stages(network)]
    in_blocks = {weight for weights in by_stage for weight in weights}
    by_stage[0] += [weight for weight in network.parameters() if weight not in in_blocks]
    return by_stage


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
    """Load pretrained weights into a network, except those of its classifier.

    Args:
        network: A network from `build`.
        name: Name of the network.
        weights: ``"pretrained"``, or a file.

    Raises:
        InputError: The weights cannot be fetched or read, or do not match the network.
    """
    state, source = fetch(name) if weights == "pretrained" else read(Path(weights))
    removed = tuple(f"{name}." for name, layer in network.named_modules() if isinstance(layer, nn.Identity))
    state = {key: value for key, value in state.items() if not key.startswith(removed)}
    expected = network.state_dict()
    key = f"{first_convolution(network)}.weight"
    if key in state and state[key].ndim == 4 and state[key].shape[1] == 3:
        state[key] = adapted(state[key], expected[key])
    needed = {name: value for name, value in expected.items() if not name.endswith("num_batches_tracked")}
    for key in [*needed, *state]:
        if key not in state or key not in expected or state[key].shape != expected[key].shape:
            what = "has another shape" if key in expected else "is not part of the network"
            what = what if key in state else "is missing"
            raise InputError(f"{source} does not hold the weights of {name}: {key} {what}")
    network.load_state_dict(state, strict=False)


def adapted(filters: Tensor, like: Tensor) -> Tensor:
    """Filters of RGB images adapted to another number of channels or to a smaller size.

    For one channel they are summed, so that a grey image has the same output as an RGB image with three equal channels.
    For other numbers of channels they are repeated in turn and rescaled by ``3 / channels``, which preserves the
    magnitude of the sum.

    Args:
        filters: ``shape=(filters, 3, height, width)``.
        like: Weights of the convolution that the filters are adapted to.
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
    """Weights of a network from torchvision, stored in the cache of torch, and the path of their file.

    Raises:
        InputError: The weights cannot be fetched; the message names the path for a manual download.
    """
    from torchvision.models import get_model_weights

    url: str = get_model_weights(name).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    by_hand = f"put the file at {path}, or give its path as model.weights"
    try:
        state: State = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=sys.stderr.isatty(), check_hash=True, weights_only=True
        )
    except Exception as error:  # a damaged file may raise any exception
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
        InputError: The file does not exist, or is not a state dict.
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
        raise InputError(f"{path} is not a state dict: it must map names of weights to tensors")
    return state, str(path)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


class Resize(nn.Module):
    """Bilinear scaling of images to a square, with antialiasing.

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
    """A torchvision network with a new head (by default a ResNet; He et al. 2016, doi:10.1109/CVPR.2016.90).

    Networks pretrained on ImageNet expect channels with mean 0 and standard deviation 1. The encoding standardises each
    channel with the statistics of the training rows, whatever its unit; the mean and standard deviation of ImageNet
    are not used.

    Building a model neither fetches nor reads weights; they are loaded once, before training.

    Args:
        name: Name of the network: resnet18, vgg16, efficientnet_b0, densenet121, convnext_tiny, vit_b_16 and so on, but
            not GoogLeNet or Inception.
        weights: ``"none"``, ``"pretrained"`` (fetched by torchvision), or a file with a state dict of the network
            (``.pth`` or ``.safetensors``). The filters of the first convolution are summed for grey images, or
            repeated and rescaled for other numbers of channels.
        mode: ``"scratch"``: all weights are trained, from random values. ``"features"``: the network is frozen,
            including its normalisations, and only the head is trained. ``"finetune"``: all weights are trained, with
            smaller learning rates for earlier stages.
        stem: ``"original"``, or ``"small"`` for images of a few dozen pixels: ResNets then have a first convolution of
            3 x 3 with stride 1 and no pooling after it; pretrained filters are scaled down.
        resize: Height and width to which images are scaled inside the model; by default they are not scaled.
        layer_decay: In finetune, the ratio of the learning rates of a stage and the next stage; the head has ``lr``
            (discriminative fine-tuning; Howard and Ruder 2018, arXiv:1801.06146). A stage has the blocks of one
            resolution, or is a single block where the resolution is constant.
        unfreeze_epochs: In finetune, only the head is trained at first, and after each period of this many epochs one
            more stage, from the last to the first (gradual unfreezing, same paper); 0 trains all stages from the start.
        dropout: Dropout rate of the features before the head.
        **shared: Arguments of `Supervised` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes)``

    Raises:
        InputError: The network is unknown, arguments exclude each other, or the network cannot take the images.
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
        self.frozen = 0  # number of frozen stages, from the first; set in training

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Supervised`; also loads pretrained weights."""
        super().fit_encoders(x, y)
        if (weights := self.hparams["weights"]) != "none":
            load_pretrained(self.backbone, self.hparams["name"], weights)

    @property
    def rows_at_once(self) -> int:
        """As in `Model`, for the scaled images."""
        size: int | None = self.hparams["resize"]
        if size is None:
            return super().rows_at_once
        return max(1, min(MOST_ROWS, MOST_VALUES // (self.encode.out_shape[0] * size**2)))

    @property
    def backbone(self) -> nn.Module:
        """The torchvision network, from images to features."""
        return self.body.get_submodule("network")

    @property
    def last_convolution(self) -> nn.Module:
        """The last block with a convolution, ``(batch, filters, height, width)``, for Grad-CAM.

        In a transformer this is the first layer, whose maps are hardly informative.
        """
        blocks = [block for stage in stages(self.backbone) for block in stage]
        return [block for block in blocks if any(isinstance(layer, nn.Conv2d) for layer in block.modules())][-1]

    def frozen_at(self, epoch: int) -> int:
        """Number of stages, counted from the first, that are frozen in this epoch."""
        mode, every = self.hparams["mode"], self.hparams["unfreeze_epochs"]
        count = len(stages(self.backbone))
        if mode == "features":
            return count
        return max(0, count - epoch // every) if mode == "finetune" and every else 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """As in `Model`, after freezing the stages for this epoch (Lightning skips other hooks after a resume)."""
        if batch_idx == 0:
            self.freeze_stages(self.frozen_at(self.current_epoch))
        return super().training_step(batch, batch_idx)

    def freeze_stages(self, count: int) -> None:
        """Freeze the first ``count`` stages, with their normalisation and dropout in evaluation mode."""
        self.frozen = count
        for number, weights in enumerate(weights_of(self.backbone)):
            for weight in weights:
                weight.requires_grad_(number >= count)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """As in `torch.nn.Module`, but frozen stages stay in evaluation mode."""
        super().train(mode)
        for stage in stages(self.backbone)[: self.frozen]:
            for block in stage:
                block.eval()
        return self

    def parameter_groups(self) -> Iterable[nn.Parameter] | list[dict[str, Any]]:
        """All weights in mode scratch; one group per stage in finetune; the weights of the head in features."""
        h = self.hparams
        if h["mode"] == "scratch":
            return super().parameter_groups()
        groups: list[dict[str, Any]] = [{"params": list(self.head.parameters()), "lr": h["lr"]}]
        if h["mode"] == "finetune":
            for weights in reversed(weights_of(self.backbone)):
                groups.append({"params": weights, "lr": groups[-1]["lr"] * h["layer_decay"]})
        return groups

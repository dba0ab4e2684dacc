"""Pretrained weights of torchvision's networks: fetched or read from a file, checked, and fitted to other images."""

import re
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import InputError
from .backbone_network import first_convolution

State = dict[str, Tensor]


def load_pretrained(network: nn.Module, name: str, weights: str) -> None:
    """Give a network pretrained weights, but for its classifier.

    Args:
        network: Built by `zoo.models.backbone_network.build`.
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

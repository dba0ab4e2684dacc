"""Which pixels of an image speak for a class, and which against it."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.base import Source
from ...encode.gramian import GramianAngularField
from ...errors import InputError, check_choice, suggest
from ...models import Supervised
from ...models.layers import ACTIVATIONS
from ...spec import modality_of
from ..completeness import Gap
from ..dna.attribution import _column, _explained
from ..explainers import check_takes

HeatMethod = Literal["grad_cam", "hires_cam", "occlusion", "integrated_gradients"]
STEPS = 64  # of an integral, and hidden windows at a time
CAMS = ("grad_cam", "hires_cam")  # read from a layer
PARTS = 8  # windows along a side


def heat_map(
    model: Supervised,
    x: Source,
    target: int | str | None = None,
    method: HeatMethod = "grad_cam",
    layer: str | None = None,
) -> Tensor:
    """Importance of each pixel of the encoded images for the log-odds of a class, or for a predicted number.

    All maps have a sign: what is positive speaks for the class, what is negative against it. Methods:

    - ``grad_cam``: maps of a convolution, each weighted by its mean gradient, and scaled up to the size of the image
      (Selvaraju et al. 2017, arXiv:1610.02391), by captum. It has no unit. The ReLU of the paper is left out: of two
      classes, what speaks against one speaks for the other; ``map.clamp(min=0)`` is the map of the paper. The map is
      read behind normalisation and activation, as in the paper. A mean gradient knows nothing of places: where a
      network flattens its last map in place of pooling all of it, this can point at the wrong place, or turn the sign.
    - ``hires_cam``: the same maps, each pixel weighted by its own gradient (Draelos and Carin 2020, arXiv:2011.08891),
      by captum. The same as ``grad_cam`` where all of the last map is pooled by its average, and right where it is not.
    - ``occlusion``: what the log-odds lose where a window of an eighth of each side is hidden (Zeiler and Fergus 2014,
      doi:10.1007/978-3-319-10590-1_53), mean over the windows that cover a pixel, by captum. For every model.
    - ``integrated_gradients``: share of each pixel in the difference from the reference (Sundararajan et al. 2017,
      arXiv:1703.01365), summed over channels, by captum. If the sum of the shares misses what it should be by
      more than 5% of the largest difference, this is logged as a warning; more than 50% are an error.

    The last two compare with a reference: an image that is everywhere the mean of the training images (0 in standard
    units), and for a Gramian angular field that of a constant series.

    Args:
        model: A model of images or series; stays on its device.
        x: Raw images or series, ``shape=(samples, *shape)``.
        target: Class, by name or number; by default the positive one of two, and of more the most probable one of each
            sample.
        method: How importance is computed.
        layer: Which layer ``grad_cam`` reads, such as ``"body.convolution2"``; the last convolution by default.

    Returns:
        float32 on the CPU, ``shape=(samples, *spatial)``, spatial axes as of ``model.encode.out_shape``. But for
        ``grad_cam`` and ``hires_cam`` in natural logarithms of odds, or in the unit of a predicted number.

    Raises:
        InputError: No such class, method or layer; a model of tables, DNA or masks; samples of another shape; a network
            without convolutions (``grad_cam``) or gradients; shares that are far from summing to what they should.
    """
    check_samples("heat_map", model, x, "image", "series")
    maps, gap = channel_maps(model, x, target, method, layer)
    if gap is not None:
        gap.check()
    return maps.sum(1)


def channel_maps(
    model: Supervised, x: Source, target: int | str | None, method: HeatMethod, layer: str | None = None
) -> tuple[Tensor, Gap | None]:
    """As `heat_map`, each channel on its own if the method tells them apart: ``(samples, 1 or channels, *spatial)``.

    And of integrated gradients how far they are from summing to what they should, which is not checked yet.
    """
    check_choice("method", method, HeatMethod.__args__)  # type: ignore[attr-defined]
    column, sign = _column(model, target)
    unit = model.target_head.task.effect_scale(model.target_head)
    explained = _explained(model)
    place = _place(model, explained, layer) if method in CAMS else None
    parts, gaps = [], []
    with torch.inference_mode(False):
        for rows in torch.arange(len(x)).split(max(1, model.rows_at_once // STEPS)):
            some = x[rows].to(model.device)
            with torch.no_grad():
                encoded = model.encode(some)
                outputs = explained(encoded)
                columns = outputs.argmax(1) if column is None else torch.full_like(outputs[:, 0], column).long()
            if method == "occlusion":
                part = _occlusion(model, explained, encoded, _reference(model, some, encoded), columns)
            elif not explained(encoded.requires_grad_()).requires_grad:
                raise InputError(f"{method} needs gradients, and {type(model).__name__} has none; use occlusion")
            elif place is not None:
                part = _activation_map(explained, place, encoded, columns, method)
            else:
                part, gap = _integrated_gradients(model, explained, encoded, _reference(model, some, encoded), columns)
                gaps.append(gap)
            parts.append(sign * unit * part.detach().float().cpu())
    if not gaps:
        return torch.cat(parts), None
    difference, unexplained = (sign * unit * torch.cat(gaps)).T
    why = f"{STEPS} steps are too few for this network"
    return torch.cat(parts), Gap(method, difference, unexplained, why, "occlusion", unit=unit)


def check_samples(what: str, model: Supervised, x: Source, *kinds: str) -> None:
    """Raise an `InputError` unless this is a model of such a kind with one answer a sample, and takes these samples."""
    modality, name = modality_of(model.spec), type(model).__name__
    check_takes(what, model, *kinds)
    if model.target_head.task.per_pixel:
        raise InputError(f"{name} answers for each pixel: its mask is its explanation; this needs one answer an image")
    if not len(x):
        raise InputError(f"there are no samples to explain: no {modality['kind']}")
    if (found := tuple(x[torch.arange(1)].shape[1:])) != (shape := tuple(modality["shape"])):
        raise InputError(f"samples have the shape {found}, the model takes {shape}; channels come first")


def _place(model: Supervised, explained: nn.Module, layer: str | None) -> nn.Module:
    """The layer in the copy whose output Grad-CAM reads."""
    known = dict(model.named_modules())
    if layer is not None and layer not in known:
        raise InputError(f"{type(model).__name__} has no layer {layer!r}; {suggest(layer, filter(None, known))}")
    found = known[layer] if layer is not None else getattr(model, "last_convolution", None)
    name = next((name for name, module in model.network.named_modules() if module is found), None)
    if name is None:
        raise InputError(
            f"a map is read from the last convolution over images, and {type(model).__name__} has none; use occlusion "
            "or integrated_gradients"
            if layer is None
            else f"layer {layer!r} is no part of the network behind the encoding"
        )
    if layer is not None:
        return explained.get_submodule(name)
    parent, _, own = name.rpartition(".")
    siblings = list(explained.get_submodule(parent).named_children())
    behind = siblings[[sibling for sibling, _ in siblings].index(own) :]
    place = behind[0][1]
    for _, module in behind[1:]:
        if not isinstance(module, (nn.modules.batchnorm._BatchNorm, *ACTIVATIONS.values())):
            break
        place = module
    return place


def _reference(model: Supervised, x: Tensor, encoded: Tensor) -> Tensor:
    if not isinstance(model.encode, GramianAngularField):
        return torch.zeros_like(encoded)
    with torch.no_grad():
        level = x.nanmean(2, keepdim=True)
        reference: Tensor = model.encode(torch.where(x.isnan(), x, level))
    return reference


def _activation_map(
    explained: nn.Module, place: nn.Module, encoded: Tensor, columns: Tensor, method: HeatMethod
) -> Tensor:
    from captum.attr import LayerGradCam, LayerGradientXActivation

    if method == "grad_cam":
        coarse = LayerGradCam(explained, place).attribute(encoded, columns)
    else:
        coarse = LayerGradientXActivation(explained, place).attribute(encoded, columns).sum(1, keepdim=True)
    if coarse.ndim != encoded.ndim:
        raise InputError(
            f"{method} needs a layer that gives maps, such as a convolution; this one gives single numbers"
        )
    mode = {3: "linear", 4: "bilinear", 5: "trilinear"}[encoded.ndim]
    return F.interpolate(coarse.detach(), encoded.shape[2:], mode=mode)


def _occlusion(model: Supervised, explained: nn.Module, encoded: Tensor, reference: Tensor, columns: Tensor) -> Tensor:
    from captum.attr import Occlusion

    channels, *sizes = encoded.shape[1:]
    window = [max(1, round(size / PARTS)) for size in sizes]
    overlap = 1 if len(sizes) == 3 else 2  # a volume has hundreds of windows without any overlap
    found: Tensor = Occlusion(explained).attribute(
        encoded,
        sliding_window_shapes=(channels, *window),
        strides=(channels, *(max(1, size // overlap) for size in window)),
        baselines=reference,
        target=columns,
        perturbations_per_eval=min(STEPS, max(1, model.rows_at_once // len(encoded))),
    )
    return found[:, :1]  # all channels are hidden together


def _integrated_gradients(
    model: Supervised, explained: nn.Module, encoded: Tensor, reference: Tensor, columns: Tensor
) -> tuple[Tensor, Tensor]:
    """Maps; the difference that they must sum to, and the part that they do not sum to: ``(samples, 2)``."""
    from captum.attr import IntegratedGradients

    maps = IntegratedGradients(explained).attribute(
        encoded, reference, columns, n_steps=STEPS, internal_batch_size=max(model.rows_at_once, len(encoded))
    )
    with torch.no_grad():
        ends = [explained(x).gather(1, columns[:, None])[:, 0] for x in (encoded, reference)]
    wanted = ends[0] - ends[1]
    return maps, torch.stack([wanted, wanted - maps.flatten(1).sum(1)], 1).detach().float().cpu()

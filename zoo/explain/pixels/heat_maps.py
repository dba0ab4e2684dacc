"""Heat maps: the pixels of an image that are evidence for or against a class."""

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
from ..dna.attribution import _column, explained_network
from ..explainers import check_takes

HeatMethod = Literal["grad_cam", "hires_cam", "occlusion", "integrated_gradients"]
STEPS = 64  # steps of the integral, and occluded windows computed at once
CAMS = ("grad_cam", "hires_cam")  # methods that use the output of a layer
PARTS = 8  # occlusion windows along a side


def heat_map(
    model: Supervised,
    x: Source,
    target: int | str | None = None,
    method: HeatMethod = "grad_cam",
    layer: str | None = None,
) -> Tensor:
    """Importance of each pixel of the encoded images for the log-odds of a class, or for a continuous target.

    Positive values are evidence for the class, negative values evidence against it. Methods:

    - ``grad_cam``: feature maps of a convolution, weighted by their mean gradients and upsampled to the size of the
      image (Selvaraju et al. 2017, arXiv:1610.02391), by captum. It has no unit. The ReLU of the paper is left out,
      because evidence against one of two classes is evidence for the other; ``map.clamp(min=0)`` is the map of the
      paper. The feature maps are taken after normalisation and activation, as in the paper. Mean gradients have no
      spatial information: if the network flattens its last feature maps instead of pooling them globally, the map can
      highlight the wrong region, or have the wrong sign.
    - ``hires_cam``: the same feature maps, with each pixel weighted by its own gradient (Draelos and Carin 2020,
      arXiv:2011.08891), by captum. Equal to ``grad_cam`` for global average pooling, and correct without it.
    - ``occlusion``: decrease of the log-odds if a window of an eighth of each side is occluded (Zeiler and Fergus 2014,
      doi:10.1007/978-3-319-10590-1_53), averaged over the windows that cover a pixel, by captum. For every model.
    - ``integrated_gradients``: contribution of each pixel to the difference from the reference (Sundararajan et al.
      2017, arXiv:1703.01365), summed over channels, by captum. A deviation of the sum of contributions above 5% of the
      largest difference is logged as a warning, one above 50% is an error.

    The reference of the last two is the mean of the training images in every pixel (0 after standardisation), and for a
    Gramian angular field that of a constant series.

    Args:
        model: A model of images or series; it stays on its device.
        x: Raw images or series, ``shape=(samples, *shape)``.
        target: Class, by name or number. Default: the positive class of two, or the most probable of more classes for
            each sample.
        method: Attribution method.
        layer: Layer for ``grad_cam`` and ``hires_cam``, such as ``"body.convolution2"``. Default: the last convolution.

    Returns:
        float32 on the CPU, ``shape=(samples, *spatial)``, with the spatial axes of ``model.encode.out_shape``, in
        natural log-odds or in the unit of a continuous target, except for ``grad_cam`` and ``hires_cam``.

    Raises:
        InputError: Unknown class, method or layer; a model of tables, DNA or masks; samples of another shape; a network
            without convolutions (``grad_cam``) or gradients; contributions fail the completeness check.
    """
    check_samples("heat_map", model, x, "image", "series")
    maps, gap = channel_maps(model, x, target, method, layer)
    if gap is not None:
        gap.check()
    return maps.sum(1)


def channel_maps(
    model: Supervised, x: Source, target: int | str | None, method: HeatMethod, layer: str | None = None
) -> tuple[Tensor, Gap | None]:
    """As `heat_map`, separately for each channel if the method permits: ``(samples, 1 or channels, *spatial)``.

    Also returns the completeness gap of integrated gradients, which is not checked here.
    """
    check_choice("method", method, HeatMethod.__args__)  # type: ignore[attr-defined]
    column, sign = _column(model, target)
    unit = model.target_head.task.effect_scale(model.target_head)
    explained = explained_network(model)
    place = _place(model, explained, layer) if method in CAMS else None
    parts, gaps = [], []
    with torch.inference_mode(False):
        for rows in torch.arange(len(x)).split(max(1, model.rows_at_once // STEPS)):
            samples = x[rows].to(model.device)
            with torch.no_grad():
                encoded = model.encode(samples)
                outputs = explained(encoded)
                columns = outputs.argmax(1) if column is None else torch.full_like(outputs[:, 0], column).long()
            if method == "occlusion":
                part = _occlusion(model, explained, encoded, _reference(model, samples, encoded), columns)
            elif not explained(encoded.requires_grad_()).requires_grad:
                raise InputError(f"{method} needs gradients, and {type(model).__name__} has none; use occlusion")
            elif place is not None:
                part = _activation_map(explained, place, encoded, columns, method)
            else:
                reference = _reference(model, samples, encoded)
                part, gap = _integrated_gradients(model, explained, encoded, reference, columns)
                gaps.append(gap)
            parts.append(sign * unit * part.detach().float().cpu())
    if not gaps:
        return torch.cat(parts), None
    difference, unexplained = (sign * unit * torch.cat(gaps)).T
    why = f"{STEPS} steps are too few for this network"
    return torch.cat(parts), Gap(method, difference, unexplained, why, "occlusion", unit=unit)


def check_samples(what: str, model: Supervised, x: Source, *kinds: str) -> None:
    """Raise an `InputError` unless the model has this modality and one prediction per sample, and takes the samples."""
    modality, name = modality_of(model.spec), type(model).__name__
    check_takes(what, model, *kinds)
    if model.target_head.task.per_pixel:
        raise InputError(f"{name} predicts each pixel, so its mask is its explanation; use a model of whole images")
    if not len(x):
        raise InputError(f"there are no samples to explain: no {modality['kind']}")
    if (found := tuple(x[torch.arange(1)].shape[1:])) != (shape := tuple(modality["shape"])):
        raise InputError(f"samples have the shape {found}, the model takes {shape}; channels come first")


def _place(model: Supervised, explained: nn.Module, layer: str | None) -> nn.Module:
    """The layer in the copied network whose output Grad-CAM uses."""
    known = dict(model.named_modules())
    if layer is not None and layer not in known:
        raise InputError(f"{type(model).__name__} has no layer {layer!r}; {suggest(layer, filter(None, known))}")
    found = known[layer] if layer is not None else getattr(model, "last_convolution", None)
    name = next((name for name, module in model.network.named_modules() if module is found), None)
    if name is None:
        raise InputError(
            f"this method needs a convolution over images, and {type(model).__name__} has none; use occlusion or "
            "integrated_gradients"
            if layer is None
            else f"layer {layer!r} is not a part of the network after the encoding"
        )
    if layer is not None:
        return explained.get_submodule(name)
    parent, _, child = name.rpartition(".")
    siblings = list(explained.get_submodule(parent).named_children())
    from_here = siblings[[sibling for sibling, _ in siblings].index(child) :]
    place = from_here[0][1]
    for _, module in from_here[1:]:
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
        raise InputError(f"{method} needs a layer with spatial output, such as a convolution; this layer has none")
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
    return found[:, :1]  # the same in all channels, which are occluded together


def _integrated_gradients(
    model: Supervised, explained: nn.Module, encoded: Tensor, reference: Tensor, columns: Tensor
) -> tuple[Tensor, Tensor]:
    """Maps; and the difference they should sum to with its part that they do not explain: ``(samples, 2)``."""
    from captum.attr import IntegratedGradients

    maps = IntegratedGradients(explained).attribute(
        encoded, reference, columns, n_steps=STEPS, internal_batch_size=max(model.rows_at_once, len(encoded))
    )
    with torch.no_grad():
        outputs = [explained(x).gather(1, columns[:, None])[:, 0] for x in (encoded, reference)]
    difference = outputs[0] - outputs[1]
    return maps, torch.stack([difference, difference - maps.flatten(1).sum(1)], 1).detach().float().cpu()

"""Masks: a class for each pixel of an image."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...encode.image import is_grey
from ...encode.image_file import read_image
from ...errors import InputError

MOST_CLASSES = 32  # values that masks may have without being named


def read_mask(cell: Any, where: str) -> np.ndarray:
    """Values of a mask, ``(*spatial)``, as whole numbers.

    Args:
        cell: An array ``(*spatial)``, or the path of an image.
        where: What to call it in an error.

    Raises:
        InputError: None, in colour, or a value that is no whole number.
    """
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        raise InputError(f"{where} has no mask; add it, or leave the image out")
    values = np.asarray(cell)
    if isinstance(cell, str | Path):
        where, values = str(cell), read_image(Path(cell), codes=True)
        if len(values) != 1 and not is_grey(values):
            raise InputError(f"{where}: a mask has one channel with the number of a class, this has {len(values)}")
        values = values[0]
    whole: np.ndarray = values.astype(np.int64) if np.isfinite(values).all() else np.empty(0)
    if whole.shape != values.shape or (values.dtype.kind == "f" and (whole != values).any()):
        raise InputError(f"{where}: a mask has whole numbers, one for each class")
    small = whole.size > 0 and whole.min() >= 0 and whole.max() <= 255
    return whole.astype(np.uint8) if small else whole


def read_masks(cells: Iterable[Any], names: Iterable[Any], source: str) -> list[np.ndarray]:
    """`read_mask` of all samples; errors name the sample."""
    return [read_mask(cell, f"{source}: sample {name}") for cell, name in zip(cells, names, strict=True)]


def find_classes(masks: Iterable[np.ndarray], source: str) -> dict[int, str]:
    """Names of the values of masks, where nobody has named them: the values themselves.

    Args:
        masks: All masks.
        source: What to call them in an error.

    Returns:
        In ascending order; 0 and 255 alone (or 0 and 1) are background and foreground.

    Raises:
        InputError: One value only, or very many.
    """
    values: set[int] = set()
    for mask in masks:
        values |= set(np.unique(mask).tolist())
        if len(values) > MOST_CLASSES:
            raise InputError(
                f"{source}: the masks have more than {MOST_CLASSES} values; name those of the classes "
                "(--data.mask_classes) or save masks without loss (PNG)"
            )
    if len(values) < 2:
        raise InputError(f"{source}: all masks hold {values} alone; nothing can be learnt")
    found = sorted(values)
    if found in ([0, 1], [0, 255]):
        return {found[0]: "background", found[1]: "foreground"}
    return {value: str(value) for value in found}


def encode_masks(
    masks: Iterable[np.ndarray],
    shapes: Iterable[Sequence[int]],
    names: Iterable[Any],
    values: dict[int, str],
    classes: list[str],
    source: str,
    size: Sequence[int],
) -> Tensor:
    """Codes of the classes, uint8 ``(samples, *spatial)``.

    Args:
        masks: Values of each, ``(*spatial)``.
        shapes: Of the image that each belongs to, ``(*spatial)``.
        names: Of the samples.
        values: Name of the class that each value stands for.
        classes: Names of the classes, the background first; their order gives the codes.
        source: What to call the data in an error.
        size: That all masks are scaled to.

    Raises:
        InputError: A mask of another shape than its image, or with a value that is no class; the sample is named.
    """
    if unknown := [name for name in values.values() if name not in classes]:
        raise InputError(f"{source}: class {unknown[0]!r} of the masks is not one of {', '.join(classes)}")
    known = np.array(sorted(values))
    codes = np.array([classes.index(values[value]) for value in known], dtype=np.uint8)
    encoded = []
    for mask, shape, name in zip(masks, shapes, names, strict=True):
        if mask.shape != tuple(shape):
            raise InputError(
                f"{source}: the mask of sample {name} is of shape {_size(mask.shape)}, its image of "
                f"{_size(shape)}; they must agree"
            )
        at = np.searchsorted(known, mask).clip(max=len(known) - 1)
        if (strange := known[at] != mask).any():
            listed = ", ".join(f"{value} {name}" for value, name in values.items())
            raise InputError(
                f"{source}: the mask of sample {name} has the value {mask[strange][0]}, which is not listed "
                f"({listed}); mend the mask, or add it to --data.mask_classes"
            )
        code = torch.from_numpy(codes[at])
        if code.shape != tuple(size):
            code = F.interpolate(code[None, None].float(), tuple(size), mode="nearest-exact")[0, 0].to(torch.uint8)
        encoded.append(code)
    return torch.stack(encoded)


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))

"""Reading and encoding of masks, which give the class of each pixel."""

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

MOST_CLASSES = 32  # different values that masks may have without names of classes


def read_mask(cell: Any, where: str) -> np.ndarray:
    """Read the integer values of a mask, ``(*spatial)``.

    Args:
        cell: An array ``(*spatial)``, or the path of an image.
        where: Name of the mask in an error.

    Raises:
        InputError: The mask is missing or in colour, or a value is not an integer.
    """
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        raise InputError(f"{where} has no mask; add it, or leave the image out")
    values = np.asarray(cell)
    if isinstance(cell, str | Path):
        where, values = str(cell), read_image(Path(cell), codes=True)
        if len(values) != 1 and not is_grey(values):
            raise InputError(f"{where}: a mask must have one channel with class numbers, this one has {len(values)}")
        values = values[0]
    integers: np.ndarray = values.astype(np.int64) if np.isfinite(values).all() else np.empty(0)
    if integers.shape != values.shape or (values.dtype.kind == "f" and (integers != values).any()):
        raise InputError(f"{where}: the values of a mask must be integers, one for each class")
    small = integers.size > 0 and integers.min() >= 0 and integers.max() <= 255
    return integers.astype(np.uint8) if small else integers


def read_masks(cells: Iterable[Any], names: Iterable[Any], source: str) -> list[np.ndarray]:
    """Read the masks of all samples with `read_mask`; errors name the sample."""
    return [read_mask(cell, f"{source}: sample {name}") for cell, name in zip(cells, names, strict=True)]


def find_classes(masks: Iterable[np.ndarray], source: str) -> dict[int, str]:
    """Default names of the classes of masks: their values.

    Args:
        masks: All masks.
        source: Name of the masks in an error.

    Returns:
        Name by value, in ascending order; masks with only 0 and 255 (or 0 and 1) have background and foreground.

    Raises:
        InputError: The masks have only one value, or more than `MOST_CLASSES`.
    """
    values: set[int] = set()
    for mask in masks:
        values |= set(np.unique(mask).tolist())
        if len(values) > MOST_CLASSES:
            raise InputError(
                f"{source}: the masks have more than {MOST_CLASSES} values; name the classes "
                "(--data.mask_classes) or save masks in a lossless format (PNG)"
            )
    if len(values) < 2:
        raise InputError(f"{source}: all masks have the single value {values}; no model can be trained")
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
        masks: Values of each mask, ``(*spatial)``.
        shapes: Shape of the image of each mask, ``(*spatial)``.
        names: Names of the samples.
        values: Name of the class by value.
        classes: Names of the classes, the background first; their order defines the codes.
        source: Name of the data in an error.
        size: Size to which masks are scaled.

    Raises:
        InputError: A mask differs in shape from its image, or has an unknown value; the error names the sample.
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
                f"{_size(shape)}; they must be equal"
            )
        at = np.searchsorted(known, mask).clip(max=len(known) - 1)
        if (unlisted := known[at] != mask).any():
            listed = ", ".join(f"{value} {name}" for value, name in values.items())
            raise InputError(
                f"{source}: the mask of sample {name} has the value {mask[unlisted][0]}, which is not listed "
                f"({listed}); correct the mask, or add the value to --data.mask_classes"
            )
        code = torch.from_numpy(codes[at])
        if code.shape != tuple(size):
            code = F.interpolate(code[None, None].float(), tuple(size), mode="nearest-exact")[0, 0].to(torch.uint8)
        encoded.append(code)
    return torch.stack(encoded)


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))

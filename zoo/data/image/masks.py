"""Reading and encoding of masks, which give the class of each pixel."""

import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import budget
from ...encode.image import nearest
from ...encode.image_file import lies_on, palette_of, read_image
from ...errors import InputError

MOST_CLASSES = 32  # different values that masks may have without names of classes
COLOUR = 1 << 32  # added to the red, green and blue byte of a pixel that is not grey
EDGES, BLENDS = 0.99, 3  # values with this share of pixels between others; as many show that edges were smoothed
FEW = 4  # values of a mask; more, whose number differs between masks, may be numbers of objects
LOSSY = (".jpg", ".jpeg")

log = logging.getLogger("zoo")


def in_files(value: int) -> int | str:
    """A value of a mask as it is in the file: a number, or the colour of a pixel as text.

    >>> in_files(255), in_files(COLOUR + 0xFF0000)
    (255, '#ff0000')
    """
    return f"#{value - COLOUR:06x}" if value >= COLOUR else value


def value_of(key: int | str) -> int:
    """The inverse of `in_files`; a grey colour is its brightness.

    >>> value_of("#ffffff"), value_of("7")
    (255, 7)

    Raises:
        InputError: It is neither a number nor a colour.
    """
    text = str(key)
    try:
        if not text.startswith("#"):
            return int(text)
        red, green, blue = bytes.fromhex(text[1:])
    except ValueError:
        raise InputError(f"mask_classes: {key!r} is neither a number nor a colour such as '#ff0000'") from None
    return red if red == green == blue else COLOUR + int(text[1:], 16)


def read_mask(cell: Any, where: str) -> np.ndarray:
    """Read the values of a mask, ``(*spatial)``: integers, or colours as `in_files` explains.

    Args:
        cell: An array ``(*spatial)``, or the path of an image.
        where: Name of the mask in an error.

    Raises:
        InputError: The mask is missing, has transparency, or was changed by JPEG compression, or a value is not an
            integer.
    """
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        raise InputError(f"{where} has no mask; add it, or leave the image out")
    values = np.asarray(cell)
    if isinstance(cell, str | Path):
        where, values = str(cell), read_image(Path(cell), codes=True)
        if len(values) == 3 and values.dtype == np.uint8:
            values = _with_colours(values)[None]
        if len(values) != 1:
            raise InputError(
                f"{where}: a mask must have one channel with class numbers, or 8-bit RGB colours; this one has "
                f"{len(values)} channels of {values.dtype}"
            )
        values = values[0]
        if where.lower().endswith(LOSSY) and len(found := _values(values)) > 2:
            raise InputError(
                f"{where}: {len(found)} values in a mask, since JPEG compression changes them; save it as PNG"
            )
    integers: np.ndarray = values.astype(np.int64) if np.isfinite(values).all() else np.empty(0)
    if integers.shape != values.shape or (values.dtype.kind == "f" and (integers != values).any()):
        raise InputError(f"{where}: the values of a mask must be integers, one for each class")
    small = integers.size > 0 and integers.min() >= 0 and integers.max() <= 255
    return integers.astype(np.uint8) if small else integers


def check_place(mask: Any, image: Path) -> None:
    """Raise an `InputError` if a NIfTI mask is not at the place of its image."""
    if isinstance(mask, str | Path) and Path(mask).is_file() and not lies_on(Path(mask), image):
        raise InputError(
            f"{mask}: its affine puts the mask at another place than {image}; save it with the affine of the image"
        )


def _with_colours(image: np.ndarray) -> np.ndarray:
    """One value per pixel of an RGB image ``(3, *spatial)``: the brightness of grey pixels, else the colour."""
    red, green, blue = image.astype(np.int64)
    values: np.ndarray = np.where((red == green) & (green == blue), red, COLOUR + (red << 16 | green << 8 | blue))
    return values


def _values(mask: np.ndarray) -> list[int]:
    """The different values of a mask."""
    found: list[int] = np.flatnonzero(np.bincount(mask.ravel())).tolist() if mask.dtype == np.uint8 else []
    return found or np.unique(mask).tolist()


def read_masks(cells: Iterable[Any], names: Iterable[Any], source: str) -> list[np.ndarray]:
    """Read the masks of all samples with `read_mask`; errors name the sample.

    Raises:
        InputError: An error of `read_mask`, or two files give the same index of their palettes different colours.
    """
    masks, colours = [], dict[int, tuple[list[int], Path]]()
    for cell, name in zip(cells, names, strict=True):
        masks.append(read_mask(cell, f"{source}: sample {name}"))
        if not isinstance(cell, str | Path) or (palette := palette_of(path := Path(cell))) is None:
            continue
        for value in _values(masks[-1]):
            colour = palette[value].tolist() if value < len(palette) else []
            other, first = colours.setdefault(value, (colour, path))
            if colour != other:
                raise InputError(
                    f"{path}: number {value} of its palette is another colour than in {first}; save the masks as grey "
                    "images of class numbers, or as RGB"
                )
    return masks


def harmonised(masks: list[np.ndarray], names: Iterable[Any], source: str) -> list[np.ndarray]:
    """Masks with 0 and 255 in place of different marks of the same foreground; others are checked but not changed.

    Masks are changed if each has at most two values, 0 and a mark, which is 1, 255, or one colour in all files.

    Args:
        masks: All masks, from `read_masks`.
        names: Names of the samples.
        source: Name of the masks in an error.

    Raises:
        InputError: A mask has smoothed edges or too many values, or some masks have class numbers and others colours.
    """
    found = dict(zip(names, map(_values, masks), strict=True))
    for name, values in found.items():
        if len(values) > MOST_CLASSES:
            raise InputError(
                f"{source}: the mask of sample {name} has {len(values)} values, a mask has one per class: save it in "
                "a lossless format (PNG) without smoothed edges, give all objects of a kind one number, or name all "
                "values (--data.mask_classes)"
            )
    _check_edges(masks, found, source)
    lengths = {len(values) for values in found.values() if values == list(range(len(values)))}
    if len(lengths) == len({len(values) for values in found.values()}) > 2 and max(lengths) > FEW:
        log.warning(
            "the masks have the numbers 0 to %s: numbers of single objects (instances) are not classes",
            ", ".join(str(length - 1) for length in sorted(lengths)[:3]) + ", ...",
        )
    marks = {value for values in found.values() for value in values if value}
    colours = {value for value in marks if value >= COLOUR}
    two = all(len(values) < 2 or (len(values) == 2 and values[0] == 0) for values in found.values())
    if two and len(marks) > 1 and len(colours) < 2 and marks <= {1, 255, *colours}:
        marked = {mark: [name for name, values in found.items() if mark in values] for mark in sorted(marks)}
        log.info(
            "the masks mark the foreground in several ways, which are taken for the same: %s",
            ", ".join(f"{in_files(mark)} ({len(of)}, first {of[0]})" for mark, of in marked.items()),
        )
        return [((mask > 0) * 255).astype(np.uint8) for mask in masks]
    if colours:
        coloured = next(name for name, values in found.items() if values[-1] >= COLOUR)
        for name, values in found.items():
            if numbers := [value for value in values if 0 < value < MOST_CLASSES]:
                raise InputError(
                    f"{source}: the mask of sample {name} has the class number {numbers[0]}, that of {coloured} the "
                    f"colour {in_files(found[coloured][-1])}; save all masks in one way"
                )
    return masks


def _check_edges(masks: list[np.ndarray], found: dict[Any, list[int]], source: str) -> None:
    """Raise an `InputError` if the masks have intermediate values that occur only between lower and higher ones."""
    from scipy.ndimage import maximum_filter, minimum_filter

    regions = {value for values in found.values() if len(values) < 3 for value in values}
    edges: dict[int, list[np.ndarray]] = {}
    first: dict[int, Any] = {}
    for mask, (name, values) in zip(masks, found.items(), strict=True):
        if not (doubtful := set(values) - regions) or len(values) < 3:
            continue
        level = _brightness(mask)
        between = (minimum_filter(level, 3) < level) & (level < maximum_filter(level, 3))
        for value in doubtful:
            edges.setdefault(value, []).append(between[mask == value])
            first.setdefault(value, name)
    blends = sorted(value for value, pixels in edges.items() if np.concatenate(pixels).mean() > EDGES)
    if len(blends) >= BLENDS:
        raise InputError(
            f"{source}: the mask of sample {first[blends[0]]} has smoothed edges: {len(blends)} values such as "
            f"{in_files(blends[0])} occur only between others; save it without smoothing (anti-aliasing, resizing), or "
            "name all values (--data.mask_classes)"
        )


def _brightness(mask: np.ndarray) -> np.ndarray:
    """Sum of red, green and blue of each pixel."""
    colour = mask.astype(np.int64) - COLOUR
    return np.where(colour < 0, 3 * mask.astype(np.int64), (colour >> 16) + (colour >> 8 & 255) + (colour & 255))


def find_classes(masks: Iterable[np.ndarray], source: str) -> dict[int, str]:
    """Default names of the classes of masks: their values.

    Args:
        masks: All masks.
        source: Name of the masks in an error.

    Returns:
        Name by value, in ascending order; masks with only 0 and 255 (or 0 and 1) have background and foreground. In
        masks with colours the background is black or, without black, the colour of most pixels.

    Raises:
        InputError: The masks have only one value, or more than `MOST_CLASSES`.
    """
    pixels: dict[int, int] = {}
    for mask in masks:
        values, counts = np.unique(mask, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            pixels[value] = pixels.get(value, 0) + count
    if len(pixels) > MOST_CLASSES:
        raise InputError(
            f"{source}: the masks have more than {MOST_CLASSES} values; name the classes "
            "(--data.mask_classes) or save masks in a lossless format (PNG)"
        )
    if len(pixels) < 2:
        raise InputError(f"{source}: all masks have the single value {set(pixels)}; no model can be trained")
    found = sorted(pixels)
    if found in ([0, 1], [0, 255]):
        return {found[0]: "background", found[1]: "foreground"}
    if found[-1] < COLOUR:
        return {value: str(value) for value in found}
    background = 0 if 0 in pixels else max(pixels, key=pixels.__getitem__)
    grey = {value: f"#{value:02x}{value:02x}{value:02x}" for value in found if value < COLOUR}
    ordered = [background, *(value for value in found if value != background)]
    return {value: grey.get(value, str(in_files(value))) for value in ordered}


def trained_classes(masks: Iterable[np.ndarray], classes: list[str], known: dict[int, str]) -> dict[int, str]:
    """Names of the values of new masks for a trained model.

    Args:
        masks: The new masks.
        classes: Names of the classes of the model.
        known: Name by value in the masks of the training; empty if not known.

    Returns:
        Name by value: ``known``, or, if the new masks are 0/1 or 0/255 and the model has two classes, these.
    """
    found = {value for mask in masks for value in _values(mask)}
    if len(classes) == 2 and not found <= known.keys() and (found <= {0, 1} or found <= {0, 255}):
        return {0: classes[0], max(found): classes[1]}
    return known or {value: str(in_files(value)) for value in sorted(found)}


def mask_codes(
    masks: Iterable[np.ndarray],
    shapes: Iterable[Sequence[int]],
    names: Iterable[Any],
    values: dict[int, str],
    classes: list[str],
    source: str,
) -> list[np.ndarray]:
    """Codes of the classes in each mask, uint8 ``(*spatial)``.

    Args:
        masks: Values of each mask, ``(*spatial)``.
        shapes: Shape of the image of each mask, ``(*spatial)``.
        names: Names of the samples.
        values: Name of the class by value.
        classes: Names of the classes, the background first; their order defines the codes.
        source: Name of the data in an error.

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
            turned = mask.shape == tuple(shape)[::-1]
            hint = "; images are turned as their EXIF orientation states: save the mask turned likewise"
            raise InputError(
                f"{source}: the mask of sample {name} is of shape {_size(mask.shape)}, its image of "
                f"{_size(shape)}; they must be equal{hint if turned else ''}"
            )
        at = np.searchsorted(known, mask).clip(max=len(known) - 1)
        if (unlisted := known[at] != mask).any():
            listed = ", ".join(f"{in_files(value)} {name}" for value, name in values.items())
            raise InputError(
                f"{source}: the mask of sample {name} has the value {in_files(int(mask[unlisted][0]))}, which is not "
                f"listed ({listed}); correct the mask, or add the value to --data.mask_classes"
            )
        encoded.append(codes[at])
    return encoded


def stacked(codes: Sequence[np.ndarray], size: Sequence[int]) -> Tensor:
    """Masks scaled to one size, uint8 ``(samples, *size)``."""
    what = f"{len(codes)} masks of {_size(size)} pixels"
    budget.check((2 * len(codes) + 8) * math.prod(size), what, "lower --data.size, or give a part of the samples")
    return torch.stack([nearest(torch.from_numpy(code), size) for code in codes])


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))

"""Images as arrays: of an ``.npz``, or of files that are read when they are needed."""

import hashlib
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from ..encode import to_tensor
from ..encode.image import in_words, is_grey
from ..encode.image_file import read_image
from ..errors import InputError
from ..spec import Modality
from .series_files import class_names

IMAGE, MASK, LABEL, SPLIT, VOLUME = "image", "mask", "label", "split", "volume"  # columns
PARTS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
IMAGE_KEYS, MASK_KEYS = ("images", "image", "x", "X"), ("masks", "mask", "labels", "label", "y")
STATISTICS = 1 << 28  # values of images that are held at once


@dataclass(frozen=True)
class ImageFile:
    """An image that stays on the disk until it is needed; it was read once, when it was checked."""

    path: Path
    shape: tuple[int, ...]
    checksum: str

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(read_image(self.path), dtype=dtype)


class ImageFiles:
    """Raw images that are read from their files when a batch is made.

    Args:
        frame: Samples, with an `ImageFile` in the column ``image``.
        modality: Channels and size.
        source: What to call the data in an error.
    """

    def __init__(self, frame: pd.DataFrame, modality: Modality, source: str) -> None:
        self.frame, self.modality, self.source = frame[[IMAGE]], modality, source

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Images of these samples, ``shape=(rows, channels, *spatial)``."""
        return to_tensor(self.frame.iloc[rows.numpy()], self.modality, self.source)

    def some(self, rows: Tensor) -> Tensor:
        """Those of the samples, evenly spaced, that statistics can be learnt from in memory."""
        most = max(2, STATISTICS // math.prod(self.modality["shape"]))
        return rows[torch.linspace(0, len(rows) - 1, min(most, len(rows))).long()]


def checksum(image: np.ndarray) -> str:
    """Equal for equal images."""
    return hashlib.sha256(f"{image.shape}{image.dtype}".encode() + image.tobytes()).hexdigest()


def read_arrays(path: Path) -> pd.DataFrame:
    """Images of an ``.npz``, also in the layout of MedMNIST (Yang et al. 2023, doi:10.1038/s41597-022-01721-8).

    Args:
        path: It has ``images`` (or ``x``), of shape ``(samples, *spatial)``, ``(samples, channels, *spatial)`` with up
            to four channels, or ``(samples, *spatial, 3)``. It may have masks, ``labels`` (or ``y``), and any further
            arrays with one value a sample. Where the names begin with ``train_``, ``val_`` and ``test_``, the split
            stays as it is.

    Returns:
        As `read_images`.

    Raises:
        InputError: Damaged, no images, or an array of another length.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file}
    except (ValueError, OSError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as npz: {' '.join(str(error).split())[:200]}") from None
    official = "train_images" in arrays
    parts = {}
    for name, part in PARTS.items() if official else [("", "")]:
        start = f"{name}_" if official else ""
        if own := {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}:
            frame = _columns(own, f"{path}, {name}" if official else str(path))
            parts[part] = frame.assign(**{SPLIT: part}) if official else frame
    frame = pd.concat(parts.values(), ignore_index=True)
    if LABEL in frame:
        frame[LABEL] = class_names(frame[LABEL])
    frame.attrs["official_split"] = official
    return frame


def _columns(arrays: dict[str, np.ndarray], where: str) -> pd.DataFrame:
    key = next((key for key in IMAGE_KEYS if key in arrays), None)
    if key is None:
        raise InputError(f"{where}: there is no array 'images' (or 'x'); found {', '.join(arrays)}")
    images = arrays.pop(key)
    if images.ndim not in (3, 4, 5) or images.size == 0 or images.dtype.kind not in "uifb":
        raise InputError(f"{where}: array {key!r} holds {images.dtype} of shape {images.shape}, no images")
    images = channels_first(images)
    columns: dict[str, Any] = {IMAGE: list(images)}
    for name, array in arrays.items():
        if len(array.shape) == 0 or len(array) != len(images):
            raise InputError(f"{where}: array {name!r} is of shape {array.shape}; there are {len(images)} images")
        if array.shape == (len(array), 1):
            array = array[:, 0]
        if array.ndim == images.ndim - 1 and name in MASK_KEYS:
            columns[MASK] = list(array)
        elif array.ndim == 1:
            columns[LABEL if name in ("labels", "label", "y") else name] = (
                array.astype(str) if array.dtype.kind == "S" else array
            )
        else:
            columns[name] = list(array)
    return pd.DataFrame(columns)


def channels_first(images: np.ndarray) -> np.ndarray:
    """Images with an axis of channels after that of the samples.

    >>> [channels_first(np.zeros(shape)).shape for shape in ((9, 28, 28), (9, 28, 28, 3), (9, 7, 28, 28))]
    [(9, 1, 28, 28), (9, 3, 28, 28), (9, 1, 7, 28, 28)]
    """
    if images.ndim == 3 or (images.ndim == 4 and images.shape[1] > 4 and images.shape[3] > 4):
        return images[:, None]
    last = images.shape[-1] in (1, 3, 4) and images.shape[1] > 4
    return np.moveaxis(images, -1, 1) if last else images


def common_shape(images: Sequence[Any], names: Iterable[Any], size: list[int] | None, source: str) -> list[int]:
    """Channels and size that all images have, or are to be scaled to.

    Args:
        images: Arrays with the channels first, or each an `ImageFile`.
        names: Of the samples.
        size: What they are scaled to, or None.
        source: What to call the data in an error.

    Raises:
        InputError: Sizes or channels differ; two samples are named.
    """
    shapes = [tuple(image.shape) for image in images]
    channels = shapes[0][0]
    if {shape[0] for shape in shapes} == {1, 3}:  # grey images, some of them saved in colour
        channels = 1 if all(is_grey(np.asarray(image)) for image in images if image.shape[0] == 3) else 3
    first = next(iter(names := list(names)))
    for name, shape in zip(names, shapes, strict=True):
        odd = shape[0] != channels and {shape[0], channels} != {1, 3}
        if odd or len(shape) != len(shapes[0]) or (shape[1:] != shapes[0][1:] and not size):
            hint = "leave one out" if odd or len(shape) != len(shapes[0]) else "give --data.size to scale all"
            raise InputError(f"{source}: {first} has {in_words(shapes[0])}, {name} has {in_words(shape)}; {hint}")
    if size and len(size) != len(shapes[0]) - 1:
        raise InputError(f"{source}: size {size} does not fit images such as {first}, {in_words(shapes[0])}")
    return [channels, *(size or shapes[0][1:])]


def pooled(x: Tensor, most: int) -> np.ndarray:
    """Pixels of raw images, float32 ``(batch, values)``; averages of neighbours where there are more than ``most``."""
    share = (most / math.prod(x.shape[1:])) ** (1 / (x.ndim - 2))
    size = [max(1, int(n * share + 1e-9)) for n in x.shape[2:]]
    pool: Any = F.adaptive_avg_pool2d if x.ndim == 4 else F.adaptive_avg_pool3d
    values: np.ndarray = (pool(x.float(), size) if share < 1 else x.float()).flatten(1).numpy()
    return values

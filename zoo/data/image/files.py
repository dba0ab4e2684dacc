"""Reading of images from folders, tables, arrays and volumes into a table with one image per row."""

import hashlib
import logging
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from ... import files
from ...encode import to_tensor
from ...encode.image import in_words, is_grey
from ...encode.image_file import TURNED, Notes, UnreadableImageError, read_image
from ...errors import InputError, suggest
from ...files import IMAGES, NIFTI, TIFF
from ...spec import Modality
from ...tables import UNNAMED, read_table
from ...tables.target import class_names
from ..arrays import arrays_of
from ..datasets import FILES
from .folders import IMAGE, LABEL, MASK, SPLIT, list_folder
from .masks import check_place, read_mask

VOLUME = "volume"  # column
MEDMNIST = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}  # starts of names
FILE = "__file__"  # column with the `Origin` of each image while a table is read
IMAGE_KEYS, MASK_KEYS = ("images", "image", "x", "X"), ("masks", "mask", "labels", "label", "y")
STATISTICS = 1 << 28  # most values of images from which statistics are computed
MANY = 200  # fewest files for which a progress bar is shown

log = logging.getLogger("zoo")


@dataclass(frozen=True)
class ImageFile:
    """An image on disk that is loaded on access; its shape and checksum are known from a first reading."""

    path: Path
    shape: tuple[int, ...]
    checksum: str

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(read_image(self.path), dtype=dtype)


class Origin(NamedTuple):
    """The file of an image, and the axis along which its volume was cut into slices; None for a whole file."""

    path: Path
    axis: int | None = None


class ImageFiles:
    """Raw images that are read from their files for each batch.

    Args:
        frame: Samples, with an `ImageFile` in the column ``image``.
        modality: Channels and size of the images.
        source: Name of the data in an error.
    """

    def __init__(self, frame: pd.DataFrame, modality: Modality, source: str) -> None:
        self.frame, self.modality, self.source = frame[[IMAGE]], modality, source

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Images of these samples, ``shape=(rows, channels, *spatial)``."""
        return to_tensor(self.frame.iloc[rows.numpy()], self.modality, self.source)

    def evenly_spaced(self, rows: Tensor) -> Tensor:
        """An evenly spaced subset of the rows that fits into memory, from which statistics are computed."""
        most = max(2, STATISTICS // math.prod(self.modality["shape"]))
        return rows[torch.linspace(0, len(rows) - 1, min(most, len(rows))).long()]


def checksum(image: np.ndarray) -> str:
    """sha256 of shape, type and values of an image."""
    return hashlib.sha256(f"{image.shape}{image.dtype}".encode() + image.tobytes()).hexdigest()


def read_arrays(path: Path) -> pd.DataFrame:
    """Read images of an ``.npz``, also in the layout of MedMNIST (Yang et al. 2023, doi:10.1038/s41597-022-01721-8).

    Args:
        path: File with ``images`` (or ``x``), of shape ``(samples, *spatial)``, ``(samples, channels, *spatial)`` with
            up to four channels, or ``(samples, *spatial, 3)``. It may have masks, ``labels`` (or ``y``), and other
            arrays with one value per sample. If the names begin with ``train_``, ``val_`` and ``test_``, this official
            split is used.

    Returns:
        As `read_images`.

    Raises:
        InputError: The file is damaged, has no images, or an array of another length.
    """
    arrays = arrays_of(path)
    official = "train_images" in arrays
    parts = {}
    for name, part in MEDMNIST.items() if official else [("", "")]:
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
        raise InputError(f"{where}: array {key!r} is not images, but {images.dtype} of shape {images.shape}")
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
    """Images with the axis of channels after that of the samples.

    >>> [channels_first(np.zeros(shape)).shape for shape in ((9, 28, 28), (9, 28, 28, 3), (9, 7, 28, 28))]
    [(9, 1, 28, 28), (9, 3, 28, 28), (9, 1, 7, 28, 28)]
    """
    if images.ndim == 3 or (images.ndim == 4 and images.shape[1] > 4 and images.shape[3] > 4):
        return images[:, None]
    last = images.shape[-1] in (1, 3, 4) and images.shape[1] > 4
    return np.moveaxis(images, -1, 1) if last else images


def common_shape(images: Sequence[Any], names: Iterable[Any], size: list[int] | None, source: str) -> list[int]:
    """Common number of channels and size of all images.

    Args:
        images: Arrays with the channels first, or objects of `ImageFile`.
        names: Names of the samples.
        size: Size to which images are scaled, or None.
        source: Name of the data in an error.

    Raises:
        InputError: Sizes or channels differ; the error names two samples.
    """
    shapes = [tuple(image.shape) for image in images]
    channels = shapes[0][0]
    if {shape[0] for shape in shapes} == {1, 3}:  # grey images, some of which were saved in colour
        channels = 1 if all(is_grey(np.asarray(image)) for image in images if image.shape[0] == 3) else 3
        told = "all are taken as colour" if channels == 3 else "those in colour are grey too, and read as grey"
        log.info("%s: %d of %d images have one channel: %s", source, sum(s[0] == 1 for s in shapes), len(shapes), told)
    first = next(iter(names := list(names)))
    for name, shape in zip(names, shapes, strict=True):
        differs = shape[0] != channels and {shape[0], channels} != {1, 3}
        if differs or len(shape) != len(shapes[0]) or (shape[1:] != shapes[0][1:] and not size):
            hint = "leave one out" if differs or len(shape) != len(shapes[0]) else "give --data.size to scale all"
            raise InputError(f"{source}: {first} has {in_words(shapes[0])}, {name} has {in_words(shape)}; {hint}")
    if size and len(size) != len(shapes[0]) - 1:
        raise InputError(f"{source}: size {size} does not fit images such as {first}, {in_words(shapes[0])}")
    return [channels, *(size or shapes[0][1:])]


def pooled(x: Tensor, most: int) -> np.ndarray:
    """Pixels of raw images, float32 ``(batch, values)``, average-pooled if there are more than ``most``."""
    share = (most / math.prod(x.shape[1:])) ** (1 / (x.ndim - 2))
    size = [max(1, int(n * share + 1e-9)) for n in x.shape[2:]]
    pool: Any = F.adaptive_avg_pool2d if x.ndim == 4 else F.adaptive_avg_pool3d
    values: np.ndarray = (pool(x.float(), size) if share < 1 else x.float()).flatten(1).numpy()
    return values


class Reading(NamedTuple):
    """Options of reading: arguments of `zoo.data.ImageData`, and most bytes of images that are held in memory."""

    image: str
    masks: str | None
    axis: int | None
    pages: Literal["samples", "volume"]
    skip_unreadable: bool
    memory: int


def read_images(path: Path, how: Reading, read: Callable[[Path], pd.DataFrame] = read_table) -> pd.DataFrame:
    """Read images into a table with one image per row.

    Args:
        path: A folder, a table of paths, ``.npz``, or one image file.
        how: Options of reading.
        read: Reader of a table.

    Returns:
        The column ``image`` (arrays with the channels first, or objects of `ImageFile` if they do not fit into memory);
        if available, ``mask`` (arrays or paths) and ``label``; for files, their names as ``sample`` and an `Origin` in
        the column `FILE`. ``split`` is the official split of the files if ``frame.attrs["official_split"]`` is True.
        Slices of volumes also have ``volume`` and ``slice``.

    Raises:
        InputError: There is no image, or a file cannot be read; the error names it.
    """
    if not path.exists():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise InputError(f"no file, folder or data set {str(path)!r}; {suggest(path.name, [*near, *files.datasets()])}")
    if path.suffix == ".npz":
        return read_arrays(path)
    if path.is_dir():
        frame = list_folder(path, how.masks)
        for what in frame.attrs["said"]:
            log.warning("%s: %s", path, what)
    elif path.name.lower().endswith(IMAGES):
        mask = {MASK: [Path(how.masks)]} if how.masks else {}
        frame = pd.DataFrame({UNNAMED: [path.name], IMAGE: [path], **mask})
    else:
        frame = _table(read(path), path, how)
    attrs, frame = frame.attrs, _loaded(frame, how)
    frame.attrs = attrs
    return frame


def _table(frame: pd.DataFrame, path: Path, how: Reading) -> pd.DataFrame:
    """Files listed in a table, whose paths are relative to its folder."""
    if how.image not in frame:
        raise InputError(f"{path}: no column {how.image!r} (given as image); {suggest(how.image, frame.columns)}")
    if (missing := frame[how.image].isna()).any():
        raise InputError(f"{path}: row {int(missing.argmax()) + 1} has no path in column {how.image!r}")
    cells: dict[str, list[Path | None]] = {IMAGE: [path.parent / str(cell) for cell in frame[how.image]]}
    if how.masks in frame:
        cells[MASK] = [None if pd.isna(cell) else path.parent / str(cell) for cell in frame[how.masks]]
    names = {} if UNNAMED in frame or frame[how.image].duplicated().any() else {UNNAMED: frame[how.image].map(str)}
    rest = frame.drop(columns=[c for c in (how.image, how.masks) if c in frame])
    if clash := [c for c in cells if c in rest]:
        raise InputError(
            f"{path}: column {clash[0]!r} clashes with the images in column {how.image!r}; rename {clash[0]}"
        )
    return pd.DataFrame({**names, **cells, **{str(name): column for name, column in rest.items()}})


def _loaded(frame: pd.DataFrame, how: Reading) -> pd.DataFrame:
    """Read all files once; skip unreadable files and cut volumes into slices as requested."""
    from rich.console import Console
    from rich.progress import track

    hidden, console = len(frame) < MANY or not sys.stderr.isatty(), Console(stderr=True)
    rows: list[dict[str, Any]] = []
    lazy, notes, depths = False, Notes(), dict[np.dtype[Any], Path]()
    for row in track(frame.to_dict("records"), "reading images", console=console, transient=True, disable=hidden):
        try:
            image = read_image(row[IMAGE], notes=notes)
        except UnreadableImageError as error:
            if not how.skip_unreadable:
                raise InputError(f"{error} (--data.skip_unreadable true)") from None
            log.warning("left out: %s", error)
            continue
        if not row[IMAGE].name.lower().endswith(NIFTI):  # whose values have a unit, whatever their type
            depths.setdefault(image.dtype, row[IMAGE])
        if not rows and (lazy := image.nbytes * len(frame) > how.memory):
            log.info("the images exceed %.1f GB of memory; they are read from disk for each batch", how.memory / 1e9)
        if image.ndim == 4 and (how.axis is not None or (how.pages == "samples" and _is_tiff(row[IMAGE]))):
            rows += _slices(
                {**{str(key): value for key, value in row.items()}, FILE: Origin(row[IMAGE], how.axis or 0)},
                image,
                how.axis or 0,
            )
        elif how.axis is not None:
            raise InputError(f"{row[IMAGE]}: axis is for volumes, but this image is of shape {image.shape}")
        else:
            held = ImageFile(row[IMAGE], image.shape, checksum(image)) if lazy else image
            rows.append({**row, IMAGE: held, FILE: Origin(row[IMAGE])})
    if len(depths) > 1:
        (one, first), (two, second) = list(depths.items())[:2]
        raise InputError(
            f"{second}: values of {_depth(two)}, unlike {first}, which has {_depth(one)}; their scales differ: save "
            "all images in one depth"
        )
    for what, paths in notes.items():
        log.info("%d of %d images (first: %s): %s", len(paths), len(frame), paths[0], what)
    if TURNED in notes and MASK in frame:
        log.warning("masks without an orientation of their own are taken as drawn on the turned images")
    if not rows:
        raise InputError(f"{frame[IMAGE].iloc[0]}: none of {len(frame)} images can be read")
    return pd.DataFrame(rows)


def _depth(kind: np.dtype[Any]) -> str:
    return f"{8 * kind.itemsize} bits{' (decimal numbers)' if kind.kind == 'f' else ''}"


def _is_tiff(path: Path) -> bool:
    return path.name.lower().endswith(TIFF)


def _slices(row: dict[str, Any], image: np.ndarray, axis: int) -> Iterator[dict[str, Any]]:
    """One row per slice of a volume and of its mask."""
    path = row[IMAGE]
    name, mask = row.pop(UNNAMED, path.name), row.get(MASK)
    if mask is not None and (mask := read_mask(mask, str(mask))).shape != image.shape[1:]:
        raise InputError(f"{row[MASK]}: the mask is of shape {mask.shape}, the image {image.shape[1:]}")
    check_place(row.get(MASK), path)
    for number, one in enumerate(np.moveaxis(image, axis + 1, 0)):
        cells = {
            UNNAMED: f"{name} {number}",
            **row,
            IMAGE: one,
            VOLUME: name,
            "slice": number,
            FILE: Origin(path, axis),
        }
        yield cells if mask is None else {**cells, MASK: np.take(mask, number, axis)}


def folder_sha256(folder: Path) -> str:
    """Checksum of the names and contents of all files in a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    listing = "".join(f"{path.relative_to(folder).as_posix()} {files.sha256(path)}\n" for path in paths)
    return hashlib.sha256(listing.encode()).hexdigest()


FILES[".npz"] = read_arrays

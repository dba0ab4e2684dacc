"""Predicted masks as files that lie on the images for which they were predicted."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ... import files
from ...encode.image import nearest
from ...encode.image_file import write_mask
from ...errors import InputError
from ...files import NIFTI, TIFF
from ...spec import Target
from .files import Origin
from .folders import IMAGE
from .image import ImageData

WRITTEN = (".png", *TIFF, *NIFTI)  # one mask
MOST = 65535  # largest value of a pixel that is written


def is_folder(output: str) -> bool:
    """Whether a path names a folder: it ends with a slash, has no suffix, or is one.

    >>> is_folder("masks/"), is_folder("masks"), is_folder("masks.npz")
    (True, True, False)
    """
    return output.endswith(("/", os.sep)) or not Path(output).suffix or Path(output).is_dir()


@dataclass
class MaskFiles:
    """The files to which predicted masks are written, one for each image file.

    Attributes:
        frame: One row per image or slice.
        origins: File of the image in each row.
        targets: File of the mask of each image file.
        folder: Folder of all masks.
    """

    frame: pd.DataFrame
    origins: list[Origin]
    targets: dict[Path, Path]
    folder: Path

    @classmethod
    def plan(cls, data: ImageData, output: str) -> "MaskFiles":
        """Read the images and name the files of their masks.

        Args:
            data: The images.
            output: A folder, in which masks have the names of their images, or a file for the mask of one image.

        Raises:
            InputError: The images are not files, two masks would have the same name, a file would replace an image or
                a mask of the data, or the kind of file does not fit.
        """
        frame, origins = data.frame_and_files()
        if not origins:
            raise InputError(f"--output {output}: {data.path} has no image files; write the masks to one .npz")
        whole = [origin.path for origin in origins if origin.axis is None]
        if len(set(whole)) < len(whole):
            twice = next(path for row, path in enumerate(whole) if path in whole[:row])
            raise InputError(f"{data.path}: {twice} is listed twice, but has one mask; leave one row out")
        images = list(dict.fromkeys(origin.path for origin in origins))
        if is_folder(output):
            folder, targets = Path(output), _in_folder(Path(output), images)
        elif len(images) > 1:
            raise InputError(f"--output {output}: there are {len(images)} images; give a folder, such as masks/")
        else:
            folder, targets = Path(output).parent, {images[0]: Path(output)}
            _check_suffix(images[0], Path(output), volume=not whole or len(frame[IMAGE].iloc[0].shape) == 4)
        _check_replaced(targets, Path(data.path))
        return cls(frame, origins, targets, folder)

    def write(self, masks: Sequence[np.ndarray], target: Target) -> str:
        """Write all masks, or none if one fails.

        Args:
            masks: Class codes of the pixels of each row, uint8 ``(*spatial)``; they are scaled to the size of the file.
            target: Target of the model.

        Returns:
            The written value of each class, for users.
        """
        values = _values(target, any(_is_nifti(image) for image in self.targets))
        rows: dict[Origin, list[int]] = {}
        for row, origin in enumerate(self.origins):
            rows.setdefault(origin, []).append(row)
        with files.filling(self.folder) as temporary:
            for (image, axis), of_image in rows.items():
                parts = [self._scaled(masks[row], row) for row in of_image]
                path = temporary / self.targets[image].relative_to(self.folder)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_mask(path, values[parts[0] if axis is None else np.stack(parts, axis)], image)
        written = values.tolist() if values.ndim == 1 else target["values"]
        return ", ".join(f"{value} {name}" for value, name in zip(written, target["classes"], strict=True))

    def _scaled(self, mask: np.ndarray, row: int) -> np.ndarray:
        """The mask of a row in the size of its image."""
        scaled: np.ndarray = nearest(torch.from_numpy(mask), self.frame[IMAGE].iloc[row].shape[1:]).numpy()
        return scaled


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith(NIFTI)


def _in_folder(folder: Path, images: list[Path]) -> dict[Path, Path]:
    """Files of masks: the names of the images below their common folder; JPEG, BMP, GIF and WebP become PNG."""
    places = {image: Path(os.path.normpath(image.absolute())) for image in images}  # links are not followed
    base = Path(os.path.commonpath([place.parent for place in places.values()]))
    targets: dict[Path, Path] = {}
    for image, place in places.items():
        inner = place.relative_to(base)
        targets[image] = folder / (inner if inner.name.lower().endswith(WRITTEN) else inner.with_suffix(".png"))
    used: dict[Path, Path] = {}
    for image, path in targets.items():
        if (other := used.setdefault(path, image)) is not image:
            raise InputError(f"{other} and {image} would have the same mask {path}; rename one of them")
    return targets


def _check_suffix(image: Path, output: Path, volume: bool) -> None:
    """Refuse a mask of an image in a file of another kind."""
    fitting = NIFTI if _is_nifti(image) else TIFF if volume else (".png", *TIFF)
    if not output.name.lower().endswith(fitting):
        raise InputError(f"--output {output}: the mask of {image.name} is written as {' or '.join(fitting)}")


def _check_replaced(targets: dict[Path, Path], data: Path) -> None:
    """Refuse to replace the images, or other images in their folder, such as true masks."""
    own = {source.resolve() for source in targets}
    for path in targets.values():
        within = data.is_dir() and path.exists() and path.resolve().is_relative_to(data.resolve())
        if within or path.resolve() in own:
            raise InputError(f"--output: {path} exists and is part of the data; give another folder")


def _values(target: Target, numbers: bool) -> np.ndarray:
    """Value of each class in the files, ``(classes,)`` or, as colours, ``(classes, 3)``; its code if not known.

    Args:
        target: Target of the model.
        numbers: Colours cannot be written.
    """
    values = target.get("values", [])
    codes = np.arange(len(target["classes"]), dtype=np.uint8)
    if not any(isinstance(value, str) for value in values):
        known = len(values) == len(codes) and all(0 <= int(value) <= MOST for value in values)
        return np.array(values, dtype=np.uint8 if max(map(int, values)) < 256 else np.uint16) if known else codes
    if numbers:
        return codes
    return np.array(
        [[value] * 3 if isinstance(value, int) else list(bytes.fromhex(value[1:])) for value in values], dtype=np.uint8
    )

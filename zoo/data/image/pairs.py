"""Data module of image pairs, for translation of one image into the other."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from ...encode import to_tensor
from ...encode.image_file import read_image
from ...errors import InputError, suggest
from ...spec import Modality, Target
from ..base import IS_TEST, Batch
from ..frame import FrameData
from .augment import Flip
from .files import FILE, IMAGE_KEYS, MASK_KEYS, channels_first, common_shape
from .folders import IMAGE, MASK
from .image import ImageData

OUTPUT = "output image"  # column


class ImagePairData(ImageData):
    """Images or volumes, each with a target image of the same size, for image-to-image translation.

    - A table (CSV, TSV, Parquet) with two columns of paths, relative to the folder of the table.
    - A folder ``images``, and beside it the folder named by ``target`` with files of the same names.
    - ``.npz`` with ``images`` and the array named by ``target``.
    - A packaged data set with images and masks, either of which may be the target (``vessels_simulated``).

    Target images are held in memory. A mask as input is an image with one channel of class numbers. Pairs with the same
    input always share a split.

    Args:
        path: A file, a folder, or the name of a data set with a card.
        target: Target image: a column, an array, or a folder.
        image: Input image: a column, or an array; ``image`` by default.
        size: Height and width (or depth, height and width) to which all images are scaled. By default all images must
            have the same size.
        skip_unreadable: Leave out pairs whose input cannot be read, in place of an error.
        flip: Augmentation: mirror training pairs with probability 0.5: horizontal, vertical, both, or all (and depth).
        rotate: Augmentation: largest rotation, in degrees. Volumes must be cubes, rotated by quarter turns only: 90.
        shift: Augmentation: largest shift, as a fraction of the size.
        zoom: Augmentation: largest relative change of size.
        id: Column of unique sample names; for files, the file names.
        test_path: Separate file or folder of test pairs; ``fractions`` then apply to training and validation only.
        **shared: Arguments of `Data`.

    Raises:
        InputError: A target image is missing or of another size (the error names the sample), or an error of
            `ImageData`.
    """

    def __init__(
        self,
        path: str,
        target: str,
        image: str = IMAGE,
        size: list[int] | None = None,
        skip_unreadable: bool = False,
        flip: Flip = "none",
        rotate: float = 0.0,
        shift: float = 0.0,
        zoom: float = 0.0,
        id: str | None = None,  # noqa: A002 (the word that users look for)
        test_path: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(
            path,
            target,
            image,
            classes=None,
            masks=None,
            mask_classes=None,
            size=size,
            pages="volume",
            axis=None,
            skip_unreadable=skip_unreadable,
            flip=flip,
            rotate=rotate,
            shift=shift,
            zoom=zoom,
            brightness=0.0,
            contrast=0.0,
            target_kind="image",
            positive=None,
            id=id,
            test_path=test_path,
            **shared,
        )
        if image == target:
            raise InputError(f"{path}: {image!r} is both input and target; give another image as --data.target")
        self.reading, self.output, self.classes = self.reading._replace(masks=target), target, None

    def _frame(self) -> pd.DataFrame:
        """The table with input and target images in the columns `IMAGE` and `OUTPUT`, with the channels first."""
        frame = super()._frame()
        renamed = {MASK: OUTPUT}  # for files, which were located by the name of the target
        if self.card or Path(self.path).suffix == ".npz":
            source, target = (_column(name, frame) for name in (self.reading.image, self.output))
            if source not in frame and MASK not in frame:
                return frame  # inputs only, for prediction
            self.check_column(frame, source, "image")
            frame = frame if IMAGE in (source, target) else frame.drop(columns=IMAGE)
            renamed = {source: IMAGE, target: OUTPUT}
        frame = frame.rename(columns=renamed)
        for column in {IMAGE, OUTPUT} & set(frame):
            frame[column] = [channels_first(c[None])[0] if isinstance(c, np.ndarray) else c for c in frame[column]]
        return frame

    def _frame_with_test(self) -> pd.DataFrame:
        frame = super()._frame_with_test()
        if OUTPUT not in frame:
            known = [str(name) for name in frame.columns]
            raise InputError(f"{self.path}: there are no target images {self.output!r}; {suggest(self.output, known)}")
        names = self._named(frame).index
        frame[OUTPUT] = [
            _partner(cell, image.shape, f"{self.path}: sample {name}")
            for cell, image, name in zip(frame[OUTPUT], frame[IMAGE], names, strict=True)
        ]
        return frame

    def frame(self) -> pd.DataFrame:
        """All input images; target images are not required."""
        return FrameData.frame(self).drop(columns=[IS_TEST, OUTPUT, FILE], errors="ignore")

    def _segments(self, frame: pd.DataFrame) -> bool:
        return False

    def target_columns(self) -> list[str]:
        """The column of the target images."""
        return [OUTPUT]

    def find_target(self, frame: pd.DataFrame) -> Target:
        """Channels and size of the target images."""
        names, source = self._named(frame).index, f"{self.path}, {self.output}"
        shape = common_shape(list(frame[OUTPUT]), names, self.size, source)
        return Target(kind="image", name=self.output, classes=[], unit=self.units.get(self.output, ""), shape=shape)

    def encode_target(self, frame: pd.DataFrame, target: Target) -> Tensor:
        """The target images, float32 ``(samples, *shape)``."""
        modality = Modality(kind="image", shape=target["shape"], features=[OUTPUT], resize=self.size is not None)
        images: Tensor = to_tensor(self._named(frame), modality, f"{self.path}, {self.output}")
        return images.float()

    def augment(self, batch: Batch, generator: Generator) -> Batch:
        """Augment both images of a pair in the same way."""
        channels = batch["x"].shape[1]
        pair = {"x": torch.cat([batch["x"].float(), batch["y"]], 1)}
        moved = self.augmentation(pair, False, generator)["x"]
        return {**batch, "x": moved[:, :channels], "y": moved[:, channels:]}


def _column(name: str, frame: pd.DataFrame) -> str:
    """Column of an array of an ``.npz``, such as ``image`` for ``images``."""
    known = {**dict.fromkeys(MASK_KEYS, MASK), **dict.fromkeys(IMAGE_KEYS, IMAGE)}
    return name if name in frame or known.get(name) not in frame else known[name]


def _partner(cell: Any, shape: tuple[int, ...], where: str) -> np.ndarray:
    """The target image of an input of shape ``(channels, *spatial)``."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        raise InputError(f"{where} has no target image; add it, or leave the sample out")
    image = read_image(cell) if isinstance(cell, Path) else np.asarray(cell)
    if image.shape[1:] != shape[1:]:
        ours, theirs = (" x ".join(map(str, size[1:])) for size in (shape, image.shape))
        raise InputError(
            f"{where}: the input image is of {ours} pixels, the target image of {theirs}; they must be equal"
        )
    return image

"""Images and volumes with a label or a mask, from the files that the field uses."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler
from torch import Generator, Tensor

from ... import files
from ...encode import to_tensor
from ...errors import InputError, check_choice, check_range
from ...spec import Modality, Target, modality_of
from ...training.tasks import task_of
from ..base import IS_TEST, Batch, Dataset, Source, UnsplitDataset
from ..datasets import downloaded
from ..frame import FrameData
from ..reading import UNNAMED
from .augment import Augmentation, Flip
from .files import (
    IMAGE,
    LABEL,
    MASK,
    SPLIT,
    VOLUME,
    ImageFile,
    ImageFiles,
    Reading,
    checksum,
    common_shape,
    folder_sha256,
    pooled,
    read_images,
)
from .masks import encode_masks, find_classes, read_masks

MEMORY = 2 << 30  # bytes of images that are read at once; more are read when they are needed
MOST_VALUES, CHUNK = 4096, 256  # of an image that simple models are given; images at a time


class ImageData(FrameData):
    """Images or volumes with a label, or with a mask that has a class for each pixel, from files or a packaged set.

    - A folder with a sub-folder for each class; above these there may be ``train``, ``val`` and ``test``. A folder
      ``images`` with ``masks`` beside it, files of the same names, is a segmentation. The target is called ``label``.
    - A table (CSV, TSV, Parquet) with a column of paths, relative to the folder of the table.
    - ``.npz`` with ``images`` and ``labels`` (or ``masks``); further arrays with one value a sample are columns. Of
      MedMNIST files (``train_images``, ...) and of such folders the official split stays as it is.
    - PNG, JPEG, BMP, TIFF and NIfTI files, or one file of many pages or slices. Each page of a TIFF is a sample.

    Images that do not fit into 2 GB are read when they are needed. Identical images always share a split.

    Args:
        path: A file, a folder, or the name of a data set with a card (``vessels_simulated``).
        target: Column to predict; ``label`` by default.
        image: Column of the paths, in a table.
        classes: Names of the labels 0, 1, ... A data set's card knows its own.
        masks: Where the masks are, to predict a class for each pixel: a column of a table, an array of an ``.npz``, a
            folder beside ``images``, or a file beside one image file.
        mask_classes: Name of each value of the masks, the background first: ``{0: background, 1: vessel}``. By default
            the values that occur.
        size: Height and width (or depth, height and width) that all images are scaled to. By default all must be of one
            size.
        pages: Pages of a TIFF are ``samples``, or one ``volume``.
        axis: Cut volumes into images along this axis: 0 depth, 1 height, 2 width. The slices of a volume share a split.
        skip_unreadable: Leave out files that cannot be read, in place of an error.
        flip: Augmentation: half of the training images are mirrored: horizontal, vertical, both, or all (depth too).
        rotate: Augmentation: images are turned by up to so many degrees. Volumes, cubes, by quarter turns only: 90.
        shift: Augmentation: images are moved by up to this share of their size.
        zoom: Augmentation: images are scaled by up to this share, up and down.
        brightness: Augmentation: values are multiplied by a factor up to this far from 1.
        contrast: Augmentation: differences from the mean of the image are multiplied by a factor up to this far from 1.
        target_kind: binary, multiclass or regression; detected by default.
        positive: The positive one of two classes; by default the last in alphabetical order.
        id: Column of unique sample names; of files, their names.
        test_path: Separate file or folder of test samples; ``fractions`` then share out the others.
        **shared: Arguments of `Data`.

    Raises:
        InputError: Anything that is wrong with the images, in one line.
    """

    kind = "image"
    arrays = ("images", "labels")

    def __init__(
        self,
        path: str,
        target: str | None = None,
        image: str = IMAGE,
        classes: list[str] | None = None,
        masks: str | None = None,
        mask_classes: dict[int, str] | None = None,
        size: list[int] | None = None,
        pages: Literal["samples", "volume"] = "samples",
        axis: int | None = None,
        skip_unreadable: bool = False,
        flip: Flip = "none",
        rotate: float = 0.0,
        shift: float = 0.0,
        zoom: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        target_kind: str | None = None,
        positive: str | None = None,
        id: str | None = None,  # noqa: A002 (the word that users look for)
        test_path: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(path, target, target_kind, positive, id, test_path, **shared)
        check_choice("pages", pages, ["samples", "volume"])
        if axis is not None:
            check_range("axis", axis, 0, 2)
        if size is not None and (len(size) not in (2, 3) or min(size) < 1):
            raise InputError(f"size must be height and width, or depth, height and width, in pixels: {size}")
        self.masks = masks or (self.card.get("masks") if target is None else None)
        self.mask_classes = mask_classes or self.card.get("mask_classes")
        self.classes, self.size = classes or self.card.get("classes"), size
        self.group, self.target_given = self.group or self.card.get("group"), self.target is not None
        self.reading = Reading(image, self.masks, axis, pages, skip_unreadable, MEMORY)
        self.augmentation = Augmentation(flip, rotate, shift, zoom, brightness, contrast)
        self.target = self.target or LABEL

    @property
    def caution(self) -> str:
        """What every report must say of the split, or ``""``."""
        owner = self.group or VOLUME
        if self.external or owner not in self.samples:
            return ""
        train, test = (set(self.samples.loc[self.samples["split"] == s, owner].dropna()) for s in ("train", "test"))
        if train.isdisjoint(test):
            return ""
        return f"images of one {owner} are in training and test: scores are optimistic for a new {owner}"

    def read_file(self, path: Path) -> pd.DataFrame:
        """One image a row."""
        frame = read_images(path, self.reading)
        if UNNAMED in frame and str(path) == self.test_path:  # names of the two files may be the same
            frame[UNNAMED] = [f"{path.name}/{name}" for name in frame[UNNAMED]]
        return frame

    def _frame(self) -> pd.DataFrame:
        frame = super()._frame()
        if self.masks in frame and self.masks != MASK:
            frame = frame.rename(columns={self.masks: MASK})
        if frame.attrs.get("official_split") and not (self.split or self.folds or self.external):
            if self.test_path is not None:
                raise InputError(f"{self.path} has a split of its own; leave out test_path")
            if set(frame[SPLIT]) == {"train", "test"}:
                frame[IS_TEST] = frame[SPLIT] == "test"
            else:
                self.split = SPLIT
        if self.group is None and VOLUME in frame and frame[VOLUME].nunique() > 1:
            self.group = VOLUME
        names = dict(enumerate(self.classes or []))
        if self.target in frame and self.classes and frame[self.target].dropna().isin([*names, *map(str, names)]).all():
            frame[self.target] = frame[self.target].map(lambda code: names[int(code)], na_action="ignore")
        return frame

    def _frame_with_test(self) -> pd.DataFrame:
        frame = super()._frame_with_test()
        if self._segments(frame):
            if MASK not in frame:
                raise InputError(f"{self.path}: there are no masks {self.masks or ''}; give --data.masks")
            frame[MASK] = read_masks(frame[MASK], self._named(frame).index, self.path)
        return frame

    def frame(self) -> pd.DataFrame:
        """All images; neither target nor masks are needed."""
        reading, self.reading = self.reading, self.reading._replace(masks=None)
        try:
            return super().frame().drop(columns=[IS_TEST, MASK], errors="ignore")
        finally:
            self.reading = reading

    def _named(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.set_index(name) if (name := self._id(frame)) else frame

    def _segments(self, frame: pd.DataFrame) -> bool:
        """Whether masks are to be predicted: asked for, or nothing else is there."""
        if self.trained:
            return task_of(self.trained["target"]).per_pixel
        return self.masks is not None or (MASK in frame and LABEL not in frame and not self.target_given)

    def find_target(self, frame: pd.DataFrame) -> Target:
        """The classes of the masks, or what a column says."""
        if self.target_kind == "none":
            return super().find_target(frame)
        if self._segments(frame):
            if self.mask_classes is None:
                self.mask_classes = find_classes(frame[MASK], self.path)
            return Target(kind="segmentation", name=MASK, classes=list(map(str, self.mask_classes.values())), unit="")
        if self.target == LABEL and LABEL not in frame and not self.target_given:
            raise InputError(
                f"{self.path}: what is to be predicted? Put the images into one folder a class, or give "
                "--data.target or --data.masks; an autoencoder takes --data.target_kind none"
            )
        return super().find_target(frame)

    def encode_target(self, frame: pd.DataFrame, target: Target) -> Tensor:
        """Class codes, numbers, or masks: uint8 ``(samples, *spatial)``."""
        if not task_of(target).per_pixel:
            return super().encode_target(frame, target)
        classes = self.mask_classes or find_classes(frame[MASK], self.path)
        shapes = [cell.shape[1:] for cell in frame[IMAGE]]
        size = modality_of(self.trained)["shape"][1:] if self.trained else self.size or shapes[0]
        codes = {int(value): str(name) for value, name in classes.items()}
        names = self._named(frame).index
        return encode_masks(frame[MASK], shapes, names, codes, target["classes"], self.path, size)

    def modality(self, frame: pd.DataFrame) -> Modality:
        """Channels and size of the images."""
        self.roles(frame)
        shape = common_shape(list(frame[IMAGE]), self._named(frame).index, self.size, self.path)
        self.augmentation.check(shape[1:])
        modality = Modality(kind="image", shape=shape, features=[IMAGE])
        return {**modality, "resize": True} if self.size else modality

    def values(self, frame: pd.DataFrame, modality: Modality) -> Source:
        """Images; errors name the sample."""
        lazy = isinstance(frame[IMAGE].iloc[0], ImageFile)
        return (ImageFiles if lazy else to_tensor)(self._named(frame), modality, self.path)

    def duplicates(self, frame: pd.DataFrame, modality: Modality) -> pd.Series:
        """A checksum of the values."""
        return pd.Series([c.checksum if isinstance(c, ImageFile) else checksum(c) for c in frame[IMAGE]])

    def apply_split(self, unsplit: UnsplitDataset) -> Dataset:
        """Split; the samples without what only reading needed."""
        content = super().apply_split(unsplit)
        content.samples = content.samples.drop(columns=[IMAGE, MASK], errors="ignore")
        return content

    def _statistics_rows(self) -> Tensor:
        x, rows = self.dataset.x, self.dataset.rows("train")
        return x.some(rows) if isinstance(x, ImageFiles) else rows

    def training_inputs(self) -> Tensor:
        """Raw training images, or some where they do not fit into memory: encodings learn from these."""
        return self.dataset.x[self._statistics_rows()]

    def training_targets(self) -> Tensor:
        """Targets of the images of `training_inputs`."""
        return self.dataset.y[self._statistics_rows()]

    def augment(self, batch: Batch, generator: Generator) -> Batch:
        """Mirror, turn, move, scale and light the images as asked for, masks with them."""
        return self.augmentation(batch, task_of(self.spec["target"]).per_pixel, generator)

    def baseline_features(self, rows: Tensor) -> dict[str, np.ndarray]:
        """All pixels, standardised; of large images, averages of so many neighbours that 4096 are left at most."""
        scaler = StandardScaler()
        for some in self.dataset.rows("train").split(CHUNK):
            scaler.partial_fit(pooled(self.dataset.x[some], MOST_VALUES))
        parts = [scaler.transform(pooled(self.dataset.x[some], MOST_VALUES)) for some in rows.split(CHUNK)]
        return {"": np.concatenate(parts)}

    def describe(self) -> dict[str, Any]:
        """Name, checksum, licence and citation of the data."""
        if "download" in self.card:
            self.card["sha256"] = files.sha256(downloaded(self.card))
        if self.card or not (folder := Path(self.path)).is_dir():
            return super().describe()
        return {"name": folder.resolve().name, "sha256": folder_sha256(folder), "licence": "not stated"}

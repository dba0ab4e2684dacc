"""Data module of images and volumes with a label or a mask."""

import logging
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
from ...tables import UNNAMED
from ...tables.target import class_names
from ...training.tasks import task_of
from ..base import IS_TEST, Batch, Dataset, Source, UnsplitDataset
from ..datasets import downloaded
from ..frame import FrameData
from .augment import Augmentation, Flip
from .files import (
    FILE,
    VOLUME,
    ImageFile,
    ImageFiles,
    Origin,
    Reading,
    checksum,
    common_shape,
    folder_sha256,
    pooled,
    read_images,
)
from .folders import IMAGE, LABEL, MASK, SPLIT
from .masks import (
    check_place,
    find_classes,
    harmonised,
    in_files,
    mask_codes,
    read_masks,
    stacked,
    trained_classes,
    value_of,
)

MEMORY = 2 << 30  # most bytes of images held in memory; more are read for each batch
MOST_VALUES, CHUNK = 4096, 256  # most values of an image as input of baselines; images processed at a time
CLASSES = (None, "binary", "multiclass")  # kinds of target for which whole numbers name classes

log = logging.getLogger("zoo")


class ImageData(FrameData):
    """Images or volumes with a label, or with a mask that gives the class of each pixel, from files or a packaged set.

    - A folder with a subfolder for each class, optionally in ``train``, ``val`` and ``test``. Folders ``images`` and
      ``masks`` with files of the same names define a segmentation. The target is called ``label``. See
      `zoo.data.image.folders.list_folder` for other names and several levels of folders.
    - A table (CSV, TSV, Parquet) with a column of paths, relative to the folder of the table.
    - ``.npz`` with ``images`` and ``labels`` (or ``masks``); other arrays with one value per sample become columns. The
      official split of MedMNIST files (``train_images``, ...) and of such folders is used.
    - PNG, JPEG, BMP, GIF, WebP, TIFF and NIfTI files, or one file with many pages or slices. Each page of a TIFF is a
      sample. See `zoo.encode.image_file.read_image` for orientation, depth and kinds of colour.

    Masks have one value or one colour per class. Those that mark one foreground as 0/1, 0/255 or black and one colour
    are taken together. Images of more than 2 GB in total are read from disk for each batch. Identical images always
    share a split.

    Args:
        path: A file, a folder, or the name of a data set with a card (``vessels_simulated``).
        target: Column to predict; ``label`` by default.
        image: Column of the paths, in a table.
        classes: Names of the labels 0, 1, ... Default: those in the card of the data set.
        masks: Masks for segmentation: a column of a table, an array of an ``.npz``, a folder beside ``images``, or a
            file for a single image file.
        mask_classes: Name of each value of the masks, the background first: ``{0: background, 1: vessel}``, or of each
            colour: ``{"#000000": background, "#ff0000": vessel}``. By default the values that occur.
        size: Height and width (or depth, height and width) to which all images are scaled. By default all images must
            have the same size.
        pages: Whether pages of a TIFF are ``samples`` or one ``volume``.
        axis: Cut volumes into images along this axis: 0 depth, 1 height, 2 width. The slices of a volume share a split.
        skip_unreadable: Leave out files that cannot be read, in place of an error.
        flip: Augmentation: mirror training images with probability 0.5: horizontal, vertical, both, or all (and depth).
        rotate: Augmentation: largest rotation, in degrees. Volumes must be cubes, rotated by quarter turns only: 90.
        shift: Augmentation: largest shift, as a fraction of the size.
        zoom: Augmentation: largest relative change of size.
        brightness: Augmentation: values are multiplied by a random factor of 1 +- this value.
        contrast: Augmentation: differences from the mean of the image are multiplied by a factor of 1 +- this value.
        target_kind: binary, multiclass or regression; detected by default.
        positive: The positive one of two classes; by default the last in alphabetical order.
        id: Column of unique sample names; for files, the file names.
        test_path: Separate file or folder of test samples; ``fractions`` then apply to training and validation only.
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
        mask_classes: dict[int | str, str] | None = None,
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
        given = mask_classes or self.card.get("mask_classes") or {}
        self.mask_classes = {value_of(value): str(name) for value, name in given.items()}
        self.classes, self.size = classes or self.card.get("classes"), size
        self.group, self.target_given = self.group or self.card.get("group"), self.target is not None
        self.reading = Reading(image, self.masks, axis, pages, skip_unreadable, MEMORY)
        self.augmentation = Augmentation(flip, rotate, shift, zoom, brightness, contrast)
        self.target = self.target or LABEL

    @property
    def caution(self) -> str:
        """A warning about the split that every report must show, or ``""``."""
        owner = self.group or VOLUME
        if self.external or owner not in self.samples:
            return ""
        train, test = (set(self.samples.loc[self.samples["split"] == s, owner].dropna()) for s in ("train", "test"))
        if train.isdisjoint(test):
            return ""
        return f"images of one {owner} are in training and test: scores are optimistic for a new {owner}"

    def read_file(self, path: Path) -> pd.DataFrame:
        """Images as a table with one image per row."""
        frame = read_images(path, self.reading, self.read_table)
        if UNNAMED in frame and str(path) == self.test_path:  # both files may have the same names
            frame[UNNAMED] = [f"{path.name}/{name}" for name in frame[UNNAMED]]
        return frame

    def _frame(self) -> pd.DataFrame:
        frame = super()._frame()
        if self.masks in frame and self.masks != MASK:
            frame = frame.rename(columns={self.masks: MASK})
        if frame.attrs.get("official_split") and not (self.split or self.folds or self.external):
            if self.test_path is not None:
                raise InputError(f"{self.path} has an official split; leave out test_path")
            if set(frame[SPLIT]) == {"train", "test"}:
                frame[IS_TEST] = frame[SPLIT] == "test"
            else:
                self.split = SPLIT
        if self.group is None and VOLUME in frame and frame[VOLUME].nunique() > 1:
            self.group = VOLUME
        names = dict(enumerate(self.classes or []))
        if self.target in frame and self.classes and frame[self.target].dropna().isin([*names, *map(str, names)]).all():
            frame[self.target] = frame[self.target].map(lambda code: names[int(code)], na_action="ignore")
        kind = self.trained["target"]["kind"] if self.trained else self.target_kind
        if self.target == LABEL and LABEL in frame and kind in CLASSES:
            labels, frame[LABEL] = frame[LABEL], class_names(frame[LABEL])
            if not self.trained and labels.nunique() > 2 and not frame[LABEL].equals(labels):
                log.info("whole numbers in %r are taken for classes; for a quantity, set target_kind regression", LABEL)
        return frame

    def _frame_with_test(self) -> pd.DataFrame:
        frame = super()._frame_with_test()
        if self._segments(frame):
            if MASK not in frame:
                raise InputError(f"{self.path}: there are no masks {self.masks or ''}; give --data.masks")
            names = self._named(frame).index
            masks = read_masks(frame[MASK], names, self.path)
            for mask, origin in zip(frame[MASK], frame.get(FILE, []), strict=False):
                check_place(mask, origin.path)
            frame[MASK] = masks if self.mask_classes else harmonised(masks, names, self.path)
        return frame

    def frame(self) -> pd.DataFrame:
        """All images; neither target nor masks are required."""
        return self.frame_and_files()[0]

    def frame_and_files(self) -> tuple[pd.DataFrame, list[Origin]]:
        """The table of `frame`, and the file of the image in each row; none for arrays."""
        reading, self.reading = self.reading, self.reading._replace(masks=None)
        try:
            frame = super().frame()
        finally:
            self.reading = reading
        origins = list(frame[FILE]) if FILE in frame else []
        return frame.drop(columns=[IS_TEST, MASK, FILE], errors="ignore"), origins

    def _named(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.set_index(name) if (name := self._id(frame)) else frame

    def _segments(self, frame: pd.DataFrame) -> bool:
        """Whether masks are the target: as requested, or if there is no label."""
        if self.trained:
            return task_of(self.trained["target"]).per_pixel
        return self.masks is not None or (MASK in frame and LABEL not in frame and not self.target_given)

    def find_target(self, frame: pd.DataFrame) -> Target:
        """Description of the target: the classes of the masks, or a column."""
        if self.target_kind == "none":
            return super().find_target(frame)
        if self._segments(frame):
            if not self.mask_classes:
                self.mask_classes = find_classes(frame[MASK], self.path)
                found = ", ".join(f"{in_files(value)} {name}" for value, name in self.mask_classes.items())
                log.info("classes of the masks: %s (--data.mask_classes names them)", found)
            return Target(
                kind="segmentation",
                name=MASK,
                classes=list(self.mask_classes.values()),
                unit="",
                values=[in_files(value) for value in self.mask_classes],
            )
        if self.target == LABEL and LABEL not in frame and not self.target_given:
            raise InputError(
                f"{self.path}: there is no target: put the images into one folder per class, or give "
                "--data.target or --data.masks; for autoencoders, set --data.target_kind none"
            )
        return super().find_target(frame)

    def encode_target(self, frame: pd.DataFrame, target: Target) -> Tensor:
        """Class codes, continuous values, or masks: uint8 ``(samples, *spatial)``."""
        if not task_of(target).per_pixel:
            return super().encode_target(frame, target)
        classes = self.mask_classes
        if self.trained:
            known = classes or dict(zip(map(value_of, target.get("values", [])), target["classes"], strict=False))
            classes = trained_classes(frame[MASK], target["classes"], known)
        shapes = [cell.shape[1:] for cell in frame[IMAGE]]
        size = modality_of(self.trained)["shape"][1:] if self.trained else self.size or shapes[0]
        names = self._named(frame).index
        codes = mask_codes(frame[MASK], shapes, names, classes, target["classes"], self.path)
        self.full_masks = codes if any(code.shape != tuple(size) for code in codes) else None
        return stacked(codes, size)

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
        """A checksum of the values of each image."""
        return pd.Series([c.checksum if isinstance(c, ImageFile) else checksum(c) for c in frame[IMAGE]])

    def apply_split(self, unsplit: UnsplitDataset) -> Dataset:
        """Split the samples, and remove the columns of images and masks."""
        dataset = super().apply_split(unsplit)
        dataset.samples = dataset.samples.drop(columns=[IMAGE, MASK, FILE], errors="ignore")
        return dataset

    def _statistics_rows(self) -> Tensor:
        x, rows = self.dataset.x, self.dataset.rows("train")
        return x.evenly_spaced(rows) if isinstance(x, ImageFiles) else rows

    def training_inputs(self) -> Tensor:
        """Raw training images, or a subset if they do not fit into memory, to which encodings are fitted."""
        return self.dataset.x[self._statistics_rows()]

    def training_targets(self) -> Tensor:
        """Targets of the images of `training_inputs`."""
        return self.dataset.y[self._statistics_rows()]

    def augment(self, batch: Batch, generator: Generator) -> Batch:
        """Augment the images as requested, and masks in the same way."""
        return self.augmentation(batch, task_of(self.spec["target"]).per_pixel, generator)

    def baseline_features(self, rows: Tensor) -> dict[str, np.ndarray]:
        """All pixels, standardised; large images are average-pooled to at most 4096 values."""
        scaler = StandardScaler()
        for part in self.dataset.rows("train").split(CHUNK):
            scaler.partial_fit(pooled(self.dataset.x[part], MOST_VALUES))
        parts = [scaler.transform(pooled(self.dataset.x[part], MOST_VALUES)) for part in rows.split(CHUNK)]
        return {"": np.concatenate(parts)}

    def describe(self) -> dict[str, Any]:
        """Name, checksum, licence and citation of the data."""
        if "download" in self.card:
            self.card["sha256"] = files.sha256(downloaded(self.card))
        if self.card or not (folder := Path(self.path)).is_dir():
            return super().describe()
        return {"name": folder.resolve().name, "sha256": folder_sha256(folder), "licence": "not stated"}

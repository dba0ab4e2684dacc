"""Data module of time series with one or more channels per sample."""

import hashlib
import logging
from math import isclose
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler
from torch import Generator, Tensor

from ... import files
from ...encode import to_tensor
from ...encode.series import SAME_RATE
from ...errors import InputError, check_range
from ...spec import Modality, modality_of
from ...tables import UNNAMED
from ...tables.target import CLUSTERS, class_names
from ...tables.times import rate_text
from ..base import IS_TEST, Batch, Source, UnsplitDataset
from ..frame import FrameData
from . import augment as series_augment
from . import tables as series_tables
from .files import LABEL, SERIES, read_series
from .heartbeats import check_filter, filtered, read_beats

log = logging.getLogger("zoo")


class SeriesData(FrameData):
    """Time series with a label (ECG, EEG, movement), of one or more channels, from a file, a folder or a packaged set.

    - ``.ts`` and ARFF of the UCR and UEA archives, and their text files without a header, whose first column is the
      label. The target is called ``label``.
    - Wide tables (text, Excel, ODS, Parquet; see `zoo.tables`): one series per row; its time points are the columns
      whose names are times (``t1``, ``0.5 s``, dates), else all numeric columns that no other argument names.
    - Long tables: one time point per row; give ``record`` and ``time``. The other numeric columns are the channels.
      Rows are sorted by parsed time; a missing time point of a record is a missing value.
    - ``.npz`` with ``X``, ``(samples, channels, length)`` or ``(samples, length)``, and ``y``, or ``X_train``,
      ``y_train``, ``X_test`` and ``y_test``, which define the test samples.
    - A folder of WFDB records with annotations (PhysioNet), cut into heartbeats; the target is their AAMI class.

    Exact duplicates among the samples always share a split, and so do all beats of one record.

    Args:
        path: A file, a folder, or the name of a data set with a card (``ecg_beats_simulated``).
        target: Column to predict; ``label`` in files that have no column names.
        record: Column of a long table that identifies the rows of one series; it becomes the sample name.
        time: Column of a long table by which the rows of a series are ordered: numbers, dates, clock times, durations,
            or numbers in constant text (``day 10``); by default in the order of the file.
        time_format: Format of the times, if day and month cannot be told apart: ``"%d/%m/%Y"``.
        channels: Channels to read, in this order, from long tables and WFDB records; for other files, their names.
        ignore: Numeric columns that are not measurements, such as the age, beside target, id, group and split.
        length: Number of time points of every series, or that of the ``longest`` or ``shortest`` one: the others are
            padded with missing values, or cropped, at their end. By default all series must have the same length.
        interpolate: Linearly interpolate missing values inside a series, in place of an error.
        sampling_rate: Sampling rate, in Hz; by default that of the card, of the WFDB records, or of the times.
        resample: New sampling rate, in Hz.
        band: Lower and upper cut-off frequency of a band-pass filter, in Hz.
        annotator: Extension of the annotations of WFDB records.
        before: Start of a heartbeat, in seconds before its annotation.
        after: End of a heartbeat, in seconds after its annotation.
        split_beats: Split by beat, not by record or patient, so that patients may be in both training and test set.
            Every report then states this.
        jitter: Augmentation: standard deviation of added Gaussian noise, relative to that of the series.
        scaling: Augmentation: standard deviation of a factor about 1 by which amplitudes are multiplied.
        time_warp: Augmentation: largest relative change of speed in a smooth time warp.
        window_slice: Augmentation: length of a random window, as a fraction of the series, that is stretched to the
            full length; 1 keeps the series.
        **shared: Arguments of `FrameData` and `Data`.

    Raises:
        InputError: Anything that is wrong with the series, in one line.
    """

    kind = "series"
    arrays = ("X", "y")

    def __init__(
        self,
        path: str,
        target: str | None = None,
        record: str | None = None,
        time: str | None = None,
        time_format: str | None = None,
        channels: list[str] | None = None,
        ignore: list[str] | None = None,
        length: int | Literal["longest", "shortest"] | None = None,
        interpolate: bool = False,
        sampling_rate: float | None = None,
        resample: float | None = None,
        band: list[float] | None = None,
        annotator: str = "atr",
        before: float = 0.25,
        after: float = 0.45,
        split_beats: bool = False,
        jitter: float = 0.0,
        scaling: float = 0.0,
        time_warp: float = 0.0,
        window_slice: float = 1.0,
        **shared: Any,
    ) -> None:
        super().__init__(path, target, **shared)
        if isinstance(length, int):
            check_range("length", length, 1)
        check_range("jitter", jitter, 0)
        check_range("scaling", scaling, 0)
        check_range("time_warp", time_warp, 0, 1)
        check_range("window_slice", window_slice, 0.05, 1)
        check_range("before", before, 0)
        check_range("after", after, 0.01)
        if time and not record:
            raise InputError(
                f"time {time!r} is for long tables; give the column that identifies their records as record too"
            )
        self.length, self.interpolate = length, interpolate
        self.record, self.time, self.channels, self.ignore = record, time, channels, ignore or []
        self.time_format = time_format
        self._usual_format: str | None = None  # of ambiguous dates: that of the first file, or of a trained model
        self.sampling_rate = sampling_rate or self.card.get("sampling_rate")
        self.resample, self.band, self.annotator, self.before, self.after = resample, band, annotator, before, after
        self.jitter, self.scaling, self.time_warp, self.window_slice = jitter, scaling, time_warp, window_slice
        is_folder = not self.card and Path(path).is_dir()
        if is_folder and (record or sampling_rate):
            raise InputError(f"{path}: WFDB records define names and sampling rate; leave out record and sampling_rate")
        own = "record" if is_folder else self.card.get("group")
        if split_beats and (own is None or self.group):
            raise InputError("split_beats is for WFDB records, or a data set with a group in its card, without a group")
        self.owner = self.group or own
        self.group = None if split_beats else self.owner
        self.target = self.target or (None if self.card or record else LABEL)
        self.id = self.id or ("beat" if is_folder else record)

    @property
    def caution(self) -> str:
        """A warning about the split that every report must show, or ``""``."""
        if self.owner is None or self.external:
            return ""
        owners = self.samples.dropna(subset=[self.owner]).groupby("split")[self.owner].agg(set)
        if owners.get("train", set()).isdisjoint(owners.get("test", set())):
            return ""
        return f"samples of one {self.owner} are in training and test: scores are optimistic for a new {self.owner}"

    def read(self) -> UnsplitDataset:
        """Read and check all samples; log whether a file of test samples exists."""
        other = Path(self.path.replace("_TRAIN", "_TEST"))
        if "_TRAIN" in self.path and self.test_path is None and other.is_file():
            log.info("a file of test samples exists; to use it, give --data.test_path %s", other)
        return super().read()

    def read_file(self, path: Path) -> pd.DataFrame:
        """Series as a table with one series per row, filtered and resampled as requested."""
        if path.is_dir():
            return read_beats(
                path, self.annotator, self.before, self.after, self._channel_names(), self.band, self.resample
            )
        if (frame := read_series(path)) is None:
            frame = series_tables.read_unnamed(path, self.missing_values)
        if frame is not None:
            return self._filtered(self.without_excluded(frame), str(path))
        frame = self.read_table(path)
        frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
        return self._filtered(frame, str(path))

    def text_columns(self) -> list[str]:
        """Columns that stay text: names of samples, records, groups and splits."""
        return [*super().text_columns(), *(name for name in (self.record, self.owner) if name)]

    def _frame(self) -> pd.DataFrame:
        frame = super()._frame()
        if IS_TEST in frame and self.test_path is not None:
            raise InputError(f"{self.path} has official test samples; leave out test_path")
        return self._filtered(frame, self.path) if self.card else frame

    def _frame_with_test(self) -> pd.DataFrame:
        frame = super()._frame_with_test()
        if frame.attrs == {}:  # pandas keeps attributes only if they are equal
            raise InputError(
                f"{self.path} and {self.test_path} differ in channels or rate; give --data.channels, resample"
            )
        return frame

    def frame(self) -> pd.DataFrame:
        """All series, filtered and resampled as requested; a target is not required."""
        return super().frame().drop(columns=IS_TEST, errors="ignore")

    def _channel_names(self) -> list[str] | None:
        """Names of the channels from the argument or a trained model."""
        return self.channels or self._known().get("channels")

    def _filtered(self, frame: pd.DataFrame, source: str) -> pd.DataFrame:
        """Series gathered from the columns of a table, filtered and resampled as requested."""
        roles = (*self.target_columns(), self.id, self.owner, self.split)
        others = [n for n in roles if n and n in frame and n != self.record]
        ignore = [n for n in frame if n in self.ignore or n == UNNAMED]
        missing, usual = self.missing_values, self._known().get("time_format") or self._usual_format
        if SERIES in frame:
            if self.record:
                raise InputError(f"{source}: record is for long tables; this file has one series per row or line")
        elif self.record:
            formats, names = (self.time_format, usual), self._channel_names()
            frame = series_tables.long(frame, self.record, self.time, others, ignore, names, missing, formats, source)
        else:
            frame = series_tables.wide(frame, [*others, *ignore], missing, self.time_format, source)
            few = LABEL in frame and frame[LABEL].nunique() <= CLUSTERS
            if few and self.target == LABEL and self.target_kind is None:
                frame[LABEL] = class_names(frame[LABEL])
        found = frame.attrs.pop("time_format", None)
        self._usual_format = self._usual_format or found
        rate = self._rate(frame.attrs.get("sampling_rate"), source)
        check_filter(rate, self.band, self.resample, source)
        if rate and (self.band or self.resample):
            how = rate, self.band, self.resample
            frame[SERIES] = [filtered(np.asarray(series), *how) for series in frame[SERIES]]
        frame[SERIES] = [np.asarray(series, dtype=np.float32) for series in frame[SERIES]]
        frame.attrs["sampling_rate"] = self.resample or rate
        return frame

    def _rate(self, found: float | None, source: str) -> float | None:
        """Sampling rate as given, or as found in the times, which must agree."""
        if found and self.sampling_rate and not isclose(found, self.sampling_rate, rel_tol=SAME_RATE):
            raise InputError(
                f"{source}: the times tell {rate_text(found)}, sampling_rate is {rate_text(self.sampling_rate)}; leave "
                "out --data.sampling_rate, or correct the times or the unit in the name of their column"
            )
        return self.sampling_rate or found

    def _known(self) -> Modality:
        """What a trained model knows of its series."""
        return modality_of(self.trained) if self.trained else Modality(kind="series", shape=[])

    def modality(self, frame: pd.DataFrame) -> Modality:
        """Channels and length of the series."""
        self.roles(frame)
        series = self._named(frame)[SERIES]
        first, length = series.iloc[0], series_tables.common_length(series, self.length, self.interpolate, self.path)
        modality = Modality(kind="series", shape=[len(first), length], features=[SERIES])
        if names := frame.attrs.get("channels") or self.channels or self.card.get("channels"):
            if len(names) != len(first):
                raise InputError(f"{self.path}: {len(names)} names of channels ({', '.join(names)}) for {len(first)}")
            modality["channels"] = list(names)
            modality["units"] = {name: self.units[name] for name in names if name in self.units}
        if rate := frame.attrs.get("sampling_rate"):
            modality["sampling_rate"] = float(rate)
        if step := frame.attrs.get("time_step"):
            modality["time_step"] = float(step)
        if self._usual_format:
            modality["time_format"] = self._usual_format
        if self.length is not None:
            modality["resize"] = True
        if self.interpolate:
            modality["interpolate"] = True
        return modality

    def _named(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.set_index(name) if (name := self._id(frame)) else frame

    def values(self, frame: pd.DataFrame, modality: Modality) -> Source:
        """Series padded to the common length; errors name the sample."""
        return to_tensor(self._named(frame), modality, self.path)

    def duplicates(self, frame: pd.DataFrame, modality: Modality) -> pd.Series:
        """A hash of the values of each sample."""
        x = to_tensor(self._named(frame), modality, self.path)
        return pd.Series([hashlib.sha256(series.numpy().tobytes()).hexdigest() for series in x])

    def describe(self) -> dict[str, Any]:
        """Name, checksum, licence and citation of the data."""
        if self.card or not (folder := Path(self.path)).is_dir():
            return super().describe()
        listing = "".join(f"{p.name} {files.sha256(p)}\n" for p in sorted(folder.iterdir()) if p.is_file())
        checksum = hashlib.sha256(listing.encode()).hexdigest()
        return {"name": folder.resolve().name, "sha256": checksum, "licence": "not stated"}

    def augment(self, batch: Batch, generator: Generator) -> Batch:
        """Apply time warp, window, scaling and noise as requested."""
        x = batch["x"]
        if self.time_warp or self.window_slice < 1:
            x = series_augment.warp(x, self.time_warp, self.window_slice, generator)
        if self.scaling:
            x = series_augment.scale(x, self.scaling, generator)
        if self.jitter:
            x = series_augment.jitter(x, self.jitter, generator)
        return {**batch, "x": x}

    def baseline_features(self, rows: Tensor) -> dict[str, np.ndarray]:
        """All values, each time point of each channel standardised; padding is 0, the mean."""
        scaler = StandardScaler().fit(self.training_inputs().flatten(1))
        return {"": np.nan_to_num(scaler.transform(self.dataset.x[rows].flatten(1)))}

"""Several tables of the same samples: omics, clinical data, sequences, images."""

import logging
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...encode import encoder
from ...encode.joint import JointEncoder
from ...encode.table import as_text
from ...errors import InputError, check_choice
from ...spec import Modality, joined, modality_of
from .. import split as splitting
from ..base import Batch, Dataset, Source, Unsplit
from ..columns import check_ids, check_training
from ..expression.expression import joint_checksum
from ..frame import FrameData
from ..table.selection import select
from .join import JointRows, check_overlap, conformed, of_one_sample, told
from .parts import Part, parts_of, read_h5mu_samples
from .targets import answer_columns, check_further, further, with_any

log = logging.getLogger("zoo")
AT = "__row_of_{}__"  # column that says where a sample is in a table
CHUNK = 1024


class MultiOmicsData(FrameData):
    """Several modalities of the same samples, each from a table of its own, joined by the names of the samples.

    A sample may lack modalities. Each is prepared inside the model by its own encoding, with statistics of the training
    samples that have it. Samples that are equal in all they have, or in one whole omics table, always share a split.

    Args:
        path: Table of the samples with the target; or ``.h5mu``; or a data set with several assays (``miniacc``).
        modalities: Tables by name, such as ``{rna: rna.csv, mirna: mirna.tsv.gz}``, or with options, such as ``{rna:
            {path: rna.csv, scale: abundance, most_variable: 2000}}``: those of `ExpressionData`, `TableData`,
            `SequenceData`, `SeriesData` or `ImageData`. ``kind`` chooses (expression, table, sequence, series, image);
            by default tables with a column of text are tables, all others expression, that is, numbers that are
            transformed by their ``scale`` and found by name. ``most_predictive: 500`` keeps so many features, those
            that say most about the target, one by one, in training samples. Of an ``.h5mu`` or a data set: which of
            theirs, all by default.
        clinical: Columns of the sample table that are a modality of their own, called ``clinical``.
        missing: Samples that lack a modality: ``keep`` (models leave it out), ``drop``, or ``impute`` (it counts as
            that of the mean training sample, and models are not told).
        target: Column of the sample table to predict. A data set's card knows its own.
        also: Further targets, which `MultiModal` and `CustOmics` predict from the same latent space, by name, such as
            ``{survival: {target: days, event: dead, weight: 0.5}}``; ``target_kind`` and ``positive`` as above. Samples
            that have one of all targets are kept.
        target_kind: binary, multiclass, regression or survival; detected by default.
        positive: The positive one of two classes; by default the last in alphabetical order.
        id: Column of the sample names, in all tables that have it. Default: the first column; of images, their files.
        **shared: Arguments of `FrameData` (unlabelled, event) and `Data`.

    Raises:
        InputError: Anything that is wrong with a table, in one line.
    """

    kind = "joint"

    def __init__(
        self,
        path: str,
        modalities: dict[str, Any] | list[str] | None = None,
        clinical: list[str] | None = None,
        missing: Literal["keep", "drop", "impute"] = "keep",
        target: str | None = None,
        also: dict[str, dict[str, Any]] | None = None,
        target_kind: str | None = None,
        positive: str | None = None,
        id: str | None = None,  # noqa: A002 (the word that users look for)
        **shared: Any,
    ) -> None:
        super().__init__(path, target, target_kind, positive, id, **shared)
        check_choice("missing", missing, ["keep", "drop", "impute"])
        if self.test_path is not None:
            raise InputError("several modalities take no test_path; mark the test samples in a column: --data.split")
        self.modalities, self.clinical, self.missing = modalities, clinical, missing
        self.also = check_further(also or {}, self.target)
        if self.also:
            self.unlabelled = "keep"

    @cached_property
    def tables(self) -> dict[str, Part]:
        """The table of each modality."""
        found = parts_of(self)
        if self.trained:
            found = conformed(found, self.trained, self.external)
        if not found:
            raise InputError(f"{self.path}: no modality to learn from; give --data.modalities")
        if len(found) == 1 and not self.trained:
            raise InputError(f"{self.path}: one modality alone ({next(iter(found))}): use ExpressionData or TableData")
        return found

    def _frame(self) -> pd.DataFrame:
        """The sample table, and where each sample is in the tables of the modalities."""
        frame = super()._frame()
        check_ids(frame[self._id(frame)], self.path)
        names = pd.Index(as_text(frame[self._id(frame)]))
        for key, part in self.tables.items():
            check_overlap(names, part.names, part.features, self.path, part.source)
            frame[AT.format(key)] = part.names.get_indexer(names)
        measured = self.measured(frame)
        kept = measured.all(axis=1) if self.missing == "drop" else measured.any(axis=1)
        if not kept.all():
            log.info("%d samples that lack %s are left out", (~kept).sum(), "one" if self.missing == "drop" else "all")
        if not kept.any():
            raise InputError(f"{self.path}: no sample has all modalities; give --data.missing keep or impute")
        if self.also and not self.external:
            for name in self.answers():
                self.check_column(frame, name, "target")
            known = with_any(frame, super().answers(), self.also)
            if (bare := kept & ~known).any():
                log.info("%d samples without a value of any target are left out", bare.sum())
            kept &= known
        return frame[kept]

    def answers(self) -> list[str]:
        """Columns that are to be predicted."""
        if self.trained:
            also = [[about["name"], about.get("event")] for about in self.trained.get("also", {}).values()]
            return [*super().answers(), *(name for some in also for name in some if name)]
        return [*super().answers(), *(name for given in self.also.values() for name in answer_columns(given))]

    def read_file(self, path: Path) -> pd.DataFrame:
        """The sample table in a file."""
        return read_h5mu_samples(path) if path.suffix == ".h5mu" else super().read_file(path)

    def measured(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Which modalities each sample has: one row a sample, one column a modality."""
        return pd.DataFrame({key: frame[AT.format(key)] >= 0 for key in self.tables}, index=frame.index)

    def _id(self, frame: pd.DataFrame) -> str:
        return super()._id(frame) or str(frame.columns[0])

    def frame(self) -> dict[str, Any]:
        """The tables as they lie in the files, by modality; no target is needed."""
        return {key: part.frame() for key, part in self.tables.items()}

    def check_features(self, frame: pd.DataFrame, modality: Modality) -> None:
        """Raise an `InputError` if a table lacks what a trained model needs."""
        for name in self.answers():
            self.check_column(frame, name, "target")
        for key, part in self.tables.items():
            part.data.check_features(self._of(key, frame), modality["parts"][key])

    def _of(self, key: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows of the table of a modality that belong to these samples."""
        at = frame[AT.format(key)].to_numpy()
        return self.tables[key].rows.iloc[at[at >= 0]]

    def modality(self, frame: pd.DataFrame) -> Modality:
        """What each table says of itself; features and levels come from training rows."""
        self.roles(frame)
        log.info("%s", told(self.measured(frame)))
        parts = {key: part.data.modality(self._of(key, frame)) for key, part in self.tables.items()}
        for key, part in parts.items():
            if answers := [name for name in self.answers() if name in part.get("features", [])]:
                raise InputError(f"target {answers[0]!r} is among the features of {key}; a model would only copy it")
            if self.missing == "impute":
                part["imputed"] = True
        return joined(parts)

    def complete(self, modality: Modality, frame: pd.DataFrame, training: pd.DataFrame) -> None:
        """Features and levels of each modality, by the training samples that have it."""
        for key, part in modality["parts"].items():
            own, data = self._of(key, training), self.tables[key].data
            if len(own) < 2:
                raise InputError(f"{len(own)} training samples have {key}, 2 are needed; leave that modality out")
            data.complete(part, self._of(key, frame), own)
            if most := self.tables[key].most_predictive:
                target = self.find_target(frame)
                y = self.encode_target(training[training[AT.format(key)] >= 0], target)
                select(part, data.values(own, part)[torch.arange(len(own))], y, target, most)
        modality.update(joined(modality["parts"]))

    def duplicates(self, frame: pd.DataFrame, modality: Modality) -> pd.Series:
        """Equal for samples with equal values in all that they have, or in one modality of many measured numbers."""
        found = {}
        for key, part in self.tables.items():
            hashes = np.asarray(part.data.duplicates(self._of(key, frame), modality["parts"][key]))
            found[key] = pd.Series(pd.NA, frame.index, dtype="UInt64")
            found[key][frame[AT.format(key)] >= 0] = pd.util.hash_array(hashes)
        every = pd.util.hash_pandas_object(pd.DataFrame(found).astype(str), index=False)
        telling = [found[key] for key, part in modality["parts"].items() if key in found and of_one_sample(part)]
        return pd.Series(splitting.related(every, *telling), frame.index)

    def values(self, frame: pd.DataFrame, modality: Modality) -> Source:
        """Raw values of all modalities."""
        parts = {}
        for key, part in self.tables.items():
            at = frame[AT.format(key)].to_numpy()
            place = np.where(at >= 0, np.cumsum(at >= 0) - 1, -1)
            if (at >= 0).any():
                parts[key] = part.data.values(self._of(key, frame), modality["parts"][key]), place
        return JointRows(parts, modality).ready()

    def divide(self, read: Unsplit) -> Dataset:
        """Split; ``samples`` tells in columns such as ``"measured rna"`` who has what."""
        content = super().divide(read)
        if self.also and not self.trained:
            content.spec["also"] = {name: further(self, content.samples, about) for name, about in self.also.items()}
        split = content.samples["split"].to_numpy()
        for name, about in content.spec.get("also", {}).items():
            content.also[name] = self.encode_target(content.samples, about)
            if not self.trained:
                check_training(split, about, content.also[name], self.path)
        at = {AT.format(key): f"measured {key}" for key in self.tables}
        content.samples = content.samples.assign(**(content.samples[list(at)] >= 0)).rename(columns=at)
        return content

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """A training batch whose modalities are changed as their options say."""
        parts = {key: part.augment(batch["x"][key], generator) for key, part in self.tables.items()}  # type: ignore[index]
        return {**batch, "x": batch["x"].replace(parts)}  # type: ignore[attr-defined]

    def who_has_what(self) -> pd.DataFrame:
        """One row a sample, one column a modality, True where it was measured (see `join.combinations`)."""
        return pd.DataFrame({key: self.samples[f"measured {key}"] for key in self.tables})

    @cached_property
    def _encoder(self) -> JointEncoder:
        layer = encoder(modality_of(self.spec))
        layer.fit(self.training_inputs())
        return cast(JointEncoder, layer)

    def baseline_features(self, rows: Tensor) -> dict[str, np.ndarray]:
        """All modalities in standard units, the mean where one was not measured, and who has what."""
        return {"": torch.cat([self._encoder(self.dataset.x[some]) for some in rows.split(CHUNK)]).numpy()}

    def baseline_modalities(self, rows: Tensor) -> dict[str, np.ndarray]:
        """The same by modality, NaN where it was not measured."""
        encoded = torch.from_numpy(self.baseline_features(rows)[""])
        missing = self._encoder.measured(encoded).T[:, :, None] == 0
        parts = self._encoder.parts(encoded).items()
        return {
            key: part.flatten(1).masked_fill(absent, torch.nan).numpy()
            for (key, part), absent in zip(parts, missing, strict=True)
        }

    def describe(self) -> dict[str, Any]:
        """Name, checksum, licence and citation of the data."""
        about = super().describe()
        checksum = joint_checksum(about["sha256"], *(part.checksum() for part in self.tables.values()))
        return {**about, "sha256": checksum, "modalities": list(self.tables)}

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
from ...errors import InputError, check_choice, check_range
from ...spec import Modality, joined, modality_of
from ...tables.columns import check_ids
from ...tables.reading import BOOKS, read_table, suffix_of
from ...tables.values import as_text
from .. import split as splitting
from ..base import Batch, Dataset, Source, UnsplitDataset
from ..columns import check_training
from ..expression.expression import joint_checksum
from ..frame import FrameData
from ..table.selection import select
from .join import JointRows, check_overlap, conformed, measured_summary, of_one_sample
from .parts import Part, parts_of, read_h5mu_samples
from .targets import check_extra_targets, columns_of, extra_target, has_any_target

log = logging.getLogger("zoo")
MEASURED = "measured {}"  # column of the samples that states whether a modality was measured
AT = "__row_of_{}__"  # column of the position of each sample in the table of a modality, -1 if not measured
CHUNK = 1024


class MultiOmicsData(FrameData):
    """Several modalities of the same samples, each from its own table, joined by sample name.

    A sample may lack modalities. Each modality is encoded inside the model, with statistics of the training samples
    that have it. Samples that are equal in all their modalities, or in one entire omics table, always share a split.

    Args:
        path: Table of the samples with the target; or ``.h5mu``; or a data set with several assays (``miniacc``).
        modalities: Tables by name, such as ``{rna: rna.csv, mirna: mirna.tsv.gz}``, or with options, such as ``{rna:
            {path: rna.csv, scale: abundance, most_variable: 2000}}``: those of `ExpressionData`, `TableData`,
            `SequenceData`, `SeriesData` or `ImageData`. ``kind`` is expression, table, sequence, series or image; by
            default, tables with a text column are tables, and all others expression: numbers that are transformed
            according to their ``scale`` and identified by name. ``most_predictive: 500`` selects this many features,
            those most strongly associated with the target in univariate tests on the training samples. For an
            ``.h5mu`` file or a data set: names of its modalities to use, all by default. A table may have its own
            options ``sheet``, ``exclude`` and ``missing``, as of `FrameData`. Whether genes are in rows is detected by
            the names of the samples, and logged.
        clinical: Columns of the sample table that form a modality of their own, called ``clinical``.
        missing: Treatment of samples that lack a modality: ``keep`` (models ignore the missing modality), ``drop``, or
            ``impute`` (by the mean training sample; models receive no indicator that it is missing).
        target: Column of the sample table to predict. Default: the target in the card of the data set.
        also: Extra targets, which `MultiModal` and `CustOmics` predict from the same latent space, by name, such as
            ``{survival: {target: days, event: dead, weight: 0.5}}``; ``target_kind`` and ``positive`` as above. Samples
            that have a value of at least one target are used. By default those in the card of a data set.
        also_weight: Weight of the loss of each extra target without a ``weight`` of its own; that of the first is 1.
        target_kind: binary, multiclass, regression or survival; detected by default.
        positive: The positive one of two classes; by default by the usual words of the field, or the last in order.
        id: Column of the sample names, in all tables that have it. Default: the first column; for images, file names.
        **shared: Arguments of `FrameData` (unlabelled, event, exclude, sheet) and `Data`.

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
        also_weight: float = 1.0,
        target_kind: str | None = None,
        positive: str | None = None,
        id: str | None = None,  # noqa: A002 (the word that users look for)
        **shared: Any,
    ) -> None:
        super().__init__(path, target, target_kind, positive, id, **shared)
        check_choice("missing", missing, ["keep", "drop", "impute"])
        check_range("also_weight", also_weight, 0)
        if self.test_path is not None:
            raise InputError("no test_path with several modalities; mark the test samples in a column: --data.split")
        own = self.own if self.target == self.card.get("target") else {}
        self.modalities = self.own.get("modalities") if modalities is None else modalities
        self.clinical = self.own.get("clinical") if clinical is None else clinical
        self.missing, self.also_weight = missing, also_weight
        self.also = check_extra_targets(own.get("also", {}) if also is None else also, self.target)
        if self.also:
            self.unlabelled = "keep"

    @cached_property
    def tables(self) -> dict[str, Part]:
        """The table of each modality."""
        found = parts_of(self)
        if self.trained:
            found = conformed(found, self.trained, self.external)
        if not found:
            raise InputError(f"{self.path}: no modality to train on; give --data.modalities")
        if len(found) == 1 and not self.trained:
            raise InputError(f"{self.path}: only one modality ({next(iter(found))}): use ExpressionData or TableData")
        return found

    @cached_property
    def sample_table(self) -> pd.DataFrame:
        """The sample table, its rows numbered from 1."""
        return super()._frame()

    @cached_property
    def sample_names(self) -> pd.Index:
        """Names of the samples in the sample table."""
        ids = self.sample_table[self._id(self.sample_table)]
        check_ids(ids, self.path)
        return pd.Index(as_text(ids))

    def _frame(self) -> pd.DataFrame:
        """The sample table, with the position of each sample in the tables of the modalities (columns `AT`)."""
        frame, names = self.sample_table.copy(), self.sample_names
        for key, part in self.tables.items():
            if (measured := MEASURED.format(key)) in frame:
                raise InputError(
                    f"{self.path}: column {measured!r} has the name of one that is added; rename it, or leave it out: "
                    f'--data.exclude "[{measured}]"'
                )
            check_overlap(names, part.names, part.features, self.path, part.source)
            frame[AT.format(key)] = part.names.get_indexer(names)
        measured = self.measured(frame)
        kept = measured.all(axis=1) if self.missing == "drop" else measured.any(axis=1)
        if not kept.all():
            log.info(
                "%d samples that lack %s are left out",
                (~kept).sum(),
                "a modality" if self.missing == "drop" else "all modalities",
            )
        if not kept.any():
            raise InputError(f"{self.path}: no sample has all modalities; give --data.missing keep or impute")
        if self.also and not self.external:
            for name in self.target_columns():
                self.check_column(frame, name, "target")
            known = has_any_target(frame, super().target_columns(), self.also)
            if (unlabelled := kept & ~known).any():
                log.info("%d samples without a value of any target are left out", unlabelled.sum())
            kept &= known
        return frame[kept]

    def target_columns(self) -> list[str]:
        """Columns of all targets, extra ones included."""
        if self.trained:
            also = [[about["name"], about.get("event")] for about in self.trained.get("also", {}).values()]
            return [*super().target_columns(), *(name for columns in also for name in columns if name)]
        return [*super().target_columns(), *(name for options in self.also.values() for name in columns_of(options))]

    def read_file(self, path: Path) -> pd.DataFrame:
        """The sample table in a file; its first column, or ``id``, names the samples and stays text."""
        if path.suffix == ".h5mu":
            frame = read_h5mu_samples(path)
        else:
            text = [name for name in (self.id, self.group, self.split) if name]
            sheet = self.sheet if suffix_of(path) in BOOKS else None
            first = None if self.id else lambda _: True
            frame = read_table(path, text, self.missing_values, sheet, first, self.decimal)
        for name in [] if self.external else self.exclude:
            self.check_column(frame, name, "exclude")
        return frame.drop(columns=self.exclude, errors="ignore")

    def measured(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Measured modalities: one row per sample, one column per modality."""
        return pd.DataFrame({key: frame[AT.format(key)] >= 0 for key in self.tables}, index=frame.index)

    def _id(self, frame: pd.DataFrame) -> str:
        return super()._id(frame) or str(frame.columns[0])

    def frame(self) -> dict[str, Any]:
        """The tables as they are in the files, by modality; a target is not required."""
        return {key: part.frame() for key, part in self.tables.items()}

    def check_features(self, frame: pd.DataFrame, modality: Modality) -> None:
        """Raise an `InputError` if a table lacks what a trained model needs."""
        for name in self.target_columns():
            self.check_column(frame, name, "target")
        for key, part in self.tables.items():
            part.data.check_features(self._of(key, frame), modality["parts"][key])

    def _of(self, key: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows of the table of a modality that belong to these samples."""
        at = frame[AT.format(key)].to_numpy()
        return self.tables[key].rows.iloc[at[at >= 0]]

    def modality(self, frame: pd.DataFrame) -> Modality:
        """The modalities of the tables; features and levels follow from training rows in `complete`."""
        self.roles(frame)
        log.info("%s", measured_summary(self.measured(frame)))
        parts = {key: part.data.modality(self._of(key, frame)) for key, part in self.tables.items()}
        for key, part in parts.items():
            if leaked := [name for name in self.target_columns() if name in part.get("features", [])]:
                raise InputError(f"target {leaked[0]!r} is among the features of {key} (leakage); remove it")
            if self.missing == "impute":
                part["imputed"] = True
        return joined(parts)

    def complete(self, modality: Modality, frame: pd.DataFrame, training: pd.DataFrame) -> None:
        """Set features and levels of each modality, from the training samples that have it."""
        for key, part in modality["parts"].items():
            rows, data = self._of(key, training), self.tables[key].data
            if len(rows) < 2:
                raise InputError(f"{len(rows)} training samples have {key}, 2 are needed; leave that modality out")
            data.complete(part, self._of(key, frame), rows)
            if most := self.tables[key].most_predictive:
                target = self.find_target(frame)
                y = self.encode_target(training[training[AT.format(key)] >= 0], target)
                select(part, data.values(rows, part)[torch.arange(len(rows))], y, target, most)
        modality.update(joined(modality["parts"]))

    def duplicates(self, frame: pd.DataFrame, modality: Modality) -> pd.Series:
        """Equal for samples with equal values in all their modalities, or in one modality of many measured numbers."""
        found = {}
        for key, part in self.tables.items():
            hashes = np.asarray(part.data.duplicates(self._of(key, frame), modality["parts"][key]))
            found[key] = pd.Series(pd.NA, frame.index, dtype="UInt64")
            found[key][frame[AT.format(key)] >= 0] = pd.util.hash_array(hashes)
        every = pd.util.hash_pandas_object(pd.DataFrame(found).astype(str), index=False)
        parts = modality["parts"].items()
        single = [found[key] for key, part in parts if key in found and of_one_sample(self.tables[key], part)]
        return pd.Series(splitting.related(every, *single), frame.index)

    def values(self, frame: pd.DataFrame, modality: Modality) -> Source:
        """Raw values of all modalities."""
        parts = {}
        for key, part in self.tables.items():
            at = frame[AT.format(key)].to_numpy()
            place = np.where(at >= 0, np.cumsum(at >= 0) - 1, -1)
            if (at >= 0).any():
                parts[key] = part.data.values(self._of(key, frame), modality["parts"][key]), place
        return JointRows(parts, modality).ready()

    def apply_split(self, unsplit: UnsplitDataset) -> Dataset:
        """Split the samples; columns such as ``"measured rna"`` of ``samples`` state which modalities were measured."""
        dataset = super().apply_split(unsplit)
        samples = dataset.samples
        if self.also and not self.trained:
            dataset.spec["also"] = {name: extra_target(self, samples, options) for name, options in self.also.items()}
        split = samples["split"].to_numpy()
        for name, target in dataset.spec.get("also", {}).items():
            dataset.also[name] = self.encode_target(samples, target)
            if not self.trained:
                check_training(split, target, dataset.also[name], self.path)
        at = {AT.format(key): MEASURED.format(key) for key in self.tables}
        dataset.samples = samples.assign(**(samples[list(at)] >= 0)).rename(columns=at)
        return dataset

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Augment each modality of a training batch by its options."""
        parts = {key: part.augment(batch["x"][key], generator) for key, part in self.tables.items()}  # type: ignore[index]
        return {**batch, "x": batch["x"].replace(parts)}  # type: ignore[attr-defined]

    def measured_modalities(self) -> pd.DataFrame:
        """One row per sample, one column per modality, True where it was measured (see `join.combinations`)."""
        return pd.DataFrame({key: self.samples[MEASURED.format(key)] for key in self.tables})

    @cached_property
    def _encoder(self) -> JointEncoder:
        layer = encoder(modality_of(self.spec))
        layer.fit(self.training_inputs())
        return cast(JointEncoder, layer)

    def baseline_features(self, rows: Tensor) -> dict[str, np.ndarray]:
        """All modalities, standardised and mean-imputed where not measured, and indicators of what was measured."""
        return {"": torch.cat([self._encoder(self.dataset.x[part]) for part in rows.split(CHUNK)]).numpy()}

    def baseline_modalities(self, rows: Tensor) -> dict[str, np.ndarray]:
        """Encoded features of each modality, NaN where it was not measured."""
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

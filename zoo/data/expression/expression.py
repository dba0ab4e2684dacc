"""Data module of expression: single-cell counts, bulk RNA-seq, microarrays, proteins; sparse except in batches."""

import hashlib
import logging
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor

from ... import files
from ...encode.expression import SCALES, ExpressionEncoder
from ...encode.expression_rows import ExpressionRows, check_values, covariate_values, match_genes
from ...errors import InputError, check_choice, check_different, check_range
from ...spec import Modality, modality_of
from ...tables import genes as names_of_genes
from ...tables.reading import BOOKS, listing, read_table, suffix_of
from .. import columns
from ..base import IS_TEST, Dataset, Source, UnsplitDataset
from ..datasets import assay_of
from ..frame import FrameData
from . import genes as expression_genes
from .files import (
    Expression,
    content_of,
    is_matrix,
    matrix_of_table,
    name_column,
    read_card,
    read_matrix,
    read_samples,
)

log = logging.getLogger("zoo")
ROW = "__matrix_row__"  # column of the position of a sample in the matrix, until the split
STATISTICS, CHUNK = 1 << 26, 1024  # most values from which statistics are computed; samples encoded at a time
Scale = Literal["counts", "abundance", "log", "beta", "none"]


class ExpressionData(FrameData):
    """Gene expression of samples or cells, from ``.h5ad``, 10x Genomics, any table, or a packaged data set.

    The matrix stays sparse in memory (float32); only the rows of a batch become dense. Genes that are constant in the
    training samples are left out and logged. Samples with equal expression always share a split.

    Args:
        path: ``.h5ad`` (samples and their annotation in ``obs``); ``.h5`` or a folder with ``matrix.mtx`` of 10x
            Genomics; a table (see `zoo.tables`); or the name of a data set with a card (``miniacc``). Text columns,
            columns named by other arguments, and columns called as measures of quality, clusters or properties of
            samples (``total_counts``, ``leiden``, ``age``) are not genes; those that are left out are logged.
        target: Column of the annotation to predict; not required for autoencoders. Default: the target in the card of
            the data set.
        samples_path: Table with annotation of the samples, matched by their names in its first column, or in ``id``.
        covariates: Columns of the annotation that are conditions (batch, centre, sex): an autoencoder is given them as
            input and does not reconstruct them; other models use them as features. Text, and integers with up to ten
            different values, are categories.
        scale: Scale of the values: ``counts``, ``abundance`` (normalised, such as TPM), ``log``, ``beta``
            (methylation, 0 to 1) or ``none`` (levels, scores: not transformed). By default, integers are counts
            (``none`` if no value is above 2 or some are negative); other values are abundances if one is above 50 and
            none is negative, ``none`` if genes are standardised, else logarithms. Training rows decide.
        most_variable: Number of genes to select: those with the highest variance of the logarithms in training samples.
            Counts are then normalised to 10,000 counts of these genes.
        layer: Layer of an ``.h5ad``, such as ``counts``; X by default.
        assay: Assay of a data set with several; the card defines the default.
        genes_in_rows: The table has genes in rows and samples in columns, as series matrices of GEO, GCT and
            featureCounts. Default: as the names of annotated samples, headers and names of the table show, which is
            logged.
        target_kind: binary, multiclass or regression; detected by default. ``none`` ignores the target of the card.
        positive: The positive one of two classes; by default by the usual words of the field, or the last in order.
        id: Column that names the samples. Default: the row names, or a first column of text or called as names are
            (``id``, ``cell``), else rows are numbered.
        **shared: Arguments of `FrameData` (test_path, unlabelled, event, missing, exclude, sheet) and `Data`.

    Raises:
        InputError: Anything that is wrong with the matrix or the annotation, in one line.
    """

    kind = "expression"
    columns_are_features = True

    def __init__(
        self,
        path: str,
        target: str | None = None,
        samples_path: str | None = None,
        covariates: list[str] | None = None,
        scale: Scale | None = None,
        most_variable: int | None = None,
        layer: str | None = None,
        assay: str | None = None,
        genes_in_rows: bool | None = None,
        target_kind: str | None = None,
        positive: str | None = None,
        id: str | None = None,  # noqa: A002 (the word that users look for)
        **shared: Any,
    ) -> None:
        super().__init__(path, target, target_kind, positive, id, **shared)
        if scale is not None:
            check_choice("scale", scale, SCALES)
        if most_variable is not None:
            check_range("most_variable", most_variable, 2)
        if genes_in_rows and not self.card and is_matrix(Path(path)):
            raise InputError(f"{path}: genes_in_rows is for tables; transpose the matrix (AnnData: adata.T)")
        if layer is not None and (self.card or Path(path).suffix != ".h5ad"):
            raise InputError(f"{path}: layer {layer!r} is for .h5ad files")
        if assay is not None and "assays" not in self.card:
            raise InputError(f"{path}: assay {assay!r} is for data sets with several")
        check_different("covariates", covariates or [])
        about = assay_of(self.card, assay) if "assays" in self.card else self.card
        if "assays" in self.card and "scale" not in about:
            raise InputError(f"assay {assay} of {path} is not expression data: {about['meaning']}")
        self.assay = about["name"] if "assays" in self.card else None
        self.samples_path, self.layer, self.genes_in_rows = samples_path, layer, genes_in_rows
        self.covariates = self.card.get("covariates", []) if covariates is None else covariates
        self.scale = scale or about.get("scale")
        self.most_variable = most_variable
        self._excluded: set[str] = set()  # columns of the file itself, which were left out when it was read

    @cached_property
    def parts(self) -> list[Expression]:
        """Expression and annotation of the file, and of a separate test file."""
        paths = [self.path] if self.test_path is None or self.external else [self.path, self.test_path]
        return [self._read_matrix(path) for path in paths]

    @cached_property
    def expression(self) -> Expression:
        """Expression of all samples; those of a separate test file come last."""
        return self.parts[0] if len(self.parts) == 1 else self.parts[0].beneath(self.parts[1])

    def _read_matrix(self, path: str) -> Expression:
        annotation = self._annotation
        if self.card and path == self.path:
            read = read_card(self.card, self.assay, self.id)
        elif is_matrix(Path(path)):
            read = read_matrix(Path(path), self.layer, self.id)
        else:
            read = self._read_expression(Path(path))
        if annotation is not None:
            read = read.annotated(annotation, str(self.samples_path), self.id)
        if self.id and self.id != read.samples.columns[0]:
            self.check_column(read.samples, self.id, "id")
        return read if self.trained else read.without([n for n in self.exclude if n not in self._excluded])

    @cached_property
    def _annotation(self) -> pd.DataFrame | None:
        if not self.samples_path:
            return None
        text = [name for name in (self.group, self.split) if name]
        return read_samples(Path(self.samples_path), self.id, self.missing_values, text)

    @cached_property
    def _annotated(self) -> pd.Index | None:
        """Names of the annotated samples."""
        if self._annotation is None:
            return None
        return pd.Index(names_of_genes.names_of(self._annotation[name_column(self._annotation, self.id)]))

    def _read_expression(self, path: Path) -> Expression:
        """Expression in a table, by the options of this data module; names of samples, genes and groups stay text."""
        names_of_genes.check_kind(path)
        text = [name for name in (self.id, self.group, self.split) if name]
        sheet = self.sheet if suffix_of(path) in BOOKS else None
        frame = read_table(path, text, self.missing_values, sheet, names_of_genes.holds_names, self.decimal)
        if found := [name for name in self.exclude if name in frame]:
            self._excluded.update(found)
            frame = frame.drop(columns=found)
        others = {name for name in (*self.target_columns(), self.group, self.split, *self._conditions()) if name}
        genes = modality_of(self.trained)["features"] if self.trained else []
        turned = names_of_genes.genes_are_in_rows(
            frame,
            str(path),
            self.genes_in_rows,
            [*others, *([self.id] if self.id else [])],
            self._annotated,
            set(genes) - set(self._conditions()),
        )
        return matrix_of_table(frame, str(path), others, turned, self.id, bool(self.trained))

    def _conditions(self) -> list[str]:
        return modality_of(self.trained).get("covariates", []) if self.trained else self.covariates

    def _frame(self) -> pd.DataFrame:
        frame = self.parts[0].samples.set_axis(pd.RangeIndex(1, len(self.parts[0].samples) + 1, name="row"))
        return frame.assign(**{ROW: np.arange(len(frame))})

    def _frame_with_test(self) -> pd.DataFrame:
        frame, samples = self._frame(), self.expression.samples
        if len(samples) == len(frame):
            return frame
        test = samples.iloc[len(frame) :].assign(**{ROW: np.arange(len(frame), len(samples))})
        test.index = pd.Index([f"{row} of {self.test_path}" for row in range(1, len(test) + 1)])
        return pd.concat([frame.assign(**{IS_TEST: False}), test.assign(**{IS_TEST: True})])

    def _id(self, frame: pd.DataFrame) -> str:
        return str(frame.columns[0])

    def frame(self) -> AnnData:
        """All samples as they are in the file; a target is not required."""
        return self.parts[0].to_anndata()

    def check_features(self, frame: pd.DataFrame, modality: Modality) -> None:
        """No check here: `values` matches the genes."""

    def modality(self, frame: pd.DataFrame) -> Modality:
        """All genes and the covariates; `complete` selects genes and detects the scale from training rows."""
        self.roles(frame)
        expression, covariates = self.expression, list(self.covariates)
        for name in covariates:
            self.check_column(frame, name, "covariate")
            if name == self.target:
                raise InputError(f"target {name!r} is among the covariates (leakage); remove it")
            if name in expression.genes:
                raise InputError(f"{self.path}: {name!r} is a covariate and a gene; rename one")
        if len(expression.genes) < 2:
            raise InputError(f"{self.path}: {len(expression.genes)} genes (columns of numbers), at least 2 are needed")
        return Modality(
            kind="expression",
            shape=[len(expression.genes) + len(covariates)],
            features=[*expression.genes, *covariates],
            covariates=covariates,
            scale=self.scale or "",
            levels={},
        )

    def _check_values(self, scale: str) -> None:
        for part in self.parts:
            check_values(part.matrix, part.genes, part.names, scale, part.source)

    def duplicates(self, frame: pd.DataFrame, modality: Modality) -> pd.Series:
        """A hash of the values of each sample."""
        return pd.Series(expression_genes.row_hashes(self.expression.matrix)[frame[ROW]])

    def complete(self, modality: Modality, frame: pd.DataFrame, training: pd.DataFrame) -> None:
        """Detect the scale, select genes that vary, or vary most, and set the levels of the covariates.

        Only training rows are used; then the values of all rows are checked.
        """
        rows, genes, matrix = training[ROW].to_numpy(), self.expression.genes, self.expression.matrix
        source = self.parts[0].source
        sums = expression_genes.sums_of_others(matrix, rows)
        if len(sums):
            log.warning("%s: %s left out: it is the sum of all others", source, listing(list(genes[sums])))
        if not (scale := self.scale):
            known = matrix if not len(sums) else matrix[:, np.setdiff1d(np.arange(len(genes)), sums)]
            scale = expression_genes.detect_scale(known, rows)
            how = "if this is wrong, give --data.scale (of a modality: scale in --data.modalities)"
            log.info("%s: scale detected as %s; %s", source, scale, how)
        self._check_values(scale)
        modality["scale"] = scale
        selected = expression_genes.selected_genes(matrix, genes, rows, scale, self.most_variable, source, sums)
        modality["features"] = [*genes[selected], *modality["covariates"]]
        modality["shape"] = [len(modality["features"])]
        levels: dict[str, list[str]] = {
            name: [] for name in modality["covariates"] if expression_genes.is_category(training[name])
        }
        modality["levels"] = columns.levels(frame, training, levels, {}, {}, self.path)

    def values(self, frame: pd.DataFrame, modality: Modality) -> Source:
        """Raw values, whose rows become dense on access."""
        expression, conditions = self.expression, modality["covariates"]
        if self.trained:
            self._check_values(modality["scale"])
        genes = modality["features"][: len(modality["features"]) - len(conditions)]
        place = match_genes(genes, expression.genes, self.path)
        covariates = covariate_values(frame, modality, self.path)
        return ExpressionRows(expression.matrix, place, covariates, frame[ROW].to_numpy())

    def apply_split(self, unsplit: UnsplitDataset) -> Dataset:
        """Split the samples, and remove the column `ROW`."""
        dataset = super().apply_split(unsplit)
        dataset.samples = dataset.samples.drop(columns=ROW)
        return dataset

    def _statistics_rows(self) -> Tensor:
        rows = self.dataset.rows("train")
        most = max(2, STATISTICS // modality_of(self.spec)["shape"][0])
        if len(rows) <= most:
            return rows
        return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(self.seed))[:most].sort()[0]]

    def training_inputs(self) -> Tensor:
        """Raw training rows, dense, to which encodings are fitted.

        If the training rows have more than 2**26 values (256 MB), a random subset of this size is drawn.
        """
        return self.dataset.x[self._statistics_rows()]

    def training_targets(self) -> Tensor:
        """Targets of the rows of `training_inputs`."""
        return self.dataset.y[self._statistics_rows()]

    @cached_property
    def _encoder(self) -> ExpressionEncoder:
        layer = ExpressionEncoder(modality_of(self.spec))
        layer.fit(self.training_inputs())
        return layer

    def baseline_features(self, rows: Tensor) -> dict[str, np.ndarray]:
        """Standardised logarithms, and the encoded covariates."""
        return {"": torch.cat([self._encoder(self.dataset.x[part]) for part in rows.split(CHUNK)]).numpy()}

    def describe(self) -> dict[str, Any]:
        """Name, checksum, licence and citation of the data."""
        if not self.card and Path(self.path).is_dir():
            checksum = files.sha256(content_of(Path(self.path)))
            about = {"name": Path(self.path).name, "sha256": checksum, "licence": "not stated"}
        else:
            about = super().describe()
        if self.assay:
            checksum = joint_checksum(self.card["assays"][self.assay]["sha256"], about["sha256"])
            return {**about, "sha256": checksum, "assay": self.assay}
        if self.samples_path:
            return {**about, "sha256": joint_checksum(about["sha256"], files.sha256(Path(self.samples_path)))}
        return about


def joint_checksum(*checksums: str) -> str:
    """Checksum of several files, from the checksum of each."""
    return hashlib.sha256("\n".join(checksums).encode()).hexdigest()

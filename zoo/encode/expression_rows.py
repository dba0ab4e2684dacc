"""Reading of expression: sparse matrices that become dense one batch at a time, with genes matched by name."""

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy import sparse
from torch import Tensor

from ..errors import InputError, suggest
from ..spec import Modality
from ..tables.genes import gene_values
from .expression import AS_THEY_ARE, covariate_table
from .kinds import READERS
from .table import table_to_tensor

log = logging.getLogger("zoo")
LEAST_OVERLAP = 0.8  # minimum share of the genes of a model that other data must have
BLOCK = 1 << 22  # number of stored values that are checked together
VERSION = re.compile(r"(ENS\w+)\.\d+")


class ExpressionRows:
    """Raw values of samples, converted to dense tensors one batch at a time.

    Args:
        matrix: float32, ``shape=(rows, columns)``; it is not copied.
        columns: Column of each gene in the matrix, ``shape=(genes,)``; -1 if it was not measured.
        covariates: float32, ``shape=(samples, covariates)``, or None.
        at: Row of each sample in the matrix, ``shape=(samples,)``; by default all rows in order.
    """

    def __init__(
        self, matrix: sparse.csr_matrix, columns: np.ndarray, covariates: Tensor | None, at: np.ndarray | None = None
    ) -> None:
        self.matrix, self.covariates = matrix, covariates
        self.at = np.arange(matrix.shape[0]) if at is None else at
        self.place = np.full(matrix.shape[1], -1)  # index of each column of the matrix among the genes
        self.place[columns[columns >= 0]] = np.flatnonzero(columns >= 0)
        self.absent = np.flatnonzero(columns < 0)
        self.genes, self.in_order = len(columns), np.array_equal(columns, np.arange(matrix.shape[1]))

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Raw values of these samples, float32 ``shape=(rows, genes + covariates)``; NaN where not measured."""
        rows = torch.as_tensor(rows)
        part = self.matrix[self.at[rows.numpy()]]
        if self.in_order:
            dense = part.toarray()
        else:
            columns = self.place[part.indices]
            known = columns >= 0
            dense = np.zeros((len(rows), self.genes), dtype=np.float32)
            dense[np.repeat(np.arange(len(rows)), np.diff(part.indptr))[known], columns[known]] = part.data[known]
            dense[:, self.absent] = np.nan
        x = torch.from_numpy(dense)
        return x if self.covariates is None else torch.cat([x, self.covariates[rows]], 1)


def as_csr(values: Any) -> sparse.csr_matrix:
    """A dense or sparse matrix of numbers, in memory or in an open file, as float32 CSR.

    Dense matrices are converted in blocks, without a full copy. Duplicate entries are summed, as scipy does.
    """
    if hasattr(values, "to_memory"):  # of an AnnData in backed mode
        values = values.to_memory()
    if not sparse.issparse(values):
        step = max(1, BLOCK // max(1, values.shape[1]))
        parts = [sparse.csr_matrix(values[i : i + step], dtype=np.float32) for i in range(0, values.shape[0], step)]
        return sparse.vstack(parts, format="csr") if parts else sparse.csr_matrix(values.shape, dtype=np.float32)
    matrix = sparse.csr_matrix(values, dtype=np.float32)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()  # the user's matrix is not changed
        matrix.sum_duplicates()
    return matrix


def row_blocks(matrix: sparse.csr_matrix) -> Iterator[slice]:
    """Blocks of consecutive rows with about `BLOCK` stored values each."""
    boundaries = np.searchsorted(matrix.indptr, np.arange(BLOCK, matrix.nnz, BLOCK))
    edges = np.unique([0, *boundaries, matrix.shape[0]])
    yield from map(slice, edges[:-1], edges[1:])


def check_values(
    matrix: sparse.csr_matrix, genes: pd.Index, samples: pd.Index, scale: str, source: str, hint: str = ""
) -> None:
    """Raise an `InputError` that names the first sample and gene with an invalid value for this scale.

    Args:
        matrix: ``shape=(samples, genes)``.
        genes: Names of the genes.
        samples: Names of the samples.
        scale: One of `zoo.encode.expression.SCALES`.
        source: Name of the data in errors.
        hint: Advice for values that are not counts.
    """
    where = "--data.scale, or scale of a modality in --data.modalities"
    hint = hint or f"if these are not counts, give the scale abundance or log ({where})"
    checks: list[tuple[Callable[[np.ndarray], np.ndarray], str]] = []
    checks.append((np.isinf, "is infinite or beyond float32; correct it"))
    if scale == "counts":
        checks.append((np.isnan, "is missing, but counts cannot be missing; fill it in or leave the gene out"))
    if scale == "beta":
        checks.append((lambda data: (data < 0) | (data > 1), "is not between 0 and 1; for M-values give the scale log"))
    elif scale not in AS_THEY_ARE:
        checks.append((lambda data: data < 0, f"is negative, {scale} cannot be; correct it, or give the scale log"))
    if scale == "counts":
        checks.append((lambda data: data % 1 != 0, f"is not a whole number; {hint}"))
    for rows in row_blocks(matrix):
        begin = matrix.indptr[rows.start]
        data = matrix.data[begin : matrix.indptr[rows.stop]]
        for test, problem in checks:
            if (bad := test(data)).any():
                at = begin + int(bad.argmax())
                sample = samples[np.searchsorted(matrix.indptr, at, "right") - 1]
                gene, value = genes[matrix.indices[at]], matrix.data[at]
                raise InputError(f"{source}: sample {sample}, gene {gene}: the value {value:g} {problem}")
    if scale == "counts" and (empty := np.asarray(matrix.sum(1)).ravel() == 0).any():
        raise InputError(f"{source}: sample {samples[int(empty.argmax())]} has no counts in any gene; leave it out")


def match_genes(genes: list[str], names: pd.Index, source: str) -> np.ndarray:
    """Index of each gene of a model among the genes of other data, ``shape=(genes,)``; -1 if it is missing.

    Raises:
        InputError: Less than 80 % of the genes are present, or a gene occurs more than once.
    """
    if (doubled := names[names.duplicated()].intersection(genes)).size:
        raise InputError(f"{source}: gene {doubled[0]!r} occurs more than once; rename or remove one")
    place = {name: number for number, name in enumerate(names)}
    columns = np.array([place.get(name, -1) for name in genes])
    if not (absent := [name for name in genes if name not in place]):
        return columns
    share = 1 - len(absent) / len(genes)
    first = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
    if share < LEAST_OVERLAP:
        raise InputError(
            f"{source} has {len(genes) - len(absent)} of the {len(genes)} genes that are needed ({share:.0%}, at least "
            f"{LEAST_OVERLAP:.0%} are required); first missing: {first}; {_other_spelling(genes, names)}"
        )
    log.warning(
        "%s: %d of %d genes were not measured and are set to the training mean: %s",
        source,
        len(absent),
        len(genes),
        first,
    )
    return columns


def _other_spelling(genes: list[str], names: pd.Index) -> str:
    """A hint if the names match except for case or version, else the most similar name."""
    for what, plain in (("in case", str.lower), ("in their version", lambda name: VERSION.sub(r"\1", name))):
        known = {plain(name): name for name in names}
        matches = [(name, known[plain(name)]) for name in genes if known.get(plain(name), name) != name]
        if len(matches) >= LEAST_OVERLAP * len(genes) / 2:
            return f"the names differ {what} ({matches[0][0]}, {matches[0][1]}): rename the genes"
    return suggest(next(name for name in genes if name not in names), names[:5000])


@READERS.add("expression")
def expression_to_tensor(
    frame: pd.DataFrame | AnnData, modality: Modality, source: str = "the table"
) -> Tensor | ExpressionRows:
    """Raw values of a user's samples, with genes and covariates matched by name in any order.

    Args:
        frame: One sample per row, genes and covariates in columns; or an AnnData with covariates in ``obs``.
        modality: Genes, covariates and scale of a trained model.
        source: Name of the data in errors.

    Returns:
        float32, ``shape=(samples, genes + covariates)``; for an AnnData `ExpressionRows`, from which batches are read.
        Genes that were not measured are NaN, unknown levels of a covariate ``len(levels)``.

    Raises:
        InputError: Too few of the genes are present (see `match_genes`), a covariate is missing, or a value is invalid
            for the scale.
    """
    names = pd.Index(frame.columns if isinstance(frame, pd.DataFrame) else frame.var_names).map(str)
    genes = [name for name in modality["features"] if name not in modality.get("covariates", [])]
    columns = match_genes(genes, names, source)
    if isinstance(frame, pd.DataFrame):
        frame = frame.set_axis(names, axis=1)
        found, hint, covariates = names[columns[columns >= 0]], "", covariate_values(frame, modality, source)
        matrix = as_csr(gene_values({name: frame[name] for name in found}, frame.index, source))
        columns = np.where(columns >= 0, np.cumsum(columns >= 0) - 1, -1)
    else:
        if frame.X is None:
            raise InputError(f"{source} has no X; put the values of a layer there")
        matrix, found, covariates = as_csr(frame.X), names, covariate_values(frame.obs, modality, source)
        hint = f"the layers {', '.join(frame.layers)} may have them" if frame.layers else ""
    samples = frame.index if isinstance(frame, pd.DataFrame) else frame.obs_names
    check_values(matrix, found, samples, modality["scale"], source, hint or "the model was trained on counts")
    rows = ExpressionRows(matrix, columns, covariates)
    return rows[torch.arange(len(rows))] if isinstance(frame, pd.DataFrame) else rows


def covariate_values(samples: pd.DataFrame, modality: Modality, source: str) -> Tensor | None:
    """Raw values of the covariates, ``shape=(samples, covariates)``; None if there are none."""
    table = covariate_table(modality)
    for name in table["features"]:
        if name not in samples:
            raise InputError(f"{source}: no covariate {name!r}; {suggest(name, map(str, samples.columns))}")
    return table_to_tensor(samples, table, source) if table["features"] else None

"""Expression matrices that stay sparse until a batch is made, and their genes found by name."""

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
from .expression import AS_THEY_ARE, covariate_table
from .kinds import READERS
from .table import table_to_tensor

log = logging.getLogger("zoo")
LEAST_OVERLAP = 0.8  # of the genes of a model that other data must have
BLOCK = 1 << 22  # stored values that are looked at together
VERSION = re.compile(r"(ENS\w+)\.\d+")


class ExpressionRows:
    """Raw values of samples, made dense a batch at a time.

    Args:
        matrix: float32, ``shape=(rows, columns)``; it is not copied.
        columns: Column of each gene in the matrix, ``shape=(genes,)``; -1 if it was not measured.
        covariates: float32, ``shape=(samples, covariates)``, or None.
        at: Row of each sample in the matrix, ``shape=(samples,)``; by default all, in order.
    """

    def __init__(
        self, matrix: sparse.csr_matrix, columns: np.ndarray, covariates: Tensor | None, at: np.ndarray | None = None
    ) -> None:
        self.matrix, self.covariates = matrix, covariates
        self.at = np.arange(matrix.shape[0]) if at is None else at
        self.place = np.full(matrix.shape[1], -1)  # of each column of the matrix among the genes
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
    """A dense or sparse matrix of numbers, in memory or in an open file, as float32 CSR; nothing dense is copied whole.

    Cells that are stored twice are summed, as everywhere.
    """
    if hasattr(values, "to_memory"):  # of an AnnData that stays in its file
        values = values.to_memory()
    if not sparse.issparse(values):
        step = max(1, BLOCK // max(1, values.shape[1]))
        parts = [sparse.csr_matrix(values[i : i + step], dtype=np.float32) for i in range(0, values.shape[0], step)]
        return sparse.vstack(parts, format="csr") if parts else sparse.csr_matrix(values.shape, dtype=np.float32)
    matrix = sparse.csr_matrix(values, dtype=np.float32)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()  # the user's own stays as it is
        matrix.sum_duplicates()
    return matrix


def row_blocks(matrix: sparse.csr_matrix) -> Iterator[slice]:
    """Runs of rows that hold about `BLOCK` stored values each."""
    ends = np.searchsorted(matrix.indptr, np.arange(BLOCK, matrix.nnz, BLOCK))
    edges = np.unique([0, *ends, matrix.shape[0]])
    yield from map(slice, edges[:-1], edges[1:])


def check_values(
    matrix: sparse.csr_matrix, genes: pd.Index, samples: pd.Index, scale: str, source: str, hint: str = ""
) -> None:
    """Raise an `InputError` that names the first sample and gene whose value cannot be of this scale.

    Args:
        matrix: ``shape=(samples, genes)``.
        genes: Their names.
        samples: Their names.
        scale: One of `zoo.encode.expression.SCALES`.
        source: What to call the data.
        hint: What to do if these are no counts.
    """
    hint = hint or "if these are not counts, give --data.scale abundance or log"
    wrong: list[tuple[Callable[[np.ndarray], np.ndarray], str]] = [(np.isinf, "is infinite or beyond float32; mend it")]
    if scale == "counts":
        wrong.append((np.isnan, "is missing, counts are known or 0; fill it in or leave the gene out"))
    if scale == "beta":
        wrong.append(
            (lambda data: (data < 0) | (data > 1), "is no share between 0 and 1; are these M-values? Give log")
        )
    elif scale not in AS_THEY_ARE:
        wrong.append((lambda data: data < 0, f"is negative, {scale} cannot be; mend it, or give --data.scale log"))
    if scale == "counts":
        wrong.append((lambda data: data % 1 != 0, f"is not a whole number; {hint}"))
    for rows in row_blocks(matrix):
        begin = matrix.indptr[rows.start]
        data = matrix.data[begin : matrix.indptr[rows.stop]]
        for test, told in wrong:
            if (bad := test(data)).any():
                at = begin + int(bad.argmax())
                sample = samples[np.searchsorted(matrix.indptr, at, "right") - 1]
                gene, value = genes[matrix.indices[at]], matrix.data[at]
                raise InputError(f"{source}: sample {sample}, gene {gene}: the value {value:g} {told}")
    if scale == "counts" and (empty := np.asarray(matrix.sum(1)).ravel() == 0).any():
        raise InputError(f"{source}: sample {samples[int(empty.argmax())]} has no counts in any gene; leave it out")


def match_genes(genes: list[str], names: pd.Index, source: str) -> np.ndarray:
    """Where each gene that a model knows is among those of other data; -1 if it is not, ``shape=(genes,)``.

    Raises:
        InputError: Less than `LEAST_OVERLAP` of them are there, or one of them twice.
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
            f"{LEAST_OVERLAP:.0%} must be there); first missing: {first}; {_other_spelling(genes, names)}"
        )
    log.warning("%s: %d of %d genes were not measured and count as average: %s", source, len(absent), len(genes), first)
    return columns


def _other_spelling(genes: list[str], names: pd.Index) -> str:
    """Whether the names would be found if case or version were left out of them."""
    for what, plain in (("in case", str.lower), ("in their version", lambda name: VERSION.sub(r"\1", name))):
        known = {plain(name): name for name in names}
        found = [(name, known[plain(name)]) for name in genes if known.get(plain(name), name) != name]
        if len(found) >= LEAST_OVERLAP * len(genes) / 2:
            return f"the names differ {what} ({found[0][0]}, {found[0][1]}): spell them alike"
    return suggest(next(name for name in genes if name not in names), names[:5000])


@READERS.add("expression")
def expression_to_tensor(
    frame: pd.DataFrame | AnnData, modality: Modality, source: str = "the table"
) -> Tensor | ExpressionRows:
    """Raw values of a user's samples, genes and covariates found by name in any order.

    Args:
        frame: One sample a row, genes and covariates in columns; or an AnnData with covariates in ``obs``.
        modality: What a trained model knows.
        source: What to call the data in an error.

    Returns:
        float32, ``shape=(samples, genes + covariates)``; of an AnnData `ExpressionRows`, which make them when they are
        asked for. A gene that was not measured is NaN, a level of a covariate that is not known ``len(levels)``.

    Raises:
        InputError: Too few of the genes (see `match_genes`), no such covariate, or a value that cannot be of the scale.
    """
    names = pd.Index(frame.columns if isinstance(frame, pd.DataFrame) else frame.var_names).map(str)
    genes = [name for name in modality["features"] if name not in modality.get("covariates", [])]
    columns = match_genes(genes, names, source)
    if isinstance(frame, pd.DataFrame):
        frame = frame.set_axis(names, axis=1)
        found, hint, covariates = names[columns[columns >= 0]], "", covariate_values(frame, modality, source)
        matrix = as_csr(gene_values(frame[found], source))
        columns = np.where(columns >= 0, np.cumsum(columns >= 0) - 1, -1)
    else:
        if frame.X is None:
            raise InputError(f"{source} has no X; put the values of a layer there")
        matrix, found, covariates = as_csr(frame.X), names, covariate_values(frame.obs, modality, source)
        hint = f"the layers {', '.join(frame.layers)} may have them" if frame.layers else "the model learnt from counts"
    samples = frame.index if isinstance(frame, pd.DataFrame) else frame.obs_names
    check_values(matrix, found, samples, modality["scale"], source, hint or "the model learnt from counts")
    rows = ExpressionRows(matrix, columns, covariates)
    return rows[torch.arange(len(rows))] if isinstance(frame, pd.DataFrame) else rows


def covariate_values(samples: pd.DataFrame, modality: Modality, source: str) -> Tensor | None:
    """Raw values of the covariates, ``shape=(samples, covariates)``; None if there are none."""
    table = covariate_table(modality)
    for name in table["features"]:
        if name not in samples:
            raise InputError(f"{source}: no covariate {name!r}; {suggest(name, map(str, samples.columns))}")
    return table_to_tensor(samples, table, source) if table["features"] else None


def gene_values(frame: pd.DataFrame, source: str) -> np.ndarray:
    """Columns as float32, missing values as NaN; raise an `InputError` that names the first text."""
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes.unique()):
        parsed = frame.apply(pd.to_numeric, errors="coerce")
        if (bad := parsed.isna().to_numpy() & frame.notna().to_numpy()).any():
            row, column = np.argwhere(bad)[0]
            raise InputError(
                f"{source}: sample {frame.index[row]}, gene {frame.columns[column]}: {str(frame.iloc[row, column])!r} "
                "is not a number; mend it, or leave it empty if missing"
            )
        frame = parsed
    with np.errstate(over="ignore"):
        values: np.ndarray = frame.to_numpy(dtype=np.float32, na_value=np.nan)
    return values

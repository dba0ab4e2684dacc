"""Properties of an expression matrix: its scale, duplicates among its samples, and which genes vary."""

import logging

import numpy as np
import pandas as pd
from scipy import sparse

from ...encode.expression import AS_THEY_ARE, PER
from ...encode.expression_rows import BLOCK, row_blocks
from ...errors import InputError
from ...tables.target import MOST_CLASSES
from ...tables.values import as_text

log = logging.getLogger("zoo")
HIGHEST_LEVEL = 2
HIGHEST_LOG = 50  # logarithms of expression are lower, for any base


def detect_scale(matrix: sparse.csr_matrix) -> str:
    """Detect the scale of the values: ``"counts"``, ``"abundance"``, ``"log"`` or ``"none"``.

    Integers are counts, but levels (``"none"``) if none is above 2 (mutations, alleles) or some are negative (copy
    number). Other values are abundances if none is negative and one is above 50, else logarithms.
    """
    integers, low, high = True, 0.0, 0.0
    for rows in row_blocks(matrix):
        data = matrix.data[matrix.indptr[rows.start] : matrix.indptr[rows.stop]]
        data = data[np.isfinite(data)]
        if len(data):
            low, high = min(low, float(data.min())), max(high, float(data.max()))
            integers = integers and bool((data % 1 == 0).all())
    if integers and (low < 0 or high <= HIGHEST_LEVEL):
        return "none"
    if low < 0:
        return "log"
    return "counts" if integers else "abundance" if high > HIGHEST_LOG else "log"


def row_hashes(matrix: sparse.csr_matrix) -> np.ndarray:
    """Hash of each row, uint64, ``shape=(rows,)``."""
    hashes = np.zeros(matrix.shape[0], dtype=np.uint64)
    for rows in row_blocks(matrix):
        begin, end = matrix.indptr[rows.start], matrix.indptr[rows.stop]
        data = matrix.data[begin:end]
        bits = np.where(np.isnan(data), np.float32(np.nan), data).view(np.uint32).astype(np.uint64)
        mixed = pd.util.hash_array((matrix.indices[begin:end].astype(np.uint64) << np.uint64(32)) | bits)
        mixed[data == 0] = 0  # explicit zeros count as those that are not stored
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])  # modulo 2**64
        edges = matrix.indptr[rows.start : rows.stop + 1] - begin
        hashes[rows] = sums[edges[1:]] - sums[edges[:-1]]
    return hashes


def _parts(matrix: sparse.csr_matrix, rows: np.ndarray) -> list[np.ndarray]:
    """The rows in blocks with a limited number of stored values."""
    stored = np.cumsum(np.diff(matrix.indptr)[rows])
    edges = np.unique(np.searchsorted(stored, np.arange(BLOCK, stored[-1], BLOCK)))
    return [part for part in np.split(rows, edges) if len(part)]


def varying(matrix: sparse.csr_matrix, rows: np.ndarray) -> np.ndarray:
    """True for genes whose values differ between these rows, missing values ignored, ``shape=(genes,)``."""
    low = np.full(matrix.shape[1], np.nan, dtype=np.float32)
    high = low.copy()
    for part in _parts(matrix, rows):
        block = matrix[part]
        low = np.fmin(low, block.nanmin(0).toarray().ravel())
        high = np.fmax(high, block.nanmax(0).toarray().ravel())
    result: np.ndarray = high > low
    return result


def most_variable(matrix: sparse.csr_matrix, rows: np.ndarray, scale: str, count: int) -> np.ndarray:
    """Columns with the highest variance after the transformation of `ExpressionEncoder`, in ascending order.

    Args:
        matrix: ``shape=(samples, genes)``.
        rows: Training rows.
        scale: One of `zoo.encode.expression.SCALES`.
        count: Number of columns to select.
    """
    genes = matrix.shape[1]
    number, total, squares = np.full(genes, float(len(rows))), np.zeros(genes), np.zeros(genes)
    for part in _parts(matrix, rows):
        block = matrix[part]
        data = block.data.astype(np.float64)
        if scale == "counts":
            depth = np.asarray(block.sum(1), dtype=np.float64).ravel()
            data *= np.repeat(PER / np.where(depth > 0, depth, 1), np.diff(block.indptr))
        data = data if scale in (*AS_THEY_ARE, "beta") else np.log1p(data)
        missing = np.isnan(data)
        number -= np.bincount(block.indices[missing], minlength=genes)
        data[missing] = 0
        total += np.bincount(block.indices, data, genes)
        squares += np.bincount(block.indices, data**2, genes)
    number = np.maximum(number, 1)
    variance = squares / number - (total / number) ** 2
    return np.sort(np.argsort(-variance, kind="stable")[:count])


def selected_genes(
    matrix: sparse.csr_matrix, genes: pd.Index, rows: np.ndarray, scale: str, most: int | None, source: str
) -> np.ndarray:
    """Columns of the genes used as features: those that vary, or the most variable of them.

    Args:
        matrix: ``shape=(samples, genes)``.
        genes: Names of the genes.
        rows: Training rows; other rows are not used.
        scale: One of `zoo.encode.expression.SCALES`.
        most: Number of genes to select; None selects all that vary.
        source: Name of the data in an error.

    Raises:
        InputError: Fewer than two genes vary.
    """
    varies = varying(matrix, rows)
    if (constant := genes[~varies]).size:
        first = ", ".join(constant[:5]) + (", ..." if len(constant) > 5 else "")
        log.info("%d genes are constant in the training samples and left out: %s", len(constant), first)
    kept = np.flatnonzero(varies)
    if len(kept) < 2:
        raise InputError(f"{source}: fewer than 2 genes differ between the training samples")
    if most is None or most >= len(kept):
        return kept
    result: np.ndarray = kept[most_variable(matrix[:, kept], rows, scale, most)]
    return result


def is_category(column: pd.Series) -> bool:
    """Whether a covariate is text, or integers with few different values, such as numbered batches."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return True
    present = column.dropna().astype(float)
    return bool((present % 1 == 0).all()) and as_text(present).nunique() <= MOST_CLASSES

"""Properties of an expression matrix: its scale, duplicates among its samples, and which genes vary."""

import logging
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from scipy import sparse

from ...encode.expression import AS_THEY_ARE, PER
from ...encode.expression_rows import BLOCK, row_blocks
from ...errors import InputError
from ...tables.numbers import is_number
from ...tables.target import MOST_CLASSES
from ...tables.values import as_text

log = logging.getLogger("zoo")
HIGHEST_LEVEL = 2
ALMOST_ONE, MOST_SUMS = 0.9999, 2
HIGHEST_LOG = 50  # logarithms of expression are lower, for any base


def detect_scale(matrix: sparse.csr_matrix, rows: np.ndarray) -> str:
    """Detect the scale of the values: ``"counts"``, ``"abundance"``, ``"log"`` or ``"none"``.

    Integers are counts, but levels (``"none"``) if none is above 2 (mutations, alleles) or some are negative (copy
    number). Other values are abundances if none is negative and one is above 50; ``"none"`` if genes are standardised
    (mean 0, standard deviation 1), else logarithms.

    Args:
        matrix: ``shape=(samples, genes)``.
        rows: Training rows; other rows are not used.
    """
    integers, low, high = _range(matrix[part].data for part in _parts(matrix, rows))
    if _are_levels(integers, low, high):
        return "none"
    if low < 0:
        return "none" if _standardised(matrix, rows) else "log"
    return "counts" if integers else "abundance" if high > HIGHEST_LOG else "log"


def has_levels(matrix: sparse.csr_matrix) -> bool:
    """Whether all values are levels (mutations, alleles, copy number) rather than measured numbers."""
    return _are_levels(*_range(matrix.data[matrix.indptr[r.start] : matrix.indptr[r.stop]] for r in row_blocks(matrix)))


def _range(blocks: Iterable[np.ndarray]) -> tuple[bool, float, float]:
    """Whether all finite values are integers, the lowest and the highest of them and 0."""
    integers, low, high = True, 0.0, 0.0
    for data in blocks:
        data = data[np.isfinite(data)]
        if len(data):
            low, high = min(low, float(data.min())), max(high, float(data.max()))
            integers = integers and bool((data % 1 == 0).all())
    return integers, low, high


def _are_levels(integers: bool, low: float, high: float) -> bool:
    return integers and (low < 0 or high <= HIGHEST_LEVEL)


def _standardised(matrix: sparse.csr_matrix, rows: np.ndarray) -> bool:
    """Whether most genes have mean 0 and standard deviation 1, up to the error of a sample of these rows."""
    number, total, squares = _moments(matrix, rows, lambda _, data: data)
    mean = total / number
    deviation = np.sqrt(np.clip(squares / number - mean**2, 0, None))
    error = 3 / np.sqrt(len(rows))
    return bool(np.median(np.abs(mean)) < min(error, 0.5) and abs(np.median(deviation) - 1) < min(error, 0.3))


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


def _moments(
    matrix: sparse.csr_matrix, rows: np.ndarray, transform: Callable[[sparse.csr_matrix, np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of values (at least 1), their sum and the sum of their squares for each gene; missing values ignored.

    Args:
        matrix: ``shape=(samples, genes)``.
        rows: Rows that are used.
        transform: From some of the rows and their stored values as float64, to transformed values; 0 stays 0.
    """
    genes = matrix.shape[1]
    number, total, squares = np.full(genes, float(len(rows))), np.zeros(genes), np.zeros(genes)
    for part in _parts(matrix, rows):
        block = matrix[part]
        data = transform(block, block.data.astype(np.float64))
        missing = np.isnan(data)
        number -= np.bincount(block.indices[missing], minlength=genes)
        data[missing] = 0
        total += np.bincount(block.indices, data, genes)
        squares += np.bincount(block.indices, data**2, genes)
    return np.maximum(number, 1), total, squares


def most_variable(matrix: sparse.csr_matrix, rows: np.ndarray, scale: str, count: int) -> np.ndarray:
    """Columns with the highest variance after the transformation of `ExpressionEncoder`, in ascending order.

    Args:
        matrix: ``shape=(samples, genes)``.
        rows: Training rows.
        scale: One of `zoo.encode.expression.SCALES`.
        count: Number of columns to select.
    """

    def transform(block: sparse.csr_matrix, data: np.ndarray) -> np.ndarray:
        if scale == "counts":
            depth = np.asarray(block.sum(1), dtype=np.float64).ravel()
            data *= np.repeat(PER / np.where(depth > 0, depth, 1), np.diff(block.indptr))
        return data if scale in (*AS_THEY_ARE, "beta") else np.log1p(data)

    number, total, squares = _moments(matrix, rows, transform)
    variance = squares / number - (total / number) ** 2
    return np.sort(np.argsort(-variance, kind="stable")[:count])


def sums_of_others(matrix: sparse.csr_matrix, rows: np.ndarray) -> np.ndarray:
    """Columns that equal the sum of all others up to a factor, such as total counts, ``shape=(found,)``.

    With fewer than 10 rows or 5 columns none is found, nor where more than two are, as in data of few different rows.

    Args:
        matrix: ``shape=(samples, genes)``.
        rows: Training rows; other rows are not used.
    """
    if len(rows) < 10 or matrix.shape[1] < 5:
        return np.empty(0, dtype=np.int64)
    sums, products = [], np.zeros(matrix.shape[1])
    for part in _parts(matrix, rows):
        block = matrix[part].astype(np.float64)
        block.data = np.nan_to_num(block.data, posinf=0, neginf=0)
        sums.append(np.asarray(block.sum(1)).ravel())
        products += block.T @ sums[-1]
    of_rows = np.concatenate(sums)
    _, total, squares = _moments(matrix, rows, lambda _, data: np.nan_to_num(data, posinf=0, neginf=0))
    mean, n = total / len(rows), len(rows)
    variance = squares / n - mean**2
    covariance = products / n - mean * of_rows.mean() - variance  # with the sum of the others
    of_others = of_rows.var() - variance - 2 * covariance
    with np.errstate(divide="ignore", invalid="ignore"):
        r = covariance / np.sqrt(variance * of_others)
    found = np.flatnonzero((r > ALMOST_ONE) & (variance > 0) & (of_others > 1e-6 * of_rows.var()))
    return found if len(found) <= MOST_SUMS else found[:0]


def selected_genes(
    matrix: sparse.csr_matrix,
    genes: pd.Index,
    rows: np.ndarray,
    scale: str,
    most: int | None,
    source: str,
    excluded: np.ndarray,
) -> np.ndarray:
    """Columns of the genes used as features: those that vary, or the most variable of them.

    Args:
        matrix: ``shape=(samples, genes)``.
        genes: Names of the genes.
        rows: Training rows; other rows are not used.
        scale: One of `zoo.encode.expression.SCALES`.
        most: Number of genes to select; None selects all that vary.
        source: Name of the data in an error.
        excluded: Columns that are no genes.

    Raises:
        InputError: Fewer than two genes vary.
    """
    varies = varying(matrix, rows)
    constant = genes[~varies]
    varies[excluded] = False
    if constant.size:
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
    if pd.api.types.is_bool_dtype(column):
        return True
    text = as_text(column).dropna()
    different = text.unique()
    if isinstance(column.dtype, pd.CategoricalDtype) or not all(is_number(value) for value in different):
        return True
    return len(different) <= MOST_CLASSES and all(float(value) % 1 == 0 for value in different)

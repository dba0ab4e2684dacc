"""Matrices and annotation in HDF5 files (``.h5ad``, ``.h5mu``, ``.h5`` of 10x Genomics), checked before they are used.

A sparse matrix with positions out of its bounds ends the process in the compiled code of scipy, and a dataset may claim
any size without storing a value.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from .. import files
from ..errors import InputError

if TYPE_CHECKING:
    import h5py

UNCHECKED, MOST_RATIO = 1 << 28, 2000  # bytes of a dataset; more than this times its stored bytes is no compression


@contextmanager
def opened_hdf5(path: Path, kind: str) -> Iterator["h5py.File"]:
    """An HDF5 file opened for reading, whose datasets are within the file and of credible size.

    Args:
        path: The file.
        kind: Name of the format in errors.

    Raises:
        InputError: Not a regular file, or damaged: h5py and anndata raise anything, within the block as well.
    """
    import h5py

    try:
        with h5py.File(files.regular(path), "r") as file:
            _check_group(file)
            yield file
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except Exception as error:
        raise InputError(f"{path}: cannot be read as {kind}: {' '.join(str(error).split())[:200]}") from None


def _check_group(group: "h5py.Group") -> None:
    """Refuse links to other files, and datasets that claim much more than is stored."""
    import h5py

    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise InputError(f"{group.name}/{name} is a link to another file; copy the data into the file")
        if not isinstance(link, h5py.HardLink):  # a soft link leads to what is checked elsewhere
            continue
        element = group[name]
        if isinstance(element, h5py.Group):
            _check_group(element)
        elif isinstance(element, h5py.Dataset) and element.shape:
            if element.is_virtual or element.external:
                raise InputError(f"{element.name} is stored in another file; copy the data into the file")
            size, stored = element.size * element.dtype.itemsize, element.id.get_storage_size()
            if size > UNCHECKED and size > MOST_RATIO * stored:
                raise InputError(f"{element.name} claims {size / 1e9:,.1f} GB, of which {stored:,} bytes are stored")


def compressed(
    parts: tuple[np.ndarray, np.ndarray, np.ndarray], shape: Any, by_rows: bool = True
) -> sparse.csr_matrix | sparse.csc_matrix:
    """A compressed sparse matrix of its three arrays, of which all positions are within the shape.

    Args:
        parts: ``data``, the stored values; ``indices``, the column of each, or its row if not ``by_rows``; ``indptr``,
            the position in ``data`` at which each row, or column, begins.
        shape: Number of rows and columns.
        by_rows: CSR, else CSC.

    Raises:
        InputError: The arrays do not fit each other or the shape.
    """
    data, indices, indptr = parts
    sizes = np.asarray(shape)
    if sizes.shape != (2,) or sizes.dtype.kind not in "iu" or (sizes < 0).any():
        raise InputError(f"a sparse matrix has the shape {' '.join(str(shape).split())[:50]}")
    rows, columns = map(int, sizes)
    outer, inner = (rows, columns) if by_rows else (columns, rows)
    if (
        any(part.ndim != 1 for part in parts)
        or len(indptr) != outer + 1
        or indptr[0] != 0
        or (np.diff(indptr) < 0).any()
        or not indptr[-1] == len(indices) == len(data)
    ):
        raise InputError(
            f"the parts of a sparse matrix (data, indices, indptr) do not fit its shape {rows} x {columns}"
        )
    if len(indices) and not 0 <= indices.min() <= indices.max() < inner:
        raise InputError(f"a sparse matrix has values outside of its shape {rows} x {columns} (indices)")
    return (sparse.csr_matrix if by_rows else sparse.csc_matrix)(parts, shape=(rows, columns))


def matrix_of(element: Any) -> Any:
    """A matrix of an open file: a sparse one as float32, a dense one as the dataset, to be read in parts."""
    if hasattr(element, "dtype"):
        return element
    kind = element.attrs.get("encoding-type") or f"{element.attrs['h5sparse_format']}_matrix"
    shape = element.attrs["shape"] if "shape" in element.attrs else element.attrs["h5sparse_shape"]

    def part(name: str, dtype: Any) -> np.ndarray:
        values = np.empty(element[name].shape, dtype=dtype)
        if values.size:
            element[name].read_direct(values)
        return values

    parts = part("data", np.float32), part("indices", np.int32), part("indptr", np.int64)
    return compressed(parts, shape, by_rows=not kind.startswith("csc"))


def annotation(file: "h5py.File", path: Path) -> tuple[pd.DataFrame, pd.Index]:
    """Annotation of the samples, and names of the features, of an open ``.h5ad``."""
    import h5py
    from anndata.io import read_elem

    if isinstance(file["obs"], h5py.Dataset):  # written before anndata 0.7
        import anndata

        old = anndata.read_h5ad(path, backed="r")
        return old.obs, old.var_names
    return read_elem(file["obs"]), read_elem(file["var"]).index

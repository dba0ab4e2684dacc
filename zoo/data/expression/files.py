"""Sparse expression matrices from ``.h5ad`` files, tables and packaged data sets."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from ... import files
from ...encode.expression_rows import as_csr, gene_values, match_genes
from ...errors import InputError, suggest
from ...tables import UNNAMED, read_table
from ...tables.values import as_text
from ..datasets import assay_of, read_dataset, simulated, verified

log = logging.getLogger("zoo")


@dataclass
class Expression:
    """An expression matrix with its annotation.

    Attributes:
        matrix: float32 CSR, ``shape=(samples, genes)``.
        genes: Names of the columns.
        samples: One row per sample; the first column holds the names of the samples.
        source: Name of the file.
    """

    matrix: sparse.csr_matrix
    genes: pd.Index
    samples: pd.DataFrame
    source: str

    def __post_init__(self) -> None:
        if (doubled := self.genes[self.genes.duplicated()]).size:
            raise InputError(
                f"{self.source}: gene {doubled[0]!r} occurs more than once ({len(doubled)} names are repeated); rename "
                "or remove them (AnnData: var_names_make_unique)"
            )

    @property
    def names(self) -> pd.Index:
        """Names of the samples."""
        return pd.Index(self.samples.iloc[:, 0])

    def annotated(self, table: pd.DataFrame, source: str, key: str | None) -> "Expression":
        """Add the columns of a table of samples, matched by the names of the samples.

        Args:
            table: One row per sample.
            source: Name of the table in an error.
            key: Column of sample names; if the table does not have it, its first column is used and renamed.

        Raises:
            InputError: No sample has a row in the table, or one has two.
        """
        column = key if key in table else str(table.columns[0])
        known = pd.Index(names_of(table[column]))
        if (doubled := known[known.duplicated()]).size:
            raise InputError(f"{source}: sample {doubled[0]!r} occurs more than once in column {column!r}")
        rows = known.get_indexer(self.names)
        if (rows < 0).all():
            hint = (
                "give --data.genes_in_rows true"
                if self.genes.isin(known).any()
                else "give --data.id, or correct the names"
            )
            raise InputError(
                f"{self.source} and {source} have no sample in common ({self.names[0]}, ... and {known[0]}, ... of "
                f"column {column!r}); {hint}"
            )
        if (missing := rows < 0).any():
            first = ", ".join(self.names[missing][:3])
            log.warning("%d samples of %s are not in %s, such as %s", missing.sum(), self.source, source, first)
        if others := len(known) - int((~missing).sum()):
            log.info("%d samples of %s are not in %s", others, source, self.source)
        added = table.drop(columns=column).reset_index(drop=True).reindex(rows).reset_index(drop=True)
        name = key or column
        own = self.samples[[n for i, n in enumerate(self.samples) if i == 0 or n not in {name, *added.columns}]]
        own = own.set_axis([name, *own.columns[1:]], axis=1)
        return Expression(self.matrix, self.genes, pd.concat([own, added], axis=1), self.source)

    def beneath(self, other: "Expression") -> "Expression":
        """Append the samples of another file, its genes matched by name."""
        columns = match_genes(list(self.genes), other.genes, other.source)
        unmeasured = sparse.csr_matrix(np.full((len(other.samples), 1), np.nan, dtype=np.float32))
        theirs = sparse.hstack([other.matrix, unmeasured], format="csr")[:, columns]  # -1 is the last
        matrix = sparse.vstack([self.matrix, theirs], format="csr")
        below = other.samples.rename(columns={other.samples.columns[0]: self.samples.columns[0]})
        return Expression(matrix, self.genes, pd.concat([self.samples, below], ignore_index=True), self.source)

    def to_anndata(self) -> AnnData:
        """Convert to AnnData, with the names of the samples in ``obs_names``."""
        obs = self.samples.set_index(self.names.map(str)).iloc[:, 1:]
        return AnnData(self.matrix, obs=obs, var=pd.DataFrame(index=self.genes))


def from_anndata(values: Any, obs: pd.DataFrame, genes: pd.Index, source: str, name: str | None = None) -> Expression:
    """Convert from the parts of an AnnData; samples are named by the column ``name`` of ``obs``, else by its index."""
    if name and name in obs:
        samples = pd.concat([names_of(obs[name]), obs.drop(columns=name)], axis=1)
    else:
        called = free_name(obs, obs.index.name)
        samples = obs.reset_index(names=called)
        samples[called] = names_of(samples[called])
    return Expression(as_csr(values), genes.map(str), samples.reset_index(drop=True), source)


def names_of(column: pd.Series) -> pd.Series:
    """Names of samples as text; missing names stay missing, and `FrameData` reports them."""
    return as_text(column).astype(object)


def free_name(frame: pd.DataFrame, wish: str | None = None) -> str:
    """A name for a column of sample names that is not used in the table."""
    return next(name for name in (wish, UNNAMED, "observation", "name of the sample") if name and name not in frame)


def read_card(card: dict[str, Any], assay: str | None, name: str | None) -> Expression:
    """Read a packaged data set of expression, and compare its checksums with the card's.

    Args:
        card: Card of a simulation, or one with ``assays`` and a ``file`` that annotates their samples.
        assay: Name of the assay; by default that of the card.
        name: Column of sample names.

    Raises:
        InputError: A checksum differs, or the data set is not shipped or not of expression.
    """
    if "assays" in card:
        chosen = assay_of(card, assay)
        source = f"{card['name']} ({chosen['name']})"
        if "simulated" in card:
            tables = simulated(card)
            assert isinstance(tables, dict)
            matrix = matrix_of_table(tables[chosen["name"]], source, set(), name=name)
            return matrix.annotated(tables["samples"], card["name"], name)
        read = read_matrix_table(verified(card, chosen["file"], chosen["sha256"]), set(), name=name)
        read.source = source
        return read.annotated(read_dataset(card), card["file"], name)
    if "simulated" in card and isinstance(adata := simulated(card), AnnData):
        return from_anndata(adata.X, adata.obs, adata.var_names, card["name"], name)
    if "fetch" in card:
        read_dataset(card)  # its error states where to get the data
    raise InputError(f"{card['name']} is not a data set of expression; see: zoo show {card['name']}")


def read_h5ad(path: Path, layer: str | None = None, name: str | None = None) -> Expression:
    """X or a layer of an ``.h5ad``; a dense matrix is converted to a sparse one in blocks of rows.

    Args:
        path: The file.
        layer: Name of the layer; X by default.
        name: Column of ``obs`` that names the samples; by default its index does.

    Raises:
        InputError: The file or layer does not exist, or the file is damaged.
    """
    import h5py
    from anndata.io import read_elem

    if not path.is_file():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise InputError(f"no file or data set {str(path)!r}; {suggest(path.name, [*near, *files.datasets()])}")
    try:
        with h5py.File(path, "r") as file:
            layers = list(file.get("layers", []))
            if layer is not None and layer not in layers:
                known = suggest(layer, layers) if layers else "the file has none"
                raise InputError(f"{path}: no layer {layer!r}; {known}; leave out --data.layer to read X")
            if layer is None and "X" not in file:
                raise InputError(f"{path}: there is no X; give --data.layer, {suggest('', layers)}")
            values = _stored(file["X" if layer is None else f"layers/{layer}"])
            if isinstance(file["obs"], h5py.Dataset):  # written before anndata 0.7
                import anndata

                old = anndata.read_h5ad(path, backed="r")
                obs, genes = old.obs, old.var_names
            else:
                obs, genes = read_elem(file["obs"]), read_elem(file["var"]).index
    except InputError:
        raise
    except Exception as error:  # h5py and anndata raise anything for a damaged file
        raise InputError(f"{path}: cannot be read as h5ad: {' '.join(str(error).split())[:200]}") from None
    return from_anndata(values, obs, genes, str(path), name)


def _stored(element: Any) -> sparse.csr_matrix:
    """A matrix of an open HDF5 file, converted to float32 while it is read."""
    if hasattr(element, "dtype"):
        return as_csr(element)
    kind = element.attrs.get("encoding-type") or f"{element.attrs['h5sparse_format']}_matrix"
    shape = tuple(element.attrs["shape"] if "shape" in element.attrs else element.attrs["h5sparse_shape"])
    parts = []
    for name, dtype in (("data", np.float32), ("indices", np.int32), ("indptr", np.int64)):
        parts.append(np.empty(element[name].shape, dtype=dtype))
        if parts[-1].size:
            element[name].read_direct(parts[-1])
    return as_csr((sparse.csc_matrix if kind.startswith("csc") else sparse.csr_matrix)(tuple(parts), shape=shape))


def read_matrix_table(path: Path, others: set[str], genes_in_rows: bool = False, name: str | None = None) -> Expression:
    """Read a table of expression: CSV, TSV (also gzipped) or Parquet.

    Args:
        path: The file.
        others: Columns that are not genes, such as the target; text columns are not genes either.
        genes_in_rows: Genes are in rows, named in the first column, and samples in columns, as in series matrices of
            GEO.
        name: Column that names the samples. Default: a first column of text or without a header, else rows are numbered
            from 1.

    Raises:
        InputError: The file is missing or damaged, has text among numbers, or a sample or gene occurs twice.
    """
    return matrix_of_table(read_table(path), str(path), others, genes_in_rows, name)


def matrix_of_table(
    frame: pd.DataFrame, path: str, others: set[str], genes_in_rows: bool = False, name: str | None = None
) -> Expression:
    """As `read_matrix_table`, for a table in memory; ``path`` is its name in errors."""
    first = str(frame.columns[0])
    if genes_in_rows:
        name = first
    elif not (name and name in frame):
        name = first if first == UNNAMED or (_is_text(frame[first]) and first not in others) else None
    names = names_of(frame[name] if name else pd.Series(range(1, len(frame) + 1)))
    rest = frame.drop(columns=name) if name else frame
    if genes_in_rows:
        values = gene_values(rest.set_axis(names, axis=0).T, path)
        return Expression(as_csr(values), pd.Index(names), pd.DataFrame({UNNAMED: rest.columns}), path)
    text = [column for column in rest if column not in others and _is_text(rest[column])]
    for column in text:
        if rest[column].dropna().astype(str).str.fullmatch(r"-?\d+,\d+").mean() > 0.5:
            raise InputError(f"{path}: column {column!r} has decimal commas; write 1.5 for 1,5")
    if text:
        log.info(
            "%s: text columns are not used as genes: %s", path, ", ".join(text[:5]) + (", ..." if text[5:] else "")
        )
    annotation = [column for column in rest if column in others or column in text]
    genes = rest.drop(columns=annotation)
    samples = pd.concat([names.rename(name or free_name(rest)), rest[annotation]], axis=1)
    return Expression(as_csr(gene_values(genes.set_axis(names), path)), genes.columns, samples, path)


def _is_text(column: pd.Series) -> bool:
    """Whether most values of a column are not numbers; if only a few are not, they are reported as errors."""
    if pd.api.types.is_numeric_dtype(column) or column.isna().all():
        return False
    return bool(pd.to_numeric(column.dropna(), errors="coerce").notna().mean() < 0.5)

"""Sparse expression matrices from ``.h5ad`` files, tables, 10x Genomics output and packaged data sets."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from ... import files
from ...encode.expression_rows import as_csr, match_genes
from ...errors import InputError, suggest
from ...files import opened
from ...tables import UNNAMED, read_table
from ...tables.genes import check_repeated, free_name, measured, names_of
from ...tables.hdf5 import annotation, compressed, matrix_of, opened_hdf5
from ...tables.ids import difference
from ...tables.reading import normalised
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
        check_repeated(self.genes, self.source)

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
        column = name_column(table, key)
        known = pd.Index(names_of(table[column]))
        if (doubled := known[known.duplicated()]).size:
            raise InputError(f"{source}: sample {doubled[0]!r} occurs more than once in column {column!r}")
        rows = known.get_indexer(self.names)
        missing = rows < 0
        how = difference(self.names[missing].dropna(), known.dropna(), self.source, source) if missing.any() else ""
        if missing.all():
            hint = how or "give --data.id, or correct the names"
            if self.genes.isin(known).any():
                hint = "genes are in rows: transpose the matrix, or leave out --data.genes_in_rows false"
            raise InputError(
                f"{self.source} and {source} have no sample in common ({self.names[0]}, ... and {known[0]}, ... of "
                f"column {column!r}); {hint}"
            )
        if missing.any():
            first = ", ".join(map(str, self.names[missing][:3]))
            log.warning(
                "%d samples of %s are not in %s, such as %s%s",
                missing.sum(),
                self.source,
                source,
                first,
                f"; {how}" if how else "",
            )
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

    def without(self, names: Collection[str]) -> "Expression":
        """Leave out genes, or columns of the annotation.

        Raises:
            InputError: There is no such gene or column.
        """
        columns = self.samples.columns[1:]
        for name in names:
            if name not in self.genes and name not in columns:
                near = suggest(name, [*columns, *self.genes[:5000]])
                raise InputError(f"{self.source}: no column {name!r} (given as exclude); {near}")
        kept = ~self.genes.isin(list(names))
        samples = self.samples.drop(columns=[name for name in names if name in columns])
        matrix = self.matrix if kept.all() else self.matrix[:, np.flatnonzero(kept)]
        return Expression(matrix, self.genes[kept], samples, self.source)

    def to_anndata(self) -> AnnData:
        """Convert to AnnData, with the names of the samples in ``obs_names``."""
        obs = self.samples.set_index(self.names.map(str)).iloc[:, 1:]
        return AnnData(self.matrix, obs=obs, var=pd.DataFrame(index=self.genes))


def from_anndata(values: Any, obs: pd.DataFrame, names: pd.Index, source: str, name: str | None = None) -> Expression:
    """Convert from the parts of an AnnData; samples are named by the column ``name`` of ``obs``, else by its index.

    Args:
        values: ``shape=(samples, genes)``.
        obs: Annotation of the samples.
        names: Names of the genes.
        source: Name of the file.
        name: Column of ``obs``.
    """
    _check_shape(values, len(obs), len(names), source)
    if name and name in obs:
        samples = pd.concat([names_of(obs[name]), obs.drop(columns=name)], axis=1)
    else:
        called = free_name(obs, obs.index.name)
        samples = obs.reset_index(names=called)
        samples[called] = names_of(samples[called])
    called = str(samples.columns[0])
    samples = normalised(samples.reset_index(drop=True), source, {called})
    return Expression(as_csr(values), names.map(str), samples, source)


def name_column(table: pd.DataFrame, key: str | None) -> str:
    """The column of sample names of a table that annotates samples: ``key`` if it has it, else its first column."""
    return key if key is not None and key in table else str(table.columns[0])


def read_samples(path: Path, key: str | None, missing: Any = None, text: Collection[str] = ()) -> pd.DataFrame:
    """Read a table that annotates samples; their names, in the first column or in ``key``, stay text."""
    return read_table(path, [*text, *([key] if key else [])], missing, first=lambda _: True)


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
            matrix = matrix_of_table(tables[chosen["name"]], source, set(), False, name, chosen=True)
            return matrix.annotated(tables["samples"], card["name"], name)
        table = read_table(verified(card, chosen["file"], chosen["sha256"]), [name] if name else [])
        read = matrix_of_table(table, source, set(), False, name, chosen=True)
        return read.annotated(read_dataset(card), card["file"], name)
    if "simulated" in card and isinstance(adata := simulated(card), AnnData):
        return from_anndata(adata.X, adata.obs, adata.var_names, card["name"], name)
    if "fetch" in card:
        read_dataset(card)  # its error states where to get the data
    raise InputError(f"{card['name']} is not a data set of expression; see: zoo show {card['name']}")


def is_matrix(path: Path) -> bool:
    """Whether samples, genes and values are stored apart, as in ``.h5ad`` and the output of 10x Genomics."""
    return path.is_dir() or path.suffix in (".h5ad", ".h5", ".mtx") or path.name.endswith(".mtx.gz")


def read_matrix(path: Path, layer: str | None = None, name: str | None = None) -> Expression:
    """Read a file for which `is_matrix` is true.

    Args:
        path: ``.h5ad``; ``.h5`` of 10x Genomics; a folder with ``matrix.mtx``, ``barcodes.tsv`` and ``features.tsv``
            (``genes.tsv``), each also gzipped, or its ``matrix.mtx``.
        layer: Layer of an ``.h5ad``; X by default.
        name: Column of ``obs`` that names the samples; by default its index does.

    Raises:
        InputError: The file is missing, damaged or of another kind.
    """
    if path.is_dir() or path.suffix in (".mtx", ".gz"):
        return _read_mtx(path if path.is_dir() else path.parent)
    return _read_10x(path) if path.suffix == ".h5" else read_h5ad(path, layer, name)


def content_of(path: Path) -> Path:
    """The file that holds the values, for a folder of 10x Genomics; other paths are returned."""
    return _one_of(path, "matrix.mtx") if path.is_dir() else path


def _one_of(folder: Path, *names: str) -> Path:
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise InputError(
        f"{folder}: there is no {' or '.join(names)} (also .gz); a folder of expression has matrix.mtx, "
        "barcodes.tsv and features.tsv, as 10x Genomics writes them"
    )


def _read_mtx(folder: Path) -> Expression:
    from scipy.io import mmread

    path = files.regular(_one_of(folder, "matrix.mtx"))
    cells, features = (_lines(_one_of(folder, *names)) for names in (("barcodes.tsv",), ("features.tsv", "genes.tsv")))
    try:
        values = mmread(path)
    except Exception as error:  # of a damaged file
        raise InputError(f"{path}: cannot be read as Matrix Market: {' '.join(str(error).split())[:200]}") from None
    if values.shape != (len(features), len(cells)):
        raise InputError(
            f"{path}: {values.shape[0]} rows and {values.shape[1]} columns do not fit {len(features)} features and "
            f"{len(cells)} barcodes of {folder}"
        )
    kinds = features[2] if features.shape[1] > 2 else None
    return _of_10x(values.T, cells[0], features[0], features[min(1, features.shape[1] - 1)], kinds, str(folder))


def _read_10x(path: Path) -> Expression:
    _check_file(path)
    with opened_hdf5(path, ".h5 of 10x Genomics") as file:
        if "matrix" not in file:
            raise InputError(f"{path}: there is no group 'matrix', as 10x Genomics writes it; save it as .h5ad")
        group = file["matrix"]
        keys = ("barcodes", "features/id", "features/name", "features/feature_type")
        cells, ids, symbols, kinds = (pd.Series(group[key].asstr()[:]) for key in keys)
        stored = group["data"][:], group["indices"][:], group["indptr"][:]
        values = compressed(stored, group["shape"][:][::-1])
        if not len(ids) == len(symbols) == len(kinds):
            raise InputError(f"{path}: {len(ids)} ids, {len(symbols)} names and {len(kinds)} kinds of features")
    _check_shape(values, len(cells), len(ids), str(path))
    return _of_10x(values, cells, ids, symbols, kinds, str(path))


def _check_shape(values: Any, samples: int, features: int, source: str) -> None:
    if values.shape != (samples, features):
        size = " x ".join(map(str, values.shape))
        raise InputError(f"{source}: a matrix of {size} values does not fit {samples} samples and {features} genes")


def _of_10x(
    values: Any, cells: pd.Series, ids: pd.Series, symbols: pd.Series, kinds: pd.Series | None, source: str
) -> Expression:
    """Genes are named by their symbol, or by their id where a symbol is repeated; other features are left out."""
    doubled = symbols.duplicated(keep=False) | (symbols == "")
    if doubled.any():
        log.info("%s: %d genes whose symbol is repeated are named by their id", source, doubled.sum())
    names = symbols.where(~doubled, ids)
    matrix = as_csr(values)
    if kinds is not None and (other := (kinds != "Gene Expression")).any() and not other.all():
        log.info("%s: %d features of other kinds (%s) left out", source, other.sum(), ", ".join(kinds[other].unique()))
        matrix, names = matrix[:, np.flatnonzero(~other)], names[~other]
    return Expression(matrix, pd.Index(names), pd.DataFrame({UNNAMED: names_of(cells)}), source)


def _lines(path: Path) -> pd.DataFrame:
    """Fields of a file without header, as text."""
    try:
        with opened(path) as file:
            return pd.read_csv(file, sep="\t", header=None, dtype=str, keep_default_na=False)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None


def _check_file(path: Path) -> None:
    if not files.regular(path).exists():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise InputError(f"no file or data set {str(path)!r}; {suggest(path.name, [*near, *files.datasets()])}")


def read_h5ad(path: Path, layer: str | None = None, name: str | None = None) -> Expression:
    """X or a layer of an ``.h5ad``; a dense matrix is converted to a sparse one in blocks of rows.

    Args:
        path: The file.
        layer: Name of the layer; X by default.
        name: Column of ``obs`` that names the samples; by default its index does.

    Raises:
        InputError: The file or layer does not exist, or the file is damaged.
    """
    _check_file(path)
    with opened_hdf5(path, "h5ad") as file:
        layers = list(file.get("layers", []))
        if layer is not None and layer not in layers:
            known = suggest(layer, layers) if layers else "the file has none"
            raise InputError(f"{path}: no layer {layer!r}; {known}; leave out --data.layer to read X")
        if layer is None and "X" not in file:
            raise InputError(f"{path}: there is no X; give --data.layer, {suggest('', layers)}")
        values = matrix_of(file["X" if layer is None else f"layers/{layer}"])
        return from_anndata(values, *annotation(file, path), str(path), name)


def matrix_of_table(
    frame: pd.DataFrame,
    source: str,
    others: Collection[str],
    genes_in_rows: bool = False,
    name: str | None = None,
    chosen: bool = False,
    patients: bool = True,
) -> Expression:
    """Expression from a table, see `zoo.tables.genes.measured`."""
    values, genes, samples = measured(frame, source, others, genes_in_rows, name, chosen, patients)
    return Expression(as_csr(values), genes, samples, source)

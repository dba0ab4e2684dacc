"""An expression matrix and what is known of its samples."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from ..encode.expression_rows import as_csr, match_genes
from ..encode.table import as_text
from ..errors import InputError
from .reading import UNNAMED

log = logging.getLogger("zoo")


@dataclass
class Expression:
    """What was read.

    Attributes:
        matrix: float32 CSR, ``shape=(samples, genes)``.
        genes: Names of the columns.
        samples: One row a sample; the first column holds their names.
        source: The file.
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
        """With the columns of a table of samples beside, found by the names of the samples.

        Args:
            table: One row a sample.
            source: What to call it in an error.
            key: What the column of sample names is to be called; where the table has none of this name, its first
                column holds them.

        Raises:
            InputError: No sample has a row, or one has two.
        """
        column = key if key in table else str(table.columns[0])
        known = pd.Index(names_of(table[column]))
        if (doubled := known[known.duplicated()]).size:
            raise InputError(f"{source}: sample {doubled[0]!r} occurs more than once in column {column!r}")
        rows = known.get_indexer(self.names)
        if (rows < 0).all():
            hint = "give --data.genes_in_rows true" if self.genes.isin(known).any() else "give --data.id, or mend them"
            raise InputError(
                f"{self.source} and {source} have no sample in common ({self.names[0]}, ... and {known[0]}, ... of "
                f"column {column!r}); {hint}"
            )
        if (bare := rows < 0).any():
            first = ", ".join(self.names[bare][:3])
            log.warning("%d samples of %s are not in %s, such as %s", bare.sum(), self.source, source, first)
        if others := len(known) - int((~bare).sum()):
            log.info("%d samples of %s are not in %s", others, source, self.source)
        added = table.drop(columns=column).reset_index(drop=True).reindex(rows).reset_index(drop=True)
        name = key or column
        own = self.samples[[n for i, n in enumerate(self.samples) if i == 0 or n not in {name, *added.columns}]]
        own = own.set_axis([name, *own.columns[1:]], axis=1)
        return Expression(self.matrix, self.genes, pd.concat([own, added], axis=1), self.source)

    def beneath(self, other: "Expression") -> "Expression":
        """With the samples of another file below, its genes found by name."""
        columns = match_genes(list(self.genes), other.genes, other.source)
        unmeasured = sparse.csr_matrix(np.full((len(other.samples), 1), np.nan, dtype=np.float32))
        theirs = sparse.hstack([other.matrix, unmeasured], format="csr")[:, columns]  # -1 is the last
        matrix = sparse.vstack([self.matrix, theirs], format="csr")
        below = other.samples.rename(columns={other.samples.columns[0]: self.samples.columns[0]})
        return Expression(matrix, self.genes, pd.concat([self.samples, below], ignore_index=True), self.source)

    def to_anndata(self) -> AnnData:
        """The same as AnnData; samples are named in ``obs_names``."""
        obs = self.samples.set_index(self.names.map(str)).iloc[:, 1:]
        return AnnData(self.matrix, obs=obs, var=pd.DataFrame(index=self.genes))


def from_anndata(values: Any, obs: pd.DataFrame, genes: pd.Index, source: str, name: str | None = None) -> Expression:
    """What an AnnData holds; samples are named by a column of ``obs`` if one is asked for, else by its index."""
    if name and name in obs:
        samples = pd.concat([names_of(obs[name]), obs.drop(columns=name)], axis=1)
    else:
        called = free_name(obs, obs.index.name)
        samples = obs.reset_index(names=called)
        samples[called] = names_of(samples[called])
    return Expression(as_csr(values), genes.map(str), samples.reset_index(drop=True), source)


def names_of(column: pd.Series) -> pd.Series:
    """Names of samples as text; missing ones stay so, for `FrameData` to tell of."""
    return as_text(column).astype(object)


def free_name(frame: pd.DataFrame, wish: str | None = None) -> str:
    """A name for a column of sample names that the table does not have yet."""
    return next(name for name in (wish, UNNAMED, "observation", "name of the sample") if name and name not in frame)

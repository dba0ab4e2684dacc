"""HDF5 files that are damaged, or made to end the process, are refused in one line."""

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from zoo.data.expression.files import read_h5ad
from zoo.tables import read_table


@pytest.fixture
def cells(here):
    values = sparse.csr_matrix(np.arange(12.0, dtype=np.float32).reshape(4, 3))
    obs, var = pd.DataFrame(index=list("abcd")), pd.DataFrame(index=["g1", "g2", "g3"])
    AnnData(values, obs=obs, var=var).write_h5ad("cells.h5ad")
    return here / "cells.h5ad"


def replaced(file, name, values):
    del file[name]
    file[name] = values


FAULTS = {
    "column out of bounds": (lambda f: f["X/indices"].__setitem__(2, 10**6), "outside of its shape"),
    "negative column": (lambda f: f["X/indices"].__setitem__(2, -1), "outside of its shape"),
    "rows not in order": (lambda f: f["X/indptr"].__setitem__(1, 9), "do not fit its shape 4 x 3"),
    "too few rows": (lambda f: f["X"].attrs.__setitem__("shape", [2, 3]), "do not fit its shape 2 x 3"),
    "more values than positions": (lambda f: replaced(f, "X/data", np.ones(99)), "do not fit its shape"),
    "negative shape": (lambda f: f["X"].attrs.__setitem__("shape", [-4, 3]), "has the shape"),
    "claimed size": (
        lambda f: (f.__delitem__("X"), f.create_dataset("X", (10**6, 10**5), "f4", chunks=(100, 100))),
        "claims 400.0 GB",
    ),
    "other file": (lambda f: replaced(f, "X", h5py.ExternalLink("other.h5ad", "/X")), "/X is a link to another file"),
    "external values": (
        lambda f: (f.__delitem__("X"), f.create_dataset("X", (4, 3), "f4", external=[("raw", 0, 48)])),
        "/X is stored in another file",
    ),
    "fewer genes": (lambda f: replaced(f, "X", np.ones((4, 2))), ""),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("read", [read_h5ad, read_table])
def test_damaged_matrices_are_refused_in_one_line(fault, read, cells, message):
    change, words = FAULTS[fault]
    with h5py.File(cells, "r+") as file:
        change(file)
    line = message(lambda: read(cells))
    assert line.startswith(str(cells))
    assert words in line


def test_sound_matrices_are_read_by_rows_and_by_columns(cells):
    assert read_h5ad(cells).matrix.toarray().tolist() == np.arange(12.0).reshape(4, 3).tolist()
    adata = AnnData(sparse.csc_matrix(np.eye(4, 3, dtype=np.float32)), obs=pd.DataFrame(index=list("abcd")))
    adata.write_h5ad(cells)
    assert read_h5ad(cells).matrix.toarray().tolist() == np.eye(4, 3).tolist()
    assert read_table(cells)[["0", "1", "2"]].to_numpy().tolist() == np.eye(4, 3).tolist()

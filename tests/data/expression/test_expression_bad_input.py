"""Invalid expression data give a one-line error."""

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from zoo.data import ExpressionData
from zoo.data.simulated.expression import expression
from zoo.spec import modality_of


@pytest.fixture
def cells():
    """120 simulated cells of 30 genes; the last gene is never expressed."""
    adata = expression(cells=120, genes=30, groups=2, markers=5, depth=200)
    dense = adata.X.toarray()
    dense[:, 29] = 0
    adata.X = sparse.csr_matrix(dense)
    adata.obs["age"] = np.linspace(20, 80, 120)
    return adata


@pytest.fixture
def h5ad(cells, here):
    cells.write_h5ad("cells.h5ad")
    return "cells.h5ad"


def everything(data):
    return data.dataset.x[torch.arange(len(data.samples))]


def write(cells, change, path="bad.h5ad"):
    dense = cells.X.toarray()
    change(dense)
    anndata.AnnData(sparse.csr_matrix(dense), obs=cells.obs, var=cells.var).write_h5ad(path)
    return path


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (-1, "the value -1 is negative, counts cannot be"),
        (
            0.5,
            "the value 0.5 is not a whole number; if these are not counts, give the scale abundance or log",
        ),
        (np.nan, "the value nan is missing"),
        (np.inf, "the value inf is infinite"),
    ],
)
def test_wrong_counts_name_sample_and_gene(value, error, cells, here, message):
    def change(dense):
        dense[7, 11] = value

    path = write(cells, change)
    found = message(lambda: ExpressionData(path, target="group", scale="counts").dataset)
    assert found.startswith(f"{path}: sample cell8, gene gene12: {error}")


def test_a_sample_without_counts_is_named(cells, here, message):
    def change(dense):
        dense[5] = 0

    path = write(cells, change)
    assert f"{path}: sample cell6 has no counts" in message(lambda: ExpressionData(path).dataset)
    assert len(ExpressionData(path, scale="abundance").samples) == 120
    negative = write(cells, lambda dense: dense.__isub__(3))
    assert "is negative, abundance cannot be" in message(lambda: ExpressionData(negative, scale="abundance").dataset)
    assert modality_of(ExpressionData(negative).spec)["scale"] == "none"


def test_missing_values_of_abundances_are_kept(cells, here):
    def change(dense):
        dense *= 1.5
        dense[::2, 4] = np.nan

    x = everything(ExpressionData(write(cells, change), target="group"))
    assert x[::2, 4].isnan().all()
    assert int(x.isnan().sum()) == 60


def test_bad_input_gives_a_one_line_error(cells, h5ad, here, message):
    def fails(path=h5ad, **more):
        return message(lambda: ExpressionData(path, **more).dataset)

    assert "no layer 'counts'; the file has none; leave out --data.layer" in fails(layer="counts")
    cells.layers["spliced"] = cells.X
    cells.write_h5ad("layers.h5ad")
    assert "no layer 'counts'; known: spliced;" in fails("layers.h5ad", layer="counts")
    assert "no column 'groups' (given as target); did you mean group?" in fails(target="groups")
    assert "no column 'batches' (given as covariate); did you mean batch?" in fails(covariates=["batches"])
    assert "target 'group' is among the covariates" in fails(target="group", covariates=["group"])
    assert "no column 'barcode' (given as id)" in fails(id="barcode")
    assert "did you mean cells.h5ad" in fails("cell.h5ad")
    assert "layer 'x' is for .h5ad files" in fails("cells.csv", layer="x")
    assert "scale 'tpm' is unknown" in fails(scale="tpm")
    assert "most_variable must be at least 2" in fails(most_variable=1)
    (here / "broken.h5ad").write_bytes(b"not hdf5")
    assert "broken.h5ad: cannot be read as h5ad" in fails("broken.h5ad")
    cells.var_names = [*cells.var_names[:-1], "gene3"]
    cells.write_h5ad("twice.h5ad")
    assert "gene 'gene3' occurs more than once (1 repeated name: gene3)" in fails("twice.h5ad")
    cells[:, :1].write_h5ad("one.h5ad")
    assert ": 1 genes (columns of numbers), at least 2 are needed" in fails("one.h5ad")
    flat = np.ones((120, 30), np.float32)
    flat[:, 7] = np.arange(120)
    anndata.AnnData(sparse.csr_matrix(flat), obs=cells.obs).write_h5ad("flat.h5ad")
    assert "fewer than 2 genes differ" in fails("flat.h5ad", target="group")


def test_bad_tables_give_a_one_line_error(cells, here, message):
    def fails(path, **more):
        return message(lambda: ExpressionData(path, **more).dataset)

    table = cells.to_df().astype(object)
    table.iloc[3, 2] = "many"
    table.to_csv("text.csv", index_label="cell")
    assert "text.csv: sample cell4, gene gene3: 'many' is not a number" in fails("text.csv")
    (cells.to_df() + 0.5).T.to_csv("geo.csv", index_label="gene")
    cells.obs.to_csv("samples.csv", index_label="cell")
    error = fails("geo.csv", samples_path="samples.csv", target="group", genes_in_rows=False)
    assert "geo.csv and samples.csv have no sample in common (gene1, ... and cell1, ... of column 'cell')" in error
    assert "genes are in rows: transpose the matrix, or leave out --data.genes_in_rows false" in error
    nameless = cells.to_df().reset_index(names="cell")
    nameless.loc[4, "cell"] = None
    nameless.to_csv("nameless.csv", index=False)
    assert "row 5 has no id in column 'cell'" in fails("nameless.csv")
    pd.concat([cells.obs, cells.obs[:1]]).to_csv("samples.csv", index_label="cell")
    error = fails("geo.csv", samples_path="samples.csv", target="group", genes_in_rows=True)
    assert "samples.csv: sample 'cell1' occurs more than once in column 'cell'" in error

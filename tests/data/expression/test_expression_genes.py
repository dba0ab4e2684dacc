"""Selection of genes, packaged data sets of expression, and the simulated one."""

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from zoo import files
from zoo.data import ExpressionData, TableData
from zoo.data.datasets import checksum
from zoo.data.expression.genes import detect_scale, most_variable, row_hashes, varying
from zoo.data.simulated.expression import _negative_binomial, expression
from zoo.errors import InputError
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


def features(data):
    return modality_of(data.spec)["features"]


def test_genes_are_selected_by_training_samples_only(cells, here):
    part = np.array(["train"] * 80 + ["validation"] * 20 + ["test"] * 20)
    dense = cells.X.toarray()
    dense[:80, 3], dense[80:, 4], dense[:80, 5] = 2, 9000, np.arange(80) * 50
    data = anndata.AnnData(sparse.csr_matrix(dense), obs=cells.obs.assign(part=part), var=cells.var)
    data.write_h5ad("cells.h5ad")
    found = ExpressionData("cells.h5ad", target="group", split="part")
    assert {"gene4", "gene30"}.isdisjoint(features(found))
    assert len(features(found)) == 28
    few = ExpressionData("cells.h5ad", target="group", split="part", most_variable=3, scale="log")
    variance = dense[:80].var(0)
    assert features(few) == [f"gene{i + 1}" for i in sorted(np.argsort(-variance)[:3])]
    assert "gene6" in features(few)


@pytest.mark.parametrize("scale", ["counts", "abundance", "log"])
def test_variance_is_that_of_the_logarithms(scale, cells):
    dense = cells.X.toarray().astype(float)
    per = dense / dense.sum(1, keepdims=True) * 1e4
    values = {"counts": np.log1p(per), "abundance": np.log1p(dense), "log": dense}[scale]
    expected = np.sort(np.argsort(-values.var(0))[:7])
    np.testing.assert_array_equal(most_variable(cells.X, np.arange(120), scale, 7), expected)


def test_scale_is_detected():
    counts = sparse.csr_matrix(np.array([[0, 1], [200, 3]], dtype=np.float32))
    assert detect_scale(counts, np.arange(2)) == "counts"
    assert detect_scale(counts * 0.7, np.arange(2)) == "abundance"
    assert detect_scale(counts * 0.07, np.arange(2)) == "log"
    assert detect_scale(-counts, np.arange(2)) == "none"  # such as changes of a copy number


def test_hashes_are_equal_only_for_equal_rows():
    dense = np.array([[1, 0, 2], [1, 0, 2], [2, 0, 1], [1, 2, 0], [0, 0, 0], [np.nan, 0, 0]], dtype=np.float32)
    matrix = sparse.csr_matrix(dense)
    hashes = row_hashes(matrix)
    assert hashes[0] == hashes[1]
    assert len(np.unique(hashes)) == 5
    stored = sparse.csr_matrix((np.array([0, 1, 2], np.float32), np.array([1, 0, 2]), [0, 3]), shape=(1, 3))
    assert row_hashes(stored)[0] == hashes[0]
    thousand = sparse.random(5000, 40, 0.2, format="csr", dtype=np.float32, random_state=0)
    assert len(np.unique(row_hashes(thousand))) == len(np.unique(thousand.toarray(), axis=0))


def test_large_data_are_processed_in_blocks(cells, monkeypatch):
    rows = np.arange(0, 120, 2)

    def found():
        few = most_variable(cells.X, rows, "counts", 9)
        return row_hashes(cells.X), varying(cells.X, rows), few, np.array(detect_scale(cells.X, rows))

    whole = found()
    monkeypatch.setattr("zoo.encode.expression_rows.BLOCK", 50)
    monkeypatch.setattr("zoo.data.expression.genes.BLOCK", 10)
    for one, other in zip(whole, found(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_packaged_assays():
    rna = ExpressionData("miniacc")
    assert modality_of(rna.spec)["scale"] == "abundance"
    assert everything(rna).shape == (78, 198)
    assert rna.spec["target"]["classes"] == ["C1B", "C1A"]
    assert rna.spec["id"] == "patient"
    assert rna.samples.index[0] == "TCGA-OR-A5J1"
    kept = ExpressionData("miniacc", unlabelled="keep")
    assert int((kept.dataset.y < 0).sum()) == 1
    micro = ExpressionData("miniacc", assay="miRNASeqGene", target="vital_status", covariates=["gender"])
    assert modality_of(micro.spec)["scale"] == "counts"
    assert everything(micro).shape == (80, 472)
    assert rna.describe()["sha256"] != micro.describe()["sha256"]
    with pytest.raises(InputError, match="has no assay 'RNA'; did you mean"):
        ExpressionData("miniacc", assay="RNA")
    assert modality_of(ExpressionData("miniacc", assay="Mutations").spec)["scale"] == "none"
    with pytest.raises(InputError, match="pima is not a data set of expression"):
        _ = ExpressionData("pima").dataset


def test_packaged_assays_agree_with_the_card(monkeypatch):
    card = files.card("miniacc")
    for name, about in card["assays"].items():
        table = pd.read_csv(card["folder"] / about["file"], index_col=0)
        assert table.shape == (about["samples"], about["features"]), name
        assert files.sha256(card["folder"] / about["file"]) == about["sha256"]
    clinical = pd.read_csv(card["folder"] / card["file"])
    assert list(clinical.columns) == list(card["columns"])
    assert len(clinical) == card["rows"]
    data = ExpressionData("miniacc")
    monkeypatch.setitem(data.card["assays"]["RNASeq2GeneNorm"], "sha256", "0" * 64)
    with pytest.raises(InputError, match="miniacc differs from its card"):
        _ = data.dataset


@pytest.mark.parametrize("name", ["pbmc3k_processed", "paul15"])
def test_errors_state_where_data_sets_that_are_not_shipped_are(name, message):
    assert files.card(name)["fetch"].split()[0] in message(lambda: ExpressionData(name).dataset)


def test_simulation_agrees_with_its_card():
    cells, card = expression(), files.card("expression_simulated")
    assert checksum(cells) == card["sha256"]
    assert cells.shape == (card["rows"], card["genes"])
    assert checksum(expression(seed=1)) != card["sha256"]
    sizes = cells.obs["group"].value_counts()
    assert sizes.index.tolist() == card["classes"]
    assert sizes.iloc[0] > 3 * sizes.iloc[-1]
    per = cells.X.toarray() / cells.X.toarray().sum(1, keepdims=True)
    for group in card["classes"]:
        fold = per[cells.obs["group"] == group].mean(0) / per[cells.obs["group"] != group].mean(0)
        assert np.median(fold[cells.var["marker"] == group]) > 2
        assert abs(np.log(np.median(fold[cells.var["marker"] == "none"]))) < 0.2
    data = ExpressionData("expression_simulated")
    assert modality_of(data.spec)["covariates"] == ["batch"]
    assert everything(data).shape == (3000, 501)
    assert modality_of(TableData("expression_simulated").spec)["shape"] == [501]


def test_simulated_counts_are_negative_binomial():
    uniform = np.random.default_rng(0).random((100_000, 3))
    mean, size = np.array([[0.2, 4.0, 300.0]]), np.array([1.0, 0.5, 5.0])
    counts = _negative_binomial(uniform, np.repeat(mean, len(uniform), 0), size)
    np.testing.assert_allclose(counts.mean(0), mean[0], rtol=0.03)
    np.testing.assert_allclose(counts.var(0), (mean + mean**2 / size)[0], rtol=0.05)
    np.testing.assert_allclose((counts == 0).mean(0)[:2], ((size / (size + mean)) ** size)[0, :2], rtol=0.02)

"""The first layer of expression models, and how their samples are found in other data."""

import tracemalloc

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch.autograd import gradcheck

from zoo.encode import encoder, to_tensor
from zoo.encode.expression import ExpressionEncoder
from zoo.encode.expression_rows import ExpressionRows, as_csr, row_blocks
from zoo.errors import InputError

GENES = [f"g{i}" for i in range(10)]
BATCH = {"features": [*GENES, "batch", "age"], "covariates": ["batch", "age"], "levels": {"batch": ["a", "b"]}}


def modality(scale="counts", **more):
    found = {"kind": "expression", "features": GENES, "scale": scale, **more}
    return {**found, "shape": [len(found["features"])]}


@pytest.fixture
def counts():
    """50 samples of 10 genes; the last gene is never seen."""
    x = torch.poisson(3 * torch.rand(50, 10, generator=torch.Generator().manual_seed(0)), torch.Generator())
    x[:, 9], x[:, 0] = 0, x[:, 0] + 1
    return x


@pytest.mark.parametrize("scale", ["counts", "abundance", "log"])
def test_training_rows_come_out_in_standard_units_and_go_back(scale, counts):
    layer = encoder(modality(scale))
    layer.fit(counts)
    out = layer(counts)
    assert out.shape == (50, 10) == (50, *layer.out_shape)
    torch.testing.assert_close(out.mean(0), torch.zeros(10), atol=1e-6, rtol=0)
    torch.testing.assert_close(out.std(0, correction=0)[:9], torch.ones(9))
    assert layer.scale[9] == 1
    values = counts * 1e4 / counts.sum(1, keepdim=True) if scale == "counts" else counts
    torch.testing.assert_close(layer.inverse(out), values, rtol=1e-4, atol=1e-3)
    if scale != "log":
        assert layer.inverse(torch.full((1, 10), -50.0)).min() == 0


def test_depth_does_not_matter_for_counts(counts):
    layer = encoder(modality())
    layer.fit(counts)
    torch.testing.assert_close(layer(7 * counts), layer(counts))
    assert layer(torch.zeros(1, 10)).isfinite().all()


def test_what_was_not_measured_is_average(counts):
    layer, x = encoder(modality("abundance")), counts.clone()
    x[::2, 3] = torch.nan
    layer.fit(x)
    assert layer.mean[3] == pytest.approx(float((x[1::2, 3] + 1).log().mean()), rel=1e-6)
    assert (layer(x)[::2, 3] == 0).all()
    assert layer.observed(counts) is None
    assert layer.observed(x).sum() == 500 - 25
    torch.testing.assert_close(layer.observed(x), ~x.isnan())
    counted = encoder(modality())
    counted.fit(counts)
    x[:, 3] = torch.nan
    share = counts.clone()
    share[:, 3] = 0
    torch.testing.assert_close(counted(x)[:, :3], counted(share)[:, :3])  # the total is that of the measured genes


def test_statistics_in_pieces_are_those_of_all(counts, monkeypatch):
    whole, pieces = encoder(modality("log")), encoder(modality("log"))
    x = counts + 1e4
    whole.fit(x)
    monkeypatch.setattr("zoo.encode.expression.FIT_VALUES", 70)
    pieces.fit(x)
    torch.testing.assert_close(whole.mean, pieces.mean)
    torch.testing.assert_close(pieces.scale[:9], x.double().std(0, correction=0)[:9].float(), rtol=1e-6, atol=0)


def test_covariates_come_last(counts):
    layer = encoder(modality(**BATCH))
    x = torch.cat([counts, (torch.arange(50) % 3).float()[:, None], torch.arange(50.0)[:, None]], 1)
    layer.fit(x)
    out = layer(x)
    assert layer.covariates == 4
    assert layer.feature_names == [*GENES, "age", "batch=a", "batch=b", "batch=unknown"]
    torch.testing.assert_close(out[:3, 11:], torch.eye(3))
    torch.testing.assert_close(out[:, 10].std(correction=0), torch.tensor(1.0))
    assert layer.inverse(out[:, :10]).shape == (50, 10)
    assert layer.observed(x) is None
    with pytest.raises(InputError, match="last features"):
        ExpressionEncoder(modality(features=["batch", *GENES], covariates=["batch"]))


@pytest.mark.parametrize("scale", ["counts", "abundance", "log"])
def test_examples_are_plausible(scale, counts):
    layer = encoder(modality(scale, **BATCH))
    layer.fit(torch.cat([counts, torch.zeros(50, 2)], 1))
    x = layer.example(40, seed=1)
    assert x.shape == (40, 12)
    torch.testing.assert_close(x, layer.example(40, seed=1), rtol=0, atol=0, equal_nan=True)
    assert not x.equal(layer.example(40, seed=2))
    genes = x[:, :10]
    if scale == "counts":
        assert (genes % 1 == 0).all()
        assert (genes.sum(1) > 0).all()
    if scale != "log":
        assert genes.min() >= 0
    assert layer(x).isfinite().all()


def test_gradients_reach_the_raw_values(counts):
    layer = encoder(modality()).double()
    layer.fit(counts)
    assert gradcheck(layer, (counts[:3].double().requires_grad_(),))


def test_unknown_scale_is_refused():
    with pytest.raises(InputError, match="scale 'tpm' is unknown"):
        encoder(modality("tpm"))


def cells(counts, names=GENES):
    obs = pd.DataFrame({"batch": ["a", "b", "new", None, "a"] * 10, "age": range(50)})
    obs.index = [f"cell{i}" for i in range(50)]
    return anndata.AnnData(sparse.csr_matrix(counts.numpy()), obs=obs, var=pd.DataFrame(index=list(names)))


def test_genes_are_found_by_name_in_any_order(counts):
    adata = cells(counts)
    other = anndata.concat([adata[:, ::-1], adata[:, :2].copy()], axis=1, merge="first")
    other.var_names = [*GENES[::-1], "more", "genes"]
    x = to_tensor(other, modality(**BATCH))
    assert isinstance(x, ExpressionRows)
    assert len(x) == 50
    rows = torch.tensor([3, 0, 44])
    torch.testing.assert_close(x[rows][:, :10], counts[rows])
    assert x[rows][:, 10].tolist()[1:] == [0, 0]
    assert x[rows][0, 10].isnan()
    assert x[torch.tensor([2])][0, 10] == 2  # a batch that was not seen in training
    table = pd.concat([other.to_df(), other.obs], axis=1)
    torch.testing.assert_close(to_tensor(table, modality(**BATCH)), x[torch.arange(50)], equal_nan=True)


def test_dense_and_column_wise_matrices_are_read_too(counts):
    expected = to_tensor(cells(counts), modality())[torch.arange(50)]
    for kind in (np.asarray, sparse.csc_matrix, sparse.coo_matrix, sparse.csr_array):
        torch.testing.assert_close(torch.from_numpy(as_csr(kind(counts.numpy())).toarray()), expected)
    twice = sparse.csr_matrix((np.ones(4), np.array([0, 0, 1, 0]), np.array([0, 2, 4])), shape=(2, 2))
    assert as_csr(twice).toarray().tolist() == [[2, 0], [1, 1]]
    assert twice.nnz == 4  # the user's own stays as it is


def test_few_missing_genes_are_set_to_the_mean_and_reported(counts, caplog):
    x = to_tensor(cells(counts)[:, 1:], modality())
    assert caplog.messages == ["the table: 1 of 10 genes were not measured and are set to the training mean: g0"]
    assert x[torch.tensor([0, 1])][:, 0].isnan().all()
    torch.testing.assert_close(x[torch.arange(50)][:, 1:], counts[:, 1:])
    table = to_tensor(cells(counts)[:, 1:].to_df(), modality())
    torch.testing.assert_close(table, x[torch.arange(50)], equal_nan=True)


def test_many_missing_genes_are_refused_with_a_hint(counts, message):
    told = message(lambda: to_tensor(cells(counts)[:, 3:], modality(), "new.h5ad"))
    assert "new.h5ad has 7 of the 10 genes that are needed (70%, at least 80% are required)" in told
    assert "g0, g1, g2;" in told
    upper = cells(counts, [name.upper() for name in GENES])
    assert "differ in case (g0, G0)" in message(lambda: to_tensor(upper, modality()))
    plain = [f"ENSG{i:011}" for i in range(10)]
    versions = cells(counts, [f"{name}.{i + 1}" for i, name in enumerate(plain)])
    told = message(lambda: to_tensor(versions, modality(features=plain)))
    assert "differ in their version (ENSG00000000000, ENSG00000000000.1)" in told


def test_wrong_values_name_sample_and_gene(counts, message):
    adata = cells(counts / 2)
    adata.layers["raw"] = cells(counts).X
    told = message(lambda: to_tensor(adata, modality(), "new.h5ad"))
    assert "new.h5ad: sample cell0, gene g" in told
    assert "is not a whole number; the layers raw may have them" in told
    table = cells(counts).to_df().astype(object)
    table.loc["cell7", "g4"] = "high"
    assert "sample cell7, gene g4: 'high' is not a number" in message(lambda: to_tensor(table, modality()))
    assert "no covariate 'batch'" in message(lambda: to_tensor(cells(counts).to_df(), modality(**BATCH)))
    twice = cells(counts, [*GENES[:-1], "g0"])
    assert "gene 'g0' occurs more than once" in message(lambda: to_tensor(twice, modality()))


def test_only_batches_are_dense():
    matrix = sparse.csr_matrix((100_000, 10_000), dtype=np.float32)
    x = ExpressionRows(matrix, np.arange(10_000)[::-1], None)
    tracemalloc.start()
    batch = x[torch.arange(128)]
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert batch.shape == (128, 10_000)
    assert batch.abs().sum() == 0


def test_blocks_of_rows_are_all_rows(monkeypatch):
    monkeypatch.setattr("zoo.encode.expression_rows.BLOCK", 7)
    for shape, density in (((30, 5), 0.5), ((4, 50), 0.9), ((10, 3), 0.0)):
        matrix = sparse.random(*shape, density, format="csr", random_state=0)
        rows = np.concatenate([np.arange(shape[0])[block] for block in row_blocks(matrix)])
        np.testing.assert_array_equal(rows, np.arange(shape[0]))
        np.testing.assert_array_equal(as_csr(matrix.toarray()).toarray(), matrix.toarray().astype(np.float32))

"""Reading, splitting and annotating expression matrices."""

import logging
import tracemalloc

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from zoo.data import ExpressionData
from zoo.data.simulated.expression import expression
from zoo.errors import InputError
from zoo.models import MLP
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


def test_rows_are_those_of_the_matrix(cells, h5ad, caplog):
    with caplog.at_level(logging.INFO, "zoo"):
        data = ExpressionData(h5ad, target="group", covariates=["batch", "age"])
        x = everything(data)
    assert features(data) == [*cells.var_names[:29], "batch", "age"]
    np.testing.assert_array_equal(x[:, :29], cells.X.toarray()[:, :29])
    assert x[:, 29].tolist() == [int(name[-1]) - 1 for name in cells.obs["batch"]]
    assert "1 genes are constant in the training samples and left out: gene30" in caplog.text
    assert "scale detected as counts" in caplog.text
    modality = modality_of(data.spec)
    assert modality["scale"] == "counts"
    assert modality["covariates"] == ["batch", "age"]
    assert modality["levels"] == {"batch": ["batch1", "batch2", "batch3"]}
    assert data.spec["target"]["classes"] == ["group1", "group2"]
    assert data.samples.index.tolist() == cells.obs_names.tolist()
    assert data.samples["group"].tolist() == cells.obs["group"].tolist()
    assert set(data.samples.columns) == {"sample", "group", "batch", "library", "age", "split"}
    batch = next(iter(data.train_dataloader()))
    torch.testing.assert_close(batch["x"], x[batch["row"]])


def test_every_format_reads_the_same(cells, h5ad, here):
    expected = ExpressionData(h5ad, target="group", covariates=["batch"])
    table = cells.to_df().astype(int)
    beside = cells.obs[["group", "batch"]].astype(str)
    table.join(beside).to_csv("wide.csv", index_label="cell")
    table.join(beside).to_parquet("wide.parquet")
    table.to_csv("matrix.tsv.gz", sep="\t", index_label="")
    table.T.to_csv("geo.csv", index_label="ID_REF")
    beside.iloc[::-1].to_csv("samples.csv", index_label="cell")
    cells.X = cells.X.tocsc()
    cells.write_h5ad("columns.h5ad")
    cells.layers["counts"], cells.X = cells.X, cells.X.toarray().astype(float)
    cells.write_h5ad("dense.h5ad")
    for path, more in {
        "wide.csv": {},
        "wide.parquet": {},
        "matrix.tsv.gz": {"samples_path": "samples.csv"},
        "geo.csv": {"samples_path": "samples.csv", "genes_in_rows": True, "id": "cell"},
        "columns.h5ad": {},
        "dense.h5ad": {},
        "./dense.h5ad": {"layer": "counts"},
    }.items():
        data = ExpressionData(path, target="group", covariates=["batch"], **more)
        assert data.spec["modalities"] == expected.spec["modalities"]
        assert data.spec["target"] == expected.spec["target"]
        torch.testing.assert_close(everything(data), everything(expected))
        assert data.samples["split"].to_dict() == expected.samples["split"].to_dict()


def test_the_matrix_stays_sparse(here):
    rng = np.random.default_rng(0)
    indices, indptr = rng.integers(2_000, size=(20_000, 10)), np.arange(0, 200_001, 10)
    matrix = sparse.csr_matrix((rng.random(200_000), indices.ravel(), indptr), shape=(20_000, 2_000), dtype=np.float32)
    names = pd.DataFrame(index=[f"c{i}" for i in range(20_000)]), pd.DataFrame(index=[f"g{i}" for i in range(2_000)])
    anndata.AnnData(matrix, *names).write_h5ad("sparse.h5ad")
    with h5py.File("sparse.h5ad") as given, h5py.File("dense.h5ad", "w") as file:
        for name in ("obs", "var"):
            given.copy(name, file)
        file.create_dataset("X", matrix.shape, "f4", chunks=(1000, 2000), compression="lzf")
        file["X"][:1000] = matrix[:1000].toarray()
    for path in ("sparse.h5ad", "dense.h5ad"):
        data = ExpressionData(path, scale="abundance")
        tracemalloc.start()
        assert len(data.dataset.x) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 0.5 * matrix.shape[0] * matrix.shape[1] * 4
        tracemalloc.stop()
        torch.testing.assert_close(
            data.dataset.x[torch.arange(9)][:, 0], torch.from_numpy(matrix[:9, 0].toarray()[:, 0])
        )


def test_statistics_of_large_data_are_of_a_subset_of_training_rows(h5ad, monkeypatch):
    whole = ExpressionData(h5ad, target="group")
    monkeypatch.setattr("zoo.data.expression.expression.STATISTICS", 29 * 20)
    data = ExpressionData(h5ad, target="group")
    x = data.training_inputs()
    assert len(x) == len(data.training_targets()) == 20
    training = {tuple(row) for row in whole.training_inputs().tolist()}
    assert {tuple(row) for row in x.tolist()} <= training
    assert x.equal(ExpressionData(h5ad, target="group").training_inputs())
    again = ExpressionData(h5ad, target="group", seed=1)
    assert not x.equal(again.training_inputs())


def test_split_is_stratified_and_follows_its_seed(h5ad):
    data = ExpressionData(h5ad, target="group")
    share = data.samples.groupby("split")["group"].apply(lambda group: (group == "group1").mean())
    assert np.ptp(share) < 0.1
    assert ExpressionData(h5ad, target="group").samples.equals(data.samples)
    assert not ExpressionData(h5ad, target="group", seed=1).samples["split"].equals(data.samples["split"])
    folds = [ExpressionData(h5ad, target="group", folds=4, fold=fold).dataset.rows("test") for fold in range(4)]
    assert torch.cat(folds).sort()[0].tolist() == list(range(120))


def test_duplicates_and_groups_share_a_split(cells, here, caplog):
    copies = cells[:40].copy()
    copies.obs_names = [f"copy{i}" for i in range(40)]
    both = anndata.concat([cells, copies])
    both.obs["donor"] = [f"d{i}" for i in np.arange(160) // 4]
    both.write_h5ad("twice.h5ad")
    with caplog.at_level(logging.INFO, "zoo"):
        samples = ExpressionData("twice.h5ad", target="group", group="donor").samples
    assert "40 samples are exact duplicates" in caplog.text
    assert samples["split"].iloc[:40].tolist() == samples["split"].iloc[120:].tolist()
    assert samples.groupby("donor", observed=True)["split"].nunique().eq(1).all()


def test_samples_are_annotated_by_name(cells, here, caplog):
    cells.to_df().to_csv("matrix.csv", index_label="")
    beside = cells.obs[["group"]].assign(number=range(120)).sample(frac=1, random_state=0)
    extra = pd.DataFrame({"group": ["group1"], "number": [0]}, index=["another"])
    pd.concat([beside.iloc[:100], extra]).rename_axis("cell").reset_index().to_csv("samples.csv", index=False)
    with caplog.at_level(logging.INFO, "zoo"):
        data = ExpressionData("matrix.csv", target="group", samples_path="samples.csv")
        assert len(data.samples) == 100
    assert "20 samples of matrix.csv are not in samples.csv, such as" in caplog.text
    assert "1 samples of samples.csv are not in matrix.csv" in caplog.text
    known = cells.obs["group"][data.samples.index]
    assert data.samples["group"].tolist() == known.tolist()
    order = cells.obs_names.get_indexer(data.samples.index)
    np.testing.assert_array_equal(everything(data), cells.X.toarray()[order, :29])
    kept = ExpressionData("matrix.csv", target="group", samples_path="samples.csv", unlabelled="keep")
    assert len(kept.samples) == 120
    assert int((kept.dataset.y < 0).sum()) == 20
    assert ExpressionData("matrix.csv").spec["target"]["kind"] == "none"
    assert data.describe()["sha256"] != ExpressionData("matrix.csv").describe()["sha256"]


def test_covariates_that_are_categories(cells, here):
    cells.obs["lane"] = np.arange(120) % 4
    cells.obs["plate"] = pd.Categorical(np.arange(120) % 12)
    cells.obs["control"] = np.arange(120) % 2 == 0
    cells.write_h5ad("cells.h5ad")
    data = ExpressionData("cells.h5ad", covariates=["lane", "plate", "control", "library"])
    levels = modality_of(data.spec)["levels"]
    assert levels["lane"] == ["0", "1", "2", "3"]
    assert len(levels["plate"]) == 12
    assert levels["control"] == ["False", "True"]
    assert "library" not in levels
    assert everything(data)[:, -4].tolist() == (np.arange(120) % 4).tolist()


def test_a_column_of_annotation_may_be_called_sample(cells, here):
    cells.obs["sample"] = [f"s{i}" for i in np.arange(120) // 3]
    cells.write_h5ad("cells.h5ad")
    data = ExpressionData("cells.h5ad", target="group", group="sample")
    assert data.samples.index.tolist() == cells.obs_names.tolist()
    assert data.samples.groupby("sample", observed=True)["split"].nunique().eq(1).all()
    named = ExpressionData("cells.h5ad", target="group", id="library")
    with pytest.raises(InputError, match="occurs more than once in column 'library'"):
        _ = named.dataset


def test_separate_test_file(cells, here, caplog):
    cells[:80].copy().write_h5ad("a.h5ad")
    cells[80:, [*range(29, 0, -1)]].copy().write_h5ad("b.h5ad")
    data = ExpressionData("a.h5ad", target="group", test_path="b.h5ad")
    assert data.samples.index[data.samples["split"] == "test"].tolist() == cells.obs_names[80:].tolist()
    x = everything(data)
    genes = cells.var_names.get_indexer(features(data))
    np.testing.assert_array_equal(x[:80], cells.X.toarray()[:80][:, genes])
    np.testing.assert_array_equal(x[80:, 1:], cells.X.toarray()[80:][:, genes[1:]])
    assert x[80:, 0].isnan().all()
    assert "b.h5ad: 1 of 30 genes were not measured" in caplog.text
    half = cells[80:].copy()
    half.X = half.X * 0.5
    half.write_h5ad("b.h5ad")
    with pytest.raises(InputError, match=r"b.h5ad: sample cell81, gene .* is not a whole number"):
        _ = ExpressionData("a.h5ad", target="group", test_path="b.h5ad").dataset
    assert len(data.frame()) == 80


def test_a_trained_model_reads_other_data(cells, h5ad, caplog):
    data = ExpressionData(h5ad, target="group", covariates=["batch"])
    model = MLP(spec=data.spec, hidden=[8])
    model.fit_encoders(data.training_inputs())
    adata = data.frame()
    assert adata.obs_names.tolist() == cells.obs_names.tolist()
    np.testing.assert_array_equal(adata.X.toarray(), cells.X.toarray())
    expected = model.predict(adata)
    assert expected.index.tolist() == cells.obs_names.tolist()
    pd.testing.assert_frame_equal(model.predict(cells[::-1, ::-1])[::-1], expected, check_names=False)
    other = cells[:50, 2:].copy()
    other.obs["batch"] = "batch9"
    other.write_h5ad("other.h5ad")
    again = ExpressionData("other.h5ad").conform(data.spec, external=True)
    assert again.spec == data.spec
    assert set(again.samples["split"]) == {"test"}
    assert everything(again)[:, :2].isnan().all()
    assert everything(again)[:, -1].tolist() == [3] * 50
    assert "2 of 29 genes were not measured and are set to the training mean: gene1, gene2" in caplog.text
    assert model(everything(again)).isfinite().all()
    few = cells[:50, 10:].copy()
    few.write_h5ad("few.h5ad")
    with pytest.raises(InputError, match=r"few.h5ad has 19 of the 29 genes that are needed \(66%"):
        _ = ExpressionData("few.h5ad").conform(data.spec, external=True).dataset


def test_baseline_features_are_standardised(h5ad):
    data = ExpressionData(h5ad, target="group", covariates=["batch"])
    found = data.baseline_features(data.dataset.rows("train"))[""]
    assert found.shape == (len(data.dataset.rows("train")), 29 + 4)
    assert np.abs(found[:, :29].mean(0)).max() < 1e-5
    assert np.isfinite(data.baseline_features(data.dataset.rows("test"))[""]).all()

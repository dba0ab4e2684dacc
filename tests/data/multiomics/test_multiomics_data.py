"""Several tables of the same patients are joined by name, with missing modalities and duplicates."""

import logging

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from anndata.io import write_elem
from omics import ALL, cohort, everything, read, same, train, write
from PIL import Image

from zoo.encode import encoder
from zoo.models import MultiModal
from zoo.spec import modality_of

SURVIVAL = {"target": "days", "event": "dead"}


@pytest.fixture
def tables(here):
    tables = cohort()
    write(tables)
    return tables


def test_tables_are_joined_by_name_whatever_their_order(tables, caplog):
    with caplog.at_level(logging.INFO, "zoo"):
        data = read()
        x = everything(data)
    assert data.samples.index.tolist() == [f"p{i}" for i in range(60)]
    for name in ALL:
        same(x[name], tables[name])
    assert x["measured"].all()
    scales = {name: part["scale"] for name, part in data.spec["modalities"].items()}
    assert scales == {"rna": "log", "mirna": "counts", "copies": "none"}
    assert data.spec["id"] == "patient"
    assert "rna: 60 of 60 samples" in caplog.text
    batch = next(iter(data.train_dataloader()))
    same(batch["x"]["rna"], tables["rna"].iloc[batch["row"].numpy()])
    assert data.describe()["modalities"] == list(ALL)
    checksum = data.describe()["sha256"]
    mutated = tables["copies"].clip(0, 1)
    mutated.to_parquet("copies.parquet")
    assert read().spec["modalities"]["copies"]["scale"] == "none"
    assert read().describe()["sha256"] != checksum


def test_names_of_patients_may_be_numbers(tables):
    for table in tables.values():
        table.index = pd.Index(range(1001, 1061), name="patient")
    write(tables)
    data = read()
    assert data.spec["modalities"]["rna"]["features"] == list(tables["rna"])
    assert data.samples.index[0] == "1001"
    same(everything(data)["copies"], tables["copies"])
    tables["samples"].rename_axis("ID").reset_index()[["group", "ID"]].to_csv("last.csv", index=False)
    tables["rna"].rename_axis("ID").reset_index().iloc[:, ::-1].to_csv("rna.csv", index=False)
    same(everything(read(path="last.csv", id="ID"))["rna"], tables["rna"].iloc[:, ::-1])


def test_samples_that_are_not_in_the_sample_table_are_logged(tables, caplog):
    tables["samples"].iloc[:50].to_csv("samples.csv")
    assert len(read().samples) == 50
    assert "10 of 60 samples of rna.csv (such as p5" in caplog.text
    assert "are not in samples.csv and are left out" in caplog.text


def test_samples_that_lack_a_modality(tables, caplog):
    tables["rna"].iloc[20:].to_csv("rna.csv")
    tables["mirna"].iloc[:50].to_csv("mirna.tsv.gz", sep="\t")
    tables["copies"].iloc[30:].to_parquet("copies.parquet")
    extra = tables["samples"].iloc[:1].set_axis(["nothing"]).rename_axis("patient")
    pd.concat([tables["samples"], extra]).to_csv("samples.csv")
    with caplog.at_level(logging.INFO, "zoo"):
        data = read()
        x = everything(data)
    assert "1 samples that lack all modalities are left out" in caplog.text
    assert x["measured"].sum(0).tolist() == [40, 50, 30] == data.measured_modalities().sum().tolist()
    assert data.samples["measured rna"].tolist() == [False] * 20 + [True] * 40
    assert x["rna"][:20].isnan().all()
    same(x["rna"][20:], tables["rna"].iloc[20:])
    layer = encoder(modality_of(data.spec))
    layer.fit(data.training_inputs())
    encoded = layer(x)
    assert (layer.parts(encoded)["rna"][:20] == 0).all()
    assert layer.measured(encoded)[0].tolist() == [0, 1, 0]
    assert np.isnan(data.baseline_modalities(torch.arange(20))["rna"]).all()
    assert len(read(missing="drop").samples) == 20
    imputed = read(missing="impute")
    layer = encoder(modality_of(imputed.spec))
    layer.fit(imputed.training_inputs())
    encoded = layer(everything(imputed))
    assert everything(imputed)["measured"][0].tolist() == [False, True, False]
    assert (layer.parts(encoded)["rna"][:20] == 0).all()
    assert (layer.measured(encoded) == 1).all()


def test_other_files_read_the_same(tables):
    expected = everything(read())
    obs = tables["samples"].rename_axis(None)
    mods = {name: anndata.AnnData(tables[name].astype("f4"), obs=obs[[]]) for name in ALL}
    mods["rna"].write_h5ad("rna.h5ad")
    tables["mirna"].T.rename_axis("gene").to_csv("geo.csv")
    with h5py.File("all.h5mu", "w") as file:
        for name, adata in mods.items():
            write_elem(file, f"mod/{name}", adata[::-1].copy())
        for name in ("obs", "var"):
            write_elem(file, name, obs.assign(sample=1) if name == "obs" else pd.DataFrame(index=["g0"]))
    given = {"rna": "rna.h5ad", "mirna": {"path": "geo.csv", "genes_in_rows": True}, "copies": "copies.parquet"}
    for data in (read(given), read(None, "all.h5mu"), read(list(ALL), "all.h5mu"), read(given, id="patient")):
        x = everything(data)
        for name in ALL:
            torch.testing.assert_close(x[name], expected[name])
    clinical = read({"rna": {"most_variable": 5}}, "all.h5mu", clinical=["age", "sex"])
    same(everything(clinical)["clinical"][:, :1], tables["samples"][["age"]])
    assert clinical.spec["modalities"]["rna"]["shape"] == [5]
    assert read(["mirna", "rna"], "all.h5mu").describe()["modalities"] == ["mirna", "rna"]


def test_tables_with_text_and_clinical_columns(tables):
    samples = tables["samples"].copy()
    samples.loc["p7", "age"], samples.loc["p8", "sex"] = np.nan, None
    samples.to_csv("samples.csv")
    stage = pd.DataFrame({"stage": ["I", "II", "III"] * 20, "size": np.linspace(1, 5, 60)}, samples.index)
    stage.iloc[::-1].to_csv("stage.csv")
    data = read({"rna": "rna.csv", "stage": "stage.csv"}, clinical=["age", "sex"])
    parts = data.spec["modalities"]
    assert {name: part["kind"] for name, part in parts.items()} == {
        "rna": "expression", "stage": "table", "clinical": "table",
    }  # fmt: skip
    assert parts["stage"]["levels"] == {"stage": ["I", "II", "III"]}
    x = everything(data)
    assert x["stage"][:3, 0].tolist() == [0, 1, 2]
    assert x["clinical"][7, 0].isnan()
    assert x["clinical"][8, 1].isnan()
    layer = encoder(modality_of(data.spec))
    layer.fit(data.training_inputs())
    assert layer.feature_names[12:16] == ["stage:size", "stage:stage=I", "stage:stage=II", "stage:stage=III"]
    assert layer.parts(layer(x))["clinical"][8].tolist()[1:] == [0, 0, 1]
    assert layer.parts(layer(x))["clinical"][7, 0] == 0


def test_sequences_beside_a_table_train_and_predict(tables):
    letters = ["".join(row) for row in np.random.default_rng(0).choice(list("ACGT"), (60, 16))]
    dna = pd.DataFrame({"number": range(60), "patient": tables["samples"].index, "sequence": letters})
    dna.iloc[:50].to_csv("dna.csv", index=False)
    given = {"rna": "rna.csv", "dna": {"path": "dna.csv", "kind": "sequence", "mask": 1.0}}
    data = read(given, id="patient", batch_size=64)
    x = everything(data)
    assert x["dna"].dtype == torch.uint8
    assert x["measured"][:, 1].tolist() == [True] * 50 + [False] * 10
    assert (x["dna"][50:] == 4).all()
    augmented = data.augment({"x": x.clone()}, torch.Generator())["x"]
    assert (augmented["dna"] == 4).all()
    assert augmented["rna"].equal(x["rna"])
    model = train(MultiModal(spec=data.spec, hidden=[8], fused=[4]), data)
    predicted = model.predict({"dna": dna.iloc[::-1], "rna": tables["rna"].iloc[:5]})
    assert predicted.index.tolist() == [f"p{i}" for i in range(59, -1, -1)]
    assert predicted["probability_a"].between(0, 1).all()


def test_images_and_series_beside_a_table(tables, here):
    rng = np.random.default_rng(0)
    (here / "scans").mkdir()
    for number in range(50):
        Image.fromarray(rng.integers(0, 255, (4, 6), dtype=np.uint8)).save(f"scans/p{number}.png")
    walks = pd.DataFrame(rng.normal(size=(60, 9)), tables["samples"].index)
    walks.iloc[::-1].to_csv("walks.csv")
    scans, series = {"path": "scans", "kind": "image", "flip": "both"}, {"path": "walks.csv", "kind": "series"}
    data = read({"rna": "rna.csv", "scan": scans, "ecg": {**series, "id": "patient", "jitter": 0.5}})
    x = everything(data)
    assert x["measured"].sum(0).tolist() == [60, 50, 60]
    assert x["scan"].shape == (60, 1, 4, 6)
    same(x["ecg"][:, 0], walks)
    augmented = data.augment({"x": x.clone()}, torch.Generator().manual_seed(0))["x"]
    assert augmented["rna"].equal(x["rna"])
    assert not augmented["ecg"].equal(x["ecg"])
    assert not augmented["scan"].equal(x["scan"])
    assert list(data.frame()["scan"].index[:2]) == ["p0", "p1"]


def test_the_same_sample_under_two_names_shares_a_split_though_one_lacks_a_modality(tables):
    copies = tables["rna"].iloc[:20].set_axis([f"copy{i}" for i in range(20)]).rename_axis("patient")
    tables["rna"] = pd.concat([tables["rna"], copies])  # the copies have no other modality
    tables["samples"] = pd.concat([tables["samples"], tables["samples"].iloc[:20].set_axis(copies.index)])
    write(tables)
    split = read().samples["split"].tolist()
    assert split[:20] == split[60:]


def test_samples_that_are_equal_in_all_their_modalities_share_a_split(tables, caplog):
    for name in ALL:
        copies = tables[name].iloc[:20].set_axis([f"copy{i}" for i in range(20)]).rename_axis("patient")
        tables[name] = pd.concat([tables[name], copies])
    tables["copies"][:] = 0  # no mutations: samples that are equal in this modality only are not duplicates
    tables["copies"].iloc[0] = tables["copies"].iloc[60] = 1
    more = tables["samples"].iloc[:20].set_axis(tables["rna"].index[60:])
    tables["samples"] = pd.concat([tables["samples"], more])
    write(tables)
    with caplog.at_level(logging.INFO, "zoo"):
        split = read().samples["split"]
    assert "20 samples are exact duplicates of others" in caplog.text
    assert split.iloc[:20].tolist() == split.iloc[60:].tolist()
    assert split.iloc[20:60].nunique() == 3

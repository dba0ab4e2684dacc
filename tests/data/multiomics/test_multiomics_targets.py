"""Targets of several tables: feature selection, statistics of training rows only, extra targets, trained models."""

import logging

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from omics import ALL, cohort, everything, read, same, train, write

from zoo.encode import encoder
from zoo.models import MLP, MultiModal
from zoo.spec import modality_of

ALSO = {"os": {"target": "days", "event": "dead", "weight": 0.5}, "age": {"target": "age"}}


@pytest.fixture
def tables(here):
    tables = cohort()
    write(tables)
    return tables


@pytest.mark.parametrize(("target", "planted"), [("group", "rna:g3"), ("age", "copies:c2"), ("days", "mirna:m1")])
def test_features_associated_with_the_target_are_selected(target, planted, tables):
    given = {name: {"path": path, "most_predictive": 3} for name, path in ALL.items()}
    data = read(given, target=target, event="dead" if target == "days" else None)
    name, feature = planted.split(":")
    assert feature in data.spec["modalities"][name]["features"]
    assert all(len(part["features"]) == 3 == part["shape"][0] for part in data.spec["modalities"].values())
    x = everything(data)
    same(x[name], tables[name][data.spec["modalities"][name]["features"]])


def test_covariates_are_kept_with_the_most_predictive_genes(tables):
    adata = anndata.AnnData(tables["rna"].astype("f4"), obs=tables["samples"][["sex", "age"]])
    adata.write_h5ad("rna.h5ad")
    rna = {"path": "rna.h5ad", "covariates": ["sex", "age"], "most_predictive": 2}
    data = read({"rna": rna, "mirna": "mirna.tsv.gz"})
    part = data.spec["modalities"]["rna"]
    assert "g3" in part["features"][:2]
    assert part["features"][2:] == ["sex", "age"]
    assert everything(data)["rna"].shape == (60, 4)


def test_statistics_are_of_training_rows_only(tables):
    rna = {"path": "rna.csv", "most_variable": 4, "scale": "log"}
    given = {"rna": rna, "mirna": {"path": "mirna.tsv.gz", "most_predictive": 3}}
    samples = tables["samples"].assign(split=np.random.default_rng(1).permutation(["train", "test", "validation"] * 20))
    test = samples["split"] != "train"

    def fitted():
        samples.to_csv("samples.csv")
        data = read(given, clinical=["age", "sex"], split="split")
        layer = encoder(modality_of(data.spec))
        layer.fit(data.training_inputs())
        return data.spec, layer.state_dict()

    spec, state = fitted()
    tables["rna"].loc[test, ["g0", "g5"]] *= 9
    tables["mirna"].loc[test] = tables["mirna"].loc[test].to_numpy()[:, ::-1] * 7
    samples.loc[test, "age"] += 1000
    samples.loc[samples.index[test][0], "sex"] = "unknown"
    write(tables)
    changed, other = fitted()
    assert changed == spec
    assert all(values.equal(other[name]) for name, values in state.items())


def incomplete(tables):
    """A third of the patients lack each target, every tenth lacks all."""
    samples, number = tables["samples"], np.arange(60)
    samples.loc[number % 3 == 0, "group"] = None
    samples.loc[number % 3 == 1, "days"] = np.nan
    samples.loc[number % 3 == 2, "age"] = np.nan
    samples.loc[number % 10 == 0, ["group", "days", "age"]] = None
    samples.to_csv("samples.csv")
    return samples[number % 10 > 0]


def test_several_targets(tables, caplog):
    samples = incomplete(tables)
    with caplog.at_level(logging.INFO, "zoo"):
        data = read(also=ALSO, batch_size=16)
        dataset = data.dataset
    assert "6 samples without a value of any target are left out" in caplog.text
    assert data.samples.index.tolist() == samples.index.tolist()
    assert dataset.y.tolist() == samples["group"].map({"a": 0, "b": 1}).fillna(-1).tolist()
    np.testing.assert_allclose(dataset.also["age"], samples["age"], rtol=1e-6)
    assert dataset.also["os"].isnan().all(1).tolist() == samples["days"].isna().tolist()
    also = data.spec["also"]
    assert (also["os"]["kind"], also["os"]["event"], also["os"]["weight"]) == ("survival", "dead", 0.5)
    assert (also["age"]["kind"], also["age"]["weight"]) == ("regression", 1.0)
    assert data.spec["target"]["unlabelled"]
    assert also["age"]["unlabelled"]
    batch = next(iter(data.train_dataloader()))
    assert {"y", "y os", "y age"} < set(batch)
    torch.testing.assert_close(batch["y os"], dataset.also["os"][batch["row"]], equal_nan=True)
    one = read(also={"age": {"target": "age"}}, unlabelled="drop")
    assert one.dataset.y.tolist().count(-1) == int(samples.loc[samples["age"].notna(), "group"].isna().sum())


def test_a_model_of_several_targets_is_scored_on_other_data(tables, caplog, message):
    incomplete(tables)
    data = read(also=ALSO, clinical=["sex"])
    model = train(MultiModal(spec=data.spec, hidden=[8], fused=[4]), data)
    again = read(also=ALSO, clinical=["sex"]).conform(model.spec)
    assert again.spec == data.spec
    assert again.samples.equals(data.samples)
    torch.testing.assert_close(again.dataset.also["os"], data.dataset.also["os"], equal_nan=True)
    other = cohort(seed=1)
    write(other)
    external = read({"mirna": ALL["mirna"], "rna": ALL["rna"]}).conform(model.spec, external=True)
    assert external.samples["split"].eq("test").all()
    x = everything(external)
    assert set(x.keys()) == {"rna", "mirna", "copies", "clinical", "measured"}
    assert x["measured"].tolist() == [[True, True, False, False]] * 60
    np.testing.assert_allclose(external.dataset.also["age"], other["samples"]["age"], rtol=1e-6)
    predicted = model.predict(external.frame())
    assert {"prediction", "probability_b", "os_risk", "age_prediction"} <= set(predicted)
    batch = next(iter(external.test_dataloader()))
    with torch.no_grad():
        output = model.predict_from(model(batch["x"]))[:, 1]
    np.testing.assert_allclose(predicted["probability_b"][external.samples.index], output, rtol=1e-5)
    more = read({**ALL, "protein": "rna.csv"}).conform(model.spec, external=True)
    assert set(everything(more).keys()) == {"rna", "mirna", "copies", "clinical", "measured"}
    assert "the model was trained without the modality protein, which is left out" in caplog.text
    none = read({"protein": "rna.csv", "dna": "mirna.tsv.gz"}).conform(model.spec, external=True)
    assert "no modality to train on" in message(lambda: none.dataset)


def test_other_data_that_lack_what_a_model_needs_are_refused(tables, caplog, message):
    tables["samples"][["age", "sex"]].to_csv("clinic.csv")
    given = {"rna": "rna.csv", "clinic": {"path": "clinic.csv", "kind": "table"}}
    spec = read(given, also={"os": ALSO["os"]}).spec

    def error():
        return message(lambda: read(given).conform(spec, external=True).dataset)

    tables["samples"].drop(columns="dead").to_csv("samples.csv")
    assert "samples.csv: no column 'dead' (given as target)" in error()
    tables["samples"].to_csv("samples.csv")
    tables["samples"][["age"]].to_csv("clinic.csv")
    assert "clinic.csv lacks 1 of 2 features, first 'sex'; known: " in error()
    tables["samples"][["age", "sex"]].to_csv("clinic.csv")
    tables["rna"].iloc[:, :6].to_csv("rna.csv")
    assert "rna.csv has 6 of the 12 genes that are needed (50%, at least 80% are required)" in error()
    tables["rna"].iloc[:, 1:].to_csv("rna.csv")
    x = everything(read(given).conform(spec, external=True))
    assert "rna.csv: 1 of 12 genes were not measured and are set to the training mean: g0" in caplog.text
    assert x["rna"][:, 0].isnan().all()
    doubled = pd.concat([tables["samples"], tables["samples"][:1]])
    doubled.to_csv("samples.csv")
    assert "samples.csv: id 'p0' occurs more than once" in error()


def test_models_of_one_target_refuse_several(tables, message):
    data = read(also=ALSO)
    assert "MLP predicts one target; leave out data.also, or use MultiModal" in message(lambda: MLP(spec=data.spec))

"""Several encodings as one row of numbers, and what a trained model takes to predict."""

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from omics import ALL, cohort, everything, read, same, train, write

from zoo.data import MultiOmicsData
from zoo.encode import encoder, to_tensor
from zoo.encode.joint import JointEncoder
from zoo.models import MLP, MultiModal
from zoo.spec import modality_of

GENES = {"kind": "expression", "shape": [2], "features": ["TP53", "MYC"], "scale": "log"}
DNA = {"kind": "sequence", "shape": [5], "features": ["sequence"]}
CLINIC = {"kind": "table", "shape": [2], "features": ["age", "sex"], "levels": {"sex": ["f", "m"]}}
PARTS = {"rna": GENES, "clinic": CLINIC}


def joint(parts=PARTS, **more):
    modality = {"kind": "joint", "shape": [0], "features": [], "parts": parts}
    return encoder(modality, more.get("options"))


@pytest.fixture(scope="module")
def tables():
    return cohort()


@pytest.fixture(scope="module")
def model(tables, tmp_path_factory):
    """Joint fusion after one epoch, and its data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("cohort"))
        write(tables)
        data = read(batch_size=64)
        return train(MultiModal(spec=data.spec, hidden=[8], fused=[4]), data)


def test_encoded_modalities_lie_one_after_the_other():
    layer = joint()
    assert isinstance(layer, JointEncoder)
    assert layer.out_features == 2 + 4 + 2
    assert layer.places == {"rna": slice(0, 2), "clinic": slice(2, 6)}
    assert layer.feature_names == [
        "rna:TP53", "rna:MYC", "clinic:age", "clinic:sex=f", "clinic:sex=m", "clinic:sex=unknown",
        "rna measured", "clinic measured",
    ]  # fmt: skip
    x = layer.example(7, seed=3)
    assert x.batch_size == (7,)
    assert x["measured"].sum(1).tolist() == [2, 2, 1, 2, 2, 1, 2]
    assert not layer.fitted
    layer.fit(x)
    assert layer.fitted
    encoded = layer(x)
    assert encoded.shape == (7, 8)
    torch.testing.assert_close(layer.measured(encoded), x["measured"].float())
    parts = layer.parts(encoded)
    torch.testing.assert_close(parts["rna"], encoded[:, :2])
    assert parts["clinic"].shape == (7, 4)
    assert (parts["rna"][2] == 0).all()
    assert (parts["clinic"][5] == 0).all()
    again = joint()
    again.load_state_dict(layer.state_dict())
    assert again(x).equal(encoded)
    assert again.fitted


def test_encodings_have_options_by_modality(message):
    layer = joint({"rna": GENES, "dna": DNA}, options={"dna": {"layer": "one-hot"}})
    assert layer.shapes == {"rna": (2,), "dna": (4, 5)}
    assert layer.out_features == 2 + 20 + 2
    assert layer.feature_names == []
    x = layer.example(6)
    layer.fit(x)
    assert layer.parts(layer(x))["dna"].shape == (6, 4, 5)
    assert "no modality 'dns'; did you mean dna?" in message(lambda: joint({"dna": DNA}, options={"dns": {}}))


def test_statistics_are_those_of_samples_that_were_measured():
    layer = joint()
    x = layer.example(9)
    x["measured"][:] = True
    x["rna"] = torch.arange(18.0).reshape(9, 2)
    x["measured"][4:, 0] = False
    layer.fit(x)
    assert layer.layers["rna"].mean.tolist() == [3, 4]


@pytest.mark.parametrize("name", ["measured", "", "a.b", "keys", "training"])
def test_names_that_no_modality_may_have(name, message):
    assert f"a modality cannot be called {name!r}" in message(lambda: joint({name: GENES, "clinic": CLINIC}))


def test_a_modality_that_nobody_has_is_refused(message):
    layer = joint()
    x = layer.example(6)
    x["measured"][:, 1] = False
    assert "no training sample has clinic; leave it out" in message(lambda: layer.fit(x))


def test_encoding_works_in_mixed_precision(model):
    x = model.encode.example(12)
    exact = model.encode(x)
    with torch.autocast("cpu", torch.bfloat16):
        encoded, output = model.encode(x), model(x)
    torch.testing.assert_close(encoded.float(), exact, rtol=0.02, atol=0.02)
    assert output.isfinite().all()
    exact.requires_grad_()
    model.network(exact).sum().backward()
    assert exact.grad.isfinite().all()


def test_any_modalities_in_any_order_are_predicted(model, tables):
    whole = model.predict({name: tables[name] for name in ALL})
    assert whole.index.tolist() == tables["samples"].index.tolist()
    assert whole.index.name == "patient"
    mixed = {name: tables[name].iloc[::-1, ::-1] for name in reversed(ALL)}
    mixed["rna"] = mixed["rna"].sample(frac=1, random_state=1).assign(more=1.0)
    pd.testing.assert_frame_equal(model.predict(mixed).loc[whole.index], whole, rtol=1e-5)
    mixed["mirna"] = mixed["mirna"].reset_index()
    mixed["copies"] = anndata.AnnData(mixed["copies"].astype("f4"))
    pd.testing.assert_frame_equal(model.predict(mixed).loc[whole.index], whole, rtol=1e-5)
    for name in ALL:
        assert len(model.predict({name: tables[name].iloc[:3]})) == 3
        assert len(model.predict({name: tables[name].iloc[:3].reset_index(drop=True)})) == 3
    some = model.predict({"rna": tables["rna"].iloc[:5], "mirna": tables["mirna"].iloc[3:9]})
    assert some.index.tolist() == [f"p{i}" for i in range(9)]
    pd.testing.assert_frame_equal(some.iloc[:3], model.predict({"rna": tables["rna"].iloc[:3]}), rtol=1e-5)


def test_names_may_be_numbers_in_one_table_and_text_in_another(model, tables):
    names = pd.Index(range(1001, 1061), name="patient")
    rna, mirna = tables["rna"].set_axis(names), tables["mirna"].set_axis(names.map(str))
    copies = tables["copies"].set_axis(names.astype(float)).rename_axis("patient").reset_index()
    expected = model.predict({name: tables[name] for name in ALL})
    told = model.predict({"rna": rna, "mirna": mirna, "copies": copies})
    assert told.index.tolist() == [str(name) for name in names]
    np.testing.assert_allclose(told["probability_b"], expected["probability_b"], rtol=1e-5)


def test_what_cannot_be_predicted_raises_one_line(model, tables, message):
    def fails(given):
        return message(lambda: model.predict(given))

    rna, mirna = tables["rna"], tables["mirna"]
    assert "the model has no modality 'mrna'; did you mean" in fails({"mrna": rna})
    assert "give a dict with one or more of rna, mirna, copies, such as {'rna': table}" in fails(rna)
    assert "such as {'rna': table}" in fails([[1.0, 2.0]])
    assert "no modality was given; at least one of rna, mirna, copies" in fails({})
    unnamed = {"rna": rna, "mirna": mirna.reset_index(drop=True)}
    assert "mirna: the samples have no names to join the tables by; give a column 'patient' or" in fails(unnamed)
    assert "rna: sample 'p0' occurs more than once" in fails({"rna": pd.concat([rna, rna[:1]])})
    assert "rna: give a table whose index names the samples, or an AnnData, not list" in fails({"rna": [[1.0]]})
    nameless = rna.set_axis([None, *rna.index[1:]])
    assert "rna: row 1 has no name" in fails({"rna": nameless})
    assert "rna has 6 of the 12 genes that are needed (50%, at least 80% are required)" in fails(
        {"rna": rna.iloc[:, :6]}
    )
    assert "mirna: sample p0, gene m0: the value 0.5 is not a whole" in fails({"mirna": mirna.assign(m0=0.5)})


def test_few_missing_features_are_average(model, tables, caplog):
    few = model.predict({"rna": tables["rna"].iloc[:, 2:]})
    assert "rna: 2 of 12 genes were not measured and are set to the training mean: g0, g1" in caplog.text
    assert few["probability_b"].notna().all()


def test_raw_values_say_who_has_what(tables):
    modality = {"kind": "joint", "shape": [4], "features": [], "parts": PARTS}
    rna = pd.DataFrame({"MYC": [1.0, 2.0], "TP53": [3.0, 4.0]}, ["x", "y"])
    x = to_tensor({"rna": rna}, modality)
    assert x["rna"].tolist() == [[3, 1], [4, 2]]
    assert x["measured"].tolist() == [[True, False]] * 2
    assert x["clinic"].isnan().all()


def test_methylation_becomes_m_values_and_goes_back(tables, here, message):
    rng = np.random.default_rng(0)
    shares = pd.DataFrame(rng.beta(2, 5, (60, 5)), tables["samples"].index, [f"cg{i}" for i in range(5)])
    write(tables)
    shares.to_csv("methylation.csv")
    beta = {"path": "methylation.csv", "scale": "beta"}
    data = read({"rna": "rna.csv", "methylation": beta})
    layer = encoder(modality_of(data.spec))
    layer.fit(data.training_inputs())
    own, x = layer.layers["methylation"], everything(data)["methylation"]
    train = x[data.dataset.rows("train")]
    torch.testing.assert_close(own.mean, torch.log2(train / (1 - train)).mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(own.inverse(own(x)), x, rtol=1e-4, atol=1e-5)
    assert own.example(20).min() > 0
    assert own.example(20).max() < 1
    (shares + 0.9).to_csv("methylation.csv")
    told = message(lambda: read({"rna": "rna.csv", "methylation": beta}).dataset)
    assert "is not between 0 and 1; for M-values give the scale log" in told
    logs = {"path": "rna.csv", "scale": "none"}
    plain = read({"rna": logs, "copies": "copies.parquet"})
    own = encoder(plain.spec["modalities"]["rna"])
    own.fit(everything(plain)["rna"])
    same(own.inverse(own(everything(plain)["rna"])), tables["rna"])


def test_early_fusion_is_any_model_of_the_flat_row(tables, here):
    write(tables)
    data = MultiOmicsData("samples.csv", ALL, target="age", missing="impute", batch_size=64)
    model = train(MLP(spec=data.spec, hidden=[8]), data)
    told = model.predict(data.frame())
    assert list(told) == ["prediction"]
    frame = {"copies": tables["copies"].iloc[:2]}
    assert model.encode.measured(model.encode(model.raw(frame)[0])).tolist() == [[1, 1, 1]] * 2

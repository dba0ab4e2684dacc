"""Test rows have no influence on what is learnt: spec, fitted encodings and weights are equal bit for bit."""

import numpy as np
import pandas as pd
import pytest
from lightning import Trainer, seed_everything
from omics import cohort

from zoo.data import ExpressionData, MultiOmicsData, TableData
from zoo.models import MLP, MultiModal

SPLIT = np.array(["train"] * 60 + ["validation"] * 10 + ["test"] * 20)
TEST = np.flatnonzero(SPLIT == "test")


def changed(table, other_levels=True):
    """The table with other values in its test rows: huge, negative and missing ones, and unknown levels."""
    table = table.copy()
    for number, (name, column) in enumerate(table.items()):
        if pd.api.types.is_float_dtype(column):
            table.loc[table.index[TEST], name] = np.resize([1e6, -5e3, np.nan, 0.123 * number], len(TEST))
        elif other_levels:
            table.loc[table.index[TEST], name] = "another"
    return table


def learnt(data, model):
    seed_everything(0, verbose=False)
    model = model(spec=data.spec)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    Trainer(max_epochs=1, enable_model_summary=False, **quiet).fit(model, data)
    return data.spec, model.state_dict()


def same(one, other):
    assert one[0] == other[0]
    assert one[1].keys() == other[1].keys()
    assert not [name for name, value in one[1].items() if not value.equal(other[1][name])]


def test_table(here):
    rng = np.random.default_rng(0)
    names = pd.Index([f"p{i}" for i in range(90)], name="patient")
    values = {"dose": rng.normal(3, 1, 90), "flat": np.where(SPLIT == "test", 1.0, 2.0), "ca": rng.normal(0, 1, 90)}
    table = pd.DataFrame({**values, "sex": rng.choice(["f", "m"], 90)}, names)
    found = []
    for features in (table, changed(table)):
        features.assign(outcome=np.arange(90) % 2, part=SPLIT).to_csv("table.csv")
        data = TableData("table.csv", target="outcome", split="part", id="patient")
        found.append(learnt(data, lambda spec: MLP(spec=spec, hidden=[4])))
    same(*found)


@pytest.mark.parametrize("scale", ["log", "standardised", "counts"])
def test_expression(scale, here):
    rng = np.random.default_rng(0)
    simulated = {
        "log": rng.gamma(4, 1, (90, 12)),
        "standardised": rng.normal(0, 1, (90, 12)),
        "counts": rng.poisson(9, (90, 12)),
    }
    names = pd.Index([f"s{i}" for i in range(90)], name="cell")
    table = pd.DataFrame(simulated[scale], names, [f"gene{i}" for i in range(12)])
    table["gene4"] = np.where(SPLIT == "test", 1.0, 2.0)
    other = changed(table, other_levels=False)
    if scale == "counts":
        other.iloc[TEST] = 60_000 * np.arange(1, 13)
    table["age"] = other["age"] = rng.integers(0, 3, 90)
    other.loc[other.index[TEST], "age"] = np.arange(20) + 1000
    found = []
    for genes in (table, other):
        beside = {"outcome": np.array(["case", "control"])[np.arange(90) % 2], "part": SPLIT}
        genes.assign(total=table.iloc[:, :12].sum(axis=1), **beside).to_csv("genes.csv")
        options = {"covariates": ["age"], "most_variable": 8, "split": "part"}
        data = ExpressionData("genes.csv", target="outcome", **options)
        found.append(learnt(data, lambda spec: MLP(spec=spec, hidden=[4])))
    same(*found)
    modality = found[0][0]["modalities"]["expression"]
    assert modality["scale"] == {"log": "log", "standardised": "none", "counts": "counts"}[scale]
    assert modality["levels"] == {"age": ["0", "1", "2"]}
    assert {"total", "gene4"}.isdisjoint(modality["features"])


def test_several_modalities(here):
    tables = cohort(90)
    samples = tables["samples"].assign(part=SPLIT, age=tables["samples"]["age"].round(1))
    for name in ("samples", "rna", "mirna", "copies"):
        (samples if name == "samples" else tables[name].astype(float)).to_csv(f"{name}.csv")
    chosen = {"rna": {"path": "rna.csv", "most_variable": 6}, "copies": {"path": "copies.csv", "most_predictive": 3}}
    found = []
    for change in (False, True):
        if change:
            samples.loc[samples.index[TEST], ["age", "sex"]] = [-1e5, "x"]
            samples.to_csv("samples.csv")
            for name in ("rna", "copies"):
                changed(tables[name].astype(float)).to_csv(f"{name}.csv")
        options = {"clinical": ["age", "sex"], "split": "part", "target": "group"}
        data = MultiOmicsData("samples.csv", {**chosen, "mirna": "mirna.csv"}, **options)
        found.append(learnt(data, lambda spec: MultiModal(spec=spec)))
    same(*found)
    assert data.dataset.x[data.dataset.rows("test")]["rna"].nan_to_num().max() == 1e6

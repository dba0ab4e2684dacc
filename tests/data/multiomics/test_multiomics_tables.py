"""Tables of several modalities as programs write them: names, orientation, options of each table."""

import logging

import anndata
import numpy as np
import pandas as pd
import pytest
from omics import cohort, read, write


@pytest.fixture
def tables(here):
    tables = cohort()
    write(tables)
    return tables


def features(data):
    return {name: modality.get("features") for name, modality in data.spec["modalities"].items()}


def test_a_table_of_r_keeps_its_first_column(tables, here):
    rna = tables["rna"].round(3)
    (here / "rna.tsv").write_text(rna.to_csv(sep="\t", index_label="").lstrip("\t"))
    data = read({"rna": "rna.tsv", "mirna": "mirna.tsv.gz"})
    assert features(data)["rna"] == list(rna.columns)
    values = data.frame()["rna"].to_df()
    assert values.loc["p0", "g0"] == np.float32(rna.loc["p0", "g0"])


def test_genes_in_rows_are_turned_by_the_names_of_the_samples(tables, caplog):
    expected = read({"rna": "rna.csv", "mirna": "mirna.tsv.gz"})
    tables["rna"].T.assign(description="a gene").to_csv("turned.csv", index_label="patient")
    with caplog.at_level(logging.INFO, "zoo"):
        data = read({"rna": "turned.csv", "mirna": "mirna.tsv.gz"})
        assert features(data) == features(expected)
    assert "turned.csv: genes are in rows: 60 of its columns are annotated samples" in caplog.text
    again = read({"rna": "turned.csv", "mirna": "mirna.tsv.gz"}).conform(expected.spec, external=True)
    assert again.dataset.x["rna"].equal(expected.dataset.x["rna"])


def test_names_of_samples_are_text_in_every_table(tables):
    names = pd.Index([f"{i:03d}" for i in range(60)], name="patient")
    tables = {key: table.set_axis(names, axis=0) for key, table in tables.items()}
    write(tables)
    tables["mirna"].to_excel("mirna.xlsx")
    anndata.AnnData(tables["copies"].astype(float)).write_h5ad("copies.h5ad")
    tables["rna"].set_axis([f"1.{i}0" for i in range(60)], axis=0).to_csv("points.csv", index_label="patient")
    data = read({"rna": "rna.csv", "mirna": "mirna.xlsx", "copies": "copies.h5ad"})
    assert data.samples.index.tolist() == list(names)
    assert data.measured_modalities().to_numpy().all()
    tables["samples"].set_axis([f"1.{i}0" for i in range(60)], axis=0).to_csv("samples.csv", index_label="patient")
    assert read({"rna": "points.csv", "mirna": "points.csv"}).samples.index[1] == "1.10"


def test_each_table_has_its_own_options(tables, here, message):
    with pd.ExcelWriter("book.xlsx") as book:
        tables["rna"].to_excel(book, sheet_name="rna")
        tables["mirna"].replace(to_replace=20, value=-1).astype(object).replace(-1, "low").to_excel(
            book, sheet_name="mirna"
        )
    words = {f"m{i}": ["low"] for i in range(8)}
    mirna = {"path": "book.xlsx", "sheet": "mirna", "missing": words, "exclude": ["m3"], "scale": "abundance"}
    rna = {"path": "book.xlsx", "sheet": "rna"}
    data = read({"rna": rna, "mirna": mirna})
    assert features(data) == {"rna": [f"g{i}" for i in range(12)], "mirna": [f"m{i}" for i in range(8) if i != 3]}
    assert int(data.dataset.x["mirna"].isnan().sum()) == int((tables["mirna"].drop(columns="m3") == 20).sum().sum())
    assert "2 sheets have content (rna, mirna)" in message(
        lambda: read({"rna": {"path": "book.xlsx"}, "mirna": mirna}).dataset
    )
    wrong = {"rna": {**rna, "exclude": ["g99"]}, "mirna": mirna}
    assert "no column 'g99' (given as exclude); did you mean" in message(lambda: read(wrong).dataset)
    tables["samples"].assign(visit="x").to_csv("samples.csv")
    assert "visit" not in read({"rna": rna, "mirna": mirna}, exclude=["visit"]).samples


def test_a_column_with_the_name_of_an_added_one(tables, message):
    tables["samples"].assign(**{"measured rna": 1}).to_csv("samples.csv")
    modalities = {"rna": "rna.csv", "mirna": "mirna.tsv.gz"}
    error = message(lambda: read(modalities).dataset)
    assert "samples.csv: column 'measured rna' has the name of one that is added; rename it, or leave it out" in error
    assert read(modalities, exclude=["measured rna"]).samples["measured rna"].all()


def test_columns_beside_the_genes_of_a_modality(tables, caplog):
    tables["rna"].assign(age=50.5, total_counts=np.arange(60) * 1.5).to_csv("rna.csv")
    with caplog.at_level(logging.INFO, "zoo"):
        found = features(read({"rna": "rna.csv", "mirna": "mirna.tsv.gz"}))["rna"]
    assert "total_counts" not in found
    assert (
        "column 'age' is used, but by name no feature of this modality; to leave it out: exclude: [age]" in caplog.text
    )


def test_a_few_texts_among_numbers_are_named(tables, message):
    rna = tables["rna"].astype(object)
    rna.iloc[2, 3] = "high"
    rna.to_csv("rna.csv")
    error = message(lambda: read({"rna": "rna.csv", "mirna": "mirna.tsv.gz"}).dataset)
    assert "rna.csv: sample p2, gene g3: 'high' is not a number" in error


def test_names_that_match_in_part_are_explained(tables, caplog):
    names = [name.upper() if number < 5 else name for number, name in enumerate(tables["rna"].index)]
    tables["rna"].set_axis(names, axis=0).to_csv("rna.csv", index_label="patient")
    _ = read({"rna": "rna.csv", "mirna": "mirna.tsv.gz"}).dataset
    assert (
        "5 of 60 samples of rna.csv (such as P0) are not in samples.csv and are left out; the names differ in case"
        in caplog.text
    )

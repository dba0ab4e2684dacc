"""Bad tables of several modalities give a one-line error that names the fault and the remedy."""

import h5py
import numpy as np
import pandas as pd
import pytest
from omics import cohort, read, write

from zoo.data import MultiOmicsData

TWO = {"rna": "rna.csv", "mirna": "mirna.tsv.gz"}


@pytest.fixture
def tables(here):
    tables = cohort()
    write(tables)
    return tables


@pytest.fixture
def fails(message):
    """Error of reading these data."""

    def run(modalities=TWO, **more):
        return message(lambda: read(modalities, **more).dataset)

    return run


def renamed(table, names):
    return table.set_axis(pd.Index(names, name="patient"))


def test_names_that_do_not_overlap(tables, fails):
    rna = tables["rna"]
    renamed(rna, [f"x{i}" for i in range(60)]).to_csv("rna.csv")
    error = fails()
    assert "rna.csv and samples.csv have no sample in common (x0, x1, x2, ... and p0, p1, p2, ...)" in error
    assert "correct the names, or give their column as id" in error
    renamed(rna, rna.index.str.upper()).to_csv("rna.csv")
    assert "the names differ in case: use the same spelling in both" in fails()
    rna.T.rename_axis("patient").to_csv("rna.csv")
    table = {**TWO, "rna": {"path": "rna.csv", "genes_in_rows": False}}
    assert "samples are in columns: transpose the table, or set genes_in_rows: true for this modality" in fails(table)


def test_barcodes_of_samples_and_of_patients(tables, fails):
    patients = [f"TCGA-AB-{1000 + i}" for i in range(60)]
    samples = [f"{name}-01A" for name in patients]
    renamed(tables["samples"], patients).to_csv("samples.csv")
    renamed(tables["rna"], samples).to_csv("rna.csv")
    error = fails()
    assert "the table has sample barcodes (TCGA-AB-1000-01A): shorten them to those of patients (TCGA-AB-1000)" in error
    renamed(tables["samples"], samples).to_csv("samples.csv")
    renamed(tables["rna"], patients).to_csv("rna.csv")
    assert "the sample table has sample barcodes (TCGA-AB-1000-01A)" in fails()


def test_samples_twice_or_without_a_name(tables, fails):
    rna, samples = tables["rna"], tables["samples"]
    pd.concat([rna, rna[:1]]).to_csv("rna.csv")
    assert "rna.csv: id 'p0' occurs more than once in column 'patient'" in fails()
    renamed(rna, [None, *rna.index[1:]]).to_csv("rna.csv")
    assert "rna.csv: row 1 has no id in column 'patient'" in fails()
    rna.to_csv("rna.csv")
    pd.concat([samples, samples[3:4]]).to_csv("samples.csv")
    assert "samples.csv: id 'p3' occurs more than once in column 'patient'" in fails()
    renamed(samples, [*samples.index[:-1], None]).to_csv("samples.csv")
    assert "samples.csv: row 60 has no id in column 'patient'" in fails()


def test_a_modality_without_training_samples(tables, fails):
    samples = tables["samples"].assign(split=["test"] * 10 + ["validation"] * 10 + ["train"] * 40)
    samples.to_csv("samples.csv")
    tables["rna"].iloc[:21].to_csv("rna.csv")
    assert fails(split="split") == "1 training samples have rna, 2 are needed; leave that modality out"
    tables["mirna"].iloc[30:].to_csv("mirna.tsv.gz", sep="\t")
    assert "no sample has all modalities; give --data.missing keep or impute" in fails(missing="drop")


def test_times_and_events(tables, fails):
    samples = tables["samples"]

    def error(change, **more):
        change(samples.copy()).to_csv("samples.csv")
        return fails(**{"target": "days", "event": "dead", **more})

    def error_of_extra(change):
        return error(change, target="group", event=None, also={"os": {"target": "days", "event": "dead"}})

    for error_of in (error, error_of_extra):
        assert "the time -5 is negative" in error_of(lambda s: s.assign(days=[-5.0, *s["days"][1:]]))
        assert "event 'dead' has 3 values (0, 1, 2, ...)" in error_of(lambda s: s.assign(dead=[2, *s["dead"][1:]]))
        assert "no training sample has the event 'dead' (1)" in error_of(lambda s: s.assign(dead=0))
    assert "event 'dead' has the values no idea and yes" in error(lambda s: s.assign(dead=["yes", "no idea"] * 30))


@pytest.mark.parametrize(
    ("rna", "error"),
    [
        ("rma.csv", "no file or data set 'rma.csv'; did you mean rna.csv?"),
        ({"scale": "log"}, "modality 'rna' needs the path of its table: --data.modalities '{rna: rna.csv}'"),
        (None, "modality 'rna' needs the path of its table"),
        (5, "modality 'rna': give a path, or options such as {path: rna.csv}, not 5"),
        ({"path": "rna.csv", "most_varable": 5}, "kind expression has no option 'most_varable'; did you mean most_var"),
        (
            {"path": "rna.csv", "target": "group"},
            "rna: target is an option of all modalities together: give it as --data.target",
        ),
        ({"path": "rna.csv", "seed": 3}, "rna: seed is an option of all modalities together: give it as --data.seed"),
        ({"path": "rna.csv", "fold": 3}, "rna: fold is an option of all modalities together: give it as --data.fold"),
        ({"path": "rna.csv", "kind": "tabel"}, "rna: kind 'tabel' is unknown; did you mean table?"),
        ({"path": "rna.csv", "kind": "table", "most_predictive": 3}, "most_predictive is for kind expression"),
        ({"path": "rna.csv", "most_predictive": 1}, "rna: most_predictive must be at least 2, not 1"),
        ({"path": "rna.csv", "most_predictive": "few"}, "rna: most_predictive must be at least 2, not 'few'"),
        ({"path": "rna.csv", "id": "patiant"}, "rna.csv: no column 'patiant' (given as id); did you mean patient?"),
        ({"path": "rna.csv", "scale": "tpm"}, "scale 'tpm' is unknown"),
        ({"path": "rna.csv", "scale": "beta"}, "is not between 0 and 1; for M-values give the scale log"),
        ({"path": "dna.csv", "kind": "sequence"}, "no file or data set 'dna.csv'"),
        ({"path": "rna.h5ad", "scale": "log"}, "no file or data set 'rna.h5ad'"),
        ({"path": "rna.csv", "kind": "sequence"}, "rna.csv: no column 'sequence' (given as sequence)"),
    ],
)
def test_options_of_a_modality(rna, error, tables, fails):
    assert error in fails({"rna": rna, "mirna": "mirna.tsv.gz"})


def test_which_modalities(tables, fails, message):
    assert "samples.csv: no modality to train on; give --data.modalities" in fails(None)
    assert "only one modality (rna): use ExpressionData or TableData" in fails({"rna": "rna.csv"})
    assert "a modality cannot be called 'measured'; rename it" in fails({**TWO, "measured": "copies.parquet"})
    assert "there is a modality 'clinical' already" in fails({**TWO, "clinical": "copies.parquet"}, clinical=["age"])
    assert "no column 'agee' (given as feature); did you mean age?" in fails(clinical=["agee"])
    assert "modality 'rna' needs the path" in fails(["rna", "mirna"])
    assert "missing 'fill' is unknown" in fails(missing="fill")
    assert "no test_path with several modalities" in fails(test_path="more.csv")
    error = message(lambda: MultiOmicsData("miniacc", {"rna": "RNASeq"}).dataset)
    assert "data set miniacc has no assay 'RNASeq'; did you mean" in error
    error = message(lambda: MultiOmicsData("miniacc", {"RNASeq2GeneNorm": {"kind": "table"}}).dataset)
    assert "RNASeq2GeneNorm: kind 'table' needs a separate table; here all are of kind expression" in error


def test_targets(tables, fails):
    assert "target 'age' is among the features of clinical" in fails(target="age", clinical=["age", "sex"])
    days = {"also": {"os": {"target": "days", "event": "dead"}}}
    assert "target 'dead' is among the features of clinical" in fails(clinical=["dead"], **days)
    tables["rna"].assign(age=tables["samples"]["age"]).to_csv("leak.csv")
    assert "target 'age' is among the features of rna" in fails({**TWO, "rna": "leak.csv"}, target="age")
    assert "also: 'os' is an extra target; give the first target as --data.target" in fails(target=None, **days)
    assert "also: 'os' needs a column to predict: {os: {target: COLUMN}}" in fails(also={"os": {"event": "dead"}})
    assert "also: 'os' needs a column to predict" in fails(also={"os": "days"})
    wrong = {"os": {"target": "days", "evnt": "dead"}}
    assert "also: 'os' has no option 'evnt'; did you mean event?" in fails(also=wrong)
    assert "also: weight of os must be at least 0, not -1" in fails(also={"os": {"target": "days", "weight": -1}})
    assert "a target cannot be called 'o.s'" in fails(also={"o.s": {"target": "days"}})
    assert "no column 'day' (given as target); did you mean days?" in fails(also={"os": {"target": "day"}})
    best = {"rna": {"path": "rna.csv", "most_predictive": 3}, "mirna": "mirna.tsv.gz"}
    assert "most_predictive needs training samples with a target: give --data.target" in fails(best, target=None)
    tables["rna"][tables["samples"]["group"] == "a"].to_csv("rna.csv")
    assert "most_predictive needs training samples with different values of target 'group'" in fails(best)


def test_damaged_mudata(tables, fails, here):
    assert "no file 'all.h5mv.h5mu'" in fails(None, path="all.h5mv.h5mu")
    (here / "bad.h5mu").write_bytes(b"not hdf5")
    assert "bad.h5mu: cannot be read as h5mu" in fails(None, path="bad.h5mu")
    with h5py.File("empty.h5mu", "w") as file:
        file["something"] = np.zeros(3)
    assert "empty.h5mu: cannot be read as h5mu" in fails(None, path="empty.h5mu")


def test_the_command_line_reports_errors_in_one_line(tables, zoo_fails):
    modalities = "--data.modalities={rna: rna.csv, mirna: mirna.tsv.gz}"
    fit = ["fit", "--config", "joint_miniacc", "--data.path=samples.csv", "--data.also={}", modalities]
    assert "no column 'grop' (given as target); did you mean group?" in zoo_fails(*fit, "--data.target=grop")
    tables["rna"].rename(lambda name: f"TCGA-{name}").to_csv("rna.csv")
    assert "rna.csv and samples.csv have no sample in common" in zoo_fails(*fit, "--data.target=group")

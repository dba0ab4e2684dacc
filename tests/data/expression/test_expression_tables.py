"""Tables of expression as programs and people write them: orientation, columns that are no genes, names, scale."""

import gzip
import logging
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

from zoo.data import ExpressionData
from zoo.errors import InputError
from zoo.spec import modality_of

GENES = [f"gene{i}" for i in range(60)]
CELLS = [f"s{i}" for i in range(20)]
SYMBOLS = ["DIRAS3", "MAPK14", "YAP1", "CDKN1B", "ERBB2", "G6PD", "TP53", "MYC", "KRAS", "GAPDH"]
SYMBOLS += ["ACTB", "VHL", "PTEN", "ATM", "BRCA2", "EGFR", "FASN", "PCNA", "TSC1", "AR"]


@pytest.fixture
def counts(here):
    """20 samples of 60 genes."""
    return pd.DataFrame(np.random.default_rng(0).poisson(8, (20, 60)), CELLS, GENES)


@pytest.fixture
def read(caplog):
    """Data of a file, after its log was cleared."""

    def run(path, **more):
        caplog.clear()
        with caplog.at_level(logging.INFO, "zoo"):
            data = ExpressionData(path, **more)
            _ = data.dataset
        return data

    return run


def features(data):
    return modality_of(data.spec)["features"]


def equal(data, counts):
    adata = data.frame()
    assert adata.var_names.tolist() == list(map(str, counts.columns))
    assert adata.obs_names.tolist() == list(map(str, counts.index))
    np.testing.assert_array_equal(adata.X.toarray(), counts.to_numpy(np.float32))


def gct(counts):
    table = counts.T.reset_index(names="Name")
    table.insert(1, "Description", "a gene")
    return f"#1.2\n{len(table)}\t20\n{table.to_csv(sep=chr(9), index=False)}"


def feature_counts(counts):
    table = counts.T.reset_index(names="Geneid")
    for name, value in {"Length": 300, "Strand": "+;+", "End": "15;30", "Start": "10;20", "Chr": "1;1"}.items():
        table.insert(1, name, value)
    return f"# Program:featureCounts v2.0.1\n{table.to_csv(sep=chr(9), index=False)}"


def series_matrix(counts):
    table = counts.T.to_csv(sep="\t", index_label="ID_REF", quoting=2)
    return f'!Series_title\t"a study"\n\n!series_matrix_table_begin\n{table}!series_matrix_table_end\n'


def htseq(counts):
    extra = pd.DataFrame(5, ["__no_feature", "__ambiguous"], counts.index)
    return pd.concat([counts.T, extra]).to_csv(sep="\t", index_label="gene")


def no_header(counts):
    return counts.T.to_csv(sep="\t", index_label="").lstrip("\t")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (gct, "as the header 'Name' of the first column says"),
        (feature_counts, "5 columns (Chr, Start, End, Strand, Length) beside the samples left out"),
        (series_matrix, "as the header 'ID_REF' of the first column says"),
        (htseq, "rows left out, by name no genes: __no_feature, __ambiguous"),
        (no_header, "genes (gene0, gene1, gene2, ...) are in rows, by their names"),
    ],
)
def test_genes_in_rows_are_recognised(write, said, counts, here, read, caplog):
    (here / "matrix.txt").write_text(write(counts))
    data = read("matrix.txt")
    equal(data, counts)
    assert said in caplog.text
    assert "are in rows" in caplog.text
    assert "--data.genes_in_rows false" in caplog.text


def test_r_tables_name_their_rows(counts, here, read):
    text = counts.to_csv(sep="\t", index_label="")
    (here / "r.tsv").write_text(text.lstrip("\t"))
    equal(read("r.tsv"), counts)


def test_names_decide_whether_genes_are_in_rows(counts, here, read, message):
    few = counts.iloc[:, :20].set_axis(SYMBOLS, axis=1)
    few.iloc[:12].T.to_csv("symbols.csv")
    equal(read("symbols.csv"), few.iloc[:12])
    few.iloc[:12].T.set_axis([f"K{i}" for i in range(12)], axis=1).to_csv("unsure.csv")
    error = message(lambda: read("unsure.csv"))
    assert "unsure.csv: rows (DIRAS3, MAPK14, YAP1, ...) look like genes and columns (K0, K1, K2, ...)" in error
    assert "--data.genes_in_rows true if genes are in rows, else false" in error
    assert features(read("unsure.csv", genes_in_rows=False))[:2] == ["K0", "K1"]
    assert features(read("unsure.csv", genes_in_rows=True)) == SYMBOLS
    few.iloc[:12].T.set_axis([f"ENSG{i:011d}" for i in range(20)], axis=0).set_axis(range(12), axis=1).to_csv("ids.csv")
    assert len(features(read("ids.csv"))) == 20
    few.set_axis([f"cell line {name}" for name in SYMBOLS], axis=0).to_csv("lines.csv")
    assert features(read("lines.csv")) == SYMBOLS


def test_annotation_and_columns_that_are_given_decide(counts, read, caplog, message):
    odd = counts.set_axis([f"K{i}" for i in range(20)], axis=0)
    odd.T.reset_index(drop=True).T.set_axis([f"f{i}" for i in range(60)], axis=1).T.to_csv("turned.csv")
    pd.DataFrame({"name": odd.index, "group": ["a", "b"] * 10}).to_csv("samples.csv", index=False)
    data = read("turned.csv", samples_path="samples.csv", target="group")
    assert data.samples.index.tolist() == odd.index.tolist()
    assert "genes are in rows: 20 of its columns are annotated samples" in caplog.text
    counts.T.set_axis(CELLS, axis=1).assign(group=["a", "b"] * 30).to_csv("samples_in_rows.csv")
    assert read("samples_in_rows.csv", target="group").samples.index[0] == "gene0"
    with_target = pd.concat([counts.T, pd.DataFrame([["a", "b"] * 10], ["group"], CELLS)])
    with_target.to_csv("row.csv")
    error = message(lambda: read("row.csv", target="group"))
    assert "row.csv: 'group' is the name of a row, and genes are in rows; give the annotation" in error


def test_a_trained_model_finds_its_genes_in_rows(counts, read):
    counts.to_csv("matrix.csv")
    counts.T.to_csv("turned.csv")
    trained = read("matrix.csv", genes_in_rows=False)
    for given in (None, False):
        again = ExpressionData("turned.csv", genes_in_rows=given).conform(trained.spec, external=True)
        assert again.samples.index.tolist() == CELLS


def test_columns_that_are_no_genes_are_left_out(counts, read, caplog):
    rng = np.random.default_rng(1)
    beside = {
        "total_counts": counts.sum(axis=1),
        "n_genes_by_counts": (counts > 0).sum(axis=1),
        "age": 20 + rng.random(20),
    }
    more = {
        "pct_counts_mt": rng.random(20),
        "leiden": np.arange(20) % 3,
        "nCount_RNA": 1.5,
        "percent.mt": rng.random(20),
    }
    counts.assign(**beside, **more, batch=np.arange(20) % 2).to_csv("table.csv")
    assert features(read("table.csv")) == GENES
    assert (
        "8 columns (total_counts, n_genes_by_counts, pct_counts_mt, leiden, nCount_RNA, ...) beside the genes"
        in caplog.text
    )
    data = read("table.csv", covariates=["batch"], target="leiden")
    assert features(data) == [*GENES, "batch"]
    counts.assign(depth=counts.sum(axis=1), nr=np.random.default_rng(0).permutation(20)).to_csv("depth.csv")
    assert features(read("depth.csv")) == GENES
    assert "column 'depth' left out: it is the sum of all others" in caplog.text
    assert "column 'nr' left out: it numbers the rows" in caplog.text


def test_excluded_columns(counts, read, message):
    counts.assign(note=["x", "y"] * 10).to_csv("table.csv")
    counts.T.to_csv("turned.csv")
    assert "no column 'gene99' (given as exclude); did you mean" in message(
        lambda: read("table.csv", exclude=["gene99"])
    )
    assert "note" not in read("table.csv", exclude=["note", "gene0"]).samples
    data = read("turned.csv", exclude=["gene5", "s3"])
    assert "gene5" not in features(data)
    assert "s3" not in data.samples.index


def test_names_of_samples_stay_as_they_are(counts, read):
    for names in ([f"{i:04d}" for i in range(1, 21)], [f"{i}E{i}" for i in range(20)], [f"1.{i}0" for i in range(20)]):
        table = counts.set_axis(names, axis=0)
        table.to_csv("table.csv", index_label="patient")
        pd.DataFrame({"id": names, "group": ["a", "b"] * 10})[::-1].to_csv("samples.csv", index=False)
        anndata.AnnData(table).write_h5ad("table.h5ad")
        for path in ("table.csv", "table.h5ad"):
            data = read(path, samples_path="samples.csv", target="group")
            equal(data, table)
            assert data.samples["group"].tolist() == ["a", "b"] * 10
    counts.reset_index(drop=True).to_csv("numbers.csv", index_label="id")
    assert features(read("numbers.csv")) == GENES


@pytest.mark.parametrize(
    ("names", "others", "why"),
    [
        ([f"{i:03d}" for i in range(20)], range(20), "in leading zeros"),
        ([f"P{i}" for i in range(20)], [f"p{i}" for i in range(20)], "in case"),
        ([f"{i}.0" for i in range(20)], range(20), "by '.0' at their end"),
        ([f"TCGA.{i}" for i in range(20)], [f"TCGA-{i}" for i in range(20)], "in points, hyphens, underscores"),
        ([f"run/s{i}.bam" for i in range(20)], CELLS, "in the folder or the ending"),
    ],
)
def test_names_that_differ_in_spelling_are_not_matched(names, others, why, counts, read, message):
    counts.set_axis(names, axis=0).to_csv("table.csv", index_label="sample")
    pd.DataFrame({"id": others, "group": ["a", "b"] * 10}).to_csv("samples.csv", index=False)
    error = message(lambda: read("table.csv", samples_path="samples.csv", target="group"))
    assert f"the names differ {why}" in error
    assert f"use the same spelling in both ({str(names[0])!r} and " in error


@pytest.mark.parametrize("turned", [False, True])
def test_names_of_genes_stay_as_they_are(turned, counts, read, caplog, message):
    names = ["1-Mar", "2-Sep", "Mar-01", "2021-03-01", "NA", "nan", "1E1", *GENES[7:]]
    table = counts.set_axis(names, axis=1)
    (table.T if turned else table).to_csv("table.csv", index_label="gene_id" if turned else "sample")
    equal(read("table.csv"), table)
    assert "4 names of genes are dates (1-Mar, 2-Sep, Mar-01, 2021-03-01)" in caplog.text
    if turned:
        table.T.set_axis([*names[:-2], "gene9", "1-Mar"], axis=0).to_csv("table.csv", index_label="gene_id")
        error = message(lambda: read("table.csv"))
        assert "gene 'gene9' occurs more than once (2 repeated names: gene9, 1-Mar)" in error


@pytest.mark.parametrize("turned", [False, True])
def test_all_values_that_are_no_numbers_are_named(turned, counts, read):
    table = counts.astype(object)
    table.iloc[3, 2], table.iloc[5, 7], table.iloc[6, 7] = "many", "low", "NA"
    (table.T if turned else table).to_csv("table.csv")
    with pytest.raises(InputError) as error:
        read("table.csv")
    assert str(error.value).splitlines() == [
        "table.csv: sample s3, gene gene2: 'many' is not a number (2 such values); correct it, or leave it empty if "
        "missing",
        "table.csv: sample s5, gene gene7: 'low' is not a number",
    ]


def test_standardised_values_are_not_logarithms(counts, read):
    values = np.random.default_rng(0).normal(size=(100, 30))
    for factor, scale in ((1, "none"), (3, "log")):
        pd.DataFrame(values * factor).add_prefix("gene").to_csv("table.csv", index=False)
        assert modality_of(read("table.csv").spec)["scale"] == scale


def test_other_formats(counts, read, message):
    counts.to_excel("book.xlsx", sheet_name="expression")
    equal(read("book.xlsx", sheet="expression"), counts)
    (counts / 7).to_csv("german.csv", sep=";", decimal=",")
    np.testing.assert_allclose(read("german.csv").frame().X.toarray(), counts / 7, rtol=1e-6)
    assert "x.loom: .loom is not read; convert it in Python: anndata.read_loom" in message(lambda: read("x.loom"))
    Path("old.gct").write_text("#1.3\n1\t2\t0\t1\nid\tS1\tS2\ncell\tA\tB\nG1\t1\t2\n")
    assert "old.gct: GCT of version 1.3 has annotation among the values" in message(lambda: read("old.gct"))
    assert "convert it in R: write.csv" in message(lambda: read("x.rds"))
    assert "genes_in_rows is for tables" in message(lambda: read("x.h5ad", genes_in_rows=True))


def test_output_of_10x_genomics(counts, here, read, caplog, message):
    (here / "out").mkdir()
    with gzip.open("out/matrix.mtx.gz", "wb") as file:
        io.mmwrite(file, sparse.csc_matrix(counts.T.to_numpy()))
    pd.Series(CELLS).to_csv("out/barcodes.tsv.gz", header=False, index=False)
    symbols = ["NA", "DUP", "DUP", *GENES[3:]]
    kinds = ["Gene Expression"] * 55 + ["Antibody Capture"] * 5
    table = pd.DataFrame({"id": [f"ENSG{i}" for i in range(60)], "name": symbols, "feature_type": kinds})
    table.to_csv("out/features.tsv.gz", sep="\t", header=False, index=False)
    expected = counts.set_axis(["NA", "ENSG1", "ENSG2", *GENES[3:]], axis=1).iloc[:, :55]
    for path in ("out", "out/matrix.mtx.gz"):
        equal(read(path), expected)
    assert "2 genes whose symbol is repeated are named by their id" in caplog.text
    assert "5 features of other kinds (Antibody Capture) left out" in caplog.text
    assert len(read("out").describe()["sha256"]) == 64
    with h5py.File("out.h5", "w") as file:
        matrix, group = sparse.csc_matrix(counts.T.to_numpy()), file.create_group("matrix")
        for name in ("data", "indices", "indptr", "shape"):
            group[name] = getattr(matrix, name)
        group["barcodes"] = CELLS
        for name, column in table.items():
            group[f"features/{name}"] = column.tolist()
    equal(read("out.h5"), expected)
    (here / "out" / "features.tsv.gz").unlink()
    assert "out: there is no features.tsv or genes.tsv (also .gz)" in message(lambda: read("out"))
    (here / "bad.h5").write_bytes(b"")
    assert "bad.h5: cannot be read as .h5 of 10x Genomics" in message(lambda: read("bad.h5"))

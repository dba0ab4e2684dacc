"""``zoo check``, and from a file to a model in one line."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import write_classes, write_ts, write_ucr
from test_runs import zoo_process

import zoo
from zoo import files
from zoo.check import check
from zoo.cli import main
from zoo.data.intake import expand, intake
from zoo.errors import InputError

QUICK = ["--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--trainer.limit_train_batches=2"]
TIMED = """
import sys
from zoo.cli import main
for words in {words!r}:
    try:
        main(words)
    except SystemExit as stop:
        print("status", stop.code)
    assert "torch" not in sys.modules, words
"""


def test_a_table_is_shown_as_training_reads_it(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", table, "--target", "outcome", "--id", "patient"])
    shown = capsys.readouterr().out
    assert "table.csv: table, 80 rows and 5 columns" in shown
    assert "numbers     2: age, dose" in shown
    assert "categories  1: sex (" in shown
    assert "outcome, binary: well " in shown
    assert "sick " in shown.partition("(positive class)")[0]
    assert "zoo fit table.csv --target outcome --id patient\n" in shown
    assert "zoo fit --config mlp --data TableData --data.path table.csv --data.target outcome" in shown


def test_all_problems_are_told_at_once_with_the_option_that_settles_each(frame: pd.DataFrame, here: Path) -> None:
    frame["visit"] = "03/04/2024"
    frame["notes"] = [f"seen by {n}" for n in range(80)]
    frame["ca"] = np.where(np.arange(80) % 9, "1", "unclear")
    frame["Sex"] = np.where(frame["sex"] == "f", "F", "f")
    frame.to_csv("bad.csv", index=False)
    report = check("bad.csv", {"target": "outcom", "group": "family"})
    problems = "\n".join(report.problems)
    assert "no column 'outcom' (given as target); did you mean outcome?" in problems
    assert "no column 'family' (given as group)" in problems
    assert "leave it out: --exclude [notes]" in problems
    assert ("samples", "named by column 'patient'") in report.facts
    assert "--dates '{visit: \"%d/%m/%Y\"}'" in problems
    assert "--missing '{ca: [\"unclear\"]}'" in problems
    assert any("differ in case" in doubt for doubt in report.doubts)
    solved = {"dates": '{visit: "%d/%m/%Y"}', "missing": '{ca: ["unclear"]}', "exclude": "notes", "target": "outcome"}
    report = check("bad.csv", solved)
    assert not report.problems
    assert ("missing", "9 values in 1 column: ca 9") in report.facts


def test_problems_have_status_2(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["check", table, "--target", "outcom"])
    assert stop.value.code == 2
    assert "did you mean outcome?" in capsys.readouterr().out


def test_without_a_target_columns_are_named_but_none_is_chosen(table: str) -> None:
    report = check(table, {"id": "patient"})
    assert "--target COLUMN names one; columns with few values: outcome (2 values)" in dict(report.facts)["target"]
    assert "--config vae" in report.in_full


def test_a_wide_table_is_told_in_short(here: Path) -> None:
    values = np.random.default_rng(0).normal(size=(20, 5000))
    pd.DataFrame(values).add_prefix("feature_").assign(y=["a", "b"] * 10).to_csv("wide.csv", index=False)
    report = check("wide.csv", {"target": "y"})
    assert "5,000: feature_0, " in dict(report.facts)["numbers"]
    assert sum(len(text) for _, text in report.facts) < 1000


def test_neither_check_nor_mistakes_import_torch(table: str, here: Path) -> None:
    Path("my.fa").write_text("".join(f">s{n}|{'ab'[n % 2]}\n{'ACGTACGTAC'}\n" for n in range(20)))
    words = [["check", name] for name in ("table.csv", "my.fa", "pima", "patients_simulated", "ecg_beats_simulated")]
    words += [["fit", "tabel.csv"], ["fit", "table.csv", "--target", "outcom"], ["predict", "mlp_pima", "no.csv"]]
    words += [["test", "--config", "mlp_pima", "--data.test_path", "no.csv"], ["crossval", "no.csv", "--target", "y"]]
    words += [["fit", "table.csv", "--target", "outcome", "--config", "mpl"], ["fit", "mlp"]]
    done = zoo_process(TIMED.format(words=words), here)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("error:", "status"))]
    assert lines.count("status 2") == len(words) - 5
    assert "did you mean table.csv?" in done.stderr
    assert "no column 'outcom' (given as target); did you mean outcome?" in done.stderr
    assert "did you mean mlp?" in done.stderr
    assert "zoo fit FILE --config mlp" in done.stderr


def kinds(here: Path, frame: pd.DataFrame, series: np.ndarray, pixels: np.ndarray) -> dict[str, tuple[str, str]]:
    """Files of each kind, with their data module and the recipe with a target."""
    labels = np.array(["left", "right"] * (len(pixels) // 2))
    write_classes(here / "photos", pixels, labels)
    write_ts(here / "beats.ts", list(series), ["1", "2"] * (len(series) // 2))
    write_ucr(here / "UCR.tsv", series, ["1", "2"] * (len(series) // 2))
    frame.to_excel("my.xlsx", index=False)
    frame.to_parquet("my.parquet")
    Path("my.fa").write_text("".join(f">s{n}|{'ab'[n % 2]}\n{'ACGTACGTAC'}\n" for n in range(20)))
    pd.DataFrame({"dna": ["ACGTACGTAC"] * 8, "y": list("abababab")}).to_csv("dna.csv", index=False)
    pd.DataFrame({"file": ["photos/left/00.png"] * 8, "y": list("abababab")}).to_csv("paths.csv", index=False)
    rng = np.random.default_rng(0)
    names = [f"ENSG{number:011}" for number in range(60)]
    genes = pd.DataFrame(rng.poisson(5, (30, 60)), [f"s{n}" for n in range(30)], names)
    genes.to_csv("genes.csv")
    genes.iloc[:10].T.to_csv("genes_in_rows.csv")
    return {
        "my.xlsx": ("TableData", "mlp"),
        "my.parquet": ("TableData", "mlp"),
        "photos": ("ImageData", "cnn2d"),
        "beats.ts": ("SeriesData", "cnn1d"),
        "UCR.tsv": ("SeriesData", "cnn1d"),
        "my.fa": ("SequenceData", "cnn1d"),
        "dna.csv": ("SequenceData", "cnn1d"),
        "paths.csv": ("ImageData", "cnn2d"),
        "genes.csv": ("ExpressionData", "mlp"),
        "genes_in_rows.csv": ("ExpressionData", "mlp"),
    }


def test_the_kind_of_data_is_told_from_the_file(
    here: Path, frame: pd.DataFrame, series: np.ndarray, pixels: np.ndarray
) -> None:
    for name, (module, recipe) in kinds(here, frame, series, pixels).items():
        found = intake(name)
        assert (found.data, found.recipe(True)) == (module, recipe), name
        words = expand([name, "--target=y"]).words
        assert words[:6] == ["--config", recipe, "--data", module, "--data.path", name]
        assert words[-1] == "--data.target=y"
        assert check(name, {}).title.startswith(name)
    assert intake("dna.csv").options == {"sequence": "dna"}
    assert intake("paths.csv").options == {"image": "file"}
    assert intake("genes_in_rows.csv").options == {"genes_in_rows": "true"}
    assert intake("my.xlsx", {"record": "patient"}).data == "SeriesData"


def expression(path: str, rows: int = 24, samples: int = 6, first: str = "gene", sep: str = ",") -> pd.DataFrame:
    """A table of counts with genes in rows."""
    rng = np.random.default_rng(1)
    values = rng.poisson(60, (rows, samples)) + rng.integers(1, 9, (rows, samples)) / 10
    names = pd.Index([f"ENSG{number:011}" for number in range(rows)], name=first)
    frame = pd.DataFrame(values, names, [f"S{number}" for number in range(samples)])
    frame.to_csv(path, sep=sep)
    return frame


def test_genes_in_rows_are_told_whatever_their_values_look_like(here: Path) -> None:
    frame = expression("plain.csv")
    frame.head(8).to_csv("few.csv")
    frame.mask(frame > 66).to_csv("gaps.csv")
    frame.mask(frame > 66).to_csv("words.csv", na_rep="NA")
    frame.to_csv("commas.csv", sep=";", decimal=",")
    frame.set_axis(pd.Index(range(1000, 1024), name="entrez")).to_csv("numbers.csv")
    frame.rename_axis("").to_csv("probes.csv")
    frame.reset_index().assign(description="a protein").iloc[:, [0, -1, *range(1, 7)]].to_csv("told.csv", index=False)
    for name in ("plain", "few", "gaps", "words", "commas", "numbers", "probes", "told"):
        found = intake(f"{name}.csv")
        assert (found.data, found.options) == ("ExpressionData", {"genes_in_rows": "true"}), name
        report = check(f"{name}.csv", {})
        assert "6 samples and" in report.title, name
        assert "turned by --genes_in_rows true" in dict(report.facts)["genes"]
        assert not report.problems, name
    assert intake("plain.csv", {"target": "S5"}).data == "TableData"  # a table of genes
    frame.T.mask(frame.T > 66).rename_axis("sample").to_csv("samples.csv")
    assert intake("samples.csv").options == {}


def test_expression_is_checked_as_training_reads_it(here: Path) -> None:
    frame = expression("counts.csv")
    frame.rename({frame.index[0]: "2-Sep"}).to_csv("dates.csv")
    frame.rename({frame.index[0]: frame.index[1]}).to_csv("twice.csv")
    results = ["baseMean", "log2FoldChange", "lfcSE", "stat", "pvalue", "padj"]
    frame.set_axis(results, axis=1).to_csv("results.csv")
    frame.iloc[:, :4].set_axis(["Length", "EffectiveLength", "TPM", "NumReads"], axis=1).to_csv("quant.tsv", sep="\t")
    assert any("a spreadsheet program changed them" in doubt for doubt in check("dates.csv", {}).doubts)
    assert any("occurs more than once (1 repeated name" in problem for problem in check("twice.csv", {}).problems)
    for name in ("results.csv", "quant.tsv"):
        assert any("no column of numbers holds a sample" in problem for problem in check(name, {}).problems)
    Path("new.gct").write_text("#1.3\n2\t2\t0\t0\nid\ta\tb\nx\t1\t2\ny\t3\t4\n")
    assert any("GCT of version 1.3" in problem for problem in check("new.gct", {}).problems)
    cells = expression("x.csv", rows=60, samples=30).T.assign(total_counts=5.0, y=["a", "b"] * 15)
    cells.to_csv("cells.csv")
    report = check("cells.csv", {"target": "y"})
    assert report.title.endswith("30 samples and 60 genes")
    assert any("total_counts" in doubt for doubt in report.doubts)
    assert dict(report.facts)["target"].startswith("y, binary: a 15")


@pytest.mark.parametrize(
    ("times", "events", "words"),
    [
        (["12+", "30"], [0, 1], "column 'time', row 1: '12+' is not a number"),
        (["41 months", "30 months"], [0, 1], "is not a number"),
        ([-4, 30], [0, 1], "row 1: the time -4 is negative"),
        ([4, 30], ["alive", "alive"], ""),
    ],
)
def test_survival_is_checked_as_training_reads_it(times: list, events: list, words: str, here: Path) -> None:
    frame = pd.DataFrame({"a": [*range(20)] * 2, "time": times * 20, "event": events * 20})
    frame.to_csv("t.csv", index=False)
    problems = check("t.csv", {"target": "time", "event": "event"}).problems
    assert problems
    assert words in problems[0]


def test_values_that_training_refuses_are_problems_of_a_table(here: Path) -> None:
    frame = pd.DataFrame({"a": ["inf", *range(39)], "visit": ["NA", *(f"20{n}-02-11" for n in range(10, 49))]})
    frame.assign(y=["u", "v"] * 20).to_csv("t.csv", index=False)
    report = check("t.csv", {"target": "y"})
    assert any("column 'a', row 1: the value is infinite" in problem for problem in report.problems)
    assert dict(report.facts)["missing"] == "1 value in 1 column: visit 1"


def test_times_of_series_are_shown(here: Path) -> None:
    rows = [
        f"{name},2024-01-{day:02},{day % 5},{label}" for name, label in ("pu", "qv", "ru", "sv") for day in (1, 2, 3)
    ]
    Path("long.csv").write_text("\n".join(["id,day,value,y", *rows]))
    report = check("long.csv", {"record": "id", "time": "day", "target": "y"})
    assert report.title.endswith("4 series")
    assert dict(report.facts)["time"].startswith("column 'day'; sampling rate")
    assert "u 2" in dict(report.facts)["target"]


def test_an_unknown_file_is_refused(here: Path) -> None:
    Path("notes.docx").write_text("x")
    with pytest.raises(InputError, match=r"unknown kind of file \.docx"):
        intake("notes.docx")
    Path("empty").mkdir()
    with pytest.raises(InputError, match="the kind of data in this folder is unknown"):
        intake("empty")
    with pytest.raises(InputError, match=r"unexpected argument 'b\.csv'"):
        expand(["notes.docx", "b.csv"])


def test_names_and_runs_keep_their_meaning(here: Path) -> None:
    assert expand(["mlp_pima"]).words == ["--config", "mlp_pima"]
    assert expand(["--config", "mlp_pima"]).words == ["--config", "mlp_pima"]
    Path("new.csv").write_text("a,b\n1,2\n")
    long = ["--config", "mlp_pima", "--data.path", "new.csv", "--data.sheet=1", "--model.lr=1", "--output", "p.csv"]
    assert expand(["mlp_pima", "new.csv", "--sheet=1", "--model.lr=1", "--output", "p.csv"]).words == long
    with pytest.raises(InputError, match="did you mean mlp_pima"):
        expand(["mlp_pimaa"])


def test_from_a_file_to_a_model_and_predictions(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", table, "--target", "outcome", "--id", "patient", *QUICK])
    assert Path("runs/table/1/config.yaml").is_file()
    assert "sensitivity (sick)" in capsys.readouterr().out
    assert set(pd.read_csv("runs/table/1/scores.csv")["metric"]) > {"sensitivity", "roc_auc"}  # keys stay
    main(["predict", "runs/table/1", table, "--output", "p.csv"])
    assert len(pd.read_csv("p.csv")) == 80
    run = zoo.fit(table, "--target=outcome", "--id=patient", "--config=vae", *QUICK)
    assert run.folder == Path("runs/table/2")
    assert type(run.model).__name__ == "VAE"
    main(["crossval", table, "--target", "outcome", "--id=patient", "--folds=2", *QUICK])
    assert "sensitivity (sick)" in capsys.readouterr().out
    assert Path("runs/table/crossval/crossval.csv").is_file()


@pytest.mark.parametrize("name", ["beats.ts", "my.fa", "photos", "genes.csv"])
def test_other_files_train_in_one_line(
    name: str, here: Path, frame: pd.DataFrame, series: np.ndarray, pixels: np.ndarray, cheap_report: None
) -> None:
    kinds(here, frame, series, pixels)
    if name == "my.fa":
        rng = np.random.default_rng(0)
        Path(name).write_text(
            "".join(f">s{n}|{'ab'[n % 2]}\n{''.join(rng.choice(list('ACGT'), 20))}\n" for n in range(40))
        )
    main(["fit", name, *QUICK])
    assert (Path("runs") / Path(name).stem / "1" / "scores.csv").is_file()


def test_generic_recipes_carry_no_option_of_a_data_set() -> None:
    assert {"mlp", "cnn1d", "cnn2d", "cnn3d", "vae", "autoencoder", "joint", "customics", "tabulargan"} <= set(
        files.generic_recipes()
    )
    for name in files.generic_recipes():
        content = yaml.safe_load(files.config(name).read_text(encoding="utf-8"))
        assert set(content["data"]["init_args"]) == {"batch_size"}, name
        assert content["untrained"], name


def test_recipes_hold_no_columns_of_their_data_set(table: str) -> None:
    """Levels, marks of missing values and extra targets stand in the cards, so that they do not reach another file."""
    of_a_data_set = {"ordered", "missing", "categorical", "features", "covariates", "group", "id", "event", "positive"}
    of_a_data_set |= {"modalities", "also", "clinical", "classes", "record", "time"}
    for name in files.recipes():
        content = yaml.safe_load(files.config(name).read_text(encoding="utf-8"))
        assert not of_a_data_set & set(content["data"]["init_args"]), name
    data = zoo.fit("mlp_patients", f"--data.path={table}", "--data.target=age", "--data.id=patient", *QUICK).data
    assert data.spec["modalities"]["table"]["features"] == ["dose", "sex", "outcome"]


def test_a_card_gives_the_options_of_its_data_set_and_the_user_overrides_them() -> None:
    assert zoo.data.TableData("patients_simulated").ordered == {"stage": ["I", "II", "III", "IV"]}
    assert zoo.data.TableData("patients_simulated", ordered={}).ordered == {}
    several = zoo.data.MultiOmicsData("miniacc", also_weight=0.5)
    assert list(several.modalities) == ["rna", "mirna", "protein", "copy_number", "mutation"]
    assert several.also == {"survival": {"target": "overall_survival", "event": "vital_status"}}
    assert not zoo.data.MultiOmicsData("miniacc", also={}).also
    assert not zoo.data.MultiOmicsData("miniacc", target="gender").also


def test_missing_indicators_only_where_values_are_missing(frame: pd.DataFrame, here: Path) -> None:
    options = ["--target=outcome", "--id=patient", "--config=mlp_pima", *QUICK]
    frame.to_csv("complete.csv", index=False)
    model = zoo.fit("complete.csv", *options).model
    assert model.encode.feature_names == ["age", "dose", "sex=f", "sex=m", "sex=unknown"]
    frame.loc[::4, "dose"] = np.nan
    frame.to_csv("gaps.csv", index=False)
    model = zoo.fit("gaps.csv", *options).model
    assert model.encode.feature_names[:3] == ["age", "dose", "dose missing"]


def test_packaged_weights_keep_their_columns(mlp: object) -> None:
    assert zoo.load("mlp_pima").encode.out_shape == (16,)


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch, zoo_fails: Callable[..., str]) -> None:
    """Output is plain, whatever the terminal of the tests."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)

"""Values of new files are read as those of the training file were, whatever their format, types and spellings."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from zoo import commands
from zoo.cli import main
from zoo.data import TableData
from zoo.errors import InputError
from zoo.models import MLP, Model
from zoo.tables import read_table, streaming
from zoo.tables.writing import SUFFIXES, write_table, writing

MISSING = {"stage": ["?"]}


def cohort(rows: int = 60) -> pd.DataFrame:
    """Patients with every type of column, as text."""
    rng = np.random.default_rng(0)
    flag = rng.choice(["True", "False", ""], rows, p=[0.5, 0.4, 0.1])
    visit = pd.Timestamp("2020-01-31") + pd.to_timedelta(rng.integers(0, 400, rows), unit="D")
    return pd.DataFrame(
        {
            "patient": [f"{number:04d}" for number in range(1, rows + 1)],
            "dose": [f"{value:.2f}" for value in rng.uniform(100.0, 2000.0, rows)],
            "visits": [*["7", ""], *map(str, rng.integers(0, 9, rows - 2))],
            "code": rng.choice(["01", "02", "03", "1A"], rows),
            "arm": rng.choice(["1", "2"], rows),
            "flag": flag,
            "stage": rng.choice(["I", "II", "?"], rows),
            "visit": visit.strftime("%d/%m/%Y"),
            "outcome": rng.choice(["case", "control"], rows),
        }
    )


def trained(**options: Any) -> Any:
    """A network at its start on ``train.csv``, and its data."""
    torch.manual_seed(0)
    given = {"categorical": ["arm"], "missing": MISSING, "id": "patient", "target": "outcome", **options}
    data = TableData("train.csv", **given)
    model = MLP(spec=data.spec, hidden=[8])
    model.prepare(data)
    return model.eval(), data


@pytest.fixture
def files(here: Path) -> pd.DataFrame:
    """``train.csv``, and its first half without codes that have letters."""
    table = cohort()
    table.to_csv("train.csv", index=False)
    return table[table["code"] != "1A"].head(30).drop(columns="outcome").reset_index(drop=True)


def typed(new: pd.DataFrame) -> pd.DataFrame:
    """The columns in the types that a user's program chooses."""
    return new.assign(
        dose=new["dose"].astype(float),
        visits=pd.array(new["visits"].replace("", None), dtype="Int64"),
        code=new["code"].astype("category"),
        arm=new["arm"].astype(int),
        flag=pd.array(new["flag"].map({"True": True, "False": False, "": None}), dtype="boolean"),
        stage=new["stage"].astype("category"),
        visit=pd.to_datetime(new["visit"], format="%d/%m/%Y"),
    )


def german(new: pd.DataFrame) -> pd.DataFrame:
    """Decimal commas, German dates and spellings of true and false."""
    points = new["dose"].str.replace(".", ",")
    dates = pd.to_datetime(new["visit"], format="%d/%m/%Y").dt.strftime("%d.%m.%Y")
    return new.assign(dose=points, visit=dates, flag=new["flag"].str.upper())


WRITTEN = {
    "csv": lambda new: new.to_csv("new.csv", index=False),
    "german csv": lambda new: german(new).to_csv("new.csv", sep=";", index=False, encoding="cp1252"),
    "floats csv": lambda new: new.assign(arm=new["arm"] + ".0").to_csv("new.csv", index=False),
    "ISO dates": lambda new: typed(new).to_csv("new.csv", index=False),
    "tsv.gz": lambda new: new[new.columns[::-1]].to_csv("new.tsv.gz", sep="\t", index=False),
    "xlsx": lambda new: typed(new).to_excel("new.xlsx", index=False),
    "ods": lambda new: typed(new).to_excel("new.ods", index=False),
    "parquet": lambda new: typed(new).to_parquet("new.parquet"),
    "feather": lambda new: typed(new).to_feather("new.feather"),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_predictions_do_not_depend_on_how_a_table_is_written(files: pd.DataFrame, how: str) -> None:
    model, _ = trained()
    expected = model.predict(files)
    assert expected.index.tolist() == files["patient"].tolist()
    WRITTEN[how](files)
    path = next(path for path in map(str, Path().glob("new.*")))
    data = TableData(path, id="patient").conform(model.spec, external=True)
    pd.testing.assert_frame_equal(model.predict(data.frame()), expected, check_exact=True)


def test_predictions_do_not_depend_on_the_types_of_a_frame(files: pd.DataFrame) -> None:
    model, _ = trained()
    expected = model.predict(files)
    odd = typed(files).assign(arm=files["arm"].astype(float), flag=files["flag"].map({"True": 1, "False": 0}))
    for frame in (typed(files), odd, files.astype("category"), files.astype("string"), typed(files).astype(object)):
        pd.testing.assert_frame_equal(model.predict(frame), expected, check_exact=True)


def test_the_ids_of_a_frame_are_text(files: pd.DataFrame) -> None:
    model, _ = trained()
    assert model.predict(files.assign(patient=np.arange(30.0))).index.tolist()[:3] == ["0", "1", "2"]


OUTSIDE = {
    "another unit": (
        {"dose": lambda c: (c.astype(float) / 18.0 / 10).map(str)},
        "new.csv: column 'dose': all 30 values",
        "far outside the range of the training data (",
    ),
    "far on both sides": (
        {"dose": lambda c: pd.Series(np.where(np.arange(len(c)) % 2, "-4000", "4000"), c.index)},
        "new.csv: column 'dose': all 30 values (-4000 to 4000)",
        "far outside the range of the training data (",
    ),
    "another spelling": (
        {"code": lambda c: "C" + c},
        "new.csv: column 'code': none of its levels occurs in the training data: 'C0",
        "instead of '01', '02', '03', '1A'",
    ),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_column_unlike_that_of_training_is_refused(files: pd.DataFrame, case: str) -> None:
    model, _ = trained()
    changes, *words = OUTSIDE[case]
    new = files.assign(**{name: change(files[name]) for name, change in changes.items()})
    new.to_csv("new.csv", index=False)
    data = TableData("new.csv", id="patient").conform(model.spec, external=True)
    with pytest.raises(InputError) as error:
        model.predict(data.frame())
    assert all(word in str(error.value) for word in [*words, "--data.force true"])
    assert len(model.predict(data.frame(), force=True)) == 30
    assert len(model.predict(new.head(2))) == 2  # too few rows to judge


def test_all_columns_unlike_those_of_training_are_named(files: pd.DataFrame) -> None:
    model, _ = trained()
    new = files.assign(dose="1e9", code="x", visits="")
    with pytest.raises(InputError) as error:
        model.predict(new)
    lines = str(error.value).splitlines()
    assert [line.split("'")[1] for line in lines] == ["code", "dose"]


def test_new_data_of_a_test_are_compared_too(files: pd.DataFrame) -> None:
    model, _ = trained()
    cohort().assign(dose="1e9").to_csv("new.csv", index=False)
    with pytest.raises(InputError, match="column 'dose'"):
        _ = TableData("new.csv", id="patient", target="outcome").conform(model.spec, external=True).dataset
    forced = TableData("new.csv", id="patient", target="outcome", force=True).conform(model.spec, external=True)
    assert len(forced.dataset.x) == 60


def test_later_dates_are_predicted_with_a_warning(files: pd.DataFrame, caplog: pytest.LogCaptureFixture) -> None:
    model, _ = trained()
    model.predict(files.assign(visit="31/12/2035", visits=""))
    assert "all dates of column 'visit' lie far outside" in caplog.text
    assert "no value in column 'visits'" in caplog.text


def test_ambiguous_dates_of_another_format_are_asked_about(files: pd.DataFrame) -> None:
    torch.manual_seed(0)
    table = cohort()
    table["visit"] = pd.to_datetime(table["visit"], format="%d/%m/%Y").dt.strftime("%d.%m.%Y")
    table.to_csv("train.csv", index=False)
    model, _ = trained()
    with pytest.raises(InputError, match=r"'03/04/2020' is no date of the format %d\.%m\.%Y; .* fit"):
        model.predict(files.assign(visit="03/04/2020"))


def test_a_missing_feature_is_named_with_those_of_the_model(files: pd.DataFrame) -> None:
    model, _ = trained()
    files.drop(columns="visits").to_csv("new.csv", index=False)
    data = TableData("new.csv", id="patient").conform(model.spec, external=True)
    with pytest.raises(InputError, match=r"new.csv lacks 1 of 7 features, first 'visits'.*needed: dose, visits, code"):
        model.predict(data.frame())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_written_tables_keep_names_and_text(here: Path, suffix: str) -> None:
    index = pd.Index(["0001", "0002", "=1"], name="patient")
    table = pd.DataFrame({"prediction": ["01", None, "a"], "risk": np.array([0.1, 0.25, np.nan], np.float32)}, index)
    write_table(table, Path(f"out{suffix}"))
    found = read_table(Path(f"out{suffix}"), ["patient", "sample", "prediction"])
    assert found.iloc[:, 0].tolist() == ["0001", "0002", "=1"]
    assert found["prediction"].isna().tolist() == [False, True, False]
    assert found["prediction"][0] == "01"
    assert found["risk"].astype(np.float32).tolist()[:2] == table["risk"].tolist()[:2]
    assert np.isnan(found["risk"][2])


def test_a_file_appears_only_once_it_is_complete(here: Path) -> None:
    def fails_after_a_part() -> None:
        with writing(Path("out.csv")) as append:
            append(pd.DataFrame({"a": [1]}))
            raise InputError("no more")

    with pytest.raises(InputError):
        fails_after_a_part()
    assert not list(Path().iterdir())


def test_an_unknown_kind_of_file_is_refused(here: Path) -> None:
    with pytest.raises(InputError, match=r"--output out.doc: use .csv, .tsv, .*\.h5ad"):
        write_table(pd.DataFrame({"a": [1]}), Path("out.doc"))


def predicted(*options: str) -> bytes | None:
    """What ``zoo predict`` writes for ``new.csv``; None if it was not read in parts."""
    empty = commands.predict(["--config=runs/mine/1", "--data.path=new.csv", "--output=out.csv", *options]).empty
    return Path("out.csv").read_bytes() if empty else None


@pytest.fixture
def long(files: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The rows of a long file for a trained run."""
    write_recipe()
    monkeypatch.setattr(streaming, "BLOCK", 20_000)
    monkeypatch.setattr(Model, "rows_at_once", 64)
    return pd.concat([files] * 50).assign(patient=[f"{number:05d}" for number in range(1500)])


def write_recipe() -> None:
    """A run of two epochs on ``train.csv``."""
    recipe = """
        model: {class_path: MLP, init_args: {hidden: [8]}}
        data:
          class_path: TableData
          init_args: {path: train.csv, target: outcome, id: patient, categorical: [arm], missing: {stage: ["?"]}}
        trainer: {max_epochs: 2}
    """
    Path("mine.yaml").write_text(recipe, encoding="utf-8")
    main(["fit", "--config=mine.yaml"])


LONG = {
    "plain": lambda new: new,
    "german": lambda new: german(new).assign(visit=new["visit"]),
    "words": lambda new: new.assign(visits=new["visits"].replace("", "NA"), dose=new["dose"] + " "),
    "empty rows": lambda new: pd.concat([new.head(700), new.head(2) * 0, new.tail(800)]),
}


@pytest.mark.parametrize("case", LONG)
def test_a_long_file_read_in_parts_gives_the_same_predictions(
    long: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, cheap_baselines: None, case: str
) -> None:
    LONG[case](long).to_csv("new.csv", index=False, sep=";" if case == "german" else ",")
    assert predicted() is None
    whole = Path("out.csv").read_bytes()
    monkeypatch.setattr(streaming, "LONG", 0)
    assert predicted() == whole
    assert whole.count(b"\n") == 1501


def test_a_long_file_that_is_not_plain_is_read_as_a_whole(
    long: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, zoo_fails: Any
) -> None:
    monkeypatch.setattr(streaming, "LONG", 0)
    long.iloc[1400, long.columns.get_loc("dose")] = "1,250.00"
    long.to_csv("new.csv", index=False)
    assert predicted() is None
    assert len(pd.read_csv("out.csv")) == 1500
    Path("out.csv").unlink()
    long.iloc[1400, long.columns.get_loc("dose")] = "12 mg"
    long.to_csv("new.csv", index=False)
    told = zoo_fails("predict", "--config=runs/mine/1", "--data.path=new.csv", "--output=out.csv")
    assert "new.csv: column 'dose', row 01400: '12 mg' is not a number" in told
    long.assign(dose="1000000000").to_csv("new.csv", index=False)
    told = zoo_fails("predict", "--config=runs/mine/1", "--data.path=new.csv", "--output=out.csv")
    assert "column 'dose': all 1500 values" in told
    assert not Path("out.csv").exists()
    assert predicted("--data.force=true")

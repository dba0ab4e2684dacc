"""Types of columns, columns that are no features, the target and its positive class; what is in doubt is said."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from zoo.data import TableData
from zoo.errors import InputError
from zoo.spec import modality_of
from zoo.tables.target import detect, positive_of

N = 60
RANDOM = np.random.default_rng(0)


@pytest.fixture
def table() -> pd.DataFrame:
    """Two features and a target that has nothing to do with them."""
    return pd.DataFrame(
        {
            "age": RANDOM.integers(20, 80, N),
            "weight": RANDOM.normal(70, 10, N).round(1),
            "y": RANDOM.permutation(["case", "control"] * (N // 2)),
        }
    )


def spec_of(table: pd.DataFrame, **options: object) -> tuple[dict, dict]:
    table.to_csv("t.csv", index=False)
    spec = TableData("t.csv", "y", **options).spec
    return modality_of(spec), spec


LEFT_OUT: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    # why: (change of the table, words of the log)
    "row names of pandas": (lambda t: t.assign(**{"Unnamed: 0": RANDOM.permutation(3 * N)[:N]}), "it numbers the rows"),
    "shuffled counter": (lambda t: t.assign(rank=RANDOM.permutation(N)), "column 'rank' left out: it numbers the rows"),
    "counter from 1": (lambda t: t.assign(place=range(101, 101 + N)), "it numbers the rows"),
    "identifier": (lambda t: t.assign(patient_id=RANDOM.permutation(10**6)[:N]), "it identifies the samples"),
    "repeated identifier": (lambda t: t.assign(patient=[f"P{i // 2}" for i in range(N)]), "give it as --data.group"),
    "empty": (lambda t: t.assign(crp=None), "column 'crp' left out: no value"),
    "words for missing only": (lambda t: t.assign(crp="NA"), "column 'crp' left out: no value"),
    "names of samples": (
        lambda t: pd.concat([pd.Series([f"P{i}" for i in range(N)], name="who"), t], axis=1),
        "column 'who' names the samples",
    ),
}


@pytest.mark.parametrize("why", LEFT_OUT)
def test_columns_that_are_no_features(
    why: str, table: pd.DataFrame, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "zoo")
    change, said = LEFT_OUT[why]
    modality, _ = spec_of(change(table))
    assert modality["features"] == ["age", "weight"]
    assert said in caplog.text


DOUBTS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "levels differ in case": (
        lambda t: t.assign(sex=["male", "Male", "female"] * (N // 3)),
        "column 'sex': the levels 'male' (20) and 'Male' (20) differ in case or blanks only",
    ),
    "a level that may be missing": (
        lambda t: t.assign(country=["NA", "DE", "KE"] * (N // 3)),
        "column 'country': 'NA' (20) is taken as a level; if it means a missing value: --data.missing '{country: ",
    ),
    "stand-in for missing": (
        lambda t: t.assign(glucose=[-999, *range(40, 99)]).pipe(
            lambda f: f.assign(glucose=f["glucose"].replace(41, -999))
        ),
        "column 'glucose': -999 occurs 2 times, far from all other values (40 to 98)",
    ),
    "invisible differences": (
        lambda t: t.assign(sex=["m", "m\u200b", "f"] * (N // 3)),
        "differ in case or blanks only",
    ),
    "a summary below": (
        lambda t: t.assign(site=[*["A", "B", "C"] * (N // 3 - 1), "A", "B", "Total"]),
        "the row with 'Total' looks like a summary of the others",
    ),
    "leak of a number": (
        lambda t: t.assign(score=(t["y"] == "case") + RANDOM.random(N) / 10),
        "column 'score' alone determines the target 'y' (a leak?)",
    ),
    "leak of a category": (
        lambda t: t.assign(arm=np.where(t["y"] == "case", "A", "B")),
        "column 'arm' alone determines the target 'y' (a leak?)",
    ),
    "leak by what is missing": (
        lambda t: t.assign(dose=np.where(t["y"] == "case", RANDOM.random(N), np.nan)),
        "column 'dose' alone determines the target 'y' (a leak?)",
    ),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_doubts_are_said(doubt: str, table: pd.DataFrame, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    change, said = DOUBTS[doubt]
    spec_of(change(table))
    assert said in caplog.text
    caplog.clear()
    spec_of(table)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_all_problems_are_listed_at_once(table: pd.DataFrame, here: Path) -> None:
    bad = table.assign(
        egfr=[">90", *map(str, range(N - 1))],
        when=["1/2/2020", "3/4/2020"] * (N // 2),
        note=[f"text {i}" for i in range(N)],
    )
    with pytest.raises(InputError) as error:
        spec_of(bad)
    lines = str(error.value).split("\n")
    assert len(lines) == 3
    assert lines[0].startswith("t.csv: column 'egfr', row 1: '>90' is not a number")
    assert """--data.missing '{egfr: [">90"]}'""" in lines[0]
    assert "the day or the month first; give the format: --data.dates" in lines[1]
    assert "--data.exclude [note]" in lines[2]
    modality, _ = spec_of(bad, missing={"egfr": [">90"]}, dates={"when": "%d/%m/%Y"}, exclude=["note"])
    assert modality["features"] == ["age", "weight", "egfr", "when"]


PROBLEMS = {
    # what is wrong: (cells of a column, words of the error)
    "units": ([f"{i} kg" for i in range(N)], "holds numbers with a unit such as '0 kg'; remove the unit"),
    "mixed dates": (
        ["2020-01-03", "3/4/2020", "2020-02-05"] * (N // 3),
        "'3/4/2020' are no dates of the format of the others",
    ),
    "date beyond time": (
        [*["2020-01-03", "2021-01-03"] * (N // 2 - 1), "2022-01-01", "9999-12-31"],
        "'9999-12-31' are no",
    ),
    "two digits of a year": (["11.03.30", "12.04.85"] * (N // 2), "the year of '11.03.30' may be 20 or 19"),
    "clock times": (["08:15", "9:30"] * (N // 2), "holds times of day such as"),
    "names": ([f"Jane Doe {i}" for i in range(N)], "text column 'z' has 60 different values"),
}


@pytest.mark.parametrize("what", PROBLEMS)
def test_problems(what: str, table: pd.DataFrame, here: Path) -> None:
    cells, words = PROBLEMS[what]
    for at in (0, 2):  # a first column is not mistaken for names of the samples
        changed = table.copy()
        changed.insert(at, "z", cells)
        with pytest.raises(InputError) as error:
            spec_of(changed)
        assert words in str(error.value)


def test_whole_numbers_that_are_dates(table: pd.DataFrame, here: Path) -> None:
    table["visit"] = pd.date_range("2020-02-28", periods=N).strftime("%Y%m%d").astype(int)
    modality, _ = spec_of(table)
    assert modality["dates"]["visit"]["format"] == "%Y%m%d"


def test_codes_and_booleans_are_categories(table: pd.DataFrame, here: Path) -> None:
    modality, _ = spec_of(table.assign(code=["01", "02", "10"] * (N // 3), flag=[True, False, None] * (N // 3)))
    assert modality["levels"] == {"code": ["01", "02", "10"], "flag": ["False", "True"]}


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d-%b-%Y", "%Y-%m-%d %H:%M:%S"])
def test_dates_are_days_since_the_first_training_date(form: str, table: pd.DataFrame, here: Path) -> None:
    dates = pd.Series(pd.date_range("2020-02-28", periods=N, freq="7D"))
    table["visit"] = dates.dt.strftime(form).where(np.arange(N) != 5)
    table.to_csv("t.csv", index=False)
    data = TableData("t.csv", "y")
    modality, training = modality_of(data.spec), (data.samples["split"] == "train").to_numpy()
    origin = dates[training & (np.arange(N) != 5)].min()
    assert modality["dates"] == {"visit": {"format": form, "origin": str(origin.date()), "padded": True}}
    days = data.dataset.x[:, modality["features"].index("visit")]
    expected = (dates - origin).dt.days.where(np.arange(N) != 5).to_numpy(dtype=np.float32)
    torch.testing.assert_close(days, torch.from_numpy(expected), equal_nan=True)


def test_missing_dates_of_parquet_are_missing(table: pd.DataFrame, here: Path) -> None:
    table["visit"] = pd.Series(pd.date_range("2020-02-28", periods=N)).where(np.arange(N) % 4 > 0)
    table.to_parquet("t.parquet")
    x = TableData("t.parquet", "y").dataset.x[:, 2]
    assert x.isnan().tolist() == (np.arange(N) % 4 == 0).tolist()
    assert float(x.nan_to_num().abs().max()) < 100


@pytest.mark.parametrize("missing", [{"y": ["?"]}, {"y": ["9"], "age": ["0"]}])
def test_marks_of_a_missing_target(missing: dict[str, list[str]], table: pd.DataFrame, here: Path) -> None:
    mark = missing["y"][0]
    table["y"] = np.where(np.arange(N) < 6, mark, (table["y"] == "case").astype(int))
    _, spec = spec_of(table, missing=missing)
    assert spec["target"]["classes"] == ["0", "1"]
    assert len(TableData("t.csv", "y", missing=missing).samples) == N - 6


POSITIVE = [
    ("case", "control"), ("drug", "vehicle"), ("1", "0"), ("yes", "no"), ("true", "false"), ("AD", "healthy"),
    ("mutant", "wild type"), ("bound", "unbound"), ("event", "censored"), ("treated", "untreated"), ("CKD", "notckd"),
    ("Tumor", "Normal"), ("malignant", "benign"), ("2", "1"), ("M", "B"), ("pos", "neg"), ("diseased", "Control group"),
    ("responder", "non-responder"),
    ("non-survivor", "survivor"), ("ER+", "ER-"), ("+", "-"), ("high risk", "low risk"),
    ("Dead", "Alive"), ("KO", "WT"), ("b", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("positive", "other"), POSITIVE)
def test_the_positive_class(positive: str, other: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "zoo")
    assert positive_of([positive, other])[0] == positive_of([other, positive])[0] == positive or positive in "2Mb"
    frame = pd.DataFrame({"y": [positive, other] * 4})
    assert detect(frame, "y")["classes"] == [other, positive]
    assert f"positive class {positive} (4 samples)" in caplog.text
    assert detect(frame, "y", positive=other)["classes"] == [positive, other]


def test_whole_numbers_as_targets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "zoo")
    clusters = pd.DataFrame({"leiden": list(range(12)) * 10})
    assert detect(clusters, "leiden")["kind"] == "regression"
    assert "if they name classes, give --data.target_kind multiclass" in caplog.text
    assert len(detect(clusters, "leiden", kind="multiclass")["classes"]) == 12
    assert detect(pd.DataFrame({"grade": [1, 2, 3] * 10}), "grade")["classes"] == ["1", "2", "3"]
    assert detect(pd.DataFrame({"grade": ["None", "Mild", "Severe"] * 10}), "grade")["kind"] == "multiclass"


EVENTS: list[tuple[str, list[object], list[str]]] = [
    # column, values, (censored, event)
    ("dead", [1, 0], ["0", "1"]),
    ("OS_STATUS", ["0:LIVING", "1:DECEASED"], ["0:LIVING", "1:DECEASED"]),
    ("censored", [1, 0], ["1", "0"]),
    ("is_censored", ["True", "False"], ["True", "False"]),
    ("censored", ["Yes", "No"], ["Yes", "No"]),
    ("survived", [1, 0], ["1", "0"]),
    ("status", ["uncensored", "censored"], ["censored", "uncensored"]),
    ("status", ["Alive", "Dead"], ["Alive", "Dead"]),
    ("status", ["censored", "event"], ["censored", "event"]),
]


@pytest.mark.parametrize(("name", "values", "levels"), EVENTS)
def test_codes_of_an_event(name: str, values: list[object], levels: list[str]) -> None:
    frame = pd.DataFrame({"days": range(20), name: values * 10})
    assert detect(frame, "days", event=name)["event_levels"] == levels


def test_doubts_on_targets(caplog: pytest.LogCaptureFixture) -> None:
    detect(pd.DataFrame({"y": ["?", "case", "control"] * 10}), "y")
    assert "'?' is a class; if it means a missing value" in caplog.text
    detect(pd.DataFrame({"os_time": np.arange(30) + 0.5, "os_event": [0, 1] * 15}), "os_time")
    assert (
        "may be a survival time; if 'os_event' states whether the event occurred: --data.event os_event" in caplog.text
    )
    with pytest.raises(InputError, match="most values are numbers, but not 'pending'"):
        detect(pd.DataFrame({"y": [*map(str, range(30)), "pending"]}), "y")


def test_unclear_events_are_asked_about() -> None:
    frame = pd.DataFrame({"days": range(20), "status": [1, 2] * 10})
    with pytest.raises(InputError, match=r"has the values 1 and 2; give that of the event as --data\.positive"):
        detect(frame, "days", event="status")
    assert detect(frame, "days", event="status", positive="2")["event_levels"] == ["1", "2"]

"""Time series: splits, packaged data sets, inputs of baselines, and errors."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import LENGTH, SAMPLES, both, write_ts, write_ucr

from zoo import files
from zoo.data import SeriesData

CLASSES = ["1", "2"]


@pytest.fixture
def labels() -> list[str]:
    return [CLASSES[i % 2] for i in range(SAMPLES)]


def test_official_test_samples_are_used(
    series: np.ndarray, labels: list[str], here: Path, caplog: pytest.LogCaptureFixture, message: Callable[..., str]
) -> None:
    write_ts(Path("A_TRAIN.ts"), list(series[:40]), labels[:40])
    write_ts(Path("A_TEST.ts"), list(series[40:]), labels[40:])
    y = np.array(labels)
    np.savez("a.npz", X_train=series[:40], y_train=y[:40], X_test=series[40:], y_test=y[40:])
    with caplog.at_level(logging.INFO, "zoo"):
        assert (SeriesData("A_TRAIN.ts").samples["split"] == "test").sum() < 20
    assert "--data.test_path A_TEST.ts" in caplog.text
    for data in (SeriesData("A_TRAIN.ts", test_path="A_TEST.ts"), SeriesData("a.npz")):
        assert (data.samples["split"] == "test").tolist() == [False] * 40 + [True] * 20
        assert set(data.samples["split"]) == {"train", "validation", "test"}
        np.testing.assert_allclose(data.dataset.x.numpy(), series, rtol=1e-6)
        assert set(data.frame()) == {"series", "label"}
    assert "leave out test_path" in message(lambda: SeriesData("a.npz", test_path="A_TEST.ts").spec)


def test_duplicates_share_a_split(series: np.ndarray, labels: list[str], here: Path) -> None:
    write_ucr(Path("a.tsv"), np.concatenate([series, series]), labels * 2)
    split = SeriesData("a.tsv").samples["split"].to_numpy()
    assert (split[:SAMPLES] == split[SAMPLES:]).all()
    assert set(split) == {"train", "validation", "test"}


@pytest.mark.parametrize("name", [n for n in files.datasets() if {"shape", "fetch"} <= set(files.card(n))])
def test_errors_state_where_data_sets_that_are_not_shipped_are(name: str, message: Callable[..., str]) -> None:
    assert files.card(name)["fetch"].split()[0] in message(lambda: SeriesData(name).frame())


def test_basic_motions_of_the_installed_package(
    series: np.ndarray, here: Path, monkeypatch: pytest.MonkeyPatch, message: Callable[..., str]
) -> None:
    data, card = SeriesData("basic_motions"), files.card("basic_motions")
    monkeypatch.setitem(data.card, "package", "motions")
    error = message(lambda: data.spec)
    assert "pip install motions" in error
    assert "--data.test_path" in error
    classes, x = card["classes"], np.repeat(series, 6, 1)
    folder = here / "installed" / "motions" / Path(card["file"]).parent
    folder.mkdir(parents=True)
    (here / "installed" / "motions" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(here / "installed")
    y = [classes[i % 4] for i in range(SAMPLES)]
    for key, checksum, rows in (("file", "sha256", slice(40)), ("test_file", "test_sha256", slice(40, None))):
        assert "no such file" in message(lambda: data.spec)
        path = folder / Path(card[key]).name
        write_ts(path, list(x[rows]), y[rows], " ".join(classes))
        assert "expected" in message(lambda: data.spec)
        monkeypatch.setitem(data.card, checksum, files.sha256(path))
    assert data.spec["modalities"]["series"]["channels"] == card["channels"]
    assert data.spec["target"]["classes"] == classes
    assert (data.samples["split"] == "test").tolist() == [False] * 40 + [True] * 20
    assert "motions" not in sys.modules


def test_baseline_features_have_statistics_of_training_rows_only(
    series: np.ndarray, labels: list[str], here: Path
) -> None:
    write_ts(Path("a.ts"), [s[:, : LENGTH - n % 2] for n, s in enumerate(both(series))], labels)
    data = SeriesData("a.ts", length="longest")
    rows = data.dataset.rows("train")
    before = data.baseline_features(rows)[""]
    assert before.shape == (len(rows), 2 * LENGTH)
    assert np.isfinite(before).all()
    np.testing.assert_allclose(before[:, 0].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(before[:, 0].std(), 1, atol=1e-6)
    assert (before[:, LENGTH - 1] == 0).any()
    data.dataset.x[data.dataset.rows("test")] += 100
    np.testing.assert_array_equal(data.baseline_features(rows)[""], before)


TS = "@classLabel true 1 2\n@data\n"
WRONG: dict[str, tuple[str, str | dict[str, np.ndarray], dict[str, object], list[str]]] = {
    # fault: (file, content, options, words of the error)
    "no file": ("b.ts", TS, {"path": "a.ts"}, ["no file", "did you mean b.ts"]),
    "empty": ("a.tsv", "", {}, ["a.tsv", "empty"]),
    "text among numbers": ("a.tsv", "1\t2.5\t3\n2\tx\t4\n", {}, ["column '2', row 2", "'x'"]),
    "wide with text": ("a.csv", "label,a,b\nx,1,2\ny,3,4\nx,5,o6\n", {}, ["column 'b', row 3", "'o6'"]),
    "no measurements": ("a.csv", "label,a\nx,y\ny,z\n", {}, ["no column of numbers"]),
    "no target": ("a.csv", "kind,a,b\nx,1,2\ny,3,4\n", {}, ["no column 'label'", "kind"]),
    "ts without data": ("a.ts", "@classLabel true 1 2\n", {}, ["no line @data"]),
    "ts without series": ("a.ts", TS, {}, ["no series"]),
    "ts header": ("a.ts", "1,2,3:1\n", {}, ["line 1", "begins with @"]),
    "ts text": ("a.ts", TS + "1,2,3:1\n1,b,3:2\n", {}, ["line 4, channel 1", "'b'"]),
    "ts channels": ("a.ts", TS + "1,2,3:1,2:1\n", {}, ["line 3", "channel 2 has 2 time points, channel 1 has 3"]),
    "ts class": ("a.ts", TS + "1,2,3:1\n1,2,4:3\n", {}, ["line 4", "class '3'"]),
    "ts time stamps": ("a.ts", "@timeStamps true\n" + TS + "(0,1),(1,2):1\n", {}, ["time stamps", "long table"]),
    "channel count": (
        "a.ts",
        TS + "1,2:3,4:1\n1,2:2\n" + 9 * "1,2:3,4:1\n1,3:2,4:2\n",
        {"length": 2},
        ["sample 2 has 1 channels, 2"],
    ),
    "channel names": ("a.ts", TS + 2 * "1,2:3,4:1\n1,2:3,5:2\n", {"channels": ["a"]}, ["1 names", "for 2"]),
    "arff text": ("a.arff", "@attribute t {1,2}\n@data\n1,x,1\n", {}, ["line 3, channel 1", "'x'"]),
    "npz without X": ("a.npz", {"z": np.ones(3)}, {}, ["no array 'X'", "found z"]),
    "npz of text": ("a.npz", {"X": np.array([["a", "b"]])}, {}, ["X is of type <U1"]),
    "npz of objects": ("a.npz", {"X": np.array([[1], [2, 3]], dtype=object)}, {}, ["cannot be read as npz"]),
    "npz labels": ("a.npz", {"X": np.ones((3, 4)), "y": np.ones(2)}, {}, ["'y' is of shape (2,), not (3,)"]),
    "npz parts": (
        "a.npz",
        {"X_train": np.ones((3, 4)), "X_test": np.ones((3, 4)), "X_val": np.ones((3, 4))},
        {},
        ["'x_val'"],
    ),
    "damaged npz": ("a.npz", "PK", {}, ["cannot be read as npz"]),
    "record of wide": ("a.ts", TS + "1,2:1\n1,3:2\n", {"record": "walk", "target": "label"}, ["long tables"]),
    "long record": ("a.csv", "walk,c,label\na,1,x\n", {"record": "wakl", "target": "label"}, ["did you mean walk"]),
    "long time twice": (
        "a.csv",
        "walk,s,c,label\na,1,1,x\na,1,2,x\n",
        {"record": "walk", "time": "s", "target": "label"},
        ["record 'a'", "time 1 twice"],
    ),
    "long time missing": (
        "a.csv",
        "walk,s,c,label\na,1,1,x\na,,2,x\n",
        {"record": "walk", "time": "s", "target": "label"},
        ["row 2 has no 's'"],
    ),
    "long target": (
        "a.csv",
        "walk,c,label\na,1,x\nb,1,x\nb,2,y\n",
        {"record": "walk", "target": "label"},
        ["record 'b'", "more than one value of 'label'"],
    ),
    "time without record": ("a.csv", "walk,c,label\na,1,x\n", {"time": "s"}, ["record too"]),
    "rate unknown": ("a.tsv", "1\t1\t2\n2\t2\t3\n", {"resample": 10}, ["--data.sampling_rate"]),
    "band": ("a.tsv", "1\t1\t2\n", {"band": [1, 10], "sampling_rate": 20}, ["exceeds 10 Hz"]),
    "band reversed": ("a.tsv", "1\t1\t2\n", {"band": [10, 1]}, ["low and a high"]),
    "no beats": ("a.tsv", "1\t1\t2\n", {"split_beats": True}, ["WFDB records"]),
    "no records": ("folder/a.tsv", "1\t1\t2\n", {"path": "folder"}, ["no WFDB records"]),
    "slice": ("a.tsv", "1\t1\t2\n", {"window_slice": 0}, ["window_slice must be between"]),
    "beat without length": ("a.tsv", "1\t1\t2\n", {"before": 0, "after": 0}, ["after must be at least"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_series(case: str, here: Path, message: Callable[..., str]) -> None:
    file, content, options, words = WRONG[case]
    Path(file).parent.mkdir(exist_ok=True)
    if isinstance(content, dict):
        np.savez(file, **content, allow_pickle=True)
    else:
        Path(file).write_text(content)
    error = message(lambda: SeriesData(**{"path": file, **options}).dataset)
    assert [word for word in words if word not in error] == [], error

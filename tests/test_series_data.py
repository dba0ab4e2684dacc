"""Time series: what is read, how it is cut, split, filtered and changed, and what is refused."""

import gzip
import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import wfdb
from lightning.pytorch import LightningModule, Trainer

from zoo import files
from zoo.data import SeriesData
from zoo.data.heartbeats import filtered

SAMPLES, LENGTH = 60, 24
CLASSES = ["1", "2"]


@pytest.fixture
def series() -> np.ndarray:
    """60 random walks, ``(samples, 1, length)``, with four decimals."""
    walks = np.random.default_rng(0).normal(size=(SAMPLES, 1, LENGTH)).cumsum(2)
    walks[:, 0, :] += 3 * (np.arange(SAMPLES) % 2)[:, None]
    return walks.round(4)


@pytest.fixture
def labels() -> list[str]:
    return [CLASSES[i % 2] for i in range(SAMPLES)]


def both(series: np.ndarray) -> np.ndarray:
    """A second channel beside the first."""
    return np.concatenate([series, -2 * series], 1)


def write(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def text_of(values: np.ndarray, separator: str = ",") -> str:
    return separator.join("?" if np.isnan(v) else repr(float(v)) for v in values)


def write_ucr(path: Path, x: np.ndarray, y: list[str], separator: str = "\t") -> None:
    write(path, "".join(f"{c}{separator}{text_of(s[0], separator)}\n" for s, c in zip(x, y, strict=True)))


def write_ts(path: Path, x: list[np.ndarray], y: list[str], classes: str = "1 2") -> None:
    head = f"# a comment\n@problemName walks\n@timeStamps false\n@univariate true\n@classLabel true {classes}\n@data\n"
    write(path, head + "".join(":".join([*map(text_of, s), c]) + "\n" for s, c in zip(x, y, strict=True)))


def write_arff(path: Path, x: np.ndarray, y: list[str]) -> None:
    if x.shape[1] == 1:
        head = "".join(f"@attribute att{i} numeric\n" for i in range(LENGTH))
        rows = [f"{text_of(s[0])},{c}\n" for s, c in zip(x, y, strict=True)]
    else:
        head = "@attribute walk relational\n@attribute att0 numeric\n@end walk\n"
        rows = ["'" + "\\n".join(map(text_of, s)) + f"',{c}\n" for s, c in zip(x, y, strict=True)]
    write(path, f"% a comment\n@relation walks\n\n{head}@attribute target {{1,2}}\n\n@data\n{''.join(rows)}")


def wide(x: np.ndarray, y: list[str]) -> pd.DataFrame:
    return pd.DataFrame(x[:, 0], columns=[f"t{i}" for i in range(x.shape[2])]).assign(label=y)


def long(x: np.ndarray, y: list[str]) -> pd.DataFrame:
    """Rows of all records mixed, to be sorted by time."""
    rows = [
        {"walk": f"w{n}", "second": t / 10, **{f"c{c}": s[c, t] for c in range(len(s))}, "label": y[n]}
        for n, s in enumerate(x)
        for t in range(s.shape[1])
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


FORMATS: dict[str, tuple[str, Callable[[Path, np.ndarray, list[str]], object], dict[str, str]]] = {
    "ucr tsv": ("a.tsv", write_ucr, {}),
    "ucr tsv.gz": ("a.tsv.gz", write_ucr, {}),
    "ucr text with commas": ("a.txt", partial(write_ucr, separator=","), {}),
    "ucr text with spaces": ("a.txt", partial(write_ucr, separator="  "), {}),
    "ts": ("a.ts", lambda p, x, y: write_ts(p, list(x), y), {}),
    "ts.gz": ("a.ts.gz", lambda p, x, y: write_ts(p, list(x), y), {}),
    "arff": ("a.arff", write_arff, {}),
    "npz": ("a.npz", lambda p, x, y: np.savez(p, X=x, y=np.array(y)), {}),
    "npz without channels": ("a.npz", lambda p, x, y: np.savez(p, x=x[:, 0], y=np.array(y, int)), {}),
    "wide csv": ("a.csv", lambda p, x, y: wide(x, y).to_csv(p, index=False), {}),
    "numbered columns": ("a.csv", lambda p, x, y: pd.DataFrame(np.c_[x[:, 0], np.array(y, int)]).to_csv(p, index=False),
                         {"target": str(LENGTH)}),
    "wide tsv.gz": ("a.tsv.gz", lambda p, x, y: wide(x, y).to_csv(p, index=False, sep="\t"), {}),
    "wide parquet": ("a.parquet", lambda p, x, y: wide(x, y).to_parquet(p), {}),
    "long": ("a.csv", lambda p, x, y: long(x, y).to_csv(p, index=False),
             {"record": "walk", "time": "second", "target": "label"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_reads_the_same(name: str, series: np.ndarray, labels: list[str], here: Path) -> None:
    file, save, options = FORMATS[name]
    save(Path(file), series, labels)
    data = SeriesData(file, **options)
    assert data.spec["modalities"]["series"]["shape"] == [1, LENGTH]
    assert data.spec["target"] == {
        "kind": "binary", "name": options.get("target", "label"), "classes": CLASSES, "unit": ""
    }  # fmt: skip
    order = [f"w{n}" for n in range(SAMPLES)] if name == "long" else list(map(str, range(1, SAMPLES + 1)))
    assert set(data.samples.index) == set(order)
    place = torch.as_tensor(data.samples.index.get_indexer(order))
    np.testing.assert_allclose(data.content.x[place].numpy(), series, rtol=1e-6)
    assert [CLASSES[code] for code in data.content.y[place]] == labels
    assert data.frame()["series"].map(np.shape).unique().tolist() == [(1, LENGTH)]


@pytest.mark.parametrize("name", ["ts", "arff", "npz", "long"])
def test_channels(name: str, series: np.ndarray, labels: list[str], here: Path) -> None:
    file, save, options = FORMATS[name]
    save(Path(file), both(series), labels)
    data = SeriesData(file, **options, channels=["c0", "c1"])
    modality = data.spec["modalities"]["series"]
    assert modality["shape"] == [2, LENGTH]
    assert modality["channels"] == ["c0", "c1"]
    x = data.content.x[torch.as_tensor(data.samples.index.get_indexer(["w0"] if name == "long" else ["1"]))]
    np.testing.assert_allclose(x[0].numpy(), both(series)[0], rtol=1e-6)


def test_channels_of_a_long_table_are_taken_by_name(
    series: np.ndarray, labels: list[str], here: Path, message: Callable[..., str]
) -> None:
    table = long(both(series), labels).assign(age=50, comment=lambda t: t["second"].map("at {}".format))
    table.to_csv("a.csv", index=False)
    options = {"record": "walk", "time": "second", "target": "label"}
    data = SeriesData("a.csv", **options, channels=["c1"])
    assert "age" in data.samples
    assert "comment" not in data.samples
    np.testing.assert_allclose(data.frame()["series"]["w3"], -2 * series[3], rtol=1e-6)
    table.to_csv("a.csv")  # with the numbers of the rows
    chosen = SeriesData("a.csv", **options, ignore=["age"])
    assert chosen.spec["modalities"]["series"]["channels"] == ["c0", "c1"]
    table[["c1", "walk", "second", "label", "c0"]].to_csv("b.csv", index=False)
    other = SeriesData("b.csv", **options).conform(chosen.spec, external=True)
    np.testing.assert_allclose(other.frame()["series"]["w3"], both(series)[3], rtol=1e-6)
    answer = message(lambda: SeriesData("a.csv", **options, ignore=["age"], test_path="b.csv").spec)
    assert "a.csv and b.csv differ in channels" in answer


def test_test_samples_stay_test_samples(
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
        np.testing.assert_allclose(data.content.x.numpy(), series, rtol=1e-6)
        assert set(data.frame()) == {"series", "label"}
    assert "leave out test_path" in message(lambda: SeriesData("a.npz", test_path="A_TEST.ts").spec)


def test_numbers_are_a_regression(series: np.ndarray, here: Path) -> None:
    y = list(map(str, series.mean((1, 2)).round(3)))
    write_ts(Path("a.ts"), list(series), y)
    Path("a.ts").write_text(Path("a.ts").read_text().replace("@classLabel true 1 2", "@targetLabel true"))
    data = SeriesData("a.ts")
    assert data.spec["target"]["kind"] == "regression"
    np.testing.assert_allclose(data.content.y.numpy(), np.array(y, np.float32))


def test_whole_numbers_name_classes(series: np.ndarray, here: Path) -> None:
    write_ucr(Path("a.tsv"), series, [f"{i % 15}.0" for i in range(SAMPLES)])
    assert SeriesData("a.tsv").spec["target"]["classes"] == list(map(str, range(15)))


def test_row_numbers_are_no_time_points(
    series: np.ndarray, labels: list[str], here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wide(series, labels).to_csv("a.csv")
    assert SeriesData("a.csv").spec["modalities"]["series"]["shape"] == [1, LENGTH]
    wide(series, labels).to_csv("b.csv", index_label="number")
    assert SeriesData("b.csv").spec["modalities"]["series"]["shape"] == [1, LENGTH + 1]
    assert "column 'number' only counts the rows" in caplog.text
    assert SeriesData("b.csv", id="number").spec["modalities"]["series"]["shape"] == [1, LENGTH]


def test_steps_of_time_that_differ_are_told(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [(w, t**2, t + w, "xy"[w % 2]) for w in range(20) for t in range(5)]
    pd.DataFrame(rows, columns=["walk", "second", "c", "label"]).to_csv("a.csv", index=False)
    _ = SeriesData("a.csv", target="label", record="walk", time="second").spec
    assert "steps of 'second' differ (from 1 to 7)" in caplog.text


def test_a_patient_is_in_one_split(series: np.ndarray, labels: list[str], here: Path) -> None:
    table = wide(series, labels).assign(patient=np.arange(SAMPLES) // 6, age=40.5)
    table.to_csv("a.csv", index=False)
    data = SeriesData("a.csv", target="label", group="patient", ignore=["age"])
    assert data.spec["modalities"]["series"]["shape"] == [1, LENGTH]  # neither patient nor age is a time point
    assert (data.samples.groupby("patient")["split"].nunique() == 1).all()
    assert data.caution == ""
    table.assign(part=np.resize(["train", "validation", "test"], SAMPLES)).to_csv("b.csv", index=False)
    straddling = SeriesData("b.csv", target="label", group="patient", ignore=["age"], split="part")
    assert "patient" in straddling.caution


def test_copies_share_a_split(series: np.ndarray, labels: list[str], here: Path) -> None:
    write_ucr(Path("a.tsv"), np.concatenate([series, series]), labels * 2)
    split = SeriesData("a.tsv").samples["split"].to_numpy()
    assert (split[:SAMPLES] == split[SAMPLES:]).all()
    assert set(split) == {"train", "validation", "test"}


def test_simulated_beats_are_those_of_the_card() -> None:
    data = SeriesData("ecg_beats_simulated")
    card = data.card
    modality = data.spec["modalities"]["series"]
    assert modality["shape"] == card["shape"]
    assert modality["sampling_rate"] == 200.0
    assert modality["units"] == {"lead": "µV"}
    assert data.spec["target"]["classes"] == card["classes"]
    assert len(data.samples) == card["rows"]
    assert list(data.samples) == ["patient", "beat", "split"]
    patients = data.samples.groupby("patient")["split"]
    assert patients.size().tolist() == [20] * 60
    assert (patients.nunique() == 1).all()
    assert data.describe()["sha256"] == card["sha256"]
    mixed = SeriesData("ecg_beats_simulated", split_beats=True)
    assert (mixed.samples.groupby("patient")["split"].nunique() > 1).any()
    assert "optimistic for a new patient" in mixed.caution
    x, y = data.content.x[:, 0], data.content.y
    normal, ectopic, raised = (x[y == card["classes"].index(name)] for name in ("normal", "ectopic", "st_elevation"))
    assert x[:, 40:60].amax(1).min() > 100  # an R peak near t50
    assert 100 < raised[:, 62:75].mean() - normal[:, 62:75].mean() < 300  # ST segments, µV
    assert ectopic[:, 95:110].mean() < 0 < normal[:, 95:110].mean()  # T waves


@pytest.mark.parametrize("name", [n for n in files.datasets() if {"shape", "fetch"} <= set(files.card(n))])
def test_sets_that_are_not_shipped_tell_where_they_are(name: str, message: Callable[..., str]) -> None:
    assert files.card(name)["fetch"].split()[0] in message(lambda: SeriesData(name).frame())


def test_basic_motions_of_the_installed_package(
    series: np.ndarray, here: Path, monkeypatch: pytest.MonkeyPatch, message: Callable[..., str]
) -> None:
    data, card = SeriesData("basic_motions"), files.card("basic_motions")
    monkeypatch.setitem(data.card, "package", "motions")
    answer = message(lambda: data.spec)
    assert "pip install motions" in answer
    assert "--data.test_path" in answer
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


def test_unequal_lengths(series: np.ndarray, labels: list[str], here: Path, message: Callable[..., str]) -> None:
    shorter = [s[:, : LENGTH - (n % 3 == 2) * 4] for n, s in enumerate(series)]
    write_ts(Path("a.ts"), shorter, labels)
    padded = np.stack([np.pad(s, ((0, 0), (0, LENGTH - s.shape[1])), constant_values=np.nan) for s in shorter])
    write_ucr(Path("a.tsv"), padded, labels)
    Path("a.tsv").write_text(Path("a.tsv").read_text().replace("?", "NaN"))
    for file in ("a.ts", "a.tsv"):
        answer = message(lambda file=file: SeriesData(file).spec)
        assert "sample 1 has 24 time points, sample 3 has 20" in answer
        assert "--data.length longest" in answer
        for length, points in {"longest": 24, "shortest": 20, 22: 22, 30: 30}.items():
            data = SeriesData(file, length=length)
            assert data.spec["modalities"]["series"]["shape"] == [1, points]
            assert data.spec["modalities"]["series"]["resize"]
            x = data.content.x.numpy()
            np.testing.assert_allclose(x[:, :, :20], series[:, :, :20], rtol=1e-6)
            assert np.isnan(x[2, 0, 20:]).all()
            assert np.isnan(x[:, :, 24:]).all()
            assert np.isfinite(x[0, 0, :24]).all()


def test_gaps(series: np.ndarray, labels: list[str], here: Path, message: Callable[..., str]) -> None:
    gap = both(series)
    gap[7, 1, 3:5] = np.nan
    write_ts(Path("a.ts"), list(gap), labels)
    answer = message(lambda: SeriesData("a.ts", channels=["left", "right"]).spec)
    assert "sample 8, channel right: no value at time point 4" in answer
    assert "--data.interpolate true" in answer
    data = SeriesData("a.ts", interpolate=True)
    expected = np.interp([3, 4], [2, 5], gap[7, 1, [2, 5]])
    np.testing.assert_allclose(data.content.x[7, 1, 3:5].numpy(), expected, rtol=1e-6)
    gap[7, 1, 3:5] = np.inf
    np.savez("a.npz", X=gap, y=np.array(labels))
    assert "sample 8, channel 2: infinite value at time point 4" in message(lambda: SeriesData("a.npz").spec)


def sine(hertz: float, rate: float, seconds: float = 4) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def test_band_and_resampling() -> None:
    mixed = np.stack([sine(5, 200) + sine(60, 200) + 3, sine(5, 200)])
    passed = filtered(mixed, 200, band=[1, 20])
    middle = slice(200, -200)
    np.testing.assert_allclose(passed[0, middle], sine(5, 200)[middle], atol=0.02)  # nothing is shifted in time
    np.testing.assert_allclose(filtered(mixed[1:], 200, resample=150)[0, 20:-20], sine(5, 150)[20:-20], atol=0.01)
    flat = filtered(np.full((1, 90), 50.0), 200, resample=150)
    np.testing.assert_allclose(flat, np.full((1, 68), 50.0), atol=0.01)  # also where a series ends
    both_at_once = filtered(mixed, 200, [1, 20], 50)
    assert both_at_once.shape == (2, 200)
    np.testing.assert_allclose(both_at_once[0, 50:-50], sine(5, 50)[50:-50], atol=0.03)
    mixed[0, 300:310], mixed[:, -100:] = np.nan, np.nan
    gaps = np.isnan(filtered(mixed, 200, [1, 20], 100))
    assert gaps[0, 150:155].all()
    assert gaps[:, -50:].all()
    assert gaps.sum() == 5 + 100


def test_series_are_filtered_when_they_are_read(series: np.ndarray, labels: list[str], here: Path) -> None:
    write_ucr(Path("a.tsv"), series, labels)
    data = SeriesData("a.tsv", sampling_rate=20, resample=10, band=[1, 5])
    modality = data.spec["modalities"]["series"]
    assert modality["shape"] == [1, LENGTH // 2]
    assert modality["sampling_rate"] == 10.0
    np.testing.assert_allclose(data.content.x[4], filtered(series[4], 20, [1, 5], 10), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(data.frame()["series"].iloc[4], data.content.x[4])


@pytest.fixture
def records(here: Path) -> Path:
    """Four WFDB records of two leads at 100 Hz; record b holds them in another order."""
    symbols = ["N", "V", "+", "A", "L", "/"]
    for number, name in enumerate("abcd"):
        time = np.arange(3000)
        leads = {"II": time / 1000 + number, "V1": -time / 1000}
        order = ["V1", "II"] if name == "b" else ["II", "V1"]
        wfdb.wrsamp(name, fs=100, units=["mV"] * 2, sig_name=order, p_signal=np.stack([leads[n] for n in order], 1),
                    fmt=["16"] * 2, adc_gain=[5000.0] * 2, baseline=[0] * 2, write_dir=str(here))  # fmt: skip
        at = np.arange(10, 2990, 120)
        wfdb.wrann(name, "atr", at, np.resize(symbols, len(at)).tolist(), write_dir=str(here))
    return here


def test_records_are_cut_into_beats(records: Path) -> None:
    data = SeriesData(str(records), before=0.2, after=0.5)
    modality = data.spec["modalities"]["series"]
    assert modality["shape"] == [2, 70]
    assert modality["channels"] == ["II", "V1"]
    assert modality["sampling_rate"] == 100.0
    frame = data.frame()
    assert frame.groupby("symbol")["label"].unique().map(list).to_dict() == {
        "/": ["Q"], "A": ["S"], "L": ["N"], "N": ["N"], "V": ["V"]
    }  # fmt: skip
    assert "a 10" not in frame.index  # begins before its record
    for name, number in (("a 130", 0), ("b 130", 1), ("d 2890", 3)):
        at = np.arange(int(name[2:]) - 20, int(name[2:]) + 50) / 1000
        np.testing.assert_allclose(frame["series"][name], [at + number, -at], atol=2e-3)
    assert (data.samples.groupby("record")["split"].nunique() == 1).all()
    assert data.caution == ""
    assert data.spec["target"]["classes"] == ["N", "Q", "S", "V"]


def test_beats_are_dealt_only_if_asked_for(records: Path, message: Callable[..., str]) -> None:
    data = SeriesData(str(records), split_beats=True, channels=["V1"], resample=50)
    assert (data.samples.groupby("record")["split"].nunique() > 1).any()
    assert "samples of one record are in training and test" in data.caution
    assert data.spec["modalities"]["series"]["shape"] == [1, 35]
    np.testing.assert_allclose(data.frame()["series"]["a 130"][0], -np.arange(106, 176, 2) / 1000, atol=2e-3)
    assert "know names and sampling rate" in message(lambda: SeriesData(str(records), sampling_rate=100))
    assert "without a group" in message(lambda: SeriesData(str(records), split_beats=True, group="record"))


def test_bad_records(records: Path, message: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    read = partial(SeriesData, str(records))
    assert "a.hea: no lead 'II2'; did you mean II?" in message(lambda: read(channels=["II2"]).spec)
    assert "beyond 50 Hz" in message(lambda: read(band=[1, 60]).spec)
    assert "no annotation" in message(lambda: read(after=40).spec)
    wfdb.wrsamp("e", fs=50, units=["mV"] * 2, sig_name=["II", "V1"], p_signal=np.zeros((500, 2)),
                fmt=["16"] * 2, adc_gain=[5000.0] * 2, baseline=[0] * 2, write_dir=str(records))  # fmt: skip
    assert "e.hea: cannot be read" in message(lambda: read().spec)  # no annotations
    wfdb.wrann("e", "atr", np.array([100]), ["N"], write_dir=str(records))
    answer = message(lambda: read().spec)
    assert "e.hea: 50 Hz, a has 100 Hz" in answer
    assert "--data.resample" in answer
    trained = read(channels=["II"], resample=50, before=0.5, after=0.5)
    other = SeriesData(str(records), channels=["II"], resample=25, before=1, after=1)
    answer = message(lambda: other.conform(trained.spec, external=True).content)
    assert "trained at 50 Hz" in answer
    monkeypatch.setitem(sys.modules, "wfdb", None)
    assert "pip install 'biozoo[signals]'" in message(lambda: read().spec)


OFF: dict[str, float] = {"jitter": 0.1, "scaling": 0.2, "time_warp": 0.5, "window_slice": 0.8}


@pytest.mark.parametrize("name", OFF)
def test_augmentation_keeps_shape_and_padding(name: str, series: np.ndarray, labels: list[str], here: Path) -> None:
    write_ucr(Path("a.tsv"), series, labels)
    x = torch.as_tensor(both(series)).float()
    x[::2, :, 15:] = torch.nan
    still = SeriesData("a.tsv").augment({"x": x}, torch.Generator())["x"]
    torch.testing.assert_close(still, x, equal_nan=True)
    data = SeriesData("a.tsv", **{name: OFF[name]})
    once, again = (data.augment({"x": x}, torch.Generator().manual_seed(3))["x"] for _ in range(2))
    torch.testing.assert_close(once, again, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(once.isnan(), x.isnan())
    assert not torch.allclose(once, x, equal_nan=True)
    assert (once - x).nan_to_num().flatten(1).abs().amax(1).min() > 0  # every series is changed
    if name != "jitter":
        torch.testing.assert_close(once[:, 1], -2 * once[:, 0], equal_nan=True)  # channels stay in step
    change = (once - x)[1::2]
    if name == "jitter":
        assert (change.std(2) / x[1::2].std(2)).mean().item() == pytest.approx(0.1, abs=0.02)
    if name == "scaling":
        factor = once[1::2].std(2) / x[1::2].std(2)
        assert factor.std().item() == pytest.approx(0.2, abs=0.1)
        torch.testing.assert_close(once.nanmean(2), x.nanmean(2), rtol=1e-3, atol=1e-3)


def test_time_is_warped_smoothly_and_windows_are_stretched(series: np.ndarray, labels: list[str], here: Path) -> None:
    write_ucr(Path("a.tsv"), series, labels)
    ramp = torch.arange(100.0).repeat(64, 1, 1)
    ramp[:, :, 81:] = torch.nan
    generator = torch.Generator().manual_seed(0)
    warped = SeriesData("a.tsv", time_warp=0.6).augment({"x": ramp}, generator)["x"][:, 0, :81]
    speed = warped.diff(dim=1)
    torch.testing.assert_close(warped[:, [0, -1]], torch.tensor([[0.0, 80.0]]).expand(64, 2), rtol=0, atol=1e-3)
    assert 0.39 < speed.min() < 0.7
    assert 1.3 < speed.max() < 1.61
    assert speed.diff(dim=1).abs().max() < 0.1
    sliced = SeriesData("a.tsv", window_slice=0.75).augment({"x": ramp}, generator)["x"][:, 0, :81]
    torch.testing.assert_close(sliced.diff(dim=1), torch.full((64, 80), 0.75), rtol=0, atol=1e-3)
    assert 0 <= sliced[:, 0].min() < 3 < 17 < sliced[:, 0].max() <= 20


class Witness(LightningModule):
    """Learns nothing and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.seen = torch.nn.Parameter(torch.zeros(())), {"train": [], "validation": []}

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.seen["train"].append(batch)
        return self.weight * 0

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        self.seen["validation"].append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters())


def witnessed(data: SeriesData) -> dict[str, list[dict[str, torch.Tensor]]]:
    model = Witness()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    Trainer(max_epochs=2, enable_model_summary=False, num_sanity_val_steps=0, **quiet).fit(model, data)
    return model.seen


def test_augmentation_touches_training_only_and_repeats(series: np.ndarray, labels: list[str], here: Path) -> None:
    write_ucr(Path("a.tsv"), series, labels)
    first, second = (witnessed(SeriesData("a.tsv", **OFF)) for _ in range(2))
    data = SeriesData("a.tsv")
    for split, batches in first.items():
        for batch, again in zip(batches, second[split], strict=True):
            assert torch.equal(batch["x"], again["x"])
            assert torch.equal(batch["x"], data.content.x[batch["row"]]) == (split == "validation")


def test_baseline_features_know_training_rows_only(series: np.ndarray, labels: list[str], here: Path) -> None:
    write_ts(Path("a.ts"), [s[:, : LENGTH - n % 2] for n, s in enumerate(both(series))], labels)
    data = SeriesData("a.ts", length="longest")
    rows = data.content.rows("train")
    before = data.baseline_features(rows)[""]
    assert before.shape == (len(rows), 2 * LENGTH)
    assert np.isfinite(before).all()
    np.testing.assert_allclose(before[:, 0].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(before[:, 0].std(), 1, atol=1e-6)
    assert (before[:, LENGTH - 1] == 0).any()
    data.content.x[data.content.rows("test")] += 100
    np.testing.assert_array_equal(data.baseline_features(rows)[""], before)


def test_predicting_needs_no_target(series: np.ndarray, labels: list[str], here: Path) -> None:
    np.save("a.npy", series)
    wide(series, labels).drop(columns="label").to_csv("a.csv", index=False)
    for file in ("a.npy", "a.csv"):
        np.testing.assert_allclose(np.stack(SeriesData(file).frame()["series"]), series, rtol=1e-6)


def test_a_folder_is_described_by_all_its_files(records: Path) -> None:
    before = SeriesData(str(records)).describe()
    assert before["name"] == records.name
    (records / "a.atr").write_bytes(b"")
    assert SeriesData(str(records)).describe()["sha256"] != before["sha256"]


TS = "@classLabel true 1 2\n@data\n"
WRONG: dict[str, tuple[str, str | dict[str, np.ndarray], dict[str, object], list[str]]] = {
    # what is wrong: (file, content, options, words of the answer)
    "no file": ("b.ts", TS, {"path": "a.ts"}, ["no file", "did you mean b.ts"]),
    "empty": ("a.tsv", "", {}, ["a.tsv", "empty"]),
    "text among numbers": ("a.tsv", "1\t2.5\t3\n2\tx\t4\n", {}, ["column 2, row 2", "'x'"]),
    "wide with text": ("a.csv", "label,a,b\nx,1,2\ny,3,4\nx,5,o6\n", {}, ["column 'b', row 3", "'o6'"]),
    "nothing measured": ("a.csv", "label,a\nx,y\ny,z\n", {}, ["no column of numbers"]),
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
    "npz of text": ("a.npz", {"X": np.array([["a", "b"]])}, {}, ["X holds <U1"]),
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
    "band": ("a.tsv", "1\t1\t2\n", {"band": [1, 10], "sampling_rate": 20}, ["beyond 10 Hz"]),
    "band upside down": ("a.tsv", "1\t1\t2\n", {"band": [10, 1]}, ["low and a high"]),
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
    answer = message(lambda: SeriesData(**{"path": file, **options}).content)
    assert [word for word in words if word not in answer] == [], answer

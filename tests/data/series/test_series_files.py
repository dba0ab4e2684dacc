"""Files of time series: formats, channels, targets, patients, lengths and gaps."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import LENGTH, SAMPLES, both, text_of, write, write_ts, write_ucr

from zoo.data import SeriesData

CLASSES = ["1", "2"]


@pytest.fixture
def labels() -> list[str]:
    return [CLASSES[i % 2] for i in range(SAMPLES)]


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
    np.testing.assert_allclose(data.dataset.x[place].numpy(), series, rtol=1e-6)
    assert [CLASSES[code] for code in data.dataset.y[place]] == labels
    assert data.frame()["series"].map(np.shape).unique().tolist() == [(1, LENGTH)]


@pytest.mark.parametrize("name", ["ts", "arff", "npz", "long"])
def test_channels(name: str, series: np.ndarray, labels: list[str], here: Path) -> None:
    file, save, options = FORMATS[name]
    save(Path(file), both(series), labels)
    data = SeriesData(file, **options, channels=["c0", "c1"])
    modality = data.spec["modalities"]["series"]
    assert modality["shape"] == [2, LENGTH]
    assert modality["channels"] == ["c0", "c1"]
    x = data.dataset.x[torch.as_tensor(data.samples.index.get_indexer(["w0"] if name == "long" else ["1"]))]
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
    error = message(lambda: SeriesData("a.csv", **options, ignore=["age"], test_path="b.csv").spec)
    assert "a.csv and b.csv differ in channels" in error


def test_continuous_labels_are_a_regression(series: np.ndarray, here: Path) -> None:
    y = list(map(str, series.mean((1, 2)).round(3)))
    write_ts(Path("a.ts"), list(series), y)
    Path("a.ts").write_text(Path("a.ts").read_text().replace("@classLabel true 1 2", "@targetLabel true"))
    data = SeriesData("a.ts")
    assert data.spec["target"]["kind"] == "regression"
    np.testing.assert_allclose(data.dataset.y.numpy(), np.array(y, np.float32))


def test_integer_labels_are_classes(series: np.ndarray, here: Path) -> None:
    write_ucr(Path("a.tsv"), series, [f"{i % 15}.0" for i in range(SAMPLES)])
    assert SeriesData("a.tsv").spec["target"]["classes"] == list(map(str, range(15)))


def test_row_numbers_are_not_time_points(
    series: np.ndarray, labels: list[str], here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wide(series, labels).to_csv("a.csv")
    assert SeriesData("a.csv").spec["modalities"]["series"]["shape"] == [1, LENGTH]
    wide(series, labels).to_csv("b.csv", index_label="number")
    assert SeriesData("b.csv").spec["modalities"]["series"]["shape"] == [1, LENGTH]
    assert "column 'number' left out" in caplog.text
    assert SeriesData("b.csv", id="number").spec["modalities"]["series"]["shape"] == [1, LENGTH]


def test_a_patient_is_in_one_split(series: np.ndarray, labels: list[str], here: Path) -> None:
    table = wide(series, labels).assign(patient=np.arange(SAMPLES) // 6, age=40.5)
    table.to_csv("a.csv", index=False)
    data = SeriesData("a.csv", target="label", group="patient", ignore=["age"])
    assert data.spec["modalities"]["series"]["shape"] == [1, LENGTH]  # neither patient nor age is a time point
    assert (data.samples.groupby("patient")["split"].nunique() == 1).all()
    assert data.caution == ""
    table.assign(part=np.resize(["train", "validation", "test"], SAMPLES)).to_csv("b.csv", index=False)
    divided = SeriesData("b.csv", target="label", group="patient", ignore=["age"], split="part")
    assert "patient" in divided.caution


def test_unequal_time_steps_give_a_warning(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [(w, t**2, t + w, "xy"[w % 2]) for w in range(20) for t in range(5)]
    pd.DataFrame(rows, columns=["walk", "second", "c", "label"]).to_csv("a.csv", index=False)
    _ = SeriesData("a.csv", target="label", record="walk", time="second").spec
    assert "column 'second': steps differ (from 1 s to 7 s)" in caplog.text


def test_unequal_lengths(series: np.ndarray, labels: list[str], here: Path, message: Callable[..., str]) -> None:
    shorter = [s[:, : LENGTH - (n % 3 == 2) * 4] for n, s in enumerate(series)]
    write_ts(Path("a.ts"), shorter, labels)
    padded = np.stack([np.pad(s, ((0, 0), (0, LENGTH - s.shape[1])), constant_values=np.nan) for s in shorter])
    write_ucr(Path("a.tsv"), padded, labels)
    Path("a.tsv").write_text(Path("a.tsv").read_text().replace("?", "NaN"))
    for file in ("a.ts", "a.tsv"):
        error = message(lambda file=file: SeriesData(file).spec)
        assert "sample 1 has 24 time points, sample 3 has 20" in error
        assert "--data.length longest" in error
        for length, points in {"longest": 24, "shortest": 20, 22: 22, 30: 30}.items():
            data = SeriesData(file, length=length)
            assert data.spec["modalities"]["series"]["shape"] == [1, points]
            assert data.spec["modalities"]["series"]["resize"]
            x = data.dataset.x.numpy()
            np.testing.assert_allclose(x[:, :, :20], series[:, :, :20], rtol=1e-6)
            assert np.isnan(x[2, 0, 20:]).all()
            assert np.isnan(x[:, :, 24:]).all()
            assert np.isfinite(x[0, 0, :24]).all()


def test_gaps(series: np.ndarray, labels: list[str], here: Path, message: Callable[..., str]) -> None:
    gap = both(series)
    gap[7, 1, 3:5] = np.nan
    write_ts(Path("a.ts"), list(gap), labels)
    error = message(lambda: SeriesData("a.ts", channels=["left", "right"]).spec)
    assert "sample 8, channel right: no value at time point 4" in error
    assert "--data.interpolate true" in error
    data = SeriesData("a.ts", interpolate=True)
    expected = np.interp([3, 4], [2, 5], gap[7, 1, [2, 5]])
    np.testing.assert_allclose(data.dataset.x[7, 1, 3:5].numpy(), expected, rtol=1e-6)
    gap[7, 1, 3:5] = np.inf
    np.savez("a.npz", X=gap, y=np.array(labels))
    assert "sample 8, channel 2: infinite value at time point 4" in message(lambda: SeriesData("a.npz").spec)


def test_prediction_does_not_require_a_target(series: np.ndarray, labels: list[str], here: Path) -> None:
    np.save("a.npy", series)
    wide(series, labels).drop(columns="label").to_csv("a.csv", index=False)
    for file in ("a.npy", "a.csv"):
        np.testing.assert_allclose(np.stack(SeriesData(file).frame()["series"]), series, rtol=1e-6)

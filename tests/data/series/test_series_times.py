"""Time in series: order by parsed times, sampling rate, missing time points, and columns that are no channels."""

import codecs
import gzip
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import write_ts

from zoo.data import SeriesData
from zoo.models import CNN1D
from zoo.tables.times import parse, rate_text

LONG = {"record": "id", "time": "when", "target": "label"}
POINTS = 12


def long(times: list[object], records: int = 12) -> pd.DataFrame:
    """Rows in any order; record r00 is 1, 2, ..., the others are a little above."""
    rows = [(f"r{n:02}", t, k + n / 100, "xy"[n % 2]) for n in range(records) for k, t in enumerate(times, 1)]
    return pd.DataFrame(rows, columns=["id", "when", "value", "label"]).sample(frac=1, random_state=0)


def read(table: pd.DataFrame, **options: object) -> SeriesData:
    table.to_csv("a.csv", index=False)
    return SeriesData("a.csv", **{**LONG, **options})


TIMES: dict[str, tuple[list[object], dict[str, object], float | None]] = {
    # form: (times, options, seconds per time point if known)
    "numbers": (list(range(1, 13)), {}, None),
    "codes": ([f"{k:03}" for k in range(1, 13)], {}, None),
    "day 10": ([f"day {k}" for k in range(1, 13)], {}, 86_400),
    "day -2": ([f"Day {k}" for k in range(-2, 10)], {}, 86_400),
    "T_3": ([f"T_{k}" for k in range(1, 13)], {}, None),
    "minutes and hours": ([f"{10 * k} min" if k < 6 else f"{k / 6:.9g} h" for k in range(0, 72, 6)], {}, 3600),
    "durations": ([f"{k // 24} days {k % 24:02}:00:00" for k in range(20, 32)], {}, 3600),
    "clock": ([f"{7 + k}:30" for k in range(12)], {}, 3600),
    "clock with AM and PM": ([f"{(6 + k) % 12 + 1}:00 {'AM' if k < 5 else 'PM'}" for k in range(12)], {}, 3600),
    "ISO": ([f"2024-01-01T{k:02}:00:00Z" for k in range(8, 20)], {}, 3600),
    "ISO with and without fractions": ([f"2024-01-01 07:00:0{k / 2:g}" for k in range(12)], {}, 0.5),
    "blank before the clock": ([f"2024-01-01 {k}:00" for k in range(1, 13)], {}, 3600),
    "20240131": ([20240125 + k for k in range(7)] + [20240201 + k for k in range(5)], {}, 86_400),
    "day first by one value": ([f"{k}/1/2024" for k in range(9, 21)], {}, 86_400),
    "American with AM and PM": ([f"1/{k}/2024 7:00 PM" for k in range(9, 21)], {}, 86_400),
    "dates with format": ([f"{k}/1/2024" for k in range(1, 13)], {"time_format": "%d/%m/%Y"}, 86_400),
}


@pytest.mark.parametrize("form", TIMES)
def test_rows_are_sorted_by_parsed_time(form: str, here: Path) -> None:
    times, options, step = TIMES[form]
    data = read(long(times), **options)
    assert data.frame()["series"]["r00"][0].tolist() == list(range(1, POINTS + 1))
    modality = data.spec["modalities"]["series"]
    assert modality["shape"] == [1, POINTS]
    assert ("sampling_rate" in modality) == (step is not None)
    if step:
        assert modality["sampling_rate"] == pytest.approx(1 / step, rel=1e-5)


def test_times_of_a_typed_file(here: Path) -> None:
    table = long(list(pd.date_range("2024-01-28", periods=POINTS, freq="12h")))
    table.to_parquet("a.parquet")
    data = SeriesData("a.parquet", **LONG)
    assert data.frame()["series"]["r00"][0].tolist() == list(range(1, POINTS + 1))
    assert rate_text(data.spec["modalities"]["series"]["sampling_rate"]) == "one time point per 12 h"


REFUSED: dict[str, tuple[list[object], list[str]]] = {
    "ambiguous": ([f"{k}/1/2024" for k in range(1, 13)],
                  ["'when'", "/1/2024", "--data.time_format '%d/%m/%Y' or '%m/%d/%Y'"]),
    "two forms": ([*(f"day {k}" for k in range(11)), "discharge"], ["'when', row ", "'discharge'", "(day "]),
    "two date forms": ([*(f"2024-01-{k:02}" for k in range(1, 12)), "31/01/2024"], ["row ", "'31/01/2024'"]),
    "no time": (list("abcdefghijkl"), ["is not a time", "leave out --data.time"]),
    "past midnight": ([f"{(20 + k) % 24}:00" for k in range(12)], ["'when'", "record 'r", "midnight", "date"]),
    "the same time in two ways": ([*(f"{k}" for k in range(11)), "3.0"], ["record 'r", "twice in column 'when'"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_times_that_cannot_be_ordered_are_refused(case: str, here: Path, message: Callable[..., str]) -> None:
    times, words = REFUSED[case]
    error = message(lambda: read(long(times)).spec)
    assert [word for word in words if word not in error] == [], error


def test_a_hyphen_is_no_sign() -> None:
    def values(*texts: str) -> list[float]:
        return parse(pd.Series(texts), "a.csv").numbers.tolist()

    assert values("visit-1", "visit-10") == [1, 10]
    assert values("T-1", "T0", "T1") == [-1, 0, 1]


def test_missing_time_points_stay_at_their_place(
    here: Path, message: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    table = long([f"day {k}" for k in range(1, POINTS + 1)])
    inside = table[(table["id"] != "r07") | (table["when"] != "day 3")]
    error = message(lambda: read(inside).spec)
    assert "sample r07, channel value: no value at time point 3" in error
    assert "--data.interpolate true" in error
    assert "missing time points: 1 in 1 of 12 records; record 'r07' has none between day 2 and day 4" in caplog.text
    data = read(inside, interpolate=True)
    place = data.samples.index.get_loc("r07")
    np.testing.assert_allclose(data.dataset.x[place, 0], np.arange(1, 13) + 0.07, rtol=1e-6)
    late = table[(table["id"] != "r07") | (table["when"] != "day 1")]
    assert "sample r07, channel value: no value at time point 1" in message(lambda: read(late).spec)
    assert "record 'r07' begins at day 2" in caplog.text


def test_times_rounded_to_milliseconds_have_a_rate(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = long(list(np.rint(np.arange(POINTS * 8) * 1000 / 128).astype(int))).rename(columns={"when": "time (ms)"})
    data = read(table, time="time (ms)")
    assert data.spec["modalities"]["series"]["sampling_rate"] == pytest.approx(128, rel=2e-3)
    assert "steps differ (from 7 ms to 8 ms); they are treated as equal" in caplog.text


def test_another_sampling_rate_is_refused(
    here: Path, message: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    seconds = long([k / 50 for k in range(POINTS)]).rename(columns={"when": "time_s"})
    error = message(lambda: read(seconds, time="time_s", sampling_rate=100).spec)
    assert "the times tell 50 Hz, sampling_rate is 100 Hz" in error
    data = read(seconds, time="time_s")
    assert data.spec["modalities"]["series"]["sampling_rate"] == 50
    model = CNN1D(spec=data.spec, filters=[4], widths=[3], hidden=[4])
    model.fit_encoders(data.training_inputs())
    faster = read(seconds.assign(time_s=seconds["time_s"] / 2), time="time_s")
    error = message(lambda: model.predict(faster.frame()))
    assert "100 Hz, the model was trained on 50 Hz; give --data.resample 50" in error
    assert "100 Hz, the model was trained on 50 Hz" in message(lambda: faster.conform(data.spec, True).dataset)
    unknown = read(long([k * 2 for k in range(POINTS)])).frame()
    model.predict(unknown)
    trained = read(long(list(range(POINTS)))).spec
    with caplog.at_level(logging.WARNING):
        _ = read(long([k * 2 for k in range(POINTS)])).conform(trained, external=True).dataset
    assert "times are in steps of 2, those in training were in steps of 1" in caplog.text


def test_channels_in_another_order_are_refused(here: Path, message: Callable[..., str]) -> None:
    table = long(list(range(POINTS))).assign(other=lambda t: -t["value"])
    model = CNN1D(spec=read(table).spec, filters=[4], widths=[3], hidden=[4])
    turned = read(table[["other", "id", "value", "when", "label"]]).frame()
    assert "the channels are other, value, expected are value, other" in message(lambda: model.predict(turned))


def test_ambiguous_dates_are_read_as_in_training(here: Path, message: Callable[..., str]) -> None:
    trained = read(long([f"{k}/1/2024" for k in range(9, 21)]))  # 13/1/2024 tells
    assert trained.spec["modalities"]["series"]["time_format"] == "%d/%m/%Y"
    new = long([f"{k}/1/2024" for k in range(1, 13)])
    assert "--data.time_format" in message(lambda: read(new).frame())
    data = read(new).conform(trained.spec, external=True)
    assert data.frame()["series"]["r00"][0].tolist() == list(range(1, POINTS + 1))


def test_times_that_were_not_given_are_no_channels(
    here: Path, message: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    shuffled = long([f"day {k}" for k in range(POINTS)])
    assert "--data.time when" in message(lambda: read(shuffled, time=None).spec)
    assert "--data.time time" in message(lambda: read(shuffled.assign(time=shuffled["value"]), time=None).spec)
    ordered = shuffled.sort_values("value").assign(number=lambda t: t.groupby("id").cumcount())
    assert read(ordered, time=None).spec["modalities"]["series"]["channels"] == ["value"]
    assert "column 'number' left out" in caplog.text
    data = read(ordered, time=None, exclude=["when", "number"])
    assert data.spec["modalities"]["series"]["channels"] == ["value"]
    ordered.to_csv("b.csv")  # with the names of the rows
    assert SeriesData("b.csv", **LONG).spec["modalities"]["series"]["channels"] == ["value"]


def test_problems_of_channels_come_together(here: Path) -> None:
    table = long(list(range(POINTS))).assign(flow=lambda t: t["value"].map("{:.1f}".format))
    table = table.astype({"value": object}).sort_values("when")
    table.iloc[3, table.columns.get_loc("flow")] = table.iloc[5, table.columns.get_loc("value")] = "low"
    with pytest.raises(ValueError, match="low") as caught:
        _ = read(table).spec
    lines = str(caught.value).splitlines()
    assert ["'value'" in lines[0], "'flow'" in lines[1], len(lines)] == [True, True, 2]
    assert "--data.exclude [value]" in lines[0]
    missing = {"value": ["low"], "flow": ["low"]}
    assert np.isnan(np.stack(read(table, missing=missing).frame()["series"])).sum() == 2


def test_numbers_that_mean_missing(here: Path) -> None:
    table = long(list(range(POINTS))).assign(value=lambda t: t["value"].where(t["value"] != 3.0, -999))
    series = read(table, missing={"value": [-999]}).frame()["series"]["r00"]
    assert np.isnan(series[0]).tolist() == [k == 2 for k in range(POINTS)]


def wide(names: list[str]) -> pd.DataFrame:
    x = np.random.default_rng(0).normal(size=(30, len(names))).round(3)
    return pd.DataFrame(x, columns=names).assign(label=np.resize(["x", "y"], 30))


def shape_of(table: pd.DataFrame, **options: object) -> list[int]:
    table.to_csv("w.csv", index=False)
    return SeriesData("w.csv", **options).spec["modalities"]["series"]["shape"]


def test_columns_of_wide_tables_are_sorted_by_time(
    here: Path, message: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    table = wide([f"t{k}" for k in range(1, 13)])
    table[sorted(table)].to_csv("a.csv", index=False)  # t1, t10, t11, t12, t2, ...
    first = SeriesData("a.csv").frame()["series"].iloc[0][0]
    np.testing.assert_allclose(first, table.iloc[0, :12].to_numpy(dtype=float), rtol=1e-6)
    assert "sorted by time, t1 to t12" in caplog.text
    assert shape_of(table.assign(age=50.5, weight=70)) == [1, 12]
    assert "age, weight) left out" in caplog.text
    assert shape_of(table.assign(t5=np.nan), interpolate=True, target="label") == [1, 12]
    both = pd.concat([table.add_prefix("x_"), table.drop(columns="label").add_prefix("y_")], axis=1)
    assert "several channels" in message(lambda: shape_of(both, target="x_label"))
    named = wide([f"{5 * k} ms" for k in range(12)])
    named.to_csv("b.csv", index=False)
    assert SeriesData("b.csv").spec["modalities"]["series"]["sampling_rate"] == 200


def test_names_and_labels_of_wide_tables(here: Path) -> None:
    table = wide([f"t{k}" for k in range(12)]).assign(id=[f"{k:04}" for k in range(30)], label=np.arange(30) % 12)
    table.to_csv("a.csv", index=False, sep=";", decimal=",", encoding="utf-16")
    data = SeriesData("a.csv", id="id")
    assert set(data.samples.index) == {f"{k:04}" for k in range(30)}
    assert data.spec["target"]["classes"] == list(map(str, range(12)))
    table.to_excel("a.xlsx", index=False)
    np.testing.assert_allclose(
        np.stack(SeriesData("a.xlsx", id="id").frame()["series"]), np.stack(data.frame()["series"]), rtol=1e-6
    )


def test_files_without_a_header_in_any_encoding(here: Path, message: Callable[..., str]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 1, 8)).round(3), np.resize(["1", "2"], 20)
    lines = [[label, *map(str, row[0])] for label, row in zip(y, x, strict=True)]
    lines[0][3] = "NaN"
    x[0, 0, 2] = np.nan
    plain = "\n".join("\t".join(line) for line in lines)
    for name, content in {
        "a.tsv": gzip.compress(plain.encode()),  # by content, whatever its name
        "b.txt": codecs.BOM_UTF8 + plain.replace("\n", "\r\n  ").replace("\t", "   ").encode(),
        "c.csv": plain.replace(".", ",").replace("\t", ";").encode("utf-16"),
    }.items():
        Path(name).write_bytes(content)
        np.testing.assert_allclose(np.stack(SeriesData(name).frame()["series"]), x, rtol=1e-6)
    Path("d.tsv").write_text(plain + "\t7")
    assert "line 20 has 10" in message(lambda: SeriesData("d.tsv").frame())
    Path("e.csv").write_text("0.0,0.1,0.2\n" + "1,2,4\n" * 9)  # times, no label
    assert SeriesData("e.csv").frame()["series"].map(np.shape).tolist() == [(1, 3)] * 9


@pytest.mark.parametrize("encode", ["gzip", "bom", "utf-16", "latin-1"])
def test_ts_files_in_any_encoding(encode: str, series: np.ndarray, here: Path) -> None:
    labels = ["grün" if n % 2 else "rot" for n in range(len(series))]
    write_ts(Path("a.ts"), list(series), labels, "grün rot")
    text = Path("a.ts").read_text().replace("\n", "\r\n")
    content = {
        "gzip": gzip.compress(text.encode()),
        "bom": codecs.BOM_UTF8 + text.encode(),
        "utf-16": text.encode("utf-16"),
        "latin-1": text.encode("latin-1"),
    }[encode]
    Path("a.ts").write_bytes(content)
    frame = SeriesData("a.ts").frame()
    assert frame["label"].tolist() == labels
    np.testing.assert_allclose(np.stack(frame["series"]), series, rtol=1e-6)


@pytest.mark.parametrize("form", ["long", "wide"])
def test_test_rows_change_nothing_in_training(form: str, here: Path) -> None:
    """Spec, encodings and the weights after an epoch are the same bit for bit, whatever the test rows hold."""
    from lightning.pytorch import Trainer

    table = long([f"day {k}" for k in range(POINTS)], 30) if form == "long" else wide([f"t{k}" for k in range(POINTS)])
    options = LONG if form == "long" else {"target": "label", "id": "id"}
    if form == "wide":
        table["id"] = [f"{k:02}" for k in range(len(table))]
    table.to_csv("before.csv", index=False)
    parts = SeriesData("before.csv", **options).samples["split"]
    table["part"] = table["id"].map(parts)
    results = []
    for name, factor in (("a.csv", 1.0), ("b.csv", -1e6)):
        changed = table.copy()
        numbers = [n for n in table if n not in ("id", "when", "label", "part")]
        changed.loc[changed["part"] == "test", numbers] *= factor
        changed.to_csv(name, index=False)
        data = SeriesData(name, **options, split="part", batch_size=8)
        torch.manual_seed(0)
        model = CNN1D(spec=data.spec, filters=[4], widths=[3], hidden=[4])
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        Trainer(max_epochs=1, enable_model_summary=False, **quiet).fit(model, data)
        results.append((data.spec, data.training_inputs(), model.state_dict()))
    (spec, inputs, weights), (other_spec, other_inputs, other_weights) = results
    assert spec == other_spec
    assert torch.equal(inputs, other_inputs)
    assert weights.keys() == other_weights.keys()
    assert all(torch.equal(weights[key], other_weights[key]) for key in weights)

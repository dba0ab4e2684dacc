"""Heartbeats and other signals: beats of WFDB records, simulated beats, filters, augmentation."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import wfdb
from conftest import LENGTH, SAMPLES, both, write_ucr
from lightning.pytorch import LightningModule, Trainer

from zoo.data import SeriesData
from zoo.data.series.heartbeats import filtered

CLASSES = ["1", "2"]


@pytest.fixture
def labels() -> list[str]:
    return [CLASSES[i % 2] for i in range(SAMPLES)]


def test_simulated_beats_agree_with_their_card() -> None:
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
    x, y = data.dataset.x[:, 0], data.dataset.y
    normal, ectopic, raised = (x[y == card["classes"].index(name)] for name in ("normal", "ectopic", "st_elevation"))
    assert x[:, 40:60].amax(1).min() > 100  # an R peak near t50
    assert 100 < raised[:, 62:75].mean() - normal[:, 62:75].mean() < 300  # ST segments, µV
    assert ectopic[:, 95:110].mean() < 0 < normal[:, 95:110].mean()  # T waves


def sine(hertz: float, rate: float, seconds: float = 4) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def test_band_and_resampling() -> None:
    mixed = np.stack([sine(5, 200) + sine(60, 200) + 3, sine(5, 200)])
    passed = filtered(mixed, 200, band=[1, 20])
    middle = slice(200, -200)
    np.testing.assert_allclose(passed[0, middle], sine(5, 200)[middle], atol=0.02)  # no phase shift
    np.testing.assert_allclose(filtered(mixed[1:], 200, resample=150)[0, 20:-20], sine(5, 150)[20:-20], atol=0.01)
    flat = filtered(np.full((1, 90), 50.0), 200, resample=150)
    np.testing.assert_allclose(flat, np.full((1, 68), 50.0), atol=0.01)  # without edge effects
    both_at_once = filtered(mixed, 200, [1, 20], 50)
    assert both_at_once.shape == (2, 200)
    np.testing.assert_allclose(both_at_once[0, 50:-50], sine(5, 50)[50:-50], atol=0.03)
    mixed[0, 300:310], mixed[:, -100:] = np.nan, np.nan
    gaps = np.isnan(filtered(mixed, 200, [1, 20], 100))
    assert gaps[0, 150:155].all()
    assert gaps[:, -50:].all()
    assert gaps.sum() == 5 + 100


def test_series_are_filtered_on_reading(series: np.ndarray, labels: list[str], here: Path) -> None:
    write_ucr(Path("a.tsv"), series, labels)
    data = SeriesData("a.tsv", sampling_rate=20, resample=10, band=[1, 5])
    modality = data.spec["modalities"]["series"]
    assert modality["shape"] == [1, LENGTH // 2]
    assert modality["sampling_rate"] == 10.0
    np.testing.assert_allclose(data.dataset.x[4], filtered(series[4], 20, [1, 5], 10), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(data.frame()["series"].iloc[4], data.dataset.x[4])


@pytest.fixture
def records(here: Path) -> Path:
    """Four WFDB records of two leads at 100 Hz; record b has them in another order."""
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


def test_beats_of_a_record_are_divided_only_on_request(records: Path, message: Callable[..., str]) -> None:
    data = SeriesData(str(records), split_beats=True, channels=["V1"], resample=50)
    assert (data.samples.groupby("record")["split"].nunique() > 1).any()
    assert "samples of one record are in training and test" in data.caution
    assert data.spec["modalities"]["series"]["shape"] == [1, 35]
    np.testing.assert_allclose(data.frame()["series"]["a 130"][0], -np.arange(106, 176, 2) / 1000, atol=2e-3)
    assert "define names and sampling rate" in message(lambda: SeriesData(str(records), sampling_rate=100))
    assert "without a group" in message(lambda: SeriesData(str(records), split_beats=True, group="record"))


def test_bad_records(records: Path, message: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    read = partial(SeriesData, str(records))
    assert "a.hea: no lead 'II2'; did you mean II?" in message(lambda: read(channels=["II2"]).spec)
    assert "exceeds 50 Hz" in message(lambda: read(band=[1, 60]).spec)
    assert "no annotation" in message(lambda: read(after=40).spec)
    wfdb.wrsamp("e", fs=50, units=["mV"] * 2, sig_name=["II", "V1"], p_signal=np.zeros((500, 2)),
                fmt=["16"] * 2, adc_gain=[5000.0] * 2, baseline=[0] * 2, write_dir=str(records))  # fmt: skip
    assert "e.hea: cannot be read" in message(lambda: read().spec)  # no annotations
    wfdb.wrann("e", "atr", np.array([100]), ["N"], write_dir=str(records))
    error = message(lambda: read().spec)
    assert "e.hea: 50 Hz, a has 100 Hz" in error
    assert "--data.resample" in error
    trained = read(channels=["II"], resample=50, before=0.5, after=0.5)
    other = SeriesData(str(records), channels=["II"], resample=25, before=1, after=1)
    error = message(lambda: other.conform(trained.spec, external=True).dataset)
    assert "trained on 50 Hz; give --data.resample 50" in error
    monkeypatch.setitem(sys.modules, "wfdb", None)
    assert "pip install 'biozoo[signals]'" in message(lambda: read().spec)


def test_a_folder_is_described_by_all_its_files(records: Path) -> None:
    before = SeriesData(str(records)).describe()
    assert before["name"] == records.name
    (records / "a.atr").write_bytes(b"")
    assert SeriesData(str(records)).describe()["sha256"] != before["sha256"]


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
        torch.testing.assert_close(once[:, 1], -2 * once[:, 0], equal_nan=True)  # channels are warped in the same way
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


class Recorder(LightningModule):
    """Is not trained, and records its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.batches = torch.nn.Parameter(torch.zeros(())), {"train": [], "validation": []}

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.batches["train"].append(batch)
        return self.weight * 0

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        self.batches["validation"].append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters())


def recorded(data: SeriesData) -> dict[str, list[dict[str, torch.Tensor]]]:
    model = Recorder()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    Trainer(max_epochs=2, enable_model_summary=False, num_sanity_val_steps=0, **quiet).fit(model, data)
    return model.batches


def test_augmentation_changes_only_training_batches_and_repeats(
    series: np.ndarray, labels: list[str], here: Path
) -> None:
    write_ucr(Path("a.tsv"), series, labels)
    first, second = (recorded(SeriesData("a.tsv", **OFF)) for _ in range(2))
    data = SeriesData("a.tsv")
    for split, batches in first.items():
        for batch, again in zip(batches, second[split], strict=True):
            assert torch.equal(batch["x"], again["x"])
            assert torch.equal(batch["x"], data.dataset.x[batch["row"]]) == (split == "validation")

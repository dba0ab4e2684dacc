"""``zoo synthesise``: files, log messages, and requests that are refused before any file is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from torch import Tensor, nn

from zoo import commands
from zoo.cli import main
from zoo.data import ImageData, TableData
from zoo.models.gans.generative import Generative, Projection
from zoo.report import evaluate
from zoo.report.figures import write_figures
from zoo.report.synthetic.utility import CLASSIFIERS


class Drawer(nn.Module):
    """Independent normal numbers, of a larger mean for the last class."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape, self.scale = shape, nn.Parameter(torch.ones(()))

    def forward(self, noise: Tensor, label: Tensor | None) -> Tensor:
        made = self.scale * noise[:, :1].expand(len(noise), int(np.prod(self.shape))).reshape(len(noise), *self.shape)
        return made if label is None else made + label.view(-1, *[1] * len(self.shape)).float()


class Stub(Generative, abstract=True):
    """A minimal generative model without training."""

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)
        width = self.encode.out_features
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(width, 4))
        self.set_networks(Drawer(*self.encode.out_shape), Projection(trunk, 4, self.classes))


@pytest.fixture(autouse=True)
def small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller models, which suffice here, in a tenth of the time."""
    monkeypatch.setitem(CLASSIFIERS, "random_forest", RandomForestClassifier(10, random_state=0))
    monkeypatch.setitem(CLASSIFIERS, "gradient_boosting", GradientBoostingClassifier(n_estimators=10, random_state=0))


@pytest.fixture
def stub(pima: TableData, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """In place of packaged weights of Pima women."""
    model = Stub(spec=pima.spec)
    model.fit_encoders(pima.training_inputs(), pima.training_targets())
    monkeypatch.setattr(commands, "_trained", lambda cli: (model.eval(), Path("runs")))
    return model


def synthesise(*options: str) -> None:
    main(["synthesise", "mlp_pima", "--n", "40", "--output", "made.csv", *options])


def test_rows_are_those_of_the_table(stub: Stub, pima: TableData, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="zoo"):
        synthesise()
    made = pd.read_csv("made.csv")
    assert len(made) == 40
    assert (
        list(made)
        == list(pd.read_csv("made.csv", nrows=0))
        == [*pima.spec["modalities"]["table"]["features"], "diabetes"]
    )
    assert set(made["diabetes"]) == {"neg", "pos"}
    assert "40 synthetic samples written to made.csv; check them with --report FILE.html before sharing" in caplog.text
    first = Path("made.csv").read_bytes()
    synthesise()
    assert Path("made.csv").read_bytes() == first
    synthesise("--seed", "1")
    assert Path("made.csv").read_bytes() != first


@pytest.mark.parametrize("suffix", [".tsv", ".parquet"])
def test_formats_follow_the_suffix(suffix: str, stub: Stub, here: Path) -> None:
    synthesise()
    synthesise("--output", f"made{suffix}")
    made = pd.read_parquet("made.parquet") if suffix == ".parquet" else pd.read_csv("made.tsv", sep="\t")
    pd.testing.assert_frame_equal(made.reset_index(drop=True), pd.read_csv("made.csv"), check_dtype=False, rtol=1e-5)


def test_a_condition_holds_for_all_rows(stub: Stub, here: Path) -> None:
    synthesise("--condition", "diabetes=pos")
    assert set(pd.read_csv("made.csv")["diabetes"]) == {"pos"}


def test_the_report_covers_use_and_privacy(stub: Stub, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="zoo"):
        synthesise("--report", "report.html")
    text = Path("report.html").read_text()
    for words in (
        "Stub on pima",
        "40 rows of Stub",
        "worse than the Gaussian copula",
        "exact copies",
        "diabetes",
    ):
        assert words in text
    assert "a report on quality and privacy to report.html" in caplog.text
    assert "before sharing" not in caplog.text


def test_the_report_on_one_class_uses_real_rows_of_that_class(stub: Stub, pima: TableData, here: Path) -> None:
    synthesise("--condition", "diabetes=pos", "--report", "report.html")
    text = Path("report.html").read_text()
    training = pima.samples.query("split == 'train' and diabetes == 'pos'")
    assert f"{len(training)} training rows" in text
    assert "Are they useful?" not in text


REFUSED = {
    "unknown value": (["--condition", "diabetes=poss"], "did you mean pos?"),
    "unknown column": (["--condition", "diabets=pos"], "did you mean diabetes?"),
    "no value": (["--condition", "diabetes"], "write COLUMN=VALUE, such as diabetes=pos"),
    "two values": (["--condition", "diabetes=pos", "--condition", "diabetes=neg"], "given twice"),
    "no rows": (["--n", "0"], "--n must be at least 1, not 0"),
    "no number": (["--n", "many"], "'many'"),
    "unknown table": (["--output", "made.doc"], "made.doc: use .csv, .tsv, "),
    "unknown report": (["--report", "report.pdf"], "report.pdf: use .html or .png"),
    "unknown option": (["--reprt", "report.html"], "--reprt"),
    "too few to compare": (["--n", "2", "--report", "report.html"], "at least 4 Stub rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_requests_leave_nothing_behind(case: str, stub: Stub, here: Path, zoo_fails: Callable[..., str]) -> None:
    options, words = REFUSED[case]
    assert words in zoo_fails("synthesise", "mlp_pima", "--n", "40", "--output", "made.csv", *options)
    assert not list(here.iterdir())


def test_privacy_needs_held_out_rows(
    stub: Stub, frame: pd.DataFrame, table: str, monkeypatch: pytest.MonkeyPatch, zoo_fails: Callable[..., str]
) -> None:
    alone = TableData(table, "outcome", id="patient")
    alone.dataset.samples["split"] = "train"
    model = Stub(spec=alone.spec)
    model.fit_encoders(alone.training_inputs(), alone.training_targets())
    monkeypatch.setattr(commands, "_trained", lambda cli: (model.eval(), Path("runs")))
    monkeypatch.setattr(commands, "_data", lambda cli, model: alone)
    refused = zoo_fails("synthesise", "mlp_pima", "--output", "made.csv", "--report", "report.html")
    assert "privacy scores need hold-out rows" in refused
    assert not Path("made.csv").exists()


def test_other_models_do_not_synthesise(here: Path, zoo_fails: Callable[..., str]) -> None:
    assert "MLP does not synthesise" in zoo_fails("synthesise", "mlp_pima", "--output", "made.csv")
    assert "--output" in zoo_fails("synthesise", "mlp_pima")
    assert "did you mean synthesise" in zoo_fails("synthesize", "mlp_pima")


def test_images_are_written_so_that_they_can_be_read(
    here: Path, monkeypatch: pytest.MonkeyPatch, zoo_fails: Callable[..., str]
) -> None:
    data = ImageData("digits")
    model = Stub(spec=data.spec)
    model.fit_encoders(data.training_inputs(), data.training_targets())
    monkeypatch.setattr(commands, "_trained", lambda cli: (model.eval(), Path("runs")))
    main(["synthesise", "cnn2d_digits", "--n", "100", "--output", "made.npz"])
    again = ImageData("made.npz", target="label")
    assert len(again.samples) == 100
    assert again.spec["modalities"]["image"]["shape"] == data.spec["modalities"]["image"]["shape"]
    assert set(again.samples["label"]) <= set(data.spec["target"]["classes"])
    assert "use .npz" in zoo_fails("synthesise", "cnn2d_digits", "--output", "made.csv")
    assert "--report is for tables" in zoo_fails(
        "synthesise", "cnn2d_digits", "--output", "made.npz", "--report", "report.html"
    )


def test_an_evaluation_has_the_baselines_and_figures(stub: Stub, pima: TableData, here: Path) -> None:
    evaluation = evaluate(stub, pima, ("train", "validation"))
    table = evaluation.table()
    assert list(table.columns) == [
        ("Stub", "train"),
        ("Stub", "validation"),
        ("Gaussian copula", "validation"),
        ("real rows", "validation"),
    ]
    assert table.loc["ks_complement", ("Stub", "train")] < 0.9
    assert np.isnan(table.loc["tstr", ("Stub", "train")])
    assert evaluation.value("tstr", "validation", "real rows") > 0.75
    assert evaluation.predictions["split"].unique().tolist() == ["train", "validation"]
    assert evaluation.predictions["realism"].notna().all()
    only = evaluate(stub, pima, ("validation",)).scores
    assert set(only["split"]) == {"validation"}
    names = {path.stem for path in write_figures(evaluation, "Stub on pima", here)}
    assert names == {"marginals", "correlations", "usefulness", "nearest", "joint_map"}

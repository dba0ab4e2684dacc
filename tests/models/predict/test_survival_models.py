"""Survival from the table to the report: what is read, trained, predicted, drawn and refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer

import zoo
from zoo.commands import assess
from zoo.commands import predict as predict_command
from zoo.data import ExpressionData, TableData
from zoo.data.simulated.patients import patients
from zoo.errors import InputError
from zoo.latent import embed
from zoo.models import MLP, VAE
from zoo.publish import export
from zoo.report import evaluate
from zoo.report.prediction.survival import groups_of_risk, kaplan_meier, survival_figures

SMALL = ["--model.hidden=[8]", "--trainer.max_epochs=4", "--data.batch_size=32"]


@pytest.fixture
def cohort(here: Path) -> pd.DataFrame:
    frame = patients(count=120)
    frame.to_csv("cohort.csv", index=False)
    return frame


def of(frame: pd.DataFrame, **options) -> TableData:
    frame.to_csv("cohort.csv", index=False)
    return TableData("cohort.csv", **{"target": "time", "event": "dead", "id": "patient", **options})


@pytest.fixture
def run(cohort: pd.DataFrame) -> zoo.runs.Run:
    options = ["--data.path=cohort.csv", "--data.target=time", "--data.event=dead", "--data.id=patient"]
    return zoo.fit("mlp_patients", *options, *SMALL)


def test_time_and_event_are_read_and_are_no_features(cohort: pd.DataFrame) -> None:
    data = of(cohort)
    target = data.spec["target"]
    assert (target["kind"], target["name"], target["event"], target["event_levels"]) == (
        "survival",
        "time",
        "dead",
        ["0", "1"],
    )
    assert not {"time", "dead", "patient"} & set(data.spec["modalities"]["table"]["features"])
    np.testing.assert_array_equal(data.dataset.y.numpy(), cohort[["time", "dead"]].to_numpy(np.float32))
    shares = data.samples.groupby("split")["dead"].mean()
    assert shares.max() - shares.min() < 2 / 18  # stratified; 18 validate


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("no", "yes"), {}),
        (("Alive", "DEAD"), {}),
        ((False, True), {}),
        ((1, 2), {"positive": "2"}),
        (("a", "b"), {"positive": "a"}),
    ],
)
def test_events_are_recognised_by_words(cohort: pd.DataFrame, words: tuple, options: dict) -> None:
    told = cohort["dead"].map(dict(enumerate(words)))
    happened = cohort["dead"] if options.get("positive") != "a" else 1 - cohort["dead"]
    assert of(cohort.assign(dead=told), **options).dataset.y[:, 1].tolist() == happened.tolist()


def test_samples_without_time_or_event_are_unlabelled(cohort: pd.DataFrame) -> None:
    cohort["dead"] = cohort["dead"].astype("Int64")
    cohort.loc[3, "time"], cohort.loc[7, "dead"] = np.nan, pd.NA
    assert len(of(cohort).dataset.y) == 118
    data = of(cohort, unlabelled="keep")
    assert data.dataset.y.isnan().all(1).nonzero().flatten().tolist() == [3, 7]
    with pytest.raises(InputError, match="needs a target for each sample"):
        MLP(spec=data.spec)


def spoilt(frame: pd.DataFrame, column: str, value: object, row: int = 5) -> pd.DataFrame:
    return frame.assign(**{column: frame[column].astype(object).where(frame.index != row, value)})


BAD = {
    "negative time": (lambda f: spoilt(f, "time", -3), {}, "row 6: the time -3 is negative"),
    "a word for a time": (lambda f: spoilt(f, "time", "long"), {}, "'long' is not a number"),
    "infinite time": (lambda f: spoilt(f, "time", np.inf), {}, "infinite"),
    "equal times": (lambda f: f.assign(time=5), {}, "are all equal or missing"),
    "three levels": (lambda f: spoilt(f, "dead", 2), {}, r"event 'dead' has 3 values \(0, 1, 2"),
    "unknown words": (
        lambda f: f.assign(dead=f["dead"].map({0: "a", 1: "b"})),
        {},
        "has the values a and b; give that of the event",
    ),
    "empty event": (lambda f: f.assign(dead=np.nan), {}, "event 'dead' is empty"),
    "no event": (lambda f: f.assign(dead=0), {}, "no training sample has the event 'dead'"),
    "wrong positive": (lambda f: f, {"positive": "yes"}, "positive 'yes' does not occur in the event"),
    "no such column": (lambda f: f, {"event": "deaf"}, r"no column 'deaf' \(given as event\); did you mean dead"),
    "event without time": (lambda f: f, {"target": None}, "event 'dead' needs a time"),
    "time without event": (lambda f: f, {"event": None, "target_kind": "survival"}, "needs --data.event"),
    "time is the event": (lambda f: f, {"event": "time"}, "cannot be both time and event: give the column of events"),
    "another kind": (lambda f: f, {"target_kind": "regression"}, "'regression' contradicts event 'dead'"),
    "a feature": (lambda f: f, {"features": ["age", "dead"]}, "event 'dead' is among the features"),
    "balance": (lambda f: f, {"balance": "oversample"}, "balance 'oversample' is for classes"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_survival_data(case: str, cohort: pd.DataFrame, message: Callable[..., str]) -> None:
    change, options, words = BAD[case]
    with pytest.raises(InputError, match=words):
        _ = of(change(cohort), **options).training


def test_time_zero_is_allowed(cohort: pd.DataFrame) -> None:
    data = of(cohort.assign(time=cohort["time"].where(cohort.index > 10, 0)))
    model = MLP(spec=data.spec)
    model.fit_encoders(data.training_inputs())
    assert model.loss({"x": data.dataset.x, "y": data.dataset.y}).isfinite()


def test_a_run_tells_risks_and_probabilities(run: zoo.runs.Run, cohort: pd.DataFrame) -> None:
    names = {path.stem for path in (run.folder / "figures").iterdir()}
    assert names == {"kaplan_meier", "calibration", "learning_curve"}
    assert "validation_c_index" in pd.read_csv(run.folder / "metrics.csv")
    scores = run.evaluation
    assert set(scores.scores["model"]) == {"MLP", "Cox regression", "random survival forest", "Kaplan-Meier"}
    assert scores.value("c_index", "train") > 0.6
    assert scores.value("c_index", "train", "Kaplan-Meier") == 0.5
    assert scores.value("integrated_brier", "validation") < 0.5
    assert list(scores.predictions)[:4] == ["split", "time", "event", "risk"]
    table = run.model.predict(cohort)
    curves = table.filter(like="survival_")
    assert next(iter(table)) == "risk"
    assert curves.shape == (120, 3)
    assert ((curves >= 0) & (curves <= 1)).all(axis=None)
    assert (np.diff(curves, axis=1) <= 0).all()
    order = table["risk"].to_numpy().argsort()
    assert (np.diff(curves.iloc[order, 1]) <= 0).all()
    times = [float(name.split("_")[1]) for name in curves]
    asked = run.model.predict_survival(cohort, [0, *times])
    np.testing.assert_allclose(asked.iloc[:, 1:], curves, rtol=1e-5)
    assert (asked[0] == 1).all()


def test_the_hazard_in_the_best_checkpoint_belongs_to_its_weights(run: zoo.runs.Run) -> None:
    again = MLP(**run.model.init_args)
    again.load_state_dict(run.model.state_dict())
    again.fit_head_buffers(run.data.loader("train"))
    assert again.log_hazard.isfinite().any()
    for name, value in run.model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
    risks = run.evaluation.predictions.query("split == 'train'")["risk"]
    assert abs(risks.mean()) < 1e-5  # against the mean training sample


def test_test_export_load_and_predict_agree(run: zoo.runs.Run, cohort: pd.DataFrame) -> None:
    evaluation = assess(["--config", str(run.folder)], ("train", "validation", "test"))
    assert 0 < evaluation.value("c_index", "test") < 1
    loaded = zoo.load(export(run.folder, "exported"))
    pd.testing.assert_frame_equal(loaded.predict(cohort), run.model.predict(cohort))
    assert loaded.card["task"] == "survival"
    other = patients(seed=1, count=60)  # another cohort, in other words
    other.assign(dead=other["dead"].astype(float)).to_csv("other.csv", index=False)
    external = assess(["--config", str(run.folder), "--data.path=other.csv"], ("test",))
    assert set(external.scores["model"]) == {"MLP"}
    assert 0 < external.value("c_index") < 1
    other.drop(columns=["time", "dead"]).to_csv("new.csv", index=False)
    told = predict_command(["--config", str(run.folder), "--data.path=new.csv", "--output=told.csv"])
    assert len(told) == 60


def test_lightning_alone_learns_the_hazard_too(cohort: pd.DataFrame) -> None:
    data = of(cohort)
    model = MLP(spec=data.spec, hidden=[4])
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    assert list(model.predict(cohort)) == ["risk"]
    with pytest.raises(InputError, match="fit_head_buffers"):
        model.predict_survival(cohort, [100])
    Trainer(max_epochs=1, enable_model_summary=False, **quiet).fit(model, data)
    assert model.predict(cohort).shape == (120, 4)
    regression = TableData("cohort.csv", target="age", id="patient")
    with pytest.raises(InputError, match="predicts no survival"):
        MLP(spec=regression.spec).predict_survival(cohort, [100])


def test_vae_with_a_cox_head_learns_from_all_samples(cohort: pd.DataFrame) -> None:
    cohort.loc[::5, "time"] = np.nan
    data = of(cohort, unlabelled="keep", batch_size=32)
    torch.manual_seed(0)
    model = VAE(spec=data.spec, latent=3, hidden=[16], supervision=10, lr=0.01)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    Trainer(max_epochs=15, enable_model_summary=False, **quiet).fit(model, data)
    table = model.predict(cohort)
    assert next(iter(table)) == "risk"
    assert {"reconstruction_error", "latent_2"} <= set(table)
    evaluation = evaluate(model, data, ("train", "validation"))
    assert evaluation.value("c_index", "train") > 0.65
    assert {"elbo", "integrated_brier"} <= set(evaluation.scores["metric"])
    assert evaluation.predictions["time"].isna().any()
    assert set(survival_figures(evaluation.predictions, data.spec["target"])) == {"kaplan_meier", "calibration"}
    with pytest.raises(InputError, match="supervision needs a class, a value or a time"):
        VAE(spec=of(cohort, target_kind="none").spec, supervision=1)


def test_latent_space_is_coloured_by_time(run: zoo.runs.Run, cohort: pd.DataFrame) -> None:
    adata = embed(run.model, run.data)
    np.testing.assert_array_equal(adata.obs["target"], cohort["time"])
    assert {"risk", "dead"} <= set(adata.obs)
    assert adata.uns["target"]["kind"] == "survival"


def test_groups_of_risk_are_those_of_the_training_rows(cohort: pd.DataFrame) -> None:
    target = of(cohort).spec["target"]
    frame = pd.DataFrame({"split": "train", "time": cohort["time"], "event": cohort["dead"], "risk": np.arange(120.0)})
    frame.loc[90:, "split"] = "test"
    group = groups_of_risk(frame)
    assert group[:90].value_counts().tolist() == [30, 30, 30]
    assert set(group[90:]) == {"high"}
    axes, table = kaplan_meier(frame, target, "title").axes
    assert axes.get_legend_handles_labels()[1] == [f"high risk, {cohort['dead'][90:].sum()} events of 30", "censored"]
    assert table.get_xlabel() == "time"
    alone = groups_of_risk(frame.assign(split="test", risk=frame["risk"] - 100))
    assert alone.value_counts().to_dict() == {"low": 101, "high": 19}


def test_a_numeric_event_is_no_gene(here: Path) -> None:
    rng = np.random.default_rng(0)
    genes = pd.DataFrame(rng.poisson(5, (60, 6)), columns=[f"g{i}" for i in range(6)])
    genes.insert(0, "sample", [f"s{i}" for i in range(60)])
    genes.assign(time=rng.exponential(9, 60), dead=rng.integers(0, 2, 60)).to_csv("genes.csv", index=False)
    data = ExpressionData("genes.csv", target="time", event="dead")
    assert data.spec["modalities"]["expression"]["features"] == [f"g{i}" for i in range(6)]
    model = MLP(spec=data.spec, hidden=[])
    model.fit_encoders(data.training_inputs(), data.training_targets())
    assert model.loss({"x": data.dataset.x[torch.arange(60)], "y": data.dataset.y}).isfinite()

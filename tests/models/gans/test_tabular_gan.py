"""Made-up tables have the columns, types, ranges, gaps and classes of the real one, and its dependences."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer

import zoo
from zoo import files, weights
from zoo.cli import main
from zoo.data import ExpressionData, TableData
from zoo.encode.quantile import QuantileEncoder, interpolate
from zoo.models import TabularGAN
from zoo.models.gans.tabular_gan import Components
from zoo.report.synthetic.scores import against_data
from zoo.spec import modality_of
from zoo.tables.writing import write_table


@pytest.fixture
def clinic(here: Path) -> pd.DataFrame:
    """400 patients with every kind of column, written to ``clinic.csv``."""
    rng = np.random.default_rng(0)
    sick = rng.random(400) < 0.3
    height = rng.normal(170, 9, 400)
    table = pd.DataFrame(
        {
            "height": height.round(1),
            "weight": (height - 100 + rng.normal(0, 5, 400) + 8 * sick).round(2),
            "children": rng.poisson(1.3, 400),
            "marker": np.where(rng.random(400) < 0.25 + 0.3 * sick, np.nan, rng.lognormal(0, 1, 400).round(3)),
            "smoker": rng.random(400) < 0.2 + 0.4 * sick,
            "blood": rng.choice(["O", "A", "B"], 400, p=[0.5, 0.4, 0.1]),
            "centre": np.where(rng.random(400) < 0.1, None, rng.choice(["north", "south"], 400)),
            "stage": rng.choice([1, 2, 3], 400),
            "outcome": np.where(sick, "sick", "well"),
        }
    )
    table.to_csv("clinic.csv", index=False)
    return table


def begun(path: str = "clinic.csv", encoding: dict[str, Any] | None = None, components: int = 0, **data: Any) -> Any:
    """A network at its start, and its data."""
    L.seed_everything(0, verbose=False)
    module = TableData(path, **{"target": "outcome", "fractions": [0.8, 0.2, 0.0], **data})
    model = TabularGAN(
        spec=module.spec, hidden=[16], discriminator_hidden=[16], encoding=encoding, components=components
    )
    model.fit_encoders(module.training_inputs(), module.training_targets())
    model.eval()
    model.on_validation_epoch_start()
    return model, module


def test_generated_rows_have_types_ranges_and_decimals_of_the_file(clinic: pd.DataFrame) -> None:
    model, _ = begun(categorical=["stage"])
    made = model.synthesise(500)
    read = pd.read_csv("clinic.csv")
    assert list(made.columns) == list(read.columns)
    assert made.dtypes.drop("marker").equals(read.dtypes.drop("marker"))
    for name in ("height", "weight", "children", "marker"):
        assert read[name].min() <= made[name].min() <= made[name].max() <= read[name].max()
        decimals = made[name].dropna().astype(str).str.partition(".")[2].str.len()
        assert decimals.max() <= read[name].dropna().astype(str).str.partition(".")[2].str.len().max()
    for name in ("smoker", "blood", "stage", "outcome"):
        assert set(made[name]) == set(read[name])
    assert set(made["centre"].dropna()) == {"north", "south"}
    assert not made[["height", "weight", "children", "smoker", "blood"]].isna().any().any()


def test_the_start_has_marginals_gaps_and_dependences_of_each_class(clinic: pd.DataFrame) -> None:
    model, data = begun()
    made, real = model.synthesise(4000), data.samples[data.samples["split"] == "train"]
    for outcome, rows in made.groupby("outcome"):
        truth = real[real["outcome"] == outcome]
        assert len(rows) / len(made) == pytest.approx(len(truth) / len(real), abs=0.01)
        assert rows["marker"].isna().mean() == pytest.approx(truth["marker"].isna().mean(), abs=0.05)
        assert rows["centre"].isna().mean() == pytest.approx(truth["centre"].isna().mean(), abs=0.05)
        assert rows["smoker"].mean() == pytest.approx((truth["smoker"] == "True").mean(), abs=0.06)
        for name in ("height", "weight", "children"):
            assert rows[name].mean() == pytest.approx(truth[name].mean(), abs=0.12 * truth[name].std())
        correlation = [table[["height", "weight"]].corr("spearman").iloc[0, 1] for table in (rows, truth)]
        assert correlation[0] == pytest.approx(correlation[1], abs=0.06)


def test_training_learns_what_no_copula_has(here: Path) -> None:
    rng = np.random.default_rng(1)
    angle = rng.uniform(0, 2 * np.pi, 600)
    ring = pd.DataFrame({"x": np.cos(angle), "y": np.sin(angle)}) + rng.normal(0, 0.05, (600, 2))
    ring.round(3).to_csv("ring.csv", index=False)
    model, data = begun("ring.csv", target=None, batch_size=64)

    def inside() -> float:
        made = model.synthesise(1000)
        return float((np.hypot(made["x"], made["y"]) < 0.7).mean())

    start = inside()
    model = TabularGAN(
        spec=data.spec,
        hidden=[64, 64],
        discriminator_hidden=[64, 64],
        noise=8,
        adversarial_loss="hinge",
        gradient_penalty=1,
        optimizer="adam",
        beta1=0.5,
        lr=0.002,
        discriminator_lr=0.004,
        average=0.95,
    )
    Trainer(max_epochs=90, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False).fit(
        model, data
    )
    assert start > 0.12
    assert inside() < start / 2


def test_conditions_are_met_and_seeds_repeat(clinic: pd.DataFrame) -> None:
    model, _ = begun()
    made = model.synthesise(40, {"outcome": "sick", "centre": "north"}, seed=3)
    assert len(made) == 40
    assert set(made["outcome"]) == {"sick"}
    assert set(made["centre"]) == {"north"}
    pd.testing.assert_frame_equal(model.synthesise(20, seed=5), model.synthesise(20, seed=5))
    assert not model.synthesise(20, seed=5).equals(model.synthesise(20, seed=6))
    assert not model.training


def test_conditions_that_cannot_be_met_are_named(clinic: pd.DataFrame, message: Callable[..., str]) -> None:
    model, _ = begun()
    assert "outcome 'sik' is not in the training data" in message(lambda: model.synthesise(5, {"outcome": "sik"}))
    assert "sick" in message(lambda: model.synthesise(5, {"outcome": "sik"}))
    assert "centre 'east' is not in the training data" in message(lambda: model.synthesise(5, {"centre": "east"}))
    assert "cannot be conditioned on 'height'" in message(lambda: model.synthesise(5, {"height": 170}))
    assert "n must" in message(lambda: model.synthesise(0)) or "n " in message(lambda: model.synthesise(0))


def test_a_continuous_target_or_a_survival_time_is_generated_like_a_column(clinic: pd.DataFrame, here: Path) -> None:
    clinic["event"] = (np.arange(400) % 3 == 0).astype(int)
    clinic.to_csv("clinic.csv", index=False)
    model, data = begun(target="weight")
    made = model.synthesise(2000)
    assert list(made.columns) == list(clinic.columns)
    truth = data.samples[data.samples["split"] == "train"]
    assert made["weight"].corr(made["height"]) == pytest.approx(truth["weight"].corr(truth["height"]), abs=0.06)
    assert model.predict(clinic.drop(columns="weight")).columns.tolist() == ["realism"]
    model, _ = begun(target="height", event="event", target_kind="survival")
    made = model.synthesise(600)
    assert set(made["event"]) == {0, 1}
    assert made["event"].mean() == pytest.approx(1 / 3, abs=0.07)


def test_wide_tables_keep_the_correlations_of_their_components(here: Path) -> None:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(150, 3))
    genes = factors @ rng.normal(size=(3, 300)) + 0.3 * rng.normal(size=(150, 300))
    table = pd.DataFrame(genes).add_prefix("g").round(4).assign(outcome=np.where(factors[:, 0] > 0, "a", "b"))
    table.to_csv("wide.csv", index=False)
    model, data = begun("wide.csv", {"missing_indicator": False}, components=5)
    made = model.synthesise(1500)
    truth = table.loc[data.samples["split"].to_numpy() == "train"]
    columns = [f"g{number}" for number in range(0, 300, 10)]
    difference = made[columns].corr("spearman").to_numpy() - truth[columns].corr("spearman").to_numpy()
    assert np.abs(difference).mean() < 0.08
    data = ExpressionData("wide.csv", target="outcome", scale="none")
    model = TabularGAN(spec=data.spec, hidden=[8], discriminator_hidden=[8], components=4)
    model.fit_encoders(data.training_inputs(), data.training_targets())
    assert model.synthesise(7).shape == (7, 301)


def test_components_leave_out_only_noise() -> None:
    torch.manual_seed(0)
    numbers = torch.randn(400, 2) @ torch.randn(2, 30) + 0.1 * torch.randn(400, 30) + 3
    layer = Components(30, 2)
    layer.fit(numbers)
    torch.testing.assert_close(layer(numbers).std(0), torch.ones(2), rtol=1e-3, atol=1e-3)
    back = layer.inverse(layer(numbers), seed=0)
    assert (back - numbers).std() < 0.2
    torch.testing.assert_close(back.std(0), numbers.std(0), rtol=0.05, atol=0.02)


def test_quantile_scores_are_normal_and_turn_back(clinic: pd.DataFrame) -> None:
    data = TableData("clinic.csv", target="outcome", ordered={"stage": ["1", "2", "3"]})
    x = data.training_inputs()
    layer = QuantileEncoder(modality_of(data.spec))
    layer.fit(x)
    layer.eval()
    back = layer.inverse(layer(x))
    assert torch.equal(back.nan_to_num(-1), x.nan_to_num(-1))
    layer.train()  # ties are spread anew
    scores = layer(x)[:, list(layer.feature_names).index("children")]
    assert scores.std() == pytest.approx(1, abs=0.06)
    assert not torch.equal(scores, layer(x)[:, list(layer.feature_names).index("children")])
    far = torch.full((1, layer.out_features), 50.0)
    assert (layer.inverse(far).nan_to_num(0) <= x.nan_to_num(0).amax(0) + 1e-6)[:, :3].all()


def test_interpolation_is_that_of_numpy() -> None:
    rng = np.random.default_rng(0)
    x, at = rng.normal(size=(50, 3)) * 2, np.sort(rng.normal(size=(3, 9)), axis=1)
    values = np.sort(rng.normal(size=(3, 9)), axis=1)
    ours = interpolate(*(torch.tensor(part) for part in (x, at, values))).numpy()
    expected = np.column_stack([np.interp(x[:, c], at[c], values[c]) for c in range(3)])
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_columns_that_cannot_be_generated_are_named(
    clinic: pd.DataFrame, here: Path, zoo_fails: Callable[..., str]
) -> None:
    options = ["fit", "--config", "tabulargan_pima", "--data.path=bad.csv", "--data.target=outcome"]
    clinic.assign(notes=[f"patient came on day {number}" for number in range(400)]).to_csv("bad.csv", index=False)
    assert "'notes'" in zoo_fails(*options)
    clinic.assign(ferritin=np.nan).to_csv("bad.csv", index=False)
    assert "'ferritin'" in zoo_fails(*options, "--data.features=[height,ferritin]")
    assert not Path("runs").exists()


def test_data_that_are_no_table_are_refused(here: Path, zoo_fails: Callable[..., str]) -> None:
    line = zoo_fails("fit", "--config", "cnn2d_digits", "--model=TabularGAN")
    assert "TabularGAN is not available for " in line


def test_a_batch_larger_than_the_table_is_reduced_and_reported(
    clinic: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    model, data = begun(batch_size=5000)
    with caplog.at_level("INFO", "zoo"):
        Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
        ).fit(model, data)
    assert "a batch has 320 samples (all training samples), not 5000" in caplog.text


def test_a_run_predicts_exports_and_loads(here: Path, cheap_report) -> None:
    main(["fit", "--config", "tabulargan_pima", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"])
    main(["test", "--config", "runs/tabulargan_pima/1"])
    main(["export", "runs/tabulargan_pima/1", "--to", "shared"])
    trained, loaded = weights.from_checkpoint(f"runs/tabulargan_pima/1/{files.BEST}"), weights.load("shared")
    pd.testing.assert_frame_equal(trained.synthesise(30), loaded.synthesise(30))
    patients = pd.read_csv(files.folder("datasets") / "pima" / "pima.csv").head(4)
    assert loaded.predict(patients).columns.tolist() == ["realism"]


def test_generated_numbers_stay_in_the_training_range() -> None:
    layer = QuantileEncoder({"kind": "table", "shape": [1], "features": ["children"]})
    x = torch.tensor(
        [[0.1234561], [0.5], [0.7654329]]
    )  # more decimals than are kept, so that rounding leaves the range
    layer.fit(x)
    made = layer.inverse(torch.tensor([[-50.0, 0.0], [50.0, 0.0]]))
    assert x.min() <= made.min()
    assert made.max() <= x.max()


def test_missing_generated_numbers_are_0_for_the_discriminator(clinic: pd.DataFrame) -> None:
    model, _ = begun()
    made = model.generator(torch.randn(400, model.noise), torch.zeros(400, dtype=torch.long))
    numbers, flags = model.generator.parts[:2]
    missing = made[:, numbers : numbers + flags] > 0.5
    assert missing.any()
    assert (made[:, :flags][missing] == 0).all()


def test_a_recipe_of_survival_trains(here: Path, cheap_report: None) -> None:
    run = zoo.fit("mlp_patients", "--model=TabularGAN", "--trainer.max_epochs=1", "--trainer.accelerator=cpu")
    assert {"time", "event"} <= set(run.evaluation.predictions)


def test_generated_rows_have_the_spellings_of_the_file(here: Path) -> None:
    rng = np.random.default_rng(0)
    day = pd.Timestamp("2020-01-31") + pd.to_timedelta(rng.integers(0, 400, 200), unit="D")
    clock = day + pd.to_timedelta(rng.integers(0, 1440, 200), unit="m")
    table = pd.DataFrame(
        {
            "flag": rng.choice(["True", "False", ""], 200),
            "alive": rng.choice(["True", "False"], 200),
            "outcome": rng.choice(["yes", "no"], 200),
            "code": rng.choice(["01", "02"], 200),
            "visits": rng.choice(["0", "1", "7", ""], 200),
            "pointed": rng.choice(["0.0", "1.0", ""], 200),
            "bmi": rng.uniform(20, 30, 200).round(1).astype(str),
            "const": "7",
            "stage": rng.choice(["1", "2", ""], 200),
            "day": day.strftime("%d.%m.%Y"),
            "short": [f"{date.month}/{date.day}/{date.year}" for date in day],
            "clock": clock.strftime("%Y-%m-%d %H:%M"),
        }
    )
    table.loc[::9, "day"] = ""
    table.to_csv("clinic.csv", index=False)
    model, _ = begun(categorical=["stage"])
    write_table(model.synthesise(300), Path("made.csv"), index=False)
    made = pd.read_csv("made.csv", dtype=str, keep_default_na=False)
    assert list(made.columns) == list(table.columns)
    for name in ("flag", "alive", "outcome", "code", "pointed", "const", "stage"):
        assert set(made[name]) == set(table[name])
    assert made["visits"].str.fullmatch(r"\d?").all()
    assert made["bmi"].str.fullmatch(r"\d\d\.\d").all()
    assert made["day"].str.fullmatch(r"(\d\d\.\d\d\.202[01])?").all()
    assert (made["day"] == "").mean() == pytest.approx(1 / 9, abs=0.06)
    assert made["short"].str.fullmatch(r"[1-9]\d?/[1-9]\d?/202[01]").all()
    assert made["clock"].str.fullmatch(r"202[01]-\d\d-\d\d \d\d:\d\d").all()
    read = TableData("made.csv", target="outcome", categorical=["stage"], fractions=[0.8, 0.2, 0.0]).spec
    ours, theirs = (modality_of(spec) for spec in (read, model.spec))
    assert ours["dtypes"] == theirs["dtypes"]
    assert ours["levels"] == theirs["levels"]
    assert {n: how["format"] for n, how in ours["dates"].items()} == {
        n: how["format"] for n, how in theirs["dates"].items()
    }


def test_generated_dates_are_compared_with_real_ones(here: Path) -> None:
    rng = np.random.default_rng(0)
    day = pd.Timestamp("2020-01-31") + pd.to_timedelta(rng.integers(0, 400, 100), unit="D")
    pd.DataFrame({"x": rng.normal(size=100), "day": day.strftime("%d.%m.%Y")}).to_csv("days.csv", index=False)
    model, data = begun("days.csv", target=None)
    found = against_data({"made": model.synthesise(50)}, data, "validation")
    assert found.columns.numbers == ["x", "day"]

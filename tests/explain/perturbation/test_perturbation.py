"""In-silico perturbation, its univariate baselines, and the simulated cohort of the benchmark."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from zoo import explain
from zoo.data import TableData
from zoo.data.simulated.drugs import DRUGS, FEATURES, drugs, planted_pairs
from zoo.explain.perturbation.statistics import bayes_factor, benjamini_hochberg, cumulative_evidence, empirical_p, vote
from zoo.models import MLP, VAE, Autoencoder
from zoo.models.autoencoders.base import Unsupervised

CONTENT = ["age", "level", "load", "drug=no", "drug=yes", "drug=unknown", "sex=f", "sex=m", "sex=unknown"]


@pytest.fixture
def cohort(here: Path) -> pd.DataFrame:
    """300 patients: those who are older take the drug, which raises ``level`` by one standard deviation."""
    rng = np.random.default_rng(0)
    age = rng.normal(60, 10, 300)
    taken = rng.random(300) < 1 / (1 + np.exp(-(age - 60) / 8))
    frame = pd.DataFrame(
        {
            "age": age.round(1),
            "level": (50 + 4 * taken + 4 * rng.normal(size=300)).round(3),
            "load": ((age - 60) / 10 + rng.normal(size=300)).round(3),
            "drug": np.where(taken, "yes", "no"),
            "sex": rng.choice(["f", "m"], 300),
        }
    )
    frame.loc[:9, "drug"] = None
    frame.loc[5:20, "level"] = np.nan
    return frame


@pytest.fixture
def data(cohort: pd.DataFrame) -> TableData:
    cohort.to_csv("cohort.csv", index=False)
    return TableData("cohort.csv")


def linear(data: TableData, **effects: float) -> Autoencoder:
    """An autoencoder that reconstructs each number exactly, plus ``effects`` if the drug is taken."""
    model = Autoencoder(spec=data.spec, latent=len(CONTENT), hidden=[], activation="linear")
    model.fit_encoders(data.training_inputs())
    assert model.encode.feature_names == CONTENT
    weights = torch.eye(len(CONTENT))
    for name, effect in effects.items():
        weights[CONTENT.index(name), CONTENT.index("drug=yes")] = effect
    with torch.no_grad():
        model.body.latent.weight.copy_(torch.eye(len(CONTENT)))
        model.body.latent.bias.zero_()
        model.decoder.linear1.weight.copy_(weights)
        model.decoder.linear1.bias.zero_()
    return model.eval()


def by_name(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("feature")


def test_shifts_are_those_of_the_reconstruction(data: TableData) -> None:
    models: list[Unsupervised] = [linear(data, level=0.5), linear(data, level=0.3, load=-0.2)]
    table = by_name(explain.perturb(models, data, "drug", "yes", method="bayes"))
    assert set(table.index) == {"age", "level", "load", "sex=m"}
    scale = data.training_inputs()[:, 1].numpy()
    spread = np.nanstd(scale)
    assert table["shift_sd"][["level", "load", "age"]].tolist() == pytest.approx([0.4, -0.1, 0.0], abs=1e-6)
    assert table["shift"]["level"] == pytest.approx(0.4 * spread, rel=1e-5)
    assert table["models_sd"]["level"] == pytest.approx(0.2 / 2**0.5, rel=1e-5)
    assert table["probability"][["level", "load", "age"]].tolist() == pytest.approx([1.0, 0.0, 0.0])
    assert table["p_value"].isna().all()
    back = by_name(explain.perturb(models, data, "drug", "no", method="bayes"))
    assert back["shift_sd"]["level"] == pytest.approx(-0.4, abs=1e-6)


def test_who_has_the_value_or_lacks_one_is_left_out(data: TableData, cohort: pd.DataFrame) -> None:
    ours = [linear(data, level=0.5)]
    count = int((cohort["drug"] == "no").sum())
    factor = by_name(explain.perturb(ours, data, "drug", "yes", method="bayes"))["bayes_factor"]["level"]
    assert factor == pytest.approx(np.log(2 * count - 1), rel=1e-6)  # all but half a difference are above 0
    test = int(((cohort["drug"] == "no").to_numpy() & (data.samples["split"] == "test").to_numpy()).sum())
    factor = by_name(explain.perturb(ours, data, "drug", "yes", method="bayes", split="test"))["bayes_factor"]["level"]
    assert factor == pytest.approx(np.log(2 * test - 1), rel=1e-6)


def test_numbers_and_categories_shift(data: TableData) -> None:
    model = linear(data)
    with torch.no_grad():
        model.decoder.linear1.weight[CONTENT.index("level"), CONTENT.index("age")] = 0.7
        model.decoder.linear1.weight[CONTENT.index("sex=m"), CONTENT.index("age")] = 0.5
    up = by_name(explain.perturb([model], data, "age", "+2 sd", method="bayes"))
    assert up["shift_sd"]["level"] == pytest.approx(1.4, rel=1e-4)
    assert 0.1 < up["shift"]["sex=m"] < 0.3  # in probability
    to = by_name(explain.perturb([model], data, "age", 40, method="bayes"))
    training = data.training_inputs()[:, 0].numpy()
    everybody = data.dataset.x[:, 0].numpy()
    expected = 0.7 * (40 - everybody).mean() / training.std()
    assert to["shift_sd"]["level"] == pytest.approx(expected, rel=1e-3)


def test_statistics_equal_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(50) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))
    rising = np.array([0.9, 0.2, 0.999, 0.5])
    np.testing.assert_allclose(bayes_factor(rising, 10**6), np.log(rising / (1 - rising)))
    assert np.isfinite(bayes_factor(np.array([0.0, 1.0]), 100)).all()
    # Ranked: 0.999, 0.9, 0.8 (falls), 0.5.
    expected = [0.101 / 2, 0.301 / 3, 0.001, 0.801 / 4]
    np.testing.assert_allclose(cumulative_evidence(rising, 10**6, np.ones(4)), expected)
    null = np.array([0.5, -2.0, 1.0])
    np.testing.assert_allclose(empirical_p(np.array([-3.0, 1.0, 0.1]), null), [1 / 4, 3 / 4, 1.0])


def test_vote_asks_half_of_the_models_in_three_of_four_sizes() -> None:
    rng = np.random.default_rng(1)
    p, sizes = rng.random((16, 200)), np.repeat([8, 16, 32, 64], 4)
    for level in (0.2, 0.5, 0.8):
        agreeing = np.stack([(p[sizes == size] <= level).sum(0) >= 2 for size in (8, 16, 32, 64)])
        assert ((vote(p, sizes.tolist()) <= level) == (agreeing.sum(0) >= 3)).all()


def test_t_tests_tell_a_shift_from_the_noise_of_the_models(data: TableData) -> None:
    models = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = VAE(spec=data.spec, latent=4, hidden=[])
        model.fit_encoders(data.training_inputs())
        with torch.no_grad():
            drug = torch.tensor([CONTENT.index("drug=no"), CONTENT.index("drug=yes")])
            model.mean.weight[:, drug] = 0.0
            model.mean.weight[0, drug] = torch.tensor([-0.4, 0.4])
            model.log_variance.weight[:, drug] = 0.0
            model.decoder.linear1.weight[:, 0] = 0.0
            model.decoder.linear1.weight[CONTENT.index("level"), 0] = 1.0
        models.append(model)
    table = by_name(explain.perturb(models, data, "drug", "yes", method="t_test"))
    assert table["significant"].to_dict() == {"level": True, "age": False, "load": False, "sex=m": False}
    assert table["shift_sd"]["level"] == pytest.approx(0.8, abs=1e-5)
    assert table["q_value"]["age"] == pytest.approx(min(1, 4 * table["p_value"]["age"]))


def test_univariate_equals_scipy_and_a_linear_model(data: TableData, cohort: pd.DataFrame) -> None:
    table = by_name(explain.univariate(data, "drug", "yes"))
    with_, without = (cohort.loc[cohort["drug"] == level, "load"] for level in ("yes", "no"))
    assert table["shift"]["load"] == pytest.approx(with_.mean() - without.mean(), rel=1e-4)
    assert table["p_value"]["load"] == pytest.approx(stats.ttest_ind(with_, without, equal_var=False).pvalue, rel=1e-3)
    assert table["significant"]["load"]  # through age
    known = cohort.dropna()
    design = np.column_stack([known["drug"] == "yes", np.ones(len(known)), known["age"], known["sex"] == "m"]).astype(
        float
    )
    inverse = np.linalg.inv(design.T @ design)
    adjusted = by_name(explain.univariate(data, "drug", "yes", adjust=["age", "sex", "drug"]))
    assert set(adjusted.index) == {"level", "load"}
    coefficients = inverse @ design.T @ known["level"]
    residual = known["level"] - design @ coefficients
    error = np.sqrt(inverse[0, 0] * residual @ residual / (len(known) - 4))
    assert adjusted["shift"]["level"] == pytest.approx(coefficients[0], rel=1e-4)
    expected = 2 * stats.t.sf(coefficients[0] / error, len(known) - 4)
    assert adjusted["p_value"]["level"] == pytest.approx(expected, rel=1e-3)
    assert not adjusted["significant"]["load"]
    line = stats.linregress(cohort["age"], cohort["load"])
    aged = by_name(explain.univariate(data, "age", "+1 sd"))
    assert aged["p_value"]["load"] == pytest.approx(line.pvalue, rel=1e-3)
    assert aged["shift"]["load"] == pytest.approx(
        line.slope * float(data.training_inputs()[:, 0].std(correction=0)), rel=1e-3
    )


def test_copies_keep_what_drives_a_column_but_not_what_it_does(data: TableData, cohort: pd.DataFrame) -> None:
    before = data.dataset.x.clone()
    copied = explain.with_copies(data, ["drug", "load"], ["age"], count=20)
    modality = copied.spec["modalities"]["table"]
    assert modality["features"][5:7] == ["drug (copy 1)", "drug (copy 2)"]
    assert modality["shape"] == [45]
    assert modality["levels"]["drug (copy 3)"] == ["no", "yes"]
    torch.testing.assert_close(data.dataset.x, before, equal_nan=True)
    assert copied.samples["split"].equals(data.samples["split"])
    assert copied.training.x.shape[1] == 45
    x = copied.dataset.x.numpy()
    assert np.isnan(x[:10, 5:25]).all()
    known = slice(21, None)  # everything but age and sex has gaps before
    taken, age, level, load = (x[known, column] for column in (3, 0, 1, 2))
    drawn, loads = x[known, 5:25], x[known, 25:45]
    assert drawn.mean() == pytest.approx(taken.mean(), abs=0.05)
    correlations = [np.corrcoef(copy, age)[0, 1] for copy in drawn.T]
    assert np.mean(correlations) == pytest.approx(np.corrcoef(taken, age)[0, 1], abs=0.06)
    others = np.column_stack([np.ones(len(age)), age, load])
    rest = level - others @ np.linalg.lstsq(others, level, rcond=None)[0]  # of the level, which age does not explain
    assert np.corrcoef(taken, rest)[0, 1] > 0.3
    assert abs(np.mean([np.corrcoef(copy, rest)[0, 1] for copy in drawn.T])) < 0.05
    assert loads.std() == pytest.approx(load.std(), rel=0.1)
    assert np.mean([np.corrcoef(copy, age)[0, 1] for copy in loads.T]) == pytest.approx(
        np.corrcoef(load, age)[0, 1], abs=0.06
    )


def test_an_ensemble_finds_planted_effects_and_no_others(here: Path) -> None:
    frame, planted = drugs(seed=7, patients=500), planted_pairs(7)
    wanted = planted[planted["effect"].abs() > 0.6]["feature"].tolist()
    frame = frame[["patient", "age", "bmi", *DRUGS[:3], *dict.fromkeys(wanted)]]
    frame.to_csv("small.csv", index=False)
    data = explain.with_copies(TableData("small.csv", id="patient", batch_size=128), DRUGS[:3], ["age", "bmi"], count=3)
    options = ["--model.latent=24", "--model.hidden=[48]", "--trainer.max_epochs=60"]
    models = explain.ensemble("vae_drugs", data, *options, n=2)
    assert list(here.iterdir()) == [here / "small.csv"]
    assert not torch.equal(models[0].mean.weight, models[1].mean.weight)
    table = explain.perturb(models, data, DRUGS[:3], "yes")
    found = table[table["significant"]].set_index(["perturbed", "feature"])
    truth = planted.set_index(["drug", "feature"])["effect"]
    true = found.index.isin(truth.index)
    assert true.sum() >= 5  # of nine
    assert (~true).sum() <= 1
    assert (np.sign(found["shift"][true]) == np.sign(truth[found.index[true]])).all()
    null = table.set_index(["perturbed", "feature"]).drop(truth.index, errors="ignore")["p_value"].dropna()
    assert len(null) > 15
    assert (null < 0.1).mean() < 0.25
    assert table[table["feature"] == "age"]["q_value"].isna().all()  # the copies are conditioned on it
    assert not table["feature"].str.contains("copy").any()
    assert not explain.univariate(data, DRUGS[:3], "yes")["feature"].str.contains("copy").any()


def test_the_simulated_cohort_is_as_it_says() -> None:
    data = TableData("drugs_simulated")
    assert data.spec["target"]["kind"] == "none"
    assert data.spec["modalities"]["table"]["covariates"] == ["centre"]
    assert data.dataset.x.shape == (1000, 134)
    truth = planted_pairs().set_index(["drug", "feature"])["effect"]
    assert len(truth) == 60
    assert truth.abs().min() == pytest.approx(0.2)
    assert truth.abs().max() == pytest.approx(1.0)
    adjust = ["age", "sex", "bmi", "centre", *DRUGS]
    plain, adjusted = (explain.univariate(data, DRUGS, "yes", adjust=given) for given in ([], adjust))
    adjusted = adjusted.set_index(["perturbed", "feature"])
    assert np.polyfit(truth, adjusted["shift_sd"][truth.index], 1)[0] == pytest.approx(0.9, abs=0.12)
    false = [
        (table["significant"] & table["feature"].isin(FEATURES)).sum() - 60 for table in (plain, adjusted.reset_index())
    ]
    assert false[0] > 100 > 40 > false[1]  # confounding, most of which was adjusted for
    pd.testing.assert_frame_equal(drugs(3, 50), drugs(3, 50))
    assert not planted_pairs(1).equals(planted_pairs(2))


def test_bad_input_is_told_in_one_line(data: TableData, message: Callable[..., str], frame: pd.DataFrame) -> None:
    model = linear(data)

    def told(*args: object, **options: object) -> str:
        return message(lambda: explain.perturb(*args, **{"method": "bayes", **options}))  # type: ignore[arg-type]

    assert "no feature 'drog'; did you mean drug?" in told([model], data, "drog", "yes")
    assert "'drug' has no level 'y' among training rows; known: no, yes" in told([model], data, "drug", "y")
    assert "'age' is a number; set it to one, or to '+1 sd', not 'old'" in told([model], data, "age", "old")
    assert "'drug' is a category" in told([model], data, "drug", "+1 sd")
    assert "give a list of trained models" in told([], data, "drug", "yes")
    assert "3 models or more of each latent size" in told([model] * 2, data, "drug", "yes", method="t_test")
    assert "no copies of 'drug'" in told([model], data, "drug", "yes", method="copies")
    assert "method 'baies' is unknown; did you mean bayes?" in told([model], data, "drug", "yes", method="baies")
    other = TableData("cohort.csv", features=["age", "drug"])
    assert "model 1 was trained on other data: 'level' is in one of them only" in told([model], other, "drug", "yes")
    levels = TableData("cohort.csv", covariates=["sex"])
    assert "trained on other data: levels, covariates or units differ" in told([model], levels, "drug", "yes")
    with_sex = linear_of(levels)
    assert "'sex' is a covariate" in told([with_sex], levels, "sex", "m")
    aimed = TableData("cohort.csv", target="drug")
    assert "'drug' is the target" in told([linear_of(aimed)], aimed, "drug", "yes")
    mlp = MLP(spec=aimed.spec)
    assert "model 1 is a MLP, which has no decoder" in told([mlp], aimed, "age", "+1 sd")
    assert "model 1 is not trained" in told([Autoencoder(spec=data.spec, latent=2)], data, "drug", "yes")
    assert "no feature 'ages'" in message(lambda: explain.with_copies(data, ["drug"], ["ages"]))
    copied = explain.with_copies(data, ["drug"])
    assert "'drug' has copies already" in message(lambda: explain.with_copies(copied, ["drug"]))
    assert "no feature 'ages' to adjust for" in message(lambda: explain.univariate(data, "drug", "yes", ["ages"]))


def linear_of(data: TableData) -> Autoencoder:
    model = Autoencoder(spec=data.spec, latent=2, hidden=[])
    model.fit_encoders(data.training_inputs())
    return model


def test_figures(data: TableData, message: Callable[..., str]) -> None:
    rng = np.random.default_rng(0)
    names = [f"gene_{number}" for number in range(100)]
    tables = [
        pd.DataFrame({"perturbed": drug, "feature": [*names, "age"], "shift_sd": rng.normal(size=101)}) for drug in "ab"
    ]
    table = pd.concat(tables, ignore_index=True)
    table["p_value"] = stats.norm.sf(table["shift_sd"].abs())
    table["significant"], table["bayes_factor"] = table["p_value"] < 0.05, 1.0
    figure = explain.shift_map(table, "two drugs")
    axes = figure.axes[0]
    shown = [label.get_text() for label in axes.get_xticklabels()]
    marked = set(table.loc[table["significant"], "feature"])
    assert set(shown) == marked
    assert len(axes.collections[0].get_offsets()) == table["significant"].sum()
    assert axes.get_title("left").startswith(f"two drugs: {len(marked)} of 101 features")
    points = explain.volcano(table, "b")
    count = sum(len(collection.get_offsets()) for collection in points.axes[0].collections)
    assert count == 101
    assert "no perturbed feature 'c' in the table; known: a, b" in message(lambda: explain.volcano(table, "c"))
    assert "known: a, b" in message(lambda: explain.volcano(table))
    bayes = explain.volcano(table.assign(p_value=np.nan), "a")
    assert "Bayes" in bayes.axes[0].get_ylabel()

"""The variational autoencoder: its bound, its conditions, its head, what it makes up."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import spec
from lightning.pytorch import Trainer, seed_everything
from sklearn.decomposition import PCA
from tables import fit, mixed, mixed_frame, plane  # noqa: F401 (fixtures)
from torch.distributions import Normal, kl_divergence

import zoo
from zoo.data import TableData
from zoo.models import VAE


def test_bound_is_that_of_the_paper(plane):
    torch.manual_seed(0)
    model = VAE(spec=plane.spec, latent=3)
    model.fit_encoders(x := plane.training_inputs())
    model.eval()
    mean, log_variance = model.posterior(model.encode(x))
    posterior = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(posterior, Normal(0.0, 1.0))
    terms = model.terms(x, 0)
    torch.testing.assert_close(terms[:, 2:], expected)
    torch.testing.assert_close(terms[:, 0], terms[:, 1] + expected.sum(1))
    torch.manual_seed(1)
    loss = model.loss({"x": x})
    torch.manual_seed(1)
    z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
    log_prob = Normal(model.decode(z), 1.0).log_prob(model.encode(x)).sum(1)
    torch.testing.assert_close(loss, expected.sum(1).mean() - log_prob.mean())


def test_linear_vae_reaches_the_exact_likelihood(plane):
    """Probabilistic PCA is the linear VAE whose likelihood is known (Lucas et al. 2019, arXiv:1911.02469)."""
    seed_everything(0)
    model = VAE(spec=plane.spec, latent=3, hidden=[], activation="linear")
    model.fit_encoders(x := plane.training_inputs())
    optimiser = torch.optim.Adam(model.parameters(), lr=0.03)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 2000)
    for _ in range(2000):
        optimiser.zero_grad()
        model.loss({"x": x}).backward()
        optimiser.step()
        plan.step()
    with torch.inference_mode():
        bound = -torch.stack([model.terms(x, step)[:, 0] for step in range(20)]).mean()
        weighted = model.importance_weighted(x, 50, torch.Generator().manual_seed(0)).mean()
        encoded = model.encode(x).numpy()
    exact = PCA(3).fit(encoded).score(encoded)
    assert float(bound) == pytest.approx(exact, abs=0.01)  # nats; benchmarks/linear_models.py measures the share
    assert float(weighted) == pytest.approx(exact, abs=0.01)


def test_free_bits_and_warm_up(plane):
    model = VAE(spec=plane.spec, latent=3)
    model.fit_encoders(x := plane.training_inputs())
    batch = {"x": x}

    def loss(**changes):
        for name, value in changes.items():
            setattr(model, name, value)
        torch.manual_seed(0)
        return float(model.loss(batch).detach())

    plain = loss()
    terms = model.terms(x, 0)
    divergence = float(terms[:, 2:].sum(1).mean())
    assert loss(beta=2.0) - plain == pytest.approx(divergence, rel=1e-4)
    # Each dimension costs at least its free bits, here more than any of them takes.
    most = float(terms[:, 2:].mean(0).max()) + 1
    assert loss(beta=1.0, free_bits=most) - plain == pytest.approx(3 * most - divergence, rel=1e-4)
    assert plain - loss(free_bits=0.0, warm_up=4) == pytest.approx(0.75 * divergence, rel=1e-4)  # in the first epoch


def test_a_condition_leaves_the_latent_space(mixed):
    seed_everything(0)
    told = fit(VAE(spec=mixed.spec, latent=2, lr=0.01), mixed, 60)
    frame = mixed_frame()
    rome = (frame["centre"] == "rome").to_numpy()
    z = told.predict(frame)[["latent_0", "latent_1"]]
    gap = np.abs(z[rome].mean() - z[~rome].mean()).max()
    assert gap < 0.5
    made = {c: told.sample(500, covariates={"centre": c})["dose"].mean() for c in ("rome", "oslo")}
    assert made["rome"] - made["oslo"] == pytest.approx(30, abs=8)
    shares = told.conditions({}, 4000, draw=True).mean(0)  # centres are drawn as often as they were seen
    torch.testing.assert_close(shares, told.covariate_mean, atol=0.03, rtol=0)
    commonest = told.conditions({}, 1)[0]
    assert commonest.sum() == 1
    assert commonest.argmax() == told.covariate_mean.argmax()


def test_generated_samples_resemble_real_ones(mixed):
    seed_everything(0)
    model = fit(VAE(spec=mixed.spec, latent=2, lr=0.01, variance="feature"), mixed, 80)
    frame, made = mixed_frame(), model.sample(2000, seed=1)
    pd.testing.assert_frame_equal(made, model.sample(2000, seed=1))
    assert not made.equals(model.sample(2000, seed=2))
    assert set(made["sex"]) == {"f", "m"}
    assert set(made["stage"]) == {"I", "II", "III"}
    assert made["level"].mean() == pytest.approx(frame["level"].mean(), abs=0.3)
    assert made["level"].std() == pytest.approx(frame["level"].std(), rel=0.25)
    women = made.groupby("sex")["level"].mean()
    assert women["f"] < women["m"] - 0.5  # what goes together stays together
    likelihood = model.log_likelihood(frame, samples=20)
    odd = frame.assign(level=frame["level"] + 4)
    assert (model.log_likelihood(odd, samples=20)[frame["level"].notna()] < likelihood[frame["level"].notna()]).all()


def test_more_samples_tighten_the_likelihood(plane):
    torch.manual_seed(0)
    model = VAE(spec=plane.spec, latent=3)
    model.fit_encoders(plane.training_inputs())
    frame = plane.frame().head(40)
    few, many = (model.log_likelihood(frame, samples=k).mean() for k in (1, 200))
    assert few < many
    assert model.log_likelihood(frame, samples=5).equals(model.log_likelihood(frame, samples=5))


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_a_head_learns_from_the_samples_with_a_target(kind, here):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 8))
    y = x[:, 0] + 0.1 * rng.normal(size=300)
    frame = pd.DataFrame(x, columns=[f"g{i}" for i in range(8)])
    frame["y"] = pd.Series(np.where(y > 0, "high", "low") if kind == "binary" else 100 + 10 * y)
    frame.loc[frame.index % 3 > 0, "y"] = np.nan  # two of three are unlabelled
    frame.to_csv("half.csv", index=False)
    options = ["--data=TableData", "--data.path=half.csv", "--data.target=y", "--data.unlabelled=keep"]
    options += ["--model.latent=3", "--model.network=mlp", "--model.lr=0.01", "--trainer.max_epochs=25"]
    run = zoo.fit("vae_digits", *options, "--model.supervision=20", "--data.batch_size=32")
    metric = "roc_auc" if kind == "binary" else "r2"
    assert run.evaluation.value(metric, "validation") > 0.5
    models = set(run.evaluation.scores.query("metric == @metric")["model"])
    assert {"VAE", "random forest"} < models  # baselines on the same labelled rows
    told = run.model.predict(frame)
    assert told["prediction"].notna().all()
    if kind == "regression":
        known = frame["y"].notna()
        assert np.corrcoef(told["prediction"][known], frame["y"][known])[0, 1] > 0.9
        assert 90 < told["prediction"].mean() < 110
    again = zoo.fit("vae_digits", *options, "--data.batch_size=32", "--trainer.max_epochs=1")
    assert "prediction" not in again.model.predict(frame)


def test_posterior_collapse_is_reported(plane, here, caplog):
    with caplog.at_level(logging.WARNING, "zoo"):
        run = zoo.fit("vae_digits", "--data=TableData", "--data.path=plane.csv", "--model.beta=100",
                      "--model.latent=4", "--trainer.max_epochs=8")  # fmt: skip
    assert "of 4 latent units are active" in caplog.text
    history = pd.read_csv(run.folder / "metrics.csv")
    assert history["validation_active_units"].iloc[-1] < 4
    assert {"validation_log_likelihood", "validation_divergence"} <= set(history)


def test_a_resumed_run_ends_where_the_whole_one_does(plane, here):
    options = ["--data=TableData", "--data.path=plane.csv", "--data.batch_size=64", "--model.warm_up=3"]
    whole = zoo.fit("vae_digits", *options, "--trainer.max_epochs=4")
    half = zoo.fit("vae_digits", *options, "--trainer.max_epochs=4", "--trainer.max_steps=10")
    rest = zoo.fit(str(half.folder), "--trainer.max_steps=-1", "--ckpt_path=last")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, rest.model.state_dict()[name]), name


@pytest.mark.parametrize(("shape", "kind"), [((1, 9, 9), None), ((2, 15), None), ((20,), "sequence")])
def test_images_series_and_dna(shape, kind):
    model = VAE(spec=spec(shape, kind=kind), latent=3)
    model.fit_encoders(x := model.encode.example(6))
    model.loss({"x": x}).backward()
    made = model.sample(4)
    assert len(made) == 4
    if kind == "sequence":
        assert set("".join(made.iloc[:, 0])) <= set("ACGT")
    else:
        assert made.shape == (4, *shape)


def test_a_trainer_alone_is_enough(here):
    data = TableData("pima")
    model = VAE(spec=data.spec, latent=4, supervision=1.0)
    Trainer(max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False).fit(model, data)
    told = model.predict(data.frame().head(3))
    assert told.columns.tolist()[:4] == ["probability_neg", "probability_pos", "prediction", "reconstruction_error"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"beta": -1}, "beta must be at least 0"),
        ({"variance": "wild"}, "variance 'wild' is unknown"),
        ({"supervision": 1}, "supervision needs a class, a value or a time as target"),
    ],
)
def test_what_cannot_be_built_says_why(options, words, plane, message):
    assert words in message(lambda: VAE(spec=plane.spec, **options))

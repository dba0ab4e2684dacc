"""MAD-GAN: it learns from normal series alone, finds what differs, and says so the same way every time."""

import numpy as np
import pytest
import torch
from conftest import lively, spec
from lightning.pytorch import Trainer, seed_everything
from sklearn.metrics import roc_auc_score

import zoo
from zoo import weights
from zoo.data import SeriesData
from zoo.models import MADGAN
from zoo.models.gans.madgan import Windows, invert

LENGTH = 24
SMALL = {"normal": "rest", "hidden": 8, "frame_length": 6, "noise": 1, "inversion_steps": 5, "lr": 0.01}


def waves(samples=160, tremor=1.0):
    """Slow waves in two channels; those of the class ``tremor`` also have a fast one, of this height."""
    rng, time = np.random.default_rng(0), np.arange(LENGTH)
    phase, height = rng.uniform(0, 1.5, (samples, 1)), rng.uniform(0.7, 1.3, (samples, 1))
    slow = height * np.sin(2 * np.pi * time / LENGTH + phase)
    x = np.stack([slow, -slow], 1) + 0.05 * rng.normal(size=(samples, 2, LENGTH))
    y = np.where(np.arange(samples) % 4 == 0, "tremor", "rest")
    x[y == "tremor", 0] += tremor * np.sin(2 * np.pi * time / 4)
    return x.astype(np.float32), y


def data(path="waves.npz", **options):
    x, y = waves()
    np.savez(path, X=x, y=y)
    return SeriesData(str(path), batch_size=16, **options)


def fit(model, series, epochs, **options):
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=series, **options)
    return model.eval()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trained model and its data."""
    series = data(tmp_path_factory.mktemp("waves") / "waves.npz")
    seed_everything(0)
    return fit(MADGAN(spec=series.spec, average=0.9, **SMALL), series, 25), series


def test_unusual_series_score_higher(trained):
    model, series = trained
    content, rows = series.dataset, series.dataset.rows("test")
    told = model.predict(series.frame().iloc[rows.numpy()])
    assert list(told) == ["anomaly_score", "anomaly", "reconstruction_error", "discrimination"]
    odd = (content.y[rows] != model.code).numpy()
    assert roc_auc_score(odd, told["anomaly_score"]) > 0.95
    assert told["anomaly"].dtype == bool
    assert told["anomaly"][odd].mean() > 0.8
    assert told["anomaly"][~odd].mean() < 0.35


def test_the_threshold_leaves_out_one_in_twenty_normal_validation_series(trained):
    model, series = trained
    x, y = (values[series.dataset.rows("validation")] for values in (series.dataset.x, series.dataset.y))
    scores = model.scores(model.raw_predictions(x[y == model.code]))
    assert float(model.threshold) == pytest.approx(float(torch.quantile(scores, 0.95)), rel=1e-4)


def test_a_score_has_standard_units_of_normal_training_series(trained):
    model, series = trained
    known = series.training_inputs()[series.training_targets() == model.code]
    parts = model.raw_predictions(known)
    torch.testing.assert_close(parts.mean(0), model.centre, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(parts.std(0, correction=0), model.spread, rtol=1e-3, atol=1e-4)
    assert float(parts[:, 0].mean()) == pytest.approx(1, abs=0.05)  # a reconstruction error of 1 is an ordinary one


def test_scores_over_time_are_high_where_the_anomaly_is(trained):
    model, series = trained
    x = series.training_inputs()[series.training_targets() == model.code][:20].clone()
    calm = model.scores(model.over_time(x))
    torch.testing.assert_close(calm.mean(1), model.scores(model.raw_predictions(x)))
    x[:, 0, 16:20] += 2
    raised = (model.scores(model.over_time(x)) - calm).mean(0)
    assert raised[16:20].mean() > 3 * raised[:10].mean()


@pytest.mark.parametrize("window", [None, 12])
def test_nothing_is_learnt_from_anomalies(window, here):
    states = []
    for height in (1.0, 5.0):
        x, y = waves(80, height)
        np.savez("waves.npz", X=x, y=y)
        series = SeriesData("waves.npz", batch_size=16)
        seed_everything(0)
        states.append(fit(MADGAN(spec=series.spec, window=window, **SMALL), series, 2).state_dict())
    for name, weight in states[0].items():
        assert weight.equal(states[1][name]), name


def test_a_resumed_run_ends_where_the_whole_one_does(here):
    data()
    options = ["--data.path=waves.npz", "--data.batch_size=16", *(f"--model.{k}={v}" for k, v in SMALL.items())]
    options += ["--model.schedule=constant", "--trainer.accelerator=cpu"]
    whole = zoo.fit("madgan_beats", *options, "--trainer.max_epochs=3")
    half = zoo.fit("madgan_beats", *options, "--trainer.max_epochs=2")
    resumed = zoo.fit(str(half.folder), "--trainer.max_epochs=3", "--ckpt_path=last")
    one, two = (weights.read_checkpoint(run.folder / "checkpoints/last.ckpt") for run in (whole, resumed))
    for name, weight in one["state_dict"].items():
        assert weight.equal(two["state_dict"][name]), name
    assert one["global_step"] == two["global_step"]
    assert not two["state_dict"]["threshold"].isnan()
    frame = resumed.data.frame().head(9)
    assert resumed.model.predict(frame).equals(whole.model.predict(frame))


def test_a_batch_without_normal_series_changes_nothing(here):
    x, y = waves(80)
    np.savez("waves.npz", X=x, y=y)
    series = SeriesData("waves.npz", batch_size=1)
    seed_everything(0)
    model = fit(MADGAN(spec=series.spec, schedule="step", schedule_epochs=1, **SMALL), series, 1)
    assert model.trainer.global_step == int((series.training_targets() == model.code).sum())
    assert model.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.001)  # once an epoch


def test_predictions_depend_neither_on_the_batch_nor_on_chance():
    model = lively(MADGAN(spec=spec((2, LENGTH), ("rest", "tremor")), average=0.9, window=12, **SMALL))
    x = model.encode.example(6)
    with torch.inference_mode():
        torch.testing.assert_close(model.raw_predictions(x), torch.cat([model.raw_predictions(one[None]) for one in x]))
        assert model.raw_predictions(x).equal(model.raw_predictions(x))
        assert model(x).equal(model(x))
        assert model(x).shape == (6, 1)
        assert model.embed(x).shape == (6, 16)
    assert "anomaly" not in model.predict(list(x.numpy()))  # its threshold is not known


def test_gradient_descent_finds_the_noise_of_generated_windows():
    model = lively(MADGAN(spec=spec((2, LENGTH), ("rest", "tremor")), **SMALL))
    before = [weight.clone() for weight in model.parameters()]
    with torch.inference_mode():
        noise = model.noise(30)
        made, start = model.generator(noise), torch.zeros_like(noise)
        losses = [float(invert(model.generator, made, start, n, 0.1, 0.0)[1].mean()) for n in (0, 10, 100)]
        assert losses[0] > 2 * losses[1] > 4 * losses[2]
        small, large = (invert(model.generator, made, start, 100, 0.1, p)[0].square().mean() for p in (0.0, 1.0))
        assert large < small
    for weight, was in zip(model.parameters(), before, strict=True):
        assert weight.equal(was)
        assert weight.requires_grad


def test_without_an_encoder_the_descent_starts_from_zeros():
    model = MADGAN(spec=spec((2, LENGTH), ("rest", "tremor")), cycle=0, average=0.5, **SMALL)
    assert model.generator.inverse is None
    assert not model.generator.guess(torch.randn(3, 2, LENGTH)).any()
    batch = {"x": model.encode.example(4)}
    assert model.generator_terms(batch, model.generate(batch)) == 0


@pytest.mark.parametrize(
    ("length", "window", "stride"), [(24, 24, 12), (24, 8, 4), (25, 8, 8), (25, 7, 3), (5, 1, 1), (9, 8, 1)]
)
def test_windows_cover_a_series_and_join_to_it_again(length, window, stride):
    windows, series = Windows(length, window, stride), torch.randn(3, 2, length)
    cut = windows.cut(series)
    assert cut.shape == (3 * len(windows.starts), 2, window)
    assert max(np.diff([*windows.starts, length])) <= max(stride, window)
    torch.testing.assert_close(windows.join(cut), series)


@pytest.mark.parametrize("frame", [1, 5, 24, 30])
def test_frames_need_not_fit_the_window(frame):
    model = MADGAN(spec=spec((2, LENGTH), ("rest", "tremor")), **{**SMALL, "frame_length": frame})
    x = model.encode.example(3)
    made = model.generate({"x": x})
    assert made.shape == (3, 2, LENGTH)
    assert model.discriminate(made, {})[0].shape == (3, -(-LENGTH // frame))
    assert model.over_time(x).shape == (3, 2, LENGTH)


def test_bad_options_raise_one_line(message):
    of = {"spec": spec((2, LENGTH), ("rest", "tremor"))}
    small = {name: value for name, value in SMALL.items() if name != "normal"}
    for wanted, options in {
        "normal: 'rests' is not a class of 'label'; did you mean rest?": {"normal": "rests"},
        "normal: '' is not a class of 'label'; known: rest, tremor": {"normal": ""},
        "a window of 25 time points is longer than the series, which have 24": {"normal": "rest", "window": 25},
        "stride must be between 1 and 12, not 13": {"normal": "rest", "window": 12, "stride": 13},
        "frame_length must be at least 1, not 0": {"normal": "rest", "frame_length": 0},
        "reconstruction_weight must be between 0 and 1, not 2": {"normal": "rest", "reconstruction_weight": 2},
    }.items():
        assert message(lambda options=options: MADGAN(**of, **{**small, **options})) == wanted
    no_class = {"spec": spec((2, LENGTH), ())}
    assert "--data.target" in message(lambda: MADGAN(**no_class, **SMALL))
    image = {"spec": spec((3, 8, 8), ("rest", "tremor"))}
    assert message(lambda: MADGAN(**image, **SMALL)) == "MADGAN is not available for image data; it is for series data"
    grams = {"encoding": {"layer": "gramian"}, **of}
    assert message(lambda: MADGAN(**grams, **SMALL)) == "MADGAN takes series, not images of series; leave out encoding"


def test_missing_normal_series_raise_one_line(here, message):
    series = data()
    model, content = MADGAN(spec=series.spec, **SMALL), series.dataset
    told = message(lambda: model.fit_encoders(content.x[:4], torch.ones(4, dtype=torch.long)))
    assert told == (
        "no training sample is of the class 'rest', which is normal; change data.fractions, data.seed or normal"
    )
    normal = (content.y == model.code).numpy()
    content.samples.loc[normal & (content.samples["split"] == "validation"), "split"] = "test"
    assert message(lambda: fit(model, series, 1)).startswith("no validation sample is of the class 'rest'")
    batches = [{"x": torch.ones(2, 2, LENGTH), "y": torch.tensor([1, 1])}]
    assert message(lambda: model.fit_score(batches, batches)).startswith("no training sample")

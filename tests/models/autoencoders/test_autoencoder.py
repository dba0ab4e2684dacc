"""Autoencoders as users rely on them: what they learn, what they build again, and what they refuse."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import image_spec, spec
from lightning.pytorch import seed_everything
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from tables import fit, mixed, mixed_frame, plane  # noqa: F401 (fixtures)

import zoo
from zoo.cli import main
from zoo.data import ImageData, TableData
from zoo.models import MLP, Autoencoder
from zoo.models.autoencoders.layers import TiedConvolution, TiedLinear


def test_linear_and_tied_is_pca(plane):
    seed_everything(0)
    model = Autoencoder(
        spec=plane.spec, latent=3, hidden=[], activation="linear", tied=True, lr=0.03, weight_decay=0, schedule="cosine"
    )
    fit(model, plane, 300)
    components = PCA(3).fit(model.encode(plane.training_inputs()).numpy()).components_
    angles = subspace_angles(components.T, model.body.latent.weight.detach().numpy().T)
    assert angles.max() < 1e-3
    assert isinstance(model.decoder.linear1, TiedLinear)


@pytest.mark.parametrize(
    ("shape", "kind"), [((2, 13), None), ((1, 8, 9), None), ((3, 7, 5, 6), None), ((21,), "sequence")]
)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("network", ["auto", "mlp"])
def test_samples_come_back_in_their_own_shape(shape, kind, tied, network):
    model = Autoencoder(spec=spec(shape, kind=kind), latent=4, network=network, tied=tied, normalisation="batch")
    model.fit_encoders(x := model.encode.example(6))
    assert model.embed(x).shape == (6, 4)
    assert model(x).shape == (6, *model.content) == (6, *model.encode.out_shape)
    assert model.encode.inverse(model(x)).shape == (6, *shape)
    kinds = {type(layer) for layer in model.decoder}
    assert (TiedConvolution in kinds) == (tied and network == "auto")
    model.loss({"x": x[:1]}).backward()  # a last batch of one
    assert all(w.grad is not None for w in model.parameters() if w.requires_grad)


def test_tied_weights_are_learnt_and_saved_once(plane):
    tied, free = (Autoencoder(spec=plane.spec, latent=3, hidden=[16], tied=flag) for flag in (True, False))
    assert sum(w.numel() for w in tied.parameters()) < 0.6 * sum(w.numel() for w in free.parameters())
    assert not [name for name in tied.state_dict() if name.startswith("decoder") and name.endswith("weight")]


def test_a_mixed_table_with_gaps_and_a_condition(mixed):
    seed_everything(0)
    model = fit(Autoencoder(spec=mixed.spec, latent=2, hidden=[32], lr=0.01), mixed, 60)
    frame = mixed_frame()
    built = model.reconstruct(frame)
    assert built.columns.tolist() == ["dose", "level", "sex", "stage"]  # the centre is given, not rebuilt
    assert (built["sex"] == frame["sex"]).mean() > 0.95
    assert (built["stage"] == frame["stage"]).mean() > 0.85
    assert np.corrcoef(built["dose"], frame["dose"])[0, 1] > 0.97
    assert built["level"].notna().all()  # gaps are filled in, near the truth
    gaps = frame["level"].isna()
    assert np.corrcoef(built["level"][gaps], frame["dose"][gaps] - 30 * (frame["centre"] == "rome")[gaps])[0, 1] < -0.8
    z = torch.zeros(1, 2)
    rome, oslo = (model.decode(z, model.conditions({"centre": c}, 1)) for c in ("rome", "oslo"))
    shift = model.encode.inverse(rome)[0, 0] - model.encode.inverse(oslo)[0, 0]
    assert float(shift) == pytest.approx(30, abs=8)


def test_what_was_not_measured_does_not_count(mixed):
    model = Autoencoder(spec=mixed.spec, latent=2)
    model.fit_encoders(mixed.training_inputs())
    model.eval()
    x = model.encode.example(4).nan_to_num(1.0)
    gap = x.clone()
    gap[:, 1] = torch.nan
    encoded, output = model.encode(gap), torch.randn(4, model.content[0])
    other = output.clone()
    other[:, 1] += 7.0
    errors = [
        model.likelihood.error(o, gap, model.split(encoded)[0], model.encode.observed(gap)) for o in (output, other)
    ]
    torch.testing.assert_close(*errors)


@pytest.mark.parametrize("noise", ["masking", "gaussian"])
def test_noise_is_for_training_only_and_leaves_the_truth_alone(noise, plane):
    model = Autoencoder(spec=plane.spec, latent=3, noise=noise, noise_level=0.5)
    model.fit_encoders(x := plane.training_inputs())
    torch.manual_seed(0)
    first, second = (float(model.loss({"x": x})) for _ in range(2))
    assert first != second
    torch.testing.assert_close(model.terms(x, 0), model.terms(x, 1))
    clean = model.encode(x)
    changed = model._noisy(clean)
    if noise == "masking":
        assert (changed == 0).float().mean() == pytest.approx(0.5, abs=0.05)
    else:
        assert (changed - clean).std() == pytest.approx(0.5, abs=0.05)


def test_sparsity_pulls_latent_values_to_zero(plane):
    size = {}
    for sparsity in (0.0, 1.0):
        seed_everything(0)
        model = fit(Autoencoder(spec=plane.spec, latent=6, hidden=[16], sparsity=sparsity, lr=0.01), plane, 100)
        size[sparsity] = float(model.embed(plane.training_inputs()).abs().mean())
    assert size[1.0] < 0.3 * size[0.0]


def test_predict_interpolate_and_a_way_through_weights(plane, here):
    seed_everything(0)
    model = fit(Autoencoder(spec=plane.spec, latent=3), plane, 5)
    frame = plane.frame()
    told = model.predict(frame)
    assert told.columns.tolist() == ["reconstruction_error", "latent_0", "latent_1", "latent_2"]
    np.testing.assert_allclose(told.iloc[:, 1:], model.embed(plane.dataset.x).detach(), atol=1e-6)
    truth = model.encode(plane.dataset.x)
    np.testing.assert_allclose(
        told["reconstruction_error"], (model(plane.dataset.x) - truth).square().mean(1).detach(), rtol=1e-5
    )
    way = model.interpolate(frame.iloc[:1], frame.iloc[1:2], steps=5)
    pd.testing.assert_frame_equal(
        way.iloc[[0, 4]], model.reconstruct(frame.iloc[:2]).set_axis([0, 4]), check_names=False
    )
    again = Autoencoder(**model.init_args)
    again.load_state_dict(model.state_dict())
    pd.testing.assert_frame_equal(again.predict(frame), told)


def test_command_line_from_a_table_without_target_to_weights(here, capsys):
    mixed_frame().to_csv("mixed.csv", index=False)
    options = ["--model=Autoencoder", "--model.latent=2", "--data=TableData", "--data.path=mixed.csv"]
    Path("mine.yaml").write_text("model: {class_path: Autoencoder}\ndata: {class_path: TableData}\n")
    main(["fit", "--config=mine.yaml", *options, "--trainer.max_epochs=3"])
    main(["crossval", "--config=runs/mine", "--folds=2", "--trainer.max_epochs=1"])
    main(["test", "--config=runs/mine"])
    assert {"explained_variance", "PCA"} <= set(capsys.readouterr().out.replace("\n", " ").split())
    run = Path("runs/mine/1")
    figures = {path.stem for path in (run / "figures").iterdir()}
    assert figures == {"learning_curve", "reconstruction_error", "latent_units", "features"}
    table = pd.read_csv(run / "predictions.csv", index_col=0)
    assert len(table) == 200
    assert "target" not in table
    main(["predict", "--config=runs/mine", "--data.path=mixed.csv", "--output=p.csv"])
    assert pd.read_csv("p.csv").columns.tolist() == ["row", "reconstruction_error", "latent_0", "latent_1"]
    main(["export", "runs/mine", "--to=w"])
    assert "Autoencoder" in Path("w/README.md").read_text()
    pd.testing.assert_frame_equal(
        zoo.load("w").predict(mixed_frame()).reset_index(drop=True),
        pd.read_csv("p.csv").iloc[:, 1:],
        check_dtype=False,
        rtol=1e-4,
    )


def test_a_target_is_for_looking_at_only(here):
    frame = mixed_frame().assign(outcome=lambda f: np.where(f["dose"] > 60, "high", "low"))
    frame.loc[:50, "outcome"] = np.nan
    frame.to_csv("mixed.csv", index=False)
    dropped = TableData("mixed.csv", target="outcome")
    assert len(dropped.samples) == frame["outcome"].notna().sum()
    kept = TableData("mixed.csv", target="outcome", unlabelled="keep")
    assert len(kept.samples) == 200
    assert "outcome" not in kept.spec["modalities"]["table"]["features"]
    run = zoo.fit("vae_digits", "--model=Autoencoder", "--data=TableData", "--data.path=mixed.csv",
                  "--data.target=outcome", "--data.unlabelled=keep", "--trainer.max_epochs=2")  # fmt: skip
    assert run.evaluation.value("neighbours_accuracy", "validation", "PCA") > 0.4
    assert run.evaluation.predictions["target"].isna().sum() == 51 - (kept.samples["split"][:51] == "test").sum()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"latent": 0}, "latent must be at least 1"),
        ({"network": "convolutional"}, "for a table use mlp"),
        ({"likelihood": "poisson"}, "is for counts of ExpressionData; these data are of the kind 'table'"),
        ({"tied": True}, "tied weights work neither with covariates"),
        ({"noise": "salt"}, "noise 'salt' is unknown"),
        ({"noise": "masking", "noise_level": 2}, "noise_level must be between 0 and 1"),
        ({"encoding": {"missing_indicator": True}}, "missing_indicator is for models that predict"),
    ],
)
def test_what_cannot_be_built_says_why(options, words, mixed, message):
    assert words in message(lambda: Autoencoder(spec=mixed.spec, **options))


def test_mistakes_in_use(mixed, message):
    model = Autoencoder(spec=mixed.spec, latent=2)
    told = message(lambda: model.conditions({"center": "rome"}, 1))
    assert "not a covariate of this model; did you mean centre" in told
    assert "not in the training data; known: oslo, rome" in message(lambda: model.conditions({"centre": "Wien"}, 1))
    assert "MLP needs a column to predict: give --data.target" in message(lambda: MLP(spec=mixed.spec))
    assert "k-mer embeddings cannot be reconstructed" in message(
        lambda: Autoencoder(spec=spec((20,), kind="sequence"), encoding={"layer": "k-mer"})
    )
    assert "one sample as start" in message(lambda: model.interpolate(mixed_frame(), mixed_frame()))


def test_a_latent_space_as_large_as_the_samples_is_reported(plane, caplog):
    with caplog.at_level(logging.WARNING, "zoo"):
        Autoencoder(spec=plane.spec, latent=10)
    assert "the latent space has 10 dimensions, samples have 10 values" in caplog.text


def test_folder_of_images_needs_no_classes(here, pixels):
    from conftest import save

    for number, image in enumerate(pixels):
        save(here / "flat" / f"{number:02}.png", image)
    data = ImageData("flat", target_kind="none")
    assert data.spec["target"]["kind"] == "none"
    model = Autoencoder(spec=data.spec, latent=2)
    model.fit_encoders(data.training_inputs())
    assert model.reconstruct(data.frame()).shape == (40, 1, 12, 16)


def test_gramian_fields_are_built_again_as_images():
    one = spec((1, 24))
    model = Autoencoder(spec=one, encoding={"layer": "gramian", "size": 16})
    model.fit_encoders(x := model.encode.example(5))
    assert model(x).shape == (5, *model.encode.out_shape)
    with pytest.raises(ValueError, match="is not invertible"):
        model.reconstruct(list(x.numpy()))


def test_images_of_any_target():
    for kind in ("binary", "multiclass", "regression"):
        model = Autoencoder(spec=image_spec(1, 8, 8, kind=kind))
        assert model.embed(model.encode.example(2)).shape == (2, 8)

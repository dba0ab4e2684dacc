"""Scores of models without a target: definitions and references."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from tables import plane  # noqa: F401 (a fixture)

from zoo.data import ExpressionData
from zoo.models import VAE, Autoencoder
from zoo.report import evaluate
from zoo.report.figures import write_figures
from zoo.report.representation.scores import evaluate_representation


def test_explained_variance_of_pca_is_that_of_scikit_learn(plane):
    torch.manual_seed(0)
    model = Autoencoder(spec=plane.spec, latent=3)
    model.fit_encoders(plane.training_inputs())
    found = evaluate(model.eval(), plane, ("train", "validation"))
    encoded = {
        split: model.encode(plane.dataset.x[plane.dataset.rows(split)]).numpy() for split in ("train", "validation")
    }
    pca = PCA(3).fit(encoded["train"])
    assert found.value("explained_variance", "train", "PCA") == pytest.approx(
        pca.explained_variance_ratio_.sum(), rel=1e-4
    )
    built = pca.inverse_transform(pca.transform(encoded["validation"]))
    errors = np.square(encoded["validation"] - built).sum() / np.square(encoded["validation"] - pca.mean_).sum()
    assert found.value("explained_variance", "validation", "PCA") == pytest.approx(1 - errors, rel=1e-4)
    assert found.value("explained_variance", "validation") < 0.5  # untrained
    assert found.predictions["split"].unique().tolist() == ["train", "validation"]


def test_a_model_that_copies_explains_everything(plane):
    model = Autoencoder(spec=plane.spec, latent=10, hidden=[], activation="linear", tied=True)
    model.fit_encoders(plane.training_inputs())
    with torch.no_grad():
        model.body.latent.weight.copy_(torch.eye(10))
        model.body.latent.bias.zero_()
    found = evaluate(model.eval(), plane)
    for split in ("train", "validation", "test"):
        assert found.value("explained_variance", split) == pytest.approx(1, abs=1e-5)
    assert found.predictions["reconstruction_error"].max() < 1e-10
    with torch.inference_mode():
        assert (evaluate_representation(model, plane, ["test"]).features > 0.999).all()


def test_counts_are_scored_by_their_deviance(tmp_path):
    data = ExpressionData("expression_simulated", most_variable=50)
    torch.manual_seed(0)
    model = VAE(spec=data.spec, latent=4, hidden=[16])
    model.fit_encoders(data.training_inputs(), data.training_targets())
    found = evaluate(model.eval(), data, ("train", "validation"))
    metrics = found.scores.groupby("model")["metric"].unique().map(set).to_dict()
    assert metrics["VAE"] == {"explained_deviance", "elbo", "neighbours_accuracy"}
    assert metrics["NMF"] == {"explained_deviance"}
    assert metrics["PCA"] == {"neighbours_accuracy"}
    assert 0 < found.value("explained_deviance", "validation", "NMF") < 1
    assert found.value("explained_deviance", "validation") < 0.05  # untrained
    assert found.value("neighbours_accuracy", "validation", "PCA") > 0.6
    names = {path.stem for path in write_figures(found, "counts", tmp_path)}
    assert names == {"reconstruction_error", "latent_units", "features"}

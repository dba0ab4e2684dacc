"""Loadings: correlations, and slopes of a decoder with known weights."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from scipy.sparse import csr_matrix
from scipy.stats import spearmanr

from zoo.latent import decoder_loadings, embed, loadings, pca, plot_loadings
from zoo.models import Autoencoder


@pytest.fixture
def planted() -> tuple[AnnData, pd.DataFrame]:
    """Unit 0 is minus age, unit 1 the cube of bmi, unit 2 constant; the last samples do not train."""
    rng = np.random.default_rng(0)
    age, bmi = rng.normal(size=(2, 100))
    x = np.stack([-age, bmi**3, np.ones(100)], 1)
    x[80:] = rng.normal(size=(20, 3))
    names = [f"p{number}" for number in range(100)]
    obs = pd.DataFrame({"split": ["train"] * 80 + ["test"] * 20}, index=names)
    adata = AnnData(x.astype(np.float32), obs, pd.DataFrame(index=["u0", "u1", "u2"]))
    sex = np.where(age > 0, "m", "f").astype(object)
    return adata, pd.DataFrame({"bmi": bmi, "age": age, "sex": sex}, index=names)


def test_correlations_are_those_of_training_samples(planted) -> None:
    adata, features = planted
    shuffled = features.sample(frac=1, random_state=0)  # matched by name
    table = loadings(adata, shuffled)
    assert table.index.tolist() == ["bmi", "age", "sex=f", "sex=m"]
    assert table.columns.tolist() == ["u0", "u1", "u2"]
    assert table.loc["age", "u0"] == pytest.approx(-1)
    assert table.loc["bmi", "u1"] == pytest.approx(1)
    assert table["u2"].isna().all()
    assert table.loc["sex=m", "u0"] == pytest.approx(-table.loc["sex=f", "u0"]) != 0
    expected = spearmanr(features["bmi"][:80], adata.X[:80, 0]).statistic
    assert table.loc["bmi", "u0"] == pytest.approx(expected)
    pearson = loadings(adata, features, method="pearson")
    assert pearson.loc["bmi", "u1"] == pytest.approx(np.corrcoef(features["bmi"][:80], adata.X[:80, 1])[0, 1], abs=1e-6)
    assert pearson.loc["bmi", "u1"] < 0.95


def test_missing_values_are_left_out_feature_by_feature(planted) -> None:
    adata, features = planted
    features.loc[features.index[:30], "age"] = np.nan
    features.loc["p70", "sex"] = None
    table = loadings(adata, features)
    assert table.loc["age", "u0"] == pytest.approx(-1)
    expected = spearmanr(features["age"][30:80], adata.X[30:80, 1]).statistic
    assert table.loc["age", "u1"] == pytest.approx(expected)
    assert table.loc["bmi", "u0"] == loadings(adata, features[["bmi"]]).loc["bmi", "u0"]


def test_components_and_sparse_genes(planted) -> None:
    adata, features = planted
    pca(adata, components=2)
    genes = AnnData(csr_matrix(features[["bmi", "age"]].to_numpy()), obs=features[[]])
    genes.var_names = ["BMI1", "AGE1"]
    table = loadings(adata, genes, "X_pca")
    assert table.columns.tolist() == ["PC 1", "PC 2"]
    assert abs(table.loc["BMI1", "PC 1"]) > 0.9  # the cube has most of the variance
    assert abs(table.loc["AGE1", "PC 2"]) > 0.9


def test_features_that_cannot_be_used(planted, message: Callable[..., str]) -> None:
    adata, features = planted
    assert "no features of sample 'p3'" in message(lambda: loadings(adata, features.drop(index="p3")))
    assert "call pca(adata) first" in message(lambda: loadings(adata, features, "X_pca"))
    named = features.assign(name=features.index)
    assert "column 'name' of the features has 80 different texts" in message(lambda: loadings(adata, named))
    assert "there are no features" in message(lambda: loadings(adata, features[[]]))
    assert "method 'kendall' is unknown" in message(lambda: loadings(adata, features, method="kendall"))


def linear(spec, weights: np.ndarray) -> Autoencoder:
    """A linear decoder with these weights, ``(features, latent)``."""
    model = Autoencoder(spec=spec, latent=weights.shape[1], hidden=[], activation="linear")
    with torch.no_grad():
        model.decoder[0].weight.copy_(torch.as_tensor(weights))
    return model.eval()


def test_slopes_of_a_linear_decoder_are_its_weights(pima, message: Callable[..., str], mlp) -> None:
    weights = np.zeros((8, 2), np.float32)
    weights[1, 0], weights[5, 1] = 0.5, -2.0
    model = linear(pima.spec, weights)
    model.fit_encoders(pima.training_inputs())
    adata = embed(model, pima)
    spread = adata.X[(adata.obs["split"] == "train").to_numpy()].std(0)
    table = decoder_loadings(model, adata)
    np.testing.assert_allclose(table.to_numpy(), weights * spread, atol=1e-5)
    assert table.index[[1, 5]].tolist() == ["glucose", "mass"]
    components = decoder_loadings(model, pca(adata), "X_pca")
    direct = weights @ (adata.varm["PCs"] * np.sqrt(adata.uns["pca"]["variance"]))
    np.testing.assert_allclose(components.to_numpy(), direct, rtol=0.01, atol=1e-4)
    assert "MLP has no decoder" in message(lambda: decoder_loadings(mlp, embed(mlp, pima)))
    hidden = embed(model, pima, "encode")
    assert "not 'encode'" in message(lambda: decoder_loadings(model, hidden))


def test_figure_shows_the_strongest_first(planted) -> None:
    adata, features = planted
    figure = plot_loadings(
        loadings(adata, features.assign(**{f"noise {n}": n * features["bmi"] ** 2 for n in range(9)}))
    )
    first, second, constant = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()][-1] == "age"
    assert len(first.patches) == 8
    assert [label.get_text() for label in second.get_yticklabels()][-1] == "bmi"
    assert not constant.patches
    assert figure.get_suptitle() == "Largest loadings of 13 features"
    assert figure.get_supxlabel() == "Spearman correlation"

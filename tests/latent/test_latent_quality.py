"""Quality measures of a latent space on synthetic data with known values."""

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from matplotlib.backends.backend_agg import FigureCanvasAgg
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

from zoo.data import TableData
from zoo.latent import compare, embed, plot_comparison, quality
from zoo.models import Autoencoder


def adata(x: np.ndarray, **columns: object) -> AnnData:
    """A third of the samples validate, the others train."""
    split = np.where(np.arange(len(x)) % 3, "train", "validation")
    obs = pd.DataFrame({"split": split, **columns}, index=map(str, range(len(x))))
    return AnnData(x.astype(np.float32), obs)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_separate_groups_are_perfect_and_mixed_ones_are_chance(rng) -> None:
    group = rng.integers(2, size=300)
    classes = pd.Categorical.from_codes(group, ["a", "b"])
    noise = rng.normal(size=(300, 3))
    apart = quality(adata(noise + 100 * group[:, None], target=classes))
    assert apart["silhouette"] > 0.95
    assert apart["knn_accuracy"] == 1
    assert apart["knn_se"] == 0
    mixed = quality(adata(noise, target=classes))
    assert abs(mixed["silhouette"]) < 0.05
    assert mixed["knn_accuracy"] == pytest.approx(0.5, abs=0.15)
    assert mixed["knn_se"] == pytest.approx((0.25 / 100) ** 0.5, rel=0.2)
    assert mixed["samples"] == 100


def test_neighbours_are_training_samples(rng) -> None:
    """Validation samples coincide with training samples of the other class; test samples are not used."""
    x = rng.normal(size=(90, 2))
    group = rng.integers(2, size=90)
    x[::3], group[::3] = x[1::3], 1 - group[1::3]
    made = adata(x, target=pd.Categorical.from_codes(group, ["a", "b"]))
    assert quality(made, k=1)["knn_accuracy"] == 0
    assert quality(made, split="train", k=1)["knn_accuracy"] > 0.2  # a sample is not its own neighbour
    made.obs.loc[made.obs_names[:30], "split"] = "test"
    before = quality(made, k=5)
    made.X[:30] = 1e3 * rng.normal(size=(30, 2))
    pd.testing.assert_series_equal(before, quality(made, k=5))
    assert quality(made, split="test", k=5)["samples"] == 30


def test_knn_is_scikit_learns(rng) -> None:
    x, group = rng.normal(size=(300, 3)), rng.integers(3, size=300)
    x[:, 0] += group
    made = adata(x, target=pd.Categorical.from_codes(group, list("abc")))
    train = (made.obs["split"] == "train").to_numpy()
    expected = KNeighborsClassifier(1).fit(x[train], group[train]).score(x[~train], group[~train])
    assert quality(made, k=1)["knn_accuracy"] == pytest.approx(expected)
    assert quality(made)["majority_accuracy"] == pytest.approx(
        (group[~train] == np.bincount(group[train]).argmax()).mean()
    )


def test_numbers_have_r2(rng) -> None:
    x = rng.uniform(size=(600, 1))
    smooth = quality(adata(x, target=3 * x[:, 0] + 5))
    assert smooth["knn_r2"] > 0.99
    noise = quality(adata(x, target=rng.normal(size=600)))
    assert noise["knn_r2"] < 0.2
    assert "silhouette" not in noise
    censored = adata(x, target=3 * x[:, 0])
    censored.uns["target"] = {"kind": "survival"}
    assert "knn_r2" not in quality(censored)
    gaps = quality(adata(x, target=np.where(np.arange(600) < 6, np.nan, 3 * x[:, 0])))
    assert gaps["knn_r2"] > 0.99


def test_batches_mixed_and_apart(rng) -> None:
    x, batch = rng.normal(size=(600, 4)), rng.integers(3, size=600)
    batches = pd.Categorical.from_codes(batch, ["A", "B", "C"])
    assert quality(adata(x, batch=batches), batch="batch")["batch_mixing"] == pytest.approx(1, abs=0.05)
    apart = adata(x + 50 * batch[:, None], batch=batches)
    assert quality(apart, batch="batch")["batch_mixing"] == pytest.approx(0, abs=0.01)
    rare = rng.random(600) < 0.05  # unequal batches can be perfectly mixed too
    assert quality(adata(x, batch=rare), batch="batch")["batch_mixing"] == pytest.approx(1, abs=0.15)


def test_trustworthiness_falls_with_false_neighbours_continuity_with_torn_ones(rng) -> None:
    plane = rng.normal(size=(300, 2))
    reference = adata(plane)
    rows = np.arange(300) % 3 == 0
    crushed = quality(adata(plane[:, :1]), reference)
    assert crushed["trustworthiness"] == pytest.approx(trustworthiness(plane[rows], plane[rows, :1], n_neighbors=15))
    assert crushed["continuity"] > crushed["trustworthiness"] + 0.1
    torn = quality(adata(plane + 100 * (rng.random(300) < 0.5)[:, None]), reference)
    assert torn["trustworthiness"] > torn["continuity"] + 0.05
    same = quality(adata(3 * plane), reference)
    assert (same["trustworthiness"], same["continuity"]) == (1, 1)


def test_units_in_use_and_dimension(rng) -> None:
    x = rng.normal(size=(3000, 6))
    assert quality(adata(x))["effective_dimension"] == pytest.approx(6, abs=0.1)
    x[:, 3:] *= 0.05
    found = quality(adata(x))
    assert (found["units"], found["active_units"]) == (6, 3)
    assert found["effective_dimension"] == pytest.approx(3, abs=0.1)
    line = quality(adata(np.outer(x[:, 0], np.ones(5))))
    assert line["effective_dimension"] == pytest.approx(1)
    wide = rng.normal(size=(30, 200))
    centred = wide[np.arange(30) % 3 > 0] - wide[np.arange(30) % 3 > 0].mean(0)
    variances = np.linalg.svd(centred)[1] ** 2
    expected = variances.sum() ** 2 / np.square(variances).sum()
    assert quality(adata(wide))["effective_dimension"] == pytest.approx(expected, rel=1e-4)
    assert quality(adata(np.ones((30, 2))))["effective_dimension"] == 0


def test_an_embedding_without_splits_is_measured_on_all_samples(rng) -> None:
    group = np.arange(40) % 2
    x = (rng.normal(size=(40, 2)) + 50 * group[:, None]).astype(np.float32)
    bare = AnnData(x)
    assert quality(bare)["samples"] == 40
    bare.obs["target"] = pd.Categorical.from_codes(group, ["a", "b"])
    assert quality(bare)["knn_accuracy"] == 1


def test_many_samples_are_drawn_by_the_seed(rng, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["zoo.latent.quality"], "MOST", 50)
    made = adata(rng.normal(size=(300, 2)), target=pd.Categorical.from_codes(rng.integers(2, size=300), ["a", "b"]))
    one, again, other = quality(made), quality(made), quality(made, seed=1)
    assert one["samples"] == 50
    pd.testing.assert_series_equal(one, again)
    assert one["silhouette"] != other["silhouette"]


def test_few_samples_give_no_numbers_in_place_of_wrong_ones(rng) -> None:
    made = adata(rng.normal(size=(6, 2)), target=pd.Categorical(list("aabbab")), batch=list("xyxyxy"))
    found = quality(made, made, batch="batch")
    assert found["samples"] == 2
    assert np.isnan([found["silhouette"], found["trustworthiness"], found["batch_mixing"]]).all()


def test_what_cannot_be_measured(rng, message: Callable[..., str]) -> None:
    made = adata(rng.normal(size=(60, 2)), batch=["A"] * 60)
    assert "no sample has the split 'test'; known: validation, train" in message(lambda: quality(made, split="test"))
    assert "split 'valid' is unknown" in message(lambda: quality(made, split="valid"))
    assert "no column 'batchh'" in message(lambda: quality(made, batch="batchh"))
    assert "has a single batch, 'A'" in message(lambda: quality(made, batch="batch"))
    assert "same samples in the same order" in message(lambda: quality(made, made[:30].copy()))
    made.X[3, 1] = np.nan
    assert "sample '3' has a value that is not finite" in message(lambda: quality(made))


def test_layers_of_a_model_beside_principal_components(mlp, pima, message: Callable[..., str]) -> None:
    table = compare(mlp, pima)
    assert table.index.tolist() == [
        "encode",
        "body.linear1",
        "body.relu1",
        "body.linear2",
        "latent",
        "PCA of the input",
    ]
    assert table.attrs["title"] == "Latent spaces of MLP, 115 validation samples"
    assert table["units"].tolist() == [8, 16, 16, 8, 8, 8]
    assert table.loc["encode", "trustworthiness"] == 1
    # As many components as there are inputs rotate the space and change no distance.
    pd.testing.assert_series_equal(
        table.loc["encode"].drop("active_units"),
        table.loc["PCA of the input"].drop("active_units"),
        check_names=False,
        rtol=1e-3,
    )
    pd.testing.assert_series_equal(
        table.loc["latent"], quality(embed(mlp, pima), embed(mlp, pima, "encode")), check_names=False
    )
    assert compare(mlp, pima, ["body.relu1"]).index.tolist() == ["body.relu1", "latent", "PCA of the input"]
    assert "no layer 'body.relu9'" in message(lambda: compare(mlp, pima, ["body.relu9"]))


def test_an_autoencoder_is_compared_up_to_its_latent_space(pima) -> None:
    model = Autoencoder(spec=pima.spec, latent=2, hidden=[4])
    model.fit_encoders(pima.training_inputs())
    table = compare(model, pima)
    assert not any(name.startswith("decoder") for name in table.index)
    assert table.loc[["latent", "PCA of the input"], "units"].tolist() == [2, 2]
    # Two components are the best linear map to two dimensions; random weights are not.
    assert table.loc["PCA of the input", "trustworthiness"] > table.loc["latent", "trustworthiness"]


def test_the_figure_shows_every_number(mlp, pima) -> None:
    table = compare(mlp, pima)
    table.loc["body.linear1", "silhouette"] = np.nan
    figure = plot_comparison(table)
    FigureCanvasAgg(figure).draw()
    (axis,) = figure.axes
    texts = [text.get_text() for text in axis.texts]
    assert len(texts) == len(table) * 7
    assert f"{table.loc['latent', 'knn_accuracy']:.3f} ± {table.loc['latent', 'knn_se']:.3f}" in texts
    assert "-" in texts
    assert [label.get_text() for label in axis.get_yticklabels()] == table.index.tolist()
    progression = TableData("diabetes_progression")
    model = Autoencoder(spec=progression.spec, latent=2, hidden=[4])
    model.fit_encoders(progression.training_inputs())
    numbers = plot_comparison(compare(model, progression)).axes[0]
    assert "kNN R²" in [label.get_text() for label in numbers.get_xticklabels()]

"""Latent space: names, splits, entries of AnnData, errors, and legible figures."""

import random
import re
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from sklearn.decomposition import PCA
from umap import UMAP

import zoo.latent
from zoo.data import TableData
from zoo.errors import InputError
from zoo.latent import cluster, embed, explore, heatmap, layers, pca, plot, umap
from zoo.latent.colours import OKABE_ITO
from zoo.models import MLP


def mlp(data, **options):
    torch.manual_seed(0)
    model = MLP(spec=data.spec, **{"hidden": [16, 8], **options})
    model.fit_encoders(data.training_inputs())
    return model


@pytest.fixture(scope="module")
def data():
    return TableData("pima")


@pytest.fixture(scope="module")
def model(data):
    return mlp(data)


@pytest.fixture(scope="module")
def mapped(model, data):
    """Never changed by a test: copy it first."""
    return umap(pca(embed(model, data)))


@pytest.fixture
def adata(mapped):
    return mapped.copy()


@pytest.fixture(scope="module")
def numbers():
    return TableData("diabetes_progression")


def test_import_is_light():
    """A fresh interpreter would tell more, but takes seconds; these cost seconds too."""
    for path in Path(zoo.latent.__file__).parent.glob("*.py"):
        imported = {
            line.split()[1].split(".")[0] for line in path.read_text().splitlines() if re.match("import|from", line)
        }
        assert not imported & {"umap", "numba", "plotly", "igraph", "sklearn"}


def test_layers_in_order_with_widths(model):
    assert list(layers(model).items()) == [
        ("encode", 8),
        ("body.linear1", 16),
        ("body.relu1", 16),
        ("body.linear2", 8),
        ("body.relu2", 8),
        ("body", 8),
        ("head", 1),
    ]


def test_embed_gives_table_targets_and_predictions(model, data):
    adata = embed(model, data)
    assert adata.shape == (768, 8)
    assert adata.X.dtype == np.float32
    assert list(adata.obs.columns) == [
        *data.samples.columns,
        "target",
        "probability_neg",
        "probability_pos",
        "prediction",
    ]
    assert list(adata.obs_names) == list(data.samples.index)
    assert list(adata.var_names) == [f"latent:{unit}" for unit in range(8)]
    assert (adata.obs["target"].astype(str) == adata.obs["diabetes"].astype(str)).all()
    assert list(adata.obs["target"].cat.categories) == ["neg", "pos"]
    with torch.inference_mode():
        np.testing.assert_array_equal(adata.X, model.embed(data.dataset.x).numpy())
    predicted = model.predict(data.samples)
    np.testing.assert_allclose(adata.obs["probability_pos"], predicted["probability_pos"], rtol=1e-6)
    assert (adata.obs["prediction"].astype(str) == predicted["prediction"]).all()


def test_stand_ins_for_missing_values_are_missing(model, data):
    assert (data.samples["insulin"] == 0).sum() == embed(model, data).obs["insulin"].isna().sum() > 0


def test_embed_a_layer(model, data):
    adata = embed(model, data, "body.linear1")
    assert adata.uns["layer"] == "body.linear1"
    assert adata.var_names[15] == "body.linear1:15"
    with torch.inference_mode():
        np.testing.assert_array_equal(adata.X, model.body.linear1(model.encode(data.dataset.x)).numpy())
    assert not model.body.linear1._forward_hooks


def test_embed_restores_the_mode_of_each_layer(data):
    model = mlp(data, dropout=0.5)
    model.train()
    model.body.dropout1.eval()
    first, second = embed(model, data), embed(model, data)
    np.testing.assert_array_equal(first.X, second.X)
    assert model.training
    assert model.body.dropout2.training
    assert not model.body.dropout1.training


def test_embed_a_raw_table_with_names_that_repeat(model, data):
    frame = data.samples.drop(columns="split").set_axis(["a", "a", *map(str, range(766))], axis=0)
    adata = embed(model, frame[frame.columns[::-1]])
    np.testing.assert_array_equal(adata.X, embed(model, data).X)
    assert adata.obs_names.is_unique
    assert adata.obs_names[0] == "a"
    assert "split" not in adata.obs
    assert "target" not in embed(model, frame.drop(columns="diabetes")).obs
    frame.loc[frame.index[3], "diabetes"] = "unknown to the model"
    assert embed(model, frame).obs["target"].iloc[3] == "unknown to the model"


def test_embed_a_regression(numbers):
    adata = embed(mlp(numbers), numbers)
    np.testing.assert_array_equal(adata.obs["target"], numbers.dataset.y.numpy())
    assert pd.api.types.is_float_dtype(adata.obs["prediction"])
    assert adata.uns["target"]["kind"] == "regression"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("body.relu3", "no layer .*; did you mean body.relu2 or body.relu1"),
        ("outputs", "has no output for each sample"),
    ],
)
def test_unusable_layer(model, data, layer, message):
    with pytest.raises(InputError, match=message):
        embed(model, data, layer)


def test_other_features_or_levels(model, data, tmp_path):
    with pytest.raises(InputError, match=r"feature 2 is 'pressure', the model expects 'glucose'; call data.conform"):
        embed(model, TableData("pima", features=[name for name in data.samples.columns[:8] if name != "glucose"]))
    frame = pd.DataFrame(
        {"colour": list("rgb" * 20), "size": [1.5 * i for i in range(60)], "y": [0.5 * i for i in range(60)]}
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.replace("r", "x").to_csv(tmp_path / "b.csv", index=False)
    a, b = (TableData(str(tmp_path / name), target="y") for name in ("a.csv", "b.csv"))
    with pytest.raises(InputError, match="levels of 'colour' differ"):
        embed(mlp(a), b)
    assert embed(mlp(a), TableData(str(tmp_path / "b.csv"), target="y").conform(a.spec)).n_obs == 60


def test_h5ad_round_trip(model, data, adata, tmp_path):
    cluster(adata).write_h5ad(tmp_path / "latent.h5ad")
    again = anndata.read_h5ad(tmp_path / "latent.h5ad")
    pd.testing.assert_frame_equal(again.obs, adata.obs)
    np.testing.assert_array_equal(again.obsm["X_umap"], adata.obsm["X_umap"])
    assert again.uns["layer"] == "latent"


def test_h5ad_of_an_untidy_table(model, data, tmp_path):
    frame = data.samples.head(4).assign(
        **{
            "mixed": [1, "a", None, 2.5],
            "empty": [None] * 4,
            "flag": [True, None, False, True],
            "when": pd.to_datetime(["2020-01-01", None, "2020-01-02", "2020-01-03"]),
            "whole": pd.array([1, None, 3, 4], dtype="Int64"),
            "fraction": pd.array([1.5, None, 3, 4], dtype="Float64"),
            "coded": pd.Categorical([1, "b", 1, None]),
            "LDL/HDL": [1.0, 2.0, 3.0, 4.0],
        }
    )
    frame[7] = list("abcd")
    frame.index.name = "glucose"  # also a column, of other values
    embed(model, frame).write_h5ad(tmp_path / "untidy.h5ad")
    obs = anndata.read_h5ad(tmp_path / "untidy.h5ad").obs
    assert list(obs["mixed"].astype(object).fillna("-")) == ["1", "a", "-", "2.5"]
    assert list(obs["whole"].fillna(-1)) == [1, -1, 3, 4]
    assert {"LDL_HDL", "7"} <= set(obs.columns)


def test_pca_is_scikit_learns_on_training_rows(adata):
    train = (adata.obs["split"] == "train").to_numpy()
    expected = PCA(3).fit(adata.X[train])
    assert pca(adata, components=3) is adata
    np.testing.assert_allclose(adata.obsm["X_pca"], expected.transform(adata.X), atol=1e-5)
    np.testing.assert_allclose(adata.varm["PCs"], expected.components_.T, atol=1e-5)
    np.testing.assert_allclose(adata.uns["pca"]["variance_ratio"], expected.explained_variance_ratio_, rtol=1e-5)
    with pytest.raises(InputError, match="components must be between 1 and 8, not 9"):
        pca(adata, components=9)


def test_pca_without_splits_uses_all_rows(adata):
    del adata.obs["split"]
    np.testing.assert_allclose(pca(adata).obsm["X_pca"].mean(0), 0, atol=1e-4)


def test_umap_learns_from_training_rows_only_and_repeats(adata):
    before, train = adata.obsm["X_umap"].copy(), (adata.obs["split"] == "train").to_numpy()
    assert before.shape == (768, 2)
    adata.X[~train] = np.random.default_rng(1).normal(size=(int((~train).sum()), 8)).astype(np.float32)
    umap(adata)
    np.testing.assert_array_equal(adata.obsm["X_umap"][train], before[train])
    assert not np.allclose(adata.obsm["X_umap"][~train], before[~train])


def test_umap_leaves_the_number_of_threads(adata, monkeypatch):
    fit = UMAP.fit_transform
    monkeypatch.setattr(UMAP, "fit_transform", lambda self, x: (torch.set_num_threads(2), fit(self, x))[1])
    umap(adata)  # numba takes all cores for larger data
    assert torch.get_num_threads() == 1  # as before: bit-equal reruns need it


def test_umap_of_too_few_training_samples(adata):
    with pytest.raises(InputError, match="UMAP with 15 neighbours needs more than 15 training samples, not 10"):
        umap(adata[np.flatnonzero(adata.obs["split"] == "train")[:10]].copy())


@pytest.mark.parametrize("step", [pca, umap, cluster, heatmap])
def test_value_that_is_not_finite(adata, step):
    adata.obs["cluster"] = "0"
    adata.X[4, 2] = np.nan
    with pytest.raises(InputError, match="sample '5' has a value that is not finite"):
        step(adata)


@pytest.mark.parametrize("method", ["kmeans", "hdbscan", "leiden"])
def test_clusters_find_separate_groups_and_repeat(method):
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [60, 40, 20])
    x = (rng.normal(size=(120, 4)) + 30 * truth[:, None]).astype(np.float32)
    adata = anndata.AnnData(
        x, obs=pd.DataFrame({"target": pd.Categorical(truth.astype(str))}, index=map(str, range(120)))
    )
    options = {"resolution": 0.1} if method == "leiden" else {}
    state = random.getstate()
    cluster(adata, method, **options)
    assert random.getstate() == state
    found = adata.obs["cluster"]
    assert isinstance(found.dtype, pd.CategoricalDtype)
    assert list(found.cat.categories[:3]) == ["0", "1", "2"]  # the largest first
    sure = (found != "noise").to_numpy()
    assert sure.mean() > 0.8
    assert (found[sure].astype(int) == truth[sure]).all()
    pd.testing.assert_series_equal(cluster(adata.copy(), method, **options).obs["cluster"], found)


def test_leiden_resolution(adata):
    few, many = (cluster(adata, "leiden", resolution=r).obs["cluster"].nunique() for r in (0.2, 2.0))
    assert few < many


def test_cluster_errors(adata, numbers):
    with pytest.raises(InputError, match="method 'kmean' is unknown; did you mean kmeans"):
        cluster(adata, "kmean")
    with pytest.raises(InputError, match="leave out clusters"):
        cluster(adata, "leiden", clusters=3)
    with pytest.raises(InputError, match="clusters must be between 1 and 768, not 1000"):
        cluster(adata, clusters=1000)
    regression = embed(mlp(numbers), numbers)
    with pytest.raises(InputError, match="k-means needs a number of clusters"):
        cluster(regression)
    assert cluster(regression, clusters=3).obs["cluster"].nunique() == 3


def texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_plot_says_what_it_shows(adata):
    figure = plot(adata)
    (axis,) = figure.axes
    assert axis.get_title() == "UMAP of latent space (8 units)"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("UMAP 1", "UMAP 2")
    shares = adata.uns["pca"]["variance_ratio"]
    assert plot(adata, "X_pca").axes[0].get_xlabel() == f"PC 1 ({shares[0]:.0%} of variance)"
    assert texts(figure)[:3] == ["diabetes", "neg", "pos"]
    assert texts(figure)[4:] == ["split", "train (538)", "validation (115)", "test (115)"]
    assert sum(len(points.get_offsets()) for points in axis.collections) == 768
    assert len({tuple(map(tuple, points.get_paths()[0].vertices)) for points in axis.collections}) == 3


def test_legend_is_outside_the_axes(adata):
    for figure in (plot(adata), plot(adata, "X_pca", "age"), heatmap(cluster(adata))):
        figure.draw_without_rendering()
        left = figure.legends[0].get_window_extent().x0
        assert left >= max(axis.get_tightbbox().x1 for axis in figure.axes)
        assert figure.legends[0].get_window_extent().x1 <= figure.bbox.x1


def test_colours_of_columns(adata):
    point = plot(adata).axes[0].collections[0].get_facecolors()
    assert {tuple(np.round(255 * rgba[:3])) for rgba in point} == {
        tuple(int(hexa[i : i + 2], 16) for i in (1, 3, 5)) for hexa in OKABE_ITO[:2]
    }
    figure = plot(adata, colour="insulin")  # numbers, many of them missing
    assert figure.axes[1].get_ylabel() == "insulin [µU/mL]"
    assert texts(figure)[:2] == ["insulin [µU/mL]", "missing"]
    adata.obs["sample"] = adata.obs_names
    many = plot(adata, colour="sample")
    assert texts(many)[19] == "other"
    FigureCanvasAgg(many).draw()
    assert many.legends[0].get_window_extent().y0 >= 0  # all of it is in the figure
    assert texts(plot(cluster(adata), colour="cluster"))[:3] == ["cluster (kmeans)", "0", "1"]
    with pytest.raises(InputError, match=r"no column 'glucos' .* did you mean glucose"):
        plot(adata, colour="glucos")


def test_plot_before_its_basis(model, data):
    with pytest.raises(InputError, match=r"call umap\(adata\) first"):
        plot(embed(model, data))


def test_figures_show_themselves_and_leave_pyplot_alone(adata):
    assert plot(adata)._repr_png_()[0].startswith(b"\x89PNG")
    assert heatmap(cluster(adata))._repr_png_()[0].startswith(b"\x89PNG")
    from matplotlib import pyplot

    assert not pyplot.get_fignums()


def test_interactive_names_the_samples(adata):
    adata.obs_names = ["<patient>", *adata.obs_names[1:]]
    figure = plot(adata, interactive=True)
    hover = [text for trace in figure.data for text in trace.text]
    assert len(hover) == 768
    assert "<b>&lt;patient&gt;</b><br>target: pos<br>prediction: " in "".join(hover)
    assert {trace.name for trace in figure.data} >= {"neg, train", "pos, test"}
    assert figure.layout.xaxis.title.text == "UMAP 1"
    coloured = plot(adata, "X_pca", "age", interactive=True)
    assert [trace.name for trace in coloured.data] == ["train", "validation", "test"]
    assert coloured.layout.coloraxis.colorbar.title.text == "age [years]"


def test_heatmap_draws_a_fair_share(adata):
    figure = heatmap(cluster(adata))
    assert figure.get_suptitle() == "latent space (8 units)\n500 of 768 samples"
    image = next(axis.images[0] for axis in figure.axes if axis.get_xlabel() == "unit")
    assert image.get_array().shape == (500, 8)
    strips = next(axis.images[0] for axis in figure.axes if len(axis.images) and axis.get_xlabel() == "").get_array()
    blue = np.isclose(strips[:, 0, 2], int(OKABE_ITO[0][5:], 16) / 255).mean()
    assert blue == pytest.approx((adata.obs["target"] == "neg").mean(), abs=0.01)
    del adata.obs["cluster"]
    assert "cluster (kmeans)" not in texts(heatmap(adata))
    with pytest.raises(InputError, match=r"call cluster\(adata\) first"):
        heatmap(adata, ["cluster"])


def test_an_embedding_without_a_sample_table(adata):
    bare = umap(pca(anndata.AnnData(adata.X.copy())))
    for figure in (plot(bare), plot(bare, "X_pca"), heatmap(bare)):
        assert not figure.legends
    colours = plot(bare).axes[0].collections[0].get_facecolors()
    assert len(colours) == 768
    assert (colours == colours[0]).all()
    cluster(bare, "leiden")
    assert texts(plot(bare, colour="cluster"))[0] == "cluster (leiden)"
    with pytest.raises(InputError, match="no column 'target'"):
        plot(bare, colour="target")


@pytest.mark.parametrize("units", [1, 2])
def test_one_and_two_units(adata, units):
    narrow = anndata.AnnData(adata.X[:, :units], obs=adata.obs, uns={"layer": "body"})
    pca(narrow)
    axis = plot(narrow, "X_pca").axes[0]
    assert axis.get_title() == f"PCA of body ({units} unit{'s' * (units > 1)})"
    assert (axis.get_ylabel() == "random") == (units == 1)
    assert heatmap(narrow, []).get_suptitle().startswith("body")


def test_explore_writes_everything_and_the_same_again(data, tmp_path):
    model = mlp(data, hidden=[4, 1], dropout=0.1)
    frame = data.samples.iloc[::12]
    files = explore(model, frame, tmp_path / "a")
    assert [path.name for path in files] == [
        "1_encode.png",
        "2_body.linear1.png",
        "3_body.relu1.png",
        "heatmap.png",
        "latent.html",
        "latent.h5ad",
    ]
    assert sorted((tmp_path / "a").iterdir()) == sorted(files)  # no temporary files
    again = explore(model, frame, tmp_path / "b")
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]
    assert "<script src=" not in (tmp_path / "a" / "latent.html").read_text()
    adata = anndata.read_h5ad(tmp_path / "a" / "latent.h5ad")
    assert set(adata.obsm) == {"X_pca", "X_umap"}
    assert "cluster" in adata.obs


def test_explore_few_samples_without_target(model, data, tmp_path):
    files = explore(model, data.samples.head(10)[model.spec["modalities"]["table"]["features"]], tmp_path)
    assert set(anndata.read_h5ad(files[-1]).obsm) == {"X_pca"}

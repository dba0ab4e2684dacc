"""The latent explorer without a browser: content of the page, and errors. For the page itself see test_pages.py."""

import base64
import hashlib
import json
import re
from html import unescape
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData

from zoo.data import TableData
from zoo.latent import embed, explore, explorer, layers, pca
from zoo.latent.colours import GREY, OKABE_ITO
from zoo.models import MLP


def made(obs, units=4):
    adata = AnnData(np.random.default_rng(0).normal(size=(len(obs), units)).astype(np.float32), obs=obs)
    return pca(adata)


def content_of(html):
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', html, re.S)[1])


def array(packed):
    return np.frombuffer(base64.b64decode(packed["data"]), packed["type"])


@pytest.fixture
def obs():
    frame = pd.DataFrame(
        {
            "target": pd.Categorical(["b", "a", None, "b"], ["b", "a", "never"]),
            "dose": [0.1, np.nan, 1e-9, 3.0],
            "age": [50.0, 61.0, np.nan, 47.0],
            "sex": [1.0, 2.0, np.nan, 1.0],
            "ill": [True, False, True, True],
            "seen": pd.array([1, 2, None, 4], dtype="Int64"),
            "split": ["train", "train", "test", "train"],
        },
        index=["p1", "p2", "p3", "Ω"],
    )
    return pd.concat([frame, frame.set_axis(["q1", "q2", "q3", "q4"], axis=0)])


def test_columns_keep_every_value(obs):
    columns = {column["name"]: column for column in content_of(explorer(made(obs)).html)["columns"]}
    for name in ("dose", "age", "seen"):
        expected = obs[name].to_numpy(float, na_value=np.nan)
        np.testing.assert_array_equal(array(columns[name]["values"]), expected)
    assert columns["age"]["values"]["type"] == "float32"  # enough for integers
    assert columns["dose"]["values"]["type"] == "float64"
    for name, levels in {"target": ["b", "a"], "sex": ["1", "2"], "ill": ["False", "True"]}.items():
        assert columns[name]["levels"] == levels
        known = [*levels, None]
        texts = [known[code] for code in array(columns[name]["values"])]
        plain = obs[name].map(lambda v: str(int(v)) if isinstance(v, float) else str(v), na_action="ignore")
        assert texts == [None if pd.isna(text) else text for text in plain.astype(object)]
    assert columns["target"]["legend"] == [["b", OKABE_ITO[0]], ["a", OKABE_ITO[1]], ["missing", GREY]]


def test_rare_categories_share_grey_but_keep_their_names(obs):
    many = pd.DataFrame({"clone": [f"clone {i}" for i in range(30)]}, index=[str(i) for i in range(30)])
    (column,) = content_of(explorer(made(many)).html)["columns"]
    assert sorted(column["levels"]) == sorted(many["clone"])
    assert column["legend"][-1] == ["other", GREY]
    assert column["entry"].count(len(column["legend"]) - 1) == 30 - 18


def test_coordinates_and_splits(obs):
    adata = made(obs)
    content = content_of(explorer(adata).html)
    (layer,) = content["layers"]
    (projection,) = layer["projections"]
    np.testing.assert_array_equal(array(projection["values"]).reshape(-1, 2), adata.obsm["X_pca"][:, :2])
    assert re.fullmatch(r"PC 1 \(.*% of variance\)", projection["labels"][0])
    assert [(split["name"], split["count"]) for split in content["splits"]] == [("train", 6), ("test", 2)]
    assert "fitted on 6 training samples; the other samples were projected" in layer["notes"][1]
    assert content["names"] == list(obs.index)


def test_columns_that_differ_between_layers_are_told_apart(obs):
    first, second = made(obs), made(obs)
    first.obs["cluster"], second.obs["cluster"] = "0", "1"
    found = content_of(explorer({"first": first, "second": second}).html)
    names = [column["name"] for column in found["columns"]]
    assert names == [*first.obs.columns, "cluster (second)"]


def test_the_page_is_closed_to_everything_but_its_own_scripts(obs):
    obs["</script><script>alert(1)</script>"] = "{{plotly}}"
    html = explorer(made(obs), title="<b>&").html
    scripts = re.findall(r"<script>(.*?)</script>", html, re.S)
    assert len(scripts) == 2
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for script in scripts:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert "<title>&lt;b&gt;&amp;</title>" in html
    assert "{{plotly}}" in content_of(html)["columns"][-1]["levels"]
    assert html == explorer(made(obs), title="<b>&").html


def test_no_sample_table():
    adata = pca(AnnData(np.random.default_rng(0).normal(size=(9, 3))))
    assert len(content_of(explorer(adata).html)["columns"]) == 1


def test_what_cannot_be_explored(obs, mlp, message):
    adata = made(obs)
    assert message(lambda: explorer({})) == "there is no layer to explore"
    assert "data are missing" in message(lambda: explorer(mlp))
    bare = AnnData(adata.X, obs=obs)
    assert "layer 'b' has no projection; call pca(adata)" in message(lambda: explorer({"a": adata, "b": bare}))
    other = "the samples of layer 'b' are not those of 'a'"
    assert other in message(lambda: explorer({"a": adata, "b": adata[::-1].copy()}))


def test_in_a_notebook(obs):
    shown = explorer(made(obs), title="a 'quoted' \"title\"")
    frame = re.fullmatch(r'<iframe srcdoc="([^"]*)" title="([^"]*)".*></iframe>', shown._repr_html_(), re.S)
    assert unescape(frame[1]) == shown.html
    assert unescape(frame[2]) == shown.title
    assert 'sandbox="allow-scripts allow-downloads"' in shown._repr_html_()


@pytest.fixture
def wide():
    """A network in which a container and the dropout have the output of an earlier layer."""
    data = TableData("pima")
    torch.manual_seed(0)
    model = MLP(spec=data.spec, hidden=[4, 3], dropout=0.5)
    model.fit_encoders(data.training_inputs())
    return model, data


def test_every_layer_is_embedded_once_and_mapped_once(wide, monkeypatch):
    model, data = wide
    ran, mapped = [], []
    model.register_forward_hook(lambda *_: ran.append(1))
    ran_before = layers(model) and len(ran)

    def quick(adata, **options):
        mapped.append(adata.n_vars)
        adata.obsm["X_umap"] = np.ascontiguousarray(adata.obsm["X_pca"][:, 1::-1])
        return adata

    monkeypatch.setattr(import_module("zoo.latent.explorer"), "umap", quick)
    found = explorer(model, data).layers
    assert len(ran) == 2 * ran_before + 1  # to find the layers, and once for 768 samples
    assert list(found) == ["encode", "body.linear1", "body.relu1", "body.linear2", "body.relu2"]
    assert mapped == [8, 4, 4, 3, 3]
    for name, adata in found.items():
        expected = embed(model, data, name)
        np.testing.assert_array_equal(adata.X, expected.X)
        pd.testing.assert_frame_equal(adata.obs[expected.obs.columns], expected.obs)
    latent = found["body.relu2"]
    assert latent.uns["layer"] == "latent"
    np.testing.assert_array_equal(latent.obsm["X_pca"], pca(embed(model, data)).obsm["X_pca"])
    assert "cluster" in latent.obs
    assert not any(module._forward_hooks for module in model.body.modules())


def test_a_latent_space_of_one_unit_is_there_too(wide):
    data = wide[1]
    model = MLP(spec=data.spec, hidden=[2, 1])
    model.fit_encoders(data.training_inputs())
    found = explorer(model, data.samples.head(12)).layers
    assert list(found)[-1] == "latent space"
    assert found["latent space"].n_vars == 1
    assert content_of(explorer(found).html)["layers"][-1]["projections"][0]["labels"][1] == "random"


def test_explore_writes_a_page_of_all_layers(wide, tmp_path):
    model, data = wide
    files = explore(model, data.samples.head(15), tmp_path)
    content = content_of((tmp_path / "latent.html").read_text(encoding="utf-8"))
    assert [layer["label"] for layer in content["layers"]] == [
        "encode (8)",
        "body.linear1 (4)",
        "body.relu1 (4)",
        "body.linear2 (3)",
        "body.relu2 (3), latent space",
    ]
    assert content["layer"] == 4
    assert content["colour"] == "target"
    assert sum(path.suffix == ".png" for path in files) == 6


def test_a_page_of_20000_samples_is_small(tmp_path):
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        rng.normal(size=(20_000, 10)), columns=list("abcdefghij"), index=[f"s{i}" for i in range(20_000)]
    )
    adata = AnnData(np.zeros((20_000, 64), np.float32), obs=obs)
    adata.obsm["X_pca"], adata.obsm["X_umap"] = rng.normal(size=(20_000, 64)), rng.normal(size=(20_000, 2))
    explorer({f"layer {i}": adata for i in range(6)}).write_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 15e6

"""TensorBoard's own projector reads what is written."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from anndata import AnnData
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client, TestResponse

from zoo.latent import embed, to_projector


def served(folder: Path, route: str, **query: str) -> TestResponse:
    """Response of the plugin for a log directory."""
    provider = SimpleNamespace(list_runs=lambda context, experiment_id: [])
    plugin = ProjectorPlugin(SimpleNamespace(data_provider=provider, logdir=str(folder)))
    return Client(plugin.get_plugin_apps()[route]).get("/", query_string=query)


def read(folder: Path) -> tuple[np.ndarray, list[list[str]]]:
    """Embedding and metadata as read by the projector."""
    assert served(folder, "/runs").get_json() == ["."]
    (about,) = served(folder, "/info", run=".").get_json()["embeddings"]
    name, shape = about["tensorName"], about["tensorShape"]
    tensor = np.frombuffer(served(folder, "/tensor", run=".", name=name).data, np.float32).reshape(shape)
    text = served(folder, "/metadata", run=".", name=name).get_data(as_text=True)
    assert text.endswith("\n")
    return tensor, [line.split("\t") for line in text[:-1].split("\n")]


def test_the_plugin_reads_embedding_and_columns(mlp, pima, tmp_path: Path) -> None:
    adata = embed(mlp, pima)
    files = to_projector(adata, tmp_path / "projector")
    assert sorted((tmp_path / "projector").iterdir()) == sorted(files)
    tensor, (header, *rows) = read(tmp_path / "projector")
    np.testing.assert_array_equal(tensor, adata.X)
    assert header == ["name", *adata.obs.columns]
    assert len(rows) == 768
    column = header.index("insulin")
    assert {row[0]: row[column] for row in rows}["1"] == ""  # missing
    assert [row[header.index("target")] for row in rows] == adata.obs["target"].tolist()
    assert {len(row) for row in rows} == {len(header)}


def test_tabs_and_line_ends_are_cleaned(tmp_path: Path) -> None:
    obs = pd.DataFrame(
        {"a\tcolumn": ["x\ty", "line\r\nend", None], "name": ["\u2028", "ä", "z"], "n": [1.5, np.nan, 1 / 3]},
        index=["s\t1", "", "s3"],
    )
    to_projector(AnnData(np.arange(6, dtype=np.float32).reshape(3, 2), obs), tmp_path)
    _, lines = read(tmp_path)
    assert lines == [
        ["name", "a column", "name 2", "n"],
        ["s 1", "x y", "", "1.5"],
        ["-", "line end", "ä", ""],
        ["s3", "", "z", "0.333333"],
    ]


def test_names_alone_have_no_header(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    adata = AnnData(x, uns={"layer": 'a "layer"\n'})
    to_projector(adata, str(tmp_path))
    tensor, lines = read(tmp_path)
    np.testing.assert_array_equal(tensor, x)
    assert lines == [["0"], ["1"], ["2"], ["3"]]


def test_what_the_projector_cannot_draw(tmp_path: Path, message: Callable[..., str]) -> None:
    adata = AnnData(np.zeros((4, 1), np.float32))
    assert "at least two units" in message(lambda: to_projector(adata, tmp_path / "a"))
    adata = AnnData(np.full((4, 2), np.nan, np.float32))
    assert "not finite" in message(lambda: to_projector(adata, tmp_path / "a"))
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    adata = AnnData(np.zeros((4, 2), np.float32))
    assert "is a file" in message(lambda: to_projector(adata, tmp_path / "file"))

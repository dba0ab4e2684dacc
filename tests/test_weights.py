"""Packaged weights reproduce their golden outputs and the scores on their cards."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import is_shipped, is_untrained
from safetensors.torch import load_file
from tensordict import TensorDict

import zoo
from zoo import files, publish
from zoo.data import Data, TableData
from zoo.encode.joint import MEASURED
from zoo.errors import InputError
from zoo.model_card import readme
from zoo.models.layer_table import layer_table, layer_text
from zoo.parsing import CLI
from zoo.report import evaluate

NAMES = files.pretrained()


def data_of(recipe: str) -> Data:
    return CLI(["--config", recipe]).make_data()


def test_every_recipe_ships_weights_if_its_data_are_shipped() -> None:
    """A recipe that is marked untrained ships none; one with weights is not marked any longer."""
    assert [name for name in files.recipes() if is_shipped(name) and not is_untrained(name)] == NAMES
    assert not [name for name in NAMES if is_untrained(name)]


def golden_of(name: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """Made-up inputs, of several modalities a table of tensors, and what came out."""
    golden = load_file(files.HERE / "pretrained" / name / "golden.safetensors")
    if "input" in golden:
        return golden["input"], golden
    parts = {key.removeprefix("input."): part for key, part in golden.items() if key.startswith("input.")}
    return TensorDict(parts, batch_size=[len(golden["output"])]), golden


def flat(x: Any) -> torch.Tensor:
    """All raw numbers of a sample in one row."""
    if isinstance(x, TensorDict):
        return torch.cat([flat(x[key]) for key in x.keys() if key != MEASURED], 1)  # noqa: SIM118 (no plain dict)
    return x.flatten(1).nan_to_num().float()


@pytest.mark.parametrize("name", NAMES)
def test_golden_batch(name: str) -> None:
    model, (x, golden) = zoo.load(name), golden_of(name)
    with torch.inference_mode():
        torch.testing.assert_close(model(x), golden["output"], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.embed(x), golden["embedding"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_test_scores_of_the_card_are_measured_again(name: str, cheap_baselines: None) -> None:
    model = zoo.load(name)
    data = data_of(name).conform(model.spec)
    evaluation = evaluate(model, data)
    assert data.describe()["sha256"] == model.card["data"]["sha256"]
    for split in ("train", "validation", "test"):
        promised = model.card["scores"][type(model).__name__][split]
        found = {metric: evaluation.value(metric, split) for metric in promised}
        assert found == pytest.approx(promised, abs=1e-4, rel=1e-5, nan_ok=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_golden_batch_shows_no_real_sample(name: str) -> None:
    content = data_of(name).dataset
    real = content.x[torch.arange(len(content.y))]
    assert torch.cdist(flat(golden_of(name)[0]), flat(real)).min() > 0


# Adversarial networks: scores on the card in which they must be better than a simple reference, on the test samples.
WON = [
    ("tabulargan_pima", "tstr", "Gaussian copula", "above"),
    ("tabulargan_pima", "ks_complement", "Gaussian copula", "above"),
    ("dcgan_digits", "fid", "Gaussian of pixels", "below"),
    ("dcgan_digits", "kid", "Gaussian of pixels", "below"),
    ("vitgan_digits", "fid", "Gaussian of pixels", "below"),
    ("pix2pix_vessels", "spectral_distance", "ridge", "below"),
    ("segmentationgan_vessels", "dice", "", "above"),
    ("madgan_beats", "roc_auc", "PCA of 10", "above"),
    ("madgan_beats", "roc_auc", "flag all", "above"),
]


@pytest.mark.parametrize(("name", "metric", "baseline", "side"), WON)
def test_adversarial_weights_beat_something_trivial(name: str, metric: str, baseline: str, side: str) -> None:
    """`test_test_scores_of_the_card_are_measured_again` makes sure that the card is true."""
    card = zoo.load(name).card
    others = {model: scores["test"][metric] for model, scores in card["scores"].items() if baseline in model}
    ours = others.pop(card["model"], card["scores"][card["model"]]["test"][metric])
    assert others
    for other in others.values():
        assert ours < other if side == "below" else ours > other


def test_a_card_says_first_if_something_trivial_is_as_good(tmp_path: Path) -> None:
    card = json.loads((files.HERE / "pretrained" / "madgan_beats" / "config.json").read_text())
    assert "**A simple model does as well or better" not in better(card, 0.1)
    first = better(card, 0.99).split("---\n", 2)[2].splitlines()[2]
    assert first.startswith("**A simple model does as well or better: PCA")


def better(card: dict[str, Any], value: float) -> str:
    """The card for people, if the simple models had this score."""
    for model, scores in card["scores"].items():
        if model != card["model"]:
            scores["test"]["roc_auc"] = value - 0.01 * (not model.startswith("PCA"))
    return readme(card, "")


@pytest.mark.parametrize("name", NAMES)
def test_the_card_for_people_is_that_of_config_json(name: str) -> None:
    model = zoo.load(name)
    text = (files.HERE / "pretrained" / name / "README.md").read_text(encoding="utf-8")
    assert readme(model.card, layer_text(layer_table(model))) == text, "run `make cards`"
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["library_name"] == "biozoo"
    assert front["tags"][::2] == ["biology", type(model).__name__.lower()]


def test_predict_matches_columns_by_name() -> None:
    model, table = zoo.load("mlp_pima"), TableData("pima").frame()
    expected = model.predict(table)
    assert expected.columns.tolist() == ["probability_neg", "probability_pos", "prediction"]
    np.testing.assert_allclose(expected[["probability_neg", "probability_pos"]].sum(axis=1), 1, rtol=1e-5)
    assert expected["prediction"].tolist() == np.where(expected["probability_pos"] > 0.5, "pos", "neg").tolist()
    shuffled = table[table.columns[::-1]].assign(more="x").sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(model.predict(shuffled).sort_index(), expected, rtol=1e-5)
    one = model.predict(table.loc[[7]])
    np.testing.assert_allclose(one.loc[7, "probability_pos"], expected.loc[7, "probability_pos"], rtol=1e-5)


def test_predict_takes_zeros_as_the_training_table_did() -> None:
    model, table = zoo.load("mlp_pima"), TableData("pima").frame().head(3)
    zero, missing = table.assign(insulin=0.0), table.assign(insulin=np.nan)
    pd.testing.assert_frame_equal(model.predict(zero), model.predict(missing))


def test_models_of_dna_take_sequences() -> None:
    data = data_of("cnn1d_splice")
    model, frame = zoo.load("cnn1d_splice"), data.frame().head(20)
    expected = model.predict(frame)
    assert expected.columns.tolist() == ["probability_EI", "probability_IE", "probability_N", "prediction"]
    pd.testing.assert_frame_equal(
        model.predict([text.lower() for text in frame["sequence"]]), expected, check_names=False
    )
    assert (expected["prediction"] == frame["label"]).mean() > 0.9


def test_regression_predicts_in_units_of_the_target() -> None:
    data = TableData("diabetes_progression")
    predicted = zoo.load("mlp_diabetes_progression").predict(data.frame())["prediction"]
    assert np.corrcoef(predicted, data.frame()["progression"])[0, 1] > 0.6
    assert 100 < predicted.mean() < 200


def test_weights_load_from_a_folder(tmp_path: Path) -> None:
    shutil.copytree(files.HERE / "pretrained" / "mlp_pima", tmp_path / "w")
    table = TableData("pima").frame()
    pd.testing.assert_frame_equal(zoo.load(tmp_path / "w").predict(table), zoo.load("mlp_pima").predict(table))


class Hub(BaseHTTPRequestHandler):
    """A stub of the Hugging Face Hub with one repository in memory."""

    files: dict[str, bytes] = {}
    commit = "a" * 40

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/lab/diabetes"

    def log_message(self, *args: object) -> None:
        """Be quiet."""

    def answer(self, content: object, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "X-Repo-Commit": self.commit, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:
        """Create a repository, request the upload mode, commit."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/repos/create":
            self.answer({"url": self.url, "name": "lab/diabetes"})
        elif self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            wanted = [file["path"] for file in json.loads(body)["files"]]
            regular = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in wanted]
            self.answer({"files": regular})
        elif "/commit/" in self.path:
            import base64

            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.answer({"commitUrl": f"{self.url}/commit/{self.commit}", "commitOid": self.commit, "success": True})
        else:
            self.answer({}, 404)

    def do_GET(self) -> None:
        """Repository information and files."""
        siblings = [{"rfilename": name} for name in self.files]
        if self.path.startswith("/api/models/lab/diabetes/tree"):
            self.answer([{"type": "file", "path": n, "size": len(c), "oid": "0"} for n, c in self.files.items()])
        elif self.path.startswith("/api/models/lab/diabetes"):
            self.answer({"id": "lab/diabetes", "sha": self.commit, "siblings": siblings, "private": False, "tags": []})
        elif self.path.startswith(f"/lab/diabetes/resolve/{self.commit}/"):
            name = self.path.rpartition("/")[2]
            self.answer(self.files[name], ETag=f'"{hash(self.files[name])}"')
        else:
            self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET  # noqa: N815 (the name that the server looks for)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    from huggingface_hub import constants, file_download, hf_api

    for module in (constants, hf_api, file_download):
        for name, value in {
            "ENDPOINT": endpoint,
            "HUGGINGFACE_CO_URL_TEMPLATE": endpoint + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "cache"),
        }.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(hf_api.api, "endpoint", endpoint)
    Hub.files = {}
    yield Hub.files
    server.shutdown()


def test_push_to_a_hub_and_load_from_it(hub: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    folder = files.HERE / "pretrained" / "mlp_pima"
    publish.upload(folder, "lab/diabetes")
    assert set(hub) == {path.name for path in folder.iterdir()}
    table = TableData("pima").frame().head()
    pd.testing.assert_frame_equal(zoo.load("hf:lab/diabetes").predict(table), zoo.load("mlp_pima").predict(table))
    with pytest.raises(InputError, match="hf:lab/other cannot be fetched"):
        zoo.load("hf:lab/other")
    with pytest.raises(InputError, match="cannot be fetched"):
        zoo.load("hf:not a name")


def test_tampered_weights_of_a_hub_are_refused(hub: dict[str, bytes]) -> None:
    hub.update({path.name: path.read_bytes() for path in (files.HERE / "pretrained" / "mlp_pima").iterdir()})
    hub["model.safetensors"] = hub["model.safetensors"][:-1] + b"\x7f"
    with pytest.raises(InputError, match="not the file that was published"):
        zoo.load("hf:lab/diabetes")

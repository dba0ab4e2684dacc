"""Packaged weights reproduce their golden outputs and the scores on their cards."""

import hashlib
import json
import resource
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import is_shipped, is_untrained
from safetensors.torch import load_file, save_file
from tensordict import TensorDict

import zoo
from zoo import files, publish, weights
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
        elif self.path.startswith("/api/models/lab/diabetes"):  # whatever the revision
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
    model = zoo.load("hf:lab/diabetes")
    pd.testing.assert_frame_equal(model.predict(table), zoo.load("mlp_pima").predict(table))
    assert model.card["origin"] == f"hf:lab/diabetes@{Hub.commit}"
    assert zoo.load(model.card["origin"]).card == model.card
    with pytest.raises(InputError, match="hf:lab/other cannot be fetched"):
        zoo.load("hf:lab/other")
    with pytest.raises(InputError, match="cannot be fetched"):
        zoo.load("hf:not a name")


def test_tampered_weights_of_a_hub_are_refused(hub: dict[str, bytes]) -> None:
    hub.update({path.name: path.read_bytes() for path in (files.HERE / "pretrained" / "mlp_pima").iterdir()})
    hub["model.safetensors"] = hub["model.safetensors"][:-1] + b"\x7f"
    with pytest.raises(InputError, match="is damaged or was changed: sha256"):
        zoo.load("hf:lab/diabetes")


def test_weights_of_a_hub_that_are_absent_or_out_of_reach(hub: dict[str, bytes], monkeypatch) -> None:
    hub.update({path.name: path.read_bytes() for path in (files.HERE / "pretrained" / "mlp_pima").iterdir()})
    with pytest.raises(InputError, match=r"hf:lab/diabetes@b+ cannot be fetched: [^\n]+$"):
        zoo.load(f"hf:lab/diabetes@{'b' * 40}")
    from huggingface_hub import hf_api

    monkeypatch.setattr(hf_api.api, "endpoint", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"hf:lab/other cannot be fetched: [^\n]+$"):
        zoo.load("hf:lab/other")
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    with pytest.raises(InputError, match=r"hf:lab/other cannot be written: [^\n]+$"):
        publish.upload(files.HERE / "pretrained" / "mlp_pima", "lab/other")


def changed(
    folder: Path,
    card: Callable[[dict[str, Any]], Any] = lambda card: None,
    state: Callable[[dict[str, torch.Tensor]], Any] = lambda state: None,
    name: str = "mlp_pima",
) -> Path:
    """The folder of packaged weights with another card or other tensors, and the checksum of these."""
    shutil.copytree(files.HERE / "pretrained" / name, folder)
    tensors = load_file(folder / "model.safetensors")
    state(tensors)
    save_file(tensors, folder / "model.safetensors")
    content = json.loads((folder / "config.json").read_text())
    content["sha256"]["model.safetensors"] = files.sha256(folder / "model.safetensors")
    card(content)
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as error:
        call()
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


SURVIVAL = {"kind": "survival", "name": "t", "classes": [], "unit": "", "event": "e", "event_levels": ["0", "1"]}
MODALITY = "init_args.spec.modalities.table"
BAD = [  # key, value, what the message says; a value of None removes the key
    ("init_args.optimizer", 3, "config.json: init_args.optimizer: 3 is not one of sgd, adagrad"),
    ("init_args.optimizer", "adamm", "init_args.optimizer: 'adamm' is unknown; did you mean adam"),
    ("init_args.lr", "fast", "init_args.lr: 'fast' is not a number"),
    ("init_args.lr", float("nan"), "init_args.lr: nan is not a number"),
    ("init_args.lr", -1, "lr must be at least"),
    ("init_args.hidden", 64, "init_args.hidden: 64 is not a list (of a whole number)"),
    ("init_args.hidden", [64, "32"], "init_args.hidden[1]: '32' is not a whole number"),
    ("init_args.hidden", [True], "init_args.hidden[0]: True is not a whole number"),
    ("init_args.hidden", [-1], "hidden width must be at least 1, not -1"),
    ("init_args.hidden", [10**30], "init_args.hidden[0]: 1000000000000000000000000000000 is not a number of at most"),
    ("init_args.encoding", {"missing_indicator": 3}, "encoding.missing_indicator: 3 is not true or false"),
    ("init_args.encoding", {"layer": {}}, "layer of an encoding: {} is not text"),
    ("init_args.hiden", [3], "init_args: unknown key 'hiden'; did you mean hidden"),
    ("init_args.spec", None, "init_args: no key 'spec'"),
    ("init_args.spec", "mlp", "init_args.spec: 'mlp' is not keys"),
    ("init_args.spec.id", None, "init_args.spec: no key 'id'"),
    ("init_args.spec.target.classes", [], "init_args.spec.target.classes: 0 for a binary target, 2 expected"),
    ("init_args.spec.target.classes", ["a", "a"], "classes: 'a' is there twice"),
    ("init_args.spec.target.classes", ["a", 1], "classes[1]: 1 is not text"),
    ("init_args.spec.target.classes", ["a", "\ud800"], "is not text"),
    ("init_args.spec.target.kind", "moon", "target: unknown kind 'moon'; known: binary"),
    ("init_args.spec.target", {**SURVIVAL, "event": ""}, "target.event: no column is given"),
    (
        "init_args.spec.target",
        {**SURVIVAL, "event_levels": ["1"]},
        "target.event_levels: two different values expected",
    ),
    ("init_args.spec.also", {"os": 3}, "also.os: 3 is not keys"),
    ("init_args.spec.modalities", {}, "modalities: none is given"),
    ("init_args.spec.modalities", [], "modalities: [] is not keys"),
    (f"{MODALITY}.kind", "moon", "moon data"),
    (f"{MODALITY}.kind", 3, "kind: 3 is not text"),
    (f"{MODALITY}.kind", "joint", "cannot have modalities as parts"),
    (f"{MODALITY}.shape", [-8], "table.shape: every size must be at least 1"),
    (f"{MODALITY}.shape", [8, 8], "table.shape: 2 axes, 1 expected"),
    (f"{MODALITY}.shape", [10**12], "table.shape: 1,000,000,000,000 values in one sample"),
    (f"{MODALITY}.features", ["age"] * 8, "table.features: 'age' is there twice"),
    (f"{MODALITY}.features", [1] * 8, "table.features[0]: 1 is not text"),
    (f"{MODALITY}.features", ["age"], "table.features: 1 for table data of the shape [8]"),
    (f"{MODALITY}.levels", {"sex": ["f", "m"]}, "table.levels: 'sex' is not one of the features"),
    (f"{MODALITY}.levels", {"age": "old"}, "table.levels.age: 'old' is not a list"),
    (f"{MODALITY}.levels", {"age": ["old", "old"]}, "table.levels.age: 'old' is there twice"),
    (f"{MODALITY}.ordered", ["age"], "table.ordered: 'age' is not one of the levels"),
    (f"{MODALITY}.dates", {"age": {"format": "", "origin": "soon"}}, "dates.age.origin: 'soon' is no ISO 8601 date"),
    (f"{MODALITY}.sampling_rate", 0, "sampling_rate: must be positive"),
    (f"{MODALITY}.scale", "moon", "scale 'moon' is unknown"),
    ("model", {}, "config.json: model: {} is not text"),
    ("model", "os.system", "scores: no test scores of 'os.system'"),
    ("sha256", [], "sha256: [] is not keys"),
    ("sha256", {"../../x": "0"}, "names a file outside its folder"),
    ("sha256", {}, "has no checksum of model.safetensors"),
    ("scores", {}, "scores: no test scores of 'MLP'"),
    ("scores.MLP.test.mcc", "high", "scores.MLP.test.mcc: 'high' is not a number"),
    ("data.samples", 3, "data.samples: 3 is not keys"),
    ("parameters", 1.5, "parameters: 1.5 is not a whole number"),
    ("notes", "x", "unknown key 'notes'"),
    ("limits", None, "no key 'limits'"),
    ("init_args", 3, "init_args: 3 is not keys"),
]


@pytest.mark.parametrize(("key", "value", "expected"), BAD)
def test_a_card_that_does_not_fit_the_schema_is_refused(key: str, value: Any, expected: str, tmp_path: Path) -> None:
    def card(content: dict[str, Any]) -> None:
        *path, last = key.split(".")
        for name in path:
            content = content[name]
        content[last] = value
        if value is None:
            del content[last]

    assert expected in refusal(lambda: zoo.load(changed(tmp_path / "w", card)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "is damaged"),
        (b"[]", "[] is not keys"),
        (b"null", "None is not keys"),
        (b"\xff", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b'{"name":' * 500 + b"1" + b"}" * 500, "no key"),
        (b'{"seed": ' + b"9" * 10_000 + b"}", "is damaged"),
    ],
)
def test_a_damaged_card_is_refused(text: bytes, expected: str, tmp_path: Path) -> None:
    (changed(tmp_path / "w") / "config.json").write_bytes(text)
    assert expected in refusal(lambda: zoo.load(tmp_path / "w"))


def test_deep_brackets_in_free_parts_of_a_card_are_refused(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(400):
        deep = {"a": deep}
    folder = changed(tmp_path / "w", lambda card: card["data"].update(more=deep))
    assert "too many lists and mappings" in refusal(lambda: zoo.load(folder))


def test_the_header_must_be_that_of_the_network(tmp_path: Path) -> None:
    cut = changed(tmp_path / "cut")
    content = (cut / "model.safetensors").read_bytes()
    for number, damaged in enumerate([b"", content[:7], content[:100], content[:-1], b"\xff" * 100]):
        (cut / "model.safetensors").write_bytes(damaged)
        assert "is damaged" in refusal(lambda: zoo.load(cut)), number

    def other(**tensors: torch.Tensor) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        return refusal(lambda: zoo.load(changed(folder, state=lambda state: state.update(tensors))))

    assert "it has no more" in other(more=torch.zeros(1))
    assert "head.weight has the shape (3, 3), (1, 64) is expected" in other(**{"head.weight": torch.zeros(3, 3)})
    assert "has the type torch.int64, torch.float32 is expected" in other(
        **{"head.weight": torch.zeros(1, 64, dtype=torch.long)}
    )
    assert "no head.weight (1 absent)" in refusal(
        lambda: zoo.load(changed(tmp_path / "less", state=lambda state: state.pop("head.weight")))
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    folder = changed(tmp_path / "w", state=lambda state: state["head.bias"].fill_(value))
    assert "head.bias has NaN or infinite values" in refusal(lambda: zoo.load(folder))


@pytest.fixture
def little_memory() -> Iterator[None]:
    """At most 300 MB more than the process has now."""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (300 << 20), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    ("name", "key", "value", "expected"),
    [
        ("mlp_pima", "hidden", [10**12], "a MLP with its arguments at least"),
        ("mlp_pima", "hidden", [10**8, 10**8], "at least"),
        ("mlp_pima", "hidden", [10**15, 10**15], "at least"),
        ("mlp_pima", "hidden", [1] * 20_000, "tensors"),
        ("vitgan_digits", "depth", 10**9, "at least"),
        ("cnn2d_digits", "filters", [10**9, 10**9], "at least"),
        ("joint_miniacc", "branches", {"rna": {"hidden": [10**9]}}, "at least"),
    ],
)
def test_a_network_larger_than_its_weights_takes_no_memory(
    name: str, key: str, value: Any, expected: str, little_memory: None, tmp_path: Path
) -> None:
    folder = changed(tmp_path / "w", lambda card: card["init_args"].update({key: value}), name=name)
    assert expected in refusal(lambda: zoo.load(folder))


def test_what_is_loaded_is_what_was_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is exchanged after its checksum was compared."""
    folder, other = changed(tmp_path / "w"), changed(tmp_path / "x", state=lambda state: state["head.bias"].fill_(7))
    compare = weights._check_sum

    def exchange(path: Path, found: str, expected: str) -> None:
        compare(path, found, expected)
        if path.parent == folder and path.name == "model.safetensors":
            shutil.copy(other / "model.safetensors", path)

    monkeypatch.setattr(weights, "_check_sum", exchange)
    model = zoo.load(folder)
    assert torch.equal(model.head.bias, zoo.load("mlp_pima").head.bias)
    assert (load_file(folder / "model.safetensors")["head.bias"] == 7).all()
    with pytest.raises(InputError, match="is damaged or was changed"):
        zoo.load(folder)


def test_a_checksum_of_the_caller_covers_card_and_weights(tmp_path: Path) -> None:
    folder = changed(tmp_path / "w")
    known = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
    assert zoo.load(folder, sha256=known.upper()).card["name"] == "mlp_pima"
    assert "is not the file of that checksum" in refusal(lambda: zoo.load(folder, sha256="0" * 64))
    # Someone who exchanges the weights and their checksum on the card is found out.
    shutil.rmtree(folder)
    changed(folder, state=lambda state: state["head.bias"].fill_(7))
    zoo.load(folder)
    assert "is not the file of that checksum" in refusal(lambda: zoo.load(folder, sha256=known))


def checkpoint_of(path: Path, **changes: Any) -> Path:
    model = zoo.load("mlp_pima")
    content = {"model": "MLP", "hyper_parameters": model.init_args, "state_dict": model.state_dict()}
    torch.save({**content, **changes}, path)
    return path


def test_checkpoints_are_checked_as_cards_are(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    init_args, state = zoo.load("mlp_pima").init_args, zoo.load("mlp_pima").state_dict()
    assert weights.from_checkpoint(checkpoint_of(path)).spec == init_args["spec"]

    def message(**changes: Any) -> str:
        return refusal(lambda: weights.from_checkpoint(checkpoint_of(path, **changes)))

    assert "x.ckpt: model: unknown model 'os.system'" in message(model="os.system")
    assert "x.ckpt: model: {} is not text" in message(model={})
    assert "x.ckpt: init_args.lr: 'x' is not a number" in message(hyper_parameters={**init_args, "lr": "x"})
    assert "x.ckpt: init_args: 3 is not keys" in message(hyper_parameters=3)
    assert "state_dict: not a mapping of names" in message(state_dict=[])
    assert "state_dict.a: not a plain tensor" in message(state_dict={"a": 3})
    one = torch.zeros(1).expand(1, 10**12)  # takes 4 bytes
    wide = {**init_args, "hidden": [10**12]}
    assert "at least" in message(hyper_parameters=wide, state_dict={**state, "head.weight": one})
    nan = {**state, "head.bias": torch.tensor([torch.nan])}
    assert "head.bias has NaN or infinite values" in message(state_dict=nan)


def test_compressed_and_cut_checkpoints_are_refused(tmp_path: Path) -> None:
    path = checkpoint_of(tmp_path / "x.ckpt")
    with ZipFile(path) as archive, ZipFile(tmp_path / "small.ckpt", "w", ZIP_DEFLATED) as small:
        for name in archive.namelist():
            small.writestr(name, archive.read(name))
    assert "has compressed parts" in refusal(lambda: weights.from_checkpoint(tmp_path / "small.ckpt"))
    for size in (0, 10, 500, path.stat().st_size - 10):
        (tmp_path / "cut.ckpt").write_bytes(path.read_bytes()[:size])
        assert "is damaged" in refusal(lambda: weights.from_checkpoint(tmp_path / "cut.ckpt"))
    assert "no checkpoint" in refusal(lambda: weights.from_checkpoint(tmp_path))

"""Networks of torchvision with a new head: weights, channels, freezing, learning rates."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from anndata import AnnData
from captum.attr import LayerGradCam
from lightning.pytorch import Callback, LightningModule, Trainer
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from zoo import weights
from zoo.data.loading import Rows, Shuffle, whole_batch
from zoo.errors import InputError
from zoo.latent import neighbours
from zoo.models import Backbone
from zoo.models.backbone_network import build, names, output_shape, stages, weights_of
from zoo.models.backbone_weights import adapted
from zoo.models.layer_table import layer_table
from zoo.spec import Spec

RESNET, SMALL = "resnet18", "mobilenet_v3_small"


def spec(*shape: int, kind: str = "binary") -> Spec:
    classes = {"binary": ["left", "right"], "multiclass": ["a", "b", "c"], "regression": []}
    return {
        "modalities": {"image": {"kind": "image", "shape": list(shape), "features": ["image"]}},
        "target": {"kind": kind, "name": "y", "classes": classes[kind], "unit": ""},  # type: ignore[typeddict-item]
        "id": "",
    }


@pytest.fixture(scope="session")
def state() -> dict[str, dict[str, Tensor]]:
    """Random weights of whole networks for RGB, with statistics of normalisation unlike the initial ones."""
    torch.manual_seed(7)
    found = {}
    for name in (RESNET, SMALL):
        network = torchvision.models.get_model(name, weights=None).train()
        with torch.no_grad():
            network(torch.randn(16, 3, 48, 48))
        found[name] = {key: value.clone() for key, value in network.state_dict().items()}
    return found


@pytest.fixture
def file(state: dict[str, dict[str, Tensor]], tmp_path: Path) -> Callable[..., str]:
    """A file with the weights of a network."""

    def write(name: str, suffix: str = ".pth") -> str:
        path = tmp_path / f"{name}{suffix}"
        torch.save(state[name], path) if suffix == ".pth" else save_file(state[name], path)
        return str(path)

    return write


def data(rows: int, *shape: int) -> tuple[Tensor, Tensor]:
    """Noise that is brighter in the left or the right half."""
    x, y = torch.randn(rows, *shape, generator=torch.Generator().manual_seed(0)), torch.arange(rows) % 2
    half = shape[-1] // 2
    x[y == 0, ..., :half] += 2
    x[y == 1, ..., half:] += 2
    return x, y


def train(model: Backbone, x: Tensor, y: Tensor, epochs: int, resume: str | None = None, **options: Any) -> Trainer:
    rows = Rows(x, torch.arange(len(x)), y=y)
    loader = DataLoader(rows, batch_size=8, sampler=Shuffle(rows, 0), collate_fn=whole_batch)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    options = {**quiet, "enable_model_summary": False, "max_epochs": epochs, "accelerator": "cpu", **options}
    trainer = Trainer(**options)
    trainer.fit(model, loader, DataLoader(rows, batch_size=8, collate_fn=whole_batch), ckpt_path=resume)
    return trainer


def copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


class Watch(Callback):
    """What is trained in each epoch, and the learning rates."""

    def __init__(self) -> None:
        self.trained: list[list[bool]] = []
        self.rates: list[list[float]] = []
        self.modes: list[list[bool]] = []

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *rest: object) -> None:
        if rest[-1] == 0:
            assert isinstance(module, Backbone)
            of = [{weight.requires_grad for weight in part} for part in weights_of(module.backbone)]
            self.trained.append([kinds == {True} for kinds in of])
            self.modes.append([all(block.training for block in part) for part in stages(module.backbone)])
            self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])


@pytest.mark.parametrize(
    "name", [RESNET, SMALL, "densenet121", "squeezenet1_1", "regnet_x_400mf", "shufflenet_v2_x0_5"]
)
def test_any_network_trains_on_a_batch_of_one(name: str) -> None:
    torch.manual_seed(0)
    model = Backbone(spec=spec(2, 32, 32, kind="multiclass"), name=name)
    x = torch.randn(2, 2, 32, 32)
    model.fit_encoders(x)
    model.loss({"x": x[:1], "y": torch.tensor([2])}).backward()
    assert all(w.grad is not None and w.grad.isfinite().all() for w in model.parameters())
    model.eval()
    assert model(x).shape == (2, 3)
    assert model.embed(x).shape == (2, model.head[1].in_features)
    torch.testing.assert_close(model.network(model.encode(x)), model(x))
    rows = layer_table(model)
    assert sum(row["weights"] for row in rows) == sum(w.numel() for w in model.parameters())
    assert not any(getattr(layer, "inplace", False) for layer in model.modules())  # explanations read their inputs
    assert all(value.is_contiguous() for value in model.state_dict().values())
    assert len({value.data_ptr() for value in model.state_dict().values()}) == len(model.state_dict())
    if name in (RESNET, SMALL, "densenet121"):
        inner = LayerGradCam(model.network, model.last_convolution).attribute(model.encode(x), target=0)
        assert inner.ndim == 4
        assert inner.isfinite().all()


@pytest.mark.parametrize("name", ["vgg16", "efficientnet_b0", "convnext_tiny", "vit_b_16", "swin_t", "maxvit_t"])
def test_large_networks_are_cut_into_stages(name: str) -> None:
    with torch.device("meta"):
        network = build(name, 5, "original")
    assert output_shape(network, (2, 5, 224, 224))[0] == 2
    parts = weights_of(network)
    assert len(parts) == {"vgg16": 6, "efficientnet_b0": 5, "vit_b_16": 14, "maxvit_t": 5}.get(name, 4)
    assert all(parts)
    assert sum(w.numel() for part in parts for w in part) == sum(w.numel() for w in network.parameters())


def test_every_classification_network_is_there() -> None:
    known = names()
    assert {"resnet18", "vgg16", "efficientnet_b0", "densenet121", "convnext_tiny", "vit_b_16"} <= set(known)
    assert not {"inception_v3", "raft_large", "fcn_resnet50", "r3d_18"} & set(known)


@pytest.mark.parametrize("arguments", [{"weights": "pretrained"}, {"weights": "no/such/file.pth"}])
def test_building_touches_neither_network_nor_disk(arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise AssertionError("touched")

    for place in ("torch.hub.load_state_dict_from_url", "torch.load", "zoo.models.backbone_weights.load_file"):
        monkeypatch.setattr(place, fail)
    model = Backbone(spec=spec(3, 32, 32), mode="features", **arguments)
    again = weights.build("Backbone", json.loads(json.dumps(model.init_args)), model.state_dict(), "memory")
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(again(x), model.eval()(x))


@pytest.mark.parametrize(("name", "suffix"), [(RESNET, ".pth"), (SMALL, ".safetensors")])
def test_a_colour_image_is_seen_as_the_network_saw_it(
    name: str, suffix: str, file: Callable[..., str], state: dict[str, dict[str, Tensor]]
) -> None:
    model = Backbone(spec=spec(3, 48, 48), name=name, weights=file(name, suffix), mode="finetune")
    whole = torchvision.models.get_model(name, weights=None)
    whole.load_state_dict(state[name])
    (whole if name == RESNET else whole.classifier).register_module("fc" if name == RESNET else "3", nn.Identity())
    x = torch.randn(4, 3, 48, 48)
    model.fit_encoders(x)
    torch.testing.assert_close(model.eval().embed(x), whole.eval()(model.encode(x)))
    norms = [[(n.eps, n.momentum) for n in m.modules() if isinstance(n, nn.BatchNorm2d)] for m in (model, whole)]
    assert norms[0] == norms[1]


@pytest.mark.parametrize("channels", [1, 6])
def test_a_grey_image_answers_as_in_colour(channels: int, file: Callable[..., str]) -> None:
    x = torch.randn(4, 1, 48, 48)
    grey = Backbone(spec=spec(channels, 48, 48), weights=file(SMALL), name=SMALL, mode="features")
    colour = Backbone(spec=spec(3, 48, 48), weights=file(SMALL), name=SMALL, mode="features")
    grey.fit_encoders(x.expand(-1, channels, -1, -1))
    colour.fit_encoders(x.expand(-1, 3, -1, -1))
    one, other = grey.eval().embed(x.expand(-1, channels, -1, -1)), colour.eval().embed(x.expand(-1, 3, -1, -1))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_filters_for_two_channels_and_a_small_stem() -> None:
    filters = torch.randn(4, 3, 7, 7)
    two = adapted(filters, torch.empty(4, 2, 7, 7))
    torch.testing.assert_close(two, filters[:, :2] * 1.5)
    small = adapted(filters, torch.empty(4, 3, 3, 3))
    assert small.shape == (4, 3, 3, 3)
    torch.testing.assert_close(adapted(torch.ones(1, 3, 7, 7), torch.empty(1, 3, 3, 3)).sum(), torch.tensor(3 * 49.0))


def test_a_small_stem_keeps_small_images(file: Callable[..., str]) -> None:
    model = Backbone(spec=spec(1, 28, 28), stem="small", weights=file(RESNET), mode="finetune")
    model.fit_encoders(torch.randn(3, 1, 28, 28))
    rows = {row["name"]: row["shape"] for row in layer_table(model)}
    assert rows["body.network.conv1"] == [64, 28, 28]
    assert rows["body.network.layer4.1.conv2"] == [512, 4, 4]
    with pytest.raises(InputError, match="stem 'small' is for ResNets, not mobilenet_v3_small"):
        Backbone(spec=spec(1, 28, 28), stem="small", name=SMALL)


def test_images_are_scaled_inside_the_model() -> None:
    model = Backbone(spec=spec(1, 20, 30), name=SMALL, resize=64).eval()
    x = torch.randn(2, 1, 20, 30)
    seen = model.body.resize(model.encode(x))
    torch.testing.assert_close(seen.mean((2, 3)), model.encode(x).mean((2, 3)), atol=0.05, rtol=0)
    torch.testing.assert_close(model.body.network(seen), model.embed(x))
    assert seen.shape == (2, 1, 64, 64)
    assert model.rows_at_once < Backbone(spec=spec(1, 20, 30), name=SMALL).rows_at_once
    with torch.autocast("cpu", torch.bfloat16):
        assert model(x).isfinite().all()


def test_features_stay_as_they_were(file: Callable[..., str]) -> None:
    torch.manual_seed(0)
    x, y = data(32, 1, 32, 32)
    model = Backbone(spec=spec(1, 32, 32), weights=file(SMALL), name=SMALL, mode="features", lr=0.01)
    model.fit_encoders(x, y)
    before, watch = copied(model), Watch()
    trainer = train(model, x, y, 3, callbacks=[watch])
    changed = {name for name, value in model.state_dict().items() if not torch.equal(before[name], value)}
    assert changed == {"head.1.weight", "head.1.bias"}
    assert not any(map(any, watch.trained + watch.modes))
    assert len(trainer.optimizers[0].param_groups) == 1
    model.train()
    assert torch.equal(model.embed(x[:4]), model.eval().embed(x[:4]))


def test_scratch_learns() -> None:
    torch.manual_seed(0)
    x, y = data(32, 1, 24, 24)
    model = Backbone(spec=spec(1, 24, 24))
    model.fit_encoders(x, y)
    before = copied(model)
    train(model, x, y, 3)
    with torch.no_grad():
        assert ((model.eval()(x)[:, 0] > 0) == y.bool()).float().mean() > 0.9
    assert not any(torch.equal(before[name], value) for name, value in model.named_parameters())


def test_lower_stages_learn_more_slowly(file: Callable[..., str]) -> None:
    x, y = data(16, 1, 32, 32)
    watch = Watch()
    options = {"mode": "finetune", "layer_decay": 0.5, "lr": 0.08, "schedule": "step", "schedule_epochs": 1}
    model = Backbone(spec=spec(1, 32, 32), weights=file(RESNET), **options)
    model.fit_encoders(x, y)
    before = copied(model)
    train(model, x, y, 2, callbacks=[watch])
    first = [0.08, 0.04, 0.02, 0.01, 0.005, 0.0025]
    assert watch.rates == [pytest.approx(first), pytest.approx([rate / 10 for rate in first])]
    assert watch.trained == [[True] * 5] * 2
    assert not any(torch.equal(before[name], value) for name, value in model.named_parameters())


def test_one_cycle_keeps_the_rates_apart(file: Callable[..., str]) -> None:
    x, y = data(16, 1, 32, 32)
    watch = Watch()
    options = {"mode": "finetune", "lr": 0.01, "schedule": "one_cycle"}
    model = Backbone(spec=spec(1, 32, 32), weights=file(SMALL), name=SMALL, **options)
    model.fit_encoders(x, y)
    train(model, x, y, 2, callbacks=[watch])
    for rates in watch.rates:
        assert [high / low for high, low in pairwise(rates)] == pytest.approx([2.0] * 5)


def test_stages_join_one_by_one_and_a_resumed_run_goes_on(
    file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    x, y = data(16, 1, 32, 32)

    def new() -> Backbone:
        torch.manual_seed(0)
        options = {"mode": "finetune", "unfreeze_epochs": 2, "name": SMALL, "dropout": 0.2}
        model = Backbone(spec=spec(1, 32, 32), weights=file(SMALL), **options)
        model.fit_encoders(x, y)
        return model

    watch, model = Watch(), new()
    before = copied(model)
    train(model, x, y, 5, callbacks=[watch])
    assert watch.trained == watch.modes
    assert [sum(trained) for trained in watch.trained] == [0, 0, 1, 1, 2]
    assert watch.trained[-1] == [False, False, False, True, True]
    frozen = {id(w) for part in weights_of(model.backbone)[:3] for w in part}
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name]) == (id(weight) in frozen), name
    first = "body.network.features.0.1.running_mean"
    assert torch.equal(model.state_dict()[first], before[first])

    half, path = new(), str(tmp_path / "half.ckpt")
    train(half, x, y, 3).save_checkpoint(path)
    again, watch = new(), Watch()
    train(again, x, y, 5, resume=path, callbacks=[watch])
    assert [sum(trained) for trained in watch.trained] == [1, 2]
    assert all(torch.equal(again.state_dict()[name], value) for name, value in model.state_dict().items())


def test_weights_of_another_network_are_refused(
    file: Callable[..., str], message: Callable[..., str], tmp_path: Path
) -> None:
    model = Backbone(spec=spec(1, 32, 32), weights=file(SMALL), mode="features")
    said = message(lambda: model.fit_encoders(torch.randn(2, 1, 32, 32)))
    assert f"{SMALL}.pth does not hold the weights of resnet18: conv1.weight is missing" in said
    model = Backbone(spec=spec(1, 64, 64), name="resnet34", weights=file(RESNET), mode="features")
    said = message(lambda: model.fit_encoders(torch.randn(2, 1, 64, 64)))
    assert "layer1.2.conv1.weight is missing" in said
    wrong = {**torch.load(file(RESNET)), "bn1.weight": torch.zeros(5)}
    torch.save(wrong, tmp_path / "wrong.pth")
    model = Backbone(spec=spec(1, 64, 64), weights=str(tmp_path / "wrong.pth"), mode="features")
    assert "bn1.weight has another shape" in message(lambda: model.fit_encoders(torch.randn(2, 1, 64, 64)))
    torch.save({**wrong, "bn1.weight": torch.ones(64), "more": torch.ones(1)}, tmp_path / "wrong.pth")
    assert "more has no place in it" in message(lambda: model.fit_encoders(torch.randn(2, 1, 64, 64)))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_and_foreign_files_are_named(suffix: str, tmp_path: Path, message: Callable[..., str]) -> None:
    path = tmp_path / f"w{suffix}"
    model = Backbone(spec=spec(1, 32, 32), weights=str(path), mode="features")
    x = torch.randn(2, 1, 32, 32)
    assert f"no weights {str(path)!r}; model.weights is none, pretrained, or a file" in message(
        lambda: model.fit_encoders(x)
    )
    path.write_bytes(b"not weights at all")
    assert f"{path} cannot be read as weights" in message(lambda: model.fit_encoders(x))
    if suffix == ".pth":
        torch.save([torch.zeros(3)], path)
        assert f"{path} is no state dict" in message(lambda: model.fit_encoders(x))
        torch.save({"state": Path("x")}, path)  # would have to be unpickled
        assert f"{path} cannot be read as weights" in message(lambda: model.fit_encoders(x))


def test_without_a_network_the_file_and_its_place_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: Callable[..., str], state: dict[str, dict[str, Tensor]]
) -> None:
    def offline(*args: object, **options: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    model = Backbone(spec=spec(1, 32, 32), weights="pretrained", mode="features")
    x, place = torch.randn(2, 1, 32, 32), tmp_path / "hub/checkpoints/resnet18-f37072fd.pth"
    said = message(lambda: model.fit_encoders(x))
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth cannot be fetched" in said
    assert f"put the file at {place}, or give its path as model.weights" in said
    place.write_bytes(b"half of it")
    assert f"{place} is damaged" in message(lambda: model.fit_encoders(x))
    torch.save(state[RESNET], place)
    model.fit_encoders(x)
    assert torch.equal(model.backbone.layer1[0].conv1.weight, state[RESNET]["layer1.0.conv1.weight"])


def test_published_densenets_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torchvision.models.densenet121(weights=None).state_dict()
    old = {}
    for key, value in whole.items():
        for part in ("norm", "conv"):
            for number in "12":
                if "denselayer" in key:
                    key = key.replace(f".{part}{number}.", f".{part}.{number}.")
        old[key] = value
    assert set(old) != set(whole)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", lambda *args, **options: old)
    model = Backbone(spec=spec(3, 32, 32), name="densenet121", weights="pretrained", mode="features")
    model.fit_encoders(torch.randn(2, 3, 32, 32))
    key = "features.denseblock1.denselayer1.conv1.weight"
    assert torch.equal(model.backbone.state_dict()[key], whole[key])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "resnet81"}, "backbone 'resnet81' is unknown; did you mean resnet18"),
        ({"weights": "pretrained"}, "mode 'scratch' starts from random weights"),
        ({"mode": "features"}, "mode 'features' needs model.weights: pretrained, or a file"),
        ({"mode": "fine"}, "mode 'fine' is unknown"),
        ({"name": "vit_b_16"}, r"vit_b_16 cannot take images of 32 x 32 \(.*224.*\); set resize, such as 224"),
        ({"name": "alexnet"}, "alexnet cannot take images of 32 x 32"),
        ({"layer_decay": 1.5}, "layer_decay must be between 0 and 1"),
        ({"unfreeze_epochs": -1}, "unfreeze_epochs must be at least 0"),
        ({"resize": 0}, "resize must be at least 1"),
    ],
)
def test_what_cannot_be_built_says_why(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Backbone(spec=spec(1, 32, 32), **options)


def test_volumes_are_no_images() -> None:
    with pytest.raises(InputError, match=r"Backbone takes images of shape \(channels, height, width\)"):
        Backbone(spec=spec(1, 8, 8, 8))


@pytest.fixture
def embedded() -> AnnData:
    x = np.array([[1, 0], [2, 0.1], [0, 1], [0, 3], [-1, 0], [2, 0.1]], np.float32)
    obs = pd.DataFrame({"target": list("aabbca"), "prediction": list("aabbcb")}, index=[f"cell{i}" for i in range(6)])
    return AnnData(x, obs, uns={"layer": "latent"})


def test_neighbours_are_the_nearest(embedded: AnnData, message: Callable[..., str]) -> None:
    found = neighbours(embedded, "cell2", k=2)
    assert found.columns.tolist() == ["query", "neighbour", "rank", "distance", "target", "prediction"]
    assert found["neighbour"].tolist()[0] == "cell3"
    assert found["rank"].tolist() == [1, 2]
    assert found["distance"][0] == pytest.approx(0, abs=1e-6)
    assert found[["target", "prediction"]].iloc[0].tolist() == ["b", "b"]
    far = neighbours(embedded, ["cell2", "cell0"], k=1, metric="euclidean")
    assert far["query"].tolist() == ["cell2", "cell0"]
    assert far["neighbour"].tolist() == ["cell0", "cell1"]
    assert far["distance"].tolist() == pytest.approx([2**0.5, 1.01**0.5])
    for name, twin in (("cell1", "cell5"), ("cell5", "cell1")):  # equal samples: each is the other's, not its own
        assert neighbours(embedded, name, k=5)["neighbour"].tolist()[0] == twin
        assert name not in neighbours(embedded, name, k=5)["neighbour"].tolist()
    others = embedded[["cell2"]].copy()
    others.obs_names = ["new"]
    assert neighbours(embedded, others, 1, "euclidean")[["query", "neighbour"]].iloc[0].tolist() == ["new", "cell2"]
    assert "no sample 'cel2'; did you mean cell2" in message(lambda: neighbours(embedded, "cel2"))
    assert "k must be between 1 and 5, not 6" in message(lambda: neighbours(embedded, "cell2", k=6))
    assert "metric 'cosin' is unknown" in message(lambda: neighbours(embedded, "cell2", metric="cosin"))
    assert "same model and layer" in message(lambda: neighbours(embedded, embedded[:, :1].copy()))

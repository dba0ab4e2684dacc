"""Networks of torchvision with a new head: how they are built and cut into stages, and what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from captum.attr import LayerGradCam
from conftest import image_spec as spec

from zoo import weights
from zoo.errors import InputError
from zoo.models import Backbone
from zoo.models.layer_table import layer_table
from zoo.models.predict.backbone import adapted, build, names, output_shape, weights_of

RESNET, SMALL = "resnet18", "mobilenet_v3_small"


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

    for place in ("torch.hub.load_state_dict_from_url", "torch.load", "zoo.models.predict.backbone.load_file"):
        monkeypatch.setattr(place, fail)
    model = Backbone(spec=spec(3, 32, 32), mode="features", **arguments)
    again = weights.build("Backbone", json.loads(json.dumps(model.init_args)), model.state_dict(), "memory")
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(again(x), model.eval()(x))


def test_filters_for_two_channels_and_a_small_stem() -> None:
    filters = torch.randn(4, 3, 7, 7)
    two = adapted(filters, torch.empty(4, 2, 7, 7))
    torch.testing.assert_close(two, filters[:, :2] * 1.5)
    small = adapted(filters, torch.empty(4, 3, 3, 3))
    assert small.shape == (4, 3, 3, 3)
    torch.testing.assert_close(adapted(torch.ones(1, 3, 7, 7), torch.empty(1, 3, 3, 3)).sum(), torch.tensor(3 * 49.0))


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
        assert f"{path} is not a state dict" in message(lambda: model.fit_encoders(x))
        torch.save({"state": Path("x")}, path)  # would have to be unpickled
        assert f"{path} cannot be read as weights" in message(lambda: model.fit_encoders(x))


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

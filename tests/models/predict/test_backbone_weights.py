"""Weights of whole networks in a backbone: what they see, freezing, learning rates, and what is refused."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from conftest import image_spec as spec
from lightning.pytorch import Callback, LightningModule, Trainer
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from zoo.data.base import Rows, Shuffle, whole_batch
from zoo.errors import InputError
from zoo.models import Backbone
from zoo.models.layer_table import layer_table
from zoo.models.predict.backbone import stages, weights_of

RESNET, SMALL = "resnet18", "mobilenet_v3_small"


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
def test_a_grey_image_has_the_output_of_its_colour_version(channels: int, file: Callable[..., str]) -> None:
    x = torch.randn(4, 1, 48, 48)
    grey = Backbone(spec=spec(channels, 48, 48), weights=file(SMALL), name=SMALL, mode="features")
    colour = Backbone(spec=spec(3, 48, 48), weights=file(SMALL), name=SMALL, mode="features")
    grey.fit_encoders(x.expand(-1, channels, -1, -1))
    colour.fit_encoders(x.expand(-1, 3, -1, -1))
    one, other = grey.eval().embed(x.expand(-1, channels, -1, -1)), colour.eval().embed(x.expand(-1, 3, -1, -1))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_small_stem_keeps_small_images(file: Callable[..., str]) -> None:
    model = Backbone(spec=spec(1, 28, 28), stem="small", weights=file(RESNET), mode="finetune")
    model.fit_encoders(torch.randn(3, 1, 28, 28))
    rows = {row["name"]: row["shape"] for row in layer_table(model)}
    assert rows["body.network.conv1"] == [64, 28, 28]
    assert rows["body.network.layer4.1.conv2"] == [512, 4, 4]
    with pytest.raises(InputError, match="stem 'small' is for ResNets, not mobilenet_v3_small"):
        Backbone(spec=spec(1, 28, 28), stem="small", name=SMALL)


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
    trainer = train(model, x, y, 3)
    assert trainer.global_step == 12  # a training that was cut short would fail below for no reason to be seen there
    with torch.no_grad():
        outputs = model.eval()(x)[:, 0]
    assert ((outputs > 0) == y.bool()).float().mean() > 0.9, outputs
    assert [name for name, value in model.named_parameters() if torch.equal(before[name], value)] == []


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
    assert "more is not part of the network" in message(lambda: model.fit_encoders(torch.randn(2, 1, 64, 64)))


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

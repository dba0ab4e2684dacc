"""PCA filters, histograms of hashed maps, and the head that learns from them."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningDataModule, Trainer
from sklearn.decomposition import PCA
from torch import Tensor
from torch.utils.data import DataLoader

from zoo import weights
from zoo.data.base import Rows, whole_batch
from zoo.errors import InputError
from zoo.models import PCANet
from zoo.models.layer_table import layer_table
from zoo.models.predict.pcanet import PCAFilters
from zoo.spec import Spec


def spec(*shape: int, kind: str = "binary") -> Spec:
    classes = {"binary": ["flat", "steep"], "multiclass": ["a", "b", "c"], "regression": [], "segmentation": ["a", "b"]}
    return {
        "modalities": {"image": {"kind": "image", "shape": list(shape), "features": ["image"]}},
        "target": {"kind": kind, "name": "y", "classes": classes[kind], "unit": ""},  # type: ignore[typeddict-item]
        "id": "",
    }


def stripes(rows: int, size: int = 20, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noisy stripes that run across (0) or down (1) an image, from any phase."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (rows,), generator=generator)
    phase = 6 * torch.rand(rows, 1, 1, generator=generator)
    wave = torch.sin(torch.arange(size)[None, None] + phase).expand(rows, size, size)
    x = torch.where(y[:, None, None] == 1, wave, wave.transpose(1, 2))
    return (x + 0.5 * torch.randn(x.shape, generator=generator))[:, None], y


def patches(images: Tensor, size: int) -> np.ndarray:
    """All patches, each channel of each centred, one a row."""
    padded = F.pad(images, [size // 2] * 4).numpy()
    rows = [
        image[:, top : top + size, left : left + size].reshape(len(image), -1)
        for image in padded
        for top in range(images.shape[2])
        for left in range(images.shape[3])
    ]
    return np.stack([(row - row.mean(1, keepdims=True)).reshape(-1) for row in rows])


@pytest.fixture(scope="module")
def fitted() -> tuple[PCANet, Tensor]:
    torch.manual_seed(0)
    x = F.avg_pool2d(torch.randn(30, 2, 18, 16), 3, 1) * torch.tensor([5.0, 1.0])[:, None, None] + 7
    model = PCANet(spec=spec(*x.shape[1:]), filters=[5, 3], patch_size=5, block_size=6, overlap=0.5)
    model.fit_encoders(x)
    return model.eval(), x


def test_filters_are_principal_components(fitted: tuple[PCANet, Tensor]) -> None:
    model, x = fitted
    images, body = model.encode(x), model.body
    maps = F.conv2d(images, body.first, padding=2).flatten(0, 1)[:, None]
    for filters, seen in ((body.first, images), (body.second, maps)):
        ours = filters.flatten(1).numpy()
        theirs = PCA(len(ours), svd_solver="full").fit(patches(seen, 5)).components_
        np.testing.assert_allclose(ours @ ours.T, np.eye(len(ours)), atol=1e-5)
        sign = np.sign((ours * theirs).sum(1, keepdims=True))
        np.testing.assert_allclose(ours, sign * theirs, atol=1e-4)
        assert np.all(ours[np.arange(len(ours)), np.abs(ours).argmax(1)] > 0)


def test_chunks_do_not_matter(fitted: tuple[PCANet, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = fitted
    monkeypatch.setattr("zoo.models.predict.pcanet.PATCH_VALUES", 1)
    again = PCANet(spec=model.spec, filters=[5, 3], patch_size=5, block_size=6, overlap=0.5)
    again.fit_encoders(x)
    torch.testing.assert_close(again.body.first, model.body.first, atol=1e-5, rtol=0)
    torch.testing.assert_close(again.body.second, model.body.second, atol=1e-5, rtol=0)


def test_histograms_are_those_of_a_slow_loop(fitted: tuple[PCANet, Tensor]) -> None:
    model, x = fitted
    image = model.encode(x[:1])
    padded = F.pad(image, [2] * 4)[0].numpy()
    height, width = image.shape[2:]
    first, second = model.body.first.numpy(), model.body.second.numpy()
    found = []
    for one in first:
        map_ = np.zeros((height, width), np.float32)
        for i in range(height):
            for j in range(width):
                map_[i, j] = (padded[:, i : i + 5, j : j + 5] * one).sum()
        around = np.pad(map_, 2)
        number = np.zeros((height, width), int)
        for i in range(height):
            for j in range(width):
                for bit, two in enumerate(second[:, 0]):
                    number[i, j] += 2**bit * bool((around[i : i + 5, j : j + 5] * two).sum() > model.body.threshold)
        for top in (0, 2, 5, 8, 10):  # evenly spread, the last one ends with the image
            for left in (0, 3, 5, 8):
                counts = np.bincount(number[top : top + 6, left : left + 6].reshape(-1), minlength=8)
                found.append(np.sqrt(counts / 36))
    expected = np.concatenate(found)
    np.testing.assert_allclose(model.embed(x[:1])[0].numpy(), expected / np.linalg.norm(expected), atol=1e-6)


def test_blocks_cover_the_image() -> None:
    body = PCAFilters((1, 28, 21), [2, 2], 3, 8, 0.0)
    assert body.rows[:, 0].tolist() == [0, 7, 13, 20]
    assert body.columns[:, 0].tolist() == [0, 6, 13]
    assert body.columns[-1, -1] == 20


def test_a_flat_image_has_no_response(fitted: tuple[PCANet, Tensor]) -> None:
    model, _ = fitted
    inside = model.body.hashed(torch.full((1, 2, 16, 14), 1.7))[0, :, 4:-4, 4:-4]
    assert torch.equal(inside, torch.zeros_like(inside))  # and not the signs of rounding errors


def test_the_output_does_not_depend_on_precision(fitted: tuple[PCANet, Tensor]) -> None:
    model, x = fitted
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model.embed(x), model.embed(x).float())
        mixed = model.embed(x)
    torch.testing.assert_close(mixed, model.embed(x))


class Halves(LightningDataModule):
    """First rows train, last rows validate."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        super().__init__()
        self.x, self.y = x, y
        self.train, self.validation = torch.arange(len(x)).chunk(2)

    def training_inputs(self) -> Tensor:
        return self.x[self.train]

    def training_targets(self) -> Tensor:
        return self.y[self.train]

    def train_dataloader(self) -> DataLoader:
        return DataLoader(Rows(self.x, self.train, y=self.y[self.train]), 32, collate_fn=whole_batch)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(Rows(self.x, self.validation, y=self.y[self.validation]), 32, collate_fn=whole_batch)


def fit(model: PCANet, data: Halves, epochs: int) -> None:
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)


def test_a_head_is_trained_on_filters_of_training_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    data = Halves(*stripes(130))
    options = {"filters": [4, 4], "patch_size": 5, "lr": 0.02}
    model, other = PCANet(spec=spec(1, 20, 20), **options), PCANet(spec=spec(1, 20, 20), **options)
    calls: list[int] = []
    forward = PCAFilters.forward
    monkeypatch.setattr(PCAFilters, "forward", lambda self, x: (calls.append(len(x)), forward(self, x))[1])
    fit(model, data, 8)
    assert sum(calls) == 130  # each sample once, not once an epoch
    assert model.cache is None
    other.fit_encoders(data.training_inputs())
    same = {name for name, value in model.state_dict().items() if torch.equal(other.state_dict()[name], value)}
    assert set(model.state_dict()) - same == {"head.1.weight", "head.1.bias"}
    with torch.no_grad():
        right = (model.eval()(data.x[65:])[:, 0] > 0) == data.y[65:].bool()
    assert right.float().mean() > 0.95


def test_what_is_kept_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = stripes(8)
    model = PCANet(spec=spec(1, 20, 20), filters=[2, 2], patch_size=3)
    model.fit_encoders(x)
    expected = model.embed(x)
    monkeypatch.setattr("zoo.models.predict.pcanet.CACHED_VALUES", 5 * model.body.width)
    model.on_fit_start()
    for rows in (slice(4), slice(2, 8), slice(8), slice(3, 4)):
        assert torch.equal(model.embed(x[rows]), expected[rows])
        assert model.cache is not None
        assert len(model.cache) == 4
    changed = x[:4] + 0.1 * torch.randn(4, 1, 20, 20)  # augmented
    model.cache = None
    expected = model.embed(changed)
    model.on_fit_start()
    model.embed(x[:4])
    assert torch.equal(model.embed(changed), expected)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_any_target_and_a_batch_of_one(kind: str) -> None:
    x, y = stripes(6)
    y = torch.rand(6) if kind == "regression" else y
    model = PCANet(spec=spec(1, 20, 20, kind=kind), filters=[3, 2], patch_size=3, dropout=0.2)
    model.fit_encoders(x, y)
    model.loss({"x": x[:1], "y": y[:1]}).backward()
    assert all(w.grad is not None and w.grad.isfinite().all() for w in model.parameters())
    assert model(x).shape == (6, 3 if kind == "multiclass" else 1)
    assert layer_table(model)[-1]["shape"] == [3 if kind == "multiclass" else 1]


def test_a_network_comes_back_from_its_arguments_and_weights(fitted: tuple[PCANet, Tensor]) -> None:
    model, x = fitted
    again = weights.build("PCANet", json.loads(json.dumps(model.init_args)), model.state_dict(), "memory")
    assert torch.equal(again(x), model(x))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"filters": [8]}, "filters must list two numbers, one for each stage"),
        ({"filters": [9, 2], "patch_size": 3}, "filters of stage 1 must be between 1 and 8, not 9"),
        ({"filters": [8, 9], "patch_size": 3}, "filters of stage 2 must be between 1 and 8, not 9"),
        ({"filters": [8, 13]}, "filters of stage 2 must be between 1 and 12, not 13"),
        ({"patch_size": 4}, "patch_size must be odd, not 4"),
        ({"block_size": 17}, "images of 16 x 20 are smaller than block_size 17"),
        ({"overlap": 1.0}, "overlap must be between 0 and 0.9"),
    ],
)
def test_what_cannot_be_built_says_why(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        PCANet(spec=spec(1, 16, 20), **options)
    with pytest.raises(InputError, match="PCANet takes images"):
        PCANet(spec=spec(1, 8, 8, 8))

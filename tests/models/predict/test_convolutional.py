"""Convolutional networks over images and volumes, and the table of their layers."""

import json

import pytest
import torch
from captum.attr import LayerGradCam
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from zoo import weights
from zoo.data.base import Rows, whole_batch
from zoo.errors import InputError
from zoo.models import CNN1D, CNN2D, CNN3D, MLP, Supervised
from zoo.models.layer_table import layer_table, layer_text
from zoo.spec import Spec


def spec(*shape: int, kind: str = "binary") -> Spec:
    classes = {"binary": ["left", "right"], "multiclass": ["a", "b", "c"], "regression": [], "segmentation": ["a", "b"]}
    return {
        "modalities": {"image": {"kind": "image", "shape": list(shape), "features": ["image"]}},
        "target": {"kind": kind, "name": "y", "classes": classes[kind], "unit": ""},  # type: ignore[typeddict-item]
        "id": "",
    }


def images(rows: int, *shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise with a bright square (or cube) in the left or the right half, at any height."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, *shape, generator=generator)
    y = torch.randint(0, 2, (rows,), generator=generator)
    at = torch.randint(0, shape[-2] - 3, (rows,), generator=generator)
    for image, right, row in zip(x, y.tolist(), at.tolist(), strict=True):
        column = shape[-1] // 2 * right + 1
        image[..., row : row + 3, column : column + 3] += 3
    return x, y


def train(model: Supervised, x: Tensor, y: Tensor, epochs: int, **options: object) -> Trainer:
    loader = DataLoader(Rows(x, torch.arange(len(x)), y=y), batch_size=32, shuffle=True, collate_fn=whole_batch)
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,  # type: ignore[arg-type]
    )
    trainer.fit(model, loader)
    return trainer


OPTIONS = {
    "default": {},
    "strides": {"filters": [4, 8], "kernel_sizes": [5, 3], "strides": [2, 2], "pool_sizes": [1, 2]},
    "valid": {"filters": [4], "kernel_sizes": [4], "padding": "valid"},
    "batch norm": {"normalisation": "batch"},
    "norm of one pixel": {
        "filters": [4] * 5,
        "kernel_sizes": [3] * 5,
        "pool_sizes": [2, 2, 2, 2, 1],
        "normalisation": "batch",
    },
    "averages": {"pooling": "average", "global_pooling": "average", "activation": "gelu"},
    "maxima": {"global_pooling": "max", "hidden": [6], "dropout": 0.3},
}


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_option_trains_on_any_batch(dimensions: int, name: str, kind: str) -> None:
    torch.manual_seed(0)
    shape = (2, *[16] * dimensions)
    model = (CNN2D if dimensions == 2 else CNN3D)(spec=spec(*shape, kind=kind), **OPTIONS[name])
    x = torch.randn(3, *shape)
    y = torch.rand(3) if kind == "regression" else torch.arange(3) % 2
    model.fit_encoders(x, y)
    for rows in (slice(3), slice(1)):  # the last batch of an epoch may be one sample
        model.loss({"x": x[rows], "y": y[rows]}).backward()
    assert all(w.grad is not None and w.grad.isfinite().all() for w in model.parameters())
    model.eval()
    assert model(x).shape == (3, 3 if kind == "multiclass" else 1)
    torch.testing.assert_close(model.network(model.encode(x)), model(x))
    torch.testing.assert_close(model.head(model.embed(x)), model(x))
    layer = model.last_convolution
    assert layer is model.body.get_submodule(f"convolution{len(model.hparams['filters'])}")
    inner = LayerGradCam(model.network, layer).attribute(model.encode(x), target=0)
    assert inner.ndim == 2 + dimensions
    assert inner.abs().sum() > 0


def test_layers_are_those_of_the_arguments() -> None:
    model = CNN2D(
        spec=spec(1, 20, 28),
        filters=[4, 6],
        kernel_sizes=[5, 3],
        strides=[2, 1],
        normalisation="batch",
        pool_sizes=[2, 1],
        hidden=[7],
    )
    rows = layer_table(model)
    assert [(row["name"], row["type"], row["shape"], row["weights"]) for row in rows[1:]] == [
        ("body.convolution1", "Conv2d", [4, 10, 14], 4 * 25 + 4),
        ("body.norm1", "BatchNorm2d", [4, 10, 14], 8),
        ("body.relu1", "ReLU", [4, 10, 14], 0),
        ("body.pool1", "MaxPool2d", [4, 5, 7], 0),
        ("body.convolution2", "Conv2d", [6, 5, 7], 4 * 6 * 9 + 6),
        ("body.norm2", "BatchNorm2d", [6, 5, 7], 12),
        ("body.relu2", "ReLU", [6, 5, 7], 0),
        ("body.flatten", "Flatten", [6 * 5 * 7], 0),
        ("body.linear1", "Linear", [7], 210 * 7 + 7),
        ("body.dense_relu1", "ReLU", [7], 0),
        ("head.0", "Dropout", [7], 0),
        ("head.1", "Linear", [1], 8),
    ]
    assert (rows[0]["name"], rows[0]["shape"]) == ("encode", [1, 20, 28])
    lines = layer_text(rows).splitlines()
    assert lines[0].split() == ["layer", "type", "output", "weights"]
    assert lines[2].split() == ["body.convolution1", "Conv2d", "4", "x", "10", "x", "14", "104"]
    assert lines[-1].split() == ["all", f"{sum(w.numel() for w in model.parameters()):,}"]
    assert len({len(line) for line in lines}) == 1


def test_the_table_leaves_the_model_as_it_was() -> None:
    model = CNN2D(spec=spec(1, 16, 16), normalisation="batch")
    model.body.norm1.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layer_table(model)
    assert model.training
    assert not model.body.norm1.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("layer", ["one-hot", "k-mer"])
def test_the_table_counts_all_weights_of_any_model(layer: str) -> None:
    data = spec(40)
    data["modalities"] = {"sequence": {"kind": "sequence", "shape": [40], "features": ["sequence"]}}
    for model in (CNN1D(spec=data, encoding={"layer": layer}), MLP(spec=data, encoding={"layer": layer})):
        rows = layer_table(model)
        assert sum(row["weights"] for row in rows) == sum(w.numel() for w in model.parameters())
        assert rows[-1]["name"].startswith("head")


class Attention(nn.Module):
    """Has weights of its own beside layers, one of which holds a layer that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten, self.attention = nn.Flatten(2), nn.MultiheadAttention(16, 2, batch_first=True)
        self.scale = nn.Parameter(torch.ones(16))

    def forward(self, x: Tensor) -> Tensor:
        x = self.flatten(x)
        return self.scale * self.attention(x, x, x)[0].mean(1)


def test_the_table_counts_weights_beside_layers() -> None:
    model = CNN2D(spec=spec(3, 4, 4), filters=[2], kernel_sizes=[3])
    model.body, model.head = Attention(), nn.Linear(16, 1)
    rows = {row["name"]: row for row in layer_table(model)}
    assert rows["body.attention"]["weights"] == 4 * (16 * 16 + 16)
    assert rows["body.attention"]["shape"] == [3, 16]
    assert rows["body"]["weights"] == 16
    assert sum(row["weights"] for row in rows.values()) == sum(w.numel() for w in model.parameters())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"padding": "valid", "kernel_sizes": [19, 3, 3]},
            "images of 18 x 24 are too small: convolution 1 gets 18 x 24",
        ),
        (
            {"padding": "valid", "kernel_sizes": [9, 5, 3]},
            "convolution 2 gets 5 x 8, needs 6 x 6; lower kernel_sizes, strides or pool_sizes",
        ),
        ({"pool_sizes": [2, 2, 5]}, "convolution 3 gets 4 x 6, needs 5 x 5"),
        ({"strides": [4, 4, 1]}, "convolution 2 gets 2 x 3, needs 5 x 5"),
        ({"filters": [4, 4]}, "kernel_sizes must list one number for each of the 2 convolutions"),
        ({"strides": [1]}, "strides must list one number for each of the 3"),
        ({"filters": [], "kernel_sizes": []}, "for each of the 0"),
        ({"filters": [4, 0, 4]}, "number of filters must be at least 1"),
        ({"hidden": [0]}, "hidden width must be at least 1"),
        ({"kernel_sizes": [3, 4, 3]}, "padding 'same' needs odd kernel_sizes, not 4"),
        ({"normalisation": "bach"}, "did you mean batch"),
        ({"global_pooling": "mean"}, "global_pooling 'mean' is unknown"),
        ({"dropout": 1.5}, "dropout must be between 0 and 1"),
    ],
)
def test_what_cannot_be_built_says_why(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        CNN2D(spec=spec(1, 18, 24), **options)


@pytest.mark.parametrize(("padding", "needed"), [("same", 5), ("valid", 7)])
def test_the_size_that_is_called_enough_is_enough(padding: str, needed: int) -> None:
    options = {"filters": [2], "kernel_sizes": [3], "strides": [2], "pool_sizes": [3], "padding": padding}
    with pytest.raises(InputError, match=f"convolution 1 gets {needed - 1} x 30, needs {needed} x {needed};"):
        CNN2D(spec=spec(1, needed - 1, 30), **options)
    model = CNN2D(spec=spec(1, needed, 30), **options)
    assert model(torch.randn(2, 1, needed, 30)).shape == (2, 1)


def test_samples_of_another_kind_are_refused_in_one_line() -> None:
    with pytest.raises(
        InputError, match=r"CNN2D takes images of shape \(channels, height, width\), or series with enc"
    ):
        CNN2D(spec=spec(1, 8, 8, 8))
    with pytest.raises(InputError, match=r"\(channels, depth, height, width\); .* \(image\) has shape \(1, 8, 8\)"):
        CNN3D(spec=spec(1, 8, 8))
    table = spec(1)
    table["modalities"] = {"table": {"kind": "table", "shape": [2], "features": ["age", "dose"]}}
    with pytest.raises(InputError, match=r"\(table\) has shape \(2\)"):
        CNN2D(spec=table)
    with pytest.raises(InputError, match="masks need the model Segmenter"):
        CNN2D(spec=spec(1, 16, 16, kind="segmentation"))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_left_and_right_are_learnt(precision: str) -> None:
    torch.manual_seed(0)
    x, y = images(320, 1, 16, 16)
    model = CNN2D(spec=spec(1, 16, 16), filters=[8, 8], kernel_sizes=[3, 3], lr=0.01)
    model.fit_encoders(x[:192], y[:192])
    train(model, x[:192], y[:192], 6, precision=precision)
    with torch.no_grad():
        assert ((model.eval()(x[192:])[:, 0] > 0) == y[192:].bool()).float().mean() > 0.95


def test_left_and_right_are_learnt_in_volumes() -> None:
    torch.manual_seed(0)
    x, y = images(256, 1, 6, 12, 12)
    model = CNN3D(spec=spec(1, 6, 12, 12), filters=[4, 8], kernel_sizes=[3, 3], lr=0.01)
    model.fit_encoders(x[:192], y[:192])
    train(model, x[:192], y[:192], 6)
    with torch.no_grad():
        assert ((model.eval()(x[192:])[:, 0] > 0) == y[192:].bool()).float().mean() > 0.95


def test_a_gramian_field_is_an_image() -> None:
    data = spec(1)
    data["modalities"] = {"series": {"kind": "series", "shape": [2, 40], "features": ["series"]}}
    model = CNN2D(spec=data, encoding={"layer": "gramian", "size": 16})
    x = torch.randn(3, 2, 40)
    model.fit_encoders(x)
    assert layer_table(model)[0]["shape"] == [4, 16, 16]
    assert model(x).shape == (3, 1)


def test_a_network_comes_back_from_its_arguments_and_weights() -> None:
    x, y = images(8, 2, 16, 16)
    model = CNN2D(spec=spec(2, 16, 16), normalisation="batch", strides=[1, 2, 1], hidden=[4])
    model.fit_encoders(x, y)
    again = weights.build("CNN2D", json.loads(json.dumps(model.init_args)), model.state_dict(), "memory")
    torch.testing.assert_close(again(x), model.eval()(x), rtol=0, atol=0)
    assert all(value.is_contiguous() for value in model.state_dict().values())

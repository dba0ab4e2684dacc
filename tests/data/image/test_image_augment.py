"""Inputs of networks and baselines: shapes, standardised channels, augmentation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from zoo.data import ImageData
from zoo.data.image.augment import Augmentation
from zoo.encode import ImageEncoder, image_to_tensor

CLASSES = ["sick", "well"]
Message = Callable[[Callable[[], object]], str]


@pytest.fixture
def labels() -> np.ndarray:
    return np.array(CLASSES)[np.arange(40) % 2]


def test_images_that_do_not_fit_a_model_are_refused(message: Message) -> None:
    modality: Any = {"kind": "image", "shape": [1, 8, 8], "features": ["image"]}
    good = np.zeros((8, 8), np.uint8)
    assert image_to_tensor(pd.DataFrame({"image": [good, good[None]]}), modality).shape == (2, 1, 8, 8)

    def error(array: Any) -> str:
        return message(lambda: image_to_tensor(pd.DataFrame({"image": [good, array]}, index=["a", "b"]), modality))

    assert "sample b has 1 channel of 9 x 8 pixels, 1 channel of 8 x 8 pixels are expected" in error(np.zeros((9, 8)))
    assert "sample b has 2 channels of 8 x 8 pixels" in error(np.zeros((2, 8, 8)))
    assert "sample b has the shape (8,)" in error(np.zeros(8))
    assert "sample b has a missing or infinite value" in error(np.full((8, 8), np.inf))
    assert "sample b is not an image of numbers" in error([["x"]])
    assert "sample b is not an image of numbers" in error([[1], [1, 2]])
    assert "no column 'image' with the images" in message(
        lambda: image_to_tensor(pd.DataFrame({"imag": [good]}), modality)
    )
    scaled = image_to_tensor(pd.DataFrame({"image": [np.full((4, 4), 9, np.uint8)]}), {**modality, "resize": True})
    assert scaled.dtype == torch.uint8
    assert scaled.tolist() == [[[[9] * 8] * 8]]


@pytest.mark.parametrize("shape", [(2, 6, 7), (2, 4, 5, 6)])
def test_channels_are_standardised(shape: tuple[int, ...]) -> None:
    layer = ImageEncoder({"kind": "image", "shape": list(shape), "features": ["image"]})
    x = torch.randint(0, 256, (3000, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    x[:, 1] = 5  # constant
    layer.fit(x)
    assert layer.out_shape == shape
    z = layer(x)
    assert z.dtype == torch.float32
    assert z[:, 0].mean().abs() < 1e-4
    assert (z[:, 0].std() - 1).abs() < 1e-3
    assert (z[:, 1] == 0).all()
    far = x.double() * 1e-3 + 1e6  # the deviation must be accurate in spite of a large offset
    layer.fit(far)
    assert abs(float(layer.scale.flatten()[0]) - float(far[:, 0].std())) < 1e-5
    assert layer.example(4).shape == (4, *shape)
    assert torch.equal(layer.example(4), layer.example(4))


def test_baselines_have_at_most_4096_inputs() -> None:
    volumes = ImageData("vessels3d_simulated")
    features = volumes.baseline_features(torch.arange(240))[""]
    assert features.shape == (240, 4096)
    train = features[volumes.dataset.rows("train").numpy()]
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(0), 1, atol=1e-4)
    assert ImageData("digits").baseline_features(torch.arange(3))[""].shape == (3, 64)


def batch(shape: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> dict[str, torch.Tensor]:
    """Images with masks that are 1 where a pixel is bright."""
    mask = torch.zeros(8, *shape[1:], dtype=torch.uint8)
    mask[:, 2:5, 3:] = 1
    return {"x": (200 * mask[:, None]).expand(8, *shape).to(dtype).contiguous(), "y": mask}


NOTHING = Augmentation("none", 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("change", "shape"),
    [
        ({"flip": "both"}, (1, 12, 12)),
        ({"flip": "horizontal"}, (2, 12, 9)),
        ({"flip": "all", "rotate": 90}, (1, 8, 8, 8)),
        ({"rotate": 90, "shift": 0.2, "zoom": 0.3}, (1, 32, 20)),
    ],
)
def test_masks_are_augmented_as_their_images(change: dict[str, Any], shape: tuple[int, ...]) -> None:
    whole, how = batch(shape), NOTHING._replace(**change)
    how.check(list(shape[1:]))
    one = how(whole, True, torch.Generator().manual_seed(0))
    assert one["x"].dtype == one["y"].dtype == torch.uint8
    assert ((one["x"][:, 0] > 100) == (one["y"] == 1)).float().mean() > 0.98
    assert (one["y"] != whole["y"]).any()
    assert len({mask.numpy().tobytes() for mask in one["y"]}) > 1
    again, other = (how(whole, True, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert torch.equal(one["x"], again["x"])
    assert torch.equal(one["y"], again["y"])
    assert not torch.equal(one["x"], other["x"])


def test_rotation_preserves_shapes_in_images_that_are_not_square() -> None:
    x = torch.zeros(1, 1, 40, 20)
    x[:, :, 15:25, 5:15] = 1  # a square remains one if both axes have the same scale
    how = NOTHING._replace(rotate=180)
    for seed in range(5):
        turned = how({"x": x}, False, torch.Generator().manual_seed(seed))["x"]
        assert abs(float(turned.sum()) - 100) < 4


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_brightness_and_contrast(dtype: torch.dtype) -> None:
    x = torch.full((6, 1, 4, 4), 100).to(dtype)
    x[..., 0] = 250
    for change in ({"brightness": 0.5}, {"contrast": 0.5}):
        changed = NOTHING._replace(**change)({"x": x}, False, torch.Generator().manual_seed(0))["x"]
        assert changed.dtype == dtype
        assert len(changed[:, 0, 1, 1].unique()) > 3
        assert (changed[..., 0] > changed[..., 1]).all()  # no overflow
    means = NOTHING._replace(contrast=0.1)({"x": x.float()}, False, torch.Generator().manual_seed(0))["x"]
    torch.testing.assert_close(means.flatten(1).mean(1), x.float().flatten(1).mean(1))


def test_only_training_images_are_augmented(here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    np.savez("cells.npz", images=pixels, labels=labels)
    data = ImageData("cells.npz", flip="both", brightness=0.2)

    class Stage:
        training, current_epoch, global_rank = True, 0, 0

    data.trainer = stage = Stage()  # type: ignore[assignment]
    raw = next(iter(data.loader("validation")))
    assert not torch.equal(data.on_after_batch_transfer(raw, 0)["x"], raw["x"])
    stage.training = False
    assert torch.equal(data.on_after_batch_transfer(raw, 0)["x"], raw["x"])
    assert torch.equal(ImageData("cells.npz").augment(raw, torch.Generator())["x"], raw["x"])

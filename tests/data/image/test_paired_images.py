"""Pairs of images: file formats, joint augmentation, and errors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import save, values

import zoo
from zoo.cli import main
from zoo.data import ImagePairData
from zoo.data.simulated import SIMULATIONS

Message = Callable[[Callable[[], object]], str]


def write_pairs(folder: Path, pixels: np.ndarray) -> Path:
    """Write each image and its negative."""
    for number, array in enumerate(pixels):
        save(folder / "images" / f"{number:02}.png", array)
        save(folder / "negative" / f"{number:02}.png", 255 - array)
    return folder


def check(data: ImagePairData, pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(values(data)[:, 0], pixels)
    assert data.dataset.y.dtype == torch.float32
    np.testing.assert_array_equal(data.dataset.y[:, 0].numpy(), 255 - pixels)
    assert data.spec["target"]["kind"] == "image"
    assert data.spec["target"]["shape"] == [1, 12, 16]
    assert data.spec["target"]["name"] == data.output
    assert "output image" not in data.samples


def test_a_folder_of_pairs(here: Path, pixels: np.ndarray) -> None:
    data = ImagePairData(str(write_pairs(here / "cells", pixels)), target="negative")
    check(data, pixels)
    assert data.samples.index[0] == "images/00.png"


def test_a_table_of_pairs(here: Path, pixels: np.ndarray) -> None:
    write_pairs(here, pixels)
    names = [f"c{number:02}" for number in range(40)]
    table = pd.DataFrame({"cell": names, "image": [f"negative/{n[1:]}.png" for n in names]})
    table["plain"] = [f"images/{n[1:]}.png" for n in names]
    table.to_csv("pairs.csv", index=False)
    check(ImagePairData("pairs.csv", image="plain", target="image", id="cell"), pixels)
    frame = ImagePairData("pairs.csv", image="plain", target="image", id="cell").frame()
    assert list(frame.index) == names
    assert frame["image"].iloc[0].shape == (1, 12, 16)
    table.drop(columns="image").to_csv("new.csv", index=False)  # inputs only
    assert len(ImagePairData("new.csv", image="plain", target="image", id="cell").frame()) == 40


@pytest.mark.parametrize("name", ["negative", "masks", "targets"])
def test_two_arrays(name: str, here: Path, pixels: np.ndarray) -> None:
    np.savez("pairs.npz", images=pixels, **{name: 255 - pixels})
    check(ImagePairData("pairs.npz", target=name), pixels)


def test_targets_may_have_other_channels(here: Path, pixels: np.ndarray) -> None:
    colour = np.stack([pixels, 255 - pixels, pixels // 2], -1)
    np.savez("pairs.npz", images=pixels, colour=colour)
    data = ImagePairData("pairs.npz", target="colour")
    assert data.spec["target"]["shape"] == [3, 12, 16]
    np.testing.assert_array_equal(data.dataset.y.numpy(), np.moveaxis(colour, -1, 1))


def test_either_image_of_a_packaged_set_may_be_the_target() -> None:
    simulated = SIMULATIONS["vessels_simulated"]()
    images, masks = (np.stack(list(simulated[name])) for name in ("image", "mask"))
    data = ImagePairData("vessels_simulated", image="mask", target="image")
    np.testing.assert_array_equal(data.dataset.y.numpy(), images)
    np.testing.assert_array_equal(values(data)[:, 0], masks)
    other = ImagePairData("vessels_simulated", target="mask")
    np.testing.assert_array_equal(other.dataset.y.numpy()[:, 0], masks)
    np.testing.assert_array_equal(values(other), images)


def test_both_images_are_scaled_and_augmented_in_the_same_way(here: Path, pixels: np.ndarray) -> None:
    np.savez("pairs.npz", images=pixels, negative=255 - pixels)
    data = ImagePairData("pairs.npz", target="negative", size=[24, 32], flip="both", rotate=20, shift=0.1, zoom=0.1)
    batch = next(iter(data.train_dataloader()))
    assert batch["x"].shape == batch["y"].shape == (28, 1, 24, 32)
    moved = data.augment(batch, torch.Generator().manual_seed(0))
    assert not moved["x"].equal(batch["x"].float())
    torch.testing.assert_close(moved["x"] + moved["y"], torch.full((28, 1, 24, 32), 255.0), atol=1.01, rtol=0)


def test_pairs_of_volumes(here: Path) -> None:
    volumes = np.random.default_rng(0).integers(0, 255, (20, 6, 7, 8), dtype=np.uint8)
    np.savez("pairs.npz", images=volumes, double=2.0 * volumes)
    data = ImagePairData("pairs.npz", target="double")
    assert data.spec["target"]["shape"] == [1, 6, 7, 8]
    np.testing.assert_array_equal(data.dataset.y[:, 0].numpy(), 2.0 * volumes)


def test_duplicates_of_an_input_share_a_split(here: Path, pixels: np.ndarray) -> None:
    twice = np.concatenate([pixels, pixels])
    np.savez("pairs.npz", images=twice, other=np.random.default_rng(0).permuted(twice, axis=0))
    split = ImagePairData("pairs.npz", target="other").samples["split"].to_numpy()
    assert (split[:40] == split[40:]).all()


def test_a_pair_that_does_not_match_is_named(here: Path, pixels: np.ndarray, message: Message) -> None:
    folder = write_pairs(here / "cells", pixels)
    save(folder / "negative" / "03.png", pixels[3, :-2])
    error = message(lambda: ImagePairData("cells", target="negative").spec)
    assert "sample images/03.png: the input image is of 12 x 16 pixels, the target image of 10 x 16" in error
    (folder / "negative" / "03.png").unlink()
    error = message(lambda: ImagePairData("cells", target="negative").spec)
    assert "sample images/03.png has no target image" in error
    save(folder / "negative" / "03.png", pixels[3])
    save(folder / "images" / "05.png", pixels[5, :, :-4])
    save(folder / "negative" / "05.png", pixels[5, :, :-4])
    assert "images/05.png has 1 channel of 12 x 12 pixels" in message(
        lambda: ImagePairData("cells", target="negative").spec
    )


def test_missing_images(here: Path, pixels: np.ndarray, message: Message) -> None:
    np.savez("pairs.npz", images=pixels, masks=pixels, negative=255 - pixels)
    error = message(lambda: ImagePairData("pairs.npz", target="negatives").spec)
    assert "no target images 'negatives'; did you mean negative" in error
    error = message(lambda: ImagePairData("pairs.npz", image="imges", target="negative").spec)
    assert "no column 'imges' (given as image); did you mean image" in error
    assert "is both input and target" in message(lambda: ImagePairData("pairs.npz", target="image"))
    pd.DataFrame({"image": ["a.png"], "other": [None]}).to_csv("pairs.csv", index=False)
    save(here / "a.png", pixels[0])
    assert "sample a.png has no target image" in message(lambda: ImagePairData("pairs.csv", target="other").spec)


def test_inputs_without_targets_can_be_translated(here: Path) -> None:
    masks = (np.random.default_rng(0).random((3, 64, 64)) > 0.9).astype(np.uint8)
    np.savez("new.npz", images=masks)
    main(["predict", "--config", "pix2pix_vessels", "--data.path", "new.npz", "--output", "made.npz"])
    made = np.load("made.npz")
    assert made["images"].shape == (3, 1, 64, 64)
    assert made["names"].tolist() == ["1", "2", "3"]
    again = zoo.load("pix2pix_vessels").predict(masks[:, None])["image"]
    np.testing.assert_allclose(made["images"], np.stack(list(again)), atol=1e-4)

"""Image data: splits, scaling, loading from disk, masks, and errors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import save, values, write_classes

from zoo.data import ImageData
from zoo.data.datasets import checksum
from zoo.data.image import image
from zoo.data.image.masks import mask_codes
from zoo.data.simulated import SIMULATIONS

CLASSES = ["sick", "well"]
Message = Callable[[Callable[[], object]], str]


@pytest.fixture
def labels() -> np.ndarray:
    return np.array(CLASSES)[np.arange(40) % 2]


def write_masks(folder: Path, pixels: np.ndarray, high: int = 255) -> Path:
    for number, array in enumerate(pixels):
        save(folder / "images" / f"{number:02}.png", array)
        save(folder / "masks" / f"{number:02}.png", ((array > 120) * high).astype(np.uint8))
    return folder


@pytest.mark.parametrize("parts", [["train", "val", "test"], ["train", "validation", "test"], ["train", "test"]])
def test_an_official_split_of_folders_is_used(
    parts: list[str], here: Path, pixels: np.ndarray, labels: np.ndarray
) -> None:
    for number, part in enumerate(parts):
        write_classes(here / "cells" / part, pixels[10 * number :][:10], labels[10 * number :][:10])
    data = ImageData("cells")
    for name, split in data.samples["split"].items():
        folder = str(name).split("/")[0]
        assert split == {"val": "validation"}.get(folder, folder) or (len(parts) == 2 and folder == "train")
    assert set(data.samples["split"]) == {"train", "validation", "test"}
    assert (data.samples["split"] == "test").sum() == 10
    assert len(ImageData("cells").frame()) == 10 * len(parts)
    assert set(ImageData("cells", folds=3).samples.query("split == 'test'").index.str.split("/").str[0]) > {"test"}


def test_a_folder_of_test_samples(here: Path, pixels: np.ndarray, labels: np.ndarray, message: Message) -> None:
    write_classes(here / "cells", pixels[:30], labels[:30])
    write_classes(here / "new", pixels[30:], labels[30:])
    samples = ImageData("cells", test_path="new").samples
    assert list(samples.index[samples["split"] == "test"]) == [
        f"new/{label}/{n:02}.png" for label in CLASSES for n in range(10) if labels[30 + n] == label
    ]
    write_classes(here / "own" / "train", pixels, labels)
    write_classes(here / "own" / "test", pixels, labels)
    assert "own has an official split; leave out test_path" in message(lambda: ImageData("own", test_path="new").spec)


def test_identical_images_share_a_split(here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    for target in ({"labels": np.tile(labels, 2)}, {"masks": np.tile(pixels > 100, (2, 1, 1))}):
        np.savez("twice.npz", images=np.concatenate([pixels, pixels]), **target)
        split = ImageData("twice.npz").samples["split"].to_numpy()
        assert (split[:40] == split[40:]).all()
        assert set(split) == {"train", "validation", "test"}


def test_images_that_exceed_memory_are_read_from_disk(
    here: Path, pixels: np.ndarray, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_classes(here / "cells", pixels, labels)
    whole = ImageData("cells")
    monkeypatch.setattr(image, "MEMORY", 1000)
    lazy = ImageData("cells")
    assert not isinstance(lazy.dataset.x, torch.Tensor)
    np.testing.assert_array_equal(values(lazy), values(whole))
    assert lazy.split_sha256() == whole.split_sha256()
    assert next(iter(lazy.train_dataloader()))["x"].shape == (28, 1, 12, 16)
    monkeypatch.setattr("zoo.data.image.files.STATISTICS", 10 * 12 * 16)
    assert lazy.training_inputs().shape == (10, 1, 12, 16)
    assert lazy.training_targets().shape == (10,)
    np.testing.assert_allclose(
        lazy.baseline_features(torch.arange(9))[""], whole.baseline_features(torch.arange(9))[""]
    )


def test_masks_beside_images(here: Path, pixels: np.ndarray) -> None:
    data = ImageData(str(write_masks(here / "cells", pixels)))
    assert data.spec["target"] == {
        "kind": "segmentation",
        "name": "mask",
        "classes": ["background", "foreground"],
        "unit": "",
        "values": [0, 255],
    }
    assert data.dataset.y.dtype == torch.uint8
    np.testing.assert_array_equal(data.dataset.y.numpy(), pixels > 120)
    assert "mask" not in data.frame()
    named = ImageData("cells", mask_classes={0: "background", 255: "nucleus"}, size=[6, 8])
    assert named.spec["target"]["classes"] == ["background", "nucleus"]
    assert named.dataset.y.shape == (40, 6, 8)
    assert set(np.unique(named.dataset.y)) == {0, 1}
    other = ImageData(str(write_masks(here / "others", pixels[:9], high=1))).conform(data.spec, external=True)
    np.testing.assert_array_equal(other.dataset.y.numpy(), pixels[:9] > 120)


def test_masks_of_tables_and_arrays(here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    write_masks(here, pixels)
    names = [f"{n:02}.png" for n in range(40)]
    table = pd.DataFrame(
        {"image": [f"images/{n}" for n in names], "seg": [f"masks/{n}" for n in names], "label": labels}
    )
    table.to_csv("table.csv", index=False)
    data = ImageData("table.csv", masks="seg")
    np.testing.assert_array_equal(data.dataset.y.numpy(), pixels > 120)
    assert ImageData("table.csv").spec["target"]["kind"] == "binary"
    regions = (pixels // 50).astype(np.int64)
    np.savez("cells.npz", images=pixels, regions=regions, label=labels)
    np.testing.assert_array_equal(ImageData("cells.npz", masks="regions").dataset.y.numpy(), regions)
    assert ImageData("cells.npz").spec["target"]["kind"] == "binary"


def test_codes_follow_the_order_of_the_classes() -> None:
    mask = np.array([[0, 7], [3, 3]])
    (codes,) = mask_codes([mask], [(2, 2)], ["a"], {7: "b", 0: "c", 3: "a"}, ["b", "a", "c"], "it")
    assert codes.tolist() == [[2, 0], [1, 1]]


def test_other_sizes_are_scaled_on_request(here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    folder = write_classes(here / "cells", pixels, labels)
    save(folder / "sick" / "large.png", np.full((30, 40), 77, np.uint8))
    data = ImageData("cells", size=[10, 10])
    assert data.spec["modalities"]["image"] == {
        "kind": "image",
        "shape": [1, 10, 10],
        "features": ["image"],
        "resize": True,
    }
    assert (values(data)[list(data.samples.index).index("sick/large.png")] == 77).all()
    assert values(data).dtype == np.uint8


def bad_inputs(here: Path, pixels: np.ndarray, labels: np.ndarray) -> dict[str, tuple[Callable[[], ImageData], str]]:
    """Call and error message by fault."""
    sizes = write_classes(here / "sizes", pixels, labels)
    save(sizes / "well" / "x.png", pixels[0][:, :9])
    (here / "empty" / "a").mkdir(parents=True)
    flat = here / "flat"
    save(flat / "a.png", pixels[0])
    shapes = write_masks(here / "shapes", pixels)
    save(shapes / "masks" / "03.png", np.zeros((12, 15), np.uint8))
    unlisted = write_masks(here / "unlisted", pixels, high=1)
    mask = (pixels[5] > 120).astype(np.uint8)
    mask[2, 2] = 9
    save(unlisted / "masks" / "05.png", mask)
    lost = write_masks(here / "lost", pixels)
    (lost / "masks" / "07.png").unlink()
    colour = write_masks(here / "colour", pixels)
    save(colour / "masks" / "01.png", np.dstack([pixels[0], pixels[1], pixels[2]]))
    pd.DataFrame({"path": ["flat/a.png", "flat/b.png"], "label": ["x", "y"]}).to_csv("table.csv", index=False)
    np.savez("cells.npz", images=pixels, labels=labels[:9])
    np.savez("nan.npz", images=np.where(np.arange(40)[:, None, None] == 4, np.nan, pixels), labels=labels)
    np.savez("none.npz", numbers=pixels)
    np.savez("good.npz", images=pixels, labels=labels)
    named = {0: "background", 1: "vessel"}
    return {
        "sizes": (
            lambda: ImageData("sizes"),
            r"sick/00.png has 1 channel of 12 x 16 pixels, well/x.png has .* of 12 x 9",
        ),
        "size": (lambda: ImageData("good.npz", size=[4, 4, 4]), r"size \[4, 4, 4\] does not fit"),
        "class": (lambda: ImageData("empty"), r"empty/a: this folder of a class has no images"),
        "labels": (lambda: ImageData("flat"), "flat: there is no target"),
        "folder": (lambda: ImageData("nowhere"), "no file, folder or data set 'nowhere'"),
        "shapes": (
            lambda: ImageData("shapes"),
            r"mask of sample images/03.png is of shape 12 x 15, its image of 12 x 16",
        ),
        "value": (lambda: ImageData("unlisted", mask_classes=named), r"sample images/05.png has the value 9.*1 vessel"),
        "lost": (lambda: ImageData("lost"), "sample images/07.png has no mask"),
        "colour": (
            lambda: ImageData("colour"),
            r"sample images/01.png has 192 values, a mask has one per class",
        ),
        "no masks": (lambda: ImageData("sizes", masks="seg"), "there are no masks seg"),
        "column": (lambda: ImageData("table.csv"), "no column 'image' .given as image"),
        "file": (lambda: ImageData("table.csv", image="path"), "no image file 'flat/b.png'"),
        "length": (lambda: ImageData("cells.npz"), r"array 'labels' is of shape \(9,\); there are 40 images"),
        "missing": (lambda: ImageData("nan.npz"), "sample 5 has a missing or infinite value"),
        "array": (lambda: ImageData("none.npz"), "there is no array 'images'"),
        "axis": (lambda: ImageData("sizes", axis=0), "axis is for volumes"),
        "flip": (lambda: ImageData("good.npz", flip="all"), "flip 'all' is for volumes"),
        "turn": (lambda: ImageData("vessels3d_simulated", rotate=10), "rotated by quarter turns"),
        "zoom": (lambda: ImageData("good.npz", zoom=2), "zoom must be between 0 and 0.9"),
    }


CASES = [
    "sizes",
    "size",
    "class",
    "labels",
    "folder",
    "shapes",
    "value",
    "lost",
    "colour",
    "no masks",
    "column",
    "file",
]
CASES += ["length", "missing", "array", "axis", "flip", "turn", "zoom"]


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    cases = bad_inputs(here, pixels, labels)
    assert list(cases) == CASES
    call, error = cases[case]
    with pytest.raises(ValueError, match=error) as caught:
        _ = call().spec
    assert "\n" not in str(caught.value)


def test_checksums_include_arrays() -> None:
    frame = SIMULATIONS["vessels_simulated"]().iloc[:3]
    changed = frame.assign(image=[array.copy() for array in frame["image"]])
    assert checksum(changed) == checksum(frame)
    changed["image"].iloc[2][0, 5, 5] += 1
    assert checksum(changed) != checksum(frame)
    assert checksum(frame.rename(columns={"mask": "other"})) != checksum(frame)

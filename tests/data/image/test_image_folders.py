"""Folders of images as people have them: spelling of splits, levels of folders, names of masks, formats."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import save, values
from PIL import Image

from zoo.check import check
from zoo.data import ImageData
from zoo.data.image.folders import list_folder
from zoo.data.intake import expand

Message = Callable[[Callable[[], object]], str]


def write(folder: Path, pixels: np.ndarray, names: list[str]) -> str:
    """Different images of these names."""
    for number, name in enumerate(names):
        save(folder / name, pixels[number % len(pixels)] + number // len(pixels))
    return folder.name


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "valid", "test"),
        ("Training", "dev", "Testing"),
        ("TRAIN", "Validation", "Test"),
        ("train_set", "", "test_set"),
    ],
)
def test_splits_are_told_by_their_names_however_they_are_spelled(
    train: str, validation: str, test: str, here: Path, pixels: np.ndarray
) -> None:
    parts = {train: "train", validation: "validation", test: "test"}
    names = [f"{part}/{label}/{n}.png" for part in parts if part for label in ("sick", "well") for n in range(6)]
    data = ImageData(write(here / "photos", pixels, names))
    assert data.spec["target"]["classes"] == ["well", "sick"]
    for name, split in data.samples["split"].items():
        own = parts[str(name).split("/")[0]]
        assert split == own or (not validation and own == "train" and split == "validation")
    facts = dict(check("photos", {}).facts)
    assert facts["classes"].startswith("sick ")
    assert facts["split"].startswith("train 12")


def test_one_folder_around_all_others_and_what_archives_add(here: Path, pixels: np.ndarray) -> None:
    names = [f"data/{label}/{n}.png" for label in ("sick", "well") for n in range(6)]
    write(here / "photos", pixels, [*names, "data/__MACOSX/sick/0.png", "data/well/.hidden/0.png", "__MACOSX/x.png"])
    frame = list_folder(here / "photos")
    assert frame.iloc[:, 0].tolist() == names
    assert frame["label"].tolist() == ["sick"] * 6 + ["well"] * 6


def test_of_several_levels_the_recurring_names_are_the_classes(
    here: Path, pixels: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    names = [
        f"{site}/{label}/{n}.png"
        for site in ("Oslo", "Bergen", "Molde")
        for label in ("sick", "well")
        for n in range(5)
    ]
    data = ImageData(write(here / "sites", pixels, names), group="folder")
    assert data.spec["target"]["classes"] == ["well", "sick"]
    assert (data.samples.groupby("folder")["split"].nunique() == 1).all()
    assert "the classes are the folders sick, well; Bergen, Molde, Oslo are not classes" in caplog.text
    names = [
        f"{label}/{label[0]}{patient}/{n}.png" for label in ("sick", "well") for patient in range(5) for n in range(3)
    ]
    frame = list_folder(here / write(here / "patients", pixels, names))
    assert frame["label"].tolist() == ["sick"] * 15 + ["well"] * 15
    assert frame["folder"].nunique() == 10
    assert any("s0, s1, s2, ... are not classes" in line for line in check("patients", {}).doubts)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["sick/batch1/1.png", "sick/batch2/2.png", "well/batch1/3.png", "well/batch2/4.png"], "sick, well or batch1"),
        (["p1/sick/1.png", "p2/well/1.png", "p3/sick/1.png"], "p1, p2, p3 or sick, well within"),
        (
            ["train/a/1.png", "train/b/1.png", "extra/a/1.png", "extra/b/1.png"],
            "'train' is a split, but 'extra' is none",
        ),
        (["imagesTr/1.png", "imagesTr/2.png", "labelsTr/1.png", "labelsTr/2.png"], "name the folders images and masks"),
        (["train/1.png", "train/2.png", "train_masks/1_mask.png", "train_masks/2_mask.png"], "as masks have"),
    ],
)
def test_unclear_folders_are_refused(
    names: list[str], words: str, here: Path, pixels: np.ndarray, message: Message
) -> None:
    write(here / "photos", pixels, names)
    assert words in message(lambda: ImageData("photos").spec)
    assert any(words in problem for problem in check("photos", {}).problems)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{n}.png", "masks/{n}_mask.png"),
        ("images/{n}.png", "masks/{n}_seg.png"),
        ("images/{n}.png", "masks/mask_{n}.png"),
        ("images/img_{n}.png", "masks/Mask-{n}.png"),
        ("Images/{n}.png", "Labels/{n}.gif"),
        ("images/{n}.webp", "masks/{n}.gif"),
        ("{n}.png", "{n}_mask.png"),
    ],
)
def test_masks_are_found_by_the_names_that_people_give_them(
    image: str, mask: str, here: Path, pixels: np.ndarray
) -> None:
    for number, array in enumerate(pixels):
        for name, content in ((image, array), (mask, ((array > 120) * 255).astype(np.uint8))):
            path = here / "cells" / name.format(n=f"{number:02}")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(path, **({"lossless": True} if path.suffix == ".webp" else {}))
    data = ImageData("cells")
    assert data.spec["target"]["kind"] == "segmentation"
    np.testing.assert_array_equal(data.dataset.y.numpy(), pixels > 120)
    np.testing.assert_array_equal(values(data)[:, 0], pixels)
    assert expand(["cells"]).words[:2] == ["--config", "segmenter"]
    assert dict(check("cells", {}).facts)["masks"] == "40"


def test_masks_beside_the_images_of_classes_are_no_images(here: Path, pixels: np.ndarray) -> None:
    names = [
        f"{label}/{n}{end}.png" for label in ("sick", "well") for n in range(6) for end in ("", "_mask", "_mask_1")
    ]
    write(here / "scans", pixels, names)
    data = ImageData("scans")
    assert len(data.samples) == 12
    assert data.spec["target"]["classes"] == ["well", "sick"]
    assert expand(["scans"]).words[:2] == ["--config", "cnn2d"]


def test_missing_masks_and_several_masks_are_refused(here: Path, pixels: np.ndarray, message: Message) -> None:
    write(here / "cells", pixels, [f"images/{n}.png" for n in range(6)] + [f"masks/{n}_mask.png" for n in range(5)])
    assert "5.png has no mask" in message(lambda: ImageData("cells").spec)
    assert "1 image without a mask: cells/images/5.png" in check("cells", {}).problems
    write(here / "cells", pixels, ["masks/5_mask.png", "masks/5_seg.png"])
    assert "images/5.png has several masks" in message(lambda: ImageData("cells").spec)


def test_images_of_different_depth_are_refused(here: Path, pixels: np.ndarray, message: Message) -> None:
    write(here / "cells", pixels, [f"sick/{n}.png" for n in range(6)])
    write(here / "cells", pixels.astype(np.uint16) * 16, [f"well/{n}.png" for n in range(6)])
    error = message(lambda: ImageData("cells").spec)
    assert "cells/well/0.png: values of 16 bits, unlike cells/sick/0.png, which has 8 bits" in error


def test_transparency_and_grey_beside_colour_are_said(
    here: Path, pixels: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    write(here / "cells", pixels, [f"sick/{n}.png" for n in range(6)])
    clear = np.zeros_like(pixels)
    write(here / "cells", np.stack([pixels, pixels + 1, pixels, clear], -1), [f"well/{n}.png" for n in range(6)])
    with caplog.at_level(logging.INFO, logger="zoo"):
        assert values(ImageData("cells")).shape[1] == 3
    assert "6 of 12 images (first: cells/well/0.png): without their transparency" in caplog.text
    assert "cells: 6 of 12 images have one channel: all are taken as colour" in caplog.text

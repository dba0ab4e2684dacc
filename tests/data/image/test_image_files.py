"""Files of images: formats, unreadable files, packaged images and downloads."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pooch
import pytest
import tifffile
from conftest import save, values, write_classes
from PIL import Image

from zoo import files
from zoo.data import ImageData
from zoo.encode import image_to_tensor
from zoo.encode.image_file import read_image

CLASSES = ["sick", "well"]
Message = Callable[[Callable[[], object]], str]


@pytest.fixture
def labels() -> np.ndarray:
    return np.array(CLASSES)[np.arange(40) % 2]


@pytest.mark.parametrize("kind", ["png", "bmp", "tif"])
def test_a_folder_of_classes(kind: str, here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    data = ImageData(str(write_classes(here / "cells", pixels, labels, kind)))
    order = np.argsort(labels, kind="stable")
    assert values(data).dtype == np.uint8
    np.testing.assert_array_equal(values(data)[:, 0], pixels[order])
    assert [data.spec["target"]["classes"][code] for code in data.dataset.y] == list(labels[order])
    assert data.samples.index[0] == f"sick/00.{kind}"
    assert data.spec["modalities"]["image"] == {"kind": "image", "shape": [1, 12, 16], "features": ["image"]}
    assert "image" not in data.samples
    assert len(data.describe()["sha256"]) == 64


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_a_table_of_paths(kind: str, here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    for number, array in enumerate(pixels):
        save(here / "study" / "scans" / f"{number}.png", array)
    patient = np.arange(40) // 4
    table = pd.DataFrame(
        {"scan": [f"scans/{n}.png" for n in range(40)], "state": labels, "patient": patient, "age": 50}
    )
    path = here / "study" / f"table.{kind}"
    if kind == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="," if kind == "csv" else "\t")
    data = ImageData(str(path), image="scan", target="state", group="patient")
    np.testing.assert_array_equal(values(data)[:, 0], pixels)
    assert list(data.samples.index) == list(table["scan"])
    assert {"age", "patient"} <= set(data.samples)
    assert (data.samples.groupby("patient")["split"].nunique() == 1).all()
    loose = ImageData(str(path), image="scan", target="state").samples
    assert (loose.groupby("patient")["split"].nunique() > 1).any()


def test_arrays(here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    np.savez("cells.npz", x=np.stack([pixels] * 3, -1), y=np.arange(40) % 2, patient=np.arange(40) // 2)
    data = ImageData("cells.npz", group="patient", classes=CLASSES)
    assert values(data).shape == (40, 3, 12, 16)
    assert [data.spec["target"]["classes"][code] for code in data.dataset.y] == list(labels)
    assert (data.samples.groupby("patient")["split"].nunique() == 1).all()
    np.savez("volumes.npz", images=np.random.default_rng(0).normal(size=(9, 6, 7, 8)), labels=[0, 1, 2] * 3)
    volumes = ImageData("volumes.npz")
    assert volumes.spec["modalities"]["image"]["shape"] == [1, 6, 7, 8]
    assert values(volumes).dtype == np.float32
    assert volumes.spec["target"]["classes"] == ["0", "1", "2"]


def test_the_split_of_medmnist_files_is_used(here: Path, pixels: np.ndarray) -> None:
    codes = (np.arange(40) % 2)[:, None].astype(np.uint8)
    parts = {"train": slice(0, 20), "val": slice(20, 30), "test": slice(30, 40)}
    arrays = {f"{p}_images": pixels[s] for p, s in parts.items()} | {f"{p}_labels": codes[s] for p, s in parts.items()}
    np.savez("mnist.npz", **arrays)
    data = ImageData("mnist.npz", classes=CLASSES)
    np.testing.assert_array_equal(values(data)[:, 0], pixels)
    assert list(data.samples["split"]) == ["train"] * 20 + ["validation"] * 10 + ["test"] * 10
    assert data.spec["target"]["classes"] == ["well", "sick"]


def test_pages_are_samples_or_a_volume(here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    tifffile.imwrite("stack.tif", pixels, photometric="minisblack")
    tifffile.imwrite("seg.tif", (pixels > 120).astype(np.uint8), photometric="minisblack")
    data = ImageData("stack.tif", masks="seg.tif")
    np.testing.assert_array_equal(values(data)[:, 0], pixels)
    np.testing.assert_array_equal(data.dataset.y.numpy(), pixels > 120)
    assert "volume" in data.caution
    for number, label in enumerate(labels[:8]):
        (here / "stacks" / label).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(here / "stacks" / label / f"{number}.tif", pixels[5 * number :][:5], photometric="minisblack")
    assert values(ImageData("stacks", pages="volume")).shape == (8, 1, 5, 12, 16)
    pages = ImageData("stacks")
    assert values(pages).shape == (40, 1, 12, 16)
    assert (pages.samples.groupby("volume")["split"].nunique() == 1).all()
    assert pages.caution == ""


def test_nifti_volumes_and_their_slices(here: Path, labels: np.ndarray) -> None:
    x = np.random.default_rng(0).normal(size=(8, 4, 5, 6)).astype(np.float32)
    for volume, label, number in zip(x, labels[:8], range(8), strict=True):
        (here / "brains" / label).mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), here / "brains" / label / f"{number}.nii.gz")
    data = ImageData("brains")
    assert data.spec["modalities"]["image"]["shape"] == [1, 6, 5, 4]
    first = x[0].transpose(2, 1, 0)[:, ::-1]
    np.testing.assert_array_equal(values(data)[0, 0], first)
    slices = ImageData("brains", axis=0)
    np.testing.assert_array_equal(values(slices)[:6, 0], first)
    assert slices.samples.index[1] == "sick/0.nii.gz 1"
    assert (slices.samples.groupby("volume")["split"].nunique() == 1).all()
    assert values(ImageData("brains", axis=2)).shape == (32, 1, 6, 5)
    turned = nibabel.Nifti1Image(x[0][::-1], np.diag([-1, 1, 1, 1]))  # the same brain, stored from right to left
    nibabel.save(turned, here / "turned.nii")
    np.testing.assert_array_equal(read_image(here / "turned.nii")[0], first)


def test_image_modes(here: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (5, 4), dtype=np.uint8)
    clear = np.dstack([grey, grey, grey // 2, np.full_like(grey, 255)])
    Image.fromarray(clear).save("clear.png")
    Image.fromarray(grey > 100).save("two.png")
    Image.fromarray(grey.astype(np.uint16) * 200).save("deep.png")
    Image.fromarray(grey).convert("P").save("palette.png")
    assert read_image(here / "clear.png").shape == (3, 5, 4)
    assert set(np.unique(read_image(here / "two.png"))) == {0, 255}
    assert read_image(here / "deep.png").max() == int(grey.max()) * 200
    np.testing.assert_array_equal(read_image(here / "palette.png"), np.stack([grey] * 3))
    np.testing.assert_array_equal(read_image(here / "palette.png", codes=True)[0], grey)


def test_grey_and_colour(here: Path, pixels: np.ndarray, labels: np.ndarray, message: Message) -> None:
    folder = write_classes(here / "cells", pixels, labels)
    save(folder / "well" / "z.png", np.dstack([pixels[0] + 1] * 3))
    assert values(ImageData("cells")).shape == (41, 1, 12, 16)
    save(folder / "well" / "zz.png", np.dstack([pixels[0], pixels[1], pixels[2]]))
    assert values(ImageData("cells")).shape == (42, 3, 12, 16)
    frame = pd.DataFrame({"image": [folder / "well" / "zz.png"]})
    error = message(lambda: image_to_tensor(frame, {"kind": "image", "shape": [1, 12, 16], "features": ["image"]}))
    assert "zz.png) has 3 channels of 12 x 16 pixels, 1 channel of 12 x 16 pixels are expected" in error


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "tif", "nii", "nii.gz"])
def test_a_truncated_file_is_named_and_left_out_on_request(
    kind: str, here: Path, labels: np.ndarray, message: Message, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    for number, label in enumerate(labels[:20]):
        path = here / "cells" / label / f"{number}.{kind}"
        if kind.startswith("nii"):
            path.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(rng.normal(size=(6, 7, 8)), np.eye(4)), path)
        else:
            save(path, rng.integers(0, 255, (40, 40), dtype=np.uint8))
    truncate(here / "cells" / "sick" / f"2.{kind}")
    error = message(lambda: ImageData("cells").spec)
    assert f"2.{kind}: truncated, or not an image" in error
    assert "skip_unreadable" in error
    with caplog.at_level(logging.WARNING, logger="zoo"):
        data = ImageData("cells", skip_unreadable=True)
        assert f"sick/2.{kind}" not in data.samples.index
    assert len(data.samples) == 19
    assert f"2.{kind}" in caplog.text


def test_text_with_the_suffix_of_an_image_is_refused(here: Path, message: Message) -> None:
    for name in ("a.png", "a.tif", "a.nii", "a.nii.gz"):
        Path(name).write_text("hello")
        assert f"{name}: truncated, or not an image" in message(lambda name=name: read_image(Path(name)))
    assert "no image file 'b.png'" in message(lambda: read_image(Path("b.png")))


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("digits", "multiclass", [1, 8, 8]),
        ("mni152_slices", "segmentation", [1, 96, 116]),
        ("vessels_simulated", "segmentation", [1, 64, 64]),
        ("vessels3d_simulated", "binary", [1, 24, 24, 24]),
    ],
)
def test_packaged_images(name: str, kind: str, shape: list[int]) -> None:
    data, card = ImageData(name), files.card(name)  # the checksum is compared while it is read
    assert data.spec["target"]["kind"] == kind == card["task"]
    assert data.spec["modalities"]["image"]["shape"] == shape == card["shape"]
    assert len(data.samples) == card["rows"]
    assert values(data).dtype == np.uint8
    assert data.describe()["sha256"] == card["sha256"]
    if name == "mni152_slices":
        assert (data.samples.groupby("block")["split"].nunique() == 1).all()
        assert data.spec["target"]["classes"] == ["background", "grey matter", "white matter"]
        assert "1993-2009 Louis Collins" in (card["folder"] / "NOTICE").read_text()
    if name == "vessels3d_simulated":
        masks = ImageData(name, masks="mask")
        assert masks.spec["target"]["classes"] == ["background", "vessel"]
        assert masks.dataset.y.shape == (240, 24, 24, 24)


def test_no_network_gives_a_one_line_error(here: Path, monkeypatch: pytest.MonkeyPatch, message: Message) -> None:
    monkeypatch.setattr(pooch, "os_cache", lambda name: here / name)

    def offline(*args: Any, **kwargs: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", offline)
    error = message(lambda: ImageData("pneumonia_mnist").spec)
    assert "https://zenodo.org/records/10519652/files/pneumoniamnist.npz" in error
    assert "--data.path" in error
    assert str(here / "biozoo" / "pneumoniamnist.npz") in error


def test_a_download_is_checked_and_cached(
    here: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch, message: Message
) -> None:
    monkeypatch.setattr(pooch, "os_cache", lambda name: here / name)
    codes = np.arange(40) % 2
    parts = {"train": slice(0, 20), "val": slice(20, 30), "test": slice(30, 40)}
    arrays = {f"{p}_images": pixels[s] for p, s in parts.items()} | {f"{p}_labels": codes[s] for p, s in parts.items()}
    np.savez("source.npz", **arrays)
    fetched = []

    def copy(self: Any, url: str, target: str, *args: Any) -> None:
        fetched.append(url)
        Path(target).write_bytes(Path("source.npz").read_bytes())

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", copy)
    assert "cannot be downloaded" in message(lambda: ImageData("pneumonia_mnist").spec)
    assert not list((here / "biozoo").glob("*"))
    card = {**files.card("pneumonia_mnist"), "md5": pooch.file_hash("source.npz", "md5")}
    monkeypatch.setattr(files, "card", lambda name: dict(card))
    for _ in range(2):
        data = ImageData("pneumonia_mnist")
        assert data.spec["target"]["classes"] == ["normal", "pneumonia"]
        assert list(data.samples["split"]) == ["train"] * 20 + ["validation"] * 10 + ["test"] * 10
    assert len(fetched) == 2  # the refused one, and the cached one
    assert data.describe()["sha256"] == files.sha256(here / "source.npz")

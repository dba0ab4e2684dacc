"""Images: what is read, how it is split and changed, masks, and what is refused."""

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
import torch
from PIL import Image

from zoo import files
from zoo.data import ImageData, image
from zoo.data.image_augment import Augmentation
from zoo.data.masks import encode_masks
from zoo.data.reading import checksum
from zoo.data.simulate import SIMULATIONS
from zoo.encode import ImageEncoder, image_to_tensor
from zoo.encode.image_file import read_image

CLASSES = ["sick", "well"]
Message = Callable[[Callable[[], object]], str]


@pytest.fixture
def pixels() -> np.ndarray:
    """40 grey images, ``(samples, height, width)``; every second one is brighter."""
    noise = np.random.default_rng(0).integers(0, 100, (40, 12, 16), dtype=np.uint8)
    return noise + (100 * (np.arange(40) % 2)).astype(np.uint8)[:, None, None]


@pytest.fixture
def labels() -> np.ndarray:
    return np.array(CLASSES)[np.arange(40) % 2]


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_classes(folder: Path, pixels: np.ndarray, labels: np.ndarray, kind: str = "png") -> Path:
    for number, (array, label) in enumerate(zip(pixels, labels, strict=True)):
        save(folder / label / f"{number:02}.{kind}", array)
    return folder


def write_masks(folder: Path, pixels: np.ndarray, high: int = 255) -> Path:
    for number, array in enumerate(pixels):
        save(folder / "images" / f"{number:02}.png", array)
        save(folder / "masks" / f"{number:02}.png", ((array > 120) * high).astype(np.uint8))
    return folder


def values(data: ImageData) -> np.ndarray:
    """Raw images in the order of the files."""
    x = data.content.x[torch.arange(len(data.samples))]
    return np.asarray(x)


@pytest.mark.parametrize("kind", ["png", "bmp", "tif"])
def test_a_folder_of_classes(kind: str, here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    data = ImageData(str(write_classes(here / "cells", pixels, labels, kind)))
    order = np.argsort(labels, kind="stable")
    assert values(data).dtype == np.uint8
    np.testing.assert_array_equal(values(data)[:, 0], pixels[order])
    assert [CLASSES[code] for code in data.content.y] == list(labels[order])
    assert data.samples.index[0] == f"sick/00.{kind}"
    assert data.spec["modalities"]["image"] == {"kind": "image", "shape": [1, 12, 16], "features": ["image"]}
    assert "image" not in data.samples
    assert len(data.describe()["sha256"]) == 64


@pytest.mark.parametrize("parts", [["train", "val", "test"], ["train", "validation", "test"], ["train", "test"]])
def test_an_official_split_of_folders_stays(
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
    assert "own has a split of its own; leave out test_path" in message(lambda: ImageData("own", test_path="new").spec)


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
    assert [CLASSES[code] for code in data.content.y] == list(labels)
    assert (data.samples.groupby("patient")["split"].nunique() == 1).all()
    np.savez("volumes.npz", images=np.random.default_rng(0).normal(size=(9, 6, 7, 8)), labels=[0, 1, 2] * 3)
    volumes = ImageData("volumes.npz")
    assert volumes.spec["modalities"]["image"]["shape"] == [1, 6, 7, 8]
    assert values(volumes).dtype == np.float32
    assert volumes.spec["target"]["classes"] == ["0", "1", "2"]


def test_the_split_of_medmnist_files_stays(here: Path, pixels: np.ndarray) -> None:
    codes = (np.arange(40) % 2)[:, None].astype(np.uint8)
    parts = {"train": slice(0, 20), "val": slice(20, 30), "test": slice(30, 40)}
    arrays = {f"{p}_images": pixels[s] for p, s in parts.items()} | {f"{p}_labels": codes[s] for p, s in parts.items()}
    np.savez("mnist.npz", **arrays)
    data = ImageData("mnist.npz", classes=CLASSES)
    np.testing.assert_array_equal(values(data)[:, 0], pixels)
    assert list(data.samples["split"]) == ["train"] * 20 + ["validation"] * 10 + ["test"] * 10
    assert data.spec["target"]["classes"] == CLASSES


def test_pages_are_samples_or_a_volume(here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    tifffile.imwrite("stack.tif", pixels, photometric="minisblack")
    tifffile.imwrite("seg.tif", (pixels > 120).astype(np.uint8), photometric="minisblack")
    data = ImageData("stack.tif", masks="seg.tif")
    np.testing.assert_array_equal(values(data)[:, 0], pixels)
    np.testing.assert_array_equal(data.content.y.numpy(), pixels > 120)
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


def test_pictures_of_all_kinds(here: Path) -> None:
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


def test_identical_images_share_a_split(here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    for target in ({"labels": np.tile(labels, 2)}, {"masks": np.tile(pixels > 100, (2, 1, 1))}):
        np.savez("twice.npz", images=np.concatenate([pixels, pixels]), **target)
        split = ImageData("twice.npz").samples["split"].to_numpy()
        assert (split[:40] == split[40:]).all()
        assert set(split) == {"train", "validation", "test"}


def test_images_that_do_not_fit_stay_on_the_disk(
    here: Path, pixels: np.ndarray, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_classes(here / "cells", pixels, labels)
    whole = ImageData("cells")
    monkeypatch.setattr(image, "MEMORY", 1000)
    lazy = ImageData("cells")
    assert not isinstance(lazy.content.x, torch.Tensor)
    np.testing.assert_array_equal(values(lazy), values(whole))
    assert lazy.split_sha256() == whole.split_sha256()
    assert next(iter(lazy.train_dataloader()))["x"].shape == (28, 1, 12, 16)
    monkeypatch.setattr("zoo.data.image_arrays.STATISTICS", 10 * 12 * 16)
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
    }
    assert data.content.y.dtype == torch.uint8
    np.testing.assert_array_equal(data.content.y.numpy(), pixels > 120)
    assert "mask" not in data.frame()
    named = ImageData("cells", mask_classes={0: "background", 255: "nucleus"}, size=[6, 8])
    assert named.spec["target"]["classes"] == ["background", "nucleus"]
    assert named.content.y.shape == (40, 6, 8)
    assert set(np.unique(named.content.y)) == {0, 1}
    other = ImageData(str(write_masks(here / "others", pixels[:9], high=1))).conform(data.spec, external=True)
    np.testing.assert_array_equal(other.content.y.numpy(), pixels[:9] > 120)


def test_masks_of_tables_and_arrays(here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    write_masks(here, pixels)
    names = [f"{n:02}.png" for n in range(40)]
    table = pd.DataFrame(
        {"image": [f"images/{n}" for n in names], "seg": [f"masks/{n}" for n in names], "label": labels}
    )
    table.to_csv("table.csv", index=False)
    data = ImageData("table.csv", masks="seg")
    np.testing.assert_array_equal(data.content.y.numpy(), pixels > 120)
    assert ImageData("table.csv").spec["target"]["kind"] == "binary"
    regions = (pixels // 50).astype(np.int64)
    np.savez("cells.npz", images=pixels, regions=regions, label=labels)
    np.testing.assert_array_equal(ImageData("cells.npz", masks="regions").content.y.numpy(), regions)
    assert ImageData("cells.npz").spec["target"]["kind"] == "binary"


def test_codes_follow_the_order_of_the_classes() -> None:
    mask = np.array([[0, 7], [3, 3]])
    codes = encode_masks([mask], [(2, 2)], ["a"], {7: "b", 0: "c", 3: "a"}, ["b", "a", "c"], "it", (2, 2))
    assert codes.tolist() == [[[2, 0], [1, 1]]]


def test_other_sizes_are_scaled_when_asked_for(here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
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


def test_grey_and_colour(here: Path, pixels: np.ndarray, labels: np.ndarray, message: Message) -> None:
    folder = write_classes(here / "cells", pixels, labels)
    save(folder / "well" / "z.png", np.dstack([pixels[0] + 1] * 3))
    assert values(ImageData("cells")).shape == (41, 1, 12, 16)
    save(folder / "well" / "zz.png", np.dstack([pixels[0], pixels[1], pixels[2]]))
    assert values(ImageData("cells")).shape == (42, 3, 12, 16)
    frame = pd.DataFrame({"image": [folder / "well" / "zz.png"]})
    told = message(lambda: image_to_tensor(frame, {"kind": "image", "shape": [1, 12, 16], "features": ["image"]}))
    assert "zz.png) has 3 channels of 12 x 16 pixels, 1 channel of 12 x 16 pixels are expected" in told


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "tif", "nii", "nii.gz"])
def test_a_truncated_file_is_named_and_left_out_when_asked_for(
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
    told = message(lambda: ImageData("cells").spec)
    assert f"2.{kind}: truncated, or not an image" in told
    assert "skip_unreadable" in told
    with caplog.at_level(logging.WARNING, logger="zoo"):
        data = ImageData("cells", skip_unreadable=True)
        assert f"sick/2.{kind}" not in data.samples.index
    assert len(data.samples) == 19
    assert f"2.{kind}" in caplog.text


def test_text_that_calls_itself_an_image_is_refused(here: Path, message: Message) -> None:
    for name in ("a.png", "a.tif", "a.nii", "a.nii.gz"):
        Path(name).write_text("hello")
        assert f"{name}: truncated, or not an image" in message(lambda name=name: read_image(Path(name)))
    assert "no image file 'b.png'" in message(lambda: read_image(Path("b.png")))


def bad_inputs(here: Path, pixels: np.ndarray, labels: np.ndarray) -> dict[str, tuple[Callable[[], ImageData], str]]:
    """What is wrong, and how it is told."""
    odd = write_classes(here / "odd", pixels, labels)
    save(odd / "well" / "x.png", pixels[0][:, :9])
    (here / "empty" / "a").mkdir(parents=True)
    flat = here / "flat"
    save(flat / "a.png", pixels[0])
    shapes = write_masks(here / "shapes", pixels)
    save(shapes / "masks" / "03.png", np.zeros((12, 15), np.uint8))
    strange = write_masks(here / "strange", pixels, high=1)
    mask = (pixels[5] > 120).astype(np.uint8)
    mask[2, 2] = 9
    save(strange / "masks" / "05.png", mask)
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
            lambda: ImageData("odd"),
            r"sick/00.png has 1 channel of 12 x 16 pixels, well/x.png has .* of 12 x 9",
        ),
        "size": (lambda: ImageData("good.npz", size=[4, 4, 4]), r"size \[4, 4, 4\] does not fit"),
        "class": (lambda: ImageData("empty"), r"empty/a: there is no image in this folder of a class"),
        "labels": (lambda: ImageData("flat"), "flat: what is to be predicted"),
        "folder": (lambda: ImageData("nowhere"), "no file, folder or data set 'nowhere'"),
        "shapes": (
            lambda: ImageData("shapes"),
            r"mask of sample images/03.png is of shape 12 x 15, its image of 12 x 16",
        ),
        "value": (lambda: ImageData("strange", mask_classes=named), r"sample images/05.png has the value 9.*1 vessel"),
        "lost": (lambda: ImageData("lost"), "sample images/07.png has no mask"),
        "colour": (lambda: ImageData("colour"), r"masks/01.png: a mask has one channel"),
        "no masks": (lambda: ImageData("odd", masks="seg"), "there are no masks seg"),
        "column": (lambda: ImageData("table.csv"), "no column 'image' .given as image"),
        "file": (lambda: ImageData("table.csv", image="path"), "no image file 'flat/b.png'"),
        "length": (lambda: ImageData("cells.npz"), r"array 'labels' is of shape \(9,\); there are 40 images"),
        "missing": (lambda: ImageData("nan.npz"), "sample 5 has a missing or infinite value"),
        "array": (lambda: ImageData("none.npz"), "there is no array 'images'"),
        "axis": (lambda: ImageData("odd", axis=0), "axis is for volumes"),
        "flip": (lambda: ImageData("good.npz", flip="all"), "flip 'all' is for volumes"),
        "turn": (lambda: ImageData("vessels3d_simulated", rotate=10), "quarter turns only"),
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
    call, told = cases[case]
    with pytest.raises(ValueError, match=told) as caught:
        _ = call().spec
    assert "\n" not in str(caught.value)


def test_a_model_is_given_other_images(message: Message) -> None:
    modality: Any = {"kind": "image", "shape": [1, 8, 8], "features": ["image"]}
    good = np.zeros((8, 8), np.uint8)
    assert image_to_tensor(pd.DataFrame({"image": [good, good[None]]}), modality).shape == (2, 1, 8, 8)

    def told(array: Any) -> str:
        return message(lambda: image_to_tensor(pd.DataFrame({"image": [good, array]}, index=["a", "b"]), modality))

    assert "sample b has 1 channel of 9 x 8 pixels, 1 channel of 8 x 8 pixels are expected" in told(np.zeros((9, 8)))
    assert "sample b has 2 channels of 8 x 8 pixels" in told(np.zeros((2, 8, 8)))
    assert "sample b is of shape (8,)" in told(np.zeros(8))
    assert "sample b has a missing or infinite value" in told(np.full((8, 8), np.inf))
    assert "sample b is not an image of numbers" in told([["x"]])
    assert "sample b is not an image of numbers" in told([[1], [1, 2]])
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
    far = x.double() * 1e-3 + 1e6  # a large offset must not cost the digits of the spread
    layer.fit(far)
    assert abs(float(layer.scale.flatten()[0]) - float(far[:, 0].std())) < 1e-5
    assert layer.example(4).shape == (4, *shape)
    assert torch.equal(layer.example(4), layer.example(4))


def batch(shape: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> dict[str, torch.Tensor]:
    """Images and masks that say the same: 1 where a pixel is bright."""
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
def test_masks_move_with_their_images(change: dict[str, Any], shape: tuple[int, ...]) -> None:
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


def test_a_quarter_turn_keeps_shapes_that_are_not_square() -> None:
    x = torch.zeros(1, 1, 40, 20)
    x[:, :, 15:25, 5:15] = 1  # a square stays one if both axes count pixels alike
    how = NOTHING._replace(rotate=180)
    for seed in range(5):
        turned = how({"x": x}, False, torch.Generator().manual_seed(seed))["x"]
        assert abs(float(turned.sum()) - 100) < 4


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_light(dtype: torch.dtype) -> None:
    x = torch.full((6, 1, 4, 4), 100).to(dtype)
    x[..., 0] = 250
    for change in ({"brightness": 0.5}, {"contrast": 0.5}):
        lit = NOTHING._replace(**change)({"x": x}, False, torch.Generator().manual_seed(0))["x"]
        assert lit.dtype == dtype
        assert len(lit[:, 0, 1, 1].unique()) > 3
        assert (lit[..., 0] > lit[..., 1]).all()  # nothing wraps around
    means = NOTHING._replace(contrast=0.1)({"x": x.float()}, False, torch.Generator().manual_seed(0))["x"]
    torch.testing.assert_close(means.flatten(1).mean(1), x.float().flatten(1).mean(1))


def test_training_images_alone_are_augmented(here: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
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


def test_simple_models_are_given_at_most_4096_values() -> None:
    volumes = ImageData("vessels3d_simulated")
    features = volumes.baseline_features(torch.arange(240))[""]
    assert features.shape == (240, 4096)
    train = features[volumes.content.rows("train").numpy()]
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(0), 1, atol=1e-4)
    assert ImageData("digits").baseline_features(torch.arange(3))[""].shape == (3, 64)


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
        assert masks.content.y.shape == (240, 24, 24, 24)


def test_arrays_count_in_a_checksum() -> None:
    frame = SIMULATIONS["vessels_simulated"]().iloc[:3]
    changed = frame.assign(image=[array.copy() for array in frame["image"]])
    assert checksum(changed) == checksum(frame)
    changed["image"].iloc[2][0, 5, 5] += 1
    assert checksum(changed) != checksum(frame)
    assert checksum(frame.rename(columns={"mask": "other"})) != checksum(frame)


def test_no_network_is_told_in_one_line(here: Path, monkeypatch: pytest.MonkeyPatch, message: Message) -> None:
    monkeypatch.setattr(pooch, "os_cache", lambda name: here / name)

    def offline(*args: Any, **kwargs: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", offline)
    told = message(lambda: ImageData("pneumonia_mnist").spec)
    assert "https://zenodo.org/records/10519652/files/pneumoniamnist.npz" in told
    assert "--data.path" in told
    assert str(here / "biozoo" / "pneumoniamnist.npz") in told


def test_a_download_is_checked_and_kept(
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
    assert "cannot be fetched" in message(lambda: ImageData("pneumonia_mnist").spec)
    assert not list((here / "biozoo").glob("*"))
    card = {**files.card("pneumonia_mnist"), "md5": pooch.file_hash("source.npz", "md5")}
    monkeypatch.setattr(files, "card", lambda name: dict(card))
    for _ in range(2):
        data = ImageData("pneumonia_mnist")
        assert data.spec["target"]["classes"] == ["normal", "pneumonia"]
        assert list(data.samples["split"]) == ["train"] * 20 + ["validation"] * 10 + ["test"] * 10
    assert len(fetched) == 2  # the refused one, and one that was kept
    assert data.describe()["sha256"] == files.sha256(here / "source.npz")

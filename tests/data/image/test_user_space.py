"""Images and masks as the user's own programs show them: orientation, depth of colour, and predicted masks as files."""

import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import tifffile
from conftest import save, values
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image, ImageOps

from zoo.cli import main
from zoo.data import ImageData
from zoo.data.image.mask_files import MaskFiles
from zoo.encode.image_file import Notes, read_image, write_mask
from zoo.errors import InputError

ORIENTATION = 0x0112
Message = Callable[[Callable[[], object]], str]
Fails = Callable[..., str]
SMALL = ["--model.filters=[4,8]", "--trainer.max_epochs=8", "--trainer.accelerator=cpu"]


def save_turned(path: Path, array: np.ndarray, orientation: int) -> None:
    """Write an image that its file states to be turned."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tags = [(ORIENTATION, "H", 1, orientation, True)]
        return tifffile.imwrite(path, array, photometric="rgb" if array.ndim == 3 else "minisblack", extratags=tags)
    image = Image.fromarray(array)
    exif = image.getexif()
    exif[ORIENTATION] = orientation
    return image.save(path, exif=exif)


def save_16_bits(path: Path, array: np.ndarray) -> None:
    """Write a PNG of 16 bits ``(height, width, channels)``, interlaced (Adam7)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, channels = array.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 1)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [array.astype(">u2")[y::down, x::right] for y, x, down, right in passes]
    pixels = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_images_are_turned_as_viewers_show_them(kind: str, here: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    for orientation in range(1, 9):
        save_turned(here / f"photo.{kind}", colours, orientation)
        save_turned(here / "same.png", np.moveaxis(read_image(here / f"photo.{kind}"), 0, 2), 1)
        with Image.open(here / f"photo.{kind}") as image:  # Pillow turns a TIFF by itself
            shown = np.asarray(image if kind == "tif" else ImageOps.exif_transpose(image))
        np.testing.assert_array_equal(np.moveaxis(read_image(here / f"photo.{kind}"), 0, 2), shown)


def test_a_mask_is_compared_with_the_turned_image(
    here: Path, pixels: np.ndarray, message: Message, caplog: pytest.LogCaptureFixture
) -> None:
    for number, array in enumerate(pixels[:9]):
        save_turned(here / "cells" / "images" / f"{number}.png", array, 6 if number else 1)
        save_turned(here / "cells" / "masks" / f"{number}.png", (array > 120).astype(np.uint8), 6 if number else 1)
    error = message(lambda: ImageData("cells").spec)
    assert "images/0.png has 1 channel of 12 x 16 pixels, images/1.png has 1 channel of 16 x 12" in error
    for kind in ("images", "masks"):
        (here / "cells" / kind / "0.png").unlink()
    with caplog.at_level(logging.INFO, logger="zoo"):
        data = ImageData("cells")
        np.testing.assert_array_equal(data.dataset.y.numpy(), values(data)[:, 0] > 120)
    assert values(data).shape == (8, 1, 16, 12)
    assert "8 of 8 images (first: cells/images/1.png): turned as the orientation in the file states" in caplog.text
    save(here / "cells" / "masks" / "3.png", (pixels[3] > 120).astype(np.uint8))
    error = message(lambda: ImageData("cells").spec)
    assert "mask of sample images/3.png is of shape 12 x 16, its image of 16 x 12" in error
    assert "save the mask turned likewise" in error


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_of_a_channel_are_kept(channels: int, here: Path) -> None:
    array = np.random.default_rng(0).integers(0, 65535, (13, 17, channels), dtype=np.uint16)
    save_16_bits(here / "deep.png", array)
    read = read_image(here / "deep.png")
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(np.moveaxis(read, 0, 2), array)


def test_what_is_done_with_other_kinds_of_images_is_said(
    here: Path, pixels: np.ndarray, caplog: pytest.LogCaptureFixture, message: Message
) -> None:
    colours = Image.fromarray(np.dstack([pixels[0], pixels[1], pixels[2]]))
    for label in "ab":
        (here / "photos" / label).mkdir(parents=True)
        for number in range(8):
            colours.rotate(180 * (label == "b")).save(here / "photos" / label / f"{number}.png")
    colours.convert("CMYK").save(here / "photos" / "a" / "0.jpg")
    colours.quantize(8).save(here / "photos" / "a" / "palette.png")
    colours.quantize(8).save(here / "photos" / "b" / "palette.tif")
    colours.save(here / "photos" / "b" / "moving.png", save_all=True, append_images=[colours.rotate(180)])
    with caplog.at_level(logging.INFO, logger="zoo"):
        read = values(ImageData("photos"))
    assert read.shape[1:] == (3, 12, 16)
    assert "1 of 20 images (first: photos/a/0.jpg): converted from CMYK to RGB" in caplog.text
    assert "1 of 20 images (first: photos/b/moving.png): only the first of 2 frames was read" in caplog.text
    assert "2 of 20 images (first: photos/a/palette.png): converted from the colours of a palette" in caplog.text
    shown = np.moveaxis(np.asarray(colours.quantize(8).convert("RGB")), 2, 0)
    np.testing.assert_array_equal(read_image(here / "photos" / "b" / "palette.tif"), shown)
    notes = Notes()
    alpha = np.dstack([np.asarray(colours), pixels[3]])
    Image.fromarray(alpha).save("clear.png")
    assert read_image(here / "clear.png", notes=notes).shape == (4, 12, 16)
    assert notes == {"transparency kept as the last channel": [here / "clear.png"]}
    tifffile.imwrite("white.tif", pixels[0], photometric="miniswhite")
    np.testing.assert_array_equal(read_image(here / "white.tif")[0], 255 - pixels[0])
    tifffile.imwrite("lab.tif", np.asarray(colours), photometric="cielab")
    assert "lab.tif: a TIFF in LAB colours; save it in RGB" in message(lambda: read_image(here / "lab.tif"))


def write_cells(folder: Path, pixels: np.ndarray, mask: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
    """Images, and masks of the lower right of a rectangle that ``mask`` draws; returns where it is."""
    inside = np.zeros((12, 12, 16), bool)
    for number, array in enumerate(pixels[:12]):
        inside[number, 4:, 3 + number % 5 :] = True
        save(folder / "images" / f"{number:02}.png", array)
        save(folder / "masks" / f"{number:02}.png", mask(number, inside[number]))
    return inside


RED, GREEN, WHITE = (255, 0, 0), (0, 128, 0), (255, 255, 255)


def test_different_marks_of_one_foreground_are_harmonised(
    here: Path, pixels: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    def mask(number: int, inside: np.ndarray) -> np.ndarray:
        value = [1, 255, WHITE, RED][number % 4]
        return (inside[..., None] * np.array(value)).squeeze().astype(np.uint8)

    inside = write_cells(here / "cells", pixels, mask)
    with caplog.at_level(logging.INFO, logger="zoo"):
        data = ImageData("cells")
        np.testing.assert_array_equal(data.dataset.y.numpy(), inside)
    assert data.spec["target"]["classes"] == ["background", "foreground"]
    assert "1 (3, first images/00.png), 255 (6, first images/01.png), #ff0000 (3, first images/03.png)" in caplog.text
    assert "classes of the masks: 0 background, 255 foreground" in caplog.text


def test_colours_are_classes(here: Path, pixels: np.ndarray, message: Message) -> None:
    def mask(number: int, inside: np.ndarray) -> np.ndarray:
        colours = np.zeros((*inside.shape, 3), np.uint8)
        colours[inside] = RED if number % 2 else GREEN
        return colours

    inside = write_cells(here / "cells", pixels, mask)
    data = ImageData("cells")
    assert data.spec["target"]["classes"] == ["#000000", "#008000", "#ff0000"]
    odd = (np.arange(12) % 2 == 1)[:, None, None]
    np.testing.assert_array_equal(data.dataset.y.numpy(), inside * (1 + odd))
    names = {"#000000": "background", "#ff0000": "tumour", "#008000": "stroma"}
    named = ImageData("cells", mask_classes=names)
    np.testing.assert_array_equal(named.dataset.y.numpy(), inside * (2 - odd))
    assert named.spec["target"]["values"] == [0, "#ff0000", "#008000"]
    few = ImageData("cells", mask_classes={"#000000": "background", "#ff0000": "tumour"})
    assert "images/00.png has the value #008000, which is not listed" in message(lambda: few.spec)
    save(here / "cells" / "masks" / "04.png", inside[4].astype(np.uint8))
    error = message(lambda: ImageData("cells").spec)
    assert "sample images/04.png has the class number 1, that of images/00.png the colour #008000" in error


def test_masks_that_were_not_saved_exactly_are_refused(here: Path, pixels: np.ndarray, message: Message) -> None:
    def smooth(number: int, inside: np.ndarray) -> np.ndarray:
        large = Image.fromarray(inside.astype(np.uint8) * 255).resize((40, 30))
        return np.asarray(
            large.resize((16, 12), Image.Resampling.BILINEAR) if number == 5 else large.resize((16, 12), 0)
        )

    inside = write_cells(here / "cells", pixels, smooth)
    error = message(lambda: ImageData("cells").spec)
    assert "sample images/05.png has smoothed edges" in error
    (here / "cells" / "masks" / "05.png").unlink()
    Image.fromarray(inside[5].astype(np.uint8) * 255).save(here / "cells" / "masks" / "05.jpg", quality=60)
    assert "masks/05.jpg" in (error := message(lambda: ImageData("cells").spec))
    assert "save it as PNG" in error
    (here / "cells" / "masks" / "05.jpg").unlink()
    for number, order in ((5, (0, 0, 0, *WHITE)), (6, (*WHITE, 0, 0, 0))):
        palette = Image.fromarray((inside[number] ^ (number == 6)).astype(np.uint8), "P")
        palette.putpalette(order)
        palette.save(here / "cells" / "masks" / f"{number:02}.png")
    error = message(lambda: ImageData("cells").spec)
    assert "masks/06.png: number 0 of its palette is another colour than in cells/masks/05.png" in error


def test_whole_numbers_in_a_column_of_labels_are_classes(
    here: Path, pixels: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    for number, array in enumerate(pixels):
        save(here / f"{number}.png", array)
    labels = np.arange(40) % 12
    pd.DataFrame({"image": [f"{n}.png" for n in range(40)], "label": labels}).to_csv("cells.csv", index=False)
    with caplog.at_level(logging.INFO, logger="zoo"):
        data = ImageData("cells.csv")
        assert data.spec["target"]["kind"] == "multiclass"
    assert "whole numbers in 'label' are taken for classes" in caplog.text
    assert sorted(data.spec["target"]["classes"], key=int) == [str(n) for n in range(12)]
    assert ImageData("cells.csv", target_kind="regression").spec["target"]["kind"] == "regression"


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAL", "PIR"])
@pytest.mark.parametrize("kind", ["nii", "nii.gz"])
def test_a_nifti_mask_has_the_axes_of_its_image(axes: str, kind: str, here: Path) -> None:
    image = volume(np.random.default_rng(0).integers(0, 5, (4, 5, 6)).astype(np.uint8), axes)
    nibabel.save(image, here / f"scan.{kind}")
    write_mask(here / f"mask.{kind}", read_image(here / f"scan.{kind}")[0], here / f"scan.{kind}")
    written = nibabel.load(here / f"mask.{kind}")
    np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(image.dataobj))
    np.testing.assert_allclose(written.affine, image.affine, atol=1e-5)


def volume(array: np.ndarray, axes: str) -> nibabel.Nifti1Image:
    """An oblique volume of 2 mm, stored along these axes."""
    affine = np.array([[2, 0.1, 0, -30], [-0.1, 2, 0.1, 9], [0, -0.1, 2, 4], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(array, affine)
    return image.as_reoriented(ornt_transform(io_orientation(affine), axcodes2ornt(axes)))


def write_scans(folder: Path, axes: list[str]) -> None:
    """Volumes of 10 x 12 x 9 voxels with a bright box, and its mask, each stored along other axes."""
    rng = np.random.default_rng(0)
    for number in range(8):
        mask = np.zeros((10, 12, 9), np.uint8)
        x, y, z = rng.integers(0, 5, 3)
        mask[x : x + 5, y : y + 6, z : z + 4] = 1
        scan = (rng.normal(size=mask.shape) + 4 * mask).astype(np.float32)
        for kind, array in (("images", scan), ("masks", mask)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            nibabel.save(volume(array, axes[number % len(axes)]), folder / kind / f"{number}.nii.gz")


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * ((one > 0) & (other > 0)).sum() / ((one > 0).sum() + (other > 0).sum())


@pytest.mark.parametrize("options", [{}, {"axis": 0}])
def test_a_mask_at_another_place_is_refused(options: dict[str, int], here: Path, message: Message) -> None:
    write_scans(here / "scans", ["LPS", "RAS"])
    path = here / "scans" / "masks" / "4.nii.gz"
    raw = np.asarray(nibabel.load(path).dataobj)
    nibabel.save(nibabel.Nifti1Image(raw, np.eye(4)), path)
    error = message(lambda: ImageData("scans", **options).spec)
    assert "masks/4.nii.gz: its affine puts the mask at another place than scans/images/4.nii.gz" in error


@pytest.mark.parametrize(
    "options", [["--data.size=[8,8,8]", "--data.batch_size=2"], ["--data.size=[16,16]", "--data.axis=0"]]
)
def test_the_dice_of_written_masks_is_the_reported_one(options: list[str], here: Path, cheap_report: None) -> None:
    write_scans(here / "scans", ["LPS", "RAS", "SAL"])
    main(["fit", "--config", "segmenter_vessels", "--data.path=scans", *options, *SMALL, "--data.flip=none"])
    main(["test", "--config", "runs/segmenter_vessels"])
    main(["predict", "--config", "runs/segmenter_vessels", "--data.path=scans/images", "--output=predicted/"])
    reported = pd.read_csv("runs/segmenter_vessels/1/predictions.csv", index_col=0)
    assert reported["dice_foreground"].max() > 0.5
    assert sorted(path.name for path in (here / "predicted").iterdir()) == [f"{n}.nii.gz" for n in range(8)]
    for number in range(8):
        written, own = (nibabel.load(here / f / f"{number}.nii.gz") for f in ("predicted", "scans/masks"))
        np.testing.assert_allclose(written.affine, own.affine, atol=1e-5)
        if "--data.axis=0" not in options:
            score = reported.loc[f"images/{number}.nii.gz", "dice_foreground"]
            assert dice(np.asarray(written.dataobj), np.asarray(own.dataobj)) == pytest.approx(score, abs=1e-6)
            continue
        for z in range(9):  # slices are scored one by one
            one, two = (np.asarray(nibabel.as_closest_canonical(v).dataobj)[..., z] for v in (written, own))
            score = reported.loc[f"images/{number}.nii.gz {z}", "dice_foreground"]
            assert (dice(one, two) if two.any() else np.nan) == pytest.approx(score, abs=1e-6, nan_ok=True)


def test_masks_of_pictures_are_pictures_of_their_size_with_the_values_of_the_training(
    here: Path, zoo_fails: Fails, cheap_report: None, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate([(24, 32), (20, 36), (16, 16)] * 4):
        mask = np.zeros((height, width), np.uint8)
        mask[4 : 12 + number % 3, 5:12] = 255
        picture = (rng.integers(0, 60, mask.shape) + mask // 2).astype(np.uint8)
        save(here / "cells" / "images" / f"{number}.{'tif' if number % 3 == 1 else 'png'}", picture)
        save(here / "cells" / "masks" / f"{number}.png", mask)
    save_turned(here / "cells" / "images" / "photo.jpg", picture, 6)
    save(here / "cells" / "masks" / "photo.png", np.rot90(mask, -1))
    main(
        [
            "fit",
            "--config",
            "segmenter_vessels",
            "--data.path=cells",
            "--data.size=[16,16]",
            "--data.batch_size=2",
            *SMALL,
        ]
    )
    main(["test", "--config", "runs/segmenter_vessels"])
    reported = pd.read_csv("runs/segmenter_vessels/1/predictions.csv", index_col=0)["dice_foreground"]
    predict = ["predict", "--config", "runs/segmenter_vessels"]
    with caplog.at_level(logging.INFO, logger="zoo"):
        main([*predict, "--data.path=cells/images", "--output", "predicted"])
    assert "masks of 13 images written to predicted: 0 background, 255 foreground" in caplog.text
    assert {path.name for path in (here / "predicted").iterdir()} == {
        *(f"{n}.{'tif' if n % 3 == 1 else 'png'}" for n in range(12)),
        "photo.png",
    }
    for name, score in reported.items():
        stem = Path(str(name)).stem
        written = np.asarray(Image.open(next((here / "predicted").glob(f"{stem}.*"))))
        own = np.asarray(Image.open(here / "cells" / "masks" / f"{stem}.png"))
        assert set(np.unique(written)) <= {0, 255}
        assert dice(written, own) == pytest.approx(score, abs=1e-6)
    assert reported.max() > 0.5
    for output in ("one.png", "one.tif"):
        main([*predict, "--data.path=cells/images/3.png", f"--output={output}"])
        np.testing.assert_array_equal(read_image(here / output), read_image(here / "predicted" / "3.png"))

    def refused(path: str, output: str) -> str:
        return zoo_fails(*predict, f"--data.path={path}", f"--output={output}")

    assert "there are 13 images; give a folder" in refused("cells/images", "one.png")
    assert "the mask of 3.png is written as .png or .tif" in refused("cells/images/3.png", "one.nii.gz")
    assert "cells/masks/0.png exists and is part of the data" in refused("cells", "cells/masks")
    assert "3.png exists and is part of the data" in refused("cells/images/3.png", "cells/images/")
    save(here / "cells" / "images" / "0.jpg", picture)
    assert "0.jpg and cells/images/0.png would have the same mask new/0.png" in refused("cells/images", "new/")
    np.savez("new.npz", images=[picture])
    assert "new.npz has no image files; write the masks to one .npz" in refused("new.npz", "new/")
    assert not (here / "new").exists()


def test_masks_are_written_all_or_none(here: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        save(here / "cells" / f"{number}.png", pixels[number])
    planned = MaskFiles.plan(ImageData("cells", target_kind="none"), "predicted/")

    def fail(path: Path, *args: object) -> None:
        if path.name == "2.png":
            raise OSError("no space left")
        path.touch()

    monkeypatch.setattr("zoo.data.image.mask_files.write_mask", fail)
    with pytest.raises(InputError, match="no space"):
        planned.write([np.zeros((12, 16), np.uint8)] * 3, {"kind": "", "name": "", "classes": ["a", "b"], "unit": ""})
    assert [path.name for path in here.iterdir()] == ["cells"]


def test_colours_of_classes_are_written(here: Path, pixels: np.ndarray) -> None:
    save(here / "cell.png", pixels[0])
    planned = MaskFiles.plan(ImageData("cell.png", target_kind="none"), "mask.png")
    target = {"kind": "", "name": "", "classes": ["background", "tumour"], "unit": "", "values": [0, "#ff0000"]}
    code = (pixels[0] > 120).astype(np.uint8)
    assert planned.write([code], target) == "0 background, #ff0000 tumour"
    np.testing.assert_array_equal(np.asarray(Image.open("mask.png")), code[..., None] * np.array(RED, np.uint8))


def test_numbers_of_single_objects_are_doubted(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(8):
        objects = np.zeros((12, 16), np.uint8)
        for one in range(1, 3 + number % 4):
            objects[2 * one, :5] = one
        save(here / "cells" / "images" / f"{number}.png", objects * 9)
        save(here / "cells" / "masks" / f"{number}.png", objects)
    with caplog.at_level(logging.WARNING, logger="zoo"):
        _ = ImageData("cells").spec
    assert "numbers of single objects (instances) are not classes" in caplog.text


def test_tables_of_images_are_read_by_the_options_of_tables(here: Path, pixels: np.ndarray) -> None:
    names = [f"{number:04}" for number in range(12)]
    for number, name in enumerate(names):
        save(here / f"{name}.png", pixels[number])
    table = pd.DataFrame({"name": names, "image": [f"{n}.png" for n in names], "label": ["a", "b"] * 6, "x": 0})
    table.to_excel("cells.xlsx", index=False)
    samples = ImageData("cells.xlsx", id="name", exclude=["x"]).samples
    assert list(samples.index) == names
    assert "x" not in samples

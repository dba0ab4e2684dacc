"""Reading of files with one image or volume, as arrays with the channels first."""

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from struct import error as StructError
from typing import Any

import numpy as np

from .. import budget, files
from ..errors import InputError
from ..files import IMAGES, NIFTI, PICTURES, TIFF

Notes = dict[str, list[Path]]  # what was done with images that are not plain grey or RGB, and their files
ORIENTATION = 0x0112  # tag of EXIF and TIFF
TURNED = "turned as the orientation in the file states (EXIF), as viewers show them"  # in `Notes`
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # by its value; height and width are the last two axes
    2: lambda image: image[..., ::-1],
    3: lambda image: image[..., ::-1, ::-1],
    4: lambda image: image[..., ::-1, :],
    5: lambda image: image.swapaxes(-1, -2),
    6: lambda image: np.rot90(image, -1, (-2, -1)),
    7: lambda image: image[..., ::-1, ::-1].swapaxes(-1, -2),
    8: lambda image: np.rot90(image, 1, (-2, -1)),
}
MOST_PACKED = 1100  # bytes that a byte of gzip can stand for (1032), and some for its header
RAS = np.array([[0, 1], [1, 1], [2, 1]])  # orientation of nibabel: towards the right, the front and the head


class UnreadableImageError(InputError):
    """A file that is missing, truncated, or not an image of the kind of its suffix."""


def read_image(path: Path, codes: bool = False, notes: Notes | None = None) -> np.ndarray:
    """Read an image or a volume.

    Args:
        path: PNG, JPEG, BMP, GIF, WebP, TIFF (several pages are a volume) or NIfTI.
        codes: The file is a mask: indices of a palette are not converted to colours, except those of a GIF, whose
            palette depends on the image.
        notes: The file is added here to what was done with it, such as ``"converted from CMYK to RGB"``.

    Returns:
        ``(channels, height, width)`` or ``(channels, depth, height, width)``, with the values of the file: one channel
        for grey, three for colour, and a last one for transparency unless it is constant. Images are turned as their
        orientation (EXIF, TIFF) states, as viewers show them. The axes of a NIfTI volume are oriented: depth from foot
        to head, height from front to back and width from the patient's left to right.

    Raises:
        UnreadableImageError: The file is missing, truncated, or not an image.
        InputError: The kind of file is unknown, or the package that reads it is not installed.
    """
    name, done = path.name.lower(), list[str]()
    if not name.endswith(IMAGES):
        raise InputError(f"{path}: unknown kind of image; use {', '.join(IMAGES)}")
    if not files.regular(path).is_file():
        raise UnreadableImageError(f"no image file {str(path)!r}")
    try:
        if name.endswith(PICTURES):
            array = _picture(path, codes, done)
        else:
            array = _tiff(path, codes, done) if name.endswith(TIFF) else _nifti(path)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow, tifffile and nibabel raise anything for a damaged file
        reason = " ".join(str(error).replace(str(path), "").split())[:120] or type(error).__name__
        raise UnreadableImageError(
            f"{path}: truncated, or not an image ({reason}); replace it, or leave it out"
        ) from None
    for what in done if notes is not None else []:
        notes.setdefault(what, []).append(path)  # type: ignore[union-attr]
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def palette_of(path: Path) -> np.ndarray | None:
    """The colours of the palette of a PNG or BMP, ``(colours, 3)``; None if it has none."""
    from PIL import Image

    if not path.name.lower().endswith((".png", ".bmp")):
        return None
    with Image.open(path) as file:
        return np.array(file.getpalette("RGB")).reshape(-1, 3) if file.mode == "P" else None


def _check_size(path: Path, shape: Sequence[int], itemsize: int, stored: bool = False) -> None:
    """Refuse an image that is larger than the memory, or, if its values are stored one by one, than its file."""
    size = math.prod(map(int, shape)) * itemsize
    if stored and size > path.stat().st_size:
        raise UnreadableImageError(
            f"{path}: truncated, or not an image (shape {tuple(map(int, shape))} needs {size:,} bytes, the file has "
            f"{path.stat().st_size:,}); replace it, or leave it out"
        )
    budget.check(2 * size, f"{path}: an image of shape {tuple(map(int, shape))}", "scale it down or cut it first")


def _picture(path: Path, codes: bool, done: list[str]) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as file:
            _check_size(path, (file.height, file.width), 4)
            if (raw := file.tile[0].args if file.tile else "") in ("RGB;16B", "RGBA;16B", "LA;16B"):
                array, image = _sixteen_bits(path, raw), file
            else:
                image = _converted(file, codes, done)
                array = np.asarray(image)
            if (frames := getattr(file, "n_frames", 1)) > 1:
                done.append(f"only the first of {frames} frames was read")
            orientation = _orientation(file)  # after the pixels, which it may follow in a PNG
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"{path}: {error}") from None
    if array.ndim == 2:
        return _turned(array[None], orientation, done)
    if array.shape[2] in (2, 4):
        array = _without_opacity(array, -1, done)
    return _turned(np.moveaxis(array, 2, 0), orientation, done)


def _orientation(file: Any) -> Any:
    """EXIF orientation of an image of Pillow; 1, as it is stored, without EXIF or if that is damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about damaged EXIF
        try:
            return file.getexif().get(ORIENTATION, 1)
        except (SyntaxError, ValueError, LookupError, TypeError, EOFError, StructError):
            return 1


def _converted(file: Any, codes: bool, done: list[str]) -> Any:
    """An image of Pillow in grey or RGB, with or without transparency; of masks, indices of a palette are kept."""
    if file.mode == "1":
        return file.convert("L")
    if file.mode in ("P", "PA"):
        if codes:
            return file.convert("RGB") if file.format == "GIF" else file
        done.append("converted from the colours of a palette to RGB")
        return file.convert("RGBA" if "transparency" in file.info or file.mode == "PA" else "RGB")
    if file.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        done.append(f"converted from {file.mode} to RGB")
        return file.convert("RGB")
    return file


def _sixteen_bits(path: Path, raw: str) -> np.ndarray:
    """A PNG with 16 bits in each of several channels, ``(height, width, channels)``.

    Pillow reduces it to 8 bits, but can be asked for the high or the low byte of each value, or, of the two channels of
    grey with transparency, for all four bytes.
    """
    from PIL import Image

    parts: list[np.ndarray] = []
    for layout in [raw, raw[:-1] + "L"] if raw.startswith("RGB") else ["RGBA"]:
        with Image.open(path) as file:
            file.tile = [tile._replace(args=layout) for tile in file.tile]
            parts.append(np.asarray(file))
    if len(parts) == 1:
        return parts[0].view(">u2")
    high, low = parts
    array: np.ndarray = high.astype(np.uint16) << 8 | low
    return array


def _without_opacity(array: np.ndarray, axis: int, done: list[str]) -> np.ndarray:
    """An image without its last channel, transparency, if that is constant."""
    alpha = np.take(array, -1, axis)
    if (alpha == alpha.flat[0]).all():
        done.append("without their transparency, which is the same everywhere")
        return np.delete(array, -1, axis)
    done.append("transparency kept as the last channel")
    return array


def _turned(array: np.ndarray, orientation: Any, done: list[str]) -> np.ndarray:
    """Pixels as viewers show them, ``(..., height, width)``."""
    if orientation not in TURNS:
        return array
    done.append(TURNED)
    return TURNS[orientation](array)


def _tiff(path: Path, codes: bool, done: list[str]) -> np.ndarray:
    try:
        import tifffile
    except ImportError:
        raise InputError(f"{path}: reading TIFF needs tifffile: pip install 'biozoo[images]'") from None

    with tifffile.TiffFile(path) as file:
        series, page = file.series[0], file.series[0].keyframe
        _check_size(path, series.shape, series.dtype.itemsize, stored=page.compression == 1)
        array, axes = series.asarray(), series.axes
        if len(file.series) > 1:
            done.append(f"only the first of {len(file.series)} series was read")
        kind, colours = page.photometric, page.colormap
        intensities = file.is_imagej  # whose palette only colours the display
    colour = [i for i, axis in enumerate(axes) if axis in "SC"]
    pages = [i for i, axis in enumerate(axes) if axis not in "SCYX"]
    if len(colour) > 1 or len(pages) > 1 or not {"Y", "X"} <= set(axes):
        raise UnreadableImageError(f"{path}: a TIFF with the axes {axes} is not one image or one stack of pages")
    array = array.transpose(*colour, *pages, axes.index("Y"), axes.index("X"))
    array = array if colour else array[None]
    known = tifffile.PHOTOMETRIC
    if kind in (known.CIELAB, known.ICCLAB, known.ITULAB):
        raise UnreadableImageError(f"{path}: a TIFF in LAB colours; save it in RGB")
    if kind == known.MINISWHITE and array.dtype.kind in "bu":
        done.append("inverted, since 0 is white in the file")
        array = ~array
    elif kind == known.SEPARATED:
        if len(array) != 4 or array.dtype != np.uint8:
            raise UnreadableImageError(f"{path}: a TIFF in {len(array)} printing inks; save it in RGB")
        done.append("converted from CMYK to RGB")
        ink = 255 - array.astype(np.uint16)
        array = (ink[:3] * ink[3:] / 255).round().astype(np.uint8)
    elif kind == known.PALETTE and colours is not None and not codes and not intensities:
        done.append("converted from the colours of a palette to RGB")
        array = (colours >> (8 if colours.max() > 255 else 0)).astype(np.uint8)[:, array[0]]
    elif page.extrasamples and page.extrasamples[-1] in (1, 2):
        array = _without_opacity(array, 0, done)
    return _turned(array, page.tags.valueof(ORIENTATION, 1), done)


def _nifti(path: Path) -> np.ndarray:
    volume, _ = _oriented(path)
    return volume.transpose(3, 2, 1, 0)[:, :, ::-1]


def _oriented(path: Path) -> tuple[np.ndarray, Any]:
    """The values of a NIfTI file towards right, front and head, ``(x, y, z, channels)``, and the image as stored."""
    try:
        import nibabel
    except ImportError:
        raise InputError(f"{path}: reading NIfTI needs nibabel: pip install 'biozoo[images]'") from None

    try:
        image: Any = nibabel.load(path)
        _check_nifti(path, image)
        values = np.asanyarray(nibabel.as_closest_canonical(image).dataobj)  # type: ignore[no-untyped-call]
    except nibabel.filebasedimages.ImageFileError as error:
        raise UnreadableImageError(
            f"{path}: truncated, or not an image ({error}); replace it, or leave it out"
        ) from None
    if values.dtype.kind not in "uifb":
        raise UnreadableImageError(f"{path}: a NIfTI file of {values.dtype} values; save one number for each voxel")
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim not in (3, 4):
        raise UnreadableImageError(f"{path}: a NIfTI file of shape {values.shape} is not one volume")
    return values if values.ndim == 4 else values[..., None], image


def _check_nifti(path: Path, image: Any) -> None:
    """Compare the size that a header states with that of the file, and with the memory."""
    shape, kind = image.shape, image.header.get_data_dtype()
    if min(shape, default=0) < 1:
        raise UnreadableImageError(f"{path}: a NIfTI file of shape {shape} has no voxels")
    packed = path.name.lower().endswith(".gz")
    needed, size = math.prod(map(int, shape)) * kind.itemsize, path.stat().st_size
    if needed > size * (MOST_PACKED if packed else 1):
        raise UnreadableImageError(
            f"{path}: truncated, or not an image (shape {shape} needs {needed:,} bytes, the file has {size:,}"
            f"{' of gzip' if packed else ''}); replace it, or leave it out"
        )
    _check_size(path, shape, max(8, kind.itemsize))  # scaled values are of double precision


def lies_on(mask: Path, image: Path) -> bool:
    """Whether two NIfTI volumes of one size are at one place, to half a voxel; True for other kinds and sizes."""
    if not all(path.name.lower().endswith(NIFTI) for path in (mask, image)):
        return True
    import nibabel

    corners, sizes, voxel = [], [], 0.0
    for path in (mask, image):
        volume, turning = nibabel.load(path), nibabel.orientations  # type: Any, Any
        axes, size = turning.io_orientation(volume.affine), volume.shape[:3]
        affine = volume.affine @ turning.inv_ornt_aff(axes, size)  # of the axes right, front and head
        sizes.append([size[old] for old in np.argsort(axes[:, 0])])
        ends = np.indices((2, 2, 2)).reshape(3, -1) * (np.array(sizes[-1])[:, None] - 1)
        corners.append(affine[:3, :3] @ ends + affine[:3, 3:])
        voxel = float(np.linalg.norm(affine[:3, :3], axis=0).min())
    return sizes[0] != sizes[1] or bool(np.linalg.norm(corners[0] - corners[1], axis=0).max() <= voxel / 2)


def write_mask(path: Path, mask: np.ndarray, source: Path) -> None:
    """Write the class of each pixel so that it lies on the image for which it was predicted.

    Args:
        path: PNG, TIFF, or, for an image in NIfTI, NIfTI.
        mask: uint8 or uint16 ``(*spatial)``, or, for PNG and TIFF, uint8 ``(*spatial, 3)`` colours; the axes are those
            of `read_image`.
        source: File of the image. Of a NIfTI file, affine, units and order of the axes are those of the mask.
    """
    name = path.name.lower()
    if name.endswith(NIFTI):
        import nibabel

        image, turning = nibabel.load(source), nibabel.orientations  # type: Any, Any
        back = turning.ornt_transform(RAS, turning.io_orientation(image.affine))
        stored = turning.apply_orientation(mask[:, ::-1].transpose(2, 1, 0), back)
        header = image.header.copy()
        header.set_data_dtype(mask.dtype)
        header["cal_min"] = header["cal_max"] = 0  # the window in which viewers show the image
        nibabel.save(type(image)(np.ascontiguousarray(stored), image.affine, header), path)
    elif name.endswith(TIFF):
        import tifffile

        colours = mask.shape[-1] == 3 and mask.ndim > 2 and mask.dtype == np.uint8
        tifffile.imwrite(path, mask, photometric="rgb" if colours else "minisblack", compression="zlib")
    else:
        from PIL import Image

        Image.fromarray(mask).save(path)

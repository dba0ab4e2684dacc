"""Reading of files with one image or volume, as arrays with the channels first."""

import zlib
from pathlib import Path
from struct import error as StructError

import numpy as np

from ..errors import InputError

PICTURES, TIFF, NIFTI = (".png", ".jpg", ".jpeg", ".bmp"), (".tif", ".tiff"), (".nii", ".nii.gz")
SUFFIXES = (*PICTURES, *TIFF, *NIFTI)


class UnreadableImageError(InputError):
    """A file that is missing, truncated, or not an image of the kind of its suffix."""


def read_image(path: Path, codes: bool = False) -> np.ndarray:
    """Read an image or a volume.

    Args:
        path: PNG, JPEG, BMP, TIFF (several pages are a volume) or NIfTI.
        codes: The file is a mask: indices of a palette are not converted to colours.

    Returns:
        ``(channels, height, width)`` or ``(channels, depth, height, width)``, with the values of the file: one channel
        for grey, three for colour, and a fourth for transparency unless it is constant. The axes of a NIfTI volume are
        oriented: depth from foot to head, height from front to back and width from the patient's left to right.

    Raises:
        UnreadableImageError: The file is missing, truncated, or not an image.
        InputError: The kind of file is unknown, or the package that reads it is not installed.
    """
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise InputError(f"{path}: unknown kind of image; use {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise UnreadableImageError(f"no image file {str(path)!r}")
    try:
        if name.endswith(PICTURES):
            return _picture(path, codes)
        return _tiff(path) if name.endswith(TIFF) else _nifti(path)
    except InputError:
        raise
    except (OSError, EOFError, ValueError, TypeError, LookupError, SyntaxError, StructError, zlib.error) as error:
        reason = " ".join(str(error).replace(str(path), "").split())[:120] or type(error).__name__
    raise UnreadableImageError(f"{path}: truncated, or not an image ({reason}); replace it, or leave it out")


def _picture(path: Path, codes: bool) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as file:
            image: Image.Image = file
            if image.mode == "1":
                image = image.convert("L")
            elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV") or (image.mode == "P" and not codes):
                image = image.convert("RGB")
            array = np.asarray(image)
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"{path}: {error}") from None
    if array.ndim == 2:
        return array[None]
    if array.shape[2] in (2, 4) and (array[..., -1] == array[0, 0, -1]).all():
        array = array[..., :-1]
    return np.ascontiguousarray(np.moveaxis(array, 2, 0))


def _tiff(path: Path) -> np.ndarray:
    try:
        import tifffile
    except ImportError:
        raise InputError(f"{path}: reading TIFF needs tifffile: pip install 'biozoo[images]'") from None

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        array, axes = series.asarray(), series.axes
    colour = [i for i, axis in enumerate(axes) if axis in "SC"]
    pages = [i for i, axis in enumerate(axes) if axis not in "SCYX"]
    if len(colour) > 1 or len(pages) > 1 or not {"Y", "X"} <= set(axes):
        raise UnreadableImageError(f"{path}: a TIFF with the axes {axes} is not one image or one stack of pages")
    array = array.transpose(*colour, *pages, axes.index("Y"), axes.index("X"))
    return np.ascontiguousarray(array if colour else array[None])


def _nifti(path: Path) -> np.ndarray:
    try:
        import nibabel
    except ImportError:
        raise InputError(f"{path}: reading NIfTI needs nibabel: pip install 'biozoo[images]'") from None

    try:
        image = nibabel.as_closest_canonical(nibabel.load(path))  # type: ignore[no-untyped-call]
        values = np.asanyarray(image.dataobj)
    except nibabel.filebasedimages.ImageFileError as error:
        raise UnreadableImageError(
            f"{path}: truncated, or not an image ({error}); replace it, or leave it out"
        ) from None
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim not in (3, 4):
        raise UnreadableImageError(f"{path}: a NIfTI file of shape {values.shape} is not one volume")
    volume = values if values.ndim == 4 else values[..., None]
    return np.ascontiguousarray(volume.transpose(3, 2, 1, 0)[:, :, ::-1])

"""Image files of a folder with their class, mask and split, told from names alone. Torch is not needed."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import InputError
from ...files import IMAGES
from ...tables.text import UNNAMED

IMAGE, MASK, LABEL, SPLIT, FOLDER = "image", "mask", "label", "split", "folder"  # columns
PARTS = {  # names of folders of an official split, in lower case
    "train": "train(ing)?",
    "validation": "val(id(ation)?)?|dev(elopment)?",
    "test": "test(ing)?",
}
OF_PART = "(?:{})(?:[ _-]?(?:set|data|images))?"
IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = (
    "masks",
    "mask",
    "labels",
    "segmentations",
    "segmentation",
    "annotations",
    "ground_truth",
    "groundtruth",
)
OF_IMAGE, OF_MASK = "images?|imgs?", "masks?|seg(?:mentation)?|labels?|gt|ground_?truth|annotations?"
MASK_START = re.compile(rf"(?:{OF_MASK})[ _.-]+", re.IGNORECASE)  # of a name such as mask_0
MASK_END = re.compile(rf"[ _.-]+(?:{OF_MASK})(?:[ _-]?\d+)?$", re.IGNORECASE)  # of a name such as 0_mask
IMAGE_START = re.compile(rf"(?:{OF_IMAGE})[ _.-]+", re.IGNORECASE)
IMAGE_END = re.compile(rf"[ _.-]+(?:{OF_IMAGE})$", re.IGNORECASE)
NUMBERED = re.compile(r"[a-z]*[ _-]?\d+", re.IGNORECASE)
MOST = 3  # names of folders in a message


def part_of(name: str) -> str | None:
    """The split that a folder (or the start of a name of an array) stands for.

    >>> part_of("Training"), part_of("valid"), part_of("test_set"), part_of("tumour")
    ('train', 'validation', 'test', None)
    """
    return next((part for part, names in PARTS.items() if re.fullmatch(OF_PART.format(names), name.lower())), None)


def list_folder(path: Path, masks: str | None = None) -> pd.DataFrame:
    """List the image files of a folder.

    - Subfolders are classes, optionally within ``train``, ``valid`` and ``test`` (also ``Training``, ``dev``, ...), and
      within one folder that holds all others.
    - Of several levels, the class is the one whose names recur in all folders (``site/class``), or the outer one if no
      names recur (``class/patient``). The other levels are the column ``folder``, as ``--data.group`` takes it.
    - ``images`` and ``masks`` hold files of the same names, except for words such as ``_mask``. Without a folder of
      masks, ``0_mask.png`` is the mask of ``0.png`` beside it.

    Args:
        path: The folder.
        masks: Name of the folder of masks.

    Returns:
        One row per image: its name, ``image`` (path), and, if the folder has them, ``mask`` (path; None if missing),
        ``label``, ``folder`` and ``split``. ``attrs["official_split"]`` is True if the folders define a split, and
        ``attrs["said"]`` lists what was taken for granted.

    Raises:
        InputError: There is no image, a class has none, or it is not clear which folders are classes.
    """
    root = path
    while len(names := _subfolders(root)) == 1 and _subfolders(root / names[0]) and not _beside(root):
        root /= names[0]
    rows: list[dict[str, Any]] = []
    inner: list[tuple[str, ...]] = []
    said: list[str] = []
    parts = _parts(root, masks)
    for part, base, of_masks in parts:
        found = _files(base)
        for name in _subfolders(base):
            if not any(file.is_relative_to(base / name) for file in found):
                raise InputError(f"{base / name}: this folder of a class has no images; remove it or add images")
        if of_masks is not None:
            mask_of = _matched(found, base, _files(of_masks) if of_masks.is_dir() else [], of_masks)
        else:
            found, mask_of = _without_masks(found)
            said += [_found_masks(mask_of)] if mask_of else []
        for file in found:
            row: dict[str, Any] = {UNNAMED: file.relative_to(path).as_posix(), IMAGE: file}
            if mask_of or (of_masks is not None and masks is not None):
                row[MASK] = mask_of.get(file, [None])
            rows.append({**row, **({SPLIT: part} if part else {})})
            inner.append(file.relative_to(base).parts[:-1])
    if not rows:
        raise InputError(f"{path}: there is no image in this folder; supported formats are {', '.join(IMAGES)}")
    _refuse_masks_as_classes(path, inner, rows)
    labels, others = _classes(path, inner)
    if any(others):
        said.append(
            f"the classes are the folders {_listed(filter(None, labels))}; {_listed(filter(None, others))} are not "
            "classes (--data.group folder keeps the images of each in one part of the data)"
        )
    frame = pd.DataFrame(rows)
    for name, column in ((LABEL, labels), (FOLDER, others)):
        if any(column):
            frame[name] = pd.Series([one or None for one in column], dtype=object)
    if MASK in frame:
        frame[MASK] = _one_each(frame, required=masks is not None or LABEL not in frame)
    frame.attrs.update(official_split=bool(parts[0][0]), said=said)
    return frame


def _subfolders(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir() if p.is_dir() and _visible([p.name]))


def _visible(parts: Iterable[str]) -> bool:
    """False for hidden files and folders, and for those that macOS adds to archives."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _is_image(path: Path) -> bool:
    return path.name.lower().endswith(IMAGES)


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if _is_image(p) and p.is_file() and _visible(p.relative_to(path).parts))


def _beside(path: Path) -> bool:
    """Whether images lie directly in a folder."""
    return any(_is_image(p) and p.is_file() and _visible([p.name]) for p in path.iterdir())


def _parts(root: Path, masks: str | None) -> list[tuple[str, Path, Path | None]]:
    """Split, folder of the images and folder of the masks, of each part of a folder."""
    images, of_masks = _images_and_masks(root, masks)
    names = _subfolders(images)
    known = {name: part_of(name) for name in names}
    if "train" not in known.values() or len(names) == 1 or _beside(images):
        return [("", images, of_masks)]
    if unknown := [name for name, part in known.items() if part is None]:
        train = next(name for name, part in known.items() if part == "train")
        if _subfolders(images / train) and not _beside(images / train):
            raise InputError(
                f"{images}: {train!r} is a split, but {unknown[0]!r} is none; name all folders train, valid or test, "
                "or leave out the others"
            )
        return [("", images, of_masks)]
    result: list[tuple[str, Path, Path | None]] = []
    for name in sorted(names, key=lambda name: (list(PARTS).index(str(known[name])), name)):
        if images != root:
            inside = images / name, of_masks / name if of_masks else None
        else:
            inside = _images_and_masks(root / name, masks)
        result.append((str(known[name]), *inside))
    return result


def _images_and_masks(folder: Path, masks: str | None) -> tuple[Path, Path | None]:
    """The folders of images and of masks; None without a folder ``images`` with masks beside it."""
    names = {name.lower(): name for name in _subfolders(folder)}
    images = next((names[name] for name in IMAGE_FOLDERS if name in names), None)
    if images is None:
        return folder, None
    if masks is not None:
        return folder / images, folder / masks
    found = [folder / names[name] for name in MASK_FOLDERS if name in names]
    return folder / images, next((one for one in found if _files(one)), None)


def _stem(file: Path, base: Path) -> str:
    name = file.relative_to(base).as_posix()
    return name.removesuffix(".gz").rpartition(".")[0]


def _core(stem: str) -> str:
    """A name in lower case without the words that mark an image or a mask.

    >>> _core("0_mask"), _core("a/Mask-7"), _core("img_7")
    ('0', 'a/7', '7')
    """
    folder, slash, name = stem.rpartition("/")
    for pattern in (MASK_START, IMAGE_START):
        name = pattern.sub("", name, count=1) if pattern.match(name) else name
    return (folder + slash + IMAGE_END.sub("", MASK_END.sub("", name))).lower()


def _matched(images: Sequence[Path], base: Path, masks: Sequence[Path], folder: Path) -> dict[Path, list[Path]]:
    """Masks of each image, by equal names or else by names that are equal without words such as ``_mask``."""
    exact = {_stem(file, folder): file for file in masks}
    loose: dict[str, list[Path]] = {}
    for stem, file in exact.items():
        loose.setdefault(_core(stem), []).append(file)
    result = {}
    for image in images:
        stem = _stem(image, base)
        if found := [exact[stem]] if stem in exact else loose.get(_core(stem), []):
            result[image] = found
    return result


def _without_masks(found: list[Path]) -> tuple[list[Path], dict[Path, list[Path]]]:
    """Images, and the masks that lie beside them under names such as ``0_mask.png``."""
    stems = {(file.parent, _stem(file, file.parent).lower()): file for file in found}
    mask_of: dict[Path, list[Path]] = {}
    for (folder, stem), file in stems.items():
        bare = MASK_END.sub("", stem)
        bare = bare if bare != stem else MASK_START.sub("", stem, count=1) if MASK_START.match(stem) else stem
        if bare != stem and (image := stems.get((folder, bare))) is not None:
            mask_of.setdefault(image, []).append(file)
    masks = {file for files in mask_of.values() for file in files}
    return [file for file in found if file not in masks], mask_of


def _found_masks(mask_of: dict[Path, list[Path]]) -> str:
    masks = [file for files in mask_of.values() for file in files]
    return f"files such as {min(masks).name} ({len(masks)}) are taken for masks of the images beside them"


def _one_each(frame: pd.DataFrame, required: bool) -> list[Path | None]:
    """The mask of each image.

    Raises:
        InputError: Masks are required, and an image has several.
    """
    for name, masks in zip(frame[UNNAMED], frame[MASK], strict=True):
        if required and isinstance(masks, list) and len(masks) > 1:
            raise InputError(f"{name} has several masks, {masks[0]} and {masks[1].name}; join them in one file")
    return [masks[0] if isinstance(masks, list) else None for masks in frame[MASK]]


def _refuse_masks_as_classes(path: Path, inner: Sequence[tuple[str, ...]], rows: Sequence[dict[str, Any]]) -> None:
    """Refuse folders of masks that would be taken for a class, since their files are named as those of another."""
    stems: dict[str, set[str]] = {}
    for parts, row in zip(inner, rows, strict=True):
        if parts:
            stems.setdefault(parts[0], set()).add(_core(_stem(row[IMAGE], row[IMAGE].parent)))
    for name, own in stems.items():
        if not re.search("mask|^label|seg|annot|ground.?truth", name, re.IGNORECASE):
            continue
        for other, theirs in stems.items():
            if other != name and 2 * len(own & theirs) > len(own):
                raise InputError(
                    f"{path}: the files in {name!r} have the names of those in {other!r}, as masks have; name the "
                    "folders images and masks"
                )


def _classes(path: Path, inner: Sequence[tuple[str, ...]]) -> tuple[list[str | None], list[str | None]]:
    """Class of each file, and its other folders.

    Args:
        path: Name of the data in an error.
        inner: Folders of each file, from the outer to the inner one.

    Raises:
        InputError: It is not clear which folders are classes.
    """
    while all(len(parts) > 1 for parts in inner) and len({parts[0] for parts in inner}) == 1:
        inner = [parts[1:] for parts in inner]
    depth = min(map(len, inner))
    if max(map(len, inner)) < 2 or depth < 2:  # files that lie in outer folders show that these are the classes
        return [parts[0] if parts else None for parts in inner], [None] * len(inner)
    recurring = []
    for level in range(1, depth):
        within: dict[tuple[str, ...], set[str]] = {}
        for parts in inner:
            within.setdefault(parts[:level], set()).add(parts[level])
        names = set().union(*within.values())
        if sum(map(len, within.values())) > len(names):
            recurring.append((level, names, all(own == names for own in within.values())))
    outer = {parts[0] for parts in inner}
    level = recurring[0][0] if recurring else 0
    if recurring:
        _, names, complete = recurring[0]
        numbers = all(map(NUMBERED.fullmatch, names)) and not all(map(NUMBERED.fullmatch, outer))
        if len(recurring) > 1 or not complete or numbers or len(names) < 2:
            raise InputError(
                f"{path}: it is not clear which of its folders are classes, {_listed(outer)} or {_listed(names)} "
                "within; leave one level of folders, or give a table with a column of paths and one of classes"
            )
    labels = [parts[level] for parts in inner]
    others = ["/".join((*parts[:level], *parts[level + 1 :])) for parts in inner]
    return list(labels), list(others)


def _listed(names: Iterable[str]) -> str:
    known = sorted(set(names))
    return f"{', '.join(known[:MOST])}{', ...' if len(known) > MOST else ''}"

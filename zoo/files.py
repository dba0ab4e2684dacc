"""Paths of packaged and user files by name, run folders, and atomic writing."""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from .errors import InputError, suggest

HERE = Path(__file__).parent
# Suffixes of images and volumes.
PICTURES, TIFF, NIFTI = (".png", ".jpg", ".jpeg", ".bmp"), (".tif", ".tiff"), (".nii", ".nii.gz")
BEST, LAST, LAYERS = "checkpoints/best.ckpt", "checkpoints/last.ckpt", "layers.txt"


class Loader(yaml.SafeLoader):
    """YAML where ``no``, ``yes``, ``on``, ``off``, dates, ``12:30`` and ``01`` are text, since they may name levels.

    Only ``true`` and ``false``, decimal numbers and ``null`` have a type, as in the core schema of YAML 1.2.
    """


TYPES = {
    "null": (r"null|~|", ["n", "~", ""]),
    "bool": (r"true|false|True|False", list("tfTF")),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*|(?=[eE]))|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        list("-+.0123456789"),
    ),
}
Loader.yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}
for name, (pattern, starts) in TYPES.items():
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(f"(?:{pattern})$"), starts)


def folder(kind: str) -> Path:
    """Folder of the packaged ``configs`` or ``datasets``: in the wheel, or beside the package in a checkout."""
    return next(base / kind for base in (HERE, HERE.parent) if (base / kind).is_dir())


def recipes() -> list[str]:
    """Names of the packaged recipes of a data set, which are called ``MODEL_DATASET``."""
    return sorted(path.stem for path in folder("configs").glob("*_*.yaml"))


def generic_recipes() -> list[str]:
    """Names of the packaged recipes without data, for a user's own file, which are called ``MODEL``."""
    return sorted(path.stem for path in folder("configs").glob("*.yaml") if "_" not in path.stem)


def datasets() -> list[str]:
    """Names of the packaged data-set cards."""
    return sorted(path.parent.name for path in folder("datasets").glob("*/card.yaml"))


def pretrained() -> list[str]:
    """Names that `zoo.load` accepts without a download."""
    return sorted(path.parent.name for path in (HERE / "pretrained").glob("*/config.json"))


def config(name: str) -> Path:
    """Path of a config: a file, a run folder, or the name of a packaged recipe.

    Raises:
        InputError: No such file, run or recipe; the nearest name is suggested.
    """
    if (run := run_folder(name)) is not None:
        return run / "config.yaml"
    if (path := Path(name)).is_file():
        return path
    if (path := folder("configs") / f"{name.removesuffix('.yaml')}.yaml").is_file():
        return path
    raise InputError(
        f"no recipe, config file or run folder {name!r}; {suggest(name, [*recipes(), *generic_recipes()])}"
    )


def run_folder(name: str) -> Path | None:
    """The run folder ``runs/NAME/3``, or the newest one of ``runs/NAME``; None if ``name`` is neither."""
    path = Path(name)
    if (path / "config.yaml").is_file():
        return path
    runs = [run for run in numbered(path) if (run / "config.yaml").is_file()]
    return runs[-1] if runs else None


def numbered(path: Path) -> list[Path]:
    """Sub-folders with a number as name, in order."""
    return sorted((p for p in path.glob("*") if p.name.isdigit() and p.is_dir()), key=lambda p: int(p.name))


@contextmanager
def new_run_folder(parent: Path) -> Iterator[Path]:
    """Create the next of ``parent/1``, ``parent/2``, ...; it is removed if the block fails and left it empty."""
    created = [path for path in (parent, *parent.parents) if not path.exists()]
    number = int(runs[-1].name) + 1 if (runs := numbered(parent)) else 1
    while True:
        try:
            (folder := parent / str(number)).mkdir(parents=True)
            break
        except FileExistsError:  # another run started at the same moment
            number += 1
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # not empty
            for path in (folder, *created):
                path.rmdir()
        raise


def read_yaml(path: Path) -> dict[str, Any]:
    """Content of a YAML file that holds a mapping.

    Raises:
        InputError: The file is not YAML, or not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys and values, found {'nothing' if content is None else repr(content)}")
    return content


def card(name: str) -> dict[str, Any]:
    """Card of a packaged data set; ``card["folder"]`` is its folder."""
    path = folder("datasets") / name / "card.yaml"
    if not path.is_file():
        raise InputError(f"no data set {name!r}; {suggest(name, datasets())}")
    return {**read_yaml(path), "folder": path.parent}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that replaces it if the block succeeds, and is deleted otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder``; if the block succeeds, its files are moved there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(".tmp", f".{folder.name}.", folder.parent))
    try:
        yield temporary
        for path in [path for path in temporary.rglob("*") if path.is_file()]:
            (target := folder / path.relative_to(temporary)).parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256(path: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Paths of packaged and user files by name, run folders, and durable writing."""

import errno
import glob
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import zlib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import yaml
from filelock import FileLock, Timeout

from . import budget
from .errors import InputError, NotWritableError, suggest

HERE = Path(__file__).parent
# Suffixes of images and volumes.
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
TIFF, NIFTI = (".tif", ".tiff"), (".nii", ".nii.gz")
IMAGES = (*PICTURES, *TIFF, *NIFTI)
# Limits of a YAML file: 20,000 names of columns are 0.3 MB, and 50,000 values are read in a few seconds.
YAML_BYTES, VALUES, DEPTH = 1_000_000, 50_000, 20
BEST, LAST, LAYERS = "checkpoints/best.ckpt", "checkpoints/last.ckpt", "layers.txt"
STAGE, LOCK = "stage.json", ".lock"
Stage = Literal["training", "stopped", "reporting", "done", "abandoned"]
GZIP, BYTE_ORDER_MARK = b"\x1f\x8b", b"\xef\xbb\xbf"
# A gzip file that grows beyond both is refused. Text of biology shrinks to a tenth or a fiftieth, long runs of one
# letter to a thousandth.
MOST_UNPACKED, MOST_RATIO = 1 << 28, 200
FACTS, SPLIT = "data.json", "split_sha256"
KINDS_OF_FILES = (
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


class LimitError(yaml.composer.ComposerError):
    """YAML beyond the limits of `Limits`."""


class Limits(yaml.SafeLoader):
    """YAML of plain values: no aliases (which can stand for endless content), no tags, no key twice, bounded size."""

    depth = values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The next value; those inside a list or a mapping are composed by further calls."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        anchor, tag, problem = event.anchor, getattr(event, "tag", None), ""
        defined = anchor is not None and not isinstance(event, yaml.AliasEvent)
        if defined and f"*{anchor}" in self.buffer:
            problem = f"aliases such as *{anchor} are not accepted"
        elif self.depth == DEPTH:
            problem = f"more than {DEPTH} levels"
        elif self.values == VALUES:
            problem = f"more than {VALUES:,} values"
        if problem:
            raise LimitError(None, None, problem, event.start_mark)
        if defined or tag is not None:
            what = f"&{anchor}" if defined else tag
            raise yaml.composer.ComposerError(None, None, f"{what} before a value is not accepted", event.start_mark)
        self.values += 1
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Keys and values."""
        content = super().construct_mapping(node, deep)
        if len(content) < len(node.value):
            names = Counter(key.value for key, _ in node.value)
            twice = next((name for name, count in names.items() if count > 1), "a key")
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} is there twice", node.start_mark)
        return content


class Loader(Limits):
    """YAML where ``no``, ``yes``, ``on``, ``off``, dates, ``12:30`` and ``01`` are text, since they may name levels.

    Only ``true`` and ``false``, decimal numbers and ``null`` have a type, as in the core schema of YAML 1.2.
    """


class TextLoader(Limits):
    """YAML whose values are the text as it was typed; only an empty value is null.

    So names stay as they are in lists of text (``[no, yes]``, ``[1, 01, 0.10]``); the parser of options makes numbers,
    ``true`` and ``null`` of them where an option takes these.
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
Loader.yaml_implicit_resolvers = {}
TextLoader.yaml_implicit_resolvers = {"": [("tag:yaml.org,2002:null", re.compile("$"))]}
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
    """The run folder ``runs/NAME/3``, or the newest of ``runs/NAME`` that is not abandoned; None if it is neither."""
    path = Path(name)
    if (path / "config.yaml").is_file():
        return path
    runs = [run for run in numbered(path) if (run / "config.yaml").is_file() and stage(run) != "abandoned"]
    return runs[-1] if runs else None


def numbered(path: Path) -> list[Path]:
    """Sub-folders with a number as name, in order."""
    return sorted((p for p in path.glob("*") if p.name.isdigit() and p.is_dir()), key=lambda p: int(p.name))


@contextmanager
def new_run_folder(parent: Path) -> Iterator[Path]:
    """Create the next of ``parent/1``, ``parent/2``, ...; it is removed if the block fails before a checkpoint."""
    created = [path for path in (parent, *parent.parents) if not path.exists()]
    number = int(runs[-1].name) + 1 if (runs := numbered(parent)) else 1
    while True:
        try:
            (folder := parent / str(number)).mkdir(parents=True)
            break
        except FileExistsError:  # another run started at the same moment
            number += 1
    try:
        with locked(folder):
            yield folder
    except BaseException:
        if not (folder / LAST).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # not empty
                for path in created:
                    path.rmdir()
        raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Write to a run folder as its only process; what killed processes left in it is removed.

    Raises:
        InputError: Another process writes to the folder.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{folder} is being written by another process; wait for its end, or stop it") from None
    try:
        remove_leftovers(folder.rglob(".*.tmp*"))
        yield
    finally:
        lock.release()


def stage(folder: Path) -> str:
    """What a run reached, from its ``stage.json``; empty if that is missing or damaged.

    ``training``, then ``stopped`` (the training is over), ``reporting``, and ``done``; ``abandoned`` if the run was
    killed before its first checkpoint and cannot be resumed.
    """
    try:
        return str(json.loads((folder / STAGE).read_text(encoding="utf-8"))["stage"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def set_stage(folder: Path, stage: Stage) -> None:
    """Record what a run reached."""
    with replacing(folder / STAGE) as path:
        path.write_text(json.dumps({"stage": stage}) + "\n", encoding="utf-8")


def read_yaml(path: Path, loader: type[Limits] = Loader) -> dict[str, Any]:
    """Content of a YAML file that holds a mapping.

    Args:
        path: The file.
        loader: `Loader` for values with types, `TextLoader` for text as it was typed.

    Raises:
        InputError: The file is not YAML of plain values (see `Limits`), is too large, or not a mapping.
    """
    with regular(path).open("rb") as file:
        raw = file.read(YAML_BYTES + 1)
    if len(raw) > YAML_BYTES:
        raise InputError(f"{path}: larger than {YAML_BYTES / 1e6:g} MB, which no recipe or card is")
    try:
        content = yaml.load(raw.decode("utf-8"), Loader=loader)
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"{content!r:.60}"
        raise InputError(f"{path}: expected keys and values, found {found}")
    return content


def read_json(path: Path, hint: str) -> dict[str, Any]:
    """Content of a JSON file that holds a mapping.

    Args:
        path: The file.
        hint: What to do if it is damaged.

    Raises:
        InputError: The file is missing, not JSON, or not a mapping.
    """
    try:
        content = json.loads(regular(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {hint}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({' '.join(str(error).split())[:200]}); {hint}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged (no keys and values); {hint}")
    return content


def read_facts(run: Path) -> dict[str, Any]:
    """Facts on the data of a run, from its ``data.json``.

    Raises:
        InputError: The file is missing or damaged.
    """
    path, hint = run / FACTS, f"train again: zoo fit --config {run}"
    facts = read_json(path, hint)
    data = facts.get("data")
    if not isinstance(data, dict) or not all(isinstance(data.get(key), str) for key in ("name", "sha256", SPLIT)):
        raise InputError(f"{path} is damaged (the data are not described); {hint}")
    return facts


def card(name: str) -> dict[str, Any]:
    """Card of a packaged data set; ``card["folder"]`` is its folder."""
    path = folder("datasets") / name / "card.yaml"
    if not path.is_file():
        raise InputError(f"no data set {name!r}; {suggest(name, datasets())}")
    return {**read_yaml(path), "folder": path.parent}


def regular(path: Path) -> Path:
    """The path, if it is a regular file; one that does not exist is left to the caller, who knows what is near.

    Raises:
        InputError: It is a folder, a pipe or a device, of which reading could wait or never end, or a loop of links.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, ValueError) as error:  # a loop of links, a name that is too long, a zero byte
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{str(path)!r} cannot be read: {reason}") from None
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in KINDS_OF_FILES if is_kind(mode)), "special file")
        raise InputError(f"{path}: not a regular file, but a {kind}; give the path of a file")
    return path


def opened(path: Path, held: bool = True) -> BinaryIO:
    """A file opened for reading of bytes; gzip (of one or several members, as bgzip writes) is told by content.

    Args:
        path: The file.
        held: The content will be held in memory; False for a reader that keeps a part of it only.

    Raises:
        InputError: Not a regular file, or larger than the memory. While reading: the gzip file is damaged, or grows
            beyond the memory or beyond 200 times its size.
    """
    file = regular(path).open("rb")
    zipped, size = file.read(len(GZIP)) == GZIP, os.fstat(file.fileno()).st_size
    file.seek(0)
    if zipped:
        return io.BufferedReader(_Unpacked(path, file, size, held), 1 << 17)
    if held:
        try:
            budget.check(size, str(path), "give a smaller file")
        except InputError:
            file.close()
            raise
    return file


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, with a limit on its size."""

    def __init__(self, path: Path, file: BinaryIO, size: int, held: bool) -> None:
        self.path, self.file, self.size, self.held = path, file, size, held
        self.content = gzip.GzipFile(fileobj=file)
        self.checked = 1 << 24

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.content.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        target = offset + (self.tell() if whence == io.SEEK_CUR else 0)
        block = memoryview(bytearray(1 << 20))
        while whence == io.SEEK_END or self.tell() < target:  # what is skipped counts as well
            if not self.readinto(block if whence == io.SEEK_END else block[: target - self.tell()]):
                break
        if whence == io.SEEK_END:
            target += self.tell()
        with self._errors():
            return self.content.seek(max(0, min(target, self.tell())))

    def readinto(self, buffer: Any) -> int:
        with self._errors():
            count = self.content.readinto(buffer)
        if (total := self.content.tell()) > self.checked:
            self.checked = total + (1 << 24)
            if total > max(MOST_UNPACKED, MOST_RATIO * self.size):
                raise InputError(
                    f"{self.path}: {self.size:,} bytes of gzip grow to more than {budget.in_gb(total)}, over "
                    f"{MOST_RATIO} times as much; if that is meant, decompress it first: gunzip -k {self.path.name}"
                )
            if self.held:  # in parts, and then as a whole
                budget.check(2 * total, f"{self.path}, decompressed,", "give a smaller file")
        return count

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{self.path}: cannot be read: gzip that is damaged or cut off ({reason}); copy it anew"
            ) from None

    def close(self) -> None:
        if not self.closed:
            self.content.close()
            self.file.close()
        super().close()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that replaces it if the block succeeds, and is deleted otherwise.

    The content is on the disk before the file gets its name, and the name before this function returns; after a loss of
    power, ``path`` is the old file or the new one.

    Raises:
        NotWritableError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    with _told(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent.glob(f".{glob.escape(path.stem)}.*.tmp{glob.escape(path.suffix)}"))
        try:
            yield temporary
            _to_disk(temporary)
            temporary.replace(path)
            _to_disk(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder``, or in it if it exists; if the block succeeds, its files are moved there.

    Raises:
        NotWritableError: The files cannot be written.
    """
    place, name = (folder, "files") if folder.is_dir() else (folder.parent, folder.name)
    temporary = place / f".{name}.{os.getpid()}.tmp"
    with _told(folder, temporary):
        place.mkdir(parents=True, exist_ok=True)
        remove_leftovers(place.glob(f".{glob.escape(name)}.*.tmp"))
        try:
            temporary.mkdir()
            yield temporary
            for path in [path for path in temporary.rglob("*") if path.is_file()]:
                (target := folder / path.relative_to(temporary)).parent.mkdir(parents=True, exist_ok=True)
                _to_disk(path)
                path.replace(target)
            _to_disk(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _told(path: Path, temporary: Path) -> Iterator[None]:
    """Report that ``path`` cannot be written in one line; errors of other files pass."""
    try:
        yield
    except OSError as error:
        named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes | os.PathLike) else None
        if named is not None and named not in (path, *path.parents, temporary) and temporary not in named.parents:
            raise
        # Libraries for files raise OSError without a number, such as h5py.
        reason = error.strerror or (str(error).splitlines() or ["unknown reason"])[-1]
        hint = "; free some space, or choose another place" if error.errno == errno.ENOSPC else ""
        raise NotWritableError(f"{path} cannot be written: {reason}{hint}; files written earlier are intact") from None


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":  # where folders cannot be opened
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Remove those temporary files of `replacing` and `filling` whose process has ended."""
    for path in list(paths):
        owner = re.search(r"\.(\d+)\.tmp", path.name)
        if owner is None or _runs(int(owner[1])):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        return True
    return True


def sha256(path: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Reading of ``.npy`` and ``.npz``, whose headers are compared with the size of the file before memory is taken."""

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy

from .. import budget
from ..errors import InputError
from ..files import opened
from ..tables.reading import suffix_of


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a ``.npz`` by name, or that of a ``.npy`` under the name ``x``; both also gzipped.

    Raises:
        InputError: The file is damaged, holds Python objects, or needs more memory than is available.
    """
    suffix = suffix_of(path)
    try:
        with opened(path) as file:
            if suffix == ".npy":
                return {"x": _array(file, None, str(path))}
            with ZipFile(file) as archive:
                members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
                # The module zipfile reads no more of a member than its stated size.
                total = sum(member.file_size for member in members)
                budget.check(total, str(path), "split the file, or leave out arrays")
                return dict(_members(archive, members, path))
    except (InputError, MemoryError):
        raise
    except (ValueError, OSError, EOFError, BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path}: cannot be read as {suffix[1:]}: {' '.join(str(error).split())[:200]}") from None


def _members(archive: ZipFile, members: list[Any], path: Path) -> Iterator[tuple[str, np.ndarray]]:
    for member in members:
        name = member.filename.removesuffix(".npy")
        with archive.open(member) as file:
            yield name, _array(file, member.file_size, f"{path}: array {name!r}")


def _array(file: IO[bytes], size: int | None, where: str) -> np.ndarray:
    """The array of an open ``.npy``; ``size`` is that of the file in bytes, None if it is not known."""
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(file)
    else:
        raise InputError(f"{where}: version {version[0]}.{version[1]} of the format is not read; save it anew")
    if dtype.hasobject:
        raise InputError(f"{where} cannot be read as npz or npy: it holds Python objects; save numbers or text")
    count = math.prod(shape)
    needed = count * dtype.itemsize
    if min(shape, default=0) < 0 or (count and not dtype.itemsize):
        raise InputError(f"{where} is damaged: the header states the shape {shape} and the type {dtype}")
    start = file.tell()
    if size is None:
        size = file.seek(0, 2)
    if needed > size - start:
        raise InputError(f"{where} is damaged: its header states {needed:,} bytes, there are {max(0, size - start):,}")
    budget.check(needed, where, "split the file")
    file.seek(0)
    return npy.read_array(file, allow_pickle=False)

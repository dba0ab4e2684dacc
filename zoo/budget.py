"""Memory: how much is available, and refusal of what needs more before it is taken."""

import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

SHARE = 0.8  # of the available memory that one step may take
NEGLIGIBLE = 1 << 26  # bytes that are granted without a look at the memory
MOST_TENSORS = 20_000  # weights and buffers of one network
IN_TRAINING = 4  # weights, their gradients, and two moments of Adam
# What torch, numpy and pyarrow say of memory that is not there, or of sizes beyond 64 bits, in other errors than
# MemoryError.
TOO_LARGE = (
    "DefaultCPUAllocator",
    "out of memory",
    "Storage size calculation overflowed",
    "larger than the maximum possible size",
    "Maximum allowed dimension exceeded",
    "array is too big",
)


def available() -> int:
    """Bytes of memory that this process may take: 80 % of what the machine, its cgroup and `ulimit -v` leave."""
    free = [_of_machine(), *_of_cgroups()]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        free.append(limit - _numbers(Path("/proc/self/statm"), [0])[0] * os.sysconf("SC_PAGE_SIZE"))
    return max(0, int(SHARE * min(free)))


def _of_machine() -> int:
    with suppress(OSError, IndexError, ValueError):  # not Linux
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_cgroups() -> list[int]:
    """Memory left by the limits of containers and batch systems (cgroups of version 2 and 1), if there are any."""
    found = []
    try:
        groups = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in groups:
        _, kinds, name = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        root = Path("/sys/fs/cgroup/memory" if kinds else "/sys/fs/cgroup")
        files = ("memory.limit_in_bytes", "memory.usage_in_bytes") if kinds else ("memory.max", "memory.current")
        own = root / name.lstrip("/")
        for group in (own, *own.parents):
            if not group.is_relative_to(root):
                break
            with suppress(OSError, ValueError, IndexError):  # no limit is written as "max"
                limit, used = (_numbers(group / file)[0] for file in files)
                found.append(limit - used + _cache(group))
    return found


def _cache(group: Path) -> int:
    """Bytes of files in memory, which the system gives back on demand."""
    lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.split()[0] in ("inactive_file", "total_inactive_file"))


def _numbers(path: Path, otherwise: list[int] | None = None) -> list[int]:
    try:
        return [int(word) for word in path.read_text(encoding="ascii").split()]
    except OSError:
        if otherwise is None:
            raise
        return otherwise


def in_gb(size: float) -> str:
    """A number of bytes as text.

    >>> in_gb(2e12), in_gb(1.5e9), in_gb(2e6)
    ('2,000 GB', '1.5 GB', '0.002 GB')
    """
    return f"{size / 1e9:,.{0 if size >= 1e10 else 1 if size >= 1e9 else 3}f} GB"


def check(size: float, what: str, option: str) -> None:
    """Refuse what needs more memory than is available, before it is taken.

    Args:
        size: Bytes that are needed.
        what: What needs them, the beginning of the message.
        option: What to do about it, such as ``"lower --n"``.

    Raises:
        InputError: More than `available`.
    """
    if size > NEGLIGIBLE and size > (left := available()):
        raise InputError(f"{what} would take {in_gb(size)} of memory, {in_gb(left)} can be used here; {option}")


def is_shortage(error: BaseException) -> bool:
    """Whether an error means that memory could not be had, as torch and numpy state it in several ways."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError | ValueError) and any(words in str(error) for words in TOO_LARGE)


class TooLargeError(Exception):
    """A network has more than it may; the text is its size so far."""

    def __init__(self, text: str, size: int) -> None:
        super().__init__(text)
        self.size = size


@contextmanager
def at_most(size: int, count: int) -> Iterator[None]:
    """Raise `TooLargeError` once this thread has built modules with more bytes or tensors than this."""
    from torch.nn.modules.module import (
        register_module_buffer_registration_hook,
        register_module_parameter_registration_hook,
    )

    seen: dict[int, Tensor] = {}  # held, so that no other tensor takes the id of one
    thread, total = threading.get_ident(), 0

    def add(module: "nn.Module", name: str, tensor: "Tensor | None") -> None:
        nonlocal total
        if tensor is None or threading.get_ident() != thread or id(tensor) in seen:
            return
        seen[id(tensor)] = tensor
        total += tensor.nbytes
        if total > size:
            raise TooLargeError(f"{total:,} bytes", total)
        if len(seen) > count:
            raise TooLargeError(f"{count:,} tensors", total)

    hooks = [register_module_parameter_registration_hook(add), register_module_buffer_registration_hook(add)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def check_parameters(build: Callable[[], "nn.Module"], what: str, option: str) -> None:
    """Refuse a network that is too large to be trained, before memory is taken for its weights.

    It is built on the meta device of torch, where tensors have a shape and no content. The state of the random
    generator is not changed.

    Args:
        build: Makes the network.
        what: Name of the network, for the message.
        option: What to do if it is too large, for the message.

    Raises:
        InputError: Weights, gradients and the moments of Adam need more memory than is available, or there are more
            than 20,000 tensors.
    """
    import torch

    left = available()
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"), at_most(left // IN_TRAINING, MOST_TENSORS):
            build()
    except TooLargeError as error:
        if (size := IN_TRAINING * error.size) <= left:
            raise InputError(f"{what} has more than {error} of weights; {option}") from None
        raise InputError(
            f"training {what} would take at least {in_gb(size)} of memory, {in_gb(left)} can be used here; {option}"
        ) from None
    except NotImplementedError:  # a layer that reads values while it is built; those before it have been counted
        pass
    except (OverflowError, MemoryError, RuntimeError, TypeError) as error:
        # Sizes beyond 64 bits: torch says so by an error of any of these types, according to the layer.
        if is_shortage(error) or isinstance(error, OverflowError) or "verflow" in str(error):
            raise InputError(f"{what} has more weights than any memory holds; {option}") from None
        raise

"""How many threads torch computes with."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def same_threads() -> Iterator[None]:
    """Give torch back the number of threads it had.

    Libraries that compute with numba set it to all cores. Bit-equal reruns need equal numbers, and where several
    processes share the cores, more threads make each training many times slower.
    """
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)

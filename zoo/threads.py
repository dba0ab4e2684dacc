"""Number of threads of torch."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def same_threads() -> Iterator[None]:
    """Restore the number of threads of torch after the block.

    Libraries that use numba set it to all cores. Bit-identical reruns need the same number, and if several processes
    share the cores, more threads make each training many times slower.
    """
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)

"""Some of many samples, where all of them would take too long."""

import numpy as np


def some(count: int, most: int, seed: int) -> np.ndarray:
    """Positions of all samples, or of ``most`` of them drawn at random, in order.

    >>> some(3, 5, 0)
    array([0, 1, 2])
    >>> len(some(100, 5, 0))
    5
    """
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))

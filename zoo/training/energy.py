"""Energy distance between two sets of samples."""

import torch
from torch import Tensor


def energy_distance(one: Tensor, two: Tensor) -> Tensor:
    """Unbiased energy distance of two sets of samples (Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018).

    Twice the mean distance between the sets minus the mean distances within each set; the expectation is 0 only for
    equal distributions, and estimates may be slightly negative. It needs neither bins nor a kernel. It is divided by
    the square root of the number of coordinates.

    Args:
        one: ``shape=(samples, width)``, at least two samples.
        two: Samples of the same width; their number may differ.
    """
    between = torch.cdist(one, two).mean()
    distance: Tensor = (2 * between - spread(one) - spread(two)) / one.shape[1] ** 0.5
    return distance


def spread(samples: Tensor) -> Tensor:
    """Mean Euclidean distance between distinct samples, ``shape=(samples, width)``."""
    mean: Tensor = torch.pdist(samples).mean()
    return mean

"""How far two sets of samples are apart, as distributions."""

import torch
from torch import Tensor


def energy_distance(one: Tensor, two: Tensor) -> Tensor:
    """Energy distance of two sets of samples (Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018), unbiased.

    Twice the mean distance between the sets, less the mean distances within each; 0 only for equal distributions. It
    needs neither bins nor a kernel, and it is given in units of one coordinate: divided by the square root of their
    number. By chance it may be a little below 0.

    Args:
        one: ``shape=(samples, width)``, at least two samples.
        two: The same width; the numbers of samples may differ.
    """
    between = torch.cdist(one, two).mean()
    distance: Tensor = (2 * between - spread(one) - spread(two)) / one.shape[1] ** 0.5
    return distance


def spread(samples: Tensor) -> Tensor:
    """Mean Euclidean distance of two different samples, ``shape=(samples, width)``."""
    mean: Tensor = torch.pdist(samples).mean()
    return mean

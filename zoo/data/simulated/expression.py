"""Simulated single-cell counts with known groups and batches; the same seed gives the same data on every machine."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

BASE_SPREAD, BATCH_SPREAD, DEPTH_SPREAD = 1.2, 0.25, 0.35  # standard deviations of natural logarithms
FOLD = (0.7, 1.6)  # range of the log fold changes (natural logarithm) of the markers of a group


def expression(
    cells: int = 3000,
    genes: int = 500,
    groups: int = 5,
    batches: int = 3,
    seed: int = 0,
    markers: int = 20,
    depth: float = 1500,
) -> AnnData:
    """Negative-binomial counts of cells, after the Splat model of Zappia et al. 2017.

    A gene has a mean (log-normal), a dispersion, and a factor in each batch (log-normal). Each group has its own marker
    genes, whose mean is two to five times as high. Group 1 is the largest, and each next group has 0.7 times as many
    cells; batches have equal size and equal composition. The library size (expected counts) of a cell is log-normal
    with median ``depth``. (Zappia L, Phipson B, Oshlack A 2017, doi:10.1186/s13059-017-1305-0)

    Only uniform numbers are drawn, and counts follow by inversion of the distribution function. They therefore depend
    neither on the algorithms by which a version of numpy draws other random numbers nor on the last digit of an
    exponential.

    Args:
        cells: Number of cells.
        genes: Number of genes.
        groups: Number of groups.
        batches: Number of batches.
        seed: Seed of all random draws.
        markers: Number of marker genes per group; no gene is a marker of two groups.
        depth: Median library size of the cells.

    Returns:
        - ``X``: counts, float32 CSR, ``shape=(cells, genes)``.
        - ``obs``: ``group`` (group1, ...), ``batch`` (batch1, ...), and ``library``, the library size of the cell.
        - ``var``: ``marker``, the group that the gene is a marker of, or none.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    shares = 0.7 ** np.arange(groups)
    group = np.searchsorted(np.cumsum(shares / shares.sum())[:-1], rng.random(cells), "right")
    batch = (rng.random(cells) * batches).astype(int)
    mean = np.exp(BASE_SPREAD * _normal(rng, genes))
    of = np.full(genes, -1)
    of[np.argsort(rng.random(genes))[: groups * markers]] = np.repeat(np.arange(groups), markers)[:genes]
    fold = np.exp(FOLD[0] + (FOLD[1] - FOLD[0]) * rng.random(genes))
    by_group = np.where(of == np.arange(groups)[:, None], fold, 1.0) * mean
    by_batch = np.exp(BATCH_SPREAD * _normal(rng, (batches, genes)))
    size = np.exp(1 + 0.5 * _normal(rng, genes))  # of the negative binomial; its variance is m + m^2 / size
    library = np.rint(depth * np.exp(DEPTH_SPREAD * _normal(rng, cells)))
    expected = by_group[group] * by_batch[batch]
    expected *= (library / expected.sum(1))[:, None]
    counts = _negative_binomial(rng.random(expected.shape), expected, size)
    obs = pd.DataFrame(
        {
            "group": [f"group{number + 1}" for number in group],
            "batch": [f"batch{number + 1}" for number in batch],
            "library": library.astype(int),
        },
        index=[f"cell{number + 1}" for number in range(cells)],
    )
    names = np.array([*(f"group{number + 1}" for number in range(groups)), "none"])
    var = pd.DataFrame({"marker": names[of]}, index=[f"gene{number + 1}" for number in range(genes)])
    return AnnData(sparse.csr_matrix(counts, dtype=np.float32), obs=obs, var=var)


def _normal(rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers from uniform ones (Box and Muller 1958, doi:10.1214/aoms/1177706645)."""
    radius = np.sqrt(-2 * np.log1p(-rng.random(shape)))
    result: np.ndarray = radius * np.cos(2 * np.pi * rng.random(shape))
    return result


def _negative_binomial(uniform: np.ndarray, mean: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The smallest count whose cumulative probability is above a uniform number, ``shape=(cells, genes)``."""
    counts = np.zeros(mean.size, dtype=np.int32)
    u, r = uniform.ravel(), np.broadcast_to(size, mean.shape).ravel()
    share = mean.ravel() / (mean.ravel() + r)
    probability = np.exp(r * np.log1p(-share))
    left, count = np.arange(mean.size), 0
    while len(left):
        above = u >= probability  # u is reduced by the probability of all smaller counts
        left, u, r, share, probability = (a[above] for a in (left, u - probability, r, share, probability))
        counts[left] += 1
        probability = probability * share * (count + r) / (count + 1)
        count += 1
        if not probability.any():  # the probability of the tail underflows
            break
    return counts.reshape(mean.shape)

"""Made-up counts of single cells with known groups and batches, the same for the same seed on every machine."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

BASE_SPREAD, BATCH_SPREAD, DEPTH_SPREAD = 1.2, 0.25, 0.35  # standard deviations of natural logarithms
FOLD = (0.7, 1.6)  # natural logarithms of what a group multiplies its markers by


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
    genes, of which it makes two to five times as much. Group 1 is the largest, each next one has 0.7 times as many
    cells; batches are of equal size and hold all groups alike. The expected counts of a cell are log-normal about
    ``depth``. (Zappia L, Phipson B, Oshlack A 2017, doi:10.1186/s13059-017-1305-0)

    Only uniform numbers are drawn, and counts are looked up in their distribution: so they do not depend on how a
    version of numpy makes other random numbers, nor on the last digit of an exponential.

    Args:
        cells: Number of cells.
        genes: Number of genes.
        groups: Number of groups.
        batches: Number of batches.
        seed: Of everything.
        markers: Marker genes of each group; no gene is a marker of two.
        depth: Median of the expected counts of a cell.

    Returns:
        - ``X``: counts, float32 CSR, ``shape=(cells, genes)``.
        - ``obs``: ``group`` (group1, ...), ``batch`` (batch1, ...), and ``library``, the expected counts of the cell.
        - ``var``: ``marker``, the group that a gene is a marker of, or none.
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
        above = u >= probability  # u is what of it the counts so far have left over
        left, u, r, share, probability = (a[above] for a in (left, u - probability, r, share, probability))
        counts[left] += 1
        probability = probability * share * (count + r) / (count + 1)
        count += 1
        if not probability.any():  # the tail is below what a float can tell from 0
            break
    return counts.reshape(mean.shape)

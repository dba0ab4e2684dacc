"""Individual measures of a latent space; `zoo.latent.quality` explains how to read each."""

from collections.abc import Callable

import numpy as np

ACTIVE, PERMUTATIONS, RESAMPLES = 0.01, 10, 200


def subsample(count: int, most: int, seed: int) -> np.ndarray:
    """Sorted positions of all samples, or of a random subsample if there are more than ``most``.

    >>> subsample(3, 5, 0)
    array([0, 1, 2])
    >>> len(subsample(100, 5, 0))
    5
    """
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def active_units(x: np.ndarray) -> int:
    """Number of units with a variance above 0.01."""
    return int((x.var(0, dtype=float) > ACTIVE).sum())


def effective_dimension(x: np.ndarray) -> float:
    """Participation ratio of the variances of the principal components; 0 if all units are constant.

    >>> effective_dimension(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    2.0
    """
    centred = x - x.mean(0, dtype=float)
    # The squared singular values are the eigenvalues of both products; the smaller one is cheaper.
    product = centred.T @ centred if x.shape[1] <= len(x) else centred @ centred.T
    squares = float(np.square(product).sum())
    return float(np.trace(product) ** 2 / squares) if squares > 0 else 0.0


def silhouette(x: np.ndarray, codes: np.ndarray) -> float:
    """Mean silhouette of the classes; NaN unless there are at least two and one of them has at least two samples."""
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(codes)) < len(codes):
        return float("nan")
    return float(silhouette_score(x, codes))


def neighbours_of(x: np.ndarray, pool: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Positions of the ``k`` nearest samples of ``pool`` to each of ``rows``, the sample itself excluded."""
    from sklearn.neighbors import NearestNeighbors

    in_pool = np.isin(rows, pool)
    k = min(k, len(pool) - int(in_pool.any()))
    if k < 1 or not len(rows):
        return np.empty((len(rows), 0), int)
    search = NearestNeighbors(n_neighbors=min(k + 1, len(pool))).fit(x[pool])
    found = pool[search.kneighbors(x[rows], return_distance=False)]
    itself = found == rows[:, None]
    # Duplicates may push a sample out of its own list, and samples outside the pool are not in it: drop the last then.
    itself[~itself.any(1), -1] = True
    return np.asarray(found if found.shape[1] == k else found[~itself].reshape(len(rows), k))


def knn_predictions(
    x: np.ndarray, pool: np.ndarray, rows: np.ndarray, y: np.ndarray, k: int, classes: bool
) -> np.ndarray:
    """Majority class (ties go to the nearest), or mean, among the ``k`` nearest neighbours of each of ``rows``."""
    near = neighbours_of(x, pool, rows, k)
    if not near.shape[1]:
        return np.full(len(rows), -1 if classes else np.nan)
    if not classes:
        return np.asarray(y[near].mean(1))
    votes = np.zeros((len(rows), int(y.max()) + 1))
    for rank in range(near.shape[1]):
        np.add.at(votes, (np.arange(len(rows)), y[near[:, rank]]), 1 + 1e-6 * (near.shape[1] - rank))
    return np.asarray(votes.argmax(1))


def r2(predictions: np.ndarray, truth: np.ndarray) -> float:
    """Coefficient of determination of the predictions; NaN if the truth does not vary."""
    spread = float(np.square(truth - truth.mean()).sum()) if len(truth) else 0.0
    return 1 - float(np.square(predictions - truth).sum()) / spread if spread > 0 else float("nan")


def standard_error(statistic: Callable[[np.ndarray], float], count: int, seed: int) -> float:
    """Standard deviation of a statistic of ``count`` samples over bootstrap resamples; NaN for fewer than two."""
    if count < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    return float(np.std([statistic(rng.integers(count, size=count)) for _ in range(RESAMPLES)], ddof=1))


def trustworthiness(before: np.ndarray, after: np.ndarray, k: int) -> float:
    """Trustworthiness of ``after``: 1 if all its neighbours are neighbours in ``before``; NaN for too few samples."""
    from sklearn.manifold import trustworthiness as measured

    k = min(k, (len(before) - 1) // 2)
    return float(measured(before, after, n_neighbors=k)) if k >= 1 else float("nan")


def batch_mixing(x: np.ndarray, batches: np.ndarray, k: int, seed: int) -> float:
    """Entropy of the batches among neighbours, relative to that of shuffled batches; NaN for a single batch."""
    rows = np.arange(len(x))
    near = neighbours_of(x, rows, rows, k)
    if len(np.unique(batches)) < 2 or near.shape[1] < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    expected = np.mean([_entropy(rng.permutation(batches)[near]) for _ in range(PERMUTATIONS)])
    return float(_entropy(batches[near]) / expected)


def _entropy(codes: np.ndarray) -> float:
    """Mean entropy of the rows, in nats."""
    counts = np.stack([(codes == code).sum(1) for code in np.unique(codes)], 1)
    shares = counts / codes.shape[1]
    return float((shares * np.log(1 / np.where(shares > 0, shares, 1))).sum(1).mean())

"""Stability of clusters: are the same clusters found in bootstrap resamples of the samples?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData

from ..errors import InputError, check_choice, check_range
from .clustering import Method, labelled
from .colours import OKABE_ITO, Figure
from .measures import subsample
from .projection import training_rows, values

NAMES = {"kmeans": "k-means", "hdbscan": "HDBSCAN", "leiden": "Leiden"}
MOST = 2000  # samples clustered
SURE, DOUBTFUL = 0.85, 0.6  # of Hennig (2007)


def stability(
    adata: AnnData,
    method: Method = "kmeans",
    clusters: Sequence[int] | None = None,
    resolutions: Sequence[float] = (1.0,),
    resamples: int = 50,
    seed: int = 0,
) -> pd.DataFrame:
    """Agreement between the clusters of the training samples and those of bootstrap resamples.

    The training samples are clustered once, and the distinct samples of each resample (about 63 % of all) again. The
    two clusterings are compared on the samples they share by the adjusted Rand index (Hubert and Arabie 1985,
    doi:10.1007/BF01908075), 1 for identical clusterings and 0 for chance, and for each cluster by the highest Jaccard
    index with a cluster of the resample (Hennig 2007, doi:10.1016/j.csda.2006.11.025). A mean Jaccard index above 0.85
    means a stable cluster, one below 0.6 a cluster that should not be trusted.

    Choose the number of clusters with the highest index; if several are equal, the largest number. Stable clusters need
    not be separate groups: an elongated cloud is always split across its middle.

    Args:
        adata: From `embed`; it is not changed. Of more than 2000 training samples, 2000 are drawn at random.
        method: As in `zoo.latent.cluster`.
        clusters: Numbers of clusters to compare, for k-means. Default: 2 to 10.
        resolutions: Resolutions to compare, for Leiden.
        resamples: Number of bootstrap resamples.
        seed: Random seed of the resamples, of k-means and of Leiden.

    Returns:
        One row for each setting: ``resolution`` (Leiden only), ``clusters`` (number of clusters of the training
        samples), ``ari`` and ``ari_sd``, the mean and standard deviation over the resamples, ``jaccard_0``,
        ``jaccard_1``, ..., the mean of each cluster from the largest to the smallest, and ``samples``, the number of
        samples clustered. Noise samples of HDBSCAN count as one group in the Rand index, and have no Jaccard index.

    Raises:
        InputError: Unknown method; too few samples for the number of clusters; a value is not finite.
    """
    check_choice("method", method, Method.__args__)  # type: ignore[attr-defined]
    check_range("resamples", resamples, 2)
    x = values(adata)[training_rows(adata)]
    x = x[subsample(len(x), MOST, seed)]
    if clusters is not None and method != "kmeans":
        raise InputError(f"{method} determines the number of clusters; leave out clusters, or use kmeans")
    if len(x) < 10:
        raise InputError(f"the stability of clusters needs at least 10 training samples, not {len(x)}")
    rng = np.random.default_rng(seed)
    drawn = [np.unique(rng.integers(len(x), size=len(x))) for _ in range(resamples)]
    least = min(map(len, drawn))
    if method == "kmeans":
        numbers = range(2, min(10, least) + 1) if clusters is None else clusters
        for number in numbers:
            check_range("clusters", number, 2, least)
        settings = [(number, 1.0) for number in numbers]
    else:
        settings = [(0, resolution) for resolution in (resolutions if method == "leiden" else [1.0])]
    rows = []
    for number, resolution in settings:
        found = labelled(x, method, number, resolution, seed)
        names, counts = np.unique(found[found >= 0], return_counts=True)
        names = names[np.argsort(-counts, kind="stable")]
        again = [labelled(x[resample], method, number, resolution, seed) for resample in drawn]
        index, jaccard = _compare(found, again, drawn, names)
        setting = {"resolution": resolution} if method == "leiden" else {}
        means = {f"jaccard_{rank}": value for rank, value in enumerate(jaccard)}
        row = {**setting, "clusters": len(names), "ari": np.mean(index), "ari_sd": np.std(index, ddof=1)}
        rows.append({**row, "samples": len(x), **means})
    table = pd.DataFrame(rows)
    table.attrs["title"] = f"{NAMES[method]}, {resamples} resamples of {len(x)} training samples"
    return table


def _compare(
    found: np.ndarray, again: list[np.ndarray], drawn: list[np.ndarray], names: np.ndarray
) -> tuple[list[float], np.ndarray]:
    """Adjusted Rand index of each resample, and mean Jaccard index of each cluster over the resamples that hold it."""
    from sklearn.metrics import adjusted_rand_score

    index, best = [], np.full((len(again), len(names)), np.nan)
    for number, (labels, rows) in enumerate(zip(again, drawn, strict=True)):
        common = found[rows]
        index.append(float(adjusted_rand_score(common, labels)))
        others = [labels == other for other in np.unique(labels[labels >= 0])]
        for place, name in enumerate(names):
            if (members := common == name).any():
                indices = ((members & other).sum() / (members | other).sum() for other in others)
                best[number, place] = max(indices, default=0.0)
    return index, np.nanmean(best, 0)


def plot_stability(table: pd.DataFrame) -> Figure:
    """Plot the adjusted Rand index, and the Jaccard index of each cluster.

    Args:
        table: From `stability`.

    Returns:
        A matplotlib figure.
    """
    by = "resolution" if "resolution" in table else "clusters"
    places = np.arange(len(table))
    figure = Figure(figsize=(8.8, 3.7), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.errorbar(places, table["ari"], table["ari_sd"], fmt="o-", color=OKABE_ITO[0], capsize=3, markersize=5)
    left.set_ylabel("adjusted Rand index (mean ± sd)")
    left.set_title("All clusters", fontsize=10)
    each = table.filter(regex=r"^jaccard_\d+$").to_numpy(float)
    for place, row in zip(places, each, strict=True):
        row = np.sort(row[np.isfinite(row)])
        right.plot(
            place + np.linspace(-0.12, 0.12, len(row)) * (len(row) > 1),
            row,
            "o",
            color=OKABE_ITO[1],
            markersize=4,
            alpha=0.8,
            markeredgewidth=0,
        )
    right.set_ylabel("Jaccard index (mean)")
    right.set_title("Each cluster", fontsize=10)
    for level, meaning in ((SURE, "stable above"), (DOUBTFUL, "unstable below")):
        right.axhline(level, color="#888888", linewidth=0.8, linestyle=":")
        right.annotate(
            meaning, (1.01, level), xycoords=("axes fraction", "data"), fontsize=7, color="#555555", va="center"
        )
    labels = [f"{value:g}" for value in table[by]]
    if by == "resolution":
        labels = [f"{label}\n({count})" for label, count in zip(labels, table["clusters"], strict=True)]
    for axis in (left, right):
        axis.set_xticks(places, labels)
        axis.set_xlim(-0.5, len(table) - 0.5)
        axis.set_ylim(min(0.0, float((table["ari"] - table["ari_sd"]).min())) - 0.02, 1.05)
        axis.set_xlabel("resolution (number of clusters)" if by == "resolution" else "number of clusters")
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Cluster stability: {table.attrs.get('title', '')}".removesuffix(": "), fontsize=11)
    return figure

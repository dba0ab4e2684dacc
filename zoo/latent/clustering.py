"""Clustering of samples in latent space."""

import random
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from ..errors import InputError, check_choice, check_range
from .projection import values

Method = Literal["kmeans", "hdbscan", "leiden"]
NEIGHBOURS = 15  # of each sample in the graph that Leiden partitions, as in scanpy


def cluster(
    adata: AnnData, method: Method = "kmeans", clusters: int | None = None, resolution: float = 1.0, seed: int = 0
) -> AnnData:
    """Cluster the samples of all splits by Euclidean distance between their embeddings.

    Args:
        adata: From `embed`; it is changed in place.
        method: ``"kmeans"``: a fixed number of spherical clusters (Lloyd 1982, doi:10.1109/TIT.1982.1056489).
            ``"hdbscan"``: dense regions of any shape with at least 5 samples and 2 % of all; the remaining samples are
            ``"noise"`` (Campello et al. 2013, doi:10.1007/978-3-642-37456-2_14). ``"leiden"``: communities in the graph
            of 15 nearest neighbours (Traag et al. 2019, doi:10.1038/s41598-019-41695-z).
        clusters: Number of clusters, for k-means. Default: the number of classes of the target.
        resolution: Resolution of Leiden; higher values give more clusters.
        seed: Random seed of k-means and Leiden.

    Returns:
        The same ``adata`` with the categorical ``obs["cluster"]``, where ``"0"`` is the largest, and
        ``uns["cluster"]``.

    Raises:
        InputError: Unknown method; invalid number of clusters; a value is not finite.
    """
    check_choice("method", method, Method.__args__)  # type: ignore[attr-defined]
    if clusters is not None and method != "kmeans":
        raise InputError(f"{method} determines the number of clusters; leave out clusters, or use kmeans")
    x = values(adata)
    if len(x) < 2:
        raise InputError("clusters need at least two samples")
    if method == "kmeans" and clusters is None:
        clusters = _number(adata)
    labels = labelled(x, method, clusters, resolution, seed)
    found, first, counts = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    names = {label: str(rank) for rank, label in enumerate(found[np.lexsort((first, -counts))])}
    categories = [*names.values(), *(["noise"] if (labels < 0).any() else [])]
    adata.obs["cluster"] = pd.Categorical([names.get(label, "noise") for label in labels], categories)
    adata.uns["cluster"] = {"method": method}
    return adata


def labelled(x: np.ndarray, method: Method, clusters: int | None, resolution: float, seed: int) -> np.ndarray:
    """Cluster number of each row of ``x``, from 0; -1 is noise. See `cluster`."""
    match method:
        case "kmeans":
            return _kmeans(x, clusters or 0, seed)
        case "hdbscan":
            return _hdbscan(x)
        case "leiden":
            check_range("resolution", resolution, 0)
            return _leiden(x, resolution, seed)


def _number(adata: AnnData) -> int:
    target = adata.obs.get("target")
    if target is None or not isinstance(target.dtype, pd.CategoricalDtype):
        raise InputError("k-means needs a number of clusters, because the target has no classes; set clusters")
    return len(target.cat.categories)


def _kmeans(x: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    check_range("clusters", clusters, 1, len(x))
    return KMeans(clusters, n_init=10, random_state=seed).fit_predict(x)  # type: ignore[no-any-return]


def _hdbscan(x: np.ndarray) -> np.ndarray:
    from sklearn.cluster import HDBSCAN

    return HDBSCAN(min_cluster_size=min(max(5, len(x) // 50), len(x)), copy=True).fit_predict(x)  # type: ignore[no-any-return]


def _leiden(x: np.ndarray, resolution: float, seed: int) -> np.ndarray:
    from igraph import Graph
    from sklearn.neighbors import kneighbors_graph

    near = kneighbors_graph(x, min(NEIGHBOURS, len(x) - 1)).tocoo()
    pairs = np.unique(np.sort(np.stack([near.row, near.col], 1), 1), axis=0)
    state = random.getstate()  # igraph uses Python's global random generator
    random.seed(seed)
    try:
        graph = Graph(len(x), pairs.tolist())
        found = graph.community_leiden("modularity", resolution=resolution, n_iterations=-1)
    finally:
        random.setstate(state)
    return np.asarray(found.membership)

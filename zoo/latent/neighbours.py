"""Nearest neighbours of samples in latent space."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from ..errors import InputError, check_choice, check_range, suggest
from .projection import same_units, values

Metric = Literal["cosine", "euclidean"]


def neighbours(
    adata: AnnData, query: str | Sequence[str] | AnnData, k: int = 5, metric: Metric = "cosine"
) -> pd.DataFrame:
    """Find the samples whose embeddings are nearest to those of the query samples.

    Args:
        adata: From `embed`: the samples to search.
        query: Names of samples of ``adata`` (a sample is not its own neighbour), or an embedding of other samples by
            the same model and layer.
        k: Number of neighbours of each sample.
        metric: ``"cosine"``: 1 - cosine of the angle between two embeddings, from 0 to 2; or ``"euclidean"``.

    Returns:
        One row for each neighbour of each sample: ``query``, ``neighbour``, ``rank`` from 1, ``distance``, then
        ``target`` and ``prediction`` of the neighbour, where available.

    Raises:
        InputError: Unknown sample; fewer than ``k`` samples to search; different units; a value is not finite.
    """
    from sklearn.neighbors import NearestNeighbors

    check_choice("metric", metric, Metric.__args__)  # type: ignore[attr-defined]
    x = values(adata)
    within = not isinstance(query, AnnData)  # query samples are among the samples searched
    if isinstance(query, AnnData):
        same_units(adata, query)
        names, queries = list(query.obs_names), values(query)
    else:
        names = [query] if isinstance(query, str) else list(query)
        for name in names:
            if name not in adata.obs_names:
                raise InputError(f"no sample {name!r}; {suggest(name, adata.obs_names)}")
        queries = x[adata.obs_names.get_indexer(pd.Index(names))]
    check_range("k", k, 1, adata.n_obs - within)
    search = NearestNeighbors(n_neighbors=k + within, metric=metric, algorithm="brute").fit(x)
    distances, found = search.kneighbors(queries)
    if within:
        # A sample with duplicates need not be first in its own list, nor in it at all.
        itself = found == adata.obs_names.get_indexer(pd.Index(names))[:, None]
        itself[~itself.any(1), -1] = True
        distances, found = distances[~itself].reshape(-1, k), found[~itself].reshape(-1, k)
    near = found.reshape(-1)
    table = pd.DataFrame(
        {
            "query": np.repeat(names, k),
            "neighbour": adata.obs_names.to_numpy()[near],
            "rank": np.tile(np.arange(1, k + 1), len(names)),
            "distance": distances.reshape(-1),
        }
    )
    known = [column for column in ("target", "prediction") if column in adata.obs]
    return table.join(adata.obs[known].iloc[near].reset_index(drop=True))

"""Samples that lie near to one another in latent space."""

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
    """The samples that a model takes to be most alike.

    Args:
        adata: From `embed`: the samples among which neighbours are looked for.
        query: Names of samples of ``adata``, which are not their own neighbours, or other samples: an embedding of
            them by the same model and layer.
        k: Neighbours of each sample.
        metric: ``"cosine"``: 1 - cosine of the angle between two embeddings, from 0 to 2; or ``"euclidean"``.

    Returns:
        One row for each neighbour of each sample: ``query``, ``neighbour``, ``rank`` from 1, ``distance``, then
        ``target`` and ``prediction`` of the neighbour, as far as they are known.

    Raises:
        InputError: No such sample; fewer samples than neighbours; other units; a value that is not finite.
    """
    from sklearn.neighbors import NearestNeighbors

    check_choice("metric", metric, Metric.__args__)  # type: ignore[attr-defined]
    x = values(adata)
    own = not isinstance(query, AnnData)
    if isinstance(query, AnnData):
        same_units(adata, query)
        names, wanted = list(query.obs_names), values(query)
    else:
        names = [query] if isinstance(query, str) else list(query)
        for name in names:
            if name not in adata.obs_names:
                raise InputError(f"no sample {name!r}; {suggest(name, adata.obs_names)}")
        wanted = x[adata.obs_names.get_indexer(pd.Index(names))]
    check_range("k", k, 1, adata.n_obs - own)
    search = NearestNeighbors(n_neighbors=k + own, metric=metric, algorithm="brute").fit(x)
    distances, found = search.kneighbors(wanted)
    if own:
        # Among samples that are equal, a sample need not come first itself.
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

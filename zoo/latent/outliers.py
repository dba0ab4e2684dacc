"""Samples that lie far from all training samples."""

from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from ..errors import check_choice, check_range
from .projection import all_values, training_rows

Distance = Literal["neighbours", "mahalanobis"]


def outliers(adata: AnnData, *others: AnnData, by: Distance = "neighbours", k: int = 10) -> pd.DataFrame:
    """How unusual each sample is to a model, the most unusual first.

    Each distance is also given as a percentile: the share of the training samples that lie nearer, so that 100 is
    farther away than all of them. In one round cloud both agree; in a gap between groups only the neighbours are far.

    Args:
        adata: From `embed`. Far from what is measured from its training samples (from all, if none is marked so in
            ``obs["split"]``).
        *others: New samples, embedded by the same model and layer.
        by: What the samples are sorted by.
        k: Neighbours.

    Returns:
        One row a sample, indexed by its name:

        - ``split``, if known;
        - ``neighbours``: mean Euclidean distance to the ``k`` nearest training samples; a training sample is not its
          own neighbour;
        - ``neighbours_percentile``;
        - ``mahalanobis``: distance from the mean of the training samples in units of their spread in that direction
          (Mahalanobis 1936, doi:10.1007/s13171-019-00164-5), with the covariance of Ledoit and Wolf (2004,
          doi:10.1016/S0047-259X(03)00096-4);
        - ``mahalanobis_percentile``;
        - ``reconstruction_error`` and ``reconstruction_error_percentile``, if ``obs`` has it.

    Raises:
        InputError: Too few training samples for so many neighbours; other units; a value that is not finite.

    Example:
        >>> adata.obs["unusual"] = outliers(adata)["neighbours_percentile"]  # doctest: +SKIP
    """
    from sklearn.covariance import LedoitWolf
    from sklearn.neighbors import NearestNeighbors

    check_choice("by", by, Distance.__args__)  # type: ignore[attr-defined]
    parts, rows = all_values(adata, others), training_rows(adata)
    seen = parts[0][rows].astype(float)
    check_range("k", k, 1, len(seen) - 1)
    x = np.concatenate(parts).astype(float)
    trained = np.concatenate([rows, np.zeros(len(x) - len(rows), bool)])
    search = NearestNeighbors(n_neighbors=k).fit(seen)
    near = np.empty(len(x))
    near[trained] = search.kneighbors()[0].mean(1)  # without the sample itself
    if not trained.all():
        near[~trained] = search.kneighbors(x[~trained])[0].mean(1)
    shape = LedoitWolf().fit(seen)
    measured = {"neighbours": near, "mahalanobis": np.sqrt(np.maximum(shape.mahalanobis(x), 0))}
    each = [adata, *others]
    if all("reconstruction_error" in one.obs for one in each):
        measured["reconstruction_error"] = np.concatenate(
            [one.obs["reconstruction_error"].to_numpy(float) for one in each]
        )
    table = pd.DataFrame(index=pd.Index([name for one in each for name in one.obs_names], name="sample"))
    if any("split" in one.obs for one in each):
        table["split"] = [str(split) for one in each for split in one.obs.get("split", ["new"] * one.n_obs)]
    for name, numbers in measured.items():
        ordered = np.sort(numbers[trained])
        table[name] = numbers
        table[f"{name}_percentile"] = 100 * np.searchsorted(ordered, numbers, "left") / len(ordered)
    return table.sort_values(by, ascending=False, kind="stable")

"""Outliers: samples whose embeddings are far from those of the training samples."""

from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from ..errors import check_choice, check_range
from .projection import all_values, training_rows

Distance = Literal["neighbours", "mahalanobis"]


def outliers(adata: AnnData, *others: AnnData, by: Distance = "neighbours", k: int = 10) -> pd.DataFrame:
    """Measure the distance of each sample from the training samples in latent space, largest distances first.

    Each distance is also given as a percentile: the percentage of the training samples with a smaller distance. If the
    training samples form one Gaussian cluster, both distances agree; a sample between two clusters has distant
    neighbours, but may have a small Mahalanobis distance.

    Args:
        adata: From `embed`. Distances are measured from its training samples (from all samples, if ``obs["split"]``
            marks none).
        *others: New samples, embedded by the same model and layer.
        by: The distance by which samples are sorted.
        k: Number of neighbours.

    Returns:
        One row for each sample, indexed by its name:

        - ``split``, if known;
        - ``neighbours``: mean Euclidean distance to the ``k`` nearest training samples; a training sample is not its
          own neighbour;
        - ``neighbours_percentile``;
        - ``mahalanobis``: Mahalanobis distance from the mean of the training samples (1936,
          doi:10.1007/s13171-019-00164-5), with the shrunk covariance of Ledoit and Wolf (2004,
          doi:10.1016/S0047-259X(03)00096-4);
        - ``mahalanobis_percentile``;
        - ``reconstruction_error`` and ``reconstruction_error_percentile``, if ``obs`` has it.

    Raises:
        InputError: Too few training samples for the number of neighbours; different units; a value is not finite.

    Example:
        >>> adata.obs["unusual"] = outliers(adata)["neighbours_percentile"]  # doctest: +SKIP
    """
    from sklearn.covariance import LedoitWolf
    from sklearn.neighbors import NearestNeighbors

    check_choice("by", by, Distance.__args__)  # type: ignore[attr-defined]
    parts, rows = all_values(adata, others), training_rows(adata)
    training = parts[0][rows].astype(float)
    check_range("k", k, 1, len(training) - 1)
    x = np.concatenate(parts).astype(float)
    is_training = np.concatenate([rows, np.zeros(len(x) - len(rows), bool)])
    search = NearestNeighbors(n_neighbors=k).fit(training)
    near = np.empty(len(x))
    near[is_training] = search.kneighbors()[0].mean(1)  # without the sample itself
    if not is_training.all():
        near[~is_training] = search.kneighbors(x[~is_training])[0].mean(1)
    covariance = LedoitWolf().fit(training)
    measured = {"neighbours": near, "mahalanobis": np.sqrt(np.maximum(covariance.mahalanobis(x), 0))}
    parts_of_samples = [adata, *others]
    if all("reconstruction_error" in part.obs for part in parts_of_samples):
        measured["reconstruction_error"] = np.concatenate(
            [part.obs["reconstruction_error"].to_numpy(float) for part in parts_of_samples]
        )
    table = pd.DataFrame(index=pd.Index([name for part in parts_of_samples for name in part.obs_names], name="sample"))
    if any("split" in part.obs for part in parts_of_samples):
        splits = [part.obs.get("split", ["new"] * part.n_obs) for part in parts_of_samples]
        table["split"] = [str(split) for each in splits for split in each]
    for name, numbers in measured.items():
        ordered = np.sort(numbers[is_training])
        table[name] = numbers
        table[f"{name}_percentile"] = 100 * np.searchsorted(ordered, numbers, "left") / len(ordered)
    return table.sort_values(by, ascending=False, kind="stable")

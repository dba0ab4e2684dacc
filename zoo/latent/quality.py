"""Quality of a latent space: the same measures for every layer of a model, and for PCA of its input."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib import colormaps

from ..data import Data
from ..errors import InputError, check_choice, check_range, suggest
from ..models import Model
from .colours import Figure, has_target
from .embedding import embed
from .measures import (
    active_units,
    batch_mixing,
    effective_dimension,
    knn_predictions,
    r2,
    silhouette,
    standard_error,
    subsample,
    trustworthiness,
)
from .probe import layers as all_layers
from .projection import pca, training_rows, values

# Measures for which higher is better, with their value for chance; and measures that are only reported.
CHANCE = {"silhouette": 0.0, "knn_accuracy": 0.0, "knn_r2": 0.0, "trustworthiness": 0.5, "continuity": 0.5}
HIGHER = {**CHANCE, "batch_mixing": 0.0}
PLAIN = ("units", "active_units", "effective_dimension")
MOST = 2000  # samples measured

Split = Literal["train", "validation", "test"]


def quality(
    adata: AnnData,
    reference: AnnData | None = None,
    batch: str | None = None,
    split: Split = "validation",
    k: int = 15,
    seed: int = 0,
) -> pd.Series:
    """Measure the quality of a latent space on samples that the model was not trained on.

    - ``units``: number of units. ``active_units``: number of units whose variance over the training samples is above
      0.01 (Burda et al. 2016, arXiv:1509.00519; an informative unit of a VAE has about 1). ``effective_dimension``:
      participation ratio of the variances of the principal components, from 1 (all samples on a line) to ``units``. If
      it is far below ``units``, a smaller latent space would suffice, or the posterior of a VAE has collapsed.
    - ``silhouette`` of the classes of the target (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7): 1 if classes are
      well separated (above 0.5 is good), 0 if they overlap, negative if samples lie among another class.
    - ``knn_accuracy``: accuracy of the majority class among the ``k`` nearest training samples. Compare with
      ``majority_accuracy``, that of always predicting the most frequent class. For a continuous target ``knn_r2``, the
      coefficient of determination of the mean of the neighbours: 1 is perfect, 0 no better than the mean. ``knn_se``
      is the standard error of either; smaller differences may be due to chance.
    - ``trustworthiness`` and ``continuity`` against ``reference`` (Venna and Kaski 2001, doi:10.1007/3-540-44668-0_68):
      1 if nearest neighbours in latent space are also nearest neighbours in the reference, and vice versa. Above 0.9 is
      good, 0.5 is chance. A latent space that separates classes has lower values.
    - ``batch_mixing``: mean entropy of the batches among the ``k`` nearest samples, divided by its value for shuffled
      batches: 1 is perfectly mixed (slightly larger values occur by chance), 0 fully separate. If the proportions of
      the classes differ between batches, perfect mixing would mix classes too.
    - ``samples``: number of samples measured.

    Args:
        adata: From `embed`. Without ``obs["split"]`` all samples are measured, each with all others as neighbours.
        reference: The input of the same samples: ``embed(model, data, "encode")``.
        batch: Column of ``obs`` that holds the batch, such as a laboratory.
        split: Samples to measure. Use ``"test"`` only after all settings are fixed. Of more than 2000 samples, 2000 are
            drawn at random.
        k: Number of neighbours.
        seed: Random seed of the subsample, of the bootstrap for the standard error, and of the shuffled batches.

    Returns:
        The measures by name. Measures without the inputs they need are absent, and so are those of a survival target,
        whose times may be censored; NaN where too few samples are left.

    Raises:
        InputError: No samples of the split; ``reference`` has other samples; unknown column, or a column with a single
            batch; a value is not finite.
    """
    check_range("k", k, 1)
    check_choice("split", split, Split.__args__)  # type: ignore[attr-defined]
    x, training = values(adata), training_rows(adata)
    rows = _rows(adata, split, seed)
    found: dict[str, float] = {
        "units": adata.n_vars,
        "active_units": active_units(x[training]),
        "effective_dimension": effective_dimension(x[training]),
    }
    if has_target(adata) and adata.uns.get("target", {}).get("kind") != "survival":  # times may be censored
        target = adata.obs["target"]
        labelled = target.notna().to_numpy()
        known, pool = rows[labelled[rows]], np.flatnonzero(training & labelled)
        if isinstance(target.dtype, pd.CategoricalDtype) or not pd.api.types.is_numeric_dtype(target):
            codes = np.asarray(pd.Categorical(target).codes, dtype=int)
            predictions = knn_predictions(x, pool, known, codes, k, classes=True)
            commonest = np.bincount(codes[pool]).argmax() if len(pool) else -1
            found["silhouette"] = silhouette(x[known], codes[known])
            correct = predictions == codes[known]
            found["knn_accuracy"] = _mean(correct)
            found["knn_se"] = standard_error(lambda resample: _mean(correct[resample]), len(known), seed)
            found["majority_accuracy"] = _mean(codes[known] == commonest)
        else:
            numbers = target.to_numpy(float)
            predictions = knn_predictions(x, pool, known, numbers, k, classes=False)
            truth = numbers[known]
            found["knn_r2"] = r2(predictions, truth)
            found["knn_se"] = standard_error(lambda rows: r2(predictions[rows], truth[rows]), len(known), seed)
    if reference is not None:
        if list(reference.obs_names) != list(adata.obs_names):
            raise InputError("the reference must have the same samples in the same order; embed the same data")
        before = values(reference)[rows]
        found["trustworthiness"] = trustworthiness(before, x[rows], k)
        found["continuity"] = trustworthiness(x[rows], before, k)
    if batch is not None:
        found["batch_mixing"] = batch_mixing(x[rows], _batches(adata, batch)[rows], k, seed)
    return pd.Series({**found, "samples": len(rows)})


def compare(
    model: Model,
    data: Data | pd.DataFrame,
    layers: Sequence[str] | None = None,
    batch: str | None = None,
    split: Split = "validation",
    k: int = 15,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure the `quality` of each layer of a model, and of principal components of its input as a baseline.

    A latent space should be better than the same number of principal components.

    Args:
        model: A trained model.
        data: A data module, or a raw table.
        layers: Names from `zoo.latent.layers`. Default: all up to the latent space, except those whose output equals
            that of an earlier one.
        batch: As in `quality`.
        split: As in `quality`.
        k: As in `quality`.
        seed: As in `quality`.

    Returns:
        One row for each layer, then ``latent``, the latent space, and ``PCA of the input``: as many principal
        components of the encoded input as the latent space has units, or all if there are fewer.

    Raises:
        InputError: As in `quality`; unknown layer; the data do not fit the model.
    """
    latent, reference = embed(model, data), embed(model, data, "encode")
    named = layers is not None
    embeddings: dict[str, AnnData] = {}
    for layer in layers if layers is not None else all_layers(model):
        if not named and (layer.split(".")[0] in ("head", "decoder") or layer.startswith("encode.")):
            continue  # layers after the latent space, and parts of the input
        adata = reference if layer == "encode" else embed(model, data, layer)
        same = (other.X for other in (latent, *embeddings.values()))
        if named or not any(np.array_equal(adata.X, x) for x in same):
            embeddings[layer] = adata
    embeddings["latent"] = latent
    most = int(min(latent.n_vars, reference.n_vars, training_rows(reference).sum()))
    components = pca(AnnData(reference.X, obs=reference.obs), components=most).obsm["X_pca"]
    embeddings["PCA of the input"] = AnnData(components, obs=reference.obs)
    table = pd.DataFrame({name: quality(a, reference, batch, split, k, seed) for name, a in embeddings.items()}).T
    for column in ("units", "active_units", "samples"):
        table[column] = table[column].astype(int)
    what = "samples" if "split" not in latent.obs else f"{split} samples"
    table.attrs["title"] = f"Latent spaces of {type(model).__name__}, {table['samples'].max()} {what}"
    return table.rename_axis("layer")


def _rows(adata: AnnData, split: Split, seed: int) -> np.ndarray:
    """Positions of the samples to measure."""
    rows = np.arange(adata.n_obs)
    if "split" in adata.obs:
        splits = adata.obs["split"].astype(str)
        rows = np.flatnonzero(splits == split)
        if not len(rows):
            raise InputError(f"no sample has the split {split!r}; {suggest(split, splits.unique())}")
    return np.asarray(rows[subsample(len(rows), MOST, seed)])


def _batches(adata: AnnData, column: str) -> np.ndarray:
    if column not in adata.obs:
        raise InputError(f"there is no column {column!r} in the sample table; {suggest(column, adata.obs.columns)}")
    codes, levels = pd.factorize(adata.obs[column].astype(str))
    if len(levels) < 2:
        raise InputError(f"column {column!r} has a single batch, {levels[0]!r}; batch mixing needs at least two")
    return np.asarray(codes)


def _mean(correct: np.ndarray) -> float:
    return float(correct.mean()) if len(correct) else np.nan


def plot_comparison(table: pd.DataFrame) -> Figure:
    """Plot the measures of each layer as a table shaded from chance (white) to perfect (dark); the best are bold.

    Args:
        table: From `zoo.latent.compare`.

    Returns:
        A matplotlib figure.
    """
    columns = [name for name in (*PLAIN, *HIGHER) if name in table]
    shown = table[columns].to_numpy(float)
    low = np.array([HIGHER.get(name, 0.0) for name in columns])
    if "knn_accuracy" in table:
        low[columns.index("knn_accuracy")] = min(table["majority_accuracy"].iloc[0], 0.99)
    shade = np.nan_to_num((shown - low) / (1 - low)).clip(0, 1)
    shade[:, [name in PLAIN for name in columns]] = 0
    best = np.round(shown, 3) == np.round(np.nanmax(np.nan_to_num(shown, nan=-np.inf), 0), 3)
    best[:, [name in PLAIN for name in columns]] = False
    names = [str(name) for name in table.index]
    left = 0.085 * max(map(len, names)) + 0.2
    title = table.attrs.get("title", "")
    figure = Figure(
        figsize=(max(left + 1.15 * len(columns) + 0.2, 0.085 * len(title)), 0.3 * len(names) + 1.3),
        dpi=100,
        layout="constrained",
    )
    axis = figure.add_subplot()
    picture = colormaps["Blues"](0.75 * shade)
    picture[:, [name in PLAIN for name in columns]] = 1.0  # higher is not better
    axis.imshow(picture, aspect="auto")
    for (row, column), value in np.ndenumerate(shown):
        text = "-" if np.isnan(value) else _written(columns[column], value)
        if columns[column].startswith("knn"):
            text += f" ± {table['knn_se'].iloc[row]:.3f}"
        colour = "white" if shade[row, column] > 0.7 else "black"
        weight = "bold" if best[row, column] else "normal"
        axis.text(column, row, text, ha="center", va="center", fontsize=9, color=colour, fontweight=weight)
    heads = [name.replace("knn_", "kNN ").replace("r2", "R²").replace("_", "\n") for name in columns]
    if "majority_accuracy" in table:
        heads = [
            f"{head}\n(chance {table['majority_accuracy'].iloc[0]:.3f})" if "accuracy" in head else head
            for head in heads
        ]
    axis.set_xticks(range(len(columns)), heads, fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=9)
    axis.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axis.spines[:].set_visible(False)
    axis.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=2)
    axis.tick_params(which="minor", length=0)
    figure.suptitle(title, fontsize=11)
    return figure


def _written(name: str, value: float) -> str:
    return f"{value:.0f}" if name in ("units", "active_units") else f"{value:.1f}" if name in PLAIN else f"{value:.3f}"

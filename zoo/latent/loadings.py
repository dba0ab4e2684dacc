"""Loadings: the relation of the units, or principal components, of a latent space to the input features."""

from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique

from ..errors import InputError, check_choice, suggest
from ..models import Model
from ..tables.values import as_text
from .colours import OKABE_ITO, Figure
from .decoding import check_decoder, decode
from .projection import training_rows, values
from .scatter import title

Correlation = Literal["spearman", "pearson"]
MOST_LEVELS = 50  # of a categorical feature
STEP = 0.1  # of the finite differences, in standard deviations
PANELS, TOP = 6, 8  # of the figure: columns of the table, and features in each panel


def loadings(
    adata: AnnData, features: pd.DataFrame | AnnData, basis: str | None = None, method: Correlation = "spearman"
) -> pd.DataFrame:
    """Correlate each unit, or each component, with each feature over the training samples.

    Args:
        adata: From `embed`.
        features: Features of the samples, matched by sample name: a table, such as ``adata.obs[["age", "bmi"]]``, whose
            categories are one-hot encoded, or an AnnData of genes. Missing values are excluded for each feature
            separately.
        basis: Entry of ``obsm``, such as ``"X_pca"``. Default: the units.
        method: ``"spearman"``, rank correlation (Spearman 1904, doi:10.2307/1412159), or ``"pearson"``.

    Returns:
        One row for each feature, one column for each unit or component; NaN where either is constant.

    Raises:
        InputError: A sample without features; a text column with more than 50 levels; unknown basis.
    """
    check_choice("method", method, Correlation.__args__)  # type: ignore[attr-defined]
    rows = training_rows(adata)
    names, x = _components(adata, basis)
    table = _features(features, adata.obs_names[rows])
    known, x = table.to_numpy(float), x[rows]
    found = np.empty((known.shape[1], x.shape[1]))
    complete = ~np.isnan(known).any(0)
    found[complete] = _correlation(known[:, complete], x, method)
    for column in np.flatnonzero(~complete):
        observed = ~np.isnan(known[:, column])
        found[column] = _correlation(known[observed, column, None], x[observed], method)
    result = pd.DataFrame(found, table.columns, names)
    result.attrs["what"] = f"{method.capitalize()} correlation"
    return result


def decoder_loadings(
    model: Model, adata: AnnData, basis: str | None = None, covariates: dict[str, Any] | None = None
) -> pd.DataFrame:
    """Change of each decoded feature when a unit, or a component, increases by one standard deviation.

    The slopes are computed at the mean of the training samples, by central differences of 0.1 standard deviations.

    Args:
        model: A model with a decoder.
        adata: The embedding of its data by `embed`.
        basis: ``"X_pca"`` for principal components. Default: the units.
        covariates: As in `zoo.latent.traverse`.

    Returns:
        One row for each decoded feature, one column for each unit or component, in standard deviations of the training
        samples (for categories and bases: in probability).

    Raises:
        InputError: The model has no decoder; unknown covariate; `pca` was not called.
    """
    check_choice("basis", basis or "units", ["units", "X_pca"])
    check_decoder(model, adata.n_vars, adata.uns.get("layer", "latent"))
    training = values(adata)[training_rows(adata)]
    names, x = _components(adata, basis)
    spread = x[training_rows(adata)].std(0)
    directions = (np.asarray(adata.varm["PCs"]) if basis else np.eye(adata.n_vars)).T * spread[:, None]
    points = [training.mean(0) + sign * STEP * directions for sign in (1, -1)]
    ahead, back = (decode(model, point, covariates) for point in points)
    slopes = (ahead.encoded - back.encoded).reshape(len(names), -1) / (2 * STEP)
    result = pd.DataFrame(slopes.T, pd.Index(ahead.names, name="feature"), names)
    probability = "; probability" if "probability" in ahead.units else ""
    result.attrs["what"] = f"change of the decoded feature [standard deviations{probability}]"
    return result


def plot_loadings(table: pd.DataFrame) -> Figure:
    """Plot the eight features with the largest absolute loadings, for each of the first six columns.

    Args:
        table: From `loadings` or `decoder_loadings`; select other columns by ``table[["PC 7", "PC 8"]]``.

    Returns:
        A matplotlib figure.
    """
    shown = list(table.columns[:PANELS])
    wide = min(3, len(shown))
    high = -(-len(shown) // wide)
    top = min(TOP, len(table))
    figure = Figure(figsize=(3.7 * wide, high * (0.22 * top + 0.75) + 0.7), dpi=100, layout="constrained")
    axes = figure.subplots(high, wide, squeeze=False)
    most = float(np.nanmax(np.abs(table[shown].to_numpy()), initial=0)) or 1.0
    for axis, name in zip(axes.flat, shown, strict=False):
        column = table[name].dropna()
        strongest = column.iloc[np.argsort(-column.abs(), kind="stable")[:top]][::-1]
        colours = [OKABE_ITO[1] if value > 0 else OKABE_ITO[0] for value in strongest]
        labels = [label if len(label) <= 22 else f"{label[:21]}…" for label in map(str, strongest.index)]
        axis.barh(range(len(strongest)), strongest, color=colours, height=0.7)
        axis.set_yticks(range(len(strongest)), labels, fontsize=8)
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set_xlim(-1.05 * most, 1.05 * most)
        axis.set_title(name, loc="left", fontsize=10)
        axis.tick_params(axis="x", labelsize=7)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    for axis in axes.flat[len(shown) :]:
        axis.axis("off")
    more = f", first {len(shown)} of {table.shape[1]} columns" if len(shown) < table.shape[1] else ""
    figure.suptitle(f"Largest loadings of {len(table)} features{more}", fontsize=11)
    figure.supxlabel(table.attrs.get("what", ""), fontsize=9)
    return figure


def _components(adata: AnnData, basis: str | None) -> tuple[list[str], np.ndarray]:
    x = values(adata)
    if basis is None:
        return list(adata.var_names), x
    if basis not in adata.obsm:
        hint = "call pca(adata) first" if basis == "X_pca" else suggest(basis, adata.obsm)
        raise InputError(f"there is no {basis!r}; {hint}")
    x = np.asarray(adata.obsm[basis])
    return [f"{title(basis)[1]} {number + 1}" for number in range(x.shape[1])], x


def _features(features: pd.DataFrame | AnnData, samples: pd.Index) -> pd.DataFrame:
    """Numeric features of the named samples, in their order."""
    names = make_index_unique(features.obs_names if isinstance(features, AnnData) else features.index.map(str))
    places = names.get_indexer(samples)
    if (places < 0).any():
        absent = samples[int((places < 0).argmax())]
        raise InputError(f"there are no features of sample {absent!r}; {suggest(absent, names)}")
    if isinstance(features, AnnData):
        x = features.X[places]
        x = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
        return pd.DataFrame(x, columns=features.var_names)
    columns: dict[str, np.ndarray] = {}
    for name, column in features.iloc[places].items():
        if pd.api.types.is_numeric_dtype(column):
            columns[str(name)] = column.to_numpy(float, na_value=np.nan)
            continue
        text = as_text(column.astype(object))
        if (count := text.nunique()) > MOST_LEVELS:
            raise InputError(f"column {name!r} of the features has {count} different texts; leave it out")
        for level in sorted(text.dropna().unique()):
            columns[f"{name}={level}"] = np.where(text.isna(), np.nan, text == level)
    if not columns:
        raise InputError("there are no features to correlate with; give a table with columns of numbers or categories")
    return pd.DataFrame(columns)


def _correlation(a: np.ndarray, b: np.ndarray, method: Correlation) -> np.ndarray:
    """Correlations of ``(samples, p)`` and ``(samples, q)``, ``shape=(p, q)``; NaN for constant columns."""
    from scipy.stats import rankdata

    if len(a) < 3:
        return np.full((a.shape[1], b.shape[1]), np.nan)
    if method == "spearman":
        a, b = rankdata(a, axis=0), rankdata(b, axis=0)
    a, b = (each - each.mean(0, dtype=float) for each in (a, b))
    sizes = np.sqrt(np.square(a).sum(0))[:, None] * np.sqrt(np.square(b).sum(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(sizes > 1e-12, a.T @ b / sizes, np.nan).clip(-1, 1))

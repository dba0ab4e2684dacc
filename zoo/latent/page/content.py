"""Content of the latent explorer page as JSON: arrays in base64, the text of each category only once."""

import base64
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib import colormaps
from matplotlib.colors import to_hex

from ...tables.values import as_text
from ..colours import GREY, MISSING, OTHER, Colours, colours, splits
from ..projection import training_rows
from ..scatter import NAMES, SYMBOLS, points, shape, title

STEPS = 255  # colours of viridis; code 255 stands for a missing number
FIRST = ("X_pca", "X_umap")


def content(layers: dict[str, AnnData], heading: str) -> dict[str, Any]:
    """The complete content of the page.

    Args:
        layers: Layers by name, with the same samples and at least one projection in each.
        heading: Title of the page.
    """
    table = _table(layers)
    names = [str(name) for name in table.obs_names]
    groups, codes = splits(table), np.zeros(table.n_obs, np.uint8)
    for number, rows in enumerate(groups.values()):
        codes[rows] = number
    columns = list(table.obs.columns)
    preferred = [column for column in ("target", "prediction", "cluster", *columns) if column in columns]
    if not columns:
        table.obs["samples"], columns, preferred = "all", ["samples"], ["samples"]
    latent = [number for number, adata in enumerate(layers.values()) if adata.uns.get("layer") == "latent"]
    return {
        "title": heading,
        "names": names,
        "index": next(name for name in ("sample", "sample_name", "obs_names") if name not in columns),
        "columns": [_column(table, column) for column in columns],
        "colour": preferred[0],
        "layers": [_layer(name, adata) for name, adata in layers.items()],
        "layer": latent[-1] if latent else len(layers) - 1,
        "splits": [{"name": name, "symbol": SYMBOLS[shape(name)], "count": len(rows)} for name, rows in groups.items()],
        "split": packed(codes),
        "order": packed(np.random.default_rng(0).permutation(table.n_obs).astype(np.uint32)),
        "viridis": [to_hex(colour) for colour in colormaps["viridis"](np.linspace(0, 1, STEPS))],
        "grey": GREY,
    }


def packed(values: np.ndarray) -> dict[str, str]:
    """An array as its type and its little-endian bytes in base64."""
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return {"type": values.dtype.name, "data": base64.b64encode(plain.tobytes()).decode()}


def _table(layers: dict[str, AnnData]) -> AnnData:
    """The sample table of all layers; if columns of one name differ, such as clusters, the layer is appended."""
    obs: dict[str, pd.Series] = {}
    uns: dict[str, Any] = {}
    for layer, adata in layers.items():
        for name, column in adata.obs.items():
            if name in obs and not column.equals(obs[str(name)]):
                name = f"{name} ({layer})"
            obs.setdefault(str(name), column)
        uns = {**adata.uns, **uns}
    first = next(iter(layers.values()))
    return AnnData(obs=pd.DataFrame(obs, index=first.obs_names), uns=uns)


def _column(table: AnnData, name: str) -> dict[str, Any]:
    """A column with its colours: numbers unchanged, categories as codes."""
    found, values = colours(table, name), table.obs[name]
    label = found.title if found.title.startswith(name) else f"{name}: {found.title.removesuffix(', predicted')}"
    about = {"name": name, "label": label, "title": found.title}
    if found.palette is None:
        return {**about, "values": packed(_compact(values, found))}
    text = as_text(values.astype(object) if isinstance(values.dtype, pd.CategoricalDtype) else values).astype(object)
    known = set(text.dropna())
    levels = [level for level in found.palette if level in known]
    levels += sorted(known.difference(levels))
    codes = pd.Categorical(text, levels).codes.astype(np.int64)
    codes[codes < 0] = len(levels)
    place = {label: number for number, label in enumerate(found.palette)}
    return {
        **about,
        "levels": levels,
        "values": packed(codes.astype(np.min_scalar_type(len(levels)))),
        "legend": list(found.palette.items()),
        "entry": [*(place.get(level, place.get(OTHER)) for level in levels), place.get(MISSING)],
    }


def _compact(values: pd.Series, found: Colours) -> np.ndarray:
    """The numbers in single precision if that is exact, else in double precision."""
    x = found.content  # float64, NaN where missing
    filled = np.nan_to_num(x)
    if values.dtype == np.float32 or ((filled == np.round(filled)) & (np.abs(filled) < 1 << 24)).all():
        return x.astype(np.float32)
    return x


def _layer(name: str, adata: AnnData) -> dict[str, Any]:
    bases = [basis for basis in FIRST if basis in adata.obsm] + [basis for basis in adata.obsm if basis not in FIRST]
    is_latent = adata.uns.get("layer") == "latent" and name != "latent space"
    units = f"{adata.n_vars} unit{'s' * (adata.n_vars != 1)}"
    source = f"layer “{name}” ({units}{', the latent space' * is_latent})"
    if name == "latent space":
        source = f"the latent space ({units})"
    meaning = f"Each point is a sample. Its position is a projection of the output of {source} to two dimensions."
    return {
        "label": f"{name} ({adata.n_vars}){', latent space' * is_latent}",
        "notes": [meaning, *filter(None, (_note(adata, basis) for basis in bases))],
        "projections": [_projection(adata, basis) for basis in bases],
    }


def _projection(adata: AnnData, basis: str) -> dict[str, Any]:
    xy, labels = points(adata, basis)
    scaled = basis == "X_pca"  # the scale of UMAP axes has no meaning
    return {
        "name": title(basis)[0],
        "labels": labels,
        "ticks": [scaled, scaled and labels[1] != "random"],
        "values": packed(xy.astype(np.float32)),
    }


def _note(adata: AnnData, basis: str) -> str:
    """Meaning of the axes, and the samples they were fitted on if the projection was computed by `zoo.latent`."""
    rows = training_rows(adata)
    count = f"{rows.sum():,} training samples" if not rows.all() else f"all {len(rows):,} samples"
    others = "; the other samples were projected afterwards" if not rows.all() else ""
    if basis == "X_pca":
        by_zoo = "pca" in adata.uns and "params" not in adata.uns["pca"]
        fitted = f" PCA and its percentages of variance were fitted on {count}{others}." if by_zoo else ""
        return f"PCA: the directions of largest variance, in the scale of the layer's outputs.{fitted}"
    if basis not in NAMES:
        return ""
    by_zoo = "n_neighbors" in adata.uns.get(basis.removeprefix("X_"), {}).get("params", {})
    fitted = f" It was fitted on {count}{others}." if by_zoo else ""
    if basis == "X_tsne":
        fitted = " It was computed from the samples of all splits at once, so use it for display only."
    return (
        f"{title(basis)[0]}: a projection that preserves local neighbourhoods. Its axes, the distances between distant "
        f"groups and the sizes of groups mean little.{fitted}"
    )

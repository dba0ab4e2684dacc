"""All figures and tables of a model's latent space: the output of the command ``zoo explore``."""

import logging
from pathlib import Path

import pandas as pd
from anndata import AnnData

from ..data import Data
from ..figure import save
from ..files import replacing
from ..models import Model
from .explorer import Explorer, every_layer, heading
from .heat import heatmap
from .projection import training_rows
from .scatter import panels

log = logging.getLogger("zoo")
DPI = 160  # of the files


def explore(model: Model, data: Data | pd.DataFrame, folder: Path) -> list[Path]:
    """Write PCA, UMAP, heat map and table of the latent space; the output is reproducible.

    - ``NUMBER_LAYER.png``: PCA and UMAP, coloured by the target, of the encoded input and of every hidden layer with at
      least two units. A layer whose output equals that of an earlier one (a container, dropout) is left out.
    - ``heatmap.png``: samples by latent units, with the target and Leiden clusters.
    - ``latent.html``: the `Explorer` of these layers for a browser; it works offline.
    - ``latent.h5ad``: latent space, PCA, UMAP, clusters and sample table as AnnData.

    With 15 training samples or fewer there is no UMAP, only PCA. Without a target, samples are coloured by the
    predictions of the model, if it has any.

    Args:
        model: A trained model.
        data: A data module, or a raw table.
        folder: Output folder, created if it does not exist. Files of these names are replaced.

    Returns:
        Paths of the files.

    Raises:
        InputError: The data do not fit the model, or an embedding is not finite.
    """
    found = every_layer(model, data)
    latent = next(adata for adata in found.values() if adata.uns["layer"] == "latent")
    if "X_umap" not in latent.obsm:
        log.info("no UMAP of %d training samples, which needs more than 15; PCA is drawn", training_rows(latent).sum())
    files = []
    for number, (name, adata) in enumerate(found.items(), 1):
        if name != "latent space":
            named = AnnData(adata.X, obs=adata.obs, obsm=dict(adata.obsm), uns={**adata.uns, "layer": name})
            files.append(save(panels(named, _bases(named), _colour(named)), folder / f"{number}_{name}.png", DPI))
    files.append(save(heatmap(latent, [*filter(None, [_colour(latent)]), "cluster"]), folder / "heatmap.png", DPI))
    Explorer(found, heading(model, data)).write_html(folder / "latent.html")
    with replacing(folder / "latent.h5ad") as path:
        latent.write_h5ad(path, compression="gzip")
    return [*files, folder / "latent.html", folder / "latent.h5ad"]


def _bases(adata: AnnData) -> list[str]:
    return [basis for basis in ("X_pca", "X_umap") if basis in adata.obsm]


def _colour(adata: AnnData) -> str | None:
    return next((column for column in ("target", "prediction") if column in adata.obs), None)

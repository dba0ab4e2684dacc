"""All pictures of a model's latent space at once: what the command ``zoo explore`` writes."""

from pathlib import Path

import pandas as pd
from anndata import AnnData

from ..data import Data
from ..files import replacing
from ..models import Model
from .colours import Figure
from .explorer import Explorer, every_layer, heading
from .heat import heatmap
from .scatter import panels


def explore(model: Model, data: Data | pd.DataFrame, folder: Path) -> list[Path]:
    """Write PCA, UMAP, heat map and table of the latent space, the same files for the same model and data.

    - ``NUMBER_LAYER.png``: PCA and UMAP, coloured by the target, of the encoded input and of every hidden layer of two
      or more units. A layer that puts out the same as an earlier one (a container, a dropout) is left out.
    - ``heatmap.png``: samples by latent units, with the target and Leiden clusters.
    - ``latent.html``: the `Explorer` of these layers for a browser; it needs no network.
    - ``latent.h5ad``: latent space, PCA, UMAP, clusters and sample table as AnnData.

    With 15 training samples or fewer there is no UMAP, only PCA. Where there is no target, predictions give the
    colours, if the model predicts.

    Args:
        model: A trained model.
        data: A data module, or a raw table.
        folder: Where to write; made if it does not exist. Files of these names are replaced.

    Returns:
        The files, in the order of writing.

    Raises:
        InputError: The data do not fit the model, or an embedding is not finite.
    """
    found = every_layer(model, data)
    latent = next(adata for adata in found.values() if adata.uns["layer"] == "latent")
    files = []
    for number, (name, adata) in enumerate(found.items(), 1):
        if name != "latent space":
            named = AnnData(adata.X, obs=adata.obs, obsm=dict(adata.obsm), uns={**adata.uns, "layer": name})
            files.append(_save(panels(named, _bases(named), _colour(named)), folder / f"{number}_{name}.png"))
    files.append(_save(heatmap(latent, [*filter(None, [_colour(latent)]), "cluster"]), folder / "heatmap.png"))
    Explorer(found, heading(model, data)).write_html(folder / "latent.html")
    with replacing(folder / "latent.h5ad") as path:
        latent.write_h5ad(path, compression="gzip")
    return [*files, folder / "latent.html", folder / "latent.h5ad"]


def _bases(adata: AnnData) -> list[str]:
    return [basis for basis in ("X_pca", "X_umap") if basis in adata.obsm]


def _colour(adata: AnnData) -> str | None:
    return next((column for column in ("target", "prediction") if column in adata.obs), None)


def _save(figure: Figure, path: Path) -> Path:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=160)
    return path

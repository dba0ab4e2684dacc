"""All pictures of a model's latent space at once: what the command ``zoo explore`` writes."""

from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from ..data import Data
from ..files import replacing
from ..models import Supervised
from .clustering import cluster
from .colours import Figure
from .embedding import embed
from .heat import heatmap
from .probe import layers
from .projection import pca, training_rows, umap
from .scatter import panels, plot

NEIGHBOURS = 15


def explore(model: Supervised, data: Data | pd.DataFrame, folder: Path) -> list[Path]:
    """Write PCA, UMAP, heat map and table of the latent space, the same files for the same model and data.

    - ``NUMBER_LAYER.png``: PCA and UMAP, coloured by the target, of the encoded input and of every hidden layer of two
      or more units. A layer that puts out the same as an earlier one (a container, a dropout) is left out.
    - ``heatmap.png``: samples by latent units, with the target and Leiden clusters.
    - ``latent.html``: the map of the latent space for a browser; it needs no network.
    - ``latent.h5ad``: latent space, PCA, UMAP, clusters and sample table as AnnData.

    With 15 training samples or fewer there is no UMAP, only PCA. A raw table without the target is coloured by
    prediction.

    Args:
        model: A trained model.
        data: A data module, or a raw table.
        folder: Where to write; made if it does not exist. Files of these names are replaced.

    Returns:
        The files, in the order of writing.

    Raises:
        InputError: The data do not fit the model, or an embedding is not finite.
    """
    files = []
    seen: list[np.ndarray] = []
    for layer in layers(model):
        adata = embed(model, data, layer)
        if layer.split(".")[0] == "head" or adata.n_vars < 2 or any(np.array_equal(adata.X, x) for x in seen):
            continue
        seen.append(adata.X)
        _project(adata)
        files.append(_save(panels(adata, _bases(adata), _colour(adata)), folder / f"{len(seen)}_{layer}.png"))
    latent = cluster(_project(embed(model, data)), "leiden", resolution=0.5)
    files.append(_save(heatmap(latent, [_colour(latent), "cluster"]), folder / "heatmap.png"))
    page = plot(latent, _bases(latent)[-1], _colour(latent), interactive=True)
    with replacing(folder / "latent.html") as path:
        page.write_html(path, include_plotlyjs=True, div_id="latent")
    with replacing(folder / "latent.h5ad") as path:
        latent.write_h5ad(path, compression="gzip")
    return [*files, folder / "latent.html", folder / "latent.h5ad"]


def _project(adata: AnnData) -> AnnData:
    pca(adata)
    return umap(adata, NEIGHBOURS) if training_rows(adata).sum() > NEIGHBOURS else adata


def _bases(adata: AnnData) -> list[str]:
    return [basis for basis in ("X_pca", "X_umap") if basis in adata.obsm]


def _colour(adata: AnnData) -> str:
    return "target" if "target" in adata.obs else "prediction"


def _save(figure: Figure, path: Path) -> Path:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=160)
    return path

"""Interactive HTML page of the latent space: every layer in two linked scatter plots, coloured by any column."""

from functools import cached_property
from html import escape
from pathlib import Path
from typing import overload

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor, nn

from ..data import Data
from ..errors import InputError
from ..files import replacing
from ..models import Model
from .clustering import cluster
from .embedding import embed
from .page import page
from .page.content import content
from .probe import flat, layers
from .projection import pca, training_rows, umap

NEIGHBOURS = 15
HEIGHT = 980  # of the page inside a notebook, in pixels


class Explorer:
    """One HTML page, displayed automatically in a notebook.

    Args:
        layers: The layers by name, with the same samples in each.
        title: Heading of the page.
    """

    def __init__(self, layers: dict[str, AnnData], title: str) -> None:
        self.layers, self.title = layers, title

    @cached_property
    def html(self) -> str:
        """The page, which includes plotly.js and all data and works offline."""
        return page(content(self.layers, self.title))

    def write_html(self, path: str | Path) -> None:
        """Write the page."""
        with replacing(Path(path)) as temporary:
            temporary.write_text(self.html, encoding="utf-8")

    def __repr__(self) -> str:
        samples = next(iter(self.layers.values())).n_obs
        return f"Explorer of {len(self.layers)} layers and {samples} samples; write_html(path) writes the page"

    def _repr_html_(self) -> str:
        """The page in an iframe, which isolates its styles and scripts from those of the notebook."""
        return (
            f'<iframe srcdoc="{escape(self.html)}" title="{escape(self.title)}" width="100%" height="{HEIGHT}" '
            'style="border:0" sandbox="allow-scripts allow-downloads"></iframe>'
        )


@overload
def explorer(subject: Model, data: Data | pd.DataFrame, title: str = "") -> Explorer: ...
@overload
def explorer(subject: AnnData | dict[str, AnnData], data: None = None, title: str = "") -> Explorer: ...
def explorer(
    subject: Model | AnnData | dict[str, AnnData], data: Data | pd.DataFrame | None = None, title: str = ""
) -> Explorer:
    """Explore a latent space interactively: ``latent.explorer(model, data)`` in a notebook.

    The page shows two projections of a layer side by side, coloured by any column of the sample table. Samples selected
    in one plot (by lasso, box, click or name) are highlighted in both, listed in a table, and can be saved as CSV.

    Args:
        subject: A trained model, whose layers are embedded and projected (see `every_layer`); or embeddings with
            projections in ``obsm`` (``X_pca``, ``X_umap`` or others): one, or a dict of several of the same samples.
        data: A data module or a raw table, if ``subject`` is a model.
        title: Heading of the page. Default: the model and its data, or the layer.

    Returns:
        An `Explorer`: it is displayed automatically in a notebook; ``write_html(path)`` writes a file that works
        offline.

    Raises:
        InputError: The data do not fit the model, an embedding is not finite or has no projection, or the samples of
            the layers differ.
    """
    if isinstance(subject, Model):
        if data is None:
            raise InputError("data are missing; call explorer(model, data)")
        return Explorer(every_layer(subject, data), title or heading(subject, data))
    if isinstance(subject, AnnData):
        subject = {subject.uns.get("layer", "embedding"): subject}
    if not subject:
        raise InputError("there is no layer to explore")
    first = next(iter(subject))
    for name, adata in subject.items():
        if not len(adata.obsm):
            raise InputError(f"layer {name!r} has no projection; call pca(adata) or umap(adata) first")
        if not adata.obs_names.equals(subject[first].obs_names):
            raise InputError(f"the samples of layer {name!r} are not those of {first!r}; embed the same data")
    return Explorer(subject, title or (first if len(subject) == 1 else "latent space"))


def heading(model: Model, data: Data | pd.DataFrame) -> str:
    """Names of the model and the data, with a caution about the split if there is one."""
    name = model.card.get("name", type(model).__name__)
    if not isinstance(data, Data):
        return str(name)
    return f"{name} on {data.describe()['name']}" + (f" ({data.caution})" if data.caution else "")


def every_layer(model: Model, data: Data | pd.DataFrame) -> dict[str, AnnData]:
    """PCA and UMAP of the encoded input, of every hidden layer with at least two units, and of the latent space.

    A layer whose output equals that of an earlier one (a container, dropout) is left out. UMAP needs more than 15
    training samples; with fewer there is only PCA.

    Args:
        model: A trained model.
        data: A data module, or a raw table.

    Returns:
        Layers by name, in the order of the forward pass. The latent space (``uns["layer"]`` is ``"latent"``; with
        Leiden clusters) has the name of the layer whose output it is, or else ``"latent space"``.

    Raises:
        InputError: The data do not fit the model, or an embedding is not finite.
    """
    caught: dict[str, list[Tensor]] = {name: [] for name in layers(model) if name.split(".")[0] != "head"}
    hooks = [_catch(model.get_submodule(name), name, outputs) for name, outputs in caught.items()]
    try:
        latent = embed(model, data)
    finally:
        for hook in hooks:
            hook.remove()
    found: dict[str, AnnData] = {}
    for name, outputs in caught.items():
        calls = sum(map(len, outputs)) // latent.n_obs  # of the layer in one forward pass; the last output is kept
        x = torch.cat(outputs[calls - 1 :: calls]).numpy()
        if x.shape[1] > 1 and not any(np.array_equal(x, other.X) for other in found.values()):
            var = pd.DataFrame(index=[f"{name}:{unit}" for unit in range(x.shape[1])])
            found[name] = AnnData(x, obs=latent.obs.copy(), var=var, uns={**latent.uns, "layer": name})
            _project(found[name])
    place = next((name for name, adata in found.items() if np.array_equal(adata.X, latent.X)), "latent space")
    if place in found:
        _adopt(latent, found[place])
    else:
        _project(latent)
    return {**found, place: cluster(latent, "leiden", resolution=0.5)}


def _catch(layer: nn.Module, name: str, outputs: list[Tensor]) -> torch.utils.hooks.RemovableHandle:
    def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
        outputs.append(flat(output, name).float().cpu())

    return layer.register_forward_hook(hook)


def _project(adata: AnnData) -> None:
    pca(adata)
    if training_rows(adata).sum() > NEIGHBOURS:
        umap(adata, neighbors=NEIGHBOURS)


def _adopt(latent: AnnData, same: AnnData) -> None:
    """Copy the projections of the layer whose output is the latent space."""
    for key, values in same.obsm.items():
        latent.obsm[key] = values
    latent.varm["PCs"] = same.varm["PCs"]
    latent.uns |= {key: same.uns[key] for key in ("pca", "umap") if key in same.uns}

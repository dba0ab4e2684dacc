"""Latent space analysis: any layer of any model as AnnData, with projections, clusters and figures."""

from .clustering import cluster as cluster
from .embedding import embed as embed
from .embedding import words as words
from .explorer import explorer as explorer
from .exploring import explore as explore
from .heat import heatmap as heatmap
from .loadings import decoder_loadings as decoder_loadings
from .loadings import loadings as loadings
from .loadings import plot_loadings as plot_loadings
from .maps import pacmap as pacmap
from .maps import tsne as tsne
from .maps import umap_grid as umap_grid
from .neighbours import neighbours as neighbours
from .outliers import outliers as outliers
from .probe import layers as layers
from .projection import pca as pca
from .projection import scree as scree
from .projection import umap as umap
from .projector import to_projector as to_projector
from .quality import compare as compare
from .quality import plot_comparison as plot_comparison
from .quality import quality as quality
from .scatter import plot as plot
from .stability import plot_stability as plot_stability
from .stability import stability as stability
from .traversal import path as path
from .traversal import plot_path as plot_path
from .traversal import plot_traversal as plot_traversal
from .traversal import traverse as traverse

__all__ = [
    "cluster",
    "compare",
    "decoder_loadings",
    "embed",
    "explore",
    "explorer",
    "heatmap",
    "layers",
    "loadings",
    "neighbours",
    "outliers",
    "pacmap",
    "path",
    "pca",
    "plot",
    "plot_comparison",
    "plot_loadings",
    "plot_path",
    "plot_stability",
    "plot_traversal",
    "quality",
    "scree",
    "stability",
    "to_projector",
    "traverse",
    "tsne",
    "umap",
    "umap_grid",
    "words",
]

"""The latent space: any layer of any model as AnnData, its projections, clusters and figures."""

from .clustering import cluster as cluster
from .embedding import embed as embed
from .exploring import explore as explore
from .heat import heatmap as heatmap
from .neighbours import neighbours as neighbours
from .probe import layers as layers
from .projection import pca as pca
from .projection import umap as umap
from .scatter import plot as plot
from .words import words as words

__all__ = ["cluster", "embed", "explore", "heatmap", "layers", "neighbours", "pca", "plot", "umap", "words"]

"""The learnt vectors of k-mers as AnnData."""

import pandas as pd
from anndata import AnnData

from ..encode.kmer import KmerEmbedding, kmer_names
from ..errors import InputError
from ..models import Supervised


def words(model: Supervised) -> AnnData:
    """Learnt vectors of the k-mers that a model reads, to look at with `pca`, `umap` and `plot` like any layer.

    Args:
        model: With ``encoding={"layer": "k-mer"}``.

    Returns:
        - ``X``: float32, ``shape=(4**k, width)``; ``obs_names``: the k-mers.
        - ``obs``: ``gc``, the share of G and C; ``first`` and ``last``, the outer bases.
        - ``uns["layer"]``: ``"k-mers"``.

    Raises:
        InputError: The model does not read k-mers.
    """
    if not isinstance(model.encode, KmerEmbedding):
        raise InputError("this model does not read k-mers; train one with --model.encoding.layer k-mer")
    names = kmer_names(model.encode.k)
    vectors = model.encode.words.weight.detach()[:-1].float().cpu().numpy()
    ends = {place: pd.Categorical([name[i] for name in names]) for place, i in {"first": 0, "last": -1}.items()}
    gc = [(name.count("G") + name.count("C")) / len(name) for name in names]
    return AnnData(
        X=vectors,
        obs=pd.DataFrame({"gc": gc, **ends}, index=names),
        var=pd.DataFrame(index=[f"k-mers:{unit}" for unit in range(vectors.shape[1])]),
        uns={"layer": "k-mers"},
    )

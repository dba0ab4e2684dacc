"""Which known motifs resemble those that a model learnt."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from ..errors import InputError
from .motif import Motif, jaspar

LEAST_BITS = 1.0  # in all; a motif with less resembles anything
COLUMNS = ["motif", "target", "target_name", "p_value", "q_value", "offset", "overlap", "strand"]


def match(motifs: Sequence[Motif], database: Sequence[Motif] | None = None) -> pd.DataFrame:
    """The nearest known motif of each, by Tomtom (Gupta et al. 2007, doi:10.1186/gb-2007-8-2-r24) as of memelite.

    Args:
        motifs: Such as those of filters. One without sites, or with less than one bit in all, is left out.
        database: Known motifs; by default JASPAR 2024 CORE of vertebrates.

    Returns:
        One row a motif: ``motif``; ``target`` and ``target_name``; ``p_value`` of the best alignment on either strand;
        ``q_value``, its false-discovery rate among all pairs (Benjamini and Hochberg 1995); ``offset`` and ``overlap``
        of the alignment in positions; ``strand`` of the target.

    Raises:
        InputError: The database is empty.
    """
    known = jaspar() if database is None else database
    if not known:
        raise InputError("there are no known motifs to compare with")
    queries = [motif for motif in motifs if motif.sites and motif.information.sum() >= LEAST_BITS]
    if not queries:
        return pd.DataFrame(columns=COLUMNS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that few targets make p-values rough
        from memelite import tomtom

        p, _, offsets, overlaps, strands = tomtom([m.probabilities for m in queries], [m.probabilities for m in known])
    q = false_discovery_control(np.clip(p, 0, 1), axis=None).reshape(p.shape)
    best = p.argmin(1)
    rows = [
        (
            m.name,
            known[j].name,
            known[j].title,
            p[i, j],
            q[i, j],
            int(offsets[i, j]),
            int(overlaps[i, j]),
            "+-"[int(strands[i, j])],
        )
        for i, (m, j) in enumerate(zip(queries, best, strict=True))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)

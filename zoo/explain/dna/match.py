"""Comparison of motifs with a database of known motifs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from ...errors import InputError, check_range
from ...threads import same_threads
from .motif import Motif
from .motif_files import jaspar

CHANCE = 1.5 / np.log(2)  # bits expected by chance for one site; 1/n of it for n sites (Schneider et al. 1986)
FLANK = 0.25  # bits above chance below which outer positions are cut off
LEAST = 4.0  # bits above chance in total, as two invariant bases have; the minimum in JASPAR 2024 is 6
MEAN = 0.5  # mean bits above chance of a position; 877 of the 879 motifs of JASPAR 2024 have at least 0.6
WIDEST = 60  # positions; memory grows with the fourth power
COLUMNS = ["motif", "target", "target_name", "p_value", "q_value", "offset", "overlap", "strand"]


def match(motifs: Sequence[Motif], database: Sequence[Motif] | None = None, best: int = 1) -> pd.DataFrame:
    """Nearest known motifs by Tomtom (Gupta et al. 2007, doi:10.1186/gb-2007-8-2-r24), as implemented by memelite.

    Outer positions with less than 0.25 bits above chance (3 / (2 ln 2 n) bits for n sites; Schneider et al. 1986,
    doi:10.1016/0022-2836(86)90165-8) are cut off: they are so similar to positions of some known motifs that any filter
    would seem to match. Uninformative positions between informative ones are kept; if there are many, p-values are too
    small.

    The first call on a computer compiles for about a minute; the compiled code is cached.

    Args:
        motifs: Motifs to compare, such as those of filters.
        database: Known motifs. Default: `jaspar`. Their positions are the background of the p-values, which are
            unreliable for fewer than about 50 motifs.
        best: Number of known motifs reported for each motif.

    Returns:
        ``best`` rows for each motif, most similar first, in the order of ``motifs``:

        - ``motif``; ``target`` and ``target_name``, name and title of the known motif.
        - ``p_value``, probability that an unrelated motif is as similar, on either strand and at any offset;
          ``q_value``, false-discovery rate over all pairs (Benjamini and Hochberg 1995,
          doi:10.1111/j.2517-6161.1995.tb02031.x).
        - ``offset``, the position of the known motif (from 0) aligned to the first position of ``motif``; ``overlap``,
          number of positions compared; ``strand``, ``"-"`` if the known motif was reverse-complemented.

        A motif with less than 4 bits above chance in total, or less than 0.5 bits for a position on average, would
        match any long motif of low information: it has one row, with p and q of 1 and no target.

    Raises:
        InputError: The database is empty, ``best`` is not between 1 and its size, or a motif has more than 60
            informative positions.
    """
    known = jaspar() if database is None else list(database)
    if not known:
        raise InputError("the database has no motifs to compare with")
    check_range("best", best, 1, len(known))
    kept = [_informative(motif) for motif in motifs]
    widths = [part.stop - part.start for part in kept] + [motif.counts.shape[1] for motif in known]
    for motif, width in zip((*motifs, *known), widths, strict=True):
        if width > WIDEST:
            raise InputError(f"motif {motif.name!r}: {width} positions are too many to compare; cut it to {WIDEST}")
    queries = [motif.probabilities[:, part] for motif, part in zip(motifs, kept, strict=True) if part.stop]
    p, q, offsets, overlaps, reverse = _tomtom(queries, [motif.probabilities for motif in known])
    rows: list[tuple[object, ...]] = []
    query = 0
    for motif, part in zip(motifs, kept, strict=True):
        if not part.stop:
            rows.append((motif.name, None, None, 1.0, 1.0, None, None, None))
            continue
        for target in p[query].argsort(kind="stable")[:best]:
            at = query, target
            laid = int(offsets[at]) - part.start, int(overlaps[at]), "+-"[int(reverse[at])]
            rows.append((motif.name, known[target].name, known[target].title, p[at], q[at], *laid))
        query += 1
    types = {"p_value": float, "q_value": float, "offset": "Int64", "overlap": "Int64"}
    return pd.DataFrame(rows, columns=COLUMNS).astype(types)


def _informative(motif: Motif) -> slice:
    """Range of positions without uninformative outer ones; empty for a motif with too little information."""
    bits = motif.information - CHANCE / max(motif.sites, 1)
    kept = np.flatnonzero(bits >= FLANK)
    if bits[kept].sum() < LEAST or bits[kept[0] : kept[-1] + 1].mean() < MEAN:
        return slice(0, 0)
    return slice(int(kept[0]), int(kept[-1]) + 1)


def _tomtom(queries: list[np.ndarray], known: list[np.ndarray]) -> list[np.ndarray]:
    """p, q, offsets, overlaps, and whether the other strand is more similar, each of ``shape=(queries, known)``."""
    if not queries:
        return [np.empty((0, len(known)))] * 5
    from memelite import tomtom  # imported here because it takes a second

    # Each strand is a separate target, because memelite reports the reverse strand if both are equally similar.
    targets = known + [target[::-1, ::-1] for target in known]
    with same_threads():
        forward, backward = np.split(tomtom(queries, targets, n_target_bins=None, reverse_complement=False), 2, axis=2)
    reverse = backward[1] > forward[1]
    p, _, offsets, overlaps, _ = np.where(reverse, backward, forward)
    p = np.clip(p * (2 - p), 0, 1)  # correction for the choice of the more similar strand
    return [p, false_discovery_control(p, axis=None).reshape(p.shape), offsets, overlaps, reverse]

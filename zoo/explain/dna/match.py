"""Which known motif a motif resembles."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from ...errors import InputError, check_range
from ...threads import same_threads
from .motif import Motif
from .motif_files import jaspar

CHANCE = 1.5 / np.log(2)  # bits that one site shows by chance, n sites 1/n of it (Schneider et al. 1986)
FLANK = 0.25  # bits beyond chance that the outer positions of a motif need to be compared
LEAST = 4.0  # bits beyond chance in all, as two certain bases have; the least of JASPAR 2024 has 6
MEAN = 0.5  # bits beyond chance of a position, on average; 877 of the 879 motifs of JASPAR 2024 have 0.6
WIDEST = 60  # positions; memory grows with the fourth power
COLUMNS = ["motif", "target", "target_name", "p_value", "q_value", "offset", "overlap", "strand"]


def match(motifs: Sequence[Motif], database: Sequence[Motif] | None = None, best: int = 1) -> pd.DataFrame:
    """Nearest known motifs by Tomtom (Gupta et al. 2007, doi:10.1186/gb-2007-8-2-r24), as implemented by memelite.

    Outer positions of less than 0.25 bits beyond chance (3 / (2 ln 2 n) bits of n sites; Schneider et al. 1986,
    doi:10.1016/0022-2836(86)90165-8) are left out: they are so near to those of some known motifs that any filter
    would seem to match. Those between informative positions are kept, and make p-values too small if there are many.

    The first call on a computer compiles for about a minute; the result is kept for later ones.

    Args:
        motifs: Such as those of filters.
        database: Known motifs; by default `jaspar`. Their positions are the background of the p-values, which fewer
            than about 50 motifs make unreliable.
        best: How many known motifs to tell of each.

    Returns:
        ``best`` rows a motif, nearest first, in the order of ``motifs``:

        - ``motif``; ``target`` and ``target_name``, name and title of the known motif.
        - ``p_value`` that an unrelated motif is as near, on either strand and at any offset; ``q_value``, its
          false-discovery rate among all pairs (Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x).
        - ``offset``, the position of the known motif (0 is its first) that the first of ``motif`` is laid on;
          ``overlap``, positions that are compared; ``strand``, ``"-"`` if the known motif was reversed for it.

        A motif of less than 4 bits beyond chance in all, or of less than 0.5 bits a position, resembles anything that
        is long and vague itself: it has one row, of p and q 1 and no target.

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
    """Positions without the uninformative outer ones; none of a motif that is not worth comparing."""
    bits = motif.information - CHANCE / max(motif.sites, 1)
    kept = np.flatnonzero(bits >= FLANK)
    if bits[kept].sum() < LEAST or bits[kept[0] : kept[-1] + 1].mean() < MEAN:
        return slice(0, 0)
    return slice(int(kept[0]), int(kept[-1]) + 1)


def _tomtom(queries: list[np.ndarray], known: list[np.ndarray]) -> list[np.ndarray]:
    """p, q, offsets, overlaps, and whether the other strand is nearer, each of ``shape=(queries, known)``."""
    if not queries:
        return [np.empty((0, len(known)))] * 5
    from memelite import tomtom  # takes a second

    # Each strand is a target of its own, because memelite calls a match reversed where both are equally near.
    targets = known + [target[::-1, ::-1] for target in known]
    with same_threads():
        forward, backward = np.split(tomtom(queries, targets, n_target_bins=None, reverse_complement=False), 2, axis=2)
    reverse = backward[1] > forward[1]
    p, _, offsets, overlaps, _ = np.where(reverse, backward, forward)
    p = np.clip(p * (2 - p), 0, 1)  # of the nearer of two strands
    return [p, false_discovery_control(p, axis=None).reshape(p.shape), offsets, overlaps, reverse]

"""Negative examples for DNA: shuffled sequences, and windows of the genome that match in GC content."""

import logging
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from .genome import Genome

SHUFFLED_BASES = 1 << 20  # shuffled together; what stays in the processor's cache is faster
BLOCK = 1 << 22  # bases of a chromosome in memory at a time
CANDIDATES = 20  # for each positive
FEWEST_CANDIDATES = 1_000_000  # of a chromosome
TOLERANCE = 0.01  # of the GC content
MOST_UNKNOWN = 0.1  # share of a negative that may be N
LAST = (1 << 48) - 1  # key that sorts an edge behind the others of its letter

log = logging.getLogger("zoo")


def dinucleotide_shuffle(codes: Tensor, seed: int) -> Tensor:
    """Shuffle each sequence such that it keeps the count of every dinucleotide, and its first and last base.

    All such sequences are equally probable. Each is an Eulerian path through a graph with a letter for a node and a
    dinucleotide for an edge; the edge by which each letter is left for the last time is drawn first, then the others
    are shuffled. Every code counts as a letter, so that runs of N stay runs.

    Paper: Altschul and Erickson 1985, doi:10.1093/oxfordjournals.molbev.a040370.

    Args:
        codes: uint8 as of `zoo.encode.dna.dna_codes`, ``shape=(sequences, length)``.
        seed: The same seed gives the same shuffles.

    Returns:
        uint8, ``shape=(sequences, length)``.

    Example:
        >>> from zoo.encode.dna import dna_codes, dna_text
        >>> dna_text(dinucleotide_shuffle(dna_codes(["ACGTTACGAGT"]), seed=1))
        ['ACGTAGACGTT']
    """
    rng = np.random.default_rng(seed)
    shuffled = codes.cpu().numpy().copy()
    if shuffled.shape[1] > 3:  # no shorter one has another order
        rows = max(1, SHUFFLED_BASES // shuffled.shape[1])
        for start in range(0, len(shuffled), rows):
            shuffled[start : start + rows] = _shuffle(shuffled[start : start + rows], rng)
    return torch.from_numpy(shuffled)


def _shuffle(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sequences, length = codes.shape
    letters = int(codes.max()) + 1
    left, entered = codes[:, :-1].astype(np.uint64), codes[:, 1:]
    # One sort shuffles the edges of every letter: by letter, then at random, the last edge behind the others.
    keys = rng.integers(LAST, size=left.shape, dtype=np.uint64)
    for last in _last_edges(codes, letters, rng).T:
        some = np.flatnonzero(last >= 0)
        keys[some, last[some]] = LAST
    keys = left << np.uint64(56) | keys << np.uint64(8) | entered
    keys.sort(axis=1)
    edges = keys.astype(np.uint8).ravel()
    # Where the next unused edge of each letter lies, all sequences behind one another.
    nodes = np.arange(sequences) * letters
    counts = np.bincount((nodes[:, None] + codes[:, :-1]).ravel(), minlength=sequences * letters)
    following = np.cumsum(counts) - counts
    path = np.empty((length, sequences), np.uint8)
    path[0] = codes[:, 0]
    for step in range(1, length):
        node = nodes + path[step - 1]
        edge = following[node]
        path[step] = edges[edge]
        following[node] = edge + 1
    return path.T


def _last_edges(codes: np.ndarray, letters: int, rng: np.random.Generator) -> np.ndarray:
    """Edges by which each letter is left for the last time, -1 for the final one and those that do not occur.

    They are drawn at random until all of them lead to the final letter: int64, ``shape=(sequences, letters)``.
    """
    edges = np.full((len(codes), letters), -1)
    todo = np.arange(len(codes))
    while todo.size:
        left, entered, final = codes[todo, :-1], codes[todo, 1:], codes[todo, -1]
        # An edge from a letter to itself cannot be its last.
        draws = np.where(left == entered, np.float32(-1), rng.random(left.shape, np.float32))
        towards = np.repeat(final[:, None], letters, 1)
        for letter in range(letters):
            own = np.where(left == letter, draws, np.float32(-1))
            edge = own.argmax(1)
            some = np.flatnonzero((own[np.arange(len(todo)), edge] >= 0) & (final != letter))
            edges[todo[some], letter] = edge[some]
            towards[some, letter] = entered[some, edge[some]]
        for _ in range(letters.bit_length()):
            towards = np.take_along_axis(towards, towards, 1)
        todo = todo[(towards != final[:, None]).any(1)]
    return edges


def gc_matched(genome: Genome, chromosomes: np.ndarray, starts: np.ndarray, length: int, seed: int) -> np.ndarray:
    """For each window a random one of the same chromosome with the same GC content.

    The GC content is that of the known bases. It differs by less than 0.01 from that of the positive wherever the
    chromosome has such windows left among 20 random ones a positive (at least a million); elsewhere the nearest is
    taken, and a warning tells how many those are. A negative overlaps no positive, has at most 10% of N and other
    unknown bases, and occurs once; negatives may overlap each other, hence split by chromosome.

    Args:
        genome: Where the windows lie.
        chromosomes: Of the positives, as of `Genome.numbers`, ``shape=(windows,)``.
        starts: Of the positives, counted from 0, ``shape=(windows,)``.
        length: Bases of each window.
        seed: The same seed gives the same windows.

    Returns:
        Starts of the negatives on the chromosomes of the positives, int64, ``shape=(windows,)``.

    Raises:
        InputError: A chromosome has too few such windows.
    """
    negatives = np.empty(len(starts), np.int64)
    far, farthest = 0, 0.0
    for chromosome in np.unique(chromosomes):
        rows = np.flatnonzero(chromosomes == chromosome)
        rng = np.random.default_rng([seed, chromosome])
        candidates = _candidates(genome, chromosome, starts[rows], length, rng)
        name, size = list(genome.sizes.items())[chromosome]
        content, unknown = _composition(genome, chromosome, np.concatenate([starts[rows], candidates]), length)
        free = rng.permutation(np.flatnonzero(unknown[len(rows) :] <= MOST_UNKNOWN))
        candidates, wanted, offered = candidates[free], content[: len(rows)], content[len(rows) :][free]
        if len(candidates) < len(rows):
            raise InputError(
                f"{genome.path}: {name} ({size} bases) has {len(candidates)} windows of {length} bases that overlap no "
                f"interval and have at most {MOST_UNKNOWN:.0%} of N, but {len(rows)} are needed; leave {name} out, or "
                "shuffle the intervals instead"
            )
        chosen = _nearest(wanted, offered)
        negatives[rows] = candidates[chosen]
        apart = np.abs(wanted - offered[chosen])
        far, farthest = far + int((apart >= TOLERANCE).sum()), max(farthest, float(apart.max()))
    if far:
        log.warning(
            "%d of %d negatives differ by %g or more in GC content from their positives (at most by %.2f), since their "
            "chromosomes have no nearer windows left",
            far,
            len(starts),
            TOLERANCE,
            farthest,
        )
    return negatives


def _candidates(
    genome: Genome, chromosome: int, positives: np.ndarray, length: int, rng: np.random.Generator
) -> np.ndarray:
    """Starts of random windows that overlap no positive, each once, in order."""
    places = list(genome.sizes.values())[chromosome] - length + 1
    number = min(max(FEWEST_CANDIDATES, CANDIDATES * len(positives)), 4 * places)
    starts = np.sort(rng.integers(places, size=number))
    starts = starts[np.diff(starts, prepend=-1) > 0]
    ordered = np.sort(positives)
    before = np.searchsorted(ordered, starts - length, "right")
    free: np.ndarray = starts[before == np.searchsorted(ordered, starts + length, "left")]
    return free


def _composition(genome: Genome, chromosome: int, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """GC content among the known bases of windows, and the share of unknown ones; the chromosome is read once."""
    size = list(genome.sizes.values())[chromosome]
    order = np.argsort(starts, kind="stable")  # quick where most of them are in order
    bounds = np.searchsorted(starts[order], np.arange(0, size + BLOCK, BLOCK))
    counts = np.empty((2, len(starts)))
    for block, (first, last) in enumerate(pairwise(bounds)):
        if first == last:
            continue
        begin, rows = block * BLOCK, order[first:last]
        bases = min(begin + BLOCK + length, size) - begin
        codes = genome.fetch(np.array([chromosome]), np.array([begin]), bases)[0].numpy()
        at = starts[rows] - begin
        for row, chosen in enumerate(((codes == 1) | (codes == 2), codes < 4)):
            sums = np.zeros(bases + 1, np.int32)
            chosen.cumsum(out=sums[1:])
            counts[row, rows] = sums[at + length] - sums[at]
    return counts[0] / np.maximum(counts[1], 1), 1 - counts[1] / length


def _nearest(wanted: np.ndarray, offered: np.ndarray) -> np.ndarray:
    """For each GC content another position among the offers, from the nearest bin that has any left."""
    # Rounding must not part what lies on the lower end of a bin.
    bins, offered_bins = (np.floor(values / TOLERANCE + 1e-6).astype(int) for values in (wanted, offered))
    wants = {int(b): np.flatnonzero(bins == b) for b in np.unique(bins)}
    pools = {int(b): np.flatnonzero(offered_bins == b) for b in np.unique(offered_bins)}
    chosen = np.empty(len(wanted), np.int64)
    for distance in range(round(1 / TOLERANCE) + 1):
        for want in wants:
            for other in (want - distance, want + distance):
                if other in pools:
                    taken = min(len(wants[want]), len(pools[other]))
                    chosen[wants[want][:taken]] = pools[other][:taken]
                    wants[want], pools[other] = wants[want][taken:], pools[other][taken:]
    return chosen

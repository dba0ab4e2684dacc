"""Negative examples for DNA: shuffled sequences, and GC-matched windows of the genome."""

import logging
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from .genome import Genome

SHUFFLED_BASES = 1 << 20  # shuffled together, few enough for the processor's cache
BLOCK = 1 << 22  # bases of a chromosome in memory at a time
CANDIDATES = 20  # per positive
FEWEST_CANDIDATES = 1_000_000  # per chromosome
TOLERANCE = 0.01  # of the GC content
MOST_UNKNOWN = 0.1  # largest fraction of unknown bases (N) in a negative
LAST = (1 << 48) - 1  # key that sorts an edge behind the others of its letter

log = logging.getLogger("zoo")


def dinucleotide_shuffle(codes: Tensor, seed: int) -> Tensor:
    """Shuffle each sequence such that dinucleotide counts, and its first and last base, are preserved.

    All such sequences are equally probable. Each is an Eulerian path through a graph whose nodes are letters and whose
    edges are dinucleotides: the last edge out of each letter is drawn first, then the others are shuffled. Every code
    counts as a letter, so that runs of N remain runs.

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
    if shuffled.shape[1] > 3:  # shorter ones have only one order
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
        rows = np.flatnonzero(last >= 0)
        keys[rows, last[rows]] = LAST
    keys = left << np.uint64(56) | keys << np.uint64(8) | entered
    keys.sort(axis=1)
    edges = keys.astype(np.uint8).ravel()
    # Positions of the next unused edge of each letter, for all sequences.
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
    """Last edge out of each letter, -1 for the final letter and for letters that do not occur.

    The edges are drawn at random until all of them lead to the final letter: int64, ``shape=(sequences, letters)``.
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
            rows = np.flatnonzero((own[np.arange(len(todo)), edge] >= 0) & (final != letter))
            edges[todo[rows], letter] = edge[rows]
            towards[rows, letter] = entered[rows, edge[rows]]
        for _ in range(letters.bit_length()):
            towards = np.take_along_axis(towards, towards, 1)
        todo = todo[(towards != final[:, None]).any(1)]
    return edges


def gc_matched(genome: Genome, chromosomes: np.ndarray, starts: np.ndarray, length: int, seed: int) -> np.ndarray:
    """Draw for each window a random one of the same chromosome with similar GC content.

    The GC content is that of the known bases. It differs by less than 0.01 from that of the positive if such windows
    remain among the candidates (20 random windows per positive, at least a million per chromosome); else the window of
    the most similar GC content is chosen, and a warning states their number. A negative does not overlap any positive,
    has at most 10% unknown bases, and occurs once. Negatives may overlap each other, so data should be split by
    chromosome.

    Args:
        genome: Genome of the windows.
        chromosomes: Chromosomes of the positives, from `Genome.numbers`, ``shape=(windows,)``.
        starts: Starts of the positives, counted from 0, ``shape=(windows,)``.
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
        candidates, target, available = candidates[free], content[: len(rows)], content[len(rows) :][free]
        if len(candidates) < len(rows):
            raise InputError(
                f"{genome.path}: {name} ({size} bases) has {len(candidates)} windows of {length} bases that overlap no "
                f"interval and have at most {MOST_UNKNOWN:.0%} of N, but {len(rows)} are needed; leave {name} out, or "
                "shuffle the intervals instead"
            )
        chosen = _nearest(target, available)
        negatives[rows] = candidates[chosen]
        apart = np.abs(target - available[chosen])
        far, farthest = far + int((apart >= TOLERANCE).sum()), max(farthest, float(apart.max()))
    if far:
        log.warning(
            "%d of %d negatives differ by %g or more in GC content from their positives (at most by %.2f), since their "
            "chromosomes have no more similar windows",
            far,
            len(starts),
            TOLERANCE,
            farthest,
        )
    return negatives


def _candidates(
    genome: Genome, chromosome: int, positives: np.ndarray, length: int, rng: np.random.Generator
) -> np.ndarray:
    """Starts of different random windows that do not overlap any positive, in ascending order."""
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
    order = np.argsort(starts, kind="stable")  # fast, as most of them are in order
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


def _nearest(target: np.ndarray, available: np.ndarray) -> np.ndarray:
    """For each target GC content a different position among the available ones, from the nearest non-empty bin."""
    # Rounding errors must not move values at the lower limit of a bin into the one below.
    bins, available_bins = (np.floor(values / TOLERANCE + 1e-6).astype(int) for values in (target, available))
    open_targets = {int(b): np.flatnonzero(bins == b) for b in np.unique(bins)}
    pools = {int(b): np.flatnonzero(available_bins == b) for b in np.unique(available_bins)}
    chosen = np.empty(len(target), np.int64)
    for distance in range(round(1 / TOLERANCE) + 1):
        for bin_ in open_targets:
            for other in (bin_ - distance, bin_ + distance):
                if other in pools:
                    count = min(len(open_targets[bin_]), len(pools[other]))
                    chosen[open_targets[bin_][:count]] = pools[other][:count]
                    open_targets[bin_], pools[other] = open_targets[bin_][count:], pools[other][count:]
    return chosen

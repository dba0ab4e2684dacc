"""Shuffled and GC-matched negatives."""

import logging
from collections import Counter
from collections.abc import Callable
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import wrapped
from scipy.stats import chisquare

from zoo.data.sequence.genome import Genome
from zoo.data.sequence.negatives import dinucleotide_shuffle, gc_matched
from zoo.encode.dna import dna_codes, dna_text

Message = Callable[[Callable[[], object]], str]


def dinucleotides(text: str) -> Counter[tuple[str, str]]:
    return Counter(pairwise(text))


def test_shuffle_keeps_dinucleotides(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGTNR"), 80, p=[0.3, 0.3, 0.2, 0.15, 0.04, 0.01])) for _ in range(200)]
    # Few edges between different letters; sequences with one order only; a single letter.
    texts += ["A" * 20 + "C" * 20 + "G" * 20 + "T" * 20, "AC" * 19 + "AG" + "GT" * 19 + "NN", "N" * 79 + "A", "G" * 80]
    codes = dna_codes(texts)
    shuffled = dinucleotide_shuffle(codes, seed=1)
    result = dna_text(shuffled)
    assert [dinucleotides(t) for t in result] == [dinucleotides(t) for t in texts]
    assert [t[0] + t[-1] for t in result] == [t[0] + t[-1] for t in texts]
    assert (shuffled[:200] != codes[:200]).any(1).all()
    assert dinucleotide_shuffle(codes, seed=1).equal(shuffled)
    assert not dinucleotide_shuffle(codes, seed=2).equal(shuffled)
    assert dna_text(codes) == texts
    monkeypatch.setattr("zoo.data.sequence.negatives.SHUFFLED_BASES", 1000)
    parts = dna_text(dinucleotide_shuffle(codes, seed=1))
    assert [dinucleotides(t) for t in parts] == [dinucleotides(t) for t in texts]


@pytest.mark.parametrize("text", ["ACGATGCA", "AACACCGA", "NACNNAGN", "CCACACTC"])
def test_shuffle_is_uniform(text: str) -> None:
    possible = {"".join(p) for p in permutations(text)}
    possible = {p for p in possible if dinucleotides(p) == dinucleotides(text)}
    possible = {p for p in possible if p[0] == text[0] and p[-1] == text[-1]}
    assert len(possible) > 2
    found = Counter(dna_text(dinucleotide_shuffle(dna_codes([text]).repeat(20_000, 1), seed=0)))
    assert set(found) == possible
    assert chisquare(list(found.values())).pvalue > 0.001


@pytest.mark.parametrize("shape", [(0, 10), (3, 1), (3, 3)])
def test_shuffle_of_tiny_sequences(shape: tuple[int, int]) -> None:
    codes = torch.randint(4, shape, dtype=torch.uint8)
    assert dinucleotide_shuffle(codes, 0).equal(codes)


def gc(codes: torch.Tensor) -> np.ndarray:
    return ((codes == 1) | (codes == 2)).sum(1).numpy() / (codes < 4).sum(1).numpy()


@pytest.fixture
def patchy(here: Path) -> Genome:
    """Two chromosomes whose GC content differs between segments, with a run of N."""
    rng = np.random.default_rng(0)
    text = ""
    for name in ("chr1", "chr2"):
        parts = []
        for share in rng.uniform(0.2, 0.8, 300):
            parts.append(rng.choice(list("ACGT"), 500, p=[(1 - share) / 2, share / 2, share / 2, (1 - share) / 2]))
        parts[7:20] = [np.array(["N"] * 6500)]
        text += f">{name}\n" + wrapped("".join(np.concatenate(parts)), 60)
    Path("patchy.fa").write_text(text)
    return Genome("patchy.fa")


def test_gc_matched(patchy: Genome, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("zoo.data.sequence.negatives.BLOCK", 40_000)  # several blocks in a chromosome
    rng = np.random.default_rng(1)
    chromosomes, starts = rng.integers(2, size=150), rng.integers(20_000, 140_000, size=150)
    negatives = gc_matched(patchy, chromosomes, starts, 200, seed=0)
    positive, negative = (patchy.fetch(chromosomes, at, 200) for at in (starts, negatives))
    assert np.abs(gc(positive) - gc(negative)).max() < 0.01
    assert ((negative == 4).sum(1) <= 20).all()
    for chromosome in (0, 1):
        own = chromosomes == chromosome
        assert (np.abs(negatives[own][:, None] - starts[own]) >= 200).all()
        assert len(np.unique(negatives[own])) == own.sum()
    assert np.array_equal(gc_matched(patchy, chromosomes, starts, 200, seed=0), negatives)
    assert not np.array_equal(gc_matched(patchy, chromosomes, starts, 200, seed=1), negatives)
    assert not caplog.records


def test_negatives_of_other_gc_give_a_warning(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    letters = "".join(rng.choice(list("ACGT"), 5000)) + "GC" * 50
    Path("genome.fa").write_text(">chr1\n" + wrapped(letters, 60))
    genome = Genome("genome.fa")
    with caplog.at_level(logging.WARNING, "zoo"):
        negatives = gc_matched(genome, np.zeros(2, int), np.array([5000, 100]), 100, seed=0)
    assert "1 of 2 negatives differ by 0.01 or more in GC content" in caplog.text
    content = gc(genome.fetch(np.zeros(2, int), negatives, 100))
    everywhere = gc(genome.fetch(np.zeros(4900, int), np.arange(4900), 100))
    assert content[0] >= everywhere.max() - 0.01


def test_too_few_windows_for_negatives(here: Path, message: Message) -> None:
    Path("genome.fa").write_text(">chr1\n" + wrapped("ACGT" * 30 + "N" * 500, 60))
    genome = Genome("genome.fa")
    error = message(lambda: gc_matched(genome, np.zeros(2, int), np.array([0, 60]), 50, seed=0))
    assert [w for w in ["chr1", "620 bases", "2 are needed", "leave chr1 out"] if w not in error] == []

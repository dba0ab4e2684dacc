"""Random access to genomes through their index."""

import gzip
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyfaidx
import pytest
import torch
from conftest import CHROMOSOMES as SIZES
from torch.utils.data import DataLoader, Dataset

from zoo import files
from zoo.data.sequence.genome import Genome
from zoo.encode.dna import dna_text
from zoo.errors import NotWritableError

Message = Callable[[Callable[[], object]], str]


def pairs(path: Path, rng: np.random.Generator, length: int, number: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Random windows, with the first and the last of each chromosome."""
    sizes = np.array([size for size in SIZES.values() if size >= length])
    chromosomes = np.concatenate([np.arange(len(sizes)).repeat(2), rng.integers(len(sizes), size=number)])
    starts = rng.integers(0, sizes[chromosomes] - length + 1)
    starts[: 2 * len(sizes)] = np.stack([np.zeros(len(sizes), int), sizes - length], 1).ravel()
    return chromosomes, starts


@pytest.mark.parametrize("length", [1, 7, 59, 60, 333])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_windows_equal_those_of_pyfaidx(length: int, end: str, fasta: Path) -> None:
    fasta.write_bytes(fasta.read_text().replace("\n", end).encode())
    genome, reference = Genome(fasta), pyfaidx.Fasta(str(fasta), as_raw=True)
    chromosomes, starts = pairs(fasta, np.random.default_rng(1), length)
    minus = np.random.default_rng(2).random(len(starts)) < 0.5
    names = list(genome.sizes)
    forward = [reference[names[c]][s : s + length].upper() for c, s in zip(chromosomes, starts, strict=True)]
    assert dna_text(genome.fetch(chromosomes, starts, length)) == forward
    complement = str.maketrans("ACGTR", "TGCAY")
    both = [t.translate(complement)[::-1] if m else t for t, m in zip(forward, minus, strict=True)]
    assert dna_text(genome.fetch(chromosomes, starts, length, minus)) == both


def test_genome_knows_its_chromosomes(fasta: Path) -> None:
    genome = Genome(fasta)
    assert genome.sizes == SIZES
    assert genome.numbers(["chrX", "chr1", "chrX"]).tolist() == [2, 0, 2]
    assert genome.fetch(np.array([], int), np.array([], int), 5).shape == (0, 5)


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_end_of_the_file_does_not_matter(ending: str, here: Path) -> None:
    Path("genome.fa").write_text(";made by hand\n>a\nACG\nT\n\n>b\nGG\nC" + ending)
    for _ in range(2):  # the index is created, then read
        genome = Genome("genome.fa")
        assert genome.sizes == {"a": 4, "b": 3}
        assert dna_text(genome.fetch(np.array([0, 1]), np.array([1, 0]), 3)) == ["CGT", "GGC"]


class Windows(Dataset[torch.Tensor]):
    def __init__(self, genome: Genome) -> None:
        self.genome = genome

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.genome.fetch(np.array([0]), np.array([index]), 50)[0]


def test_each_worker_opens_the_file(fasta: Path) -> None:
    genome = Genome(fasta)
    expected = genome.fetch(np.zeros(40, int), np.arange(40), 50)  # the file is open when it is passed on
    loader = DataLoader(Windows(genome), batch_size=10, num_workers=2)
    assert torch.cat(list(loader)).equal(expected)


def test_a_pickled_genome_needs_no_index(fasta: Path) -> None:
    genome = Genome(fasta)
    at = np.array([0]), np.array([5])
    expected = genome.fetch(*at, 20)
    packed = pickle.dumps(genome)
    assert len(packed) < 2000
    Path("genome.fa.fai").unlink()
    assert pickle.loads(packed).fetch(*at, 20).equal(expected)
    assert not Path("genome.fa.fai").exists()


def test_index_is_that_of_samtools_and_is_created_once(fasta: Path, caplog: pytest.LogCaptureFixture) -> None:
    Genome(fasta)
    index = Path("genome.fa.fai")
    assert index.read_text().splitlines()[0] == "chr1\t1003\t20\t61\t62"
    index.write_text(index.read_text())
    before = index.stat().st_mtime_ns
    Genome(fasta)
    assert index.stat().st_mtime_ns == before
    assert sorted(path.name for path in fasta.parent.iterdir()) == ["genome.fa", "genome.fa.fai"]
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize("change", ["newer", "longer", "shorter", "renamed", "damaged", "one more"])
def test_stale_index_is_created_anew(change: str, fasta: Path, caplog: pytest.LogCaptureFixture) -> None:
    Genome(fasta)
    index, text = Path("genome.fa.fai"), fasta.read_text()
    match change:
        case "newer":
            os.utime(fasta, (index.stat().st_mtime + 10,) * 2)
        case "longer":
            fasta.write_text(text.replace(">chrX", "A\n>chrX"))
        case "shorter":
            fasta.write_text(text[:-30])
        case "renamed":
            fasta.write_text(text.replace("chr2", "chr3"))
        case "damaged":
            index.write_bytes(b"chr1\t\xff\n")
        case "one more":
            fasta.write_text(text + ">more\nACGT\n")
    if change != "newer":  # as after a copy that does not keep times
        os.utime(index, (fasta.stat().st_mtime + 10,) * 2)
    genome = Genome(fasta)
    assert genome.sizes == {name: len(record) for name, record in pyfaidx.Fasta(str(fasta)).items()}
    assert "created anew" in caplog.text
    caplog.clear()
    assert Genome(fasta).sizes == genome.sizes
    assert not [record for record in caplog.records if record.levelno > logging.INFO] or change == "newer"


@pytest.mark.parametrize("stale", [False, True])
def test_folder_that_cannot_be_written(
    stale: bool, fasta: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if stale:
        Path("genome.fa.fai").write_text("other\t5\t7\t5\t6\n")

    def refuse(path: Path) -> None:
        raise NotWritableError("genome.fa.fai cannot be written: Permission denied")

    monkeypatch.setattr(files, "replacing", refuse)
    assert Genome(fasta).sizes == SIZES
    assert "genome.fa.fai cannot be written" in caplog.text
    assert "samtools faidx" in caplog.text
    assert Path("genome.fa.fai").exists() == stale


FASTA: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["the file is empty"]),
    "gzip": (gzip.compress(b">a\nACGT\n"), ["compressed", "gunzip"]),
    "table": (b"a,b\n1,2\n", ["begins with '>', not 'a'"]),
    "binary": (b">a\nAC\xff\xfe\n", ["cannot be indexed as FASTA", "not text"]),
    "header alone": (b">\nACGT\n", ["cannot be indexed as FASTA", "name"]),
    "no records": (b"\n\n", ["cannot be indexed as FASTA"]),
    "uneven lines": (b">a\nACGT\nAC\nACGT\n", ["cannot be indexed as FASTA", "line 3"]),
    "same name twice": (b">a\nACGT\n>a x\nAC\n", ['"a" names more than one record']),
}


@pytest.mark.parametrize("case", FASTA)
def test_bad_genome(case: str, here: Path, message: Message) -> None:
    content, words = FASTA[case]
    Path("genome.fa").write_bytes(content)
    error = message(lambda: Genome("genome.fa"))
    assert [word for word in ["genome.fa", *words] if word not in error] == []
    assert [path.name for path in here.iterdir()] == ["genome.fa"]


def test_bad_requests(fasta: Path, message: Message) -> None:
    assert "did you mean genome.fa" in message(lambda: Genome("genom.fa"))
    genome = Genome(fasta)
    assert message(lambda: genome.numbers(["chr1", "1"])) == "no chromosome '1' in genome.fa; did you mean chr1?"
    assert "did you mean chrX" in message(lambda: genome.numbers(pd.Series(["ChrX"])))
    for start in (-1, 580):
        error = message(lambda s=start: genome.fetch(np.array([0, 1]), np.array([0, s]), 21))
        assert f"bases {start} to {start + 21} (counted from 0) are not inside chr2, which has 600 bases" in error
    Path("plain.fa").write_text(">1\nAC\n>MT\nGG\n")
    plain = Genome("plain.fa")
    assert "did you mean 1?" in message(lambda: plain.numbers(["chr1"]))
    assert "did you mean MT?" in message(lambda: plain.numbers(["chrM"]))


def test_invalid_letters_are_located(here: Path, message: Message) -> None:
    Path("genome.fa").write_text(">a\nACGTA\nCGTAC\nG\n>b\nACGTA\nCG*AC\nG\n")
    genome = Genome("genome.fa")
    at = np.array([0, 1, 1]), np.array([0, 1, 4])
    assert "genome.fa: b, position 8: '*' is not a letter of DNA" in message(lambda: genome.fetch(*at, 7))
    assert genome.fetch(np.array([1]), np.array([0]), 7).shape == (1, 7)
    Path("genome.fa").write_text(">a\nACG\n")
    assert "does not match its index" in message(lambda: genome.fetch(*at, 7))


def test_many_windows_are_read_in_parts(fasta: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genome = Genome(fasta)
    chromosomes, starts = pairs(fasta, np.random.default_rng(3), 20)
    minus = np.arange(len(starts)) % 3 == 0
    whole = genome.fetch(chromosomes, starts, 20, minus)
    monkeypatch.setattr("zoo.data.sequence.genome.CHUNK", 150)
    assert genome.fetch(chromosomes, starts, 20, minus).equal(whole)

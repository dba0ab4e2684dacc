"""Genomes read by index, BED and VCF files, shuffled and GC-matched negatives."""

import gzip
import logging
import os
import pickle
from collections import Counter
from collections.abc import Callable
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pyfaidx
import pytest
import torch
from scipy.stats import chisquare
from torch.utils.data import DataLoader, Dataset

from zoo import files
from zoo.data.bed import read_bed, windows
from zoo.data.genome import Genome
from zoo.data.negatives import dinucleotide_shuffle, gc_matched
from zoo.data.vcf import read_vcf
from zoo.encode.dna import dna_codes, dna_text
from zoo.errors import InputError

SIZES = {"chr1": 1003, "chr2": 600, "chrX": 59, "scaffold": 1}


def wrapped(letters: str, width: int, end: str = "\n") -> str:
    return "".join(letters[i : i + width] + end for i in range(0, len(letters), width))


@pytest.fixture
def fasta(here: Path) -> Path:
    """Four chromosomes with lines of different lengths, in lower and upper case, with N and R."""
    rng = np.random.default_rng(0)
    text = ""
    for (name, size), width in zip(SIZES.items(), (61, 60, 100, 7), strict=True):
        letters = "".join(rng.choice(list("ACGTacgtNnR"), size))
        text += f">{name} a description\n" + wrapped(letters, width)
    path = here / "genome.fa"
    path.write_text(text)
    return path


def pairs(path: Path, rng: np.random.Generator, length: int, number: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Random windows, with the first and the last of each chromosome."""
    sizes = np.array([size for size in SIZES.values() if size >= length])
    chromosomes = np.concatenate([np.arange(len(sizes)).repeat(2), rng.integers(len(sizes), size=number)])
    starts = rng.integers(0, sizes[chromosomes] - length + 1)
    starts[: 2 * len(sizes)] = np.stack([np.zeros(len(sizes), int), sizes - length], 1).ravel()
    return chromosomes, starts


def message(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Genome


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
    for _ in range(2):  # the index is made, then read
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


def test_workers_read_for_themselves(fasta: Path) -> None:
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


def test_index_is_that_of_samtools_and_is_made_once(fasta: Path, caplog: pytest.LogCaptureFixture) -> None:
    Genome(fasta)
    index = Path("genome.fa.fai")
    assert index.read_text().splitlines()[0] == "chr1\t1003\t20\t61\t62"
    index.write_text(index.read_text())
    before = index.stat().st_mtime_ns
    Genome(fasta)
    assert index.stat().st_mtime_ns == before
    assert sorted(path.name for path in fasta.parent.iterdir()) == ["genome.fa", "genome.fa.fai"]
    assert not caplog.records


@pytest.mark.parametrize("change", ["newer", "longer", "shorter", "renamed", "damaged", "one more"])
def test_stale_index_is_made_anew(change: str, fasta: Path, caplog: pytest.LogCaptureFixture) -> None:
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
    assert "made anew" in caplog.text
    caplog.clear()
    assert Genome(fasta).sizes == genome.sizes
    assert not caplog.records or change == "newer"


@pytest.mark.parametrize("stale", [False, True])
def test_folder_that_cannot_be_written(
    stale: bool, fasta: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if stale:
        Path("genome.fa.fai").write_text("other\t5\t7\t5\t6\n")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

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
def test_bad_genome(case: str, here: Path) -> None:
    content, words = FASTA[case]
    Path("genome.fa").write_bytes(content)
    answer = message(lambda: Genome("genome.fa"))
    assert [word for word in ["genome.fa", *words] if word not in answer] == []
    assert [path.name for path in here.iterdir()] == ["genome.fa"]


def test_bad_requests(fasta: Path) -> None:
    assert "did you mean genome.fa" in message(lambda: Genome("genom.fa"))
    genome = Genome(fasta)
    assert message(lambda: genome.numbers(["chr1", "1"])) == "no chromosome '1' in genome.fa; did you mean chr1?"
    assert "did you mean chrX" in message(lambda: genome.numbers(pd.Series(["ChrX"])))
    for start in (-1, 580):
        answer = message(lambda s=start: genome.fetch(np.array([0, 1]), np.array([0, s]), 21))
        assert f"bases {start} to {start + 21} (counted from 0) are not inside chr2, which has 600 bases" in answer
    Path("plain.fa").write_text(">1\nAC\n>MT\nGG\n")
    plain = Genome("plain.fa")
    assert "did you mean 1?" in message(lambda: plain.numbers(["chr1"]))
    assert "did you mean MT?" in message(lambda: plain.numbers(["chrM"]))


def test_letters_that_are_none_are_located(here: Path) -> None:
    Path("genome.fa").write_text(">a\nACGTA\nCGTAC\nG\n>b\nACGTA\nCG*AC\nG\n")
    genome = Genome("genome.fa")
    at = np.array([0, 1, 1]), np.array([0, 1, 4])
    assert "genome.fa: b, position 8: '*' is not a letter of DNA" in message(lambda: genome.fetch(*at, 7))
    assert genome.fetch(np.array([1]), np.array([0]), 7).shape == (1, 7)
    Path("genome.fa").write_text(">a\nACG\n")
    assert "does not fit its index" in message(lambda: genome.fetch(*at, 7))


def test_many_windows_are_read_in_parts(fasta: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genome = Genome(fasta)
    chromosomes, starts = pairs(fasta, np.random.default_rng(3), 20)
    minus = np.arange(len(starts)) % 3 == 0
    whole = genome.fetch(chromosomes, starts, 20, minus)
    monkeypatch.setattr("zoo.data.genome.CHUNK", 150)
    assert genome.fetch(chromosomes, starts, 20, minus).equal(whole)


# BED


def test_bed_counts_from_zero(here: Path) -> None:
    Path("genome.fa").write_text(">chr1\nAACCGGTTAC\n")
    Path("a.bed").write_text("chr1\t2\t6\n")
    frame, genome = read_bed(Path("a.bed")), Genome("genome.fa")
    codes = genome.fetch(genome.numbers(frame["chromosome"]), windows(frame, genome), 4)
    assert dna_text(codes) == ["CCGG"]


@pytest.mark.parametrize("separator", ["\t", "  "])
@pytest.mark.parametrize("suffix", ["bed", "bed.gz"])
def test_bed_columns(separator: str, suffix: str, here: Path) -> None:
    lines = ["chr1 5 9 NA 3.5 + 0.1", "chr2 0 2 b . - NA", 'chrX 7 8 c" 1 . 2']
    text = "track name=x description=y\nbrowser hide all\n#a comment\n" + lines[0] + "\r\n\n#\n" + "\n".join(lines[1:])
    content = text.replace(" ", separator).encode()
    Path(f"a.{suffix}").write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    frame = read_bed(Path(f"a.{suffix}"))
    assert list(frame) == ["chromosome", "start", "end", "name", "score", "strand", "column7"]
    assert frame.index.tolist() == [4, 7, 8]
    assert frame[["start", "end"]].to_numpy().tolist() == [[5, 9], [0, 2], [7, 8]]
    assert frame["chromosome"].tolist() == ["chr1", "chr2", "chrX"]
    assert frame["name"].tolist() == ["NA", "b", 'c"']
    assert frame["strand"].tolist() == ["+", "-", "."]
    np.testing.assert_array_equal(frame["score"], [3.5, np.nan, 1])
    np.testing.assert_array_equal(frame["column7"], [0.1, np.nan, 2])


def test_bed_header_names_columns(here: Path) -> None:
    Path("a.bed").write_text("#chrom\tchromStart\tchromEnd\tlabel\tsignal\n1\t5\t9\topen\t3\n1\t6\t9\tclosed\t4\n")
    frame = read_bed(Path("a.bed"))
    assert list(frame) == ["chromosome", "start", "end", "label", "signal"]
    assert frame["chromosome"].tolist() == ["1", "1"]
    assert frame["label"].tolist() == ["open", "closed"]


GOOD = "chr1\t5\t9\ta\t0\t+\n"
BED: dict[str, tuple[str, list[str]]] = {
    "empty": ("", ["the file is empty"]),
    "no intervals": ("#x\n", ["there are no intervals"]),
    "two columns": ("chr1\t5\n", ["line 1", "2 columns", "at least"]),
    "commas": ("chr1,5,9\n", ["line 1", "1 column;", "tabs"]),
    "ragged": (f"#x\n{GOOD}chr1\t5\t9\n", ["line 3: 3 columns, line 2 has 6"]),
    "header without #": (f"chrom\tstart\tend\tname\tscore\tstrand\n{GOOD}", ["line 1", "'start'", "begin with #"]),
    "text": (f"{GOOD}chr1\t5\tx\ta\t0\t+\n", ["line 2: end 'x' is not a whole number"]),
    "fraction": (f"{GOOD}chr1\t5.5\t9\ta\t0\t+\n", ["line 2: start '5.5' is not a whole number"]),
    "huge": (f"{GOOD}chr1\t5\t99999999999999999999\ta\t0\t+\n", ["line 2: end '99999999999999999999'"]),
    "missing": (f"{GOOD}chr1\t\t9\ta\t0\t+\n", ["line 2: start '' is not a whole number"]),
    "negative": (f"{GOOD}\nchr1\t-5\t9\ta\t0\t+\n", ["line 3: start -5 is negative", "from 0"]),
    "no bases": (f"{GOOD}chr1\t9\t9\ta\t0\t+\n", ["line 2: start 9 is not before end 9"]),
    "strand": (f"{GOOD}chr1\t5\t9\ta\t0\t1\n", ["line 2: strand '1'", "#chrom"]),
    "header too short": (f"#chrom\tstart\n{GOOD}", ["names 2 columns, there are 6"]),
    "doubled names": ("#chrom\tstart\tend\tx\tx\nchr1\t5\t9\t1\t2\n", ["column 'x' occurs more than once"]),
}


@pytest.mark.parametrize("case", BED)
def test_bad_bed(case: str, here: Path) -> None:
    content, words = BED[case]
    Path("a.bed").write_text(content)
    answer = message(lambda: read_bed(Path("a.bed")))
    assert [word for word in ["a.bed", *words] if word not in answer] == []


def test_files_that_cannot_be_read(here: Path) -> None:
    assert "no file 'a.bed'" in message(lambda: read_bed(Path("a.bed")))
    packed = gzip.compress(b"chr1\t5\t9\n" * 100)
    for damaged in (packed[:-10], packed[:15] + b"\xff" * 9 + packed[24:]):
        Path("a.bed.gz").write_bytes(damaged)
        assert "a.bed.gz: cannot be read" in message(lambda: read_bed(Path("a.bed.gz")))
    packed = gzip.compress((VCF + "chr1\t5\t.\tA\tC\n" * 100).encode())
    for damaged in (packed[:-10], packed[:80] + b"\xff" * 9 + packed[89:], b"no gzip"):
        Path("a.vcf.gz").write_bytes(damaged)
        assert "a.vcf.gz: cannot be read" in message(lambda: read_vcf(Path("a.vcf.gz")))
    Path("a.bed").write_bytes(b"chr1\t5\t9\t\xff\n")
    assert "a.bed: cannot be read as BED" in message(lambda: read_bed(Path("a.bed")))


def test_windows_about_the_centres(fasta: Path) -> None:
    genome = Genome(fasta)
    frame = pd.DataFrame({"chromosome": ["chr1"] * 3, "start": [100, 100, 7], "end": [110, 101, 8]}, index=[3, 4, 9])
    assert windows(frame, genome, 10).tolist() == [100, 95, 2]
    assert windows(frame, genome, 5).tolist() == [103, 98, 5]
    assert windows(frame[1:], genome).tolist() == [100, 7]
    answer = message(lambda: windows(frame, genome, source="a.bed"))
    assert answer.startswith(
        "a.bed: intervals differ in length (2 of 1, 1 of 10 bases); give a length (--data.length 1)"
    )
    answer = message(lambda: windows(frame, genome, 20, source="a.bed"))
    assert answer.startswith("a.bed, line 9: bases -3 to 17 (counted from 0) are not inside chr1, which has 1003 bases")
    late = frame.assign(start=995, end=1005)
    assert "line 3: bases 995 to 1005" in message(lambda: windows(late, genome))
    odd = frame.assign(chromosome=["chr1", "2", "chr1"])
    answer = message(lambda: windows(odd, genome, 4, "a.bed"))
    assert answer == "a.bed, line 4: no chromosome '2' in genome.fa; did you mean chr2?"


# VCF

VCF = "##fileformat=VCFv4.2\n##source=hand\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.mark.parametrize("suffix", ["vcf", "vcf.gz"])
def test_vcf(suffix: str, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        "chr1\t3\trs1\tc\tt\t.\tPASS\tAF=0.1",
        "chr1\t3\t.\tC\tCAG,*,G\t.\t.\t.",
        "",
        "2\t7\tNA\tACG\tA\t.\t.\t.",
        "2\t8\t.\tA\t<DEL>,A]3:5]\t.\t.\t.",
        "2\t9\t.\tA\t.\t.\t.\t.",
    ]
    content = (VCF + "\r\n".join(rows) + "\n\n").encode()
    Path(f"a.{suffix}").write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    frame = read_vcf(Path(f"a.{suffix}"))
    assert list(frame) == ["chromosome", "position", "id", "reference", "alternative"]
    assert frame.index.tolist() == [4, 5, 5, 7]
    assert frame.to_numpy().tolist() == [
        ["chr1", 3, "rs1", "C", "T"],
        ["chr1", 3, ".", "C", "CAG"],
        ["chr1", 3, ".", "C", "G"],
        ["2", 7, "NA", "ACG", "A"],
    ]
    assert "4 of 8 alleles skipped" in caplog.text


def test_vcf_counts_from_one(here: Path) -> None:
    Path("genome.fa").write_text(">chr1\nAACCGGTTAC\n")
    Path("a.vcf").write_text(VCF + "chr1\t5\t.\tGG\tG\t.\t.\t.\n")
    genome, frame = Genome("genome.fa"), read_vcf(Path("a.vcf"))
    at = genome.fetch(genome.numbers(frame["chromosome"]), frame["position"].to_numpy() - 1, 2)
    assert dna_text(at) == frame["reference"].tolist()


BAD_VCF: dict[str, tuple[str, list[str]]] = {
    "empty": ("", ["the file is empty"]),
    "other": ("chr1\t5\t9\n", ["##fileformat=VCF"]),
    "no column names": ("##fileformat=VCFv4.2\nchr1\t5\t.\tA\tC\n", ["line 2: expected #CHROM POS ID REF ALT"]),
    "blanks": (VCF.replace("\t", " "), ["line 3", "tabs"]),
    "no variants": (VCF, ["no variants"]),
    "few columns": (VCF + "chr1\t5\t.\tA\tC\t.\t.\t.\nchr1\t5\t.\tA\n", ["line 5", "fewer than 5 columns"]),
    "position": (VCF + "chr1\t5\t.\tA\tC\nchr1\tx\t.\tA\tC\n", ["line 5: position 'x' is not a whole number"]),
    "reference": (VCF + "chr1\t5\t.\t-\tC\n", ["line 4: reference '-'"]),
    "alternative": (VCF + "chr1\t5\t.\tA\tC,R\n", ["line 4: alternative 'R'"]),
    "symbolic alone": (VCF + "chr1\t5\t.\tA\t<DUP>\n", ["no variant has an alternative"]),
}


@pytest.mark.parametrize("case", BAD_VCF)
def test_bad_vcf(case: str, here: Path) -> None:
    content, words = BAD_VCF[case]
    Path("a.vcf").write_text(content)
    answer = message(lambda: read_vcf(Path("a.vcf")))
    assert [word for word in ["a.vcf", *words] if word not in answer] == []


# Negatives


def dinucleotides(text: str) -> Counter[tuple[str, str]]:
    return Counter(pairwise(text))


def test_shuffle_keeps_dinucleotides(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGTNR"), 80, p=[0.3, 0.3, 0.2, 0.15, 0.04, 0.01])) for _ in range(200)]
    # Each letter but the last is left for another only once, or seldom; nothing to shuffle; one letter.
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
    monkeypatch.setattr("zoo.data.negatives.SHUFFLED_BASES", 1000)
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
def test_shuffle_of_hardly_anything(shape: tuple[int, int]) -> None:
    codes = torch.randint(4, shape, dtype=torch.uint8)
    assert dinucleotide_shuffle(codes, 0).equal(codes)


def gc(codes: torch.Tensor) -> np.ndarray:
    return ((codes == 1) | (codes == 2)).sum(1).numpy() / (codes < 4).sum(1).numpy()


@pytest.fixture
def patchy(here: Path) -> Genome:
    """Two chromosomes whose GC content changes from stretch to stretch, with a run of N."""
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
    monkeypatch.setattr("zoo.data.negatives.BLOCK", 40_000)  # several blocks in a chromosome
    rng = np.random.default_rng(1)
    chromosomes, starts = rng.integers(2, size=150), rng.integers(20_000, 140_000, size=150)
    negatives = gc_matched(patchy, chromosomes, starts, 200, seed=0)
    wanted, found = (patchy.fetch(chromosomes, at, 200) for at in (starts, negatives))
    assert np.abs(gc(wanted) - gc(found)).max() < 0.01
    assert ((found == 4).sum(1) <= 20).all()
    for chromosome in (0, 1):
        own = chromosomes == chromosome
        assert (np.abs(negatives[own][:, None] - starts[own]) >= 200).all()
        assert len(np.unique(negatives[own])) == own.sum()
    assert np.array_equal(gc_matched(patchy, chromosomes, starts, 200, seed=0), negatives)
    assert not np.array_equal(gc_matched(patchy, chromosomes, starts, 200, seed=1), negatives)
    assert not caplog.records


def test_gc_of_a_rare_kind_is_told(here: Path, caplog: pytest.LogCaptureFixture) -> None:
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


def test_no_room_for_negatives(here: Path) -> None:
    Path("genome.fa").write_text(">chr1\n" + wrapped("ACGT" * 30 + "N" * 500, 60))
    genome = Genome("genome.fa")
    answer = message(lambda: gc_matched(genome, np.zeros(2, int), np.array([0, 60]), 50, seed=0))
    assert [w for w in ["chr1", "620 bases", "2 are needed", "leave chr1 out"] if w not in answer] == []

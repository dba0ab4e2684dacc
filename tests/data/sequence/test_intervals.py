"""Reading of BED and VCF files."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zoo.data.sequence.bed import read_bed, windows
from zoo.data.sequence.genome import Genome
from zoo.data.sequence.vcf import read_vcf
from zoo.encode.dna import dna_text

Message = Callable[[Callable[[], object]], str]


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
def test_bad_bed(case: str, here: Path, message: Message) -> None:
    content, words = BED[case]
    Path("a.bed").write_text(content)
    error = message(lambda: read_bed(Path("a.bed")))
    assert [word for word in ["a.bed", *words] if word not in error] == []


def test_files_that_cannot_be_read(here: Path, message: Message) -> None:
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


def test_windows_are_centred_on_intervals(fasta: Path, message: Message) -> None:
    genome = Genome(fasta)
    frame = pd.DataFrame({"chromosome": ["chr1"] * 3, "start": [100, 100, 7], "end": [110, 101, 8]}, index=[3, 4, 9])
    assert windows(frame, genome, 10).tolist() == [100, 95, 2]
    assert windows(frame, genome, 5).tolist() == [103, 98, 5]
    assert windows(frame[1:], genome).tolist() == [100, 7]
    error = message(lambda: windows(frame, genome, source="a.bed"))
    assert error.startswith(
        "a.bed: intervals differ in length (2 of 1, 1 of 10 bases); give a length (--data.length 1)"
    )
    error = message(lambda: windows(frame, genome, 20, source="a.bed"))
    assert error.startswith("a.bed, line 9: bases -3 to 17 (counted from 0) are not inside chr1, which has 1003 bases")
    late = frame.assign(start=995, end=1005)
    assert "line 3: bases 995 to 1005" in message(lambda: windows(late, genome))
    unknown = frame.assign(chromosome=["chr1", "2", "chr1"])
    error = message(lambda: windows(unknown, genome, 4, "a.bed"))
    assert error == "a.bed, line 4: no chromosome '2' in genome.fa; did you mean chr2?"


# VCF

VCF = "##fileformat=VCFv4.2\n##source=hand\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def test_vcf_with_iupac_letters_and_few_columns(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Alleles with ambiguous letters are skipped; neither the suffix nor columns after ALT are needed."""
    header = "\ufeff##fileformat=VCFv4.2\r\n#CHROM\tPOS\tID\tREF\tALT\r\n"
    rows = ["1\t5\trs1\tR\tG,T", "1\t6\t\ta\tG,Y", "1\t0\t.\tN\tC"]
    for name in ("a.vcf", "a.vcf.bgz"):
        content = (header + "\r\n".join(rows)).encode()
        blocks = gzip.compress(content[:60]) + gzip.compress(content[60:]) + gzip.compress(b"")  # as bgzip writes
        Path(name).write_bytes(blocks if name.endswith("bgz") else content)
        frame = read_vcf(Path(name))
        assert frame.to_numpy().tolist() == [["1", 6, ".", "A", "G"], ["1", 0, ".", "N", "C"]]
        assert f"{name}: 3 of 5 alleles skipped: 3 with letters other than A, C, G, T and N" in caplog.text
    Path("a.vcf").write_text(VCF + rows[0])
    assert read_vcf(Path("a.vcf")).empty


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
    assert "4 of 8 alleles skipped: 1 overlapped by a deletion (*), 1 symbolic, 1 breakends, 1 none (.)" in caplog.text


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
    "alternative": (VCF + "chr1\t5\t.\tA\tC,C/R\n", ["line 4: alternative 'C/R'"]),
    "spaces": (VCF + "chr1 5 . A C . . .\n", ["line 4: fewer than 5 columns, which are separated by tabs"]),
    "symbolic alone": (VCF + "chr1\t5\t.\tA\t<DUP>\n", ["no variant has an alternative"]),
}


@pytest.mark.parametrize("case", BAD_VCF)
def test_bad_vcf(case: str, here: Path, message: Message) -> None:
    content, words = BAD_VCF[case]
    Path("a.vcf").write_text(content)
    error = message(lambda: read_vcf(Path("a.vcf")))
    assert [word for word in ["a.vcf", *words] if word not in error] == []

"""Sequence data modules: file formats, splits, augmentation, and errors."""

import gzip
import logging
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer

from zoo import explain
from zoo.data import IntervalData, SequenceData
from zoo.encode.dna import dna_codes, dna_text, reverse_complement
from zoo.errors import InputError
from zoo.models import CNN1D

LENGTH = 30


@pytest.fixture
def records() -> pd.DataFrame:
    """120 sequences, half of them with a motif, with names and a score."""
    rng = np.random.default_rng(0)
    texts = ["".join(row) for row in rng.choice(list("ACGT"), (120, LENGTH))]
    texts = [text[:10] + "GATTACA" + text[17:] if i % 2 else text for i, text in enumerate(texts)]
    label = ["bound" if i % 2 else "free" for i in range(120)]
    return pd.DataFrame({"name": [f"s{i}" for i in range(120)], "sequence": texts, "label": label})


def write_fasta(records: pd.DataFrame, path: Path, header: str = ">{name}|{label}") -> None:
    lines = [
        f"{header.format(**row)}\n{row['sequence'][:20]}\n{row['sequence'][20:]}\n" for _, row in records.iterrows()
    ]
    content = "".join(lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_folder(records: pd.DataFrame, path: Path) -> None:
    path.mkdir()
    for label, rows in records.groupby("label", sort=False):
        write_fasta(rows, path / f"{label}.fa", ">{name} of a promoter")


FORMATS: dict[str, tuple[str, Callable[[pd.DataFrame, Path], object]]] = {
    "fasta": ("a.fasta", write_fasta),
    "fasta with spaces": ("a.fa", lambda r, p: write_fasta(r, p, ">{name} {label}")),
    "gzipped fasta": ("a.fa.gz", write_fasta),
    "folder": ("classes", write_folder),
    "csv": ("a.csv", lambda r, p: r.to_csv(p, index=False)),
    "tsv": ("a.tsv.gz", lambda r, p: r.to_csv(p, index=False, sep="\t")),
    "parquet": ("a.parquet", lambda r, p: r.to_parquet(p)),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_reads_the_same(name: str, records: pd.DataFrame, here: Path) -> None:
    file, write = FORMATS[name]
    write(records, Path(file))
    data = SequenceData(file, target="label", id="name" if file.startswith(("a.csv", "a.tsv", "a.par")) else None)
    assert data.spec["modalities"]["sequence"] == {"kind": "sequence", "shape": [LENGTH], "features": ["sequence"]}
    assert data.spec["target"]["classes"] == ["free", "bound"]  # the positive class is the last
    codes = dict(zip(data.samples.index, dna_text(data.dataset.x[torch.arange(120)]), strict=True))
    assert codes == dict(zip(records["name"], records["sequence"], strict=True))
    found = dict(zip(data.samples.index, data.samples["label"], strict=True))
    assert found == dict(zip(records["name"], records["label"], strict=True))


def test_numbers_in_headers_are_a_regression(records: pd.DataFrame, here: Path) -> None:
    write_fasta(records.assign(label=np.linspace(0, 1, 120).round(4)), Path("a.fa"))
    assert SequenceData("a.fa").spec["target"]["kind"] == "regression"


def test_duplicates_and_reverse_complements_share_a_split(
    records: pd.DataFrame, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    turned = records.assign(sequence=dna_text(reverse_complement(dna_codes(list(records["sequence"])))))
    table = pd.concat([records, records.head(5), turned.tail(70).assign(name="rc")], ignore_index=True)
    table.loc[120, "label"] = "bound"  # of s0, which is free
    table.to_csv("a.csv", index=False)
    with caplog.at_level(logging.INFO, "zoo"):
        samples = SequenceData("a.csv", target="label").samples
    assert "5 samples are exact duplicates of others and 70 are reverse complements" in caplog.text
    assert "contradictory labels, such as 1 (free) and 121 (bound)" in caplog.text
    split = samples["split"].to_numpy()
    assert (split[:5] == split[120:125]).all()
    assert (split[50:120] == split[125:]).all()
    assert set(split) == {"train", "validation", "test"}


def test_length_pads_and_crops(records: pd.DataFrame, here: Path) -> None:
    records.loc[0, "sequence"] = "ACGT"
    records.to_csv("a.csv", index=False)
    with pytest.raises(InputError, match="119 of 30, 1 of 4 bases"):
        _ = SequenceData("a.csv", target="label").spec
    data = SequenceData("a.csv", target="label", length=20)
    texts = dna_text(data.dataset.x[torch.arange(120)])
    assert texts[0] == "N" * 8 + "ACGT" + "N" * 8
    assert texts[1] == records["sequence"][1][5:25]
    model = CNN1D(spec=data.spec)
    assert len(model.predict(["ACGT", "ACGT" * 10])) == 2  # such a model accepts any length


def test_shuffled_negatives_keep_dinucleotides_and_share_a_split(records: pd.DataFrame, here: Path) -> None:
    write_fasta(records[records["label"] == "bound"], Path("a.fa"), ">{name}")
    data = SequenceData("a.fa", negatives="shuffled")
    assert data.spec["target"]["classes"] == ["negative", "positive"]
    samples = data.samples
    assert samples["label"].value_counts().tolist() == [60, 60]
    pairs = samples.groupby("shuffled from")
    assert (pairs["split"].nunique() == 1).all()
    for text in ("sequence",):
        for one, two in pairs[text]:
            assert sorted(map("".join, zip(two.iloc[0], two.iloc[0][1:], strict=False))) == sorted(
                map("".join, zip(two.iloc[1], two.iloc[1][1:], strict=False))
            ), one


def fitted(data: SequenceData, epochs: int, **options: object) -> CNN1D:
    torch.manual_seed(0)
    model = CNN1D(spec=data.spec, filters=[4], widths=[5])
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    Trainer(max_epochs=epochs, enable_model_summary=False, **quiet, **options).fit(model, data)
    return model


def test_augmentation_changes_only_training_batches_and_repeats(records: pd.DataFrame, here: Path) -> None:
    records.to_csv("a.csv", index=False)
    recorded: list[torch.Tensor] = []

    class Recorder(SequenceData):
        def augment(self, batch: dict[str, torch.Tensor], generator: torch.Generator) -> dict[str, torch.Tensor]:
            recorded.append(super().augment(batch, generator)["x"])
            return {**batch, "x": recorded[-1]}

    data = Recorder("a.csv", target="label", reverse_complement=True, shift=3)
    fitted(data, 2)
    batches = len(data.train_dataloader())
    assert len(recorded) == 2 * batches  # none of validation
    assert not torch.equal(torch.cat(recorded[:batches]), torch.cat(recorded[batches:]))
    first, recorded = recorded, []
    fitted(Recorder("a.csv", target="label", reverse_complement=True, shift=3), 2)
    assert all(map(torch.equal, first, recorded))


def test_augmentation_reverses_and_shifts(records: pd.DataFrame, here: Path) -> None:
    records.to_csv("a.csv", index=False)
    x = dna_codes(list(records["sequence"]))
    generator = torch.Generator().manual_seed(0)
    turned = SequenceData("a.csv", target="label", reverse_complement=True).augment({"x": x}, generator)["x"]
    same, other = (turned == x).all(1), (turned == reverse_complement(x)).all(1)
    assert (same | other).all()
    assert 30 < same.sum() < 90
    hidden = SequenceData("a.csv", target="label", mask=0.2).augment({"x": x}, generator)["x"]
    assert ((hidden == x) | (hidden == 4)).all()
    assert 0.15 < (hidden == 4).float().mean() < 0.25
    moved = SequenceData("a.csv", target="label", shift=2).augment({"x": x}, generator)["x"]
    by = [
        next(k for k in range(-2, 3) if b == "N" * max(-k, 0) + a[max(k, 0) : LENGTH + min(k, 0)] + "N" * max(k, 0))
        for a, b in zip(dna_text(x), dna_text(moved), strict=True)
    ]
    assert set(by) == {-2, -1, 0, 1, 2}


def test_balance_of_sequences(records: pd.DataFrame, here: Path) -> None:
    records.iloc[40:].assign(label=["bound"] * 20 + ["free"] * 60).to_csv("a.csv", index=False)
    counts = np.bincount(SequenceData("a.csv", target="label", balance="oversample").training.columns["y"])
    assert counts[0] == counts[1]
    with pytest.raises(InputError, match="'smote' is for tables"):
        _ = SequenceData("a.csv", target="label", balance="smote").training


@pytest.fixture
def genome(here: Path) -> dict[str, str]:
    """Five chromosomes, ``genome.fa``, and 100 intervals of two classes, ``a.bed``."""
    rng = np.random.default_rng(1)
    texts = {f"chr{i}": "".join(rng.choice(list("ACGT"), 3000)) for i in range(1, 6)}
    with Path("genome.fa").open("w") as file:
        for name, text in texts.items():
            file.write(f">{name}\n" + "".join(text[i : i + 60] + "\n" for i in range(0, 3000, 60)))
    rows = [
        (name, start, start + LENGTH, "peak" if i % 2 else "background", 0, "+-"[i % 3 == 0])
        for name in texts
        for i, start in enumerate(rng.integers(50, 2900, 20))
    ]
    pd.DataFrame(rows).to_csv("a.bed", sep="\t", header=False, index=False)
    return texts


def test_intervals_are_read_from_the_genome(genome: dict[str, str]) -> None:
    data = IntervalData("a.bed", "genome.fa")
    texts = dna_text(data.dataset.x[torch.arange(100)])
    for text, (_, row) in zip(texts, data.samples.iterrows(), strict=True):
        expected = genome[row["chromosome"]][row["start"] : row["end"]]
        strand = dna_text(reverse_complement(dna_codes([expected])))[0] if row["strand"] == "-" else expected
        assert text == strand
    assert data.spec["target"]["classes"] == ["background", "peak"]
    assert (data.samples.groupby("chromosome", observed=True)["split"].nunique() == 1).all()
    assert data.samples["split"].nunique() == 3
    model = fitted(data, 1)
    assert len(model.predict(data.frame())) == 100
    assert all(motif.sites for motif in explain.filter_motifs(model, data))


def test_chromosomes_are_held_out_by_name(genome: dict[str, str]) -> None:
    data = IntervalData("a.bed", "genome.fa", validation_chromosomes=["chr2"], test_chromosomes=["chr4", "chr5"])
    parts = data.samples.groupby("split")["chromosome"].agg(lambda names: sorted(set(names)))
    assert parts.to_dict() == {"test": ["chr4", "chr5"], "train": ["chr1", "chr3"], "validation": ["chr2"]}


@pytest.mark.parametrize("negatives", ["shuffled", "gc_matched"])
def test_negatives_of_intervals(negatives: str, genome: dict[str, str]) -> None:
    data = IntervalData("a.bed", "genome.fa", negatives=negatives)
    samples, codes = data.samples, data.dataset.x[torch.arange(200)]
    assert samples["label"].value_counts().to_dict() == {"positive": 100, "negative": 100}
    assert (samples.groupby("chromosome", observed=True)["split"].nunique() == 1).all()
    assert torch.equal(codes, IntervalData("a.bed", "genome.fa", negatives=negatives).dataset.x[torch.arange(200)])
    gc = ((codes == 1) | (codes == 2)).float().mean(1)
    np.testing.assert_allclose(gc[:100], gc[100:], atol=0.011 if negatives == "shuffled" else 0.1)
    assert not (codes[:100] == codes[100:]).all(1).any()


LABELS: dict[str, tuple[str, dict[str, object], list[str]]] = {
    # header of record i of two classes: (options, classes or words of the error)
    "bar": (">r{i}|{c}", {}, ["free", "bound"]),
    "blank": (">r{i} {c}", {}, ["free", "bound"]),
    "blanks and bar": (">r{i} | {c} ", {}, ["free", "bound"]),
    "bar after a description": (">r{i} Homo sapiens|{c}", {}, ["free", "bound"]),
    "codes": (">r{i}|0{n}", {}, ["00", "01"]),
    "numbers of classes": (">r{i} {n}", {}, ["0", "1"]),
    "exponents": (">r{i} 1E{n}", {}, ["1E0", "1E1"]),
    "missing as a name": (">r{i}|{m}", {}, ["None", "NA"]),
    "pattern": (">r{i} class={c} len=30", {"label": r"class=(\w+)"}, ["free", "bound"]),
}
DOUBTFUL = {
    "key and value": (">r{i} len={i}", "'len=0' is not a plain word"),
    "coordinates": (">r{i} chr1:{i}00-{i}30", "'chr1:000-030' is not a plain word"),
    "strand": (">r{i} {s}", "'+' has no letter or digit"),
    "strand in words": (">r{i} {w}", "'forward' is a strand"),
    "chromosome": (">r{i} chr{n}", "'chr0' is the name of a chromosome"),
    "date": (">r{i} 2024-0{k}-01", "'2024-01-01' is a date"),
    "year": (">r{i} 202{n}", "'2020' is a date"),
    "pair": (">r{i} {k}/2", "'1/2' is the number of a part"),
    "length": (">r{i} {length}", "'30' is the length of the sequence"),
    "length with its unit": (">r{i} 3{n}bp", "'30bp' is a length"),
    "numbers": (">r{i} {i}", "'0' is a number (if it is to be predicted, give --data.target_kind regression)"),
    "last of several words": (">r{i} chr1 {i}", "'0' is a number"),
    "decimals after a description": (">r{i} score 0.{i}", "'0.0' is a number"),
    "description": (">r{i} Homo sapiens {c}", "'free' belongs to a description of several words"),
    "names": (">sp|r{i}|GENE{i}", "'GENE0' is one of 120 different ones"),
    "nothing": (">r{i}", "no column 'label': the headers, such as 'r0', have no label"),
}


def headed(records: pd.DataFrame, header: str) -> None:
    rows = [
        header.format(
            i=i,
            n=i % 2,
            k=i % 2 + 1,
            c=c,
            s="+-"[i % 2],
            w=["forward", "reverse"][i % 2],
            m=["NA", "None"][i % 2],
            length=len(records["sequence"][i]),
        )
        for i, c in enumerate(records["label"])
    ]
    texts = zip(rows, records["sequence"], strict=True)
    Path("a.fa").write_text("".join(f"{row}\n{text}\n" for row, text in texts))


@pytest.mark.parametrize("case", LABELS)
def test_labels_of_headers_are_classes_as_written(
    case: str, records: pd.DataFrame, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    header, options, classes = LABELS[case]
    headed(records, header)
    with caplog.at_level(logging.INFO, "zoo"):
        data = SequenceData("a.fa", **options)
        assert data.spec["target"]["classes"] == classes
    assert f"taken as label: {classes[0]} (60), {classes[1]} (60)" in caplog.text
    assert data.samples.index[:2].tolist() == ["r0", "r1"]


@pytest.mark.parametrize("case", DOUBTFUL)
def test_doubtful_labels_are_refused_but_not_needed(
    case: str, records: pd.DataFrame, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    header, words = DOUBTFUL[case]
    headed(records, header)
    with pytest.raises(InputError) as error:
        _ = SequenceData("a.fa").spec
    message = str(error.value)
    assert message.startswith("a.fa: ")
    assert words in message
    assert "--data.label REGEX" in message
    assert "--data.target_kind none" in message
    assert "\n" not in message
    name = header.split()[0].lstrip(">").format(i=0)
    assert SequenceData("a.fa", target_kind="none").samples.index[0] == name
    assert SequenceData("a.fa", negatives="shuffled").spec["target"]["classes"] == ["negative", "positive"]
    frame = SequenceData("a.fa").frame()  # to predict
    assert frame.index[0] == name
    assert list(frame) == ["record", "sequence"]
    assert "taken as label" not in caplog.text


def test_a_number_in_a_header_is_a_target_if_the_user_says_so(records: pd.DataFrame, here: Path) -> None:
    headed(records, ">r{i} chr1:{i}00-{i}30(+) {i}")
    data = SequenceData("a.fa", target_kind="regression")
    assert data.spec["target"]["kind"] == "regression"
    assert data.dataset.y.tolist() == list(range(120))


def test_a_new_file_has_the_labels_of_the_training(records: pd.DataFrame, here: Path) -> None:
    headed(records, ">r{i}|{c}")
    spec = SequenceData("a.fa").spec
    Path("new.fa").write_text(f">a|free\n{'A' * 30}\n>b|bound\n{'C' * 30}\n>c|free\n{'AC' * 15}\n")
    data = SequenceData("new.fa").conform(spec, external=True)
    assert data.dataset.y.tolist() == [0, 1, 0]
    Path("new.fa").write_text(f">a|free\n{'A' * 30}\n>b|other\n{'C' * 30}\n")
    with pytest.raises(InputError, match="'other' is not one of the classes free, bound"):
        _ = SequenceData("new.fa").conform(spec, external=True).dataset


def test_fasta_as_it_occurs(records: pd.DataFrame, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Byte-order mark, comments, CRLF, empty lines, positions, lower case, RNA, final ``*`` and gzip of any name."""
    lines = [
        f">{name} {label}\r\n;a comment\r\n 1 {text[:10].lower()} {text[10:20]}\r\n\r\n21 {text[20:]}*\r\n"
        for name, text, label in zip(
            ["0001", "1E1", "NA", *records["name"][3:]],
            records["sequence"].str.replace("T", "U"),
            records["label"],
            strict=True,
        )
    ]
    content = ("\ufeff; made by hand\r\n" + "".join(lines)).encode()
    members = gzip.compress(content[:1000]) + gzip.compress(content[1000:]) + gzip.compress(b"")
    wide = content.decode().encode("utf-16-le")  # as Windows saves 'Unicode' text
    known = {"a.fa": content, "b.fa": members, "c.FASTA.gz": members, "d.fa.bgz": members, "e.fa": wide}
    for name, whole in known.items():
        Path(name).write_bytes(whole)
        caplog.clear()
        with caplog.at_level(logging.INFO, "zoo"):
            data = SequenceData(name)
            assert dna_text(data.dataset.x[torch.arange(120)]) == records["sequence"].tolist()
        assert data.samples.index[:4].tolist() == ["0001", "1E1", "NA", "s3"]
        for said in ("digits and blanks inside", "'*' at the end of 120", "U (RNA) is read as T"):
            assert f"{name}: " in caplog.text
            assert said in caplog.text


SHORT = "".join(
    f">{i}|{'xy'[i % 2]}\n{a}{b}{c}{d}\n" for i, (a, b, c, d) in enumerate(product("ACGT", repeat=4))
).encode()
WRONG: dict[str, tuple[str, bytes, list[str], list[str]]] = {
    # fault: (file, content, options, words of the error)
    "protein": (
        "a.fa",
        b">a|x\nMKLVEFPQ\n>b|y\nACGTACGT\n>c|x\nACGTAAAA\n>d|y\nACGTACCC\n",
        [],
        ["record 'a'", "position 3", "protein"],
    ),
    "proteins": ("p.faa", b">a|x\nMKVAST\n>b|y\nDHRKVSMW\n", [], ["p.faa", "look like proteins"]),
    "letters of proteins": ("p.fa", b">a|x\nMKLVEF\n>b|y\nDHRKQ\n", [], ["proteins (E, F, L, Q)"]),
    "fastq": ("r.fastq.gz", gzip.compress(b"@r1\nACGT\n+\nIIII\n"), [], ["this is FASTQ", "seqtk seq -A"]),
    "fastq called fasta": ("r.fa", b"@r1\nACGT\n+\nIIII\n", [], ["this is FASTQ"]),
    "genbank": ("r.gb", b"LOCUS       X 4 bp DNA\nORIGIN\n 1 acgt\n//\n", [], ["this is GenBank", "SeqIO.convert"]),
    "repeated name": ("a.fa", b">a x\nACGT\n>a y\nACGA\n", [], ["2 records are named 'a'"]),
    "no name": ("a.fa", b">a|x\nACGT\n> \nACGA\n", [], ["record 2 has no name"]),
    "gap": ("a.fa", b">a|x\nACGT\n>b|y\nAC-T\n>c|x\nACGA\n>d|y\nACGC\n", [], ["position 3", "gap"]),
    "empty record": ("a.fa", b">a|x\nACGT\n>b|y\n>c|y\nACGT\n", [], ["'b|y'", "empty"]),
    "no label": ("a.fa", b">a|x\nACGT\n>b\nACGT\n>c|y\nACGT\n", [], ["'b'", "no label"]),
    "no label at all": ("a.fa", b">a\nACGT\n>b\nACGT\n", [], ["no column 'label'", "a.fa"]),
    "bad pattern": ("a.fa", b">a|x\nACGT\n", ["--data.label=(("], ["'(('", "regular expression"]),
    "no fasta": ("a.fa", b"ACGT\n", [], ["begins with '>'"]),
    "empty file": ("a.fa", b"", [], ["empty"]),
    "lengths": (
        "a.fa",
        b">a|x\nACGT\n>b|y\nACGTA\n>c|x\nACGT\n>d|y\nACGT\n",
        [],
        ["3 of 4, 1 of 5", "--data.length 4"],
    ),
    "short": ("a.fa", SHORT, [], ["too short", "needs 16"]),
    "sequence column": (
        "a.csv",
        b"seq,label\nACGT,x\nACGA,y\nACCC,x\nGGGG,y\n",
        ["--data.target=label"],
        ["'sequence'", "known: seq"],
    ),
    "no sequence": (
        "a.csv",
        b"sequence,label\nACGT,x\n,y\nACGA,y\nCCC,x\n",
        ["--data.target=label"],
        ["row 2", "no sequence"],
    ),
    "empty folder": ("classes/readme.txt", b"", ["--data.path=classes"], ["no FASTA files", "by class"]),
    "shift": ("a.fa", b">a|x\nACGT\n", ["--data.shift=-1"], ["shift must be at least 0"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_sequences(case: str, here: Path, zoo_fails: Callable[..., str]) -> None:
    file, content, options, words = WRONG[case]
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_bytes(content)
    target = [] if file.endswith(".csv") else ["--data.target=label"]
    error = zoo_fails("fit", "--config", "cnn1d_motif", f"--data.path={file}", *target, *options)
    assert [word for word in words if word not in error] == []
    assert not Path("runs").exists()


INTERVALS: dict[str, tuple[str, list[str], list[str]]] = {
    "beyond its chromosome": ("chr1\t2990\t3020\tpeak\n", [], ["a.bed, line 1", "chr1", "3000"]),
    "unknown chromosome": ("1\t100\t130\tpeak\n", [], ["line 1", "'1'", "did you mean chr1"]),
    "lengths": ("chr1\t100\t130\tpeak\nchr1\t100\t140\tpeak\n", [], ["1 of 30, 1 of 40"]),
    "reversed": ("chr1\t130\t100\tpeak\n", [], ["line 1", "not before"]),
    "chromosome without intervals": (
        "chr1\t100\t130\tpeak\n",
        ["--data.validation_chromosomes=[chr1]", "--data.test_chromosomes=[chr9]"],
        ["'chr9'"],
    ),
    "half of a split": ("chr1\t100\t130\tpeak\n", ["--data.test_chromosomes=[chr1]"], ["give both"]),
}


@pytest.mark.parametrize("case", INTERVALS)
def test_bad_intervals(case: str, genome: dict[str, str], zoo_fails: Callable[..., str]) -> None:
    content, options, words = INTERVALS[case]
    Path("a.bed").write_text(content)
    fit = ["fit", "--config", "cnn1d_motif", "--data=IntervalData", "--data.path=a.bed", "--data.genome=genome.fa"]
    error = zoo_fails(*fit, *options)
    assert [word for word in words if word not in error] == []

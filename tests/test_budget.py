"""Memory is estimated before it is taken, and files are compared with what their headers state."""

import gzip
import io
import os
import resource
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import torch
import wfdb
from PIL import Image

from zoo import budget, cli, files, runs
from zoo.data import SeriesData, TableData
from zoo.data.arrays import arrays_of
from zoo.data.image.files import read_arrays
from zoo.data.sequence.bed import read_bed
from zoo.data.sequence.fasta import read_fasta
from zoo.data.sequence.vcf import read_vcf
from zoo.data.series.files import read_series
from zoo.encode.image_file import read_image
from zoo.errors import InputError
from zoo.tables import read_table

MORE = 2500 << 20  # bytes that a test may take beyond what the process has


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def limited() -> Iterator[None]:
    """A limit of memory, beyond which an allocation fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + MORE, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_exceeds_the_memory_is_refused_with_its_size(limited: None) -> None:
    assert 0 < budget.available() <= 0.8 * MORE
    budget.check(MORE / 4, "a", "b")
    assert "a would take 5,000 GB of memory, " in (message := refusal(lambda: budget.check(5e12, "a", "lower --n")))
    assert message.endswith("GB can be used here; lower --n")


def npy(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    """Header of an array, and a few values."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(64)


def npz(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", content)
    return file.getvalue()


def large_member(content: bytes) -> bytes:
    """A ``.npz`` of which the directory states 4 GB."""
    whole = bytearray(npz(content))
    at = whole.index(b"PK\x01\x02")
    whole[at + 24 : at + 28] = struct.pack("<I", 4_000_000_000)
    return bytes(whole)


ARRAYS = {
    "long npy": ("a.npy", npy((10**12,)), "states 8,000,000,000,000 bytes, there are 64"),
    "long npz": ("a.npz", npz(npy((10**6, 10**6))), "array 'x' is damaged"),
    "large npz": ("a.npz", large_member(npy((499_000_000,))), "would take 4.0 GB"),
    "negative": ("a.npz", npz(npy((-4, -2))), "states the shape (-4, -2)"),
    "no bytes": ("a.npz", npz(npy((10**12,), "|V0")), "states the shape (1000000000000,)"),
    "objects": ("a.npz", npz(npy((2,), "|O")), "holds Python objects"),
    "no array": ("a.npz", npz(b""), "cannot be read as npz"),
    "cut off": ("a.npy", npy((8,))[:20], "cannot be read as npy"),
    "gzip of a long one": ("a.npy.gz", gzip.compress(npy((10**12,))), "there are 64"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_headers_of_arrays_are_compared_with_the_file(case: str, here: Path, limited: None) -> None:
    name, content, expected = ARRAYS[case]
    Path(name).write_bytes(content)
    assert expected in refusal(lambda: arrays_of(Path(name)))
    if name == "a.npz":
        assert expected in refusal(lambda: read_arrays(Path(name)))
    assert expected in refusal(lambda: read_series(Path(name)))


def test_arrays_are_read_as_they_were_written(here: Path) -> None:
    written = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(["x", "yz"]), "none": np.empty((0, 4))}
    np.savez_compressed("a.npz", **written)
    read = arrays_of(Path("a.npz"))
    assert list(read) == list(written)
    for name, array in written.items():
        np.testing.assert_array_equal(read[name], array)
    Path("b.npy.gz").write_bytes(gzip.compress(npy((2, 4))))
    assert arrays_of(Path("b.npy.gz"))["x"].shape == (2, 4)


BEGINNINGS = {
    "a.fa.gz": (read_fasta, b">a one\n", b"A" * 79 + b"\n"),
    "a.bed.gz": (read_bed, b"", b"chr1\t1\t9\n"),
    "a.vcf.gz": (
        read_vcf,
        b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n",
        b"chr1\t1\t.\tA\tC\t.\t.\t.\n",
    ),
    "a.ts.gz": (read_series, b"@data\n", b"1,1,1,1,1\n"),
    "a.csv.gz": (read_table, b"a,b\n", b"1,1\n"),
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_gzip_that_grows_without_end_is_refused(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_UNPACKED", 1 << 22)
    read, beginning, line = BEGINNINGS[name]
    path = Path(name)
    path.write_bytes(gzip.compress(beginning + line * ((40 << 20) // len(line))))
    message = refusal(lambda: read(path))
    assert "over 200 times as much" in message
    assert f"gunzip -k {name}" in message
    path.write_bytes(gzip.compress(beginning + line * 50)[:-12])
    assert f"{name}: cannot be read" in refusal(lambda: read(path))


def test_gzip_is_read_in_any_order(here: Path) -> None:
    content = bytes(np.random.default_rng(0).integers(0, 9, 300_000, dtype=np.uint8))
    Path("a.gz").write_bytes(gzip.compress(content[:1000]) + gzip.compress(content[1000:]))
    with files.opened(Path("a.gz")) as file:
        assert file.seek(0, io.SEEK_END) == len(content)
        file.seek(250_000)
        assert file.read(5) == content[250_000:250_005]
        file.seek(3)
        assert file.read() == content[3:]


def test_what_is_not_a_regular_file_is_refused(here: Path) -> None:
    os.mkfifo("pipe.png")
    os.mkfifo("pipe.fa")
    Path("folder.png").mkdir()
    Path("loop.fa").symlink_to("loop.fa")
    assert "not a regular file, but a pipe" in refusal(lambda: read_image(Path("pipe.png")))
    assert "not a regular file, but a folder" in refusal(lambda: read_image(Path("folder.png")))
    assert "not a regular file, but a pipe" in refusal(lambda: read_fasta(Path("pipe.fa")))
    assert "not a regular file, but a device" in refusal(lambda: read_bed(Path("/dev/zero")))
    assert "'loop.fa' cannot be read" in refusal(lambda: files.regular(Path("loop.fa")))
    assert files.regular(Path("absent")) == Path("absent")


def nifti(name: str, dimensions: tuple[int, ...]) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), np.float32), np.eye(4)), "whole.nii")
    content = bytearray(Path("whole.nii").read_bytes())
    content[40:56] = struct.pack("<8h", len(dimensions), *dimensions, *[1] * (7 - len(dimensions)))
    Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def test_sizes_of_images_are_compared_with_their_files(here: Path, limited: None) -> None:
    for name in ("a.nii", "a.nii.gz"):
        nifti(name, (20_000, 20_000, 20_000))
        assert f"{name}: truncated, or not an image" in refusal(lambda name=name: read_image(Path(name)))
        nifti(name, (-2, 3, 4))
        refusal(lambda name=name: read_image(Path(name)))
    tifffile.imwrite("a.tif", shape=(64, 64), dtype=np.uint8, photometric="minisblack")
    content = Path("a.tif").read_bytes()
    Path("a.tif").write_bytes(content[:-2000])
    assert "shape (64, 64) needs 4,096 bytes" in refusal(lambda: read_image(Path("a.tif")))
    Image.new("L", (9000, 9000)).save("a.png", compress_level=1)
    assert "an image of shape (9000, 9000)" in _with_available(1 << 28, lambda: read_image(Path("a.png")))


def _with_available(size: int, call: Callable[[], object]) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "available", lambda: size)
        return refusal(call)


@pytest.fixture
def record(here: Path) -> Path:
    wave = np.sin(np.arange(1000) / 9)[:, None]
    wfdb.wrsamp("a", fs=100, units=["mV"], sig_name=["II"], p_signal=wave, fmt=["16"], write_dir=str(here))
    wfdb.wrann("a", "atr", np.array([200, 400, 600]), ["N", "V", "N"], write_dir=str(here))
    return here / "a.hea"


def test_records_are_compared_with_their_files(record: Path, limited: None, caplog: pytest.LogCaptureFixture) -> None:
    header = record.read_text()
    assert len(SeriesData(str(record.parent)).frame()) == 3
    record.write_text(header.replace("a 1 100 1000", "a 1 100 1000000000000"))
    assert "1,000,000,000,000 samples" in refusal(lambda: SeriesData(str(record.parent)).frame())
    record.write_text(header.replace("a.dat", "../a.dat"))
    refusal(lambda: SeriesData(str(record.parent)).frame())
    record.write_text(header)
    (record.parent / "b.hea").write_text(header.replace("a 1 ", "b 1 "))
    wfdb.wrann("b", "atr", np.array([200]), ["+"], write_dir=str(record.parent))
    caplog.clear()
    assert len(SeriesData(str(record.parent)).frame()) == 3
    assert "b.hea: no annotation 'atr' marks a beat" in caplog.text
    (record.parent / "b.atr").write_bytes(b"")
    assert "b.atr: the file is empty" in refusal(lambda: SeriesData(str(record.parent)).frame())


def test_a_rate_far_from_that_of_the_series_is_refused(record: Path) -> None:
    message = refusal(lambda: SeriesData(str(record.parent), resample=1e-9).frame())
    assert "resample 1e-09 Hz is too far from the sampling rate of 100 Hz" in message


COMMANDS = {
    "hidden": ("fit mlp_pima --model.hidden=[1000000000000]", "training MLP would take at least", "--model.hidden"),
    "beyond 64 bits": (f"fit mlp_pima --model.hidden=[{10**25}]", "more weights than any memory", "--model.hidden"),
    "filters": ("fit cnn1d_motif --model.filters=[100000000]", "training CNN1D", "--model.filters"),
    "depth": (
        "fit vitgan_digits --model.depth=1000000000 --model.width=256",
        "training ViTGAN would take at least",
        "--model.depth",
    ),
    "bases": ("fit cnn1d_motif --data.length=1000000000000", "1,000,000,000,000 bases", "--data.length"),
    "time points": (
        "fit cnn2d_ecg200 --data.length=1000000000000 --data.path=ecg_beats_simulated",
        "",
        "--data.length",
    ),
    "pixels": ("fit cnn2d_digits --data.size=[100000,100000]", "100000 x 100000 pixels", "--data.size"),
    "samples": ("synthesise tabulargan_pima --n 100000000000 --output a.csv", "100,000,000,000 samples", "lower --n"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_commands_refuse_what_does_not_fit(
    case: str, here: Path, limited: None, capsys: pytest.CaptureFixture[str]
) -> None:
    words, what, option = COMMANDS[case]
    with pytest.raises(SystemExit) as caught:
        cli.main(words.split())
    assert caught.value.code == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert what in error
    assert option in error
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), InputError("a: b")],
)
def test_a_shortage_that_still_happens_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: list[str]) -> None:
        raise error

    monkeypatch.setattr(cli, "dispatch", fail)
    with pytest.raises(SystemExit, match="2"):
        cli.main([])
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_batch_is_no_larger_than_the_samples(here: Path) -> None:
    data = TableData("pima", batch_size=10**21)
    assert len(next(iter(data.train_dataloader()))["y"]) == len(data.training)
    assert len(next(iter(data.val_dataloader()))["y"]) == len(data.dataset.rows("validation"))


def test_outputs_of_the_layers_of_a_batch_are_counted(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "NEGLIGIBLE", 0)
    real, asked = budget.available, list[float]()
    monkeypatch.setattr(budget, "check", lambda size, what, option: asked.append(size) if "batch" in what else None)
    runs.fit("mlp_pima", "--trainer.max_epochs=1", "--data.batch_size=64")
    assert real() > 0
    assert asked[0] >= 2 * 4 * 64 * (64 + 32)  # outputs and gradients of the hidden layers


def test_the_state_of_the_generator_is_kept() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    budget.check_parameters(lambda: torch.nn.Linear(3, 4), "a", "b")
    assert torch.equal(before, torch.get_rng_state())

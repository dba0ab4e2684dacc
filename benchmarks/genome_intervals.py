"""Intervals of a large genome: time to index, speed of random batches, and memory.

Writes a random genome of 24 chromosomes and 1.2 million intervals of 200 bases into a temporary folder, then reads all
of them in random batches of 256, as training does, half of them from the minus strand. pyfaidx's own reading of a
sample stands beside it. Memory is the peak of the process that reads, which must stay below 2 GB; it includes the
libraries, which are also shown separately. The genome has just been written, so that it is in the page cache if there
is enough memory.

Run: ``python benchmarks/genome_intervals.py --gigabases 3``
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _common import parser, smoke

CHROMOSOMES, LINE, LENGTH, BATCH = 24, 60, 200, 256
LINES = 1 << 18  # written at a time
SAMPLE = 20_000  # read by pyfaidx


def write_genome(path: Path, gigabases: float) -> dict[str, int]:
    """Random bases, the first of 24 chromosomes five times as long as the last, as in humans; returns their sizes."""
    rng = np.random.default_rng(0)
    shares = np.linspace(5, 1, CHROMOSOMES)
    lines = {f"chr{i}": int(share * gigabases * 1e9 / LINE) for i, share in enumerate(shares / shares.sum(), 1)}
    with path.open("wb") as file:
        for name, number in lines.items():
            file.write(f">{name}\n".encode())
            for begin in range(0, number, LINES):
                block = np.full((min(LINES, number - begin), LINE + 1), ord("\n"), np.uint8)
                letters = rng.integers(4, size=(len(block), LINE), dtype=np.uint8)
                block[:, :LINE] = np.frombuffer(b"ACGT", np.uint8)[letters]
                file.write(block.data)
    return {name: number * LINE for name, number in lines.items()}


def write_intervals(path: Path, sizes: dict[str, int], number: int) -> None:
    """Random intervals on either strand."""
    rng = np.random.default_rng(1)
    lengths = np.array(list(sizes.values()))
    chosen = rng.choice(len(sizes), number, p=lengths / lengths.sum())
    start = rng.integers(lengths[chosen] - LENGTH)
    frame = pd.DataFrame({"chromosome": np.array(list(sizes))[chosen], "start": start, "end": start + LENGTH})
    frame["name"] = rng.choice(["peak", "background"], number)
    frame["score"], frame["strand"] = 0, rng.choice(["+", "-"], number)
    frame.to_csv(path, sep="\t", header=False, index=False)


def peak() -> float:
    """Most memory that this process has had resident, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def report(what: str, seconds: float, further: str = "") -> None:
    """A line of the table."""
    print(f"{what:<34} {seconds:>8.2f} s   {peak():>5.2f} GB   {further}", flush=True)


def measure(genome_path: Path, bed_path: Path) -> None:
    """Print the table; runs in a process of its own, whose memory is that of the reading alone."""
    begin = time.perf_counter()
    import pyfaidx

    from zoo.data import IntervalData
    from zoo.data.sequence.genome import Genome

    print(f"{'':<34} {'time':>10}   peak memory")
    report("libraries imported", time.perf_counter() - begin)
    begin = time.perf_counter()
    Genome(genome_path)
    report("index made", time.perf_counter() - begin)
    begin = time.perf_counter()
    Genome(genome_path)
    report("index read", time.perf_counter() - begin)
    begin = time.perf_counter()
    data = IntervalData(str(bed_path), str(genome_path), batch_size=BATCH)
    samples = data.samples
    report("intervals read, checked and split", time.perf_counter() - begin, f"{len(samples)} intervals")
    for epoch in (1, 2):
        begin, seen = time.perf_counter(), 0
        for batch in data.train_dataloader():
            seen += len(batch["y"])
        seconds = time.perf_counter() - begin
        each = f"{seen / seconds:,.0f} intervals/s, {1000 * seconds / seen * BATCH:.2f} ms a batch of {BATCH}"
        report(f"training batches, epoch {epoch}", seconds, each)
    order = np.random.default_rng(2).permutation(len(samples))
    starts, minus = samples["start"].to_numpy(), (samples["strand"] == "-").to_numpy()
    reference, names = pyfaidx.Fasta(str(genome_path)), samples["chromosome"].to_numpy()
    begin = time.perf_counter()
    for row in order[:SAMPLE]:
        window = reference[names[row]][int(starts[row]) : int(starts[row]) + LENGTH]
        _ = (-window if minus[row] else window).seq
    seconds = time.perf_counter() - begin
    report(f"pyfaidx, {SAMPLE} intervals", seconds, f"{SAMPLE / seconds:,.0f} intervals/s, letters")


def main() -> None:
    """Write the files and measure."""
    small = smoke(globals(), "--gigabases=0.0005", "--intervals=2000", SAMPLE=100)
    command = parser(__doc__)
    command.add_argument("--gigabases", type=float, default=3)
    command.add_argument("--intervals", type=int, default=1_200_000)
    command.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = command.parse_args()
    if options.measure:
        return measure(*options.measure)
    with tempfile.TemporaryDirectory() as folder:
        genome, bed = Path(folder) / "genome.fa", Path(folder) / "intervals.bed"
        free = shutil.disk_usage(folder).free / 1e9
        if free < (needed := options.gigabases * 1.1 + 1):
            sys.exit(
                f"error: {folder} has {free:.1f} GB free, {needed:.1f} GB are needed; set TMPDIR to another folder"
            )
        write_intervals(bed, write_genome(genome, options.gigabases), options.intervals)
        print(f"genome of {genome.stat().st_size / 1e9:.2f} GB, intervals of {bed.stat().st_size / 1e6:.0f} MB")
        if small:  # in one process: the memory is not that of the reading alone
            return measure(genome, bed)
        subprocess.run([sys.executable, __file__, "--measure", str(genome), str(bed)], check=True)
    return None


if __name__ == "__main__":
    main()

"""Processor time and memory of wide and long tables: 50,000 columns x 200 rows, and 1,000,000 rows x 20 columns.

The wide table is read, trained on for 2 epochs, and predicted. The long one is predicted by a model of its first 2,000
rows, in parts.

Run: ``python benchmarks/wide_and_long.py``
"""

import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _common import smoke

WIDE, LONG = (200, 50_000), (1_000_000, 18)  # rows, columns of numbers
SAMPLE = 2000  # rows of the long table that train its model


def write(path: Path, rows: int, columns: int) -> Iterator[int]:
    """A table of random numbers, a name and a class; yields the number of rows so far, now and then."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "y", *(f"x{number}" for number in range(columns))])
        for row in range(rows):
            values = rng.normal(size=columns).round(3).tolist()
            writer.writerow([f"{row:07d}", row % 2, *values])
            if row + 1 in (SAMPLE, rows):
                file.flush()
                yield row + 1


def run(folder: Path, *words: str) -> tuple[float, float]:
    """CPU seconds and peak memory in GB of one command in a folder."""
    with subprocess.Popen([sys.executable, "-m", "zoo", *words], cwd=folder, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"zoo {' '.join(words)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6


def show(what: str, found: tuple[float, float]) -> None:
    """One line."""
    print(f"{what:40} {found[0]:6.1f} CPU s {found[1]:6.2f} GB", flush=True)


def main() -> None:
    """Print time and memory of each command."""
    smoke(globals(), short=False, WIDE=(40, 50), LONG=(300, 4), SAMPLE=100)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        options = ["--data.target=y", "--data.id=id", "--trainer.max_epochs=2"]
        for _ in write(folder / "wide.csv", *WIDE):
            pass
        size = " x ".join(f"{number:,}" for number in WIDE)
        show(f"{size}: fit, 2 epochs", run(folder, "fit", "--config=mlp_pima", "--data.path=wide.csv", *options))
        told = run(folder, "predict", "--config=runs/mlp_pima/1", "--data.path=wide.csv", "--output=p.csv")
        show(f"{size}: predict", told)
        for count in write(folder / "long.csv", *LONG):
            if count == SAMPLE:
                (folder / "sample.csv").write_bytes((folder / "long.csv").read_bytes())
        run(folder, "fit", "--config=mlp_pima", "--data.path=sample.csv", *options)
        told = run(folder, "predict", "--config=runs/mlp_pima/2", "--data.path=long.csv", "--output=p.csv")
        show(f"{' x '.join(f'{number:,}' for number in LONG)}: predict", told)


if __name__ == "__main__":
    main()

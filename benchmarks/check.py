"""CPU time of ``zoo check`` on each packaged data set and a table of 50,000 columns, beside that of ``import pandas``.

Run: ``python benchmarks/check.py``
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from _common import smoke

from zoo import files

RUNS, ROWS, COLUMNS = 5, 200, 50_000
SETS = [name for name in files.datasets() if not {"fetch", "download", "package"} & files.card(name).keys()]


def seconds(words: list[str]) -> float:
    """Median of several runs: CPU seconds of the process, which depend less on what else runs than its run time."""
    times = []
    for _ in range(RUNS):
        before = os.times()
        subprocess.run([sys.executable, *words], capture_output=True, check=True)
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return statistics.median(times)


def main() -> None:
    """Print the medians, also relative to ``import pandas``."""
    smoke(globals(), short=False, RUNS=1, COLUMNS=100, SETS=SETS[:2])
    base = seconds(["-c", "import pandas"])
    print(f"import pandas                   {base:6.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        wide = Path(folder) / "wide.csv"
        values = np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).round(3)
        pd.DataFrame(values).add_prefix("feature_").assign(y=["a", "b"] * (ROWS // 2)).to_csv(wide, index=False)
        for name, words in {**{s: [s] for s in SETS}, f"{ROWS} x {COLUMNS}": [str(wide), "--target", "y"]}.items():
            taken = seconds(["-m", "zoo", "check", *words])
            print(f"zoo check {name:22}{taken:6.2f} s {taken / base:6.1f} x", flush=True)


if __name__ == "__main__":
    main()

"""Run time of commands, median of 10: commands that must not import torch, and one that does.

Run: ``python benchmarks/startup.py``
"""

import statistics
import subprocess
import sys
import time

from _common import smoke

RUNS = 10
COMMANDS = (["--help"], ["list"], ["show", "mlp_pima"], ["fit", "--config", "mlp_pima", "--print_config"])


def seconds(words: list[str]) -> float:
    """One run."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "zoo", *words], capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the medians."""
    smoke(globals(), short=False, RUNS=1, COMMANDS=COMMANDS[:-1])
    for words in COMMANDS:
        times = [seconds(words) for _ in range(RUNS)]
        print(f"zoo {' '.join(words):40} {statistics.median(times):6.3f} s")


if __name__ == "__main__":
    main()

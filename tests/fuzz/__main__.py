"""``python -m tests.fuzz [--first SEED] [--count N] [SEED ...]``: a table of outcomes; with seeds, what happened."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for conftest, as pytest does

from fuzz.trial import BAD, Trials


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", type=int, nargs="*")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1500)
    options = parser.parse_args()
    table: Counter[tuple[str, str]] = Counter()
    failed: list[int] = []
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(Path(folder))
        for seed in options.seeds or range(options.first, options.first + options.count):
            outcome = trials.run(seed)
            table[outcome.reader, outcome.kind] += 1
            failed += [seed] * (outcome.kind in BAD)
            if options.seeds:
                print(f"{seed}: {outcome.kind}: {outcome.reader}: {outcome.text}", flush=True)
            elif outcome.kind in BAD:
                said, *rest = outcome.text.splitlines()
                line = next((line for line in reversed(rest[:-1]) if line.strip()), "")
                print(
                    f"{seed}: {outcome.kind}: {outcome.reader}: {said[:160]}: {line[:200]} {rest[-1][:100]}", flush=True
                )
    kinds = ["ok", "refused", *BAD]
    total = Counter(kind for _, kind in table.elements())
    print("", f"{'':28}" + "".join(f"{kind:>14}" for kind in kinds), sep="\n")
    for reader in sorted({reader for reader, _ in table}):
        print(f"{reader:28}" + "".join(f"{table[reader, kind] or '':>14}" for kind in kinds))
    print(f"{'all':28}" + "".join(f"{total[kind]:>14}" for kind in kinds))
    print(f"{total.total()} inputs in {time.monotonic() - begin:.0f} s")
    if failed:
        print("repeat one alone: python -m tests.fuzz", *failed)
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())

"""Runs that are killed and resumed: the weights are those of a run that was not killed, bit for bit.

Three recipes of small size (a classifier, a generative adversarial network, a variational autoencoder of counts) are
trained once without interruption, then killed by SIGKILL again and again and resumed until they are done: half of the
times at a random moment, half at a random one of all writes to the disk: before, in, or after it, so that the writes of
every stage are met. Early stopping ends the first of them. Compared are all tensors of the best and the last checkpoint
with the states of optimisers and schedules, and the metrics, scores and predictions.

The runs lie in the folder for temporary files, then on another file system than that (``/dev/shm``), and on a full disk
(a tmpfs that is too small for the third checkpoint and is enlarged then; needs root).
"""

import math
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _common import cheap_reports, parser, smoke

os.environ["OMP_NUM_THREADS"] = "1"  # equal results need equal numbers of threads
KILLS, SHM, MOST_TRIES = 50, Path("/dev/shm"), 5
RUNS = {  # each trains a few seconds
    "mlp_pima": ["--trainer.max_epochs=200", "--early_stopping.patience=8"],
    "tabulargan_pima": [
        "--trainer.max_epochs=20",
        "--model.hidden=[16]",
        "--model.discriminator_hidden=[16]",
        "--model.discriminator_steps=1",
    ],
    "vae_expression": ["--trainer.max_epochs=12", "--model.hidden=[16]", "--model.latent=4"],
}
TABLES = ("metrics.csv", "scores.csv", "predictions.csv")
PROCESSES = multiprocessing.get_context("forkserver")  # each run is a fork of one process that imported everything
PROCESSES.set_forkserver_preload(["zoo.runs", "zoo.cli", "sklearn.ensemble", "matplotlib.pyplot", "pyarrow"])


def fit(folder: str, words: list[str], write: int | None, moment: str) -> None:
    """Run ``zoo fit`` in a folder, in a process of its own.

    Args:
        folder: Current folder.
        words: Options.
        write: Number of the write to the disk at which the process kills itself, or None.
        moment: ``"before"``, ``"in"`` or ``"after"`` this write.
    """
    os.chdir(folder)
    with open("log.txt", "a") as file:  # noqa: PTH123
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import torch

    from zoo import files
    from zoo.cli import main

    torch.set_num_threads(1)
    cheap_reports()  # they are compared, but need not be good
    replacing, made = files.replacing, 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def counted(path: Path) -> Iterator[Path]:
        nonlocal made
        made += 1
        here = made == write
        if here and moment == "before":
            die()
        with replacing(path) as temporary:
            yield temporary
            if here and moment == "in":
                os.truncate(temporary, temporary.stat().st_size // 2)
                die()
        if here:
            die()

    files.replacing = counted
    main(["fit", *words, "--trainer.accelerator=cpu"])
    Path("writes.txt").write_text(str(made))


def started(folder: Path, words: list[str], write: int | None = None, moment: str = "") -> Any:
    """A process that runs ``zoo fit``."""
    folder.mkdir(parents=True, exist_ok=True)
    process = PROCESSES.Process(target=fit, args=(str(folder), words, write, moment))
    process.start()
    return process


def run_of(folder: Path) -> Path | None:
    """The newest run in a folder, or None."""
    runs = sorted(folder.glob("runs/*/*/config.yaml"), key=lambda path: int(path.parent.name))
    return runs[-1].parent if runs else None


def resume(folder: Path, words: list[str]) -> str:
    """Resume a run, or start over where the message says so; returns what was done."""
    done = []
    for _ in range(MOST_TRIES):
        run = run_of(folder)
        resumed = run is not None and "start over" not in said(folder, 1)
        (folder / "log.txt").unlink(missing_ok=True)
        process = started(folder, ["--config", str(run), "--ckpt_path", "last"] if resumed else words)
        process.join()
        done.append("resumed" if resumed else "started over")
        if process.exitcode == 0:
            return done[-1]
        if "start over" not in said(folder, 1):
            break
    return f"failed: {said(folder, 1)}"


def said(folder: Path, lines: int) -> str:
    """The last lines that a run printed."""
    path = folder / "log.txt"
    return "\n".join(path.read_text().splitlines()[-lines:]) if path.is_file() else ""


def difference(whole: Path, run: Path) -> str:
    """What differs between two runs; empty for nothing."""
    import torch

    for name in ("best", "last"):
        a, b = (torch.load(f"{folder}/checkpoints/{name}.ckpt", weights_only=True) for folder in (whole, run))
        for key in ("epoch", "global_step", "state_dict", "optimizer_states", "lr_schedulers"):
            if not same(a[key], b[key]):
                return f"{key} of {name}.ckpt"
    for table in TABLES:
        if (whole / table).read_bytes() != (run / table).read_bytes():
            return table
    if left := [path.name for path in run.rglob("*.tmp*")]:
        return f"left over: {', '.join(left)}"
    return "" if '"done"' in (run / "stage.json").read_text() else "stage"


def same(a: Any, b: Any) -> bool:
    """Whether two nested values are equal, tensors bit for bit."""
    import torch

    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


def killed(root: Path, name: str, whole: Path, seconds: float, draw: random.Random, timed: bool) -> tuple[str, str]:
    """Kill one run and resume it.

    Returns:
        The stage in which it was killed, and what differs from the whole run.
    """
    folder, words = root / "killed", ["--config", name, *RUNS[name]]
    shutil.rmtree(folder, ignore_errors=True)
    if timed:
        process = started(folder, words)
        time.sleep(draw.uniform(0.05, 1) * seconds)
        process.kill()
    else:
        writes = int((whole / "writes.txt").read_text())
        process = started(folder, words, draw.randint(1, writes), draw.choice(["before", "in", "after"]))
    process.join()
    run = run_of(folder)
    stage = (run / "stage.json").read_text().split('"')[3] if run and (run / "stage.json").is_file() else "no folder"
    if stage == "training" and run and not (run / "checkpoints" / "last.ckpt").is_file():
        stage = "first epoch"
    done = resume(folder, words)
    if done.startswith("failed"):
        return stage, done
    reference, run = run_of(whole), run_of(folder)
    assert reference is not None
    return stage, difference(reference, run) if run else "no run"


def rounds(root: Path, kills: int, seed: int) -> None:
    """Kill runs of all recipes below a folder, and print a table."""
    draw, names = random.Random(seed), list(RUNS)
    table: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    wholes, times = {}, {}
    warm = PROCESSES.Process(target=time.sleep, args=(0,))  # the fork server imports everything
    warm.start()
    warm.join()
    for name in names:
        wholes[name] = root / f"whole_{name}"
        start = time.perf_counter()
        process = started(wholes[name], ["--config", name, *RUNS[name]])
        process.join()
        times[name] = time.perf_counter() - start
        if process.exitcode != 0:
            raise SystemExit(f"{name} failed without a kill: {said(wholes[name], 1)}")
    for kill in range(kills):
        name = names[kill % len(names)]
        stage, found = killed(root, name, wholes[name], times[name], draw, timed=kill // len(names) % 2 == 0)
        table[name].setdefault(stage, []).append(found)
        print(f"  {kill + 1}: {name}, killed in {stage}: {found or 'equal'}", flush=True)
    stages = ["no folder", "first epoch", "training", "stopped", "reporting", "done"]
    print(f"{'equal / killed in':18}" + "".join(f"{stage:>13}" for stage in stages) + f"{'all':>10}{'whole run':>12}")
    for name, found in table.items():
        cells = [found.get(stage, []) for stage in stages]
        every = [item for cell in cells for item in cell]
        counts = [f"{cell.count('')} / {len(cell)}" if cell else "-" for cell in cells]
        total = f"{every.count('')} / {len(every)}"
        print(f"{name:18}" + "".join(f"{c:>13}" for c in counts) + f"{total:>10}{times[name]:>10.1f} s", flush=True)


def full_disk(root: Path) -> None:
    """Train on a disk without space for a third checkpoint, enlarge it, and resume."""
    name, disk = "mlp_pima", root / "disk"
    words = ["--config", name, *RUNS[name], "--model.hidden=[400,400]"]  # a checkpoint that is most of what is written
    process = started(root / "whole", words)
    process.join()
    whole = run_of(root / "whole")
    assert whole is not None
    size = (whole / "checkpoints" / "last.ckpt").stat().st_size
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={int(2.5 * size)}", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        print("full disk: skipped, since only root can mount a small file system")
        return
    try:
        process = started(disk, words)
        process.join()
        line, run = said(disk, 1), run_of(disk)
        left = [path.name for path in disk.rglob("*.tmp*")]
        print(f"full disk: exit status {process.exitcode}, left over: {len(left)}; {line.replace(str(disk), '')}")
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        done = resume(disk, words)
        run = run_of(disk)
        found = done if done.startswith("failed") or run is None else difference(whole, run)
        print(f"full disk: {done} after more space; {found or f'equal to the whole run of {name}'}", flush=True)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--kills", type=int, default=KILLS, help=f"number of kills (default: {KILLS})")
    options.add_argument("--seed", type=int, default=0, help="seed of their moments (default: 0)")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{chosen.kills} kills")
        rounds(Path(folder), chosen.kills, chosen.seed)
        full_disk(Path(folder))
    if SHM.is_dir():
        with tempfile.TemporaryDirectory(dir=SHM) as folder:
            few = max(2, chosen.kills // 5)
            print(f"{few} kills with runs on another file system than temporary files")
            rounds(Path(folder), few, chosen.seed + 1)


if __name__ == "__main__":
    small = {"mlp_pima": ["--trainer.max_epochs=20", "--early_stopping.patience=2"]}
    smoke(globals(), "--kills=3", short=False, RUNS=small)
    main()

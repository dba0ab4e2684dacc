"""Trying one case in a forked child of a process that has imported everything, with limits of time and memory."""

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SECONDS, CPU_SECONDS, MEMORY, FILE_SIZE = 90, 45, 3 << 30, 2 << 30
BAD = ("traceback", "hang", "crash", "half-written", "out of memory", "ran code", "unclear", "not made")


@dataclass
class Outcome:
    """What became of a case.

    Attributes:
        kind: ``ok``, ``refused`` or one of `BAD`.
        reader: Kind of input.
        text: The case, and the end of its output.
    """

    kind: str
    reader: str
    text: str
    seconds: float = 0.0


class Trials:
    """A folder with sound files, and a warm process whose children try the cases."""

    def __init__(self, folder: Path) -> None:
        warm()
        self.folder, self.store = folder.resolve(), folder.resolve() / "store"
        status, _, text = forked(self._fill, self.folder / "filled.txt", limited=False)
        if status:
            raise RuntimeError(f"sound files cannot be written: {text}")

    def _fill(self) -> int:
        from zoo import cli

        from .sound import READERS, weights

        for write in dict.fromkeys([*(reader.write for reader in READERS.values()), weights]):
            (place := self.store / write.__name__).mkdir(parents=True)
            os.chdir(place)
            write()
        (place := self.store / "run").mkdir()
        os.chdir(place)
        shutil.copytree(self.store / "tables", ".", dirs_exist_ok=True)
        recipe = ["mlp_pima", "--data.path=t.csv", "--data.target=label", "--data.id=id", "--trainer.max_epochs=2"]
        cli.main(["fit", *recipe])
        cli.main(["test", "runs/mlp_pima/1"])
        cli.main(["crossval", "runs/mlp_pima/1", "--folds=2", "--repeats=1"])
        return 0

    def run(self, seed: int) -> Outcome:
        """Try the case of a seed in an empty folder, which is removed."""
        from .cases import made

        whole = Path(tempfile.mkdtemp(prefix=f"{seed}_", dir=self.folder))
        (place := whole / "in" / "it").mkdir(parents=True)  # what is written outside of the current folder is seen
        before: dict[str, list[int]] = {}
        note = whole.with_suffix(".case")

        def child() -> int:
            os.chdir(place)
            case = made(seed, self.store)
            said = case.call if isinstance(case.call, str) else f"zoo {' '.join(case.call)}"
            note.write_text(f"{case.reader}\n{case.said!r}: {said[:300]!r}", encoding="utf-8", errors="replace")
            note.with_suffix(".before").write_text(json.dumps(snapshot(whole)))
            return called(case.call)

        begin = time.monotonic()
        status, hang, text = forked(child, whole.with_suffix(".out"))
        seconds = time.monotonic() - begin
        try:
            reader, said = note.read_text(encoding="utf-8", errors="replace").split("\n", 1)
            before = json.loads(note.with_suffix(".before").read_text())
        except FileNotFoundError:
            reader, said = "cases", "the case itself cannot be made"
        after = snapshot(whole)
        left = [name for name in after if after[name] != before.get(name)]
        lost = [name for name in before if name not in after]
        kind = "not made" if reader == "cases" else kind_of(status, hang, text, left, lost, place)
        text = f"{said}\n{text[-6000:].strip()}\nleft: {left[:5]} lost: {lost[:5]}"
        for path in (note, note.with_suffix(".before"), whole.with_suffix(".out")):
            path.unlink(missing_ok=True)
        shutil.rmtree(whole, ignore_errors=True)
        return Outcome(kind, reader, text, seconds)


def kind_of(status: int, hang: bool, text: str, left: list[str], lost: list[str], place: Path) -> str:
    errors = [line for line in text.splitlines() if line.startswith("error:")]
    if (place / "RAN").exists():
        return "ran code"
    if hang or status == -signal.SIGXCPU:
        return "hang"
    if "Traceback (most recent call last)" in text:
        memory = "MemoryError" in text or "allocate" in text.splitlines()[-1]
        return "out of memory" if memory else "traceback"
    if status < 0:
        return "crash"
    if any(".tmp" in name or (Path(name).name.startswith(".") and Path(name).name != ".lock") for name in left):
        return "half-written"
    if status == 0:
        return "ok"
    if status != 2 or not errors or len(errors) > 8 or max(map(len, errors)) > 1500:
        return "unclear"
    trained = "training" in errors[0] or "loss" in errors[0] or "checkpoint" in errors[0]
    if lost or [name for name in left if not (trained and name.startswith("in/it/runs"))]:
        return "half-written"
    return "refused"


def snapshot(place: Path) -> dict[str, list[int]]:
    """Size and time of change of every file, and the folders."""
    found = {}
    for folder, folders, names in os.walk(place):
        for name in (*folders, *names):
            status = os.lstat(path := os.path.join(folder, name))  # noqa: PTH118 (fast)
            is_folder = name in folders and not os.path.islink(path)  # noqa: PTH114
            found[os.path.relpath(path, place)] = [0, 0] if is_folder else [status.st_size, status.st_mtime_ns]
    return found


def called(call: list[str] | str) -> int:
    """Run a command line, a reader, or the loading of weights."""
    from zoo import cli

    if isinstance(call, list):
        cli.main(call)
        return 0
    cli.dispatch = lambda _: loaded(call[5:]) if call.startswith("load ") else read(call)
    cli.main([call])
    return 0


def read(name: str) -> None:
    """Read data as a command does before a model is built: spec, split, statistics of a batch."""
    import torch

    from zoo import data as modules
    from zoo import files

    from .sound import READERS

    reader = READERS[name]
    recipe = files.read_yaml(files.config(reader.recipe))["data"]
    kind = getattr(modules, reader.data or recipe["class_path"])
    defaults = {} if reader.data else recipe.get("init_args", {})
    data = kind(**{**defaults, **reader.options})
    _ = data.spec, data.samples, data.split_sha256(), data.describe()
    data.training_inputs()
    assert torch.is_tensor(next(iter(data.train_dataloader()))["y"])


def loaded(folder: str) -> None:
    """Load weights and predict an example."""
    import torch

    import zoo

    model = zoo.load(folder)
    with torch.inference_mode():
        if not torch.isfinite(model(model.encode.example(2))).all():
            raise AssertionError("the output is not finite")


def forked(action, output: Path, limited: bool = True) -> tuple[int, bool, str]:
    """Call in a forked child; its exit status (negative: signal), whether it was stopped, and its output."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setsid()
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1), os.dup2(file, 2), os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            if limited:
                limit()
            status = action()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(BaseException):
                sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)
    end, hang = time.monotonic() + (SECONDS if limited else 600), False
    while not (done := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > end:
            hang = True
            os.killpg(pid, signal.SIGKILL)
            done = os.waitpid(pid, 0)
            break
        time.sleep(0.005)
    text = output.read_text(encoding="utf-8", errors="replace")
    return os.waitstatus_to_exitcode(done[1]), hang, text


def limit() -> None:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    for what, most in (
        (resource.RLIMIT_AS, now + MEMORY),
        (resource.RLIMIT_FSIZE, FILE_SIZE),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most if what != resource.RLIMIT_CPU else most + 5))


def warm() -> None:
    """Import what the cases need, with one thread, and make the reports cheap."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "HF_HUB_OFFLINE"):
        os.environ[name] = "1"
    import anndata.io  # noqa: F401
    import h5py  # noqa: F401
    import nibabel  # noqa: F401
    import odf.opendocument  # noqa: F401
    import openpyxl  # noqa: F401
    import PIL.Image  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import pytest
    import tifffile  # noqa: F401
    import torch
    import wfdb  # noqa: F401
    from conftest import make_cheap

    import zoo.commands
    import zoo.explain
    import zoo.latent
    import zoo.publish
    import zoo.synthesis  # noqa: F401

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    make_cheap(pytest.MonkeyPatch())

"""Runs from the command line: their files, reproducibility, resuming and error messages."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import assert_same, is_shipped, is_untrained, stand_in

import zoo
from zoo import files, weights
from zoo.cli import main
from zoo.data import TableData
from zoo.errors import InputError
from zoo.models import MLP
from zoo.parsing import CLI

pytestmark = pytest.mark.usefixtures("cheap_baselines")
QUICK = ["--config", "mlp_pima", "--trainer.max_epochs=3", "--trainer.accelerator=cpu"]
PATIENTS = files.folder("datasets") / "pima" / "pima.csv"


def state_of(path: str) -> dict[str, torch.Tensor]:
    return weights.read_checkpoint(path)["state_dict"]


def zoo_process(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run python code in a process of its own, in a folder."""
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


def zoo_command(*args: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, in a folder."""
    command = [sys.executable, "-m", "zoo", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", files.recipes())
def test_every_recipe_runs(name: str, here: Path, cheap_report: None) -> None:
    few = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=3", "--trainer.accelerator=cpu"]
    main(["fit", "--config", name, *stand_in(name), *few])
    main(["test", "--config", f"runs/{name}/1"])
    scores = pd.read_csv(f"runs/{name}/1/scores.csv")
    assert set(scores["split"]) == {"train", "validation", "test"}
    assert scores["model"].nunique() >= 2  # ours and the baselines
    assert (Path("runs") / name / "1" / "figures" / "learning_curve.png").stat().st_size > 10_000


def test_a_run_leaves_one_tidy_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", *QUICK])
    left = {str(path.relative_to("runs/mlp_pima/1")) for path in Path("runs/mlp_pima/1").rglob("*") if path.is_file()}
    left = {name for name in left if not name.startswith("events.out.tfevents")}
    figures = {f"figures/{name}.png" for name in ("learning_curve", "roc", "confusion_matrix", "calibration")}
    tables = {"config.yaml", "data.json", "metrics.csv", "scores.csv", "predictions.csv"}
    assert left == figures | tables | {files.BEST, files.LAST, files.LAYERS, files.STAGE, files.LOCK}
    metrics = pd.read_csv("runs/mlp_pima/1/metrics.csv")
    assert metrics["epoch"].tolist() == [0, 1, 2]
    assert {"train_loss", "validation_loss", "validation_roc_auc", "lr"} <= set(metrics)
    predictions = pd.read_csv("runs/mlp_pima/1/predictions.csv")
    assert set(predictions["split"]) == {"train", "validation"}  # the test rows are not looked at by fit
    output = capsys.readouterr().out
    assert "validation" in output
    assert "logistic regression" in output
    main(["test", "--config", "runs/mlp_pima"])  # the newest run
    assert len(pd.read_csv("runs/mlp_pima/1/predictions.csv")) == 768
    assert not list(here.rglob("*.tmp*"))


def failing(model: MLP, data: TableData) -> None:
    """As if weights could not be fetched."""
    raise InputError("no weights")


def test_what_fails_before_training_leaves_no_folder(
    here: Path, zoo_fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "invalid accelerator" in zoo_fails("fit", "mlp_pima", "--trainer.accelerator=foo")
    assert not list(here.iterdir())
    main(["fit", *QUICK, "--trainer.max_epochs=1"])
    assert "trainer:" in zoo_fails("fit", "mlp_pima", "--trainer.devices=0", "--trainer.accelerator=cpu")
    broken = ["--data.balance=weights", "--data.target_kind=regression", "--data.target=age"]
    assert "balance 'weights' is for classes" in zoo_fails("fit", "mlp_pima", *broken)
    monkeypatch.setattr(MLP, "prepare", failing)
    assert "no weights" in zoo_fails("fit", *QUICK)
    assert [str(path) for path in Path("runs").glob("*/*")] == ["runs/mlp_pima/1"]


def test_a_fit_builds_one_trainer(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built, make = [], CLI.make_trainer
    monkeypatch.setattr(CLI, "make_trainer", lambda *args, **changes: built.append(args) or make(*args, **changes))
    main(["fit", *QUICK, "--trainer.max_epochs=1"])
    assert len(built) == 1


def test_saved_config_reproduces_the_run(here: Path) -> None:
    main(["fit", *QUICK, "--model.hidden=[12]", "--data.balance=oversample", "--seed_everything=3"])
    main(["fit", "--config", "runs/mlp_pima/1/config.yaml", "--trainer.default_root_dir=again"])
    assert_same(state_of(f"runs/mlp_pima/1/{files.LAST}"), state_of(f"again/config/1/{files.LAST}"))
    main(["fit", "--config", "runs/mlp_pima/1"])  # the folder will do
    assert_same(state_of(f"runs/mlp_pima/1/{files.LAST}"), state_of(f"runs/mlp_pima/2/{files.LAST}"))
    main(["fit", "--config", "runs/mlp_pima/1", "--seed_everything=4"])
    assert not torch.equal(
        state_of(f"runs/mlp_pima/1/{files.LAST}")["head.weight"],
        state_of(f"runs/mlp_pima/3/{files.LAST}")["head.weight"],
    )


KILLED = """
import os, signal
from zoo.cli import main
from zoo.models import MLP

step = MLP.training_step
def interrupted(self, batch, batch_idx):
    if self.current_epoch == 3 and batch_idx == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, batch_idx)
MLP.training_step = interrupted
main({args!r})
"""
RESUMABLE = ["fit", "--config", "mlp_pima", "--trainer.max_epochs=6", "--trainer.accelerator=cpu"]
RESUMABLE += ["--model.normalisation=batch", "--model.schedule=reduce_on_plateau", "--model.schedule_epochs=1"]
RESUMABLE += ["--model.lr=0.2"]  # high enough for a plateau


def test_killed_run_resumes_to_the_same_weights(here: Path) -> None:
    main([*RESUMABLE, "--trainer.default_root_dir=whole"])
    killed = zoo_process(KILLED.format(args=RESUMABLE), here)
    assert killed.returncode == -signal.SIGKILL
    assert weights.read_checkpoint(f"runs/mlp_pima/1/{files.LAST}")["epoch"] < 3
    main(["fit", "--config", "runs/mlp_pima/1", "--ckpt_path=last"])
    for file in (files.LAST, files.BEST):
        assert_same(state_of(f"whole/mlp_pima/1/{file}"), state_of(f"runs/mlp_pima/1/{file}"))
    whole, continued = (pd.read_csv(f"{root}/mlp_pima/1/metrics.csv") for root in ("whole", "runs"))
    pd.testing.assert_frame_equal(whole, continued)
    assert whole["lr"].iloc[-1] < whole["lr"].iloc[0]


def test_ctrl_c_ends_cleanly_with_the_best_checkpoint_kept(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = MLP.training_step

    def interrupted(self: MLP, batch: Any, index: int) -> Any:
        if self.current_epoch == 3 and index == 5:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, index)

    monkeypatch.setattr(MLP, "training_step", interrupted)
    with pytest.raises(SystemExit) as stop:
        main(RESUMABLE)
    assert stop.value.code == 130
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "stopped by Ctrl-C"
    assert "--ckpt_path last" in caplog.text
    assert weights.from_checkpoint(f"runs/mlp_pima/1/{files.BEST}").spec["target"]["name"] == "diabetes"


STOPPED = [*RESUMABLE, "--early_stopping.patience=2", "--trainer.max_epochs=100"]
HALF_WRITTEN = """
import os, signal
from contextlib import contextmanager
from zoo import files
from zoo.cli import main
replacing = files.replacing
@contextmanager
def half(path):
    with replacing(path) as temporary:
        yield temporary
        if path.name == "last.ckpt":
            os.truncate(temporary, 1000)
            os.kill(os.getpid(), signal.SIGKILL)
files.replacing = half
main({args!r})
"""


class PowerCut(BaseException):
    """As if the process were killed."""


@pytest.mark.parametrize("stage", ["stopped", "reporting", "done"])
def test_a_run_killed_after_early_stopping_reports_and_trains_no_further_epoch(
    stage: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = files.set_stage

    def cut(folder: Path, reached: files.Stage) -> None:
        if reached == stage:
            raise PowerCut
        record(folder, reached)

    monkeypatch.setattr(files, "set_stage", cut)
    with pytest.raises(PowerCut):
        main(STOPPED)
    monkeypatch.setattr(files, "set_stage", record)
    before = Path(f"runs/mlp_pima/1/{files.LAST}").read_bytes()
    epochs = len(pd.read_csv("runs/mlp_pima/1/metrics.csv"))
    assert epochs < 100
    main(["fit", "--config", "runs/mlp_pima/1", "--ckpt_path=last"])
    assert Path(f"runs/mlp_pima/1/{files.LAST}").read_bytes() == before
    assert len(pd.read_csv("runs/mlp_pima/1/metrics.csv")) == epochs
    assert pd.read_csv("runs/mlp_pima/1/scores.csv")["value"].notna().all()
    assert files.stage(Path("runs/mlp_pima/1")) == "done"


def test_a_run_killed_before_its_first_checkpoint_is_marked(here: Path, zoo_fails: Callable[..., str]) -> None:
    killed = zoo_process(HALF_WRITTEN.format(args=RESUMABLE), here)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run = Path("runs/mlp_pima/1")
    assert list(run.glob("checkpoints/.*.tmp*"))
    told = zoo_fails("fit", "--config", str(run), "--ckpt_path=last")
    assert "ended before its first checkpoint" in told
    assert "start over with: zoo fit --config runs/mlp_pima/1" in told
    assert files.stage(run) == "abandoned"
    assert files.run_folder("runs/mlp_pima") is None  # no longer taken for the newest run
    assert not list(run.rglob(".*.tmp*"))
    main(["fit", "--config", str(run), "--trainer.max_epochs=1"])
    assert files.stage(Path("runs/mlp_pima/2")) == "done"


def test_a_run_has_one_writer(here: Path, zoo_fails: Callable[..., str]) -> None:
    main(["fit", *QUICK])
    with files.locked(Path("runs/mlp_pima/1")):
        told = zoo_fails("fit", "--config", "runs/mlp_pima/1", "--ckpt_path=last", "--trainer.max_epochs=5")
    assert "is being written by another process" in told
    assert len(pd.read_csv("runs/mlp_pima/1/metrics.csv")) == 3


def test_a_finished_run_goes_on_with_more_epochs(here: Path, zoo_fails: Callable[..., str]) -> None:
    main(["fit", *QUICK])
    shutil.move("runs", "moved")
    main(["fit", "--config", "moved/mlp_pima/1", "--ckpt_path=last", "--trainer.max_epochs=5"])
    metrics = pd.read_csv("moved/mlp_pima/1/metrics.csv")
    assert metrics["epoch"].tolist() == [0, 1, 2, 3, 4]
    best = weights.read_checkpoint(f"moved/mlp_pima/1/{files.BEST}")
    assert best["epoch"] == metrics["validation_loss"].idxmin()
    main(["fit", *QUICK, "--model.schedule=one_cycle"])
    again = ["fit", "--config", "runs/mlp_pima/1", "--ckpt_path=last"]
    assert "schedule one_cycle of" in (told := zoo_fails(*again, "--trainer.max_epochs=5"))
    assert "was planned for 3 epochs" in told
    assert files.read_yaml(Path("runs/mlp_pima/1/config.yaml"))["trainer"]["max_epochs"] == 3
    main(again)


@pytest.mark.parametrize(
    ("key", "value"), [("loops", {}), ("callbacks", None), ("lr_schedulers", 3), ("optimizer_states", [{}])]
)
def test_a_checkpoint_that_cannot_be_resumed(key: str, value: Any, here: Path, zoo_fails: Callable[..., str]) -> None:
    main(["fit", *QUICK, "--trainer.max_epochs=1"])
    last = f"runs/mlp_pima/1/{files.LAST}"
    torch.save({**weights.read_checkpoint(last), key: value}, last)
    told = zoo_fails("fit", "--config", "runs/mlp_pima/1", "--ckpt_path=last", "--trainer.max_epochs=2")
    assert last in told
    assert "resume from another" in told


def test_what_ends_before_the_first_checkpoint_leaves_no_folder(
    here: Path, zoo_fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "leave it out" in zoo_fails("fit", *QUICK, "--trainer.enable_checkpointing=false")
    monkeypatch.setattr(MLP, "training_step", lambda self, batch, index: self.loss(batch) * float("nan"))
    assert "not finite" in zoo_fails("fit", *QUICK)
    assert not list(here.iterdir())


def test_sigterm_ends_like_ctrl_c(
    here: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    main([*RESUMABLE, "--trainer.default_root_dir=whole"])
    step = MLP.training_step

    def terminated(self: MLP, batch: Any, index: int) -> Any:
        if self.current_epoch == 3 and index == 5:
            signal.raise_signal(signal.SIGTERM)
        return step(self, batch, index)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(MLP, "training_step", terminated)
    with pytest.raises(SystemExit) as stop:
        main(RESUMABLE)
    monkeypatch.setattr(MLP, "training_step", step)
    assert stop.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err.splitlines()[-1] == "stopped by SIGTERM"
    assert "resume with: zoo fit --config runs/mlp_pima/1 --ckpt_path last" in caplog.text
    main(["fit", "--config", "runs/mlp_pima/1", "--ckpt_path=last"])
    for file in (files.LAST, files.BEST):
        assert_same(state_of(f"whole/mlp_pima/1/{file}"), state_of(f"runs/mlp_pima/1/{file}"))


def test_replacing_writes_all_or_nothing(here: Path, message: Callable[[Callable[[], object]], str]) -> None:
    def write(path: str, fails: Exception | None = None) -> None:
        with files.replacing(Path(path)) as temporary:
            temporary.write_text("new")
            if fails:
                raise fails

    Path("out.csv").write_text("old")
    full = message(lambda: write("out.csv", OSError(errno.ENOSPC, "No space left on device")))
    assert full.startswith("out.csv cannot be written: No space left on device")
    Path("loop").symlink_to("loop")
    assert "loop/out.csv cannot be written: " in message(lambda: write("loop/out.csv"))
    Path("file").touch()
    assert "file/out.csv cannot be written: " in message(lambda: write("file/out.csv"))
    with pytest.raises(OSError, match="other"):  # what cannot be read is not what cannot be written
        write("out.csv", FileNotFoundError(errno.ENOENT, "none", "other"))
    assert Path("out.csv").read_text() == "old"
    mine, dead = Path(f".out.{os.getppid()}.tmp.csv"), Path(".out.99999999.tmp.csv")
    mine.touch()
    dead.touch()
    write("out.csv")
    assert Path("out.csv").read_text() == "new"
    assert mine.exists()  # of a process that still runs
    assert not dead.exists()


def test_a_failed_upload_leaves_no_export(
    here: Path, zoo_fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Offline:
        def create_repo(self, *args: Any, **options: Any) -> None:
            raise OSError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi", Offline)
    main(["fit", *QUICK])
    main(["test", "--config", "runs/mlp_pima"])
    told = zoo_fails("export", "runs/mlp_pima", "--to", "mine", "--push", "hf:owner/repo")
    assert "hf:owner/repo cannot be written: Name or service not known" in told
    assert [path.name for path in here.iterdir()] == ["runs"]


def test_full_disk_ends_with_one_line(here: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
    full = zoo_process(f"{limit}from zoo.cli import main\nmain({RESUMABLE!r})", here)
    assert full.returncode == 2, full.stderr
    assert [line for line in full.stderr.splitlines() if line.startswith("error:")]
    assert "Traceback" not in full.stderr
    assert not [path for path in Path("runs").rglob("*.ckpt") if path.stat().st_size <= 20_000]


def test_not_finite_loss_keeps_the_last_good_checkpoint(
    here: Path, zoo_fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, loss = MLP.training_step, MLP.loss

    def spoilt(self: MLP) -> float:
        return float("nan") if self.current_epoch == 2 else 1.0

    monkeypatch.setattr(MLP, "training_step", lambda self, batch, index: step(self, batch, index) * spoilt(self))
    monkeypatch.setattr(MLP, "loss", lambda self, batch: loss(self, batch) * spoilt(self))
    assert "not finite in epoch 2" in zoo_fails(*RESUMABLE)
    for file in (files.LAST, files.BEST):
        checkpoint = weights.read_checkpoint(f"runs/mlp_pima/1/{file}")
        assert checkpoint["epoch"] <= 1
        assert all(value.isfinite().all() for value in checkpoint["state_dict"].values())


def test_last_batch_of_one_row_trains(here: Path) -> None:
    # 538 training rows: 179 batches of 3 and one of 1
    main(["fit", *QUICK, "--data.batch_size=3", "--model.normalisation=batch", "--trainer.max_epochs=1"])
    assert Path(f"runs/mlp_pima/1/{files.BEST}").is_file()


def test_two_processes_share_one_run(here: Path) -> None:
    devices = ["--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp"]
    done = zoo_command("fit", "--config", "mlp_pima", "--trainer.max_epochs=2", *devices, folder=here)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in Path("runs/mlp_pima").iterdir()] == ["1"]
    assert len(pd.read_csv("runs/mlp_pima/1/metrics.csv")) == 2
    assert pd.read_csv("runs/mlp_pima/1/scores.csv")["value"].notna().all()


def test_checkpoint_of_another_architecture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", *QUICK])
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", "runs/mlp_pima/1", "--ckpt_path=last", "--model.hidden=[5]"])
    assert stop.value.code == 2
    assert "another architecture" in capsys.readouterr().err


def test_predict_a_table_of_ones_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv(PATIENTS).drop(columns="diabetes").sample(30, random_state=0)
    shuffled = table[sorted(table.columns)].assign(name=[f"patient {i}" for i in range(30)], unused="x")
    shuffled.to_csv("my.csv", index=False)
    args = ["predict", "--config", "mlp_pima", "--data.path", "my.csv", "--data.id=name"]
    main([*args, "--output", "out.csv"])
    predictions = pd.read_csv("out.csv")
    assert predictions.columns.tolist() == ["name", "probability_neg", "probability_pos", "prediction"]
    assert predictions["name"].tolist() == shuffled["name"].tolist()
    expected = zoo.load("mlp_pima").predict(table)
    np.testing.assert_allclose(predictions["probability_pos"], expected["probability_pos"], rtol=1e-6)
    capsys.readouterr()
    main(args)
    assert capsys.readouterr().out.startswith("name,probability_neg,probability_pos,prediction\npatient 0,")
    main([*args, "--output", "out.parquet"])
    assert len(pd.read_parquet("out.parquet")) == 30
    assert sorted(path.name for path in here.iterdir()) == ["my.csv", "out.csv", "out.parquet"]


def test_external_validation(here: Path) -> None:
    """Weights of the zoo on the labelled table of another hospital."""
    pd.read_csv(PATIENTS)[:100].to_csv("hospital.csv", index=False)
    main(["test", "--config", "mlp_pima", "--data.path=hospital.csv"])
    scores = pd.read_csv("runs/mlp_pima/pretrained/scores.csv")
    assert set(scores["split"]) == {"test"}
    assert set(scores["model"]) == {"MLP"}


def test_rows_of_the_training_are_never_taken_for_test_rows(
    here: Path, table: str, zoo_fails: Callable[..., str]
) -> None:
    own = ["--data.path=table.csv", "--data.target=outcome", "--data.id=patient", "--data.missing={}"]
    main(["fit", *QUICK, *own])
    main(["test", "--config", "runs/mlp_pima/1"])
    for other in ("--data.seed=1", "--data.fractions=[0,0,1]", "--data.folds=3"):
        assert "the split differs from that of the training" in zoo_fails("test", "--config", "runs/mlp_pima/1", other)
    assert "split" in zoo_fails("test", "--config", "mlp_pima", "--data.seed=1")
    pd.read_csv(table)[::-1].to_csv(table, index=False)
    assert "table.csv has changed since training" in zoo_fails("test", "--config", "runs/mlp_pima/1")


def test_crossval_beside_baselines_on_the_same_folds(here: Path) -> None:
    main(["crossval", *QUICK, "--folds", "3", "--repeats", "2"])
    table = pd.read_csv("runs/mlp_pima/crossval/crossval.csv")
    assert table.groupby(["repeat", "fold"]).ngroups == 6
    assert set(table["model"]) == {"MLP", "logistic regression", "random forest"}
    auc = table[table["metric"] == "roc_auc"]
    assert auc["value"].between(0.6, 1).all()
    main(["fit", *QUICK])
    main(["crossval", "--config", "runs/mlp_pima/1", "--folds", "2"])
    assert Path("runs/mlp_pima/1/crossval.csv").is_file()


def test_export_and_load_again(here: Path) -> None:
    main(["fit", *QUICK])
    with pytest.raises(SystemExit):
        main(["export", "runs/mlp_pima", "--to", "mine"])  # not tested yet
    assert not Path("mine").exists()
    main(["test", "--config", "runs/mlp_pima"])
    main(["export", "runs/mlp_pima", "--to", "mine"])
    model = zoo.load("mine")
    table = pd.read_csv(PATIENTS)
    expected = weights.from_checkpoint(f"runs/mlp_pima/1/{files.BEST}").predict(table)
    pd.testing.assert_frame_equal(model.predict(table), expected)
    assert model.card["scores"]["MLP"]["test"]["roc_auc"] > 0.5
    main(["export", "runs/mlp_pima", "--to", "mine"])  # replaced as a whole
    assert sorted(path.name for path in here.iterdir()) == ["mine", "runs"]
    Path("thesis").mkdir()
    Path("thesis/chapter.txt").write_text("precious")
    with pytest.raises(SystemExit):
        main(["export", "runs/mlp_pima", "--to", "thesis"])
    assert Path("thesis/chapter.txt").read_text() == "precious"


def test_any_option_can_be_printed_and_given(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", "mlp_pima", "--model.lr=0.5", "--print_config"])
    assert stop.value.code in (0, None)
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["model"]["init_args"]["lr"] == 0.5
    assert printed["data"]["init_args"]["path"] == "pima"


def test_python_api(here: Path) -> None:
    run = zoo.fit("mlp_pima", "--trainer.max_epochs=1", "--trainer.accelerator=cpu")
    assert run.folder == Path("runs/mlp_pima/1")
    assert run.evaluation.value("roc_auc", "validation") > 0.5
    assert list(run.model.predict(run.data.frame()).columns) == ["probability_neg", "probability_pos", "prediction"]


COMMANDS = [
    "list",
    "show",
    "check",
    "fit",
    "validate",
    "test",
    "predict",
    "crossval",
    "explore",
    "explain",
    "synthesise",
]
COMMANDS += ["export", "new", "check"]
WITHOUT_TORCH = """
import sys
from zoo.cli import main
for words in {words!r}:
    try:
        main(words)
    except SystemExit as stop:
        assert not stop.code, words
    assert "torch" not in sys.modules, words
"""


def test_list_and_help_are_instant(here: Path) -> None:
    """They must not import torch; 0.3 s is measured in benchmarks."""
    words = [["list"], ["--help"], ["--version"], ["show", "mlp_pima"], ["show", "pima"]]
    words += [[command, "--help"] for command in COMMANDS if command != "fit"]
    done = zoo_process(WITHOUT_TORCH.format(words=words), here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: zoo ") == len(COMMANDS)  # of all but fit, and of zoo itself
    assert all(f"\n    {command} " in done.stdout or f"\n    {command}\n" in done.stdout for command in COMMANDS)


def test_fit_help_lists_the_options_of_trainer_and_early_stopping(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--help"])
    assert not stop.value.code
    shown = capsys.readouterr().out
    assert shown.startswith("usage: zoo fit FILE_OR_NAME")
    assert {"--trainer.max_epochs", "--early_stopping.patience", "--ckpt_path"} <= set(shown.split())


def test_model_help_shows_what_a_user_can_give(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--model.help", "MLP"])
    shown = capsys.readouterr().out
    assert "--model.hidden" in shown
    assert "spec" not in shown.lower()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lst"], "unknown command 'lst'; did you mean list?"),
        (["list", "mlp_pima"], "unknown argument 'mlp_pima'; see 'zoo list --help'"),
        (["show"], "zoo show --help"),
        (["crossval", "mlp_pima", "--folds=many"], "zoo crossval --help"),
        (["--hlep"], "zoo --help"),
    ],
)
def test_mistaken_commands(words: list[str], told: str, zoo_fails: Callable[..., str]) -> None:
    assert told in zoo_fails(*words)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--model.hiden=[3]", "no option --model.hiden of MLP; did you mean hidden?"),
        ("--model.padding=3", "no option --model.padding of MLP; known: hidden, "),  # which a CNN1D has
        ("--data.padding=3", "no option --data.padding of TableData; known: path, "),
        ("--data.sequense=s", "no option --data.sequense of TableData; known: path, "),
        ("--trainer.max_epoch=3", "no option --trainer.max_epoch of Trainer; did you mean max_epochs"),
        ("--early_stopping.patiense=3", "no option --early_stopping.patiense of EarlyStopping; did you mean patience?"),
        ("--modle.lr=3", "no option --modle.lr; did you mean model?"),
        ("--model=MPL", "no class 'MPL'; did you mean MLP?"),
    ],
)
def test_hints_name_options_of_the_chosen_class(option: str, told: str, zoo_fails: Callable[..., str]) -> None:
    assert told in zoo_fails("fit", "mlp_pima", option)


def test_hints_follow_a_class_chosen_on_the_command_line(here: Path, zoo_fails: Callable[..., str]) -> None:
    for choice in (["--model", "CNN1D"], ["--model=CNN1D"], ["--model.class_path=CNN1D"]):
        assert "--model.widht of CNN1D; did you mean widths" in zoo_fails("fit", "mlp_pima", *choice, "--model.widht=3")
    recipe = files.config("mlp_pima").read_text()
    Path("mine.yaml").write_text(recipe.replace("dropout:", "dropot:"))
    assert "no option --model.dropot of MLP; did you mean dropout?" in zoo_fails("fit", "mine.yaml")
    Path("mine.yaml").write_text(recipe.replace("max_epochs:", "max_epoch:"))
    assert "no option --trainer.max_epoch of Trainer; did you mean max_epochs" in zoo_fails("fit", "mine.yaml")


def test_list_names_every_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list"])
    shown, _, own = capsys.readouterr().out.partition("\n\n")
    assert [line.split()[0] for line in own.splitlines()[1:]] == files.generic_recipes()
    lines = shown.splitlines()
    assert [line.split()[0] for line in lines[1:]] == files.recipes()
    assert {line.split()[0]: line.split()[-1] for line in lines[1:]} == {
        name: "untrained" if is_untrained(name) else "yes" if is_shipped(name) else "no" for name in files.recipes()
    }


def test_list_into_a_closed_pipe() -> None:
    command = f"{sys.executable} -m zoo list | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, env={**os.environ})
    assert "Traceback" not in done.stderr


def test_cards_are_json_and_show_their_facts() -> None:
    for name in files.pretrained():
        card = json.loads((files.HERE / "pretrained" / name / "config.json").read_text())
        assert {"recipe", "data", "scores", "crossval", "limits", "versions", "git", "seed"} <= set(card), name
        assert {"name", "sha256", "licence", "samples", "seed"} <= set(card["data"])


def test_tables_survive_a_run_folder_that_moves(here: Path) -> None:
    main(["fit", *QUICK])
    shutil.move("runs", "moved")
    main(["test", "--config", "moved/mlp_pima/1"])
    assert pd.read_csv("moved/mlp_pima/1/scores.csv")["split"].nunique() == 3


def test_a_misspelt_recipe_is_reported_before_torch_is_imported(here: Path) -> None:
    code = (
        "import sys; from zoo.cli import main\ntry: main(['fit', 'mlp_pimaa'])\nfinally: print('torch' in sys.modules)"
    )
    done = zoo_process(code, here)
    assert done.returncode == 2
    assert "did you mean mlp_pima?" in done.stderr
    assert done.stdout.strip() == "False"


def test_more_folds_than_samples_are_refused(table: str, zoo_fails: Callable[..., str]) -> None:
    own = [*QUICK, "--data.path=table.csv", "--data.target=outcome", "--data.id=patient"]
    assert "81 folds need as many samples" in zoo_fails("crossval", *own, "--folds=81")
    assert "folds must be at least 2" in zoo_fails("crossval", *own, "--folds=0")

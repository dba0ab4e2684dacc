"""Damaged files of a run, and what stands in the place of a file, end each command in one line."""

import os
import shutil
from pathlib import Path

import pytest

from zoo.cli import main

RUN = Path("runs/mlp_pima/1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, before = tmp_path_factory.mktemp("trained"), Path.cwd()
    os.chdir(folder)
    main(["fit", "mlp_pima", "--trainer.max_epochs=1"])
    os.chdir(before)
    (folder / RUN / "scores.csv").write_text("model,split,metric,value\nMLP,test,roc_auc,0.8\n")
    return folder


@pytest.fixture
def run(trained, here):
    shutil.copytree(trained, here, dirs_exist_ok=True)


@pytest.mark.parametrize("content", ["", "[]", "3", "{", "{}", '{"data": 3}', '{"data": {"name": 1}}', "[" * 100_000])
@pytest.mark.parametrize("command", [["test", str(RUN)], ["export", str(RUN), "--to", "out"]])
def test_facts_that_are_damaged(content, command, run, zoo_fails):
    (RUN / "data.json").write_text(content)
    assert "data.json" in zoo_fails(*command)
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["scores.csv", "crossval.csv"])
@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\0\0", "model,split,metric,value\nMLP,test,roc_auc,good\n"])
def test_scores_that_are_damaged(name, content, run, zoo_fails):
    (RUN / name).write_text(content)
    assert name in zoo_fails("export", str(RUN), "--to", "out")
    assert not Path("out").exists()


PLACES = {
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.xlsx", "t.parquet", "t.h5ad"])
def test_only_regular_files_are_read(place, name, here, zoo_fails):
    PLACES[place](Path(name))
    line = zoo_fails("fit", "mlp_pima", f"--data.path={name}", "--data.target=a")
    assert name in line
    assert not Path("runs").exists()

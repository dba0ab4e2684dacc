"""``zoo new model`` writes a model that trains, passes its own test and is listed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo import files
from zoo.cli import main

ROOT = files.HERE.parent
pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="needs a checkout")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of this checkout, without weights, that ``zoo new`` takes for its own."""
    for part in ("zoo", "configs", "datasets", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("pretrained", "__pycache__"))
    for part in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / part, tmp_path)
    monkeypatch.setattr(files, "HERE", tmp_path / "zoo")
    return tmp_path


def run(*words: str, folder: Path) -> str:
    command = [sys.executable, "-m", *words]
    path = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_model_trains_and_is_listed(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["new", "model", "Tiny", "--data", "ecoli_promoters"])
    model, recipe, test = capsys.readouterr().out.splitlines()[:3]
    assert model == "zoo/models/predict/tiny.py"
    assert recipe == "configs/tiny_ecoli_promoters.yaml"
    assert test == "tests/models/predict/test_tiny.py"
    assert all("FILL IN" in (checkout / path).read_text() for path in (model, recipe, test))
    main(["list"])
    listed = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("tiny_"))
    assert listed.split() == ["tiny_ecoli_promoters", "Tiny", "ecoli_promoters", "binary", "-", "-", "untrained"]
    assert listed in (checkout / "README.md").read_text()
    assert "2 passed" in run("pytest", "-q", "-p", "no:cacheprovider", test, folder=checkout)
    run("ruff", "check", model, test, folder=checkout)
    run("ruff", "format", "--check", model, test, folder=checkout)


def test_what_cannot_be_written_is_refused(
    checkout: Path, zoo_fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(checkout.rglob("*"))
    assert "there is a class MLP already, in zoo/models/predict/mlp.py" in zoo_fails("new", "model", "MLP")
    assert "there is a class Mlp already" in zoo_fails("new", "model", "Mlp")  # some file systems ignore case
    (checkout / "tests" / "test_tiny.py").touch()
    assert "there is a test_tiny.py already" in zoo_fails("new", "model", "Tiny")
    (checkout / "tests" / "test_tiny.py").unlink()
    for name in ("tiny", "3D", "My-Net", "Class", "None", "../Net"):
        assert "cannot name a class" in zoo_fails("new", "model", name)
    assert "did you mean pima?" in zoo_fails("new", "model", "Tiny", "--data", "pimo")
    assert "no packaged data set 'vessels_simulated'" in zoo_fails("new", "model", "Tiny", "--data=vessels_simulated")
    assert "zoo new --help" in zoo_fails("new", "data", "Tiny")
    shutil.rmtree(checkout / "tests" / "models")
    assert "is no checkout of biozoo" in zoo_fails("new", "model", "Tiny")
    assert {path for path in before if path.exists()} == set(checkout.rglob("*"))

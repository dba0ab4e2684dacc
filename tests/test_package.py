"""The wheel alone, in an empty folder, can list, train, load and predict by name."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from zoo import files

ROOT = files.HERE.parent


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="needs a checkout")
def test_wheel_in_an_empty_folder(tmp_path: Path) -> None:
    build = "from hatchling.build import build_wheel; print(build_wheel('dist'))"
    target = tmp_path / "dist"
    target.mkdir()
    name = run(sys.executable, "-c", build.replace("'dist'", repr(str(target))), folder=ROOT).strip().splitlines()[-1]
    names = zipfile.ZipFile(target / name).namelist()
    assert "zoo/configs/mlp_pima.yaml" in names
    assert "zoo/datasets/pima/pima.csv" in names
    assert "zoo/pretrained/mlp_pima/model.safetensors" in names
    assert {"zoo/model_card.md.jinja", "zoo/latent/page/page.html", "zoo/report/synthetic/page.html"} <= set(names)
    assert not [n for n in names if n.startswith(("datasets/", "configs/", "tests/")) or ".venv" in n]

    # A fresh environment that borrows the installed dependencies, but not the checkout's editable install.
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    site = Path(
        run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=tmp_path).strip()
    )
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    run(*pip, str(target / name), folder=tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    zoo = [str(tmp_path / "env" / "bin" / "zoo")]
    where = run(str(python), "-I", "-c", "import zoo; print(zoo.__file__)", folder=empty)
    assert where.startswith(str(tmp_path))
    assert "mlp_pima" in run(*zoo, "list", folder=empty)
    fit = ["fit", "--config", "mlp_pima", "--trainer.max_epochs=1"]
    predict = ["predict", "--config", "mlp_pima", "--output=predicted.csv"]
    both = f"from zoo.cli import main; main({fit}); main({predict})"  # in one process, which imports torch once
    assert "MLP" in run(str(python), "-I", "-c", both, folder=empty)
    assert (empty / "runs" / "mlp_pima" / "1" / "checkpoints" / "best.ckpt").is_file()
    assert len((empty / "predicted.csv").read_text().splitlines()) == 769

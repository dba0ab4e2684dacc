"""Each benchmark runs from end to end with its smallest sizes, in this process."""

import logging
import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from zoo import files

FOLDER = files.HERE.parent / "benchmarks"
PARTS = {"_common", "customics_ours", "customics_peer", "expression_ours", "expression_peer", "multiomics_simulation"}
SCRIPTS = sorted({path.stem for path in FOLDER.glob("*.py")} - PARTS)


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a script changes in this process is put back."""
    modules, environment = set(sys.modules), dict(os.environ)
    levels = {name: logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric", "zoo")}
    monkeypatch.syspath_prepend(FOLDER)
    yield
    patch.stopall()
    for name in set(sys.modules) - modules:
        if (FOLDER / f"{name}.py").is_file():
            del sys.modules[name]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    os.environ.clear()
    os.environ.update(environment)


@pytest.mark.skipif(not SCRIPTS, reason="needs a checkout")
def test_parts_are_used() -> None:
    texts = {path.stem: path.read_text() for path in FOLDER.glob("*.py")}
    for part in PARTS:
        assert any(part in text for name, text in texts.items() if name != part), part


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_benchmark_runs(
    name: str,
    here: Path,
    untouched: None,
    cheap_report: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = FOLDER / f"{name}.py"
    monkeypatch.setattr(sys, "argv", [str(path), "--smoke"])
    runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("smoke: ")
    assert len(said) > 2

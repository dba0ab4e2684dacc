"""The first 200 bad inputs of ``make fuzz``: each is read, or refused in one line without a trace."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("first", [0, 100])
def test_bad_inputs_are_read_or_refused(first):
    # In a process of their own: children of one that has run threads may wait for them without end.
    command = [sys.executable, "-m", "tests.fuzz", "--first", str(first), "--count", "100"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]

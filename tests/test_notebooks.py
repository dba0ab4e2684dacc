"""Notebooks run from top to bottom, and are committed with their outputs.

``python tests/test_notebooks.py`` runs them all and renews the outputs.
"""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PICTURE = "image/png"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path, folder: Path) -> NotebookNode:
    """A copy, run in a folder of its own; it raises the error of a cell."""
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", record_timing=False, resources=place).execute()
    notebook.metadata = nbformat.from_dict(METADATA)  # no version of Python, which differs from machine to machine
    return notebook


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: NotebookNode) -> list[str]:
    """Kinds of the results and pictures of a cell, in order; its messages are left out."""
    return [
        kind
        for output in cell.outputs
        for kind in sorted(output.get("data", {}))
        if kind == PICTURE or output.output_type == "execute_result"
    ]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_shows_what_is_committed(path: Path, tmp_path: Path) -> None:
    ours, committed = code(execute(path, tmp_path)), code(nbformat.read(path, as_version=4))
    assert not [output for cell in ours for output in cell.outputs if output.output_type == "error"]
    for here, there in zip(ours, committed, strict=True):
        assert shown(here) == shown(there), f"outputs are stale (python {Path(__file__).name}): {here.source}"
    assert sum(shown(cell).count(PICTURE) for cell in ours) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs_are_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata == METADATA
    assert path.stat().st_size < 2_000_000
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))  # in order, in one go
    for cell in cells:
        assert "execution" not in cell.metadata  # times
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text  # warnings
            text = json.dumps({**output, "data": {k: v for k, v in output.get("data", {}).items() if k != PICTURE}})
            assert not re.search(r"/(work|tmp|root|home|Users|var|opt|usr)/|[A-Z]:\\\\", text)


if __name__ == "__main__":
    for name in NOTEBOOKS:
        with TemporaryDirectory() as temporary:
            nbformat.write(execute(name, Path(temporary)), name)

"""Notebooks run from top to bottom, and are committed with their outputs.

``python tests/test_notebooks.py`` runs each in a kernel of its own, as it stands, and renews the outputs. The test runs
all in one kernel, which is emptied in between, and with the smaller sizes of `SMALLER`: importing and compiling would
take most of the time.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PICTURE = "image/png"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


# What the test runs in place of what takes long; a cell that no longer has it fails the test.
SMALLER = {
    "03_heartbeats_as_images": {"max_epochs=12": "max_epochs=3", "GroupShuffleSplit(10,": "GroupShuffleSplit(2,"},
    "04_vae_expression": {
        'zoo.fit("vae_expression")': 'zoo.fit("vae_expression", "--trainer.max_epochs=5")',
        "[::3]": "[::9]",
        "resamples=10": "resamples=2",
    },
    "05_perturbation": {"copied, n=4)": "copied, n=2)"},
    "06_several_omics": {
        "range(5)": "range(2)",
        '"models": 6': '"models": 2',
        '"permutations": 5': '"permutations": 1',
    },
    "07_synthetic_patients": {"range(8)": "range(2)", "RandomForestClassifier(200": "RandomForestClassifier(20"},
}


def execute(notebook: NotebookNode, folder: Path, kernel: KernelManager | None = None) -> NotebookNode:
    """Run in a folder of its own, in a new kernel if none is given; it raises the error of a cell."""
    place = {"metadata": {"path": str(folder)}}
    options = {"timeout": 300, "kernel_name": "python3", "record_timing": False, "resources": place}
    NotebookClient(notebook, km=kernel, **options).execute()
    notebook.metadata = nbformat.from_dict(METADATA)  # no version of Python, which differs from machine to machine
    return notebook


def smaller(path: Path) -> NotebookNode:
    """The notebook with smaller sizes."""
    notebook = nbformat.read(path, as_version=4)
    for old, new in SMALLER.get(path.stem, {}).items():
        holding = [cell for cell in code(notebook) if old in cell.source]
        assert holding, f"no cell of {path.stem} has {old}"
        for cell in holding:
            cell.source = cell.source.replace(old, new)
    return notebook


@pytest.fixture(scope="session")
def kernel() -> Iterator[KernelManager]:
    """One process for all notebooks of a worker."""
    manager, client = start_new_kernel(kernel_name="python3")
    client.stop_channels()
    yield manager
    manager.shutdown_kernel(now=True)


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
def test_notebook_runs_and_shows_what_is_committed(path: Path, tmp_path: Path, kernel: KernelManager) -> None:
    client = kernel.blocking_client()
    client.start_channels()
    client.execute_interactive(f"%reset -f\nimport os; os.chdir({str(tmp_path)!r}); del os")
    client.stop_channels()
    ours, committed = code(execute(smaller(path), tmp_path, kernel)), code(nbformat.read(path, as_version=4))
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
            nbformat.write(execute(nbformat.read(name, as_version=4), Path(temporary)), name)

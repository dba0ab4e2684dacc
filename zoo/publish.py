"""Export of a run as a folder of weights with a card, and upload to the Hugging Face Hub."""

import json
import logging
import platform
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import save_file

from . import files
from .card_schema import CARD
from .errors import InputError
from .model_card import readme
from .models import Model
from .models.layer_table import layer_table, layer_text
from .tables import read_table
from .weights import GOLDEN, README, WEIGHTS, from_checkpoint, hub, load

log = logging.getLogger("zoo")
PACKAGES = ("biozoo", "torch", "lightning", "numpy", "pandas", "scikit-learn")
LIMITS = (
    "For research and teaching. Not a medical device: not validated for the diagnosis or treatment of anybody. "
    "Expect lower performance on other populations, instruments and laboratories than the data named above."
)


def export(run: str | Path, to: str | Path, push: str | None = None) -> Path:
    """Write the best checkpoint of a run as a folder of weights.

    The folder holds ``model.safetensors``, ``config.json`` (the card: recipe, data and checksum, split, scores beside
    the baselines, licence, limits, versions), ``golden.safetensors`` (random inputs and their outputs, to test
    loading) and ``README.md`` (the card in Markdown). Run ``zoo test`` before, and ``zoo crossval`` for the spread.

    Args:
        run: Folder of a run.
        to: Folder to write; an earlier export is replaced completely.
        push: ``hf:owner/repo`` to upload the folder to, or None.

    Returns:
        The folder.

    Raises:
        InputError: No such run, a run without test scores, ``to`` holds other files, or the upload fails; nothing is
            written then.
    """
    folder, target = files.run_folder(str(run)), Path(to)
    if folder is None:
        raise InputError(f"no run folder {str(run)!r}; train with 'zoo fit' first")
    if target.exists() and not (target / CARD).is_file() and (target.is_file() or any(target.iterdir())):
        raise InputError(f"{target} exists and is not a folder of weights; choose another")
    if target.is_symlink() and not target.exists():
        raise InputError(f"{target} is a link to nothing; choose another")
    if push is not None and not push.startswith("hf:"):
        raise InputError(f"--push takes hf:owner/repo, not {push!r}")
    model = from_checkpoint(folder / files.BEST)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
        new = Path(temporary) / "new"
        _write(model, folder, new, name=target.resolve().name)
        if push is not None:
            upload(new, push[3:])  # first: an upload that fails leaves no folder
        if target.exists():
            target.rename(Path(temporary) / "old")
        new.rename(target)
    return target


def _write(model: Model, run: Path, folder: Path, name: str) -> None:
    folder.mkdir()
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / WEIGHTS)
    x = model.encode.example(8)
    with torch.inference_mode():
        inputs = {"input": x} if isinstance(x, torch.Tensor) else {f"input.{name}": part for name, part in x.items()}
        golden = {**inputs, "output": model(x), "embedding": model.embed(x)}
    save_file({k: v.contiguous() for k, v in golden.items()}, folder / GOLDEN)
    card = {
        "name": name,
        "model": type(model).__name__,
        "task": model.task,
        "headline": model.headline,
        "parameters": sum(p.numel() for p in model.parameters()),
        "sha256": {file: files.sha256(folder / file) for file in (WEIGHTS, GOLDEN)},
        **_facts(run),
        "limits": LIMITS,
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "git": revision(),
        "init_args": model.init_args,
    }
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write_readme(folder)
    shutil.copy(run / "config.yaml", folder / "recipe.yaml")
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes files that other users cannot read


def write_readme(folder: Path) -> None:
    """Write the Markdown card of a folder of weights from its ``config.json``."""
    model = load(folder)
    with files.replacing(folder / README) as temporary:
        temporary.write_text(readme(model.card, layer_text(layer_table(model))), encoding="utf-8")


def _facts(run: Path) -> dict[str, Any]:
    """Data, scores and their spread, from the files of a run."""
    facts = files.read_facts(run)
    scores = _table(run, "scores.csv", ("model", "split", "metric"), "test")
    if "test" not in set(scores["split"]):
        raise InputError(f"{run} was not tested; run 'zoo test {run}' before the export")
    nested: dict[str, Any] = {}
    for model, split, metric, value in scores.itertuples(index=False):
        nested.setdefault(model, {}).setdefault(split, {})[metric] = None if pd.isna(value) else round(value, 6)
    facts["scores"] = nested
    if (run / "crossval.csv").exists():
        folds = _table(run, "crossval.csv", ("repeat", "fold", "model", "metric"), "crossval")
        spread = folds.groupby(["model", "metric"], sort=False)["value"].agg(["mean", "std"]).round(4)
        spread = spread.astype(object).where(spread.notna(), None)  # JSON has no NaN
        facts["crossval"] = {
            "folds": int(folds["fold"].nunique()),
            "repeats": int(folds["repeat"].nunique()),
            "scores": {
                model: {metric: {"mean": row["mean"], "sd": row["std"]} for (_, metric), row in rows.iterrows()}
                for model, rows in spread.groupby(level="model", sort=False)
            },
        }
    return facts


def _table(run: Path, name: str, columns: tuple[str, ...], command: str) -> pd.DataFrame:
    """These columns of a table of a run, as text, and its numbers in the column ``value``."""
    path, hint = files.regular(run / name), f"run 'zoo {command} --config {run}' before the export"
    if not path.exists():
        raise InputError(f"{path} is missing; {hint}")
    table = read_table(path, columns)
    if not {*columns, "value"} <= {*table.columns} or table["value"].dtype.kind not in "iuf":
        raise InputError(f"{path} is damaged: columns {', '.join(columns)} and numbers in value are expected; {hint}")
    return table[[*columns, "value"]]


def upload(folder: Path, repo: str) -> None:
    """Upload a folder of weights to the Hugging Face Hub with the token of the user."""
    from huggingface_hub import HfApi

    with hub(f"hf:{repo} cannot be written"):
        api = HfApi()
        api.create_repo(repo, exist_ok=True)
        done = api.upload_folder(repo_id=repo, folder_path=folder, commit_message=f"biozoo {version('biozoo')}")
    log.info("uploaded: hf:%s@%s; sha256 of %s for zoo.load: %s", repo, done.oid, CARD, files.sha256(folder / CARD))


def revision() -> str | None:
    """Git revision of a checkout, with ``-dirty`` if code or recipes were changed since; None without a checkout."""
    if not (files.HERE.parent / ".git").exists():
        return None

    def git(*words: str) -> str:
        run = subprocess.run(["git", *words], capture_output=True, text=True, cwd=files.HERE.parent, check=False)
        return run.stdout.strip()

    changed = git("status", "--porcelain", "--", ":(glob)zoo/**/*.py", "configs", "datasets")
    return f"{git('rev-parse', '--short', 'HEAD')}{'-dirty' if changed else ''}" or None

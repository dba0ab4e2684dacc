"""``zoo new model``: templates of a model that can be trained at once, its recipe and its test."""

import re
from keyword import iskeyword
from typing import Any

import yaml

from . import files, listing
from .errors import InputError, suggest

FOLDER = "models/predict"  # below `zoo` and `tests`
TASKS = ("binary", "multiclass", "regression", "survival")
NOT_SHIPPED = {"fetch", "download", "package"}  # keys of the card of a data set
MODEL = '''"""FILL IN: what the model is, in one line."""

from typing import Any

from torch import nn

from ...errors import check_range
from ..base import Supervised


class {name}(Supervised):
    """FILL IN: what the model is, in one line, with its paper (Author et al. 2020, doi:10.1000/182).

    FILL IN: how it is built, and for what data it is meant.

    Args:
        width: FILL IN: width of the hidden layer.
        **shared: Arguments of `Supervised` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes)``
    """

    def __init__(self, width: int = 32, **shared: Any) -> None:
        super().__init__(**shared)
        check_range("width", width, 1)
        # FILL IN: `body` takes encoded samples, (batch, *self.encode.out_shape), to the latent space, (batch, latent);
        # `head` takes the latent space to raw outputs, (batch, self.target_head.width).
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(self.encode.out_features, width), nn.ReLU())
        self.head = nn.Linear(width, self.target_head.width)
'''
RECIPE = """# FILL IN: what the model predicts from what, in one line.
untrained: true  # remove this line after 'make weights-{recipe}' has written the weights
model:
  class_path: {name}
  init_args:
    width: 32
    lr: 0.003
{data}trainer:
  max_epochs: 50
"""
TEST = '''"""FILL IN: what {name} must be able to do."""

from pathlib import Path

import pandas as pd

import zoo
from zoo.parsing import CLI


def test_every_weight_of_{module}_is_trained() -> None:
    cli = CLI(["--config", "{recipe}"])
    data = cli.make_data()
    model = cli.make_model(data)
    model.fit_encoders(data.training_inputs(), data.training_targets())
    model.loss(next(iter(data.train_dataloader()))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_{module}_learns(here: Path) -> None:
    run = zoo.fit("{recipe}", "--trainer.max_epochs=3", "--trainer.accelerator=cpu")
    loss = pd.read_csv(run.folder / "metrics.csv")["train_loss"]
    assert loss.iloc[-1] < loss.iloc[0]
    # FILL IN: what distinguishes this model, such as a pattern in simulated data that it learns and an MLP does not.
'''


def new_model(name: str, data: str) -> str:
    """Write a model, a recipe marked as untrained, and a test; list the recipe in the README.

    Args:
        name: Name of the class, such as ``"Transformer"``. Names of files and recipe are in lower case.
        data: Packaged data set with a class, a continuous value or survival as its target.

    Returns:
        Paths of the files, and the next steps.

    Raises:
        InputError: No checkout of biozoo, an invalid or existing name, or an unsuitable data set.
    """
    root, module = files.HERE.parent, name.lower()
    recipe = f"{module}_{data}"
    if not all((root / part).is_dir() for part in ("configs", f"tests/{FOLDER}")):
        raise InputError(f"{root} is no checkout of biozoo: clone it, and install it with pip install -e .")
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name) or iskeyword(name) or iskeyword(module):
        raise InputError(f"{name!r} cannot name a class: use letters and digits, the first a capital one")
    for path in (root / "zoo" / "models").rglob("*.py"):
        if re.search(rf"^class {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE | re.IGNORECASE):
            raise InputError(f"there is a class {name} already, in {path.relative_to(root)}; choose another name")
    texts = {
        root / "zoo" / FOLDER / f"{module}.py": MODEL,
        root / "configs" / f"{recipe}.yaml": RECIPE,
        root / "tests" / FOLDER / f"test_{module}.py": TEST,
    }
    if taken := [path for path in texts if path.exists() or any((root / "tests").rglob(path.name))]:
        raise InputError(f"there is a {taken[0].name} already; choose another name")
    block = yaml.safe_dump({"data": _data_of_a_recipe(data)}, sort_keys=False, allow_unicode=True)
    for path, text in texts.items():
        with files.replacing(path) as new:
            new.write_text(text.format(name=name, module=module, recipe=recipe, data=block), encoding="utf-8")
    if (readme := root / "README.md").is_file():
        listing.write_readme(readme)
        texts[readme] = ""
    written = "\n".join(str(path.relative_to(root)) for path in texts)
    return f"{written}\nReplace what is marked FILL IN, train with 'zoo fit --config {recipe}', then see docs/extend.md"


def _data_of_a_recipe(name: str) -> dict[str, Any]:
    """Data options of the shortest recipe of a data set, without extra targets and unlabelled samples."""
    found: dict[str, dict[str, Any]] = {}
    for recipe in files.recipes():
        block = files.read_yaml(files.folder("configs") / f"{recipe}.yaml")["data"]
        path, card = block["init_args"]["path"], files.card(block["init_args"]["path"])
        if card["task"] in TASKS and not NOT_SHIPPED & card.keys():
            found[path] = min(found.get(path, block), block, key=lambda one: len(one["init_args"]))
    if name not in found:
        raise InputError(f"no packaged data set {name!r} with a target to predict; {suggest(name, found)}")
    options = {key: value for key, value in found[name]["init_args"].items() if key not in ("also", "unlabelled")}
    if "also" in files.card(name).get("options", {}).get(found[name]["class_path"], {}):
        options["also"] = {}
    return {**found[name], "init_args": options}

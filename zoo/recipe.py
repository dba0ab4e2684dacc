"""Recipes as plain values, checked before anything is made of them. Without torch.

A recipe may come from anywhere. It chooses classes of zoo, and of the modules that the user names on the command line,
by their names; it holds no functions, no import paths of other code and no names of further recipes, and writes only
inside the working folder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import files
from .errors import InputError, suggest

CLASSES = ("model", "data")  # keys that choose a class
GROUPS = ("trainer", "early_stopping")  # keys with the options of a fixed class
SWITCHES = ("seed_everything", "ckpt_path", "output", "untrained")
# Options that a user gives, but a recipe does not: files that are written or resumed, and a registry on the network.
OWN = ("ckpt_path", "output", "trainer.model_registry")
ROOT = "trainer.default_root_dir"
UNSET = (None, "null", "")


def read_recipe(path: Path) -> dict[str, Any]:
    """Content of a recipe, with all values as text, see `files.TextLoader`.

    Raises:
        InputError: The file is not YAML of plain values, or has keys or a structure that a recipe does not have.
    """
    content = files.read_yaml(path, files.TextLoader)
    for key, value in content.items():
        if key not in (known := (*CLASSES, *GROUPS, *SWITCHES)):
            raise InputError(f"{path}: a recipe has no key {key!r}; {suggest(str(key), known)}")
        if key in CLASSES:
            _check_block(path, key, value)
        elif key in GROUPS and not isinstance(value, dict):
            raise InputError(f"{path}: {key} must be options and their values, not {value!r:.60}")
        elif key in SWITCHES and isinstance(value, (dict, list)):
            raise InputError(f"{path}: {key} must be a single value, not {value!r:.60}")
    return content


def _check_block(path: Path, key: str, block: Any) -> None:
    """A class and its options: ``{class_path: NAME, init_args: {...}}``, or ``NAME``."""
    if isinstance(block, str) and block:
        return
    if not isinstance(block, dict):
        raise InputError(f"{path}: {key} must be class_path and init_args, not {block!r:.60}")
    for name in block:
        if name not in (known := ("class_path", "init_args")):
            raise InputError(f"{path}: {key} has no key {name!r}; {suggest(str(name), known)}")
    if not isinstance(block.get("class_path"), str):
        raise InputError(f"{path}: {key}.class_path must be the name of a class")
    if not isinstance(block.get("init_args", {}), dict):
        raise InputError(f"{path}: {key}.init_args must be options and their values")


def check_places(content: dict[str, Any], path: Path, run: Path | None, given: Mapping[str, str]) -> None:
    """Refuse a recipe that chooses files to write or to resume, or a folder for results outside the working folder.

    Args:
        content: From `read_recipe`.
        path: The recipe, for messages.
        run: The run folder that it belongs to: it may name the folder that holds this run.
        given: Options of the command line, which replace those of the recipe.

    Raises:
        InputError: There is such an option.
    """
    options = {**content, **{f"trainer.{key}": value for key, value in content.get("trainer", {}).items()}}
    options = {name: value for name, value in options.items() if name not in given}
    for name in OWN:
        if options.get(name) not in UNSET:
            raise InputError(f"{path}: {name} is not accepted in a recipe; give it on the command line: --{name}")
    root = options.get(ROOT)
    if root in UNSET or (run is not None and Path(str(root)).resolve() == run.resolve().parent.parent):
        return
    folder = Path(str(root))
    if folder.is_absolute() or ".." in folder.parts or str(root).startswith("~") or ":" in str(root):
        raise InputError(
            f"{path}: {ROOT} {root!r} may lie outside the working folder; give it on the command line: --{ROOT}"
        )

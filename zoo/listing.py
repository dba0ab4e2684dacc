"""``zoo list`` and ``zoo show``. Torch is imported only to show a recipe without weights.

``python -m zoo.listing README.md`` writes the list of recipes into the README (``make readme``).
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import files
from .card_schema import read_card
from .errors import InputError, suggest

OWN_TASKS = ("representation", "synthesis", "translation", "anomaly")
MARKS = "<!-- zoo list -->\n", "<!-- end of zoo list -->\n"  # around the list in the README


def recipe_table() -> str:
    """One line per recipe: model, data set, task, headline test score, number of parameters, packaged weights.

    The last column is yes, no, or untrained for a recipe with ``untrained: true``. The recipes for a user's own file
    follow.
    """
    cards = {name: _weights_card(name) for name in files.recipes()}
    # The task of models that do not predict the target of the data, from the cards of other recipes.
    own = {card["model"]: card["task"] for card in cards.values() if card and card["task"] in OWN_TASKS}
    rows = [("recipe", "model", "data", "task", "test score", "parameters", "weights")]
    for name in files.recipes():
        recipe = files.read_yaml(files.config(name))
        data = recipe["data"]["init_args"]["path"]
        card, model = cards[name], recipe["model"]["class_path"]
        task = card["task"] if card else own.get(model) or files.card(data)["task"]
        test = card["scores"][card["model"]]["test"] if card else {}
        score = f"{card['headline']} {test[card['headline']]:.3f}" if card else "-"
        size = f"{card['parameters']:,}" if card else "-"
        shipped = "yes" if card else "untrained" if recipe.get("untrained") else "no"
        rows.append((name, model, data, task, score, size, shipped))
    generic = [(name, files.read_yaml(files.config(name))["model"]["class_path"]) for name in files.generic_recipes()]
    return f"{_aligned(rows)}\n\n{_aligned([('for your own file:', 'model'), *generic])}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def in_readme(text: str) -> str:
    """The text of a README with the current list of recipes."""
    start, end = MARKS
    if text.count(start) != 1 or text.count(end) != 1:
        raise InputError(f"the README needs one line {start.strip()!r} and one {end.strip()!r} after it")
    before, _, rest = text.partition(start)
    return f"{before}{start}```\n{recipe_table()}\n```\n{end}{rest.partition(end)[2]}"


def write_readme(path: Path) -> None:
    """Update the list of recipes in a README."""
    text = in_readme(path.read_text(encoding="utf-8"))
    with files.replacing(path) as new:
        new.write_text(text, encoding="utf-8")


def _weights_card(name: str) -> dict[str, Any] | None:
    return read_card(files.HERE / "pretrained" / name) if name in files.pretrained() else None


def show(name: str) -> str:
    """A recipe or a run followed by the card of its weights or the sizes of its layers, or the card of a data set.

    Raises:
        InputError: There is no recipe, run or data set of this name.
    """
    if name in files.datasets():
        return (files.folder("datasets") / name / "card.yaml").read_text(encoding="utf-8")
    run = files.run_folder(name)
    recipes = [*files.recipes(), *files.generic_recipes()]
    if name not in recipes and run is None:
        raise InputError(f"no recipe, data set or run {name!r}; {suggest(name, [*recipes, *files.datasets()])}")
    text = files.config(name).read_text(encoding="utf-8", errors="replace")
    card = files.HERE / "pretrained" / name / "README.md"
    if card.is_file():
        return text + "\n" + card.read_text(encoding="utf-8").split("---\n", 2)[2]
    if run is not None:
        path = run / files.LAYERS
        return text + "\n" + path.read_text(encoding="utf-8", errors="replace") if path.is_file() else text
    if name in files.generic_recipes():
        return f"{text}\nThe sizes of the layers depend on your file: zoo fit FILE --config {name}"
    return f"{text}\n{_layers(name)}"


def _layers(name: str) -> str:
    """Sizes of the layers of a recipe without weights; nothing if the data that determine them are not packaged."""
    from .models.layer_table import layer_table, layer_text
    from .parsing import CLI
    from .runs import quieten

    quieten()
    try:
        return layer_text(layer_table(CLI(["--config", name]).make_example()))
    except InputError as error:
        return f"The sizes of the layers depend on the data: {error}"


if __name__ == "__main__":
    write_readme(Path(sys.argv[1]))

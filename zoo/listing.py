"""``zoo list`` and ``zoo show``: what there is, without importing torch (but to show a recipe without weights)."""

import json
from typing import Any

from . import files
from .errors import InputError, suggest

OWN_TASKS = ("representation", "synthesis", "translation", "anomaly")


def recipe_table() -> str:
    """One line a recipe: model, data set, task, headline test score, number of weights, whether they are shipped."""
    cards = {name: _weights_card(name) for name in files.recipes()}
    # What a model is for, if it is not to predict the target of the data: other recipes of it tell.
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
        rows.append((name, model, data, task, score, size, "yes" if card else "no"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _weights_card(name: str) -> dict[str, Any] | None:
    path = files.HERE / "pretrained" / name / "config.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def show(name: str) -> str:
    """A recipe or a run followed by the card of its weights or the sizes of its layers, or the card of a data set.

    Raises:
        InputError: Neither of that name.
    """
    if name in files.datasets():
        return (files.folder("datasets") / name / "card.yaml").read_text(encoding="utf-8")
    run = files.run_folder(name)
    if name not in files.recipes() and run is None:
        raise InputError(f"no recipe, data set or run {name!r}; {suggest(name, [*files.recipes(), *files.datasets()])}")
    text = files.config(name).read_text(encoding="utf-8")
    card = files.HERE / "pretrained" / name / "README.md"
    if card.is_file():
        return text + "\n" + card.read_text(encoding="utf-8").split("---\n", 2)[2]
    if run is not None:
        path = run / files.LAYERS
        return text + "\n" + path.read_text(encoding="utf-8") if path.is_file() else text
    return f"{text}\n{_layers(name)}"


def _layers(name: str) -> str:
    """Sizes of the layers of a recipe whose data are not shipped, from the shape that their card states."""
    from .models.layer_table import layer_table, layer_text
    from .parsing import CLI
    from .runs import quieten

    quieten()
    return layer_text(layer_table(CLI(["--config", name]).make_example()))

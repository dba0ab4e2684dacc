"""Names in options stay as they were typed: YAML would read ``no`` as false, ``01`` as 1 and ``0.10`` as 0.1."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from zoo import files
from zoo.cli import main
from zoo.parsing import CLI

NAMES = ["no", "yes", "on", "off", "y", "n", "True", "false", "null", "1", "01", "0.10", "1e3", "12:30", "2020-01-01"]


def of_data(*words: str) -> dict[str, Any]:
    chosen: dict[str, Any] = CLI(list(words)).config.data.init_args.as_dict()
    return chosen


def test_names_on_the_command_line_are_text(here: Path) -> None:
    options = of_data(
        "--config=mlp_pima",
        "--data.path=own.csv",
        "--data.target=on",
        "--data.positive=no",
        "--data.id=01",
        f"--data.categorical=[{', '.join(NAMES)}]",
        f"--data.ordered={{1: [{', '.join(NAMES)}], no: [low, high]}}",
        "--data.missing={1: [0, -9.5]}",
        "--data.batch_size=16",
    )
    assert {name: options[name] for name in ("target", "positive", "id")} == {
        "target": "on",
        "positive": "no",
        "id": "01",
    }
    assert options["categorical"] == NAMES
    assert options["ordered"] == {"1": NAMES, "no": ["low", "high"]}
    assert options["missing"] == {"1": ["0", "-9.5"]}
    assert options["batch_size"] == 16
    assert of_data("--config=mlp_pima", "--data.target=null")["target"] is None


def test_names_in_a_recipe_are_text_and_numbers_are_numbers(here: Path) -> None:
    recipe = f"""
model: {{class_path: MLP, init_args: {{hidden: [8, 4], lr: 1e-3, dropout: 0}}}}
data:
  class_path: TableData
  init_args:
    path: own.csv
    target: on
    positive: no
    group: null
    id:
    fractions: [0.6, .2, 2e-1]
    categorical: [{", ".join(NAMES)}]
    ordered: {{smoker: [no, ex, yes], 'yes': [1, 2]}}
trainer: {{max_epochs: 3, limit_train_batches: 0.5}}
"""
    Path("own.yaml").write_text(recipe)
    cli = CLI(["--config=own.yaml"])
    Path("again.yaml").write_text(cli.as_yaml())
    for config in (cli.config, CLI(["--config=again.yaml"]).config):
        options, model = config.data.init_args, config.model.init_args
        assert (options.target, options.positive, options.group, options.id) == ("on", "no", None, None)
        assert options.fractions == [0.6, 0.2, 0.2]
        assert options.categorical == NAMES
        assert options.ordered == {"smoker": ["no", "ex", "yes"], "yes": ["1", "2"]}
        assert (model.hidden, model.lr, model.dropout) == ([8, 4], 0.001, 0.0)
        assert (config.trainer.max_epochs, config.trainer.limit_train_batches) == (3, 0.5)
    assert CLI(["--config=again.yaml"]).as_yaml() == cli.as_yaml()


def test_a_model_of_yes_and_no_trains_and_repeats(here: Path) -> None:
    table = pd.DataFrame({"smoker": ["no", "ex", "yes", "no"] * 15, "x": range(60), "on": ["no", "yes", "yes"] * 20})
    table.to_csv("own.csv", index=False)
    quick = ["--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
    own = ["--data.path=own.csv", "--data.target=on", "--data.positive=no", "--data.ordered={smoker: [no, ex, yes]}"]
    main(["fit", "mlp_pima", *own, *quick])
    main(["fit", "runs/mlp_pima/1"])
    for run in (1, 2):
        spec = CLI([f"--config=runs/mlp_pima/{run}"]).make_data().spec
        assert spec["target"]["classes"] == ["yes", "no"]
        assert spec["modalities"]["table"]["levels"] == {"smoker": ["no", "ex", "yes"]}
    one, two = (Path(f"runs/mlp_pima/{run}/config.yaml").read_text() for run in (1, 2))
    assert one == two


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((name, name) for name in ("no", "Yes", "ON", "off", "y", "N", "01", "1_000", "12:30", "2020-01-01", "0x1f")),
        *(("true", True), ("False", False), ("null", None), ("~", None), ("", None)),
        *(("1", 1), ("-3", -3), ("0.10", 0.1), ("1e-3", 0.001), (".5", 0.5), ("2.", 2.0), ("'1'", "1"), (".", ".")),
    ],
)
def test_values_of_yaml_files(text: str, value: object, here: Path) -> None:
    Path("card.yaml").write_text(f"key: {text}\nlist: [{text}]\n")
    found = files.read_yaml(Path("card.yaml"))
    assert repr(found["key"]) == repr(value)
    assert repr(found["list"]) == repr([value] if text else [])

"""Recipes and options choose no code: none of them imports a module, calls a function, or reads a further file."""

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.callbacks import Callback

from zoo import classes, files
from zoo.cli import main
from zoo.errors import InputError
from zoo.models import REGISTRY
from zoo.parsing import CLI

MARK = Path("executed")  # written by any of the code below
CODE = """
from pathlib import Path
Path("executed").touch()
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from zoo.models import MLP
class Evil(Callback): pass
class EvilLogger(CSVLogger): pass
class EvilMLP(MLP, abstract=True): pass
def call(*arguments): Path("executed").touch()
"""
RECIPE = """model: {class_path: MLP, init_args: {hidden: [4]}}
data: {class_path: TableData, init_args: {path: pima}}
trainer: {max_epochs: 1, accelerator: cpu}
"""
MODEL, DATA, TRAINER = RECIPE.splitlines()
LAMBDA = "{class_path: lightning.pytorch.callbacks.LambdaCallback, init_args: {on_fit_start: evil.call}}"
# A file that names the code, for what reads a file where a class is meant.
SUB = "class_path: evil.Evil\n"

ATTACKS = {
    "class_path of a model": f"model: {{class_path: evil.EvilMLP}}\n{DATA}",
    "model": f"model: evil.EvilMLP\n{DATA}",
    "model in a file": f"model: sub.yaml\n{DATA}",
    "class_path in a file": f"model: {{class_path: sub.yaml}}\n{DATA}",
    "data in a file": f"{MODEL}\ndata: sub.yaml",
    "data": f"{MODEL}\ndata: evil.Evil",
    "trainer in a file": f"{MODEL}\n{DATA}\ntrainer: trainer.yaml",
    "early stopping in a file": f"{MODEL}\n{DATA}\nearly_stopping: sub.yaml",
    "config in a config": f"config: trainer.yaml\n{RECIPE}",
    "callbacks": f"{MODEL}\n{DATA}\ntrainer: {{callbacks: [evil.Evil]}}",
    "one callback": f"{MODEL}\n{DATA}\ntrainer: {{callbacks: evil.Evil}}",
    "class_path of a callback": f"{MODEL}\n{DATA}\ntrainer: {{callbacks: [{{class_path: evil.Evil}}]}}",
    "callbacks in a file": f"{MODEL}\n{DATA}\ntrainer: {{callbacks: sub.yaml}}",
    "callbacks in files": f"{MODEL}\n{DATA}\ntrainer: {{callbacks: [sub.yaml]}}",
    "a function of a callback": f"{MODEL}\n{DATA}\ntrainer: {{callbacks: [{LAMBDA}]}}",
    "a function of a callback in zoo": (
        f"{MODEL}\n{DATA}\ntrainer: {{callbacks: [{{class_path: LambdaCallback, init_args: {{setup: evil.call}}}}]}}"
    ),
    "dict_kwargs": f"{MODEL}\n{DATA}\ntrainer: {{callbacks: [{{class_path: Timer, dict_kwargs: {{a: evil.call}}}}]}}",
    "dict_kwargs of a model": f"model: {{class_path: MLP, dict_kwargs: {{a: evil.call}}}}\n{DATA}",
    "logger": f"{MODEL}\n{DATA}\ntrainer: {{logger: evil.EvilLogger}}",
    "class_path of a logger": f"{MODEL}\n{DATA}\ntrainer: {{logger: {{class_path: evil.EvilLogger}}}}",
    "a logger of Lightning": (
        f"{MODEL}\n{DATA}\n"
        "trainer: {logger: {class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: executed}}}"
    ),
    "profiler": f"{MODEL}\n{DATA}\ntrainer: {{profiler: evil.Evil}}",
    "plugins": f"{MODEL}\n{DATA}\ntrainer: {{plugins: [evil.Evil]}}",
    "strategy": f"{MODEL}\n{DATA}\ntrainer: {{strategy: evil.Evil}}",
    "accelerator": f"{MODEL}\n{DATA}\ntrainer: {{accelerator: {{class_path: evil.Evil}}}}",
    "class in an encoding": (
        f"model: {{class_path: MLP, init_args: {{encoding: {{class_path: evil.EvilMLP, init_args: {{}}}}}}}}\n{DATA}"
    ),
    "class in the text of an encoding": (
        f"model: {{class_path: MLP, init_args: {{encoding: {{layer: '{{class_path: evil.EvilMLP}}'}}}}}}\n{DATA}"
    ),
    "class in an escaped text": (
        "model: {class_path: MLP, init_args: {encoding: {layer: '{\"class\\u005fpath\": evil.EvilMLP}'}}}\n" + DATA
    ),
    "class in a key with a point": (
        f"model: {{class_path: MLP, init_args: {{encoding.class_path: evil.EvilMLP}}}}\n{DATA}"
    ),
    "key with a point": f"model.class_path: evil.EvilMLP\n{RECIPE}",
    "tag": f"{MODEL}\n{DATA}\ntrainer: !!python/object/apply:evil.call []",
    "import": f"import: evil\n{RECIPE}",
}


@pytest.fixture
def trap(here: Path) -> Iterator[Path]:
    """Modules and files in the current folder, which is where Python looks for modules, that must not be used."""
    Path("evil.py").write_text(CODE)
    Path("sub.yaml").write_text(SUB)
    Path("MLP").write_text("evil.EvilMLP")
    Path("trainer.yaml").write_text("callbacks: [{class_path: evil.Evil}]\n")
    sys.path.insert(0, str(here))
    yield here
    sys.path.remove(str(here))
    sys.modules.pop("evil", None)


@pytest.mark.parametrize("name", ATTACKS)
def test_recipe_chooses_no_code(name: str, trap: Path, zoo_fails: Callable[..., str]) -> None:
    Path("r.yaml").write_text(ATTACKS[name])
    error = zoo_fails("fit", "r.yaml", "--trainer.max_epochs=1")
    assert error.count("\n") == 0
    assert not MARK.exists()
    assert "evil" not in sys.modules
    assert not Path("runs").exists()


WORDS = {
    "model": ["--model", "evil.EvilMLP"],
    "model=": ["--model=evil.EvilMLP"],
    "model in a file": ["--model=sub.yaml"],
    "class_path": ["--model.class_path=evil.EvilMLP"],
    "mapping": ["--model={class_path: evil.EvilMLP}"],
    "data": ["--data=evil.Evil"],
    "help": ["--model.help=evil.EvilMLP"],
    "help of a callback": ["--trainer.callbacks.help=evil.Evil"],
    "callbacks": ["--trainer.callbacks=evil.Evil"],
    "callbacks+": ["--trainer.callbacks+=evil.Evil"],
    "class_path of a callback": ["--trainer.callbacks=[{class_path: evil.Evil}]"],
    "function of a callback": [f"--trainer.callbacks=[{LAMBDA}]"],
    "callbacks in a file": ["--trainer.callbacks=sub.yaml"],
    "trainer in a file": ["--trainer=trainer.yaml"],
    "early stopping in a file": ["--early_stopping", "sub.yaml"],
    "logger": ["--trainer.logger=evil.EvilLogger"],
    "profiler": ["--trainer.profiler=evil.Evil"],
    "plugins": ["--trainer.plugins=evil.Evil"],
    "strategy": ["--trainer.strategy=evil.Evil"],
    "accelerator": ["--trainer.accelerator={class_path: evil.Evil}"],
    "encoding": ["--model.encoding={class_path: evil.EvilMLP, init_args: {}}"],
    "option of an encoding": ["--model.encoding.class_path=evil.EvilMLP"],
    "text in an encoding": ["--model.encoding.layer={class_path: evil.EvilMLP}"],
    "dict_kwargs": ["--model.dict_kwargs.a=evil.call"],
    "a second config": ["--config=trainer.yaml"],
    "a second config, short": ["-ctrainer.yaml"],
}


@pytest.mark.parametrize("name", WORDS)
def test_options_choose_no_code(name: str, trap: Path, zoo_fails: Callable[..., str]) -> None:
    Path("r.yaml").write_text(RECIPE)
    error = zoo_fails("fit", "--config", "r.yaml", *WORDS[name])
    assert error.count("\n") == 0
    assert not MARK.exists()
    assert "evil" not in sys.modules
    assert not Path("runs").exists()


def test_help_reads_no_recipe_unchecked(trap: Path, zoo_fails: Callable[..., str]) -> None:
    Path("r.yaml").write_text(ATTACKS["model"])
    for words in (["-cr.yaml", "--help"], ["--help", "-c", "r.yaml"], ["--config=r.yaml", "--model.help"]):
        zoo_fails("fit", *words)
    assert not MARK.exists()


def test_a_file_called_like_a_class_is_not_read(trap: Path) -> None:
    for text in (RECIPE, RECIPE.replace(MODEL, "model: MLP")):
        Path("r.yaml").write_text(text)
        assert CLI(["--config=r.yaml", "--model=MLP"]).config.model.class_path == "zoo.models.MLP"
    assert not MARK.exists()


def test_environment_names_no_config(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("r.yaml").write_text(RECIPE)
    Path("other.yaml").write_text("trainer: {max_epochs: 7}")
    monkeypatch.setenv("JSONARGPARSE_DEFAULT_ENV", "true")
    monkeypatch.setenv("PL_CONFIG", "other.yaml")
    monkeypatch.setenv("PL_TRAINER__MAX_EPOCHS", "8")
    assert CLI(["--config=r.yaml"]).config.trainer.max_epochs == 1


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (bomb(12), "aliases such as *a0 are not accepted"),
        (RECIPE + "extra: &a [*a]", "aliases such as *a are not accepted"),
        (RECIPE.replace("[4]", "&h [*h]"), "aliases such as *h are not accepted"),
        (RECIPE.replace("[4]", f'"{bomb(12)!r}"'[1:-1].replace("'", '"')), "aliases such as *a0 are not accepted"),
        (RECIPE + "extra: " + "[" * 3000 + "]" * 3000, "more than 20 levels"),
        (RECIPE + "extra: " + "{a: " * 3000 + "1" + "}" * 3000, "more than 20 levels"),
        (RECIPE.replace("[4]", "'" + "[" * 3000 + "]" * 3000 + "'"), "more than 20 levels"),
        ("x" * 2_000_000, "larger than 1 MB"),
        (RECIPE + RECIPE, "'model' is there twice"),
        (RECIPE.replace("path: pima", "path: pima, path: digits"), "'path' is there twice"),
        (RECIPE + "foo: 1", "a recipe has no key 'foo'"),
        (RECIPE.replace("trainer", "trianer"), "a recipe has no key 'trianer'; did you mean trainer"),
        (RECIPE + "3: 4", "a recipe has no key '3'"),
        (RECIPE + "null: 4", "a recipe has no key 'null'"),
        (RECIPE + "? [1, 2]\n: 3", "not readable as YAML"),
        (RECIPE + "<<: {model: evil.EvilMLP}", "a recipe has no key '<<'"),
        (RECIPE.replace(MODEL, "model:"), "model must be class_path and init_args"),
        (RECIPE.replace(MODEL, "model: [MLP]"), "model must be class_path and init_args"),
        (RECIPE.replace(MODEL, "model: {hidden: [3]}"), "model has no key 'hidden'"),
        (RECIPE.replace("class_path: MLP", "class_path: [MLP]"), "model.class_path must be the name of a class"),
        (RECIPE.replace("class_path: MLP", "class_path: TableData"), "no class 'TableData'"),
        (RECIPE.replace("class_path: MLP", "class_path: Model"), "no class 'Model'"),
        (RECIPE.replace("class_path: MLP", "class_path: MLPP"), "r.yaml: no class 'MLPP'; did you mean MLP"),
        (RECIPE.replace("class_path: MLP", "class_path: zoo.publish.MLP"), "no class 'zoo.publish.MLP'"),
        (RECIPE.replace("{hidden: [4]}", "[4]"), "model.init_args must be options and their values"),
        (RECIPE.replace("{hidden: [4]}", ""), "model.init_args must be options and their values"),
        (RECIPE.replace("hidden", "hiden"), "did you mean hidden"),
        (RECIPE.replace("max_epochs", "max_epoch"), "did you mean max_epochs"),
        (f"{MODEL}\n{DATA}\ntrainer: 3", "trainer must be options and their values"),
        (f"{MODEL}\n{DATA}\ntrainer: [max_epochs]", "trainer must be options and their values"),
        (RECIPE + "seed_everything: [1]", "seed_everything must be a single value"),
        (RECIPE + "ckpt_path: ../last.ckpt", "ckpt_path is not accepted in a recipe"),
        (RECIPE + "output: /etc/cron.d/zoo", "output is not accepted in a recipe"),
        (RECIPE.replace("cpu", "cpu, model_registry: x"), "trainer.model_registry is not accepted in a recipe"),
        (RECIPE.replace("cpu", "cpu, default_root_dir: /tmp/elsewhere"), "may lie outside the working folder"),
        (RECIPE.replace("cpu", "cpu, default_root_dir: a/../../b"), "may lie outside the working folder"),
        (RECIPE.replace("cpu", "cpu, default_root_dir: ~/runs"), "may lie outside the working folder"),
        (RECIPE.replace("cpu", "cpu, default_root_dir: 'file:///tmp'"), "may lie outside the working folder"),
        (RECIPE.replace("cpu", "cpu, callbacks: [LambdaCallback]"), "no class 'LambdaCallback'"),
        (RECIPE.replace("cpu", "cpu, callbacks: [ModelCheckpoint]"), "no class 'ModelCheckpoint'"),
        (RECIPE.replace("cpu", "cpu, callbacks: [Timr]"), "no class 'Timr'; did you mean Timer"),
        (
            RECIPE.replace("cpu", "cpu, callbacks: [{class_path: Timer, init_args: {durations: 1}}]"),
            "trainer.callbacks: Timer has no 'durations'; did you mean duration",
        ),
        (
            RECIPE.replace("cpu", "cpu, callbacks: [{class_path: StochasticWeightAveraging, init_args: {swa_lrs: x}}]"),
            "swa_lrs",
        ),
        (
            RECIPE.replace(
                "cpu", "cpu, callbacks: [{class_path: StochasticWeightAveraging, init_args: {swa_lrs: 1, avg_fn: a.b}}]"
            ),
            "StochasticWeightAveraging: avg_fn",
        ),
    ],
)
def test_recipe_outside_the_schema(text: str, words: str, here: Path, zoo_fails: Callable[..., str]) -> None:
    Path("r.yaml").write_text(text)
    for command in ("fit", "predict"):
        error = zoo_fails(command, "--config", "r.yaml")
        assert words in error
        assert len(error) < 500
    assert [path.name for path in here.iterdir()] == ["r.yaml"]


def test_number_of_values_is_bounded(
    here: Path, zoo_fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "VALUES", 1000)
    Path("r.yaml").write_text(RECIPE + f"extra: [{'1, ' * 2000}]")
    assert "more than 1,000 values" in zoo_fails("fit", "--config", "r.yaml")


@pytest.mark.parametrize("value", ["[" * 3000, "&a [*a]", "{a: " * 3000, bomb(12)])
@pytest.mark.parametrize("option", ["--trainer.max_epochs", "--model.encoding", "--model.hidden", "--data.ordered"])
def test_options_are_bounded_as_well(option: str, value: str, here: Path, zoo_fails: Callable[..., str]) -> None:
    assert len(zoo_fails("fit", "--config=mlp_pima", f"{option}={value}")) < 5000


def test_names_that_look_like_yaml_stay_names() -> None:
    for name in ("*p", "&p", "!p", "%x", "@x", "{a", "[b"):
        assert CLI(["--config=mlp_pima", f"--data.target={name}"]).config.data.init_args.target == name


CALLBACKS = """
    - LearningRateMonitor
    - {class_path: StochasticWeightAveraging, init_args: {swa_lrs: 1e-3}}
    - {class_path: GradientAccumulationScheduler, init_args: {scheduling: {0: 2}}}
    - {class_path: lightning.pytorch.callbacks.Timer, init_args: {duration: "00:00:10:00"}}
"""


def test_callbacks_of_lightning(here: Path) -> None:
    Path("r.yaml").write_text(
        RECIPE.replace(
            "trainer: {max_epochs: 1, accelerator: cpu}", f"trainer:\n  max_epochs: 2\n  callbacks:{CALLBACKS}"
        )
    )
    cli = CLI(["--config=r.yaml"])
    names = [type(callback).__name__ for callback in cli.make_trainer(logger=True).callbacks]  # type: ignore[attr-defined]
    expected = ["LearningRateMonitor", "StochasticWeightAveraging", "GradientAccumulationScheduler", "Timer"]
    assert names[:4] == expected
    Path("again.yaml").write_text(cli.as_yaml())
    assert CLI(["--config=again.yaml"]).as_yaml() == cli.as_yaml()
    one = CLI(["--config=mlp_pima", "--trainer.callbacks=Timer"]).config.trainer.callbacks
    more = CLI(["--config=mlp_pima", "--trainer.callbacks+=Timer"]).config.trainer.callbacks
    assert one == more
    assert one[0]["class_path"] == "lightning.pytorch.callbacks.Timer"


@pytest.mark.parametrize("name", classes.CALLBACKS)
def test_callbacks_take_plain_options_only(name: str) -> None:
    found = classes.find("callback", name)
    assert issubclass(found, Callback)
    assert classes.path_of(found) == f"lightning.pytorch.callbacks.{name}"


def test_what_is_printed_is_a_recipe(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config", "joint_miniacc", "--print_config"])
    Path("my.yaml").write_text(capsys.readouterr().out)
    assert CLI(["--config=my.yaml"]).as_yaml() == CLI(["--config=joint_miniacc"]).as_yaml()


def test_a_run_may_lie_outside_the_working_folder(here: Path, zoo_fails: Callable[..., str]) -> None:
    place = here / "elsewhere" / "mlp_pima" / "1"
    place.mkdir(parents=True)
    (here / "work").mkdir()
    for root in (str(here / "elsewhere"), "../elsewhere"):
        text = RECIPE.replace("cpu", f"cpu, default_root_dir: {root}")
        (place / "config.yaml").write_text(text)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(here / "work")
            assert CLI([f"--config={place}"]).config.trainer.default_root_dir == root
            Path("r.yaml").write_text(text)
            with pytest.raises(InputError, match="outside the working folder"):
                CLI(["--config=r.yaml"])
            assert CLI(["--config=r.yaml", "--trainer.default_root_dir=x"]).config.trainer.default_root_dir == "x"
    (place / "config.yaml").write_text(RECIPE.replace("cpu", f"cpu, default_root_dir: {here}"))
    assert "outside the working folder" in zoo_fails("fit", str(place))


OWN = """
from lightning.pytorch.callbacks import Callback
from torch import nn
from zoo.models import MLP

class Wider(MLP):
    def __init__(self, hidden: list[int], factor: int = 2, loss_function: type[nn.Module] | None = None, **shared):
        super().__init__(hidden=[factor * width for width in hidden], **shared)

class Said(Callback):
    def __init__(self, word: str = "hello"):
        self.word = word
    def on_fit_start(self, trainer, model):
        print(self.word)
"""


@pytest.fixture
def own(here: Path) -> Iterator[str]:
    """A module of the user in the working folder."""
    Path("my_module.py").write_text(OWN)
    yield "my_module"
    sys.modules.pop("my_module", None)
    REGISTRY.pop("Wider", None)
    classes.imported.clear()
    gc.collect()  # classes of the module are found as long as they exist


def test_own_code_is_named_on_the_command_line(
    own: str, zoo_fails: Callable[..., str], capsys: pytest.CaptureFixture[str], cheap_report: None
) -> None:
    before = list(sys.path)
    words = [
        "--model=Wider",
        "--model.factor=1",
        "--trainer.callbacks=[{class_path: Said, init_args: {word: bonjour}}]",
    ]
    quick = ["--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--config=mlp_pima"]
    assert "no class 'Wider'" in zoo_fails("fit", *quick, words[0])
    assert "my_module" not in sys.modules
    main(["fit", *quick, *words, "--import=my_module"])
    assert "bonjour" in capsys.readouterr().out
    assert sys.path == before
    written = yaml.safe_load(Path("runs/mlp_pima/1/config.yaml").read_text())
    assert written["model"]["class_path"] == "my_module.Wider"
    assert written["trainer"]["callbacks"] == [{"class_path": "my_module.Said", "init_args": {"word": "bonjour"}}]
    assert written["model"]["init_args"]["loss_function"] is None
    error = zoo_fails("fit", *quick, *words, "--import=my_module", "--model.loss_function=torch.nn.MSELoss")
    assert "loss_function: expected null, got 'torch.nn.MSELoss'" in error
    main(["test", "runs/mlp_pima/1", "--import", "my_module"])
    main(["predict", "runs/mlp_pima/1", "--output=p.csv", "--import", "my_module"])
    assert Path("p.csv").is_file()
    main(["export", "runs/mlp_pima/1", "--to=weights", "--import=my_module"])
    assert Path("weights/config.json").is_file()


def test_a_run_says_which_module_it_needs(own: str, zoo_fails: Callable[..., str]) -> None:
    Path("runs/x/1").mkdir(parents=True)
    Path("runs/x/1/config.yaml").write_text(RECIPE.replace("MLP", "my_module.Wider"))
    assert "--import my_module" in zoo_fails("predict", "runs/x/1")
    assert "my_module" not in sys.modules


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("my_modul", "", "No module named 'my_modul'"),
        ("my_module.py", "", "give the name of a module"),
        ("", "", "give the name of a module"),
        ("my_module", "x = 1\ny = 1 / 0\n", "my_module.py, line 2"),
        ("my_module", "from zoo.models import MLP as Old\nclass MLP(Old): pass\n", "two models are called MLP"),
        (
            "my_module",
            "from lightning.pytorch.callbacks import Callback\nclass Timer(Callback): pass\n",
            "the name Timer is taken",
        ),
    ],
)
def test_own_code_that_cannot_be_used(
    name: str, text: str, words: str, own: str, zoo_fails: Callable[..., str]
) -> None:
    Path("my_module.py").write_text(text)
    error = zoo_fails("fit", "mlp_pima", f"--import={name}")
    assert words in error
    assert error.count("\n") == 0


def test_packaged_recipes_fit_the_schema() -> None:
    from zoo.recipe import read_recipe

    for name in [*files.recipes(), *files.generic_recipes()]:
        assert read_recipe(files.config(name))["model"]["class_path"] in classes.known("model")

"""LightningCLI with short class names, recipes by name and one-line error messages."""

import json
import logging
import math
import os
import re
from argparse import SUPPRESS
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import Namespace, set_loader
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from . import budget, files
from .data import Data
from .data.intake import expand
from .errors import MOST_SEED, InputError, check_range, suggest
from .models import REGISTRY, Model
from .spec import Modality, Spec, Target
from .training.profiler import NoProfiler

log = logging.getLogger("zoo")
USAGE = "zoo fit FILE_OR_NAME [--OPTION VALUE ...]"
DESCRIPTION = """Train on a FILE with the recipe of its kind of data (--target is then --data.target), or by the NAME of
a recipe or a run (equivalent to --config NAME); results are written to runs/NAME/1, 2, ...
Options of a model and of a data module: zoo fit --model.help MLP, zoo fit --data.help TableData."""
TRUSTED = ("zoo.", "lightning.pytorch.")  # import paths that a config file may name


def subclasses(base: type) -> list[type]:
    """All direct and indirect subclasses."""
    children: list[type] = base.__subclasses__()
    return [c for child in children for c in (child, *subclasses(child))]


KNOWN: dict[str, type] = {**REGISTRY, **{c.__name__: c for c in subclasses(Data)}}


class _Refused(BaseException):
    """Carries a message past jsonargparse, which would wrap an ordinary exception in several lines."""


class TextLoader(files.Loader):
    """YAML whose values are the text as it was typed; jsonargparse converts them to the type of each option.

    So names stay as they are in lists of text (``[no, yes]``, ``[1, 01, 0.10]``), and numbers are numbers where an
    option takes numbers. Only an empty value is null; ``null`` is, where an option takes it.
    """


TextLoader.yaml_implicit_resolvers = {
    "": [("tag:yaml.org,2002:null", re.compile("$"))],
    "<": files.Loader.yaml_implicit_resolvers["<"],
}
AS_TYPED = "as typed"  # name of this way of reading
DUMPING: ContextVar[bool] = ContextVar("DUMPING", default=False)


def as_typed(text: str) -> Any:
    """Content of YAML with all values as text, for jsonargparse; what it dumped itself has the types of PyYAML."""
    content = yaml.load(text, Loader=yaml.SafeLoader if DUMPING.get() else TextLoader)
    # Text such as "{a, b}" or "a:" has no values, which does not make it a mapping.
    empty = isinstance(content, dict) and content and all(value is None for value in content.values())
    return text if empty and "\n" not in text else content


set_loader(AS_TYPED, as_typed, exceptions=(yaml.YAMLError,))


class Parser(LightningArgumentParser):
    """Parser that reports an error in one message, without the usage, and reads YAML by `as_typed`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **{"parser_mode": AS_TYPED, **kwargs})

    def dump(self, *args: Any, **kwargs: Any) -> Any:
        """The options as YAML; while jsonargparse dumps, it reads those of each class again."""
        token = DUMPING.set(True)
        try:
            return super().dump(*args, **kwargs)
        finally:
            DUMPING.reset(token)

    def add_subclass_arguments(self, *args: Any, **kwargs: Any) -> Any:
        """Add options of a class except the spec of a model, which comes from the data."""
        return super().add_subclass_arguments(*args, **{**kwargs, "skip": {"spec"}})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise `_Refused`. Parsers of single classes, which know only their own options, call it as well."""
        raise _Refused(message)


GROUPS: dict[str, type] = {"trainer": Trainer, "early_stopping": EarlyStopping}  # groups with a fixed class
TOP = ["config", "model", "data", "trainer", "early_stopping", "seed_everything", "ckpt_path", "output", "print_config"]


def explain(message: str, given: dict[str, list[str]]) -> str:
    """An error message of jsonargparse in one line, with the nearest valid spelling.

    Args:
        message: Message of jsonargparse.
        given: Classes and options given by the user, see `names_given`.
    """
    if found := re.search(r"import path string: ([\w.]+)", message):
        return f"no class {found[1]!r}; {suggest(found[1], KNOWN)}"
    if found := re.search(r"Group '(\w+)' does not accept option '([\w.]+)'", message):
        return no_option(f"{found[1]}.{found[2]}", given)
    if found := re.search(r"(?:Option|[Kk]ey) '([\w.]+)\+?' is not (?:accepted|expected)", message):
        # The message lacks the class: it is that of the group in which the user gave this unknown option.
        groups = [g for g, names in given.items() if found[1] in names[1:] and found[1] not in options(g, given)]
        return no_option(".".join([*groups[:1], found[1]]), given)
    if found := re.search(r"[Uu]nrecognized arguments: (?:--)?([\w.]+)", message):
        return no_option(found[1], given)
    key = re.search(r'key "([\w.]+)"', message)
    value = re.search(r"(?:Got|Given) value: (.*)", message)
    if key and value:
        if literal := re.search(r"Literal\[(.*?)\]", message):
            choices = re.findall(r"'([^']*)'", literal[1])
            return f"{key[1]} {value[1]!r} is unknown; {suggest(value[1], choices)}"
        expected = re.findall(r"Expected an? (?:<class ')?([\w.]+)", message)
        kinds = [kind.replace("NoneType", "null") for kind in dict.fromkeys(expected) if kind not in ("path", "dot")]
        return f"{key[1]}: expected {' or '.join(kinds)}, got {value[1]!r}"
    return " ".join(message.split())


def no_option(name: str, given: dict[str, list[str]]) -> str:
    """Error message for an unknown option, with the nearest option of the same class.

    Args:
        name: Such as ``"model.hiden"``.
        given: Classes and options given by the user, see `names_given`.
    """
    group, _, option = name.partition(".")
    if not (known := options(group, given)):
        return f"no option --{name}; {suggest(group, TOP)}"
    return f"no option --{name} of {_class(group, given).__name__}; {suggest(option, known)}"


def options(group: str, given: dict[str, list[str]]) -> list[str]:
    """Names of the options of ``model``, ``data``, ``trainer`` or ``early_stopping``, of the chosen class only."""
    chosen = _class(group, given)
    if chosen is object:
        return []
    added = LightningArgumentParser().add_class_arguments(chosen, fail_untyped=False, skip={"spec"})
    return [name for name in added if "." not in name]


def _class(group: str, given: dict[str, list[str]]) -> type:
    """Class of the options of a group; ``object`` if there is none."""
    return GROUPS.get(group) or KNOWN.get(next(iter(given.get(group, [])), "").rpartition(".")[2], object)


def names_given(content: dict[str, Any], words: list[str]) -> dict[str, list[str]]:
    """Classes of model and data, followed by the names of their options, in a recipe and on the command line.

    Args:
        content: Content of the recipe.
        words: Words of the command line.

    Returns:
        Such as ``{"model": ["MLP", "hidden", "lr"], "data": ["TableData", "path"]}``.
    """
    found = {}
    for group in ("model", "data"):
        part = content.get(group)
        names = [*part.get("init_args", {})] if isinstance(part, dict) else []
        chosen = part.get("class_path", "") if isinstance(part, dict) else str(part)
        for word, following in zip(words, [*words[1:], ""], strict=True):
            flag, sign, value = word.partition("=")
            if flag in (f"--{group}", f"--{group}.class_path"):
                chosen = value if sign else following
            elif flag.startswith(f"--{group}."):
                names.append(flag.removeprefix(f"--{group}.").removeprefix("init_args.").partition(".")[0].rstrip("+"))
        found[group] = [chosen, *names]
    return found


def check_class_paths(value: Any, path: Path) -> None:
    """Refuse a config file that names code outside of zoo and Lightning.

    On the command line, users may name callbacks and loggers of their own.

    Raises:
        InputError: A ``class_path`` names such code.
    """
    if isinstance(value, dict):
        name = value.get("class_path")
        if isinstance(name, str) and "." in name and not name.startswith(TRUSTED):
            raise InputError(
                f"{path}: class_path {name!r} is not part of zoo or Lightning; give it as a command-line option"
            )
        for item in value.values():
            check_class_paths(item, path)
    elif isinstance(value, list):
        for item in value:
            check_class_paths(item, path)


def _option_of_size(init_args: dict[str, Any], spec: Spec) -> str:
    """Advice for a model that is too large: its option with the largest number, or the size of the samples."""
    largest = {name: max(_integers(value), default=0) for name, value in init_args.items()}
    name = max(largest, key=lambda name: largest[name], default="")
    shapes = [" x ".join(map(str, modality["shape"])) for modality in spec["modalities"].values()]
    inputs = sum(math.prod(modality["shape"]) for modality in spec["modalities"].values())
    option = f"lower --model.{name}" if name else "choose another model"
    return option if largest.get(name, 0) > inputs else f"{option}, or the size of the samples ({', '.join(shapes)})"


def _integers(value: Any) -> Iterator[int]:
    if isinstance(value, int) and not isinstance(value, bool):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _integers(item)


class CLI(LightningCLI):
    """Parsed configuration; the commands create models, data and trainers from it.

    Args:
        args: Options, with ``--config NAME_OR_PATH``; or a file, recipe or run first (see `zoo.data.intake.expand`).

    Attributes:
        recipe: Name of the recipe, or of the folder of the run.
        name: Name of the run folder: that of the recipe, or of a file at the start of the options.
        run: Run folder named by ``--config``, or None.
        ckpt_path: Path of a checkpoint, or None.
        output: File for predictions, or None.
    """

    def __init__(self, args: list[str]) -> None:
        self.name = self.recipe = "run"
        self.run: Path | None = None
        self.given: dict[str, list[str]] = {}
        self._whole: Data | None = None
        try:
            super().__init__(
                Model,
                Data,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=None,
                parser_class=Parser,
                seed_everything_default=0,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
                trainer_defaults={"default_root_dir": "runs", "max_epochs": 100, "enable_model_summary": False},
                parser_kwargs={"prog": "zoo fit", "usage": USAGE, "description": DESCRIPTION},
                args=args,
                run=False,
            )
        except _Refused as error:
            raise InputError(explain(str(error), self.given)) from None

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add early stopping, two paths, and the key that marks a recipe as untrained."""
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.set_defaults({"early_stopping.monitor": "validation_loss", "early_stopping.patience": 20})
        parser.add_argument(
            "--ckpt_path",
            type=str | None,
            default=None,
            help="Checkpoint; 'last' or 'best' of a run.",
        )
        parser.add_argument("--output", type=str | None, default=None, help="File for predictions.")
        parser.add_argument("--untrained", type=bool, default=False, help=SUPPRESS)  # for `zoo list`

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Replace the name of a recipe or run by its path, and parse the arguments."""
        request = expand(list(args))
        words = request.words
        if request.said:
            log.info("%s", request.said)
        for i, word in enumerate(words):
            flag, _, value = word.partition("=")
            if flag not in ("-c", "--config"):
                continue
            if not value and i + 1 == len(words):
                raise InputError("--config needs the name of a recipe, a file or a run folder")
            name = value or words[i + 1]
            path = files.config(name)
            content = files.read_yaml(path)
            check_class_paths(content, path)
            self.given = names_given(content, words)
            self.run = files.run_folder(name)
            self.recipe = path.stem if self.run is None else self.run.resolve().parent.name
            self.name = request.name if request.name and self.run is None else self.recipe
            words[i : i + (1 if value else 2)] = ["--config", str(path)] if not value else [f"--config={path}"]
            break
        else:
            if not any(word == "-h" or word.partition("=")[0].endswith("help") for word in words):
                raise InputError(
                    f"--config is missing: name a recipe ({', '.join(files.recipes()[:5])}, ...) or a file"
                )
        config = parser.parse_args(words)
        self.config = config
        for key in ("model", "data"):
            if not config.get(key):
                raise InputError(f"the config has no {key!r}")
        seed = config.seed_everything
        if isinstance(seed, bool) or seed is None:
            raise InputError(f"seed_everything must be a whole number, not {json.dumps(seed)}")
        check_range("seed_everything", seed, 0, MOST_SEED)
        config.pop("untrained")
        self.output = config.pop("output")
        self.ckpt_path = self._checkpoint(config.pop("ckpt_path"))

    def _checkpoint(self, path: str | None) -> str | None:
        if path in ("last", "best"):
            if self.run is None:
                raise InputError(f"--ckpt_path {path} needs --config to name a run folder")
            return str(self.run / (files.LAST if path == "last" else files.BEST))
        if path == "":
            raise InputError("--ckpt_path is empty; give the path of a checkpoint, 'last' or 'best', or leave it out")
        return path

    def instantiate_classes(self) -> None:
        """Do nothing: each command creates the objects that it needs."""

    def as_yaml(self) -> str:
        """The complete configuration, which reproduces the run."""
        content = yaml.safe_load(self.parser.dump(self.config, skip_unset=False))
        content.pop("config", None)
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)

    def make_data(self, **changes: Any) -> Data:
        """The data module, with some of its arguments changed."""
        data = self._make("data", changes)
        assert isinstance(data, Data)
        return data

    def make_fold(self, folds: int, fold: int, repeat: int) -> Data:
        """One fold of a cross-validation; the file is read once for all folds."""
        return self._all_folds(folds).for_fold(fold, repeat)

    def check_folds(self, folds: int, repeats: int) -> None:
        """Refuse a cross-validation of which any fold cannot be trained on."""
        self._all_folds(folds).check_folds(repeats)

    def _all_folds(self, folds: int) -> Data:
        if self._whole is None or self._whole.folds != folds:
            self._whole = self.make_data(folds=folds)
        return self._whole

    def make_model(self, data: Data) -> Model:
        """A new model for these data."""
        return self._make_model(data.spec)

    def make_example(self) -> Model:
        """A new model for the data of the recipe; if these are not packaged, from the shape and classes on their card.

        Raises:
            InputError: The data are not packaged, and their card states no shape.
        """
        card = files.card(self.config.data.init_args.path)
        if "shape" not in card:
            return self.make_model(self.make_data())
        kind = "series" if len(card["shape"]) == 2 else "image"
        modality = Modality(kind=kind, shape=card["shape"], features=[kind])
        target = Target(kind=card["task"], name=card["target"], classes=list(map(str, card["classes"])), unit="")
        return self._make_model(Spec(modalities={kind: modality}, target=target, id=""))

    def _make_model(self, spec: Spec) -> Model:
        chosen = self.config.model
        name = chosen.class_path.rpartition(".")[2]
        option = _option_of_size(chosen.init_args.as_dict(), spec)
        budget.check_parameters(lambda: self._make("model", {"spec": spec}), name, option)
        model = self._make("model", {"spec": spec})
        assert isinstance(model, Model)
        return model

    def _make(self, key: str, changes: dict[str, Any]) -> Any:
        chosen = self.config[key]
        classes = {c.__name__: c for c in subclasses(Model if key == "model" else Data)}
        return classes[chosen.class_path.rpartition(".")[2]](**{**chosen.init_args.as_dict(), **changes})

    def make_trainer(self, *callbacks: Callback, **changes: Any) -> Trainer:
        """A trainer with the configured callbacks, early stopping, and these callbacks."""
        parser = LightningArgumentParser()
        parser.add_lightning_class_args(Trainer, "trainer")
        try:
            _check_steps(self.config.trainer)
            built = parser.instantiate(Namespace(trainer=self.config.trainer.clone()))
            arguments = {**built.trainer.as_dict(), **changes}
            stopping = EarlyStopping(**self.config.early_stopping.as_dict())
            arguments["profiler"] = arguments["profiler"] or NoProfiler()
            arguments["callbacks"] = [*(arguments["callbacks"] or []), stopping, *callbacks]
            return Trainer(**arguments)
        except InputError:
            raise
        except (ValueError, TypeError, ImportError, MisconfigurationException) as error:
            raise InputError(f"trainer: {' '.join(str(error).split())}") from None


def _check_steps(trainer: Namespace) -> None:
    """Refuse numbers of steps and devices that Lightning takes and fails on later, or never validates with."""
    check_range("trainer.accumulate_grad_batches", trainer.accumulate_grad_batches, 1)
    if (interval := trainer.val_check_interval) is not None and not interval > 0:
        raise InputError(f"trainer.val_check_interval must be above 0, not {interval}")
    if (every := trainer.check_val_every_n_epoch) is not None:
        check_range("trainer.check_val_every_n_epoch", every, 1)
        if trainer.max_epochs is not None and 0 < trainer.max_epochs < every and not trainer.fast_dev_run:
            raise InputError(
                f"trainer.check_val_every_n_epoch is {every}, and trainer.max_epochs {trainer.max_epochs}: no epoch "
                "would be validated; lower the first"
            )
    cores = os.cpu_count() or 1
    if str(trainer.devices).isdigit() and int(trainer.devices) > cores:
        raise InputError(f"trainer.devices must be between 1 and {cores} on this machine, not {trainer.devices}")

"""LightningCLI with short class names, recipes by name and one-line error messages."""

import inspect
import json
import logging
import math
import os
import re
from argparse import SUPPRESS
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn

import yaml
from jsonargparse import Namespace, set_loader
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from . import budget, classes, files, recipe
from .data import Data
from .data.intake import TOP, expand, option_values, plain_yaml
from .errors import MOST_SEED, InputError, check_range, suggest
from .models import Model
from .spec import Modality, Spec, Target
from .training.profiler import NoProfiler

log = logging.getLogger("zoo")
USAGE = "zoo fit FILE_OR_NAME [--OPTION VALUE ...]"
DESCRIPTION = """Train on a FILE with the recipe of its kind of data (--target is then --data.target), or by the NAME of
a recipe or a run (equivalent to --config NAME); results are written to runs/NAME/1, 2, ...
Options of a model and of a data module: zoo fit --model.help MLP, zoo fit --data.help TableData."""


class _Refused(BaseException):
    """Carries a message past jsonargparse, which would wrap an ordinary exception in several lines."""


class _Dumper(yaml.SafeDumper):
    """YAML without aliases, which a recipe cannot have."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write a list that occurs twice two times."""
        return True


AS_TYPED = "as typed"  # name of this way of reading
DUMPING: ContextVar[bool] = ContextVar("DUMPING", default=False)


def as_typed(text: str) -> Any:
    """Content of YAML with all values as text, for jsonargparse; what it dumped itself has the types of PyYAML.

    jsonargparse reads each value of a recipe and of the command line by this function, also text inside of text. It
    would import what a ``class_path`` names, wherever it stands: so it has to be a known class.
    """
    if DUMPING.get():
        return yaml.load(text, Loader=yaml.SafeLoader)
    try:
        content = yaml.load(text, Loader=files.TextLoader)
        check_classes(content)
    except (files.LimitError, InputError) as error:
        raise _Refused(str(error)) from None
    # Text such as "{a, b}" or "a:" has no values, which does not make it a mapping.
    empty = isinstance(content, dict) and content and all(value is None for value in content.values())
    return text if empty and "\n" not in text else content


def check_classes(content: Any, kind: str = "") -> None:
    """Refuse a ``class_path``, at any depth, that does not name a known class, and further arguments of classes.

    Args:
        content: Values of a recipe or of an option.
        kind: Kind of the classes, see `classes.known`.

    Raises:
        InputError: There is one.
    """
    if isinstance(content, dict):
        for key, value in content.items():
            name = str(key).rpartition(".")[2]
            if name == "class_path":
                classes.find(kind, value)
            if name == "dict_kwargs":
                raise InputError(f"{key} is not accepted; give options of the class as init_args")
            check_classes(value, {"callbacks": "callback"}.get(name, kind))
    elif isinstance(content, list):
        for value in content:
            check_classes(value, kind)


EXAMPLES = {"trainer": "max_epochs 20", "early_stopping": "patience 10"}


def check_words(words: list[str]) -> None:
    """Refuse options that name code or another file where a class or a group of options is meant.

    Raises:
        InputError: There is one.
    """
    configs = [word for word in words if word.startswith("-c") or word.partition("=")[0] == "--config"]
    if len(configs) > 1:
        raise InputError(f"one recipe at a time: {' and '.join(configs)}")
    if configs and configs[0].partition("=")[0] not in ("-c", "--config"):
        raise InputError(f"no option {configs[0]}; write --config NAME")
    for word, following in pairwise([*words, ""]):
        flag, sign, value = word.partition("=")
        name, value = flag.removeprefix("--").rstrip("+"), value if sign else following
        group, _, rest = name.partition(".")
        parts = name.split(".")
        if not flag.startswith("--"):
            continue
        if group in recipe.CLASSES and rest in ("", "class_path", "help"):
            block = plain_yaml(value)
            block = block.get("class_path", "") if isinstance(block, dict) else block
            if rest != "help" or (block and not value.startswith("-")):
                classes.find(group, block)
        elif "class_path" in parts or "dict_kwargs" in parts:
            raise InputError(f"no option --{name}; classes are chosen by --model, --data and --trainer.callbacks")
        elif name in recipe.GROUPS:
            raise InputError(f"--{name} has no value itself; give its options, such as --{name}.{EXAMPLES[name]}")


set_loader(AS_TYPED, as_typed, exceptions=(yaml.YAMLError,))
# Defaults that can be written to a recipe; `inspect` marks by a class that there is none.
PLAIN = (str, int, float, NoneType, list, tuple, dict, timedelta, Path, type)


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

    def _add_signature_parameter(self, container: Any, nested_key: Any, param: Any, *args: Any, **kwargs: Any) -> None:
        """Add an option of a class, for plain values only: it takes no class, no function and no name of a file of it.

        This is the one place through which jsonargparse adds the options of every class. The two exceptions are the
        model and the data, of which `check_words` and `CLI.parse_arguments` check the names.
        """
        if param.annotation not in (Model, Data, inspect.Parameter.empty):
            annotation = classes.plain(param.annotation)
            if annotation is None or not isinstance(param.default, PLAIN):
                return
            param = replace(param, annotation=annotation)
        super()._add_signature_parameter(container, nested_key, param, *args, **{**kwargs, "sub_configs": False})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise `_Refused`. Parsers of single classes, which know only their own options, call it as well."""
        raise _Refused(message)


GROUPS: dict[str, type] = {"trainer": Trainer, "early_stopping": EarlyStopping}  # groups with a fixed class


def explain(message: str, given: dict[str, list[str]]) -> str:
    """An error message of jsonargparse in one line, with the nearest valid spelling.

    Args:
        message: Message of jsonargparse.
        given: Classes and options given by the user, see `names_given`.
    """
    if found := re.search(r"import path string: ([\w.]+)", message):
        return f"no class {found[1]!r}; {suggest(found[1], classes.known())}"
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
            if not choices:
                return f"{key[1]}: expected null, got {value[1]!r}"
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
    added = Parser().add_class_arguments(chosen, fail_untyped=False, skip={"spec"})
    return [name for name in added if "." not in name]


def _class(group: str, given: dict[str, list[str]]) -> type:
    """Class of the options of a group; ``object`` if there is none."""
    return GROUPS.get(group) or classes.known().get(next(iter(given.get(group, [])), "").rpartition(".")[2], object)


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


def _import(words: list[str]) -> list[str]:
    """Import the modules named by ``--import``; the other words."""
    rest, names = [], []
    following = iter(words)
    for word in following:
        flag, sign, value = word.partition("=")
        if flag == "--import":
            names.append(value if sign else next(following, ""))
        else:
            rest.append(word)
    for name in names:
        classes.import_own(name)
    return rest


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
        words = _import(request.words)
        check_words(words)
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
            content = recipe.read_recipe(path)
            self.given = names_given(content, words)
            self.run = files.run_folder(name)
            self._check_recipe(content, path, words)
            self.recipe = path.stem if self.run is None else self.run.resolve().parent.name
            self.name = request.name if request.name and self.run is None else self.recipe
            words[i : i + (1 if value else 2)] = ["--config", str(path)] if not value else [f"--config={path}"]
            break
        else:
            if not any(word == "-h" or word.partition("=")[0].endswith("help") for word in words):
                raise InputError(
                    f"--config is missing: name a recipe ({', '.join(files.recipes()[:5])}, ...) or a file"
                )
        config = parser.parse_args(words, env=False)
        self.config = config
        for key in ("model", "data"):
            if not config.get(key):
                raise InputError(f"the config has no {key!r}")
        seed = config.seed_everything
        if isinstance(seed, bool) or seed is None:
            raise InputError(f"seed_everything must be a whole number, not {json.dumps(seed)}")
        check_range("seed_everything", seed, 0, MOST_SEED)
        config.pop("untrained")
        config.trainer.callbacks = self._callbacks(config.trainer.callbacks)
        self.output = config.pop("output")
        self.ckpt_path = self._checkpoint(config.pop("ckpt_path"))

    def _check_recipe(self, content: dict[str, Any], path: Path, words: list[str]) -> None:
        """Refuse a recipe that names unknown classes, or places that are the user's to choose."""
        given = option_values(words)
        chosen = {
            key: content.get(key) for key in recipe.CLASSES if key not in given and f"{key}.class_path" not in given
        }
        try:
            for key, block in chosen.items():
                if block is not None:
                    classes.find(key, block["class_path"] if isinstance(block, dict) else block)
            check_classes(content)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        recipe.check_places(content, path, self.run, given)

    def _callbacks(self, chosen: Any) -> list[dict[str, Any]] | None:
        """Callbacks by import path with their options, as the configuration of a run has them."""
        if chosen is None:
            return None
        found = []
        for block in chosen if isinstance(chosen, list) else [chosen]:
            block = block if isinstance(block, dict) else {"class_path": block}
            callback = classes.find("callback", block.get("class_path"))
            parser, given = Parser(), dict(block.get("init_args") or {})
            known = parser.add_class_arguments(callback, fail_untyped=False)
            if unknown := [*(block.keys() - {"class_path", "init_args"}), *(given.keys() - set(known))]:
                raise InputError(
                    f"trainer.callbacks: {callback.__name__} has no {unknown[0]!r}; {suggest(unknown[0], known)}"
                )
            try:
                options = parser.parse_object(given, env=False).as_dict()
                options = {k: v.value if isinstance(v, Enum) else v for k, v in options.items()}
            except _Refused as error:
                raise InputError(f"trainer.callbacks: {callback.__name__}: {explain(str(error), {})}") from None
            found.append({"class_path": classes.path_of(callback), "init_args": options})
        return found

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
        return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)

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
        return classes.find(key, chosen.class_path)(**{**chosen.init_args.as_dict(), **changes})

    def make_trainer(self, *callbacks: Callback, **changes: Any) -> Trainer:
        """A trainer with the configured callbacks, early stopping, and these callbacks."""
        try:
            _check_steps(self.config.trainer)
            arguments = {**self.config.trainer.as_dict(), **changes}
            chosen = arguments["callbacks"] or []
            own = [classes.find("callback", block["class_path"])(**block["init_args"]) for block in chosen]
            stopping = EarlyStopping(**self.config.early_stopping.as_dict())
            arguments["profiler"] = arguments["profiler"] or NoProfiler()
            return Trainer(**{**arguments, "callbacks": [*own, stopping, *callbacks]})
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

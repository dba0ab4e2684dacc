"""Command line. Torch is imported only by the commands that need it."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from . import __version__, budget
from .errors import InputError, Terminated, suggest

LONGEST = 1000  # characters of a line of an error, which may repeat what the user gave
DESCRIPTION = """\
A model zoo for biological data. 'zoo check FILE --target COLUMN' shows what a file holds, 'zoo fit FILE --target
COLUMN' trains on it. Recipes are YAML files; give the name of a packaged recipe, or a path."""
EPILOG = """\
FILE_OR_NAME is a file of data (table, FASTA, series, .h5ad, a folder of images), or a recipe or run. NAME is the name
of a recipe and of its packaged weights. RUN is a run folder such as runs/mlp_pima/1, of which the configuration and the
best checkpoint are used. 'zoo COMMAND --help' explains a command. Commands that take a recipe accept all options of it:
--model.lr 0.01 --data.batch_size 64 --trainer.max_epochs 20. 'zoo fit NAME --print_config' prints all options; 'zoo fit
--model.help MLP', 'zoo fit --data.help TableData' and 'zoo fit --help' explain them. '--import my_module' runs a module
of yours, whose models and callbacks are then used by name; nothing else runs code that is not part of zoo.
"""
OF_A_RECIPE = (
    "--config NAME_OR_RUN is equivalent. Any option of the recipe can be given as well, such as --model.lr 0.01; after "
    "a FILE, --target is --data.target, and likewise all options of the data. 'zoo fit --help' explains them."
)


# Options of `zoo check`, which are also options of the data.
CHECKED = {
    "target": "column to predict",
    "event": "column that states whether the event occurred at the time in --target (survival)",
    "id": "column of sample names",
    "group": "column of related samples (a patient), which are never divided between splits",
    "split": "column with the values train, validation or test",
    "positive": "the positive one of two classes",
    "target_kind": "binary, multiclass, regression or survival",
    "missing": "values that mean a missing value: '{insulin: [0]}'",
    "exclude": "columns left out: '[a, b]'",
    "features": "columns used as input: '[a, b]'",
    "categorical": "columns of numbers that are categories: '[a, b]'",
    "ordered": "ordered levels: '{stage: [I, II, III]}'",
    "dates": "formats of dates: '{visit: \"%%d/%%m/%%Y\"}'",
    "sheet": "sheet of a workbook",
    "decimal": "the decimal sign of text, if the file does not tell it: ',' or '.'",
}

# Further options of the data that `zoo check` takes note of.
OF_A_KIND = """
    covariates genes_in_rows genome image label layer length masks modalities most_variable negatives record
    samples_path sampling_rate sequence size skip_unreadable time time_format
"""


def main(args: list[str] | None = None) -> None:
    """Run the command line. A user error ends with a one-line message and exit status 2."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("zoo").setLevel(logging.INFO)
    try:
        with _sigterm_raises():
            dispatch(sys.argv[1:] if args is None else args)
    except InputError as error:
        raise SystemExit(_fail(str(error))) from None
    except Terminated:
        print("stopped by SIGTERM", file=sys.stderr)
        raise SystemExit(128 + signal.SIGTERM) from None
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # as after 'zoo list | head'
    except (MemoryError, RuntimeError, ValueError) as error:
        if not budget.is_shortage(error):
            raise
        what = " ".join(str(error).split())[:200] or type(error).__name__
        message = f"out of memory ({what}): lower --data.batch_size, or the size of the model or the data"
        raise SystemExit(_fail(message)) from None
    except OSError as error:
        if error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        raise SystemExit(_fail(f"{where}{error.strerror}; files written earlier are intact")) from None


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """While the block runs, SIGTERM raises `Terminated`, so that files are closed and removed as after Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():  # the only one that may handle signals
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: what follows is the end
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(message: str) -> int:
    lines = [line if len(line) <= LONGEST else f"{line[:LONGEST]} ..." for line in message.splitlines()]
    print("\n".join(f"error: {line}" for line in lines), file=sys.stderr)
    return 2


def dispatch(args: list[str]) -> None:
    """Parse the arguments and call the command."""
    parser, commands = _parser()
    if args in ([], ["help"], ["version"]):
        args = [f"--{args[0]}" if args else "--help"]
    if not args[0].startswith("-") and args[0] not in commands:
        raise InputError(f"unknown command {args[0]!r}; {suggest(args[0], commands)}; see 'zoo --help'")
    if args[0] == "check":
        args = [word.replace("--data.", "--", 1) if word.startswith("--data.") else word for word in args]
    known, rest = parser.parse_known_args(args)
    options: dict[str, Any] = vars(known)
    command, takes_recipe = options.pop("command"), options.pop("takes_recipe")
    modules = options.pop("imports", None)
    if rest and not takes_recipe:
        commands[command].error(f"unknown argument {rest[0]!r}")
    if takes_recipe:
        from .data.intake import check_request, expand

        check_request(expand(rest).words)  # misspelt names are reported at once, before torch is imported
    match command:
        case "check":
            from .check import check

            report = check(options.pop("file"), {name: value for name, value in options.items() if value is not None})
            report.show()
            if report.problems:
                raise SystemExit(2)
        case "list":
            from .listing import recipe_table

            print(recipe_table())
        case "show":
            from .listing import show

            print(show(**options))
        case "new":
            from .scaffold import new_model

            print(new_model(options["name"], options["data"]))
        case "export":
            from .classes import import_own
            from .publish import export

            for name in modules:
                import_own(name)
            places = [export(**options), options["push"]]
            print("\n".join(f'{place}: load it with zoo.load("{place}")' for place in places if place))
        case "fit":
            from .runs import train

            train(rest)
        case _:
            from . import commands as of_trained_models  # imported here because it takes seconds

            getattr(of_trained_models, command)(rest, **options)


class _Parser(argparse.ArgumentParser):
    """Parser with one-line errors. Abbreviated options are not accepted."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how, allow_abbrev=False)
        self.set_defaults(takes_recipe=False)

    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{message}; see '{self.prog} --help'")


def _parser() -> tuple[_Parser, dict[str, _Parser]]:
    """The top-level parser, and the parser of each command."""
    top = _Parser(
        prog="zoo",
        usage="zoo COMMAND [OPTIONS]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"biozoo {__version__}")
    commands = top.add_subparsers(title="commands", dest="command", metavar="COMMAND", prog="zoo", required=True)

    def add(name: str, usage: str, text: str, more: str = "") -> _Parser:
        """Add a command; ``more`` is shown in its own help only. The parser of recipes provides 'zoo fit --help'."""
        takes_recipe = usage.startswith(("NAME_OR_RUN", "FILE_OR_NAME"))
        command = commands.add_parser(
            name,
            usage=f"zoo {name} {usage}",
            help=text,
            description=f"{text[0].upper()}{text[1:]}. {more}",
            epilog=OF_A_RECIPE if takes_recipe else None,
            add_help=name != "fit",
        )
        command.set_defaults(takes_recipe=takes_recipe)
        return command

    add("list", "", "list the recipes: model, data, task, test score, size, weights")
    show = add("show", "NAME", "show a recipe with its scores and layers, or the card of a data set")
    show.add_argument("name", metavar="NAME", help="recipe, run folder or data set")
    check = add(
        "check",
        "FILE [--target COLUMN]",
        "show what a file holds and what is wrong with it, and how to go on",
        "Columns by role and type, missing values, the target, doubts and problems; nothing is trained.",
    )
    check.add_argument("file", metavar="FILE", help="table, FASTA, series, .h5ad, .h5mu, folder of images, data set")
    for name, text in CHECKED.items():
        check.add_argument(f"--{name}", metavar="VALUE", help=text)
    for name in OF_A_KIND.split():
        check.add_argument(f"--{name}", help=argparse.SUPPRESS)
    add("fit", "FILE_OR_NAME", "train; results are written to runs/NAME/1, 2, ...; test rows are not used")
    add("validate", "NAME_OR_RUN", "score the training and validation rows")
    add("test", "NAME_OR_RUN", "score all rows including the test rows, beside baselines")
    add(
        "predict",
        "NAME_OR_RUN FILE [--output FILE]",
        "predict every sample of a file",
        "--output is a table (.csv, .tsv, .xlsx, .ods, .parquet, .feather, .h5ad), .npz for masks and images, or a "
        "folder for masks that lie on the images; without it, CSV is printed.",
    )
    crossval = add(
        "crossval", "FILE_OR_NAME [--folds 5] [--repeats 3]", "cross-validate, with baselines on the same folds"
    )
    crossval.add_argument("--folds", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    crossval.add_argument("--repeats", type=int, default=1, metavar="N", help="repeats with new folds (default: 1)")
    add("explore", "NAME_OR_RUN", "map the latent space of every layer: figures, and an interactive page latent.html")
    explain = add(
        "explain",
        "NAME_OR_RUN [--method METHOD] [--fasta FILE] [--vcf FILE --genome FILE]",
        "show the features, pixels, time points or bases that predictions rely on",
    )
    explain.add_argument("--method", help="such as grad_cam (series, images), lime (tables), mutagenesis (DNA)")
    explain.add_argument("--fasta", metavar="FILE", help="sequences to explain; by default a few validation rows")
    explain.add_argument("--vcf", metavar="FILE", help="variants whose effects are predicted")
    explain.add_argument("--genome", metavar="FILE", help="FASTA file that the positions of --vcf refer to")
    synthesise = add(
        "synthesise",
        "NAME_OR_RUN --n 1000 --output FILE [--report FILE] [--condition COLUMN=VALUE]",
        "generate synthetic samples, and a report on their quality and privacy",
    )
    synthesise.add_argument("--n", type=int, default=1000, metavar="N", help="number of samples (default: 1000)")
    synthesise.add_argument("--output", required=True, metavar="FILE", help="table, or .npz of images or series")
    synthesise.add_argument("--report", metavar="FILE", help="report on quality and privacy of a table, .html or .png")
    synthesise.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    synthesise.add_argument(
        "--condition",
        action="append",
        default=[],
        dest="conditions",
        metavar="COLUMN=VALUE",
        help="class of the samples, such as diabetes=pos",
    )
    export = add("export", "RUN --to FOLDER [--push hf:owner/repo]", "write the weights and the card of a run")
    export.add_argument("run", metavar="RUN", help="run folder, after 'zoo test'")
    export.add_argument("--to", required=True, metavar="FOLDER", help="folder to write")
    export.add_argument(
        "--import",
        action="append",
        default=[],
        dest="imports",
        metavar="MODULE",
        help="module of your own model",
    )
    export.add_argument("--push", metavar="hf:owner/repo", help="also upload it to the Hugging Face Hub")
    new = add(
        "new",
        "model NAME [--data DATASET]",
        "write templates of a new model, its recipe and its test into this checkout",
    )
    new.add_argument("kind", metavar="model", choices=["model"])
    new.add_argument("name", metavar="NAME", help="name of its class, such as Transformer")
    new.add_argument("--data", default="pima", metavar="DATASET", help="data set of its recipe (default: pima)")
    return top, commands.choices

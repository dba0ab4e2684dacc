"""Command line; torch is imported by the commands that need it only."""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

from . import __version__
from .errors import InputError, suggest

HELP = """usage: zoo COMMAND [OPTIONS]

A model zoo for biological data. Recipes are YAML files; name a packaged one, or give a path of your own.

  zoo list                                     recipes: model, data, task, score, size, weights
  zoo show NAME                                a recipe with its scores, or a data set's card
  zoo fit --config NAME                        train; everything goes to runs/NAME/1, 2, ...
  zoo validate --config RUN                    score training and validation rows
  zoo test --config NAME_OR_RUN                score all rows, test included, beside simple baselines
  zoo predict --config NAME_OR_RUN --data.path my.csv --output predictions.csv
  zoo crossval --config NAME --folds 5 --repeats 3
  zoo explore NAME_OR_RUN                      maps of every layer; latent.html to explore them
  zoo explain NAME_OR_RUN [--method METHOD]    which pixels, time points, features or bases decide
  zoo explain NAME_OR_RUN --fasta my.fa        motifs of the filters, contribution of each base (DNA)
  zoo explain NAME_OR_RUN --vcf my.vcf --genome genome.fa        effects of variants
  zoo synthesise NAME_OR_RUN --n 1000 --output synthetic.csv --report report.html [--condition diabetes=pos]
  zoo export RUN --to FOLDER [--push hf:owner/repo]

NAME alone stands for a recipe and its packaged weights; RUN is a folder such as runs/mlp_pima/1 and stands for its
config and best checkpoint. Any option of the YAML file can be given: --model.lr 0.01 --data.batch_size 64
--trainer.max_epochs 20. 'zoo fit --config NAME --print_config' prints them all;
'zoo fit --model.help MLP', 'zoo fit --data.help TableData' and 'zoo fit --help' explain them.
"""


def main(args: list[str] | None = None) -> None:
    """Run the command line. A mistake of the user's ends with one line and exit status 2."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("zoo").setLevel(logging.INFO)
    try:
        dispatch(sys.argv[1:] if args is None else args)
    except InputError as error:
        raise SystemExit(_fail(str(error))) from None
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # as after 'zoo list | head'
    except OSError as error:
        if error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        raise SystemExit(_fail(f"{where}{error.strerror}; files written before are intact")) from None


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def dispatch(args: list[str]) -> None:
    """Call the command."""
    match args:
        case [] | ["-h" | "--help" | "help"]:
            print(HELP, end="")
        case ["--version" | "version"]:
            print(f"biozoo {__version__}")
        case ["list"]:
            from .listing import recipe_table

            print(recipe_table())
        case ["show", name]:
            from .listing import show

            print(show(name))
        case ["export", *rest]:
            _export(rest)
        case ["crossval", *rest]:
            parser = _parser("zoo crossval --config NAME [--folds 5] [--repeats 3] [--any.option value]")
            parser.add_argument("--folds", type=int, default=5)
            parser.add_argument("--repeats", type=int, default=1)
            known, options = parser.parse_known_args(rest)
            _commands().crossval(options, known.folds, known.repeats)
        case ["explore", name, *rest] if not name.startswith("-"):
            _commands().explore(["--config", name, *rest])
        case ["explore", *rest]:
            _commands().explore(rest)
        case ["explain", name, *rest] if not name.startswith("-"):
            dispatch(["explain", "--config", name, *rest])
        case ["explain", *rest]:
            parser = _parser("zoo explain NAME_OR_RUN [--fasta FILE] [--method NAME] [--vcf FILE --genome FILE]")
            parser.add_argument("--fasta", help="sequences to explain; by default some of the validation rows")
            parser.add_argument("--vcf", help="variants, to tell the effect of each")
            parser.add_argument("--genome", help="FASTA file that the positions of --vcf are of")
            parser.add_argument("--method", help="such as grad_cam (series, images), lime (tables), mutagenesis (DNA)")
            known, options = parser.parse_known_args(rest)
            _commands().explain(options, known.fasta, known.vcf, known.genome, known.method)
        case ["synthesise", name, *rest] if not name.startswith("-"):
            dispatch(["synthesise", "--config", name, *rest])
        case ["synthesise", *rest]:
            parser = _parser(
                "zoo synthesise NAME_OR_RUN --n 1000 --output FILE [--report FILE] [--condition COLUMN=VALUE]"
            )
            parser.add_argument("--n", type=int, default=1000)
            parser.add_argument("--output", required=True, help="table, or .npz of images")
            parser.add_argument("--report", help=".html or .png: quality, use and privacy of the rows of a table")
            parser.add_argument("--seed", type=int, default=0)
            parser.add_argument("--condition", action="append", default=[], help="COLUMN=VALUE, such as diabetes=pos")
            known, options = parser.parse_known_args(rest)
            _commands().synthesise(options, known.n, known.output, known.report, known.seed, known.condition)
        case ["fit", *rest]:
            from .runs import train

            train(rest)
        case ["validate", *rest]:
            _commands().assess(rest, ("train", "validation"))
        case ["test", *rest]:
            _commands().assess(rest, ("train", "validation", "test"))
        case ["predict", *rest]:
            _commands().predict(rest)
        case [command, *_]:
            known_commands = [
                "list",
                "show",
                "fit",
                "validate",
                "test",
                "predict",
                "crossval",
                "explore",
                "explain",
                "synthesise",
                "export",
            ]
            raise InputError(
                f"zoo {command}: cannot be understood; {suggest(command, known_commands)}; see 'zoo --help'"
            )


def _export(args: list[str]) -> None:
    parser = _parser("zoo export RUN --to FOLDER [--push hf:owner/repo]")
    parser.add_argument("run")
    parser.add_argument("--to", required=True)
    parser.add_argument("--push")
    options = parser.parse_args(args)
    from .publish import export

    folder = export(options.run, Path(options.to), options.push)
    print(f'{folder}: load it with zoo.load("{folder}")')
    if options.push:
        print(f'{options.push}: load it with zoo.load("{options.push}")')


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{message}; usage: {self.usage}")


def _parser(usage: str) -> argparse.ArgumentParser:
    return _Parser(usage=usage, allow_abbrev=False)


def _commands() -> Any:
    """The module of the commands, imported late: it costs seconds."""
    from . import commands

    return commands

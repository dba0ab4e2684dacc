"""``zoo check``: what a file holds, as training would read it, and the command to go on with. Torch is not needed."""

import logging
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.text import Text

from . import files
from .data.datasets import IS_TEST, SOURCES, read_dataset
from .data.intake import LISTS, Intake, intake, names_of, plain_suffix, plain_yaml
from .errors import InputError, counted, suggest
from .tables import genes
from .tables.columns import Types, check_ids, leaks, names_samples, types_of
from .tables.numbers import missing_word
from .tables.reading import BOOKS, read_table, suffix_of
from .tables.survival import times_and_events
from .tables.target import detect
from .tables.text import UNNAMED
from .tables.times import is_name as is_time
from .tables.times import rate_text
from .tables.values import as_text, numbers

MOST = 6  # names, classes or levels that are listed in a line
MOST_DOUBTS = 12
FEW = 10  # different values of a column that may be a target


@dataclass
class Report:
    """What is known of a file.

    Attributes:
        path: The file, the folder, or the name of a data set.
        title: The same, kind and size.
        facts: Lines, each with a keyword: columns by role and type, missing values, target.
        notes: What the reader took for granted.
        doubts: What may be wrong, with the option that settles it.
        problems: What must be corrected before training.
        command: The command to go on with.
        in_full: The same with all options written out.
    """

    path: str
    title: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    command: str = ""
    in_full: str = ""

    def show(self) -> None:
        """Print the report; plain text if the output is no terminal."""
        console = Console(highlight=False, soft_wrap=True)
        console.print(Text(self.title, "bold"))
        for key, text in [*self.facts, *(("read", note) for note in self.notes)]:
            console.print(Text.assemble((f"  {key:<12}", "cyan"), text))
        for heading, style, lines in (("doubts", "yellow", self.doubts), ("problems", "bold red", self.problems)):
            if lines:
                console.print(Text(f"{heading}: {len(lines)}", style))
            shown = lines if heading == "problems" else lines[:MOST_DOUBTS]
            for line in shown:
                console.print(Text(f"  - {line}"))
            if len(lines) > len(shown):
                console.print(Text(f"  - and {len(lines) - len(shown)} more"))
        if self.command:
            heading = "when these are settled  " if self.problems else "next  "
            console.print(Text.assemble((heading, "bold green"), self.command))
            if self.in_full:
                console.print(Text.assemble(("  the same in full: ", "dim"), self.in_full))


@contextmanager
def recorded() -> Iterator[list[tuple[int, str]]]:
    """Collect the messages of the readers, with their level, in place of printing them."""
    found: list[tuple[int, str]] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append((record.levelno, record.getMessage()))

    log, handler = logging.getLogger("zoo"), Collect()
    level, log.propagate = log.level, False
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield found
    finally:
        log.removeHandler(handler)
        log.propagate = True
        log.setLevel(level)


def check(path: str, options: Mapping[str, str]) -> Report:
    """Read a file as training would, and report what was understood and all that is wrong.

    Args:
        path: A file, a folder, or the name of a data set with a card.
        options: Options of the data module as they are typed, by name: ``{"target": "outcome"}``.

    Raises:
        InputError: There is no such file, or its kind is unknown.
    """
    found = intake(path, options)
    report = Report(path, f"{path}: {found.what}")
    with recorded() as said:
        try:
            _examine(found, options, report)
        except InputError as error:
            report.problems += str(error).splitlines()
    report.doubts = [*(text for level, text in said if level >= logging.WARNING), *report.doubts]
    report.notes = [text for level, text in said if level < logging.WARNING]
    for lines in (report.notes, report.doubts, report.problems):
        # After a file, the options of its data need no prefix.
        plain = [line.removeprefix(f"{path}: ").replace("--data.", "--") for line in lines]
        lines[:] = dict.fromkeys(plain)
    report.facts = [(key, text.replace("--data.", "--")) for key, text in report.facts]
    if path not in files.datasets():
        from .data.intake import expand

        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        report.command = f"zoo fit {shlex.join([path, *words])}"
        report.in_full = f"zoo fit {shlex.join(expand([path, *words], found).words)}"
    elif recipes := recipes_of(path):
        report.command = f"zoo fit {recipes[0]}"
    return report


def recipes_of(dataset: str) -> list[str]:
    """Recipes of a data set."""
    blocks = {name: files.read_yaml(files.config(name))["data"] for name in files.recipes()}
    return [name for name, block in blocks.items() if block["init_args"].get("path") == dataset]


def _examine(found: Intake, options: Mapping[str, str], report: Report) -> None:
    path = Path(found.path)
    if found.path in files.datasets():
        _packaged(found, options, report)
    elif found.data == "ImageData" and (path.is_dir() or plain_suffix(path) not in _tables()):
        _images(path, options, report)
    elif path.is_dir() and found.data == "SeriesData":
        records = sum(1 for _ in path.glob("*.hea"))
        report.facts.append(("records", f"{records} WFDB records, cut into heartbeats by their annotations"))
    elif found.data == "SequenceData" and (path.is_dir() or plain_suffix(path) not in _tables()):
        _fasta(path, options, report)
    elif found.data == "IntervalData":
        if "genome" not in options:
            report.problems.append("a BED file needs the genome that it refers to: --genome genome.fa")
    elif found.data == "SeriesData" and (frame := _series_of(path, options)) is not None:
        _series(frame, options, report)
    elif plain_suffix(path) == ".h5ad":
        _h5ad(path, options, report)
    elif found.data == "ExpressionData" and (path.is_dir() or plain_suffix(path) in (".h5", ".mtx")):
        report.facts.append(("matrix", "counts of 10x Genomics"))
    elif plain_suffix(path) == ".h5mu":
        _h5mu(path, options, report)
    elif found.data == "ExpressionData":
        genes.check_kind(path)
        _expression(_read(found.path, options, genes.holds_names), found, options, report)
    elif found.data == "SeriesData":
        _series_of_table(_read(found.path, options), options, report)
    else:
        _table(_read(found.path, options), found, options, report)


def _tables() -> tuple[str, ...]:
    from .data.intake import TABLES

    return TABLES


def _read(path: str, options: Mapping[str, str], first: Callable[[str], bool] | None = None) -> pd.DataFrame:
    roles = [options[role] for role in ("id", "group", "split", "record") if role in options]
    sheet = options.get("sheet") if suffix_of(Path(path)) in BOOKS else None
    missing = plain_yaml(options.get("missing", "{}")) or {}
    return read_table(Path(path), roles, missing, sheet, first, options.get("decimal"))


def _packaged(found: Intake, options: Mapping[str, str], report: Report) -> None:
    """A packaged data set, with the options of its card."""
    from .data.series import files as _  # noqa: F401 (registers the reader of data sets of other packages)

    card = files.card(found.path)
    report.facts.append(("data set", card["title"]))
    if str(card.get("file", "")).endswith(".npz"):
        _images(card["folder"] / card["file"], options, report)
        return
    if "package" in card and "package" not in SOURCES:
        return
    frame = read_dataset(card)
    arrays = [str(name) for name in frame if isinstance(frame[name].iloc[0], np.ndarray)]
    if arrays:
        shape = " x ".join(map(str, frame[arrays[0]].iloc[0].shape))
        report.facts.append(("samples", f"{len(frame)} of shape {shape}"))
        frame = frame.drop(columns=[*arrays, IS_TEST], errors="ignore")
    own: dict[str, Any] = {k: str(card[k]) for k in ("target", "event", "positive", "id", "group") if k in card}
    if own.get("target") not in frame:
        own.pop("target", None)
    facts = card.get("columns", {})
    missing = {name: list(map(str, fact["missing"])) for name, fact in facts.items() if "missing" in fact}
    of_module = card.get("options", {}).get(found.data, {})
    lists = {"missing": missing, "ordered": of_module.get("ordered", {})}
    _table(frame, found, {**own, **options}, report, lists, arrays=bool(arrays))


def _table(
    frame: pd.DataFrame,
    found: Intake,
    options: Mapping[str, str],
    report: Report,
    card: Mapping[str, Any] | None = None,
    arrays: bool = False,
) -> None:
    """A table in memory: roles and types of the columns, missing values, target."""
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    report.title += f", {counted(len(frame), 'row')} and {counted(frame.shape[1], 'column')}"
    lists = {name: plain_yaml(options.get(name, "{}")) or {} for name in ("missing", "ordered", "dates")}
    lists = {**lists, **{name: value for name, value in (card or {}).items() if name not in options}}
    problems = report.problems
    roles = {role: options[role] for role in ("target", "event", "id", "group", "split") if role in options}
    named = [*roles.items(), *((name, each) for name in LISTS if name in options for each in names_of(options[name]))]
    named += [(name, each) for name in lists for each in lists[name]]
    for role, name in named:
        if name not in frame:
            problems.append(f"no column {name!r} (given as {role}); {suggest(name, map(str, frame.columns))}")
    roles = {role: name for role, name in roles.items() if name in frame}
    if "id" not in roles and len(frame.columns):
        first = str(frame.columns[0])
        named_otherwise = {name for _, name in named}
        names = found.data == "MultiOmicsData" or (found.data == "TableData" and names_samples(frame[first], first))
        if first == UNNAMED or (names and first not in named_otherwise):
            roles["id"] = first
    if key := roles.get("id"):
        report.facts.append(("samples", f"named by column {key!r}"))
        _try(problems, check_ids, frame[key], found.path)
    report.facts += [(role, f"column {roles[role]!r}") for role in ("group", "split") if role in roles]
    left_out = set(names_of(options["exclude"])) if "exclude" in options else set()
    left_out |= {*roles.values(), IS_TEST, *found.options.values()}
    listed = frame.attrs.get("features") or (names_of(options["features"]) if "features" in options else None)
    rest = frame[[name for name in listed or frame.columns if name in frame and name not in left_out]]
    types = Types()
    if found.data == "TableData" and not arrays:
        chosen = names_of(options["categorical"]) if "categorical" in options else []
        types = types_of(rest, listed is not None, chosen, lists["ordered"], lists["missing"], lists["dates"])
        problems += types.problems
        report.doubts += types.doubts
        _features(rest, types, report)
        _doubt_records(frame, {*roles.values()}, types, report)
        if not types.features and not types.problems:
            problems.append("there is no feature column")
        others = {*types.categories, *types.dates}
        if plain := [name for name in types.features if name not in others and not types.problems]:
            _try(problems, numbers, rest[plain], found.path, lists["missing"])  # infinite values
    elif not arrays:
        numeric = [str(name) for name, kind in rest.dtypes.items() if pd.api.types.is_numeric_dtype(kind)]
        report.facts.append(("numbers", _listed(numeric)))
        if other := [str(name) for name, kind in rest.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]:
            report.facts.append(("text", _listed(other)))
    _missing(rest, lists["missing"], types, report)
    if "target" in roles:
        _target(frame, roles, options, lists["missing"], types, report)
    elif "target" not in options:
        _hint(frame, roles, report)


def _expression(frame: pd.DataFrame, found: Intake, options: Mapping[str, str], report: Report) -> None:
    """A table of expression: genes, samples, their annotation and the target, as training reads them."""
    table, samples_path = None, options.get("samples_path")
    frame = frame.drop(columns=names_of(options["exclude"]) if "exclude" in options else [], errors="ignore")
    if samples_path:
        table = read_table(Path(samples_path), first=lambda _: True)
    covariates = names_of(options["covariates"]) if "covariates" in options else []
    others = [*covariates, *(options[role] for role in ("target", "event", "group", "split") if role in options)]
    stated = {**found.options, **options}.get("genes_in_rows")
    known = None if table is None else pd.Index(genes.names_of(table[options.get("id", table.columns[0])]))
    given = None if stated is None else stated == "true"
    turned = genes.genes_are_in_rows(frame, found.path, given, [*others, *filter(None, [options.get("id")])], known)
    values, names, samples = genes.measured(frame, found.path, set(others), turned, options.get("id"))
    report.title += f", {counted(len(samples), 'sample')} and {counted(len(names), 'gene')}"
    told = "; in rows, turned by --genes_in_rows true" if turned else ""
    report.facts.append(("genes", _listed(list(map(str, names))) + told))
    _try(report.problems, check_ids, samples.iloc[:, 0].set_axis(range(1, len(samples) + 1)), found.path)
    if len(names) < 2:
        report.problems.append(f"{counted(len(names), 'gene')} (columns of numbers), at least 2 are needed")
    if len(samples) < 2:
        report.problems.append("there is one sample only; join those of all samples into one table")
    annotation = samples.iloc[:, 1:] if table is None else table.iloc[:, 1:]
    if len(annotation.columns):
        report.facts.append(("annotation", _listed(list(map(str, annotation.columns)))))
    absent = int(np.isnan(values).sum())
    report.facts.append(("missing", f"{counted(absent, 'value')} of genes" if absent else "no value"))
    if infinite := int(np.isinf(values).sum()):
        report.problems.append(f"{counted(infinite, 'value')} of genes is infinite; correct it, or leave it empty")
    _roles_of(annotation, options, report)


def _series_of_table(frame: pd.DataFrame, options: Mapping[str, str], report: Report) -> None:
    """Series in the rows of a table, or one series per row, gathered as training does."""
    from .data.series import tables as series_tables

    missing = plain_yaml(options.get("missing", "{}")) or {}
    roles = [options[role] for role in ("target", "event", "id", "group", "split") if role in options]
    others = [name for name in roles if name in frame and name != options.get("record")]
    ignore = [str(name) for name in frame if name == UNNAMED]
    ignore += names_of(options["exclude"]) if "exclude" in options else []
    form = options.get("time_format")
    if record := options.get("record"):
        time = options.get("time")
        arguments = (record, time, others, ignore, None, missing, (form, None), report.path)
        series = series_tables.long(frame, *arguments)
        if time:
            rate, found = series.attrs.get("sampling_rate"), series.attrs.get("time_format")
            told = [f"sampling rate {rate_text(rate)}"] if rate else []
            told += [f"format {found}"] if found else []
            report.facts.append(("time", "; ".join([f"column {time!r}", *told])))
    else:
        series = series_tables.wide(frame, [*others, *ignore], missing, form, report.path)
    _series(series, options, report)


def _try(problems: list[str], call: Any, *args: Any) -> Any:
    """Call a check; what it refuses becomes a problem."""
    try:
        return call(*args)
    except InputError as error:
        problems += str(error).splitlines()
    return None


def _listed(names: Sequence[str]) -> str:
    return f"{len(names):,}: {', '.join(names[:MOST])}{', ...' if len(names) > MOST else ''}" if names else "none"


def _levels(counts: Mapping[Any, int]) -> str:
    shown = ", ".join(f"{level} {count}" for level, count in list(counts.items())[:MOST])
    return f"{shown}, ... ({len(counts)} levels)" if len(counts) > MOST else shown


def _features(frame: pd.DataFrame, types: Types, report: Report) -> None:
    """Features by type, and what was left out."""
    categories, dates = set(types.categories), set(types.dates)
    others = [name for name in types.features if name not in categories and name not in dates]
    kinds = {str(name): pd.api.types.is_numeric_dtype(kind) for name, kind in frame.dtypes.items()}
    numbers = [name for name in others if kinds[name]]
    report.facts.append(("numbers", _listed(numbers)))
    if text := [name for name in others if not kinds[name]]:
        report.facts.append(("text", _listed(text)))
    if types.categories:
        told = [f"{n} ({_levels(as_text(frame[n]).value_counts().to_dict())})" for n in types.categories[:MOST]]
        more = f"; and {len(types.categories) - MOST} more" if len(types.categories) > MOST else ""
        report.facts.append(("categories", f"{len(types.categories)}: {'; '.join(told)}{more}"))
    if types.dates:
        told = [f"{name} ({form or 'a date type'})" for name, form in types.dates.items()]
        report.facts.append(("dates", _listed(told)))
    for reason in dict.fromkeys(types.left_out.values()):
        names = [name for name, why in types.left_out.items() if why == reason]
        report.facts.append(("left out", f"{_listed(names)}: {reason}"))


def _doubt_records(frame: pd.DataFrame, taken: Collection[str], types: Types, report: Report) -> None:
    """Doubt on a table in which several rows may be time points of one series."""
    first = [str(name) for name in frame.columns[:MOST] if name not in taken]
    times = [name for name in first if is_time(name) or name in types.dates]
    for record in first:
        count = frame[record].nunique()
        for time in times:
            if time != record and 2 <= count <= len(frame) // 3 and not frame.duplicated([record, time]).any():
                report.doubts.append(
                    f"each of {count} values of {record!r} has several rows that differ in {time!r}; if the rows are "
                    f"time points of series: --record {record} --time {time}"
                )
                return


def _missing(frame: pd.DataFrame, words: Mapping[str, Collection[Any]], types: Types, report: Report) -> None:
    """Missing values by column, those of the user's or the card's words, and of words among dates, included."""
    counts = frame.isna().sum()
    for name in types.dates:
        text = as_text(frame[name]).dropna()
        counts[name] += int(text.map(missing_word).astype(bool).sum())
    for name, marks in words.items():
        if name in frame:
            counts[name] += int(as_text(frame[name]).isin(list(map(str, marks))).sum())
    counts = counts[counts > 0].sort_values(ascending=False)
    if counts.empty:
        report.facts.append(("missing", "no value"))
        return
    first = ", ".join(f"{name} {count}" for name, count in counts.head(MOST).items())
    more = ", ..." if len(counts) > MOST else ""
    report.facts.append(
        ("missing", f"{counted(int(counts.sum()), 'value')} in {counted(len(counts), 'column')}: {first}{more}")
    )


def _target(
    frame: pd.DataFrame,
    roles: Mapping[str, str],
    options: Mapping[str, str],
    missing: Mapping[str, Collection[Any]],
    types: Types,
    report: Report,
) -> None:
    """Kind, classes or range of the target, and features that give it away."""
    name = roles["target"]
    if "event" in options and "event" not in roles:
        return
    if words := missing.get(name):
        frame = frame.assign(**{name: frame[name].mask(as_text(frame[name]).isin(list(map(str, words))))})
    arguments = (name, options.get("target_kind"), options.get("positive"), "", roles.get("event"))
    found = _try(report.problems, detect, frame, *arguments)
    column = frame[name]
    unlabelled = f"; missing in {counted(int(column.isna().sum()), 'row')}" if column.isna().any() else ""
    if found is None:
        report.facts.append(("target", f"{name}{unlabelled}"))
        return
    if found["classes"]:
        counts = as_text(column).value_counts()
        told = [f"{label} {counts[label]}" for label in found["classes"]]
        if found["kind"] == "binary":
            told[1] += " (positive class)"
        what = f"{found['kind']}: {', '.join(told)}"
    elif found["kind"] == "survival":
        no, yes = found["event_levels"]
        y = _try(report.problems, times_and_events, frame, found, report.path)
        events = int((as_text(frame[found["event"]]) == yes).sum())
        if y is not None and not (y[:, 1] > 0).any():
            report.problems.append(f"no sample with a time has the event {found['event']!r} ({yes}); give more samples")
        what = f"survival time; event {found['event']!r}: {yes} ({counted(events, 'row')}), censored: {no}"
    else:
        values = pd.to_numeric(column, errors="coerce")
        what = f"continuous: {values.min():g} to {values.max():g}, {column.nunique()} different values"
    report.facts.append(("target", f"{name}, {what}{unlabelled}"))
    if types.features and "event" not in roles and not types.problems:
        report.doubts += leaks(frame[types.features], column, types)


def _hint(frame: pd.DataFrame, roles: Mapping[str, str], report: Report) -> None:
    """Columns that may be a target, the last ones first; none is chosen."""
    taken = {*roles.values(), IS_TEST}
    counts = {str(n): frame[n].nunique() for n in list(frame.columns[:-31:-1]) if n not in taken}
    few = [f"{name} ({count} values)" for name, count in counts.items() if 2 <= count <= FEW][:4]
    hint = f"; columns with few values: {', '.join(few)}" if few else ""
    report.facts.append(("target", f"none given: a model without a target is trained; --target COLUMN names one{hint}"))


def _fasta(path: Path, options: Mapping[str, str], report: Report) -> None:
    from .data.sequence.fasta import NO_LABEL, read_fasta

    frame = read_fasta(path, options.get("label"), numbers=options.get("target_kind") == "regression")
    lengths = frame["sequence"].str.len()
    same = lengths.min() == lengths.max()
    report.title += f", {counted(len(frame), 'record')}"
    report.facts.append(("lengths", f"all {lengths.min()}" if same else f"{lengths.min()} to {lengths.max()}"))
    letters = sorted(set().union(*map(set, frame["sequence"].str.upper().unique())))
    report.facts.append(("letters", " ".join(letters)))
    if not same and "length" not in options:
        report.problems.append(
            f"sequences differ in length ({lengths.min()} to {lengths.max()}); --length {int(lengths.median())} pads "
            "and crops them about the centre"
        )
    if "label" in frame:
        _target(frame, {"target": "label"}, options, {}, Types(), report)
    elif options.get("target_kind") != "none" and options.get("negatives") != "shuffled":
        report.problems.append(str(frame.attrs.get(NO_LABEL, "the headers have no label (>name|label)")))


def _images(path: Path, options: Mapping[str, str], report: Report) -> None:
    """Images by class and format, without decoding them."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            for name in file:
                report.facts.append(("array", f"{name}, shape {' x '.join(map(str, file[name].shape))}"))
        return
    from .data.image.folders import FOLDER, IMAGE, LABEL, MASK, SPLIT, list_folder

    frame = list_folder(path, options.get("masks")) if path.is_dir() else pd.DataFrame({IMAGE: [path]})
    report.doubts += frame.attrs.get("said", [])
    paths = list(frame[IMAGE])
    report.title += f", {counted(len(paths), 'image')}"
    kinds = pd.Series([next(e for e in files.IMAGES[::-1] if p.name.lower().endswith(e)) for p in paths])
    report.facts.append(("formats", _levels(kinds.value_counts().to_dict())))
    if SPLIT in frame:
        report.facts.append(("split", _levels(frame[SPLIT].value_counts().to_dict())))
    if FOLDER in frame:
        report.facts.append(("folder", _levels(frame[FOLDER].value_counts().to_dict())))
    if MASK in frame:
        report.facts.append(("masks", f"{frame[MASK].notna().sum():,}"))
    segmented = MASK in frame and ("masks" in options or LABEL not in frame)
    if segmented and frame[MASK].isna().any():
        names = [str(name) for name in frame.loc[frame[MASK].isna(), IMAGE]]
        report.problems.append(f"{counted(len(names), 'image')} without a mask: {_listed(names).partition(': ')[2]}")
    elif path.is_dir() and not segmented:
        classes = frame[LABEL].value_counts() if LABEL in frame else {}
        report.facts.append(("classes", _levels(dict(classes)) if len(classes) else "none: no folder per class"))
        if len(classes) == 1:
            report.problems.append(
                f"there is one class only ({next(iter(dict(classes)))}); add a folder for each other"
            )
    _sizes(paths, report)


def _sizes(paths: Sequence[Path], report: Report) -> None:
    """Sizes of the first pictures."""
    from PIL import Image

    sizes: dict[tuple[str, str], int] = {}
    for path in paths[:200]:
        if path.name.lower().endswith((*files.PICTURES, *files.TIFF)):
            try:
                with Image.open(path) as image:
                    key = " x ".join(map(str, image.size)), image.mode
            except (OSError, ValueError) as error:
                report.problems.append(f"{path} cannot be read ({error}); --skip_unreadable true leaves such files out")
                continue
            sizes[key] = sizes.get(key, 0) + 1
    if sizes:
        told = [f"{size} pixels, {mode} ({count})" for (size, mode), count in sizes.items()]
        report.facts.append(("sizes", "; ".join(told[:MOST])))
    if len({size for size, _ in sizes}) > 1:
        report.problems.append("images differ in size; --size '[64, 64]' scales all")


def _series_of(path: Path, options: Mapping[str, str]) -> pd.DataFrame | None:
    """Series of an archive or of a table without a header; None for other tables."""
    from .data.series.files import read_series
    from .data.series.tables import read_unnamed

    frame = read_series(path)
    return read_unnamed(path, plain_yaml(options.get("missing", "{}")) or {}) if frame is None else frame


def _series(frame: pd.DataFrame, options: Mapping[str, str], report: Report) -> None:
    from .data.series.files import LABEL, SERIES

    shapes = pd.Series([one.shape for one in frame[SERIES]])
    lengths = shapes.str[1]
    report.title += f", {len(frame):,} series"
    report.facts.append(("channels", str(shapes.iloc[0][0])))
    same = lengths.min() == lengths.max()
    report.facts.append(("time points", str(lengths.min()) if same else f"{lengths.min()} to {lengths.max()}"))
    if not same and "length" not in options:
        report.problems.append(
            "series differ in length; --length longest (or shortest, or a number) pads or crops them"
        )
    gaps = sum(int(np.isnan(one).sum()) for one in frame[SERIES])
    report.facts.append(("missing", f"{gaps:,} values" if gaps else "no value"))
    frame = frame.drop(columns=SERIES)
    name = options.get("target", LABEL)
    if name in frame:
        _target(frame, {"target": name}, options, {}, Types(), report)
    else:
        report.facts.append(("target", "none"))


def _h5ad(path: Path, options: Mapping[str, str], report: Report) -> None:
    import anndata

    try:
        adata = anndata.read_h5ad(path, backed="r")
    except Exception as error:  # h5py and anndata raise anything for a damaged file
        raise InputError(f"{path}: cannot be read as h5ad: {' '.join(str(error).split())[:200]}") from None
    obs = adata.obs.rename_axis(None).reset_index(drop=True)
    report.title += f", {counted(adata.n_obs, 'sample')} and {counted(adata.n_vars, 'gene')}"
    report.facts.append(("genes", _listed(list(map(str, adata.var_names[: MOST + 1]))).partition(": ")[2]))
    report.facts.append(("annotation", _listed(list(map(str, obs.columns)))))
    if adata.layers:
        report.facts.append(("layers", f"{', '.join(adata.layers)}; --layer NAME reads one in place of X"))
    _roles_of(obs, options, report)


def _h5mu(path: Path, options: Mapping[str, str], report: Report) -> None:
    import h5py
    from anndata.io import read_elem

    try:
        with h5py.File(path, "r") as file:
            obs = read_elem(file["obs"]).reset_index(drop=True)
            shapes = {
                name: (len(read_elem(one["obs"])), len(read_elem(one["var"]))) for name, one in file["mod"].items()
            }
    except Exception as error:  # as above
        raise InputError(f"{path}: cannot be read as h5mu: {' '.join(str(error).split())[:200]}") from None
    report.title += f", {counted(len(obs), 'sample')}"
    for name, (samples, features) in shapes.items():
        report.facts.append(("modality", f"{name}: {counted(samples, 'sample')}, {counted(features, 'feature')}"))
    report.facts.append(("annotation", _listed(list(map(str, obs.columns)))))
    _roles_of(obs, options, report)


def _roles_of(obs: pd.DataFrame, options: Mapping[str, str], report: Report) -> None:
    """Roles of the annotation of samples, and the target."""
    roles = {role: options[role] for role in ("target", "event", "group", "split") if role in options}
    for role, name in roles.items():
        if name not in obs:
            report.problems.append(f"no column {name!r} (given as {role}); {suggest(name, map(str, obs.columns))}")
    roles = {role: name for role, name in roles.items() if name in obs}
    if "target" in roles:
        _target(obs, roles, options, {}, Types(), report)
    elif "target" not in options:
        _hint(obs, roles, report)

"""From a file to its data module and recipe: the kind of data, options after a file, early checks. Without torch."""

import re
import shlex
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import yaml

from .. import files
from ..errors import InputError, suggest
from ..recipe import read_recipe
from .sequence.fasta import SUFFIXES as FASTA

TEXT = (".csv", ".tsv", ".txt", ".tab")
SHORTEST = 10  # fewest fields of a file without a header that is taken as series, as in the UCR archive
TABLES = (*TEXT, ".xlsx", ".xlsm", ".ods", ".parquet", ".pq", ".feather", ".arrow")
SUFFIXES = (
    *TABLES, *FASTA, *files.PICTURES, *files.TIFF, *files.NIFTI,
    ".gct", ".bed", ".ts", ".arff", ".npy", ".npz", ".h5ad", ".h5", ".mtx", ".h5mu",
)  # fmt: skip
# Options of the command line that are not those of a group.
TOP = (
    "config", "model", "data", "trainer", "early_stopping", "seed_everything", "ckpt_path", "output", "print_config",
    "import",
)  # fmt: skip
# Options that only one data module has.
TELLING = {
    "record": "SeriesData",
    "time": "SeriesData",
    "time_format": "SeriesData",
    "sampling_rate": "SeriesData",
    "genes_in_rows": "ExpressionData",
    "samples_path": "ExpressionData",
    "layer": "ExpressionData",
    "most_variable": "ExpressionData",
    "genome": "IntervalData",
    "sequence": "SequenceData",
    "masks": "ImageData",
    "image": "ImageData",
    "modalities": "MultiOmicsData",
}
LISTS = ("exclude", "features", "categorical", "covariates")  # options that list columns
COLUMNS = ("target", "event", "id", "group", "split", *LISTS)  # options that name columns
WORDS = {
    "TableData": "table",
    "ExpressionData": "gene expression",
    "SequenceData": "DNA sequences",
    "IntervalData": "genomic intervals",
    "SeriesData": "time series",
    "ImageData": "images",
    "ImagePairData": "pairs of images",
    "MultiOmicsData": "several omics of the same samples",
}
# Recipe by data module: for a target, and without one.
RECIPES = {
    "TableData": ("mlp", "vae"),
    "ExpressionData": ("mlp", "vae"),
    "SequenceData": ("cnn1d", "autoencoder"),
    "IntervalData": ("cnn1d", "autoencoder"),
    "SeriesData": ("cnn1d", "autoencoder"),
    "ImageData": ("cnn2d", "autoencoder"),
    "MultiOmicsData": ("joint", "joint"),
}
HEAD = 50  # rows from which the kind of a table is told
DNA = re.compile(r"[ACGTUN]{8,}", re.IGNORECASE)
TIME_POINT = re.compile(r"t?_?(\d+(\.\d+)?)|time_?(\d+(\.\d+)?)", re.IGNORECASE)
FEATURE_COUNTS = ["Geneid", "Chr", "Start", "End", "Strand", "Length"]


@dataclass
class Intake:
    """What a file holds.

    Attributes:
        path: The file, the folder, or the name of a data set.
        data: Name of the data module.
        options: Options of the data module that the file needs, such as ``{"genes_in_rows": "true"}``.
        three_dimensional: The images are volumes.
        masks: The images have masks.
    """

    path: str
    data: str
    options: dict[str, str] = field(default_factory=dict)
    three_dimensional: bool = False
    masks: bool = False

    @property
    def what(self) -> str:
        """Kind of data in words."""
        volumes = self.data == "ImageData" and self.three_dimensional
        return f"{'volumes' if volumes else WORDS[self.data]}{' with masks' if self.masks else ''}"

    def recipe(self, target: bool) -> str:
        """Name of the recipe that fits the data, with a target or without one."""
        if self.masks:
            return "segmenter"
        with_target, without = RECIPES[self.data]
        if not target:
            return without
        return "cnn3d" if self.three_dimensional else with_target


def plain_suffix(path: Path) -> str:
    """Suffix in lower case, without that of a compression."""
    return next((s.lower() for s in reversed(path.suffixes) if s.lower() not in (".gz", ".bgz")), "")


def intake(path: str, options: Mapping[str, str] | None = None) -> Intake:
    """Tell the kind of data from the name of a file or folder, the user's options, and the beginning of a table.

    Args:
        path: A file, a folder, or the name of a data set with a card.
        options: The user's options of the data module, by name.

    Raises:
        InputError: There is no such file, or its kind is unknown.
    """
    given = dict(options or {})
    if path in files.datasets():
        return Intake(path, _data_of_card(path))
    if not (file := Path(path)).exists():
        raise InputError(missing_file(path))
    from ..tables.text import headerless

    chosen = next((TELLING[name] for name in given if name in TELLING), None)
    if file.is_dir():
        return _folder(file, given.get("masks"))
    suffix = plain_suffix(file)
    if suffix in FASTA:
        return Intake(path, "SequenceData")
    if suffix in (*files.PICTURES, *files.TIFF, ".nii"):
        volume = suffix == ".nii" and "axis" not in given
        return Intake(path, "ImageData", three_dimensional=volume, masks="masks" in given)
    if suffix == ".npz":
        return _arrays(file)
    simple = {".bed": "IntervalData", ".ts": "SeriesData", ".arff": "SeriesData", ".npy": "SeriesData"}
    simple |= {".h5ad": "ExpressionData", ".h5": "ExpressionData", ".mtx": "ExpressionData", ".h5mu": "MultiOmicsData"}
    if suffix in simple:
        return Intake(path, simple[suffix])
    if suffix == ".gct":
        return Intake(path, "ExpressionData", {"genes_in_rows": "true"})
    if suffix not in TABLES:
        from ..tables.reading import hint_for

        others = "other kinds are FASTA, .bed, images, .npz, series (.ts, .arff, .npy) and .h5mu"
        raise InputError(f"{path}: unknown kind of file {suffix or '(no suffix)'}; {hint_for(suffix)}; {others}")
    if chosen is None and suffix in TEXT and (shape := headerless(file)) is not None:
        if len(shape.names) < SHORTEST:
            raise InputError(
                f"{path}: line {shape.above + 1} holds values where names of columns are expected; add a header (if "
                "each row is a label and a series: --data SeriesData)"
            )
        return Intake(path, "SeriesData")  # as in the UCR archive
    named = [given[role] for role in ("target", "event") if role in given]
    found = kind_of_table(head(file, given.get("sheet")), file, named)
    return Intake(path, chosen, found.options if found.data == chosen else {}) if chosen else found


def missing_file(path: str) -> str:
    """Message for a file that does not exist, with the most similar names of its folder."""
    file = Path(path)
    known = [p.name for p in file.parent.glob("*") if plain_suffix(p) in SUFFIXES or p.is_dir()]
    found = suggest(file.name, [*known, *files.datasets()])
    if not found.startswith("did you mean"):
        found = f"give the path of a table ({', '.join(TABLES[:7])}, also .gz), FASTA, images, series or .h5ad"
    return f"no file or data set {path!r}; {found}"


def _data_of_card(name: str) -> str:
    """Data module of most recipes of a data set; without a recipe, by its card."""
    blocks = [files.read_yaml(files.config(recipe))["data"] for recipe in files.recipes()]
    if modules := Counter(block["class_path"] for block in blocks if block["init_args"].get("path") == name):
        return str(modules.most_common(1)[0][0])
    card = files.card(name)
    if "assays" in card or "genes" in card:
        return "ExpressionData"
    return "ImageData" if len(card.get("shape", [])) > 2 else "SeriesData" if "shape" in card else "TableData"


def _folder(path: Path, masks: str | None) -> Intake:
    suffixes = {p.name.lower() for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")}
    if any(name.startswith("matrix.mtx") for name in suffixes):
        return Intake(str(path), "ExpressionData")
    images = [name for name in suffixes if name.endswith((*files.PICTURES, *files.TIFF, *files.NIFTI))]
    if images:
        volumes = all(name.endswith(files.NIFTI) for name in images)
        labelled, segmented = _targets_of_images(path, masks)
        return Intake(
            str(path),
            "ImageData",
            three_dimensional=volumes,
            masks=segmented and (masks is not None or not labelled),
        )
    if any(plain_suffix(Path(name)) in FASTA for name in suffixes):
        return Intake(str(path), "SequenceData")
    if any(name.endswith(".hea") for name in suffixes):
        return Intake(str(path), "SeriesData")
    tables = sorted(name for name in suffixes if plain_suffix(Path(name)) in (*TABLES, ".h5ad"))
    hint = f"give one of its files, such as {path / tables[0]}" if tables else "it may hold images, FASTA or WFDB files"
    raise InputError(f"{path}: the kind of data in this folder is unknown; {hint}")


def _targets_of_images(path: Path, masks: str | None = None) -> tuple[bool, bool]:
    """Whether images in a folder have classes, and masks; if that is not clear, the data module will say why."""
    from .image.folders import LABEL, MASK, list_folder

    try:
        listed = list_folder(path, masks)
    except InputError:
        return True, masks is not None
    return LABEL in listed, MASK in listed


def _arrays(path: Path) -> Intake:
    """Images or series in an ``.npz``, by the names and shapes of its arrays."""
    from numpy.lib import format as npy

    shapes = {}
    try:
        with ZipFile(path) as file:
            for name in file.namelist():
                with file.open(name) as array:
                    version = npy.read_magic(array)
                    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                    shapes[name.removesuffix(".npy").removeprefix("train_")] = read(array)[0]
    except (BadZipFile, ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read as npz: {' '.join(str(error).split())[:200]}") from None
    series = any(name.lower() in ("x", "x_train") and len(shape) < 4 for name, shape in shapes.items())
    if series and "images" not in shapes:
        return Intake(str(path), "SeriesData")
    shape = next((shape for name, shape in shapes.items() if name in ("images", "image", "x", "X")), ())
    coloured = len(shape) == 4 and (shape[1] <= 4 or shape[-1] <= 4)
    return Intake(
        str(path), "ImageData", {}, len(shape) > 3 and not coloured, masks=bool({"masks", "mask"} & {*shapes})
    )


def head(path: Path, sheet: str | None = None) -> dict[str, list[str]]:
    """Names and first values, as text, of the columns of a table; little of a large file is read.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        names, cells = _first_cells(files.regular(path), sheet)
    except InputError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    # A repeated name is reported by the reader of the whole table.
    texts = ([str(cell).strip() for cell in column if cell is not None] for column in cells)
    columns = zip(names, texts, strict=True)
    return {name or f"column {at}": values for at, (name, values) in enumerate(columns, 1) if name or values}


def _first_cells(path: Path, sheet: str | None) -> tuple[list[str], list[list[Any]]]:
    from ..tables import text, workbook

    suffix = plain_suffix(path)
    if suffix in (".xlsx", ".xlsm", ".ods"):
        names, columns = workbook.read_sheet(path, sheet)
        return names, [column[:HEAD].to_pylist() for column in columns]
    if suffix in (".parquet", ".pq", ".feather", ".arrow"):
        return _head_of_arrow(path, suffix)
    shape = text.shape_of(path)
    return shape.names, [list(column) for column in text.first_rows(path, shape, HEAD)]


def _head_of_arrow(path: Path, suffix: str) -> tuple[list[str], list[list[Any]]]:
    import pyarrow as pa
    from pyarrow import feather, parquet

    try:
        if suffix in (".parquet", ".pq"):
            batch = next(parquet.ParquetFile(path).iter_batches(HEAD), None)
            table = pa.table({}) if batch is None else pa.Table.from_batches([batch])
        else:
            table = feather.read_table(path).slice(0, HEAD)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read as {suffix[1:]}: {' '.join(str(error).split())[:200]}") from None
    return list(table.column_names), [column.to_pylist() for column in table.columns]


def kind_of_table(columns: Mapping[str, list[str]], path: Path, named: Collection[str] = ()) -> Intake:
    """Kind of data of a table, by the names of its columns and its first rows.

    Args:
        columns: From `head`.
        path: The file.
        named: Columns that the user names, such as the target: if the table has one, samples are in rows.
    """
    import pandas as pd

    from ..tables.genes import OF_GENES, look_like_genes, of_one_gene, spelled

    names = list(columns)
    for name, cells in columns.items():
        if cells and all(DNA.fullmatch(cell) for cell in cells):
            return Intake(str(path), "SequenceData", {} if name == "sequence" else {"sequence": name})
        if cells and all(cell.lower().endswith((*files.PICTURES, *files.TIFF, *files.NIFTI)) for cell in cells):
            volumes = all(cell.lower().endswith(files.NIFTI) for cell in cells)
            return Intake(str(path), "ImageData", {} if name == "image" else {"image": name}, volumes)
    if names[:6] == FEATURE_COUNTS:
        return Intake(str(path), "ExpressionData", {"genes_in_rows": "true"})
    numeric = [name for name, cells in columns.items() if _holds_numbers(cells)]
    numbers = set(numeric)
    others = [name for name in names[1:] if name not in numbers]
    times = [name for name in numeric if TIME_POINT.fullmatch(name)]
    if len(times) >= 16 and len(times) >= 0.9 * len(numeric):
        return Intake(str(path), "SeriesData")
    if len(numeric) >= 50 and len(numeric) >= 0.8 * len(names) and look_like_genes(pd.Index(names)):
        return Intake(str(path), "ExpressionData")
    rows = pd.Index(columns[names[0]])
    by_header = OF_GENES.fullmatch(spelled(names[0])) is not None
    by_names = names[0] not in numbers and len(rows) >= 20 and look_like_genes(rows)
    described = of_one_gene(names[1:])
    samples = [name for name in numeric if name not in {names[0], *described}]
    results = len(numeric) >= 3 and not samples  # of tests, or of one sample: refused where it is read
    turned = (by_header or by_names) and (len(samples) >= 3 or results) and {*others} <= {*described}
    if turned and not any(name in columns for name in named):
        return Intake(str(path), "ExpressionData", {"genes_in_rows": "true"})
    return Intake(str(path), "TableData")


def _holds_numbers(cells: list[str]) -> bool:
    """Whether texts are numbers in any convention, or words for missing values."""
    from ..tables.numbers import missing_word, plain

    present = [cell for cell in cells if not missing_word(cell)]
    return bool(present) and all(plain(cell, True) is not None or plain(cell, False) is not None for cell in present)


@dataclass
class Request:
    """A command line in its long form.

    Attributes:
        words: Such as ``["--config", "mlp", "--data.path", "my.csv", "--data.target", "outcome"]``.
        name: Name of the run folder, if it is that of a file.
        said: What was chosen, in one line; ``""`` if the user chose.
    """

    words: list[str]
    name: str | None = None
    said: str = ""


def expand(words: list[str], found: Intake | None = None) -> Request:
    """Replace a file at the start of the command line, and the short options after it, by their long form.

    ``NAME_OR_RUN`` becomes ``--config NAME_OR_RUN``. ``FILE --target outcome`` becomes ``--config mlp --data TableData
    --data.path FILE --data.target outcome``, with the recipe of the kind of data unless ``--config`` names another.
    ``NAME_OR_RUN FILE`` becomes ``--config NAME_OR_RUN --data.path FILE``.

    Args:
        words: The command line after the command.
        found: From `intake`, if it is known.

    Raises:
        InputError: There is no such file, recipe or run, or the kind of the file is unknown.
    """
    leading = list(takewhile(lambda word: not word.startswith("-"), words))
    rest = words[len(leading) :]
    if not leading:
        return Request(words)
    recipe = _names_recipe(leading[0])
    if len(leading) > 1 + recipe:
        raise InputError(f"unexpected argument {leading[1 + recipe]!r}; options begin with --, as in --target COLUMN")
    if recipe:
        config = ["--config", leading[0]]
        if len(leading) == 1:
            return Request([*config, *rest])
        if not Path(leading[1]).exists() and leading[1] not in files.datasets():
            raise InputError(missing_file(leading[1]))
        return Request([*config, "--data.path", leading[1], *_long(rest)])
    path = leading[0]
    options = _long(rest)
    given = option_values(options)
    found = found or intake(path, {k.removeprefix("data."): v for k, v in given.items() if k.startswith("data.")})
    said = ""
    chosen = [w for w in options if w in ("--config", "-c") or w.startswith("--config=")]
    before: list[str] = []
    if not chosen:
        has_target = given.get("data.target", "null") != "null" or _has_label(found)
        name = found.recipe(has_target and given.get("data.target_kind") != "none")
        before = ["--config", name]
    reading = [word for key, value in found.options.items() if f"data.{key}" not in given
               for word in (f"--data.{key}", value)]  # fmt: skip
    if found.data == "ImageData" and not given.get("data.target") and not _has_label(found):
        reading += ["--data.target_kind", "none"] if "data.target_kind" not in given else []
    module = [] if "data" in given else ["--data", found.data]
    # The data module follows the recipe, and its options follow the module.
    config = before or _pop_config(options)
    long = [*config, *module, "--data.path", path, *reading, *options]
    if before:
        said = f"{path}: {found.what}, recipe {before[1]}; the same in full: {shlex.join(long)}"
    stem = Path(path).resolve().name if Path(path).is_dir() else Path(path).name.split(".")[0]
    return Request(long, stem or "run", said)


def _pop_config(options: list[str]) -> list[str]:
    at = next(n for n, word in enumerate(options) if word in ("--config", "-c") or word.startswith("--config="))
    size = 1 if "=" in options[at] else 2
    config, options[at : at + size] = options[at : at + size], []
    return config


def _has_label(found: Intake) -> bool:
    """Whether files of this kind hold their target: folders of classes, headers of FASTA, archives of series."""
    path = Path(found.path)
    if found.masks:
        return True
    if found.data == "ImageData" and path.is_dir():
        return _targets_of_images(path)[0]
    return plain_suffix(path) in (*FASTA, ".ts", ".arff", ".npz") or (
        found.data in ("SequenceData", "SeriesData") and (path.is_dir() or plain_suffix(path) in (".tsv", ".txt"))
    )


def _names_recipe(word: str) -> bool:
    """Whether a first word names a recipe, a config file or a run, rather than a file of data."""
    path = Path(word)
    if files.run_folder(word) or (files.folder("configs") / f"{word.removesuffix('.yaml')}.yaml").is_file():
        return True
    if path.suffix in (".yaml", ".yml"):
        return True
    if path.exists() or path.suffix:
        return False
    files.config(word)  # raises, with the nearest name
    return True


def _long(words: list[str]) -> list[str]:
    """Options without a group, as options of the data: ``--target`` becomes ``--data.target``."""
    result = []
    for word in words:
        flag, sign, value = word.partition("=")
        name = flag.removeprefix("--")
        short = flag.startswith("--") and "." not in name and name not in (*TOP, "help")
        result.append(f"--data.{name}{sign}{value}" if short else word)
    return result


def option_values(words: list[str]) -> dict[str, str]:
    """Values of options by their names, ``{"data.target": "outcome"}``; the last one counts."""
    found = {}
    for word, following in pairwise([*words, ""]):
        if word.startswith("--"):
            flag, sign, value = word.partition("=")
            found[flag.removeprefix("--").replace(".init_args.", ".")] = value if sign else following
    return found


def names_of(text: str) -> list[str]:
    """Names in a value of the command line: ``[a, b]``, ``{a: 1}`` or ``a``.

    >>> names_of("[a, no]"), names_of("a b")
    (['a', 'no'], ['a b'])
    """
    value = plain_yaml(text)
    return list(map(str, value)) if isinstance(value, (list, dict)) else [str(value)]


def plain_yaml(text: str) -> Any:
    """A value of the command line in which every scalar stays text."""
    try:
        value = yaml.load(text, Loader=files.TextLoader)
    except yaml.YAMLError:
        return text
    return "" if value is None else value


def check_request(words: list[str]) -> None:
    """Check, before torch is imported, that the files and the columns that options name exist.

    Args:
        words: Long form of the command line, see `expand`.

    Raises:
        InputError: A file does not exist, or a column is not in the header of a table.
    """
    given = option_values(words)
    if not (config := given.get("config") or given.get("c")):
        return
    block = read_recipe(files.config(config)).get("data") or {}
    block = block if isinstance(block, dict) else {"class_path": block}
    own = block.get("init_args", {})
    path = given.get("data.path") or own.get("path")
    if path is None:
        raise InputError(
            f"--data.path is missing: recipe {config!r} has no data of its own; zoo fit FILE --config {config}"
        )
    module = str(given.get("data") or given.get("data.class_path") or block.get("class_path", "")).rpartition(".")[2]
    for place in (str(path), given.get("data.test_path") or own.get("test_path")):
        if place and place != "null" and place not in files.datasets() and not Path(place).exists():
            raise InputError(missing_file(place))
    file = Path(str(path))
    if module != "TableData" or str(path) in files.datasets() or plain_suffix(file) not in TABLES:
        return
    try:
        columns = list(head(file, given.get("data.sheet")))
    except InputError:
        return  # the data module says what is wrong with the file
    problems = []
    for role in COLUMNS:
        if (text := given.get(f"data.{role}", "null")) != "null":
            problems += [
                f"{path}: no column {name!r} (given as {role}); {suggest(name, columns)}"
                for name in (names_of(text) if role in LISTS else [text])
                if name not in columns
            ]
    if problems:
        raise InputError("\n".join(problems))

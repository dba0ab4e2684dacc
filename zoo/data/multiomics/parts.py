"""The tables of a data set of several modalities: location, kind and data module of each."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
import torch
from torch import Tensor

from ... import files
from ...encode.joint import check_names
from ...errors import InputError, check_choice, check_range, suggest
from ...files import IMAGES
from ...registry import JOINT
from ...tables.columns import check_ids
from ...tables.genes import check_kind, free_name, genes_are_in_rows, is_text
from ...tables.hdf5 import matrix_of, opened_hdf5
from ...tables.reading import normalised, read_table
from ...tables.values import as_text
from ..base import Data
from ..expression.expression import ExpressionData
from ..expression.files import Expression, from_anndata, is_matrix, matrix_of_table
from ..frame import KINDS, FrameData
from ..image.image import ImageData
from ..table.table import TableData

if TYPE_CHECKING:
    from .multiomics import MultiOmicsData

OWN = ("path", "kind", "most_predictive")  # options of a modality that are not arguments of its data module
OF_FILES = ("id", "exclude", "missing", "sheet")  # arguments of `FrameData` that a modality may have of its own
NOT_OWN = {*signature(FrameData).parameters, *signature(Data).parameters} - {"path", "shared", *OF_FILES}
CLINICAL = "clinical"
FILE_END = re.compile(f"({'|'.join(map(re.escape, IMAGES))})$", re.IGNORECASE)
Read = TypeVar("Read")


@dataclass
class Part:
    """One modality and its table.

    Attributes:
        data: Data module that reads and checks the table.
        source: Name of the table in errors.
        most_predictive: Number of features to select; None selects all.
        id: Column of sample names, if the table has it.
    """

    data: FrameData
    source: str
    most_predictive: int | None = None
    id: str | None = None

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The table, one row per sample."""
        return self.data._frame()

    @cached_property
    def names(self) -> pd.Index:
        """Names of the samples; those of image files without the suffix."""
        name = self.id if self.id in self.rows else self.data._id(self.rows) or str(self.rows.columns[0])
        check_ids(self.rows[name], self.source)
        names = as_text(self.rows[name])
        return pd.Index(names.str.replace(FILE_END, "", regex=True) if isinstance(self.data, ImageData) else names)

    @property
    def features(self) -> pd.Index:
        """Names of the columns, or genes."""
        return self.data.expression.genes if isinstance(self.data, ExpressionData) else self.rows.columns

    def frame(self) -> Any:
        """The table in the form that `Model.predict` takes: its index names the samples."""
        if not isinstance(self.data, ExpressionData):
            return self.rows.set_axis(self.names, axis=0)
        adata = self.data.frame()
        adata.obs_names = self.names
        return adata

    def augment(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Augment a training batch of raw values by the options of the modality."""
        batch, data = {"x": x}, self.data
        if isinstance(data, ImageData):  # its method `augment` would look up the masks of a target
            return data.augmentation(batch, False, generator)["x"]
        return data.augment(batch, generator)["x"]

    def checksum(self) -> str:
        """sha256 of the file."""
        return str(self.data.describe()["sha256"])


def parts_of(joint: "MultiOmicsData") -> dict[str, Part]:
    """The tables that the argument ``modalities`` of a data module lists, in this order.

    Raises:
        InputError: No such table, assay or option.
    """
    options, path = joint.modalities, Path(joint.path)
    if path.suffix == ".h5mu":
        found = _of_h5mu(path, _options(options))
    elif "assays" in joint.card:
        listed = _options(options) if options else {key: {} for key in joint.card["assays"]}
        found = {name: _of_card(joint, name, dict(more)) for name, more in listed.items()}
    else:
        found = {name: _of_file(joint, name, dict(more)) for name, more in _options(options).items()}
    if joint.clinical:
        if CLINICAL in found:
            raise InputError(f"there is a modality {CLINICAL!r} already: rename it, or leave out --data.clinical")
        part = found[CLINICAL] = Part(TableData(joint.path, features=joint.clinical, id=joint.id), joint.path)
        part.rows = joint.sample_table
    check_names(found)
    return found


def _options(given: dict[str, Any] | list[str] | None) -> dict[str, dict[str, Any]]:
    if isinstance(given, list):
        return {name: {} for name in given}
    found = {}
    for name, more in (given or {}).items():
        if not isinstance(more, dict | str | Path | None):
            raise InputError(f"modality {name!r}: give a path, or options such as {{path: {name}.csv}}, not {more!r}")
        found[name] = dict(more or {}) if isinstance(more, dict | None) else {"path": str(more)}
    return found


def _build(name: str, kind: str, path: str, options: dict[str, Any]) -> Part:
    check_choice(f"{name}: kind", kind, [known for known in KINDS if known != JOINT])
    most = options.pop("most_predictive", None)
    if most is not None and kind != "expression":
        raise InputError(f"{name}: most_predictive is for kind expression (numbers identified by name), not {kind}")
    own = [
        key
        for key in dict.fromkeys((*signature(KINDS[kind]).parameters, *OF_FILES))
        if key not in {"path", "shared", *NOT_OWN}
    ]
    for key in options:
        if key in NOT_OWN:
            raise InputError(f"{name}: {key} is an option of all modalities together: give it as --data.{key}")
        if key not in own:
            raise InputError(f"{name}: kind {kind} has no option {key!r}; {suggest(key, [*OWN, *own])}")
    try:
        if most is not None:
            check_range(f"{name}: most_predictive", most, 2)
        return Part(KINDS[kind](path, **options), path, most)
    except TypeError as error:
        raise InputError(f"{name}: an option is of the wrong type ({error})") from None


def _of_card(joint: "MultiOmicsData", name: str, options: dict[str, Any]) -> Part:
    assay, known = options.pop("path", name), joint.card["assays"]
    if assay not in known:
        raise InputError(f"data set {joint.path} has no assay {assay!r}; {suggest(assay, known)}")
    part = _build(name, _only_expression(name, options), joint.path, {**options, "assay": assay})
    part.source = f"{joint.path} ({name})"
    return part


def _only_expression(name: str, options: dict[str, Any]) -> str:
    if (kind := options.pop("kind", "expression")) != "expression":
        raise InputError(f"{name}: kind {kind!r} needs a separate table; here all are of kind expression")
    return "expression"


def _of_file(joint: "MultiOmicsData", name: str, options: dict[str, Any]) -> Part:
    if "path" not in options:
        raise InputError(f"modality {name!r} needs the path of its table: --data.modalities '{{{name}: {name}.csv}}'")
    path, kind = str(options.pop("path")), options.pop("kind", None)
    own = kind in KINDS and not KINDS[kind].columns_are_features
    if own or is_matrix(Path(path)):
        part = _build(name, kind or "expression", path, options)
        part.id = options.get("id", joint.id)
        return part
    table = _read(path, options, joint.id)
    if "id" in options and options["id"] not in table:
        raise InputError(f"{path}: no column {options['id']!r} (given as id); {suggest(options['id'], table.columns)}")
    known = joint.trained["modalities"].get(name) if joint.trained else None
    genes = known["features"] if known else []
    turned = kind in (None, "expression") and genes_are_in_rows(
        table,
        path,
        options.get("genes_in_rows"),
        [options["id"]] if "id" in options else [],
        joint.sample_names,
        set(genes),
        f"genes_in_rows of modality {name}:",
    )
    # Sample names are in the column called as in the sample table, else in the first one; they may be numbers.
    options.setdefault("id", joint.id if joint.id in table else str(table.columns[0]))
    names = str(options["id"])
    if kind is None:
        values = (column for called, column in table.items() if called != names)
        kind = "table" if not turned and any(map(is_text, values)) else "expression"
    part = _build(name, kind, path, options)
    excluded = part.data.exclude
    rest = table.drop(columns=[column for column in excluded if column in table]) if excluded else table
    if isinstance(part.data, ExpressionData):
        others = {*part.data.covariates, joint.group, joint.split} - {None}
        read = matrix_of_table(rest, path, others, turned, names, bool(genes), patients=False)
        read = read if genes else read.without([column for column in excluded if column not in table])
        part.data.id, part.data.genes_in_rows = read.samples.columns[0], turned
        part.data.__dict__["parts"] = [read]  # so that it is not read again
    else:
        for column in [] if joint.external else excluded:
            part.data.check_column(table, column, "exclude")
        part.rows = rest.set_axis(pd.RangeIndex(1, len(rest) + 1, name="row"))
    return part


def _read(path: str, options: dict[str, Any], id_column: str | None) -> pd.DataFrame:
    """The table of a modality; the names of its samples, or genes, stay text."""
    check_kind(Path(path))
    text = [name for name in (options.get("id"), id_column) if name]
    sheet, decimal = options.get("sheet"), options.get("decimal")
    return read_table(Path(path), text, options.get("missing"), sheet, lambda _: True, decimal)


def _of_h5mu(path: Path, options: dict[str, dict[str, Any]]) -> dict[str, Part]:
    """Modalities of a MuData file (Bredikhin et al. 2022, doi:10.1186/s13059-021-02577-8)."""
    held = _read_h5mu(path)
    for name in options:
        if name not in held:
            raise InputError(f"{path}: no modality {name!r}; {suggest(name, held)}")
    found = {}
    for name in options or held:
        more = dict(options.get(name, {}))
        part = found[name] = _build(name, _only_expression(name, more), str(path), more)
        part.data.__dict__["parts"], part.source = [held[name].without(part.data.exclude)], f"{path} ({name})"
    return found


def _read_h5mu(path: Path) -> dict[str, Expression]:
    def read(file: Any, read_elem: Any) -> dict[str, Expression]:
        found = {}
        for name, one in file["mod"].items():
            obs, var = read_elem(one["obs"]), read_elem(one["var"])
            found[name] = from_anndata(matrix_of(one["X"]), obs[[]], var.index, f"{path} ({name})")
        return found

    return _in_h5mu(path, read)


def read_h5mu_samples(path: Path) -> pd.DataFrame:
    """The table of all samples of a MuData file, with their names in the first column."""
    samples = _in_h5mu(path, lambda file, read_elem: read_elem(file["obs"]))
    name = free_name(samples, samples.index.name)
    return normalised(samples.reset_index(names=name), str(path), {name})


def _in_h5mu(path: Path, read: Callable[[Any, Any], Read]) -> Read:
    from anndata.io import read_elem

    if not files.regular(path).exists():
        raise InputError(f"no file {str(path)!r}; {suggest(path.name, [p.name for p in path.parent.glob('*')])}")
    with opened_hdf5(path, "h5mu") as file:
        return read(file, read_elem)

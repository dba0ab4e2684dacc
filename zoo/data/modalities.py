"""The tables that make up a data set of several modalities: where they are, and what kind each one is."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..encode.table import as_text
from ..errors import InputError, check_choice, check_range, suggest
from .columns import check_ids
from .expression import ExpressionData
from .expression_files import matrix_of_table
from .expression_samples import Expression, from_anndata
from .frame import FrameData
from .image import ImageData
from .reading import UNNAMED, read_table
from .sequence import SequenceData
from .series import SeriesData
from .table import TableData

if TYPE_CHECKING:
    from .multiomics import MultiOmicsData

KINDS: dict[str, type[FrameData]] = {
    "expression": ExpressionData,
    "table": TableData,
    "sequence": SequenceData,
    "series": SeriesData,
    "image": ImageData,
}
OWN = ("path", "kind", "most_predictive")  # options of a modality that its data module does not take
NOT_OWN = ("target", "target_kind", "positive", "split", "group", "folds", "test_path")  # those of all modalities
CLINICAL = "clinical"


@dataclass
class Part:
    """One modality.

    Attributes:
        data: What reads and checks its table.
        source: What to call it.
        most_predictive: Keep so many features; None keeps all.
    """

    data: FrameData
    source: str
    most_predictive: int | None = None

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Its table, one row a sample."""
        return self.data._frame()

    @cached_property
    def names(self) -> pd.Index:
        """Names of its samples."""
        name = self.data._id(self.rows) or str(self.rows.columns[0])
        check_ids(self.rows[name], self.source)
        return pd.Index(as_text(self.rows[name]))

    @property
    def features(self) -> pd.Index:
        """Names of its columns, or genes."""
        return self.data.expression.genes if isinstance(self.data, ExpressionData) else self.rows.columns

    def frame(self) -> Any:
        """Its table as `Model.predict` takes it, its index naming the samples."""
        return self.data.frame() if isinstance(self.data, ExpressionData) else self.rows.set_axis(self.names, axis=0)

    def checksum(self) -> str:
        """sha256 of its file."""
        return str(self.data.describe()["sha256"])


def parts_of(whole: "MultiOmicsData") -> dict[str, Part]:
    """The tables that a data module was asked for, in that order.

    Raises:
        InputError: No such table, assay or option.
    """
    options, path = whole.modalities, Path(whole.path)
    if path.suffix == ".h5mu":
        found = _of_h5mu(path, _options(options))
    elif "assays" in whole.card:
        asked = _options(options) if options else {key: {} for key in whole.card["assays"]}
        found = {name: _of_card(whole, name, dict(more)) for name, more in asked.items()}
    else:
        found = {name: _of_file(name, dict(more), whole.id) for name, more in _options(options).items()}
    if whole.clinical:
        if CLINICAL in found:
            raise InputError(f"there is a modality {CLINICAL!r} already: rename it, or leave out --data.clinical")
        found[CLINICAL] = Part(TableData(whole.path, features=whole.clinical, id=whole.id), whole.path)
    return found


def _options(given: dict[str, Any] | list[str] | None) -> dict[str, dict[str, Any]]:
    if isinstance(given, list):
        return {name: {} for name in given}
    return {name: {"path": more} if isinstance(more, str) else dict(more or {}) for name, more in (given or {}).items()}


def _build(name: str, kind: str, path: str, options: dict[str, Any]) -> Part:
    most = options.pop("most_predictive", None)
    if most is not None:
        check_range(f"{name}: most_predictive", most, 2)
        if kind != "expression":
            raise InputError(f"{name}: most_predictive is for kind expression (numbers found by name), not {kind}")
    check_choice(f"{name}: kind", kind, KINDS)
    if wrong := [key for key in options if key in NOT_OWN]:
        raise InputError(f"{name}: {wrong[0]} belongs to all modalities: give it as --data.{wrong[0]}")
    try:
        return Part(KINDS[kind](path, **options), path, most)
    except TypeError as error:
        raise InputError(f"modality {name}: {str(error).partition('() ')[2]} ({KINDS[kind].__name__})") from None


def _of_card(whole: "MultiOmicsData", name: str, options: dict[str, Any]) -> Part:
    assay, known = options.pop("path", name), whole.card["assays"]
    if assay not in known:
        raise InputError(f"data set {whole.path} has no assay {assay!r}; {suggest(assay, known)}")
    options["assay"] = assay
    part = _build(name, options.pop("kind", "expression"), whole.path, options)
    part.source = f"{whole.path} ({name})"
    return part


def _of_file(name: str, options: dict[str, Any], id_column: str | None) -> Part:
    if "path" not in options:
        raise InputError(f"modality {name!r} needs the path of its table: --data.modalities '{{{name}: {name}.csv}}'")
    path, kind = str(options.pop("path")), options.pop("kind", None)
    if kind in ("sequence", "series", "image") or Path(path).suffix == ".h5ad":
        return _build(name, kind or "expression", path, options)
    table = read_table(Path(path))
    # Names are in the column that the sample table names, or in the first: numbers may be names too.
    options.setdefault("id", id_column if id_column in table else str(table.columns[0]))
    rows, names = bool(options.get("genes_in_rows")), str(options["id"])
    if kind is None:
        values = table.drop(columns=[names] if names in table else [])
        kind = "expression" if rows or all(map(pd.api.types.is_numeric_dtype, values.dtypes)) else "table"
    part = _build(name, kind, path, options)
    if isinstance(part.data, ExpressionData):
        read = matrix_of_table(table, path, set(part.data.covariates), rows, names)
        part.data.id = read.samples.columns[0]
        part.data.__dict__["parts"] = [read]  # it need not be read again
    return part


def _of_h5mu(path: Path, options: dict[str, dict[str, Any]]) -> dict[str, Part]:
    """Modalities of a MuData file (Bredikhin et al. 2022, doi:10.1186/s13059-021-02577-8)."""
    held = _read_h5mu(path)
    for name in options:
        if name not in held:
            raise InputError(f"{path}: no modality {name!r}; {suggest(name, held)}")
    found = {}
    for name in options or held:
        part = found[name] = _build(name, "expression", str(path), {**options.get(name, {})})
        part.data.__dict__["parts"], part.source = [held[name]], f"{path} ({name})"
    return found


def _read_h5mu(path: Path) -> dict[str, Expression]:
    import h5py
    from anndata.io import read_elem

    if not path.is_file():
        raise InputError(f"no file {str(path)!r}; {suggest(path.name, [p.name for p in path.parent.glob('*')])}")
    try:
        with h5py.File(path, "r") as file:
            read = {name: read_elem(file["mod"][name]) for name in file["mod"]}
    except Exception as error:  # h5py and anndata raise anything for a damaged file
        raise InputError(f"{path}: cannot be read as h5mu: {' '.join(str(error).split())[:200]}") from None
    return {name: from_anndata(one.X, one.obs[[]], one.var_names, f"{path} ({name})") for name, one in read.items()}


def read_h5mu_samples(path: Path) -> pd.DataFrame:
    """The table of all samples of a MuData file, their names in the first column."""
    import h5py
    from anndata.io import read_elem

    try:
        with h5py.File(path, "r") as file:
            samples: pd.DataFrame = read_elem(file["obs"])
    except Exception as error:
        raise InputError(f"{path}: cannot be read as h5mu: {' '.join(str(error).split())[:200]}") from None
    return samples.reset_index(names=UNNAMED)

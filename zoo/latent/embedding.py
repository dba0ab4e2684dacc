"""Any layer of a model as AnnData: samples by units, beside what is known and predicted of each sample."""

from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique

from ..data import Data
from ..encode.kmer import KmerEmbedding, kmer_names
from ..encode.table import as_text, numbers
from ..errors import InputError
from ..models import Model, Supervised
from ..spec import Spec, Target, modality_of
from ..training.tasks import task_of
from .probe import run


def words(model: Supervised) -> AnnData:
    """Learnt vectors of the k-mers that a model reads, to look at with `pca`, `umap` and `plot` like any layer.

    Args:
        model: With ``encoding={"layer": "k-mer"}``.

    Returns:
        - ``X``: float32, ``shape=(4**k, width)``; ``obs_names``: the k-mers.
        - ``obs``: ``gc``, the share of G and C; ``first`` and ``last``, the outer bases.
        - ``uns["layer"]``: ``"k-mers"``.

    Raises:
        InputError: The model does not read k-mers.
    """
    if not isinstance(model.encode, KmerEmbedding):
        raise InputError("this model does not read k-mers; train one with --model.encoding.layer k-mer")
    names = kmer_names(model.encode.k)
    vectors = model.encode.words.weight.detach()[:-1].float().cpu().numpy()
    ends = {place: pd.Categorical([name[i] for name in names]) for place, i in {"first": 0, "last": -1}.items()}
    gc = [(name.count("G") + name.count("C")) / len(name) for name in names]
    return AnnData(
        X=vectors,
        obs=pd.DataFrame({"gc": gc, **ends}, index=names),
        var=pd.DataFrame(index=[f"k-mers:{unit}" for unit in range(vectors.shape[1])]),
        uns={"layer": "k-mers"},
    )


def embed(model: Model, data: Data | pd.DataFrame | AnnData | dict[str, Any], layer: str | None = None) -> AnnData:
    """Output of a layer for every sample.

    Args:
        model: A trained model; it runs on its own device.
        data: A data module (all its samples, of every split), or a raw table, whose columns are found by name; of
            expression also an AnnData, of several modalities a dict of these by name.
        layer: A name given by `zoo.latent.layers`. Default: the latent space, ``model.embed``.

    Returns:
        - ``X``: float32, ``shape=(samples, units)``.
        - ``obs``: the sample table (with ``split``, if from a data module; without the genes of an expression table),
          then ``target`` (class or number; absent if a raw table has none), ``probability_CLASS`` for each class, and
          ``prediction``; columns of these names in the table are replaced. Of survival ``target`` is the time (the
          event has its column of the table), and ``risk`` and ``survival_TIME`` are what is predicted. Of masks,
          ``share_CLASS`` is the share of the pixels predicted as each class, ``target`` and ``prediction`` the true and
          predicted share of all that is not background. A number that stands for a missing value is NaN. So that all
          can be written to ``.h5ad``, text and mixed columns become categories, and a "/" in a column name becomes "_".
        - ``obs_names``: the sample names, made unique by a suffix if need be.
        - ``var_names``: the units, such as ``"body.linear1:0"``.
        - ``uns["layer"]``: the layer, ``"latent"`` for the default; ``uns["target"]``: its name, kind and unit;
          ``uns["units"]``: units of the features that have one.

    Raises:
        InputError: No such layer; a data module whose features or levels are
            not those of the model; a raw table that lacks a feature.
    """
    if isinstance(data, Data):
        _check_same(data.spec, model.spec)
        x, samples, about = data.dataset.x, data.samples, data.spec["target"]
        target = task_of(about).one_value(data.dataset.y, about)
    else:
        x, names = model.raw(data)
        table = data.obs if isinstance(data, AnnData) else pd.DataFrame(index=names) if isinstance(data, dict) else data
        if not model.encode.of_sample_table:
            modality = modality_of(model.spec)
            genes = set(modality["features"]).difference(modality.get("covariates", []))
            table = table.loc[:, [name not in genes for name in table.columns]]  # thousands, and no sample table
        samples, about = table.set_axis(names, axis=0), model.spec["target"]
        known = about["name"] in samples and not task_of(about).per_pixel
        target = _column(samples, about) if known else None
    values, output = run(model, x, layer)
    obs = _writable(samples, modality_of(model.spec).get("missing_values", {}))
    answers = model.prediction_frame(output, obs.index)
    answers = task_of(about).without_arrays(answers, about)
    answers = answers.loc[:, ~answers.columns.str.startswith("latent_")]  # they are X, or follow from it
    obs = obs.drop(columns=["target", *answers.columns], errors="ignore")
    if target is not None:
        obs["target"] = target.array
    layer = layer or "latent"
    units = {name.replace("/", "_"): unit for name, unit in modality_of(model.spec).get("units", {}).items()}
    return AnnData(
        X=values,
        obs=obs.join(answers.rename(columns=lambda name: name.replace("/", "_"))),
        var=pd.DataFrame(index=[f"{layer}:{unit}" for unit in range(values.shape[1])]),
        uns={"layer": layer, "target": {key: about[key] for key in ("name", "kind", "unit")}, "units": units},
    )


def _check_same(data: Spec, model: Spec) -> None:
    for name, theirs in model["modalities"].items():
        ours = data["modalities"].get(name)
        if ours is None:
            raise InputError(f"the model takes {name!r}, the data have {', '.join(data['modalities'])}")
        for number, (here, there) in enumerate(zip_longest(ours.get("features", []), theirs.get("features", [])), 1):
            if here != there:
                raise InputError(
                    f"the data are not what the model was trained on: feature {number} is {here!r}, the model expects "
                    f"{there!r}; call data.conform(model.spec) before the data are read"
                )
        if ours["shape"] != theirs["shape"]:
            raise InputError(
                f"the data are not what the model was trained on: samples are {ours['shape']}, the model takes "
                f"{theirs['shape']}; call data.conform(model.spec) before the data are read"
            )
        for column, known in theirs.get("levels", {}).items():
            if ours.get("levels", {}).get(column) != known:
                raise InputError(
                    f"the data are not what the model was trained on: the levels of {column!r} differ; call "
                    "data.conform(model.spec) before the data are read"
                )


def _column(frame: pd.DataFrame, target: Target) -> pd.Series:
    """Target of a raw table; a class that the model does not know stays, for it is worth seeing where it lies."""
    if not target["classes"]:
        return pd.Series(numbers(frame[[target["name"]]], "the table")[:, 0], index=frame.index)
    text = as_text(frame[target["name"]])
    strange = sorted(set(text.dropna()) - set(target["classes"]))
    return text.astype(pd.CategoricalDtype([*target["classes"], *strange]))


def _writable(samples: pd.DataFrame, missing_values: dict[str, list[float]]) -> pd.DataFrame:
    """The sample table as ``write_h5ad`` accepts it."""
    columns = {}
    for name, column in samples.items():
        if len(column) and isinstance(column.iloc[0], np.ndarray):  # series and images of a raw table
            continue
        if stand_ins := missing_values.get(str(name)):
            column = column.mask(column.isin(stand_ins))
        columns[str(name).replace("/", "_")] = _plain(column).array
    return pd.DataFrame(columns, index=make_index_unique(samples.index.map(str).rename(None)))


def _plain(column: pd.Series) -> pd.Series:
    """Numpy's numbers and booleans, or categories of text."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column
    if isinstance(column.dtype, pd.CategoricalDtype) and pd.api.types.infer_dtype(column.cat.categories) == "string":
        return column
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    return as_text(column.astype(object)).astype("category")

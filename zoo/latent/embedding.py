"""Any layer of a model as AnnData: samples by units, with the sample table and the predictions."""

from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique

from ..data import Data
from ..encode.kmer import KmerEmbedding, kmer_names
from ..errors import InputError
from ..models import Model, Supervised
from ..spec import Spec, Target, modality_of
from ..tables.values import as_text, numbers, without
from ..training.tasks import task_of
from .probe import run


def words(model: Supervised) -> AnnData:
    """Learnt embedding vectors of k-mers, for `pca`, `umap` and `plot` like any layer.

    Args:
        model: A model with ``encoding={"layer": "k-mer"}``.

    Returns:
        - ``X``: float32, ``shape=(4**k, width)``; ``obs_names``: the k-mers.
        - ``obs``: ``gc``, the fraction of G and C; ``first`` and ``last``, the first and last base.
        - ``uns["layer"]``: ``"k-mers"``.

    Raises:
        InputError: The model has no k-mer embedding.
    """
    if not isinstance(model.encode, KmerEmbedding):
        raise InputError("this model does not read k-mers; train one with --model.encoding.layer k-mer")
    names = kmer_names(model.encode.k)
    vectors = model.encode.words.weight.detach()[:-1].float().cpu().numpy()
    bases = {place: pd.Categorical([name[i] for name in names]) for place, i in {"first": 0, "last": -1}.items()}
    gc = [(name.count("G") + name.count("C")) / len(name) for name in names]
    return AnnData(
        X=vectors,
        obs=pd.DataFrame({"gc": gc, **bases}, index=names),
        var=pd.DataFrame(index=[f"k-mers:{unit}" for unit in range(vectors.shape[1])]),
        uns={"layer": "k-mers"},
    )


def embed(model: Model, data: Data | pd.DataFrame | AnnData | dict[str, Any], layer: str | None = None) -> AnnData:
    """The output of a layer for each sample.

    Args:
        model: A trained model; it runs on its own device.
        data: A data module (samples of all splits), or a raw table, whose columns are matched by name; for expression
            also an AnnData, for several modalities a dict of these by name.
        layer: A name from `zoo.latent.layers`. Default: the latent space, ``model.embed``.

    Returns:
        - ``X``: float32, ``shape=(samples, units)``.
        - ``obs``: the sample table (with ``split``, if from a data module; without the genes of an expression table),
          then ``target`` (class or number; absent if a raw table has none), ``probability_CLASS`` for each class, and
          ``prediction``; columns of these names in the table are replaced. For survival, ``target`` is the time (the
          event is a column of the table), and the predictions are ``risk`` and ``survival_TIME``. For masks,
          ``share_CLASS`` is the fraction of pixels predicted as each class, ``target`` and ``prediction`` are the true
          and predicted fraction of pixels that are not background. Codes for missing values become NaN. As
          ``.h5ad`` requires, text and mixed columns become categories, and a "/" in a column name becomes "_".
        - ``obs_names``: the sample names, made unique by a suffix if needed.
        - ``var_names``: the units, such as ``"body.linear1:0"``.
        - ``uns["layer"]``: the layer, ``"latent"`` for the default; ``uns["target"]``: name, kind and unit of the
          target; ``uns["units"]``: units of the features that have one.

    Raises:
        InputError: Unknown layer; a data module whose features or levels differ from those of the model; a raw table
            that lacks a feature.
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
            table = table.loc[:, [name not in genes for name in table.columns]]  # genes do not describe the samples
        samples, about = table.set_axis(names, axis=0), model.spec["target"]
        known = about["name"] in samples and not task_of(about).per_pixel
        target = _column(samples, about) if known else None
    values, output = run(model, x, layer)
    obs = _writable(samples, modality_of(model.spec).get("missing_values", {}))
    predictions = model.prediction_frame(output, obs.index)
    predictions = task_of(about).without_arrays(predictions, about)
    predictions = predictions.loc[:, ~predictions.columns.str.startswith("latent_")]  # these are X, or computed from it
    obs = obs.drop(columns=["target", *predictions.columns], errors="ignore")
    if target is not None:
        obs["target"] = target.array
    layer = layer or "latent"
    units = {name.replace("/", "_"): unit for name, unit in modality_of(model.spec).get("units", {}).items()}
    return AnnData(
        X=values,
        obs=obs.join(predictions.rename(columns=lambda name: name.replace("/", "_"))),
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
                    f"the data do not match those the model was trained on: feature {number} is {here!r}, the model "
                    f"expects {there!r}; call data.conform(model.spec) before the data are read"
                )
        if ours["shape"] != theirs["shape"]:
            raise InputError(
                f"the data do not match those the model was trained on: samples have shape {ours['shape']}, the model "
                f"takes {theirs['shape']}; call data.conform(model.spec) before the data are read"
            )
        for column, known in theirs.get("levels", {}).items():
            if ours.get("levels", {}).get(column) != known:
                raise InputError(
                    f"the data do not match those the model was trained on: the levels of {column!r} differ; call "
                    "data.conform(model.spec) before the data are read"
                )


def _column(frame: pd.DataFrame, target: Target) -> pd.Series:
    """Target of a raw table; classes that the model does not know are kept, to show where their samples lie."""
    if not target["classes"]:
        return pd.Series(numbers(frame[[target["name"]]], "the table")[:, 0], index=frame.index)
    text = as_text(frame[target["name"]])
    unknown = sorted(set(text.dropna()) - set(target["classes"]))
    return text.astype(pd.CategoricalDtype([*target["classes"], *unknown]))


def _writable(samples: pd.DataFrame, missing_values: dict[str, list[float | str]]) -> pd.DataFrame:
    """The sample table in the form that ``write_h5ad`` accepts."""
    columns = {}
    for name, column in samples.items():
        if len(column) and isinstance(column.iloc[0], np.ndarray):  # series and images of a raw table
            continue
        if stand_ins := missing_values.get(str(name)):
            column = column.mask(without(as_text(column), stand_ins).isna())
        columns[str(name).replace("/", "_")] = _plain(column).array
    return pd.DataFrame(columns, index=make_index_unique(samples.index.map(str).rename(None)))


def _plain(column: pd.Series) -> pd.Series:
    """A column as numpy numbers or booleans, or as categories of text."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column
    if isinstance(column.dtype, pd.CategoricalDtype) and pd.api.types.infer_dtype(column.cat.categories) == "string":
        return column
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    return as_text(column.astype(object)).astype("category")

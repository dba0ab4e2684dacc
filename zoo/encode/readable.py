"""Samples as users know them: their names, and raw values as a table, sequences or arrays."""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from torch import Tensor

from ..spec import Modality
from .dna import dna_text


def sample_names(frame: Any, id_column: str) -> pd.Index:
    """Names of the samples of a user's table: its id column if there is one, else its index; of a dict those of all."""
    if isinstance(frame, dict):
        from .joint import by_name, joint_names

        return joint_names(by_name(frame, id_column)).rename(id_column or None)
    if isinstance(frame, AnnData):
        return frame.obs_names
    return pd.Index(frame[id_column], name=id_column) if id_column and id_column in frame else frame.index


def from_tensor(raw: Tensor, modality: Modality, index: pd.Index | None = None) -> pd.DataFrame | np.ndarray:
    """Raw values as users read them; the opposite of `zoo.encode.to_tensor`.

    Args:
        raw: Raw values, ``shape=(samples, *shape)``; of expression, covariates may be left out.
        modality: What they are.
        index: Names of the samples.

    Returns:
        Tables and expression: one row a sample, one column a feature that is no covariate, categories by the names of
        their levels. Sequences: a table with their letters. Series and images: the array.
    """
    raw = raw.detach().cpu()
    values = raw.numpy()
    features, levels = modality.get("features", []), modality.get("levels", {})
    match modality["kind"]:
        case "table" | "expression":
            conditions = set(modality.get("covariates", []))
            at = [number for number, name in enumerate(features) if name not in conditions]
            names = [features[number] for number in at]
            table = pd.DataFrame(values[:, at], index, names)
            named = {name: _named(table[name].to_numpy(), levels[name]) for name in names if name in levels}
            return table.assign(**named) if named else table
        case "sequence":
            return pd.DataFrame({features[0]: dna_text(raw)}, index=index)
        case _:
            return values


def _named(codes: np.ndarray, levels: list[str]) -> np.ndarray:
    names = np.array([*levels, None], dtype=object)
    result: np.ndarray = names[np.where(np.isnan(codes), len(levels), codes).clip(0, len(levels)).astype(int)]
    return result

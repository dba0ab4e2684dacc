"""Names of the samples of a user's data."""

from typing import Any

import pandas as pd
from anndata import AnnData

from ..tables.values import as_text
from .joint import by_name, joint_names


def sample_names(frame: Any, id_column: str) -> pd.Index:
    """Names of the samples: the id column of a table, as text, if there is one, else its index; for a dict, of all."""
    if isinstance(frame, dict):
        return joint_names(by_name(frame, id_column)).rename(id_column or None)
    if isinstance(frame, AnnData):
        return frame.obs_names
    if id_column and id_column in frame:
        return pd.Index(as_text(frame[id_column]), name=id_column, dtype=object)
    return frame.index

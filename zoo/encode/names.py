"""Names of the samples of a user's data."""

from typing import Any

import pandas as pd
from anndata import AnnData

from .joint import by_name, joint_names


def sample_names(frame: Any, id_column: str) -> pd.Index:
    """Names of the samples: the id column of a table if there is one, else its index; for a dict, of all its tables."""
    if isinstance(frame, dict):
        return joint_names(by_name(frame, id_column)).rename(id_column or None)
    if isinstance(frame, AnnData):
        return frame.obs_names
    return pd.Index(frame[id_column], name=id_column) if id_column and id_column in frame else frame.index

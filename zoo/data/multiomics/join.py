"""Samples of several tables matched by name, and which modalities were measured for each sample."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from ...encode.joint import assemble
from ...errors import InputError
from ...spec import Modality, Spec
from ...tables.ids import difference
from ..base import Source
from ..expression.expression import ExpressionData
from ..expression.genes import has_levels
from .parts import Part

if TYPE_CHECKING:
    from tensordict import TensorDict

log = logging.getLogger("zoo")
MOST_VALUES = 1 << 27  # raw values that are held dense in memory; above, batches are assembled on access
MANY = 10  # measured numbers that do not all agree between two samples by chance


class JointRows:
    """Raw values of several modalities, joined by sample on access.

    Args:
        parts: For each modality the raw values of its samples, and for each joint sample its position among them, -1
            if the modality was not measured.
        modality: The joint modality.
    """

    def __init__(self, parts: Mapping[str, tuple[Source, np.ndarray]], modality: Modality) -> None:
        self.parts, self.modality = {name: (x, torch.from_numpy(at)) for name, (x, at) in parts.items()}, modality

    def __len__(self) -> int:
        return len(next(iter(self.parts.values()))[1])

    def __getitem__(self, rows: torch.Tensor) -> "TensorDict":
        """``{name: (rows, *shape), "measured": (rows, modalities)}``."""
        rows = torch.as_tensor(rows)
        return assemble({name: (x, at[rows]) for name, (x, at) in self.parts.items()}, self.modality, len(rows))

    def ready(self) -> "Source":
        """The values as one object in memory, or this object if they would take too much of it."""
        small = len(self) * self.modality["shape"][0] < MOST_VALUES
        source: Source = self[torch.arange(len(self))] if small else self
        return source


def check_overlap(names: pd.Index, others: pd.Index, features: pd.Index, here: str, there: str) -> None:
    """Check that the table of a modality has samples of the sample table, and log how many are left out.

    Args:
        names: Samples of the sample table.
        others: Samples of the table of the modality.
        features: Columns of the table of the modality.
        here: Name of the sample table in messages.
        there: Name of the table of the modality in messages.

    Raises:
        InputError: A sample occurs twice, or no sample is in both tables; the error suggests a probable reason.
    """
    if (doubled := others[others.duplicated()]).size:
        raise InputError(f"{there}: sample {doubled[0]!r} occurs more than once; keep one row per sample")
    shared = others.isin(names)
    if shared.all():
        return
    how = difference(others[~shared], names, "the table", "the sample table")
    if not shared.any():
        if features.isin(names).any():
            how = "samples are in columns: transpose the table, or set genes_in_rows: true for this modality"
        raise InputError(
            f"{there} and {here} have no sample in common ({', '.join(others[:3])}, ... and {', '.join(names[:3])}, "
            f"...); {how or 'correct the names, or give their column as id'}"
        )
    log.warning(
        "%d of %d samples of %s (such as %s) are not in %s and are left out%s",
        (~shared).sum(),
        len(others),
        there,
        others[~shared][0],
        here,
        f"; {how}" if how else "",
    )


def conformed(found: dict[str, Part], spec: Spec, external: bool) -> dict[str, Part]:
    """The tables of the modalities of a trained model, in its order, set to be read as it expects.

    Args:
        found: Tables by the names of the modalities.
        spec: Spec of the trained model.
        external: True for data other than the training data.
    """
    known = spec["modalities"]
    if unknown := [name for name in found if name not in known]:
        log.warning("the model was trained without the modality %s, which is left out", ", ".join(unknown))
    kept = {name: found[name] for name in known if name in found}
    for name, part in kept.items():
        part.data.conform(Spec(modalities={name: known[name]}, target=spec["target"], id=spec["id"]), external)
    return kept


def of_one_sample(table: Part, part: Modality) -> bool:
    """Whether equal values imply the same sample under two names, as with many measured numbers.

    Categories (mutations, clinical data) and DNA are often equal in different patients.
    """
    data = table.data
    return isinstance(data, ExpressionData) and part["shape"][0] >= MANY and not has_levels(data.expression.matrix)


def combinations(measured: pd.DataFrame) -> pd.DataFrame:
    """Number of samples with each combination of measured modalities, the most frequent first.

    Args:
        measured: One row per sample, one column per modality, True where it was measured.

    Returns:
        One row per combination: a column for each modality, and ``samples``.
    """
    counts = measured.value_counts().rename("samples").reset_index()
    return counts.sort_values("samples", ascending=False, kind="stable").reset_index(drop=True)


def measured_summary(measured: pd.DataFrame) -> str:
    """Number of samples with each modality and with each combination of them, as lines of text."""
    lines = [f"{name}: {int(measured[name].sum())} of {len(measured)} samples" for name in measured]
    for row in combinations(measured).itertuples(index=False):
        has = [name for name, one in zip(measured.columns, row, strict=False) if one]
        which = "all" if len(has) == measured.shape[1] else "none" if not has else ", ".join(has)
        lines.append(f"{row[-1]:>6} have {which}")
    return "\n".join(lines)

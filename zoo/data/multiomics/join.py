"""Samples of several tables matched by their names, and who has what."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from ...encode.joint import assemble
from ...errors import InputError
from ...spec import Modality, Spec
from ..base import Source
from .parts import Part

if TYPE_CHECKING:
    from tensordict import TensorDict

log = logging.getLogger("zoo")
MOST_VALUES = 1 << 27  # raw values of all samples that are kept dense in memory; beyond, a batch is made when asked for
MANY = 10  # numbers that are not equal in two samples by chance
PATIENT = 12  # letters of a TCGA barcode that name the patient


class JointRows:
    """Raw values of samples from those of each modality, put together when they are asked for.

    Args:
        parts: Of each modality the raw values of its samples, and for each joint sample which of them is its own, -1
            if none is.
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
        """The same in memory, if there is room for it."""
        small = len(self) * self.modality["shape"][0] < MOST_VALUES
        every: Source = self[torch.arange(len(self))] if small else self
        return every


def check_overlap(names: pd.Index, others: pd.Index, features: pd.Index, here: str, there: str) -> None:
    """Tell how many samples a table shares with the sample table.

    Args:
        names: Samples of the sample table.
        others: Samples of the table of a modality.
        features: Its columns.
        here: What to call the sample table.
        there: What to call the other.

    Raises:
        InputError: None in common, with the first of each and what may be wrong; or a sample twice.
    """
    if (doubled := others[others.duplicated()]).size:
        raise InputError(f"{there}: sample {doubled[0]!r} occurs more than once; keep one row a sample")
    shared = others.isin(names)
    if not shared.any():
        raise InputError(
            f"{there} and {here} have no sample in common ({', '.join(others[:3])}, ... and {', '.join(names[:3])}, "
            f"...); {_why(names, others, features)}"
        )
    if not shared.all():
        log.warning(
            "%d of %d samples of %s (such as %s) are not in %s and are left out",
            (~shared).sum(),
            len(others),
            there,
            others[~shared][0],
            here,
        )


def _why(names: pd.Index, others: pd.Index, features: pd.Index) -> str:
    if features.isin(names).any():
        return "genes are in rows: give genes_in_rows: true for this modality"
    for long, short, which in ((others, names, "the table"), (names, others, "the sample table")):
        if long.str[:PATIENT].isin(short).any():
            return f"names of {which} are those of samples ({long[0]}): cut them to the patient ({long[0][:PATIENT]})"
    if others.str.lower().isin(names.str.lower()).any():
        return "they differ in case: spell them alike"
    return "mend the names, or give the column that holds them as id"


def conformed(found: dict[str, Part], spec: Spec, external: bool) -> dict[str, Part]:
    """Those of the tables that a trained model knows, in its order, to be read as it expects.

    Args:
        found: Tables by the names of the modalities.
        spec: Of the trained model.
        external: These are not the data of the training.
    """
    known = spec["modalities"]
    if strange := [name for name in found if name not in known]:
        log.warning("the model knows no modality %s; it is left out", ", ".join(strange))
    kept = {name: found[name] for name in known if name in found}
    for name, part in kept.items():
        part.data.conform(Spec(modalities={name: known[name]}, target=spec["target"], id=spec["id"]), external)
    return kept


def of_one_sample(part: Modality) -> bool:
    """Whether equal values mean that it is the same sample under two names: measured numbers, and many of them.

    Levels, such as mutations, clinical data and DNA are often equal in different patients.
    """
    return part["kind"] == "expression" and part["scale"] != "none" and part["shape"][0] >= MANY


def combinations(measured: pd.DataFrame) -> pd.DataFrame:
    """How many samples have which modalities, commonest first.

    Args:
        measured: One row a sample, one column a modality, True where it was measured.

    Returns:
        One row a combination: a column for each modality, and ``samples``.
    """
    counts = measured.value_counts().rename("samples").reset_index()
    return counts.sort_values("samples", ascending=False, kind="stable").reset_index(drop=True)


def told(measured: pd.DataFrame) -> str:
    """The same in words, a line for each combination."""
    lines = [f"{name}: {int(measured[name].sum())} of {len(measured)} samples" for name in measured]
    for row in combinations(measured).itertuples(index=False):
        has = [name for name, one in zip(measured.columns, row, strict=False) if one]
        which = "all" if len(has) == measured.shape[1] else "none" if not has else ", ".join(has)
        lines.append(f"{row[-1]:>6} have {which}")
    return "\n".join(lines)

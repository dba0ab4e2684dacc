"""Registries of the functions behind ``zoo explain``, by modality; each module adds its own functions."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from ..data import Data
from ..errors import InputError
from ..models import Supervised
from ..registry import Registry, check_kind
from ..spec import modality_of
from ..training.tasks import task_of


@dataclass
class Request:
    """Options of one call of ``zoo explain``.

    Attributes:
        data: Reads the data.
        folder: Output folder.
        method: Attribution method; None for the default of the modality.
        file: File given by ``--fasta`` or ``--vcf``.
        genome: FASTA file of the reference genome of the variants.
    """

    data: Callable[[], Data]
    folder: Path
    method: str | None = None
    file: Path | None = None
    genome: str | None = None


Explainer = Callable[[Supervised, Request], list[Path]]  # returns the paths of the files it has written
EXPLAINERS = Registry[Explainer]("zoo explain")
OF_FASTA = Registry[Explainer]("zoo explain --fasta")
OF_VCF = Registry[Explainer]("zoo explain --vcf")


def check_takes(what: str, model: Supervised, *kinds: str) -> None:
    """Raise an `InputError` unless a function of `zoo.explain` supports the modality of a model."""
    hint = f"the command zoo explain writes all explanations available for this {type(model).__name__}"
    check_kind(f"zoo.explain.{what}", modality_of(model.spec)["kind"], kinds, hint)


def check_not_survival(model: Supervised) -> None:
    """Raise an `InputError` if the model predicts survival, which is not supported for single samples."""
    if task_of(model.target).needs_event:
        raise InputError(
            "zoo explain supports classes and continuous targets, not survival; use 'zoo predict' or 'zoo explore'"
        )


def examples(data: Data) -> tuple[Tensor, pd.Index]:
    """Raw values and names of two samples of each class, or eight samples, of the validation (or else test) split."""
    rows = next(found for split in ("validation", "test") if len(found := data.dataset.rows(split)))
    y = data.dataset.y[rows]
    if task_of(data.spec["target"]).classified:
        rows = torch.cat([rows[y == code][turn : turn + 1] for turn in range(2) for code in y.unique()])
    else:
        rows = rows[:8]
    return data.dataset.x[rows], data.samples.index[rows.numpy()]

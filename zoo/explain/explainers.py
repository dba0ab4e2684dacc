"""What ``zoo explain`` writes, by modality; the folder of a modality adds its own."""

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
    """What a user asked for.

    Attributes:
        data: Reads the data that the options name.
        folder: Where to write.
        method: How contributions are computed; None for the usual way.
        file: Of ``--fasta`` or ``--vcf``.
        genome: FASTA file that the positions of variants are of.
    """

    data: Callable[[], Data]
    folder: Path
    method: str | None = None
    file: Path | None = None
    genome: str | None = None


Explainer = Callable[[Supervised, Request], list[Path]]  # gives the files that it has written
EXPLAINERS = Registry[Explainer]("zoo explain")
OF_FASTA = Registry[Explainer]("zoo explain --fasta")
OF_VCF = Registry[Explainer]("zoo explain --vcf")


def check_takes(what: str, model: Supervised, *kinds: str) -> None:
    """Raise an `InputError` unless a function of `zoo.explain` is for the modality of a model."""
    hint = f"the command zoo explain writes what there is for this {type(model).__name__}"
    check_kind(f"zoo.explain.{what}", modality_of(model.spec)["kind"], kinds, hint)


def check_answers(model: Supervised) -> None:
    """Raise an `InputError` if the model predicts survival, which single samples cannot be explained for."""
    if task_of(model.target).needs_event:
        raise InputError(
            "zoo explain tells of classes and numbers, not of survival; see 'zoo predict' and 'zoo explore'"
        )


def examples(data: Data) -> tuple[Tensor, pd.Index]:
    """Raw values and names of two validation samples of each class, or of eight; of test samples without others."""
    rows = next(found for split in ("validation", "test") if len(found := data.dataset.rows(split)))
    y = data.dataset.y[rows]
    if task_of(data.spec["target"]).classified:
        rows = torch.cat([rows[y == code][turn : turn + 1] for turn in range(2) for code in y.unique()])
    else:
        rows = rows[:8]
    return data.dataset.x[rows], data.samples.index[rows.numpy()]

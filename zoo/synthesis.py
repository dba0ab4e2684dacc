"""Synthetic samples of a trained model: written to a file, and compared with real samples in a report."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from . import budget, files
from .data import Data
from .data.frame import KINDS
from .errors import InputError, check_range
from .models import REGISTRY, Model
from .models.gans.generative import Generative
from .report.synthetic.page import check_suffix, write_report
from .report.synthetic.scores import against_data
from .spec import modality_of
from .tables.writing import SUFFIXES, write_table
from .tables.writing import check_suffix as check_output

log = logging.getLogger("zoo")
CELL = 16  # bytes of a value as it was generated, and as a number or a reference to text in the table


def check_request(model: Model, n: int, output: Path, report: Path | None) -> Generative:
    """The model, if it can generate the requested samples.

    Raises:
        InputError: The model is not generative; fewer than one sample; an unsuitable suffix.
    """
    if not isinstance(model, Generative):
        generative = [name for name, known in REGISTRY.items() if issubclass(known, Generative)]
        raise InputError(f"{type(model).__name__} does not synthesise; models that do: {', '.join(generative)}")
    check_range("--n", n, 1)
    kind = modality_of(model.spec)["kind"]
    arrays = KINDS.of(kind).arrays
    check_output(output, (".npz",) if arrays else SUFFIXES)
    if report is not None and arrays:
        raise InputError(f"--report is for tables; use zoo test for generated {kind} samples")
    if report is not None:
        check_suffix(report)
    budget.check(n * bytes_of_a_sample(model), f"{n:,} samples", "lower --n, and call again with another --seed")
    return model


def bytes_of_a_sample(model: Generative) -> int:
    """Estimated memory that one generated sample takes until it is written.

    Noise, the output of the network in parts and as a whole, raw values, and cells of a table.
    """
    values = sum(math.prod(modality["shape"]) for modality in model.spec["modalities"].values())
    return 4 * (model.noise + 3 * model.encode.out_features) + CELL * (values + 1)


def conditions_of(words: Sequence[str], model: Generative) -> dict[str, str]:
    """``["diabetes=pos"]`` as ``{"diabetes": "pos"}``.

    Raises:
        InputError: A condition without ``=``, or a column that is given twice.
    """
    conditions: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            target = model.target
            example = f"{target['name']}={target['classes'][-1]}" if target["classes"] else "COLUMN=VALUE"
            raise InputError(f"--condition {word}: write COLUMN=VALUE, such as {example}")
        if name in conditions:
            raise InputError(f"--condition {name} is given twice; call once for each class")
        conditions[name] = value
    return conditions


def synthesise(
    model: Generative,
    data: Data | None,
    n: int,
    output: Path,
    report: Path | None = None,
    seed: int = 0,
    conditions: dict[str, str] | None = None,
    title: str = "",
) -> pd.DataFrame:
    """Generate and write samples, and a report on them; nothing is written if the report is not possible.

    Args:
        model: A trained model.
        data: Training data, for a report; its test rows, or else its validation rows, are the hold-out rows.
        n: Number of samples.
        output: A table (see `zoo.tables.writing`); for images and series an .npz that the data modules read.
        report: .html or .png, or None.
        seed: Random seed.
        conditions: Class of the samples, such as ``{"diabetes": "pos"}``.
        title: Title of the report.

    Returns:
        The samples, see `Generative.synthesise`.

    Raises:
        InputError: See `check_request`; a condition on another column than the target, or an unknown class; no hold-out
            rows for a report.
    """
    model = check_request(model, n, output, report)
    samples = model.synthesise(n, conditions, seed)
    found = None
    if report is not None and data is not None:
        split = next((name for name in ("test", "validation") if len(data.dataset.rows(name))), "")
        found = against_data({type(model).__name__: samples}, data, split, conditions, seed)
    _write(samples, output, model)
    if report is not None and found is not None:
        write_report(
            found, ", ".join([title, *(f"{name} = {value}" for name, value in (conditions or {}).items())]), report
        )
        log.info("%d synthetic samples written to %s, a report on quality and privacy to %s", n, output, report)
    elif output.suffix != ".npz":
        log.info("%d synthetic samples written to %s; check them with --report FILE.html before sharing", n, output)
    else:
        log.info("%d synthetic samples written to %s; check the model with zoo test before sharing", n, output)
    return samples


def _write(samples: pd.DataFrame, path: Path, model: Generative) -> None:
    if path.suffix != ".npz":
        write_table(samples, path, index=False)
        return
    names = KINDS.of(modality_of(model.spec)["kind"]).arrays or ()
    columns = [np.stack(list(samples.iloc[:, 0])), *(samples[c].to_numpy(dtype=str) for c in samples.columns[1:2])]
    with files.replacing(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **dict(zip(names, columns, strict=False)))

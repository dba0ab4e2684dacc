"""Similarity, usefulness and privacy of synthetic tables, beside a Gaussian copula and real rows."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from ...data import Data
from ...encode import from_tensor
from ...encode.table import days_since
from ...errors import InputError
from ...figure import Figure
from ...models.gans.generative import Generative
from ...spec import Modality, Target, modality_of
from ...training.tasks import task_of
from ..evaluation import Evaluation, evaluates, raw_predictions, with_truth
from .columns import Columns
from .comparison import COPULA, REAL, Comparison
from .copula import GaussianCopula
from .likeness import likeness
from .privacy import copies, privacy, privacy_of_real
from .utility import two_sample_test, utility

log = logging.getLogger("zoo")
FEWEST, MOST_ROWS = 4, 5000  # rows of each kind; from more, a sample is drawn for distances and models


def synthetic_scores(
    real_train: pd.DataFrame,
    synthetic: pd.DataFrame,
    holdout: pd.DataFrame | None,
    target: str | None = None,
    seed: int = 0,
    **about: Any,
) -> dict[str, float]:
    """All scores of any synthetic table.

    Args:
        real_train: Rows on which the generator was trained; missing values are empty in all tables.
        synthetic: Synthetic rows with the same columns.
        holdout: Real rows that were not used for training.
        target: Column to predict.
        seed: Seed of subsets and folds.
        **about: Further arguments of `zoo.report.synthetic.columns.Columns.of`.

    Returns:
        - Similarity to the training rows: see `zoo.report.synthetic.likeness.likeness`.
        - ``c2st``: see `zoo.report.synthetic.utility.two_sample_test`.
        - ``tstr``: see `zoo.report.synthetic.utility.utility`; at most as many synthetic rows are used as
          there are training rows. ``trtr`` is the same for the training rows.
        - ``dcr_share``, ``membership_inference``: see `zoo.report.synthetic.privacy.Privacy`; ``copies`` is the
          number of synthetic rows that are exact copies of a training row.

    Raises:
        InputError: There are no hold-out rows; a column is absent; fewer than 4 rows of one kind.
    """
    found = compare(real_train, {"synthetic": synthetic}, holdout, target, seed, **about)
    ours = [row for row in found.scores if row[0] == "synthetic"]
    scores = {what: value for _, _, what, value in reversed(ours)}  # similarity to the training rows comes first
    real = {f"tr{what[2:]}": value for who, _, what, value in found.scores if who == REAL and what.startswith("tstr")}
    return scores | real


def compare(
    real_train: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    holdout: pd.DataFrame | None,
    target: str | Target | None = None,
    seed: int = 0,
    split: str = "holdout",
    **about: Any,
) -> Comparison:
    """Score several synthetic tables, and the training rows like a synthetic table, against the hold-out rows.

    Arguments and errors are those of `synthetic_scores`; ``split`` names the hold-out rows in the scores.
    """
    if holdout is None or not len(holdout):
        raise InputError(
            "privacy scores need hold-out rows, real rows that were not used for training: keep a share of validation "
            "or test rows in data.fractions"
        )
    columns = Columns.of(real_train, target, **about)
    given = {"training": real_train, "hold-out": holdout, **tables}
    tidy = {name: columns.tidy(frame, f"the {name} rows") for name, frame in given.items()}
    if short := [name for name, frame in tidy.items() if len(frame) < FEWEST]:
        raise InputError(
            f"at least {FEWEST} {short[0]} rows are needed to compare tables, not {len(tidy[short[0]])}; raise the "
            "share of validation and test rows in data.fractions, or leave out --report"
        )
    drawn = {name: rows.sample(min(len(rows), MOST_ROWS), random_state=seed) for name, rows in tidy.items()}
    encode = columns.encoder().fit(drawn["training"])
    points = {name: encode.transform(rows) for name, rows in drawn.items()}
    found = Comparison(columns, tidy["training"], tidy["hold-out"], {name: tidy[name] for name in tables})
    for name, rows in found.tables.items():
        found.scores += [(name, "train", metric, v) for metric, v in likeness(found.train, rows, columns).items()]
    for name, own in [*((name, name) for name in tables), (REAL, "training")]:
        scores = likeness(found.holdout, tidy[own], columns)
        scores |= two_sample_test(points["hold-out"], points[own], seed)
        scores |= utility(drawn[own].head(len(found.train)), drawn["training"], drawn["hold-out"], columns)
        if name == REAL:
            found.privacy[name] = privacy_of_real(points["training"], points["hold-out"], seed)
        else:
            found.privacy[name] = privacy(points["training"], points["hold-out"], points[name], seed)
        scores |= {key: getattr(found.privacy[name], key) for key in ("dcr_share", "membership_inference")}
        scores["copies"] = copies(found.train, tidy["hold-out" if name == REAL else name])
        found.scores += [(name, split, metric, value) for metric, value in scores.items()]
    return found


def real_rows(data: Data, split: str) -> pd.DataFrame:
    """Rows of a split in the format of synthetic rows: features, names of categories, NaN if missing, target."""
    rows, target = data.dataset.rows(split), data.spec["target"]
    frame = from_tensor(data.dataset.x[rows], modality_of(data.spec), data.samples.index[rows.numpy()])
    assert isinstance(frame, pd.DataFrame)
    truth = task_of(target).decode(data.dataset.y[rows], target)
    return frame.assign(**{target["name"]: truth["target"]}) if "target" in truth else frame


def with_days(made: pd.DataFrame, modality: Modality) -> pd.DataFrame:
    """Synthetic rows with dates as days, like the rows of `real_rows`."""
    times = {name: how for name, how in modality.get("dates", {}).items() if name in made}
    return made.assign(**{name: days_since(made[name], how, "synthetic rows") for name, how in times.items()})


def against_data(
    tables: dict[str, pd.DataFrame], data: Data, split: str, conditions: dict[str, Any] | None = None, seed: int = 0
) -> Comparison:
    """Compare synthetic tables, and a Gaussian copula, with the rows of a data module.

    Args:
        tables: Synthetic rows by name.
        data: Data on which the generators were trained.
        split: Split of the hold-out rows.
        conditions: Class of the synthetic rows; real rows of other classes are left out.
        seed: Seed of the copula, subsets and folds.

    Raises:
        InputError: There are no training rows or no hold-out rows.
    """
    target, modality = data.spec["target"], modality_of(data.spec)
    tables = {name: with_days(made, modality) for name, made in tables.items()}
    train, holdout = (real_rows(data, part) for part in ("train", split))
    if not len(train):
        raise InputError("synthetic rows are compared with the training rows, and these data have none")
    for name, wanted in (conditions or {}).items():
        train, holdout = (rows[rows[name] == str(wanted)].drop(columns=name) for rows in (train, holdout))
    first = next(iter(tables.values()))
    shared = [name for name in train if name in first]
    asked = _target_among(data, shared)
    about = {"categorical": [name for name in modality.get("levels", {}) if name in shared]}
    copula = GaussianCopula(train[shared], asked, **about).sample(len(first), seed=seed)
    found = compare(train[shared], {**tables, COPULA: copula}, holdout, asked, seed, split, **about)
    found.units = modality.get("units", {}) | ({target["name"]: target["unit"]} if target["unit"] else {})
    return found


def _target_among(data: Data, columns: list[str]) -> Target | None:
    """The target of the data, if it is among these columns and simple models can predict it."""
    target = data.spec["target"]
    return target if target["name"] in columns and not task_of(target).needs_event else None


@evaluates("synthesis", "table", "expression")
def evaluate_synthetic(model: Generative, data: Data, present: list[str]) -> Evaluation:
    """Generate as many rows as there are training rows and score them, beside a Gaussian copula and real rows.

    Args:
        model: In evaluation mode.
        data: Its data.
        present: Splits that have samples; the last is the hold-out split for usefulness and privacy.

    Returns:
        Predictions: the ``realism`` of each real sample. Scores: similarity to the rows of each split, and all others
        of `synthetic_scores` on the last split, of the model, ``"Gaussian copula"`` and ``"real rows"`` (training rows
        against hold-out rows). With fewer than 4 rows of one kind, the similarity to the training rows only.

    Raises:
        InputError: There are no training rows.
    """
    name, content = type(model).__name__, data.dataset
    made = model.synthesise(max(FEWEST, len(content.rows("train"))))
    sizes = {split: len(content.rows(split)) for split in ("train", present[-1])}
    if small := [split for split, count in sizes.items() if 0 < count < FEWEST]:
        log.warning(
            "%d %s rows: no scores of usefulness and privacy and no figures of synthetic rows, which need %d",
            sizes[small[0]],
            small[0].replace("train", "training"),
            FEWEST,
        )
        found, scores = None, [*_similarity(name, made, data), (name, present[-1], model.headline, float("nan"))]
    else:
        found = against_data({name: made}, data, present[-1])
        scores = [row for row in found.scores if row[1] in present]
    for split in present[:-1]:
        if split != "train" and found:
            rows = found.columns.tidy(real_rows(data, split), f"the {split} rows")
            more = [(name, split, key, v) for key, v in likeness(rows, found.tables[name], found.columns).items()]
            scores = [*(row for row in scores if row[1] == "train"), *more, *(r for r in scores if r[1] != "train")]
    parts = []
    for split in present:
        raw = raw_predictions(model, data, split)
        frame = model.prediction_frame(raw, pd.RangeIndex(len(raw)))
        parts.append(with_truth(model, data, split, frame))
    table = pd.DataFrame(scores, columns=["model", "split", "metric", "value"])
    return Evaluation(pd.concat(parts), table, figures=figures_of(found) if found else {})


def _similarity(name: str, made: pd.DataFrame, data: Data) -> list[tuple[str, str, str, float]]:
    """Similarity of synthetic rows to the training rows: model, split, metric, value."""
    train, levels = real_rows(data, "train"), modality_of(data.spec).get("levels", {})
    train = train[[column for column in train if column in made]]
    columns = Columns.of(train, _target_among(data, [*train]), [name for name in levels if name in train])
    real, other = columns.tidy(train, "the training rows"), columns.tidy(made, f"the {name} rows")
    return [(name, "train", metric, value) for metric, value in likeness(real, other, columns).items()]


def figures_of(found: Comparison) -> dict[str, Callable[[str], Figure]]:
    """Functions that draw the figures, by file name; each takes the name for its title."""
    from .figures import figures

    return {stem: partial(draw, found) for stem, draw in figures(found).items()}

"""Which features do models rely on, again and again, and more than chance would make them?"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd

from ...data import Data
from ...errors import InputError, check_choice, check_range, suggest
from ...spec import modality_of
from ..features.attribution import Method, feature_importance
from ..perturbation.statistics import benjamini_hochberg
from .data import Design, permuted, training_sets, with_training
from .statistics import agreement, p_values, ranks, relative, selected
from .training import Fit, fitter

SHARED = {"seeds": "the same", "bootstrap": "overlapping", "halves": "disjoint"}  # patients of two models
LESS = 0.5  # importance of a typical feature on permuted labels, as a share of that on real ones; below it, see `note`
REAL, PERMUTED = "real labels", "permuted labels"

log = logging.getLogger("zoo")


@dataclass
class FeatureStability:
    """What `feature_stability` found.

    Attributes:
        table: One row a feature, the most significant first: ``feature``; ``importance``, mean over models, as of
            `feature_importance`; ``relative``, mean over models of the importance as a multiple of that of the median
            feature of its modality; ``mean_rank``, 1 the most important; ``selection``, share of the models in whose
            top list it is; ``null_selection``, the same of models on permuted labels; ``p_value``, ``q_value``;
            ``consensus``, whether the q value is at most ``fdr``; and ``known``, if known features were given.
        agreement: Of real and of permuted labels, over pairs of models: ``spearman``, mean correlation of importances,
            and ``spearman_sd`` between pairs; ``top_shared`` and ``top_shared_sd``, the share of their top lists that
            two models share (drawn at random ``top / features``); ``pairs``. On permuted labels of disjoint patients
            there is agreement too where modalities or distributions of features differ.
        importances: Of the models on real labels: one row a model, one column a feature.
        null_importances: The same on permuted labels, with the number of the permutation in the index.
        design: How models differ.
        top: Length of the top lists.
        fdr: Share of false discoveries that is aimed at.
        note: What was found, and what must be known before it is believed.
    """

    table: pd.DataFrame
    agreement: pd.DataFrame
    importances: pd.DataFrame = field(repr=False)
    null_importances: pd.DataFrame = field(repr=False)
    design: Design
    top: int
    fdr: float
    note: str

    @property
    def consensus(self) -> list[str]:
        """Features that models rely on more than chance would make them, the most important first."""
        return list(self.table["feature"][self.table["consensus"]])

    @property
    def new(self) -> list[str]:
        """Those of `consensus` that were not known; all, if no known features were given."""
        known = set(self.table["feature"][self.table["known"]]) if "known" in self.table else set()
        return [name for name in self.consensus if name not in known]


def feature_stability(
    fit: str | Path | Fit,
    data: Data,
    *options: str,
    models: int = 10,
    design: Design = "seeds",
    top: int = 50,
    fdr: float = 0.1,
    permutations: int = 10,
    known: Iterable[str] | None = None,
    method: Method = "integrated_gradients",
    seed: int = 0,
) -> FeatureStability:
    """Train models independently, and as many on permuted labels, and compare what they rely on.

    Each model is asked for the importance of all features in its own training rows (`feature_importance`). Designs:

    - ``seeds``: the same patients, another random start. Agreement tells how much of a list is luck of the training;
      it says nothing of other patients.
    - ``bootstrap``: patients drawn with replacement, as for stability selection (Meinshausen and Buehlmann 2010,
      doi:10.1111/j.1467-9868.2010.00740.x).
    - ``halves``: disjoint halves, a model each; agreement is that of studies which share no patient.

    Chance is what the same design makes of labels that are permuted among the training rows, ten times by default. The
    importance of a feature, as a multiple of that of the median feature of its modality, averaged over models, is
    compared with those of all features of the modality on permuted labels; then Benjamini and Hochberg 1995
    (doi:10.1111/j.2517-6161.1995.tb02031.x). A feature that is related to the target only by way of another is found
    too: no list tells causes.

    A recipe is trained for a fixed number of epochs, chosen on the validation rows with real labels. A function must do
    so too. If it stops early by the validation loss, models on permuted labels stop at once and chance looks small: in
    simulations half of the discoveries were false, in place of at most a tenth. The note warns if it looks so.

    Args:
        fit: Name of a recipe, path of a config, or a run folder, whose model and training are taken; or a function
            ``(data, seed) -> model``.
        data: A table, expression or several modalities; its training rows are used, and validation rows to choose the
            number of epochs. Test rows are not.
        *options: As on the command line, of a recipe.
        models: Of each design, and of each permutation. The time is that of ``models * (1 + permutations)`` trainings.
        design: As above.
        top: Length of the list of each model whose members count as selected; fewer than there are features.
        fdr: Share of false discoveries among the consensus that is aimed at.
        permutations: Of the labels. ``n`` features of ``m`` can be found only if ``permutations * n * fdr`` is above
            about 1 (of several modalities, that times ``m`` and divided by the features of the modality).
        known: Genes that were known before: features of these names, with or without that of the modality.
        method: As of `feature_importance`.
        seed: Of the models, the draws and the permutations.

    Returns:
        See `FeatureStability`.

    Raises:
        InputError: Anything wrong with options or data; a model without named features; no target; lists as long as
            there are features; an odd number of halves; no known feature in the data.

    Example:
        >>> found = feature_stability("mlp_pima", data, design="bootstrap", top=3)  # doctest: +SKIP
        >>> found.consensus  # doctest: +SKIP
    """
    check_choice("design", design, Design.__args__)  # type: ignore[attr-defined]
    check_range("models", models, 2)
    check_range("permutations", permutations, 1)
    check_range("fdr", fdr, 0, 1)
    if not data.spec["target"]["name"]:
        raise InputError("these data have no target; give one to the data module")
    names, modalities = _features(data)
    if not 1 <= top < len(names):
        raise InputError(f"top must be at least 1 and below the number of features, {len(names)}, not {top}")
    marked = _known(known, names) if known is not None else None
    sets = training_sets(data, design, models, seed)
    train = fitter(fit, data, options, seed)
    found: list[np.ndarray] = []
    inexact = (0.0, "")  # contributions of one of the models, the worst
    for run in range(permutations + 1):
        labels = permuted(data, seed + run) if run else data
        rows = []
        for number, training in enumerate(sets):
            own = labels if design == "seeds" else with_training(labels, training)
            table = feature_importance(train(own, seed + run * models + number), own, method=method)
            inexact = max(inexact, (float(table["unexplained_share"][0]), table.attrs["note"]))
            rows.append(table.set_index("feature")["importance"][names].to_numpy())
        found.append(np.stack(rows))
        log.info("%s: %d models", f"permutation {run} of {permutations}" if run else REAL, models)
    real, null = found[0], np.concatenate(found[1:])
    statistic, *chances = (values.mean(0) for values in relative(found, modalities))
    p = p_values(statistic, np.stack(chances), modalities)
    table = pd.DataFrame(
        {
            "feature": names,
            "importance": real.mean(0),
            "relative": statistic,
            "mean_rank": ranks(real).mean(0),
            "selection": selected(real, top).mean(0),
            "null_selection": selected(null, top).mean(0),
            "p_value": p,
            "q_value": benjamini_hochberg(p),
        }
    )
    table["consensus"] = table["q_value"] <= fdr
    if marked is not None:
        table["known"] = marked
    table = table.sort_values(["q_value", "relative"], ascending=[True, False], kind="stable", ignore_index=True)
    counted = pd.MultiIndex.from_product([range(1, permutations + 1), range(models)], names=["permutation", "model"])
    note = _note(table, 1 / (1 + permutations * np.bincount(modalities).max()), fdr)
    if not isinstance(fit, str | Path):  # of a recipe all models have the same epochs
        note += _warning(real, null)
    if inexact[1]:
        note += f"; in one of the models {inexact[1]}"
    return FeatureStability(
        table=table,
        agreement=_agreement(found, top, design),
        importances=pd.DataFrame(real, columns=names).rename_axis("model"),
        null_importances=pd.DataFrame(null, counted, names),
        design=design,
        top=top,
        fdr=fdr,
        note=note,
    )


def _features(data: Data) -> tuple[list[str], np.ndarray]:
    """Names, and number of the modality of each."""
    modality = modality_of(data.spec)
    parts = modality.get("parts", {"": modality})
    sizes = [len(part.get("features", [])) for part in parts.values()]
    return list(modality.get("features", [])), np.repeat(np.arange(len(parts)), sizes)


def _known(known: Iterable[str], names: list[str]) -> np.ndarray:
    wanted = {str(name) for name in known}
    marked = np.array([name in wanted or name.partition(":")[2] in wanted for name in names])
    if not marked.any():
        raise InputError(f"no known feature is in the data; {suggest(next(iter(wanted), ''), names)}")
    return marked


def _agreement(found: list[np.ndarray], top: int, design: Design) -> pd.DataFrame:
    rows = {}
    for name, sets in {REAL: found[:1], PERMUTED: found[1:]}.items():
        spearman, shared = (np.concatenate(v) for v in zip(*(agreement(s, top, design) for s in sets), strict=True))
        spread = [v.std(ddof=1) if len(v) > 1 else np.nan for v in (spearman, shared)]
        rows[name] = [spearman.mean(), spread[0], shared.mean(), spread[1], len(spearman)]
    columns = ["spearman", "spearman_sd", "top_shared", "top_shared_sd", "pairs"]
    table = pd.DataFrame(rows, columns).T.astype({"pairs": int})
    table.attrs["patients"] = SHARED[design]
    return table


def _note(table: pd.DataFrame, lowest: float, fdr: float) -> str:
    """``lowest``: the smallest p value that there could be."""
    count = int(table["consensus"].sum())
    text = f"{count} of {len(table)} features at a false discovery rate of {fdr:.0%}"
    if "known" in table and count:
        text += f", {int(table['known'][table['consensus']].sum())} of them known"
    if not count and (least := ceil(len(table) * lowest / fdr) if fdr else 0) > 1:
        text += f"; fewer than {least} together cannot be told from chance by so few permutations, give more"
    return text


def _warning(real: np.ndarray, null: np.ndarray) -> str:
    """What is to be said if models on permuted labels seem to have stopped early."""
    share = np.median(null, 1).mean() / max(np.median(real, 1).mean(), 1e-30)
    if share >= LESS:
        return ""
    text = (
        f"a typical feature matters {share:.2f} times as much on permuted labels, as if those models had been trained "
        "less: many discoveries may be false unless all are trained for the same number of epochs, without early "
        "stopping"
    )
    log.warning("%s", text)
    return f"; {text}"

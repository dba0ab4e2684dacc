"""Feature stability: which features are important in independently trained models, more than expected by chance?"""

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
LESS = 0.5  # ratio of the median importance on permuted labels to that on real labels, below which the note warns
REAL, PERMUTED = "real labels", "permuted labels"

log = logging.getLogger("zoo")


@dataclass
class FeatureStability:
    """Results of `feature_stability`.

    Attributes:
        table: One row for each feature, the most significant first: ``feature``; ``importance`` (see
            `feature_importance`), mean over models; ``relative``, mean over models of the importance divided by the
            median importance in its modality; ``mean_rank``, 1 for the most important; ``selection``, fraction of the
            models with the feature in their top list; ``null_selection``, the same for permuted labels; ``p_value``,
            ``q_value``; ``consensus``, whether the q value is at most ``fdr``; and ``known``, if known features were
            given.
        agreement: One row each for real and permuted labels, over pairs of models: ``spearman``, mean correlation of
            importances, and ``spearman_sd``, its standard deviation; ``top_shared`` and ``top_shared_sd``, the fraction
            of their top lists that two models share (``top / features`` for random lists); ``pairs``. Models of
            disjoint patients with permuted labels agree too if modalities or distributions of features differ.
        importances: Importances of the models on real labels: one row for each model, one column for each feature.
        null_importances: The same on permuted labels, with the number of the permutation in the index.
        design: How the training sets of the models differ.
        top: Length of the top lists.
        fdr: Target false discovery rate.
        note: Summary of the result, with cautions.
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
        """Features that are more important than expected by chance, the most significant first."""
        return list(self.table["feature"][self.table["consensus"]])

    @property
    def new(self) -> list[str]:
        """Consensus features that were not known before; all, if no known features were given."""
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
    """Compare the feature importance of independently trained models, on real and on permuted labels.

    The importance of all features is computed on the training rows of each model (`feature_importance`). Designs:

    - ``seeds``: the same patients with different random seeds. Disagreement is due to the randomness of the training;
      agreement does not show that results hold for other patients.
    - ``bootstrap``: patients drawn with replacement, as for stability selection (Meinshausen and Buehlmann 2010,
      doi:10.1111/j.1467-9868.2010.00740.x).
    - ``halves``: disjoint halves, one model for each; agreement is that between studies without common patients.

    The null distribution is computed by the same design with labels permuted among the training rows, ten times by
    default. The importance of a feature, divided by the median importance in its modality and averaged over models, is
    compared with those of all features of the modality on permuted labels; q values are those of Benjamini and
    Hochberg 1995 (doi:10.1111/j.2517-6161.1995.tb02031.x). A feature that is only indirectly associated with the target
    can be found too: the results are not causal.

    A recipe is trained for a fixed number of epochs, chosen on the validation rows with real labels. A function must
    use a fixed number too. With early stopping by the validation loss, models on permuted labels stop immediately and
    the null importances are too small: in simulations half of the discoveries were false, instead of at most a tenth.
    The note warns if this seems to be the case.

    Args:
        fit: Name of a recipe, path of a config, or a run folder, whose model and training settings are used; or a
            function ``(data, seed) -> model``.
        data: A table, expression or several modalities; training rows are used, and validation rows to choose the
            number of epochs. Test rows are not used.
        *options: Options of a recipe, as on the command line.
        models: Number of models, for real labels and for each permutation; ``models * (1 + permutations)`` models are
            trained.
        design: As above.
        top: Length of the top list of each model, which defines selection; less than the number of features.
        fdr: Target false discovery rate of the consensus.
        permutations: Number of permutations of the labels. ``n`` features of ``m`` can be significant only if
            ``permutations * n * fdr`` is above about 1 (for several modalities, that times ``m`` and divided by the
            number of features of the modality).
        known: Names of features that were known before, with or without the name of the modality.
        method: As in `feature_importance`.
        seed: Random seed of the models, the draws and the permutations.

    Returns:
        See `FeatureStability`.

    Raises:
        InputError: Invalid options or data; a model without named features; no target; ``top`` is not less than the
            number of features; an odd number of models for ``halves``; no known feature is in the data.

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
    inexact = (0.0, "")  # completeness of the contributions of the worst model
    for run in range(permutations + 1):
        labels = permuted(data, seed + run) if run else data
        rows = []
        for number, training in enumerate(sets):
            subset = labels if design == "seeds" else with_training(labels, training)
            table = feature_importance(train(subset, seed + run * models + number), subset, method=method)
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
    if not isinstance(fit, str | Path):  # models of a recipe are all trained for the same number of epochs
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
    """Names of the features, and number of the modality of each."""
    modality = modality_of(data.spec)
    parts = modality.get("parts", {"": modality})
    sizes = [len(part.get("features", [])) for part in parts.values()]
    return list(modality.get("features", [])), np.repeat(np.arange(len(parts)), sizes)


def _known(known: Iterable[str], names: list[str]) -> np.ndarray:
    """Whether each feature is among the known ones, with or without the name of its modality."""
    known_names = {str(name) for name in known}
    marked = np.array([name in known_names or name.partition(":")[2] in known_names for name in names])
    if not marked.any():
        raise InputError(f"no known feature is in the data; {suggest(next(iter(known_names), ''), names)}")
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
    """Summary of the table; ``lowest`` is the smallest possible p value."""
    count = int(table["consensus"].sum())
    text = f"{count} of {len(table)} features at a false discovery rate of {fdr:.0%}"
    if "known" in table and count:
        text += f", {int(table['known'][table['consensus']].sum())} of them known"
    if not count and (least := ceil(len(table) * lowest / fdr) if fdr else 0) > 1:
        text += f"; with so few permutations fewer than {least} features cannot be significant, use more permutations"
    return text


def _warning(real: np.ndarray, null: np.ndarray) -> str:
    """Caution if models on permuted labels seem to have stopped early; else empty."""
    share = np.median(null, 1).mean() / max(np.median(real, 1).mean(), 1e-30)
    if share >= LESS:
        return ""
    text = (
        f"the median importance on permuted labels is {share:.2f} times that on real labels, as if those models had "
        "been trained less: many discoveries may be false unless all models are trained for the same number of epochs, "
        "without early stopping"
    )
    log.warning("%s", text)
    return f"; {text}"

"""In-silico perturbation: set one input to a value in all samples, and test how the reconstructions shift."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from lightning.pytorch import seed_everything

from ...data import Data
from ...encode.table import TableEncoder
from ...errors import InputError, check_choice, check_range
from ...models import Model
from ...models.autoencoders.base import Unsupervised
from ...parsing import CLI
from ...runs import fit_data, quieten
from ...spec import modality_of
from .copies import ADJUSTED, copy_names
from .shifts import Columns, Shift, Value, changed, check_feature, check_models, columns_of, shift
from .statistics import bayes_factor, benjamini_hochberg, cumulative_evidence, empirical_p, vote

FEWEST = 3  # models of each latent size for method "t_test"


def ensemble(name: str, data: Data, *options: str, n: int = 8) -> list[Model]:
    """Train models of one recipe on the same data with different seeds, without writing files.

    Args:
        name: Name of a recipe, path of a config, or a run folder, whose model and training settings are used.
        data: Training data, such as ``TableData("drugs_simulated")``, instead of the data of the recipe; its batch size
            and split are used.
        *options: Options as on the command line, such as ``"--model.latent=32"`` or ``"--seed_everything=100"``.
        n: Number of models; the seeds are consecutive from that of the recipe.

    Returns:
        The models of the best epochs, in evaluation mode.

    Raises:
        InputError: Invalid options or data.

    Example:
        >>> models = ensemble("vae_drugs", TableData("drugs_simulated", batch_size=256), n=3)  # doctest: +SKIP
    """
    check_range("n", n, 1)
    quieten()
    cli = CLI(["--config", name, *options])
    models = []
    for number in range(n):
        seed_everything(cli.config.seed_everything + number, workers=True, verbose=False)
        models.append(fit_data(cli, data).eval())
    return models


Method = Literal["copies", "bayes", "t_test"]


def perturb(
    models: list[Model],
    data: Data,
    feature: str | Sequence[str],
    value: Value,
    method: Method = "copies",
    split: str | None = None,
    level: float = 0.05,
) -> pd.DataFrame:
    """Test which features shift when one feature is set to a value in all samples, as in MOVE.

    Each model reconstructs the samples twice, unchanged and with the new value. The shift of a feature is the mean
    difference between the two reconstructions over samples and models. Samples whose value is missing, or equals the
    new value, are left out. A shift is a learnt association. It is causal only if the data allow that conclusion, and
    it underestimates the effect, because reconstructions are incomplete.

    Small shifts always occur, so significance is assessed by one of three methods:

    - ``"copies"``: comparison with the shifts by randomised copies of the feature in the data (`with_copies`), which
      have no effects. The p value is the fraction of the shifts by copies (divided by their standard deviation for each
      feature) that are at least as large; q values are those of Benjamini and Hochberg. Columns on which the copies are
      conditioned cannot be tested and have NaN.
    - ``"bayes"``: as published. With p the fraction of positive differences over samples and models, the logarithmic
      Bayes factor is log(p) - log(1 - p), and the q value the mean of 1 - p over all features up to this one. It
      measures the agreement of the models, not the generalisation to other patients: models may agree on a pattern that
      is due to chance.
    - ``"t_test"``: as published. A paired t-test over samples in each model compares a perturbed reconstruction with
      the mean of ten unperturbed ones, all sampled from the latent distribution. The p value is the one reached by half
      of the models of a latent size, for three of four sizes; the q value is p times the number of features
      (Bonferroni).

    On simulated cohorts both published methods have a false discovery rate several times the nominal one, and
    ``"copies"`` about the nominal one or less (``benchmarks/perturbation.py``). Compare with the simpler `univariate`.

    Paper: Allesoe et al. 2023, doi:10.1038/s41587-022-01520-x.

    Args:
        models: Trained models, such as those from `ensemble`.
        data: The data they were trained on.
        feature: The feature to perturb, or several, one after the other; false discoveries are controlled over all.
        value: The new value: a level (``"yes"``), a number, or a change in standard deviations of the training rows
            (``"+1 sd"``).
        method: As above.
        split: Perturb samples of ``"train"``, ``"validation"`` or ``"test"``. Default: all, because the learnt
            associations are tested, not the performance, and no settings are chosen by the result.
        level: q value up to which a feature is significant.

    Returns:
        One row for each pair of a perturbed and another feature, the most significant first: ``perturbed``; ``feature``
        (a category as ``"NAME=LEVEL"``); ``shift`` in the unit of the data, or in probability; ``shift_sd``, the same
        in standard deviations of the training rows; ``models_sd``, its standard deviation over models; ``probability``
        that the feature increases; ``bayes_factor``; ``p_value`` (NaN for bayes); ``q_value``; ``significant``.

    Raises:
        InputError: Unknown feature or level; a target or covariate; models without a decoder, trained on other data, or
            too few; no copies.
    """
    check_choice("method", method, ["copies", "bayes", "t_test"])
    check_range("level", level, 0, 1)
    ready = check_models(models, data)
    names = [feature] if isinstance(feature, str) else list(feature)
    for name in names:
        check_feature(data, name)
    groups = [model.latent for model in ready]
    if method == "t_test" and min(groups.count(size) for size in groups) < FEWEST:
        raise InputError(
            f"method 't_test' needs {FEWEST} models or more of each latent size; train more, or use 'bayes'"
        )
    encode = ready[0].encode
    assert isinstance(encode, TableEncoder)  # ensured by check_models
    columns = columns_of(encode, data.training_inputs())
    tables, nulls = [], []
    for name in names:
        copies = copy_names(name, modality_of(data.spec)["features"])
        if method == "copies" and not copies:
            raise InputError(
                f"there are no copies of {name!r} to compare with; train on zoo.explain.with_copies(data, [{name!r}]), "
                "or choose method 'bayes' or 't_test'"
            )
        found = shift(ready, columns, *changed(data, name, value, split), test=method == "t_test")
        table = _table(name, columns, found)
        if method == "t_test" and found.p is not None:
            table["p_value"] = vote(found.p, groups)
        reported = _reported(columns, name)
        if method == "copies":
            tested = reported & ~np.isin(columns.features, data.samples.attrs.get(ADJUSTED, []))
            null = np.concatenate([_by_copy(ready, data, columns, copy, value, split)[tested] for copy in copies])
            deviation = np.sqrt(np.mean(np.square(null)))
            table["relative"] = np.where(tested, table["shift_sd"] / deviation, np.nan)
            nulls.append(null / deviation)
        tables.append(table[reported])
    result = pd.concat(tables, ignore_index=True)
    count = result.pop("count").to_numpy()
    match method:
        case "bayes":
            result["q_value"] = cumulative_evidence(result["probability"].to_numpy(), count, result["shift_sd"])
        case "t_test":
            result["q_value"] = (result["p_value"] * len(tables[0])).clip(upper=1)
        case "copies":
            relative = result.pop("relative").to_numpy()
            p = empirical_p(relative, np.concatenate(nulls))
            result["p_value"] = np.where(np.isfinite(relative), p, np.nan)
            result["q_value"] = benjamini_hochberg(result["p_value"].to_numpy())
    result["significant"] = result["q_value"] <= level
    strength = -result["shift_sd"].abs()
    order = np.lexsort([strength, result["q_value"].fillna(2)])
    return result.iloc[order].reset_index(drop=True)


def _table(name: str, columns: Columns, found: Shift) -> pd.DataFrame:
    """One row for each column, without q values; ``count`` is the number of differences over samples and models."""
    relative = found.mean / columns.deviation
    count, rising = found.samples * len(relative), found.rising.mean(0)
    spread = relative.std(0, ddof=1) if len(relative) > 1 else np.full(len(columns.names), np.nan)
    return pd.DataFrame(
        {
            "perturbed": name,
            "feature": columns.names,
            "shift": found.mean.mean(0) * columns.scale,
            "shift_sd": relative.mean(0),
            "models_sd": spread,
            "probability": rising,
            "bayes_factor": bayes_factor(rising, count),
            "p_value": np.nan,
            "count": count,
        }
    )


def _reported(columns: Columns, name: str) -> np.ndarray:
    """Mask of the columns that are neither the perturbed feature nor a copy."""
    copies = {copy for feature in set(columns.features) for copy in copy_names(feature, columns.features)}
    return np.array([feature != name and feature not in copies for feature in columns.features])


def _by_copy(
    models: list[Unsupervised], data: Data, columns: Columns, copy: str, value: Value, split: str | None
) -> np.ndarray:
    """Shift of each column when a copy is perturbed, in standard deviations of the training rows."""
    found = shift(models, columns, *changed(data, copy, value, split))
    return np.asarray(found.mean.mean(0) / columns.deviation)

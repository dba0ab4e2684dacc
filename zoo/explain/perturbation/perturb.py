"""In-silico perturbation: switch one input on for everybody, and see what else an ensemble of autoencoders builds."""

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
from .statistics import bayes_factor, benjamini_hochberg, chance, cumulative_evidence, vote

FEWEST = 3  # models of one latent size, for a vote of t-tests


def ensemble(name: str, data: Data, *options: str, n: int = 8) -> list[Model]:
    """Train models of one recipe on the same data, each with a seed of its own; nothing is written.

    Args:
        name: Name of a recipe, path of a config, or a run folder: its model and its training are taken.
        data: What to train on, such as ``TableData("drugs_simulated")``, in place of the recipe's own; its batch size
            and its split count too.
        *options: As on the command line, such as ``"--model.latent=32"`` or ``"--seed_everything=100"``.
        n: Number of models; their seeds follow that of the recipe.

    Returns:
        The models of the best epochs, in evaluation mode.

    Raises:
        InputError: Anything wrong with the options or the data.

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
    """Which features shift when one feature is set to a value for everybody, as MOVE does it.

    Each model encodes and decodes the samples twice, as they are and with the new value. The shift of a feature is the
    mean difference of both reconstructions over samples and models. Samples whose value is missing, or is the new one
    already, are left out. A shift is an association that the models have learnt. It is a cause only where the data
    allow that conclusion, and it is smaller than the effect, for an autoencoder leaves a part out.

    Reconstructions never stay exactly the same, so the question is what shift is more than nothing:

    - ``"copies"``: more than the copies of that feature in the data (`with_copies`) achieve, which mean nothing. The p
      value is the share of the shifts by copies (over the deviation of those of one feature) that are as large; the q
      value is that of Benjamini and Hochberg. Columns that the copies were drawn by cannot be judged: NaN.
    - ``"bayes"``: as published. p is the share of the differences over samples and models that are above 0, the Bayes
      factor log p - log(1 - p), and the q value the mean of 1 - p of all features up to this one. It asks whether the
      models agree, not whether other patients would: models that have all learnt the same chance pattern agree on it.
    - ``"t_test"``: as published. A paired t-test over samples in each model, between a perturbed reconstruction and the
      mean of ten unperturbed ones, all drawn anew. The p value is that of half of the models of one latent size, in
      three of four sizes; the q value is p times the number of features (Bonferroni).

    On simulated cohorts both published ways report several times as many false features as they say, and ``"copies"``
    about as many or fewer (``benchmarks/perturbation.py``). Look at `univariate` too, which is simpler.

    Paper: Allesoe et al. 2023, doi:10.1038/s41587-022-01520-x.

    Args:
        models: Trained models, such as those of `ensemble`.
        data: What they were trained on.
        feature: The feature to change, or several, one after the other; false discoveries are counted over all.
        value: What to set it to: a level (``"yes"``), a number, or a way to go from each sample's own number in
            standard deviations of the training rows (``"+1 sd"``).
        method: As above.
        split: Change samples of ``"train"``, ``"validation"`` or ``"test"``. By default all: this asks what the models
            have learnt, not how well they do, and nothing is tuned by it.
        level: q value up to which a feature is significant.

    Returns:
        One row a changed and another feature, the most significant first: ``perturbed``; ``feature`` (a category as
        ``"NAME=LEVEL"``); ``shift`` in the unit of the data, or in probability; ``shift_sd``, the same in standard
        deviations of the training rows; ``models_sd``, standard deviation of that between models; ``probability`` that
        the feature rises; ``bayes_factor``; ``p_value`` (NaN for bayes); ``q_value``; ``significant``.

    Raises:
        InputError: No such feature or level; a target or covariate; models without a decoder, of other data, or too
            few; no copies.
    """
    check_choice("method", method, ["copies", "bayes", "t_test"])
    check_range("level", level, 0, 1)
    ready = check_models(models, data)
    names = [feature] if isinstance(feature, str) else list(feature)
    for name in names:
        check_feature(data, name)
    groups = [model.latent for model in ready]
    if method == "t_test" and min(groups.count(size) for size in groups) < FEWEST:
        raise InputError(f"a vote of t-tests needs {FEWEST} models or more of each latent size; give more, or 'bayes'")
    encode = ready[0].encode
    assert isinstance(encode, TableEncoder)  # as check_models found
    columns = columns_of(encode, data.training_inputs())
    tables, nulls = [], []
    for name in names:
        copies = copy_names(name, modality_of(data.spec)["features"])
        if method == "copies" and not copies:
            raise InputError(
                f"there are no copies of {name!r} to compare with: train on zoo.explain.with_copies(data, [{name!r}]), "
                "or choose method 'bayes' or 't_test'"
            )
        found = shift(ready, columns, *changed(data, name, value, split), test=method == "t_test")
        table = _table(name, columns, found)
        if method == "t_test" and found.p is not None:
            table["p_value"] = vote(found.p, groups)
        own = _reported(columns, name)
        if method == "copies":
            judged = own & ~np.isin(columns.features, data.samples.attrs.get(ADJUSTED, []))
            null = np.concatenate([_by_copy(ready, data, columns, copy, value, split)[judged] for copy in copies])
            deviation = np.sqrt(np.mean(np.square(null)))
            table["relative"] = np.where(judged, table["shift_sd"] / deviation, np.nan)
            nulls.append(null / deviation)
        tables.append(table[own])
    result = pd.concat(tables, ignore_index=True)
    count = result.pop("count").to_numpy()
    match method:
        case "bayes":
            result["q_value"] = cumulative_evidence(result["probability"].to_numpy(), count, result["shift_sd"])
        case "t_test":
            result["q_value"] = (result["p_value"] * len(tables[0])).clip(upper=1)
        case "copies":
            relative = result.pop("relative").to_numpy()
            p = chance(relative, np.concatenate(nulls))
            result["p_value"] = np.where(np.isfinite(relative), p, np.nan)
            result["q_value"] = benjamini_hochberg(result["p_value"].to_numpy())
    result["significant"] = result["q_value"] <= level
    strength = -result["shift_sd"].abs()
    order = np.lexsort([strength, result["q_value"].fillna(2)])
    return result.iloc[order].reset_index(drop=True)


def _table(name: str, columns: Columns, found: Shift) -> pd.DataFrame:
    """One row a column, without decisions; ``count`` differences were counted."""
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
    """True for columns that are neither the feature itself nor a copy."""
    copies = {copy for feature in set(columns.features) for copy in copy_names(feature, columns.features)}
    return np.array([feature != name and feature not in copies for feature in columns.features])


def _by_copy(
    models: list[Unsupervised], data: Data, columns: Columns, copy: str, value: Value, split: str | None
) -> np.ndarray:
    """Shift of each column by a copy, in standard deviations of the training rows."""
    found = shift(models, columns, *changed(data, copy, value, split))
    return np.asarray(found.mean.mean(0) / columns.deviation)

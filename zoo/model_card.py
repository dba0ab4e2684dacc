"""The Markdown card of packaged weights."""

from pathlib import Path
from typing import Any

from .encode.kinds import CARDS
from .spec import Modality, joined
from .template import render
from .training.tasks.classes import named_metric, positive_class

_BASELINES = {  # by task
    "": "The baselines were trained on the same training rows.",
    "survival": "The baselines were trained on the same training rows. `c_index`: share of the comparable pairs "
    "that are ranked correctly, 0.5 by chance; `integrated_brier`: squared error of the survival probabilities, lower "
    "is better; Kaplan-Meier uses no features.",
    "synthesis table": "The Gaussian copula is fitted to each class separately; real rows are the training rows in "
    "place of synthetic ones. `column_shapes`, `..._complement`, `..._similarity`: similarity to real rows, 1 is "
    "ideal. `c2st`: ROC-AUC of classifiers that distinguish synthetic from real rows, 0.5 is ideal. `tstr`: ROC-AUC "
    "(R2 of a continuous target) on real rows of models trained on synthetic ones. `dcr_share`, "
    "`membership_inference`: whether synthetic rows reveal training rows, 0.5 is ideal.",
    "synthesis image": "The Gaussian is that of the principal components of the pixels, one for each class; training "
    "images have the best possible distances, but are copies. `fid`, `kid`: distance of the distributions, in the "
    "features of a network trained on the training images, 0 is ideal. `nearest_ratio`, `nearer_share`: whether "
    "training images are copied; 1 and 0.5 are ideal. `tstr_accuracy`: accuracy on real images of a network trained on "
    "generated ones.",
    "translation": "The baselines were fitted to the same training pairs. `l1`: mean absolute difference; `psnr`, "
    "`ssim`: similarity, higher is better; `spectral_distance`: difference of the power spectra, 0 is ideal, large for "
    "blurred images.",
    "anomaly": "The model and the baselines were trained on normal training samples only. `best_f1`: F1 at the best "
    "threshold for the scored samples themselves; `f1`: at a threshold from normal validation samples. No point "
    "adjustment is made for partly detected anomalies.",
    "representation": "PCA and NMF have as many components and the same training rows. `explained_variance`: share of "
    "the variance of the encoded values that reconstructions explain; `explained_deviance`: the same for counts, with "
    "the Poisson deviance; `elbo`: evidence lower bound in nats per sample; `neighbours_...`: prediction of the target "
    "by the 15 nearest training samples in latent space.",
}
_SEVERAL = (
    " `_low` and `_high` are the bounds of the 95% bootstrap interval on the test rows. The late logistic regression "
    "averages the probabilities of one model per modality. Survival: `c_index` is the share of the comparable pairs "
    "that are ranked correctly, 0.5 by chance."
)


def readme(card: dict[str, Any], layers: str) -> str:
    """The card in Markdown, with the front matter of the Hugging Face Hub; its layout is ``model_card.md.jinja``.

    Args:
        card: Content of ``config.json``.
        layers: Table of the layers of the model.
    """
    from huggingface_hub import ModelCardData

    modality = joined(card["init_args"]["spec"]["modalities"])
    task = card["task"] if card["task"] not in ("binary", "multiclass") else "classification"
    kind, example, inputs = CARDS.of(modality["kind"])(modality, card["inputs"])
    tags = ["biology", f"{kind}-{task}", card["model"].lower()]
    about = ModelCardData(license="other", license_name="see-card", library_name="biozoo", tags=tags)
    if card["task"] == "synthesis":
        example = "model.synthesise(100)  # a pandas table of synthetic samples"
    return render(
        Path(__file__).with_name("model_card.md.jinja"),
        card=card,
        data=card["data"],
        front_matter=about.to_yaml(),
        verdict=_verdict(card),
        purpose=_purpose(card),
        example=example,
        inputs=inputs,
        scores=_scores(card),
        explained=_explained(card["task"], modality),
        limits=_limits(card),
        layers=layers,
    )


def _verdict(card: dict[str, Any]) -> str:
    """First line of the card of an adversarial network, if a simple model has as good a score on the test samples."""
    metric, reference = card["headline"], ("real rows", "training images")
    if card["task"] not in ("synthesis", "translation", "anomaly"):
        return ""
    found = {model: scores.get("test", {}).get(metric) for model, scores in card["scores"].items()}
    ours = found.pop(card["model"])
    others = {model: value for model, value in found.items() if value is not None and model not in reference}
    sign = -1 if metric == "fid" else 1  # a distance: lower is better
    best = max(others, key=lambda model: sign * others[model], default="")
    if ours is None or not best or sign * others[best] < sign * ours:
        return ""
    return f"**A simple model does as well or better: {best}, {metric} {others[best]:.3f}; here {ours:.3f}.**\n\n"


def _explained(task: str, modality: Modality) -> str:
    names = (task, f"{task} {modality['kind']}", f"{task} table", "")
    return next(_BASELINES[name] for name in names if name in _BASELINES) + (_SEVERAL if "parts" in modality else "")


def _scores(card: dict[str, Any]) -> str:
    """Tables of test and cross-validation scores: one per target, and one for scores without each modality."""
    metrics = list(next(iter(card["scores"].values())).get("test", {}))
    parts = [metric for metric in metrics if metric.endswith(" alone") or " without " in metric]
    own = {
        name: [metric for metric in metrics if metric.startswith(f"{name}_") and metric not in parts]
        for name in card["init_args"]["spec"].get("also", {})
    }
    extra = {metric for of_target in own.values() for metric in of_target}
    first = [metric for metric in metrics if metric not in parts and metric not in extra]
    spec = card["init_args"]["spec"]
    predicted = card["task"] == spec["target"]["kind"]  # not so for generated samples, anomalies, latent spaces
    tables = [_table(card, first, "", positive_class(spec["target"]) if predicted else "")]
    for name, of_target in own.items():
        tables.append(f"**{name}**\n\n{_table(card, of_target, f'{name}_', positive_class(spec['also'][name]))}")
    if parts:
        tables.append(f"**without a modality, and with it alone**\n\n{_table(card, parts)}")
    return "\n\n".join(tables)


def _table(card: dict[str, Any], metrics: list[str], prefix: str = "", positive: str = "") -> str:
    """Table of these metrics, with a column for each model that has any of them; the positive class is named."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    test = {model: found.get("test", {}) for model, found in card["scores"].items()}
    models = [model for model, found in test.items() if any(found.get(metric) is not None for metric in metrics)]
    spread = card.get("crossval")
    head = ["metric", *(f"{model}, test" for model in models)]
    head += [f"{model}, {spread['folds']} folds x {spread['repeats']}" for model in models] if spread else []
    rows = [head, ["---"] * len(head)]
    for metric in metrics:
        cells = [number(test[model].get(metric)) for model in models]
        if spread:
            found = [spread["scores"].get(model, {}).get(metric, {}) for model in models]
            cells += [f"{number(s['mean'])} ± {number(s['sd'])}" if s else "" for s in found]
        rows.append([named_metric(metric.removeprefix(prefix), positive), *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows).replace("| --- ", "|---").replace("--- |", "---|")


def _purpose(card: dict[str, Any]) -> str:
    if also := card["init_args"]["spec"].get("also"):
        targets = ", ".join(f"**{name}** ({target['kind']})" for name, target in also.items())
        return f"trained to predict **{card['target']}** ({card['task']}) and {targets}"
    if card["task"] == "survival":
        event = card["init_args"]["spec"]["target"]["event"]
        return f"trained to rank samples by the hazard of **{event}** over **{card['target']}** (survival)"
    spec, init_args = card["init_args"]["spec"], card["init_args"]
    match card["task"]:
        case "synthesis":
            classes = f" of each class of **{card['target']}**" if spec["target"]["classes"] else ""
            return f"trained to generate samples{classes} (synthesis)"
        case "translation":
            return f"trained to translate an image into another, **{card['target']}** (translation)"
        case "anomaly":
            return f"trained on **{card['target']} {init_args['normal']}** only, to detect anomalies (anomaly)"
    if card["task"] != "representation":
        return f"trained to predict **{card['target']}** ({card['task']})"
    prediction = f", and to predict **{card['target']}** from them" if card["init_args"].get("supervision") else ""
    return f"trained to represent each sample by {card['init_args']['latent']} latent variables{prediction}"


_OF_GENERATED = {  # limits of generated samples, by task
    "synthesis": "Synthetic samples are no evidence: results must be confirmed in real samples. There is no formal "
    "guarantee of privacy; for tables, the weights contain quantiles of each column, including minimum and maximum.\n",
    "translation": "Sharp images are not necessarily correct: details that the input does not contain are invented.\n",
}


def _limits(card: dict[str, Any]) -> str:
    return f"{card['limits']}\n{_OF_GENERATED.get(card['task'], '')}{card['data'].get('limits', '').strip()}".strip()

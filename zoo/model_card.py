"""The card of packaged weights, for people."""

from pathlib import Path
from typing import Any

from .encode.kinds import CARDS
from .spec import Modality, joined
from .template import render

_BASELINES = {  # by task
    "": "The baselines were trained on the same training rows.",
    "survival": "The baselines were trained on the same training rows. `c_index`: share of the comparable pairs that "
    "are ranked rightly, 0.5 by chance; `integrated_brier`: squared error of the probabilities of survival, lower is "
    "better, that of Kaplan-Meier is without any feature.",
    "synthesis table": "The Gaussian copula has one normal distribution of ranks for each class; real rows are the "
    "training rows in the place of made ones. `column_shapes`, `..._complement`, `..._similarity`: likeness, 1 is "
    "ideal. `c2st`: can classifiers tell made rows from real ones, 0.5 is ideal. `tstr`: ROC-AUC (of a number R2) on "
    "real rows of models that learnt from made ones. `dcr_share`, `membership_inference`: do made rows give training "
    "rows away, 0.5 is ideal.",
    "synthesis image": "The Gaussian is one of the principal components of the pixels for each class; training images "
    "are the best that distances can be, but copies. `fid`, `kid`: distance of the distributions, in the features of a "
    "network that learnt from the training images, 0 is ideal. `nearest_ratio`, `nearer_share`: are training images "
    "copied; 1 and 0.5 are ideal. `tstr_accuracy`: accuracy on real images of a network that learnt from made ones.",
    "translation": "Beside the model stand simple ones that learnt from the same training pairs. `l1`: mean absolute "
    "difference; `psnr`, `ssim`: likeness, higher is better; `spectral_distance`: of the power spectra, 0 is ideal, "
    "blurred images are far from it.",
    "anomaly": "The model and the simple ones beside it learnt from normal training samples alone. `best_f1` is that "
    "of the best threshold for the very samples that are scored; `f1` that of a threshold from normal validation "
    "samples. Nothing is adjusted for anomalies found in part.",
    "representation": "PCA and NMF have as many components, of the same training rows. `explained_variance`: share of "
    "the variance of the encoded values that is kept; `explained_deviance`: the same of counts, with the deviance of "
    "Poisson; `elbo`: nats a sample; `neighbours_...`: what the 15 nearest training samples in latent space tell of "
    "the target.",
}
_SEVERAL = (
    " `_low` and `_high` are the ends of the 95% interval of the test rows (bootstrap). The late logistic regression "
    "is one for each modality, whose probabilities are averaged. Survival: `c_index` is the share of the comparable "
    "pairs that are ranked rightly, 0.5 by chance."
)


def readme(card: dict[str, Any], layers: str) -> str:
    """The card for people, with the front matter that the Hugging Face Hub reads.

    The layout is in ``model_card.md.jinja``.

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
        example = "model.synthesise(100)  # a pandas table of made-up samples"
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
    """Of an adversarial network: a first line that says so if a simple model scores as well on the test samples."""
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
    """Test scores and those of a cross-validation; a table for each target, and one of what each modality is worth."""
    metrics = list(next(iter(card["scores"].values())).get("test", {}))
    parts = [metric for metric in metrics if metric.endswith(" alone") or " without " in metric]
    own = {
        name: [metric for metric in metrics if metric.startswith(f"{name}_") and metric not in parts]
        for name in card["init_args"]["spec"].get("also", {})
    }
    first = [metric for metric in metrics if metric not in parts and not any(metric in some for some in own.values())]
    tables = [_table(card, first)]
    tables += [f"**{name}**\n\n{_table(card, some, f'{name}_')}" for name, some in own.items()]
    if parts:
        tables.append(f"**without a modality, and with it alone**\n\n{_table(card, parts)}")
    return "\n\n".join(tables)


def _table(card: dict[str, Any], metrics: list[str], prefix: str = "") -> str:
    """Those models in columns that have any of these metrics."""

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
        rows.append([metric.removeprefix(prefix), *cells])
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
            return f"trained to make up samples{classes} (synthesis)"
        case "translation":
            return f"trained to turn one image into another, **{card['target']}** (translation)"
        case "anomaly":
            return f"trained on **{card['target']} {init_args['normal']}** alone, to tell what is not like it (anomaly)"
    if card["task"] != "representation":
        return f"trained to predict **{card['target']}** ({card['task']})"
    told = f", and to predict **{card['target']}** from them" if card["init_args"].get("supervision") else ""
    return f"trained to describe each sample by {card['init_args']['latent']} numbers and to build it again{told}"


_MADE = {  # limits of what is made up, by task
    "synthesis": "Made-up samples are no evidence: what is found in them must be found in real ones. There is no "
    "formal guarantee of privacy; of a table, the weights hold quantiles of each column, its ends among them.\n",
    "translation": "Sharp is not the same as right: what the input does not tell is made up.\n",
}


def _limits(card: dict[str, Any]) -> str:
    return f"{card['limits']}\n{_MADE.get(card['task'], '')}{card['data'].get('limits', '').strip()}".strip()

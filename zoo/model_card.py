"""The card of packaged weights, for people."""

from typing import Any

TASKS = {"table": "tabular", "expression": "expression", "sequence": "dna", "series": "time-series", "image": "image"}


_BASELINES = {  # by task
    "": "The baselines were trained on the same training rows.",
    "survival": "The baselines were trained on the same training rows. `c_index`: share of the comparable pairs that "
    "are ranked rightly, 0.5 by chance; `integrated_brier`: squared error of the probabilities of survival, lower is "
    "better, that of Kaplan-Meier is without any feature.",
    "representation": "PCA and NMF have as many components, of the same training rows. `explained_variance`: share of "
    "the variance of the encoded values that is kept; `explained_deviance`: the same of counts, with the deviance of "
    "Poisson; `elbo`: nats a sample; `neighbours_...`: what the 15 nearest training samples in latent space tell of "
    "the target.",
}


def readme(card: dict[str, Any], layers: str) -> str:
    """The card for people, with the front matter that the Hugging Face Hub reads.

    Args:
        card: Content of ``config.json``.
        layers: Table of the layers of the model.
    """
    data, models = card["data"], list(card["scores"])
    (modality,) = card["init_args"]["spec"]["modalities"].values()
    task = card["task"] if card["task"] not in ("binary", "multiclass") else "classification"
    tag, (example, inputs) = f"{TASKS[modality['kind']]}-{task}", _inputs(modality, card["inputs"])
    test = {model: card["scores"][model].get("test", {}) for model in models}
    spread = card.get("crossval")

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    head = f"| metric | {' | '.join(f'{m}, test' for m in models)} |" + (
        "".join(f" {m}, {spread['folds']} folds x {spread['repeats']} |" for m in models) if spread else ""
    )
    rows = []
    for metric in test[models[0]]:
        cells = [number(test[model].get(metric)) for model in models]
        if spread:
            found = [spread["scores"][model].get(metric, {}) for model in models]
            cells += [f"{number(s['mean'])} ± {number(s['sd'])}" if s else "" for s in found]
        rows.append(f"| {metric} | " + " | ".join(cells) + " |")
    columns = head.count("|") - 1
    versions = ", ".join(f"{name} {number}" for name, number in {**card["versions"], "git": card["git"] or "-"}.items())
    sizes = ", ".join(f"{count} {split}" for split, count in data["samples"].items())
    return f"""---
license: other
license_name: see-card
library_name: biozoo
tags: [biology, {tag}, {card["model"].lower()}]
---
# {card["name"]}

`{card["model"]}` with {card["parameters"]:,} weights, {_purpose(card)}.

```python
import zoo

model = zoo.load("{card["name"]}")  # or the path of this folder
{example}
```

## Data
{data["name"]}, sha256 `{data["sha256"]}`. {data.get("source", "")}
Licence: {data["licence"]}. {data.get("citation", "").strip()}
Samples: {sizes}; split seed {data["seed"]}.{_caution(data)}
Validation rows chose the epoch; neither the training nor that choice saw the test rows.

{inputs}

## Scores
{head}
|{"---|" * columns}
{chr(10).join(rows)}

{_BASELINES.get(card["task"], _BASELINES[""])} ± is the standard deviation over folds and repeats.

## Use and limits
{_limits(card)}

## Layers
```
{layers}
```

Recipe: `recipe.yaml`. Made with {versions}.
"""


def _purpose(card: dict[str, Any]) -> str:
    if card["task"] == "survival":
        event = card["init_args"]["spec"]["target"]["event"]
        return f"trained to rank samples by the hazard of **{event}** over **{card['target']}** (survival)"
    if card["task"] != "representation":
        return f"trained to predict **{card['target']}** ({card['task']})"
    told = f", and to predict **{card['target']}** from them" if card["init_args"].get("supervision") else ""
    return f"trained to describe each sample by {card['init_args']['latent']} numbers and to build it again{told}"


def _limits(card: dict[str, Any]) -> str:
    return f"{card['limits']}\n{card['data'].get('limits', '').strip()}".strip()


def _caution(data: dict[str, Any]) -> str:
    return f" Caution: {data['caution']}." if data.get("caution") else ""


def _inputs(modality: dict[str, Any], names: list[str]) -> tuple[str, str]:
    """A line of code that predicts, and what goes in."""
    shape, column = modality["shape"], names[0]
    size = " x ".join(map(str, shape[1:]))
    channels = "one channel" if shape[0] == 1 else f"{shape[0]} channels"
    if named := modality.get("channels"):
        channels += f" ({', '.join(named)})"
    match modality["kind"]:
        case "table":
            columns = ", ".join(f"`{name}`" for name in names)
            return (
                "model.predict(table)  # a raw pandas table; columns are found by name",
                f"Inputs, in any order: {columns}.",
            )
        case "expression":
            genes = [name for name in names if name not in modality.get("covariates", [])]
            some = ", ".join(f"`{name}`" for name in genes[:8])
            conditions = f"; covariates: {', '.join(modality['covariates'])}" if modality.get("covariates") else ""
            return (
                "model.predict(adata)  # AnnData, or a table with a row a sample; genes are found by name",
                f"Inputs: {modality['scale']} of {len(genes)} genes ({some}, ...){conditions}.",
            )
        case "sequence":
            return (
                f'model.predict(sequences)  # a list of DNA, or a pandas table with the column "{column}"',
                f"Inputs: DNA of {shape[0]} bases, A, C, G, T or N in either case, column `{column}`"
                + ("; others are padded with N or cropped." if modality.get("resize") else "."),
            )
        case "series":
            rate = f" at {modality['sampling_rate']:g} Hz" if "sampling_rate" in modality else ""
            shorter = "; shorter ones are padded" if modality.get("resize") else ""
            return (
                "model.predict(series)  # an array (samples, channels, length), or a list of series",
                f"Inputs: series of {channels} and {shape[1]} time points{rate}{shorter}, as measured.",
            )
        case _:
            scaled = "; others are scaled" if modality.get("resize") else ""
            axes = "height, width" if len(shape) == 3 else "depth, height, width"
            return (
                f"model.predict(images)  # an array (samples, channels, {axes}), or a list of images or of files",
                f"Inputs: images of {channels} and {size} pixels{scaled}, in the scale of the training images.",
            )

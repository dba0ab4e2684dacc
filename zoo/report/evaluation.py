"""Scores and predictions of a trained model on the splits of its data, beside the baselines."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from .. import files
from ..data import Data
from ..data.multiomics.multiomics import MultiOmicsData
from ..data.target import decode
from ..errors import InputError
from ..figure import Figure
from ..models import Model, Supervised, Unsupervised
from ..models.autoencoders.vae import VAE
from ..models.fusion.base import Fusion
from ..models.predict.segmenter import Segmenter
from ..models.predict.supervised import Predicting
from ..spec import Target, modality_of, output_width
from .images.segmentation import Example, evaluate_masks
from .prediction.modalities import subset_scores
from .prediction.scores import target_scores
from .representation.scores import Representation, evaluate_representation


@dataclass
class Evaluation:
    """What a model achieved.

    Attributes:
        predictions: One row a sample: ``split``, ``target``, probabilities, ``prediction``; of survival ``split``,
            ``time``, ``event``, ``risk``, probabilities; of masks ``split``, and the metrics of each image and
            foreground class; of models without a target what they tell of each sample.
        scores: One row a value: ``model``, ``split``, ``metric``, ``value``.
        target: What was predicted.
        also: Further targets, by name; their columns and metrics begin with it.
        measured: Of several modalities: which of them each sample has, to draw.
        representation: How an unsupervised model sees its samples, to draw.
        examples: Images with their true and predicted masks, to draw.
        figures: Further figures by the name of their file: what draws each, given the name for its title.
    """

    predictions: pd.DataFrame
    scores: pd.DataFrame
    target: Target
    also: dict[str, Target] = field(default_factory=dict)
    measured: pd.DataFrame | None = None
    representation: Representation | None = None
    examples: list[Example] = field(default_factory=list)
    figures: dict[str, Callable[[str], Figure]] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """Metrics by split, side by side; the baselines on the last split only."""
        wide = self.scores.pivot(index="metric", columns=["model", "split"], values="value")
        ours, last = self.scores["model"].iloc[0], self.scores["split"].iloc[-1]
        columns = [(m, s) for m, s in self.scores[["model", "split"]].drop_duplicates().itertuples(index=False)]
        wide = wide[[column for column in columns if column[0] == ours or column[1] == last]]
        return wide.reindex(self.scores["metric"].unique())

    def value(self, metric: str, split: str = "test", model: str | None = None) -> float:
        """One score; of our model by default."""
        s = self.scores
        chosen = s[(s["metric"] == metric) & (s["split"] == split) & (s["model"] == (model or s["model"].iloc[0]))]
        return float(chosen["value"].iloc[0])

    def write(self, folder: Path) -> None:
        """``predictions.csv`` and ``scores.csv``."""
        with files.replacing(folder / "predictions.csv") as path:
            self.predictions.to_csv(path)
        with files.replacing(folder / "scores.csv") as path:
            self.scores.to_csv(path, index=False)


# Tasks that are scored in ways of their own, by task and kind of modality: the module here, and its function.
SPECIAL = {
    ("synthesis", "table"): ("synthetic.scores", "evaluate_synthetic"),
    ("synthesis", "expression"): ("synthetic.scores", "evaluate_synthetic"),
    ("synthesis", "image"): ("images.scores", "evaluate_made_images"),
    ("translation", "image"): ("images.translation", "evaluate_translation"),
    ("anomaly", "series"): ("anomaly", "evaluate_anomaly"),
}


@torch.inference_mode()
def evaluate(model: Model, data: Data, splits: tuple[str, ...] = ("train", "validation", "test")) -> Evaluation:
    """Predict every row of some splits and score them, in evaluation mode, without class balance.

    Args:
        model: A trained model.
        data: Its data, or other data with the same columns.
        splits: Which to score; leave ``"test"`` out while anything is still being chosen.

    Raises:
        InputError: None of these splits has a sample.
    """
    training, _ = model.training, model.eval()
    content, target = data.content, model.spec["target"]
    present = [split for split in splits if len(content.rows(split))]
    if not present:
        raise InputError(f"no sample in {', '.join(splits)}; change fractions or split")
    if special := SPECIAL.get((model.task, modality_of(model.spec)["kind"])):
        module, function = special
        evaluation: Evaluation = getattr(import_module(f".{module}", __package__), function)(model, data, present)
        model.train(training)
        return evaluation
    if isinstance(model, Segmenter):
        predictions, masks, examples = evaluate_masks(model, data, present)
        model.train(training)
        return Evaluation(predictions, masks, target, examples=examples)
    representation, scores = None, []
    if isinstance(model, Unsupervised):
        representation = evaluate_representation(model, data, present)
        predictions, scores = representation.predictions, representation.scores
        if isinstance(model, VAE) and model.supervision:
            heads = _outputs(lambda x: model.head(model.embed(x)), model, data, present)
            scores = scores + target_scores(type(model).__name__, model, content.y, heads, data)
    else:
        assert isinstance(model, Supervised)
        outputs = _outputs(model.summarise, model, data, present)
        rows = torch.cat([content.rows(split) for split in present])
        predictions = model.table(torch.cat(list(outputs.values())), content.samples.index[rows.numpy()])
        start = place = 0
        for name, part in {"": model, **further(model)}.items():
            y, prefix = content.also[name] if name else content.y, f"{name}_" if name else ""
            width = output_width(part.target)
            own = {split: output[:, start : start + width] for split, output in outputs.items()}
            start += width
            for who, split, metric, value in target_scores(type(model).__name__, part, y, own, data):
                scores.append((who, split, prefix + metric, value))
            for column, values in decode(y[rows], part.target).items():
                predictions.insert(place, prefix + column, values)
                place += 1
        if isinstance(model, Fusion):
            scores += subset_scores(model, data, present[-1])
        predictions.insert(0, "split", content.samples["split"].to_numpy()[rows.numpy()])
    model.train(training)
    scores_table = pd.DataFrame(scores, columns=["model", "split", "metric", "value"])
    also = {name: part.target for name, part in further(model).items()}
    measured = data.who_has_what() if isinstance(data, MultiOmicsData) else None
    return Evaluation(predictions, scores_table, target, also, measured, representation)


def further(model: Model) -> dict[str, Predicting]:
    """Targets of a model beside the first one, by name."""
    return dict(model.targets()) if isinstance(model, Fusion) else {}


def _outputs(output: Callable[[Tensor], Tensor], model: Model, data: Data, present: list[str]) -> dict[str, Tensor]:
    """Raw outputs of all samples of each split."""
    return {
        split: torch.cat([output(batch["x"].to(model.device)).float().cpu() for batch in data.loader(split)])
        for split in present
    }

"""Scores and predictions of a trained model on the splits of its data, beside the baselines."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from .. import files
from ..data import Data
from ..data.target import decode
from ..errors import InputError
from ..models import Model, Supervised, Unsupervised
from ..models.predicting import Predicting
from ..models.segmenter import Segmenter
from ..models.vae import VAE
from ..spec import Target
from ..training.metrics import scores as score
from ..training.survival_metrics import scored_times, survival_scores
from .baseline import baselines
from .representation import Representation, evaluate_representation
from .segmentation import Example, evaluate_masks


@dataclass
class Evaluation:
    """What a model achieved.

    Attributes:
        predictions: One row a sample: ``split``, ``target``, probabilities, ``prediction``; of survival ``split``,
            ``time``, ``event``, ``risk``, probabilities; of masks ``split``, and the metrics of each image and
            foreground class; of models without a target what they tell of each sample.
        scores: One row a value: ``model``, ``split``, ``metric``, ``value``.
        target: What was predicted.
        representation: How an unsupervised model sees its samples, to draw.
        examples: Images with their true and predicted masks, to draw.
    """

    predictions: pd.DataFrame
    scores: pd.DataFrame
    target: Target
    representation: Representation | None = None
    examples: list[Example] = field(default_factory=list)

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
    if isinstance(model, Segmenter):
        predictions, masks, examples = evaluate_masks(model, data, present)
        model.train(training)
        return Evaluation(predictions, masks, target, examples=examples)
    representation = None
    if isinstance(model, Unsupervised):
        representation = evaluate_representation(model, data, present)
        predictions, scores = representation.predictions, representation.scores
        if isinstance(model, VAE) and model.supervision:
            _, more = _answers(model, data, present, lambda x: model.head(model.embed(x)))
            scores = scores + more
    else:
        assert isinstance(model, Supervised)
        outputs, scores = _answers(model, data, present, model)
        rows = torch.cat([content.rows(split) for split in present])
        predictions = model.table(torch.cat(outputs), content.samples.index[rows.numpy()])
        for place, (column, values) in enumerate(decode(content.y[rows], target).items()):
            predictions.insert(place, column, values)
        predictions.insert(0, "split", content.samples["split"].to_numpy()[rows.numpy()])
    model.train(training)
    scores_table = pd.DataFrame(scores, columns=["model", "split", "metric", "value"])
    return Evaluation(predictions, scores_table, target, representation)


def _answers(
    model: Predicting, data: Data, present: list[str], output: Callable[[Tensor], Tensor]
) -> tuple[list[Tensor], list[tuple[str, str, str, float]]]:
    """Raw outputs of each split, and the scores of all samples with a target: model, split, metric, value."""
    content, target = data.content, model.target
    rows = {split: content.rows(split) for split in present}
    known = {split: found[content.labelled(found)] for split, found in rows.items()}
    outputs = [
        torch.cat([output(batch["x"].to(model.device)).float().cpu() for batch in data.loader(split)])
        for split in present
    ]
    train = (content.samples["split"] == "train").to_numpy() & content.labelled(torch.arange(len(content.y))).numpy()
    # Without training rows, as in an external validation, censoring is estimated from the samples themselves.
    reference = content.y[torch.from_numpy(train)] if train.any() else content.y[torch.cat(list(known.values()))]

    def answer_of(output: Tensor) -> Tensor:
        found = model.answer(output.to(model.device))
        if target["kind"] == "survival":
            times = torch.from_numpy(scored_times(reference.numpy())).float()
            found = torch.cat([found.unsqueeze(1), model.survival(found, times)], 1)
        return found.cpu()

    def scores_of(answer: Tensor, y: Tensor) -> dict[str, float]:
        if target["kind"] == "survival":
            return survival_scores(answer.numpy(), y.numpy(), reference.numpy())
        return score(answer, y, target)

    answers = {
        split: answer_of(found)[content.labelled(rows[split])] for split, found in zip(present, outputs, strict=True)
    }
    by_name = {type(model).__name__: answers}
    if train.any():  # not for a table of test samples alone, as in an external validation
        for name, answer in baselines(data.baseline_features, content.y.numpy(), train, target).items():
            by_name[name] = {split: torch.from_numpy(answer).float()[known[split]] for split in present}
    return outputs, [
        (name, split, metric, value)
        for name, found in by_name.items()
        for split, answer in found.items()
        for metric, value in scores_of(answer, content.y[known[split]]).items()
    ]

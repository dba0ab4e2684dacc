"""Scores and predictions of a trained model on the splits of its data, beside the baselines."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from .. import files
from ..data import Data
from ..errors import InputError
from ..models import Supervised
from ..models.segmenter import Segmenter
from ..spec import Target
from ..training.metrics import scores as score
from .baseline import baselines
from .segmentation import Example, evaluate_masks


@dataclass
class Evaluation:
    """What a model achieved.

    Attributes:
        predictions: One row a sample: ``split``, ``target``, probabilities, ``prediction``; of masks ``split``, and the
            metrics of each image and foreground class.
        scores: One row a value: ``model``, ``split``, ``metric``, ``value``.
        target: What was predicted.
        examples: Images with their true and predicted masks, to draw.
    """

    predictions: pd.DataFrame
    scores: pd.DataFrame
    target: Target
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
def evaluate(model: Supervised, data: Data, splits: tuple[str, ...] = ("train", "validation", "test")) -> Evaluation:
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
        predictions, scores_of_model, examples = evaluate_masks(model, data, present)
        model.train(training)
        return Evaluation(predictions, scores_of_model, target, examples)
    rows = {split: content.rows(split) for split in present}
    outputs = {
        split: torch.cat([model(batch["x"].to(model.device)).float().cpu() for batch in data.loader(split)])
        for split in present
    }
    model.train(training)
    by_name = {
        type(model).__name__: {split: model.answer(output.to(model.device)).cpu() for split, output in outputs.items()}
    }
    train = (content.samples["split"] == "train").to_numpy()
    if train.any():  # not for a table of test samples alone, as in an external validation
        for name, answer in baselines(data.baseline_features, content.y.numpy(), train, target).items():
            by_name[name] = {split: torch.from_numpy(answer).float()[rows[split]] for split in present}
    scores = [
        (name, split, metric, value)
        for name, answers in by_name.items()
        for split, answer in answers.items()
        for metric, value in score(answer, content.y[rows[split]], target).items()
    ]
    order = torch.cat(list(rows.values())).numpy()
    predictions = model.table(torch.cat(list(outputs.values())), content.samples.index[order])
    truth = content.y.numpy()[order]
    named = np.array(target["classes"])[truth] if target["classes"] else truth
    predictions.insert(0, "target", named)
    predictions.insert(0, "split", content.samples["split"].to_numpy()[order])
    return Evaluation(predictions, pd.DataFrame(scores, columns=["model", "split", "metric", "value"]), target)

"""Evaluation of models without a target: quality of the latent space, and scores of a prediction head if any."""

import pandas as pd
import torch

from ...data import Data
from ...models import Unsupervised
from ..evaluation import Evaluation, evaluates
from ..prediction.figures import Draw, target_figures
from ..prediction.scores import target_scores
from .figures import representation_figures
from .scores import evaluate_representation


@evaluates("representation")
def evaluate_autoencoder(model: Unsupervised, data: Data, present: list[str]) -> Evaluation:
    """Scores of the representation, see `evaluate_representation`, and of the prediction from it."""
    found = evaluate_representation(model, data, present)
    figures: dict[str, Draw] = {**representation_figures(found)}
    scores = found.scores
    for head in model.target_heads.values():
        outputs = {
            split: torch.cat(
                [head.network(model.embed(batch["x"].to(model.device))).float().cpu() for batch in data.loader(split)]
            )
            for split in present
        }
        scores = scores + target_scores(type(model).__name__, head, data.dataset.y, outputs, data)
        figures |= target_figures(found.predictions, head.target)
    return Evaluation(
        found.predictions, pd.DataFrame(scores, columns=["model", "split", "metric", "value"]), figures=figures
    )

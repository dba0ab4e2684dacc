"""Scores beside those of scikit-learn on the same folds: 5 folds x 10 repeats of Pima and breast cancer.

The peers are trained on all four other folds. Ours is trained on 82% of those, with the rest for early stopping, so it
has fewer training rows. The folds are those of ``zoo crossval`` with ``data.seed 0``; the recipes were chosen without
the test rows of the packaged split (see ``recipe_choice.py``), but most rows of these folds took part in that choice,
so the advantage shown here is a little optimistic. Run: ``python benchmarks/accuracy_tabular.py [--repeats 10]``
"""

import warnings

import numpy as np
import pandas as pd
import torch
from _common import parser, smoke
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.neural_network import MLPClassifier

from zoo import runs
from zoo.data import Data
from zoo.models import Supervised
from zoo.parsing import CLI

RECIPES = ("mlp_pima", "mlp_breast_cancer")
FOLDS = 5


def scores_of_fold(model: Supervised, data: Data, seed: int) -> dict[str, tuple[float, float]]:
    """ROC-AUC and accuracy on the test fold, by name of the model."""
    content, test = data.dataset, data.dataset.rows("test").numpy()
    y, features = content.y.numpy(), data.baseline_features(torch.arange(len(content.y)))[""]
    rest = np.setdiff1d(np.arange(len(y)), test)
    with torch.inference_mode():
        answers = {f"zoo {type(model).__name__}": model.predict_from(model(content.x[test]))[:, 1].numpy()}
    peers = {
        "logistic regression": LogisticRegression(max_iter=2000),
        "random forest": RandomForestClassifier(300, random_state=seed, n_jobs=-1),
        "MLPClassifier": MLPClassifier(max_iter=500, random_state=seed),
    }
    for name, peer in peers.items():
        answers[name] = peer.fit(features[rest], y[rest]).predict_proba(features[test])[:, 1]
    return {name: (roc_auc_score(y[test], p), accuracy_score(y[test], p > 0.5)) for name, p in answers.items()}


def main() -> None:
    """Print mean and standard deviation over all folds, and over the means of the repeats."""
    smoke(globals(), "--repeats=1", RECIPES=("mlp_pima",), FOLDS=2)
    command = parser(__doc__)
    command.add_argument("--repeats", type=int, default=10)
    repeats = command.parse_args().repeats
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    runs.quieten()
    for recipe in RECIPES:
        cli = CLI(["--config", recipe, "--trainer.accelerator=cpu"])
        rows = []
        for repeat in range(repeats):
            for fold in range(FOLDS):
                model, data = runs.fit_fold(cli, FOLDS, fold, repeat)
                for name, (auc, accuracy) in scores_of_fold(model, data, repeat * FOLDS + fold).items():
                    rows.append((name, repeat, auc, accuracy))
        table = pd.DataFrame(rows, columns=["model", "repeat", "roc_auc", "accuracy"])
        print(f"\n{recipe}: {FOLDS} folds x {repeats}; mean ± sd over folds (sd of the means of the repeats)")
        for name, chosen in table.groupby("model", sort=False):
            of_repeats = chosen.groupby("repeat")[["roc_auc", "accuracy"]].mean().std()
            cells = [
                f"{metric} {chosen[metric].mean():.4f} ± {chosen[metric].std():.4f} ({of_repeats[metric]:.4f})"
                for metric in ("roc_auc", "accuracy")
            ]
            print(f"  {name:20} {'   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()

"""Accuracy of the DNA recipes, beside simple models on the same folds and published values.

    motif      motif_simulation: test accuracy over 5 seeds of data split and weights, and whether the consensus of the
               most informative filter contains the simulated motif
    splice     accuracy of 10 folds x 3 (seeds of folds and weights differ), duplicates in one fold
    promoters  leave one out: errors among 106, over 3 seeds of weights and of the validation rows

Recipes were chosen without the test rows of the packaged split (``recipe_choice.py``), but most rows of these folds
took part in that choice. Peers are trained on training and validation rows, of which the networks use the latter for
early stopping.

Run: ``python benchmarks/accuracy_dna.py [motif] [splice] [promoters]``
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _common import smoke
from lightning.pytorch import seed_everything
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from zoo import explain, runs
from zoo.data import Data, SequenceData
from zoo.data.simulated.motif import MOTIF
from zoo.models import Supervised
from zoo.parsing import CLI

ALL = ("motif", "splice", "promoters")
SEEDS, FOLDS, REPEATS, LEFT_OUT_SEEDS = 5, 10, 3, 3
LEFT_OUT: int | None = None  # so many of the promoters; all


def predicted(model: Supervised, data: Data) -> np.ndarray:
    """Class codes of the test rows."""
    with torch.inference_mode():
        return model.predict_from(model.eval()(data.dataset.x[data.dataset.rows("test")])).argmax(1).numpy()


def peers(data: Data, forest: bool = True) -> dict[str, np.ndarray]:
    """Class codes of the test rows predicted by simple models."""
    test = data.dataset.rows("test")
    rest = torch.as_tensor(np.setdiff1d(np.arange(len(data.dataset.y)), test.numpy()))
    seen, unseen, y = data.baseline_features(rest), data.baseline_features(test), data.dataset.y[rest].numpy()
    answers = {
        f"{name}logistic regression": LogisticRegression(max_iter=2000).fit(x, y).predict(unseen[name])
        for name, x in seen.items()
    }
    if forest:
        model = RandomForestClassifier(300, random_state=0, n_jobs=-1)
        answers["one-hot random forest"] = model.fit(seen["one-hot "], y).predict(unseen["one-hot "])
    return answers


def motif() -> None:
    """Print the accuracy, and whether the filters contain the motif."""
    print("\nmotif_simulation, cnn1d_motif: test rows of five splits")
    rows = []
    for seed in range(SEEDS):
        options = [f"--data.seed={seed}", f"--seed_everything={seed}", "--trainer.default_root_dir", ROOT]
        run = runs.train(["--config", "cnn1d_motif", *options], show=False)
        truth = run.data.dataset.y[run.data.dataset.rows("test")].numpy()
        found = {"CNN1D": predicted(run.model, run.data), **peers(run.data)}
        rows.append({name: (answer == truth).mean() for name, answer in found.items()})
        motifs = explain.filter_motifs(run.model, run.data.training_inputs())
        best = max(motifs, key=lambda m: m.information.sum() if m.sites else 0.0)
        holds = sum(MOTIF in m.consensus for m in motifs)
        print(
            f"  seed {seed}: accuracy {rows[-1]['CNN1D']:.4f}, best filter {best.consensus} ({best.sites} sites), ",
            end="",
        )
        print(f"{MOTIF} in it: {MOTIF in best.consensus}; in {holds} of {len(motifs)} filters")
    for name, column in pd.DataFrame(rows).items():
        print(f"  {name:27} {column.mean():.4f} ± {column.std():.4f}, lowest {column.min():.4f}")


def splice() -> None:
    """Accuracy of both recipes on the same folds."""
    print(f"\nsplice: accuracy, {FOLDS} folds x {REPEATS}, mean ± standard deviation over folds (that of the repeats)")
    rows = []
    for repeat in range(REPEATS):
        for fold in range(FOLDS):
            for recipe in ("cnn1d_splice", "cnn1d_splice_deep"):
                model, data = runs.fit_fold(CLI(["--config", recipe, "--trainer.accelerator=cpu"]), FOLDS, fold, repeat)
                truth = data.dataset.y[data.dataset.rows("test")].numpy()
                rows.append((recipe, repeat, (predicted(model, data) == truth).mean()))
            rows += [(name, repeat, (answer == truth).mean()) for name, answer in peers(data).items()]
    table = pd.DataFrame(rows, columns=["model", "repeat", "accuracy"])
    for name, chosen in table.groupby("model", sort=False)["accuracy"]:
        means = chosen.groupby(table["repeat"]).mean()
        print(f"  {name:27} {chosen.mean():.4f} ± {chosen.std():.4f} ({means.std():.4f})")


def promoters() -> None:
    """Print the number of leave-one-out errors."""
    print("\necoli_promoters, cnn1d_promoters: errors of leave-one-out among 106")
    data = SequenceData("ecoli_promoters")
    frame, truth = data.frame().reset_index(drop=True), data.dataset.y.numpy()
    wrong: dict[str, np.ndarray] = {}
    for seed in range(LEFT_OUT_SEEDS):
        for left_out in range(len(frame))[:LEFT_OUT]:
            rng = np.random.default_rng([seed, left_out])
            split = np.full(len(frame), "train", dtype="<U10")
            others = np.flatnonzero(np.arange(len(frame)) != left_out)
            for code in (0, 1):  # a tenth of each class is for early stopping
                mine = others[truth[others] == code]
                split[rng.choice(mine, len(mine) // 10, replace=False)] = "validation"
            split[left_out] = "test"
            path = Path(ROOT) / "left_one_out.csv"
            frame.assign(part=split).to_csv(path, index=False)
            options = [f"--data.path={path}", "--data.target=label", "--data.positive=promoter", "--data.split=part"]
            cli = CLI(["--config", "cnn1d_promoters", "--trainer.accelerator=cpu", *options])
            seed_everything(seed * 1000 + left_out, workers=True, verbose=False)
            one = cli.make_data()
            model = runs.fit_data(cli, one)
            answers = {"CNN1D": predicted(model, one), **(peers(one) if seed == 0 else {})}
            for name, answer in answers.items():
                errors = wrong.setdefault(name, np.zeros((LEFT_OUT_SEEDS, len(frame)), dtype=bool))
                errors[seed if name == "CNN1D" else slice(None), left_out] = answer[0] != truth[left_out]
    for name, errors in wrong.items():
        print(f"  {name:27} {', '.join(map(str, errors.sum(1))) if name == 'CNN1D' else errors[0].sum()}")
    print(f"  {'CNN1D, majority of 3 seeds':27} {(wrong['CNN1D'].sum(0) > 1).sum()}")
    print("  published (Towell 1990)     KBANN 4, backpropagation 8, O'Neill 12, nearest neighbours 13, ID3 19")


def main() -> None:
    """Run what is asked for, or all."""
    smoke(globals(), SEEDS=1, FOLDS=2, REPEATS=1, LEFT_OUT_SEEDS=1, LEFT_OUT=1)
    runs.quieten()
    for name in sys.argv[1:] or ALL:
        {"motif": motif, "splice": splice, "promoters": promoters}[name]()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as ROOT:
        main()

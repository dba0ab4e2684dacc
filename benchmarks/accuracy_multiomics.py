"""Scores of models of several omics over seeds or folds, beside simple models on the same rows.

    breast FOLDER  subtypes of the breast tumours of mixOmics by genes and microRNAs, on the split of the publication
                   (Singh et al. 2019, doi:10.1093/bioinformatics/bty1054; TCGA 2012, doi:10.1038/nature11412): a
                   folder with ``mrna_train.csv.gz``, ``mirna_test.csv.gz``, ``subtype_train.csv`` and so on. Ours
                   is trained on four fifths of the training rows, with the last fifth, drawn by the seed and
                   stratified, for early stopping; the simple models are trained on all. Test rows are predicted once,
                   at the end.
                   Options are those of the recipes; the dropout of CustOmics, 0.5, is the best of five variants (0.3;
                   that linear, with ``divergence: kl``, ``target_weight: 5``) in 5 folds x 2 of the training rows.
    miniacc        five assays of adrenocortical carcinoma: 5 folds x 3 of ``zoo crossval`` with each recipe
    simulated      simulated factors, survival and missing modalities: see ``multiomics_simulation.py``

Standard deviations are over seeds (folds). CPU seconds are those of training alone. XGBoost (not part of the zoo) is
measured if it is installed. Run: ``python benchmarks/accuracy_multiomics.py [breast FOLDER] [miniacc] [simulated]``
"""

import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import multiomics_simulation
import numpy as np
import pandas as pd
import torch
from _common import parser, smoke
from lightning.pytorch import seed_everything
from multiomics_simulation import header, row, simulated, spread
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from zoo import commands, runs
from zoo.data import Data, MultiOmicsData
from zoo.models import Supervised
from zoo.parsing import CLI
from zoo.report.prediction.baselines import late_average

VALIDATION, FOLDS, REPEATS = 0.2, 5, 3
BREAST = {
    "CustOmics": ["customics_breast_tcga"],
    "CustOmics, dropout 0.3": ["customics_breast_tcga", "--model.dropout=0.3"],
} | {f"MultiModal, {fusion}": [f"{fusion}_miniacc", "--data.also={}"] for fusion in ("early", "joint", "late")}
PUBLISHED = "logistic regression 0.943, random forest 0.929, XGBoost 0.957, SVM 0.971, customics 0.938 ± 0.022"
RECIPES = ("customics_miniacc", "joint_miniacc", "late_miniacc", "early_miniacc")
METRICS = {"accuracy": "accuracy", "roc_auc": "ROC-AUC", "survival_c_index": "C-index"}
PACKAGES = ("biozoo", "torch", "lightning", "scikit-learn", "scikit-survival", "xgboost")
CPU = "--trainer.accelerator=cpu"


def tumours(folder: Path) -> Path:
    """Noise in place of the breast tumours, in files as they are given out."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 40), ("test", 20)):
        names = pd.Index([f"{split}{number}" for number in range(count)])
        pd.DataFrame({"subtype": np.tile(["Basal", "Her2"], count // 2)}, names).to_csv(folder / f"subtype_{split}.csv")
        for name in ("mrna", "mirna"):
            rows = pd.DataFrame(rng.normal(5, 1, (count, 6)), names).add_prefix(name)
            rows.to_csv(folder / f"{name}_{split}.csv.gz")
    return folder


def breast_tables(source: Path, folder: Path, seeds: int) -> list[str]:
    """Tables with all splits as columns, and the options that read them."""
    parts = {
        name: [pd.read_csv(source / f"{name}_{split}.csv{end}", index_col=0) for split in ("train", "test")]
        for name, end in {"subtype": "", "mrna": ".gz", "mirna": ".gz"}.items()
    }
    samples = pd.concat(parts.pop("subtype")).set_axis(["subtype"], axis=1).rename_axis("sample")
    train = samples.index.isin(parts["mrna"][0].index)
    # Data modules require validation rows: for models that need none, these are the test rows, predicted at the end.
    samples["without"] = np.where(train, "train", "validation")
    for seed in range(seeds):
        known = samples[train]
        held = train_test_split(known.index, test_size=VALIDATION, stratify=known["subtype"], random_state=seed)[1]
        samples[f"seed{seed}"] = np.where(samples.index.isin(held), "validation", np.where(train, "train", "test"))
    samples.to_csv(folder / "samples.csv")
    for name, tables in parts.items():
        pd.concat(tables).rename_axis("sample").to_csv(folder / f"{name}.csv")
    modalities = {name: {"path": str(folder / f"{name}.csv"), "scale": "log"} for name in parts}
    paths = [f"--data.path={folder}/samples.csv", f"--data.modalities={json.dumps(modalities)}"]
    return [*paths, "--data.target=subtype", "--data.id=sample", CPU]


def breast(source: Path, folder: Path, seeds: int) -> None:
    """Accuracy and F1 of ours and of simple models."""
    fixed = breast_tables(source, folder, seeds)
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for name, options in BREAST.items():
        for seed in range(seeds):
            cli = CLI(["--config", *options, *fixed, f"--data.split=seed{seed}"])
            seed_everything(seed, workers=True, verbose=False)
            data = cli.make_data()
            _, content = data.spec, data.dataset
            start = time.process_time()
            model = runs.fit_data(cli, data)
            seconds = time.process_time() - start
            found[name].append((*scores(content.y[rows := content.rows("test")], said(model, data, rows)), seconds))
    data = CLI(["--config", *BREAST["CustOmics"], *fixed, "--data.split=without"]).make_data()
    content, train, test = data.dataset, data.dataset.rows("train"), data.dataset.rows("validation")
    for name, fit in simple(data).items():
        for seed in range(seeds if "forest" in name else 1):
            start = time.process_time()
            answer = fit(seed)
            seconds = time.process_time() - start
            found[name].append((*scores(content.y[test], answer(test)), seconds))
    print(f"\nBreast tumours: {len(train)} rows to train on (ours: {VALIDATION:.0%} of them only to stop early by),")
    print(f"{len(test)} to test; {seeds} seeds, mean ± standard deviation; without one where nothing is random")
    row("", "accuracy", "F1", "CPU seconds")
    for name, values in found.items():
        columns = list(zip(*values, strict=True))
        row(name, *(spread(one, digits) for one, digits in zip(columns, (".3f", ".3f", ".1f"), strict=True)))
    if "XGBoost" not in found:
        print("XGBoost: not installed")
    print(f"published elsewhere: {PUBLISHED}; wanted: accuracy 0.97, F1 0.96")


def simple(data: Data) -> dict[str, Callable[[int], Callable[[torch.Tensor], np.ndarray]]]:
    """Simple models: from a seed to a trained model that predicts class codes of rows."""
    assert isinstance(data, MultiOmicsData)
    content, train = data.dataset, data.dataset.rows("train")
    values, y = data.baseline_features(torch.arange(len(content.y)))[""], content.y.numpy()
    models: dict[str, Callable[[int], Any]] = {
        "logistic regression": lambda _: LogisticRegression(max_iter=2000),
        "random forest": lambda seed: RandomForestClassifier(300, random_state=seed),
        "SVM": lambda _: SVC(),
    }
    try:
        from xgboost import XGBClassifier
    except ImportError:
        pass
    else:
        models["XGBoost"] = lambda _: XGBClassifier(n_jobs=1)

    def fit(make: Callable[[int], Any]) -> Callable[[int], Callable[[torch.Tensor], np.ndarray]]:
        def fitted(seed: int) -> Callable[[torch.Tensor], np.ndarray]:
            model = make(seed).fit(values[train], y[train])
            return lambda rows: np.asarray(model.predict(values[rows]))

        return fitted

    def late(_: int) -> Callable[[torch.Tensor], np.ndarray]:
        known = (content.samples["split"] == "train").to_numpy()
        answer = next(iter(late_average(data.baseline_modalities, y, known, data.spec["target"]).values()))
        return lambda rows: answer[rows].argmax(1)

    made = {name: fit(make) for name, make in models.items()}
    return {"logistic regression": made.pop("logistic regression"), "late logistic regression": late, **made}


def said(model: Any, data: Data, rows: torch.Tensor) -> np.ndarray:
    """Class codes predicted by a model of the zoo."""
    assert isinstance(model, Supervised)
    with torch.inference_mode():
        return model.eval().predict_from(model(data.dataset.x[rows])).argmax(1).numpy()


def scores(y: torch.Tensor, answer: np.ndarray) -> tuple[float, float]:
    """Accuracy, and F1 as a mean over classes."""
    return float(accuracy_score(y, answer)), float(f1_score(y, answer, average="macro"))


def miniacc(folder: Path) -> None:
    """Subtype and survival of adrenocortical carcinoma, and the loss without each assay."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for recipe in RECIPES:
        options = ["--config", recipe, CPU, f"--trainer.default_root_dir={folder}"]
        start = time.process_time()
        scored = commands.crossval(options, FOLDS, REPEATS, show=False)
        wide = scored.pivot(index=["repeat", "fold"], columns=["model", "metric"], values="value")
        found[recipe] = {model: wide[model].dropna(axis=1, how="all") for model in scored["model"].unique()}
        print(f"{recipe}: {time.process_time() - start:.0f} CPU seconds with the simple models", flush=True)
    print(
        f"\nminiacc: {FOLDS} folds x {REPEATS}, mean ± standard deviation over folds; all learn from the same training"
    )
    print("rows, ours stops early by the validation rows")
    row("", *METRICS.values())
    for recipe, (ours, *others) in ((recipe, list(tables)) for recipe, tables in found.items()):
        for model in [ours, *(others if recipe == RECIPES[-1] else [])]:
            table = found[recipe][model]
            row(recipe if model == ours else model, *(spread(table[m]) if m in table else "" for m in METRICS))
    row("logistic regression, RNA alone", *(spread(one) for one in zip(*rna_alone(), strict=True)))
    print("\nLost without each assay: the metric with all less that without it, of the same trained models")
    pairs = [(recipe, name) for recipe in ("joint_miniacc", "customics_miniacc") for name in list(METRICS)[1:]]
    row("", *(f"{recipe.split('_')[0]} {METRICS[name]}" for recipe, name in pairs))
    of_recipe = {recipe: next(iter(found[recipe].values())) for recipe, _ in pairs}
    lacking = "roc_auc without "
    for assay in (name.removeprefix(lacking) for name in scored["metric"].unique() if name.startswith(lacking)):
        apart = (of_recipe[recipe][name] - of_recipe[recipe][f"{name} without {assay}"] for recipe, name in pairs)
        row(assay, *(spread(one, "+.3f") for one in apart))


def rna_alone() -> list[tuple[float, float]]:
    """Accuracy and ROC-AUC of logistic regression on gene expression in each of the same folds."""
    result, cli = [], CLI(["--config", RECIPES[0], CPU])
    for number in range(FOLDS * REPEATS):
        data = cli.make_data(folds=FOLDS, fold=number % FOLDS, repeat=number // FOLDS)
        assert isinstance(data, MultiOmicsData)
        content = data.dataset
        x, y = data.baseline_modalities(torch.arange(len(content.y)))["rna"], content.y.numpy()
        has = ~np.isnan(x).any(1) & content.labelled(torch.arange(len(content.y))).numpy()
        train, test = (rows[has[rows]] for rows in (content.rows(split).numpy() for split in ("train", "test")))
        chance = LogisticRegression(max_iter=2000).fit(x[train], y[train]).predict_proba(x[test])[:, 1]
        result.append((accuracy_score(y[test], chance > 0.5), roc_auc_score(y[test], chance)))
    return result


def main() -> None:
    """What is asked for."""
    few = {name: BREAST[name] for name in ("CustOmics", "MultiModal, late")}
    if smoke(globals(), FOLDS=2, REPEATS=1, RECIPES=("customics_miniacc", "joint_miniacc"), BREAST=few):
        multiomics_simulation.make_small()
        with tempfile.TemporaryDirectory() as folder:
            return measured(["breast", str(tumours(Path(folder))), "miniacc", "simulated", "--seeds=1"])
    return measured(sys.argv[1:])


def measured(arguments: list[str]) -> None:
    """The sections of a command line."""
    command = parser(__doc__)
    command.add_argument("sections", nargs="+", help="breast FOLDER, miniacc, simulated")
    command.add_argument("--seeds", type=int, default=5, help="of the breast tumours")
    options = command.parse_args(arguments)
    words = iter(options.sections)
    torch.set_num_threads(1)
    runs.quieten()
    header(PACKAGES)
    for section in words:
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            match section:
                case "breast":
                    source = Path(next(words, ""))
                    if not (source / "subtype_train.csv").is_file():
                        command.error(f"breast wants the folder of the tables; there is none: {source}")
                    breast(source, Path(folder), options.seeds)
                case "miniacc":
                    miniacc(Path(folder))
                case "simulated":
                    simulated(Path(folder))
                case _:
                    command.error(f"no section {section!r}; choose breast FOLDER, miniacc or simulated")
            print(f"{section}: {time.process_time() - start:.0f} CPU seconds in all", flush=True)


if __name__ == "__main__":
    main()

"""Choice of the recipes: cross-validation among the training and validation rows of each packaged split.

The test rows of the packaged split (``data.seed 0``) are removed before the comparison, so the test scores on the
cards are of rows that were not used for the choice (the candidates for Pima were suggested by an earlier experiment
with all its rows). For data that are not packaged, give the training file: ``cnn2d_ecg200=ECG200_TRAIN.tsv``.

Run: ``python benchmarks/recipe_choice.py [RECIPE ...]``
"""

import json
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _common import smoke

from zoo import commands
from zoo.data import ExpressionData, ImageData, MultiOmicsData, SeriesData, TableData
from zoo.data.frame import FrameData
from zoo.parsing import CLI

CANDIDATES: dict[str, list[str]] = {
    "mlp_pima": [
        "--model.hidden=[] --model.dropout=0 --model.lr=0.01 --model.weight_decay=0.01",
        "--model.hidden=[16] --model.dropout=0 --model.lr=0.003 --model.weight_decay=0.1",
        "--model.hidden=[64,32] --model.dropout=0.3 --model.lr=0.003 --model.weight_decay=0.01",
        "--model.hidden=[64] --model.dropout=0.5 --model.lr=0.003 --model.weight_decay=0.1 --model.activation=gelu",
        "--model.hidden=[128,64] --model.dropout=0.5 --model.lr=0.002 --model.weight_decay=0.1 --model.activation=gelu",
    ],
    "mlp_breast_cancer": [
        "--model.hidden=[] --model.dropout=0 --model.lr=0.01 --model.weight_decay=0.01",
        "--model.hidden=[32] --model.dropout=0 --model.lr=0.003 --model.weight_decay=0.01",
        "--model.hidden=[64] --model.dropout=0.5 --model.lr=0.003 --model.weight_decay=0.1 --model.activation=gelu",
        "--model.hidden=[64,32] --model.dropout=0.3 --model.lr=0.003 --model.weight_decay=0.01",
        "--model.hidden=[64] --model.dropout=0.2 --model.lr=0.003 --model.weight_decay=0.3 --model.activation=tanh",
    ],
    "mlp_diabetes_progression": [
        "--model.hidden=[] --model.dropout=0 --model.lr=0.01 --model.weight_decay=0.01",
        "--model.hidden=[32] --model.dropout=0 --model.lr=0.003 --model.weight_decay=0.01",
        "--model.hidden=[64] --model.dropout=0.5 --model.lr=0.003 --model.weight_decay=0.1 --model.activation=gelu",
        "--model.hidden=[64,32] --model.dropout=0.3 --model.lr=0.003 --model.weight_decay=0.1 --model.activation=gelu",
    ],
    "perceptron_breast_cancer": [
        "--model.rule=perceptron --model.lr=0.01",
        "--model.rule=perceptron --model.lr=0.001",
        "--model.rule=delta --model.lr=0.01",
        "--model.rule=delta --model.lr=0.001",
    ],
}
DEEP = "--model.widths=[7,5,3] --model.pool_widths=[2,2,1]"
CANDIDATES |= {
    "cnn1d_splice": [
        "--data.mask=0 --model.normalisation=none",
        "--data.mask=0 --model.normalisation=none --model.filters=[128] --model.widths=[5] --model.hidden=[128] "
        "--model.dropout=0.7",
        "--data.mask=0.2",
    ],
    "cnn1d_splice_deep": [
        f"--data.mask=0 {DEEP}",
        f"--data.mask=0 {DEEP} --model.dropout=0.7",
        f"--data.mask=0.2 {DEEP}",
    ],
    "cnn1d_promoters": [
        "--model.filters=[32] --model.widths=[7] --model.pool_widths=[3] --model.global_pooling=false",
        "--model.filters=[64] --model.widths=[7] --model.pool_widths=[3] --model.global_pooling=false --data.shift=2",
        "--model.filters=[32] --model.widths=[7] --model.pool_widths=[3] --model.global_pooling=false --data.mask=0.2",
        "--model.filters=[128] --model.widths=[5] --model.pooling=average",
        "--model.filters=[128] --model.widths=[6] --model.pooling=both",
        "--model.filters=[128] --model.widths=[6]",
        "--model.filters=[256] --model.widths=[6]",
    ],
}
CANDIDATES |= {
    "cnn2d_ecg200": [
        "--model.global_pooling=none",
        "",
        "--data.jitter=0",
        "--data.window_slice=0.9",
        "--model.kernel_sizes=[5,5,3]",
        "--model.encoding.extremes=true",
        "--model.filters=[32,64,128]",
    ],
    "cnn2d_beats": [
        "",
        "--data.jitter=0.05 --data.scaling=0.2",
        "--model.encoding.extremes=false",
    ],
}
CANDIDATES |= {
    "autoencoder_digits": [
        "",
        "--model.network=mlp --model.hidden=[128]",
        "--model.noise=masking",
        "--model.hidden=[]",
    ],
    "vae_digits": [
        "",
        "--model.hidden=[128]",
        "--model.dropout=0.1",
        "--model.latent=16",
        "--model.variance=feature",
    ],
    "vae_expression": [
        "",
        "--model.dropout=0",
        "--model.hidden=[64]",
        "--model.latent=5",
        "--model.likelihood=zero_inflated_negative_binomial",
    ],
    "vae_miniacc": [
        "",
        "--model.hidden=[]",
        "--model.latent=3",
        "--model.hidden=[64] --model.dropout=0.5",
        "--model.hidden=[64] --model.variance=feature",
    ],
}
SMALL = "--model.hidden=[64] --model.latent=16 --model.central=16 --model.central_hidden=[]"
CANDIDATES |= {
    "joint_miniacc": [
        "--model.dropout=0.5",
        "--model.hidden=[64] --model.dropout=0.5",
        "",
        "--model.hidden=[] --model.fused=[]",
    ],
    "customics_miniacc": [
        "--model.switch_epoch=10 --model.divergence=kl",
        f"--model.switch_epoch=10 --model.divergence=kl {SMALL}",
        "--model.switch_epoch=10 --model.divergence=kl --model.beta=0.1",
        "--model.switch_epoch=10",
        "--model.switch_epoch=10 --model.divergence=kl --model.target_weight=5",
        "",
    ],
}
FOLDS, REPEATS = 5, 2
METRIC = {"mlp_diabetes_progression": "r2", "perceptron_breast_cancer": "accuracy"}
METRIC |= dict.fromkeys(("cnn1d_splice", "cnn1d_splice_deep", "cnn1d_promoters"), "accuracy")
METRIC |= dict.fromkeys(("cnn2d_ecg200", "cnn2d_beats"), "accuracy")
METRIC |= dict.fromkeys(("vae_digits", "vae_expression", "vae_miniacc"), "elbo")
METRIC["autoencoder_digits"] = "explained_variance"
METRIC |= dict.fromkeys(("joint_miniacc", "customics_miniacc"), "roc_auc survival_c_index")


def without_test_rows(recipe: str, folder: str) -> list[str]:
    """Options that give the recipe a table (or arrays) of its training and validation rows."""
    data = CLI(["--config", recipe]).make_data()
    assert isinstance(data, FrameData)
    kept = torch.from_numpy(np.flatnonzero(data.samples["split"] != "test"))
    if isinstance(data, MultiOmicsData):
        return _tables_without_test_rows(data, Path(folder))
    if isinstance(data, ExpressionData):
        some = data.frame()[data.samples.index[kept.numpy()]].copy()
        some.write_h5ad(Path(folder) / "without_test_rows.h5ad")
        options = [f"--data.path={folder}/without_test_rows.h5ad", f"--data.target={data.target}"]
        options += [f"--data.covariates=[{','.join(data.covariates)}]"] if data.covariates else []
        return options + ([f"--data.scale={data.scale}"] if data.scale else [])
    if isinstance(data, ImageData):
        labels = np.array(data.spec["target"]["classes"])[data.dataset.y[kept]]
        np.savez(Path(folder) / "without_test_rows.npz", images=data.dataset.x[kept][:, 0].numpy(), labels=labels)
        return [f"--data.path={folder}/without_test_rows.npz"]
    table = Path(folder) / "without_test_rows.csv"
    rows = data.samples["split"] != "test"
    frame = data.samples[rows].drop(columns="split")
    options = [f"--data.path={table}", f"--data.target={data.target}"]
    if isinstance(data, SeriesData):
        x = data.dataset.x[torch.from_numpy(np.flatnonzero(rows))][:, 0]
        frame = frame.join(pd.DataFrame(x, index=frame.index).add_prefix("t"))
        options += [f"--data.group={data.group}"] if data.group else []
    frame.to_csv(table, index=False)
    options += [f"--data.missing={data.missing_values}"] if isinstance(data, TableData) and data.missing_values else []
    return options + ([f"--data.positive={data.positive}"] if data.positive else [])


def _tables_without_test_rows(data: MultiOmicsData, folder: Path) -> list[str]:
    samples = data.samples[data.samples["split"] != "test"]
    ours = ["split", *(f"measured {name}" for name in data.tables)]  # columns that reading adds
    samples.drop(columns=ours).to_csv(folder / "samples.csv", index=False)
    modalities = {}
    for name, part in data.tables.items():
        if name == "clinical":
            continue
        table = part.frame()[part.names.isin(samples.index)].to_df()
        table.rename_axis(samples.index.name).to_csv(folder / f"{name}.csv")
        modalities[name] = {"path": f"{folder}/{name}.csv", "scale": data.spec["modalities"][name]["scale"]}
    options = [f"--data.path={folder}/samples.csv", f"--data.target={data.target}", f"--data.id={data.id}"]
    options += [f"--data.positive={data.positive}"] if data.positive else []
    return [*options, f"--data.modalities={json.dumps(modalities)}"]


def main() -> None:
    """Print mean and spread of each candidate."""
    some = ("mlp_pima", "cnn1d_promoters", "vae_digits", "vae_miniacc", "joint_miniacc")  # one of each kind of data
    few = {"joint_miniacc": ["--data.also={}"]}  # too few deaths in so few patients
    smoke(globals(), FOLDS=2, REPEATS=1, CANDIDATES={name: CANDIDATES[name][:1] for name in some} | few)
    logging.getLogger("zoo").setLevel(logging.WARNING)
    for given in sys.argv[1:] or CANDIDATES:
        recipe, _, file = given.partition("=")
        metric = METRIC.get(recipe, "roc_auc")
        with tempfile.TemporaryDirectory() as folder:
            fixed = (
                [f"--data.path={file}", "--data.fractions=[0.8,0.2,0]"] if file else without_test_rows(recipe, folder)
            )
            fixed += [f"--trainer.default_root_dir={folder}"]
            print(f"{recipe}: {metric}, {FOLDS} folds x {REPEATS} of the training and validation rows")
            for options in CANDIDATES[recipe]:
                scores = commands.crossval(["--config", recipe, *fixed, *options.split()], FOLDS, REPEATS, show=False)
                print(f"  {options}")
                for one in metric.split():
                    rows = scores[scores["metric"] == one].dropna(subset="value")
                    chosen = rows.groupby("model", sort=False)["value"].agg(["mean", "std"])
                    cells = ", ".join(f"{m} {row['mean']:.4f} ± {row['std']:.4f}" for m, row in chosen.iterrows())
                    print(f"    {one + ': ' if ' ' in metric else ''}{cells}", flush=True)


if __name__ == "__main__":
    main()

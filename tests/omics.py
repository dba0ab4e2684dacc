"""Simulated tables of the same patients: three omics, and what their tests share."""

import numpy as np
import pandas as pd
import torch
from lightning import Trainer

from zoo.data import MultiOmicsData

ALL = {"rna": "rna.csv", "mirna": "mirna.tsv.gz", "copies": "copies.parquet"}


def cohort(patients=60, seed=0):
    """Made-up tables by name, indexed by patient; gene 3, mirna 1 and copy 2 tell the group, days and age."""
    rng = np.random.default_rng(seed)
    names = pd.Index([f"p{i}" for i in range(patients)], name="patient")
    group, age, days = np.arange(patients) % 2, rng.normal(50, 10, patients), rng.exponential(100, patients) + 1
    rna = pd.DataFrame(rng.normal(6, 1, (patients, 12)), names, [f"g{i}" for i in range(12)])
    mirna = pd.DataFrame(rng.poisson(20, (patients, 8)), names, [f"m{i}" for i in range(8)])
    copies = pd.DataFrame(rng.integers(-2, 3, (patients, 6)), names, [f"c{i}" for i in range(6)])
    rna["g3"] += 4 * group
    mirna["m1"] = (2000 / days).astype(int) + 1
    copies["c2"] = np.clip(((age - 50) / 6).round(), -2, 2).astype(int)
    told = {"group": np.array(["a", "b"])[group], "age": age, "sex": rng.choice(["f", "m"], patients)}
    samples = pd.DataFrame({**told, "days": days, "dead": rng.integers(0, 2, patients)}, names)
    return {"samples": samples, "rna": rna, "mirna": mirna, "copies": copies}


def write(tables):
    """In the current folder, each table in an order of its own; no gap is to be expected."""
    mixed = {name: table.sample(frac=1, random_state=number) for number, (name, table) in enumerate(tables.items())}
    tables["samples"].to_csv("samples.csv")
    mixed["rna"].to_csv("rna.csv")
    mixed["mirna"].to_csv("mirna.tsv.gz", sep="\t")
    mixed["copies"].to_parquet("copies.parquet")


def read(modalities=ALL, path="samples.csv", target="group", **more):
    return MultiOmicsData(path, modalities, target=target, **more)


def everything(data):
    return data.dataset.x[torch.arange(len(data.samples))]


def train(model, data):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    Trainer(max_epochs=1, enable_model_summary=False, **quiet).fit(model, data)
    return model.eval()


def same(x, table):
    np.testing.assert_allclose(x, table.to_numpy(np.float32), rtol=1e-6)

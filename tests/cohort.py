"""A small made-up cohort with two omics and two targets."""

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch import Trainer, seed_everything

from zoo.data import MultiOmicsData

SURVIVAL = {"survival": {"target": "days", "event": "died", "weight": 0.5}}


def write_cohort(patients=120, seed=0):
    """``samples.csv``, ``rna.csv`` and ``protein.csv``; RNA tells the group well, protein a little.

    Every fourth patient lacks protein, every tenth RNA, and some lack one of the targets.
    """
    rng = np.random.default_rng(seed)
    names = [f"p{n}" for n in range(patients)]
    group = rng.integers(2, size=patients)
    rna = rng.normal(size=(patients, 20)) + 1.5 * group[:, None] * (np.arange(20) < 5)
    protein = rng.normal(size=(patients, 8)) + 0.5 * group[:, None] * (np.arange(8) < 2)
    days = rng.exponential(400 * np.exp(-2.0 * group)).round() + 1
    samples = pd.DataFrame({"patient": names, "group": np.where(group, "ill", "well"), "days": days})
    samples["died"] = (rng.random(patients) < 0.7).astype(int)
    samples.loc[::11, "group"] = None
    samples.loc[5::13, "days"] = None
    samples.to_csv("samples.csv", index=False)
    for name, values, kept in (
        ("rna", rna, np.arange(patients) % 10 != 3),
        ("protein", protein, np.arange(patients) % 4 != 1),
    ):
        frame = pd.DataFrame(values.round(4), names, [f"{name}{n}" for n in range(values.shape[1])])
        frame[kept].rename_axis("patient").to_csv(f"{name}.csv")


def read_cohort(**more):
    options = {"target": "group", "also": SURVIVAL, "positive": "ill", "batch_size": 16, **more}
    return MultiOmicsData("samples.csv", {"rna": "rna.csv", "protein": "protein.csv"}, **options)


@pytest.fixture
def cohort(here):
    write_cohort()
    return read_cohort()


def train(model, data, epochs, **options):
    """With validation, which late fusion learns its weights from."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    seed_everything(0, verbose=False)  # whatever a test before has left
    Trainer(max_epochs=epochs, enable_model_summary=False, num_sanity_val_steps=0, **quiet, **options).fit(model, data)
    return model.eval()

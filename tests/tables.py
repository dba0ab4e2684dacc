"""Small tables for models that describe their samples."""

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch import Trainer

from zoo.data import TableData


def fit(model, data, epochs):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    Trainer(max_epochs=epochs, enable_model_summary=False, limit_val_batches=0, **quiet).fit(model, data)
    return model.eval()


@pytest.fixture
def plane(here):
    """400 samples near a space of three dimensions in ten."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)) * [3, 2, 1.2] @ rng.normal(size=(3, 10)) + 0.3 * rng.normal(size=(400, 10))
    frame = pd.DataFrame(x, columns=[f"gene{i}" for i in range(10)])
    frame.to_csv("plane.csv", index=False)
    return TableData("plane.csv", batch_size=400)


def mixed_frame():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=200)
    frame = pd.DataFrame({"dose": 50 + 10 * hidden, "level": 5 - hidden, "sex": np.where(hidden > 0, "f", "m")})
    frame["stage"] = pd.cut(hidden, [-9, -0.5, 0.5, 9], labels=["I", "II", "III"]).astype(str)
    frame["centre"] = rng.choice(["oslo", "rome"], 200)
    frame["dose"] += 30 * (frame["centre"] == "rome")
    frame.loc[::10, "level"] = np.nan
    return frame


@pytest.fixture
def mixed(here):
    mixed_frame().to_csv("mixed.csv", index=False)
    return TableData("mixed.csv", ordered={"stage": ["I", "II", "III"]}, covariates=["centre"], batch_size=32)

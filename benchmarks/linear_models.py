"""Linear autoencoders compared with exact solutions: PCA, and the likelihood of probabilistic PCA.

A linear autoencoder with tied weights must find the subspace of PCA; the evidence lower bound of a linear VAE must
reach the likelihood of probabilistic PCA (Tipping and Bishop 1999; Lucas et al. 2019, arXiv:1911.02469). On simulated
samples and on the breast-cancer table, training rows, three seeds.

Run: ``python benchmarks/linear_models.py``
"""

import logging
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _common import smoke
from lightning.pytorch import Trainer, seed_everything
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from zoo.data import TableData
from zoo.models import VAE, Autoencoder
from zoo.models.base import Model

LATENT, SEEDS = 3, (0, 1, 2)
LINEAR = {"latent": LATENT, "hidden": [], "activation": "linear", "weight_decay": 0.0, "schedule": "cosine"}


def simulated(folder: str) -> Path:
    """1,000 samples near a space of three dimensions in twelve."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 3)) * [3, 2, 1.2] @ rng.normal(size=(3, 12)) + 0.5 * rng.normal(size=(1000, 12))
    path = Path(folder) / "simulated.csv"
    pd.DataFrame(x, columns=[f"feature{i}" for i in range(12)]).to_csv(path, index=False)
    return path


def fit(model: Model, data: TableData, epochs: int) -> Model:
    """Train without leaving anything behind."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    Trainer(max_epochs=epochs, enable_model_summary=False, limit_val_batches=0, **quiet).fit(model, data)
    return model.eval()


@torch.inference_mode()
def main() -> None:
    """Print angles and likelihoods."""
    smoke(globals(), SEEDS=(0,))
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    print(
        f"{'data':15} seed  largest angle to PCA [rad]    bound  importance-weighted  exact [nats a sample]"
        "  bound - exact"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, path in {"simulated": str(simulated(folder)), "breast_cancer": "breast_cancer"}.items():
            for seed in SEEDS:
                data = TableData(path, batch_size=2000, target_kind="none")
                seed_everything(seed, verbose=False)
                with torch.inference_mode(False):
                    tied = fit(Autoencoder(spec=data.spec, tied=True, lr=0.03, **LINEAR), data, 600)
                    vae = fit(VAE(spec=data.spec, lr=0.03, **LINEAR), data, 3000)
                x = data.training_inputs()
                encoded = tied.encode(x).numpy()
                pca = PCA(LATENT).fit(encoded)
                angle = subspace_angles(pca.components_.T, tied.body.latent.weight.numpy().T).max()
                bound = -float(torch.stack([vae.terms(x, step)[:, 0] for step in range(50)]).mean())
                weighted = float(vae.importance_weighted(x, 50, torch.Generator().manual_seed(0)).mean())
                exact = pca.score(encoded)
                print(
                    f"{name:15} {seed:4}  {angle:26.1e}  {bound:7.3f}  {weighted:19.3f}  {exact:21.3f}  "
                    f"{(bound - exact) / abs(exact):+13.2%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

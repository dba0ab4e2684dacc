"""A large count matrix: memory and time to read it, and to train on it.

Writes sparse counts of 100,000 cells and 2,000 genes, a tenth of them above 0, as ``.h5ad`` into a temporary folder. A
fresh process then reads, checks and splits them, fits an encoding to the training cells, iterates over one epoch of
training batches of 128, and trains a variational autoencoder with a negative-binomial likelihood for one epoch. Memory
is the peak of that process so far; the libraries are part of it and have a line of their own. Dense, the matrix alone
would be 0.8 GB as float32, and as float64 twice that.

Run: ``python benchmarks/expression_memory.py``
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _common import parser, smoke

BATCH, SHARE, GROUPS = 128, 0.1, 8


def write(path: Path, cells: int, genes: int) -> None:
    """Counts of eight groups that differ in the mean of every gene, in two batches; written as CSR."""
    import anndata
    import numpy as np
    import pandas as pd
    from scipy import sparse

    rng = np.random.default_rng(0)
    group, batch = rng.integers(GROUPS, size=cells), rng.integers(2, size=cells)
    means = np.exp(rng.normal(0, 1, (GROUPS, genes)))
    each = int(SHARE * genes)
    indices = np.empty((cells, each), np.int32)
    for row in range(cells):
        indices[row] = np.sort(rng.choice(genes, each, replace=False))
    counts = 1 + rng.poisson(np.take_along_axis(means[group], indices, 1)).astype(np.float32)
    matrix = sparse.csr_matrix((counts.ravel(), indices.ravel(), np.arange(cells + 1) * each), shape=(cells, genes))
    obs = pd.DataFrame({"group": [f"g{n}" for n in group], "batch": [f"b{n}" for n in batch]})
    obs.index = [f"cell{number}" for number in range(cells)]
    anndata.AnnData(matrix, obs=obs, var=pd.DataFrame(index=[f"gene{n}" for n in range(genes)])).write_h5ad(path)


def peak() -> float:
    """Most memory that this process has had resident, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def report(what: str, begin: float, further: str = "") -> None:
    """A line of the table."""
    print(f"{what:<40} {time.perf_counter() - begin:>8.2f} s   {peak():>5.2f} GB   {further}", flush=True)


def measure(path: Path) -> None:
    """Print the table; runs in a process of its own, whose memory is that of the reading and training alone."""
    begin = time.perf_counter()
    from lightning.pytorch import Trainer

    from zoo import models
    from zoo.data import ExpressionData
    from zoo.encode import encoder
    from zoo.runs import quieten
    from zoo.spec import modality_of

    quieten()
    print(f"{'':<40} {'time':>10}   peak memory")
    report("libraries imported", begin)
    begin = time.perf_counter()
    data = ExpressionData(str(path), target="group", covariates=["batch"], batch_size=BATCH)
    x = data.dataset.x
    report("read, checked and split", begin, f"{len(x):,} cells, {len(data.dataset.rows('train')):,} to train on")
    begin = time.perf_counter()
    layer = encoder(modality_of(data.spec))
    layer.fit(data.training_inputs())
    report("encoding learnt", begin)
    begin, batches = time.perf_counter(), 0
    for batch in data.train_dataloader():
        layer(batch["x"])
        batches += 1
    each = 1000 * (time.perf_counter() - begin) / batches
    report(f"{batches} batches of {BATCH}, encoded", begin, f"{each:.2f} ms a batch")
    if (vae := getattr(models, "VAE", None)) is None:
        return
    begin = time.perf_counter()
    model = vae(spec=data.spec, latent=10, likelihood="negative_binomial")
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)
    report("VAE trained for one epoch", begin, f"{sum(p.numel() for p in model.parameters()):,} parameters")


def main() -> None:
    """Write the file and measure, each in a process of its own, for a process inherits its parent's peak."""
    small = smoke(globals(), "--cells=400", "--genes=50")
    command = parser(__doc__)
    command.add_argument("--cells", type=int, default=100_000)
    command.add_argument("--genes", type=int, default=2_000)
    command.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    command.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = command.parse_args()
    if options.write:
        return write(options.write, options.cells, options.genes)
    if options.measure:
        return measure(options.measure)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        if small:  # in one process: the memory is not that of the reading alone
            write(path, options.cells, options.genes)
            return measure(path)
        size = ["--cells", str(options.cells), "--genes", str(options.genes)]
        subprocess.run([sys.executable, __file__, "--write", str(path), *size], check=True)
        print(f"{options.cells:,} cells x {options.genes:,} genes, a file of {path.stat().st_size / 1e6:.0f} MB")
        subprocess.run([sys.executable, __file__, "--measure", str(path)], check=True)
    return None


if __name__ == "__main__":
    main()

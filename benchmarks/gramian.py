"""Gramian angular fields beside pyts: speed of 10,000 series, agreement, and share of a training step.

Everything runs in one process and on one thread. A round runs each implementation once, alternately, so that other load
on the machine affects both; times are CPU seconds, the ratio is the median over the rounds of pyts over ours. Ours
computes the images in batches of 256, as in training, and discards them; pyts computes both fields of all series at
once, of batches of 256, or series by series, as a data set that computes its images on the fly does.

Needs pyts beside the project: ``pip install --no-deps pyts``. Run: ``python benchmarks/gramian.py``
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # libraries read them when imported

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from _common import peer, smoke
from torch import Tensor

from zoo.encode import GramianAngularField
from zoo.parsing import CLI

SERIES, BATCH, ROUNDS = 10_000, 256, 5
SETTINGS = [(96, 96), (140, 64)]  # length, pixels
RECIPE = "cnn2d_ecg200"


def seconds(work: Callable[[], object]) -> float:
    """CPU time."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ours(layer: GramianAngularField, x: Tensor) -> None:
    """All images, a batch at a time."""
    for batch in x.split(BATCH):
        layer(batch)


def theirs(peers: list[Any], x: np.ndarray, batch: int) -> None:
    """Both fields."""
    for start in range(0, len(x), batch):
        for each in peers:
            each.fit_transform(x[start : start + batch])


def against_pyts(length: int, size: int) -> None:
    """Print times, ratio and largest difference."""
    if (pyts := peer("pyts.image")) is None:
        return
    x = np.random.default_rng(0).normal(size=(SERIES, length)).cumsum(1)
    raw = torch.from_numpy(x)[:, None].float()
    x = raw[:, 0].double().numpy()  # the same numbers for both
    layer = GramianAngularField({"kind": "series", "shape": [1, length], "features": ["series"]}, size=size)
    peers = [pyts.GramianAngularField(image_size=size, method=method) for method in ("summation", "difference")]
    rounds = [
        [
            seconds(lambda: ours(layer, raw)),
            seconds(lambda: theirs(peers, x, SERIES)),
            seconds(lambda: theirs(peers, x, BATCH)),
            seconds(lambda: theirs(peers, x, 1)),
        ]
        for _ in range(ROUNDS)
    ]
    expected = np.stack([each.fit_transform(x[:BATCH]) for each in peers], 1)
    difference = np.abs(layer(raw[:BATCH]).numpy() - expected).max()
    mine, whole, batches, single = (median(column) for column in zip(*rounds, strict=True))
    ratios = [median(r[i] / r[0] for r in rounds) for i in (1, 2, 3)]
    print(
        f"{length:4} -> {size:3} pixels   ours {mine:6.3f}   pyts at once {whole:6.3f} ({ratios[0]:4.1f}x)   "
        f"in batches {batches:6.3f} ({ratios[1]:4.1f}x)   one by one {single:6.3f} ({ratios[2]:4.1f}x)   "
        f"largest difference {difference:.1e}"
    )


def share_of_a_step() -> None:
    """Print how much of a training step of the recipe the encoding takes."""
    cli = CLI(["--config", RECIPE])
    model = cli.make_example().train()
    optimiser = torch.optim.AdamW(model.parameters())
    rows = cli.config.data.init_args.batch_size
    batch = {"x": model.encode.example(rows), "y": torch.arange(rows) % 2}

    def step() -> None:
        optimiser.zero_grad()
        model.loss(batch).backward()
        optimiser.step()

    def repeated(work: Callable[[], object]) -> float:
        return seconds(lambda: [work() for _ in range(20)]) / 20

    step()
    shares = [(repeated(lambda: model.encode(batch["x"])), repeated(step)) for _ in range(ROUNDS)]
    encode, whole = (median(column) for column in zip(*shares, strict=True))
    share = median(a / b for a, b in shares)
    print(f"{RECIPE}, batch of {rows}: encoding {encode * 1e3:.2f} ms of a step of {whole * 1e3:.2f} ms, {share:.1%}")


def main() -> None:
    """Both settings and the training step."""
    smoke(globals(), SERIES=BATCH, ROUNDS=1)
    torch.set_num_threads(1)
    print(f"{SERIES} series, both fields, batches of {BATCH}; CPU seconds, one thread, median of {ROUNDS} rounds")
    with torch.inference_mode():
        for length, size in SETTINGS:
            against_pyts(length, size)
    share_of_a_step()


if __name__ == "__main__":
    main()

"""In-silico mutagenesis beside tangermeme's: processor time on one thread, for the same network and sequences.

Each round runs both, in turn and in one process, so that whatever else the machine does reaches both; the table gives
the median time, and the median and range of the ratios within a round. tangermeme computes every mutant in full in jobs
that it expects to take less than 30 seconds, such as these; ``fast`` is its own computation of windows alone (fastISM),
which is forced here by setting that limit to 0, and takes in capturing the network. Weights are as initialised.

Run: ``python benchmarks/mutagenesis.py --sequences 16 --rounds 7`` (needs ``pip install tangermeme``)
"""

import argparse
import time
import warnings
from collections.abc import Callable
from statistics import median
from unittest.mock import patch

import torch
from tangermeme.saturation_mutagenesis import saturation_mutagenesis
from torch import Tensor

from zoo.encode.dna import random_codes
from zoo.encode.one_hot import one_hot
from zoo.explain.mutagenesis import mutagenesis
from zoo.models import CNN1D
from zoo.spec import Spec, Target

LENGTH = 200
NETWORKS = {
    "one layer": {"filters": [32], "widths": [12]},
    "three layers": {"filters": [64, 64, 64], "widths": [7, 5, 3], "pool_widths": [2, 2, 1], "hidden": [64]},
    "three layers, flattened": {
        "filters": [64, 64, 64],
        "widths": [7, 5, 3],
        "pool_widths": [2, 2, 1],
        "global_pooling": False,
        "normalisation": "batch",
        "hidden": [64],
    },
}


def built(options: dict) -> CNN1D:
    """A network of two classes."""
    torch.manual_seed(0)
    modality = {"kind": "sequence", "shape": [LENGTH], "features": ["sequence"]}
    target = Target(kind="binary", name="bound", classes=["no", "yes"], unit="")
    return CNN1D(spec=Spec(modalities={"dna": modality}, target=target, id=""), **options).eval()


def peer(model: CNN1D, codes: Tensor) -> Tensor:
    """Effects by tangermeme, in our layout."""
    found = saturation_mutagenesis(
        model.network, one_hot(codes), raw_outputs=True, device="cpu", dtype=torch.float32, batch_size=512
    )
    return (found.y_hat - found.y0[:, None, None]).transpose(1, 2)


def fast_peer(model: CNN1D, codes: Tensor) -> Tensor:
    """The same with its windows."""
    with patch("tangermeme.saturation_mutagenesis._FAST_MIN_SECONDS", 0), warnings.catch_warnings():
        warnings.simplefilter("error")
        return peer(model, codes)


def timed(run: Callable[[CNN1D, Tensor], Tensor], model: CNN1D, codes: Tensor) -> tuple[float, Tensor]:
    """Processor seconds, and what came out."""
    begin = time.process_time()
    effects = run(model, codes)
    return time.process_time() - begin, effects


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    codes = random_codes(args.sequences, LENGTH, 0) % 4
    print(f"{args.sequences} sequences of {LENGTH} bases, {args.rounds} rounds")
    print(f"{'network':<26}{'peer':<18}{'CPU s':>7}{'ours':>8}{'ratio':>8}   {'range':<14}{'largest difference':>18}")
    for name, options in NETWORKS.items():
        model = built(options)
        for label, run in {"tangermeme": peer, "tangermeme fast": fast_peer}.items():
            pairs = [(timed(mutagenesis, model, codes), timed(run, model, codes)) for _ in range(args.rounds + 1)][1:]
            ratios = sorted(theirs[0] / ours[0] for ours, theirs in pairs)
            difference = (pairs[0][0][1] - pairs[0][1][1]).abs().max()
            print(
                f"{name:<26}{label:<18}{median(theirs[0] for _, theirs in pairs):>7.2f}"
                f"{median(ours[0] for ours, _ in pairs):>8.3f}{median(ratios):>8.1f}   "
                f"{f'{ratios[0]:.1f} to {ratios[-1]:.1f}':<14}{difference:>18.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()

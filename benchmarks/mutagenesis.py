"""In-silico mutagenesis beside tangermeme's: CPU time on one thread, for the same network and sequences.

Each round runs both alternately in one process, so that other load on the machine affects both; the table gives
median times, and the median and range of the ratios within a round. Weights are as initialised. tangermeme may choose
its own computation of windows (fastISM); it does so in jobs that would else take it more than 30 seconds, if a trial
shows that they are faster, which these networks are not at this length. Its batches are of 64, where it is fastest.

Run: ``python benchmarks/mutagenesis.py --sequences 16 --rounds 7`` (needs ``pip install tangermeme``)
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
from _common import parser, peer, smoke
from torch import Tensor

from zoo.encode.dna import random_codes
from zoo.encode.one_hot import one_hot
from zoo.explain.dna.mutagenesis import mutagenesis
from zoo.models.predict.cnn1d import CNN1D
from zoo.spec import Modality, Spec, Target

LENGTH = 200
THREE = {"filters": [64, 64, 64], "widths": [7, 5, 3], "pool_widths": [2, 2, 1], "hidden": [64]}
NETWORKS: dict[str, dict[str, Any]] = {
    "one layer": {"filters": [32], "widths": [12]},
    "one layer, both strands": {"filters": [32], "widths": [12], "reverse_complement": "average"},
    "three layers": THREE,
    "three layers, flattened": {**THREE, "global_pooling": False, "normalisation": "batch"},
}


def built(options: dict[str, Any]) -> CNN1D:
    """A network of two classes."""
    torch.manual_seed(0)
    modality = Modality(kind="sequence", shape=[LENGTH], features=["sequence"])
    target = Target(kind="binary", name="bound", classes=["no", "yes"], unit="")
    return CNN1D(spec=Spec(modalities={"sequence": modality}, target=target, id=""), **options).eval()


def theirs(tangermeme: Any, model: CNN1D, codes: Tensor) -> Tensor:
    """Effects by tangermeme, in our layout: ``(sequences, length, 4, 1)``."""
    options = {"raw_outputs": True, "device": "cpu", "batch_size": 64}
    found = tangermeme.saturation_mutagenesis(model.network, one_hot(codes), **options)
    effects: Tensor = (found.y_hat - found.y0[:, None, None]).transpose(1, 2)
    return effects


def timed(run: Callable[[CNN1D, Tensor], Tensor], model: CNN1D, codes: Tensor) -> tuple[float, Tensor]:
    """Processor seconds, and the effects."""
    begin = time.process_time()
    effects = run(model, codes)
    return time.process_time() - begin, effects


def main() -> None:
    """Print the table."""
    smoke(globals(), "--sequences=2", "--rounds=1")
    command = parser(__doc__)
    command.add_argument("--sequences", type=int, default=16)
    command.add_argument("--rounds", type=int, default=7)
    args = command.parse_args()
    torch.set_num_threads(1)
    contestants = {"ours": mutagenesis}
    if tangermeme := peer("tangermeme.saturation_mutagenesis"):
        contestants["tangermeme"] = partial(theirs, tangermeme)
    codes = random_codes(args.sequences, LENGTH, 0) % 4  # tangermeme takes no N
    print(f"{args.sequences} sequences of {LENGTH} bases, {args.rounds} rounds; CPU seconds, one thread")
    print(f"{'network':<26}{'ours':>10}{'tangermeme':>12}{'ratio':>8}   {'range':<15}{'largest difference':>18}")
    for name, options in NETWORKS.items():
        model = built(options)
        rounds = [{who: timed(run, model, codes) for who, run in contestants.items()} for _ in range(args.rounds + 1)][
            1:
        ]
        line = f"{name:<26}{median(one['ours'][0] for one in rounds):>10.4f}"
        if tangermeme:
            ratios = sorted(one["tangermeme"][0] / one["ours"][0] for one in rounds)
            line += f"{median(one['tangermeme'][0] for one in rounds):>12.3f}{median(ratios):>8.1f}   "
            difference = (rounds[0]["ours"][1] - rounds[0]["tangermeme"][1]).abs().max()
            line += f"{f'{ratios[0]:.1f} to {ratios[-1]:.1f}':<15}{difference:>18.1e}"
        print(line, flush=True)


if __name__ == "__main__":
    main()

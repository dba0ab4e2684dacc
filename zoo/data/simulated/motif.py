"""Simulated DNA sequences with a known motif; the same seed gives the same data on every machine."""

from random import Random

import pandas as pd

MOTIF = "CGACCGAACTCC"


def motif_simulation(seed: int = 0, samples: int = 2000, length: int = 50, motif: str = MOTIF) -> pd.DataFrame:
    """Random DNA sequences, half of which contain a motif: the task of Zou et al. 2019, doi:10.1038/s41588-018-0295-5.

    Args:
        seed: Seed of bases, positions and order.
        samples: Number of sequences; half of them contain the motif.
        length: Number of bases of each sequence.
        motif: Inserted at a position drawn uniformly.

    Returns:
        One row per sequence: ``sequence`` and ``bound`` (yes or no).
    """
    random = Random(seed)
    rows = []
    for number in range(samples):
        sequence = "".join(random.choices("ACGT", k=length))
        if bound := number % 2 == 0:
            start = random.randrange(length - len(motif) + 1)
            sequence = sequence[:start] + motif + sequence[start + len(motif) :]
        rows.append((sequence, "yes" if bound else "no"))
    random.shuffle(rows)
    return pd.DataFrame(rows, columns=["sequence", "bound"])

"""Made-up data sets with a known truth, the same for the same seed on every machine."""

from random import Random

import pandas as pd

MOTIF = "CGACCGAACTCC"


def motif_simulation(seed: int = 0, samples: int = 2000, length: int = 50, motif: str = MOTIF) -> pd.DataFrame:
    """Random DNA, half of it carrying a motif: the task of Zou et al. 2019, doi:10.1038/s41588-018-0295-5.

    Args:
        seed: Of the random bases, places and order.
        samples: Number of sequences; every second one carries the motif.
        length: Bases of each.
        motif: Put at a place drawn from all at which it fits.

    Returns:
        One row a sequence: ``sequence`` and ``bound`` (yes or no).
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

"""Simulated survival data with a known hazard; the same seed gives the same data on every machine."""

import math
from random import Random

import pandas as pd

STAGES = {"I": 0.25, "II": 0.35, "III": 0.25, "IV": 0.15}
SHAPE, SCALE = 1.3, 1200.0  # of the Weibull distribution; days
OPENED, CLOSED = 400, 3000  # days from the first and from the last entry to the end of the study


def patients(seed: int = 0, count: int = 600) -> pd.DataFrame:
    """A cohort with clinical columns, blood values and transcripts; times to death follow a Weibull distribution.

    Hazards are proportional. The log hazard (`planted_log_hazard`) increases linearly with age, stage, C-reactive
    protein and transcript_1, decreases with albumin and transcript_2, is lowest at a body mass index of 25 (U-shaped),
    and is decreased by treatment only in patients with the mutation. Sex, creatinine, transcript_3 and transcript_4
    have no effect. Patients enter throughout the study, and those alive at its end are censored.

    Args:
        seed: Seed of all random draws.
        count: Number of patients.

    Returns:
        One row per patient: ``patient``, the features, ``time`` from entry to death or to the end of the study in days,
        and ``dead`` (1, or 0 if censored). Some blood values are missing.
    """
    return _cohort(seed, count)[0]


def planted_log_hazard(seed: int = 0, count: int = 600) -> pd.Series:
    """The true log hazard ratio of each of the `patients`: the best possible prediction, except by chance."""
    return _cohort(seed, count)[1]


def _cohort(seed: int, count: int) -> tuple[pd.DataFrame, pd.Series]:
    random = Random(seed)
    rows, hazards = zip(*(_patient(random, number) for number in range(1, count + 1)), strict=True)
    frame = pd.DataFrame(rows)
    return frame, pd.Series(hazards, index=frame["patient"], name="log_hazard")


def _patient(random: Random, number: int) -> tuple[dict[str, str | float | None], float]:
    age, weight, inflamed, fed, kidney = (random.gauss(0, 1) for _ in range(5))
    transcripts = [random.gauss(0, 1) for _ in range(4)]
    (stage,) = random.choices(list(STAGES), list(STAGES.values()))
    female, treated, mutated = random.random() < 0.48, random.random() < 0.5, random.random() < 0.4
    fed -= 0.4 * inflamed  # albumin falls with inflammation
    transcripts[2] += 0.6 * transcripts[0]  # correlated with one that has an effect
    log_hazard = (
        0.45 * age
        + 0.5 * (list(STAGES).index(stage) - 1.3)
        + 0.4 * inflamed
        - 0.35 * fed
        + 0.4 * (weight * weight - 1)
        + 0.5 * transcripts[0]
        - 0.3 * transcripts[1]
        - 1.2 * (treated and mutated)
    )
    died = SCALE * (-math.log(1 - random.random()) / math.exp(log_hazard)) ** (1 / SHAPE)
    followed = random.uniform(OPENED, CLOSED)
    albumin, protein = 40 + 4.5 * fed, math.exp(1.6 + 0.9 * inflamed)
    row: dict[str, str | float | None] = {
        "patient": f"p{number:03}",
        "age": round(min(max(64 + 10 * age, 25), 95)),
        "sex": "f" if female else "m",
        "bmi": round(25 + 3.5 * weight, 1),
        "stage": stage,
        "treatment": "yes" if treated else "no",
        "mutation": "yes" if mutated else "no",
        "albumin": None if random.random() < 0.05 else round(albumin, 1),
        "c_reactive_protein": None if random.random() < 0.08 else round(protein, 2),
        "creatinine": round(math.exp(4.35 + 0.25 * kidney)),
        **{f"transcript_{place}": round(8 + 1.5 * value, 3) for place, value in enumerate(transcripts, 1)},
        "time": max(1, math.ceil(min(died, followed))),
        "dead": int(died <= followed),
    }
    return row, log_hazard

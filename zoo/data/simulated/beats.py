"""Simulated heartbeats with known labels; the same seed gives the same data on every machine."""

from collections.abc import Iterator
from random import Random

import numpy as np
import pandas as pd

RATE, LENGTH, R_PEAK = 200, 140, 50  # Hz, number of time points, time point of the R peak
CLASSES = {"normal": 0.5, "ectopic": 0.25, "st_elevation": 0.25}
WAVES = {  # of a normal beat: time from the R peak in s, amplitude in microvolts, width (standard deviation) in s
    "P": (-0.16, 120.0, 0.022),
    "Q": (-0.028, -110.0, 0.008),
    "R": (0.0, 1000.0, 0.011),
    "S": (0.028, -220.0, 0.009),
    "T": (0.26, 280.0, 0.045),
}
Waves = dict[str, tuple[float, float, float]]


def beats(seed: int = 0, patients: int = 60, each: int = 20) -> pd.DataFrame:
    """Single-lead heartbeats: sums of Gaussians for the P, Q, R, S and T waves, after McSharry et al. 2003.

    Each patient has individual amplitudes, widths and times of the waves, and an individual level of the ST segment,
    heart rate, baseline wander and noise. An ectopic beat is premature: it has no P wave (the end of the last T wave is
    there instead), a wide QRS complex and a T wave of opposite sign. An ST-elevated beat has its ST segment raised by
    0.1 to 0.3 mV. Some patients have a flat P wave, a wide QRS complex or a negative T wave in their normal beats, so
    that no single sign distinguishes the classes. (McSharry PE, Clifford GD, Tarassenko L, Smith LA 2003,
    doi:10.1109/TBME.2003.805208)

    Args:
        seed: Seed of all random draws.
        patients: Number of patients.
        each: Number of beats per patient.

    Returns:
        One row per beat: ``patient``, ``beat`` (normal, ectopic or st_elevation), and the signal in integer microvolts
        at 200 Hz, ``t0`` to ``t139``; the R peak is near ``t50``.
    """
    random = Random(seed)
    rows = [row for number in range(patients) for row in _patient(random, f"p{number + 1:02}", each)]
    columns = ["patient", "beat", *(f"t{time}" for time in range(LENGTH))]
    return pd.DataFrame(rows, columns=columns)


def _patient(random: Random, name: str, each: int) -> Iterator[list[str | int]]:
    waves = {
        wave: (
            place * random.uniform(0.9, 1.1),
            height * random.lognormvariate(0, 0.3),
            width * random.uniform(0.8, 1.25),
        )
        for wave, (place, height, width) in WAVES.items()
    }
    if random.random() < 0.15:
        waves["P"] = (waves["P"][0], 0.2 * waves["P"][1], waves["P"][2])
    if random.random() < 0.15:
        waves["T"] = (waves["T"][0], -0.6 * waves["T"][1], waves["T"][2])
    if random.random() < 0.15:
        waves = _widened(waves, random.uniform(1.4, 1.9))
    segment, interval = random.gauss(0, 35), random.uniform(0.6, 1.1)  # microvolts, s from beat to beat
    wander, noise = random.uniform(30, 150), random.uniform(30, 50)  # microvolts
    for _ in range(each):
        (label,) = random.choices(list(CLASSES), list(CLASSES.values()))
        here = interval * random.uniform(0.92, 1.08)
        level = segment + random.gauss(0, 15)
        signal = _beat(random, label, waves, level, here)
        phase, frequency = random.uniform(0, 2 * np.pi), random.uniform(0.15, 0.5)
        signal = signal + wander * np.sin(phase + 2 * np.pi * frequency * np.arange(LENGTH) / RATE)
        signal = signal + [random.gauss(0, noise) for _ in range(LENGTH)]
        yield [name, label, *map(int, np.rint(signal))]


def _beat(random: Random, label: str, waves: Waves, level: float, interval: float) -> np.ndarray:
    """One beat in microvolts, without baseline wander and noise, ``shape=(140,)``."""
    time = (np.arange(LENGTH) - R_PEAK - random.gauss(0, 3)) / RATE
    stretch = interval**0.5  # of the QT interval (Bazett)
    last = waves["T"]  # of the previous beat
    if label == "ectopic":
        interval *= random.uniform(0.55, 0.8)
        waves = _widened(waves, random.uniform(1.3, 2.4))
        place, height, width = waves["T"]
        waves = {**waves, "P": (0.0, 0.0, 1.0), "T": (place, -height * random.uniform(0.6, 1.4), width)}
    if label == "st_elevation":
        level += random.uniform(100, 300)
    signal = np.zeros(LENGTH)
    for wave, (place, height, width) in waves.items():
        scale = stretch if wave == "T" else 1.0
        signal += height * random.uniform(0.85, 1.15) * _gaussian(time, place * scale, width * scale)
    signal += last[1] * _gaussian(time, last[0] * stretch - interval, last[2] * stretch)
    start, end = waves["S"][0] + 2 * waves["S"][2], waves["T"][0] * stretch
    rise, fall = 1 / (1 + np.exp((start - time) / 0.008)), 1 / (1 + np.exp((time - end) / 0.025))
    result: np.ndarray = signal + level * rise * fall
    return result


def _widened(waves: Waves, by: float) -> Waves:
    """Waves with a wider QRS complex."""
    return {n: (p * by, h, w * by) if n in "QRS" else (p, h, w) for n, (p, h, w) in waves.items()}


def _gaussian(time: np.ndarray, place: float, width: float) -> np.ndarray:
    result: np.ndarray = np.exp(-((time - place) ** 2) / (2 * width**2))
    return result

"""Simulated patients with three omics and known latent factors; the same seed gives the same data on every machine."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...errors import check_choice, check_range
from .expression import _negative_binomial, _normal

FEATURES = {
    "rna": ("gene", 300),
    "methylation": ("cg", 200),
    "mirna": ("mir", 100),
}  # prefix of names, number of features
STRENGTH = {"rna": 1.0, "methylation": 0.7, "mirna": 0.4}
MISSING = {"rna": 0.0, "methylation": 0.2, "mirna": 0.2}
SHARED, PRIVATE = 4, 2  # number of factors shared by all modalities, and of those specific to each
LOADED, LOADING = (
    0.1,
    (0.5, 1.0),
)  # fraction of loaded features; range of loadings in deviations of the noise
# Relative loadings of each modality on each shared factor; no modality alone identifies all factors.
EMPHASIS = {"rna": (1.0, 0.5, 1.0, 0.5), "methylation": (0.7, 1.4, 0.7, 1.4), "mirna": (1.0, 1.0, 1.0, 1.0)}
NOISE = 0.5  # standard deviation, on a logarithmic scale
SIZE, DEPTH = (
    4.0,
    0.3,
)  # of the negative binomial (deviation of logarithms about NOISE); of sequencing depth
CLASSES, SHARPNESS = ("A", "B", "C"), 5.5  # logits of the subtype, by standard deviation of a factor
HAZARD, AGEING = (0.0, 0.7, 1.0, 0.0), 0.3  # log hazard, by standard deviation of each shared factor and of age
AGE, SPREAD = 62, 11  # mean and standard deviation, years
SHAPE, SCALE = 1.3, 1000.0  # of the Weibull distribution; days
FOLLOWED = (200.0, 1800.0)  # shortest and longest time to the end of the study; days


@dataclass(frozen=True)
class Truth:
    """Parameters from which `multiomics` simulated its patients.

    Attributes:
        factors: One row per patient, one column per factor, each standard normal: ``shared1`` to ``shared4``, then
            those specific to one modality (``rna1``, ``rna2``, ``methylation1``, ...).
        loadings: For each modality one row per feature and one column per factor, in standard deviations of the noise;
            0 where the factor does not load on the feature.
        probabilities: Probability of each subtype given the factors, one row per patient.
        log_hazard: Logarithm of the hazard ratio of each patient.
        outcome: Times in days and events, ``shape=(patients, 2)``.
    """

    factors: pd.DataFrame
    loadings: dict[str, pd.DataFrame]
    probabilities: pd.DataFrame
    log_hazard: pd.Series
    outcome: np.ndarray

    @property
    def subtype_features(self) -> dict[str, list[str]]:
        """For each modality, the features on which a factor of the subtype (shared 1 or 2) loads."""
        return self._loaded(["shared1", "shared2"])

    @property
    def hazard_features(self) -> dict[str, list[str]]:
        """For each modality, the features on which a factor of the hazard (shared 2 or 3) loads."""
        return self._loaded([f"shared{number}" for number, effect in enumerate(HAZARD, 1) if effect])

    def _loaded(self, factors: list[str]) -> dict[str, list[str]]:
        return {name: list(table.index[(table[factors] != 0).any(axis=1)]) for name, table in self.loadings.items()}

    @property
    def accuracy(self) -> float:
        """Expected accuracy of the most probable subtype given the factors (Bayes accuracy)."""
        return float(self.probabilities.max(axis=1).mean())

    @property
    def c_index(self) -> float:
        """Harrell's concordance index of the true log hazard in these patients.

        Raises:
            InputError: scikit-survival is not installed.
        """
        from ...training.survival_metrics import concordance

        return concordance(self.log_hazard.to_numpy(), self.outcome)


def multiomics(
    patients: int = 2000,
    seed: int = 0,
    strength: Mapping[str, float] = STRENGTH,
    missing: Mapping[str, float] = MISSING,
) -> dict[str, pd.DataFrame]:
    """Patients with gene expression, DNA methylation and microRNAs, a subtype, and times to death.

    A linear factor model with sparse loadings, a simple form of that of MOFA (Argelaguet et al. 2018,
    doi:10.15252/msb.20178124). Four shared factors load on features of all modalities, and two more on features of each
    modality alone, each on its own tenth of the features; the remaining features are noise. RNA is most informative
    about shared factors 1 and 3, methylation about 2 and 4, and microRNA weakly about all.

    The subtype (three classes) is drawn from its probabilities given shared factors 1 and 2. For 2,000 patients, the
    most probable subtype is correct in 91% if these factors are known, and in 86% if all loadings and the complete
    omics are known. The log hazard is linear in shared factors 2 and 3 and in age; times are Weibull (Bender et al.
    2005, doi:10.1002/sim.2059), and censoring is independent of all else. Sex, shared factor 4 and the factors of
    single modalities are unrelated to both outcomes.

    Loadings depend on the seed only; factors and outcomes depend on neither ``strength`` nor ``missing``. `truth`
    returns the parameters.

    Args:
        patients: Number of patients.
        seed: Seed of all random draws.
        strength: For each modality the factor that multiplies the loadings of the shared factors; 0 if not listed.
        missing: For each modality the probability that it is missing for a patient, completely at random; 0 if not
            listed, so that ``{}`` gives complete data. Every patient has at least one modality.

    Returns:
        Tables, each with the column ``patient`` (p0001, ...) first:

        - ``samples``: ``age`` in years, ``sex``, ``subtype`` (A, B, C), ``time`` from entry to death or to the end of
          the study in days, and ``event`` (1 died, 0 censored).
        - ``rna``: log2 values of gene001 to gene300.
        - ``methylation``: beta values of cg001 to cg200, between 0 and 1.
        - ``mirna``: counts of mir001 to mir100.

        A patient who lacks a modality has no row in its table.

    Raises:
        InputError: No patients, an unknown modality, a negative strength, or a probability outside 0 to 1.
    """
    return _cohort(patients, seed, strength, missing)[0]


def truth(patients: int = 2000, seed: int = 0, strength: Mapping[str, float] = STRENGTH) -> Truth:
    """Parameters of the simulation `multiomics` for the same arguments; they do not depend on ``missing``.

    Raises:
        InputError: As `multiomics`.

    Example:
        >>> truth(patients=200).subtype_features["mirna"][:3]
        ['mir001', 'mir003', 'mir004']
    """
    return _cohort(patients, seed, strength, {})[1]


def checksum(tables: Mapping[str, pd.DataFrame]) -> str:
    """sha256 of several tables: their names in alphabetical order, each followed by the table as CSV."""
    digest = hashlib.sha256()
    for name in sorted(tables):
        digest.update(f"{name}\n".encode())
        digest.update(tables[name].to_csv(index=False, lineterminator="\n").encode())
    return digest.hexdigest()


def _cohort(
    patients: int, seed: int, strength: Mapping[str, float], missing: Mapping[str, float]
) -> tuple[dict[str, pd.DataFrame], Truth]:
    """Tables and parameters; for all arguments, the same numbers are drawn in the same order."""
    check_range("patients", patients, 1)
    for what, given, highest in (("strength", strength, np.inf), ("missing", missing, 1)):
        for name, value in given.items():
            check_choice(f"{what}: modality", name, FEATURES)
            check_range(f"{what} of {name}", value, 0, highest)
    rng = np.random.Generator(np.random.PCG64(seed))
    loadings = {name: _loadings(rng, name, strength.get(name, 0)) for name in FEATURES}
    level = {name: _normal(rng, len(table)) for name, table in loadings.items()}
    names = pd.Index([f"p{number:04}" for number in range(1, patients + 1)], name="patient")
    columns = list(dict.fromkeys(factor for table in loadings.values() for factor in table))
    factors = pd.DataFrame(_normal(rng, (patients, len(columns))), index=names, columns=columns)
    samples, probabilities, log_hazard = _patients(rng, factors.to_numpy()[:, :SHARED])
    measured = _measured(rng, patients, [missing.get(name, 0) for name in FEATURES])
    tables = {"samples": samples.set_axis(names)}
    for place, (name, table) in enumerate(loadings.items()):
        signal = factors[table.columns].to_numpy() @ table.to_numpy().T
        values = _values(rng, name, signal, level[name])
        tables[name] = pd.DataFrame(values, index=names, columns=table.index)[measured[:, place]]
    known = Truth(
        factors=factors,
        loadings=loadings,
        probabilities=pd.DataFrame(probabilities, index=names, columns=list(CLASSES)),
        log_hazard=pd.Series(log_hazard, index=names, name="log_hazard"),
        outcome=samples[["time", "event"]].to_numpy(float),
    )
    return {name: table.reset_index() for name, table in tables.items()}, known


def _loadings(rng: np.random.Generator, name: str, strength: float) -> pd.DataFrame:
    """One row per feature, one column per factor; at most one factor loads on a feature."""
    letters, count = FEATURES[name]
    of = np.argsort(np.argsort(rng.random(count))) // int(LOADED * count)
    size = LOADING[0] + (LOADING[1] - LOADING[0]) * rng.random(count)
    size *= np.where(rng.random(count) < 0.5, -1, 1)
    weight = np.array([*(strength * share for share in EMPHASIS[name]), *[1.0] * PRIVATE])
    return pd.DataFrame(
        np.where(of[:, None] == np.arange(SHARED + PRIVATE), size[:, None] * weight, 0.0),
        index=[f"{letters}{number:03}" for number in range(1, count + 1)],
        columns=[f"shared{n}" for n in range(1, SHARED + 1)] + [f"{name}{n}" for n in range(1, PRIVATE + 1)],
    )


def _patients(rng: np.random.Generator, shared: np.ndarray) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Sample table, probabilities of the subtypes, and log hazards, by shared factors ``shape=(patients, SHARED)``."""
    patients = len(shared)
    angle = 2 * np.pi * np.arange(len(CLASSES)) / len(CLASSES)
    probabilities = np.exp(SHARPNESS * shared[:, :2] @ np.array([np.cos(angle), np.sin(angle)]))
    probabilities /= probabilities.sum(1, keepdims=True)
    subtype = (rng.random(patients)[:, None] >= probabilities.cumsum(1)[:, :-1]).sum(1)
    age = np.rint(AGE + SPREAD * _normal(rng, patients)).clip(30, 90)
    log_hazard = shared @ np.array(HAZARD) + AGEING * (age - AGE) / SPREAD
    died = SCALE * (-np.log1p(-rng.random(patients)) / np.exp(log_hazard)) ** (1 / SHAPE)
    followed = FOLLOWED[0] + (FOLLOWED[1] - FOLLOWED[0]) * rng.random(patients)
    samples = pd.DataFrame(
        {
            "age": age.astype(int),
            "sex": np.where(rng.random(patients) < 0.5, "f", "m"),
            "subtype": np.array(CLASSES)[subtype],
            "time": np.ceil(np.minimum(died, followed)).clip(1).astype(int),
            "event": (died <= followed).astype(int),
        }
    )
    return samples, probabilities, log_hazard


def _measured(rng: np.random.Generator, patients: int, chances: list[float]) -> np.ndarray:
    """True where measured, ``shape=(patients, modalities)``; a patient who would lack all keeps the likeliest."""
    above = rng.random((patients, len(chances))) - chances
    measured: np.ndarray = (above >= 0) | (above == above.max(1, keepdims=True))
    return measured


def _values(rng: np.random.Generator, name: str, signal: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Measured values, from the weighted sum of factors and a standard normal level of each feature."""
    if name == "mirna":
        depth = np.exp(DEPTH * _normal(rng, (len(signal), 1)))
        expected = depth * np.exp(4 + level + NOISE * signal)
        return _negative_binomial(rng.random(signal.shape), expected, np.array([SIZE]))
    natural = 1.5 * level + NOISE * (signal + _normal(rng, signal.shape))
    share = (1 / (1 + np.exp(-natural))).round(4).clip(0.0001, 0.9999)
    values: np.ndarray = share if name == "methylation" else (7 + natural).round(3)
    return values

"""Section ``simulated`` of ``accuracy_multiomics.py``: CustOmics on three omics of 2,000 simulated patients.

For each of three cohorts, on which no option was chosen: how well the simulated shared factors are recovered from its
latent spaces, its accuracy and C-index beside the best possible ones, and the loss if modalities are missing completely
at random, in training and test data. A factor is estimated by least squares fitted on training rows, and correlated
with the truth on test rows; so are the canonical correlations of scikit-learn, of which the smallest is shown.

    factors known     true probabilities and hazards, which predictions from the omics cannot reach
    loadings known    the factor of each feature is known, its loading is estimated from the true factors of training
                      rows, and factors are estimated by their posterior mean given all measurements: the best possible
    recipe            ``customics_simulated``; its small weights of the targets, which also retain factors without
                      information on them, were chosen on validation rows of cohorts 0 and 1
    heavy targets     the same with usual weights, chosen for accuracy and C-index only

Inputs of the simple models are the mean where a modality is missing, and indicators of missing modalities.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import resize
from lightning.pytorch import seed_everything
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import LogisticRegression

from zoo import runs
from zoo.data import MultiOmicsData
from zoo.data.simulated.multiomics import CLASSES, FEATURES, HAZARD, SHARED, Truth, multiomics, truth
from zoo.models.fusion.customics import CustOmics
from zoo.parsing import CLI
from zoo.report.prediction.survival import _cox
from zoo.training.survival_metrics import concordance, structured

PATIENTS, COHORTS, SHARES = 2000, (10, 11, 12), (0.0, 0.1, 0.2, 0.3, 0.5)
SCALES = {"rna": "log", "methylation": "beta", "mirna": "counts"}
OPTIONS = {
    "heavy targets": [
        "--model.l1=0.01",
        "--model.target_weight=5",
        '--data.also={"survival": {"target": "time", "event": "event", "weight": 1}}',
        "--model.lr=0.001",
        "--trainer.max_epochs=60",
    ],
    "recipe": [],
}
BEST, POSSIBLE, SIMPLE = "factors known", "loadings known", "logistic regression, Cox elastic net"
Scores = tuple[float, float]  # accuracy and C-index of the test rows


def make_small() -> None:
    """Sizes of ``--smoke``."""
    resize(globals(), PATIENTS=150, COHORTS=(10,), SHARES=(0.0, 0.3))


def simulated(folder: Path) -> None:
    """Factors, answers, and what is lost without modalities."""
    scores: dict[tuple[str, float], list[Scores]] = defaultdict(list)
    read: dict[str, list[np.ndarray]] = defaultdict(list)
    seconds: list[float] = []
    for cohort in COHORTS:
        known = truth(PATIENTS, cohort)
        for share in SHARES:
            options = ["--config", "customics_simulated", *written(folder, cohort, share)]
            for name, more in OPTIONS.items():
                model, data, taken = trained([*options, *more], cohort)
                seconds.append(taken)
                scores[f"CustOmics, {name}", share].append(of_model(model, data))
                if not share:
                    for space, z in spaces(model, data):
                        read[f"{name}, {space}"].append(readable(z, data, known))
            factors = informed(data, known)
            scores[SIMPLE, share].append(of_simple(data))
            scores[POSSIBLE, share].append(of_factors(factors, data, known))
            scores[BEST, share].append(of_factors(own(known.factors, data), data, known))
            if not share:
                read[POSSIBLE].append(readable(factors[:, :SHARED], data, known))
    sizes = data.samples["split"].value_counts()
    print(f"\nSimulated cohorts {', '.join(map(str, COHORTS))}: each {sizes['train']:,} patients to train,")
    print(f"{sizes['validation']} to stop early by, {sizes['test']} to test; mean ± standard deviation over cohorts")
    print(f"CPU seconds of a training: {spread(seconds, '.1f')}")
    print("\nCorrelation of each shared factor with what is rebuilt from a latent space; wanted 0.9; nothing missing")
    row("", *(f"shared {number}" for number in range(1, SHARED + 1)), "smallest of CCA")
    for name, found in read.items():
        row(name, *(spread(column) for column in np.array(found).T))
    tables(scores)


def tables(scores: dict[tuple[str, float], list[Scores]]) -> None:
    """Answers with all modalities, and points lost without some."""
    names = list(dict.fromkeys(name for name, _ in scores))
    print("\nAnswers, nothing missing; wanted: a C-index within 0.01 of that of the true hazards on the same rows")
    row("", "accuracy", "C-index", "less accuracy", "less C-index")
    for name in reversed(names):
        values = np.array(scores[name, 0.0])
        apart = values - np.array(scores[BEST, 0.0])
        row(name, *(spread(one) for one in values.T), *(spread(one, "+.3f") for one in apart.T))
    for place, measure in enumerate(("accuracy", "C-index")):
        print(f"\nPoints of {measure} lost if each modality is missing with a chance of; wanted 3 at most at 30%")
        row("", *(f"{share:.0%}" for share in SHARES[1:]))
        for name in names[:-1]:  # who knows the factors loses nothing
            whole = np.array(scores[name, 0.0])[:, place]
            row(name, *(spread(100 * (whole - np.array(scores[name, s])[:, place]), ".1f") for s in SHARES[1:]))


def written(folder: Path, cohort: int, share: float) -> list[str]:
    """Tables of a cohort, and the options that read them; the cohort is the seed of the split too."""
    for name, table in multiomics(PATIENTS, cohort, missing=dict.fromkeys(FEATURES, share)).items():
        table.to_csv(folder / f"{name}.csv", index=False)
    modalities = {name: {"path": str(folder / f"{name}.csv"), "scale": scale} for name, scale in SCALES.items()}
    paths = [f"--data.path={folder}/samples.csv", f"--data.modalities={json.dumps(modalities)}", "--data.id=patient"]
    also = {"survival": {"target": "time", "event": "event"}}
    paths += ["--data.clinical=[age]", f"--data.also={json.dumps(also)}"]
    return [*paths, "--data.target=subtype", f"--data.seed={cohort}", "--trainer.accelerator=cpu"]


def trained(options: list[str], seed: int) -> tuple[CustOmics, MultiOmicsData, float]:
    """A model, its data, and the CPU seconds of the training."""
    cli = CLI(options)
    seed_everything(seed, workers=True, verbose=False)
    data = cli.make_data()
    assert isinstance(data, MultiOmicsData)
    _, start = data.dataset, time.process_time()
    model = runs.fit_data(cli, data)
    assert isinstance(model, CustOmics)
    return model, data, time.process_time() - start


def own(table: Any, data: MultiOmicsData) -> np.ndarray:
    """Rows of a table of the truth in the order of the data."""
    return np.asarray(table.loc[data.dataset.samples.index], float)


@torch.inference_mode()
def spaces(model: CustOmics, data: MultiOmicsData) -> Iterator[tuple[str, np.ndarray]]:
    """The central latent space and that of each of the omics, of all samples."""
    x = data.dataset.x[torch.arange(len(data.dataset.y))]
    yield "central", model.eval().embed(x).numpy()
    for name, z in model.body.latents(model.encode(x)).items():
        if name in FEATURES:
            yield name, z.numpy()


def readable(z: np.ndarray, data: MultiOmicsData, known: Truth) -> np.ndarray:
    """Correlation of each shared factor with what is rebuilt of it, and the smallest canonical correlation."""
    train, test = (data.dataset.rows(split).numpy() for split in ("train", "test"))
    factors, with_one = own(known.factors, data)[:, :SHARED], np.column_stack([np.ones(len(z)), z])
    built = with_one[test] @ np.linalg.lstsq(with_one[train], factors[train])[0]
    pairs = [*zip(built.T, factors[test].T, strict=True)]
    a, b = CCA(SHARED, max_iter=5000).fit(z[train], factors[train]).transform(z[test], factors[test])
    return np.array(
        [
            *(np.corrcoef(one, other)[0, 1] for one, other in pairs),
            min(np.corrcoef(one, other)[0, 1] for one, other in zip(a.T, b.T, strict=True)),
        ]
    )


def of_answers(classes: np.ndarray, risk: np.ndarray, data: MultiOmicsData) -> Scores:
    """Accuracy and C-index of answers for the test rows."""
    content, test = data.dataset, data.dataset.rows("test")
    right = classes == content.y[test].numpy()
    return float(right.mean()), concordance(risk, content.also["survival"][test].numpy())


@torch.inference_mode()
def of_model(model: CustOmics, data: MultiOmicsData) -> Scores:
    """The same of CustOmics."""
    z = model.eval().embed(data.dataset.x[data.dataset.rows("test")])
    return of_answers(model.head(z).argmax(1).numpy(), model.target_heads["survival"].network(z)[:, 0].numpy(), data)


def of_simple(data: MultiOmicsData) -> Scores:
    """The same of logistic regression, and of Cox regression with an elastic net as in our reports."""
    train, test = (data.dataset.rows(split) for split in ("train", "test"))
    x, held = (data.baseline_features(rows)[""] for rows in (train, test))
    classes = LogisticRegression(max_iter=2000).fit(x, data.dataset.y[train]).predict(held)
    return of_answers(classes, _cox(x, structured(data.dataset.also["survival"][train].numpy())).predict(held), data)


def of_factors(factors: np.ndarray, data: MultiOmicsData, known: Truth) -> Scores:
    """The same of who believes in these factors of all samples."""
    angles = 2 * np.pi * np.arange(len(CLASSES)) / len(CLASSES)
    classes = (factors[:, :2] @ np.array([np.cos(angles), np.sin(angles)])).argmax(1)
    wrong = factors[:, :SHARED] - own(known.factors, data)[:, :SHARED]
    test = data.dataset.rows("test").numpy()
    return of_answers(classes[test], (own(known.log_hazard, data) + wrong @ np.array(HAZARD))[test], data)


def informed(data: MultiOmicsData, known: Truth) -> np.ndarray:
    """Likeliest factors of all samples given what was measured: the posterior mean of a factor model."""
    factors, train = own(known.factors, data), (data.dataset.samples["split"] == "train").to_numpy()
    precision = np.tile(np.eye(factors.shape[1]), (len(factors), 1, 1))
    pull = np.zeros_like(factors)
    for name, z in data.baseline_modalities(torch.arange(len(factors))).items():
        if name not in FEATURES:
            continue
        there = ~np.isnan(z).any(1)
        f, seen = factors[there & train], z[there & train]
        loaded = known.loadings[name].reindex(data.spec["modalities"][name]["features"], columns=known.factors.columns)
        loadings = seen.T @ f / np.square(f).sum(0) * (loaded.fillna(0) != 0).to_numpy()
        weighted = loadings / (seen - f @ loadings.T).var(0)[:, None]
        precision[there] += loadings.T @ weighted
        pull[there] += z[there] @ weighted
    return np.linalg.solve(precision, pull[..., None])[..., 0]


def header(packages: Iterable[str]) -> None:
    """Versions, and how busy the machine is."""
    cells = []
    for name in packages:
        try:
            cells.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            cells.append(f"{name} not installed")
    print(f"{', '.join(cells)}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, one thread", flush=True)


def row(name: str, *cells: str) -> None:
    """Print a row of a table."""
    print(f"{name:<37}" + "".join(f"{cell:>19}" for cell in cells).rstrip(), flush=True)


def spread(values: Iterable[float], digits: str = ".3f") -> str:
    """Mean and standard deviation, of one value it alone."""
    found = np.array(list(values), float)
    if len(found) == 1:
        return f"{found[0]:{digits}}{'':8}"
    return f"{np.nanmean(found):{digits}} ± {np.nanstd(found, ddof=1):{digits.strip('+')}}"

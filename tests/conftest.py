"""Shared by all tests: small tables, series, images and networks, and the command line in this process."""

import os

# Two test processes, and those that they start, share two cores; libraries read this when imported.
os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from zoo import files
from zoo.cli import main
from zoo.data import ImageData, TableData
from zoo.errors import InputError
from zoo.models import MLP
from zoo.report.images import features as image_features
from zoo.report.images import segmentation
from zoo.report.prediction import baselines, scores
from zoo.report.prediction import survival as survival_baseline
from zoo.report.synthetic import utility
from zoo.spec import Spec


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Bit-equal runs need equal numbers of threads, and importing UMAP changes them."""
    torch.set_num_threads(1)


def forest(kind: type[BaseEstimator], trees: int, **options: Any) -> BaseEstimator:
    """Of five trees, however many are asked for; so few grow faster without threads."""
    return kind(5, **{**options, "n_jobs": 1})


def few_trees(model: BaseEstimator) -> BaseEstimator:
    """The same estimator, of five trees if it has trees."""
    return clone(model).set_params(**{key: 5 for key in model.get_params() if key == "n_estimators"})


def cheap_simple_models(patch: pytest.MonkeyPatch) -> None:
    """Simple models that learn little, where they would take most of the time and are not compared."""
    for module in (baselines, segmentation):
        patch.setattr(module, "RandomForestClassifier", partial(forest, RandomForestClassifier))
    patch.setattr(baselines, "RandomForestRegressor", partial(forest, RandomForestRegressor))
    patch.setattr(survival_baseline, "TREES", 10)
    patch.setattr(survival_baseline, "PENALTIES", 3)
    patch.setattr(segmentation, "MOST_PIXELS", 20_000)
    patch.setattr(segmentation, "FOREST_PIXELS", 200)


def make_cheap(patch: pytest.MonkeyPatch) -> None:
    """Scores too from few draws and small judges, where they are only looked for."""
    cheap_simple_models(patch)
    patch.setattr(image_features, "STEPS", 5)
    patch.setattr(scores, "RESAMPLES", 10)
    patch.setattr(utility, "CLASSIFIERS", {k: few_trees(m) for k, m in utility.CLASSIFIERS.items()})
    patch.setattr(utility, "REGRESSORS", {k: few_trees(m) for k, m in utility.REGRESSORS.items()})


@pytest.fixture
def cheap_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `cheap_simple_models`."""
    cheap_simple_models(monkeypatch)


@pytest.fixture
def cheap_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `make_cheap`."""
    make_cheap(monkeypatch)


@pytest.fixture
def frame() -> pd.DataFrame:
    """80 patients: two informative numbers, a category, and an outcome."""
    rng = np.random.default_rng(0)
    age, dose = rng.normal(50, 10, 80), rng.normal(3, 1, 80)
    sick = age / 10 + dose + rng.normal(0, 0.5, 80) > 8
    return pd.DataFrame(
        {
            "patient": [f"p{i}" for i in range(80)],
            "age": age.round(1),
            "dose": dose.round(2),
            "sex": rng.choice(["f", "m"], 80),
            "outcome": np.where(sick, "sick", "well"),
        }
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def table(frame: pd.DataFrame, here: Path) -> str:
    """The patients as ``table.csv`` in the current folder."""
    frame.to_csv("table.csv", index=False)
    return "table.csv"


@pytest.fixture
def zoo_fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail as it should: one line for each problem, exit status 2; returns the lines."""

    def run(*args: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(list(args))
        assert stop.value.code == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
        assert lines
        assert "Traceback" not in lines[0]
        return "\n".join(lines)

    return run


@pytest.fixture(scope="session")
def pima() -> TableData:
    return TableData("pima")


@pytest.fixture(scope="session")
def mlp(pima: TableData) -> MLP:
    """An untrained network that knows the statistics of its training rows."""
    model = MLP(spec=pima.spec, hidden=[16, 8])
    model.fit_encoders(pima.training_inputs())
    return model.eval()


def data_card(recipe: str) -> dict[str, Any]:
    """Card of the data of a recipe."""
    return files.card(files.read_yaml(files.config(recipe))["data"]["init_args"]["path"])


def is_shipped(recipe: str) -> bool:
    """True if the data of a recipe come with the package."""
    return not {"fetch", "download", "package"} & data_card(recipe).keys()


def is_untrained(recipe: str) -> bool:
    """True if a recipe says of itself that its weights are still to be made."""
    return bool(files.read_yaml(files.config(recipe)).get("untrained"))


def stand_in(recipe: str) -> list[str]:
    """Options that replace data which are not shipped by made-up files of the same format, in the current folder."""
    if is_shipped(recipe):
        return []
    card, rng = data_card(recipe), np.random.default_rng(0)
    labels = np.tile(np.array(list(card["classes"])), 20)
    if "assays" in card:
        names = pd.Index([f"s{number}" for number in range(len(labels))], name="sample")
        pd.DataFrame({"subtype": labels}, names).to_csv("samples.csv")
        for name in card["assays"]:
            pd.DataFrame(rng.normal(size=(len(labels), 6)), names).add_prefix(name).to_csv(f"{name}.csv")
        modalities = ", ".join(f"{name}: {name}.csv" for name in card["assays"])
        return ["--data.path=samples.csv", "--data.target=subtype", f"--data.modalities={{{modalities}}}"]
    x = rng.normal(size=(len(labels), *card["shape"])) + np.arange(len(labels)).reshape(-1, *[1] * len(card["shape"]))
    if len(card["shape"]) == 2 and not labels[0].isdigit():
        np.savez("series.npz", X_train=x, y_train=labels, X_test=x, y_test=labels)
        return ["--data.path=series.npz"]
    if len(card["shape"]) == 2:
        for part in ("TRAIN", "TEST"):
            np.savetxt(f"{part}.tsv", np.column_stack([labels.astype(float), x[:, 0]]), delimiter="\t")
        return ["--data.path=TRAIN.tsv", "--data.test_path=TEST.tsv"]
    pixels = (x[:, 0] - x.min()).astype(np.uint8)
    parts = {
        f"{part}_{key}": a for part in ("train", "val", "test") for key, a in (("images", pixels), ("labels", labels))
    }
    np.savez("images.npz", **parts)
    return ["--data.path=images.npz"]


def wrapped(letters: str, width: int, end: str = "\n") -> str:
    """Letters in lines."""
    return "".join(letters[i : i + width] + end for i in range(0, len(letters), width))


CHROMOSOMES = {"chr1": 1003, "chr2": 600, "chrX": 59, "scaffold": 1}


@pytest.fixture
def fasta(here: Path) -> Path:
    """Four chromosomes with lines of different lengths, in lower and upper case, with N and R."""
    rng = np.random.default_rng(0)
    text = ""
    for (name, size), width in zip(CHROMOSOMES.items(), (61, 60, 100, 7), strict=True):
        letters = "".join(rng.choice(list("ACGTacgtNnR"), size))
        text += f">{name} a description\n" + wrapped(letters, width)
    path = here / "genome.fa"
    path.write_text(text)
    return path


@pytest.fixture
def message() -> Callable[[Callable[[], object]], str]:
    """Call what must fail as it should; returns the line."""

    def run(call: Callable[[], object]) -> str:
        with pytest.raises(InputError) as caught:
            call()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return run


SAMPLES, LENGTH = 60, 24


@pytest.fixture
def series() -> np.ndarray:
    """60 random walks, ``(samples, 1, length)``, with four decimals."""
    walks = np.random.default_rng(0).normal(size=(SAMPLES, 1, LENGTH)).cumsum(2)
    walks[:, 0, :] += 3 * (np.arange(SAMPLES) % 2)[:, None]
    return walks.round(4)


def both(series: np.ndarray) -> np.ndarray:
    """A second channel beside the first."""
    return np.concatenate([series, -2 * series], 1)


def write(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def text_of(values: np.ndarray, separator: str = ",") -> str:
    return separator.join("?" if np.isnan(v) else repr(float(v)) for v in values)


def write_ucr(path: Path, x: np.ndarray, y: list[str], separator: str = "\t") -> None:
    write(path, "".join(f"{c}{separator}{text_of(s[0], separator)}\n" for s, c in zip(x, y, strict=True)))


def write_ts(path: Path, x: list[np.ndarray], y: list[str], classes: str = "1 2") -> None:
    head = f"# a comment\n@problemName walks\n@timeStamps false\n@univariate true\n@classLabel true {classes}\n@data\n"
    write(path, head + "".join(":".join([*map(text_of, s), c]) + "\n" for s, c in zip(x, y, strict=True)))


@pytest.fixture
def pixels() -> np.ndarray:
    """40 grey images, ``(samples, height, width)``; every second one is brighter."""
    noise = np.random.default_rng(0).integers(0, 100, (40, 12, 16), dtype=np.uint8)
    return noise + (100 * (np.arange(40) % 2)).astype(np.uint8)[:, None, None]


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_classes(folder: Path, pixels: np.ndarray, labels: np.ndarray, kind: str = "png") -> Path:
    for number, (array, label) in enumerate(zip(pixels, labels, strict=True)):
        save(folder / label / f"{number:02}.{kind}", array)
    return folder


def values(data: ImageData) -> np.ndarray:
    """Raw images in the order of the files."""
    x = data.dataset.x[torch.arange(len(data.samples))]
    return np.asarray(x)


def image_spec(*shape: int, kind: str = "binary") -> Spec:
    classes = {"binary": ["left", "right"], "multiclass": ["a", "b", "c"], "regression": []}
    return {
        "modalities": {"image": {"kind": "image", "shape": list(shape), "features": ["image"]}},
        "target": {"kind": kind, "name": "y", "classes": classes[kind], "unit": ""},  # type: ignore[typeddict-item]
        "id": "",
    }


def spec(shape, classes=("husky", "wolf"), kind=None):
    kind = kind or ("series" if len(shape) == 2 else "image")
    target = {"kind": "binary" if len(classes) == 2 else "multiclass", "name": "label", "classes": list(classes)}
    if not classes:
        target["kind"] = "regression"
    modality = {"kind": kind, "shape": list(shape), "features": [kind]}
    return {"modalities": {kind: modality}, "target": {**target, "unit": ""}, "id": ""}


def lively(model, seed=0):
    """Fitted to made-up samples, with weights that are not near zero."""
    torch.manual_seed(seed)
    model.fit_encoders(model.encode.example(20))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return model.eval()


def trained(model, x, y, steps, lr=5e-3):
    model.fit_encoders(x)
    optimiser = torch.optim.Adam(model.train().parameters(), lr=lr)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        rows = torch.randint(len(x), (64,), generator=generator)
        optimiser.zero_grad()
        model.loss({"x": x[rows], "y": y[rows]}).backward()
        optimiser.step()
    return model.eval()


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name

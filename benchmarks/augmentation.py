"""Effect of synthetic samples on a classifier with few real samples, as for liver lesions (Frid-Adar et al. 2018).

That paper (doi:10.1016/j.neucom.2018.09.013) added images of a DCGAN to 182 computed tomographies of lesions. Here
digits of 8 x 8 pixels replace them: 10 or 30 images of each class train the classifier and the GAN. Each set is
enlarged to 200 images of each class: by shifting images by up to a pixel, by SMOTE (Chawla et al. 2002,
doi:10.1613/jair.953), which interpolates between neighbours of a class, by the GAN of the recipe ``dcgan_digits`` with
augmentation for its discriminator, and by shifting the generated images. The classifier is a small convolutional
network that is trained for 500 steps with every set. Test rows are those of the packaged split; each of three seeds
determines the training rows, the initial weights and the noise.

Tables: 50 or 100 rows of Pima, enlarged to 400 by SMOTE, or by the recipe ``tabulargan_pima``, with the mean ROC-AUC of
logistic regression and a random forest, over five seeds. Images take about 2 CPU-minutes, tables 1.

    python benchmarks/augmentation.py [--tables | --images]
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _common import parser, smoke
from imblearn.over_sampling import SMOTE
from lightning.pytorch import Trainer, seed_everything
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from zoo import files, runs
from zoo.data import Data, ImageData, TableData
from zoo.models import REGISTRY
from zoo.models.gans.generative import Generative
from zoo.report.images.features import FeatureNetwork

FEW, ENLARGED, STEPS, SEEDS = (10, 30), 200, 600, range(3)  # steps of the GAN of images; it is slower than all else
TABLE_FEW, TABLE_ENLARGED, TABLE_STEPS, TABLE_SEEDS = (50, 100), 400, 600, range(5)
CHANGES = ["translation"]  # of what the discriminator sees
Images = tuple[Tensor, Tensor]


def gan(recipe: str, data: Data, steps: int, seed: int, **changed: Any) -> Generative:
    """The model of a recipe after so many steps on all rows of some data."""
    seed_everything(seed, verbose=False)
    given = files.read_yaml(files.config(recipe))["model"]
    model = REGISTRY[given["class_path"]](spec=data.spec, **{**given["init_args"], **changed})
    assert isinstance(model, Generative)
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    options = {**quiet, "enable_model_summary": False, "accelerator": "cpu", "limit_val_batches": 0}
    Trainer(max_steps=steps, max_epochs=-1, **options).fit(model, data)
    return model.eval()


def few(data: Data, each: int, seed: int) -> Tensor:
    """Positions of so many training rows of each class, drawn by the seed."""
    rows, y = data.dataset.rows("train").numpy(), data.dataset.y.numpy()
    generator = np.random.default_rng(seed)
    drawn = [generator.choice(rows[y[rows] == code], each, replace=False) for code in np.unique(y)]
    return torch.from_numpy(np.concatenate(drawn))


def moved(x: Tensor, y: Tensor, seed: int) -> Images:
    """Copies of images, drawn with their class, that are moved by up to a pixel; empty pixels come in."""
    generator = np.random.default_rng(seed)
    rows = np.concatenate([generator.choice(np.flatnonzero(y == code), ENLARGED) for code in y.unique()])
    padded = torch.nn.functional.pad(x[rows], (1, 1, 1, 1))
    down, right = generator.integers(0, 3, (2, len(rows)))
    height, width = x.shape[2:]
    parts = [p[:, i : i + height, j : j + width] for p, i, j in zip(padded, down, right, strict=True)]
    return torch.stack(parts), y[rows]


def interpolated(x: Tensor, y: Tensor, seed: int) -> Images:
    """The images with those that SMOTE makes."""
    wanted = {int(code): ENLARGED for code in y.unique()}
    more, labels = SMOTE(sampling_strategy=wanted, random_state=seed).fit_resample(
        x.flatten(1).float().numpy(), y.numpy()
    )
    return torch.from_numpy(more).view(-1, *x.shape[1:]).round().to(x.dtype), torch.from_numpy(labels)


def made(data: Data, own: Tensor, seed: int) -> Images:
    """Images of a GAN that saw some of the training rows alone."""
    x, y = data.dataset.x[own], data.dataset.y[own]
    kept, split = split_of(data, own)
    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / "few.npz"
        np.savez(path, images=data.dataset.x[kept].numpy(), labels=data.dataset.y[kept].numpy(), split=split)
        few_images = ImageData(str(path), batch_size=64, split="split")
        model = gan("dcgan_digits", few_images, STEPS, seed, diff_augment=CHANGES)
    parts = []
    for code in y.unique().tolist():
        frame = model.synthesise(ENLARGED, {"label": str(code)}, seed=seed * 100 + code)
        parts.append(np.stack(list(frame["image"])))
    return torch.from_numpy(np.concatenate(parts)).to(x.dtype), y.unique().repeat_interleave(ENLARGED)


def split_of(data: Data, own: Tensor) -> tuple[Tensor, np.ndarray]:
    """Positions of some training rows and of the validation rows (which a data module asks for), and their split."""
    validation = data.dataset.rows("validation")
    return torch.cat([own, validation]), np.array(["train"] * len(own) + ["validation"] * len(validation))


def enlarged(x: Tensor, y: Tensor, more: Images) -> Images:
    """Images with as many others as 200 of each class need."""
    parts = [(x, y)]
    for code in y.unique():
        wanted = ENLARGED - int((y == code).sum())
        parts.append((more[0][more[1] == code][:wanted], more[1][more[1] == code][:wanted]))
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def images(split: str) -> None:
    """Accuracy on digits."""
    data = ImageData("digits")
    rows = data.dataset.rows(split)
    for each in FEW:
        found: list[tuple[str, float]] = []
        for seed in SEEDS:
            own = few(data, each, seed)
            x, y = data.dataset.x[own], data.dataset.y[own]
            shifts, ours = moved(x, y, seed), made(data, own, seed)
            sets = {
                "none": (x, y),
                "moved by a pixel": enlarged(x, y, shifts),
                "SMOTE": interpolated(x, y, seed),
                "DCGAN": enlarged(x, y, ours),
                "DCGAN, moved by a pixel": enlarged(x, y, moved(*enlarged(x, y, ours), seed)),
            }
            for name, some in sets.items():
                right = FeatureNetwork(data.spec, *some, seed=seed).accuracy(data.dataset.x[rows], data.dataset.y[rows])
                found.append((name, right))
        show(f"digits, {each} images of each class, {len(rows)} {split} rows: accuracy", found)


def tables(split: str) -> None:
    """Area under the ROC curve on Pima."""
    data = TableData("pima")
    target, columns = data.spec["target"], data.spec["modalities"]["table"]["features"]
    frame = data.frame().reset_index(drop=True)
    for column, codes in data.spec["modalities"]["table"]["missing_values"].items():
        frame[column] = frame[column].where(~frame[column].isin(codes))  # a pressure of 0 was not measured
    simple = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    test = data.dataset.rows(split)
    for count in TABLE_FEW:
        found: list[tuple[str, float]] = []
        for seed in TABLE_SEEDS:
            own = few(data, count // 2, seed)
            kept, split_column = split_of(data, own)
            with tempfile.TemporaryDirectory() as root:
                frame.iloc[kept.numpy()].assign(split=split_column).to_csv(path := Path(root) / "few.csv", index=False)
                few_rows = TableData(str(path), target=target["name"], split="split", batch_size=64)
                model = gan("tabulargan_pima", few_rows, TABLE_STEPS, seed)
            synthetic = model.synthesise(TABLE_ENLARGED - count, seed=seed)
            codes = synthetic[target["name"]].astype(str).map(target["classes"].index).to_numpy()
            x, y = simple.fit_transform(frame.iloc[own.numpy()][columns]), data.dataset.y[own].numpy()
            smote = SMOTE(sampling_strategy=dict.fromkeys((0, 1), TABLE_ENLARGED // 2), random_state=seed)
            sets = {
                "none": (x, y),
                "SMOTE": smote.fit_resample(x, y),
                "TabularGAN": (np.concatenate([x, simple.transform(synthetic[columns])]), np.concatenate([y, codes])),
            }
            asked, truth = simple.transform(frame.iloc[test.numpy()][columns]), data.dataset.y[test].numpy()
            for name, some in sets.items():
                judges = [LogisticRegression(max_iter=1000), RandomForestClassifier(random_state=seed)]
                scores = [roc_auc_score(truth, judge.fit(*some).predict_proba(asked)[:, 1]) for judge in judges]
                found.append((name, float(np.mean(scores))))
        show(f"Pima, {count} rows, {len(test)} {split} rows: mean ROC-AUC", found)


def show(title: str, found: list[tuple[str, float]]) -> None:
    """A line for each way to enlarge a set, and how far it is from none on the same seeds."""
    table = pd.DataFrame(found, columns=["how", "value"])
    table["seed"] = table.groupby("how").cumcount()
    wide = table.pivot(index="seed", columns="how", values="value")[table["how"].unique()]
    print(f"\n{title}; {len(wide)} seeds, mean ± standard deviation, and mean difference from none")
    for name, values in wide.items():
        gain = values - wide["none"]
        print(
            f"  {name!s:24} {values.mean():.4f} ± {values.std():.4f}  {gain.mean():+.4f} ± {gain.std():.4f}", flush=True
        )


def main() -> None:
    """Both, or one of them."""
    few_images = {"FEW": (10,), "ENLARGED": 20, "SEEDS": range(1)}
    smoke(globals(), **few_images, TABLE_FEW=(50,), TABLE_ENLARGED=100, TABLE_SEEDS=range(1))
    command = parser(__doc__)
    command.add_argument("--tables", action="store_true", help="only tables")
    command.add_argument("--images", action="store_true", help="only images")
    command.add_argument("--split", default="test", help="validation, while anything is chosen")
    options = command.parse_args()
    runs.quieten()
    torch.set_num_threads(1)
    if not options.tables:
        images(options.split)
    if not options.images:
        tables(options.split)


if __name__ == "__main__":
    main()

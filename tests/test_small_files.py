"""Small files through the commands: each model trains and is used, or refuses in one line before training.

One recipe of each model meets 8 rows, one or two of which are validation rows (12 where it refuses 8), and a model of
tables meets 8, 12 and 50 rows with all commands. All models with all commands at all sizes would take ten minutes.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zoo import files
from zoo.cli import main
from zoo.models import REGISTRY

pytestmark = pytest.mark.usefixtures("cheap_report")


def columns(rows):
    """Two numbers, one of them often missing, a category, and three kinds of target."""
    rng, ill = np.random.default_rng(rows), np.arange(rows) % 2
    names = pd.Index([f"s{number}" for number in range(rows)], name="sample")
    age, dose = rng.normal(50, 9, rows).round(1), (rng.normal(size=rows) + ill).round(2)
    table = pd.DataFrame({"age": age, "dose": dose}, names)
    table.loc[table.index[::3], "age"] = np.nan
    targets = {"label": np.array(["well", "ill"])[ill], "score": rng.normal(size=rows).round(2)}
    survival = {"days": rng.exponential(99, rows).round() + 1, "died": (np.arange(rows) % 8 != 3).astype(int)}
    return table.assign(sex=rng.choice(["f", "m"], rows), **targets, **survival)


TABLE = ["--data.path=table.csv", "--data.id=sample", "--data.features=[age, dose, sex]", "--data.batch_size=4"]
TARGETS = {
    "classes": ["--data.target=label"],
    "regression": ["--data.target=score"],
    "survival": ["--data.target=days", "--data.event=died"],
}


def write(kind, rows):
    """Options of a file of a kind of data, written into the current folder."""
    table, rng = columns(rows), np.random.default_rng(0)
    label = table["label"].to_numpy(dtype=str)
    pixels = rng.integers(0, 255, (rows, 1, 16, 16), np.uint8)
    match kind:
        case "TableData":
            table.to_csv("table.csv")
            return [*TABLE, *TARGETS["classes"]]
        case "ExpressionData":
            genes = pd.DataFrame(rng.normal(5, 1, (rows, 12)), table.index).add_prefix("g")
            genes.assign(label=label).to_csv("genes.csv")
            return ["--data.path=genes.csv", "--data.id=sample", "--data.target=label", "--data.scale=log"]
        case "SequenceData":
            letters = ["".join(row) for row in rng.choice(list("ACGT"), (rows, 24))]
            pd.DataFrame({"sequence": letters, "label": label}, table.index).to_csv("dna.csv")
            return ["--data.path=dna.csv", "--data.id=sample", "--data.target=label"]
        case "SeriesData":
            np.savez("series.npz", X=rng.normal(size=(rows, 1, 40)), y=label)
            return ["--data.path=series.npz"]
        case "ImageData":
            np.savez("images.npz", images=pixels, labels=label)
            return ["--data.path=images.npz", "--data.classes=null", "--data.positive=null", "--data.batch_size=4"]
        case "volumes":
            np.savez("volumes.npz", images=rng.integers(0, 255, (rows, 1, 8, 8, 8), np.uint8), labels=label)
            return ["--data.path=volumes.npz"]
        case "masks":
            np.savez("masks.npz", images=pixels, masks=(pixels[:, 0] > 128).astype(np.uint8))
            return ["--data.path=masks.npz", "--data.batch_size=4"]
        case "ImagePairData":
            np.savez("pairs.npz", images=pixels, target=255 - pixels)
            return ["--data.path=pairs.npz", "--data.image=images", "--data.target=target"]
        case "MultiOmicsData":
            table[["label", "days", "died"]].to_csv("samples.csv")
            parts = {}
            for name, measured in (("rna", slice(None)), ("protein", slice(0, rows * 3 // 4))):
                part = pd.DataFrame(rng.normal(5, 1, (rows, 6)), table.index).add_prefix(name)
                part[measured].to_csv(f"{name}.csv")
                parts[name] = f"{{path: {name}.csv, scale: log}}"
            both = ", ".join(f"{name}: {how}" for name, how in parts.items())
            also = "{survival: {target: days, event: died, weight: 0.5}}"
            return [
                "--data.path=samples.csv",
                f"--data.modalities={{{both}}}",
                "--data.target=label",
                f"--data.also={also}",
            ]
    raise AssertionError(kind)


KINDS = {"CNN3D": "volumes", "Segmenter": "masks", "SegmentationGAN": "masks"}  # of others: that of the recipe
FEWER = {  # options that make a model small, or that its data need
    "CNN3D": ["--model.filters=[4, 4]", "--model.kernel_sizes=[3, 3]"],
    "CustOmics": ["--model.switch_epoch=1", "--trainer.max_epochs=2"],
    "DCGAN": ["--model.filters=[8, 4]"],
    "MADGAN": ["--model.normal=well", "--model.frame_length=10"],
    "ViTGAN": ["--model.width=16"],
}
AT_LEAST_TWO = ("DCGAN", "TabularGAN", "ViTGAN")  # validation samples
DRAWN = ("Segmenter", "SegmentationGAN", "ConditionalGAN")  # predictions are images
EXPLORED = ("CNN1D", "MADGAN", "MultiModal", "VAE")  # one of each kind of data; of tables below


def recipe_of(model):
    """Name and content of the recipe with the shortest name, which is that of no data set if there is one."""
    found = {name: files.read_yaml(files.config(name)) for name in files.recipes()}
    names = [name for name, content in found.items() if content["model"]["class_path"] == model]
    name = min(names, key=len)
    return name, found[name]


@pytest.fixture
def call(here, capsys):
    """Run a command; returns its only error line, "" if there is none."""

    def run(*args):
        try:
            main(list(args))
        except SystemExit as stop:
            errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
            return errors[0] if stop.code == 2 and len(errors) == 1 else f"{args}: exit {stop.code}, {errors}"
        return ""

    return run


def used(call, run, data, model, *verbs):
    """Call commands with a trained model; none may fail, except those that are not for such a model."""
    for verb in verbs:
        more = []
        if verb == "predict":
            more = [data, "--output", "predicted.npz" if model in DRAWN else "predicted.csv"]
        if verb == "synthesise":
            more = ["--n", "5", "--output", "made.npz" if "GAN" in model and model != "TabularGAN" else "made.csv"]
        line = call(verb, str(run), *more)
        assert not line or "zoo explain" in line or "does not synthesise" in line, line


@pytest.mark.parametrize("model", REGISTRY)
def test_every_model_takes_few_rows_or_refuses_them_before_training(model, call):
    name, content = recipe_of(model)
    kind, run = KINDS.get(model, content["data"]["class_path"]), Path("runs", name, "1")
    rows, short = 8, ["--trainer.max_epochs=1", *FEWER.get(model, [])]
    if model in AT_LEAST_TWO:
        line = call("fit", name, *write(kind, rows), *short)
        assert "needs at least 2 validation samples, there is 1" in line
        assert not run.exists()
        rows = 12
    options = write(kind, rows)
    assert call("fit", name, *options, *short) == ""
    used(call, run, options[0], model, "test", "predict", *(["explore"] if model in EXPLORED else []))
    assert {"train_loss", "validation_loss"} <= set(pd.read_csv(run / "metrics.csv"))
    assert set(pd.read_csv(run / "predictions.csv")["split"]) == {"train", "validation", "test"}


ALL = ("validate", "test", "predict", "explore", "explain", "synthesise")


CASES = [
    (8, "classes", ALL),
    (8, "regression", ("test", "explain")),
    (8, "survival", ("test", "predict")),
    (12, "survival", ALL),
    (50, "classes", ALL),
]


@pytest.mark.parametrize(("rows", "target", "verbs"), CASES)
def test_all_commands_with_each_kind_of_target(rows, target, verbs, call):
    name, _ = recipe_of("MLP")
    write("TableData", rows)
    options = [*TABLE, *TARGETS[target], "--trainer.max_epochs=1"]
    assert call("fit", name, *options) == ""
    used(call, Path("runs", name, "1"), options[0], "MLP", *verbs)
    if verbs is ALL:
        assert call("crossval", name, *options, "--folds", "2") == ""


def test_a_generator_of_tables_is_trained_on_fewer_rows_than_a_batch(call, caplog):
    """The generator is updated in every third batch: with one batch an epoch, in every third epoch."""
    name, _ = recipe_of("TabularGAN")
    options = [*write("TableData", 12), "--data.batch_size=64", "--trainer.max_epochs=3"]
    assert call("fit", name, *options) == ""
    assert "updated once in 3 batches, but an epoch has only 1" in caplog.text
    run = Path("runs", name, "1")
    losses = pd.read_csv(run / "metrics.csv")["train_loss"]
    assert losses.notna().tolist() == [False, False, True]
    used(call, run, options[0], "TabularGAN", *ALL)


def test_what_few_samples_do_not_give_is_said(call, caplog):
    name, _ = recipe_of("MLP")
    write("TableData", 8)
    options = [*TABLE, *TARGETS["survival"], "--trainer.max_epochs=1"]
    assert call("fit", name, *options) == ""
    assert "the epoch is chosen by few validation samples (1)" in caplog.text
    assert "1 validation samples are too few for any score" in caplog.text
    assert call("explore", f"runs/{name}/1") == ""
    assert "no UMAP of 6 training samples" in caplog.text


def test_a_class_of_two_samples_is_generated_and_scored(call, caplog):
    name, _ = recipe_of("TabularGAN")
    options = write("TableData", 12)
    pd.read_csv("table.csv").assign(label=["ill"] * 2 + ["well"] * 10).to_csv("table.csv", index=False)
    assert call("fit", name, *options, "--trainer.max_epochs=1") == ""
    assert "2 validation rows: no scores of usefulness and privacy" in caplog.text

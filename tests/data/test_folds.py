"""Folds of a cross-validation from one reading of the file equal those that are read separately."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cohort import read_cohort, write_cohort

from zoo import files, runs
from zoo.cli import main
from zoo.data import Data, IntervalData, TableData
from zoo.errors import InputError
from zoo.parsing import CLI

RECIPES = ["mlp_patients", "vae_miniacc", "cnn1d_promoters", "cnn2d_beats", "segmenter_mni152", "pix2pix_vessels"]


def of_recipe(name: str) -> Callable[..., Data]:
    return CLI(["--config", name]).make_data


def several_omics(**options: int) -> Data:
    return read_cohort(**options)


def intervals(**options: int) -> Data:
    return IntervalData("peaks.bed", "genome.fa", length=20, negatives="shuffled", group=None, **options)


def flat(x: object) -> list[torch.Tensor]:
    return [x] if isinstance(x, torch.Tensor) else [part for key in x.keys() for part in flat(x[key])]  # noqa: SIM118


@pytest.mark.parametrize("source", [*RECIPES, several_omics, intervals])
def test_folds_of_one_reading_equal_those_read_separately(source: str | Callable[..., Data], here: Path) -> None:
    write_cohort()
    rng = np.random.default_rng(0)
    Path("genome.fa").write_text(f">chr1\n{''.join(rng.choice(list('ACGT'), 3000))}\n")
    Path("peaks.bed").write_text("".join(f"chr1\t{at}\t{at + 20}\n" for at in range(100, 2800, 50)))
    make = of_recipe(source) if isinstance(source, str) else source
    shared_data = make(folds=3)
    for fold, repeat in ((2, 0), (0, 1), (0, 0)):
        shared, separate = shared_data.for_fold(fold, repeat), make(folds=3, fold=fold, repeat=repeat)
        pd.testing.assert_frame_equal(shared.samples, separate.samples)
        assert shared.spec == separate.spec
        rows = torch.arange(len(separate.samples))
        for a, b in zip(flat(shared.dataset.x[rows]), flat(separate.dataset.x[rows]), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
        for name, y in separate.dataset.targets(rows).items():
            torch.testing.assert_close(shared.dataset.targets(rows)[name], y, rtol=0, atol=0, equal_nan=True)


def test_folds_need_a_dataset_that_was_not_accessed() -> None:
    with pytest.raises(RuntimeError, match="folds whose dataset was not accessed yet"):
        TableData("pima").for_fold(0)
    shared_data = TableData("pima", folds=3)
    with pytest.raises(InputError, match="fold must be between 0 and 2, not 3"):
        shared_data.for_fold(3)
    _ = shared_data.samples
    with pytest.raises(RuntimeError, match="folds whose dataset was not accessed yet"):
        shared_data.for_fold(1)


def test_crossval_reads_and_hashes_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed, read = [], []
    sha256, frame = files.sha256, TableData._frame
    monkeypatch.setattr(files, "sha256", lambda path: hashed.append(path) or sha256(path))
    monkeypatch.setattr(TableData, "_frame", lambda self: read.append(self.path) or frame(self))
    main(["crossval", "mlp_pima", "--folds=3", "--repeats=2", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"])
    assert read == ["pima"]
    assert [path.name for path in hashed] == ["pima.csv"]
    table = pd.read_csv("runs/mlp_pima/crossval/crossval.csv")
    values = table[(table["model"] == "logistic regression") & (table["metric"] == "roc_auc")]["value"]
    assert values.nunique() == 6  # the folds differ


def of_groups(text: str) -> list[str]:
    Path("own.csv").write_text("group,x,outcome\n" + text)
    return ["mlp_pima", "--data.path=own.csv", "--data.target=outcome", "--data.group=group"]


def test_a_fold_without_a_class_is_refused_before_training(here: Path, zoo_fails: Callable[..., str]) -> None:
    """All rows of a class belong to one group, which is the test set of one fold, perhaps the last."""
    own = of_groups("".join(f"{i if i > 7 else 'one'},{i}.5,{'rare' if i < 8 else 'usual'}\n" for i in range(40)))
    error = zoo_fails("crossval", *own, "--folds=5")
    assert "fold" in error
    assert "of 5: class 'rare' of 'outcome' has no training sample" in error
    assert not Path("runs").exists()


def test_folds_and_groups(here: Path, zoo_fails: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    own = of_groups("".join(f"{i % 4},{i}.5,{'rare' if i < 3 else 'usual'}\n" for i in range(40)))
    assert "5 folds need as many samples that are no duplicates (or groups), there are 4" in zoo_fails("crossval", *own)
    assert "folds and the split in 'group' exclude each other" in zoo_fails("crossval", *own, "--data.split=group")
    TableData("own.csv", target="outcome", folds=5).check_folds(2)
    assert "class 'rare' has 3 samples, fewer than the 5 folds" in caplog.text
    assert caplog.text.count("fewer than") == 1


def few_validation_rows() -> list[str]:
    """Groups with a single row, which are the validation part of some fold."""
    rows = [f"{i if i > 29 else i // 10},{i * i}.5,{i % 2}\n" for i in range(36)]
    Path("own.csv").write_text("group,x,outcome\n" + "".join(rows))
    return ["own.csv", "--config=tabulargan", "--target=outcome", "--group=group", "--folds=3"]


def no_normal_validation_series() -> list[str]:
    """The normal series belong to two groups, which in some fold are training and test."""
    rng = np.random.default_rng(0)
    rows = [[i // 5, "anomaly" if i < 20 else "normal", *rng.normal(size=40).round(3)] for i in range(30)]
    pd.DataFrame(rows, columns=["group", "label", *(f"t{n}" for n in range(40))]).to_csv("own.csv", index=False)
    block = "model: {class_path: MADGAN, init_args: {normal: normal, window: 8}}\n"
    Path("own.yaml").write_text(block + "data: {class_path: SeriesData, init_args: {path: own.csv, target: label}}\n")
    return ["own.yaml", "--data.group=group", "--folds=5"]


def one_training_sample_of_a_modality() -> list[str]:
    """Four samples have protein, which are not all in training."""
    write_cohort()
    labelled, protein = pd.read_csv("samples.csv").dropna()["patient"], pd.read_csv("protein.csv")
    protein[protein["patient"].isin(labelled)][:4].to_csv("protein.csv", index=False)
    block = "model: {class_path: MultiModal}\ndata: {class_path: MultiOmicsData, init_args: {path: samples.csv, "
    Path("own.yaml").write_text(f"{block}target: group, modalities: {{rna: rna.csv, protein: protein.csv}}}}}}\n")
    return ["own.yaml", "--folds=4"]


def no_event_of_an_extra_target() -> list[str]:
    """Few samples have an event, none of which is a validation sample of some fold."""
    write_cohort()
    samples = pd.read_csv("samples.csv").dropna()
    samples.assign(died=(np.arange(len(samples)) < 4).astype(int)).to_csv("samples.csv", index=False)
    block = "model: {class_path: MultiModal}\ndata: {class_path: MultiOmicsData, init_args: {path: samples.csv, "
    also = "also: {survival: {target: days, event: died}}"
    Path("own.yaml").write_text(
        f"{block}target: group, {also}, modalities: {{rna: rna.csv, protein: protein.csv}}}}}}\n"
    )
    return ["own.yaml", "--folds=4"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (few_validation_rows, "TabularGAN needs at least 2 validation samples, there is 1"),
        (no_normal_validation_series, "no validation sample is of the class 'normal', which is normal"),
        (one_training_sample_of_a_modality, "1 training samples have protein, 2 are needed"),
        (no_event_of_an_extra_target, "no validation sample has the event 'died'"),
    ],
)
def test_a_fold_that_the_model_refuses_is_found_before_any_training(
    make: Callable[[], list[str]],
    words: str,
    here: Path,
    zoo_fails: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "fit_data", lambda *args: pytest.fail("a fold was trained"))
    error = zoo_fails("crossval", *make(), "--trainer.accelerator=cpu")
    assert "fold " in error
    assert words in error
    assert not Path("runs").exists()

"""Reading, splitting and balancing tables."""

import logging
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix

from zoo.data import TableData
from zoo.data.split import folds, fractions, related
from zoo.errors import InputError


def test_datasets_agree_with_their_cards(pima: TableData) -> None:
    assert pima.dataset.x.shape == (768, 8)
    assert pima.spec["target"]["classes"] == ["neg", "pos"]
    missing = pima.dataset.x.isnan().sum(0).tolist()
    assert dict(zip(pima.spec["modalities"]["table"]["features"], missing, strict=True)) == {
        "pregnant": 0, "glucose": 5, "pressure": 35, "triceps": 227, "insulin": 374, "mass": 11, "pedigree": 0, "age": 0
    }  # fmt: skip
    assert TableData("breast_cancer").spec["target"]["classes"] == ["benign", "malignant"]
    assert TableData("diabetes_progression").spec["target"]["kind"] == "regression"


def test_every_format_reads_the_same(frame: pd.DataFrame, here: Path) -> None:
    frame.loc[3, "age"] = np.nan
    frame.to_csv("a.csv", index=False)
    frame.to_csv("a.csv.gz", index=False)
    frame.to_csv("a.tsv", index=False, sep="\t")
    frame.to_parquet("a.parquet")
    frame.set_index("patient").to_parquet("b.parquet")
    expected = TableData("a.csv", target="outcome", id="patient")
    assert expected.spec["modalities"]["table"]["levels"] == {"sex": ["f", "m"]}
    for name in ("a.csv.gz", "a.tsv", "a.parquet", "b.parquet"):
        other = TableData(name, target="outcome", id="patient")
        assert other.spec == expected.spec
        torch.testing.assert_close(other.dataset.x, expected.dataset.x, equal_nan=True)
        pd.testing.assert_frame_equal(other.samples, expected.samples)


@pytest.mark.parametrize("sparse", [False, True])
def test_h5ad(sparse: bool, frame: pd.DataFrame, here: Path) -> None:
    values = np.random.default_rng(0).poisson(1.0, (80, 5)).astype(np.float32)
    obs = frame.set_index("patient")[["sex", "outcome"]]
    adata = anndata.AnnData(csr_matrix(values) if sparse else values, obs=obs)
    adata.var_names = [f"gene{i}" for i in range(5)]
    adata.write_h5ad("cells.h5ad")
    data = TableData("cells.h5ad", target="outcome")
    assert data.spec["modalities"]["table"]["features"] == [f"gene{i}" for i in range(5)]
    assert data.samples.index[0] == "p0"
    np.testing.assert_array_equal(data.dataset.x, values)


def test_row_names_without_a_header_are_ids(frame: pd.DataFrame, here: Path) -> None:
    frame.set_index("patient").to_csv("r.csv", index_label="")
    data = TableData("r.csv", target="outcome")
    assert data.samples.index[:2].tolist() == ["p0", "p1"]
    assert data.spec["modalities"]["table"]["features"] == ["age", "dose", "sex"]


def test_target_kinds_are_detected(frame: pd.DataFrame, table: str) -> None:
    assert TableData(table, target="outcome", id="patient").spec["target"]["kind"] == "binary"
    assert TableData(table, target="dose", id="patient").spec["target"]["kind"] == "regression"
    grade = TableData(table, target="outcome", id="patient", positive="sick").spec["target"]
    assert grade["classes"] == ["well", "sick"]
    frame.assign(grade=np.arange(80) % 4 + 8).to_csv("g.csv", index=False)
    assert TableData("g.csv", target="grade", id="patient").spec["target"]["classes"] == ["8", "9", "10", "11"]
    assert TableData("g.csv", target="grade", id="patient", target_kind="regression").dataset.y.dtype == torch.float32


def test_levels_are_those_of_training_rows(frame: pd.DataFrame, here: Path) -> None:
    split = np.array(["train"] * 50 + ["validation"] * 15 + ["test"] * 15)
    frame.loc[70, "sex"] = "other"
    frame.assign(part=split).to_csv("t.csv", index=False)
    data = TableData("t.csv", target="outcome", id="patient", split="part")
    assert data.spec["modalities"]["table"]["levels"]["sex"] == ["f", "m"]
    assert data.samples["split"].tolist() == split.tolist()
    assert data.dataset.x[70, 2] == 2  # unknown


def test_samples_without_target_are_left_out(frame: pd.DataFrame, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame.loc[[2, 5], "outcome"] = None
    frame.to_csv("t.csv", index=False)
    with caplog.at_level(logging.INFO, "zoo"):
        data = TableData("t.csv", target="outcome", id="patient")
        assert len(data.samples) == len(data.dataset.y) == 78
    assert "2 samples with a missing outcome are left out" in caplog.text


def test_split_is_stratified_and_depends_only_on_its_seed(pima: TableData) -> None:
    share = pima.samples.groupby("split")["diabetes"].apply(lambda d: (d == "pos").mean())
    assert share.between(0.34, 0.36).all()
    assert pima.samples["split"].value_counts().to_dict() == {"train": 538, "validation": 115, "test": 115}
    torch.manual_seed(1)
    assert TableData("pima").samples["split"].equals(pima.samples["split"])
    assert not TableData("pima", seed=1).samples["split"].equals(pima.samples["split"])


def test_groups_and_duplicates_are_never_divided(frame: pd.DataFrame, here: Path) -> None:
    twice = pd.concat([frame, frame.iloc[:20].assign(patient=[f"q{i}" for i in range(20)])], ignore_index=True)
    twice["family"] = np.arange(100) // 4
    twice.to_csv("t.csv", index=False)
    for extra in ({}, {"folds": 4, "fold": 1}):
        data = TableData("t.csv", target="outcome", id="patient", group="family", **extra)
        assert data.samples.groupby("family")["split"].nunique().eq(1).all()
        assert data.samples.groupby(["age", "dose", "sex"])["split"].nunique().eq(1).all()
        assert "family" not in data.spec["modalities"]["table"]["features"]


def test_related_joins_chains() -> None:
    groups = related(pd.Series(["a", "a", "b", None, None]), pd.Series([1, 2, 2, 3, 4]))
    assert groups[0] == groups[1] == groups[2]
    assert len(np.unique(groups)) == 3


def test_folds_cover_every_sample_once() -> None:
    labels = np.array([0] * 60 + [1] * 30)
    groups = np.arange(90)
    parts = [folds(groups, labels, 5, fold, 0.2, seed=3) for fold in range(5)]
    tests = np.array([part == "test" for part in parts])
    assert (tests.sum(0) == 1).all()
    assert {int(labels[test].sum()) for test in tests} == {6}
    assert all((part == "validation").sum() == 15 for part in parts)  # 20% of 48 and of 24, rounded
    assert not np.array_equal(parts[0], folds(groups, labels, 5, 0, 0.2, seed=4))


def test_fractions_may_be_zero() -> None:
    assert set(fractions(np.arange(10), None, [0, 0, 1], 0)) == {"test"}


def test_separate_test_file(frame: pd.DataFrame, here: Path) -> None:
    frame[:60].to_csv("a.csv", index=False)
    frame[60:].to_csv("b.csv", index=False)
    data = TableData("a.csv", target="outcome", id="patient", test_path="b.csv")
    assert data.samples[data.samples["split"] == "test"].index.tolist() == frame["patient"][60:].tolist()
    assert data.samples["split"].value_counts().to_dict() == {"train": 49, "test": 20, "validation": 11}


@pytest.mark.parametrize("balance", ["undersample", "oversample", "smote"])
def test_resampling_changes_training_rows_only(balance: str, pima: TableData) -> None:
    data = TableData("pima", balance=balance)
    y = data.training.columns["y"]
    assert torch.bincount(y).unique().numel() == 1
    training = set(pima.dataset.rows("train").tolist())
    assert set(data.training.columns["row"].tolist()) <= training | {-1}
    assert len(data.dataset.rows("test")) == 115
    torch.testing.assert_close(data.training_inputs(), pima.training_inputs(), equal_nan=True)
    if balance == "smote":
        synthetic = data.training.x[data.training.columns["row"] < 0]
        real = data.training.x[data.training.columns["row"] >= 0]
        assert len(synthetic) > 100
        assert synthetic.isfinite().all()
        assert (synthetic[:, 7] >= real[:, 7].min()).all()


def test_smote_chooses_existing_categories(frame: pd.DataFrame, here: Path) -> None:
    frame = frame.assign(outcome=["sick"] * 20 + ["well"] * 60)
    frame.to_csv("t.csv", index=False)
    x = TableData("t.csv", target="outcome", id="patient", balance="smote").training.x
    assert set(x[:, 2].tolist()) == {0.0, 1.0}


def test_class_weights_average_to_one() -> None:
    data = TableData("pima", balance="weights")
    weight, y = data.training.columns["weight"], data.training.columns["y"]
    assert weight.mean().item() == pytest.approx(1)
    assert weight[y == 0].sum().item() == pytest.approx(weight[y == 1].sum().item())


def test_batches_cover_the_epoch_in_a_new_order(pima: TableData) -> None:
    loader = pima.train_dataloader()
    orders = []
    for epoch in (0, 1, 0):
        loader.sampler.set_epoch(epoch)
        orders.append(torch.cat([batch["row"] for batch in loader]))
    assert orders[0].sort()[0].tolist() == pima.dataset.rows("train").tolist()
    assert not orders[0].equal(orders[1])
    assert orders[0].equal(orders[2])
    batch = next(iter(loader))
    torch.testing.assert_close(batch["x"], pima.dataset.x[batch["row"]], equal_nan=True)
    assert batch["x"].shape == (32, 8)


def test_changed_data_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = TableData("pima")
    monkeypatch.setitem(data.card, "sha256", "0" * 64)
    with pytest.raises(InputError, match="pima differs from its card"):
        _ = data.dataset


def test_columns_may_have_the_names_of_added_ones(frame: pd.DataFrame, here: Path) -> None:
    frame.rename(columns={"age": "split", "dose": "prediction"}).to_csv("t.csv", index=False)
    data = TableData("t.csv", target="outcome", id="patient")
    assert data.dataset.x[:, 0].numpy() == pytest.approx(frame["age"].to_numpy(), rel=1e-6)
    assert set(data.samples["split"]) == {"train", "validation", "test"}
    assert data.samples["split (of the table)"].tolist() == frame["age"].tolist()


def test_errors_number_rows_as_in_the_file(frame: pd.DataFrame, here: Path) -> None:
    frame.loc[[0, 1], "outcome"] = None  # left out, but numbered
    frame = frame.astype({"age": object})
    frame.loc[6, "age"] = "old"
    frame.to_csv("t.csv", index=False)
    with pytest.raises(InputError, match="column 'age', row 7: 'old'"):
        _ = TableData("t.csv", target="outcome", id="patient").dataset

"""Bad input gives a one-line error that names the fault and the remedy, exit status 2 and no partial output."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo import files
from zoo.errors import InputError
from zoo.models import MLP

FIT = ["fit", "--config", "mlp_pima", "--data.path=table.csv", "--data.target=outcome", "--data.id=patient"]


def change(frame: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    frame = frame.astype({column: object})
    frame.loc[row, column] = value
    return frame


TABLES: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], list[str], list[str]]] = {
    # fault: (change of the table, other options, words of the error)
    "no rows": (lambda f: f.head(0), [], ["table.csv", "no rows"]),
    "target absent": (lambda f: f, ["--data.target=outcom"], ["'outcom'", "did you mean outcome"]),
    "target not named": (lambda f: f, ["--data.target=null"], ["--data.target"]),
    "target constant": (lambda f: f.assign(outcome="sick"), [], ["'outcome'", "constant"]),
    "one sample in a class": (lambda f: change(f, 3, "outcome", "odd"), [], ["'odd'", "one sample"]),
    "text in a number": (lambda f: change(f, 6, "age", "old"), [], ["'age'", "row 7", "'old'", "not a number"]),
    "infinite": (lambda f: change(f, 4, "dose", np.inf), [], ["'dose'", "row 5", "infinite"]),
    "doubled id": (lambda f: change(f, 1, "patient", "p0"), [], ["'p0'", "more than once", "'patient'"]),
    "id missing": (lambda f: change(f, 8, "patient", None), [], ["row 9", "no id", "'patient'"]),
    "no features": (lambda f: f[["patient", "outcome"]], [], ["no feature column"]),
    "names as feature": (lambda f: f.assign(note=f["patient"] + "x"), [], ["'note'", "--data.id", "--data.exclude"]),
    "all at once": (
        lambda f: change(f.assign(note=f["patient"] + "x"), 6, "age", "old"),
        [],
        ["table.csv: column 'age', row 7", "\nerror: table.csv: text column 'note'"],
    ),
    "feature named twice": (lambda f: f, ["--data.features=[age,age]"], ["features", "'age'", "more than once"]),
    "no feature named": (lambda f: f, ["--data.features=[]"], ["features is empty"]),
    "level named twice": (lambda f: f, ["--data.ordered={sex: [f, m, f]}"], ["sex", "'f'", "more than once"]),
    "batch of null": (lambda f: f, ["--data.batch_size=null"], ["batch_size", "null"]),
    "negative seed": (lambda f: f, ["--seed_everything=-1"], ["seed_everything", "-1"]),
    "huge seed": (lambda f: f, ["--seed_everything=99999999999"], ["seed_everything"]),
    "no seed": (lambda f: f, ["--seed_everything=null"], ["seed_everything"]),
    "seed of the data": (lambda f: f, ["--data.seed=99999999999"], ["seed"]),
    "validation never": (lambda f: f, ["--trainer.check_val_every_n_epoch=0"], ["check_val_every_n_epoch", "0"]),
    "validation too late": (
        lambda f: f,
        ["--trainer.check_val_every_n_epoch=5", "--trainer.max_epochs=2"],
        ["check_val_every_n_epoch", "validated"],
    ),
    "interval of 0": (lambda f: f, ["--trainer.val_check_interval=0"], ["val_check_interval", "above 0"]),
    "no gradients": (lambda f: f, ["--trainer.accumulate_grad_batches=0"], ["accumulate_grad_batches", "at least 1"]),
    "many devices": (lambda f: f, ["--trainer.devices=9999"], ["devices", "9999"]),
    "empty checkpoint": (lambda f: f, ["--ckpt_path="], ["--ckpt_path is empty"]),
    "feature absent": (lambda f: f, ["--data.features=[age,doze]"], ["'doze'", "did you mean dose"]),
    "group absent": (lambda f: f, ["--data.group=famly"], ["'famly'", "group"]),
    "target as feature": (lambda f: f, ["--data.features=[age,outcome]"], ["'outcome'", "features"]),
    "unlisted level": (lambda f: f, ["--data.ordered={sex: [m, x]}"], ["'sex'", "'f'"]),
    "wrong split": (lambda f: f.assign(part="exam"), ["--data.split=part"], ["'part'", "'exam'"]),
    "binary of three": (lambda f: f, ["--data.target=dose", "--data.target_kind=binary"], ["'dose'", "two"]),
    "positive unknown": (lambda f: f, ["--data.positive=ill"], ["'ill'", "sick, well"]),
    "names as target": (lambda f: f, ["--data.target=patient", "--data.id=null"], ["'patient'"]),
    "balance of a number": (
        lambda f: f,
        ["--data.target=dose", "--data.balance=smote"],
        ["'dose'", "a continuous value"],
    ),
    "smote of few": (
        lambda f: f.assign(outcome=["sick"] * 5 + ["well"] * 75),
        ["--data.balance=smote"],
        ["smote", "at least 6"],
    ),
    "loss does not fit": (lambda f: f, ["--model.loss=mse"], ["'mse'", "binary"]),
    "perceptron of a number": (lambda f: f, ["--model=Perceptron", "--data.target=dose"], ["Perceptron", "'dose'"]),
}


@pytest.mark.parametrize("case", TABLES)
def test_bad_table(case: str, frame: pd.DataFrame, here: Path, zoo_fails: Callable[..., str]) -> None:
    spoil, options, words = TABLES[case]
    spoil(frame).to_csv("table.csv", index=False)
    error = zoo_fails(*FIT, *options)
    assert [word for word in words if word not in error] == []
    assert [path.name for path in here.iterdir()] == ["table.csv"]


RAW: dict[str, tuple[str, bytes | None, str]] = {
    "missing file": ("table.csv", None, "no file or data set 'table.csv'"),
    "empty file": ("table.csv", b"", "table.csv: the file is empty"),
    "doubled columns": ("table.csv", b"a,a,outcome\n1,2,x\n", "column 'a' occurs more than once"),
    "unnamed column": ("table.csv", b"a,,outcome\n1,2,x\n", "column 2 has values but no name"),
    "short row": ("table.csv", b"a,b,outcome\n1,2,x\n1,x\n", "line 3 has 2"),
    "not text": ("table.csv", b"\xff\xfe\x00\x81\x01\n\x00", "save the file as UTF-8"),
    "not parquet": ("table.parquet", b"PAR1 truncated", "cannot be read as parquet"),
    "not h5ad": ("table.h5ad", b"\x89HDF truncated", "cannot be read as h5ad"),
    "not a workbook": ("table.xlsx", b"PK", "this is text, not a workbook"),
    "unknown kind": ("table.doc", b"PK", "unknown kind of table"),
}


@pytest.mark.parametrize("case", RAW)
def test_bad_file(case: str, here: Path, zoo_fails: Callable[..., str]) -> None:
    name, content, words = RAW[case]
    if content is not None:
        Path(name).write_bytes(content)
    assert words in zoo_fails(*FIT[:-1], f"--data.path={name}")  # these files have no sample names
    assert not Path("runs").exists()


OPTIONS: dict[str, tuple[list[str], str]] = {
    "unknown recipe": (["fit", "--config", "mlp_pma"], "did you mean mlp_pima"),
    "no config": (["fit"], "--config is missing"),
    "unknown command": (["fitt"], "did you mean fit"),
    "unknown class": (["fit", "--config", "mlp_pima", "--model=MLPP"], "did you mean MLP"),
    "unknown model option": (["fit", "--config", "mlp_pima", "--model.hiden=[3]"], "did you mean hidden"),
    "unknown data option": (["fit", "--config", "mlp_pima", "--data.pth=a"], "did you mean path"),
    "unknown trainer option": (["fit", "--config", "mlp_pima", "--trainer.max_epoch=3"], "did you mean max_epochs"),
    "unknown stopping option": (["fit", "--config", "mlp_pima", "--early_stopping.patince=3"], "did you mean patience"),
    "unknown encoding": (["fit", "--config", "mlp_pima", "--model.encoding.missin=true"], "did you mean missing_ind"),
    "unknown value": (["fit", "--config", "mlp_pima", "--model.optimizer=adma"], "did you mean adam"),
    "wrong type": (["fit", "--config", "mlp_pima", "--model.dropout=abc"], "dropout: expected float, got 'abc'"),
    "negative width": (["fit", "--config", "mlp_pima", "--model.hidden=[-3]"], "hidden width must be at least 1"),
    "dropout": (["fit", "--config", "mlp_pima", "--model.dropout=1.5"], "dropout must be between 0 and 1, not 1.5"),
    "batch size": (["fit", "--config", "mlp_pima", "--data.batch_size=0"], "batch_size must be at least 1, not 0"),
    "learning rate": (["fit", "--config", "mlp_pima", "--model.lr=-1"], "lr must be at least"),
    "fractions": (["fit", "--config", "mlp_pima", "--data.fractions=[0.5,0.1,0.1]"], "sum to 1"),
    "folds of nothing": (["fit", "--config", "mlp_pima", "--data.folds=5", "--data.fractions=[0,0,1]"], "folds need"),
    "no validation rows": (["fit", "--config", "mlp_pima", "--data.fractions=[0.9,0,0.1]"], "0 validation"),
    "fold": (["fit", "--config", "mlp_pima", "--data.folds=5", "--data.fold=5"], "fold must be between 0 and 4"),
    "accelerator": (["fit", "--config", "mlp_pima", "--trainer.accelerator=foo"], "invalid accelerator"),
    "no checkpoint": (["fit", "--config", "mlp_pima", "--ckpt_path=no.ckpt"], "no checkpoint 'no.ckpt'"),
    "last of a recipe": (["fit", "--config", "mlp_pima", "--ckpt_path=last"], "run folder"),
    "no run": (["export", "runs/mlp_pima/7", "--to", "out"], "no run folder"),
    "export without --to": (["export", "runs/mlp_pima/7"], "--to"),
    "one fold": (["crossval", "--config", "mlp_pima", "--folds", "1"], "folds must be at least 2"),
    "folds as text": (["crossval", "--config", "mlp_pima", "--folds", "many"], "--folds"),
    "unknown output": (["predict", "--config", "mlp_pima", "--output", "a.xls"], "a.xls: use .csv, .tsv, "),
    "show": (["show", "mlp_pma"], "did you mean mlp_pima"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_bad_option(case: str, here: Path, zoo_fails: Callable[..., str]) -> None:
    args, words = OPTIONS[case]
    assert words in zoo_fails(*args)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found nothing"),
        ("model: [", "not readable as YAML"),
        ("data: {class_path: TableData, init_args: {path: pima}}", "required: model"),
    ],
)
def test_damaged_config(text: str, words: str, here: Path, zoo_fails: Callable[..., str]) -> None:
    Path("a.yaml").write_text(text)
    assert words in zoo_fails("fit", "--config", "a.yaml")


def test_damaged_checkpoint(here: Path, mlp: MLP, zoo_fails: Callable[..., str]) -> None:
    Path("a.ckpt").write_bytes(b"PK\x03\x04 not a checkpoint")
    assert "a.ckpt is damaged" in zoo_fails("test", "--config", "mlp_pima", "--ckpt_path=a.ckpt")
    assert "a.ckpt is damaged" in zoo_fails("fit", "--config", "mlp_pima", "--ckpt_path=a.ckpt")
    assert [path.name for path in here.iterdir()] == ["a.ckpt"]


def copy_of_weights(here: Path) -> Path:
    return Path(shutil.copytree(files.HERE / "pretrained" / "mlp_pima", here / "weights"))


@pytest.mark.parametrize("file", ["model.safetensors", "golden.safetensors"])
@pytest.mark.parametrize("damage", ["changed", "truncated", "gone"])
def test_damaged_weights(file: str, damage: str, here: Path) -> None:
    path = copy_of_weights(here) / file
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + b"\x7f" if damage == "changed" else content[:100])
    with pytest.raises(InputError, match=f"{file} is (missing|damaged)"):
        zoo.load(path.parent)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: None, "damaged"),
        (lambda card: {**card, "model": "os.system"}, "no test scores of 'os.system'"),
        (lambda card: {**card, "init_args": {**card["init_args"], "hidden": [3]}}, "do not fit MLP"),
        (lambda card: {**card, "init_args": {**card["init_args"], "wings": 2}}, "unknown key 'wings'"),
        (lambda card: {**card, "init_args": 3}, "init_args: 3 is not keys"),
        (lambda card: {k: v for k, v in card.items() if k != "sha256"}, "no key 'sha256'"),
        (lambda card: {**card, "sha256": {}}, "no checksum"),
        (lambda card: {**card, "sha256": {"../x": "0"}}, "outside its folder"),
    ],
)
def test_damaged_card(change: Callable[[dict], object], words: str, here: Path) -> None:
    path = copy_of_weights(here) / "config.json"
    card = change(json.loads(path.read_text()))
    path.write_text('{"model": "ML' if card is None else json.dumps(card))
    with pytest.raises(InputError, match=words):
        zoo.load(path.parent)


def test_unknown_weights(here: Path) -> None:
    with pytest.raises(InputError, match="did you mean mlp_pima"):
        zoo.load("mlp_pma")
    with pytest.raises(InputError, match="write 'hf:lab/model'"):
        zoo.load("lab/model")
    with pytest.raises(InputError, match=r"config\.json is missing"):
        zoo.load(here)


def test_new_table_lacks_a_feature(here: Path, zoo_fails: Callable[..., str]) -> None:
    table = pd.read_csv(files.folder("datasets") / "pima" / "pima.csv").rename(columns={"glucose": "glucos"})
    table.to_csv("new.csv", index=False)
    with pytest.raises(InputError, match="lacks 1 of 8 features, first 'glucose'; did you mean glucos"):
        zoo.load("mlp_pima").predict(table)
    for command in ("predict", "test"):
        assert "did you mean glucos" in zoo_fails(command, "--config", "mlp_pima", "--data.path=new.csv")
    assert not Path("runs").exists()


def test_unknown_class_in_a_new_table(here: Path, zoo_fails: Callable[..., str]) -> None:
    table = pd.read_csv(files.folder("datasets") / "pima" / "pima.csv")
    table.loc[4, "diabetes"] = "perhaps"
    table.to_csv("new.csv", index=False)
    error = zoo_fails("test", "--config", "mlp_pima", "--data.path=new.csv")
    assert "row 5" in error
    assert "'perhaps'" in error

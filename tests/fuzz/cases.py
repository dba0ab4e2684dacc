"""One case: a seed chooses files, their damage, and a command or a reader."""

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import damage
from .sound import READERS, Reader, option

SHORT = ["--trainer.max_epochs=1"]
RUN = "runs/mlp_pima/1"
EVIL = "open('RAN', 'w').close()\nfrom lightning.pytorch.callbacks import Callback\nfrom zoo.models import MLP\n"
EVIL += "class Evil(Callback): pass\nclass EvilModel(MLP): pass\ndef f(*a, **k): pass\n"


@dataclass
class Case:
    """What is tried in the current folder.

    Attributes:
        reader: Kind of input, for the table of outcomes.
        said: What is damaged.
        call: A command line; or the name of a reader, whose data module is built without the command line.
    """

    reader: str
    said: str
    call: list[str] | str


def files_case(rng, store):
    """A damaged file, read as data; or with a command."""
    name = rng.choice(sorted(READERS))
    reader: Reader = READERS[name]
    shutil.copytree(store / reader.write.__name__, ".", dirs_exist_ok=True, symlinks=True)
    said = [damage.any_file(rng, Path(rng.choice(reader.damaged)))] if reader.damaged else ["cells of other types"]
    how = rng.random()
    if how < 0.7:
        return Case(name, said[0], name)
    chosen = [f"--data={reader.data}"] if reader.data else []
    chosen += [option(*pair) for pair in reader.options.items()]
    if how < 0.9:
        return Case(name, said[0], ["fit", "--config", reader.recipe, *chosen, *SHORT])
    output = rng.choice(["o.csv", "o.npz", "o.parquet"])
    return Case(
        name, said[0], ["predict", "--config", "mlp_pima", option("path", reader.options["path"]), f"--output={output}"]
    )


def vcf_case(rng, store):
    shutil.copytree(store / "intervals", ".", dirs_exist_ok=True)
    said = damage.any_file(rng, Path(rng.choice(["v.vcf", "v.vcf", "v.vcf", "g.fa"])))
    return Case("VCF", said, ["explain", "cnn1d_motif", "--vcf", "v.vcf", "--genome", "g.fa"])


DATA = {  # option: values; all for a table
    "path": [
        "",
        ".",
        "..",
        "/",
        "pima/",
        "a\nb",
        "x" * 300,
        "null",
        "[t.csv]",
        "http://localhost:9/x.csv",
        "/dev/stdin",
    ],
    "target": ["", "age", "id", "[label]", "null", "sex", "nope", "label\n"],
    "features": ["[age,age]", "[]", "age", "[label]", "[1]", "[[age]]", "{age: 1}", "[nope]", "[null]"],
    "id": ["sex", "label", "", "nope", "[id]"],
    "group": ["bmi", "label", "", "id"],
    "split": ["sex", "bmi", "nope"],
    "ordered": ["{sex: [f]}", "{sex: [f,f,m]}", "{age: [1]}", "{nope: [a]}", "[sex]", "{sex: f}", "{sex: [[f]]}"],
    "missing": ["{bmi: [a]}", "{nope: [0]}", "[0]", "{bmi: 0}", "{bmi: [null]}", "0"],
    "categorical": ["[nope]", "[age]", "[label]", "age", "[bmi]"],
    "exclude": ["[nope]", "[label]", "[age,bmi,sex]", "age"],
    "fractions": [
        "[1,0,0]",
        "[0.5,0.5]",
        "[nan,0.1,0.1]",
        "[0.5,0.25,0.25,0.1]",
        "[-1,1,1]",
        "[0,0,0]",
        "x",
        "[1e9,1,1]",
    ],
    "folds": ["0", "-1", "1", "1000000", "2.5", "x"],
    "fold": ["7", "-1", "x"],
    "seed": ["-1", "99999999999999999999", "x", "1.5"],
    "batch_size": ["0", "-1", "1", "10000000000", "x", "1e3", "null"],
    "num_workers": ["-1", "x", "1.5"],
    "balance": ["smote", "x", "weights", "1"],
    "positive": ["nope", "", "1"],
    "target_kind": ["survival", "none", "regression", "segmentation", "x", ""],
    "event": ["sex", "nope", "label"],
    "sheet": ["x", ""],
    "test_path": ["", "nope.csv", ".", "t.csv", "t.xlsx"],
    "unlabelled": ["x", "3"],
}
MODEL = {
    "hidden": ["[1000000000000]", "[100000,100000]", "[]", "[0]", "[-1]", "[1.5]", "x", "[[1]]", "{a: 1}", "[null]"],
    "lr": ["nan", "inf", "1e300", "-1", "0", "x"],
    "dropout": ["nan", "1", "2", "-1", "x"],
    "weight_decay": ["nan", "-1", "inf", "1e300"],
    "activation": ["x", "", "1", "os.system"],
    "optimizer": ["x", "[adam]", "1", ""],
    "encoding": ["x", "{x: 1}", "{missing_indicator: 3}", "[1]", "{missing_indicator: null}"],
    "momentum": ["5", "nan"],
}
TRAINER = {
    "max_epochs": ["0", "-2", "x", "1.5", "null"],
    "max_steps": ["0", "-2", "x"],
    "max_time": ["x", "{days: x}", "00:00:00:00"],
    "check_val_every_n_epoch": ["0", "-1", "x", "5"],
    "val_check_interval": ["0", "2.0", "-1", "1000"],
    "limit_train_batches": ["0", "-1", "2.5", "nan"],
    "limit_val_batches": ["0", "-1"],
    "gradient_clip_val": ["-1", "nan", "x"],
    "accumulate_grad_batches": ["0", "-1", "100"],
    "precision": ["x", "8", "64-true", "16-mixed"],
    "devices": ["0", "-5", "x", "[7]"],
    "accelerator": ["x", "gpu", "tpu"],
    "strategy": ["x", "ddp_spawn_x"],
    "default_root_dir": ["", "/proc/x", "t.csv", "../..", "/dev/null", "a" * 300],
    "log_every_n_steps": ["0", "-1"],
    "fast_dev_run": ["1", "-1", "x"],
    "overfit_batches": ["-1", "2.5", "1"],
    "enable_checkpointing": ["false"],
    "callbacks": ["[evil.Evil]", "evil.Evil", "[3]", "{}", "c.yaml", "LambdaCallback"],
    "logger": ["false", "evil.Evil", "true", "3"],
    "profiler": ["simple", "x", "evil.f"],
    "detect_anomaly": ["x"],
    "num_sanity_val_steps": ["-1", "5"],
    "num_nodes": ["0", "-1"],
}
OTHER = {
    "--seed_everything": ["-1", "99999999999999999999", "x", "1.5", "true", "null"],
    "--ckpt_path": ["", "last", "nope.ckpt", ".", "t.csv", "/dev/null"],
    "--early_stopping.patience": ["-1", "x", "0"],
    "--early_stopping.monitor": ["x", ""],
    "--early_stopping.mode": ["x"],
    "--early_stopping.min_delta": ["nan", "x"],
    "--data": ["x", "SequenceData", "evil.Evil", "", "t.csv"],
    "--model": ["x", "VAE", "evil.EvilModel", "", "m.yaml", "CNN2D"],
    "--output": ["x.csv", ""],
    "--trainer": ["c.yaml", "x", "{}"],
    "--nope": ["1"],
}
OPTIONS = [
    (f"--{group}.{key}", value)
    for group, keys in (("data", DATA), ("model", MODEL), ("trainer", TRAINER))
    for key, values in keys.items()
    for value in values
]
OPTIONS += [(key, value) for key, values in OTHER.items() for value in values]
SERIES = [
    f"--data.{pair}"
    for pair in (
        "resample=1e-9",
        "resample=1e12",
        "resample=0",
        "resample=nan",
        "band=[5,1]",
        "band=[nan,1]",
        "band=[0]",
        "length=0",
        "length=-1",
        "length=1000000000000",
        "length=x",
        "channels=[nope]",
        "sampling_rate=0",
        "sampling_rate=-1",
        "sampling_rate=nan",
        "sampling_rate=1e300",
        "jitter=nan",
        "time_warp=9",
        "window_slice=0",
        "interpolate=x",
        "record=label",
        "ignore=[t1]",
    )
]
SEQUENCE = [
    f"--data.{pair}"
    for pair in (
        "label=(",
        "label=x",
        "label=((a+)+)$",
        "length=0",
        "length=-5",
        "length=10000000000",
        "negatives=x",
        "negatives=shuffled",
        "shift=-1",
        "shift=1000000000",
        "mask=2",
        "mask=nan",
        "sequence=nope",
    )
]
IMAGES = [
    f"--data.{pair}"
    for pair in (
        "size=[100000,100000]",
        "size=[0,0]",
        "size=[-1,3]",
        "size=[3]",
        "size=x",
        "axis=9",
        "axis=-7",
        "rotate=nan",
        "shift=1e9",
        "masks=nope",
        "classes=[a]",
        "mask_classes={0: a}",
        "pages=volume",
        "batch_size=1000000000000",
    )
]
OMICS = [
    "--data.modalities={rna: 3, protein: protein.csv}",
    "--data.modalities={3: rna.csv}",
    "--data.modalities={rna: {path: 3}}",
    "--data.modalities=[rna]",
    "--data.modalities={rna: {path: rna.csv, kind: x}}",
    "--data.modalities={rna: {path: rna.csv, scale: 3}}",
    "--data.modalities={rna: {path: rna.csv, most_variable: -1}}",
    "--data.modalities={rna: {path: rna.csv, most_predictive: x}}",
    '--data.modalities={"": rna.csv}',
    '--data.modalities={"a:b": rna.csv}',
    "--data.modalities=x",
    "--data.modalities={rna: null}",
    "--data.modalities={rna: rna.csv, r2: rna.csv}",
    "--data.also={a: 3}",
    "--data.also={a: {target: nope}}",
    "--data.also=3",
    "--data.also={a: {target: age, weight: x}}",
    "--data.also={a: {target: age, weight: -1}}",
    "--data.clinical=[nope]",
    "--data.clinical=[label]",
    "--data.missing=x",
    "--model.branches={rna: 3}",
    "--model.branches={nope: mlp}",
    "--model.branches=3",
    "--model.branches={rna: {hidden: x}}",
    "--model.branches={3: mlp}",
]
EXPRESSION = [
    f"--data.{pair}"
    for pair in (
        "scale=beta",
        "scale=x",
        "scale=3",
        "most_variable=0",
        "most_variable=-1",
        "most_variable=1000000000",
        "layer=x",
        "assay=x",
        "covariates=[nope]",
        "covariates=[label]",
        "covariates=[g1]",
        "covariates=3",
        "genes_in_rows=true",
        "samples_path=nope.csv",
        "samples_path=.",
        "target=g1",
        "exclude=[g1,g1]",
    )
]
BY_READER = {
    "series s.ts": SERIES,
    "series wide.csv": SERIES,
    "FASTA": SEQUENCE,
    "images png": IMAGES,
    "NIfTI": IMAGES,
    "several tables": OMICS,
    "expression table": EXPRESSION,
    "h5ad csr": EXPRESSION,
}


def option_case(rng, store):
    """Sound files with one or two options of wrong values, for any command that takes a recipe."""
    if rng.random() < 0.5:
        name = rng.choice(sorted(BY_READER))
        reader = READERS[name]
        pairs = [rng.choice(BY_READER[name])]
    else:
        name, reader = "table t.csv", READERS["table t.csv"]
        pairs = ["=".join(pair) for pair in rng.sample(OPTIONS, rng.choice([1, 1, 2]))]
    shutil.copytree(store / reader.write.__name__, ".", dirs_exist_ok=True)
    Path("evil.py").write_text(EVIL)
    Path("c.yaml").write_text("callbacks: [evil.Evil]\n")
    Path("m.yaml").write_text("class_path: evil.EvilModel\n")
    chosen = [option(*pair) for pair in reader.options.items()]
    verb = rng.choice(["fit", "fit", "fit", "crossval"])
    more = ["--folds", "2"] if verb == "crossval" else []
    return Case("options", " ".join(pairs)[:80], [verb, "--config", reader.recipe, *chosen, *SHORT, *pairs, *more])


def yaml_case(rng, store):
    """A recipe that is damaged, has other values, or names code or other files."""
    from zoo import files

    shutil.copytree(store / "tables", ".", dirs_exist_ok=True)
    Path("evil.py").write_text(EVIL)
    Path("c.yaml").write_text("callbacks: [evil.Evil]\n")
    Path("m.yaml").write_text("class_path: evil.EvilModel\n")
    text = files.config(rng.choice(["mlp_pima", "mlp_pima", "tabulargan_pima", "vae_drugs"])).read_text()
    content = yaml.safe_load(text)
    content["data"]["init_args"] |= {"path": "t.csv", "target": "label", "id": "id"}
    content["trainer"]["max_epochs"] = 1
    match rng.randrange(5):
        case 0:
            said = damage.values_of(rng, content, rng.choice([1, 2]))
            text = yaml.dump(content)
        case 1:
            where, value = rng.choice(
                [
                    *[
                        (("trainer", "callbacks"), v)
                        for v in (["evil.Evil"], "c.yaml", ["c.yaml"], [{"class_path": "evil.Evil"}])
                    ],
                    *[
                        (("trainer", "callbacks"), [{"class_path": "LambdaCallback", key: {"on_fit_start": "evil.f"}}])
                        for key in ("init_args", "dict_kwargs")
                    ],
                    *[
                        (("trainer", key), v)
                        for key in ("logger", "profiler", "strategy", "plugins")
                        for v in ("evil.Evil", {"class_path": "evil.Evil"}, "c.yaml")
                    ],
                    *[
                        ((key,), v)
                        for key in ("model", "data", "trainer")
                        for v in ("c.yaml", "m.yaml", "evil.EvilModel", "MLP", 3, [], {"class_path": "evil.EvilModel"})
                    ],
                    *[
                        (("model", "class_path"), v)
                        for v in (
                            "os.system",
                            "evil.EvilModel",
                            "zoo.models.Model",
                            "zoo.",
                            3,
                            ["MLP"],
                            None,
                            "zoo.files.os.system",
                        )
                    ],
                    *[(("model", "init_args", "optimizer"), v) for v in ("evil.f", {"class_path": "evil.Evil"})],
                    *[(("trainer", "default_root_dir"), v) for v in ("../..", "/tmp/../proc", "", 3, ["x"], "t.csv")],
                    (("config",), "c.yaml"),
                    (("data", "init_args", "path"), "../../../../etc/passwd"),
                ]
            )
            part = content
            for key in where[:-1]:
                part = part[key]
            part[where[-1]] = value
            said, text = f"{where}: {value}", yaml.dump(content)
        case 2:
            said = rng.choice(["alias bomb", "itself", "deep", "python", "merge", "long", "keys", "documents", "tabs"])
            text = {
                "alias bomb": "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
                + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
                + text,
                "itself": text + rng.choice(["extra: &a [*a]\n", "extra: &a {b: *a}\n"]),
                "deep": text
                + "extra: "
                + rng.choice(["[" * 5000 + "]" * 5000, "{a: " * 5000 + "1" + "}" * 5000])
                + "\n",
                "python": text + "extra: !!python/object/apply:os.system ['touch RAN']\n",
                "merge": text + "x: &x {<<: *x}\n",
                "long": text + "extra: " + "x" * 10_000_000 + "\n",
                "keys": text + rng.choice(["3: 4\n", "null: 4\n", "? [1, 2]\n: 3\n", "? {a: 1}\n: 3\n", "true: 1\n"]),
                "documents": text + "---\n" + text,
                "tabs": text.replace("  ", "\t"),
            }[said]
        case 3:
            changed, said = rng.choice([*damage.BYTES, *damage.TEXT])(rng, yaml.dump(content).encode())
            Path("r.yaml").write_bytes(changed)
        case 4:
            Path("r.yaml").write_text(text)
            said = damage.elsewhere(rng, Path("r.yaml"))
    if not Path("r.yaml").is_symlink() and not Path("r.yaml").exists() and "missing" not in said:
        Path("r.yaml").write_text(text)
    return Case("YAML", said[:80], [*rng.choice([["fit", "--config", "r.yaml"], ["show", "r.yaml"]])])


OF_RUN = {
    "test": ["test", RUN],
    "validate": ["validate", RUN],
    "predict": ["predict", "--config", RUN, "--output=o.csv"],
    "explore": ["explore", RUN],
    "export": ["export", RUN, "--to", "out"],
    "export again": ["export", RUN, "--to", "out"],
    "resume": ["fit", "--config", RUN, "--ckpt_path", "last", "--trainer.max_epochs=3"],
    "explain": ["explain", RUN],
    "show": ["show", RUN],
    "repeat": ["fit", "--config", RUN, *SHORT],
    "crossval": ["crossval", RUN, "--folds", "2"],
}


def run_case(rng, store):
    """A run folder with a damaged file, and a command that reads it."""
    shutil.copytree(store / "run", ".", dirs_exist_ok=True)
    verb = rng.choice(sorted(OF_RUN))
    name = rng.choice(
        [
            "config.yaml",
            "data.json",
            "data.json",
            "scores.csv",
            "scores.csv",
            "crossval.csv",
            "metrics.csv",
            "layers.txt",
            "checkpoints/best.ckpt",
            "checkpoints/last.ckpt",
            "record.json",
        ]
    )
    path = Path(RUN, name)
    if not path.exists():
        path = Path(RUN, "data.json")
    said = damage.any_file(rng, path)
    return Case(f"run: {verb}", said, OF_RUN[verb])


def weights_case(rng, store):
    """A folder of weights with a damaged card or tensor, of which the checksums are right."""
    shutil.copytree(store / "weights", ".", dirs_exist_ok=True)
    folder = Path(rng.choice(["mlp_pima", "mlp_pima", "cnn1d_motif", "cnn2d_beats", "vae_expression"]))
    path = folder / rng.choice(
        ["config.json", "config.json", "config.json", "model.safetensors", "golden.safetensors", "README.md"]
    )
    if path.name == "config.json":
        text, said = damage.json_text(rng, path.read_text())
        if rng.random() < 0.3:
            content = json.loads(path.read_text())
            said = damage.values_of(rng, content["init_args"], rng.choice([1, 3]))
            text = json.dumps(content)
        path.write_text(text, encoding="utf-8", errors="replace")
    else:
        said = damage.any_file(rng, path)
        if path.is_file() and path.suffix == ".safetensors" and not path.is_symlink():
            from zoo import files

            card = json.loads((folder / "config.json").read_text())
            card["sha256"][path.name] = files.sha256(path)
            (folder / "config.json").write_text(json.dumps(card))
    return Case("weights", f"{folder}: {said}"[:80], f"load {folder}")


PREDICT = ["predict", "--config", "mlp_pima", "--data.path=new.csv"]
OUTPUTS = [
    ".",
    "/dev/full",
    "/proc/x.csv",
    "/dev/null/x.csv",
    "f.csv/x.csv",
    "a" * 300 + ".csv",
    "o.CSV",
    "o.doc",
    "",
    "o.npz",
    "o",
    "loop.csv",
    "dir.csv",
]
COMMANDS = [
    *[[*PREDICT, f"--output={name}"] for name in OUTPUTS],
    *[
        ["crossval", "mlp_pima", *SHORT, *pair]
        for pair in (
            ["--folds", "0"],
            ["--folds", "-3"],
            ["--folds", "2.5"],
            ["--folds"],
            ["--folds", "1000000"],
            ["--repeats", "0"],
            ["--repeats", "x"],
        )
    ],
    *[
        ["synthesise", "tabulargan_pima", "--output", "s.csv", *pair]
        for pair in (
            ["--n", "0"],
            ["--n", "-1"],
            ["--n", "x"],
            ["--n", "100000000000"],
            ["--seed", "-1"],
            ["--seed", "99999999999999999999"],
            ["--condition", "x"],
            ["--condition", "diabetes=zzz"],
            ["--condition", "="],
            ["--report", "s.csv"],
            ["--report", "."],
            ["--n", "1", "--report", "r.html"],
        )
    ],
    *[["synthesise", "tabulargan_pima", "--n", "5", "--output", name] for name in OUTPUTS],
    *[
        ["export", RUN, "--to", to]
        for to in (
            "f.csv",
            "dir.csv",
            RUN,
            ".",
            "runs",
            "/",
            "",
            "/dev/null",
            "f.csv/x",
            "..",
            "loop.csv",
            "a" * 300,
            "/proc/zoo",
            "/dev/full",
        )
    ],
    *[["export", RUN, "--to", "out", "--push", to] for to in ("x", "hf:", "hf:../..", "hf:a/b", "")],
    *[["show", name] for name in ("..", "", "/etc/passwd", "../datasets/pima", "a" * 5000, "f.csv", "loop.csv")],
    *[
        [verb, *rest]
        for verb in ("fit", "test", "explore", "explain", "predict")
        for rest in (
            [],
            ["--config"],
            ["--config", ""],
            ["nope"],
            ["."],
            ["loop.csv"],
            ["--config=mlp_pima", "--config=nope"],
            ["/etc/passwd"],
        )
    ],
    *[
        ["explain", *rest]
        for rest in (
            ["vae_digits"],
            ["mlp_pima", "--method", "nope"],
            ["cnn1d_motif", "--fasta", "f.csv"],
            ["cnn1d_motif", "--fasta", "."],
            ["cnn1d_motif", "--vcf", "f.csv"],
            ["mlp_pima", "--fasta", "x"],
        )
    ],
    *[
        ["test", "mlp_pima", pair]
        for pair in (
            "--data.seed=5",
            "--data.fractions=[0.5,0.25,0.25]",
            "--data.folds=5",
            "--model.hidden=[3]",
            "--ckpt_path=",
            "--ckpt_path=nope",
        )
    ],
    *[["new", "model", name] for name in ("", "1", "MLP", "a b", "../x", "os")],
    [""],
    ["--"],
    ["nope"],
    ["fit", "--conf", "mlp_pima"],
    ["list", "x"],
    ["show", "a", "b"],
]


def command_case(rng, store):
    """A command with wrong arguments, and places where nothing can be written."""
    shutil.copytree(store / "run", ".", dirs_exist_ok=True)
    from zoo import files

    shutil.copy(files.folder("datasets") / "pima" / "pima.csv", "new.csv")
    Path("f.csv").write_text("x\n")
    Path("loop.csv").symlink_to("loop.csv")
    Path("dir.csv").mkdir()
    Path("dir.csv/x").write_text("x")
    call = rng.choice(COMMANDS)
    return Case("commands", " ".join(call)[:80], call)


WEIGHTS = [
    (files_case, 50),
    (vcf_case, 4),
    (option_case, 14),
    (yaml_case, 9),
    (run_case, 9),
    (weights_case, 7),
    (command_case, 7),
]


def made(seed: int, store: Path) -> Case:
    """Write the files of a case into the current folder, which is empty."""
    rng = random.Random(seed)
    kind = rng.choices([kind for kind, _ in WEIGHTS], [weight for _, weight in WEIGHTS])[0]
    return kind(rng, store)

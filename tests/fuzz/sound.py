"""Sound files of every kind, written into the current folder, and the options by which they are read."""

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS = 60
RNG = np.random.default_rng(0)
NAMES = [f"s{number}" for number in range(ROWS)]
LABEL = ["ill" if number % 2 else "well" for number in range(ROWS)]


@dataclass
class Reader:
    """A kind of input: who writes its files, and how they are read.

    Attributes:
        write: Writes the files.
        recipe: Recipe whose data module reads them.
        options: Arguments of the data module.
        damaged: Files that may be damaged.
        data: Data module, if it is not that of the recipe.
    """

    write: Any
    recipe: str
    options: dict[str, Any]
    damaged: list[str] = field(default_factory=list)
    data: str | None = None


def patients():
    return pd.DataFrame(
        {
            "id": NAMES,
            "age": RNG.integers(20, 80, ROWS),
            "bmi": RNG.normal(27, 4, ROWS).round(2),
            "sex": RNG.choice(["f", "m"], ROWS),
            "label": LABEL,
        }
    )


def genes(prefix="g"):
    return pd.DataFrame(RNG.poisson(3, (ROWS, 40)), NAMES).add_prefix(prefix).rename_axis("id")


def bases(length):
    return "".join(RNG.choice(list("ACGT"), length))


def tables():
    table = patients()
    table.to_csv("t.csv", index=False)
    table.to_csv("t.tsv", index=False, sep="\t")
    table.to_csv("t.csv.gz", index=False)
    table.to_excel("t.xlsx", index=False)
    table.to_excel("t.ods", index=False, engine="odf")
    table.to_feather("t.feather")
    lists = [[1, 2]] * ROWS
    table.to_parquet("t.parquet")
    table.assign(age=lists).to_parquet("lists.parquet")
    table.assign(label=[{"a": 1}] * ROWS).to_parquet("dicts.parquet")
    table.assign(bmi=pd.to_timedelta(range(ROWS), "s"), sex=[b"\xff"] * ROWS).to_parquet("odd.parquet")


def expression_tables():
    genes().assign(label=LABEL).to_csv("e.csv")
    genes().to_csv("matrix.csv")
    patients().to_csv("samples.csv", index=False)


def cells(kind):
    from anndata import AnnData
    from scipy import sparse

    values = genes().to_numpy(np.float32)
    x = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": np.asarray}[kind](values)
    obs = patients().set_index("id").assign(label=pd.Categorical(LABEL))
    return AnnData(x, obs=obs, var=pd.DataFrame(index=[f"g{n}" for n in range(40)]))


def h5ad():
    for kind in ("csr", "csc", "dense"):
        adata = cells(kind)
        adata.layers["counts"] = adata.X
        adata.write_h5ad(f"{kind}.h5ad")


def tenx():
    import h5py
    from scipy import sparse
    from scipy.io import mmwrite

    x = sparse.csr_matrix(genes().to_numpy())
    names = np.array([f"g{n}" for n in range(40)], dtype="S")
    with h5py.File("x.h5", "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = np.array(NAMES, dtype="S")
        group["data"], group["indices"], group["indptr"] = x.data, x.indices, x.indptr
        group["shape"] = np.array(x.shape[::-1])
        for key in ("id", "name"):
            group[f"features/{key}"] = names
        group["features/feature_type"] = np.array(["Gene Expression"] * 40, dtype="S")
    Path("mtx").mkdir()
    mmwrite("mtx/matrix.mtx", x.T)
    Path("mtx/barcodes.tsv").write_text("\n".join(NAMES) + "\n")
    Path("mtx/features.tsv").write_text("".join(f"G{n}\tg{n}\tGene Expression\n" for n in range(40)))
    patients().to_csv("samples.csv", index=False)


def omics():
    import h5py
    from anndata.io import write_elem

    patients().to_csv("samples.csv", index=False)
    genes("r").to_csv("rna.csv")
    genes("p").iloc[:50].to_csv("protein.csv")
    adata = cells("csr")
    with h5py.File("m.h5mu", "w") as file:
        write_elem(file, "obs", adata.obs)
        write_elem(file, "var", adata.var)
        for name in ("rna", "protein"):
            write_elem(file, f"mod/{name}", adata)


def sequences():
    text = "".join(f">{name}|{label}\n{bases(50)}\n" for name, label in zip(NAMES, LABEL, strict=True))
    Path("s.fa").write_text(text)
    Path("s.fa.gz").write_bytes(gzip.compress(text.encode()))
    pd.DataFrame({"id": NAMES, "sequence": [bases(50) for _ in NAMES], "label": LABEL}).to_csv("s.csv", index=False)


def intervals():
    text = "".join(f">chr{c}\n" + "".join(line + "\n" for line in (bases(60) for _ in range(50))) for c in (1, 2, 3, 4))
    Path("g.fa").write_text(text)
    Path("g.fa.fai").write_text("".join(f"chr{c}\t3000\t{6 + (c - 1) * 3056}\t60\t61\n" for c in (1, 2, 3, 4)))
    starts = RNG.integers(0, 2900, ROWS)
    lines = [f"chr{n % 4 + 1}\t{s}\t{s + 100}\t{LABEL[n]}\n" for n, s in enumerate(starts)]
    Path("p.bed").write_text("".join(lines))
    sequence = "".join(text.split(">chr2")[0].split("\n")[1:])
    rows = [
        f"chr1\t{at}\t.\t{sequence[at - 1]}\t{'A' if sequence[at - 1] != 'A' else 'C'}\t.\t.\t.\n" for at in (500, 900)
    ]
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    Path("v.vcf").write_text(head + "".join(rows))


def series():
    x = RNG.normal(size=(ROWS, 2, 40)).cumsum(2).round(3)
    lines = [":".join(",".join(map(str, channel)) for channel in sample) for sample in x]
    head = "@problemName x\n@timeStamps false\n@univariate false\n@classLabel true well ill\n@data\n"
    body = "".join(f"{line}:{label}\n" for line, label in zip(lines, LABEL, strict=True))
    Path("s.ts").write_text(head + body)
    Path("s.ts.gz").write_bytes(gzip.compress((head + body).encode()))
    head = "@relation x\n" + "".join(f"@attribute a{n} numeric\n" for n in range(40))
    rows = "".join(f"{','.join(map(str, one[0]))},{label}\n" for one, label in zip(x, LABEL, strict=True))
    Path("s.arff").write_text(f"{head}@attribute target {{well,ill}}\n@data\n{rows}")
    np.savez("s.npz", X=x, y=LABEL)
    wide = pd.DataFrame(x[:, 0]).add_prefix("t").assign(label=LABEL)
    wide.to_csv("wide.csv", index=False)
    long = pd.DataFrame({"record": np.repeat(NAMES, 40), "time": np.tile(np.arange(40), ROWS), "lead": x[:, 0].ravel()})
    long.assign(label=np.repeat(LABEL, 40)).to_csv("long.csv", index=False)


def heartbeats():
    import wfdb

    Path("records").mkdir()
    for number in range(6):
        signal = RNG.normal(size=(3000, 1)).cumsum(0) / 10
        wfdb.wrsamp(f"r{number}", 100, ["mV"], ["II"], signal, fmt=["16"], write_dir="records")
        at = np.arange(100, 2900, 90)
        symbols = [("N", "V")[n % 2] for n in range(len(at))]
        wfdb.wrann(f"r{number}", "atr", at, symbols, write_dir="records")


def images():
    import nibabel
    import tifffile
    from PIL import Image

    x = RNG.integers(0, 255, (ROWS, 16, 16), dtype=np.uint8)
    for kind in ("png", "jpg", "tif"):
        for number in range(20):
            path = Path(kind, LABEL[number], f"{number}.{kind}")
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "tif":
                tifffile.imwrite(path, x[number])
            else:
                Image.fromarray(x[number]).save(path)
    for number in range(12):
        path = Path("nifti", LABEL[number], f"{number}.nii.gz" if number % 3 else f"{number}.nii")
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(RNG.normal(size=(8, 8, 8)).astype(np.float32), np.eye(4)), path)
    np.savez("i.npz", images=x[:, None], labels=LABEL)
    np.savez("m.npz", images=x[:, None], masks=(x > 128).astype(np.uint8))
    for number in range(20):
        for folder, array in (("images", x[number]), ("masks", (x[number] > 128).astype(np.uint8) * 255)):
            (place := Path("pairs", folder)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(place / f"{number}.png")
    listed = pd.DataFrame({"image": [f"png/{LABEL[n]}/{n}.png" for n in range(20)], "label": LABEL[:20]})
    listed.to_csv("i.csv", index=False)


def weights():
    from zoo import files

    for name in ("mlp_pima", "cnn1d_motif", "cnn2d_beats", "vae_expression"):
        (folder := Path(name)).mkdir()
        for path in (files.HERE / "pretrained" / name).iterdir():
            (folder / path.name).write_bytes(path.read_bytes())


TABLE = {"target": "label", "id": "id"}
PARTS = {"rna": {"path": "rna.csv"}, "protein": {"path": "protein.csv", "scale": "counts"}}
BED = {"path": "p.bed", "genome": "g.fa", "length": 100, "group": None}
CLASSES = {"classes": None, "positive": None}
SINGLE = {"target": "label"}
RATE = {"sampling_rate": 100}
READERS = {
    **{
        f"table {path}": Reader(tables, "mlp_pima", {"path": path, **TABLE}, [path])
        for path in ("t.csv", "t.tsv", "t.csv.gz", "t.xlsx", "t.ods", "t.feather", "t.parquet")
    },
    **{
        f"table {path}": Reader(tables, "mlp_pima", {"path": path, **TABLE})
        for path in ("lists.parquet", "dicts.parquet", "odd.parquet")
    },
    "expression table": Reader(expression_tables, "vae_miniacc", {"path": "e.csv", **TABLE}, ["e.csv"]),
    "expression, samples apart": Reader(
        expression_tables,
        "vae_miniacc",
        {"path": "matrix.csv", "samples_path": "samples.csv", **TABLE},
        ["matrix.csv", "samples.csv"],
    ),
    **{
        f"h5ad {kind}": Reader(
            h5ad, "vae_expression", {"path": f"{kind}.h5ad", "target": "label", "covariates": ["sex"]}, [f"{kind}.h5ad"]
        )
        for kind in ("csr", "csc", "dense")
    },
    "h5ad layer": Reader(
        h5ad, "vae_expression", {"path": "csr.h5ad", "layer": "counts", "covariates": []}, ["csr.h5ad"]
    ),
    "h5ad as a table": Reader(h5ad, "mlp_pima", {"path": "csr.h5ad", "target": "label"}, ["csr.h5ad"]),
    "10x h5": Reader(
        tenx, "vae_expression", {"path": "x.h5", "samples_path": "samples.csv", "covariates": [], **TABLE}, ["x.h5"]
    ),
    "10x folder": Reader(
        tenx,
        "vae_expression",
        {"path": "mtx", "samples_path": "samples.csv", "covariates": [], **TABLE},
        ["mtx/matrix.mtx", "mtx/barcodes.tsv", "mtx/features.tsv"],
    ),
    "several tables": Reader(
        omics,
        "joint_miniacc",
        {"path": "samples.csv", "modalities": PARTS, "also": {}, **TABLE},
        ["samples.csv", "rna.csv", "protein.csv"],
    ),
    "h5mu": Reader(
        omics, "joint_miniacc", {"path": "m.h5mu", "modalities": None, "also": {}, "target": "label"}, ["m.h5mu"]
    ),
    "FASTA": Reader(sequences, "cnn1d_motif", {"path": "s.fa"}, ["s.fa"]),
    "FASTA gz": Reader(sequences, "cnn1d_motif", {"path": "s.fa.gz"}, ["s.fa.gz"]),
    "table of sequences": Reader(sequences, "cnn1d_motif", {"path": "s.csv", **TABLE}, ["s.csv"]),
    "BED": Reader(intervals, "cnn1d_motif", BED, ["p.bed", "g.fa", "g.fa.fai"], "IntervalData"),
    **{
        f"series {path}": Reader(series, "cnn2d_beats", {"path": path, **SINGLE, **RATE}, [path])
        for path in ("s.ts", "s.ts.gz", "s.arff", "s.npz", "wide.csv")
    },
    "series long.csv": Reader(
        series, "cnn2d_beats", {"path": "long.csv", "record": "record", "time": "time", **SINGLE}, ["long.csv"]
    ),
    "WFDB": Reader(
        heartbeats,
        "cnn2d_beats",
        {"path": "records"},
        [f"records/r{n}.{end}" for n in (0, 1) for end in ("hea", "dat", "atr")],
    ),
    **{
        f"images {kind}": Reader(
            images, "cnn2d_digits", {"path": kind, **CLASSES}, [f"{kind}/{LABEL[n]}/{n}.{kind}" for n in (0, 1)]
        )
        for kind in ("png", "jpg", "tif")
    },
    "images npz": Reader(images, "cnn2d_digits", {"path": "i.npz", **CLASSES}, ["i.npz"]),
    "table of images": Reader(images, "cnn2d_digits", {"path": "i.csv", "target": "label", **CLASSES}, ["i.csv"]),
    "masks": Reader(images, "segmenter_vessels", {"path": "pairs"}, ["pairs/images/0.png", "pairs/masks/1.png"]),
    "masks npz": Reader(images, "segmenter_vessels", {"path": "m.npz"}, ["m.npz"]),
    "NIfTI": Reader(images, "cnn3d_vessels", {"path": "nifti", **CLASSES}, ["nifti/well/0.nii", "nifti/ill/1.nii.gz"]),
}


def option(key: str, value: Any) -> str:
    """An argument of a data module on the command line."""
    return f"--data.{key}={value if isinstance(value, str) else json.dumps(value)}"

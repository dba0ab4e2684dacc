"""Every modality in every registry, model and tool is supported, or refused by one line that names those that are."""

import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import numpy as np
import pandas as pd
import pytest
import torch

import zoo
from zoo import explain, latent, synthesis
from zoo.data import ExpressionData, ImageData, MultiOmicsData, SequenceData, SeriesData, TableData
from zoo.data.frame import KINDS
from zoo.encode.kinds import CARDS, ENCODERS, READERS
from zoo.errors import InputError
from zoo.models import REGISTRY
from zoo.registry import Registry

MODALITIES = ("table", "expression", "sequence", "series", "image", "joint")
ROWS = 40
SUPERVISED = {"sequence": "CNN1D", "series": "CNN1D", "image": "CNN2D"}  # of others: MLP
SMALL = {"CNN1D": {"filters": [4], "widths": [3]}, "CNN2D": {"filters": [4], "kernel_sizes": [3]}}


def read(kind, folder):
    """A data module of random samples of two classes."""
    rng = np.random.default_rng(0)
    label = np.array(["ill", "well"])[np.arange(ROWS) % 2]
    names = pd.Index([f"s{number}" for number in range(ROWS)], name="sample")
    path, values = str(folder / f"{kind}.csv"), rng.normal(size=(ROWS, 4)).round(3)
    table = pd.DataFrame(values, names, [f"f{number}" for number in range(4)])
    match kind:
        case "table":
            table.assign(sex=rng.choice(["f", "m"], ROWS), label=label).to_csv(path)
            return TableData(path, target="label", id="sample")
        case "expression":
            table.assign(label=label).to_csv(path)
            return ExpressionData(path, target="label", id="sample", scale="log")
        case "sequence":
            letters = ["".join(row) for row in rng.choice(list("ACGT"), (ROWS, 12))]
            pd.DataFrame({"sequence": letters, "label": label}, names).to_csv(path)
            return SequenceData(path, target="label", id="sample")
        case "series":
            np.savez(folder / "series.npz", X=rng.normal(size=(ROWS, 2, 16)), y=label)
            return SeriesData(str(folder / "series.npz"))
        case "image":
            np.savez(folder / "images.npz", images=rng.integers(0, 255, (ROWS, 1, 16, 16), np.uint8), labels=label)
            return ImageData(str(folder / "images.npz"))
        case "joint":
            pd.DataFrame({"label": label}, names).to_csv(path)
            for name, part in (("rna", table), ("protein", table[::2].add_prefix("p"))):
                part.to_csv(folder / f"{name}.csv")
            parts = {name: str(folder / f"{name}.csv") for name in ("rna", "protein")}
            return MultiOmicsData(path, parts, target="label")
    raise AssertionError(kind)


def built(name, data, **options):
    model = REGISTRY[name](spec=data.spec, **options)
    model.fit_encoders(data.training_inputs(), data.training_targets())
    return model.eval()


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Of each modality its data, and untrained models that predict and that decode."""
    found = {}
    for kind in MODALITIES:
        data = read(kind, tmp_path_factory.mktemp(kind))
        name = SUPERVISED.get(kind, "MLP")
        decoding = built("VAE", data, latent=2, hidden=[8]) if kind != "joint" else built("CustOmics", data)
        found[kind] = data, built(name, data, **SMALL.get(name, {})), decoding
    return found


def refused(call):
    """The one-line message of an `InputError`."""
    with pytest.raises(InputError) as error:
        call()
    (line,) = str(error.value).splitlines()
    return line


def registries():
    """Every registry of every room."""
    for module in walk_packages(zoo.__path__, "zoo."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    everything = [
        value for name, module in sys.modules.items() if name.startswith("zoo.") for value in vars(module).values()
    ]
    return {id(value): value for value in everything if isinstance(value, Registry)}.values()


def test_every_registry_has_a_modality_or_refuses_it_in_one_line():
    found = list(registries())
    assert len(found) >= 11
    for registry in found:
        assert set(registry) <= set(MODALITIES), registry.what
        for kind in (*MODALITIES, "smell"):
            if kind in registry:
                assert registry.of(kind) is registry[kind]
            else:
                line = refused(lambda registry=registry, kind=kind: registry.of(kind))
                assert line.startswith(f"{registry.what} is not available for ")
                assert line.count(" data; it is for ") == 1


def test_what_every_modality_must_have():
    for registry in (KINDS, READERS, ENCODERS, CARDS, explain.EXPLAINERS):
        assert set(registry) == set(MODALITIES), registry.what


def test_a_kind_has_one_entry():
    names = Registry[str]("names")
    names.add("table", "series")("one")
    with pytest.raises(TypeError, match="names: two entries for series"):
        names.add("series")("two")
    assert (
        refused(lambda: names.of("joint"))
        == "names is not available for multi-modality data; it is for table and series data"
    )


@pytest.mark.parametrize("kind", MODALITIES)
def test_every_model_takes_a_modality_or_says_why_not(known, kind):
    able = set()
    for name, model in REGISTRY.items():
        try:
            model(spec=known[kind][0].spec)
            able.add(name)
        except InputError as error:
            told = str(error)
            assert "\n" not in told
    assert "MLP" in able
    assert ("MultiModal" in able) == ("CustOmics" in able) == (kind == "joint")
    assert ("VAE" in able) == (kind != "joint")
    assert ("TabularGAN" in able) == (kind in ("table", "expression"))
    assert ("DCGAN" in able) <= (kind == "image")


def by_tool(data, predicting, decoding, folder):
    """A call of every tool that depends on the kind of samples."""
    rows = data.dataset.rows("validation")[:2]
    x, names = data.dataset.x[rows], data.samples.index[rows.numpy()]
    request = explain.Request(lambda: data, folder)
    kind = next(iter(data.spec["modalities"])) if len(data.spec["modalities"]) == 1 else "joint"
    return {
        "heat_map": lambda: explain.heat_map(predicting, x, method="occlusion"),
        "series_influence": lambda: explain.series_influence(predicting, x),
        "lime_image": lambda: explain.lime_image(predicting, x[0], samples=10),
        "lime_table": lambda: explain.lime_table(predicting, data, x, names, samples=50),
        "mutagenesis": lambda: explain.mutagenesis(predicting, x),
        "attribute": lambda: explain.attribute(predicting, x),
        "filter_motifs": lambda: explain.filter_motifs(predicting, data),
        "variant_effects": lambda: explain.allele_effects(
            predicting, pd.DataFrame({"reference_sequence": ["A" * 12], "alternative_sequence": ["A" * 11 + "C"]})
        ),
        "feature_importance": lambda: explain.feature_importance(predicting, data),
        "modality_weights": lambda: explain.modality_weights(predicting, data, shuffles=2),
        "perturb": lambda: explain.perturb([decoding], data, "f0", 1.0, "bayes"),
        "univariate": lambda: explain.univariate(data, "f0", 1.0),
        "explain_samples": lambda: explain.explain_samples(predicting, data, x, names, folder),
        "zoo explain": lambda: explain.EXPLAINERS.of(kind)(predicting, request),
        "traverse": lambda: latent.traverse(decoding, data, steps=2),
        "plot_traversal": lambda: latent.plot_traversal(decoding, data, steps=2),
        "predict": lambda: predicting.predict(data.frame()),
        "synthesise": lambda: synthesis.check_request(predicting, 1, Path("made.csv"), None),
    }


FOR = {
    "heat_map": {"series", "image"},
    "series_influence": {"series"},
    "lime_image": {"image"},
    "lime_table": {"table"},
    "mutagenesis": {"sequence"},
    "attribute": {"sequence"},
    "filter_motifs": {"sequence"},
    "variant_effects": {"sequence"},
    "feature_importance": {"table", "expression", "joint"},
    "modality_weights": {"joint"},
    "perturb": {"table"},
    "univariate": {"table"},
    "explain_samples": {"table", "series", "image"},
    "zoo explain": set(MODALITIES),
    "traverse": set(MODALITIES) - {"joint"},
    "plot_traversal": set(MODALITIES) - {"joint"},
    "predict": set(MODALITIES),
    "synthesise": set(),
}


OTHERWISE = ("filter_motifs", "traverse", "plot_traversal", "synthesise")  # refused by what the model is


@pytest.mark.parametrize("kind", MODALITIES)
@pytest.mark.parametrize("tool", FOR)
def test_every_tool_works_or_says_what_it_is_for(known, kind, tool, tmp_path):
    torch.manual_seed(0)
    call = by_tool(*known[kind], tmp_path)[tool]
    if kind in FOR[tool]:
        assert call() is not None
    else:
        line = refused(call)
        assert " is not available for " in line or tool in OTHERWISE


def test_files_of_dna_are_for_models_of_dna(known, tmp_path):
    for registry, option in ((explain.OF_FASTA, "--fasta"), (explain.OF_VCF, "--vcf")):
        assert set(registry) == {"sequence"}
        assert refused(lambda registry=registry: registry.of("image")) == (
            f"zoo explain {option} is not available for image data; it is for sequence data"
        )

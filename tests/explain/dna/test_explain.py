"""Effects of mutations, contributions of bases, effects of variants."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from zoo.data.sequence.genome import Genome
from zoo.data.sequence.negatives import dinucleotide_shuffle
from zoo.encode.dna import UNKNOWN, dna_codes, dna_text, random_codes, reverse_complement
from zoo.encode.one_hot import one_hot
from zoo.errors import InputError
from zoo.explain import allele_effects, attribute, mutagenesis, variant_effects
from zoo.explain.dna.deep_lift import LogOdds, prepared
from zoo.explain.dna.mutagenesis import log_odds, output_names
from zoo.models import CNN1D, MLP, Supervised
from zoo.spec import Spec, Target

# A function of the package has the name of its module.
module, incremental = sys.modules["zoo.explain.dna.mutagenesis"], sys.modules["zoo.explain.dna.incremental"]
LENGTH = 41
THREE = {"filters": [6, 5, 4], "widths": [5, 4, 3], "pool_widths": [2, 3, 1]}
NETWORKS = {
    "one layer": {},
    "sigmoid": {"activation": "sigmoid"},
    "three layers": {**THREE, "hidden": [7, 6]},
    "dilated": {"filters": [6, 5, 4], "widths": [5, 3, 3], "dilations": [2, 3, 1], "pool_widths": [2, 2, 1]},
    "exponential": {"first_activation": "exponential"},
    "batch norm": {**THREE, "normalisation": "batch"},
    "average": {**THREE, "pooling": "average"},
    "both pools": {**THREE, "pooling": "both", "normalisation": "batch"},
    "flattened": {"pool_widths": [4], "global_pooling": False, "hidden": [5], "dropout": 0.5},
    "flattened, no hidden layer": {"global_pooling": False},
    "three layers, flattened": {**THREE, "global_pooling": False, "pooling": "both", "hidden": [5]},
    "one position left": {"filters": [4, 4], "widths": [12, 10], "pool_widths": [2, 6], "global_pooling": False},
    "average of strands": {**THREE, "reverse_complement": "average", "hidden": [5], "normalisation": "batch"},
    "larger of strands": {"reverse_complement": "shared", "first_activation": "exponential"},
    "larger of strands, hidden": {**THREE, "reverse_complement": "shared", "pooling": "both", "hidden": [5]},
    "average of strands, flattened": {"reverse_complement": "average", "global_pooling": False},
    "full rank": {"encoding": {"code": "full-rank"}},
    "unknown is uniform": {"encoding": {"unknown": "uniform"}},
}
IN_FULL = {
    "k-mers": {"encoding": {"layer": "k-mer"}},
    "larger of strands, flattened": {"reverse_complement": "shared", "global_pooling": False},
}


def spec(kind: str, length: int = LENGTH) -> Spec:
    modality = {"kind": "sequence", "shape": [length], "features": ["sequence"]}
    classes = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"], "regression": []}[kind]
    return Spec(modalities={"sequence": modality}, target=Target(kind=kind, name="y", classes=classes, unit="m"), id="")


def lively(model: Supervised) -> Supervised:
    """A network with random weights and statistics, as after training."""
    generator = torch.Generator().manual_seed(1)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d):
            for values, low, high in ((layer.running_mean, -0.5, 0.5), (layer.running_var, 0.5, 2.0)):
                values.uniform_(low, high, generator=generator)
            nn.init.uniform_(layer.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(layer.bias, -0.5, 0.5, generator=generator)
        elif isinstance(layer, (nn.Linear, nn.Conv1d)):
            nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5, generator=generator)
            nn.init.uniform_(layer.bias, 0, 0.5, generator=generator)
    model.y_mean.fill_(3.0)
    if model.target["kind"] == "regression":
        model.y_scale.fill_(2.0)
    return model


def network(name: str, kind: str = "binary") -> CNN1D:
    return lively(CNN1D(spec=spec(kind), **{**NETWORKS, **IN_FULL}[name])).eval()


@torch.no_grad()
def in_full(model: Supervised, codes: Tensor) -> Tensor:
    """Log-odds of every mutant minus those of the sequence, each mutant computed separately."""

    def odds(x: Tensor) -> Tensor:
        output = model.eval()(x)
        if model.target["kind"] == "regression":
            return model.predict_from(output)[:, None]
        if model.target["kind"] == "binary":
            return output
        others = [[i for i in range(3) if i != own] for own in range(3)]
        return torch.stack([output[:, i] - output[:, other].logsumexp(1) for i, other in enumerate(others)], 1)

    parts = []
    for row in codes:
        mutants = row.repeat(len(row), 4, 1)
        for position in range(len(row)):
            mutants[position, :, position] = torch.arange(4)
        parts.append((odds(mutants.flatten(0, 1)) - odds(row[None])).view(len(row), 4, -1))
    return torch.stack(parts)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", [*NETWORKS, *IN_FULL])
def test_mutagenesis_equals_the_full_computation(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, codes = network(name, kind), dna_codes([dna_text(random_codes(1, LENGTH, 3) % 4)[0], "NACGR" * 8 + "N"])
    if name in NETWORKS:
        monkeypatch.setattr(module, "_in_full", None)  # only windows may be computed
    effects = mutagenesis(model, codes)
    assert effects.shape == (2, LENGTH, 4, 3 if kind == "multiclass" else 1)
    rounding = 1e-6 * (1 + model(codes).abs().max().item())  # of a single precision network
    torch.testing.assert_close(effects, in_full(model, codes), atol=rounding, rtol=0)
    assert (effects[one_hot(codes, torch.uint8).transpose(1, 2).bool()] == 0).all()
    assert effects.abs().max() > 0.02


@pytest.mark.parametrize("numbers", [1, 3000, 10**9])
@pytest.mark.parametrize("name", ["three layers", "three layers, flattened", "average of strands"])
def test_mutagenesis_in_batches_of_any_size(numbers: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, codes = network(name), random_codes(5, LENGTH, 0)
    expected = mutagenesis(model, codes)
    monkeypatch.setitem(incremental.NUMBERS, "cpu", numbers)
    monkeypatch.setattr(module, "BASES", 2 * LENGTH)
    torch.testing.assert_close(mutagenesis(model, codes), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"normalisation": "batch"}, {"normalisation": "layer"}, {"activation": "maxout"}]
)
def test_mutagenesis_of_a_perceptron(options: dict) -> None:
    model, codes = lively(MLP(spec=spec("binary"), hidden=[6, 5], **options)), random_codes(2, LENGTH, 0)
    torch.testing.assert_close(mutagenesis(model, codes), in_full(model, codes), atol=2e-6, rtol=1e-6)


def test_unusual_layers_are_computed_in_full() -> None:
    model, codes = network("one layer"), random_codes(2, LENGTH, 0)
    for body in (
        [nn.Conv1d(4, 3, 5, padding=2), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(3, 32)],
        [nn.Conv1d(4, 3, 5), nn.MaxPool1d(4, 2), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(3, 32)],
        [nn.Conv1d(4, 3, 5), nn.AdaptiveMaxPool1d(2), nn.Flatten(), nn.Linear(6, 32)],
        [nn.Conv1d(4, 4, 5, groups=2), nn.Softmax(1), nn.Flatten(), nn.Linear(148, 32)],
    ):
        model.body = nn.Sequential(*body)
        assert incremental.traceable(model.body, model.head) is None
        torch.testing.assert_close(mutagenesis(model, codes), in_full(model, codes), atol=2e-6, rtol=1e-6)


def test_explaining_leaves_the_model_as_it_was() -> None:
    model, codes = network("batch norm").train(), random_codes(3, LENGTH, 0)
    model.body[0].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.inference_mode():
        first = [attribute(model, codes, method=method) for method in METHODS]
    assert model.training
    assert not model.body[0].training
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(a.equal(attribute(model, codes, method=method)) for a, method in zip(first, METHODS, strict=True))
    assert all(w.grad is None for w in model.parameters())


def test_log_odds_are_those_of_the_probabilities() -> None:
    model, output = network("one layer", "multiclass"), torch.randn(20, 3) * 3
    p = model.predict_from(output.double())
    torch.testing.assert_close(log_odds(model, output).double(), (p / (1 - p)).log(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(log_odds(model, output), LogOdds()(output), atol=1e-5, rtol=1e-5)
    assert output_names(model.target) == ["a", "b", "c"]
    assert output_names(spec("binary")["target"]) == ["yes"]


METHODS = ["mutagenesis", "gradient", "integrated_gradients", "deep_lift"]


@torch.no_grad()
def difference(model: Supervised, codes: Tensor, method: str) -> Tensor:
    """Value that contributions must sum to: ``(sequences, outputs)``."""
    own = log_odds(model, model.eval()(codes))
    if method == "integrated_gradients":
        uniform = torch.full((1, 4, codes.shape[1]), 0.25)
        return own - log_odds(model, model.network(uniform))
    shuffled = dinucleotide_shuffle(codes.repeat_interleave(20, 0), seed=0)
    return own - log_odds(model, model(shuffled)).view(len(codes), 20, -1).mean(1)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize(
    "name", [n for n in NETWORKS if n not in ("full rank", "unknown is uniform")] + ["larger of strands, flattened"]
)
def test_contributions_are_complete(name: str, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    model, codes = network(name, kind), random_codes(10, LENGTH, 5) % 4
    column = 1 if kind == "multiclass" else 0
    target = {"binary": "yes", "multiclass": "b", "regression": None}[kind]
    for method, tolerance in (("integrated_gradients", 0.05), ("deep_lift", 1e-5)):
        expected = difference(model, codes, method)[:, column]
        found = attribute(model, codes, target, method)
        assert (found.sum((1, 2)) - expected).abs().max() <= tolerance * expected.abs().max()
        assert (found != 0).sum(2).max() == 1
    assert not caplog.records


@pytest.mark.parametrize("activation", ["tanh", "leaky_relu", "elu", "selu", "gelu"])
def test_deep_lift_of_every_activation(activation: str) -> None:
    model, codes = lively(CNN1D(spec=spec("binary"), activation=activation, hidden=[5])), random_codes(3, LENGTH, 5) % 4
    expected = difference(model, codes, "deep_lift")[:, 0]
    torch.testing.assert_close(attribute(model, codes, method="deep_lift").sum((1, 2)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["both pools", "larger of strands, hidden", "average of strands"])
def test_networks_prepared_for_captum_answer_the_same(name: str) -> None:
    model = network(name, "multiclass").eval()
    x = model.encode(random_codes(5, LENGTH, 0))
    torch.testing.assert_close(prepared(model.network, x[:1])(x), model.network(x))


@pytest.mark.parametrize("method", METHODS)
def test_hypothetical_contributions(method: str) -> None:
    model, codes = network("three layers", "multiclass"), random_codes(3, LENGTH, 5)
    codes[0, 4] = UNKNOWN
    hypothetical = attribute(model, codes, "c", method, hypothetical=True)
    assert hypothetical.shape == (3, LENGTH, 4)
    torch.testing.assert_close(attribute(model, codes, "c", method), hypothetical * one_hot(codes).transpose(1, 2))
    assert (attribute(model, codes, "c", method)[0, 4] == 0).all()
    if method != "deep_lift":  # its references are shuffled sequences
        assert hypothetical.sum(2)[codes < 4].abs().max() < 1e-5


def test_contribution_by_mutagenesis_is_minus_the_mean_effect_of_the_others() -> None:
    model, codes = network("one layer"), random_codes(2, LENGTH, 0) % 4
    found = attribute(model, codes).sum(2)
    torch.testing.assert_close(found, -mutagenesis(model, codes).sum((2, 3)) / 3)


def test_gradient_is_that_of_a_linear_model() -> None:
    model = MLP(spec=spec("binary", 5), hidden=[])
    weight = torch.arange(20.0).view(4, 5).square()
    model.head.weight.data = weight.view(1, 20)
    hypothetical = attribute(model, dna_codes(["ACGTA"]), method="gradient", hypothetical=True)
    torch.testing.assert_close(hypothetical[0], (weight - weight.mean(0)).T)
    torch.testing.assert_close(
        attribute(model, dna_codes(["ACGTA"]), "no", "gradient").sum(2)[0, 1], -hypothetical[0, 1, 1]
    )


def test_target_is_the_predicted_class_by_default() -> None:
    model, codes = network("one layer", "multiclass"), random_codes(8, LENGTH, 0)
    model.head[1].bias.data -= model.eval()(codes).mean(0)
    predicted = model.eval()(codes).argmax(1)
    assert len(predicted.unique()) > 1
    by_class = torch.stack([attribute(model, codes, number, "gradient") for number in range(3)])
    torch.testing.assert_close(attribute(model, codes, method="gradient"), by_class[predicted, torch.arange(8)])
    binary = network("one layer")
    torch.testing.assert_close(attribute(binary, codes, "no"), -attribute(binary, codes, "yes"))


@pytest.mark.parametrize(
    ("name", "kind", "options", "message"),
    [
        ("one layer", "binary", {"target": "yse"}, "class 'yse' is unknown; did you mean yes"),
        ("one layer", "binary", {"target": 2}, "number of the class must be between 0 and 1, not 2"),
        ("one layer", "regression", {"target": "yes"}, "the target y is continuous and has no class 'yes'"),
        ("one layer", "binary", {"method": "gradients"}, "method 'gradients' is unknown; did you mean gradient"),
        ("k-mers", "binary", {"method": "deep_lift"}, "deep_lift needs the one-hot encoding of DNA; use mutagenesis"),
        ("full rank", "binary", {"method": "gradient"}, "gradient needs the one-hot encoding"),
    ],
)
def test_bad_requests(name: str, kind: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        attribute(network(name, kind), random_codes(1, LENGTH, 0), **options)


def test_bad_sequences(mlp: MLP) -> None:
    model = network("one layer")
    with pytest.raises(InputError, match=r"uint8 of shape \(2, 30\), the model takes uint8 of shape \(sequences, 41\)"):
        mutagenesis(model, random_codes(2, 30, 0))
    with pytest.raises(InputError, match=r"codes are float32 of shape \(2, 41\)"):
        attribute(model, torch.zeros(2, LENGTH))
    with pytest.raises(InputError, match="there are no sequences"):
        mutagenesis(model, random_codes(0, LENGTH, 0))
    with pytest.raises(InputError, match="not available for table data; it is for sequence data"):
        variant_effects(mlp, pd.DataFrame(), None)


# Variants. The genome has ACG at 7 to 9 of chr1 (counted from 1), and its reverse complement CGT nowhere.
GENOME = {"chr1": "TTTTTTACGAATTGGCCATT", "chr2": "ACGAA"}


@pytest.fixture
def genome(here: Path) -> Genome:
    Path("genome.fa").write_text("".join(f">{name}\n{text}\n" for name, text in GENOME.items()))
    return Genome("genome.fa")


def finder(length: int, kind: str = "binary") -> CNN1D:
    """Log-odds (or the first of three raw outputs) are 2 where ACG occurs, else 0."""
    model = CNN1D(spec=spec(kind, length), filters=[1], widths=[3])
    model.load_state_dict({name: torch.zeros_like(value) for name, value in model.state_dict().items()})
    model.body[0].weight.data[0] = torch.eye(4)[:3].T
    model.body[0].bias.data.fill_(-2.0)
    model.head[1].weight.data[0] = 2.0
    model.y_scale.fill_(1.0)
    return model


def variants(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["chromosome", "position", "reference", "alternative"])


def test_effects_of_variants_by_hand(genome: Genome) -> None:
    frame = variants(
        ("chr1", 8, "C", "T"),  # ACG is lost
        ("chr1", 10, "a", "t"),  # ACGA becomes ACGT: on the other strand, CGT becomes ACG
        ("chr1", 14, "G", "GA"),  # ACG lies four bases left of the window
        ("chr1", 11, "A", "ACG"),  # a second ACG, and CGT
        ("chr1", 6, "TACG", "T"),  # ACG is deleted
        ("chr1", 12, "T", "TCGT"),  # one for the other strand
    )
    frame.index = list("pqrstu")
    effects = variant_effects(finder(8), frame, genome)
    assert list(effects) == [*frame, "effect_yes", "forward_yes", "reverse_yes"]
    assert list(effects.index) == list(frame.index)
    pd.testing.assert_frame_equal(effects[list(frame)], frame)
    assert effects["forward_yes"].tolist() == [-2, 0, 0, 0, -2, 0]
    assert effects["reverse_yes"].tolist() == [0, 2, 0, 2, 0, 2]
    assert effects["effect_yes"].tolist() == [-1, 1, 0, 1, -1, 1]


def test_columns_of_each_class_and_of_a_number(genome: Genome) -> None:
    lost = variants(("chr1", 8, "C", "T"))
    effects = variant_effects(finder(8, "multiclass"), lost, genome)
    assert list(effects.columns[4:7]) == ["effect_a", "effect_b", "effect_c"]
    others = np.log(2) - np.log(np.exp(2) + 1)  # log-odds of b and c increase when those of a decrease
    np.testing.assert_allclose(effects[["forward_a", "forward_b", "forward_c"]], [[-2, -others, -others]], rtol=1e-5)
    number = finder(8, "regression")
    number.y_scale.fill_(10.0)
    assert variant_effects(number, lost, genome)["forward_y"].tolist() == [-20]


@pytest.mark.parametrize(
    ("variant", "length", "expected"),
    [
        (("chr1", 8, "C", "T"), 6, ["TTACGA", "TTATGA"]),  # three bases left of the variant
        (("chr1", 8, "C", "T"), 5, ["TACGA", "TATGA"]),  # two
        (("chr1", 8, "C", "CGG"), 8, ["TTTACGAA", "TTTACGGG"]),  # an insertion shifts bases out on the right
        (("chr1", 8, "C", "CGGGGGG"), 8, ["TTTACGAA", "TTTACGGG"]),  # a longer one is cut
        (("chr1", 8, "CGA", "C"), 8, ["TTTACGAA", "TTTACATT"]),  # a deletion shifts bases in
        (("chr1", 8, "CGAATTG", "C"), 6, ["TTACGA", "TTACGC"]),  # longer than the window
        (("chr1", 8, "CG", "TT"), 6, ["TTACGA", "TTATTA"]),
        (("chr1", 1, "T", "C"), 6, ["NNNTTT", "NNNCTT"]),  # ends of a chromosome
        (("chr1", 20, "T", "TA"), 6, ["CATTNN", "CATTAN"]),
        (("chr1", 19, "TT", "T"), 6, ["CCATTN", "CCATNN"]),
        (("chr2", 2, "C", "A"), 12, ["NNNNNACGAANN", "NNNNNAAGAANN"]),  # a chromosome shorter than the window
        (("chr2", 2, "C", "A"), 1, ["C", "A"]),
    ],
)
def test_windows_of_both_alleles(
    variant: tuple, length: int, expected: list[str], genome: Genome, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def note(model: Supervised, reference: Tensor, alternative: Tensor) -> Tensor:
        seen.extend(dna_text(torch.cat([reference, alternative])))
        return torch.zeros(2, len(reference), 1)

    monkeypatch.setattr("zoo.explain.dna.variants._effects", note)
    variant_effects(CNN1D(spec=spec("binary", length), widths=[1]), variants(variant), genome)
    assert seen == expected


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (("chr1", 9, "C", "T"), "variant chr1:9: reference is C, but genome.fa has G there; use the genome on which"),
        (("chr1", 8, "CGT", "C"), "variant chr1:8: reference is CGT, but genome.fa has CGA there"),
        (
            ("chr1", 20, "TT", "T"),
            "variant chr1:20: reference TT does not lie inside its chromosome, which has 20 bases",
        ),
        (("chr1", 0, "T", "C"), "variant chr1:0: reference T does not lie inside"),
        (("1", 8, "C", "T"), "no chromosome '1' in genome.fa; did you mean chr1?"),
        (("chr1", 8, "C", "<DEL>"), "variants: chr1:8, position 1: '<' is not a letter of DNA"),
        (("chr1", 8, "C", ""), "variants: chr1:8 is empty"),
    ],
)
def test_variants_are_checked_first(
    variant: tuple, message: str, genome: Genome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.explain.dna.variants._effects", None)  # nothing may be computed
    with pytest.raises(InputError) as error:
        variant_effects(finder(8), variants(("chr1", 8, "C", "T"), variant, ("chr1", 8, "CCC", "T")), genome)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_many_variants_in_parts(genome: Genome, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = variants(*[("chr1", p, GENOME["chr1"][p - 1], base) for p in range(1, 21) for base in "ACGT"])
    model = lively(CNN1D(spec=spec("binary", 9), widths=[4]))
    expected = variant_effects(model, frame, genome)
    monkeypatch.setattr("zoo.explain.dna.variants.BASES", 30)
    pd.testing.assert_frame_equal(variant_effects(model, frame, genome), expected, rtol=1e-4)
    assert variant_effects(model, frame[:0], genome).shape == (0, 7)
    with pytest.raises(InputError, match="the table of variants lacks 1 of 4 features, first 'alternative'"):
        variant_effects(model, frame.drop(columns="alternative"), genome)


def test_effects_of_alleles() -> None:
    model = lively(CNN1D(spec=spec("binary", 9), widths=[4]))
    frame = pd.DataFrame({"reference_sequence": ["ACGTACGTA"] * 2, "alternative_sequence": ["ACGTTCGTA", "NCGTACGTA"]})
    frame.index = ["rs1", "rs2"]
    effects = allele_effects(model, frame)
    old, new = (dna_codes(list(frame[name])) for name in frame)
    with torch.no_grad():
        forward, reverse = (
            (model.eval()(strand(new)) - model(strand(old)))[:, 0].numpy()
            for strand in (lambda x: x, reverse_complement)
        )
    np.testing.assert_allclose(effects["forward_yes"], forward, atol=1e-6)
    np.testing.assert_allclose(effects["reverse_yes"], reverse, atol=1e-6)
    np.testing.assert_allclose(effects["effect_yes"], (forward + reverse) / 2, atol=1e-6)
    np.testing.assert_allclose(effects["forward_yes"].iloc[0], mutagenesis(model, old[:1])[0, 4, 3, 0], atol=1e-6)
    frame.loc["rs2", "alternative_sequence"] = "ACGTZCGTA"
    with pytest.raises(InputError, match="alternative_sequence: row 'rs2', position 5: 'Z' is not a letter of DNA"):
        allele_effects(model, frame)
    frame["alternative_sequence"] = "ACGT"
    with pytest.raises(InputError, match="alternative_sequence: sequences have 4 bases, the model takes 9"):
        allele_effects(model, frame)

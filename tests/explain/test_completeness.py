"""Completeness of contributions: large deviations are errors, smaller ones are stated in figure and table."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cohort import cohort, train  # noqa: F401 (a fixture)
from conftest import lively, spec
from torch import nn

from zoo.cli import main
from zoo.data import MultiOmicsData, SequenceData, TableData
from zoo.encode.dna import random_codes
from zoo.explain import (
    attribute,
    explain_features,
    explain_samples,
    feature_importance,
    feature_stability,
    heat_map,
    modality_weights,
    series_influence,
)
from zoo.explain.completeness import Gap
from zoo.explain.features import attribution
from zoo.figure import Figure
from zoo.latent.measures import subsample
from zoo.models import CNN1D, CNN2D, MLP, MultiModal, Supervised

OUT = Path("runs/cnn1d_motif/pretrained/explanation")
MISSED = "the sum of contributions deviates from the difference of the outputs"


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of the figures that are written, without line breaks."""
    found, save = list[str](), Figure.savefig

    def note(self: Figure, *given: object, **options: object) -> None:
        texts = [self.get_suptitle(), *(axes.get_title(loc="left") for axes in self.axes)]
        found.append(" ".join(" ".join(texts).split()))
        save(self, *given, **options)

    monkeypatch.setattr(Figure, "savefig", note)
    return found


def of_dna(hidden: list[int], **options: str) -> MLP:
    """A network with layers that DeepLIFT has no rule for, which takes the sequences of a shipped dataset."""
    torch.manual_seed(1)
    model = MLP(spec=SequenceData("motif_simulation").spec, hidden=hidden, activation="maxout", **options)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.uniform_(layer.bias, 0, 0.5)
    return model.eval()


def gap(difference: list[float], unexplained: list[float], **options: object) -> Gap:
    return Gap("m", torch.tensor(difference), torch.tensor(unexplained), "why", "other", **options)  # type: ignore[arg-type]


def test_what_is_exact_what_is_said_and_what_is_refused(message, caplog: pytest.LogCaptureFixture) -> None:
    gap([2.0, -4.0], [0.1, -0.19]).check()
    assert not caplog.records
    told = gap([2.0, -4.0], [0.1, -1.0])
    told.check()
    assert told.note == f"m is inexact here: {MISSED} by up to 25% of the largest difference (why)"
    assert "25% of the largest difference (why); compare with other" in caplog.text
    assert message(gap([2.0, -4.0], [0.1, -2.1]).check).endswith(
        "by up to 52% of the largest difference (why); use other"
    )
    assert "by up to 24 times the largest" in message(gap([2.0], [48.0]).check)
    averaged = gap([2.0, -4.0, 6.0], [0.0, -2.4, 0.0], averaged=True)
    assert f"{MISSED} on average by 20% of the mean difference" in averaged.note
    gap([0.0, 0.0], [1e-6, 0.0]).check()  # rounding, where there is nothing to explain
    assert gap([0.0], [0.02]).refusal
    assert not gap([0.0], [0.02], unit=100.0).note
    assert "nan" in message(gap([1.0], [float("nan")]).check)


def test_deep_lift_is_refused_where_it_has_no_rule_for_a_layer(message) -> None:
    codes = random_codes(4, 50, 0)
    refused = message(lambda: attribute(of_dna([6], normalisation="layer"), codes, method="deep_lift"))
    assert refused.startswith(f"deep_lift is inexact here: {MISSED} by up to ")
    assert refused.endswith("(DeepLIFT has no rule for LayerNorm, Maxout); use integrated_gradients or mutagenesis")
    assert attribute(of_dna([6], normalisation="layer"), codes, method="integrated_gradients").abs().max() > 0


def test_zoo_explain_refuses_dna_or_says_how_far_off(
    here: Path,
    zoo_fails: Callable[..., str],
    titles: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("zoo.weights.load", lambda name: of_dna([8, 8], normalisation="layer"))
    line = zoo_fails("explain", "cnn1d_motif", "--method", "deep_lift")
    assert "(DeepLIFT has no rule for LayerNorm, Maxout); use integrated_gradients or mutagenesis" in line
    assert not OUT.exists()
    assert not titles
    model = of_dna([4])
    monkeypatch.setattr("zoo.weights.load", lambda name: model)
    main(["explain", "cnn1d_motif", "--method", "deep_lift"])
    table = pd.read_csv(OUT / "contributions.csv")
    each = table.groupby("sequence", sort=False)
    np.testing.assert_allclose(
        each["contribution"].sum() + each["unexplained"].first(), each["difference"].first(), atol=1e-3
    )
    share = each["unexplained"].first().abs().max() / each["difference"].first().abs().max()
    assert 0.05 < share < 0.5
    (title,) = titles
    told = f"deep_lift is inexact here: {MISSED} by up to {share:.0%} of the largest difference (DeepLIFT has no rule"
    assert told in title
    assert told in caplog.text
    main(["explain", "cnn1d_motif", "--method", "integrated_gradients"])
    assert titles[1].startswith("Contribution of each base")
    assert "inexact" not in titles[1]
    exact = pd.read_csv(OUT / "contributions.csv")
    assert exact["unexplained"].abs().max() < 0.05 * exact["difference"].abs().max()


def test_a_mutagenesis_has_no_sum(here: Path) -> None:
    main(["explain", "cnn1d_motif"])
    assert not {"difference", "unexplained"} & set(pd.read_csv(OUT / "contributions.csv"))


SMOOTH = {"activation": "tanh", "pooling": "average"}
SAMPLES = {
    "images": (
        lambda: CNN2D(spec=spec((2, 10, 10), classes=()), filters=[4], kernel_sizes=[3], **SMOOTH),
        "heat_maps.npz",
    ),
    "series": (lambda: CNN1D(spec=spec((2, 30)), filters=[4], widths=[5], activation="tanh"), "influence.csv"),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_maps_of_too_few_steps(
    kind: str, tmp_path: Path, titles: list[str], message, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, name = SAMPLES[kind]
    torch.manual_seed(2)
    model = lively(build())
    x, names = model.encode.example(3), pd.Index(["a", "b", "c"])

    def written(folder: str) -> tuple[np.ndarray, np.ndarray]:
        path = explain_samples(model, x, x, names, tmp_path / folder, "integrated_gradients")[1]
        assert path.name == name
        if kind == "images":
            with np.load(path, allow_pickle=False) as found:
                maps, difference, unexplained = (found[key] for key in ("maps", "difference", "unexplained"))
            np.testing.assert_allclose(maps.sum((1, 2)) + unexplained, difference, atol=1e-4)
            return difference, unexplained
        each = pd.read_csv(path).groupby("sample")
        difference, unexplained = each["difference"].first(), each["unexplained"].first()
        np.testing.assert_allclose(each["influence"].sum() + unexplained, difference, atol=1e-3)
        return difference.to_numpy(), unexplained.to_numpy()

    difference, unexplained = written("exact")
    assert np.abs(unexplained).max() < 1e-2 * np.abs(difference).max()
    assert "inexact" not in titles[0]
    monkeypatch.setattr("zoo.explain.pixels.heat_maps.STEPS", 1)
    difference, unexplained = written("rough")
    share = np.abs(unexplained).max() / np.abs(difference).max()
    assert 0.05 < share < 0.5
    assert f"by up to {share:.0%} of the largest difference (1 steps are too few for this network)" in titles[1]
    monkeypatch.setattr("zoo.explain.completeness.REFUSED", 0.05)
    one = heat_map if kind == "images" else series_influence
    assert message(lambda: one(model, x, method="integrated_gradients")).endswith("; use occlusion")
    refused = message(lambda: explain_samples(model, x, x, names, tmp_path / "refused", "integrated_gradients"))
    assert refused.endswith("; use occlusion")
    assert not (tmp_path / "refused").exists()


@pytest.fixture
def fused(cohort: MultiOmicsData) -> Supervised:
    torch.manual_seed(0)
    return train(MultiModal(spec=cohort.spec, hidden=[16], lr=0.01), cohort, 12)


@pytest.mark.parametrize("method", ["integrated_gradients", "gradient_shap"])
def test_the_gap_of_features_is_that_of_the_outputs(
    method: str, cohort: MultiOmicsData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for samples that lack a modality, which their references lack as well."""
    torch.manual_seed(0)
    model = train(MultiModal(spec=cohort.spec, fusion="early", hidden=[16], lr=0.01), cohort, 12)
    monkeypatch.setitem(attribution.STEPS, method, 64 if method == "integrated_gradients" else 4000)
    found, here, gap = attribution.attributions(model, cohort, "train", method)
    np.testing.assert_allclose(found.sum(1) + gap.unexplained, gap.difference, atol=1e-4)
    assert gap.share < 0.05
    training = attribution.encode_split(model, cohort, "train")
    references = training.content.sum(0, keepdim=True) / training.measured.sum(0)
    if method == "gradient_shap":
        references = training.content[subsample(len(training.rows), attribution.REFERENCES, 0)]
    for lacks in (False, True):
        row = int((here.measured.all(1) != lacks).nonzero()[0])
        presence = here.presence[row]
        reference = torch.cat([references * here.measured[row], presence.expand(len(references), -1)], 1)
        with torch.no_grad():
            own = model.network(torch.cat([here.content[row], presence])[None])
            expected = (own - model.network(reference).mean(0))[0, 0]
        assert abs(float(gap.difference[row])) == pytest.approx(abs(float(expected)), abs=1e-5)


def test_features_of_too_few_steps(
    fused: Supervised,
    cohort: MultiOmicsData,
    here: Path,
    titles: list[str],
    message,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert feature_importance(fused, cohort)["unexplained_share"].between(0, 0.05).all()
    assert not caplog.records
    monkeypatch.setitem(attribution.STEPS, "integrated_gradients", 1)
    explain_features(fused, cohort, here / "out")
    table = pd.read_csv(here / "out" / "features.csv")
    share = table["unexplained_share"][0]
    assert 0.05 < share < 0.5
    assert (table["unexplained_share"] == share).all()
    told = f"{MISSED} on average by {share:.0%} of the mean difference (1 steps are too few for this network)"
    assert told in titles[0]
    assert f"{MISSED} on average by" in titles[1]  # of the modalities
    assert told in caplog.text
    monkeypatch.setattr("zoo.explain.completeness.REFUSED", 0.05)
    assert message(lambda: explain_features(fused, cohort, here / "refused")).endswith("; use gradient_shap")
    assert not (here / "refused").exists()
    weights = modality_weights(fused, cohort)
    assert weights["integrated_gradients"].isna().all()
    assert weights[["permutation", "ablation"]].notna().all(axis=None)
    assert "integrated_gradients is inexact here" in weights.attrs["note"].replace("Integrated", "integrated")


def test_stability_says_that_a_model_was_explained_badly(
    here: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame.to_csv("table.csv", index=False)
    data = TableData("table.csv", id="patient", target="outcome")

    def fit(data: TableData, seed: int) -> MLP:
        model = MLP(spec=data.spec, hidden=[4], activation="tanh")
        torch.manual_seed(seed)
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(2 * torch.randn_like(weight))
        model.fit_encoders(data.training_inputs(), data.training_targets())
        return model.eval()

    options = {"models": 2, "permutations": 1, "top": 1}
    assert "inexact" not in feature_stability(fit, data, **options).note
    monkeypatch.setitem(attribution.STEPS, "integrated_gradients", 2)
    note = feature_stability(fit, data, **options).note
    assert f"in one of the models integrated_gradients is inexact here: {MISSED} on average by" in note

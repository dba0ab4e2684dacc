"""Importance of modalities: measures for models whose importances are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from zoo.data import MultiOmicsData, TableData
from zoo.explain import modality_weights, plot_modality_weights
from zoo.explain.features.fused_layers import fused_layers
from zoo.models import MLP
from zoo.models.fusion.base import Fusion
from zoo.models.fusion.multi_modal import MultiModal

SHARES = ["weights", "latent", "integrated_gradients", "permutation", "ablation"]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def cohort(tmp_path: Path) -> Callable[..., MultiOmicsData]:
    """160 patients; rna determines class and number, mirna is uninformative and equal in pairs; 20 patients lack it."""
    rng = np.random.default_rng(0)
    names = pd.Index([f"p{number}" for number in range(160)], name="patient")
    rna, pairs = rng.normal(size=(160, 6)), rng.normal(size=(160, 2))
    signal = rna[:, 0] + rna[:, 1]
    pd.DataFrame(rna, names, [f"gene{n}" for n in range(6)]).to_csv(tmp_path / "rna.csv")
    pd.DataFrame(pairs[:, [0, 0, 1, 1]], names, [f"mir{n}" for n in range(4)])[20:].to_csv(tmp_path / "mirna.csv")
    samples = pd.DataFrame(
        {
            "class": np.where(signal + 0.5 * rng.normal(size=160) > 0, "yes", "no"),
            "grade": pd.cut(signal, [-np.inf, -1, 1, np.inf], labels=["low", "middle", "high"]),
            "level": signal,
            "time": np.exp(-signal) + 0.1,
            "event": rng.integers(0, 2, 160),
        },
        names,
    )
    samples.to_csv(tmp_path / "samples.csv")

    def read(target: str = "class", **more: str) -> MultiOmicsData:
        modalities = {name: {"path": str(tmp_path / f"{name}.csv"), "scale": "none"} for name in ("rna", "mirna")}
        return MultiOmicsData(str(tmp_path / "samples.csv"), modalities, target=target, id="patient", **more)

    return read


def linear(data: MultiOmicsData, rna: list[float], mirna: list[float]) -> MLP:
    """A linear model with these weights; both presence inputs have weight 0."""
    model = MLP(spec=data.spec, hidden=[])
    model.fit_encoders(data.training_inputs(), data.training_targets())
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[*rna, *mirna, 0.0, 0.0]]))
        model.head.bias.zero_()
    return model.eval()


def trained(model: Fusion, data: MultiOmicsData) -> Fusion:
    x, y = data.training_inputs(), data.training_targets()
    model.fit_encoders(x, y)
    optimiser = torch.optim.Adam(model.train().parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        model.loss({"x": x, "y": y}).backward()
        optimiser.step()
    return model.eval()


def test_weights_that_cancel_have_a_norm_and_no_effect_and_the_note_says_so(cohort) -> None:
    table = modality_weights(linear(cohort(), [2, 2, 0, 0, 0, 0], [1.7, -1.7, 1.7, -1.7]), cohort())
    assert table.index.tolist() == ["rna", "mirna"]
    assert table["weights"]["mirna"] > 0.5
    assert table["permutation"]["rna"] == pytest.approx(1, abs=1e-3)
    assert table["ablation"].tolist() == pytest.approx([1, 0], abs=1e-3)
    assert table["permutation_loss"]["rna"] > 3 * table["permutation_sd"]["rna"] > 0
    note = table.attrs["note"]
    assert "disagree most" in note
    assert "weight norm and integrated gradients rank the modalities differently from permutation" in note
    assert note.count(". ") == 0
    assert note.endswith("not by weight norms.")


def test_shares_sum_to_one_and_early_fusion_has_no_latent_space(cohort) -> None:
    model = linear(cohort(), [2, 2, 0, 0, 0, 0], [1.0, 0, 0, 0])
    table = modality_weights(model, cohort())
    assert table["latent"].isna().all()
    assert table[[name for name in SHARES if name != "latent"]].sum().tolist() == pytest.approx([1, 1, 1, 1])
    norms = np.array([np.sqrt(8 / 6), np.sqrt(1 / 4)])
    assert table["weights"].tolist() == pytest.approx(norms / norms.sum())


def test_integrated_gradients_of_a_linear_model_are_weight_times_value(cohort) -> None:
    data = cohort()
    rna, mirna = np.array([2, -1, 0, 0, 0, 0.5]), np.array([1.0, 0, 0, 0])
    model = linear(data, list(rna), list(mirna))
    encoded = model.encode(data.dataset.x[data.dataset.rows("validation")]).numpy()
    sizes = np.array([np.abs(encoded[:, :6] * rna).sum(), np.abs(encoded[:, 6:10] * mirna).sum()])
    table = modality_weights(model, data)
    assert table["integrated_gradients"].tolist() == pytest.approx(sizes / sizes.sum(), abs=1e-5)


def test_ablation_is_what_the_model_loses_if_it_is_told_that_nothing_was_measured(cohort) -> None:
    data = cohort()
    model = trained(MultiModal(spec=data.spec, hidden=[8], fused=[8]), data)
    rows = data.dataset.rows("validation")
    x, y = data.dataset.x[rows].clone(), data.dataset.y[rows]
    with torch.no_grad():
        before = model.target_head.loss(model(x), y).mean()
        alone = ~x["measured"][:, 1]
        x["measured"][:, 0] &= alone
        lost = model.target_head.loss(model(x), y).mean() - before
    table = modality_weights(model, data)
    assert table["ablation_loss"]["rna"] == pytest.approx(float(lost), abs=1e-5)
    assert table["samples"].tolist() == [len(rows), int((~alone).sum())]
    assert table[["permutation", "ablation", "latent"]].loc["rna"].min() > 0.6


@pytest.mark.parametrize(("fusion", "absent"), [("early", "latent"), ("joint", None), ("late", "weights")])
def test_measures_that_a_fusion_does_not_have_are_empty(cohort, fusion: str, absent: str | None) -> None:
    data = cohort()
    model = trained(MultiModal(spec=data.spec, fusion=fusion, hidden=[8], fused=[8]), data)
    table = modality_weights(model, data, shuffles=3)
    assert [name for name in SHARES if table[name].isna().all()] == ([absent] if absent else [])
    assert table["integrated_gradients"]["rna"] > 0.5


def test_the_layer_that_joins_latent_spaces_is_found(cohort) -> None:
    data = cohort()
    branches = {"rna": {"hidden": [5]}, "mirna": {"hidden": [3]}}
    model = MultiModal(spec=data.spec, branches=branches, fused=[4], activation="tanh")
    model.fit_encoders(data.training_inputs())
    linear_layer, latent = fused_layers(model.eval().network, model.encode(data.training_inputs()), model.encode.places)
    assert linear_layer.layer.in_features == 5 + 3 + 2
    assert not linear_layer.of_input
    for found in (linear_layer, latent):
        assert found.blocks["rna"].tolist() == [0, 1, 2, 3, 4]
        assert found.blocks["mirna"].tolist() == [5, 6, 7]


@pytest.mark.parametrize("target", ["grade", "level", "time"])
def test_classes_numbers_and_survival(cohort, target: str) -> None:
    data = cohort(target, **({"event": "event"} if target == "time" else {}))
    model = trained(MultiModal(spec=data.spec, hidden=[8], fused=[8]), data)
    table = modality_weights(model, data, shuffles=5)
    assert table[SHARES].notna().all(axis=None)
    assert table["permutation"]["rna"] > 0.7


def test_an_imputed_modality_is_ablated_by_its_mean(cohort) -> None:
    data = cohort(missing="impute")
    model = linear(data, [2, 2, 0, 0, 0, 0], [0, 0, 0, 0])
    with torch.no_grad():
        model.head.weight[0, -2:] = 50.0  # the presence inputs are always 1
    assert modality_weights(model, data)["ablation_loss"]["mirna"] == pytest.approx(0, abs=1e-6)


def test_the_model_stays_as_it_was_and_answers_repeat(cohort) -> None:
    data = cohort()
    model = trained(MultiModal(spec=data.spec, hidden=[8], fused=[8], dropout=0.5), data).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    one, two = (modality_weights(model, data, shuffles=3) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)
    assert model.body.training
    assert all(not module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_model_that_uses_no_modality_gets_a_note(cohort) -> None:
    table = modality_weights(linear(cohort(), [0] * 6, [0] * 4), cohort())
    assert table["permutation"].isna().all()
    assert table.attrs["note"].startswith("Permuting a modality increases no loss")
    plot_modality_weights(table)


def test_the_figure_shows_all_measures_and_the_disagreement(cohort) -> None:
    table = modality_weights(linear(cohort(), [2, 2, 0, 0, 0, 0], [1.7, -1.7, 1.7, -1.7]), cohort())
    (axes,) = plot_modality_weights(table).axes
    assert "disagree" in axes.get_title(loc="left").replace("\n", " ")
    assert "MLP" in axes.get_title(loc="left")
    assert [label.get_text() for label in axes.get_legend().get_texts()] == ["rna", "mirna"]
    assert [text.get_text() for text in axes.texts] == ["none"]
    assert len(axes.get_xticks()) == 5


def test_other_models_and_data_are_refused(cohort, message, table: str) -> None:
    data = cohort()
    one = TableData(table, id="patient", target="outcome")
    flat = MLP(spec=one.spec)
    flat.fit_encoders(one.training_inputs())
    assert "not available for table data; it is for multi-modality data" in message(lambda: modality_weights(flat, one))
    model = linear(data, [0] * 6, [0] * 4)
    assert "other features" in message(lambda: modality_weights(model, one))
    assert "shuffles must be at least 1" in message(lambda: modality_weights(model, data, shuffles=0))
    assert "split 'all' is unknown" in message(lambda: modality_weights(model, data, split="all"))

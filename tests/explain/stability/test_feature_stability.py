"""Feature importance and its stability: planted signals, exact contributions, permuted labels, gene sets."""

import logging
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from zoo.data import Data, MultiOmicsData, TableData
from zoo.explain import enrichment, feature_importance, feature_stability, plot_feature_stability
from zoo.explain.features.enrichment import read_gmt
from zoo.explain.stability.data import permuted, training_sets, with_training
from zoo.explain.stability.statistics import agreement, relative, selected
from zoo.explain.stability.training import fitter
from zoo.models import MLP, VAE

PLANTED = [f"rna:gene{number}" for number in range(6)]


@pytest.fixture
def cohort(tmp_path: Path) -> Callable[..., MultiOmicsData]:
    """200 patients, two of each household; six of 60 genes differ between cases and controls, no miRNA does."""

    def read(target: str = "state", effect: float = 1.2, seed: int = 1, **more: object) -> MultiOmicsData:
        rng = np.random.default_rng(seed)
        names = pd.Index([f"p{number}" for number in range(200)], name="patient")
        case = np.repeat(rng.integers(0, 2, 100), 2)
        rna, mirna = rng.normal(size=(200, 60)), rng.normal(size=(200, 20))
        rna[:, :6] += effect * case[:, None]
        pd.DataFrame(rna, names, [f"gene{n}" for n in range(60)]).to_csv(tmp_path / "rna.csv")
        pd.DataFrame(mirna, names, [f"mir{n}" for n in range(20)])[30:].to_csv(tmp_path / "mirna.csv")
        state = np.where(case, "case", "control")
        samples = pd.DataFrame({"state": state, "level": rna[:, 0], "home": np.arange(200) // 2}, names)
        samples.to_csv(tmp_path / "samples.csv")
        modalities = {name: {"path": str(tmp_path / f"{name}.csv"), "scale": "none"} for name in ("rna", "mirna")}
        if target == "state":
            more = {"positive": "control", **more}  # the seeds below were chosen with these codes
        return MultiOmicsData(str(tmp_path / "samples.csv"), modalities, target=target, id="patient", **more)

    return read


def fit(data: Data, seed: int, epochs: int = 20, hidden: int = 16) -> MLP:
    """A small network, trained on all rows at once for a fixed number of steps."""
    torch.manual_seed(seed)
    model = MLP(spec=data.spec, hidden=[hidden] if hidden else [])
    x, y = data.training_inputs(), data.training_targets()
    model.fit_encoders(x, y)
    encoded = model.encode(x)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(epochs):
        optimiser.zero_grad()
        model.target_head.loss(model.network(encoded), y).mean().backward()
        optimiser.step()
    return model.eval()


def test_importance_of_a_linear_model_is_weight_times_distance_from_the_mean(cohort) -> None:
    data = cohort()
    model = fit(data, 0, hidden=0)
    rows = data.dataset.rows("validation")
    encoded = model.encode(data.dataset.x[rows])
    weight = model.head.weight.detach()[0]
    has = data.dataset.x[rows]["measured"]
    table = feature_importance(model, data, split="validation").set_index("feature")
    assert table["importance"]["rna:gene3"] == pytest.approx(float((encoded[:, 3] * weight[3]).abs().mean()), rel=1e-4)
    own = encoded[has[:, 1], 62] * weight[62]  # samples without the modality do not count
    assert table["importance"]["mirna:mir2"] == pytest.approx(float(own.abs().mean()), rel=1e-4)
    assert table["samples"][["rna:gene0", "mirna:mir0"]].tolist() == [len(rows), int(has[:, 1].sum())]
    assert len(table) == 80
    assert table["importance"].is_monotonic_decreasing


def test_both_methods_find_the_planted_genes_and_say_what_speaks_for_a_class(cohort) -> None:
    data = cohort()
    model = fit(data, 0)
    state, seed = torch.get_rng_state(), os.environ.get("PL_GLOBAL_SEED")
    tables = {
        method: feature_importance(model, data, method=method, by_class=True)
        for method in ("integrated_gradients", "gradient_shap")
    }
    assert torch.equal(torch.get_rng_state(), state)
    assert os.environ.get("PL_GLOBAL_SEED") == seed
    for table in tables.values():
        assert set(table["feature"][:6]) == set(PLANTED)
        assert (table[["contribution_case", "contribution_control"]][:6] > 0).all(axis=None)
    again = feature_importance(model, data, method="gradient_shap", by_class=True)
    pd.testing.assert_frame_equal(tables["gradient_shap"], again)


def test_columns_of_a_category_are_summed_into_their_feature(here: Path, frame: pd.DataFrame) -> None:
    frame.to_csv("table.csv", index=False)
    data = TableData("table.csv", id="patient", target="outcome")
    model = fit(data, 0, hidden=0)
    table = feature_importance(model, data, by_class=True).set_index("feature")
    assert set(table.index) == {"age", "dose", "sex"}
    x = model.encode(data.training_inputs())
    columns = [number for number, name in enumerate(model.encode.feature_names) if name.startswith("sex=")]
    own = ((x - x.mean(0)) * model.head.weight.detach()[0])[:, columns].sum(1)
    assert table["importance"]["sex"] == pytest.approx(float(own.abs().mean()), rel=1e-4)


def test_the_unit_of_a_number_and_no_classes(cohort, message) -> None:
    data = cohort("level")
    model = fit(data, 0, hidden=0)
    table = feature_importance(model, data).set_index("feature")
    scale = float(model.y_scale * model.head.weight[0, 0].detach())
    x = model.encode(data.training_inputs())[:, 0]
    assert table["importance"]["rna:gene0"] == pytest.approx(abs(scale) * float(x.abs().mean()), rel=1e-3)
    assert "has no classes" in message(lambda: feature_importance(model, data, by_class=True))


@pytest.mark.parametrize("design", ["seeds", "bootstrap", "halves"])
def test_planted_features_are_found_and_few_others(cohort, design: str) -> None:
    data = cohort()
    found = feature_stability(fit, data, models=4, permutations=5, top=10, design=design, known=["gene0", "gene1"])
    assert len(set(found.consensus) & set(PLANTED)) >= 5
    assert len(set(found.consensus) - set(PLANTED)) <= 1
    table = found.table.set_index("feature")
    assert table.loc[PLANTED, "selection"].mean() > 0.9
    assert table["null_selection"].mean() == pytest.approx(10 / 80)
    assert table.index[table["known"]].tolist() == [name for name in table.index if name in PLANTED[:2]]
    assert set(found.new) == set(found.consensus) - set(PLANTED[:2])
    assert found.agreement.loc["real labels", "pairs"] == (2 if design == "halves" else 6)
    assert found.agreement.loc["permuted labels", "pairs"] == 5 * (2 if design == "halves" else 6)
    assert found.agreement["top_shared"]["real labels"] > found.agreement["top_shared"]["permuted labels"]
    assert len(found.importances) == 4
    assert len(found.null_importances) == 20
    assert "false discovery rate of 10%" in found.note


def test_the_promise_of_few_false_discoveries_holds_over_simulations(cohort) -> None:
    cohorts = [cohort(seed=1000 + number) for number in range(4)]
    found = [feature_stability(fit, data, models=4, permutations=4, top=10).consensus for data in cohorts]
    recall = [len(set(names) & set(PLANTED)) / 6 for names in found]
    false = [len(set(names) - set(PLANTED)) / max(1, len(names)) for names in found]
    assert np.mean(recall) >= 0.9
    assert np.mean(false) <= 0.1


def test_disjoint_halves_share_nothing_on_permuted_labels_but_the_same_patients_do(cohort) -> None:
    seeds, halves = (
        feature_stability(fit, cohort(), models=4, permutations=3, top=10, design=design)
        for design in ("seeds", "halves")
    )
    assert seeds.agreement["spearman"]["permuted labels"] > 0.4  # null importances correlate too in the same patients
    assert abs(halves.agreement["spearman"]["permuted labels"]) < 0.15
    assert seeds.agreement.attrs["patients"] == "the same"
    assert halves.agreement.attrs["patients"] == "disjoint"


def test_nothing_is_found_where_nothing_is_to_be_found(cohort) -> None:
    found = feature_stability(fit, cohort(effect=0.0), models=3, permutations=4, top=10)
    assert len(found.consensus) <= 1
    assert found.table["p_value"].min() >= 1 / (1 + 4 * 60)
    few = feature_stability(fit, cohort(effect=0.0), models=2, permutations=1, top=10, fdr=0.01)
    assert "fewer than 132 features cannot be significant" in few.note


def test_models_that_stop_early_on_permuted_labels_are_told(cohort, caplog: pytest.LogCaptureFixture) -> None:
    data = cohort()
    truth = data.training_targets()

    def stops(data: Data, seed: int) -> MLP:
        return fit(data, seed, epochs=60 if torch.equal(data.training_targets(), truth) else 1)

    with caplog.at_level(logging.WARNING, "zoo"):
        found = feature_stability(stops, data, models=3, permutations=2, top=10)
    assert "without early stopping" in found.note
    assert "had been trained less" in caplog.text
    fair = feature_stability(fit, data, models=3, permutations=2, top=10)
    assert "trained" not in fair.note
    assert fair.new == fair.consensus


def test_labels_are_permuted_among_training_rows_alone(cohort) -> None:
    data = cohort()
    changed = permuted(data, 0)
    train = (data.samples["split"] == "train").to_numpy()
    before, after = data.dataset.y, changed.dataset.y
    assert torch.equal(before[~train], after[~train])
    assert not torch.equal(before[train], after[train])
    assert torch.equal(before[train].sort().values, after[train].sort().values)
    assert changed.dataset.x is data.dataset.x
    assert changed.dataset.samples is data.dataset.samples
    assert not torch.equal(permuted(data, 1).dataset.y, after)
    assert torch.equal(permuted(data, 0).training.columns["y"], after[torch.from_numpy(train)])


def test_groups_are_permuted_and_drawn_as_a_whole(cohort) -> None:
    data = cohort(group="home")
    home = data.samples["home"].to_numpy()
    after = permuted(data, 0).dataset.y.numpy()
    assert pd.Series(after).groupby(home).nunique().max() == 1
    assert not np.array_equal(after, data.dataset.y)
    for design in ("bootstrap", "halves"):
        for rows in training_sets(data, design, 2, 0):
            drawn = pd.Series(home[rows.numpy()]).value_counts()
            assert (drawn % 2 == 0).all()
    a, b = (set(home[rows.numpy()]) for rows in training_sets(data, "halves", 2, 0))
    assert not a & b
    assert len(a | b) == len(set(home[data.dataset.rows("train").numpy()]))


def test_other_training_rows_leave_the_rest_and_read_nothing(cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    data = cohort()
    data.dataset  # noqa: B018
    monkeypatch.setattr(MultiOmicsData, "read", lambda self: pytest.fail("read again"))
    rows = training_sets(data, "bootstrap", 1, 0)[0]
    other = with_training(data, rows)
    assert len(other.dataset.rows("train")) == len(data.dataset.rows("train")) == len(rows)
    for split in ("validation", "test"):
        names = [own.samples.index[own.samples["split"] == split].tolist() for own in (data, other)]
        assert names[0] == names[1]
    x = data.dataset.x[rows]["rna"]
    assert torch.equal(other.training_inputs()["rna"], x)
    assert torch.equal(other.training_targets(), data.dataset.y[rows])
    assert torch.equal(other.training.__getitems__(range(len(rows)))["y"], data.dataset.y[rows])


RECIPE = """
model: {class_path: MLP, init_args: {hidden: [8], lr: 0.01}}
data: {class_path: TableData, init_args: {path: pima}}
trainer: {max_epochs: 4}
early_stopping: {patience: 2}
"""


def test_a_recipe_trains_all_models_for_the_same_epochs(cohort, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    Path("small.yaml").write_text(RECIPE)
    data = cohort()
    with caplog.at_level(logging.INFO, "zoo"):
        found = feature_stability("small.yaml", data, "--model.hidden=[4]", models=2, permutations=1, top=10)
    assert "epochs, without early stopping" in caplog.text
    assert len(set(found.table["feature"][:10]) & set(PLANTED)) >= 4
    assert [path.name for path in here.glob("*") if path.suffix != ".csv"] == ["small.yaml"]
    train = fitter("small.yaml", data, (), 0)
    one, two, other = train(data, 3), train(data, 3), train(permuted(data, 0), 4)
    assert torch.equal(one.head.weight, two.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)
    assert not one.training


def test_statistics_by_hand() -> None:
    importances = np.array([[4.0, 1, 2, 10, 30], [8.0, 2, 4, 1, 3]])
    (found,) = relative([importances], np.array([0, 0, 0, 1, 1]))
    assert found.tolist() == [[2, 0.5, 1, 0.5, 1.5], [2, 0.5, 1, 0.5, 1.5]]
    (sparse,) = relative([np.array([[0.0, 0, 3]])], np.zeros(3))
    assert sparse.tolist() == [[0, 0, 3]]
    assert selected(importances, 2).tolist() == [[False, False, False, True, True], [True, False, True, False, False]]
    spearman, shared = agreement(importances, 2, "seeds")
    assert spearman.tolist() == pytest.approx([-0.1])
    assert shared.tolist() == [0]


def test_the_figure_shows_selection_beside_chance_and_agreement(cohort) -> None:
    found = feature_stability(fit, cohort(), models=3, permutations=2, top=10, known=["gene0"])
    figure = plot_feature_stability(found, most=12)
    left, right = figure.axes
    assert len(left.get_yticks()) == 12
    assert "rna:gene0 (known)" in [label.get_text() for label in left.get_yticklabels()]
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"left: permuted labels", "right: real labels", "right: permuted labels"} < set(told)
    assert "the same patients" in right.get_ylabel()
    assert found.note in figure.get_suptitle().replace("\n", " ")


def test_what_cannot_be_done_is_told_in_one_line(cohort, message) -> None:
    data = cohort()
    for told, options in {
        "top must be at least 1 and below the number of features, 80": {"top": 80},
        "design 'boot' is unknown": {"design": "boot"},
        "an even number of models, not 3": {"design": "halves", "models": 3},
        "models must be at least 2": {"models": 1},
        "no known feature is in the data": {"known": ["TP53"]},
    }.items():
        assert told in message(lambda options=options: feature_stability(fit, data, **{"top": 10, **options}))
    assert "is for a recipe" in message(lambda: feature_stability(fit, data, "--seed=1", top=10))
    vae = VAE(spec=TableData("pima").spec)
    assert "predicts no target" in message(lambda: feature_stability(lambda data, seed: vae, data, top=10))
    assert "method 'lime' is unknown" in message(lambda: feature_importance(fit(data, 0), data, method="lime"))


def test_gene_sets_of_a_file(here: Path, message) -> None:
    Path("sets.gmt").write_text("cycle\thttp://x\tCDK1\tCCNB1\t\n\nliver\t\tALB\n")
    assert read_gmt("sets.gmt") == {"cycle": ["CDK1", "CCNB1"], "liver": ["ALB"]}
    Path("bad.gmt").write_text("cycle CDK1\n")
    assert "bad.gmt, line 1" in message(lambda: read_gmt("bad.gmt"))
    assert "no file 'set.gmt'; did you mean sets.gmt?" in message(lambda: read_gmt("set.gmt"))


@pytest.mark.skipif(find_spec("gseapy") is None, reason="needs gseapy")
def test_enrichment_is_the_hypergeometric_test_over_all_sets(message) -> None:
    from scipy.stats import hypergeom

    genes = [str(number) for number in range(1000, 1100)]  # they look like those of Entrez
    sets = {"hit": genes[:8], "half": [*genes[5:25], "absent"], "missed": genes[60:70], "foreign": ["x"]}
    table = enrichment([f"rna:{gene}" for gene in genes[:10]], sets, genes).set_index("gene_set")
    assert table.index.tolist() == ["hit", "half", "missed"]
    assert table["p_value"].tolist() == pytest.approx([hypergeom.sf(7, 100, 8, 10), hypergeom.sf(4, 100, 20, 10), 1.0])
    assert table["q_value"]["hit"] == pytest.approx(3 * table["p_value"]["hit"])  # sets without a hit count too
    assert table[["overlap", "size", "expected"]].loc["half"].tolist() == [5, 20, 2.0]
    assert table["genes"]["half"] == ";".join(genes[5:10])
    assert (enrichment(genes[90:93], sets, genes)["p_value"] == 1).all()
    assert "gene '5' is not in the background" in message(lambda: enrichment(["5"], sets, genes))
    assert "same kind of gene names" in message(lambda: enrichment([genes[0]], {"a": ["x"]}, genes))
    assert "no genes to test" in message(lambda: enrichment([], sets, genes))


def test_without_gseapy_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, message) -> None:
    monkeypatch.setattr(sys.modules["zoo.explain.features.enrichment"], "find_spec", lambda name: None)
    assert "pip install 'biozoo[enrichment]'" in message(lambda: enrichment(["a"], {"s": ["a"]}, ["a"]))

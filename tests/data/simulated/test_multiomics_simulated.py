"""The simulated cohort of several omics: its content, and whether its parameters can be recovered."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler
from sksurv.linear_model import CoxnetSurvivalAnalysis

from zoo import files
from zoo.data import datasets
from zoo.data.simulated.multiomics import CLASSES, FEATURES, STRENGTH, checksum, multiomics, truth
from zoo.errors import InputError
from zoo.training.survival_metrics import concordance, structured


@pytest.fixture(scope="module")
def complete():
    """800 patients who have all modalities."""
    return multiomics(800, missing={})


@pytest.fixture(scope="module")
def known():
    """Parameters of the simulation."""
    return truth(800)


def standardised(tables, *names):
    """Standardised logarithms and logits of complete modalities, concatenated."""
    found = []
    for name in names or FEATURES:
        x = tables[name].drop(columns="patient").to_numpy(float)
        if name == "methylation":
            x = logit(x)
        if name == "mirna":
            x = np.log1p(1e4 * x / x.sum(1, keepdims=True))
        found.append(StandardScaler().fit_transform(x))
    return np.hstack(found)


def accuracy(tables, *names):
    """Accuracy of a logistic regression of the subtype in every third patient, trained on the others."""
    x, y = standardised(tables, *names), tables["samples"]["subtype"].to_numpy()
    test = np.arange(len(y)) % 3 == 0
    return LogisticRegression(C=0.001).fit(x[~test], y[~test]).score(x[test], y[test])


def test_the_packaged_cohort_agrees_with_its_card():
    tables, known, card = multiomics(600), truth(600), files.card("multiomics_simulated")
    assert checksum(tables) == card["sha256"]
    assert list(tables) == ["samples", *card["assays"]]
    assert len(tables["samples"]) == card["rows"]
    assert list(tables["samples"]) == list(card["columns"])
    assert sorted(tables["samples"][card["target"]].unique()) == card["classes"] == list(CLASSES)
    described = " ".join(card["description"].split())
    for name, about in card["assays"].items():
        assert tables[name].shape == (about["samples"], 1 + about["features"])
        assert datasets.checksum(tables[name]) == about["sha256"]
    assert "501 with methylation, 494 with microRNA, 412 with all three" in described
    assert len(set.intersection(*(set(tables[name]["patient"]) for name in FEATURES))) == 412
    assert f"{tables['samples']['event'].sum()} patients die" in described
    assert f"correct in {known.accuracy:.1%} of the patients" in described
    assert f"C-index of {known.c_index:.3f}" in described


def test_same_seed_same_tables_and_another_seed_others():
    assert checksum(multiomics(50)) == checksum(multiomics(50))
    assert checksum(multiomics(50)) != checksum(multiomics(50, seed=1))
    swapped = {name: multiomics(50)[name] for name in reversed(["samples", *FEATURES])}
    assert checksum(swapped) == checksum(multiomics(50))


def test_values_have_the_range_of_their_scale(complete):
    samples = complete["samples"]
    assert all(table.columns[0] == "patient" and table["patient"].is_unique for table in complete.values())
    assert samples["patient"].iloc[[0, -1]].tolist() == ["p0001", "p0800"]
    values = {name: complete[name].drop(columns="patient") for name in FEATURES}
    assert values["rna"].columns[[0, -1]].tolist() == ["gene001", "gene300"]
    assert (values["rna"].round(3) == values["rna"]).all(axis=None)
    assert ((values["methylation"] > 0) & (values["methylation"] < 1)).all(axis=None)
    assert all(pd.api.types.is_integer_dtype(kind) for kind in values["mirna"].dtypes)
    assert (values["mirna"] >= 0).all(axis=None)
    assert (samples["time"] >= 1).all()
    assert set(samples["event"]) == {0, 1}
    assert 0.4 < 1 - samples["event"].mean() < 0.5


def test_modalities_are_missing_at_random_and_other_values_are_unchanged(complete):
    tables = multiomics(800)
    pd.testing.assert_frame_equal(tables["samples"], complete["samples"])
    assert len(tables["rna"]) == 800
    for name in ("methylation", "mirna"):
        assert 0.15 < 1 - len(tables[name]) / 800 < 0.25
        own = complete[name][complete[name]["patient"].isin(tables[name]["patient"])]
        pd.testing.assert_frame_equal(tables[name], own.reset_index(drop=True))
    lacks = ~tables["samples"]["patient"].isin(tables["mirna"]["patient"])
    assert abs(np.corrcoef(lacks, ~tables["samples"]["patient"].isin(tables["methylation"]["patient"]))[0, 1]) < 0.1


def test_every_patient_has_a_modality():
    tables = multiomics(300, missing=dict.fromkeys(FEATURES, 0.9))
    has = np.array([tables["samples"]["patient"].isin(tables[name]["patient"]) for name in FEATURES])
    assert (has.sum(0) >= 1).all()
    assert (has.sum(1) < 150).all()


def test_planted_features_are_those_that_factors_load_on(complete, known):
    for name, (_, count) in FEATURES.items():
        table = known.loadings[name]
        assert table.index.tolist() == complete[name].columns[1:].tolist()
        assert ((table != 0).sum() == count // 10).all()
        assert (table != 0).sum(axis=1).max() == 1
        subtype, hazard = set(known.subtype_features[name]), set(known.hazard_features[name])
        assert subtype == set(table.index[(table["shared1"] != 0) | (table["shared2"] != 0)])
        assert subtype & hazard == set(table.index[table["shared2"] != 0])
        correlation = np.corrcoef(standardised(complete, name).T, known.factors[table.columns].T)[:count, count:]
        loading = table.to_numpy()
        assert np.abs(correlation[loading == 0]).mean() < 0.05
        assert np.corrcoef(correlation[loading != 0], loading[loading != 0])[0, 1] > 0.95


def test_cohorts_of_any_size_have_the_same_loadings(known):
    for name, table in truth(20).loadings.items():
        pd.testing.assert_frame_equal(table, known.loadings[name])


def test_probabilities_and_hazards_are_the_true_ones(complete, known):
    samples, highest = complete["samples"], known.probabilities.max(axis=1)
    correct = known.probabilities.idxmax(axis=1).to_numpy() == samples["subtype"]
    assert known.accuracy == pytest.approx(0.91, abs=0.02)
    assert correct.mean() == pytest.approx(known.accuracy, abs=0.03)
    unsure = (highest < 0.8).to_numpy()
    assert correct[unsure].mean() == pytest.approx(highest[unsure].mean(), abs=0.1)
    parts = np.column_stack([known.factors[["shared2", "shared3"]], samples["age"]])
    assert LinearRegression().fit(parts, known.log_hazard).score(parts, known.log_hazard) == pytest.approx(1)
    assert 0.75 < known.c_index < 0.8
    assert known.factors.index.tolist() == samples["patient"].tolist()


def test_shared_factors_can_be_recovered_and_several_modalities_are_more_informative(complete, known):
    x, shared = standardised(complete), known.factors.iloc[:, :4].to_numpy()
    components = np.linalg.svd(x, full_matrices=False)[0][:, :10]
    canonical = np.linalg.svd(components.T @ np.linalg.qr(shared - shared.mean(0))[0], compute_uv=False)
    assert canonical.min() > 0.95
    together = accuracy(complete)
    assert 0.8 < together < known.accuracy
    assert together > 0.03 + max(accuracy(complete, name) for name in FEATURES)
    assert accuracy(complete, "mirna") > 0.4


def test_a_linear_hazard_comes_near_the_true_one(complete, known):
    x = np.column_stack([standardised(complete), complete["samples"]["age"] / 11])
    train, test = np.arange(800) < 500, np.arange(800) >= 500
    cox = CoxnetSurvivalAnalysis(l1_ratio=0.5, alphas=[0.1]).fit(x[train], structured(known.outcome[train]))
    best = concordance(known.log_hazard.to_numpy()[test], known.outcome[test])
    assert best - 0.06 < concordance(cox.predict(x[test]), known.outcome[test]) < best


def test_strength_changes_the_information_in_a_modality_but_no_outcomes(complete):
    stronger = multiomics(800, strength={**STRENGTH, "mirna": 1.5}, missing={})
    pd.testing.assert_frame_equal(stronger["samples"], complete["samples"])
    pd.testing.assert_frame_equal(stronger["rna"], complete["rna"])
    assert accuracy(stronger, "mirna") > accuracy(complete, "mirna") + 0.15
    only_rna = {"rna": 1.0}
    assert accuracy(multiomics(800, strength=only_rna, missing={}), "methylation") < 0.45
    assert truth(800, strength=only_rna).subtype_features["methylation"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"patients": 0}, "patients must be at least 1"),
        ({"missing": {"mrna": 0.1}}, "did you mean mirna or rna"),
        ({"missing": {"rna": 1.5}}, "missing of rna must be between 0 and 1, not 1.5"),
        ({"strength": {"rna": -1}}, "strength of rna must be"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(InputError, match=words):
        multiomics(**arguments)

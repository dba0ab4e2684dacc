"""The evaluation of anomalies: its metrics, its baselines and its figures."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import f1_score, roc_auc_score

import zoo
from zoo.data import SeriesData
from zoo.models import MADGAN
from zoo.report import evaluate
from zoo.report.anomaly import FLAG_ALL, NEIGHBOUR, PRINCIPAL, _metrics

LENGTH = 16


def series(path, classes=("calm", "shift", "noise"), **options):
    """Rising lines; some are shifted, some noisy."""
    rng = np.random.default_rng(0)
    y = np.array(classes)[rng.choice(len(classes), 150, p=[0.6, *[0.4 / (len(classes) - 1)] * (len(classes) - 1)])]
    x = np.linspace(0, 1, LENGTH) * rng.uniform(1, 3, (150, 1)) + 0.1 * rng.normal(size=(150, LENGTH))
    x[y == classes[1]] += 4
    x[y == "noise"] += rng.normal(size=((y == "noise").sum(), LENGTH))
    np.savez(path, X=x[:, None].astype(np.float32), y=y)
    return SeriesData(str(path), **options)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """An untrained model with scales and a threshold, its data, and what came out."""
    data = series(tmp_path_factory.mktemp("lines") / "lines.npz")
    torch.manual_seed(0)
    model = MADGAN(spec=data.spec, normal="calm", hidden=4, frame_length=8, inversion_steps=2).eval()
    model.fit_encoders(data.training_inputs(), data.training_targets())
    model.fit_score(data.loader("train"), data.loader("validation"))
    return model, data, evaluate(model, data)


def test_every_score_stands_beside_the_simple_models(evaluated):
    _, _, found = evaluated
    assert list(found.scores["model"].unique()) == ["MADGAN", FLAG_ALL, PRINCIPAL, NEIGHBOUR]
    wanted = ["roc_auc", "average_precision", "best_f1", "f1", "roc_auc_noise", "roc_auc_shift"]
    assert list(found.scores["metric"].unique()) == wanted
    simple = found.scores[found.scores["model"] != "MADGAN"]
    assert set(simple["split"]) == {"validation", "test"}  # they know the training series by heart
    assert found.table().shape == (6, 3 + 3)
    assert found.scores["value"].between(0, 1).all()


def test_scores_are_those_of_scikit_learn(evaluated):
    model, _, found = evaluated
    own = found.predictions[found.predictions["split"] == "test"]
    odd = own["target"] != "calm"
    assert found.value("roc_auc") == pytest.approx(roc_auc_score(odd, own["anomaly_score"]))
    assert found.value("f1") == pytest.approx(f1_score(odd, own["anomaly"]))
    candidates = [f1_score(odd, own["anomaly_score"] >= one) for one in own["anomaly_score"]]
    assert found.value("best_f1") == pytest.approx(max(candidates))
    pair = own[own["target"] != "shift"]
    expected = roc_auc_score(pair["target"] != "calm", pair["anomaly_score"])
    assert found.value("roc_auc_noise") == pytest.approx(expected)
    assert (own["anomaly"] == (own["anomaly_score"] > float(model.threshold))).all()


def test_flagging_all_scores_as_theory_says(evaluated):
    _, data, found = evaluated
    share = float((data.samples.query("split == 'test'")["label"] != "calm").mean())
    assert found.value("roc_auc", model=FLAG_ALL) == 0.5
    assert found.value("average_precision", model=FLAG_ALL) == pytest.approx(share)
    for metric in ("f1", "best_f1"):
        assert found.value(metric, model=FLAG_ALL) == pytest.approx(2 * share / (1 + share))


def test_simple_models_know_normal_training_series_only(evaluated):
    model, data, found = evaluated
    content = data.dataset

    def flat(split, normal):
        rows = content.rows(split)
        chosen = rows[content.y[rows] == model.code] if normal else rows
        return model.encode(content.x[chosen]).flatten(1).numpy()

    components, test = PCA(10, random_state=0).fit(flat("train", True)), flat("test", False)
    left = np.square(test - components.inverse_transform(components.transform(test))).mean(1)
    odd = (content.y[content.rows("test")] != model.code).numpy()
    assert found.value("roc_auc", model=PRINCIPAL) == pytest.approx(roc_auc_score(odd, left))
    distance = np.linalg.norm(test[:, None] - flat("train", True), axis=2).min(1)
    assert found.value("roc_auc", model=NEIGHBOUR) == pytest.approx(roc_auc_score(odd, distance))


def test_a_split_of_one_class_has_no_score(evaluated):
    model, _, _ = evaluated
    values = _metrics(np.arange(4.0), torch.full((4,), model.code), model, 1.0)
    assert np.isnan(list(values.values())).all()


def test_new_series_of_which_none_trained_are_scored_alone(evaluated, tmp_path):
    model, _, _ = evaluated
    other = series(tmp_path / "other.npz").conform(model.spec, external=True)
    found = evaluate(model, other)
    assert list(found.scores["model"].unique()) == ["MADGAN"]
    assert set(found.predictions["split"]) == {"test"}


def test_figures_name_their_axes_and_keep_legends_off_the_data(evaluated):
    _, _, found = evaluated
    assert list(found.figures) == ["curves", "scores", "examples"]
    for stem, draw in found.figures.items():
        figure = draw("lines")
        assert figure.get_suptitle() or figure.axes[0].get_title(loc="left"), stem
        for axes in figure.axes:
            bottom = axes.get_subplotspec().is_last_row()
            assert axes.get_xlabel() or not bottom, stem
    curves = found.figures["curves"]("lines")
    assert all(axes.get_legend() is None for axes in curves.axes)
    assert len(curves.axes[0].lines) == 4
    titles = [axes.get_title() for axes in found.figures["examples"]("lines").axes[:3]]
    assert [title.split(":")[0] for title in titles] == ["calm", "noise", "shift"]


def test_a_run_leaves_scores_and_figures(here):
    series("lines.npz", ("calm", "shift"))
    options = ["--data.path=lines.npz", "--model.normal=calm", "--model.hidden=4", "--model.frame_length=8"]
    run = zoo.fit("madgan_beats", *options, "--trainer.max_epochs=1", "--trainer.accelerator=cpu")
    drawn = {path.stem for path in (run.folder / "figures").iterdir()}
    assert {"curves", "scores", "examples", "learning_curve"} <= drawn
    told = pd.read_csv(run.folder / "predictions.csv", index_col=0)
    assert {"split", "target", "anomaly_score", "anomaly", "reconstruction_error"} <= set(told)
    assert "roc_auc_shift" not in set(run.evaluation.scores["metric"])  # of one other class it is the whole

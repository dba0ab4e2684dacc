"""Scores of generated images: distances, copies, usefulness for training, and references."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import image_spec

from zoo.data import ImageData
from zoo.figure import mosaic
from zoo.models import DCGAN
from zoo.report import evaluate
from zoo.report.figures import write_figures
from zoo.report.images import features as image_features
from zoo.report.images import scores as made_images
from zoo.report.images.features import FeatureNetwork, distances, gaussian_images, nearest
from zoo.report.images.scores import evaluate_generated_images

METRICS = ["fid", "kid", "nearest_ratio", "nearer_share", "tstr_accuracy", "class_agreement"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(image_features, "STEPS", 60)


def images(number=150, seed=0):
    """Images of 8 x 8 pixels with a bright upper or lower half; brightness and noise vary."""
    rng = np.random.default_rng(seed)
    label = np.arange(number) % 2
    half = (np.arange(8) < 4)[None, :, None] == (label == 0)[:, None, None]
    x = 40 * half * rng.uniform(1, 3, (number, 1, 1)) + rng.uniform(0, 60, (number, 8, 8))
    return x.round().astype(np.uint8), np.array(["upper", "lower"])[label]


@pytest.fixture
def data(tmp_path):
    x, y = images()
    np.savez(tmp_path / "halves.npz", images=x, labels=y)
    return ImageData(str(tmp_path / "halves.npz"))


def untrained(data):
    torch.manual_seed(0)
    model = DCGAN(spec=data.spec, filters=[8], noise=8)
    model.fit_encoders(data.training_inputs(), data.training_targets())
    return model.eval()


def copying(data, monkeypatch):
    """A model that hands out its training images."""
    x, y, classes = data.training_inputs(), data.training_targets(), data.spec["target"]["classes"]
    frame = pd.DataFrame({"image": list(x.numpy()), "label": [classes[code] for code in y]})
    model = untrained(data)
    monkeypatch.setattr(model, "synthesise", lambda n, seed=0: frame.head(n))
    return model


def test_scores_stand_beside_a_gaussian_and_the_training_images(data):
    evaluation = evaluate(untrained(data), data, ("train", "validation"))
    table = evaluation.table()
    assert set(table.index) == set(METRICS)
    assert list(table.columns) == [
        ("DCGAN", "train"),
        ("DCGAN", "validation"),
        ("Gaussian of pixels", "validation"),
        ("training images", "validation"),
    ]
    assert table["DCGAN", "train"].isna().sum() == 2  # nothing is held out
    assert table["DCGAN", "validation"].notna().all()
    gaussian, floor = table["Gaussian of pixels", "validation"], table["training images", "validation"]
    assert evaluation.value("fid", "validation") > 5 * gaussian["fid"]
    assert floor["fid"] < gaussian["fid"] + 0.2
    assert (floor["nearest_ratio"], floor["nearer_share"]) == (0, 1)
    assert floor["tstr_accuracy"] > 0.9
    assert gaussian["tstr_accuracy"] > 0.9


def test_predictions_tell_how_real_each_sample_is(data):
    rows = evaluate(untrained(data), data, ("validation", "test")).predictions
    assert list(rows.columns) == ["split", "target", "realism"]
    assert len(rows) == len(data.dataset.rows("validation")) + len(data.dataset.rows("test"))
    assert rows["realism"].notna().all()


def test_a_model_that_copies_is_found_out(data, monkeypatch):
    evaluation = evaluate(copying(data, monkeypatch), data, ("validation",))
    assert evaluation.value("nearest_ratio", "validation") == 0
    assert evaluation.value("nearer_share", "validation") == 1
    for metric in ("fid", "kid", "tstr_accuracy"):  # which do not detect it
        assert evaluation.value(metric, "validation") == pytest.approx(
            evaluation.value(metric, "validation", "training images"), abs=0.05
        )


def test_images_for_comparison_are_not_trained_on(data, monkeypatch):
    model, learnt = untrained(data), []
    original = FeatureNetwork.__init__

    def noted(self, spec, x, y, seed=0):
        learnt.append(x)
        original(self, spec, x, y, seed)

    monkeypatch.setattr(FeatureNetwork, "__init__", noted)
    before = evaluate_generated_images(model, data, ["validation"])
    assert torch.equal(learnt[0], data.training_inputs())
    assert len(learnt) == 3  # and one from the images of the model, one from those of the Gaussian
    data.dataset.x[data.dataset.rows("validation")] = 0
    after = evaluate_generated_images(model, data, ["validation"])
    assert before.value("class_agreement", "validation") == after.value("class_agreement", "validation")
    assert before.value("fid", "validation") != after.value("fid", "validation")


def test_images_without_a_class(tmp_path):
    x, _ = images(80)
    np.savez(tmp_path / "plain.npz", images=x)
    data = ImageData(str(tmp_path / "plain.npz"), target_kind="none")
    evaluation = evaluate(untrained(data), data, ("train", "validation"))
    assert set(evaluation.scores["metric"]) == set(METRICS[:4])
    assert list(evaluation.predictions.columns) == ["split", "realism"]
    assert evaluation.figures["made_images"]("plain").axes


def test_one_image_is_too_few(tmp_path, message):
    x, y = images(20)
    split = np.array(["train"] * 14 + ["test"] * 5 + ["validation"])
    np.savez(tmp_path / "few.npz", images=x, labels=y, split=split)
    data = ImageData(str(tmp_path / "few.npz"), split="split")
    assert "validation" in message(lambda: evaluate(untrained(data), data))


def test_figures_are_drawn(data, tmp_path: Path):
    evaluation = evaluate(untrained(data), data, ("validation",))
    written = write_figures(evaluation, "DCGAN on halves", tmp_path)
    assert {path.stem for path in written} == {"made_images", "nearest_distance"}
    assert all(path.stat().st_size > 5000 for path in written)
    figure = evaluation.figures["made_images"]("DCGAN on halves")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["generated", "nearest training image", "real"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == data.spec["target"]["classes"]


# The parts.


def test_distances_are_those_of_the_definitions():
    torch.manual_seed(0)
    one, two = torch.randn(4000, 3), torch.randn(3000, 3) * 2 + torch.tensor([1.0, 0.0, 0.0])
    found = distances(one, two)
    assert found["fid"] == pytest.approx(1 + 3 * (2 - 1) ** 2, rel=0.1)
    same = distances(one[:2000], one[2000:])
    assert same["fid"] < 0.01
    assert abs(same["kid"]) < 0.2 * found["kid"]
    assert distances(one, two) == found
    few = distances(one[:5], two[:7])  # fewer than a subset of the kernel distance
    assert np.isfinite(list(few.values())).all()


def test_the_state_of_random_numbers_stays():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    x, _ = images(20)
    network = FeatureNetwork(image_spec(1, 8, 8), torch.from_numpy(x)[:, None], torch.arange(20) % 2)
    distances(network(torch.from_numpy(x)[:, None]), torch.rand(20, 64, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.rand(1), expected)


def test_the_feature_network_learns_classes_and_is_reproducible():
    x, y = images(100)
    x, codes = torch.from_numpy(x)[:, None], torch.from_numpy((y == "lower").astype(int))
    network, again = (FeatureNetwork(image_spec(1, 8, 8), x, codes) for _ in range(2))
    other, labels = images(40, seed=1)
    assert network.accuracy(torch.from_numpy(other)[:, None], torch.from_numpy((labels == "lower").astype(int))) > 0.9
    assert torch.equal(network(x), again(x))
    assert float(network(x).square().mean()) == pytest.approx(1, rel=1e-4)


def test_gaussian_images_are_of_their_class_range_and_type():
    x, y = images(200)
    x, codes = torch.from_numpy(x)[:, None], torch.from_numpy((y == "lower").astype(int))
    labels = torch.tensor([0] * 300 + [1] * 100)
    made = gaussian_images(x, codes, labels)
    assert made.dtype == torch.uint8
    assert made.shape == (400, 1, 8, 8)
    assert made.max() <= x.max()
    assert torch.equal(made, gaussian_images(x, codes, labels))
    for code in (0, 1):
        torch.testing.assert_close(
            made[labels == code].float().mean(0), x[codes == code].float().mean(0), atol=8, rtol=0
        )
    one = gaussian_images(x[:3], torch.tensor([0, 0, 1]), torch.tensor([1, 1]))  # a class of a single image
    assert (one.int() - x[2].int()).abs().max() <= 1


def test_the_nearest_training_image():
    training = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    distance, place = nearest(training, torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    np.testing.assert_allclose(distance, [0, 1])
    assert place.tolist() == [1, 0]


def test_shares_of_nearness():
    reference = np.array([1.0, 2.0, 3.0])
    assert made_images._copied(reference, reference) == {"nearest_ratio": 1.0, "nearer_share": 0.5}
    assert made_images._copied(reference / 4, reference)["nearer_share"] == 1
    assert made_images._copied(reference * 4, reference)["nearest_ratio"] == 4


def test_a_mosaic_has_a_gap_between_images():
    x = np.zeros((5, 1, 2, 3))
    x[4] = 10
    picture = mosaic(x, 3, 0, 10)
    assert picture.shape == (5, 11, 3)
    assert picture[3:, 4:7].min() == 1
    assert picture[:2, :3].max() == 0
    assert picture[2].min() == 1
    colours = mosaic(np.stack([np.zeros((2, 2)), np.ones((2, 2)), np.zeros((2, 2))])[None], 1, 0, 1)
    assert colours[0, 0].tolist() == [0, 1, 0]

"""Scores of image translation: spectra, pixel-wise models, figures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything

from zoo.data import ImagePairData
from zoo.data.simulated.vessels import vessels
from zoo.models import ConditionalGAN
from zoo.report import evaluate
from zoo.report.figures import write_figures
from zoo.report.images.translation import neighbourhoods, pixel_translators
from zoo.training.power_spectrum import radial_power, spectral_distance

SMALL = {"filters": [4, 8], "discriminator_filters": 4, "patch_layers": 1}
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


@pytest.fixture
def pairs(here: Path) -> str:
    """24 masks of vessels, and an image of each."""
    made = vessels(samples=24, size=16)
    np.savez("pairs.npz", images=np.stack(list(made["image"])), masks=np.stack(list(made["mask"])))
    return "pairs.npz"


@pytest.fixture
def data(pairs: str) -> ImagePairData:
    return ImagePairData(pairs, target="masks", batch_size=8)


def trained(data, epochs=1, **options):
    seed_everything(0, verbose=False)
    model = ConditionalGAN(spec=data.spec, **{**SMALL, **options})
    trainer = Trainer(max_epochs=epochs, **QUIET)
    trainer.fit(model, datamodule=data)
    return model.eval(), {name: float(value) for name, value in trainer.callback_metrics.items()}


# Power spectra.


def test_power_lies_at_the_waves_of_an_image():
    place = torch.arange(32) / 32
    for waves in (3, 7):
        image = 5 + torch.sin(2 * torch.pi * waves * place).expand(1, 1, 32, 32)
        for turned in (image, image.transpose(2, 3)):
            power = radial_power(turned)
            assert power.shape == (1, 16)
            assert power.argmax() == waves - 1
    assert radial_power(torch.rand(2, 1, 8, 10, 12)).shape == (2, 4)


def test_spectral_distance_is_in_decibels_and_tells_blur():
    torch.manual_seed(0)
    real = torch.randn(8, 1, 32, 32)
    power = radial_power(real)
    assert spectral_distance(power, power).item() == 0
    assert spectral_distance(radial_power(10 * real), power).item() == pytest.approx(20, rel=1e-4)
    assert spectral_distance(radial_power(real.roll(5, 0).flip(2)), power).item() < 0.1
    blurred = torch.nn.functional.avg_pool2d(real, 3, 1, 1)
    assert spectral_distance(radial_power(blurred), power) > 5


# Simple models.


def test_the_mean_of_each_class_by_hand(pairs):
    data = ImagePairData(pairs, image="masks", target="images")
    make = pixel_translators(data)["mean of each input level"]
    x, y = data.training_inputs(), data.training_targets()
    made = make(data.dataset.x[:2])
    for code in (0, 1):
        values = made[data.dataset.x[:2] == code]
        torch.testing.assert_close(values, torch.full_like(values, y[x == code].mean().item()))


def test_the_regression_sees_the_neighbours_of_a_pixel():
    image = torch.arange(12.0).view(1, 3, 4)
    seen = neighbourhoods(image).reshape(3, 4, 9, 9)
    assert seen[1, 2, 4, 4] == image[0, 1, 2]
    assert seen[1, 2, 4, 3] == image[0, 1, 1]
    assert seen[0, 0, 0, 0] == image[0, 0, 0]
    assert neighbourhoods(torch.rand(2, 3, 4, 5)).shape == (60, 2 * 125)


def test_simple_models_learn_from_training_pairs_only(data):
    before = {name: make(data.dataset.x[:3]) for name, make in pixel_translators(data).items()}
    for split in ("validation", "test"):
        data.dataset.y[data.dataset.rows(split)] = 0
    for name, make in pixel_translators(data).items():
        torch.testing.assert_close(make(data.dataset.x[:3]), before[name])


# Training, scores, figures.


def test_it_learns_and_is_scored_beside_simple_models(data, tmp_path):
    model, logged = trained(data, 3)
    assert {"validation_l1", "validation_spectral_distance", "discriminator_loss", "told_apart"} <= logged.keys()
    assert logged["validation_loss"] == pytest.approx(
        logged["validation_l1"] + logged["validation_spectral_distance"] / 10, rel=1e-5
    )
    found = evaluate(model, data, ("train", "validation"))
    names = ["ConditionalGAN", "mean of each input level", "ridge regression"]
    assert list(found.scores["model"].unique()) == names
    assert list(found.scores["metric"].unique()) == ["l1", "psnr", "ssim", "spectral_distance"]
    scale = model.standard.scale.item()
    assert found.value("l1", "validation") == pytest.approx(scale * logged["validation_l1"], rel=1e-4)
    distance = logged["validation_spectral_distance"]
    assert found.value("spectral_distance", "validation") == pytest.approx(distance, rel=1e-3)
    rows = found.predictions.query("split == 'validation'")
    assert found.value("ssim", "validation") == pytest.approx(rows["ssim"].mean())
    row = rows.index[0]
    at = data.samples.index.get_loc(row)
    error = model(data.dataset.x[at : at + 1]) - data.dataset.y[at : at + 1]
    assert rows.loc[row, "l1"] == pytest.approx(error.abs().mean().item(), rel=1e-4)
    span = (model.ends[1] - model.ends[0]).item()
    assert rows.loc[row, "psnr"] == pytest.approx(10 * np.log10(span**2 / error.square().mean().item()), rel=1e-4)
    written = write_figures(found, "vessels", tmp_path)
    assert [path.stem for path in written] == ["made_and_real", "power_spectra"]
    assert all(path.stat().st_size > 5000 for path in written)


def test_the_true_images_have_the_best_scores(data):
    class Perfect(ConditionalGAN, abstract=True):
        def forward(self, x):
            rows = [int((data.dataset.x == one).flatten(1).all(1).nonzero()[0]) for one in x]
            return data.dataset.y[rows]

    model = Perfect(spec=data.spec, **SMALL)
    model.fit_encoders(data.training_inputs(), data.training_targets())
    found = evaluate(model.eval(), data, ("validation",))
    assert found.value("l1", "validation") == found.value("spectral_distance", "validation") == 0
    assert found.value("ssim", "validation") == pytest.approx(1)


def test_volumes_are_scored_and_drawn(here: Path):
    volumes = np.random.default_rng(0).integers(0, 255, (12, 8, 9, 7), dtype=np.uint8)
    np.savez("pairs.npz", images=volumes, double=2.0 * volumes)
    data = ImagePairData("pairs.npz", target="double")
    model, _ = trained(data)
    found = evaluate(model, data, ("validation",))
    assert np.isfinite(found.scores["value"]).all()
    assert found.value("l1", "validation", "ridge regression") < 1
    assert len(write_figures(found, "volumes", here)) == 2

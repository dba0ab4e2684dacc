"""Images made by convolutions: their size, range, type and class, and what the discriminator is shown."""

import numpy as np
import pytest
import torch
from conftest import image_spec, spec
from lightning.pytorch import Trainer, seed_everything

from zoo.data import ImageData
from zoo.models import DCGAN
from zoo.models.gans.image_gan import Within
from zoo.training.diff_augment import KINDS, brightness_and_contrast, cutout, diff_augment, translation

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
SIZES = [(1, 8, 8), (3, 9, 7), (1, 28, 28), (1, 64, 64), (2, 1, 6)]


def fitted(model, shape, dtype=torch.uint8):
    x = torch.randint(3, 17, (40, *shape), generator=torch.Generator().manual_seed(0)).to(dtype)
    model.fit_encoders(x, torch.arange(40) % max(1, model.classes))
    return model.eval(), x


def stripes(tmp_path, number=120, dtype=np.uint8):
    """Images of 8 x 8 pixels: class lines has dark rows, class bars dark columns; brightness varies."""
    rng = np.random.default_rng(0)
    dark = np.where(np.arange(8) % 4 < 2, 1.0, 0.2)
    label = np.arange(number) % 2
    lines, bars = np.broadcast_to(dark[:, None], (8, 8)), np.broadcast_to(dark, (8, 8))
    images = np.where(label[:, None, None] == 0, lines, bars) * rng.integers(60, 200, (number, 1, 1))
    path = tmp_path / "stripes.npz"
    np.savez(path, images=images.round().astype(dtype), labels=np.array(["lines", "bars"])[label])
    return str(path)


@pytest.mark.parametrize("shape", SIZES)
def test_images_of_any_size_are_generated_and_scored(shape):
    model, x = fitted(DCGAN(spec=image_spec(*shape), filters=[12, 8]), shape)
    model.train()
    batch = {"x": x, "y": torch.arange(40) % 2}
    made = model.generate(batch)
    assert made.shape == x.shape
    model.discriminate(made, batch)[0].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.generator.parameters())
    model.eval()
    assert torch.equal(model(x), model(x))
    assert model(x).shape == (40, 1)
    assert len(model.embed(x)) == 40


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_generated_images_have_type_and_range_of_the_training_images(dtype):
    model, _ = fitted(DCGAN(spec=image_spec(3, 8, 8), filters=[8]), (3, 8, 8), dtype)
    with torch.no_grad():
        for weight in model.generator.parameters():
            weight.mul_(30)  # far beyond either end
    images = np.stack(list(model.synthesise(50)["image"]))
    assert images.dtype == (np.uint8 if dtype == torch.uint8 else np.float32)
    assert images.shape == (50, 3, 8, 8)
    assert (images.min(), images.max()) == (3, 16)


def test_the_moving_average_knows_the_range_too():
    model, _ = fitted(DCGAN(spec=image_spec(1, 8, 8), average=0.9), (1, 8, 8))
    ends = [layer.ends for layer in model.modules() if isinstance(layer, Within)]
    assert len(ends) == 2
    for each in ends:
        torch.testing.assert_close(model.encode.inverse(each).flatten(), torch.tensor([3.0, 16.0]))


def test_classes_are_those_asked_for():
    model, _ = fitted(DCGAN(spec=image_spec(1, 8, 8, kind="multiclass")), (1, 8, 8))
    made = model.synthesise(6, {"y": "b"}, seed=3)
    assert list(made.columns) == ["image", "y"]
    assert set(made["y"]) == {"b"}
    again = model.synthesise(6, {"y": "b"}, seed=3)["image"]
    assert all(np.array_equal(one, two) for one, two in zip(made["image"], again, strict=True))
    assert set(model.synthesise(60)["y"]) == {"a", "b", "c"}


def test_images_without_a_class_are_generated_too():
    free = {**image_spec(1, 8, 8), "target": {"kind": "none", "name": "", "classes": [], "unit": ""}}
    model, _ = fitted(DCGAN(spec=free), (1, 8, 8))
    assert list(model.synthesise(3).columns) == ["image"]
    assert model.sample_figure().axes


def test_it_learns_what_tells_the_classes_apart(tmp_path):
    seed_everything(0)
    data = ImageData(stripes(tmp_path), batch_size=16)
    options = {"lr": 2e-3, "optimizer": "adam", "beta1": 0.0, "weight_decay": 0.0, "gradient_penalty": 1.0}
    model = DCGAN(spec=data.spec, filters=[16, 8], noise=8, average=0.95, diff_augment=["brightness"], **options)
    Trainer(max_epochs=25, limit_val_batches=0, enable_checkpointing=False, **QUIET).fit(model, data)
    dark = np.arange(8) % 4 >= 2
    for name, axis in {"lines": 1, "bars": 2}.items():
        images = np.stack([image[0] for image in model.synthesise(40, {"label": name})["image"]]).astype(float)
        profile = images.mean(axis=(0, 3 - axis))
        assert profile[~dark].mean() > 2 * profile[dark].mean()


def test_a_resumed_run_is_the_same(tmp_path):
    def run(epochs, start=None):
        seed_everything(0)
        data = ImageData(stripes(tmp_path), batch_size=16)
        model = DCGAN(spec=data.spec, filters=[8], average=0.9, diff_augment=True, gradient_penalty=1.0)
        trainer = Trainer(max_epochs=epochs, enable_checkpointing=False, **QUIET)
        trainer.fit(model, data, ckpt_path=start)
        return trainer, model.state_dict()

    whole = run(3)[1]
    run(2)[0].save_checkpoint(tmp_path / "two.ckpt")
    for name, value in run(3, tmp_path / "two.ckpt")[1].items():
        assert torch.equal(value, whole[name]), name


# What the discriminator is shown.


def test_augmentation_lets_gradients_through_and_draws_anew():
    x = torch.rand(6, 2, 9, 12, requires_grad=True)
    torch.manual_seed(0)
    changed = diff_augment(x, list(KINDS))
    assert changed.shape == x.shape
    assert not torch.equal(changed, diff_augment(x, list(KINDS)))
    changed.sum().backward()
    assert x.grad.abs().sum() > 0


def test_each_kind_of_augmentation():
    torch.manual_seed(0)
    x = torch.randn(200, 1, 8, 16)
    moved = translation(x)
    shifts = {
        (down, right)
        for image, before in zip(moved, x, strict=True)
        for down in (-1, 0, 1)
        for right in (-2, -1, 0, 1, 2)
        if torch.equal(image[0, 2:-2, 2:-2], before[0, 2 + down : 6 + down, 2 + right : 14 + right])
    }
    assert shifts == {(down, right) for down in (-1, 0, 1) for right in (-2, -1, 0, 1, 2)}
    holes = (cutout(x) == 0).sum((1, 2, 3))
    assert holes.max() == 4 * 8
    assert holes.min() >= 2 * 4
    light = brightness_and_contrast(x)
    assert (light.mean((1, 2, 3)) - x.mean((1, 2, 3))).abs().max() <= 0.5 + 1e-6
    ratio = light.std((1, 2, 3)) / x.std((1, 2, 3))
    assert 0.5 <= ratio.min() < 0.6
    assert 1.4 < ratio.max() <= 1.5


def test_only_training_shows_augmented_images():
    model, x = fitted(DCGAN(spec=image_spec(1, 8, 8), diff_augment=True), (1, 8, 8))
    batch, real = {"x": x, "y": torch.zeros(40).long()}, model.encode(x)
    assert torch.equal(model.discriminate(real, batch)[0], model.discriminate(real, batch)[0])
    model.train()
    assert not torch.equal(model.discriminate(real, batch)[0], model.discriminate(real, batch)[0])


# Bad input.


@pytest.mark.parametrize(
    ("shape", "kind", "said"),
    [
        ((1, 30), "series", "DCGAN is not available for series data; it is for image data"),
        ((1, 6, 8, 8), "image", "DCGAN generates images of shape (channels, height, width)"),
    ],
)
def test_samples_that_are_no_images(shape, kind, said, message):
    assert said in message(lambda: DCGAN(spec=spec(shape, kind=kind)))


def test_masks_are_refused(message):
    target = {"kind": "segmentation", "name": "mask", "classes": ["a", "b"], "unit": ""}
    assert "not masks" in message(lambda: DCGAN(spec={**image_spec(1, 8, 8), "target": target}))


def test_images_too_small_for_the_layers(message):
    said = message(lambda: DCGAN(spec=image_spec(1, 8, 8), filters=[64, 32, 16, 8]))
    assert "8 x 8" in said
    assert "3 filters at most" in said


def test_options_that_do_not_exist(message):
    assert "translation" in message(lambda: DCGAN(spec=image_spec(1, 8, 8), diff_augment=["translatoin"]))
    assert "number of filters" in message(lambda: DCGAN(spec=image_spec(1, 8, 8), filters=[]))


def test_a_class_never_seen(message):
    model, _ = fitted(DCGAN(spec=image_spec(1, 8, 8)), (1, 8, 8))
    said = message(lambda: model.synthesise(2, {"y": "lefft"}))
    assert "lefft" in said
    assert "left" in said

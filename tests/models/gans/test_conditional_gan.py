"""Images made of images: networks, noise, units, losses, and that a resumed run repeats itself."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from zoo import runs, weights
from zoo.data.simulated.vessels import vessels
from zoo.models import ConditionalGAN

SMALL = {"filters": [4, 8], "discriminator_filters": 4, "patch_layers": 1}


def spec(shape, made):
    modality = {"kind": "image", "shape": list(shape), "features": ["image"]}
    target = {"kind": "image", "name": "stain", "classes": [], "unit": "", "shape": list(made)}
    return {"modalities": {"image": modality}, "target": target, "id": ""}


def fitted(shape, made, **options):
    torch.manual_seed(0)
    model = ConditionalGAN(spec=spec(shape, made), **{**SMALL, **options})
    y = 100 + 20 * torch.randn(20, *made)
    model.fit_encoders(model.encode.example(20), y)
    return model, {"x": model.encode.example(3, seed=1), "y": y[:3]}


@pytest.fixture
def pairs(here: Path) -> str:
    """24 masks of vessels, and an image of each."""
    made = vessels(samples=24, size=16)
    np.savez("pairs.npz", images=np.stack(list(made["image"])), masks=np.stack(list(made["mask"])))
    return "pairs.npz"


# The networks.


@pytest.mark.parametrize(
    ("shape", "made"), [((1, 16, 13), (3, 16, 13)), ((3, 12, 12), (1, 12, 12)), ((1, 8, 9, 7),) * 2]
)
def test_every_network_learns_from_images_and_volumes(shape, made):
    model, batch = fitted(shape, made, noise=2, dropout=0.1)
    assert model(batch["x"]).shape == (3, *made)
    assert model.embed(batch["x"]).shape == (3, 8)
    sample = model.generate(batch)
    (model._generator_loss(batch, sample) + model._discriminator_loss(batch, sample.detach())).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
    assert model.discriminate(sample, batch)[0].shape[:2] == (3, 1)


def test_generated_images_do_not_depend_on_the_batch():
    model, batch = fitted((1, 16, 16), (1, 16, 16))
    for mode in (True, False):
        model.train(mode)
        torch.manual_seed(0)
        whole = model.generate({"x": batch["x"]})
        torch.manual_seed(0)
        other = model.generate({"x": torch.cat([batch["x"][:1], 9 * batch["x"][1:]])})
        torch.testing.assert_close(whole[:1], other[:1])
    torch.testing.assert_close(model(batch["x"])[1:2], model(batch["x"][1:2]))
    torch.testing.assert_close(model.embed(batch["x"])[1:2], model.embed(batch["x"][1:2]))


def test_noise_is_new_in_training_and_the_same_in_predictions():
    model, batch = fitted((1, 16, 16), (1, 16, 16), noise=1)
    model.train()
    assert not model(batch["x"]).equal(model(batch["x"]))
    model.eval()
    assert model(batch["x"]).equal(model(batch["x"]))
    without, batch = fitted((1, 16, 16), (1, 16, 16), noise=0)
    without.train()
    assert without(batch["x"]).equal(without(batch["x"]))


def test_images_come_in_their_own_units_within_the_range_of_the_training():
    model, batch = fitted((1, 16, 16), (2, 16, 16))
    y = torch.stack([torch.rand(20, 16, 16), 1000 + 500 * torch.rand(20, 16, 16)], 1)
    model.fit_encoders(model.encode.example(20), y)
    standard = model.real({**batch, "y": y})
    torch.testing.assert_close(standard.mean((0, 2, 3)), torch.zeros(2), atol=1e-4, rtol=0)
    with torch.no_grad():
        model.generator.head.bias.fill_(1e6)
    made = model.eval()(batch["x"])
    torch.testing.assert_close(made, y.amax((0, 2, 3)).view(1, 2, 1, 1).expand(made.shape))
    table = model.predict([image.numpy() for image in batch["x"]])
    assert list(table.columns) == ["image"]
    assert table["image"].iloc[0].shape == (2, 16, 16)
    assert table["image"].iloc[0].dtype == np.float32


def test_the_loss_is_100_times_the_error_in_half_the_range():
    model, batch = fitted((1, 16, 16), (1, 16, 16))
    batch["y"][0, 0, 0, :2] = model.ends[:, 0, 0, 0]
    half = (model.ends[1] - model.ends[0]).item() / 2
    off = model.standard(batch["y"] + half / 4)
    assert model.generator_terms(batch, off).item() == pytest.approx(100 / 4, rel=1e-4)
    alone, _ = fitted((1, 16, 16), (1, 16, 16), adversarial_weight=0.0)
    sample = alone.generate(batch)
    assert alone._generator_loss(batch, sample).equal(alone.generator_terms(batch, sample))


def test_weights_travel():
    model, batch = fitted((1, 16, 16), (1, 16, 16), average=0.5)
    again = weights.build("ConditionalGAN", model.init_args, model.state_dict(), "here")
    assert again(batch["x"]).equal(model.eval()(batch["x"]))


def test_what_cannot_be(message):
    def build(shape=(1, 16, 16), **options):
        return lambda: ConditionalGAN(spec=spec(shape, shape), **{**SMALL, **options})

    masks = spec((1, 16, 16), (1, 16, 16))
    masks["target"]["kind"] = "segmentation"
    assert "is a mask: give pairs of images" in message(lambda: ConditionalGAN(spec=masks))
    assert "patch_layers 3 needs images of 24 pixels" in message(build(patch_layers=3))
    assert "5 levels leave one pixel of 16 x 16" in message(build(filters=[2, 2, 2, 2, 2]))
    assert "noise must be at least 0" in message(build(noise=-1))
    model, batch = fitted((1, 16, 16), (1, 16, 16))
    assert "needs the target images" in message(lambda: model.fit_encoders(batch["x"]))


# Training.


def test_a_resumed_run_is_an_uninterrupted_one(pairs):
    data = ["--data.path=pairs.npz", "--data.image=image", "--data.target=masks"]
    options = ["--trainer.default_root_dir=runs", "--trainer.accelerator=cpu", "--model.filters=[4,8]", *data]
    options += ["--model.patch_layers=1", "--model.discriminator_filters=4", "--model.average=0.5"]
    whole = runs.fit("pix2pix_vessels", *options, "--trainer.max_epochs=2", "--model.figure_epochs=1")
    assert (whole.folder / "figures" / "epoch_0001.png").is_file()
    half = runs.fit("pix2pix_vessels", *options, "--trainer.max_epochs=1")
    again = runs.fit(str(half.folder), "--trainer.max_epochs=2", "--ckpt_path=last")
    ends = [weights.read_checkpoint(run.folder / "checkpoints" / "last.ckpt") for run in (whole, again)]
    for name, weight in ends[0]["state_dict"].items():
        assert torch.equal(weight, ends[1]["state_dict"][name]), name
    assert ends[0]["global_step"] == ends[1]["global_step"] == 6
    made = again.model.predict(pd.DataFrame({"image": list(again.data.frame()["image"])}))
    assert len(made) == 24

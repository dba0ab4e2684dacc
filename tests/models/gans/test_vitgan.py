"""Images made by transformers: patches, attention by distance, and how the noise enters."""

import numpy as np
import pytest
import torch
from conftest import image_spec, spec

from zoo.models import ViTGAN
from zoo.models.gans.vitgan import Attention, SelfModulated


def fitted(shape, **options):
    model = ViTGAN(spec=image_spec(*shape), width=16, depth=1, **options)
    x = torch.randint(0, 200, (12, *shape), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    model.fit_encoders(x, torch.arange(12) % 2)
    return model, x


@pytest.mark.parametrize(("shape", "patch"), [((1, 8, 8), 2), ((3, 9, 15), 3), ((1, 28, 28), 7), ((2, 4, 6), 1)])
def test_images_of_any_patch_size_are_generated_and_scored(shape, patch):
    model, x = fitted(shape, patch=patch)
    batch = {"x": x, "y": torch.arange(12) % 2}
    made = model.generate(batch)
    assert made.shape == x.shape
    model.discriminate(made, batch)[0].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.generator.parameters())
    model.eval()
    assert model(x).shape == (12, 1)
    assert model.embed(x).shape == (12, 16)
    assert torch.equal(model(x), model(x))
    images = np.stack(list(model.synthesise(5, {"y": "left"})["image"]))
    assert images.dtype == np.uint8
    assert images.max() <= 199


def test_a_patch_lands_where_its_place_is():
    model, _ = fitted((1, 4, 6), patch=2)
    generator = model.generator.eval()
    before = generator(noise := torch.randn(1, model.noise), label := torch.zeros(1).long())
    with torch.no_grad():
        for block in generator.blocks:  # no talk between patches
            block.attention.out.weight.zero_()
        quiet = generator(noise, label)
        generator.places[4] += torch.randn(16)  # of the grid of 2 x 3: the middle one below
        changed = (generator(noise, label) - quiet).abs()[0, 0] > 1e-6
    assert not torch.equal(before, quiet)
    assert changed[2:, 2:4].any()
    changed[2:, 2:4] = False
    assert not changed.any()


def test_attention_by_distance_is_that_of_the_paper():
    torch.manual_seed(0)
    layer, x = Attention(8, 2, by_distance=True), torch.randn(3, 5, 8)
    place, value = layer.project(x).chunk(2, 2)
    heads = []
    for one, two in zip(place.chunk(2, 2), value.chunk(2, 2), strict=True):
        weight = (-torch.cdist(one, one).square() / 4**0.5).softmax(2)
        heads.append(weight @ two)
    torch.testing.assert_close(layer(x), layer.out(torch.cat(heads, 2)), atol=1e-5, rtol=1e-4)


def test_noise_scales_and_shifts_the_normalised_tokens():
    torch.manual_seed(0)
    layer, x, noise = SelfModulated(6, 4), torch.randn(2, 3, 6), torch.randn(2, 4)
    scale, shift = layer.modulation(noise).chunk(2, 1)
    normal = torch.nn.functional.layer_norm(x, (6,))
    torch.testing.assert_close(layer(x, noise), normal * (1 + scale[:, None]) + shift[:, None])
    assert SelfModulated(6, 0)(x).shape == x.shape


def test_the_slope_of_the_discriminator_can_be_penalised():
    model, x = fitted((1, 8, 8))
    real = model.real({"x": x}).requires_grad_()
    (slope,) = torch.autograd.grad(model.discriminator(real, torch.zeros(12).long()).sum(), real, create_graph=True)
    slope.square().sum().backward()
    weights = model.discriminator.trunk.blocks[0].attention.project.weight
    assert weights.grad.abs().sum() > 0


def test_a_patch_that_does_not_divide_the_image(message):
    said = message(lambda: ViTGAN(spec=image_spec(1, 28, 12), patch=3))
    assert "28 x 12" in said
    assert "1, 2, 4" in said


def test_other_bad_input(message):
    assert "a multiple of 3" in message(lambda: ViTGAN(spec=image_spec(1, 8, 8), heads=3))
    assert "depth" in message(lambda: ViTGAN(spec=image_spec(1, 8, 8), depth=0))
    assert "ViTGAN is not available for series data" in message(lambda: ViTGAN(spec=spec((1, 30))))

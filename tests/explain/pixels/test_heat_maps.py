"""Explanations of images: located evidence, completeness, output files, and errors."""

import sys
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import lively, spec, trained

import zoo
from zoo.explain import explain_samples, heat_map, lime_image, lime_table, series_influence
from zoo.explain.pixels.heat_maps import channel_maps
from zoo.models import CNN2D, CNN3D, MLP, Backbone
from zoo.models.predict.segmenter import Segmenter

SIDE = 24
SNOW, OBJECT = (slice(0, 8), slice(0, 8)), (slice(12, 22), slice(12, 22))
METHODS = ["grad_cam", "hires_cam", "occlusion", "integrated_gradients", "lime"]


def animals(number, snow_with_wolves, seed):
    """Vertical bars are wolves, horizontal ones huskies; a corner has snow for wolves only, or for both."""
    rng = np.random.default_rng(seed)
    wolf = rng.integers(0, 2, number)
    snow = wolf if snow_with_wolves else rng.integers(0, 2, number)
    images = rng.normal(100, 12, (number, 1, SIDE, SIDE))
    images[wolf == 1, :, 13:21, 16:18] += 60
    images[wolf == 0, :, 16:18, 13:21] += 60
    images[snow == 1, :, 1:7, 1:7] += 70
    return torch.from_numpy(images.clip(0, 255).astype(np.uint8)), torch.from_numpy(wolf)


@cache
def classifier(snow_with_wolves, pooling="max"):
    torch.manual_seed(1)
    model = CNN2D(spec=spec((1, SIDE, SIDE)), filters=[8, 16], kernel_sizes=[5, 3], global_pooling=pooling)
    return trained(model, *animals(512, snow_with_wolves, 0), steps=100)


def explained(model, images, method):
    """Fraction of the evidence for a wolf in the snow, and in the animal, averaged over images."""
    if method == "lime":
        maps = torch.stack([lime_image(model, image, samples=200) for image in images])
    else:
        maps = heat_map(model, images, method=method)
    assert maps.shape == (len(images), SIDE, SIDE)
    mean = maps.mean(0).clamp(min=0)
    return float(mean[SNOW].sum() / mean.sum()), float(mean[OBJECT].sum() / mean.sum())


def wolves(snow_with_wolves):
    images, wolf = animals(40, snow_with_wolves, 2)
    return images[wolf == 1][:8]


@pytest.mark.parametrize("method", METHODS)
def test_husky_or_wolf(method):
    snow, animal = explained(classifier(True), wolves(True), method)
    assert snow > 0.6 > 0.2 > animal
    snow, animal = explained(classifier(False), wolves(False), method)
    assert animal > 0.6 > 0.2 > snow


def test_the_snow_misleads_the_classifier_that_is_so_explained():
    images, wolf = animals(200, False, 1)
    right = [float(((classifier(misled)(images)[:, 0] > 0) == (wolf == 1)).float().mean()) for misled in (True, False)]
    assert right[0] < 0.8
    assert right[1] > 0.95


def test_only_hires_cam_reads_a_flattened_map():
    model = classifier(True, "none")
    assert (model(wolves(True)) > 2).all()
    assert float(heat_map(model, wolves(True), method="grad_cam")[(slice(None), *SNOW)].mean()) < 0
    assert explained(model, wolves(True), "hires_cam")[0] > 0.6


@pytest.mark.parametrize("method", METHODS[:4])
@pytest.mark.parametrize("shape", [(3, 12, 17), (2, 8, 9, 10)])
def test_shapes_and_targets(method, shape):
    model_class = CNN2D if len(shape) == 3 else CNN3D
    model = lively(model_class(spec=spec(shape, "abc"), filters=[4, 6], kernel_sizes=[3, 3], normalisation="batch"))
    x = model.encode.example(3, seed=1)
    maps = heat_map(model, x, method=method)
    assert maps.shape == (3, *shape[1:])
    assert maps.dtype == torch.float32
    assert maps.std() > 0
    codes = model(x).argmax(1).tolist()
    each = torch.stack([heat_map(model, x[i : i + 1], "abc"[code], method)[0] for i, code in enumerate(codes)])
    torch.testing.assert_close(maps, each, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(maps, heat_map(model, x, (codes[0] + 1) % 3, method), atol=1e-3)


def test_grad_cam_is_that_of_the_paper():
    model = lively(CNN2D(spec=spec((1, 12, 12)), filters=[4, 6], kernel_sizes=[3, 3], normalisation="batch"))
    x = model.encode.example(2)
    at = [name for name, _ in model.body.named_children()].index("relu2") + 1
    maps = model.body[:at](model.encode(x)).detach().requires_grad_()
    model.head(model.body[at:](maps)).sum().backward()
    weights = maps.grad.mean((2, 3), keepdim=True)
    for method, how in (("grad_cam", weights), ("hires_cam", maps.grad)):
        coarse = (how * maps).sum(1, keepdim=True).detach()
        expected = torch.nn.functional.interpolate(coarse, (12, 12), mode="bilinear")[:, 0]
        torch.testing.assert_close(heat_map(model, x, method=method), expected)
        torch.testing.assert_close(heat_map(model, x, "husky", method=method), -expected)
    chosen = heat_map(model, x, layer="body.convolution1")
    assert not torch.allclose(chosen, heat_map(model, x))


def test_integrated_gradients_sum_to_the_difference(caplog):
    smooth = {"activation": "tanh", "pooling": "average"}
    model = lively(CNN2D(spec=spec((2, 10, 10), classes=()), filters=[4], kernel_sizes=[3], **smooth))
    model.y_scale.fill_(7.0)
    x = model.encode.example(3)
    with torch.no_grad():
        wanted = 7 * (model(x) - model.network(torch.zeros_like(x)))[:, 0]
    found, gap = channel_maps(model, x, None, "integrated_gradients")
    assert found.shape == x.shape
    torch.testing.assert_close(gap.difference, wanted)
    torch.testing.assert_close(found.flatten(1).sum(1), wanted, rtol=1e-3, atol=1e-3)
    heat_map(model, x, method="integrated_gradients")
    assert not caplog.records


def test_occlusion_of_one_window():
    model = lively(CNN2D(spec=spec((1, 16, 16)), filters=[4], kernel_sizes=[3]))
    x = model.encode.example(1)
    hidden = model.encode(x).clone()
    hidden[..., :2, :2] = 0  # the corner is in one window of an eighth only
    with torch.no_grad():
        expected = (model(x) - model.network(hidden))[0, 0]
    assert float(heat_map(model, x, method="occlusion")[0, 0, 0]) == pytest.approx(float(expected), abs=1e-5)


def test_of_a_backbone():
    model = lively(Backbone(spec=spec((1, 33, 40)), name="resnet18", resize=32))
    x = model.encode.example(2)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for method in METHODS[:2]:
        assert heat_map(model, x, method=method).shape == (2, 33, 40)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    vgg = lively(Backbone(spec=spec((1, 32, 32)), name="vgg11"))
    assert heat_map(vgg, vgg.encode.example(1), method="hires_cam").shape == (1, 32, 32)


def test_what_is_written_for_images(tmp_path):
    names = pd.Index([f"s{i}" for i in range(10)])
    images, _ = animals(10, True, 5)
    written = explain_samples(classifier(True), images, images, names, tmp_path)
    assert [path.name for path in written] == ["heat_maps.png", "heat_maps.npz"]
    with np.load(written[1], allow_pickle=False) as found:
        assert found["names"].tolist() == names.tolist()
        np.testing.assert_array_equal(found["maps"], heat_map(classifier(True), images, method="hires_cam"))
    volumes = lively(CNN3D(spec=spec((1, 8, 9, 10)), filters=[4], kernel_sizes=[3]))
    x = volumes.encode.example(2)
    for method in ("grad_cam", "occlusion"):
        assert explain_samples(volumes, x, x, names[:2], tmp_path / method, method)[0].stat().st_size > 10_000


def test_errors_are_one_line(message, monkeypatch, mlp, pima):
    image, series = lively(CNN2D(spec=spec((1, 9, 9)), filters=[2], kernel_sizes=[3])), lively(MLP(spec=spec((1, 9))))
    x, waves, rows = image.encode.example(2), series.encode.example(2), pima.dataset.x[:2]
    assert "did you mean grad_cam" in message(lambda: heat_map(image, x, method="gradcam"))
    assert "did you mean wolf" in message(lambda: heat_map(image, x, "wolff"))
    assert "did you mean body.convolution1" in message(lambda: heat_map(image, x, layer="body.convolution"))
    assert "needs a layer with spatial output" in message(lambda: heat_map(image, x, layer="head.1"))
    assert "is not a part of the network" in message(lambda: heat_map(image, x, layer="encode"))
    assert "heat_map is not available for table data" in message(lambda: heat_map(mlp, rows))
    assert "MLP has none; use occlusion" in message(lambda: heat_map(series, waves))
    assert "the model takes (1, 9, 9)" in message(lambda: heat_map(image, x[:, 0]))
    assert "no samples to explain" in message(lambda: heat_map(image, x[:0]))
    assert "series_influence is not available for image data; it is for series data" in message(
        lambda: series_influence(image, x)
    )
    assert "lime_table is not available for image data; it is for table data" in message(
        lambda: lime_table(image, x, x)
    )
    assert "the model takes (rows, 8)" in message(lambda: lime_table(mlp, pima, rows[:, :3]))
    assert "is not available for series data" in message(lambda: lime_image(series, waves[0]))
    assert "method for table data 'grad_cam' is unknown" in message(
        lambda: explain_samples(mlp, pima, rows, pd.RangeIndex(2), None, "grad_cam")
    )
    dna = zoo.load("cnn1d_motif")
    assert "the command zoo explain writes" in message(lambda: heat_map(dna, dna.encode.example(1)))
    masks = spec((1, 16, 16))
    masks["target"] |= {"kind": "segmentation"}
    segmenter = Segmenter(spec=masks, filters=[4, 4])
    assert "its mask is its explanation" in message(lambda: heat_map(segmenter, x))
    for method in (None, "grad_cam", "occlusion", "integrated_gradients", "lime"):  # as zoo explain calls it
        told = message(lambda method=method: explain_samples(segmenter, x, x, pd.RangeIndex(len(x)), None, method))
        assert "its mask is its explanation" in told
    monkeypatch.setitem(sys.modules, "lime", None)
    monkeypatch.setitem(sys.modules, "lime.lime_image", None)
    monkeypatch.setitem(sys.modules, "lime.lime_tabular", None)
    for call in (lambda: lime_image(image, x[0]), lambda: lime_table(mlp, pima, rows)):
        assert "pip install 'biozoo[lime]'" in message(call)

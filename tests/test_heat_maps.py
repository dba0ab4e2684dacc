"""Explanations of images, series and tables: what they point at, what they sum to, what is written."""

import sys
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

import zoo
from zoo.data import TableData
from zoo.explain import explain_samples, heat_map, lime_image, lime_table, series_influence
from zoo.explain.explaining_samples import default_method
from zoo.explain.heat_maps import channel_maps
from zoo.explain.series_influence import to_time
from zoo.latent.probe import evaluating
from zoo.models import CNN1D, CNN2D, CNN3D, MLP, Backbone, PCANet
from zoo.models.segmenter import Segmenter

SIDE = 24
SNOW, OBJECT = (slice(0, 8), slice(0, 8)), (slice(12, 22), slice(12, 22))
METHODS = ["grad_cam", "hires_cam", "occlusion", "integrated_gradients", "lime"]


def spec(shape, classes=("husky", "wolf"), kind=None):
    kind = kind or ("series" if len(shape) == 2 else "image")
    target = {"kind": "binary" if len(classes) == 2 else "multiclass", "name": "label", "classes": list(classes)}
    if not classes:
        target["kind"] = "regression"
    modality = {"kind": kind, "shape": list(shape), "features": [kind]}
    return {"modalities": {kind: modality}, "target": {**target, "unit": ""}, "id": ""}


def lively(model, seed=0):
    """Fitted to made-up samples, with weights that are not near zero."""
    torch.manual_seed(seed)
    model.fit_encoders(model.encode.example(20))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return model.eval()


def trained(model, x, y, steps, lr=5e-3):
    model.fit_encoders(x)
    optimiser = torch.optim.Adam(model.train().parameters(), lr=lr)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        rows = torch.randint(len(x), (64,), generator=generator)
        optimiser.zero_grad()
        model.loss({"x": x[rows], "y": y[rows]}).backward()
        optimiser.step()
    return model.eval()


def animals(number, snow_with_wolves, seed):
    """Wolves stand, huskies lie; there is snow in a corner, with wolves only or with anybody."""
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
    """Share of what speaks for a wolf that lies on the snow, and on the animal, in the mean over images."""
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


def test_integrated_gradients_sum_to_the_difference(caplog, monkeypatch):
    smooth = {"activation": "tanh", "pooling": "average"}
    model = lively(CNN2D(spec=spec((2, 10, 10), classes=()), filters=[4], kernel_sizes=[3], **smooth))
    model.y_scale.fill_(7.0)
    x = model.encode.example(3)
    with torch.no_grad():
        wanted = 7 * (model(x) - model.network(torch.zeros_like(x)))[:, 0]
    found = channel_maps(model, x, None, "integrated_gradients")
    assert found.shape == x.shape
    torch.testing.assert_close(found.flatten(1).sum(1), wanted, rtol=1e-3, atol=1e-3)
    assert not caplog.records
    monkeypatch.setattr("zoo.explain.heat_maps.STEPS", 1)
    heat_map(model, x, method="integrated_gradients")
    assert "rely on occlusion instead" in caplog.text


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


def bumps(number, length=64, seed=0):
    """A bump after two thirds of the series, or none; always a slow wave."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, number)
    x = np.sin(np.linspace(0, 6, length) + rng.uniform(0, 6, (number, 1, 1))) + rng.normal(0, 0.1, (number, 1, length))
    x[y == 1, 0, 40:46] += 2.5
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y)


@cache
def of_bumps():
    torch.manual_seed(0)
    options = {"filters": [8, 8], "kernel_sizes": [3, 3], "encoding": {"layer": "gramian", "size": 32}}
    return trained(CNN2D(spec=spec((1, 64)), **options), *bumps(256), steps=80)


@pytest.mark.parametrize("method", ["hires_cam", "integrated_gradients", "occlusion"])
def test_a_gramian_network_points_at_the_bump(method):
    x, y = bumps(40, seed=1)
    assert ((of_bumps()(x)[:, 0] > 0) == (y == 1)).float().mean() > 0.95
    influence = series_influence(of_bumps(), x[y == 1], method=method)
    assert influence.shape == (int(y.sum()), 1, 64)
    mean = influence.mean((0, 1))
    inside = mean[38:48].mean()
    assert inside > 2 * mean[:36].abs().mean()
    assert inside > 2 * mean[50:].abs().mean()


def test_bins_of_a_map_on_the_time_axis():
    maps = torch.zeros(2, 1, 4, 4)
    maps[:, 0, 1, 2] = 8.0
    found = to_time(maps, torch.tensor([10, 3]), 11)
    assert found[0, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0]  # bins begin at 0, 2, 5, 7
    assert found[1, 0].tolist() == [0, 1, 0, *[0] * 8]  # time points 0, 1 and 2 are nearest to bins 0, 2 and 3
    assert to_time(torch.ones(2, 1, 4, 4), torch.tensor([10, 3]), 11).sum(2).tolist() == [[10], [3]]  # no padding
    maps[:, 0] = torch.eye(4)
    assert (to_time(maps, torch.tensor([4, 4]), 4) == 0.25).all()


@pytest.mark.parametrize("layer", ["gramian", "standardised"])
def test_occlusion_of_a_series_is_that_of_a_plain_loop(layer):
    if layer == "gramian":
        model = lively(
            CNN2D(spec=spec((2, 40), "abc"), filters=[4], kernel_sizes=[3], encoding={"layer": layer, "size": 9})
        )
    else:
        model = lively(CNN1D(spec=spec((2, 40), "abc"), filters=[4], widths=[5]))
    x = model.encode.example(3)
    x[1, :, 23:] = torch.nan
    found = series_influence(model, x, target="b")

    def odds(sample):
        with torch.no_grad():
            p = model(sample[None]).double().softmax(1)[0, 1]
        return float((p / (1 - p)).log())

    for sample, result in zip(x, found, strict=True):
        end = int(sample[0].isfinite().sum())
        total, count = np.zeros((2, 40)), np.zeros(40)
        for start in range(0, 38):
            stop = min(start + 5, end)
            if stop - start < 3:
                continue
            count[start:stop] += 1
            for channel in range(2):
                hidden = sample.clone()
                hidden[channel, start:stop] = torch.linspace(*sample[channel, [start, stop - 1]].tolist(), stop - start)
                total[channel, start:stop] += odds(sample) - odds(hidden)
        expected = total / np.maximum(count, 1)
        np.testing.assert_allclose(result, expected, atol=2e-4)
        assert (result[:, end:] == 0).all()


def test_influence_tells_channels_apart():
    x, y = bumps(256)
    both = torch.cat([torch.randn(x.shape, generator=torch.Generator().manual_seed(0)), x], 1)
    torch.manual_seed(0)
    model = trained(CNN1D(spec=spec((2, 64)), filters=[8], widths=[9]), both, y, steps=60, lr=0.02)
    for method in ("occlusion", "integrated_gradients"):
        influence = series_influence(model, both[y == 1][:20], method=method).mean(0)
        assert influence[1, 38:48].mean() > 4 * influence[0].abs().mean()
    torch.manual_seed(0)
    options = {"filters": [8], "kernel_sizes": [3], "encoding": {"layer": "gramian", "size": 16, "extremes": True}}
    model = trained(CNN2D(spec=spec((2, 64)), **options), both, y, steps=40)
    influence = series_influence(model, both[y == 1][:20], method="integrated_gradients").mean(0)
    assert influence[1, 40:46].mean() > 2 * influence[0].abs().max()
    influence = series_influence(model, both[:2], method="grad_cam")
    assert torch.equal(influence[:, 0], influence[:, 1])
    with torch.no_grad():
        model.body.convolution1.weight[:, :4] = 0  # all but smallest and largest values, which have no place
    assert (series_influence(model, both[:2], method="integrated_gradients") == 0).all()


@pytest.fixture(scope="module")
def patients():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"age": rng.normal(50, 10, 200), "noise": rng.normal(0, 1, 200), "sex": rng.choice(["f", "m"], 200)}
    )
    frame["stage"] = rng.choice(["I", "II", "III"], 200)
    frame["outcome"] = np.where((frame["age"] > 50) ^ (rng.random(200) < 0.05), "sick", "well")
    frame.loc[frame["sex"] == "m", "outcome"] = "sick"
    frame.loc[::9, ["age", "stage"]] = np.nan
    return frame


def test_lime_of_a_table(patients, here):
    patients.to_csv("patients.csv", index=False)
    data = TableData("patients.csv", target="outcome", ordered={"stage": ["I", "II", "III"]}, positive="sick")
    torch.manual_seed(0)
    model = trained(MLP(spec=data.spec, hidden=[8]), data.training_inputs(), data.training_targets(), 150, lr=0.02)
    rows = data.content.rows("validation")[:3]
    rows[0] = 0  # age and stage are missing
    names = data.samples.index[rows.numpy()]
    seen = []
    hook = model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    table = lime_table(model, data, data.content.x[rows], names, samples=1000)
    hook.remove()
    stages = torch.cat(seen)[:, model.spec["modalities"]["table"]["features"].index("stage")]
    assert stages.nan_to_num(-1).unique().tolist() == [-1, 0, 1, 2]  # an unknown rank is a missing one
    assert table.columns.tolist() == ["sample", "class", "feature", "condition", "weight"]
    assert table["sample"].unique().tolist() == names.tolist()
    assert set(table["class"]) == {"sick"}
    assert set(table["feature"]) == {"age", "noise", "sex", "stage"}
    strength = table.assign(weight=table["weight"].abs()).groupby("feature")["weight"].mean()
    assert strength["sex"] > 3 * strength["noise"]
    sexes = table[table["feature"] == "sex"].set_index("sample")
    assert (
        sexes["condition"] == "sex=" + patients["sex"].set_axis(patients.index.map(lambda i: str(i + 1)))[sexes.index]
    ).all()
    assert ((sexes["weight"] > 0) == (sexes["condition"] == "sex=m")).all()
    assert "stage=unknown" in table["condition"].tolist()
    alone = lime_table(model, data.training_inputs(), data.content.x[rows[1:2]], names[1:2], samples=1000)
    pd.testing.assert_frame_equal(alone, table[table["sample"] == names[1]].reset_index(drop=True))
    well = lime_table(model, data, data.content.x[rows], names, target="well", samples=1000)
    assert set(well["class"]) == {"well"}
    np.testing.assert_allclose(well["weight"], -table["weight"], atol=1e-6)
    others = TableData("patients.csv").conform(data.spec, external=True)  # has no training rows
    assert len(lime_table(model, others, data.content.x[rows], names, samples=100)) == len(table)
    written = explain_samples(model, data, data.content.x[rows], names, here / "out")
    assert [path.name for path in written] == ["conditions.png", "conditions.csv"]
    assert pd.read_csv(written[1])["condition"].tolist()


def test_lime_repeats_and_takes_any_channels():
    model = lively(CNN2D(spec=spec((2, 9, 13), "abc"), filters=[4], kernel_sizes=[3]))
    (image,) = model.encode.example(1)
    first = lime_image(model, image, samples=100)
    assert first.shape == (9, 13)
    assert len(first.unique()) > 3
    assert torch.equal(first, lime_image(model, image, samples=100))
    assert not torch.equal(first, lime_image(model, image, samples=100, seed=1))


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


def test_what_is_written_for_series(tmp_path):
    names, (x, _) = pd.Index(["a", "b"]), bumps(2)
    modality = of_bumps().spec["modalities"]["series"]
    written = explain_samples(of_bumps(), x, x, names, tmp_path, "integrated_gradients")
    assert [path.name for path in written] == ["influence.png", "influence.csv"]
    table = pd.read_csv(written[1])
    assert table.columns.tolist() == ["sample", "channel", "time", "value", "influence", "class"]
    assert table["time"].tolist() == [*range(1, 65)] * 2
    assert set(table["class"]) == {"wolf"}
    influence = series_influence(of_bumps(), x, method="integrated_gradients")
    np.testing.assert_allclose(table["influence"], influence.flatten(), rtol=1e-4, atol=1e-6)
    many = lively(CNN1D(spec=spec((8, 30), "abc"), filters=[4], widths=[5]))
    modality = many.spec["modalities"]["series"]
    modality |= {"sampling_rate": 10.0, "resize": True, "channels": list("pqrstuvw"), "units": {"p": "mV"}}
    x = many.encode.example(9)
    x[1, :, 20:] = torch.nan
    table = pd.read_csv(explain_samples(many, x, x, pd.RangeIndex(9), tmp_path)[1])
    assert len(table) == 8 * (30 * 8 + 20)
    assert table["time"].max() == 2.9
    one = table[(table["sample"] == 0) & (table["channel"] == "s")]
    np.testing.assert_allclose(one["value"], x[0, 3], rtol=1e-4)
    assert table["channel"].unique().tolist() == list("pqrstuvw")


def test_errors_are_one_line(message, monkeypatch, mlp, pima):
    image, series = lively(CNN2D(spec=spec((1, 9, 9)), filters=[2], kernel_sizes=[3])), lively(MLP(spec=spec((1, 9))))
    x, waves, rows = image.encode.example(2), series.encode.example(2), pima.content.x[:2]
    assert "did you mean grad_cam" in message(lambda: heat_map(image, x, method="gradcam"))
    assert "did you mean wolf" in message(lambda: heat_map(image, x, "wolff"))
    assert "did you mean body.convolution1" in message(lambda: heat_map(image, x, layer="body.convolution"))
    assert "gives maps" in message(lambda: heat_map(image, x, layer="head.1"))
    assert "is no part of the network" in message(lambda: heat_map(image, x, layer="encode"))
    assert "MLP is a model of a table" in message(lambda: heat_map(mlp, rows))
    assert "MLP has none; use occlusion" in message(lambda: heat_map(series, waves))
    assert "the model takes (1, 9, 9)" in message(lambda: heat_map(image, x[:, 0]))
    assert "no samples to explain" in message(lambda: heat_map(image, x[:0]))
    assert "model of an image" in message(lambda: series_influence(image, x))
    assert "needs a model of a table; CNN2D takes the kind 'image'" in message(lambda: lime_table(image, x, x))
    assert "the model takes (rows, 8)" in message(lambda: lime_table(mlp, pima, rows[:, :3]))
    assert "use occlusion" in message(lambda: lime_image(series, waves[0]))
    assert "method for a table 'grad_cam' is unknown" in message(
        lambda: explain_samples(mlp, pima, rows, pd.RangeIndex(2), None, "grad_cam")
    )
    dna = zoo.load("cnn1d_motif")
    assert "zoo.explain.attribute" in message(lambda: heat_map(dna, dna.encode.example(1)))
    masks = spec((1, 16, 16))
    masks["target"] |= {"kind": "segmentation"}
    assert "its mask is its explanation" in message(lambda: heat_map(Segmenter(spec=masks, filters=[4, 4]), x))
    monkeypatch.setitem(sys.modules, "lime", None)
    monkeypatch.setitem(sys.modules, "lime.lime_image", None)
    monkeypatch.setitem(sys.modules, "lime.lime_tabular", None)
    for call in (lambda: lime_image(image, x[0]), lambda: lime_table(mlp, pima, rows)):
        assert "pip install 'biozoo[lime]'" in message(call)


def test_a_network_without_gradients_is_explained_by_occlusion(message):
    torch.manual_seed(0)
    model = PCANet(spec=spec((1, 64)), encoding={"layer": "gramian", "size": 16})
    x, y = bumps(40)
    model.fit_encoders(x, y)
    model.eval()
    assert default_method(model) == "occlusion"
    assert "PCANet has none; use occlusion" in message(
        lambda: series_influence(model, x, method="integrated_gradients")
    )
    with evaluating(model):
        assert series_influence(model, x[:2]).std() > 0

"""Explanations of series: located influence, projection of maps to the time axis, output files."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import lively, spec, trained

from zoo.explain import explain_samples, series_influence
from zoo.explain.pixels.explain_samples import default_method
from zoo.explain.pixels.series_influence import to_time
from zoo.latent.probe import evaluating
from zoo.models import CNN1D, CNN2D, PCANet


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


def test_what_is_written_for_series(tmp_path):
    names, (x, _) = pd.Index(["a", "b"]), bumps(2)
    modality = of_bumps().spec["modalities"]["series"]
    written = explain_samples(of_bumps(), x, x, names, tmp_path, "integrated_gradients")
    assert [path.name for path in written] == ["influence.png", "influence.csv"]
    table = pd.read_csv(written[1])
    assert table.columns.tolist() == [
        "sample",
        "channel",
        "time",
        "value",
        "influence",
        "class",
        "difference",
        "unexplained",
    ]
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

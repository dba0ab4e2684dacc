"""Gramian angular fields and series as tensors."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from zoo.encode import GramianAngularField, SeriesEncoder, encoder, series_to_tensor
from zoo.encode.gramian import aggregate, angles, fields, inverse
from zoo.encode.series import lengths
from zoo.errors import InputError


def modality(channels: int = 1, length: int = 30, **more: object) -> dict:
    return {"kind": "series", "shape": [channels, length], "features": ["series"], **more}


def walks(samples: int = 20, channels: int = 1, length: int = 30, offset: float = 0.0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(samples, channels, length)).cumsum(2)) + offset


def written_out(series: np.ndarray, size: int, low: float, order: str) -> tuple[np.ndarray, np.ndarray]:
    """Both fields of one series by arccos, as the paper writes them."""
    edges = np.linspace(0, len(series), size + 1).astype(int)

    def average(x: np.ndarray) -> np.ndarray:
        return np.array([x[a:b].mean() for a, b in pairwise(edges)])

    def rescale(x: np.ndarray) -> np.ndarray:
        return low + (x - x.min()) / (x.max() - x.min()) * (1 - low)

    x = rescale(average(series)) if order == "aggregate_first" else average(rescale(series))
    phi = np.arccos(np.clip(x, -1, 1))
    return np.cos(phi[:, None] + phi), np.sin(phi[:, None] - phi)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("size", [30, 13])
@pytest.mark.parametrize(("span", "low"), [("-1..1", -1.0), ("0..1", 0.0)])
def test_fields_agree_with_their_definition(size: int, span: str, low: float, offset: float) -> None:
    x = walks(offset=offset)
    image = GramianAngularField(modality(), size=size, range=span)(x)
    assert image.dtype == torch.float32
    assert image.shape == (20, 2, size, size)
    for series, both in zip(x[:, 0].numpy(), image.numpy(), strict=True):
        for found, expected in zip(both, written_out(series, size, low, "aggregate_first"), strict=True):
            np.testing.assert_allclose(found, expected, atol=5e-7)


def test_the_angle_of_averages_is_not_the_average_of_angles() -> None:
    """Order 'rescale_first' averages what was rescaled; sines then are averages too, as far as they are defined."""
    x = walks(1)
    cos, _ = angles(x, 10, "-1..1", "rescale_first")
    scaled = 2 * (x - x.min()) / (x.max() - x.min()) - 1
    torch.testing.assert_close(cos, scaled.reshape(1, 1, 10, 3).mean(3))
    assert cos.abs().max() < 1  # peaks are lower than the ends of the range
    assert angles(x, 10, "-1..1", "aggregate_first")[0].abs().max() == 1


@pytest.mark.parametrize("order", ["aggregate_first", "rescale_first"])
@pytest.mark.parametrize("span", ["-1..1", "0..1"])
def test_a_field_gives_its_series_back(span: str, order: str) -> None:
    x = walks(200, 2)
    image = GramianAngularField(modality(2), size=15, range=span, order=order)(x)
    cos, _ = angles(x, 15, span, order)
    full = cos.abs().amax(2) > (0.999999 if order == "aggregate_first" else 0.8)
    assert full.float().mean() > 0.8
    torch.testing.assert_close(inverse(image)[full], cos[full], atol=1e-6 / (2 * 0.8**2 - 1), rtol=0)


def test_a_field_gives_its_units_back() -> None:
    x = walks(5, offset=100)
    image = fields(*(a.float() for a in angles(x, 30, "-1..1", "aggregate_first")))
    torch.testing.assert_close(inverse(image, x.amin(2), x.amax(2)), x, atol=1e-5, rtol=0)


def test_padding_is_no_part_of_a_series() -> None:
    x = walks(3, 2)
    padded = torch.cat([x, torch.full((3, 2, 11), torch.nan)], 2)
    assert lengths(padded).tolist() == [30, 30, 30]
    for size in (30, 7):
        layer = GramianAngularField(modality(2, 41), size=size)
        torch.testing.assert_close(layer(padded), GramianAngularField(modality(2, 30), size=size)(x))
    mixed = torch.cat([padded[:2], walks(1, 2, 41)])
    torch.testing.assert_close(GramianAngularField(modality(2, 41), size=7)(mixed)[:2], layer(padded)[:2])


def test_a_constant_series_lies_in_the_middle_of_the_range() -> None:
    image = GramianAngularField(modality(), size=5)(torch.full((1, 1, 30), 7.0))
    torch.testing.assert_close(image, torch.tensor([-1.0, 0.0])[None, :, None, None].expand(1, 2, 5, 5))


def test_an_image_larger_than_the_series_must_be_asked_for() -> None:
    with pytest.raises(InputError, match="64 pixels needs more than the 30 time points"):
        GramianAngularField(modality(), size=64)
    short = torch.cat([walks(1)[..., :10], torch.full((1, 1, 20), torch.nan)], 2)
    with pytest.raises(InputError, match="a series of 10 time points is shorter than its Gramian field of 16 pixels"):
        GramianAngularField(modality(), size=16)(short)
    line = torch.linspace(0, 1, 10).expand(1, 1, 10).double()
    torch.testing.assert_close(aggregate(line, torch.tensor([10]), 19)[0, 0], torch.linspace(0, 1, 19).double())
    assert GramianAngularField(modality(), size=64, upsample=True)(short).shape == (1, 2, 64, 64)


def test_extremes_can_be_kept() -> None:
    x = walks(50, 2)
    layer = GramianAngularField(modality(2), size=8, extremes=True)
    layer.fit(x)
    image = layer(x)
    assert image.shape == (50, *layer.out_shape) == (50, 8, 8, 8)
    mean, scale = x.mean((0, 2)), x.std((0, 2), correction=0)
    low = (x.amin(2) - mean) / scale
    torch.testing.assert_close(image[:, 4:6, 3, 3], low.float())
    torch.testing.assert_close(image[:, 6:8, 0, 1], ((x.amax(2) - mean) / scale).float())


def test_one_kind_of_field() -> None:
    both = GramianAngularField(modality(2), size=8)(walks(4, 2))
    torch.testing.assert_close(GramianAngularField(modality(2), size=8, kind="summation")(walks(4, 2)), both[:, :2])
    torch.testing.assert_close(GramianAngularField(modality(2), size=8, kind="difference")(walks(4, 2)), both[:, 2:])


def test_standardised_series_know_their_training_rows() -> None:
    x = walks(50, 2).float()
    x[:, 1, 20:] = torch.nan
    layer = SeriesEncoder(modality(2))
    layer.fit(x)
    encoded = layer(x)
    torch.testing.assert_close(encoded[:, 0].mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(encoded[:, 1, :20].std(correction=0), torch.tensor(1.0))
    assert encoded[:, 1, 20:].eq(0).all()
    each = SeriesEncoder(modality(2), by="sample")(3 * x + 5)
    torch.testing.assert_close(each, SeriesEncoder(modality(2), by="sample")(x), atol=1e-5, rtol=1e-4)


def test_layers_are_chosen_by_name() -> None:
    assert isinstance(encoder(modality()), SeriesEncoder)
    chosen = encoder(modality(), {"layer": "gramian", "size": 12})
    assert isinstance(chosen, GramianAngularField)
    assert chosen.out_shape == (2, 12, 12)
    assert chosen.example(3).shape == (3, 1, 30)


def test_series_of_a_table_become_a_tensor(message: Callable[[Callable[[], object]], str]) -> None:
    frame = pd.DataFrame({"series": [np.arange(4.0), np.arange(4.0) + 1]}, index=["a", "b"])
    assert series_to_tensor(frame, modality(1, 4)).shape == (2, 1, 4)
    assert "sample a has 4 time points, 5 are expected" in message(lambda: series_to_tensor(frame, modality(1, 5)))
    assert "sample a has 1 channels, 2 are expected" in message(lambda: series_to_tensor(frame, modality(2, 4)))
    padded = series_to_tensor(frame, modality(1, 6, resize=True))
    assert padded[0, 0].isnan().tolist() == [False] * 4 + [True] * 2
    frame.loc["b", "series"][2] = np.nan
    found = message(lambda: series_to_tensor(frame, modality(1, 4), "my.ts"))
    assert found.startswith("my.ts: sample b, channel 1: no value at time point 3; ")
    filled = series_to_tensor(frame, modality(1, 4, interpolate=True))
    assert filled[1, 0].tolist() == [1, 2, 3, 4]
    frame.loc["b", "series"][2] = np.inf
    assert "sample b, channel 1: infinite value at time point 3" in message(
        lambda: series_to_tensor(frame, modality(1, 4, interpolate=True))
    )
    names = {**modality(1, 4), "channels": ["lead II"]}
    assert "channel lead II: infinite" in message(lambda: series_to_tensor(frame, names))
    words = pd.DataFrame({"series": ["abc"]})
    assert "sample 0 is not a series of numbers" in message(lambda: series_to_tensor(words, modality(1, 4)))
    assert "no column 'series'" in message(lambda: series_to_tensor(pd.DataFrame({"serie": [1]}), modality(1, 4)))

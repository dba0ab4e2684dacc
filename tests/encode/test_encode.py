"""Encodings: statistics of training rows, missing values, categories."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from zoo.encode import encoder, to_tensor
from zoo.encode.table import TableEncoder
from zoo.errors import InputError
from zoo.spec import Modality

MODALITY: Modality = {
    "kind": "table",
    "shape": [4],
    "features": ["age", "sex", "stage", "insulin"],
    "levels": {"sex": ["f", "m"], "stage": ["I", "II", "III"]},
    "ordered": ["stage"],
    "missing_values": {"insulin": [0.0]},
}
FRAME = pd.DataFrame(
    {
        "insulin": [0, 80.0, 120.0, np.nan],
        "stage": ["I", "III", "II", None],
        "sex": ["m", "f", "x", None],
        "age": [20, 40, 60, 80],
    }
)


def test_raw_values_are_matched_by_name(caplog: pytest.LogCaptureFixture) -> None:
    x = to_tensor(FRAME, MODALITY)
    (told,) = caplog.messages
    assert told.startswith("the table: level '")
    assert "of sex is not in the training data; rows with unknown levels: 1" in told
    nan = torch.nan
    expected = torch.tensor([[20, 1, 0, nan], [40, 0, 2, 80], [60, 2, 1, 120], [80, nan, nan, nan]])
    torch.testing.assert_close(x, expected, equal_nan=True)


def test_encoded_columns() -> None:
    layer = TableEncoder(MODALITY, missing_indicator=True)
    layer.fit(to_tensor(FRAME, MODALITY))
    out = pd.DataFrame(layer(to_tensor(FRAME, MODALITY)), columns=layer.feature_names)
    assert list(out["sex=f"]) == [0, 1, 0, 0]
    assert list(out["sex=m"]) == [1, 0, 0, 0]
    assert list(out["sex=unknown"]) == [0, 0, 1, 1]  # never seen, and missing
    assert list(out["insulin missing"]) == [1, 0, 0, 1]
    assert out["insulin"].tolist() == [0, -1, 1, 0]  # a missing number is the training mean
    assert out["stage"].tolist() == pytest.approx([-1.2247, 1.2247, 0, 0], abs=1e-4)
    full_rank = TableEncoder(MODALITY, categories="full-rank")
    assert [name for name in full_rank.feature_names if "=" in name] == ["sex=m", "sex=unknown"]
    assert layer.out_features == out.shape[1]


def test_same_as_scikit_learn() -> None:
    x = torch.randn(50, 3) * torch.tensor([1.0, 100.0, 1e-3]) + torch.tensor([0.0, 1e4, 5.0])
    x[torch.rand(x.shape) < 0.1] = torch.nan
    layer = TableEncoder({"kind": "table", "shape": [3], "features": ["a", "b", "c"]})
    layer.fit(x)
    # scikit-learn's scaler also ignores missing values; the mean of a scaled column is 0
    expected = SimpleImputer(strategy="constant", fill_value=0).fit_transform(StandardScaler().fit_transform(x))
    np.testing.assert_allclose(layer(x), expected, atol=1e-3)


def test_constant_and_empty_columns_stay_finite() -> None:
    x = torch.tensor([[5.0, torch.nan], [5.0, torch.nan]])
    layer = TableEncoder({"kind": "table", "shape": [2], "features": ["constant", "empty"]})
    layer.fit(x)
    assert layer(x).eq(0).all()
    assert layer(torch.tensor([[6.0, 1.0]])).isfinite().all()


def test_integer_and_float_levels_are_the_same() -> None:
    modality: Modality = {"kind": "table", "shape": [1], "features": ["sex"], "levels": {"sex": ["1", "2"]}}
    whole, with_missing = pd.DataFrame({"sex": [1, 2]}), pd.DataFrame({"sex": [1.0, 2.0, np.nan]})
    assert to_tensor(whole, modality)[:, 0].tolist() == to_tensor(with_missing, modality)[:2, 0].tolist() == [0, 1]


def test_example_is_simulated_and_valid() -> None:
    layer = TableEncoder(MODALITY)
    layer.fit(to_tensor(FRAME, MODALITY))
    x = layer.example(200)
    assert x.shape == (200, 4)
    assert layer(x).isfinite().all()
    assert x.isnan().any()
    torch.testing.assert_close(x, layer.example(200), equal_nan=True)


def test_unknown_option_is_named() -> None:
    with pytest.raises(InputError, match="did you mean missing_indicator"):
        encoder(MODALITY, {"missing_indicators": True})
    with pytest.raises(InputError, match="one-hot"):
        encoder(MODALITY, {"categories": "onehot"})

"""Latent traversals: a linear decoder changes exactly the features with non-zero weights, in the units of the data."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from conftest import spec
from matplotlib.backends.backend_agg import FigureCanvasAgg

from zoo.errors import InputError
from zoo.latent import embed, path, plot_path, plot_traversal, traverse
from zoo.models import VAE, Autoencoder

NAMES = ["pregnant", "glucose", "pressure", "triceps", "insulin", "mass", "pedigree", "age"]


@pytest.fixture(scope="module")
def model(pima) -> Autoencoder:
    """Unit 0 moves glucose up, unit 1 mass down and age up."""
    model = linear(pima.spec, 2)
    weight, bias = model.decoder[0].weight, model.decoder[0].bias
    with torch.no_grad():
        weight.zero_()
        bias.zero_()
        weight[1, 0], weight[5, 1], weight[7, 1] = 0.5, -2.0, 1.0
    model.fit_encoders(pima.training_inputs())
    return model


def linear(about, latent: int) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(spec=about, latent=latent, network="mlp", hidden=[], activation="linear").eval()


def space(model, samples: int = 40) -> AnnData:
    """Embedding of synthetic samples."""
    x = model.encode.example(samples)
    model.fit_encoders(x)
    with torch.inference_mode():
        z = model.embed(x).numpy()
    obs = pd.DataFrame({"target": ["a", "b"] * (samples // 2)}, index=[f"s{i}" for i in range(samples)])
    return AnnData(z, obs, uns={"layer": "latent"})


def test_a_linear_decoder_changes_exactly_what_it_loads_on(model, pima) -> None:
    adata = embed(model, pima)
    spread = adata.X[(adata.obs["split"] == "train").to_numpy()].std(0)
    table = traverse(model, pima, steps=5, span=2)
    assert table.columns.tolist() == ["change", "measured_in", "-2 sd", "-1 sd", "0 sd", "1 sd", "2 sd"]
    first, second = table.loc["unit 0"], table.loc["unit 1"]
    assert first.index[0] == "glucose"
    assert second.index[:2].tolist() == ["mass", "age"]
    assert first["change"].iloc[0] == pytest.approx(0.5 * 4 * spread[0], rel=1e-4)
    assert second["change"].iloc[:2].tolist() == pytest.approx([-2 * 4 * spread[1], 4 * spread[1]], rel=1e-4)
    for part, moved in ((first, ["glucose"]), (second, ["mass", "age"])):
        still = part.drop(index=moved)
        assert still["change"].abs().max() < 1e-5
        np.testing.assert_allclose(still["-2 sd"], still["2 sd"], rtol=1e-5)
    encode, z = model.encode, adata.X[(adata.obs["split"] == "train").to_numpy()].mean(0)
    expected = float(encode.mean[1] + encode.scale[1] * 0.5 * (z[0] + 2 * spread[0]))
    assert first.loc["glucose", "2 sd"] == pytest.approx(expected, rel=1e-5)
    assert first.loc["glucose", "measured_in"] == "mg/dL"


def test_units_steps_and_a_sample_can_be_chosen(model, pima) -> None:
    adata = embed(model, pima)
    pd.testing.assert_frame_equal(traverse(model, pima, unit=1), traverse(model, adata, unit=[1]))
    assert traverse(model, adata, unit=np.int64(0), steps=3, span=1.5).columns[2:].tolist() == [
        "-1.5 sd",
        "0 sd",
        "1.5 sd",
    ]
    table = traverse(model, adata, unit=1, sample="7").loc["unit 1"]
    own = model.encode.mean[1] + model.encode.scale[1] * 0.5 * adata["7"].X[0, 0]
    assert table.loc["glucose", "0 sd"] == pytest.approx(float(own), rel=1e-5)
    assert abs(table.loc["glucose", "change"]) < 1e-5


def test_path_leads_from_one_group_of_training_samples_to_another(model, pima) -> None:
    adata = embed(model, pima)
    table = path(model, adata, "neg", "pos", steps=5)
    assert table.columns.tolist() == ["change", "measured_in", "neg", "25%", "50%", "75%", "pos"]
    train = adata[adata.obs["split"] == "train"]
    for group in ("neg", "pos"):
        centre = train[train.obs["target"] == group].X.mean(0)
        with torch.inference_mode():
            raw = model.encode.inverse(model.decode(torch.tensor(centre)[None]))[0]
        np.testing.assert_allclose(table.loc[NAMES, group].to_numpy(float), raw.numpy(), rtol=1e-4)
    half = (table["neg"].astype(float) + table["pos"].astype(float)) / 2
    np.testing.assert_allclose(table["50%"].astype(float), half, rtol=1e-4)
    back = path(model, adata, "pos", "neg", steps=5)
    np.testing.assert_allclose(back.loc[table.index, "change"], -table["change"], atol=1e-4)
    ends = path(model, adata, "3", "9", column=None, steps=2)
    assert ends.columns[2:].tolist() == ["3", "9"]
    assert path(model, pima, "neg", "pos", steps=5).equals(table)


def test_categories_are_probabilities_and_covariates_stay(frame: pd.DataFrame) -> None:
    modality = {
        "kind": "table",
        "shape": [4],
        "features": ["age", "sex", "stage", "batch"],
        "levels": {"sex": ["f", "m"], "stage": ["I", "II", "III"], "batch": ["x", "y"]},
        "ordered": ["stage"],
        "covariates": ["batch"],
        "units": {"age": "years"},
    }
    about = {**spec([1]), "modalities": {"table": modality}}
    torch.manual_seed(0)
    model = VAE(spec=about, latent=2, hidden=[4]).eval()
    table = traverse(model, space(model), unit=0).loc["unit 0"]
    assert sorted(table.index) == ["age", "sex=f", "sex=m", "sex=unknown", "stage"]
    units = table["measured_in"].to_dict()
    assert units == {
        "age": "years",
        "stage": "rank",
        "sex=f": "probability",
        "sex=m": "probability",
        "sex=unknown": "probability",
    }
    levels = table.loc[["sex=f", "sex=m", "sex=unknown"]].iloc[:, 2:].astype(float)
    np.testing.assert_allclose(levels.sum(), 1, rtol=1e-5)
    assert len(labels(plot_traversal(model, space(model)))) == 2
    adata = space(model)
    model.covariate_mean.copy_(torch.tensor([0.4, 0.6, 0.0]))  # shares of the levels
    told = {level: traverse(model, adata, unit=0, covariates={"batch": level}) for level in ("x", "y")}
    pd.testing.assert_frame_equal(traverse(model, adata, unit=0), told["y"])  # the most frequent level, not a mixture
    assert not told["x"].equals(told["y"])
    with pytest.raises(InputError, match="batch 'z' is not in the training data; known: x, y"):
        traverse(model, adata, unit=0, covariates={"batch": "z"})


def labels(figure) -> list[list[str]]:
    """Labels of the rows of each heat map."""
    FigureCanvasAgg(figure).draw()
    return [[label.get_text() for label in axis.get_yticklabels()] for axis in figure.axes if axis.images]


def test_genes_come_back_in_their_scale() -> None:
    modality = {"kind": "expression", "shape": [3], "features": ["TP53", "MYC", "EGFR"], "scale": "counts"}
    model = linear({**spec([1]), "modalities": {"expression": modality}}, 2)
    table = traverse(model, space(model))
    assert set(table["measured_in"]) == {"counts per 10,000"}
    assert (table.iloc[:, 2:].astype(float) >= 0).all(None)
    assert set(table.loc["unit 1"].index) == {"TP53", "MYC", "EGFR"}


def test_series_are_lines_in_their_units() -> None:
    about = spec([2, 12])
    about["modalities"]["series"] |= {"channels": ["I", "II"], "units": {"I": "mV"}, "sampling_rate": 100.0}
    model = linear(about, 3)
    adata = space(model)
    table = traverse(model, adata, unit=0)
    assert len(table) == 24
    assert table.loc[("unit 0", "I time 3"), "measured_in"] == "mV"
    assert table.loc[("unit 0", "II time 12"), "measured_in"] == ""
    figure = plot_traversal(model, adata, unit=[0, 2], steps=5)
    drawn = [axis for axis in figure.axes if axis.lines]
    assert [axis.get_ylabel() for axis in drawn] == ["I [mV]", "II"] * 2
    assert [axis.get_title(loc="left") for axis in drawn] == ["unit 0", "", "unit 2", ""]
    assert [len(axis.lines) for axis in drawn] == [5] * 4
    values = table.loc["unit 0"].loc[[f"I time {t}" for t in range(1, 13)], "-2 sd"]
    np.testing.assert_allclose(drawn[0].lines[0].get_ydata(), values.astype(float), rtol=1e-5)
    assert drawn[-1].get_xlabel() == "time [s]"


@pytest.mark.parametrize(("shape", "places"), [([1, 4, 5], (4, 5)), ([3, 4, 5], (4, 5, 3)), ([1, 3, 4, 5], (4, 5))])
def test_images_are_rows_of_pictures(shape: list[int], places: tuple[int, ...]) -> None:
    model = linear(spec(shape), 8)
    adata = space(model)
    assert len(traverse(model, adata, unit=0)) == np.prod(shape)
    figure = plot_traversal(model, adata, steps=3)
    pictures = [axis for axis in figure.axes if axis.images]
    assert len(pictures) == 6 * 4  # six units that change most; the last column is the change
    assert pictures[0].images[0].get_array().shape == places
    assert [axis.get_title() for axis in pictures[:4]] == ["-2", "0", "2", "change"]
    assert "the 6 of 8 units with the largest changes" in figure.get_suptitle()
    assert ("middle slice" in figure.get_suptitle()) == (len(shape) == 4)
    only = plot_path(model, adata, "a", "b", steps=4)
    assert [axis.get_title() for axis in only.axes if axis.images] == ["a", "33.3%", "66.7%", "b", "change"]


def test_dna_has_probabilities_of_bases() -> None:
    about = {**spec([1]), "modalities": {"sequence": {"kind": "sequence", "shape": [6], "features": ["sequence"]}}}
    torch.manual_seed(0)
    model = VAE(spec=about, latent=2, network="mlp", hidden=[]).eval()
    table = traverse(model, space(model), unit=1).loc["unit 1"]
    assert len(table) == 24
    at_two = table.loc[[f"{base} base 2" for base in "ACGT"], "2 sd"]
    assert at_two.astype(float).sum() == pytest.approx(1, rel=1e-5)
    assert len(labels(plot_traversal(model, space(model)))[0]) == 10


def test_figure_of_a_table_writes_values_in_the_units_of_the_data(model, pima) -> None:
    figure = plot_traversal(model, pima, unit=0, steps=3)
    assert labels(figure) == [["glucose [mg/dL]", *labels(figure)[0][1:]]]
    (axis,) = (axis for axis in figure.axes if axis.images)
    table = traverse(model, pima, unit=0, steps=3).loc["unit 0"]
    assert [text.get_text() for text in axis.texts[:3]] == [f"{v:.0f}" for v in table.iloc[0, 2:]]
    assert axis.get_title(loc="left") == "unit 0"
    assert "other units at their means" in figure.get_supxlabel()
    way = plot_path(model, pima, "neg", "pos", steps=12)
    (axis,) = (axis for axis in way.axes if axis.images)
    assert not axis.texts  # too many points to write values
    assert axis.get_xticklabels()[0].get_text() == "neg"


def test_what_cannot_be_walked(model, pima, mlp, message: Callable[..., str]) -> None:
    adata = embed(model, pima)
    assert "MLP has no decoder" in message(lambda: traverse(mlp, pima))
    assert "unit must be between 0 and 1, not 2" in message(lambda: traverse(model, adata, unit=2))
    assert "no sample 'x'" in message(lambda: traverse(model, adata, sample="x"))
    assert "steps must be at least 2" in message(lambda: traverse(model, adata, steps=1))
    assert "span must be at least" in message(lambda: traverse(model, adata, span=0))
    assert "a decoder takes the latent space, not 'encode'" in message(
        lambda: traverse(model, embed(model, pima, "encode"))
    )
    other = AnnData(np.zeros((9, 5), np.float32), uns={"layer": "latent"})
    assert "has 2 units, the embedding 5" in message(lambda: traverse(model, other))
    assert "no training sample has target 'positive'" in message(lambda: path(model, adata, "neg", "positive"))
    assert "no column 'targt'" in message(lambda: path(model, adata, "neg", "pos", column="targt"))
    assert "no sample 'neg'" in message(lambda: path(model, adata, "neg", "pos", column=None))
    assert "has no length" in message(lambda: path(model, adata, "neg", "neg"))
    adata.X[2, 1] = np.nan
    assert "sample '3' has a value that is not finite" in message(lambda: traverse(model, adata))


def test_the_model_keeps_its_mode(model, pima) -> None:
    model.train()
    traverse(model, pima, unit=0)
    assert model.training
    model.eval()

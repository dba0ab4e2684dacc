"""Convolutional networks over sequences."""

from itertools import product

import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from zoo import latent
from zoo.data import SequenceData
from zoo.data.simulated.motif import motif_simulation
from zoo.encode.dna import random_codes, reverse_complement
from zoo.errors import InputError
from zoo.models import CNN1D, MLP
from zoo.models.predict.cnn1d import FirstConvolution
from zoo.spec import Spec


def spec(length: int = 40, kind: str = "multiclass") -> Spec:
    classes = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"], "regression": []}[kind]
    return {
        "modalities": {"sequence": {"kind": "sequence", "shape": [length], "features": ["sequence"]}},
        "target": {"kind": kind, "name": "y", "classes": classes, "unit": ""},  # type: ignore[typeddict-item]
        "id": "",
    }


@pytest.mark.parametrize(("width", "dilation", "channels"), product([1, 5, 12], [1, 3], [3, 4]))
def test_first_convolution_is_a_convolution(width: int, dilation: int, channels: int) -> None:
    ours = FirstConvolution(channels, 8, width, dilation=dilation)
    plain = nn.Conv1d(channels, 8, width, dilation=dilation)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(5, channels, 50)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    torch.testing.assert_close(ours(a), plain(b), atol=1e-5, rtol=1e-5)
    ours(a).square().sum().backward()
    plain(b).square().sum().backward()
    torch.testing.assert_close(a.grad, b.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad, atol=1e-3, rtol=1e-4)


OPTIONS = {
    "default": {},
    "exponential": {"first_activation": "exponential"},
    "three layers": {"filters": [8, 8, 4], "widths": [5, 3, 3], "pool_widths": [2, 2, 1]},
    "dilated": {"filters": [8, 8], "widths": [5, 5], "dilations": [1, 4]},
    "average": {"pooling": "average"},
    "both": {"pooling": "both", "filters": [8, 8], "widths": [5, 3], "pool_widths": [2, 2], "hidden": [6]},
    "flattened": {"global_pooling": False, "hidden": [8], "dropout": 0.3},
    "batch norm": {"normalisation": "batch"},
    "both strands, average": {"reverse_complement": "average"},
    "both strands, shared": {"reverse_complement": "shared", "hidden": [8]},
    "full rank": {"encoding": {"code": "full-rank"}},
    "k-mers": {"encoding": {"layer": "k-mer"}},
}


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_trains_on_any_batch(name: str, kind: str) -> None:
    torch.manual_seed(0)
    model = CNN1D(spec=spec(kind=kind), **OPTIONS[name])
    x = random_codes(7, 40, 0)
    y = torch.rand(7) if kind == "regression" else torch.arange(7) % 2
    model.fit_encoders(x, y)
    for rows in (slice(7), slice(1)):  # the last batch of an epoch may be one sample
        model.loss({"x": x[rows], "y": y[rows]}).backward()
    assert all(w.grad is not None and w.grad.isfinite().all() for w in model.parameters())
    assert model(x).shape == (7, 3 if kind == "multiclass" else 1)
    model.eval()
    torch.testing.assert_close(model.network(model.encode(x)), model(x))  # a plain module on one-hot DNA
    torch.testing.assert_close(model.head(model.embed(x)), model(x))


@pytest.mark.parametrize("how", ["average", "shared"])
def test_both_strands_have_one_output(how: str) -> None:
    model, x = CNN1D(spec=spec(), reverse_complement=how, hidden=[8]).eval(), random_codes(6, 40, 0)
    torch.testing.assert_close(model(x), model(reverse_complement(x)))
    torch.testing.assert_close(model.embed(x), model.embed(reverse_complement(x)))
    plain = CNN1D(spec=spec(), hidden=[8]).eval()
    assert not torch.allclose(plain(x), plain(reverse_complement(x)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"widths": [50]}, "sequences of 40 are too short: convolution 1 gets 40, needs 50"),
        ({"filters": [4, 4], "widths": [30, 12]}, "convolution 2 gets 11, needs 12"),
        ({"widths": [38], "pool_widths": [4]}, "convolution 1 gets 40, needs 41"),
        ({"filters": [4, 4]}, "widths must list one number for each of the 2 convolutions"),
        ({"filters": [], "widths": []}, "for each of the 0"),
        ({"reverse_complement": "average", "encoding": {"layer": "k-mer"}}, "one-hot encoding"),
        ({"reverse_complement": "shared", "encoding": {"code": "full-rank"}}, "one-hot encoding"),
        ({"first_activation": "exp"}, "did you mean exponential"),
    ],
)
def test_what_cannot_be_built_says_why(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        CNN1D(spec=spec(), **options)


def test_a_motif_is_learnt(tmp_path: object) -> None:
    path = f"{tmp_path}/t.csv"
    motif_simulation(1, samples=800).to_csv(path, index=False)
    data = SequenceData(path, target="bound")
    torch.manual_seed(0)
    model = CNN1D(spec=data.spec, lr=0.01)
    trainer = Trainer(
        max_epochs=15,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)
    right = model.predict(data.frame())["prediction"].to_numpy() == data.frame()["bound"].to_numpy()
    assert right[(data.samples["split"] == "test").to_numpy()].mean() > 0.95


def test_predict_takes_a_list_of_sequences() -> None:
    model = CNN1D(spec=spec())
    expected = model.predict(pd.DataFrame({"sequence": ["ACGT" * 10, "TTTT" * 10]}, index=[1, 2]))
    pd.testing.assert_frame_equal(model.predict(["acgu" * 10, "TTTT" * 10]), expected)
    with pytest.raises(InputError, match="sequences have 20 bases, the model takes 40"):
        model.predict(["ACGT" * 5])


def test_learnt_words_are_a_latent_space() -> None:
    model = CNN1D(spec=spec(), encoding={"layer": "k-mer", "k": 2, "width": 6})
    adata = latent.words(model)
    assert adata.shape == (16, 6)
    assert adata.obs_names[:3].tolist() == ["AA", "AC", "AG"]
    assert adata.obs.loc["GC", ["gc", "first", "last"]].tolist() == [1.0, "G", "C"]
    assert torch.equal(torch.as_tensor(adata["CA"].X[0]), model.encode.words.weight[4])
    assert latent.pca(adata).obsm["X_pca"].shape[0] == 16
    with pytest.raises(InputError, match="does not read k-mers"):
        latent.words(CNN1D(spec=spec()))


def test_an_mlp_reads_sequences_too() -> None:
    model = MLP(spec=spec(), hidden=[8])
    assert model(random_codes(3, 40, 0)).shape == (3, 3)

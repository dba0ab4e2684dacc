"""Output on a model: sizes of its layers, a caution on its split, its masks as files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import stand_in

import zoo
from zoo import files
from zoo.cli import main
from zoo.data.simulated.vessels import vessels


def test_show_prints_the_size_of_each_map(capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", "cnn2d_beats"])  # from the card of its weights
    shown = capsys.readouterr().out
    assert "4 x 35 x 35" in shown  # two Gramian fields, smallest and largest value
    assert "body.convolution3" in shown
    main(["show", "cnn2d_ecg200"])  # no weights are shipped: from the shape on the card of the data
    assert "2 x 32 x 32" in capsys.readouterr().out


def test_show_prints_the_sizes_of_a_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", "--config", "cnn2d_ecg200", *stand_in("cnn2d_ecg200"), "--trainer.fast_dev_run=true"])
    capsys.readouterr()
    main(["show", "runs/cnn2d_ecg200/1"])
    shown = capsys.readouterr().out
    assert "fast_dev_run: true" in shown
    assert "2 x 32 x 32" in shown


def test_masks_are_predicted_to_a_file(here: Path, zoo_fails: Callable[..., str]) -> None:
    frame = vessels(seed=7, samples=5, size=64)
    images = np.stack(list(frame["image"]))
    np.savez("new.npz", images=images)
    main(["predict", "--config", "segmenter_vessels", "--data.path=new.npz", "--output=masks.npz"])
    found = np.load("masks.npz")
    truth = np.stack(list(frame["mask"]))
    dice = 2 * (found["masks"] * truth).sum() / (found["masks"].sum() + truth.sum())
    assert found["names"].tolist() == ["1", "2", "3", "4", "5"]
    assert dice > 0.85
    main(["predict", "--config", "segmenter_vessels", "--data.path=new.npz", "--output=shares.csv"])
    shares = pd.read_csv("shares.csv", index_col=0)
    np.testing.assert_allclose(shares["share_vessel"], found["masks"].mean((1, 2)), atol=1e-6)
    refused = zoo_fails("predict", "--config", "mlp_pima", "--output=masks.npz")
    assert "use .csv, .tsv, " in refused


def test_models_of_images_take_an_array() -> None:
    digits = files.card("digits")
    assert digits["task"] == "multiclass"
    from zoo.data import ImageData

    data = ImageData("digits")
    model = zoo.load("cnn2d_digits")
    some = data.dataset.rows("test")[:20]
    predicted = model.predict(data.dataset.x[some].numpy())["prediction"].to_numpy()
    truth = data.samples["digit"].astype(str).to_numpy()[some.numpy()]
    assert (predicted == truth).mean() > 0.9


def test_every_report_states_that_a_patient_is_in_both_splits(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.accelerator=cpu"]
    main(["fit", "--config", "cnn2d_beats", "--data.split_beats=true", *quick])
    told = " ".join(capsys.readouterr().out.split())
    assert "scores are optimistic for a new patient" in told
    main(["test", "--config", "runs/cnn2d_beats"])
    assert "scores are optimistic for a new patient" in " ".join(capsys.readouterr().out.split())
    card = (zoo.export("runs/cnn2d_beats", "weights") / "README.md").read_text()
    assert "Caution: samples of one patient are in training and test" in card


def test_show_of_every_recipe_without_weights(capsys: pytest.CaptureFixture[str]) -> None:
    for name in files.recipes():
        if name not in files.pretrained():
            main(["show", name])
            assert "encode" in (shown := capsys.readouterr().out) or "depend on the data" in shown, name

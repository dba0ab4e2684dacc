"""Masks: the encoder-decoder, its losses and metrics, scores beside simple models, figures."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer
from scipy.ndimage import binary_erosion, gaussian_filter
from torch.nn.functional import max_pool2d

from zoo import weights
from zoo.data import Data
from zoo.data.base import Dataset
from zoo.latent.probe import layers, run
from zoo.models.predict.segmenter import Segmenter, Unpool
from zoo.report import evaluate
from zoo.report.figures import write_figures
from zoo.report.images.segmentation import pixel_features, pixel_models
from zoo.training import segmentation
from zoo.training.tasks import TASKS

TWO, THREE = ["background", "vessel"], ["background", "grey", "white"]
COMBINATIONS = list(itertools.product(["nearest", "transposed", "unpool"], [True, False]))


def spec(shape, classes=TWO):
    modality = {"kind": "image", "shape": list(shape), "features": ["image"]}
    target = {"kind": "segmentation", "name": "mask", "classes": classes, "unit": ""}
    return {"modalities": {"image": modality}, "target": target, "id": ""}


def shapes(number, classes=TWO, size=(17, 20), seed=0):
    """Bright squares, brighter by class, on a noisy ground; the last image has no square."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((number, *size), np.uint8)
    for mask, code in itertools.product(masks[:-1], range(1, len(classes))):
        at = [rng.integers(1, length - 6) for length in size]
        mask[tuple(slice(start, start + 5) for start in at)] = code
    images = 60 + 70.0 * masks + rng.normal(0, 12, masks.shape)
    return images.clip(0, 255).astype(np.uint8)[:, None], masks


class Squares(Data):
    """Images and masks that lie in memory."""

    def __init__(self, classes=TWO, number=20, size=(17, 20), train=12, **options):
        super().__init__(**options)
        self.arguments, self.train = (number, classes, size), train

    def read(self):
        return None

    def apply_split(self, unsplit):
        number, classes, size = self.arguments
        images, masks = shapes(number, classes, size)
        split = np.where(np.arange(number) < self.train, "train", "validation")
        samples = pd.DataFrame({"split": split}, index=pd.Index([f"s{i}" for i in range(number)], name="row"))
        return Dataset(torch.from_numpy(images), torch.from_numpy(masks), samples, spec(images.shape[1:], classes))

    def frame(self):
        raise NotImplementedError

    def baseline_features(self, rows):
        raise NotImplementedError


def trained(data, epochs=12, **options):
    torch.manual_seed(0)
    model = Segmenter(spec=data.spec, filters=[8, 16], lr=0.01, **options)
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=data)
    return model, {name: float(value) for name, value in trainer.callback_metrics.items()}


@pytest.mark.parametrize(("upsampling", "skip_connections"), COMBINATIONS)
@pytest.mark.parametrize("shape", [(1, 13, 7), (3, 1, 5), (1, 8, 8), (2, 5, 7, 6)])
def test_a_map_has_the_size_of_its_image(shape, upsampling, skip_connections):
    options = {"filters": [4, 5, 6], "upsampling": upsampling, "skip_connections": skip_connections}
    model = Segmenter(spec=spec(shape, THREE), **options)
    x = model.encode.example(2)
    assert model(x).shape == (2, 3, *shape[1:])
    assert model.embed(x).shape == (2, 6)
    torch.testing.assert_close(model.eval().network(model.encode(x)), model(x))
    y = torch.zeros(1, *shape[1:], dtype=torch.uint8)
    loss = model.train().loss({"x": x[:1], "y": y})
    loss.backward()
    assert loss.isfinite()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
    assert model.body.bottleneck.convolution2.weight.grad.any()


def test_two_classes_are_one_map():
    model = Segmenter(spec=spec((1, 8, 8)), filters=[4, 4]).eval()
    output = model(model.encode.example(3))
    assert output.shape == (3, 1, 8, 8)
    answer = model.predict_from(output)
    assert answer.shape == (3, 2, 8, 8)
    torch.testing.assert_close(answer.sum(1), torch.ones(3, 8, 8))
    assert torch.equal(answer.argmax(1), model.masks(output).long())


@pytest.mark.parametrize("shape", [(1, 2, 6, 8), (1, 2, 5, 7)])
def test_unpooling_puts_values_where_the_maxima_were(shape):
    x = torch.rand(shape) + 1
    pooled, positions = max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    back = Unpool()(pooled, positions, x.shape[2:])
    assert torch.equal(back[back > 0], x[back > 0])
    assert (back > 0).sum() == pooled.numel()
    assert torch.equal(max_pool2d(back, 2, ceil_mode=True), pooled)


def test_a_segnet_remembers_where_the_maxima_were():
    """What the decoder reads lies where the encoder found the maxima."""
    torch.manual_seed(0)
    model = Segmenter(spec=spec((1, 8, 8)), filters=[4, 4], upsampling="unpool", skip_connections=False).eval()
    seen = []
    model.body.pool1.register_forward_hook(lambda module, inputs, output: seen.append(output[1]))
    model.body.up1.resize.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model(model.encode.example(1))
    positions, unpooled = seen
    places = unpooled.flatten(2) != 0
    assert torch.equal(places.nonzero()[:, 2].sort()[0], positions.flatten().sort()[0])


def test_skip_connections_carry_the_fine_detail():
    """Without them a checkerboard inside the pooling windows cannot reach the output."""
    images = torch.zeros(2, 1, 8, 8)
    images[0, :, ::2, ::2], images[1, :, 1::2, 1::2] = 1, 1
    for skip_connections in (True, False):
        model = Segmenter(spec=spec((1, 8, 8)), filters=[4, 4], skip_connections=skip_connections, kernel_size=1).eval()
        one, other = model(images)
        assert torch.equal(one, other) is not skip_connections


def test_what_cannot_be_segmented(message):
    binary = spec((1, 8, 8)) | {"target": {"kind": "binary", "name": "sick", "classes": ["no", "yes"], "unit": ""}}
    assert "predicts a mask; target 'sick' is one of two classes: give --data.masks" in message(
        lambda: Segmenter(spec=binary)
    )
    assert "filters" in message(lambda: Segmenter(spec=spec((1, 8, 8)), filters=[8]))
    assert "did you mean unpool" in message(lambda: Segmenter(spec=spec((1, 8, 8)), upsampling="unpol"))
    assert "did you mean dice" in message(lambda: Segmenter(spec=spec((1, 8, 8)), loss="dise"))


# Losses.

HALF = torch.tensor([[[1, 1, 0, 0]], [[0, 0, 0, 0]]], dtype=torch.uint8)  # two images of 1 x 4 pixels


def logits(mask, sure=20.0):
    return (mask.float() * 2 - 1)[:, None] * sure


@pytest.mark.parametrize("name", segmentation.LOSSES)
def test_a_perfect_mask_has_no_loss(name):
    loss = TASKS["segmentation"].loss(name)
    mask = torch.tensor([[[0, 1, 2, 1]]])
    torch.testing.assert_close(loss(logits(HALF), HALF), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(loss(segmentation.one_hot(mask, 3) * 40.0, mask), torch.zeros(1), atol=1e-6, rtol=0)
    assert (loss(logits(1 - HALF), HALF) > 0.75).all()


def test_losses_by_hand():
    prediction = torch.tensor([[[0, 1, 1, 0]], [[0, 0, 0, 1]]])  # half of the first is found; the second has nothing
    dice = segmentation.dice(logits(prediction), HALF)
    torch.testing.assert_close(dice, torch.tensor([1 - 3 / 5, 1 - 1 / 2]))
    unsure = torch.zeros(2, 1, 1, 4)
    torch.testing.assert_close(segmentation.cross_entropy(unsure, HALF), torch.full((2,), np.log(2)).float())
    torch.testing.assert_close(segmentation.focal(unsure, HALF), torch.full((2,), np.log(2) / 4).float())
    both = segmentation.dice(unsure, HALF) + segmentation.cross_entropy(unsure, HALF)
    torch.testing.assert_close(TASKS["segmentation"].loss("auto")(unsure, HALF), both)


def test_two_softmax_maps_have_the_entropy_of_one_logistic_map():
    output = torch.randn(2, 1, 1, 4)
    two = torch.cat([torch.zeros_like(output), output], 1)
    for loss in segmentation.LOSSES.values():
        torch.testing.assert_close(loss(two, HALF), loss(output, HALF))


@pytest.mark.parametrize("loss", segmentation.LOSSES)
@pytest.mark.parametrize("classes", [TWO, THREE])
def test_bfloat16_is_finite(loss, classes):
    model = Segmenter(spec=spec((1, 9, 8), classes), filters=[4, 4], loss=loss, upsampling="unpool")
    y = torch.randint(0, len(classes), (2, 9, 8), dtype=torch.uint8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = model.loss({"x": model.encode.example(2), "y": y})
    assert value.dtype == torch.float32
    value.backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


# Metrics.


def test_metrics_by_hand():
    truth = torch.tensor([[[1, 1, 1, 0, 0], [0, 0, 0, 2, 2]], [[0, 0, 0, 0, 0], [0, 2, 2, 2, 2]]])
    guess = torch.tensor([[[1, 1, 0, 1, 0], [0, 0, 0, 0, 0]], [[1, 0, 0, 0, 0], [2, 2, 2, 2, 2]]])
    scores = {name: value.numpy() for name, value in segmentation.scores_of_masks(guess, truth, 3).items()}
    nan = np.nan
    np.testing.assert_allclose(scores["dice"], [[2 * 2 / 6, 0], [nan, 8 / 9]], rtol=1e-6)
    np.testing.assert_allclose(scores["iou"], [[2 / 4, 0], [nan, 4 / 5]], rtol=1e-6)
    np.testing.assert_allclose(scores["sensitivity"], [[2 / 3, 0], [nan, 1]], rtol=1e-6)
    np.testing.assert_allclose(scores["specificity"], [[6 / 7, 1], [9 / 10, 5 / 6]], rtol=1e-6)
    assert np.isnan(scores["surface_distance"]).tolist() == [[False, True], [True, False]]
    followed = segmentation.dice_of_masks(guess, truth, 3)
    np.testing.assert_allclose(followed.numpy(), scores["dice"], rtol=1e-6)


@pytest.mark.parametrize("size", [(12, 15), (6, 7, 8)])
def test_surface_distance_by_brute_force(size):
    rng = np.random.default_rng(1)
    truth, guess = (gaussian_filter(rng.normal(size=size), 1.5) > 0.05 for _ in range(2))

    def edge(mask):
        return np.argwhere(mask & ~binary_erosion(mask))

    between = np.linalg.norm(edge(truth)[:, None] - edge(guess)[None], axis=-1)
    expected = np.concatenate([between.min(0), between.min(1)]).mean()
    masks = (torch.from_numpy(mask.astype(np.uint8))[None] for mask in (guess, truth))
    assert segmentation.scores_of_masks(*masks, 2)["surface_distance"].item() == pytest.approx(expected, rel=1e-5)


# Training, evaluation, figures.


@pytest.mark.parametrize(("upsampling", "skip_connections"), [("nearest", True), ("unpool", False)])
def test_it_learns_four_images_by_heart(upsampling, skip_connections):
    data = Squares(number=5, train=4, batch_size=1)
    model, _ = trained(data, 15, upsampling=upsampling, skip_connections=skip_connections)
    rows = data.dataset.rows("train")
    masks = model.eval().masks(model(data.dataset.x[rows]))
    assert segmentation.dice_of_masks(masks, data.dataset.y[rows], 2).nanmean() > 0.95


@pytest.fixture(scope="module")
def squares():
    return Squares(THREE, batch_size=4)


@pytest.fixture(scope="module")
def fitted(squares):
    return trained(squares)


@pytest.fixture(scope="module")
def evaluation(squares, fitted):
    return evaluate(fitted[0], squares)


def test_the_epoch_logs_means_over_images(squares, fitted, evaluation):
    model, logged = fitted
    assert logged["validation_dice"] == pytest.approx(evaluation.value("dice", "validation"), abs=1e-5)
    rows = squares.dataset.rows("validation")
    with torch.inference_mode():
        loss = model.eval()(squares.dataset.x[rows])
    losses = segmentation.dice_cross_entropy(loss, squares.dataset.y[rows])
    assert logged["validation_loss"] == pytest.approx(losses.mean().item(), rel=1e-4)


def test_predictions_hold_masks_and_shares(squares, fitted):
    images = squares.dataset.x[:3].numpy()
    table = fitted[0].predict(images)
    assert list(table.columns) == ["mask", "share_background", "share_grey", "share_white"]
    for mask, shares in zip(table["mask"], table.drop(columns="mask").to_numpy(), strict=True):
        assert mask.dtype == np.uint8
        assert mask.shape == (17, 20)
        np.testing.assert_allclose(shares, np.bincount(mask.ravel(), minlength=3) / mask.size)


def test_scores_stand_beside_models_of_pixels(evaluation):
    metrics = ["dice", "iou", "sensitivity", "specificity", "surface_distance", "dice_grey", "dice_white"]
    table = evaluation.table()
    assert list(table.index) == metrics
    names = ["Segmenter", "Segmenter", "pixel logistic regression", "pixel random forest"]
    assert [model for model, _ in table.columns] == names
    assert table.loc[["dice", "iou", "sensitivity", "specificity"]].ge(0.5).all(axis=None)
    rows = evaluation.predictions
    assert rows.index.is_unique
    assert rows["split"].value_counts().to_dict() == {"train": 12, "validation": 8}
    assert np.isnan(rows.loc["s19", "dice_grey"])
    validation = rows[rows["split"] == "validation"]
    assert evaluation.value("dice_grey", "validation") == pytest.approx(validation["dice_grey"].mean())
    values = validation[["iou_grey", "iou_white"]].to_numpy()
    assert evaluation.value("iou", "validation") == pytest.approx(np.nanmean(values))


def test_models_of_pixels_learn_from_training_images_only(squares):
    reference = pixel_models(squares)["pixel random forest"]
    other = Squares(THREE, batch_size=4)
    other.dataset.y[other.dataset.rows("validation")] = 0
    again = pixel_models(other)["pixel random forest"]
    x = pixel_features(squares.dataset.x)[0]
    np.testing.assert_array_equal(reference.predict_proba(x), again.predict_proba(x))
    assert pixel_models(Squares(THREE, train=0)) == {}


@pytest.mark.parametrize("size", [(9, 10), (7, 8, 9)])
def test_features_of_a_pixel_are_of_its_own_image(size):
    x = torch.rand(3, 2, *size)
    features = pixel_features(x)
    each = 4 + 2 * (1 + len(size))
    assert features.shape == (3, np.prod(size), 2 * each)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[1:2], pixel_features(x[1:2]), atol=1e-5)
    np.testing.assert_allclose(features[:, :, 0], x[:, 0].flatten(1), atol=1e-6)
    np.testing.assert_allclose(features[:, :, each], x[:, 1].flatten(1), atol=1e-6)


def test_figures_and_tables_are_written(evaluation, tmp_path: Path):
    evaluation.write(tmp_path)
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 20
    (tmp_path / "metrics.csv").write_text("epoch,train_loss,validation_loss\n0,1,1\n1,0.5,0.6\n")
    written = write_figures(evaluation, "Segmenter on squares", tmp_path)
    assert [path.stem for path in written] == ["overlays", "dice", "learning_curve"]
    assert all(path.stat().st_size > 5000 for path in written)
    drawn = evaluation.figures["overlays"]("Segmenter on squares").axes
    assert len(drawn) == 3 * 6  # image, truth and prediction of six examples
    titles = [axes.get_title() for axes in drawn if axes.get_title()]
    assert (titles[0], titles[-1]) == ("s12", "s19")
    assert {axes.images[0].get_array().shape[:2] for axes in drawn} == {(17, 20)}


def test_volumes_are_scored_and_drawn(tmp_path: Path):
    data = Squares(number=6, train=4, size=(8, 9, 10), batch_size=2)
    model, _ = trained(data, 1)
    evaluation = evaluate(model, data, ("validation",))
    assert list(evaluation.predictions.columns)[:2] == ["split", "dice_vessel"]
    assert [path.stem for path in write_figures(evaluation, "volumes", tmp_path)] == ["overlays", "dice"]


def test_weights_travel(squares, fitted):
    model, _ = fitted
    init_args = json.loads(json.dumps(model.init_args))
    again = weights.build("Segmenter", init_args, model.state_dict(), "here")
    x = squares.dataset.x[:2]
    with torch.inference_mode():
        assert torch.equal(again(x), model.eval()(x))


def test_layers_can_be_read(squares, fitted):
    model, _ = fitted
    known = layers(model)
    names = [name for name in known if name.count(".") <= 1]
    assert names == ["encode", "body.encoder1", "body.bottleneck", "body.up1", "body.decoder1", "body", "head"]
    assert (known["body.encoder1"], known["body.bottleneck"], known["body.decoder1"]) == (8, 16, 8)
    latent, output = run(model, squares.dataset.x[:3], None)
    assert latent.shape == (3, 16)
    assert output.shape == (3, 3, 17, 20)

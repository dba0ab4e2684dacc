"""Segmentation with discriminators: what they see, what they change, and that without them nothing changes."""

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything

from zoo import runs, weights
from zoo.data import Data, ImageData
from zoo.data.base import Dataset
from zoo.models import SegmentationGAN, Segmenter
from zoo.models.gans.patch_discriminator import ImageDiscriminator, PatchDiscriminator, receptive_field
from zoo.models.gans.segmentation_gan import Mixing, edges

TWO, THREE = ["background", "vessel"], ["background", "artery", "vein"]
SMALL = {"filters": [4, 8], "discriminator_filters": 4, "patch_layers": 1}
NONE = {"image_weight": 0.0, "patch_weight": 0.0, "edge_weight": 0.0}
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def spec(shape, classes=TWO):
    modality = {"kind": "image", "shape": list(shape), "features": ["image"]}
    target = {"kind": "segmentation", "name": "mask", "classes": classes, "unit": ""}
    return {"modalities": {"image": modality}, "target": target, "id": ""}


class Lines(Data):
    """Bright lines on a noisy ground, that lie in memory."""

    def read(self):
        return None

    def apply_split(self, unsplit):
        rng = np.random.default_rng(0)
        masks = np.zeros((20, 16, 17), np.uint8)
        for mask in masks:
            mask[:, rng.integers(2, 14)] = mask[rng.integers(2, 14)] = 1
        images = (60 + 70.0 * masks + rng.normal(0, 12, masks.shape)).clip(0, 255).astype(np.uint8)[:, None]
        split = np.where(np.arange(20) < 14, "train", "validation")
        samples = pd.DataFrame({"split": split}, index=pd.Index([f"s{i}" for i in range(20)], name="row"))
        return Dataset(torch.from_numpy(images), torch.from_numpy(masks), samples, spec(images.shape[1:]))

    def frame(self):
        raise NotImplementedError

    def baseline_features(self, rows):
        raise NotImplementedError


def batch_of(model, rows=2):
    x, classes = model.encode.example(rows), len(model.target["classes"])
    y = torch.randint(classes, (rows, *x.shape[2:]), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    return {"x": x, "y": y}


def trained(kind, options, epochs=2, **trainer):
    seed_everything(3, verbose=False)
    data = Lines(batch_size=4)
    model = kind(spec=data.spec, lr=0.01, **options)
    Trainer(max_epochs=epochs, **QUIET, **trainer).fit(model, datamodule=data)
    return model


@pytest.mark.parametrize(
    "shared",
    [
        {"schedule": "one_cycle", "dropout": 0.3, "l2": 1e-3},
        {"schedule": "step", "schedule_epochs": 1, "optimizer": "sgd"},
        {"schedule": "reduce_on_plateau"},
    ],
)
def test_with_weights_of_0_it_is_the_segmenter_bit_for_bit(shared):
    plain = trained(Segmenter, {"filters": [4, 8], **shared}, gradient_clip_val=0.5)
    ours = trained(SegmentationGAN, {**SMALL, **NONE, **shared, "clip": 0.5})
    state = ours.state_dict()
    for name, weight in plain.state_dict().items():
        assert torch.equal(weight, state.pop(name)), name
    assert all(name.startswith("discriminator.") for name in state)


def test_discriminators_change_what_is_learnt():
    plain, ours = trained(Segmenter, {"filters": [4, 8]}), trained(SegmentationGAN, SMALL)
    assert not torch.equal(plain.head.weight, ours.head.weight)


@pytest.mark.parametrize("used", [("image",), ("patch", "edge"), ("image", "patch", "edge")])
def test_only_discriminators_with_a_weight_are_there(used):
    options = {**NONE, **{f"{name}_weight": 0.5 for name in used}}
    model = SegmentationGAN(spec=spec((1, 16, 16)), **SMALL, **options)
    assert tuple(model.discriminator) == used
    assert model.weights == [0.5] * len(used)
    assert len(model.discriminate(model.generate(batch := batch_of(model)), batch)) == len(used)


@pytest.mark.parametrize("classes", [TWO, THREE])
@pytest.mark.parametrize("shape", [(1, 16, 13), (3, 12, 12), (1, 8, 9, 7)])
def test_every_network_learns_from_images_and_volumes(shape, classes):
    model = SegmentationGAN(spec=spec(shape, classes), **SMALL, mixing=1, clip=1.0)
    batch = batch_of(model)
    made, real = model.generate(batch), model.real(batch)
    assert made.shape == real.shape == (2, 1 if classes == TWO else 3, *shape[1:])
    loss = model._generator_loss(batch, made) + model._discriminator_loss(batch, made.detach())
    loss.backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


def test_the_truth_is_what_a_perfect_mask_would_be():
    for classes in (TWO, THREE):
        model = SegmentationGAN(spec=spec((1, 12, 12), classes), **SMALL)
        batch = batch_of(model)
        sure = model.real(batch)
        assert torch.equal(model.masks(sure), batch["y"])
        assert model.predict_from(sure).amax(1).eq(1).all()
        assert model.generator_terms(batch, sure) < 1e-6


def test_edges_are_where_a_mask_changes():
    mask = torch.zeros(1, 1, 5, 6)
    mask[..., 3:] = 1
    found = edges(mask)
    assert found[0, 0, :, 2:4].eq(found.max()).all()
    assert found[0, 0, :, [0, 1, 4, 5]].max() < 0.01
    mask.requires_grad_()
    edges(mask).sum().backward()
    assert mask.grad.isfinite().all()
    thin = torch.zeros(1, 1, 9, 9)
    thin[..., 4] = 1
    thick = thin.clone()
    thick[..., 2:7] = 1
    assert edges(thin).sum() / thin.sum() > 2 * edges(thick).sum() / thick.sum()  # a thin line is mostly edge


def test_a_discriminator_of_patches_sees_as_much_as_it_says():
    assert receptive_field(3) == 70
    for layers in (1, 2, 3):
        judge = PatchDiscriminator(1, [96, 96], 2, layers)
        linear = torch.nn.Sequential(*(part for part in judge if isinstance(part, torch.nn.Conv2d))).double()
        for part in linear:
            torch.nn.init.ones_(part.weight)
        x = torch.zeros(1, 1, 96, 96, dtype=torch.double, requires_grad=True)
        scores = linear(x)
        middle = scores.shape[2] // 2
        scores[0, 0, middle, middle].backward()
        seen = x.grad[0, 0].nonzero()
        assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [judge.receptive_field] * 2
    assert ImageDiscriminator(2, [33, 8], 4)(torch.rand(3, 2, 33, 8)).shape == (3, 1)


def test_discriminators_judge_each_image_by_itself():
    x = torch.rand(4, 1, 24, 24)
    for judge in (PatchDiscriminator(1, [24, 24], 4, 2), ImageDiscriminator(1, [24, 24], 4)):
        torch.testing.assert_close(judge(x)[1:2], judge(x[1:2]))


def test_mixing_lets_every_pixel_hear_of_every_other():
    block = Mixing(3, [4, 5])
    x = torch.rand(1, 3, 4, 5, requires_grad=True)
    y = block(x)
    assert y.shape == x.shape
    y[0, 0, 0, 0].backward()
    assert x.grad[0].ne(0).all()
    with_blocks = SegmentationGAN(spec=spec((1, 16, 13)), **SMALL, mixing=2)
    assert sum(isinstance(part, Mixing) for part in with_blocks.body.bottleneck) == 2
    assert with_blocks.embed(with_blocks.encode.example(2)).shape == (2, 8)


def test_what_cannot_be(message):
    def build(shape=(1, 16, 16), **options):
        return lambda: SegmentationGAN(spec=spec(shape), **{**SMALL, **options})

    told = message(build(patch_layers=3))
    assert told == "patch_layers 3 needs images of 24 pixels, these have 16 x 16; set it to 2"
    assert "patch_weight must be at least 0" in message(build(patch_weight=-1.0))
    assert "average" in message(build(average=0.9))
    assert "gradient_penalty" in message(build(gradient_penalty=10.0, adversarial_loss="wasserstein"))
    assert "6 pixels or more per side" in message(build(shape=(1, 5, 8)))
    binary = spec((1, 8, 8)) | {"target": {"kind": "binary", "name": "sick", "classes": ["no", "yes"], "unit": ""}}
    assert "predicts a mask; target 'sick' is one of two classes: give --data.masks" in message(
        lambda: SegmentationGAN(spec=binary)
    )


RECIPE = ["--trainer.default_root_dir=runs", "--trainer.accelerator=cpu", "--model.filters=[4,8]"]


def test_a_resumed_run_is_an_uninterrupted_one(here):
    np.savez("lines.npz", images=(data := Lines().dataset).x[:, 0], masks=data.y)
    options = [*RECIPE, "--data.path=lines.npz", "--model.dropout=0.2", "--model.schedule=constant"]
    options += ["--model.image_weight=0.1", "--model.patch_weight=0.1"]
    whole = runs.fit("segmentationgan_vessels", *options, "--trainer.max_epochs=2")
    half = runs.fit("segmentationgan_vessels", *options, "--trainer.max_epochs=1")
    again = runs.fit(str(half.folder), "--trainer.max_epochs=2", "--ckpt_path=last")
    ends = [weights.read_checkpoint(run.folder / "checkpoints" / "last.ckpt") for run in (whole, again)]
    assert ends[0]["global_step"] == ends[1]["global_step"] == 4
    for name, weight in ends[0]["state_dict"].items():
        assert torch.equal(weight, ends[1]["state_dict"][name]), name
    assert isinstance(again.data, ImageData)
    table = again.model.predict(again.data.frame())
    assert list(table.columns) == ["mask", "share_background", "share_foreground"]
    assert again.evaluation.value("dice", "validation") >= 0

"""CustOmics: the published network as the package builds it, and what the corrected one mends."""

import numpy as np
import pytest
import torch
from cohort import cohort, train  # noqa: F401 (a fixture)
from scipy.spatial.distance import cdist
from torch import nn

from zoo.models import CustOmics
from zoo.models.fusion.customics import kullback_leibler, maximum_mean_discrepancy
from zoo.training.cox import breslow

PUBLISHED = {"variant": "published", "hidden": [12, 8], "latent": 6, "central": 6, "central_hidden": [10, 7]}
PUBLISHED |= {"classifier": [6, 5], "survival_head": [5, 4], "switch_epoch": 1, "loss": "bce"}
CORRECTED = {**PUBLISHED, "variant": "corrected"}


def kinds(network):
    """Names of its layers that do something, with their width where they have one."""
    named = []
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            named.append(f"Linear {layer.in_features}-{layer.out_features}")
        elif not isinstance(layer, nn.Sequential | nn.Identity):
            named.append(type(layer).__name__)
    return " ".join(named)


def batch_of(data, rows=32):
    rows = torch.arange(rows)
    return {"x": data.dataset.x[rows], **data.dataset.targets(rows)}


def model_of(data, **options):
    torch.manual_seed(0)
    model = CustOmics(spec=data.spec, **options)
    model.fit_encoders(data.training_inputs())
    return model


def with_gradient(model, batch, epoch):
    """Names of the networks that the loss of an epoch moves."""
    model.zero_grad()
    type(model).current_epoch = property(lambda self: epoch)
    try:
        model.loss(batch).backward()
    finally:
        del type(model).current_epoch
    moved = {name for name, w in model.named_parameters() if w.grad is not None and w.grad.abs().sum() > 0}
    return {name.removeprefix("body.").split(".")[0] for name in moved}


def test_the_published_network_is_that_of_the_package(cohort):
    model = model_of(cohort, **PUBLISHED)
    body = model.body
    norm = "BatchNorm Dropout LeakyReLU"
    assert kinds(body.encoders["rna"]) == f"Linear 20-12 {norm} Linear 12-8 BatchNorm LeakyReLU Linear 8-6"
    assert kinds(body.decoders["rna"]) == f"Linear 6-8 {norm} Linear 8-12 BatchNorm LeakyReLU Linear 12-20"
    assert kinds(body.central_encoder) == f"Linear 12-10 {norm} Linear 10-7 BatchNorm LeakyReLU"
    assert (kinds(body.mean), kinds(body.log_variance)) == ("Linear 7-6", "Linear 7-6")
    assert kinds(body.central_decoder) == f"Linear 6-7 {norm} Linear 7-10 BatchNorm LeakyReLU Linear 10-12 Sigmoid"
    assert kinds(model.head) == f"Linear 6-6 {norm} Linear 6-5 {norm} Linear 5-1"
    risk = "Linear 6-5 BatchNorm SELU Dropout Linear 5-4 BatchNorm SELU Dropout Linear 4-1 BatchNorm SELU"
    assert kinds(model.further["survival"].head) == risk
    assert {layer.negative_slope for layer in body.modules() if isinstance(layer, nn.LeakyReLU)} == {0.2}
    assert (model.hparams["optimizer"], model.hparams["weight_decay"]) == ("adam", 0.0)


def test_the_two_published_phases(cohort):
    model, batch = model_of(cohort, **PUBLISHED), batch_of(cohort)
    heads = {"encoders", "decoders", "head", "further"}
    assert with_gradient(model, batch, 0) == heads
    assert with_gradient(model, batch, 1) >= heads | {"central_encoder", "central_decoder", "mean", "log_variance"}


def test_the_corrected_centre_learns_from_the_first_epoch_without_moving_the_modalities(cohort, monkeypatch):
    model, batch = model_of(cohort, **CORRECTED), batch_of(cohort)
    assert with_gradient(model, batch, 0) >= {"encoders", "mean"}
    monkeypatch.setattr(model, "_reconstruction", lambda *given: torch.zeros(()))
    monkeypatch.setattr(model, "_target_losses", lambda *given: [torch.zeros(())])
    assert "mean" in with_gradient(model, batch, 0)  # what is left is the centre
    assert "encoders" not in with_gradient(model, batch, 0)
    assert "encoders" in with_gradient(model, batch, 1)


def test_the_published_divergence_does_not_tell_a_collapsed_space_from_the_prior():
    torch.manual_seed(0)
    prior, collapsed = torch.randn(32, 128), torch.zeros(32, 128)
    published = [float(maximum_mean_discrepancy(z, published=True)) for z in (prior, collapsed)]
    assert published[1] < published[0]  # nearer to it than a sample of the prior itself
    ours = [float(maximum_mean_discrepancy(z)) for z in (prior, collapsed)]
    assert ours[1] > 4 * ours[0]
    assert kullback_leibler(torch.zeros(4, 128), torch.zeros(4, 128)) == 0
    assert kullback_leibler(torch.zeros(4, 128), torch.full((4, 128), -10.0)) > 500


def discrepancy(z, prior, width, published):
    """The same by its definition (Gretton et al. 2012), with a kernel of this width."""

    def kernel(a, b):
        squares = cdist(a, b, "sqeuclidean")
        return (np.exp(-squares / width) if published else width / (width + squares)).mean()

    return kernel(prior, prior) + kernel(z, z) - 2 * kernel(prior, z)


@pytest.mark.parametrize("published", [False, True])
def test_the_maximum_mean_discrepancy_by_hand(published):
    """Its kernel, and the width of the kernel, which depends on the number of dimensions."""
    for dimensions in (2, 9):
        z = 0.5 * torch.randn(6, dimensions, generator=torch.Generator().manual_seed(3)) + 1
        torch.manual_seed(5)
        prior = torch.randn(6, dimensions)
        torch.manual_seed(5)
        found = float(maximum_mean_discrepancy(z, published=published))

        width = dimensions**2 if published else 2 * dimensions
        assert found == pytest.approx(discrepancy(z, prior, width, published), rel=1e-4)
        for other in (width / 2, 2 * width):
            assert abs(discrepancy(z, prior, other, published) / found - 1) > 0.1


def test_the_published_cox_loss_counts_censored_samples_too(cohort):
    model, batch = model_of(cohort, **PUBLISHED), batch_of(cohort)
    head = model.target_heads["survival"]
    head.loss_of_rows = breslow
    y = batch["y survival"].nan_to_num(0.0)
    y[:, 0] += 1
    output, head.target = torch.randn(len(y), 1), {**head.target, "unlabelled": False}
    shared = model.loss_of_target(head, output, y)
    expected = breslow(output, y).mean() * y[:, 1].mean()
    torch.testing.assert_close(shared, expected)


def test_latent_spaces_of_any_width(cohort):
    model = model_of(cohort, **{**CORRECTED, "latent": {"rna": 5, "protein": 3}, "normalisation": "batch"})
    assert {name: layer.out_features for name, layer in model.projections.items()} == {"rna": 6, "protein": 6}
    latents = model.eval().body.latents(model.encode(cohort.dataset.x[torch.arange(4)]))
    assert [z.shape[1] for z in latents.values()] == [5, 3]


@pytest.mark.parametrize("divergence", ["kl", "mmd"])
def test_corrected_learns(cohort, divergence):
    options = {**CORRECTED, "hidden": [16], "central_hidden": [], "classifier": [], "survival_head": []}
    model = model_of(cohort, **options, divergence=divergence, lr=0.01)
    model = train(model, cohort, 12)
    truth = cohort.samples["group"].dropna()
    assert (model.predict(cohort.frame())["prediction"][truth.index] == truth).mean() > 0.85


def test_what_cannot_be_built_says_why(cohort, message):
    assert "latent spaces of one width" in message(lambda: CustOmics(spec=cohort.spec, **{**PUBLISHED, "latent": 4}))
    assert "did you mean rna" in message(lambda: CustOmics(spec=cohort.spec, latent={"rnaa": 4}))
    assert "no width for protein" in message(lambda: CustOmics(spec=cohort.spec, latent={"rna": 4}))
    assert "variant 'old' is unknown" in message(lambda: CustOmics(spec=cohort.spec, variant="old"))

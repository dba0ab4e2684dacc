"""Two optimisers count as one, resume bit for bit, stop in time, and tell when one network has won."""

import copy
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from conftest import assert_same
from lightning.pytorch import Trainer
from scipy.stats import energy_distance as reference

from zoo import files, runs, weights
from zoo.checkpoints import Last
from zoo.cli import main
from zoo.data import TableData
from zoo.errors import InputError
from zoo.models import TabularGAN
from zoo.models.gans.generative import Projection
from zoo.training.adversarial_losses import discriminator_loss, generator_loss, gradient_penalty
from zoo.training.energy import energy_distance

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def small(**options: Any) -> tuple[TabularGAN, TableData]:
    """A network and 80 patients in 56 / 12 / 12, batches of 14: four an epoch."""
    L.seed_everything(0, verbose=False)
    data = TableData("table.csv", target="outcome", id="patient", batch_size=14)
    model = TabularGAN(spec=data.spec, hidden=[8], discriminator_hidden=[8], noise=8, **options)
    model.fit_encoders(data.training_inputs(), data.training_targets())
    return model, data


def trained(epochs: int = 2, **options: Any) -> tuple[TabularGAN, Trainer]:
    model, data = small(**options)
    trainer = Trainer(max_epochs=epochs, **QUIET)
    trainer.fit(model, data)
    return model, trainer


def parts(model: TabularGAN) -> tuple[torch.Tensor, torch.Tensor]:
    return model.generator.head.weight.detach().clone(), model.discriminator.head.weight.detach().clone()


def test_a_step_is_a_batch_whatever_the_number_of_optimisers(table: str) -> None:
    for every in (1, 3):
        assert trained(discriminator_steps=every)[1].global_step == 8
    model, data = small()
    trainer = Trainer(max_steps=5, **QUIET)
    trainer.fit(model, data)
    assert trainer.global_step == 5


def test_the_generator_waits_for_its_turn(table: str) -> None:
    model, data = small(discriminator_steps=3)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = [parts(model)]
    finish = L.pytorch.callbacks.LambdaCallback(on_train_batch_end=lambda *_: seen.append(parts(model)))
    Trainer(max_epochs=2, callbacks=[finish], **QUIET).fit(model, data)
    changed = [[not torch.equal(a, b) for a, b in zip(*pair, strict=True)] for pair in pairwise(seen)]
    assert [generator for generator, _ in changed] == [step % 3 == 0 for step in range(1, 9)]
    assert all(discriminator for _, discriminator in changed)


def test_each_network_has_its_rate_and_both_follow_the_schedule(table: str) -> None:
    _, trainer = trained(4, lr=0.01, discriminator_lr=0.04, schedule="step", schedule_epochs=2, schedule_factor=0.1)
    assert [round(o.param_groups[0]["lr"], 8) for o in trainer.optimizers] == [0.0001, 0.0004]
    _, trainer = trained(2, lr=0.01, discriminator_lr=0.04, schedule="one_cycle")
    assert [config.scheduler.last_epoch for config in trainer.lr_scheduler_configs] == [8, 8]


def test_clipping_bounds_both_gradients(table: str) -> None:
    before = parts(small(optimizer="sgd", momentum=0, weight_decay=0, clip=1e-4, lr=1.0)[0])
    model, _ = trained(1, optimizer="sgd", momentum=0, weight_decay=0, clip=1e-4, lr=1.0)
    for old, new in zip(before, parts(model), strict=True):
        assert 0 < (new - old).norm() <= 4 * 1e-4 * 1.01  # four steps


def test_the_moving_average_makes_the_samples(table: str) -> None:
    model, data = small(average=0.9, lr=0.01)
    after: list[torch.Tensor] = []
    note = L.pytorch.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_: after.append(model.generator.head.weight.detach().clone())
    )
    Trainer(max_epochs=1, callbacks=[note], **QUIET).fit(model, data)
    expected = after[0]  # the first update copies
    for weight in after[1:]:
        expected = 0.9 * expected + 0.1 * weight
    torch.testing.assert_close(model.sampler.head.weight, expected)
    ours, plain = model.synthesise(50), copy.deepcopy(model)
    plain.averaged.module = model.generator
    assert not ours.equals(plain.synthesise(50))


class Killed(L.pytorch.callbacks.Callback):
    """Stop in the middle of an epoch, as a power cut would."""

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.current_epoch == 3 and trainer.global_step == 14:
            raise RuntimeError("power cut")


def test_an_interrupted_run_resumes_to_the_same_weights_of_both_networks(table: str) -> None:
    options: dict[str, Any] = {"average": 0.9, "schedule": "cosine", "discriminator_steps": 3, "dropout": 0.3}
    whole = trained(6, **options)[0]
    model, data = small(**options)
    with pytest.raises(RuntimeError, match="power cut"):
        Trainer(
            max_epochs=6,
            callbacks=[Killed(), Last(Path("last.ckpt"), seconds=0)],
            **{**QUIET, "enable_checkpointing": True},
        ).fit(model, data)
    model, data = small(**options)
    torch.manual_seed(99)  # what came before does not matter
    Trainer(max_epochs=6, **QUIET).fit(model, data, ckpt_path="last.ckpt", weights_only=True)
    assert_same(whole.state_dict(), model.state_dict())


OPTIONS = ["fit", "--config", "tabulargan_pima", "--trainer.accelerator=cpu", "--trainer.max_epochs=6"]
OPTIONS += ["--model.hidden=[8]", "--model.discriminator_hidden=[8]"]


def test_an_exploding_loss_names_its_step_and_keeps_the_last_good_checkpoint(
    here: Path, zoo_fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = TabularGAN.generator_terms
    monkeypatch.setattr(
        TabularGAN,
        "generator_terms",
        lambda self, batch, made: terms(self, batch, made) + (1e9 if self.trainer.global_step == 30 else 0.0),
    )
    line = zoo_fails(*OPTIONS, "--model.discriminator_steps=1")  # nine batches an epoch
    assert "loss of the generator was 1e+09 in step 30 (epoch 3)" in line
    assert "last good checkpoint is kept" in line
    best = weights.read_checkpoint(f"runs/tabulargan_pima/1/{files.BEST}")
    assert best["epoch"] <= 2
    assert all(value.isfinite().all() for value in best["state_dict"].values())


def test_a_loss_that_is_not_a_number_stops_too(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Projection, "forward", lambda self, x, label=None: self.head(self.trunk(x)) * torch.nan)
    with pytest.raises(InputError, match=r"loss of the discriminator was nan in step 1 \(epoch 0\)"):
        trained(1)


def test_figures_are_drawn_every_few_epochs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.report.style import new_figure

    monkeypatch.setattr(TabularGAN, "sample_figure", lambda self: new_figure("made", "x", "y")[0])
    monkeypatch.setattr(runs, "evaluate", lambda *_: None)
    monkeypatch.setattr(runs, "write_report", lambda *_: None)
    main([*OPTIONS, "--model.figure_epochs=2", "--trainer.max_epochs=5"])
    drawn = sorted(path.name for path in Path("runs/tabulargan_pima/1/figures").glob("epoch_*.png"))
    assert drawn == ["epoch_0002.png", "epoch_0004.png"]


def test_mode_collapse_and_a_dominating_discriminator_are_reported(
    table: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level("WARNING", "zoo"):
        trained(1, lr=1e-6)
    assert not caplog.records
    constant = TabularGAN.sample
    monkeypatch.setattr(TabularGAN, "sample", lambda self, labels, n, seed: constant(self, labels, n, seed) * 0.01)
    with caplog.at_level("WARNING", "zoo"):
        trained(1)
    assert "mode collapse" in caplog.text
    caplog.clear()
    monkeypatch.setattr(
        TabularGAN, "generate", lambda self, b: torch.full_like(self.real(b), 9.0) + 0 * self.generator.offset.sum()
    )
    with caplog.at_level("WARNING", "zoo"):
        trained(10, discriminator_lr=0.1, lr=1e-6)
    assert "the discriminator scores the real sample higher in 100.0% of the pairs" in caplog.text


def test_options_that_do_not_fit_are_refused(table: str) -> None:
    for options, words in (
        ({"adversarial_loss": "wasserstein"}, "needs a gradient_penalty, such as 10"),
        ({"adversarial_loss": "wassertein"}, "wasserstein"),
        ({"average": 1.0}, "average"),
        ({"discriminator_steps": 0}, "discriminator_steps"),
        ({"discriminator_lr": 0.0}, "discriminator_lr"),
    ):
        with pytest.raises(InputError, match=words):
            small(**options)


def test_losses_are_those_of_the_papers() -> None:
    real, made = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [-3.0]])
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = cross_entropy(real, torch.ones(2, 1)) + cross_entropy(made, torch.zeros(2, 1))
    torch.testing.assert_close(discriminator_loss("non_saturating", real, made), expected)
    torch.testing.assert_close(generator_loss("non_saturating", made), cross_entropy(made, torch.ones(2, 1)))
    assert discriminator_loss("hinge", real, made) == pytest.approx((0 + 2) / 2 + (1.5 + 0) / 2)
    assert discriminator_loss("least_squares", real, made) == pytest.approx((1 + 4) / 4 + (0.25 + 9) / 4)
    assert discriminator_loss("wasserstein", real, made) == pytest.approx(-1.25 - 0.5)
    assert generator_loss("hinge", made) == generator_loss("wasserstein", made) == pytest.approx(1.25)
    assert generator_loss("least_squares", made) == pytest.approx((0.25 + 16) / 4)


def test_the_penalty_is_that_of_the_slope() -> None:
    weight = torch.tensor([3.0, 4.0])
    found = gradient_penalty(lambda x: [x @ weight, 0 * x @ weight], torch.randn(5, 2), torch.randn(5, 2))
    assert found == pytest.approx((5 - 1) ** 2 + (0 - 1) ** 2)


def test_energy_distance_tells_distributions_apart() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=2000), rng.normal(1.0, 2.0, size=1500)
    ours = energy_distance(torch.tensor(one).unsqueeze(1), torch.tensor(two).unsqueeze(1))
    assert ours == pytest.approx(reference(one, two) ** 2, abs=0.01)  # scipy gives the root
    same = [energy_distance(*torch.randn(2, 100, 5, generator=torch.Generator().manual_seed(s))) for s in range(40)]
    assert abs(float(torch.stack(same).mean())) < 0.005  # unbiased


@pytest.mark.parametrize("loss", ["non_saturating", "hinge", "least_squares", "wasserstein"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_every_loss_trains_in_single_and_half_precision(loss: str, precision: str, table: str) -> None:
    model, data = small(adversarial_loss=loss, gradient_penalty=10, clip=1.0, average=0.9)
    before = parts(model)
    Trainer(max_epochs=2, precision=precision, **QUIET).fit(model, data)
    for old, new in zip(before, parts(model), strict=True):
        assert new.isfinite().all()
        assert not torch.equal(old, new)
    assert model.synthesise(5).notna().to_numpy().all()

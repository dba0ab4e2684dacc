"""Two networks that learn against each other: what all generative adversarial networks share."""

import logging
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ... import files
from ...errors import InputError, check_choice, check_range
from ...figure import Figure
from ...training import adversarial_losses as losses
from ...training.adversarial_losses import AdversarialLoss
from ..base import Batch, Model

log = logging.getLogger("zoo")
WON = 0.98  # share of the pairs that a discriminator ranks rightly, above which a generator learns little from it


class Adversarial(Model, abstract=True):
    """A generator that learns to fool a discriminator (Goodfellow et al. 2014, arXiv:1406.2661).

    Each batch updates the discriminator once, and each ``discriminator_steps``-th the generator; a step, as in
    ``trainer.max_steps``, is one batch. Both have the same optimiser and schedule, and learning rates of their own. A
    subclass gives `set_networks` its networks, and says what is generated, what it should look like, and how it is judged.

    Args:
        adversarial_loss: non_saturating, hinge, least_squares or wasserstein, see `zoo.training.adversarial_losses`.
        gradient_penalty: Weight of the penalty on the discriminator's slope; 10 is usual with wasserstein.
        discriminator_lr: Learning rate of the discriminator; by default ``lr``, which is the generator's.
        discriminator_steps: Updates of the discriminator for each of the generator.
        average: Decay of the moving average of the generator's weights that makes the samples (Yazici et al. 2019,
            arXiv:1806.04498); 0 for none.
        clip: Largest norm of the gradient of either network; 0 for none.
        beta1: Decay of the mean gradient in Adam; 0.5 or 0 is usual for adversarial networks.
        figure_epochs: Epochs between two figures of what is generated.
        **shared: Arguments of `Model`.

    Attributes:
        weights: Weight of each discriminator in the loss of the generator. If all are 0, there is no discriminator.

    Raises:
        InputError: Options that do not fit each other; a loss that is not finite or explodes, with the step.
    """

    generator: nn.Module
    discriminator: nn.Module
    weights: list[float]

    def __init__(
        self,
        adversarial_loss: AdversarialLoss = "non_saturating",
        gradient_penalty: float = 0.0,
        discriminator_lr: float | None = None,
        discriminator_steps: int = 1,
        average: float = 0.0,
        clip: float = 0.0,
        beta1: float = 0.9,
        figure_epochs: int = 50,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.automatic_optimization, self.weights = False, [1.0]
        check_choice("adversarial_loss", adversarial_loss, AdversarialLoss.__args__)  # type: ignore[attr-defined]
        for name, value in {"gradient_penalty": gradient_penalty, "clip": clip}.items():
            check_range(name, value, 0)
        for name, value in {"average": average, "beta1": beta1}.items():
            check_range(name, value, 0, 0.9999)
        check_range("discriminator_steps", discriminator_steps, 1)
        check_range("figure_epochs", figure_epochs, 1)
        check_range("discriminator_lr", 1.0 if discriminator_lr is None else discriminator_lr, 1e-12)
        if adversarial_loss == "wasserstein" and not gradient_penalty:
            raise InputError("adversarial_loss 'wasserstein' needs a gradient_penalty, such as 10")
        self.adversarial_loss, self.gradient_penalty, self.average = adversarial_loss, gradient_penalty, average
        self.discriminator_steps, self.clip, self.figure_epochs = discriminator_steps, clip, figure_epochs
        self._lost: dict[str, list[tuple[int, Tensor]]] = {"generator": [], "discriminator": []}
        self._scores: list[Tensor] = []

    def set_networks(self, generator: nn.Module, discriminator: nn.Module) -> None:
        """Take both networks, and a copy of the generator for its moving average."""
        self.generator, self.discriminator = generator, discriminator
        if self.average:
            self.averaged = AveragedModel(
                generator, multi_avg_fn=get_ema_multi_avg_fn(self.average), use_buffers=True
            ).requires_grad_(False)

    @property
    def sampler(self) -> nn.Module:
        """The generator that makes samples: the moving average, if there is one."""
        return self.averaged.module if self.average else self.generator

    @abstractmethod
    def generate(self, batch: Batch) -> Tensor:
        """What the generator makes for a batch."""

    @abstractmethod
    def real(self, batch: Batch) -> Tensor:
        """What that should be taken for."""

    @abstractmethod
    def discriminate(self, sample: Tensor, batch: Batch) -> list[Tensor]:
        """Outputs of each discriminator for real or made samples of a batch, of any shape; high means real."""

    def generator_terms(self, batch: Batch, generated: Tensor) -> Tensor | float:
        """What the generator loses beside the discriminators' terms."""
        return 0.0

    def sample_figure(self) -> Figure | None:
        """A picture of what is made at present."""
        return None

    def _generator_loss(self, batch: Batch, generated: Tensor) -> Tensor:
        total = torch.as_tensor(self.generator_terms(batch, generated), device=generated.device)
        if any(self.weights):
            for weight, output in zip(self.weights, self.discriminate(generated, batch), strict=True):
                total = total + weight * losses.generator_loss(self.adversarial_loss, output)
        return total

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]
        """One update of the discriminator, and of the generator if it is its turn."""
        self.seed_epoch(batch_idx)
        step, fights = self.trainer.global_step + 1, any(self.weights)
        by_generator, by_discriminator = self.optimizers()  # type: ignore[attr-defined]
        turn = not fights or step % self.discriminator_steps == 0
        with torch.set_grad_enabled(turn):
            generated = self.generate(batch)
        if fights:
            self.discriminator.requires_grad_(True)
            loss = self._discriminator_loss(batch, generated.detach())
            self._update(by_discriminator, "discriminator", step, loss, counts=True)
            self.discriminator.requires_grad_(False)
        if turn:
            loss = self._generator_loss(batch, generated) + self.penalty()
            self._update(by_generator, "generator", step, loss, counts=not fights)
            if self.average:
                self.averaged.update_parameters(self.generator)
        self._step_schedules()

    def _discriminator_loss(self, batch: Batch, generated: Tensor) -> Tensor:
        real = self.real(batch)
        outputs = list(zip(self.discriminate(real, batch), self.discriminate(generated, batch), strict=True))
        loss = sum(losses.discriminator_loss(self.adversarial_loss, *pair) for pair in outputs)
        if self.gradient_penalty:
            slope = losses.gradient_penalty(lambda sample: self.discriminate(sample, batch), real, generated)
            loss = loss + self.gradient_penalty * slope
        found = [torch.stack([r.mean(), m.mean(), (r > m).float().mean()]).detach() for r, m in outputs]
        self._scores.append(torch.stack(found).mean(0))
        return torch.as_tensor(loss)

    def _update(self, optimiser: LightningOptimizer, name: str, step: int, loss: Tensor, counts: bool) -> None:
        optimiser.zero_grad()
        self.manual_backward(loss)
        if self.clip:
            self.clip_gradients(optimiser.optimizer, self.clip, "norm")
        if counts:
            optimiser.step()
        else:  # Lightning counts the steps of every optimiser; the trainer's options mean batches
            self.trainer.strategy.optimizer_step(optimiser.optimizer, _nothing, self)
        self._lost[name].append((step, loss.detach()))

    def _step_schedules(self, plateaus: bool = False) -> None:
        """As Lightning does when it optimises itself: after each batch, or after the last one of an epoch."""
        for config in self.trainer.lr_scheduler_configs[: 2 if any(self.weights) else 1]:
            if isinstance(config.scheduler, ReduceLROnPlateau):
                if plateaus:
                    config.scheduler.step(float(self.trainer.callback_metrics["validation_loss"]))
            elif not plateaus and (config.interval == "step" or self.trainer.is_last_batch):
                config.scheduler.step()

    def stop_if_not_finite(self, name: str, loss: Tensor) -> None:
        """As in `Model`; but a loss of a training step that exploded is named first."""
        self._check_steps()
        super().stop_if_not_finite(name, loss)

    def _check_steps(self) -> None:
        if bad := losses.first_explosion(self._lost):
            step, name, loss = bad
            raise InputError(
                f"the loss of the {name} was {loss:.3g} in step {step} (epoch {self.current_epoch}): lower lr "
                f"({self.hparams['lr']:g}) or discriminator_lr, or set clip; the last good checkpoint is kept"
            )

    def on_train_epoch_end(self) -> None:
        """Log the losses and what the discriminator thinks; stop if a loss exploded; draw what is made."""
        self._check_steps()
        for name, found in self._lost.items():
            if found:
                mean = torch.stack([loss for _, loss in found]).mean()
                self.log("train_loss" if name == "generator" else "discriminator_loss", mean, sync_dist=True)
            found.clear()
        if self._scores:
            means = torch.stack(self._scores).mean(0)
            for name, value in zip(("real_score", "made_score", "told_apart"), means, strict=True):
                self.log(name, value, sync_dist=True)
            self._scores.clear()
        self._step_schedules(plateaus=True)
        if (self.current_epoch + 1) % self.figure_epochs == 0 and self.logger and self.trainer.is_global_zero:
            self._draw()

    def _draw(self) -> None:
        training, _ = self.training, self.eval()
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(0)
            figure = self.sample_figure()
        self.train(training)
        if figure is not None:
            epoch = self.current_epoch + 1
            with files.replacing(Path(self.logger.log_dir) / "figures" / f"epoch_{epoch:04d}.png") as path:  # type: ignore[union-attr, arg-type]
                figure.savefig(path)
            self.logger.experiment.add_figure("generated", figure, epoch)  # type: ignore[union-attr]

    def on_train_end(self) -> None:
        """Tell of a discriminator that won."""
        super().on_train_end()
        won = self.trainer.callback_metrics.get("told_apart")
        if won is not None and won > WON and self.adversarial_loss != "wasserstein":
            told = "the discriminator ranks %.1f%% of the pairs of a real and a made sample rightly, which teaches the "
            log.warning(told + "generator little; lower discriminator_lr, or make it smaller", 100 * won)

    def penalty(self) -> Tensor | float:
        """L1 and L2 penalties on the weight matrices of the generator."""
        if not (self.l1 or self.l2):
            return 0.0
        weights = [w for w in self.parameter_groups() if isinstance(w, Tensor) and w.ndim > 1 and w.requires_grad]
        return sum(self.l1 * w.abs().sum() + self.l2 * w.square().sum() for w in weights)

    def parameter_groups(self) -> Iterable[nn.Parameter]:
        """All that is neither of the discriminator nor of the moving average."""
        others = ("discriminator.", "averaged.")
        return [weight for name, weight in self.named_parameters() if not name.startswith(others)]

    def configure_optimizers(self) -> Any:
        """One optimiser for the generator, one for the discriminator, each with its schedule."""
        h = self.hparams
        lr = h["lr"] if h["discriminator_lr"] is None else h["discriminator_lr"]
        return (
            self.optimiser_of(self.parameter_groups(), h["lr"], float(h["beta1"])),
            self.optimiser_of(self.discriminator.parameters(), lr, float(h["beta1"])),
        )


def _nothing() -> None:
    """The closure of an optimiser whose gradients are there."""

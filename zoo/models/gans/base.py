"""Base class of generative adversarial networks: generator and discriminator, their losses, updates and logs."""

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
DOMINATES = 0.98  # share of correctly ranked pairs above which a discriminator gives its generator little gradient


class Adversarial(Model, abstract=True):
    """A generator trained against a discriminator (Goodfellow et al. 2014, arXiv:1406.2661).

    The discriminator is updated on each batch, the generator on every ``discriminator_steps``-th; a step, as in
    ``trainer.max_steps``, is one batch. Both networks have the same kind of optimiser and schedule, and learning rates
    of their own. A subclass passes its networks to `set_networks` and defines `generate`, `real` and `discriminate`.

    Args:
        adversarial_loss: non_saturating, hinge, least_squares or wasserstein, see `zoo.training.adversarial_losses`.
        gradient_penalty: Weight of the gradient penalty of the discriminator; usually 10 with wasserstein.
        discriminator_lr: Learning rate of the discriminator; by default ``lr``, the learning rate of the generator.
        discriminator_steps: Number of discriminator updates per generator update.
        average: Decay of the exponential moving average of the generator's weights, which then generates the samples
            (Yazici et al. 2019, arXiv:1806.04498); 0 for none.
        clip: Maximum norm of the gradient of either network; 0 for no clipping.
        beta1: Decay rate of the first moment in Adam; usually 0.5 or 0 for adversarial networks.
        figure_epochs: Epochs between two figures of generated samples.
        **shared: Arguments of `Model`.

    Attributes:
        weights: Weight of each discriminator in the loss of the generator. If all are 0, no discriminator is trained.

    Raises:
        InputError: Options contradict each other; or a loss is not finite or exploded, with the step.
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
        self._losses: dict[str, list[tuple[int, Tensor]]] = {"generator": [], "discriminator": []}
        self._scores: list[Tensor] = []

    def set_networks(self, generator: nn.Module, discriminator: nn.Module) -> None:
        """Set both networks, and create the moving average of the generator."""
        self.generator, self.discriminator = generator, discriminator
        if self.average:
            self.averaged = AveragedModel(
                generator, multi_avg_fn=get_ema_multi_avg_fn(self.average), use_buffers=True
            ).requires_grad_(False)

    @property
    def sampler(self) -> nn.Module:
        """The network that generates samples: the moving average of the generator, if there is one."""
        return self.averaged.module if self.average else self.generator

    @abstractmethod
    def generate(self, batch: Batch) -> Tensor:
        """Generated samples for a batch."""

    @abstractmethod
    def real(self, batch: Batch) -> Tensor:
        """Real samples of a batch, in the same form as generated ones."""

    @abstractmethod
    def discriminate(self, sample: Tensor, batch: Batch) -> list[Tensor]:
        """Outputs of each discriminator for real or generated samples of a batch, of any shape; high means real."""

    def generator_terms(self, batch: Batch, generated: Tensor) -> Tensor | float:
        """Terms of the generator loss besides the adversarial ones."""
        return 0.0

    def sample_figure(self) -> Figure | None:
        """A figure of samples of the current generator."""
        return None

    def _generator_loss(self, batch: Batch, generated: Tensor) -> Tensor:
        total = torch.as_tensor(self.generator_terms(batch, generated), device=generated.device)
        if any(self.weights):
            for weight, output in zip(self.weights, self.discriminate(generated, batch), strict=True):
                total = total + weight * losses.generator_loss(self.adversarial_loss, output)
        return total

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]
        """One update of the discriminator, and of the generator on every ``discriminator_steps``-th step."""
        self.seed_epoch(batch_idx)
        step, adversarial = self.trainer.global_step + 1, any(self.weights)
        generator_optimiser, discriminator_optimiser = self.optimizers()  # type: ignore[attr-defined]
        update_generator = not adversarial or step % self.discriminator_steps == 0
        with torch.set_grad_enabled(update_generator):
            generated = self.generate(batch)
        if adversarial:
            self.discriminator.requires_grad_(True)
            loss = self._discriminator_loss(batch, generated.detach())
            self._update(discriminator_optimiser, "discriminator", step, loss, counts=True)
            self.discriminator.requires_grad_(False)
        if update_generator:
            loss = self._generator_loss(batch, generated) + self.penalty()
            self._update(generator_optimiser, "generator", step, loss, counts=not adversarial)
            if self.average:
                self.averaged.update_parameters(self.generator)
        self._step_schedules()

    def _discriminator_loss(self, batch: Batch, generated: Tensor) -> Tensor:
        real = self.real(batch)
        outputs = list(zip(self.discriminate(real, batch), self.discriminate(generated, batch), strict=True))
        loss = sum(losses.discriminator_loss(self.adversarial_loss, *pair) for pair in outputs)
        if self.gradient_penalty:
            penalty = losses.gradient_penalty(lambda sample: self.discriminate(sample, batch), real, generated)
            loss = loss + self.gradient_penalty * penalty
        scores = [torch.stack([r.mean(), g.mean(), (r > g).float().mean()]).detach() for r, g in outputs]
        self._scores.append(torch.stack(scores).mean(0))
        return torch.as_tensor(loss)

    def _update(self, optimiser: LightningOptimizer, name: str, step: int, loss: Tensor, counts: bool) -> None:
        optimiser.zero_grad()
        self.manual_backward(loss)
        if self.clip:
            self.clip_gradients(optimiser.optimizer, self.clip, "norm")
        if counts:
            optimiser.step()
        else:  # Lightning counts the steps of all optimisers, but the options of the trainer count batches
            self.trainer.strategy.optimizer_step(optimiser.optimizer, _nothing, self)
        self._losses[name].append((step, loss.detach()))

    def _step_schedules(self, plateaus: bool = False) -> None:
        """Step the schedules as in Lightning's automatic optimisation: after each batch, or at the end of an epoch."""
        for config in self.trainer.lr_scheduler_configs[: 2 if any(self.weights) else 1]:
            if isinstance(config.scheduler, ReduceLROnPlateau):
                if plateaus:
                    config.scheduler.step(float(self.trainer.callback_metrics["validation_loss"]))
            elif not plateaus and (config.interval == "step" or self.trainer.is_last_batch):
                config.scheduler.step()

    def stop_if_not_finite(self, name: str, loss: Tensor) -> None:
        """As in `Model`, after checking the losses of the training steps, so that the first bad step is reported."""
        self._check_steps()
        super().stop_if_not_finite(name, loss)

    def _check_steps(self) -> None:
        if bad := losses.first_explosion(self._losses):
            step, name, loss = bad
            raise InputError(
                f"the loss of the {name} was {loss:.3g} in step {step} (epoch {self.current_epoch}): lower lr "
                f"({self.hparams['lr']:g}) or discriminator_lr, or set clip; the last good checkpoint is kept"
            )

    def on_train_start(self) -> None:
        """Say so if there are epochs without an update of the generator."""
        batches = self.trainer.num_training_batches
        if any(self.weights) and batches < self.discriminator_steps:
            log.warning(
                "the generator is updated once in %d batches, but an epoch has only %d: lower data.batch_size or "
                "model.discriminator_steps, or train for more epochs",
                self.discriminator_steps,
                batches,
            )

    def on_train_epoch_end(self) -> None:
        """Log losses and discriminator scores, stop if a loss exploded, and draw generated samples."""
        self._check_steps()
        for name, updates in self._losses.items():
            if updates or name == "generator":
                # NaN in an epoch without an update of the generator
                mean = torch.stack([loss for _, loss in updates]).mean() if updates else torch.tensor(torch.nan)
                self.log("train_loss" if name == "generator" else "discriminator_loss", mean, sync_dist=True)
            updates.clear()
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
        """Warn of a discriminator that dominates the generator."""
        super().on_train_end()
        share = self.trainer.callback_metrics.get("told_apart")
        if share is not None and share > DOMINATES and self.adversarial_loss != "wasserstein":
            log.warning(
                "the discriminator scores the real sample higher in %.1f%% of the pairs of a real and a generated "
                "sample and dominates the generator; lower discriminator_lr, or use a smaller discriminator",
                100 * share,
            )

    def penalty(self) -> Tensor | float:
        """L1 and L2 penalties on the weight matrices of the generator."""
        if not (self.l1 or self.l2):
            return 0.0
        weights = [w for w in self.parameter_groups() if isinstance(w, Tensor) and w.ndim > 1 and w.requires_grad]
        return sum(self.l1 * w.abs().sum() + self.l2 * w.square().sum() for w in weights)

    def parameter_groups(self) -> Iterable[nn.Parameter]:
        """Weights of the generator side: all but those of the discriminator and of the moving average."""
        excluded = ("discriminator.", "averaged.")
        return [weight for name, weight in self.named_parameters() if not name.startswith(excluded)]

    def configure_optimizers(self) -> Any:
        """One optimiser for the generator and one for the discriminator, each with its schedule."""
        h = self.hparams
        lr = h["lr"] if h["discriminator_lr"] is None else h["discriminator_lr"]
        return (
            self.optimiser_of(self.parameter_groups(), h["lr"], float(h["beta1"])),
            self.optimiser_of(self.discriminator.parameters(), lr, float(h["beta1"])),
        )


def _nothing() -> None:
    """An optimiser closure that does nothing, since the gradients are computed already."""

"""Generative models: samples from noise, conditional on a class."""

import logging
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...encode import from_tensor
from ...errors import InputError, check_range, suggest
from ...spec import modality_of
from ...training.energy import energy_distance, spread
from ...training.outputs import Outputs
from ...training.tasks import task_of
from ..base import Batch
from .base import Adversarial

GENERATED = 4  # generated samples per real sample in a comparison
MOST = 1000  # maximum number of real validation samples in a comparison
COLLAPSED = 0.5  # diversity of generated samples relative to real ones below which mode collapse is reported


class Projection(nn.Module):
    """Projection discriminator: the score ``head(features) + class vector . features`` of a sample and its class.

    After Miyato and Koyama (2018, arXiv:1802.05637): the class is not an input of the network; the score has the inner
    product of a class vector and the features, which do not depend on the class.

    Args:
        trunk: Network from encoded samples to features, ``(batch, *shape) -> (batch, width)``.
        width: Number of features.
        classes: Number of classes; 0 without classes.

    Shape:
        ``(batch, *shape), (batch,) -> (batch, 1)``
    """

    def __init__(self, trunk: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.trunk, self.head = trunk, nn.Linear(width, 1)
        self.classes = nn.Linear(width, classes, bias=False) if classes else None

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Score of each sample; without labels, that of the class with the highest score."""
        features = self.trunk(x)
        score: Tensor = self.head(features)
        if self.classes is None:
            return score
        fit: Tensor = self.classes(features)
        return score + (fit.amax(1, keepdim=True) if label is None else fit.gather(1, label.unsqueeze(1)))


log = logging.getLogger("zoo")


class Generative(Adversarial, abstract=True):
    """A GAN that generates samples, conditional on the class of the target if there is one.

    ``validation_loss``, by which the epoch is selected, is the energy distance between generated samples and validation
    samples of the same classes. ``validation_diversity`` is the mean distance between generated samples divided by the
    mean distance between real ones; values far below 1 indicate mode collapse.

    A subclass calls `set_networks` with a generator, ``generator(noise, label) -> encoded samples``, and a `Projection`
    as discriminator. Labels are class codes, ``(batch,)``, or None.

    Args:
        noise: Number of noise dimensions, drawn from a standard normal distribution.
        **shared: Arguments of `Adversarial` and `Model`.

    Attributes:
        classes: Number of classes; 0 if the target has no classes.
        class_shares: Their shares of the training samples.
    """

    discriminator: Projection
    class_shares: Tensor

    def __init__(self, noise: int = 64, **shared: Any) -> None:
        super().__init__(**shared)
        check_range("noise", noise, 1)
        if self.target.get("unlabelled"):
            raise InputError(f"{type(self).__name__} needs a class for each sample; leave out data.unlabelled")
        self.noise, self.outputs = noise, Outputs()
        self.classes = len(self.target["classes"]) if task_of(self.target).classified else 0
        self.register_buffer("class_shares", torch.full((self.classes,), 1 / max(1, self.classes)))

    @property
    def task(self) -> str:
        """Synthesis of samples."""
        return "synthesis"

    @property
    def headline(self) -> str:
        """Performance on real samples of a model trained on generated samples (train on synthetic, test on real)."""
        return "tstr"

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`; also computes the shares of the classes."""
        super().fit_encoders(x, y)
        if self.classes and y is not None:
            self.class_shares.copy_(torch.bincount(y, minlength=self.classes) / len(y))

    def prepare(self, data: Any) -> None:
        """As in `Model`; also checks, before training, that validation samples can be compared with generated ones."""
        if (count := len(data.dataset.rows("validation"))) < 2:
            raise InputError(
                f"{type(self).__name__} needs at least 2 validation samples, there is {count}; raise their share in "
                "data.fractions"
            )
        super().prepare(data)

    def labels(self, batch: Batch) -> Tensor | None:
        """Class codes of a batch, ``(batch,)``; None if there are no classes."""
        return batch["y"] if self.classes else None

    def generate(self, batch: Batch) -> Tensor:
        """Generated samples of the classes of a batch."""
        noise = torch.randn(len(batch["x"]), self.noise, device=self.device)
        return self.generator(noise, self.labels(batch))  # type: ignore[no-any-return]

    def encoded(self, x: Tensor) -> Tensor:
        """Raw values in the form that the discriminator takes and the generator outputs."""
        return self.encode(x)  # type: ignore[no-any-return]

    def real(self, batch: Batch) -> Tensor:
        """Encoded samples."""
        return self.encoded(batch["x"])

    def discriminate(self, sample: Tensor, batch: Batch) -> list[Tensor]:
        """Discriminator score of each sample."""
        return [self.discriminator(sample, self.labels(batch))]

    def embed(self, x: Tensor) -> Tensor:
        """Features of the discriminator, ``(batch, *shape) -> (batch, width)`` (Radford et al. 2015)."""
        return self.discriminator.trunk(self.encoded(x))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Discriminator score of raw values, of the best fitting class: ``(batch, *shape) -> (batch, 1)``."""
        return self.discriminator(self.encoded(x))  # type: ignore[no-any-return]

    def every_layer(self, x: Tensor) -> Any:
        """Discriminator scores, and samples generated from zero noise."""
        label = torch.zeros(len(x), dtype=torch.long, device=x.device) if self.classes else None
        return self(x), self.generator(torch.zeros(len(x), self.noise, device=x.device), label)

    def raw_predictions(self, x: Tensor) -> Tensor:
        """Discriminator score of each sample."""
        return self(x)  # type: ignore[no-any-return]

    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """A table with ``realism``, the discriminator score; high means real."""
        return pd.DataFrame({"realism": raw[:, 0].float().cpu().numpy()}, index)

    @torch.inference_mode()
    def sample(self, labels: Tensor | None, n: int, seed: int) -> Tensor:
        """Generated encoded samples, ``(n, *encode.out_shape)``.

        Args:
            labels: Class codes, ``(n,)``; None without classes.
            n: Number of samples.
            seed: Seed of the noise.
        """
        training, _ = self.training, self.eval()
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            noise = torch.randn(n, self.noise).to(self.device)
            parts = torch.arange(n).split(self.rows_at_once)
            generated = [self.sampler(noise[rows], labels[rows] if labels is not None else None) for rows in parts]
        self.train(training)
        return torch.cat(generated)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Store the real samples, which are compared with generated ones at the end of the epoch."""
        self.outputs.update(self.real(batch).flatten(1), batch["y"])

    def log_epoch(self, split: str) -> None:
        """Log energy distance and diversity of generated samples."""
        real, y = self.outputs.take()
        codes = y if self.classes else torch.zeros(len(y), dtype=torch.long, device=y.device)
        distance, diversity = self.compare(real.float(), codes)
        self.log_scores(split, distance, diversity=diversity)

    def compare(self, real: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Energy distance between generated and real samples of the same classes, and relative diversity.

        The class is an additional coordinate of a sample: distances within small classes would be too noisy.

        Args:
            real: Encoded samples, ``(samples, width)``.
            codes: Their classes, ``(samples,)``; zeros without classes.
        """
        chosen = torch.linspace(0, len(real) - 1, min(MOST, len(real)), device=real.device).long()
        real, codes = real[chosen], codes[chosen]
        labels = codes.repeat(GENERATED)
        generated = self.sample(labels if self.classes else None, len(labels), seed=0).flatten(1).float()
        diversity = spread(generated) / spread(real).clamp(min=1e-12)
        if self.classes:
            real, generated = (self._with_class(*pair) for pair in ((real, codes), (generated, labels)))
        return energy_distance(generated, real), diversity

    def _with_class(self, samples: Tensor, codes: Tensor) -> Tensor:
        """Samples with their one-hot class, scaled by the typical distance of two samples."""
        return torch.cat([samples, samples.shape[1] ** 0.5 / 2 * F.one_hot(codes, self.classes)], 1)

    def on_train_end(self) -> None:
        """Warn of mode collapse."""
        super().on_train_end()
        diversity = self.trainer.callback_metrics.get("validation_diversity")
        if diversity is not None and diversity < COLLAPSED:
            log.warning(
                "mode collapse: the mean distance between generated samples is %.0f%% of that between real ones; lower "
                "lr, try adversarial_loss wasserstein with gradient_penalty 10, or more training samples",
                100 * diversity,
            )

    def synthesise(self, n: int, conditions: dict[str, Any] | None = None, seed: int = 0) -> pd.DataFrame:
        """Synthetic samples in the units of the data, with their class.

        Args:
            n: Number of samples.
            conditions: Values by column, such as ``{"diabetes": "pos"}``; without a given class, classes are drawn by
                their share of the training samples.
            seed: Seed of all draws.

        Returns:
            One row per sample: the columns of a table in their order, or one column of arrays (series, images), and the
            target.

        Raises:
            InputError: A column is unknown, a value is not in the training data, or ``n`` is less than 1.
        """
        check_range("n", n, 1)
        remaining = dict(conditions or {})
        labels = self._labels(remaining.pop(self.target["name"], None), n, seed)
        for name in remaining:
            known = [self.target["name"]] if self.classes else []
            raise InputError(f"samples cannot be conditioned on {name!r}; {suggest(name, known)}")
        return self.as_frame(self.sample(labels, n, seed), labels, seed)

    def _labels(self, condition: Any, n: int, seed: int) -> Tensor | None:
        """Class codes of the given class, or drawn by the shares of the classes."""
        if not self.classes:
            if condition is not None:
                raise InputError(f"this model was not trained on classes of {self.target['name']!r}")
            return None
        classes = self.target["classes"]
        if condition is None:
            # As many of each class as its share, rounded down; the rest by chance; all in random order.
            rng, expected = np.random.default_rng(seed), n * _shares(self.class_shares)
            counts = np.floor(expected).astype(int)
            if rest := n - counts.sum():
                counts += rng.multinomial(rest, (expected - counts) / rest)
            return torch.from_numpy(rng.permutation(np.arange(self.classes).repeat(counts))).to(self.device)
        if str(condition) not in classes:
            raise InputError(
                f"{self.target['name']} {condition!r} is not in the training data; {suggest(str(condition), classes)}"
            )
        return torch.full((n,), classes.index(str(condition)), device=self.device)

    def as_frame(self, encoded: Tensor, labels: Tensor | None, seed: int) -> pd.DataFrame:
        """A table of encoded samples in the units of the data, with their class; ``seed`` is that of random draws."""
        modality, index = modality_of(self.spec), pd.RangeIndex(1, len(encoded) + 1, name="sample")
        raw = from_tensor(self.encode.inverse(encoded), modality, index)
        frame = raw if isinstance(raw, pd.DataFrame) else pd.DataFrame({modality["features"][0]: list(raw)}, index)
        if labels is not None:
            frame[self.target["name"]] = [self.target["classes"][code] for code in labels.tolist()]
        return frame


def _shares(shares: Tensor) -> np.ndarray:
    """Shares that sum to 1 in double precision."""
    values = shares.double().cpu().numpy()
    result: np.ndarray = values / values.sum()
    return result

"""Models that make samples out of noise, of the classes that they are told."""

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

MADE = 4  # made samples for each real one that they are compared with
MOST = 1000  # real validation samples that are compared
COLLAPSED = 0.5  # diversity of made samples against real ones below which a warning is given


class Projection(nn.Module):
    """Score of a sample and its class, ``head(features) + class vector . features``.

    The projection discriminator of Miyato and Koyama (2018, arXiv:1802.05637): a class is not fed to the network but
    compared with what it found, so that the features of a sample are the same whatever class it is said to be of.

    Args:
        trunk: Encoded samples to features, ``(batch, *shape) -> (batch, width)``.
        width: Of the features.
        classes: Number of classes; 0 for samples without.

    Shape:
        ``(batch, *shape), (batch,) -> (batch, 1)``
    """

    def __init__(self, trunk: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.trunk, self.head = trunk, nn.Linear(width, 1)
        self.classes = nn.Linear(width, classes, bias=False) if classes else None

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Without labels, the score of the class that fits each sample best."""
        features = self.trunk(x)
        score: Tensor = self.head(features)
        if self.classes is None:
            return score
        fit: Tensor = self.classes(features)
        return score + (fit.amax(1, keepdim=True) if label is None else fit.gather(1, label.unsqueeze(1)))


log = logging.getLogger("zoo")


class Generative(Adversarial, abstract=True):
    """A generator of samples, conditional on the class of the target if there is one.

    Made samples are compared with the validation samples of the same classes by their energy distance
    (``validation_loss``), which chooses the epoch; ``validation_diversity`` is the mean distance of two made samples
    over that of two real ones: far below 1, the generator makes the same few samples again and again (mode collapse).

    A subclass calls `set_networks` with a generator, ``generator(noise, label) -> encoded samples``, and a `Projection`
    as discriminator. Labels are class codes, ``(batch,)``, or None.

    Args:
        noise: Numbers drawn for each sample, from a standard normal distribution.
        **shared: Arguments of `Adversarial` and `Model`.

    Attributes:
        classes: Number of classes that are told apart; 0 if the target is none of classes.
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
        """To make samples."""
        return "synthesis"

    @property
    def headline(self) -> str:
        """How well models predict that were trained on generated samples, on real ones (train synthetic, test real)."""
        return "tstr"

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`; the shares of the classes are learnt too."""
        super().fit_encoders(x, y)
        if self.classes and y is not None:
            self.class_shares.copy_(torch.bincount(y, minlength=self.classes) / len(y))

    def labels(self, batch: Batch) -> Tensor | None:
        """Class codes of a batch, ``(batch,)``; None if there are no classes."""
        return batch["y"] if self.classes else None

    def generate(self, batch: Batch) -> Tensor:
        """Samples of the classes of a batch."""
        noise = torch.randn(len(batch["x"]), self.noise, device=self.device)
        return self.generator(noise, self.labels(batch))  # type: ignore[no-any-return]

    def encoded(self, x: Tensor) -> Tensor:
        """What the networks see of raw values."""
        return self.encode(x)  # type: ignore[no-any-return]

    def real(self, batch: Batch) -> Tensor:
        """Encoded samples."""
        return self.encoded(batch["x"])

    def discriminate(self, sample: Tensor, batch: Batch) -> list[Tensor]:
        """The discriminator's score of each sample."""
        return [self.discriminator(sample, self.labels(batch))]

    def embed(self, x: Tensor) -> Tensor:
        """What the discriminator sees in samples, ``(batch, *shape) -> (batch, width)`` (Radford et al. 2015)."""
        return self.discriminator.trunk(self.encoded(x))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """How real the discriminator finds raw values, ``(batch, *shape) -> (batch, 1)``; of the class that fits."""
        return self.discriminator(self.encoded(x))  # type: ignore[no-any-return]

    def every_layer(self, x: Tensor) -> Any:
        """One sample made, and judged."""
        label = torch.zeros(len(x), dtype=torch.long, device=x.device) if self.classes else None
        return self(x), self.generator(torch.zeros(len(x), self.noise, device=x.device), label)

    def raw_predictions(self, x: Tensor) -> Tensor:
        """How real each sample is found."""
        return self(x)  # type: ignore[no-any-return]

    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """``realism``: the discriminator's score, higher for samples that it takes for real."""
        return pd.DataFrame({"realism": raw[:, 0].float().cpu().numpy()}, index)

    @torch.inference_mode()
    def sample(self, labels: Tensor | None, n: int, seed: int) -> Tensor:
        """Encoded samples, ``(n, *encode.out_shape)``, the same for the same seed.

        Args:
            labels: Class codes, ``(n,)``; None without classes.
            n: Number of samples.
            seed: Of the noise.
        """
        training, _ = self.training, self.eval()
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            noise = torch.randn(n, self.noise).to(self.device)
            parts = torch.arange(n).split(self.rows_at_once)
            generated = [self.sampler(noise[some], labels[some] if labels is not None else None) for some in parts]
        self.train(training)
        return torch.cat(generated)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Keep the samples; they are compared once, at the end of the epoch."""
        self.outputs.update(self.real(batch).flatten(1), batch["y"])

    def log_epoch(self, split: str) -> None:
        """Log energy distance and diversity."""
        real, y = self.outputs.take()
        distance, diversity = self.compare(real.float(), y if self.classes else torch.zeros_like(y, dtype=torch.long))
        self.log_scores(split, distance, diversity=diversity)

    def compare(self, real: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Energy distance and diversity of made samples against real ones, of the same classes.

        The class counts as a further coordinate: within small classes chance hides what the generator has learnt.

        Args:
            real: Encoded samples, ``(samples, width)``.
            codes: Their classes, ``(samples,)``; zeros without classes.
        """
        if len(real) < 2:
            raise InputError("two validation samples are needed to compare with; raise their share in data.fractions")
        chosen = torch.linspace(0, len(real) - 1, min(MOST, len(real)), device=real.device).long()
        real, codes = real[chosen], codes[chosen]
        labels = codes.repeat(MADE)
        generated = self.sample(labels if self.classes else None, len(labels), seed=0).flatten(1).float()
        diversity = spread(generated) / spread(real).clamp(min=1e-12)
        if self.classes:
            real, generated = (self._with_class(*pair) for pair in ((real, codes), (generated, labels)))
        return energy_distance(generated, real), diversity

    def _with_class(self, samples: Tensor, codes: Tensor) -> Tensor:
        """Samples with their class, whose weight grows with the typical distance of two samples."""
        return torch.cat([samples, samples.shape[1] ** 0.5 / 2 * F.one_hot(codes, self.classes)], 1)

    def on_train_end(self) -> None:
        """Tell of a generator that makes the same samples again and again."""
        super().on_train_end()
        found = self.trainer.callback_metrics.get("validation_diversity")
        if found is not None and found < COLLAPSED:
            log.warning(
                "made samples differ from each other %.0f%% as much as real ones (mode collapse); lower lr, try "
                "adversarial_loss wasserstein with gradient_penalty 10, or more training samples",
                100 * found,
            )

    def synthesise(self, n: int, conditions: dict[str, Any] | None = None, seed: int = 0) -> pd.DataFrame:
        """Made-up samples as users know them, with their class.

        Args:
            n: Number of samples.
            conditions: What they are to be, such as ``{"diabetes": "pos"}``; classes that are not given are drawn by
                their share of the training samples.
            seed: Of all draws.

        Returns:
            One row a sample: the columns of a table in their order, or one column of arrays (series, images), and the
            target.

        Raises:
            InputError: No such column, a value never seen in training, or fewer than one sample.
        """
        check_range("n", n, 1)
        wanted = dict(conditions or {})
        labels = self._labels(wanted.pop(self.target["name"], None), n, seed)
        for name in wanted:
            known = [self.target["name"]] if self.classes else []
            raise InputError(f"samples cannot be conditioned on {name!r}; {suggest(name, known)}")
        return self.as_frame(self.sample(labels, n, seed), labels, seed)

    def _labels(self, wanted: Any, n: int, seed: int) -> Tensor | None:
        """Class codes: those of the wanted class, or drawn."""
        if not self.classes:
            if wanted is not None:
                raise InputError(f"this model was not trained on classes of {self.target['name']!r}")
            return None
        classes = self.target["classes"]
        if wanted is None:
            # As many of each class as its share says, the rest by chance; all in random order.
            rng, expected = np.random.default_rng(seed), n * _shares(self.class_shares)
            counts = np.floor(expected).astype(int)
            if rest := n - counts.sum():
                counts += rng.multinomial(rest, (expected - counts) / rest)
            return torch.from_numpy(rng.permutation(np.arange(self.classes).repeat(counts))).to(self.device)
        if str(wanted) not in classes:
            raise InputError(f"{self.target['name']} {wanted!r} was never seen; {suggest(str(wanted), classes)}")
        return torch.full((n,), classes.index(str(wanted)), device=self.device)

    def as_frame(self, encoded: Tensor, labels: Tensor | None, seed: int) -> pd.DataFrame:
        """Encoded samples in the units of the data, with their class; the seed is of what is drawn on the way."""
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

"""Base class of anomaly detectors: trained on normal samples only, with a threshold on an anomaly score."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, check_range, suggest
from ..training.outputs import Outputs
from ..training.tasks import task_of
from .base import Batch, Model

QUANTILE = 0.95  # of the scores of normal validation samples; higher scores are anomalies
MOST = 200  # maximum number of training samples from which the scales of the score are estimated


class AnomalyDetector(Model, abstract=True):
    """A model of normal samples that scores how far other samples deviate from them.

    The encoding, the network and the scales of the score are fitted to the training samples of the normal class. The
    threshold is the 95 % quantile of the scores of its validation samples. Samples of other classes are used for
    evaluation only. Scales and threshold are fitted before a checkpoint is written and at the end of training; they are
    saved with the weights.

    Args:
        normal: Class of the normal samples.
        reconstruction_weight: Weight of the first part of the score, a reconstruction error; the second part has the
            remaining weight. Each part is standardised with its mean and standard deviation over normal training
            samples.
        **shared: Arguments of `Model`.

    Attributes:
        code: Code of the normal class.
        centre: Mean of both parts of the score over normal training samples, ``(2,)``.
        spread: Their standard deviations, ``(2,)``.
        threshold: Score above which a sample is an anomaly; NaN before it is fitted.
        fitted_buffers: Names of the buffers that are fitted before a checkpoint is written.

    Raises:
        InputError: The target has no classes, lacks the normal class, or this class has no training or validation
            samples.
    """

    centre: Tensor
    spread: Tensor
    threshold: Tensor
    fitted_buffers: tuple[str, ...] = ("centre", "spread", "threshold")

    def __init__(self, normal: str = "", reconstruction_weight: float = 1.0, **shared: Any) -> None:
        super().__init__(**shared)
        check_range("reconstruction_weight", reconstruction_weight, 0, 1)
        name, classes = type(self).__name__, self.target["classes"]
        if not task_of(self.target).classified:
            raise InputError(f"{name} needs a target with classes, one of which is normal: give --data.target")
        if normal not in classes:
            hint = suggest(normal, classes)
            raise InputError(f"normal: {normal!r} is not a class of {self.target['name']!r}; {hint}")
        self.code, self.part_weights = classes.index(normal), [reconstruction_weight, 1 - reconstruction_weight]
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("spread", torch.ones(2))
        self.register_buffer("threshold", torch.tensor(torch.nan))
        self.outputs = Outputs()

    @abstractmethod
    def validation_loss(self, x: Tensor) -> Tensor:
        """Losses that are low for normal samples, from raw values: ``(batch, *shape) -> (any number,)``."""

    def fit_parts(self, x: Tensor) -> Tensor:
        """Fit what `raw_predictions` needs to raw normal training samples; returns their parts, ``(batch, 2)``."""
        return self.raw_predictions(x)

    @property
    def task(self) -> str:
        """Anomaly detection."""
        return "anomaly"

    @property
    def headline(self) -> str:
        """Area under the ROC curve of the scores, with anomalous samples as the positive class."""
        return "roc_auc"

    def is_normal(self, y: Tensor) -> Tensor:
        """True where a class code is that of the normal class."""
        return y == self.code

    def lacking(self, split: str) -> InputError:
        """The error for a split without normal samples."""
        name = self.target["classes"][self.code]
        return InputError(
            f"no {split} sample is of the class {name!r}, which is normal; change data.fractions, data.seed or normal"
        )

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`, from normal samples only; without ``y`` all samples count as normal."""
        if y is not None and not (x := x[self.is_normal(y)]).numel():
            raise self.lacking("training")
        super().fit_encoders(x)

    def prepare(self, data: Any) -> None:
        """As in `Model`; also checks, before training, that there are normal validation samples."""
        super().prepare(data)
        if not self.is_normal(data.dataset.y[data.dataset.rows("validation")]).any():
            raise self.lacking("validation")

    def scores(self, parts: Tensor) -> Tensor:
        """The weighted sum of the standardised parts: ``(batch, 2, ...) -> (batch, ...)``."""
        shape = -1, *[1] * (parts.ndim - 2)
        standard = (parts - self.centre.view(shape)) / self.spread.view(shape)
        return (standard * standard.new_tensor(self.part_weights).view(shape)).sum(1)

    @torch.no_grad()
    def fit_score(self, train: Iterable[Batch], validation: Iterable[Batch]) -> None:
        """Fit the scales of the score to normal training samples and the threshold to normal validation samples.

        Args:
            train: Batches with ``x`` and ``y``; at most 200 normal samples are used.
            validation: Batches of validation samples; all normal samples are used.

        Raises:
            InputError: One of them has no normal sample.
        """
        was, _ = self.training, self.eval()
        known, held_out = self._normal_of(train, "training")[:MOST], self._normal_of(validation, "validation")
        parts = self.fit_parts(known)
        self.centre.copy_(parts.mean(0))
        self.spread.copy_(parts.std(0, correction=0).clamp(min=1e-6))
        parts = torch.cat([self.raw_predictions(x) for x in held_out.split(self.rows_at_once)])
        self.threshold.copy_(torch.quantile(self.scores(parts), QUANTILE))
        self.train(was)

    def _normal_of(self, batches: Iterable[Batch], split: str) -> Tensor:
        normal = [batch["x"][self.is_normal(batch["y"])] for batch in batches]
        if not sum(map(len, normal)):
            raise self.lacking(split)
        return torch.cat(normal).to(self.device)

    def fit_buffers(self, data: Any) -> list[str]:
        """Fit scales and threshold to the normal training and validation samples."""
        self.fit_score(data.loader("train"), data.loader("validation"))
        return list(self.fitted_buffers)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Keep the loss of normal samples."""
        if (normal := self.is_normal(batch["y"])).any():
            loss = self.validation_loss(batch["x"][normal])
            self.outputs.update(loss, loss)

    def log_epoch(self, split: str) -> None:
        """Log the mean loss of normal samples."""
        if not self.outputs.output:
            raise self.lacking(split)
        self.log_scores(split, self.outputs.take()[0].mean())

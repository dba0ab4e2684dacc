"""Models that predict a target: losses, metrics and predictions shared by models of classes, numbers and survival."""

from collections.abc import Iterable
from typing import Any, ClassVar

import pandas as pd
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from ...errors import InputError, suggest
from ...spec import HEADLINE, Target, modality_of
from ...training.losses import loss_function
from ...training.metrics import Outputs, headline, probabilities
from ...training.survival import KNOTS, baseline_hazard, survival
from ..base import Batch, Frame, Model


class Predicting(LightningModule):
    """Raw outputs of a head as a loss and as an answer.

    A number is learnt in standard units, (y - mean) / standard deviation of the training rows, so that learning rates
    and losses mean the same whatever its unit; `answer` and `table` give it back in its own.

    Of survival the raw output is the logarithm of the hazard up to a constant. `answer` gives the risk, the log hazard
    ratio against the mean training sample, whose hazard `fit_hazard` learns from the training rows before a checkpoint
    is written and when training ends; it belongs to the weights.
    """

    target: Target
    head: nn.Module
    y_mean: Tensor
    y_scale: Tensor
    event_times: Tensor
    log_hazard: Tensor
    horizons: Tensor
    outputs: Outputs
    column: str = "y"  # of a batch
    _hazard_step: int = -1

    def set_target(self, loss: str) -> None:
        """Choose the loss of each row and make room for the units of a number; see `zoo.training.losses`."""
        self.loss_of_rows = loss_function(loss, self.target["kind"])
        self.register_buffer("y_mean", torch.tensor(0.0))
        self.register_buffer("y_scale", torch.tensor(1.0))
        if self.target["kind"] == "survival":
            self.register_buffer("event_times", torch.full((KNOTS,), torch.inf))
            self.register_buffer("log_hazard", torch.full((KNOTS,), torch.nan))
            self.register_buffer("horizons", torch.full((3,), torch.nan))

    def fit_target(self, y: Tensor) -> None:
        """Learn mean and standard deviation of a number from training rows, ``shape=(rows,)``; NaN is left out."""
        if self.target["kind"] == "regression":
            y = y[y.isfinite()]
            self.y_mean.copy_(y.mean())
            self.y_scale.copy_(y.std(correction=0) if len(y) > 1 and y.std() > 0 else torch.tensor(1.0))

    def standardised(self, y: Tensor) -> Tensor:
        """Numbers in standard units; class codes, times and events as they are."""
        return (y - self.y_mean) / self.y_scale if self.target["kind"] == "regression" else y

    def answer(self, output: Tensor) -> Tensor:
        """Raw outputs as probabilities ``(batch, classes)``, or as numbers or risks ``(batch,)``."""
        if self.target["kind"] in ("regression", "survival"):
            return output.squeeze(1) * self.y_scale + self.y_mean
        return probabilities(output, self.target)

    def table(self, summary: Tensor, index: pd.Index) -> pd.DataFrame:
        """Raw outputs as users read them: one probability column a class, and the prediction."""
        answer = self.answer(summary.to(self.device)).float()
        if self.target["kind"] == "survival":
            return self._survival_table(answer, index)
        values = answer.cpu().numpy()
        if self.target["kind"] == "regression":
            return pd.DataFrame({"prediction": values}, index=index)
        classes = self.target["classes"]
        frame = pd.DataFrame(values, index=index, columns=[f"probability_{name}" for name in classes])
        frame["prediction"] = [classes[code] for code in values.argmax(1)]
        return frame

    def _survival_table(self, risk: Tensor, index: pd.Index) -> pd.DataFrame:
        """``risk``, and the probability of no event until the quartiles of the training event times."""
        frame = pd.DataFrame({"risk": risk.cpu().numpy()}, index=index)
        if not self.log_hazard.isnan().any():
            probability = self.survival(risk, self.horizons).cpu().numpy()
            for number, time in enumerate(self.horizons.tolist()):
                unit = f"_{self.target['unit']}" if self.target["unit"] else ""
                frame[f"survival_{time:g}{unit}"] = probability[:, number]
        return frame

    def survival(self, risk: Tensor, times: Tensor) -> Tensor:
        """Probability of no event until each time for these risks: ``(batch,), (times,) -> (batch, times)``."""
        return survival(risk, times.to(risk), self.event_times, self.log_hazard)

    @torch.inference_mode()
    def predict_survival(self, frame: Frame, times: Iterable[float]) -> pd.DataFrame:
        """Survival curves of samples, by Cox's model with the baseline hazard of the training rows.

        Args:
            frame: As for `predict`.
            times: In the unit of the training data. The curve stays level after the last training event.

        Returns:
            One row a sample, one column a time: the probability that the event has not happened by then.

        Raises:
            InputError: No model of survival, or one that was not trained with a `zoo.data` module.
        """
        if "log_hazard" not in self._buffers:
            raise InputError(f"{type(self).__name__} predicts no survival; give --data.event when it is trained")
        if self.log_hazard.isnan().any():
            raise InputError("the baseline hazard is not known: call model.fit_hazard(data.loader('train'))")
        wanted = list(times)
        risk = torch.from_numpy(self.predict(frame)["risk"].to_numpy())  # type: ignore[operator]
        probability = self.survival(risk.to(self.device), torch.tensor(wanted, device=self.device))
        return pd.DataFrame(probability.cpu().numpy(), self.raw(frame)[1], wanted)  # type: ignore[operator]

    def of_survival(self) -> dict[str, "Predicting"]:
        """What has survival as its target, by what its weights are called before their own names."""
        return {"": self} if "log_hazard" in self._buffers else {}

    @torch.no_grad()
    def fit_hazard(self, batches: Iterable[Batch]) -> None:
        """Learn the hazard of the mean training sample (Breslow's estimate), in evaluation mode.

        Args:
            batches: All training samples, with ``x`` and ``y``.
        """
        was, _ = self.training, self.eval()
        parts = self.of_survival().values()
        found: list[list[tuple[Tensor, Tensor]]] = [[] for _ in parts]
        for batch in batches:
            z = self.embed(batch["x"].to(self.device))  # type: ignore[operator]
            for part, rows in zip(parts, found, strict=True):
                rows.append((part.head(z).cpu(), batch[part.column]))
        self.train(was)
        for part, rows in zip(parts, found, strict=True):
            part.hazard_of(*(torch.cat(values) for values in zip(*rows, strict=True)))

    def hazard_of(self, risk: Tensor, y: Tensor) -> None:
        """The same from raw outputs ``(samples, 1)``, times and events ``(samples, 2)``."""
        known = y.isfinite().all(1)
        risk, y = risk[known, 0].float(), y[known]
        if not (happened := y[:, 1] > 0).any():
            raise InputError(f"no sample has the event {self.target['event']!r}; a hazard needs one")
        event_times, log_hazard = baseline_hazard(risk - risk.mean(), y)
        self.y_mean.copy_(-risk.mean())
        self.event_times.copy_(event_times)
        self.log_hazard.copy_(log_hazard)
        quartiles = torch.quantile(y[happened, 0], torch.tensor([0.25, 0.5, 0.75]))
        self.horizons.copy_(torch.tensor([float(f"{time:.3g}") for time in quartiles.tolist()]))

    def _fit_hazard_of_training(self) -> None:
        data, step = getattr(self.trainer, "datamodule", None), self.trainer.global_step
        if data is not None and step != self._hazard_step:  # best and last checkpoint may be of the same weights
            self.fit_hazard(data.loader("train"))
            self._hazard_step = step

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let the hazard belong to the weights that are saved."""
        super().on_save_checkpoint(checkpoint)
        if parts := self.of_survival():
            self._fit_hazard_of_training()
            for prefix, part in parts.items():
                for name in ("y_mean", "event_times", "log_hazard", "horizons"):
                    checkpoint["state_dict"][prefix + name] = getattr(part, name)

    def on_train_end(self) -> None:
        """Let the hazard belong to the last weights."""
        if self.of_survival():
            self._fit_hazard_of_training()
            self._hazard_step = -1


class Supervised(Predicting, Model, abstract=True):
    """A model of a class, a number, or the risk of an event (survival): ``head(embed(x))``.

    A number is learnt in standard units, (y - mean) / standard deviation of the training rows, so that learning rates
    and losses mean the same whatever its unit; `answer` and `predict` give it back in its own. Of survival the output
    is a log hazard ratio, and the loss Cox's partial likelihood: samples of a batch are compared with each other, so
    that batches should hold some events.

    Args:
        loss: ``"auto"`` (the usual one), or for two classes ``bce`` or ``focal``, for more ``cce`` or ``focal``, for a
            number ``mse``, ``mae`` or ``huber``, for survival ``efron`` or ``breslow`` (how equal times are handled).
        **shared: Arguments of `Model`.
    """

    head: nn.Module
    several_targets: ClassVar[bool] = False

    def __init__(self, loss: str = "auto", **shared: Any) -> None:
        super().__init__(**shared)
        if self.target["kind"] == "none":
            columns = modality_of(self.spec).get("features", [])
            raise InputError(
                f"{type(self).__name__}: which column is to be predicted? Give --data.target; {suggest('', columns)}"
            )
        if self.spec.get("also") and not self.several_targets:
            raise InputError(f"{type(self).__name__} predicts one target; leave out data.also, or use MultiModal")
        if self.target.get("unlabelled") and not self.several_targets:
            raise InputError(f"{type(self).__name__} needs a target for each sample; leave out data.unlabelled")
        self.set_target(loss)
        self.outputs = Outputs()

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`; a number also gives its mean and standard deviation."""
        super().fit_encoders(x, y)
        if y is not None:
            self.fit_target(y)

    @property
    def task(self) -> str:
        """The kind of target."""
        return self.target["kind"]

    @property
    def network(self) -> nn.Sequential:
        """From encoded values to raw outputs, as a plain module: ``model.network(model.encode(x))``.

        For DNA it takes one-hot ``(batch, 4, length)``, the layout of captum and tangermeme.
        """
        return nn.Sequential(self.body, self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Raw values to raw outputs: ``(batch, *shape) -> (batch, 1 or classes)``."""
        return self.head(self.embed(x))  # type: ignore[no-any-return]

    def loss(self, batch: Batch) -> Tensor:
        """Mean loss of the rows, weighted where the batch carries ``weight``."""
        rows = self.loss_of_rows(self(batch["x"]), self.standardised(batch["y"]))
        return (rows * batch["weight"]).mean() if "weight" in batch else rows.mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the outputs; metrics are computed once, on the whole epoch."""
        self.outputs.update(self(batch["x"]), batch["y"])

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """As in validation."""
        self.validation_step(batch, batch_idx)

    def summarise(self, x: Tensor) -> Tensor:
        """Raw outputs."""
        return self(x)  # type: ignore[no-any-return]

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the headline metric of the validation rows."""
        self._log_epoch("validation")

    def on_test_epoch_end(self) -> None:
        """Log the loss and the headline metric of the test rows."""
        self._log_epoch("test")

    def _log_epoch(self, split: str) -> None:
        output, y = self.outputs.compute()
        self.outputs.reset()
        kind = self.target["kind"]
        loss = self.loss_of_rows(output, self.standardised(y)).mean()
        if split == "validation":
            self.stop_if_not_finite(split, loss)
        self.log(f"{split}_loss", loss, sync_dist=True)
        self.log(f"{split}_{HEADLINE[kind]}", headline(self.answer(output), y, self.target), sync_dist=True)

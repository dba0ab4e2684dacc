"""What every model shares: its spec, its encoding, its latent space, its optimiser and its place in the registry."""

import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ..encode import Encoder, encoder, sample_names, to_tensor
from ..errors import InputError, check_choice, check_range, suggest
from ..registry import JOINT, ONE, check_kind
from ..spec import Spec, modality_of
from ..training.optimisers import OptimizerName, ScheduleName, optimizer, schedule
from ..training.tasks import TASKS, TargetHead
from ..training.tasks.survival import Survival

# Lightning makes torch look for GPUs by loading a driver library, at every step of Adam, which doubles small steps.
if not torch.cuda.is_available():
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)

REGISTRY: dict[str, type["Model"]] = {}
Batch = dict[str, Tensor]
Frame: TypeAlias = pd.DataFrame | AnnData | Sequence[Any] | np.ndarray | dict[str, Any]  # samples as users have them
MOST_ROWS, MOST_VALUES = 4096, 1 << 21  # predicted at a time


class Model(LightningModule):
    """Base of all models: raw values -> ``encode`` -> ``embed`` -> ``head`` or ``decode``.

    Those that predict are `Supervised`, those that learn to describe their samples `Unsupervised`. A family says what
    it keeps of each validation or test batch (`collect`) and what it logs at the end of an epoch (`log_epoch`).

    Args:
        spec: What the data look like, given by ``data.spec``.
        encoding: Options of the first layer, such as ``{missing_indicator: true}`` (see `zoo.encode`).
        optimizer: SGD, Adagrad, Adadelta, RMSprop, Adam or AdamW, in lower case.
        lr: Learning rate; the highest one where a schedule changes it.
        momentum: Of SGD and RMSprop.
        weight_decay: As the optimiser defines it: decoupled from the loss in AdamW, an L2 term in the others.
        l1: Penalty ``l1 * sum(|w|)`` on the weights (not the biases), added to the loss.
        l2: The same with ``w^2``.
        schedule: How the learning rate changes: constant, step, cosine, reduce_on_plateau or one_cycle.
        schedule_epochs: Epochs between two steps, or without improvement before a plateau is called.
        schedule_factor: What a step or a plateau multiplies the learning rate by.

    Attributes:
        modalities: Kinds of modality that it takes; by default all, several at once among them.
        encode: First layer, from raw values to numbers that a network can learn from.
        body: From encoded values to the latent space.
        target: What is to be predicted.
        card: Provenance, licence and metrics of weights loaded by `zoo.load`; empty otherwise.
    """

    modalities: ClassVar[tuple[str, ...]] = (ONE, JOINT)
    encode: Encoder
    body: nn.Module
    target_kinds: ClassVar[tuple[str, ...]] = ()  # that a model can be trained on; empty for any

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not abstract:
            if cls.__name__ in REGISTRY:
                raise TypeError(f"two models are called {cls.__name__}")
            REGISTRY[cls.__name__] = cls

    def __init__(
        self,
        spec: Spec,
        encoding: dict[str, Any] | None = None,
        optimizer: OptimizerName = "adamw",
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.01,
        l1: float = 0.0,
        l2: float = 0.0,
        schedule: ScheduleName = "constant",
        schedule_epochs: int = 10,
        schedule_factor: float = 0.1,
    ) -> None:
        super().__init__()
        check_kind(type(self).__name__, modality_of(spec)["kind"], self.modalities)
        self.save_hyperparameters(logger=False)  # config.yaml holds them
        check_choice("optimizer", optimizer, OptimizerName.__args__)  # type: ignore[attr-defined]
        check_choice("schedule", schedule, ScheduleName.__args__)  # type: ignore[attr-defined]
        least = {"momentum": (momentum, 0), "weight_decay": (weight_decay, 0), "l1": (l1, 0), "l2": (l2, 0)}
        for name, (value, low) in {**least, "lr": (lr, 1e-12), "schedule_epochs": (schedule_epochs, 1)}.items():
            check_range(name, value, low)
        check_range("schedule_factor", schedule_factor, 0, 1)
        self.spec, self.target, self.l1, self.l2 = spec, spec["target"], l1, l2
        if self.target_kinds and (kind := self.target["kind"]) not in self.target_kinds:
            wanted, given = TASKS[self.target_kinds[0]], f"target {self.target['name']!r} is {TASKS[kind].noun}"
            raise InputError(
                f"{type(self).__name__} predicts {wanted.noun}; {given if kind != 'none' else 'there is no target'}: "
                f"{wanted.how_given}"
            )
        self.encode = encoder(modality_of(spec), encoding)
        self.card: dict[str, Any] = {}
        self._loss_sum, self._steps = torch.tensor(0.0), 0
        self._finished: list[str] = []
        self._finished_step = -1

    def __setattr__(self, name: str, value: Any) -> None:
        """As every module; what Lightning notes forty times a step takes the short way, a tenth of a small step."""
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Loss of one batch, a scalar, without the penalties."""

    @property
    @abstractmethod
    def task(self) -> str:
        """What the model is for: the kind of its target, or ``"representation"``."""

    @property
    @abstractmethod
    def headline(self) -> str:
        """The one metric of test samples that lists and cards show."""

    @abstractmethod
    def raw_predictions(self, x: Tensor) -> Tensor:
        """What `prediction_frame` is made of, from raw values: ``(batch, *shape) -> (batch, values)``."""

    @abstractmethod
    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """Raw predictions as users read them, one row a sample."""

    @abstractmethod
    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Keep what `log_epoch` needs of a validation or test batch."""

    @abstractmethod
    def log_epoch(self, split: str) -> None:
        """Log the loss and the metrics of the batches that were collected, by `log_scores`."""

    @property
    def target_heads(self) -> dict[str, TargetHead]:
        """What the model predicts: the first target as "", extra ones by name; empty if it predicts none."""
        return {}

    def finish(self, data: Any) -> list[str]:
        """Learn from the training samples what only final weights tell, such as a baseline hazard.

        It is called before a checkpoint is written and when training ends.

        Args:
            data: The data module of the training.

        Returns:
            Names of the buffers that were changed.
        """
        unfinished = any(head.task.needs_training_outputs for head in self.target_heads.values())
        return self.finish_heads(data.loader("train")) if unfinished else []

    @torch.no_grad()
    def finish_heads(self, batches: Iterable[Batch]) -> list[str]:
        """Let the heads learn from their outputs for all training samples, in evaluation mode.

        Of survival it is the hazard of the mean training sample (Breslow's estimate).

        Args:
            batches: All training samples, with ``x`` and the targets.

        Returns:
            Names of the buffers that were changed.
        """
        was, _ = self.training, self.eval()
        heads = {name: head for name, head in self.target_heads.items() if head.task.needs_training_outputs}
        found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in heads}
        for batch in batches:
            z = self.embed(batch["x"].to(self.device))
            for name, head in heads.items():
                found[name].append((head.network(z).cpu(), batch[head.column]))
        self.train(was)
        changed = []
        for name, head in heads.items():
            outputs, y = (torch.cat(values) for values in zip(*found[name], strict=True))
            changed += [head.prefix + buffer for buffer in head.task.finish(head, outputs, y)]
        return changed

    def embed(self, x: Tensor) -> Tensor:
        """Latent representation of raw values: ``(batch, *shape) -> (batch, latent)``."""
        return self.body(self.encode(x))  # type: ignore[no-any-return]

    def every_layer(self, x: Tensor) -> Any:
        """A pass of raw values through every layer, for their table."""
        return self(x)

    @property
    def rows_at_once(self) -> int:
        """Samples that are predicted at a time: fewer where they are large, for every layer keeps its maps of them."""
        return max(1, min(MOST_ROWS, MOST_VALUES // self.encode.out_features))

    @torch.inference_mode()
    def predict(self, frame: Frame) -> pd.DataFrame:
        """What the model says of the samples of a raw table, or of raw sequences, series or images.

        Args:
            frame: One sample a row, columns found by name in any order, others ignored. A model of sequences, series or
                images also takes a list or an array of them, one of expression an AnnData, one of several modalities a
                dict of one or more of these by name.

        Returns:
            One row a sample, named by the id column of the training table if there is one, else by the index:
            ``probability_CLASS`` for each class, and ``prediction`` (a number comes in ``target["unit"]``). Of masks,
            ``mask``, the class code of each pixel, and ``share_CLASS``, the share of the pixels of each class. Of a
            model without a target what it says of each sample, such as ``reconstruction_error``, ``latent_0``, ...

        Raises:
            InputError: A feature that the model needs is absent, or a value cannot be used.
        """
        x, index = self.raw(frame)
        training, _ = self.training, self.eval()
        parts = torch.arange(len(x)).split(self.rows_at_once)
        tables = [
            self.prediction_frame(self.raw_predictions(x[rows].to(self.device)), index[rows.numpy()]) for rows in parts
        ]
        self.train(training)
        return pd.concat(tables)

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
        head = self.target_heads.get("")
        if head is None or not isinstance(head.task, Survival):
            raise InputError(f"{type(self).__name__} predicts no survival; give --data.event when it is trained")
        if not head.task.is_finished(head):
            raise InputError("the baseline hazard is not known: call model.finish_heads(data.loader('train'))")
        wanted = list(times)
        risk = torch.from_numpy(self.predict(frame)["risk"].to_numpy())
        curves = head.task.curve(head, risk.to(self.device), torch.tensor(wanted, device=self.device))
        return pd.DataFrame(curves.cpu().numpy(), self.raw(frame)[1], wanted)

    def raw(self, frame: Frame) -> tuple[Any, pd.Index]:
        """Raw values of a user's samples, a tensor or what reads them a batch at a time, and their names."""
        modality = modality_of(self.spec)
        if not isinstance(frame, pd.DataFrame | AnnData | dict):
            frame = pd.DataFrame({modality["features"][0]: list(frame)}, index=pd.RangeIndex(1, len(frame) + 1))
        if isinstance(frame, dict):
            from ..encode.joint import by_name

            frame = by_name(frame, self.spec["id"])
        return to_tensor(frame, modality), sample_names(frame, self.spec["id"])

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Raw predictions of a batch."""
        return self.raw_predictions(batch["x"])

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """Let the encoding learn from raw training rows ``(rows, *shape)`` and targets ``(rows,)``, as in `prepare`."""
        self.encode.fit(x)

    def prepare(self, data: Any) -> None:
        """Learn what training rows say before training starts, such as the statistics of the encoding.

        Args:
            data: A data module of the zoo.
        """
        self.fit_encoders(data.training_inputs(), data.training_targets())

    def setup(self, stage: str) -> None:
        """Before training: `prepare`, unless it was done or the encoding came with trained weights."""
        if stage == "fit" and not self.encode.fitted:
            if (data := getattr(self.trainer, "datamodule", None)) is None:
                raise InputError("the encoding is not fitted: call model.fit_encoders(x), or train with zoo.data")
            self.prepare(data)

    def penalty(self) -> Tensor | float:
        """L1 and L2 penalties on all weight matrices."""
        if not (self.l1 or self.l2):
            return 0.0
        weights = [w for w in self.parameters() if w.ndim > 1 and w.requires_grad]
        return sum(self.l1 * w.abs().sum() + self.l2 * w.square().sum() for w in weights)

    def seed_epoch(self, batch_idx: int) -> None:
        """At its first batch; dropout and noise then depend on seed and epoch alone, and a resumed run repeats them."""
        # Lightning skips on_train_epoch_start after a resume.
        if batch_idx == 0 and (seed := os.environ.get("PL_GLOBAL_SEED")):
            torch.manual_seed(int(seed) * 1_000_003 + self.current_epoch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss with penalties; it stays on the device until the epoch ends, for logging a step costs as much."""
        self.seed_epoch(batch_idx)
        loss = self.loss(batch) + self.penalty()
        self._loss_sum = loss.detach() + (self._loss_sum if batch_idx else 0)
        self._steps = batch_idx + 1
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the mean loss of the epoch, and let a plateau schedule see the validation loss."""
        self.stop_if_not_finite("training", self._loss_sum)
        self.log("train_loss", self._loss_sum / self._steps, sync_dist=True)
        if self.hparams["schedule"] == "reduce_on_plateau":
            self.lr_schedulers().step(self.trainer.callback_metrics["validation_loss"])  # type: ignore[union-attr, arg-type]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep what the epoch is judged by."""
        self.collect(batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """As in validation."""
        self.collect(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Log loss and metrics of the validation rows."""
        self.log_epoch("validation")

    def on_test_epoch_end(self) -> None:
        """Log loss and metrics of the test rows."""
        self.log_epoch("test")

    def log_scores(self, split: str, loss: Tensor, **metrics: Tensor | float) -> None:
        """Log the loss of a split and its metrics; a validation loss that is not finite stops the training."""
        if split == "validation":
            self.stop_if_not_finite(split, loss)
        for name, value in {"loss": loss, **metrics}.items():
            self.log(f"{split}_{name}", value, sync_dist=True)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step a schedule, but not one for plateaus: Lightning would, after the checkpoint that must contain it."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def stop_if_not_finite(self, name: str, loss: Tensor) -> None:
        """Raise an `InputError`; called before a checkpoint of the epoch is written, so the last good one stays."""
        if not loss.isfinite():
            raise InputError(
                f"the {name} loss is not finite in epoch {self.current_epoch}: lower lr ({self.hparams['lr']:g}), "
                "set trainer.gradient_clip_val, or look for extreme values; the last good checkpoint is kept"
            )

    def parameter_groups(self) -> Iterable[nn.Parameter] | list[dict[str, Any]]:
        """What the optimiser changes, at one learning rate or in groups with one each; all weights by default."""
        return self.parameters()

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule by name."""
        return self.optimiser_of(self.parameter_groups(), self.hparams["lr"])

    def optimiser_of(self, parameters: Any, lr: float, beta1: float = 0.9) -> dict[str, Any]:
        """Optimiser of these parameters, and its schedule if there is one, as Lightning takes them."""
        h = self.hparams
        # Three times cheaper on a CPU. In mixed precision Lightning refuses to clip the gradients of a fused optimiser.
        fused = True if self.device.type == "cpu" and self.trainer.precision == "32-true" else None
        optimiser = optimizer(h["optimizer"], parameters, lr, h["momentum"], h["weight_decay"], fused, beta1)
        steps = self.trainer.estimated_stepping_batches if h["schedule"] == "one_cycle" else 0
        end = self.trainer.max_epochs or -1, steps
        plan = schedule(h["schedule"], optimiser, h["schedule_epochs"], h["schedule_factor"], *end)
        return {"optimizer": optimiser, "lr_scheduler": plan} if plan else {"optimizer": optimiser}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note the class by name, for nothing that a checkpoint names is imported, and what `finish` learns."""
        checkpoint["model"] = type(self).__name__
        changed = self._finish()
        state = self.state_dict() if changed else {}
        checkpoint["state_dict"].update({name: state[name] for name in changed})

    def on_train_end(self) -> None:
        """Let what `finish` learns belong to the last weights."""
        self._finish()
        self._finished_step = -1

    def _finish(self) -> list[str]:
        data, step = getattr(self.trainer, "datamodule", None), self.trainer.global_step
        if data is not None and step != self._finished_step:  # best and last checkpoint may be of the same weights
            self._finished_step, self._finished = step, self.finish(data)
        return self._finished

    @property
    def init_args(self) -> dict[str, Any]:
        """Arguments that build this model again, JSON values only."""
        return dict(self.hparams)


class Supervised(Model, abstract=True):
    """A model of one target: ``head(embed(x))``.

    What its raw outputs mean, its losses and its metrics are those of the target's task (`zoo.training.tasks`).

    Args:
        loss: ``"auto"`` (the usual one), or for two classes ``bce`` or ``focal``, for more ``cce`` or ``focal``, for a
            continuous target ``mse``, ``mae`` or ``huber``, for survival ``efron`` or ``breslow`` (how equal times are
            handled; samples of a batch are compared with each other, so that batches should hold some events).
        **shared: Arguments of `Model`.

    Attributes:
        head: From the latent space to raw outputs.
        target_head: Loss and predictions of these.

    Raises:
        InputError: No target, or more than one.
    """

    head: nn.Module
    several_targets: ClassVar[bool] = False
    head_class: ClassVar[type[TargetHead]] = TargetHead

    def __init__(self, loss: str = "auto", **shared: Any) -> None:
        super().__init__(**shared)
        name = type(self).__name__
        if not self.target["name"]:
            columns = modality_of(self.spec).get("features", [])
            raise InputError(f"{name}: which column is to be predicted? Give --data.target; {suggest('', columns)}")
        if TASKS[self.target["kind"]].per_pixel and not self.target_kinds:
            raise InputError(f"{name} predicts one value an image; masks need the model Segmenter")
        if self.spec.get("also") and not self.several_targets:
            raise InputError(f"{name} predicts one target; leave out data.also, or use MultiModal")
        if self.target.get("unlabelled") and not self.several_targets:
            raise InputError(f"{name} needs a target for each sample; leave out data.unlabelled")
        self.target_head = self.head_class(self, self.target, loss)

    @property
    def target_heads(self) -> dict[str, TargetHead]:
        """The target."""
        return {"": self.target_head}

    @property
    def task(self) -> str:
        """The kind of target."""
        return self.target["kind"]

    @property
    def headline(self) -> str:
        """That of the task."""
        return self.target_head.task.headline

    @property
    def network(self) -> nn.Sequential:
        """From encoded values to raw outputs, as a plain module: ``model.network(model.encode(x))``.

        For DNA it takes one-hot ``(batch, 4, length)``, the layout of captum and tangermeme.
        """
        return nn.Sequential(self.body, self.head)

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`; the head learns from the targets what its task needs, such as mean and standard deviation."""
        super().fit_encoders(x, y)
        if y is not None:
            self.target_head.fit(y)

    def forward(self, x: Tensor) -> Tensor:
        """Raw values to raw outputs: ``(batch, *shape) -> (batch, 1 or classes)``."""
        return self.head(self.embed(x))  # type: ignore[no-any-return]

    def loss(self, batch: Batch) -> Tensor:
        """Mean loss of the rows, weighted where the batch carries ``weight``."""
        rows = self.target_head.loss(self(batch["x"]), batch["y"])
        return (rows * batch["weight"]).mean() if "weight" in batch else rows.mean()

    def answer(self, output: Tensor) -> Tensor:
        """Raw outputs as probabilities ``(batch, classes)``, or as values or risks ``(batch,)``."""
        return self.target_head.answer(output)

    def raw_predictions(self, x: Tensor) -> Tensor:
        """Raw outputs."""
        return self(x)  # type: ignore[no-any-return]

    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """What raw outputs mean, by the task of the target."""
        return self.target_head.prediction_frame(raw, index)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Keep the outputs; metrics are computed once, on the whole epoch."""
        self.target_head.outputs.update(self(batch["x"]), batch["y"])

    def log_epoch(self, split: str) -> None:
        """Log the loss and the headline metric."""
        output, y = self.target_head.outputs.take()
        loss = self.target_head.loss(output, y).mean()
        self.log_scores(split, loss, **{self.headline: self.target_head.followed(output, y)})

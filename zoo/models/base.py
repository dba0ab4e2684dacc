"""Base classes of all models: data specification, encoding, latent space, optimiser, training steps and registry."""

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
from ..tables.contract import unchecked
from ..training.optimisers import OptimizerName, ScheduleName, optimizer, schedule
from ..training.tasks import TASKS, TargetHead
from ..training.tasks.survival import Survival

# With this variable of Lightning, torch loads a driver library at every step of Adam to look for GPUs, which doubles
# the time of small steps.
if not torch.cuda.is_available():
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)

REGISTRY: dict[str, type["Model"]] = {}
Batch = dict[str, Tensor]
RawSamples: TypeAlias = pd.DataFrame | AnnData | Sequence[Any] | np.ndarray | dict[str, Any]  # as users pass them
MOST_ROWS, MOST_VALUES = 4096, 1 << 21  # limits of one batch of predictions


class Model(LightningModule):
    """Base of all models: raw values -> ``encode`` -> ``embed`` -> ``head`` or ``decode``.

    Models that predict a target derive from `Supervised`, autoencoders from `Unsupervised`. A subclass defines what is
    stored of each validation or test batch (`collect`) and what is logged at the end of an epoch (`log_epoch`).

    Args:
        spec: Specification of the data, given by ``data.spec``.
        encoding: Options of the first layer, such as ``{missing_indicator: true}`` (see `zoo.encode`).
        optimizer: SGD, Adagrad, Adadelta, RMSprop, Adam or AdamW, in lower case.
        lr: Learning rate; the maximum where a schedule changes it.
        momentum: Momentum of SGD and RMSprop.
        weight_decay: As the optimiser defines it: decoupled from the loss in AdamW, an L2 term in the others.
        l1: Penalty ``l1 * sum(|w|)`` on the weights (not the biases), added to the loss.
        l2: The same with ``w^2``.
        schedule: How the learning rate changes: constant, step, cosine, reduce_on_plateau or one_cycle.
        schedule_epochs: Epochs between two steps, or without improvement before the learning rate is reduced.
        schedule_factor: Factor by which the learning rate is multiplied at a step or plateau.

    Attributes:
        modalities: Kinds of modality that the model takes; by default all, also several at once.
        encode: First layer, which encodes raw values as inputs of the network.
        body: From encoded values to the latent space.
        target: Description of the target.
        target_kinds: Kinds of target that the model can be trained on; empty for any.
        card: Provenance, licence and metrics of weights loaded by `zoo.load`; empty otherwise.
    """

    modalities: ClassVar[tuple[str, ...]] = (ONE, JOINT)
    encode: Encoder
    body: nn.Module
    target_kinds: ClassVar[tuple[str, ...]] = ()

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
            needed, actual = TASKS[self.target_kinds[0]], f"target {self.target['name']!r} is {TASKS[kind].noun}"
            raise InputError(
                f"{type(self).__name__} predicts {needed.noun}; {actual if kind != 'none' else 'there is no target'}: "
                f"{needed.how_given}"
            )
        self.encode = encoder(modality_of(spec), encoding)
        self.card: dict[str, Any] = {}
        self._loss_sum, self._steps = torch.tensor(0.0), 0
        self._fitted_buffers: list[str] = []
        self._fitted_step = -1

    def __setattr__(self, name: str, value: Any) -> None:
        """As in `torch.nn.Module`, with a shortcut for an attribute that Lightning sets forty times a step.

        The shortcut saves a tenth of the time of a small step.
        """
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
        """The task of the model: the kind of its target, or a name such as ``"representation"``."""

    @property
    @abstractmethod
    def headline(self) -> str:
        """Name of the test metric that listings and model cards show."""

    @abstractmethod
    def raw_predictions(self, x: Tensor) -> Tensor:
        """Raw values to the tensor that `prediction_frame` takes: ``(batch, *shape) -> (batch, values)``."""

    @abstractmethod
    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """Raw predictions as a table with named columns, one row per sample."""

    @abstractmethod
    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Store what `log_epoch` needs of a validation or test batch."""

    @abstractmethod
    def log_epoch(self, split: str) -> None:
        """Log the loss and the metrics of the collected batches with `log_scores`."""

    @property
    def target_heads(self) -> dict[str, TargetHead]:
        """Heads by target: the first target under the name "", extra targets by name; empty without targets."""
        return {}

    def fit_buffers(self, data: Any) -> list[str]:
        """Fit the buffers that depend on the current weights to the training samples, such as a baseline hazard.

        Called before a checkpoint is written and at the end of training.

        Args:
            data: The data module of the training.

        Returns:
            Names of the changed buffers.
        """
        needed = any(head.task.needs_training_outputs for head in self.target_heads.values())
        return self.fit_head_buffers(data.loader("train")) if needed else []

    @torch.no_grad()
    def fit_head_buffers(self, batches: Iterable[Batch]) -> list[str]:
        """Fit the buffers of the heads to their outputs for all training samples, in evaluation mode.

        For survival these hold the baseline hazard of the mean training sample (Breslow's estimate).

        Args:
            batches: All training samples, with ``x`` and the targets.

        Returns:
            Names of the changed buffers.
        """
        was, _ = self.training, self.eval()
        heads = {name: head for name, head in self.target_heads.items() if head.task.needs_training_outputs}
        outputs_and_targets: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in heads}
        for batch in batches:
            z = self.embed(batch["x"].to(self.device))
            for name, head in heads.items():
                outputs_and_targets[name].append((head.network(z).cpu(), batch[head.column]))
        self.train(was)
        changed = []
        for name, head in heads.items():
            outputs, y = (torch.cat(values) for values in zip(*outputs_and_targets[name], strict=True))
            changed += [head.prefix + buffer for buffer in head.task.fit_buffers(head, outputs, y)]
        return changed

    def embed(self, x: Tensor) -> Tensor:
        """Latent representation of raw values: ``(batch, *shape) -> (batch, latent)``."""
        return self.body(self.encode(x))  # type: ignore[no-any-return]

    def every_layer(self, x: Tensor) -> Any:
        """A forward pass of raw values through all layers, for the table of layers."""
        return self(x)

    @property
    def rows_at_once(self) -> int:
        """Samples in one batch of predictions; fewer if they are large, to limit the memory of activations."""
        return max(1, min(MOST_ROWS, MOST_VALUES // self.encode.out_features))

    @torch.inference_mode()
    def predict(self, frame: RawSamples, force: bool = False) -> pd.DataFrame:
        """Predictions for the samples of a raw table, or for raw sequences, series or images.

        Args:
            frame: One sample per row; columns are matched by name in any order, additional columns are ignored. A model
                of sequences, series or images also takes a list or an array of them, a model of expression an AnnData,
                and a model of several modalities a dict with one or more of these by name.
            force: Predict even if all values of a column lie far outside those of the training data, or are levels
                never seen.

        Returns:
            One row per sample, named by the id column of the training table if there is one, else by the index.
            Classes: ``probability_CLASS`` for each class, and ``prediction``. Continuous targets: ``prediction``, in
            ``target["unit"]``. Masks: ``mask``, the class code of each pixel, and ``share_CLASS``, the share of the
            pixels of each class. Models without a target: their outputs, such as ``reconstruction_error``,
            ``latent_0``, ...

        Raises:
            InputError: A feature of the model is missing, or a value is invalid.
        """
        return self.predict_raw(*self.raw(frame, force))

    @torch.inference_mode()
    def predict_raw(self, x: Any, index: pd.Index) -> pd.DataFrame:
        """Predictions for raw values as from `raw`; see `predict`."""
        training, _ = self.training, self.eval()
        parts = torch.arange(len(x)).split(self.rows_at_once)
        tables = [
            self.prediction_frame(self.raw_predictions(x[rows].to(self.device)), index[rows.numpy()]) for rows in parts
        ]
        self.train(training)
        return pd.concat(tables)

    @torch.inference_mode()
    def predict_survival(self, frame: RawSamples, times: Iterable[float]) -> pd.DataFrame:
        """Survival curves of samples, from Cox's model with the baseline hazard of the training rows.

        Args:
            frame: As for `predict`.
            times: In the unit of the training data. The curve is constant after the last training event.

        Returns:
            One row per sample, one column per time: the probability that the event has not happened by then.

        Raises:
            InputError: The target is not a survival time, or the baseline hazard was not fitted.
        """
        head = self.target_heads.get("")
        if head is None or not isinstance(head.task, Survival):
            raise InputError(f"{type(self).__name__} predicts no survival; train it with --data.event")
        if not head.task.is_fitted(head):
            raise InputError("the baseline hazard is not fitted: call model.fit_head_buffers(data.loader('train'))")
        columns = list(times)
        risk = torch.from_numpy(self.predict(frame)["risk"].to_numpy())
        curves = head.task.curve(head, risk.to(self.device), torch.tensor(columns, device=self.device))
        return pd.DataFrame(curves.cpu().numpy(), self.raw(frame)[1], columns)

    def raw(self, frame: RawSamples, force: bool = False) -> tuple[Any, pd.Index]:
        """Raw values of a user's samples, as a tensor or an object that reads one batch at a time, and their names.

        Unless ``force``, values far outside those of the training data are refused (see `zoo.tables.contract`).
        """
        modality = unchecked(modality_of(self.spec)) if force else modality_of(self.spec)
        if not isinstance(frame, pd.DataFrame | AnnData | dict):
            frame = pd.DataFrame({modality["features"][0]: list(frame)}, index=pd.RangeIndex(1, len(frame) + 1))
        if isinstance(frame, dict):
            from ..encode.joint import by_name

            frame = by_name(frame, self.spec["id"])
        source = frame.attrs.get("source", "the table") if isinstance(frame, pd.DataFrame) else "the data"
        return to_tensor(frame, modality, source), sample_names(frame, self.spec["id"])

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Raw predictions of a batch."""
        return self.raw_predictions(batch["x"])

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """Fit the encoding to raw training rows ``(rows, *shape)`` and targets ``(rows,)``; called by `prepare`."""
        self.encode.fit(x)

    def prepare(self, data: Any) -> None:
        """Fit to the training rows what must be known before training, such as the statistics of the encoding.

        Args:
            data: A data module of the zoo.
        """
        self.fit_encoders(data.training_inputs(), data.training_targets())

    def setup(self, stage: str) -> None:
        """Before training: calls `prepare`, unless the encoding is fitted already, for example by loaded weights."""
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
        """Seed the random generator at the first batch of an epoch.

        Dropout and noise then depend on seed and epoch only, and a resumed training repeats them.
        """
        # Lightning skips on_train_epoch_start after a resume.
        if batch_idx == 0 and (seed := os.environ.get("PL_GLOBAL_SEED")):
            torch.manual_seed(int(seed) * 1_000_003 + self.current_epoch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss with penalties.

        The sum of losses stays on the device until the end of the epoch: logging each step would double its time.
        """
        self.seed_epoch(batch_idx)
        loss = self.loss(batch) + self.penalty()
        self._loss_sum = loss.detach() + (self._loss_sum if batch_idx else 0)
        self._steps = batch_idx + 1
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the mean loss of the epoch; pass the validation loss to a schedule that reduces on plateau."""
        self.stop_if_not_finite("training", self._loss_sum)
        self.log("train_loss", self._loss_sum / self._steps, sync_dist=True)
        if self.hparams["schedule"] == "reduce_on_plateau":
            self.lr_schedulers().step(self.trainer.callback_metrics["validation_loss"])  # type: ignore[union-attr, arg-type]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect the batch for the metrics of the epoch."""
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
        """Step a schedule, except one that reduces on plateau.

        Lightning steps that one after the checkpoint is written, which would then lack the step; see
        `on_train_epoch_end`.
        """
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def stop_if_not_finite(self, name: str, loss: Tensor) -> None:
        """Raise an `InputError` for a loss that is not finite, before a checkpoint of the epoch is written."""
        if not loss.isfinite():
            raise InputError(
                f"the {name} loss is not finite in epoch {self.current_epoch}: lower lr ({self.hparams['lr']:g}), "
                "set trainer.gradient_clip_val, or look for extreme values; the last good checkpoint is kept"
            )

    def parameter_groups(self) -> Iterable[nn.Parameter] | list[dict[str, Any]]:
        """Weights that the optimiser trains, with one learning rate or in groups; all weights by default."""
        return self.parameters()

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule by name."""
        return self.optimiser_of(self.parameter_groups(), self.hparams["lr"])

    def optimiser_of(self, parameters: Any, lr: float, beta1: float = 0.9) -> dict[str, Any]:
        """Optimiser of these parameters, and its schedule if there is one, in the form that Lightning takes."""
        h = self.hparams
        # Three times faster on a CPU. In mixed precision Lightning refuses to clip the gradients of a fused optimiser.
        fused = True if self.device.type == "cpu" and self.trainer.precision == "32-true" else None
        optimiser = optimizer(h["optimizer"], parameters, lr, h["momentum"], h["weight_decay"], fused, beta1)
        steps = self.trainer.estimated_stepping_batches if h["schedule"] == "one_cycle" else 0
        end = self.trainer.max_epochs or -1, steps
        plan = schedule(h["schedule"], optimiser, h["schedule_epochs"], h["schedule_factor"], *end)
        return {"optimizer": optimiser, "lr_scheduler": plan} if plan else {"optimizer": optimiser}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the name of the class and the buffers that `fit_buffers` fits.

        The class is stored as a name only; loading a checkpoint imports nothing that it names.
        """
        checkpoint["model"] = type(self).__name__
        changed = self._fit_buffers()
        state = self.state_dict() if changed else {}
        checkpoint["state_dict"].update({name: state[name] for name in changed})

    def on_train_end(self) -> None:
        """Fit the buffers to the last weights."""
        self._fit_buffers()
        self._fitted_step = -1

    def _fit_buffers(self) -> list[str]:
        data, step = getattr(self.trainer, "datamodule", None), self.trainer.global_step
        if data is not None and step != self._fitted_step:  # the best and the last checkpoint may have the same weights
            self._fitted_step, self._fitted_buffers = step, self.fit_buffers(data)
        return self._fitted_buffers

    @property
    def init_args(self) -> dict[str, Any]:
        """Arguments from which this model can be built again, JSON values only."""
        return dict(self.hparams)


class Supervised(Model, abstract=True):
    """A model of one target: ``head(embed(x))``.

    The task of the target (`zoo.training.tasks`) defines losses and metrics, and how raw outputs become predictions.

    Args:
        loss: ``"auto"`` (the default of the task), or for two classes ``bce`` or ``focal``, for more ``cce`` or
            ``focal``, for a continuous target ``mse``, ``mae`` or ``huber``, for survival ``efron`` or ``breslow`` (how
            tied times are handled; the risk set of an event is within its batch, so batches should hold some events).
        **shared: Arguments of `Model`.

    Attributes:
        head: From the latent space to raw outputs.
        target_head: Loss and predictions from raw outputs.

    Raises:
        InputError: There is no target, or more than one.
    """

    head: nn.Module
    several_targets: ClassVar[bool] = False
    head_class: ClassVar[type[TargetHead]] = TargetHead

    def __init__(self, loss: str = "auto", **shared: Any) -> None:
        super().__init__(**shared)
        name = type(self).__name__
        if not self.target["name"]:
            columns = modality_of(self.spec).get("features", [])
            raise InputError(f"{name} needs a column to predict: give --data.target; {suggest('', columns)}")
        if TASKS[self.target["kind"]].classified and len(self.target["classes"]) < 2:
            raise InputError(f"{name} needs at least two classes to predict; {self.target['name']!r} has one")
        if TASKS[self.target["kind"]].per_pixel and not self.target_kinds:
            raise InputError(f"{name} predicts one value per image; masks need the model Segmenter")
        if self.spec.get("also") and not self.several_targets:
            raise InputError(f"{name} predicts one target; leave out data.also, or use MultiModal")
        if self.target.get("unlabelled") and not self.several_targets:
            raise InputError(f"{name} needs a target for each sample; leave out data.unlabelled")
        self.target_head = self.head_class(self, self.target, loss)

    @property
    def target_heads(self) -> dict[str, TargetHead]:
        """The head of the only target."""
        return {"": self.target_head}

    @property
    def task(self) -> str:
        """The kind of target."""
        return self.target["kind"]

    @property
    def headline(self) -> str:
        """Headline metric of the task."""
        return self.target_head.task.headline

    @property
    def network(self) -> nn.Sequential:
        """From encoded values to raw outputs, as a plain module: ``model.network(model.encode(x))``.

        For DNA it takes one-hot ``(batch, 4, length)``, the layout of captum and tangermeme.
        """
        return nn.Sequential(self.body, self.head)

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Model`; also fits the statistics of the targets that the task needs, such as mean and scale."""
        super().fit_encoders(x, y)
        if y is not None:
            self.target_head.fit(y)

    def forward(self, x: Tensor) -> Tensor:
        """Raw values to raw outputs: ``(batch, *shape) -> (batch, 1 or classes)``."""
        return self.head(self.embed(x))  # type: ignore[no-any-return]

    def loss(self, batch: Batch) -> Tensor:
        """Mean loss of the rows, weighted if the batch has ``weight``."""
        rows = self.target_head.loss(self(batch["x"]), batch["y"])
        return (rows * batch["weight"]).mean() if "weight" in batch else rows.mean()

    def predict_from(self, output: Tensor) -> Tensor:
        """Predictions from raw outputs: probabilities ``(batch, classes)``, or values or risks ``(batch,)``."""
        return self.target_head.predict_from(output)

    def raw_predictions(self, x: Tensor) -> Tensor:
        """Raw outputs."""
        return self(x)  # type: ignore[no-any-return]

    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """Predictions from raw outputs as a table; its columns depend on the task of the target."""
        return self.target_head.prediction_frame(raw, index)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Store the outputs; metrics are computed once, over the whole epoch."""
        self.target_head.outputs.update(self(batch["x"]), batch["y"])

    def log_epoch(self, split: str) -> None:
        """Log the loss and the headline metric."""
        output, y = self.target_head.outputs.take()
        loss = self.target_head.loss(output, y).mean()
        self.log_scores(split, loss, **{self.headline: self.target_head.headline_value(output, y)})

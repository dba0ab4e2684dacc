"""What every model shares: its spec, its encoding, its latent space, its optimiser and its place in the registry."""

import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ..encode import Encoder, encoder, sample_names, to_tensor
from ..errors import InputError, check_choice, check_range
from ..spec import Spec, modality_of
from ..training.optimisers import OptimizerName, ScheduleName, optimizer, schedule

# Lightning makes torch look for GPUs by loading a driver library, at every step of Adam, which doubles small steps.
if not torch.cuda.is_available():
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)

REGISTRY: dict[str, type["Model"]] = {}
Batch = dict[str, Tensor]
Frame: TypeAlias = pd.DataFrame | AnnData | Sequence[Any] | np.ndarray | dict[str, Any]  # samples as users have them
MOST_ROWS, MOST_VALUES = 4096, 1 << 21  # predicted at a time


class Model(LightningModule):
    """Base of all models: raw values -> ``encode`` -> ``embed`` -> ``head`` or ``decode``.

    Those that predict are `Supervised`, those that learn to describe their samples `Unsupervised`.

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
        encode: First layer, from raw values to numbers that a network can learn from.
        body: From encoded values to the latent space.
        target: What is to be predicted.
        card: Provenance, licence and metrics of weights loaded by `zoo.load`; empty otherwise.
    """

    encode: Encoder
    body: nn.Module

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
        self.save_hyperparameters(logger=False)  # config.yaml holds them
        check_choice("optimizer", optimizer, OptimizerName.__args__)  # type: ignore[attr-defined]
        check_choice("schedule", schedule, ScheduleName.__args__)  # type: ignore[attr-defined]
        least = {"momentum": (momentum, 0), "weight_decay": (weight_decay, 0), "l1": (l1, 0), "l2": (l2, 0)}
        for name, (value, low) in {**least, "lr": (lr, 1e-12), "schedule_epochs": (schedule_epochs, 1)}.items():
            check_range(name, value, low)
        check_range("schedule_factor", schedule_factor, 0, 1)
        self.spec, self.target, self.l1, self.l2 = spec, spec["target"], l1, l2
        self.encode = encoder(modality_of(spec), encoding)
        self.card: dict[str, Any] = {}
        self._loss_sum, self._steps = torch.tensor(0.0), 0

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

    @abstractmethod
    def summarise(self, x: Tensor) -> Tensor:
        """What `table` tells of each sample, from raw values: ``(batch, *shape) -> (batch, numbers)``."""

    @abstractmethod
    def table(self, summary: Tensor, index: pd.Index) -> pd.DataFrame:
        """Answers of `summarise` as users read them, one row a sample."""

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
        tables = [self.table(self.summarise(x[rows].to(self.device)), index[rows.numpy()]) for rows in parts]
        self.train(training)
        return pd.concat(tables)

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
        """What `table` tells of a batch, before it is put into words."""
        return self.summarise(batch["x"])

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """Let the encoding learn from raw training rows ``(rows, *shape)`` and targets ``(rows,)``, as in `setup`."""
        self.encode.fit(x)

    def setup(self, stage: str) -> None:
        """Before training: fit the encoding, unless it came with trained weights."""
        if stage == "fit" and not self.encode.fitted:
            if (data := getattr(self.trainer, "datamodule", None)) is None:
                raise InputError("the encoding is not fitted: call model.fit_encoders(x), or train with zoo.data")
            self.fit_encoders(data.training_inputs(), data.training_targets())

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
        """Note the class by name, so that a checkpoint can be read without importing what it says."""
        checkpoint["model"] = type(self).__name__

    @property
    def init_args(self) -> dict[str, Any]:
        """Arguments that build this model again, JSON values only."""
        return dict(self.hparams)

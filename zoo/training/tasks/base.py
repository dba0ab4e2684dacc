"""Base class of tasks: for one kind of target, reading of its column, losses, metrics, and predictions."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...errors import InputError, suggest
from ...spec import Target

if TYPE_CHECKING:
    from .head import TargetHead

Loss = Callable[[Tensor, Tensor], Tensor]  # raw outputs and targets -> one value per row
TASKS: dict[str, "Task"] = {}
T = TypeVar("T")


class Task(ABC):
    """One kind of target, looked up by `task_of`. Subclasses with a ``kind`` are registered.

    Tensors: ``y`` are targets as encoded by `encode`, ``output`` raw outputs of the last layer, and ``predictions``
    the predictions from them: probabilities ``(rows, classes)``, values ``(rows,)`` or risks ``(rows,)``.

    Attributes:
        kind: Name of the kind, as in ``target["kind"]`` and ``--data.target_kind``.
        noun: Noun phrase for the prediction of a sample, for messages.
        how_given: Instruction for users on how to give such a target.
        headline: Name of the metric that is logged during training.
        losses: Losses by name; the first is the default.
        classified: Each sample has one class, so that classes can be balanced and splits stratified by class.
        per_pixel: The target is an array of the size of the image and is augmented together with it.
        array: Column of the prediction frame that holds arrays, if there is one.
        needs_event: The target is a time with an event indicator in a second column.
        needs_training_outputs: `fit_buffers` needs the outputs for all training samples.
    """

    kind: ClassVar[str]
    noun: ClassVar[str]
    how_given: ClassVar[str] = "give --data.target"
    headline: ClassVar[str] = ""
    losses: ClassVar[Mapping[str, Loss]] = {}
    classified: ClassVar[bool] = False
    per_pixel: ClassVar[bool] = False
    array: ClassVar[str] = ""
    needs_event: ClassVar[bool] = False
    needs_training_outputs: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in vars(cls):
            TASKS[cls.kind] = cls()

    @abstractmethod
    def encode(self, frame: pd.DataFrame, target: Target, source: str) -> Tensor:
        """Targets of the samples of a table, with -1 or NaN where they are missing.

        Raises:
            InputError: A value is invalid; the message names its row and ``source``, the file.
        """

    def decode(self, y: Tensor, target: Target) -> dict[str, Any]:
        """Targets as columns of a table, by name."""
        return {"target": y.numpy()}

    def one_value(self, y: Tensor, target: Target) -> pd.Series | None:
        """One value per sample by which points of a plot can be coloured; None if there is none."""
        return pd.Series(y.numpy())

    def without_arrays(self, frame: pd.DataFrame, target: Target) -> pd.DataFrame:
        """A prediction frame without the column of arrays."""
        return frame.drop(columns=self.array, errors="ignore") if self.array else frame

    def effect_unit(self, target: Target) -> str:
        """Unit of the contribution of a feature to the raw output, multiplied by `effect_scale`."""
        return target["unit"]

    def effect_scale(self, head: "TargetHead") -> float:
        """Factor that converts contributions to raw outputs to the unit `effect_unit`."""
        return 1.0

    def labelled(self, y: Tensor) -> Tensor:
        """True for samples with a known target, ``shape=(samples,)``."""
        known = y.isfinite() if y.is_floating_point() else y >= 0
        return known.flatten(1).all(1) if known.ndim > 1 else known

    def strata(self, y: Tensor, target: Target) -> np.ndarray | None:
        """Strata for a stratified split, ``shape=(samples,)``; None if splits are not stratified."""
        return None

    def check_split(self, y: Tensor, split: np.ndarray, target: Target, source: str) -> None:
        """Raise an `InputError` if a split has too few targets for training."""
        return

    def association(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Strength of the association of each feature with the target: ``(samples, features) -> (features,)``."""
        raise InputError(f"features cannot be ranked by their association with {self.noun}")

    def loss(self, name: str) -> Loss:
        """Loss by name; ``"auto"`` is the default of this kind of target.

        Raises:
            InputError: The loss is unknown for this kind of target.
        """
        if name == "auto" and self.losses:
            return next(iter(self.losses.values()))
        if name not in self.losses:
            raise InputError(f"loss {name!r} does not fit a {self.kind} target; {suggest(name, self.losses)}")
        return self.losses[name]

    def width(self, target: Target) -> int:
        """Width of the raw output: the number of classes (softmax), or 1 for two classes, values and log hazards."""
        return len(target["classes"]) if len(target["classes"]) > 2 else 1

    def buffers(self) -> dict[str, Tensor]:
        """Initial buffers for the statistics of the training targets; at least a mean and a scale."""
        return {"y_mean": torch.tensor(0.0), "y_scale": torch.tensor(1.0)}

    def fit(self, head: "TargetHead", y: Tensor) -> None:
        """Fit the buffers to training targets; missing targets are excluded."""
        return

    def standardised(self, head: "TargetHead", y: Tensor) -> Tensor:
        """Targets as passed to the loss."""
        return y

    def predict_from(self, head: "TargetHead", output: Tensor) -> Tensor:
        """Predictions from raw outputs."""
        raise InputError(f"{self.noun} cannot be predicted by a single head")

    def prediction_frame(self, head: "TargetHead", output: Tensor, index: pd.Index) -> pd.DataFrame:
        """Predictions from raw outputs as a table, one row per sample."""
        raise InputError(f"{self.noun} cannot be predicted by a single head")

    def headline_value(self, predictions: Tensor, y: Tensor, target: Target) -> float:
        """Value of the headline metric; NaN where it is undefined."""
        raise InputError(f"{self.noun} has no headline metric")

    def scored_predictions(self, head: "TargetHead", output: Tensor, reference: Tensor) -> Tensor:
        """Predictions in the form that `scores` takes; ``reference`` are the training targets."""
        return head.predict_from(output)

    def scores(self, predictions: Tensor, y: Tensor, target: Target, reference: Tensor) -> dict[str, float]:
        """All metrics of one split by name, from `scored_predictions`; NaN where a metric is undefined."""
        raise InputError(f"{self.noun} has no metrics")

    def fit_buffers(self, head: "TargetHead", output: Tensor, y: Tensor) -> list[str]:
        """Fit buffers to the outputs for all training samples with the current weights; returns their names."""
        return []


def nearest(registry: Mapping[type[Task], T], task: Task) -> T:
    """The entry of a registry for the class of a task, or for its nearest base class.

    Raises:
        InputError: The registry has no such entry.
    """
    for kind in type(task).__mro__:
        if kind in registry:
            return registry[kind]
    raise InputError(f"this is not implemented for {task.noun}")

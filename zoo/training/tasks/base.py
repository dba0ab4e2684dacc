"""What one kind of target is: how its column is read, what is learnt, what the raw outputs of a head mean."""

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

Loss = Callable[[Tensor, Tensor], Tensor]  # raw outputs and targets -> one value a row
TASKS: dict[str, "Task"] = {}
T = TypeVar("T")


class Task(ABC):
    """One kind of target, looked up by `task_of`. A subclass with a ``kind`` is registered, by a file in this folder.

    Tensors: ``y`` are targets as `encode` makes them of columns, ``output`` raw outputs of the last layer, and
    ``predictions`` what they mean: probabilities ``(rows, classes)``, values ``(rows,)`` or risks ``(rows,)``.

    Attributes:
        kind: Name of the kind, as in ``target["kind"]`` and ``--data.target_kind``.
        noun: What is predicted of a sample, for messages.
        how_given: How a user gives such a target.
        headline: The one metric that is followed during training.
        losses: By name; the first is the default.
        classified: Each sample has one class, so that classes can be balanced, and splits stratified by them.
        per_pixel: The target is an array as large as the image: it is augmented together with it.
        array: Column of the prediction frame that holds arrays, if there is one.
        needs_event: The target is a time, and a second column says whether the event happened then.
        needs_training_outputs: `fit_buffers` learns from the outputs for all training samples.
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

    def describe(self, frame: pd.DataFrame, name: str, positive: str | None, unit: str, event: str | None) -> Target:
        """The target in a column ``name`` of a table, as far as the user said.

        Args:
            frame: The table.
            name: Column of the target; of survival that of the times.
            positive: The positive one of two classes; of survival the level of ``event`` that says it happened.
            unit: Of the values, or "".
            event: Column that says whether the event happened (survival).

        Raises:
            InputError: Nothing can be learnt from the column, or it does not fit the kind.
        """
        raise InputError(f"a column of a table cannot be {self.noun}")

    @abstractmethod
    def encode(self, frame: pd.DataFrame, target: Target, source: str) -> Tensor:
        """Targets of the samples of a table, with -1 or NaN where they are missing.

        Raises:
            InputError: A value that the target cannot have, with its row; ``source`` is the file.
        """

    def decode(self, y: Tensor, target: Target) -> dict[str, Any]:
        """Targets as columns that a user reads, by name."""
        return {"target": y.numpy()}

    def one_value(self, y: Tensor, target: Target) -> pd.Series | None:
        """One value of each sample that maps can be coloured by; None if there is none."""
        return pd.Series(y.numpy())

    def without_arrays(self, frame: pd.DataFrame, target: Target) -> pd.DataFrame:
        """A prediction frame whose cells are single values."""
        return frame.drop(columns=self.array, errors="ignore") if self.array else frame

    def effect_unit(self, target: Target) -> str:
        """Unit of what a feature adds to the raw output, times `effect_scale`."""
        return target["unit"]

    def effect_scale(self, head: "TargetHead") -> float:
        """What raw outputs are multiplied by to be in that unit."""
        return 1.0

    def labelled(self, y: Tensor) -> Tensor:
        """Which samples have a value of the target, ``shape=(samples,)``."""
        known = y.isfinite() if y.is_floating_point() else y >= 0
        return known.flatten(1).all(1) if known.ndim > 1 else known

    def strata(self, y: Tensor, target: Target) -> np.ndarray | None:
        """Numbers to stratify a split by, ``shape=(samples,)``; None if nothing is stratified."""
        return None

    def check_split(self, y: Tensor, split: np.ndarray, target: Target, source: str) -> None:
        """Raise an `InputError` if a split leaves too little to learn from."""
        return

    def association(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Strength of the relation of each feature to the target: ``(samples, features) -> (features,)``."""
        raise InputError(f"features cannot be ranked by their relation to {self.noun}")

    def loss(self, name: str) -> Loss:
        """Loss by name; ``"auto"`` is the default of this kind of target.

        Raises:
            InputError: This kind of target has no such loss.
        """
        if name == "auto" and self.losses:
            return next(iter(self.losses.values()))
        if name not in self.losses:
            raise InputError(f"loss {name!r} does not fit a {self.kind} target; {suggest(name, self.losses)}")
        return self.losses[name]

    def width(self, target: Target) -> int:
        """Width of the raw output: one a class (softmax), one of two classes (logistic), of a value or a log hazard."""
        return len(target["classes"]) if len(target["classes"]) > 2 else 1

    def buffers(self) -> dict[str, Tensor]:
        """What a head remembers of the training targets, as buffers of its module; at least a mean and a scale."""
        return {"y_mean": torch.tensor(0.0), "y_scale": torch.tensor(1.0)}

    def fit(self, head: "TargetHead", y: Tensor) -> None:
        """Learn the buffers from training targets; missing ones are left out."""
        return

    def standardised(self, head: "TargetHead", y: Tensor) -> Tensor:
        """Targets as the loss takes them."""
        return y

    def predict_from(self, head: "TargetHead", output: Tensor) -> Tensor:
        """What raw outputs mean."""
        raise InputError(f"{self.noun} cannot be predicted by a single head")

    def prediction_frame(self, head: "TargetHead", output: Tensor, index: pd.Index) -> pd.DataFrame:
        """Raw outputs as users read them, one row a sample."""
        raise InputError(f"{self.noun} cannot be predicted by a single head")

    def headline_value(self, predictions: Tensor, y: Tensor, target: Target) -> float:
        """The headline metric; NaN where it is not defined."""
        raise InputError(f"{self.noun} has no headline metric")

    def scored_predictions(self, head: "TargetHead", output: Tensor, reference: Tensor) -> Tensor:
        """What `scores` takes of raw outputs; ``reference`` are the training targets."""
        return head.predict_from(output)

    def scores(self, predictions: Tensor, y: Tensor, target: Target, reference: Tensor) -> dict[str, float]:
        """All metrics of one split by name; NaN where one is not defined. See `scored_predictions`."""
        raise InputError(f"{self.noun} has no metrics")

    def fit_buffers(self, head: "TargetHead", output: Tensor, y: Tensor) -> list[str]:
        """Learn from the outputs for all training samples, once weights are final; names of the buffers it changed."""
        return []


def nearest(registry: Mapping[type[Task], T], task: Task) -> T:
    """What a registry has for the class of a task, or for the nearest class that it is derived from.

    Raises:
        InputError: It has neither.
    """
    for kind in type(task).__mro__:
        if kind in registry:
            return registry[kind]
    raise InputError(f"there is nothing of this for {task.noun}")

"""Survival: right-censored times to an event, with Cox's proportional hazards model."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...errors import InputError
from ...spec import Target
from ...tables.survival import times_and_events
from ..cox import KNOTS, baseline_hazard, breslow, efron, survival
from ..survival_metrics import concordance, scored_times, survival_scores
from .base import Task
from .head import TargetHead


class Survival(Task):
    """A time and an event indicator, ``y`` float32 ``shape=(samples, 2)``; NaN in both where missing.

    The raw output is the log hazard up to a constant. The prediction is the risk: the log hazard centred on its mean
    over the training samples, so that a risk of 0 has the baseline hazard. Both that mean (minus the buffer ``y_mean``
    of the head's owner) and the baseline hazard are estimated by `fit_buffers` before weights are saved.
    """

    kind = "survival"
    noun = "a survival time"
    how_given = "give --data.target (the time) and --data.event"
    headline = "c_index"
    losses = {"efron": efron, "breslow": breslow}
    needs_event = True
    needs_training_outputs = True

    def encode(self, frame: pd.DataFrame, target: Target, source: str) -> Tensor:
        """Times and events, see `zoo.tables.survival`."""
        return torch.from_numpy(times_and_events(frame, target, source))

    def decode(self, y: Tensor, target: Target) -> dict[str, Any]:
        """Columns ``time`` and ``event``."""
        event = y[:, 1].numpy()
        return {"time": y[:, 0].numpy(), "event": event if np.isnan(event).any() else event.astype(int)}

    def one_value(self, y: Tensor, target: Target) -> pd.Series:
        """The time."""
        return pd.Series(y[:, 0].numpy())

    def effect_unit(self, target: Target) -> str:
        """Raw outputs are logarithms of hazards."""
        return "log hazard"

    def strata(self, y: Tensor, target: Target) -> np.ndarray:
        """The event indicator; samples without a target are a separate stratum."""
        return y[:, 1].nan_to_num(2).long().numpy()

    def check_split(self, y: Tensor, split: np.ndarray, target: Target, source: str) -> None:
        """Training and validation rows need an event each."""
        for part in ("train", "validation"):
            if not (y[torch.from_numpy(split == part), 1] > 0).any():
                raise InputError(
                    f"{source}: no {part.replace('train', 'training')} sample has the event {target['event']!r} "
                    f"({target['event_levels'][1]}); at least one is needed: change data.fractions or data.seed"
                )

    def association(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """F statistic of the correlation with the martingale residuals of a Cox model without covariates.

        The residual of a sample is its event indicator minus the cumulative hazard at its time (Therneau et al. 1990,
        doi:10.1093/biomet/77.1.147).
        """
        from sklearn.feature_selection import f_regression

        time, event = y.T
        times = np.unique(time)
        at_risk = (time[None] >= times[:, None]).sum(1)
        events = ((time[None] == times[:, None]) & (event > 0)).sum(1)
        hazard = np.cumsum(events / at_risk)  # Nelson-Aalen
        strength: np.ndarray = f_regression(x, event - hazard[np.searchsorted(times, time)])[0]
        return strength

    def buffers(self) -> dict[str, Tensor]:
        """Also the log cumulative baseline hazard at up to `KNOTS` event times (infinity where there are fewer; NaN
        until it is estimated), and three ``horizons``: the times of the survival probabilities in `prediction_frame`.
        """
        hazard = {"event_times": torch.full((KNOTS,), torch.inf), "log_hazard": torch.full((KNOTS,), torch.nan)}
        return {**super().buffers(), **hazard, "horizons": torch.full((3,), torch.nan)}

    def predict_from(self, head: TargetHead, output: Tensor) -> Tensor:
        """Risks, ``(rows,)``."""
        return output.squeeze(1) * head.scale + head.mean

    def is_fitted(self, head: TargetHead) -> bool:
        """True if the baseline hazard was estimated."""
        return not bool(head.owner.log_hazard.isnan().any())

    def curve(self, head: TargetHead, risk: Tensor, times: Tensor) -> Tensor:
        """Survival probability at each time for each risk: ``(rows,), (times,) -> (rows, times)``."""
        return survival(risk, times.to(risk), head.owner.event_times, head.owner.log_hazard)

    def prediction_frame(self, head: TargetHead, output: Tensor, index: pd.Index) -> pd.DataFrame:
        """``risk``, and the survival probabilities at the quartiles of the training event times."""
        risk = head.predict_from(output).float()
        frame = pd.DataFrame({"risk": risk.cpu().numpy()}, index=index)
        if self.is_fitted(head):
            probability = self.curve(head, risk, head.owner.horizons).cpu().numpy()
            for number, time in enumerate(head.owner.horizons.tolist()):
                unit = f"_{head.target['unit']}" if head.target["unit"] else ""
                frame[f"survival_{time:g}{unit}"] = probability[:, number]
        return frame

    def headline_value(self, predictions: Tensor, y: Tensor, target: Target) -> float:
        """Harrell's C-index."""
        return concordance(predictions.float().cpu().numpy(), y.cpu().numpy())

    def scored_predictions(self, head: TargetHead, output: Tensor, reference: Tensor) -> Tensor:
        """Risks, then survival probabilities at the times of the Brier score: ``(rows, 1 + times)``.

        These times lie between the 10% and 90% quantiles of the training event times (``reference`` are the targets of
        the training rows).
        """
        risk = head.predict_from(output)
        times = torch.from_numpy(scored_times(reference.numpy())).float()
        return torch.cat([risk.unsqueeze(1), self.curve(head, risk, times)], 1)

    def scores(self, predictions: Tensor, y: Tensor, target: Target, reference: Tensor) -> dict[str, float]:
        """See `zoo.training.survival_metrics.survival_scores`."""
        return survival_scores(predictions.numpy(), y.numpy(), reference.numpy())

    def fit_buffers(self, head: TargetHead, output: Tensor, y: Tensor) -> list[str]:
        """Estimate the cumulative baseline hazard (Breslow's estimate), that of a sample with the mean log hazard.

        Args:
            head: The head.
            output: Its raw outputs for all training samples in evaluation mode, ``(samples, 1)``.
            y: Their times and events, ``(samples, 2)``.

        Raises:
            InputError: No sample has the event.
        """
        known = y.isfinite().all(1)
        risk, y = output[known, 0].float(), y[known]
        if not (happened := y[:, 1] > 0).any():
            raise InputError(f"no sample has the event {head.target['event']!r}; the baseline hazard needs one")
        event_times, log_hazard = baseline_hazard(risk - risk.mean(), y)
        quartiles = torch.quantile(y[happened, 0], torch.tensor([0.25, 0.5, 0.75]))
        horizons = torch.tensor([float(f"{time:.3g}") for time in quartiles.tolist()])
        buffers = {"y_mean": -risk.mean(), "event_times": event_times, "log_hazard": log_hazard, "horizons": horizons}
        for name, value in buffers.items():
            getattr(head.owner, name).copy_(value)
        return list(buffers)

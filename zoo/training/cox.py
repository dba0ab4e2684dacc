"""Cox's proportional hazards model: partial likelihood, baseline hazard and survival function.

A target is a time and an event indicator: 1 if the event happened at that time, 0 if follow-up ended then (censored);
``y`` has the shape ``(samples, 2)``. The output of a model is the risk of each sample, the logarithm of its hazard up
to a constant (Cox 1972, doi:10.1111/j.2517-6161.1972.tb00899.x). Computations are in logarithms, to avoid overflow.
"""

import torch
from torch import Tensor

KNOTS = 512  # maximum number of event times at which the baseline hazard is stored


def efron(output: Tensor, y: Tensor) -> Tensor:
    """Minus the partial log-likelihood, with Efron's approximation for tied times (1977, doi:10.2307/2286217).

    Args:
        output: Risks, ``shape=(batch, 1)``. The risk set of an event has the samples of the batch with at least that
            follow-up time.
        y: Times and events, ``shape=(batch, 2)``.

    Returns:
        ``shape=(batch,)``: 0 for a censored sample, and for an event its term times ``batch / events``, so that the
        mean over rows is the mean over events. All 0 without events.
    """
    return _cox(output, y, shared=True)


def breslow(output: Tensor, y: Tensor) -> Tensor:
    """As `efron`, with Breslow's simpler approximation for tied times (1974, doi:10.2307/2529620)."""
    return _cox(output, y, shared=False)


def _cox(output: Tensor, y: Tensor, shared: bool) -> Tensor:
    risk = output.squeeze(1).to(torch.promote_types(output.dtype, torch.float32))  # at least float32
    order = y[:, 0].argsort(descending=True)
    risk, happened = risk[order], y[order, 1].to(risk.dtype)
    group, last = _ties(y[order, 0])
    at_risk = risk.logcumsumexp(0)[last]  # log of the summed hazards at each distinct time
    terms = at_risk[group] - risk
    if shared and len(last) < len(risk):
        # For the l-th (l = 0, 1, ...) of d tied events, these events count with weight 1 - l / d in the risk set.
        share = torch.zeros_like(at_risk).index_add(0, group, (risk - at_risk[group]).exp() * happened)
        count = torch.zeros_like(at_risk).index_add(0, group, happened)
        earlier = happened.cumsum(0) - happened
        earlier = earlier - earlier[torch.cat([last.new_zeros(1), last[:-1] + 1])][group]
        terms = terms + torch.log1p(-(earlier / count.clamp(min=1)[group]) * share.clamp(max=1)[group])
    scale = len(risk) / happened.sum().clamp(min=1)
    return torch.zeros_like(risk).index_copy(0, order, terms * happened * scale)


def _ties(times: Tensor) -> tuple[Tensor, Tensor]:
    """Group and last index of each group of equal times in a sorted tensor: ``(batch,), (distinct times,)``."""
    is_last = torch.ones_like(times, dtype=torch.bool)
    is_last[:-1] = times[1:] != times[:-1]
    return is_last.cumsum(0) - is_last.long(), is_last.nonzero().squeeze(1)


def baseline_hazard(risk: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Breslow's estimate of the cumulative hazard of a sample with risk 0 (1972, discussion of Cox's paper).

    Args:
        risk: Risks of training samples, ``shape=(samples,)``.
        y: Their times and events, ``shape=(samples, 2)``; at least one event.

    Returns:
        Distinct event times, and the logarithm of the cumulative hazard from each until the next, both
        ``shape=(512,)``. More than 512 times are thinned out, fewer are padded with infinity.
    """
    order = y[:, 0].argsort(descending=True)
    times, happened = y[order, 0], y[order, 1].double()
    group, last = _ties(times)
    at_risk = risk[order].double().logcumsumexp(0)[last]
    count = torch.zeros_like(at_risk).index_add(0, group, happened)
    distinct, steps = times[last].flip(0), (count.log() - at_risk).flip(0)
    hazard = steps.logcumsumexp(0)
    here = count.flip(0) > 0
    distinct, hazard = distinct[here], hazard[here]
    if len(distinct) > KNOTS:
        chosen = torch.linspace(0, len(distinct) - 1, KNOTS, device=distinct.device).round().long()
        distinct, hazard = distinct[chosen], hazard[chosen]
    padding = distinct.new_full((KNOTS - len(distinct),), torch.inf)
    return torch.cat([distinct, padding]), torch.cat([hazard.to(distinct.dtype), padding])


def survival(risk: Tensor, times: Tensor, knots: Tensor, log_hazard: Tensor) -> Tensor:
    """Survival function: the probability that the event has not happened by a time, ``S0(t) ** exp(risk)``.

    Args:
        risk: Risks of samples, ``shape=(samples,)``.
        times: ``shape=(times,)``, in the unit of the training data.
        knots: Event times of `baseline_hazard`.
        log_hazard: Logarithm of the cumulative hazard at these times.

    Returns:
        ``shape=(samples, times)``, from 0 to 1 and never rising with time.
    """
    before = torch.searchsorted(knots, times, right=True) - 1
    hazard = torch.where(before >= 0, log_hazard[before.clamp(min=0)], -torch.inf)
    return torch.exp(-torch.exp(hazard + risk[:, None]))

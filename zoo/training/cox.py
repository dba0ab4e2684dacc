"""Cox's proportional hazards: the loss of log hazard ratios, and the survival function that belongs to them.

A sample is known by a time and by whether the event happened then (1) or it was only followed that long (0, censored):
``y`` has the shape ``(samples, 2)``. A model gives each sample a risk, the logarithm of its hazard up to a constant
(Cox 1972, doi:10.1111/j.2517-6161.1972.tb00899.x). All is computed in logarithms, so that no risk is too large.
"""

import torch
from torch import Tensor

KNOTS = 512  # event times at which the baseline hazard is kept


def efron(output: Tensor, y: Tensor) -> Tensor:
    """Minus the partial log-likelihood, with Efron's approximation for equal times (1977, doi:10.2307/2286217).

    Args:
        output: Risks, ``shape=(batch, 1)``. Those at risk at a time are the others of the batch who were followed as
            long.
        y: Times and events, ``shape=(batch, 2)``.

    Returns:
        ``shape=(batch,)``: 0 for a censored sample, and for an event its term times ``batch / events``, so that the
        mean over rows is the mean over events. All 0 without an event.
    """
    return _cox(output, y, shared=True)


def breslow(output: Tensor, y: Tensor) -> Tensor:
    """As `efron`, with Breslow's simpler approximation for equal times (1974, doi:10.2307/2529620)."""
    return _cox(output, y, shared=False)


def _cox(output: Tensor, y: Tensor, shared: bool) -> Tensor:
    risk = output.squeeze(1).to(torch.promote_types(output.dtype, torch.float32))  # logarithms need it
    order = y[:, 0].argsort(descending=True)
    risk, happened = risk[order], y[order, 1].to(risk.dtype)
    group, last = _ties(y[order, 0])
    at_risk = risk.logcumsumexp(0)[last]  # of each time
    terms = at_risk[group] - risk
    if shared and len(last) < len(risk):
        # The l-th of d events at one time sees only the share 1 - l / d of those events among the samples at risk.
        share = torch.zeros_like(at_risk).index_add(0, group, (risk - at_risk[group]).exp() * happened)
        count = torch.zeros_like(at_risk).index_add(0, group, happened)
        earlier = happened.cumsum(0) - happened
        earlier = earlier - earlier[torch.cat([last.new_zeros(1), last[:-1] + 1])][group]
        terms = terms + torch.log1p(-(earlier / count.clamp(min=1)[group]) * share.clamp(max=1)[group])
    scale = len(risk) / happened.sum().clamp(min=1)
    return torch.zeros_like(risk).index_copy(0, order, terms * happened * scale)


def _ties(times: Tensor) -> tuple[Tensor, Tensor]:
    """Which distinct time each of these sorted times is, and where each ends: ``(batch,), (distinct times,)``."""
    ends = torch.ones_like(times, dtype=torch.bool)
    ends[:-1] = times[1:] != times[:-1]
    return ends.cumsum(0) - ends.long(), ends.nonzero().squeeze(1)


def baseline_hazard(risk: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Breslow's estimate of the cumulative hazard of a sample with risk 0 (1972, discussion of Cox's paper).

    Args:
        risk: Of training samples, ``shape=(samples,)``.
        y: Their times and events, ``shape=(samples, 2)``.

    Returns:
        Distinct times with an event, and the logarithm of the cumulative hazard from there to the next, both
        ``shape=(512,)``: of more than 512 times so many are kept, of fewer the rest is infinity. One event is needed.
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
        kept = torch.linspace(0, len(distinct) - 1, KNOTS, device=distinct.device).round().long()
        distinct, hazard = distinct[kept], hazard[kept]
    beyond = distinct.new_full((KNOTS - len(distinct),), torch.inf)
    return torch.cat([distinct, beyond]), torch.cat([hazard.to(distinct.dtype), beyond])


def survival(risk: Tensor, times: Tensor, knots: Tensor, log_hazard: Tensor) -> Tensor:
    """Probability that the event has not happened until a time, ``S0(t) ** exp(risk)``.

    Args:
        risk: Of samples, ``shape=(samples,)``.
        times: ``shape=(times,)``, in the unit of the training data.
        knots: Event times of `baseline_hazard`.
        log_hazard: Logarithm of the cumulative hazard there.

    Returns:
        ``shape=(samples, times)``, from 0 to 1 and never rising with time.
    """
    before = torch.searchsorted(knots, times, right=True) - 1
    hazard = torch.where(before >= 0, log_hazard[before.clamp(min=0)], -torch.inf)
    return torch.exp(-torch.exp(hazard + risk[:, None]))

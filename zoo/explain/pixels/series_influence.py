"""Influence of time points: the parts of a series that are evidence for or against a class."""

import torch
from torch import Tensor

from ...data.base import Source
from ...encode.gramian import CHANNELS, GramianAngularField
from ...encode.series import lengths
from ...errors import check_choice
from ...latent.probe import evaluating
from ...models import Supervised
from ...spec import modality_of
from ..completeness import Gap
from ..dna.attribution import _column
from ..dna.mutagenesis import log_odds
from .heat_maps import PARTS, HeatMethod, channel_maps, check_samples


def series_influence(
    model: Supervised, x: Source, target: int | str | None = None, method: HeatMethod = "occlusion"
) -> Tensor:
    """Influence of each time point of each channel on the log-odds of a class, or on a continuous target.

    - ``occlusion``: decrease of the log-odds if, in one channel, a window of an eighth of the series is replaced by the
      straight line between its first and last time point before encoding; averaged over the windows that cover a time
      point. It is comparable between models and encodings.
    - ``grad_cam``, ``hires_cam`` and ``integrated_gradients``: as in `heat_map`. Maps of a Gramian angular field are
      projected to the time axis by `to_time`; those of Grad-CAM and HiResCAM are the same for all channels.

    Args:
        model: A model of series; it stays on its device.
        x: Raw series, ``shape=(samples, channels, length)``, padded with NaN at the end.
        target: Class, by name or number. Default: the positive class of two, or the most probable of more classes for
            each sample.
        method: Attribution method.

    Returns:
        float32 on the CPU, ``shape=(samples, channels, length)``; 0 in the padding. In natural log-odds, or in the unit
        of a continuous target, except for ``grad_cam`` and ``hires_cam``.

    Raises:
        InputError: As in `heat_map`, and for a model of images.
    """
    influence, gap = influence_and_gap(model, x, target, method)
    if gap is not None:
        gap.check()
    return influence


def influence_and_gap(
    model: Supervised, x: Source, target: int | str | None, method: HeatMethod
) -> tuple[Tensor, Gap | None]:
    """As `series_influence`, with the completeness gap of integrated gradients, which is not checked here."""
    check_choice("method", method, HeatMethod.__args__)  # type: ignore[attr-defined]
    check_samples("series_influence", model, x, "series")
    if method == "occlusion":
        return _occlusion(model, x, target), None
    channels, length = modality_of(model.spec)["shape"]
    maps, gap = channel_maps(model, x, target, method)
    if not isinstance(model.encode, GramianAngularField):
        return maps.expand(-1, channels, -1).clone(), gap
    counts = torch.cat([lengths(x[rows]) for rows in torch.arange(len(x)).split(1024)]).cpu()
    if method == "integrated_gradients":  # sum over the fields of a channel, without those of its minimum and maximum
        fields = maps[:, : channels * CHANNELS[model.encode.kind]]
        maps = fields.unflatten(1, (-1, channels)).sum(1)
    return to_time(maps, counts, length).expand(-1, channels, -1).clone(), gap


def to_time(maps: Tensor, counts: Tensor, length: int) -> Tensor:
    """Project maps of Gramian angular fields to the time axis.

    Pixel (i, j) belongs to the time bins i and j. The influence of a bin is the mean of its row and its column, and is
    assigned to all time points of the bin.

    Args:
        maps: ``shape=(samples, channels, size, size)``.
        counts: Number of time points of each series without padding, ``shape=(samples,)``.
        length: Number of time points with padding.

    Returns:
        ``shape=(samples, channels, length)``; 0 in the padding.
    """
    size = maps.shape[-1]
    influence = (maps.mean(2) + maps.mean(3)) / 2
    times = torch.arange(length)
    edges = (torch.arange(size + 1, dtype=torch.float64) * (counts.double() / size)[:, None]).long()
    bins = torch.searchsorted(edges, times.expand(len(counts), -1).contiguous(), right=True) - 1
    # A series with fewer time points than bins was interpolated at linspace(0, count - 1, size).
    nearest = (times * ((size - 1) / (counts - 1).clamp(min=1))[:, None]).round().long()
    bins = torch.where((counts >= size)[:, None], bins, nearest).clamp(0, size - 1)
    found = influence.gather(2, bins[:, None].expand(-1, maps.shape[1], -1))
    return found * (times < counts[:, None])[:, None]


def _occlusion(model: Supervised, x: Source, target: int | str | None) -> Tensor:
    channels, length = modality_of(model.spec)["shape"]
    column, sign = _column(model, target)
    window = max(3, round(length / PARTS))
    starts = range(0, max(1, length - 2), max(1, window // 4))
    parts = []
    with evaluating(model):
        for rows in torch.arange(len(x)).split(max(1, model.rows_at_once // channels)):
            series = x[rows].to(model.device)
            original = log_odds(model, model(series))
            columns = original.argmax(1) if column is None else torch.full_like(original[:, 0], column).long()
            final, times = lengths(series) - 1, torch.arange(length, device=series.device)
            total, covered = torch.zeros_like(series), torch.zeros_like(series)
            for start in starts:
                first, last = (final.clamp(max=start + size) for size in (0, window - 1))
                inside = (times >= first[:, None]) & (times <= last[:, None]) & (last - first > 1)[:, None]
                for channel in range(channels):
                    hidden = series.clone()
                    hidden[:, channel] = torch.where(inside, _line(series[:, channel], first, last), series[:, channel])
                    decrease = (original - log_odds(model, model(hidden))).gather(1, columns[:, None])
                    total[:, channel] += decrease * inside
                    covered[:, channel] += inside
            parts.append((sign * total / covered.clamp(min=1)).float().cpu())
    return torch.cat(parts)


def _line(x: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Straight line through two time points of each series: ``(batch, length) -> (batch, length)``."""
    low, high = x.gather(1, first[:, None]), x.gather(1, last[:, None])
    times = torch.arange(x.shape[1], device=x.device)
    return low + (high - low) * (times - first[:, None]) / (last - first).clamp(min=1)[:, None]

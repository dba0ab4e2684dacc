"""Which time points of a series speak for a class, and which against it."""

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
    """Influence of each time point of each channel on the log-odds of a class, or on a predicted number.

    - ``occlusion``: what the log-odds lose when a window of an eighth of the series is replaced by the straight line
      between its first and its last time point, in one channel, and the series is encoded anew; mean over the windows
      that cover a time point. It means the same for every model and every encoding.
    - ``grad_cam`` and ``integrated_gradients``: as in `heat_map`. Of a Gramian angular field the map is carried back to
      the time axis by `to_time`; Grad-CAM then does not tell channels apart and gives all of them the same.

    Args:
        model: A model of series; stays on its device.
        x: Raw series, ``shape=(samples, channels, length)``, padded with NaN at their end.
        target: Class, by name or number; by default the positive one of two, and of more the most probable one of each
            sample.
        method: How influence is computed.

    Returns:
        float32 on the CPU, ``shape=(samples, channels, length)``; 0 in the padding. But for ``grad_cam`` and
        ``hires_cam`` in natural logarithms of odds, or in the unit of a predicted number.

    Raises:
        InputError: As of `heat_map`, and for a model of images.
    """
    influence, gap = influence_and_gap(model, x, target, method)
    if gap is not None:
        gap.check()
    return influence


def influence_and_gap(
    model: Supervised, x: Source, target: int | str | None, method: HeatMethod
) -> tuple[Tensor, Gap | None]:
    """As `series_influence`; and of integrated gradients how far the maps are from summing to what they should."""
    check_choice("method", method, HeatMethod.__args__)  # type: ignore[attr-defined]
    check_samples("series_influence", model, x, "series")
    if method == "occlusion":
        return _occlusion(model, x, target), None
    channels, length = modality_of(model.spec)["shape"]
    maps, gap = channel_maps(model, x, target, method)
    if not isinstance(model.encode, GramianAngularField):
        return maps.expand(-1, channels, -1).clone(), gap
    ends = torch.cat([lengths(x[rows]) for rows in torch.arange(len(x)).split(1024)]).cpu()
    if method == "integrated_gradients":  # the fields of a channel together, without its smallest and largest value
        fields = maps[:, : channels * CHANNELS[model.encode.kind]]
        maps = fields.unflatten(1, (-1, channels)).sum(1)
    return to_time(maps, ends, length).expand(-1, channels, -1).clone(), gap


def to_time(maps: Tensor, ends: Tensor, length: int) -> Tensor:
    """Maps of Gramian angular fields on the time axis.

    The pixel (i, j) belongs to the bins i and j: the influence of a bin is the mean of its row and its column, and all
    time points of the bin have it.

    Args:
        maps: ``shape=(samples, channels, size, size)``.
        ends: Time points of each series before its padding, ``shape=(samples,)``.
        length: Time points with padding.

    Returns:
        ``shape=(samples, channels, length)``; 0 in the padding.
    """
    size = maps.shape[-1]
    influence = (maps.mean(2) + maps.mean(3)) / 2
    times = torch.arange(length)
    edges = (torch.arange(size + 1, dtype=torch.float64) * (ends.double() / size)[:, None]).long()
    bins = torch.searchsorted(edges, times.expand(len(ends), -1).contiguous(), right=True) - 1
    # A series with fewer time points than bins was read off at linspace(0, end - 1, size).
    nearest = (times * ((size - 1) / (ends - 1).clamp(min=1))[:, None]).round().long()
    bins = torch.where((ends >= size)[:, None], bins, nearest).clamp(0, size - 1)
    found = influence.gather(2, bins[:, None].expand(-1, maps.shape[1], -1))
    return found * (times < ends[:, None])[:, None]


def _occlusion(model: Supervised, x: Source, target: int | str | None) -> Tensor:
    channels, length = modality_of(model.spec)["shape"]
    column, sign = _column(model, target)
    window = max(3, round(length / PARTS))
    starts = range(0, max(1, length - 2), max(1, window // 4))
    parts = []
    with evaluating(model):
        for rows in torch.arange(len(x)).split(max(1, model.rows_at_once // channels)):
            some = x[rows].to(model.device)
            whole = log_odds(model, model(some))
            columns = whole.argmax(1) if column is None else torch.full_like(whole[:, 0], column).long()
            ends, times = lengths(some), torch.arange(length, device=some.device)
            total, covered = torch.zeros_like(some), torch.zeros_like(some)
            for start in starts:
                first, last = (at.clamp(max=start + size) for at, size in ((ends - 1, 0), (ends - 1, window - 1)))
                inside = (times >= first[:, None]) & (times <= last[:, None]) & (last - first > 1)[:, None]
                for channel in range(channels):
                    hidden = some.clone()
                    hidden[:, channel] = torch.where(inside, _line(some[:, channel], first, last), some[:, channel])
                    lost = (whole - log_odds(model, model(hidden))).gather(1, columns[:, None])
                    total[:, channel] += lost * inside
                    covered[:, channel] += inside
            parts.append((sign * total / covered.clamp(min=1)).float().cpu())
    return torch.cat(parts)


def _line(x: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Through two time points of each series: ``(batch, length) -> (batch, length)``."""
    low, high = x.gather(1, first[:, None]), x.gather(1, last[:, None])
    times = torch.arange(x.shape[1], device=x.device)
    return low + (high - low) * (times - first[:, None]) / (last - first).clamp(min=1)[:, None]

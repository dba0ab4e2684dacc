"""Motifs of the filters of the first convolution, from the sites that activate each filter."""

import numpy as np
import torch
from torch import Tensor, nn

from ...data import Data
from ...data.base import Source
from ...encode.dna import reverse_complement
from ...encode.one_hot import OneHotDNA, one_hot
from ...errors import InputError, check_range
from ...latent.probe import evaluating
from ...models import Supervised
from ...models.predict.cnn1d import CNN1D, BothStrands
from .motif import Motif

CHUNK = 2048  # sequences computed at once
MOST = 20_000  # training rows; more hardly change the motifs


@torch.inference_mode()
def filter_motifs(model: Supervised, codes: Source | Data, threshold: float = 0.5) -> list[Motif]:
    """A motif for each filter of the first convolution (Alipanahi et al. 2015, doi:10.1038/nbt.3300).

    A site is a window of a sequence for which the activation of the filter (after the activation function) is at least
    ``threshold`` times its maximum over all sequences. The bases of all sites are counted at each position. For a model
    of both strands, both strands are searched.

    Args:
        model: A trained `CNN1D` with the one-hot encoding.
        codes: Sequences to search, uint8 ``shape=(sequences, length)``, or a data module, whose training rows are
            searched, at most 20,000 of them.
        threshold: Fraction of the maximum activation of a filter, 0 to 1.

    Returns:
        One motif for each filter, ``counts`` of shape ``(4, width)``. A filter that no sequence activates has no sites.

    Raises:
        InputError: The model has no convolution over one-hot DNA.
    """
    if not isinstance(model, CNN1D) or not isinstance(model.encode, OneHotDNA):
        raise InputError(f"{type(model).__name__} has no filters over one-hot DNA; use a CNN1D with one-hot encoding")
    check_range("threshold", threshold, 0, 1)
    if isinstance(codes, Data):
        rows = codes.dataset.rows("train")
        codes = codes.dataset.x[rows[torch.linspace(0, len(rows) - 1, min(len(rows), MOST)).long()]]
    both = isinstance(model.body, BothStrands)
    layer, convolution = first_block(model), model.first_convolution
    (width,), (dilation,) = convolution.kernel_size, convolution.dilation

    def parts() -> list[Tensor]:
        chunks = (codes[rows] for rows in torch.arange(len(codes)).split(CHUNK))
        return [strand for part in chunks for strand in ([part, reverse_complement(part)] if both else [part])]

    with evaluating(model):
        largest = torch.zeros(convolution.out_channels)
        for part in parts():
            largest = torch.maximum(largest, layer(model.encode(part.to(model.device))).amax((0, 2)).cpu())
        counts = torch.zeros(convolution.out_channels, 4, width, dtype=torch.float64)
        sites = torch.zeros(convolution.out_channels, dtype=torch.long)
        for part in parts():
            activation = layer(model.encode(part.to(model.device))).cpu()
            active = (activation >= threshold * largest[:, None]) & (largest[:, None] > 0)
            windows = one_hot(part).unfold(2, dilation * (width - 1) + 1, 1)[..., ::dilation]
            rows = active.transpose(0, 1).flatten(1).float() @ windows.transpose(1, 2).flatten(2).flatten(0, 1)
            counts += rows.view(-1, 4, width)
            sites += active.sum((0, 2))
    names = [f"filter{number}" for number in range(len(counts))]
    return [Motif(name, np.asarray(c), int(s)) for name, c, s in zip(names, counts.numpy(), sites, strict=True)]


def first_block(model: CNN1D) -> nn.Sequential:
    """The first convolution up to its activation: one-hot ``(batch, 4, length) -> (batch, filters, positions)``."""
    layers = model.body.network if isinstance(model.body, BothStrands) else model.body
    assert isinstance(layers, nn.Sequential)
    end = next(
        i for i, name in enumerate(dict(layers.named_children()), 1) if not name.startswith(("convolution", "norm"))
    )
    return layers[:end]

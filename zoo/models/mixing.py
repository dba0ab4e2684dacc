"""Blocks that mix the pixels of a map, and then its channels, by dense layers."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

WIDER = 2  # hidden units of a dense layer for each value that it mixes


class Mixing(nn.Module):
    """Every pixel of a map hears of every other one, then every channel of every other one.

    MLP-Mixer (Tolstikhin et al. 2021, arXiv:2105.01601), as the generator of MLP-GAN has it between its convolutions
    (Xie et al. 2022, arXiv:2207.08134). Dense layers over the pixels take maps of one size only.

    Args:
        channels: Of the map.
        size: Its ``(*spatial)``, in pixels.

    Shape:
        ``(batch, channels, *size) -> (batch, channels, *size)``
    """

    def __init__(self, channels: int, size: Sequence[int]) -> None:
        super().__init__()
        self.space_norm, self.space = nn.LayerNorm(channels), _dense(prod(size))
        self.channel_norm, self.channel = nn.LayerNorm(channels), _dense(channels)

    def forward(self, x: Tensor) -> Tensor:
        """What is mixed is added to the map."""
        pixels: Tensor = x.flatten(2).transpose(1, 2)
        pixels = pixels + self.space(self.space_norm(pixels).transpose(1, 2)).transpose(1, 2)
        pixels = pixels + self.channel(self.channel_norm(pixels))
        return pixels.transpose(1, 2).view_as(x)


def _dense(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, WIDER * width), nn.GELU(), nn.Linear(WIDER * width, width))

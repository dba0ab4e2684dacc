"""Recurrent networks that make windows of series out of noise, and judge them."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


class Frames(nn.Module):
    """A long short-term memory (Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735) that reads both ways.

    Args:
        inputs: Numbers that a step takes.
        hidden: Units in each direction.
        outputs: Numbers that a step puts out.

    Shape:
        ``(batch, steps, inputs) -> (batch, steps, outputs)``
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * hidden, outputs)

    def states(self, x: Tensor) -> Tensor:
        """Hidden states: ``(batch, steps, inputs) -> (batch, steps, 2 * hidden)``."""
        # cuDNN's has no second derivative, which a gradient penalty needs, nor a first one in evaluation mode.
        with torch.backends.cudnn.flags(enabled=False):
            return self.lstm(x)[0]  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Output of each step."""
        return self.output(self.states(x))  # type: ignore[no-any-return]


class SeriesGenerator(nn.Module):
    """Noise to a window of a series, a frame of several time points at each step.

    Args:
        channels: Of the series.
        window: Time points of a window.
        frame_length: Time points that a step makes.
        noise: Numbers that a step takes.
        hidden: Units of the long short-term memory in each direction.
        inverse: Also learn to `guess` the noise that a window is made of.

    Attributes:
        steps: Of a window; what the last one makes beyond its end is cut off.

    Shape:
        ``(batch, steps, noise) -> (batch, channels, window)``
    """

    def __init__(self, channels: int, window: int, frame_length: int, noise: int, hidden: int, inverse: bool) -> None:
        super().__init__()
        self.channels, self.window, self.frame_length, self.noise = channels, window, frame_length, noise
        self.steps = math.ceil(window / frame_length)
        self.network = Frames(noise, hidden, channels * frame_length)
        self.inverse = Frames(channels * frame_length, hidden, noise) if inverse else None

    def forward(self, noise: Tensor) -> Tensor:
        """Windows."""
        made = self.network(noise).unflatten(2, (self.channels, self.frame_length)).transpose(1, 2).flatten(2)
        return made[..., : self.window]  # type: ignore[no-any-return]

    def guess(self, x: Tensor) -> Tensor:
        """Noise that may make these windows, zeros if that was not learnt: ``-> (batch, steps, noise)``."""
        if self.inverse is None:
            return x.new_zeros(len(x), self.steps, self.noise)
        return self.inverse(as_frames(x, self.frame_length))  # type: ignore[no-any-return]


class SeriesDiscriminator(Frames):
    """How real each step of a window is: ``(batch, channels, window) -> (batch, steps)``; high means real.

    Args:
        channels: Of the series.
        frame_length: Time points that a step reads.
        hidden: Units of the long short-term memory in each direction.
    """

    def __init__(self, channels: int, frame_length: int, hidden: int) -> None:
        super().__init__(channels * frame_length, hidden, 1)
        self.frame_length = frame_length

    def states(self, x: Tensor) -> Tensor:
        """Hidden states of windows, ``(batch, steps, 2 * hidden)``."""
        return super().states(as_frames(x, self.frame_length))

    def forward(self, x: Tensor) -> Tensor:
        """A score a step."""
        return super().forward(x).squeeze(2)


def as_frames(x: Tensor, frame_length: int) -> Tensor:
    """Windows as steps of several time points: ``-> (batch, steps, channels * frame_length)``; the last has zeros.

    Args:
        x: ``shape=(batch, channels, window)``.
        frame_length: Time points of a step.
    """
    steps: Tensor = pad(x, (0, -x.shape[2] % frame_length)).unflatten(2, (-1, frame_length)).transpose(1, 2)
    return steps.flatten(2)


class Windows:
    """Windows of one length that cover series, and may overlap.

    Args:
        length: Time points of a series.
        window: Time points of a window.
        stride: Time points between the starts of two windows, at most ``window``; the last one ends with the series.
    """

    def __init__(self, length: int, window: int, stride: int) -> None:
        last = length - window
        self.length, self.window, self.starts = length, window, sorted({*range(0, last, stride), last})

    def cut(self, series: Tensor) -> Tensor:
        """``(batch, channels, length) -> (batch * windows, channels, window)``."""
        return torch.stack([series[..., at : at + self.window] for at in self.starts], 1).flatten(0, 1)

    def join(self, values: Tensor) -> Tensor:
        """Means over the windows that cover a time point: ``(batch * windows, n, window) -> (batch, n, length)``."""
        parts = values.unflatten(0, (-1, len(self.starts)))
        total, count = values.new_zeros(len(parts), values.shape[1], self.length), values.new_zeros(self.length)
        for number, at in enumerate(self.starts):
            total[..., at : at + self.window] += parts[:, number]
            count[at : at + self.window] += 1
        return total / count

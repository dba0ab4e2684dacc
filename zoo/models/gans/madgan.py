"""MAD-GAN: anomaly detection in time series by a GAN of normal series."""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ...errors import InputError, check_range
from ...figure import Figure
from ..anomaly import AnomalyDetector
from ..base import Batch
from .base import Adversarial

SMALLEST = 0.01  # lower bound of the scales of standardised residuals and of hidden states
MOST_STEPS = 10_000  # of the inversion of one batch, which take minutes
SHOWN = 6  # windows in a figure of generated windows


class BiLSTM(nn.Module):
    """A bidirectional long short-term memory (Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735).

    Args:
        inputs: Number of inputs per step.
        hidden: Units in each direction.
        outputs: Number of outputs per step, a linear function of the hidden states.

    Shape:
        ``(batch, steps, inputs) -> (batch, steps, outputs)``
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * hidden, outputs)

    def states(self, x: Tensor) -> Tensor:
        """Hidden states: ``(batch, steps, inputs) -> (batch, steps, 2 * hidden)``."""
        # The LSTM of cuDNN has no second derivative, as a gradient penalty needs, and no gradient in evaluation mode.
        with torch.backends.cudnn.flags(enabled=False):
            return self.lstm(x)[0]  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Output of each step."""
        return self.output(self.states(x))  # type: ignore[no-any-return]


class SeriesGenerator(nn.Module):
    """Generator of windows of a series from noise; each recurrent step outputs a frame of several time points.

    Args:
        channels: Number of channels of the series.
        window: Time points of a window.
        frame_length: Time points per step.
        noise: Noise dimensions per step.
        hidden: Units of the long short-term memory in each direction.
        inverse: Also train an encoder from windows to noise, see `guess`.

    Attributes:
        steps: Number of steps of a window; time points after its end are cut off.

    Shape:
        ``(batch, steps, noise) -> (batch, channels, window)``
    """

    def __init__(self, channels: int, window: int, frame_length: int, noise: int, hidden: int, inverse: bool) -> None:
        super().__init__()
        self.channels, self.window, self.frame_length, self.noise = channels, window, frame_length, noise
        self.steps = math.ceil(window / frame_length)
        self.network = BiLSTM(noise, hidden, channels * frame_length)
        self.inverse = BiLSTM(channels * frame_length, hidden, noise) if inverse else None

    def forward(self, noise: Tensor) -> Tensor:
        """Generate windows."""
        generated = self.network(noise).unflatten(2, (self.channels, self.frame_length)).transpose(1, 2).flatten(2)
        return generated[..., : self.window]  # type: ignore[no-any-return]

    def guess(self, x: Tensor) -> Tensor:
        """Encode windows as noise that approximately generates them: ``-> (batch, steps, noise)``.

        Zeros without an encoder.
        """
        if self.inverse is None:
            return x.new_zeros(len(x), self.steps, self.noise)
        return self.inverse(group_time_points(x, self.frame_length))  # type: ignore[no-any-return]


class SeriesDiscriminator(BiLSTM):
    """Discriminator with a score for each step of a window, ``(batch, channels, window) -> (batch, steps)``.

    A high score means real.

    Args:
        channels: Number of channels of the series.
        frame_length: Time points per step.
        hidden: Units of the long short-term memory in each direction.
    """

    def __init__(self, channels: int, frame_length: int, hidden: int) -> None:
        super().__init__(channels * frame_length, hidden, 1)
        self.frame_length = frame_length

    def states(self, x: Tensor) -> Tensor:
        """Hidden states of windows, ``(batch, steps, 2 * hidden)``."""
        return super().states(group_time_points(x, self.frame_length))

    def forward(self, x: Tensor) -> Tensor:
        """Score of each step."""
        return super().forward(x).squeeze(2)


def group_time_points(x: Tensor, frame_length: int) -> Tensor:
    """Group the time points of windows into steps: ``-> (batch, steps, channels * frame_length)``.

    Args:
        x: Windows, ``shape=(batch, channels, window)``; the last step is padded with zeros.
        frame_length: Time points per step.
    """
    steps: Tensor = pad(x, (0, -x.shape[2] % frame_length)).unflatten(2, (-1, frame_length)).transpose(1, 2)
    return steps.flatten(2)


class Windows:
    """Windows of equal length that cover a series and may overlap.

    Args:
        length: Time points of a series.
        window: Time points of a window.
        stride: Time points between the starts of two windows, at most ``window``; the last window ends with the series.
    """

    def __init__(self, length: int, window: int, stride: int) -> None:
        last = length - window
        self.length, self.window, self.starts = length, window, sorted({*range(0, last, stride), last})

    def cut(self, series: Tensor) -> Tensor:
        """Cut series into windows: ``(batch, channels, length) -> (batch * windows, channels, window)``."""
        return torch.stack([series[..., at : at + self.window] for at in self.starts], 1).flatten(0, 1)

    def join(self, values: Tensor) -> Tensor:
        """Average windows at each time point: ``(batch * windows, n, window) -> (batch, n, length)``."""
        parts = values.unflatten(0, (-1, len(self.starts)))
        total, count = values.new_zeros(len(parts), values.shape[1], self.length), values.new_zeros(self.length)
        for number, at in enumerate(self.starts):
            total[..., at : at + self.window] += parts[:, number]
            count[at : at + self.window] += 1
        return total / count


def mismatch(generated: Tensor, goal: Tensor, z: Tensor, prior: float) -> Tensor:
    """``mean((goal - generated)^2) + prior * mean(z^2)`` of each sample, ``(batch,)``."""
    return (generated - goal).square().flatten(1).mean(1) + prior * z.square().flatten(1).mean(1)


def invert(
    generator: Callable[[Tensor], Tensor], x: Tensor, start: Tensor, steps: int, lr: float, prior: float
) -> tuple[Tensor, Tensor]:
    """Invert a generator: the noise whose generated sample is nearest to each given sample, by gradient descent.

    ``mean((x - generator(z))^2) + prior * mean(z^2)`` is minimised for each sample independently, by Adam with a
    learning rate that decreases to 0. Up to a constant and a factor it is minus the log posterior of z if residuals are
    Gaussian. The weights of the generator do not change. It also works within `torch.inference_mode`.

    Args:
        generator: From noise to samples; samples of a batch must not depend on each other.
        x: Samples, ``shape=(batch, *shape)``.
        start: Initial noise, ``shape=(batch, *noise)``.
        steps: Steps of gradient descent; 0 returns the initial noise.
        lr: Learning rate of the first step.
        prior: Weight of the squared noise.

    Returns:
        The noise ``(batch, *noise)``, and the minimised objective, ``(batch,)``.
    """
    with torch.inference_mode(False), torch.enable_grad():
        goal, z = x.clone(), start.detach().clone().requires_grad_()
        optimiser = torch.optim.Adam([z], lr)
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = lr * (1 - step / steps)
            (z.grad,) = torch.autograd.grad(mismatch(generator(z), goal, z, prior).sum(), z)
            optimiser.step()
    with torch.no_grad():
        noise = z.detach()
        return noise, mismatch(generator(noise), x, noise, prior)


class MADGAN(AnomalyDetector, Adversarial):
    """Generative adversarial network for multivariate anomaly detection (Li et al. 2019, arXiv:1901.04997).

    A recurrent generator generates windows of series from noise; a recurrent discriminator scores each step of a
    window as real or generated. Both, and the encoding, are trained on normal training series only. The anomaly score
    of a series is the mean over its time points of

        reconstruction_weight * reconstruction + (1 - reconstruction_weight) * discrimination

    `reconstruction` is the squared difference from the nearest window that the generator can generate, found by
    gradient descent on the noise (see `invert`). `discrimination` is the squared difference of the discriminator's
    hidden states from their mean. Differences are divided by their scale over normal training windows at the same
    position. (The paper uses the output of the discriminator instead. It is trained to distinguish real from generated
    windows; for anomalous windows, which are neither, its accuracy varied from the best to worse than chance.) Both
    parts are standardised over normal training series, and averaged where windows overlap. A series is an anomaly if
    its score exceeds the 95 % quantile of the normal validation series.

    In addition to the paper, an encoder is trained to predict the noise of a window, and the generator to reconstruct
    training windows from that noise (as in f-AnoGAN, Schlegl et al. 2019, doi:10.1016/j.media.2019.01.010, and TadGAN,
    Geiger et al. 2020, arXiv:2009.07769). Without it the generator does not cover some normal series, and gradient
    descent misses others.

    Further differences from the paper: networks have one bidirectional layer; a step may be a frame of several time
    points; gradient descent minimises squared differences and a penalty on the noise instead of one minus a similarity;
    the score has squared instead of absolute differences; channels are not replaced by principal components; and
    ``prior`` also penalises the output of the encoder, which left the distribution of the noise in some trainings, with
    worse scores.

    Args:
        normal: Class of the normal series.
        window: Time points of a window; by default the whole series.
        stride: Time points between the starts of two windows; by default half a window.
        frame_length: Time points per step of the recurrent networks; 1 as in the paper. Together with ``noise`` it
            limits the generated windows: each depends on ``noise * window / frame_length`` numbers.
        noise: Noise dimensions per step, drawn from a standard normal distribution.
        hidden: Units of each recurrent network in each direction.
        cycle: Weight of the reconstruction of training windows through the encoder in the loss of the generator; 0 as
            in the paper: no encoder, and gradient descent starts from zeros.
        inversion_steps: Steps of gradient descent for the noise of a window.
        inversion_lr: Learning rate of the first of these steps.
        prior: Weight of the squared noise in gradient descent, which penalises improbable noise.
        reconstruction_weight: Weight of the reconstruction in the score, lambda in the paper.
        **shared: Arguments of `Adversarial` and `Model`.

    Attributes:
        residual_scale: Root mean square residual of normal training windows, ``(channels, window)``.
        state_mean: Mean hidden states of the discriminator for normal training windows, ``(steps, 2 * hidden)``.
        state_scale: Their standard deviations.

    Raises:
        InputError: The samples are not series, or the window is longer than the series; see also `AnomalyDetector`.
    """

    generator: SeriesGenerator
    discriminator: SeriesDiscriminator
    residual_scale: Tensor
    state_mean: Tensor
    state_scale: Tensor
    modalities = ("series",)
    fitted_buffers = ("residual_scale", "state_mean", "state_scale", *AnomalyDetector.fitted_buffers)

    def __init__(
        self,
        normal: str = "",
        window: int | None = None,
        stride: int | None = None,
        frame_length: int = 10,
        noise: int = 2,
        hidden: int = 64,
        cycle: float = 10.0,
        inversion_steps: int = 20,
        inversion_lr: float = 0.1,
        prior: float = 0.2,
        reconstruction_weight: float = 0.8,
        **shared: Any,
    ) -> None:
        super().__init__(normal=normal, reconstruction_weight=reconstruction_weight, **shared)
        if len(self.encode.out_shape) != 2:
            raise InputError("MADGAN takes series, not images of series; leave out encoding")
        channels, length = self.encode.out_shape
        window = length if window is None else window
        stride = max(1, window // 2) if stride is None else stride
        for name, size in {"window": window, "frame_length": frame_length, "noise": noise, "hidden": hidden}.items():
            check_range(name, size, 1)
        check_range("stride", stride, 1, window)
        for name, value in {"cycle": cycle, "prior": prior}.items():
            check_range(name, value, 0)
        check_range("inversion_steps", inversion_steps, 0, MOST_STEPS)
        check_range("inversion_lr", inversion_lr, 1e-12)
        if window > length:
            raise InputError(f"a window of {window} time points is longer than the series, which have {length}")
        self.windows, self.cycle, self.prior = Windows(length, window, stride), cycle, prior
        self.inversion_steps, self.inversion_lr = inversion_steps, inversion_lr
        generator = SeriesGenerator(channels, window, frame_length, noise, hidden, inverse=cycle > 0)
        self.set_networks(generator, SeriesDiscriminator(channels, frame_length, hidden))
        self.register_buffer("residual_scale", torch.ones(channels, window))
        self.register_buffer("state_mean", torch.zeros(generator.steps, 2 * hidden))
        self.register_buffer("state_scale", torch.ones(generator.steps, 2 * hidden))

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]
        """As in `Adversarial`, for the normal series of the batch; a batch without normal series is skipped."""
        normal = self.is_normal(batch["y"])
        if normal.any():
            super().training_step({name: values[normal] for name, values in batch.items()}, batch_idx)
        else:
            self.seed_epoch(batch_idx)
            self._step_schedules()

    def noise(self, windows: int) -> Tensor:
        """Random noise for a number of windows, ``(windows, steps, noise)``."""
        return torch.randn(windows, self.generator.steps, self.generator.noise, device=self.device)

    def generate(self, batch: Batch) -> Tensor:
        """As many generated windows as the series of the batch have."""
        return self.generator(self.noise(len(batch["x"]) * len(self.windows.starts)))  # type: ignore[no-any-return]

    def real(self, batch: Batch) -> Tensor:
        """Windows of the series."""
        return self.windows.cut(self.encode(batch["x"]))

    def discriminate(self, sample: Tensor, batch: Batch) -> list[Tensor]:
        """Score of each step of each window."""
        return [self.discriminator(sample)]

    def generator_terms(self, batch: Batch, generated: Tensor) -> Tensor | float:
        """Weighted objective of the inversion for the windows and their encoded noise, see `mismatch`."""
        if not self.cycle:
            return 0.0
        real = self.real(batch)
        guess = self.generator.guess(real)
        return self.cycle * mismatch(self.generator(guess), real, guess, self.prior).mean()

    def nearest(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest windows that the generator can generate, and the objective reached by gradient descent.

        Args:
            windows: Encoded windows, ``shape=(batch, channels, window)``.

        Returns:
            ``(batch, channels, window)``, and ``(batch,)``.
        """
        sampler: Any = self.sampler
        with torch.no_grad():
            start = sampler.guess(windows)
        noise, loss = invert(sampler, windows, start, self.inversion_steps, self.inversion_lr, self.prior)
        with torch.no_grad():
            return sampler(noise), loss

    def validation_loss(self, x: Tensor) -> Tensor:
        """Objective of the inversion reached for each window."""
        return self.nearest(self.windows.cut(self.encode(x)))[1]

    def fit_parts(self, x: Tensor) -> Tensor:
        """Fit the scales of residuals and hidden states to normal training series."""
        windows = self.windows.cut(self.encode(x))
        residuals, states = windows - self.nearest(windows)[0], self.discriminator.states(windows)
        self.residual_scale.copy_(residuals.square().mean(0).sqrt().clamp(min=SMALLEST))
        self.state_mean.copy_(states.mean(0))
        self.state_scale.copy_(states.std(0, correction=0).clamp(min=SMALLEST))
        return self._over_time(residuals, states).mean(2)

    def over_time(self, x: Tensor) -> Tensor:
        """Reconstruction and discrimination at each time point, averaged over the windows that cover it.

        Args:
            x: Raw series, ``shape=(batch, channels, length)``.

        Returns:
            ``(batch, 2, length)``; `scores` combines them to ``(batch, length)``.
        """
        windows = self.windows.cut(self.encode(x))
        return self._over_time(windows - self.nearest(windows)[0], self.discriminator.states(windows))

    def _over_time(self, residuals: Tensor, states: Tensor) -> Tensor:
        """As `over_time`, from the residuals and hidden states of windows."""
        error = (residuals / self.residual_scale).square().mean(1)
        deviation = self._state_deviation(states).repeat_interleave(self.discriminator.frame_length, 1)
        return self.windows.join(torch.stack([error, deviation[:, : error.shape[1]]], 1))

    def _state_deviation(self, states: Tensor) -> Tensor:
        """Mean squared standardised hidden states: ``(batch * windows, steps, width) -> (batch * windows, steps)``."""
        return ((states - self.state_mean) / self.state_scale).square().mean(2)

    def raw_predictions(self, x: Tensor) -> Tensor:
        """Reconstruction and discrimination, averaged over time: ``(batch, *shape) -> (batch, 2)``."""
        return self.over_time(x).mean(2)

    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """A table: ``anomaly_score``, ``anomaly`` (bool), ``reconstruction_error`` and ``discrimination``."""
        raw = raw.to(self.device)
        score = self.scores(raw)
        columns = {"anomaly_score": score} | ({} if self.threshold.isnan() else {"anomaly": score > self.threshold})
        columns |= {"reconstruction_error": raw[:, 0], "discrimination": raw[:, 1]}
        return pd.DataFrame({name: values.cpu().numpy() for name, values in columns.items()}, index)

    def embed(self, x: Tensor) -> Tensor:
        """Mean hidden state of the discriminator over time and windows: ``(batch, *shape) -> (batch, 2 * hidden)``."""
        return self._mean(self.discriminator.states(self.windows.cut(self.encode(x))))

    def forward(self, x: Tensor) -> Tensor:
        """Mean discrimination part of the score, without gradient descent: ``(batch, *shape) -> (batch, 1)``."""
        states = self.discriminator.states(self.windows.cut(self.encode(x)))
        return self._mean(self._state_deviation(states).unsqueeze(2))

    def _mean(self, values: Tensor) -> Tensor:
        """Mean over steps and windows: ``(batch * windows, steps, width) -> (batch, width)``."""
        by_window: Tensor = values.mean(1).unflatten(0, (-1, len(self.windows.starts)))
        return by_window.mean(1)

    def every_layer(self, x: Tensor) -> Any:
        """Discriminator scores and reconstructions of windows."""
        windows = self.windows.cut(self.encode(x))
        return self.discriminator(windows), self.generator(self.generator.guess(windows))

    def sample_figure(self) -> Figure:
        """A figure of windows generated from noise, with all channels."""
        generated = self.sampler(self.noise(SHOWN)).cpu()
        figure = Figure(figsize=(8.4, 4.2), layout="constrained", dpi=150)
        for axes, window in zip(figure.subplots(2, SHOWN // 2, sharex=True, sharey=True).flat, generated, strict=True):
            axes.plot(window.T, linewidth=1)
            axes.spines[["top", "right"]].set_visible(False)
        figure.supxlabel("time point of the window", fontsize=9)
        figure.supylabel("standardised value", fontsize=9)
        figure.suptitle(f"MADGAN: windows generated in epoch {self.current_epoch + 1}", x=0.01, ha="left", fontsize=10)
        return figure

"""Scores of image translation, beside pixel-wise models."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from ...data import Data
from ...figure import Figure, side_by_side
from ...models.gans.pix2pix import ConditionalGAN
from ...training.power_spectrum import radial_power, spectral_distance
from ..evaluation import Evaluation, evaluates
from ..style import CLASS_COLOURS, legend_outside, new_figure

MOST_LEVELS = 32  # of the input with separate means
MOST_PIXELS = 50_000  # for training the regression
REACH = {2: 4, 3: 2}  # pixels on each side in the input of the regression, by the number of spatial dimensions
EXAMPLES = 6

Translator = Callable[[Tensor], Tensor]  # from raw input images to output images, (batch, channels, *spatial)


class Example(NamedTuple):
    """A pair that is drawn: its name, raw input, output of the model and true image; ``(channels, *spatial)``."""

    name: str
    image: np.ndarray
    output: np.ndarray
    real: np.ndarray


class Examples(NamedTuple):
    """Content of the figures: pairs, and the mean power of real images and of each model at each frequency."""

    pairs: list[Example]
    ends: tuple[float, float]
    power: dict[str, np.ndarray]


@evaluates("translation", "image")
def evaluate_translation(model: ConditionalGAN, data: Data, present: list[str]) -> Evaluation:
    """Translate each input image and compare the output with the true image.

    For each image: ``l1``, the mean absolute difference, in the units of the image; ``psnr``, the ratio of the squared
    range of the training images to the mean squared difference, in decibels; ``ssim``, structural similarity (Wang et
    al. 2004, doi:10.1109/TIP.2003.819861). All three favour blurred images. For all images of a split together:
    ``spectral_distance``, the difference of the power at each spatial frequency from that of real images, in decibels.
    It is large for blurred images, but may be small for sharp images with a wrong content.

    Args:
        model: In evaluation mode.
        data: Pairs of images.
        present: Splits that have samples.

    Returns:
        Predictions, one row per image: ``split``, ``l1``, ``psnr``, ``ssim``. Scores: their means over images, and
        ``spectral_distance``, of the model and of `pixel_translators`.
    """
    content, ours = data.dataset, type(model).__name__
    translators = {ours: lambda x: model(x.to(model.device)).float().cpu(), **pixel_translators(data)}
    low, high = model.ends[0].min().item(), model.ends[1].max().item()
    shown = content.rows(present[-1])
    shown = shown[torch.linspace(0, len(shown) - 1, min(EXAMPLES, len(shown))).long()]
    pairs: list[Example] = []
    tables, scores = [], []
    for split in present:
        found: dict[str, list[Tensor]] = {name: [] for name in translators}
        powers: dict[str, list[Tensor]] = {name: [] for name in ("real", *translators)}
        for batch in data.loader(split):
            x, real = batch["x"], batch["y"].float()
            names = content.samples.index[batch["row"].numpy()]
            powers["real"].append(radial_power(real))
            for name, translate in translators.items():
                output = translate(x)
                found[name].append(_scores(output, real, high - low))
                powers[name].append(radial_power(output))
                for i in torch.isin(batch["row"], shown).nonzero()[:, 0].tolist() if name == ours else []:
                    if split == present[-1]:
                        pairs.append(Example(str(names[i]), x[i].numpy(), output[i].numpy(), real[i].numpy()))
        rows = content.samples.index[content.rows(split).numpy()]
        by_image = {name: pd.DataFrame(torch.cat(v), rows, ["l1", "psnr", "ssim"]) for name, v in found.items()}
        tables.append(by_image[ours])
        tables[-1].insert(0, "split", split)
        power = {name: torch.cat(values) for name, values in powers.items()}
        for name, table in by_image.items():
            means = table.drop(columns="split", errors="ignore").mean()
            scores += [(name, split, str(metric), float(value)) for metric, value in means.items()]
            distance = spectral_distance(power[name], power["real"])
            scores.append((name, split, "spectral_distance", float(distance)))
    drawn = Examples(pairs, (low, high), {name: values.mean(0).numpy() for name, values in power.items()})
    last, unit = present[-1], model.target["unit"]
    return Evaluation(
        pd.concat(tables),
        pd.DataFrame(scores, columns=["model", "split", "metric", "value"]),
        figures={
            "made_and_real": lambda name: made_and_real(drawn, f"{name}: {last} images"),
            "power_spectra": lambda name: spectra(drawn, unit, f"{name}: power spectra, {last} images"),
        },
    )


def _scores(output: Tensor, real: Tensor, span: float) -> Tensor:
    """L1, PSNR and SSIM of each image, ``(batch, 3)``."""
    axes, span = tuple(range(1, output.ndim)), max(span, 1e-12)
    psnr = peak_signal_noise_ratio(output, real, data_range=span, dim=axes, reduction="none")
    ssim = structural_similarity_index_measure(output, real, data_range=span, reduction="none")
    assert isinstance(ssim, Tensor)
    return torch.stack([(output - real).abs().mean(axes), psnr, ssim.view(-1)], 1)


def made_and_real(found: "Examples", title: str) -> Figure:
    """Input images, outputs of the model and true images."""
    image, output, real = (
        np.stack([getattr(pair, row) for pair in found.pairs]) for row in ("image", "output", "real")
    )
    ends = {"input": (float(image.min()), float(image.max())), "output": found.ends, "real": found.ends}
    return side_by_side({"input": image, "output": output, "real": real}, ends, title)


def spectra(found: "Examples", unit: str, title: str) -> Figure:
    """Power at each spatial frequency; a model with less power than the real images at high frequencies blurs."""
    figure, axes = new_figure(
        title, "spatial frequency [cycles per shortest side]", f"power [{unit or 'grey levels'}²]"
    )
    figure.set_size_inches(6.6, 4.0)
    for (name, power), colour in zip(found.power.items(), ["#000000", *CLASS_COLOURS], strict=False):
        axes.plot(np.arange(1, len(power) + 1), power, color=colour, label=name, linewidth=1.6)
    axes.set(xscale="log", yscale="log")
    legend_outside(axes)
    return figure


def pixel_translators(data: Data) -> dict[str, Translator]:
    """Pixel-wise models that translate images, fitted on the training pairs; none without training pairs.

    Args:
        data: Pairs of images.

    Returns:
        ``"mean of each input level"``: the mean of all training pixels whose input has the same value (class, if the
        input is a mask); inputs with more than 32 values are divided into 32 quantile ranges. ``"ridge
        regression"`` on the neighbourhood of a pixel: 9 x 9 pixels, of volumes 5 x 5 x 5.
    """
    rows = data.dataset.rows("train")
    if not len(rows):
        return {}
    return {"mean of each input level": _levels(data, rows), "ridge regression": _ridge(data, rows)}


def _levels(data: Data, rows: Tensor) -> Translator:
    x, y = data.training_inputs(), data.training_targets()
    values = x[:, 0].double().flatten().numpy()  # of the first channel
    edges = np.unique(values)
    if len(edges) > MOST_LEVELS:
        edges = np.unique(np.quantile(values, np.linspace(0, 1, MOST_LEVELS + 1)[:-1]))
    code = np.searchsorted(edges, values, "right").clip(1) - 1
    count = np.bincount(code, minlength=len(edges)).clip(1)
    flat = y.transpose(0, 1).flatten(1).double().numpy()
    means = torch.from_numpy(np.stack([np.bincount(code, one, len(edges)) / count for one in flat])).float()

    def translate(images: Tensor) -> Tensor:
        at = np.searchsorted(edges, images[:, 0].double().numpy(), "right").clip(1) - 1
        return means[:, torch.from_numpy(at)].transpose(0, 1)

    return translate


def _ridge(data: Data, rows: Tensor) -> Translator:
    x, y, generator = data.training_inputs(), data.training_targets(), np.random.default_rng(0)
    pixels = x[0, 0].numel()
    features, truths = [], []
    for image, truth in zip(x, y, strict=True):
        drawn = generator.choice(pixels, min(pixels, max(1, MOST_PIXELS // len(x))), replace=False)
        features.append(neighbourhoods(image)[drawn])
        truths.append(truth.flatten(1).T.numpy()[drawn])
    model = make_pipeline(StandardScaler(), Ridge()).fit(np.concatenate(features), np.concatenate(truths))
    channels = y.shape[1]

    def translate(images: Tensor) -> Tensor:
        output = [model.predict(neighbourhoods(image)).reshape(pixels, channels).T for image in images]
        return torch.from_numpy(np.stack(output)).float().view(len(images), channels, *images.shape[2:])

    return translate


def neighbourhoods(image: Tensor) -> np.ndarray:
    """All pixels around each pixel, with the border repeated: ``(channels, *spatial) -> (pixels, features)``."""
    reach = REACH[image.ndim - 1]
    padded = np.pad(image.float().numpy(), [(0, 0), *[(reach, reach)] * (image.ndim - 1)], mode="edge")
    window = (2 * reach + 1,) * (image.ndim - 1)
    seen = np.lib.stride_tricks.sliding_window_view(padded, window, axis=tuple(range(1, image.ndim)))
    result: np.ndarray = np.moveaxis(seen, 0, image.ndim - 1).reshape(image[0].numel(), -1)
    return result

"""Scores of images that are made of images, beside simple models of pixels."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from ..data import Data
from ..models.conditional_gan import ConditionalGAN
from ..training.power_spectrum import radial_power, spectral_distance
from .evaluation import Evaluation
from .translation_baselines import pixel_makers

EXAMPLES = 6


class Example(NamedTuple):
    """A pair to look at: its name, raw input, what is made of it, and what is true; ``(channels, *spatial)``."""

    name: str
    image: np.ndarray
    made: np.ndarray
    real: np.ndarray


class Examples(NamedTuple):
    """What is drawn: pairs, and the mean power at each frequency of real images and of those of each model."""

    pairs: list[Example]
    ends: tuple[float, float]
    power: dict[str, np.ndarray]


def evaluate_translation(model: ConditionalGAN, data: Data, present: list[str]) -> Evaluation:
    """Make an image of each input and compare it with the true one.

    Of each image: ``l1``, the mean absolute difference, in the units of the image; ``psnr``, the ratio of the squared
    range of the training images to the mean squared difference, in decibels; ``ssim``, structural similarity (Wang et
    al. 2004, doi:10.1109/TIP.2003.819861). All three favour blurred images. Of all images of a split together:
    ``spectral_distance``, how far the power at each spatial frequency is from that of real images, in decibels; blurred
    images are far, sharp ones of something else need not be.

    Args:
        model: In evaluation mode.
        data: Pairs of images.
        present: Splits that have samples.

    Returns:
        Predictions, one row an image: ``split``, ``l1``, ``psnr``, ``ssim``. Scores: their means over images, and
        ``spectral_distance``, beside the models of `zoo.report.translation_baselines`.
    """
    from .translation_figures import made_and_real, spectra

    content, ours = data.content, type(model).__name__
    makers = {ours: lambda x: model(x.to(model.device)).float().cpu(), **pixel_makers(data)}
    low, high = model.ends[0].min().item(), model.ends[1].max().item()
    shown = content.rows(present[-1])
    shown = shown[torch.linspace(0, len(shown) - 1, min(EXAMPLES, len(shown))).long()]
    pairs: list[Example] = []
    tables, scores = [], []
    for split in present:
        found: dict[str, list[Tensor]] = {name: [] for name in makers}
        powers: dict[str, list[Tensor]] = {name: [] for name in ("real", *makers)}
        for batch in data.loader(split):
            x, real = batch["x"], batch["y"].float()
            names = content.samples.index[batch["row"].numpy()]
            powers["real"].append(radial_power(real))
            for name, maker in makers.items():
                made = maker(x)
                found[name].append(_scores(made, real, high - low))
                powers[name].append(radial_power(made))
                for i in torch.isin(batch["row"], shown).nonzero()[:, 0].tolist() if name == ours else []:
                    if split == present[-1]:
                        pairs.append(Example(str(names[i]), x[i].numpy(), made[i].numpy(), real[i].numpy()))
        rows = content.samples.index[content.rows(split).numpy()]
        by_image = {name: pd.DataFrame(torch.cat(some), rows, ["l1", "psnr", "ssim"]) for name, some in found.items()}
        tables.append(by_image[ours])
        tables[-1].insert(0, "split", split)
        power = {name: torch.cat(some) for name, some in powers.items()}
        for name, table in by_image.items():
            means = table.drop(columns="split", errors="ignore").mean()
            scores += [(name, split, str(metric), float(value)) for metric, value in means.items()]
            distance = spectral_distance(power[name], power["real"])
            scores.append((name, split, "spectral_distance", float(distance)))
    drawn = Examples(pairs, (low, high), {name: some.mean(0).numpy() for name, some in power.items()})
    last, unit = present[-1], model.target["unit"]
    return Evaluation(
        pd.concat(tables),
        pd.DataFrame(scores, columns=["model", "split", "metric", "value"]),
        model.target,
        figures={
            "made_and_real": lambda name: made_and_real(drawn, f"{name}: {last} images"),
            "power_spectra": lambda name: spectra(drawn, unit, f"{name}: power spectra, {last} images"),
        },
    )


def _scores(made: Tensor, real: Tensor, span: float) -> Tensor:
    """L1, PSNR and SSIM of each image, ``(batch, 3)``."""
    axes, span = tuple(range(1, made.ndim)), max(span, 1e-12)
    psnr = peak_signal_noise_ratio(made, real, data_range=span, dim=axes, reduction="none")
    ssim = structural_similarity_index_measure(made, real, data_range=span, reduction="none")
    assert isinstance(ssim, Tensor)
    return torch.stack([(made - real).abs().mean(axes), psnr, ssim.view(-1)], 1)

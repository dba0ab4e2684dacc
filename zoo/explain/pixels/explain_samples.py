"""Output of ``zoo explain`` for samples of tables, series and images."""

from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...data import Data
from ...data.base import Source
from ...encode.gramian import GramianAngularField
from ...encode.series import lengths
from ...errors import check_choice
from ...figure import save
from ...files import replacing
from ...latent.probe import evaluating, run
from ...models import Supervised
from ...registry import Registry
from ...spec import modality_of
from ...tables.writing import write_csv
from ..completeness import Gap
from ..dna.mutagenesis import output_names
from ..explainers import EXPLAINERS, Request, check_not_survival, examples
from .heat_maps import HeatMethod, channel_maps, check_samples
from .lime import lime_image, lime_table
from .pictures import Samples, condition_figure, image_figure, series_figure, volume_figure
from .series_influence import influence_and_gap

SHOWN = 8  # samples in a figure
WIDE = 80  # characters in a line of a title
MEANING = {  # name of the method, and label of the colour bar
    "grad_cam": ("Grad-CAM", "evidence for (+) and against (-) {} [arbitrary unit]"),
    "hires_cam": ("HiResCAM", "evidence for (+) and against (-) {} [arbitrary unit]"),
    "occlusion": ("occlusion", "decrease of {} by occlusion [{}]"),
    "integrated_gradients": ("integrated gradients", "contribution to {} [{}]"),
    "lime": ("LIME", "weight of the superpixel for {} [{}]"),
}


class SampleExplainer(NamedTuple):
    """Explanation of samples of one modality.

    Attributes:
        methods: Supported methods, the default first.
        write: Writes the files of `explain_samples` and returns their paths.
    """

    methods: tuple[str, ...]
    write: Callable[[Supervised, Source | Data, Tensor, pd.Index, Path, Any], list[Path]]


SAMPLE_EXPLAINERS = Registry[SampleExplainer]("zoo.explain.explain_samples")


def explain_samples(
    model: Supervised,
    background: Source | Data,
    x: Tensor,
    names: pd.Index,
    folder: Path,
    method: str | None = None,
) -> list[Path]:
    """Write the evidence for and against the predictions of the given samples.

    - Tables: ``conditions.png`` and ``conditions.csv``, from `lime_table`.
    - Series: ``influence.png``, the first eight series coloured by influence (with their Gramian angular fields, if the
      model uses them), and ``influence.csv`` of all: ``sample``, ``channel``, ``time`` (in seconds if the sampling rate
      is known, else from 1), ``value``, ``influence``, and ``class``.
    - Images: ``heat_maps.png``, the first eight images with their maps (three slices of a volume), and
      ``heat_maps.npz`` of all: ``maps``, ``(samples, *spatial)``, and ``names``.

    With integrated gradients both data files also hold, for each sample, ``difference``, the value that contributions
    should sum to, and ``unexplained``, its part that they do not explain. If they deviate by more than 5% of the
    largest difference, the title of the figure states it.

    Args:
        model: A trained model of tables, series or images.
        background: Training rows, or the data module that has them, which also gives the true classes.
        x: Raw values of the samples to explain, ``shape=(samples, *shape)``.
        names: Names of these samples.
        folder: Output folder, created if it does not exist.
        method: For tables ``lime``; for series and images ``hires_cam`` (the default), ``grad_cam``, ``occlusion`` (the
            default for models without convolutions) or ``integrated_gradients``; for images also ``lime``.

    Returns:
        Paths of the files.

    Raises:
        InputError: Unsupported method; a model of DNA or of masks; samples of another shape; a missing package;
            contributions fail the completeness check, in which case no file is written.
    """
    kind = modality_of(model.spec)["kind"]
    explainer, method = SAMPLE_EXPLAINERS.of(kind), method or default_method(model)
    check_samples("explain_samples", model, x, *SAMPLE_EXPLAINERS)
    check_choice(f"method for {kind} data", method, explainer.methods)
    return explainer.write(model, background, x, names, folder, method)


@EXPLAINERS.add("table", "series", "image")
def explain_request(model: Supervised, request: Request) -> list[Path]:
    """Explainer of ``zoo explain`` for tables, series and images: validation samples."""
    check_not_survival(model)
    data = request.data()
    return explain_samples(model, data, *examples(data), request.folder, request.method)


def default_method(model: Supervised) -> str:
    """Default method of `explain_samples` for a model."""
    methods = SAMPLE_EXPLAINERS.of(modality_of(model.spec)["kind"]).methods
    if "hires_cam" not in methods:
        return methods[0]
    return "hires_cam" if hasattr(model, "last_convolution") else "occlusion"


def _explain_images(
    model: Supervised, background: Source | Data, x: Tensor, names: pd.Index, folder: Path, method: str
) -> list[Path]:
    gap = None
    if method == "lime":
        maps = torch.stack([lime_image(model, image) for image in x])
    else:
        maps, gap = channel_maps(model, x, None, method)  # type: ignore[arg-type]
        maps = maps.sum(1)
    if gap is not None:
        gap.check()
    draw = image_figure if maps.ndim == 3 else volume_figure
    shown = _samples(model, background, x, names, method, "Influence of each pixel", gap)
    written = [save(draw(shown, maps[:SHOWN].numpy()), folder / "heat_maps.png"), folder / "heat_maps.npz"]
    arrays = {"maps": maps.numpy(), "names": names.map(str).to_numpy(dtype=str), **_sums(gap)}
    with replacing(written[1]) as path:
        np.savez_compressed(path, **arrays)
    return written


def _explain_table(
    model: Supervised, background: Source | Data, x: Tensor, names: pd.Index, folder: Path, method: str
) -> list[Path]:
    table = lime_table(model, background, x, names)
    shown = table[table["sample"].isin(names[:SHOWN])]
    titles = _titles(model, background, x[:SHOWN], names[:SHOWN])
    figure = condition_figure(shown, titles, "LIME: weight of each condition", model.target["unit"])
    written = [save(figure, folder / "conditions.png"), folder / "conditions.csv"]
    with replacing(written[1]) as path:
        write_csv(table, path, index=False, float_format="%.5g")
    return written


def _explain_series(
    model: Supervised, background: Source | Data, x: Tensor, names: pd.Index, folder: Path, method: HeatMethod
) -> list[Path]:
    modality = modality_of(model.spec)
    channels = modality["shape"][0]
    influence, gap = influence_and_gap(model, x, None, method)
    if gap is not None:
        gap.check()
    fields = maps = None
    if isinstance(model.encode, GramianAngularField):
        with evaluating(model):
            fields = model.encode(x[:SHOWN].to(model.device)).float().cpu().numpy()[:, :channels]
        if method != "occlusion":  # which hides parts of the series, not of the field
            maps, _ = channel_maps(model, x[:SHOWN], None, method)
            maps = maps if maps.shape[1] == 1 else maps.unflatten(1, (-1, channels)).sum(1)
    shown = _samples(model, background, x, names, method, "Influence of each time point", gap)
    figure = series_figure(shown, influence[:SHOWN].numpy(), modality, fields, None if maps is None else maps.numpy())
    written = [save(figure, folder / "influence.png"), folder / "influence.csv"]
    with replacing(written[1]) as path:
        write_csv(_influence_table(model, x, names, influence, gap), path, index=False, float_format="%.6g")
    return written


_MAPS = get_args(HeatMethod)
SAMPLE_EXPLAINERS["table"] = SampleExplainer(("lime",), _explain_table)
SAMPLE_EXPLAINERS["series"] = SampleExplainer(_MAPS, _explain_series)
SAMPLE_EXPLAINERS["image"] = SampleExplainer((*_MAPS, "lime"), _explain_images)


def _influence_table(model: Supervised, x: Tensor, names: pd.Index, influence: Tensor, gap: Gap | None) -> pd.DataFrame:
    """One row for each time point of each channel, without padding."""
    modality = modality_of(model.spec)
    count, channels, length = influence.shape
    rate = modality.get("sampling_rate")
    channel_names = modality.get("channels") or [str(number + 1) for number in range(channels)]
    times = np.arange(length) / rate if rate else np.arange(1, length + 1)
    table = pd.DataFrame(
        {
            "sample": np.repeat(names.to_numpy(), channels * length),
            "channel": np.tile(np.repeat(channel_names, length), count),
            "time": np.tile(times, count * channels),
            "value": x.flatten().numpy(),
            "influence": influence.flatten().numpy(),
            "class": np.repeat(_explained_names(model, x), channels * length),
            **{name: np.repeat(values, channels * length) for name, values in _sums(gap).items()},
        }
    )
    inside = torch.arange(length) < lengths(x)[:, None]
    return table[inside[:, None].expand(-1, channels, -1).flatten().numpy()]


def _sums(gap: Gap | None) -> dict[str, np.ndarray]:
    """Difference that the contributions in each sample should sum to, and its part that they do not explain."""
    return {} if gap is None else {"difference": gap.difference.numpy(), "unexplained": gap.unexplained.numpy()}


def _explained_names(model: Supervised, x: Tensor) -> np.ndarray:
    """Explained output of each sample: the positive class of two, the predicted one of more, or a continuous target."""
    outputs = output_names(model.target)
    codes = run(model, x, None)[1].argmax(1).numpy()
    names: np.ndarray = np.array(outputs, dtype=object)[codes]
    return names


def _samples(
    model: Supervised,
    background: Source | Data,
    x: Tensor,
    names: pd.Index,
    method: str,
    title: str,
    gap: Gap | None,
) -> Samples:
    outputs, unit = output_names(model.target), model.target["unit"]
    of = outputs[0] if len(outputs) == 1 else "the predicted class"
    method_name, label = MEANING[method]
    titles = _titles(model, background, x[:SHOWN], names[:SHOWN])
    title = f"{title}: {method_name}"
    if gap is not None and gap.note:
        title = fill(f"{title}; {gap.note}", WIDE)
    return Samples(x[:SHOWN].numpy(), titles, label.format(of, unit or "log-odds"), title)


def _titles(model: Supervised, background: Source | Data, x: Tensor, names: pd.Index) -> list[str]:
    """Title of each sample: name, true value if known, prediction and its probability."""
    table, target = model.prediction_frame(run(model, x, None)[1], names), model.target
    truth = pd.Series(None, index=names, dtype=object)
    if isinstance(background, Data) and target["name"] in background.samples:
        truth = background.samples[target["name"]].reindex(names)
    titles = []
    for (name, row), true in zip(table.iterrows(), truth, strict=True):
        if target["classes"]:
            predicted = f"predicted {row['prediction']} ({row['probability_' + row['prediction']]:.2f})"
        else:
            predicted = f"predicted {row['prediction']:.3g} {target['unit']}".rstrip()
        known = "" if pd.isna(true) else f"true {true}, "
        titles.append(f"{name}: {known}{predicted}")
    return titles

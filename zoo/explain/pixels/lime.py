"""LIME: a local linear approximation of a model around one sample.

Paper: Ribeiro et al. 2016, doi:10.1145/2939672.2939778; package lime, and scikit-image for superpixels.
"""

from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from ...data import Data
from ...data.base import Source
from ...errors import InputError
from ...latent.probe import evaluating
from ...models import Supervised
from ...spec import modality_of
from ..dna.attribution import _column
from ..dna.mutagenesis import log_odds
from ..explainers import check_takes
from .heat_maps import check_samples

SIDE, KERNEL = 112, 2  # pixels; images are resized for the segmentation, so the number of superpixels is similar
CONDITIONS = 10  # conditions returned for each sample


def lime_image(
    model: Supervised, image: Tensor, target: int | str | None = None, samples: int = 1000, seed: int = 0
) -> Tensor:
    """Weight of each superpixel of an image: the effect of its presence on the log-odds of a class.

    The image is segmented into superpixels by quickshift (Vedaldi and Soatto 2008, doi:10.1007/978-3-540-88693-8_52).
    Random sets of superpixels are replaced by the mean of the training images, and a linear model is fitted to the
    resulting log-odds, whose coefficients are the weights.

    Args:
        model: A model of two-dimensional images; it stays on its device.
        image: Raw image, ``shape=(channels, height, width)``.
        target: Class, by name or number. Default: the positive class of two, or the most probable of more classes.
        samples: Number of perturbed images.
        seed: Random seed of the perturbed images.

    Returns:
        float32 on the CPU, ``shape=(height, width)``: the weight of the superpixel of each pixel, in natural log-odds,
        or in the unit of a continuous target.

    Raises:
        InputError: Unknown class; not a model of two-dimensional images; a package is not installed.
    """
    check_samples("lime_image", model, image[None], "image")
    if image.ndim != 3:
        raise InputError(
            f"lime supports tables and two-dimensional images; {type(model).__name__} takes samples of shape "
            f"{tuple(image.shape)}; use occlusion"
        )
    module = _lime("lime_image")
    column, sign = _column(model, target)
    with evaluating(model):
        encoded = model.encode(image[None].to(model.device))
        whole = log_odds(model, model.network(encoded))
        chosen = int(whole.argmax()) if column is None else column
        superpixels = _superpixels(encoded[0].float().cpu())

        def predict(images: np.ndarray) -> np.ndarray:
            x = torch.from_numpy(images).movedim(-1, 1).to(encoded)
            return sign * log_odds(model, model.network(x))[:, [chosen]].float().cpu().numpy()

        with patch.object(module, "tqdm", iter):  # without a progress bar
            explanation = module.LimeImageExplainer(random_state=seed).explain_instance(
                encoded[0].movedim(0, -1).float().cpu().numpy(),
                predict,
                labels=(0,),
                top_labels=None,
                hide_color=0,
                num_samples=samples,
                batch_size=min(samples, model.rows_at_once),
                segmentation_fn=lambda _: superpixels,
            )
    weights = np.zeros(superpixels.max() + 1, dtype=np.float32)
    for number, weight in explanation.local_exp[0]:
        weights[number] = weight
    return torch.from_numpy(weights[superpixels])


def lime_table(
    model: Supervised,
    background: Source | Data,
    x: Tensor,
    names: pd.Index | None = None,
    target: int | str | None = None,
    samples: int = 5000,
    seed: int = 0,
) -> pd.DataFrame:
    """Weights of conditions on the features of a sample: their effects on the log-odds of a class.

    For each sample, rows are drawn from the distributions of the features in the training rows, independently for each
    feature. A linear model, weighted by proximity to the sample, is fitted to their log-odds. Numbers are discretised
    at the quartiles of the training rows. A missing number is replaced by the mean of the training rows, a missing
    level by an unknown one.

    Args:
        model: A model of tables; it stays on its device.
        background: Training rows, or the data module that has them; all its rows if it has no training rows.
        x: Raw rows to explain, ``shape=(samples, features)``.
        names: Names of these rows. Default: numbers from 1.
        target: Class, by name or number. Default: the positive class of two, or the most probable of more classes for
            each row.
        samples: Number of rows drawn around each sample.
        seed: Random seed of the rows.

    Returns:
        The ten conditions with the largest weights for each row, the largest first: ``sample``, ``class`` (or the name
        of a continuous target), ``feature``, ``condition``, and ``weight``, in natural log-odds, or in the unit of a
        continuous target.

    Raises:
        InputError: Unknown class; not a model of tables, or rows with other features; a package is not installed.
    """
    check_takes("lime_table", model, "table")
    modality, (column, sign) = modality_of(model.spec), _column(model, target)
    if x.ndim != 2 or x.shape[1:] != (len(modality["features"]),) or not len(x):
        raise InputError(f"rows have the shape {tuple(x.shape)}, the model takes (rows, {len(modality['features'])})")
    lime_tabular = _lime("lime_tabular")
    if isinstance(background, Data):
        trained = len(background.dataset.rows("train"))
        background = background.training_inputs() if trained else background.dataset.x
    rows = background[torch.arange(len(background))]
    features, known = modality["features"], modality.get("levels", {})
    levels = {number: [*known[name], "unknown"] for number, name in enumerate(features) if name in known}
    unknown = torch.tensor([float(len(levels[i]) - 1) if i in levels else torch.nan for i in range(len(features))])
    mean = torch.where(unknown.isnan(), rows.nanmean(0).nan_to_num(), unknown)
    ordered = [features.index(name) for name in modality.get("ordered", [])]

    def outputs(values: np.ndarray) -> Tensor:
        raw = torch.as_tensor(values, dtype=torch.float32)
        raw[:, ordered] = raw[:, ordered].masked_fill(raw[:, ordered] == unknown[ordered], torch.nan)
        parts = raw.split(model.rows_at_once)
        return torch.cat([log_odds(model, model(part.to(model.device))).float().cpu() for part in parts])

    explainer = lime_tabular.LimeTabularExplainer(
        torch.where(rows.isnan(), mean, rows).double().numpy(),
        mode="regression",  # on log-odds
        feature_names=features,
        categorical_features=list(levels),
        categorical_names=levels,
        random_state=seed,
    )
    names = pd.RangeIndex(1, len(x) + 1) if names is None else names
    output_labels = model.target["classes"] or [model.target["name"]]
    found = []
    with evaluating(model):
        for name, row in zip(names, torch.where(x.isnan(), mean, x).double().numpy(), strict=True):
            explainer.random_state.seed(seed)  # so that the result for a row does not depend on other rows
            chosen = int(outputs(row[None]).argmax()) if column is None else column

            def predict(values: np.ndarray, chosen: int = chosen) -> np.ndarray:
                return sign * outputs(values)[:, chosen].double().numpy()

            explanation = explainer.explain_instance(row, predict, num_features=CONDITIONS, num_samples=samples)
            of = output_labels[chosen] if len(output_labels) > 2 else output_labels[-1 if sign > 0 else 0]
            for (number, weight), (condition, _) in zip(explanation.local_exp[1], explanation.as_list(), strict=True):
                found.append((name, of, features[number], condition, weight))
    return pd.DataFrame(found, columns=["sample", "class", "feature", "condition", "weight"])


def _superpixels(image: Tensor) -> np.ndarray:
    """Index of the superpixel of each pixel, from 0 without gaps: ``(channels, height, width) -> (height, width)``."""
    from skimage.segmentation import quickshift

    low, high = image.amin(), image.amax()
    colours = (image if len(image) == 3 else image.mean(0, keepdim=True).expand(3, -1, -1)) - low
    scaled = F.interpolate(colours[None] / (high - low).clamp(min=1e-9), (SIDE, SIDE), mode="bilinear", antialias=True)
    found = quickshift(  # type: ignore[no-untyped-call]
        scaled[0].movedim(0, -1).double().numpy(), kernel_size=KERNEL, max_dist=200, ratio=0.2
    )
    rows, columns = ((np.arange(size) + 0.5) * SIDE / size for size in image.shape[1:])
    there = found[np.ix_(rows.astype(int), columns.astype(int))]
    numbers: np.ndarray = np.unique(there, return_inverse=True)[1].reshape(there.shape)
    return numbers


def _lime(module: str) -> Any:
    """Import a module of the package lime."""
    from importlib import import_module

    try:
        import_module("skimage.segmentation")
        return import_module(f"lime.{module}")
    except ImportError:
        raise InputError(
            "LIME needs the packages lime and scikit-image, which are not installed: pip install 'biozoo[lime]'"
        ) from None

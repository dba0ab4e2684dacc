"""Losses and metrics of segmentation.

Shapes: ``output`` is ``(batch, 1, *spatial)`` for two classes (log-odds of the foreground), else ``(batch, classes,
*spatial)``; masks are ``(batch, *spatial)``, integer class codes with 0 for the background. A loss is one value per
image, ``(batch,)``, in float32 whatever the precision of the network.
"""

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def dice(output: Tensor, y: Tensor) -> Tensor:
    """Soft Dice loss: 1 - Dice of the probabilities, mean over foreground classes (Milletari 2016, arXiv:1606.04797).

    Numerator and denominator are smoothed by one pixel, so that a class that is absent from an image has a loss too,
    which decreases with its probabilities.
    """
    output = output.float()
    p = output.sigmoid() if output.shape[1] == 1 else output.softmax(1)[:, 1:]
    truth = one_hot(y, p.shape[1] + 1)[:, 1:].float()
    both, sizes = (p * truth).flatten(2).sum(2), (p + truth).flatten(2).sum(2)
    return 1 - ((2 * both + 1) / (sizes + 1)).mean(1)


def cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    """Mean over pixels of the cross-entropy of a logistic unit, or of a softmax over the classes."""
    return _entropy(output, y).flatten(1).mean(1)


def focal(output: Tensor, y: Tensor) -> Tensor:
    """Focal loss: mean over pixels of cross-entropy * (1 - p)^2, p of the true class (Lin 2017, arXiv:1708.02002)."""
    entropy = _entropy(output, y)
    return ((1 - torch.exp(-entropy)).square() * entropy).flatten(1).mean(1)


def dice_cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    """`dice` + `cross_entropy`: overlap of whole regions, and smooth gradients at every pixel."""
    return dice(output, y) + cross_entropy(output, y)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {  # the first is the default
    "dice_cross_entropy": dice_cross_entropy,
    "dice": dice,
    "cross_entropy": cross_entropy,
    "focal": focal,
}


def _entropy(output: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of each pixel, ``(batch, *spatial)``."""
    output = output.float()
    if output.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(output.squeeze(1), y.float(), reduction="none")
    # torch.nn.functional.cross_entropy is not deterministic for maps on a GPU.
    return -(output.log_softmax(1) * one_hot(y, output.shape[1])).sum(1)


def one_hot(mask: Tensor, classes: int) -> Tensor:
    """One-hot masks: ``(batch, *spatial) -> (batch, classes, *spatial)``, boolean."""
    codes = torch.arange(classes, device=mask.device).view(-1, *[1] * (mask.ndim - 1))
    return mask.unsqueeze(1) == codes


def dice_of_masks(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Dice of predicted masks, computed on their device; the metric that is logged during training.

    Args:
        prediction: Predicted masks, ``shape=(batch, *spatial)``.
        truth: True masks of the same shape.
        classes: Number of classes, including the background.

    Returns:
        ``shape=(batch, classes - 1)``: a column for each foreground class; NaN where the class is absent in the truth.
    """
    predicted, true = (one_hot(mask, classes)[:, 1:].flatten(2) for mask in (prediction, truth))
    size = true.sum(2)
    return (2 * (predicted & true).sum(2) / (predicted.sum(2) + size)).where(size > 0, torch.nan)


def scores_of_masks(prediction: Tensor, truth: Tensor, classes: int) -> dict[str, Tensor]:
    """All metrics of masks, from MONAI (Cardoso et al. 2022, arXiv:2211.02701).

    Args:
        prediction: Predicted masks, ``shape=(batch, *spatial)``.
        truth: True masks of the same shape.
        classes: Number of classes, including the background.

    Returns:
        By name, ``shape=(batch, classes - 1)``, a column for each foreground class:

        - dice, iou, sensitivity: NaN where the class is absent in the truth.
        - specificity: share of the pixels outside the class that are predicted as outside; NaN only if there are none.
        - surface_distance: average symmetric surface distance in pixels: the mean distance of the edge pixels of each
          mask to the nearest edge pixel of the other. NaN where the class is absent in the truth or in the prediction;
          in the latter case the Dice is 0.
    """
    from monai.metrics.confusion_matrix import compute_confusion_matrix_metric, get_confusion_matrix
    from monai.metrics.meandice import compute_dice
    from monai.metrics.meaniou import compute_iou
    from monai.metrics.surface_distance import compute_average_surface_distance

    predicted, true = (one_hot(mask.cpu(), classes).float() for mask in (prediction, truth))
    counts = get_confusion_matrix(predicted, true, include_background=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about absent classes
        distance = compute_average_surface_distance(predicted, true, symmetric=True)
    return {
        "dice": compute_dice(predicted, true, include_background=False),
        "iou": compute_iou(predicted, true, include_background=False),
        "sensitivity": compute_confusion_matrix_metric("sensitivity", counts),
        "specificity": compute_confusion_matrix_metric("specificity", counts),
        "surface_distance": distance.where(distance.isfinite(), torch.nan),
    }

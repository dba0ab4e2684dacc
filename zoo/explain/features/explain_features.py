"""Output of ``zoo explain`` for models of expression and of several modalities."""

from pathlib import Path
from textwrap import fill

import pandas as pd

from ...data import Data
from ...encode.joint import JointEncoder
from ...errors import check_choice
from ...figure import Figure, save
from ...files import replacing
from ...models import Supervised
from ...report.style import new_figure
from ...spec import modality_of
from ...tables.writing import write_csv
from ...training.tasks import task_of
from ..explainers import EXPLAINERS, Request
from .attribution import Method, feature_importance
from .modality_weights import modality_weights, plot_modality_weights

SHOWN = 25  # features in the figure
WIDE = 80  # characters in a line of the title
BLUE = "#0072B2"


def explain_features(model: Supervised, data: Data, folder: Path, method: str | None = None) -> list[Path]:
    """Write the importance of features and, for several modalities, of the modalities.

    The files are ``features.csv`` and ``features.png`` (see `feature_importance`; training samples), ``modalities.csv``
    and ``modalities.png`` (see `modality_weights`; validation samples). For data other than those of the training, all
    samples are used. Titles state if contributions fail the completeness check. The results hold for one trained model;
    `feature_stability` shows which features are found repeatedly.

    Args:
        model: A trained model of expression, or of several modalities.
        data: Its data.
        folder: Output folder, created if it does not exist.
        method: ``integrated_gradients`` (the default) or ``gradient_shap``.

    Returns:
        Paths of the files.

    Raises:
        InputError: Unknown method, or contributions fail the completeness check.
    """
    method = method or "integrated_gradients"
    check_choice(f"method for {modality_of(model.spec)['kind']}", method, Method.__args__)  # type: ignore[attr-defined]
    fitted, tuned = ("train", "validation") if len(data.dataset.rows("train")) else ("test", "test")
    table = feature_importance(model, data, fitted, method, by_class=bool(model.target["classes"]))  # type: ignore[arg-type]
    rows = fitted.replace("train", "training")
    title = f"{type(model).__name__}: the {min(SHOWN, len(table))} most important features, {rows} samples"
    target = model.target
    unit = task_of(target).effect_unit(target)
    written = _write(table, plot_importance(table, title, unit), folder, "features")
    if isinstance(model.encode, JointEncoder):
        weights = modality_weights(model, data, tuned)  # type: ignore[arg-type]
        written += _write(weights.reset_index(), plot_modality_weights(weights), folder, "modalities")
    return written


@EXPLAINERS.add("expression", "joint")
def explain_request(model: Supervised, request: Request) -> list[Path]:
    """Explainer of ``zoo explain`` for expression and several modalities."""
    return explain_features(model, request.data(), request.folder, request.method)


def plot_importance(table: pd.DataFrame, title: str, unit: str) -> Figure:
    """Bar plot of the 25 most important features of `feature_importance`, the most important on top."""
    shown = table.head(SHOWN)[::-1]
    if note := table.attrs.get("note"):
        title = fill(f"{title}; {note}", WIDE)
    label = f"mean absolute contribution [{unit}]" if unit else "mean absolute contribution"
    figure, axes = new_figure(title, label, "", (6.4, 1.4 + 0.2 * len(shown)))
    axes.barh(range(len(shown)), shown["importance"], color=BLUE, height=0.7)
    axes.set_yticks(range(len(shown)), [str(name)[:40] for name in shown["feature"]], fontsize=8)
    return figure


def _write(table: pd.DataFrame, figure: Figure, folder: Path, stem: str) -> list[Path]:

    with replacing(folder / f"{stem}.csv") as path:
        write_csv(table, path, index=False, float_format="%.5g")
    return [folder / f"{stem}.csv", save(figure, folder / f"{stem}.png")]

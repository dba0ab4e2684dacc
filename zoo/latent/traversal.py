"""Walks through latent space, decoded: what does a unit stand for, what changes between two groups?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData

from ..data import Data
from ..errors import InputError, check_range, suggest
from ..models import Model
from .colours import Figure
from .decoding import Decoded, check_decoder, decode
from .embedding import embed
from .projection import training_rows, values

MOST = 6  # units drawn
Source: TypeAlias = Data | pd.DataFrame | AnnData


@dataclass
class Walk:
    """Places on a straight line in latent space, and what they decode to.

    Attributes:
        title: What is walked along, such as ``"unit 3"``; empty, if there is but one way.
        labels: Name of each place.
        decoded: One entry for each place.
    """

    title: str
    labels: list[str]
    decoded: Decoded

    @property
    def change(self) -> np.ndarray:
        """Largest difference of each number along the walk, positive if it ends higher: ``(numbers,)``."""
        flat = self.decoded.encoded.reshape(len(self.labels), -1)
        return np.asarray(np.ptp(flat, axis=0) * np.where(flat[-1] < flat[0], -1, 1))

    def table(self) -> pd.DataFrame:
        """One row a number, those that change most first."""
        flat = self.decoded.natural.reshape(len(self.labels), -1)
        table = pd.DataFrame(flat.T, pd.Index(self.decoded.names, name="feature"), self.labels)
        table.insert(0, "change", self.change)
        table.insert(1, "measured_in", self.decoded.units)
        return table.iloc[np.argsort(-np.abs(self.change), kind="stable")]


def traverse(
    model: Model,
    data: Source,
    unit: int | Sequence[int] | None = None,
    steps: int = 7,
    span: float = 2.0,
    sample: str | None = None,
    covariates: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """What the decoder makes of each unit of the latent space as it goes from low to high.

    Args:
        model: With a decoder.
        data: What the model was trained on, or its embedding by `embed`: mean and standard deviation of each unit are
            those of the training samples.
        unit: One or more units, counted from 0. Default: all.
        steps: Places on the way.
        span: How far to go from the mean of the unit to either side, in its standard deviations.
        sample: Name of a sample where the other units stay. Default: at their means.
        covariates: What the decoder is told, such as ``{"batch": "b1"}``; those not named are the commonest level of a
            category, the mean of a number.

    Returns:
        One row for each number that is decoded, by unit, those that change most first: ``change``, its largest
        difference along the way in standard units of the training samples (of categories and bases: in probability),
        negative if it falls; ``measured_in``; and its value at each place in that unit.

    Raises:
        InputError: The model has no decoder; no such unit, sample or covariate; a value that is not finite.
    """
    walks = _traversal(model, data, unit, steps, span, sample, covariates)
    return pd.concat({walk.title: walk.table() for walk in walks}, names=["unit"])


def plot_traversal(
    model: Model, data: Source, unit: int | Sequence[int] | None = None, sample: str | None = None, **options: Any
) -> Figure:
    """Draw what `traverse` finds.

    Of tables and expression the ten features that change most, of images and volumes (their middle slice) the pictures
    and where they change, of series the lines.

    Args:
        model: As in `traverse`.
        data: As in `traverse`.
        unit: As in `traverse`. Default: the six units that change most.
        sample: As in `traverse`.
        **options: Other arguments of `traverse`.

    Returns:
        A matplotlib figure.

    Raises:
        InputError: As in `traverse`.
    """
    from .walk_figures import figure

    walks = _traversal(model, data, unit, sample=sample, **options)
    title = f"Decoded along each unit of the latent space of {type(model).__name__}"
    if unit is None and len(walks) > MOST:
        title += f": the {MOST} of {len(walks)} that change most"
        strength = [float(np.square(walk.change).sum()) for walk in walks]
        walks = [walks[number] for number in np.sort(np.argsort(strength)[-MOST:])]
    where = f"the other units as in sample {sample}" if sample else "the other units at their means"
    return figure(walks, title, f"standard deviations from the mean of the unit, {where}")


def path(
    model: Model,
    data: Source,
    start: str,
    end: str,
    column: str | None = "target",
    steps: int = 9,
    covariates: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """What the decoder makes of the straight way in latent space from one group of samples to another.

    Args:
        model: With a decoder.
        data: What the model was trained on, or its embedding by `embed`.
        start: A group: the way begins at the mean of its training samples.
        end: The group where it ends.
        column: Column of ``obs`` that has the groups. None: ``start`` and ``end`` are names of samples.
        steps: Places on the way, both ends included.
        covariates: What the decoder is told, such as ``{"batch": "b1"}``; those not named are the commonest level of a
            category, the mean of a number.

    Returns:
        One row for each number that is decoded, those that change most first: ``change``, its largest difference along
        the way in standard units of the training samples (of categories and bases: in probability), negative if it
        falls; ``measured_in``; and its value at each place in that unit.

    Raises:
        InputError: The model has no decoder; no such column, group, sample or covariate; a value that is not finite.
    """
    return _between(model, data, start, end, column, steps, covariates).table()


def plot_path(model: Model, data: Source, start: str, end: str, **options: Any) -> Figure:
    """Draw what `path` finds, as `plot_traversal` does.

    Args:
        model: As in `path`.
        data: As in `path`.
        start: As in `path`.
        end: As in `path`.
        **options: Other arguments of `path`.

    Returns:
        A matplotlib figure.

    Raises:
        InputError: As in `path`.
    """
    from .walk_figures import figure

    walk = _between(model, data, start, end, **options)
    return figure([walk], f"Decoded by {type(model).__name__}, from {start} to {end}", f"way from {start} to {end}")


def _embedding(model: Model, data: Source) -> AnnData:
    adata = data if isinstance(data, AnnData) and "layer" in data.uns else embed(model, data)
    check_decoder(model, adata.n_vars, adata.uns["layer"])
    return adata


def _traversal(
    model: Model,
    data: Source,
    unit: int | Sequence[int] | None,
    steps: int = 7,
    span: float = 2.0,
    sample: str | None = None,
    covariates: dict[str, Any] | None = None,
) -> list[Walk]:
    check_range("steps", steps, 2)
    check_range("span", span, 1e-6)
    adata = _embedding(model, data)
    x = values(adata)
    seen = x[training_rows(adata)]
    base, spread = (x[_place(adata, sample)] if sample else seen.mean(0)), seen.std(0)
    units = range(adata.n_vars) if unit is None else [unit] if isinstance(unit, int | np.integer) else unit
    shifts = np.linspace(-span, span, steps)
    walks = []
    for number in units:
        check_range("unit", number, 0, adata.n_vars - 1)
        z = np.tile(base, (steps, 1))
        z[:, number] = seen[:, number].mean() + shifts * spread[number]
        labels = [f"{shift:.3g} sd" for shift in shifts.round(9) + 0.0]
        walks.append(Walk(f"unit {number}", labels, decode(model, z, covariates)))
    return walks


def _between(
    model: Model,
    data: Source,
    start: str,
    end: str,
    column: str | None = "target",
    steps: int = 9,
    covariates: dict[str, Any] | None = None,
) -> Walk:
    check_range("steps", steps, 2)
    if start == end:
        raise InputError(f"the way from {start!r} to itself has no length; name two groups, or two samples")
    adata = _embedding(model, data)
    ends = [_centre(adata, name, column) for name in (start, end)]
    shares = np.linspace(0, 1, steps)
    z = ends[0] + shares[:, None] * (ends[1] - ends[0])
    labels = [start, *(f"{100 * share:.3g}%" for share in shares[1:-1]), end]
    return Walk("", labels, decode(model, z, covariates))


def _centre(adata: AnnData, name: str, column: str | None) -> np.ndarray:
    """Mean of the training samples of a group, or a sample: ``(units,)``."""
    x = values(adata)
    if column is None:
        return np.asarray(x[_place(adata, name)])
    if column not in adata.obs:
        raise InputError(f"there is no column {column!r} in the sample table; {suggest(column, adata.obs.columns)}")
    groups = adata.obs[column].astype(str)
    rows = (groups == str(name)).to_numpy() & training_rows(adata)
    if not rows.any():
        known = groups[training_rows(adata)].unique()
        raise InputError(f"no training sample has {column} {name!r}; {suggest(str(name), known)}")
    return np.asarray(x[rows].mean(0))


def _place(adata: AnnData, name: str) -> int:
    if name not in adata.obs_names:
        raise InputError(f"no sample {name!r}; {suggest(name, adata.obs_names)}")
    return int(np.flatnonzero(adata.obs_names == name)[0])

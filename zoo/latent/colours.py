"""Colours and legend entries for the columns of the sample table."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib import colormaps
from matplotlib.colors import Normalize, to_hex, to_rgba_array
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.lines import Line2D

from ..errors import InputError, suggest
from ..figure import Figure as Figure
from ..tables.values import as_text

# Okabe and Ito (2008), https://jfly.uni-koeln.de/color/: safe for colour-blind readers; strongest contrasts first.
OKABE_ITO = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442", "#000000"]
GREYS_OF_TAB20 = (14, 15)  # left out, because grey stands for missing or other
MORE = [
    to_hex(colormaps["tab20"](number))
    for number in [*range(0, 20, 2), *range(1, 20, 2)]  # the pale ones last
    if number not in GREYS_OF_TAB20
]
GREY = "#B3B3B3"
MISSING, OTHER, NOISE = "missing", "other", "noise"
MARKERS = {"train": "o", "validation": "^", "test": "D"}


@dataclass
class Colours:
    """Colours of the samples by one column.

    Attributes:
        title: Title of the legend or the colour bar.
        content: Numbers (NaN where missing), or category labels, ``shape=(samples,)``.
        palette: Colour of each label, in the order of the legend; None for numbers.
    """

    title: str
    content: np.ndarray
    palette: dict[str, str] | None

    def scale(self) -> Normalize:
        """Range of the numbers."""
        known = self.content[np.isfinite(self.content)]
        return Normalize(*((known.min(), known.max()) if len(known) else (0, 1)))

    def rgba(self) -> np.ndarray:
        """Colour of each sample, ``shape=(samples, 4)``."""
        if self.palette is not None:
            return to_rgba_array([self.palette[label] for label in self.content])
        colours = colormaps["viridis"](self.scale()(self.content).filled(0))
        colours[~np.isfinite(self.content)] = to_rgba_array(GREY)
        return np.asarray(colours)


def colours(adata: AnnData, column: str | None = None, skip: int = 0) -> Colours:
    """A column of ``obs`` as colours.

    Up to 8 categories have the palette of Okabe and Ito, up to 18 a palette from tab20; beyond that the rarest are
    grey. Numbers have viridis, unless there are only one or two distinct values, which are treated as categories
    (1 = male, 2 = female).

    Args:
        adata: From `embed`.
        column: A column of ``obs``. Default: the target, or a single colour if there is none.
        skip: Number of colours reserved for another column of the same figure.

    Raises:
        InputError: Unknown column.
    """
    if column is None and not has_target(adata):
        return Colours("", np.full(adata.n_obs, ""), {"": OKABE_ITO[0]})
    column = column or "target"
    if column not in adata.obs:
        hint = "call cluster(adata) first" if column == "cluster" else suggest(column, adata.obs.columns)
        raise InputError(f"there is no column {column!r} in the sample table to colour by; {hint}")
    values, title = adata.obs[column], _title(adata, column)
    if column == "cluster" and isinstance(getattr(adata.obs.get("target"), "dtype", None), pd.CategoricalDtype):
        # The colours that the clusters have in a heat map, where they stand beside the target.
        skip = skip or len(adata.obs["target"].cat.categories) % len(MORE)
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and values.nunique() > 2:
        numbers = values.to_numpy(float, na_value=np.nan)
        return Colours(title, np.where(np.isfinite(numbers), numbers, np.nan), None)
    categorical = isinstance(values.dtype, pd.CategoricalDtype)
    text = as_text(values.astype(object) if categorical else values).astype(object)
    counts = text.value_counts()
    levels = (
        [level for level in values.cat.categories.astype(str) if level in counts]
        if categorical
        else sorted(counts.index)
    )
    if len(levels) > len(MORE):
        common = set(counts.index[: len(MORE)])
        text = text.where(text.isin(common) | text.isna(), OTHER)
        levels = [level for level in levels if level in common]
    wheel = OKABE_ITO[skip:] if len(levels) <= len(OKABE_ITO) - skip else MORE[skip:] + MORE[:skip]
    palette = dict(zip(levels, wheel, strict=False))
    for level, occurs in ((OTHER, (text == OTHER).any()), (NOISE, NOISE in palette), (MISSING, text.isna().any())):
        if occurs:
            palette[level] = GREY
    return Colours(title, text.fillna(MISSING).to_numpy(str), palette)


def has_target(adata: AnnData) -> bool:
    """Whether the target of any sample is known."""
    return "target" in adata.obs and bool(adata.obs["target"].notna().any())


def _title(adata: AnnData, column: str) -> str:
    target = adata.uns.get("target", {})
    if column in ("target", "prediction") and "name" in target:
        unit = f" [{target['unit']}]" if target["unit"] else ""
        return f"{target['name']}{unit}" + (", predicted" if column == "prediction" else "")
    if column == "cluster" and "cluster" in adata.uns:
        return f"cluster ({adata.uns['cluster']['method']})"
    unit = adata.uns.get("units", {}).get(column)
    return f"{column} [{unit}]" if unit else column


def splits(adata: AnnData) -> dict[str, np.ndarray]:
    """Positions of the samples of each split, training first; ``""`` holds samples of mixed other or unknown splits."""
    if "split" not in adata.obs:
        return {"": np.arange(adata.n_obs)}
    split = adata.obs["split"].astype(str).to_numpy()
    found = {name: np.flatnonzero(split == name) for name in MARKERS}
    others = ~np.isin(split, list(MARKERS))
    named = set(split[others])
    found[named.pop() if len(named) == 1 and "nan" not in named else ""] = np.flatnonzero(others)
    return {name: rows for name, rows in found.items() if len(rows)}


def legend(figure: MatplotlibFigure, *sections: tuple[str, list[Line2D]]) -> None:
    """One legend to the right of all axes, with a heading for each section; empty sections are left out."""
    handles: list[Line2D] = []
    headings = []
    for title, lines in sections:
        if lines:
            if handles:
                handles.append(Line2D([], [], linestyle="none", label=" "))
            headings.append(len(handles))
            handles += [Line2D([], [], linestyle="none", label=title), *lines]
    if handles:
        drawn = figure.legend(
            handles=handles, loc="outside right upper", frameon=False, fontsize=9, handletextpad=0.3, handlelength=1.2
        )
        for number in headings:
            drawn.get_texts()[number].set_fontweight("bold")


def entry(label: str, colour: str, marker: str) -> Line2D:
    """One entry of a legend."""
    return Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=6, label=label)


def entries(found: Colours, marker: str = "o") -> list[Line2D]:
    """Legend entries of the categories; numbers have a colour bar, and an entry only for missing values."""
    palette = found.palette
    if palette is None:
        palette = {MISSING: GREY} if np.isnan(found.content).any() else {}
    return [entry(label, colour, marker) for label, colour in palette.items() if label]

"""Tables: imputation and standardisation of numbers and ranks, one-hot encoding of categories."""

import logging
from collections import Counter
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..errors import InputError, check_choice, suggest
from ..spec import DateColumn, Modality
from ..tables import dates
from ..tables.contract import Seen
from ..tables.numbers import is_number, missing_word
from ..tables.values import as_text, level_codes, numbers
from .base import Encoder
from .kinds import CARDS, READERS, WRITERS, InputLines, layer

log = logging.getLogger("zoo")


def check_features(frame: pd.DataFrame, features: list[str], source: str) -> None:
    """Raise an `InputError` that names the first missing feature and the column with the most similar name."""
    if absent := [name for name in features if name not in frame.columns]:
        raise InputError(
            f"{source} lacks {len(absent)} of {len(features)} features, first {absent[0]!r}; "
            f"{suggest(absent[0], map(str, frame.columns))}; needed: {', '.join(features[:12])}"
            f"{', ...' if len(features) > 12 else ''}"
        )


@READERS.add("table")
def table_to_tensor(frame: pd.DataFrame, modality: Modality, source: str = "the table") -> Tensor:
    """Raw values of a table, with columns matched by name in any order.

    Args:
        frame: One sample per row; additional columns are ignored. The types of columns do not matter: ``1``, ``1.0``
            and ``"1"`` are the same value (see `zoo.tables.values`).
        modality: Names, levels, dates and codes of missing values.
        source: Name of the table in errors.

    Returns:
        float32, ``shape=(samples, features)``. Numbers as measured, NaN where missing; dates as days since ``origin``.
        A category is the index of its level; an unknown level is ``len(levels)``, or NaN if the levels are ordered.

    Raises:
        InputError: A column is missing, a value is not a number or infinite, or all values of a column lie far outside
            those of the training data (see `Seen`).
    """
    values = raw_values(frame, modality, source)
    if "ranges" in modality:
        seen = Seen(modality)
        seen.add(frame, values)
        seen.report(source)
    return torch.from_numpy(values)


def raw_values(frame: pd.DataFrame, modality: Modality, source: str) -> np.ndarray:
    """As `table_to_tensor`, as an array and without a comparison with the training data."""
    features, levels = modality["features"], modality.get("levels", {})
    missing, times = modality.get("missing_values", {}), modality.get("dates", {})
    check_features(frame, features, source)
    place = {name: number for number, name in enumerate(features)}
    numeric = [name for name in features if name not in levels and name not in times]
    values = np.empty((len(frame), len(features)), dtype=np.float32)
    values[:, [place[name] for name in numeric]] = numbers(frame[numeric], source, missing)
    for name, known in levels.items():
        codes, unknown = level_codes(frame[name], known, missing.get(name, ()))
        if len(unknown):
            log.warning(
                "%s: level %r of %s is not in the training data; rows with unknown levels: %d",
                source,
                unknown.iloc[0],
                name,
                len(unknown),
            )
        codes[codes == len(known)] = np.nan if name in modality.get("ordered", []) else len(known)
        values[:, place[name]] = codes
    for name, how in times.items():
        values[:, place[name]] = days_since(frame[name], how, source)
    for name, words in missing.items():
        codes_of_missing = [float(word) for word in words if not isinstance(word, str) or is_number(word)]
        if name in place and name not in levels and codes_of_missing:
            column = values[:, place[name]]
            column[np.isin(column, np.asarray(codes_of_missing, dtype=np.float32))] = np.nan
    return values


def days_since(column: pd.Series, how: DateColumn, source: str) -> np.ndarray:
    """Days since the origin of a column of dates, float64.

    Text is read in the format of the training data, else as ISO 8601, else in the only format that fits all its dates.

    Raises:
        InputError: A text is no date of any of these formats, or several formats fit.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        days: np.ndarray = dates.days(column)
    else:
        text = as_text(column)
        text = text.mask(text.isin([word for word in text.dropna().unique() if missing_word(word)]))
        days = dates.days(text, how["format"])
        if (bad := np.isnan(days) & text.notna().to_numpy()).any():
            days = np.where(bad, dates.days(text, "%Y-%m-%d"), days)
            bad &= np.isnan(days)
        if bad.any():
            row, form = int(bad.argmax()), how["format"] or "%Y-%m-%d"
            others = dates.formats(text.dropna())
            if len(others) != 1:
                several = f"; {' or '.join(others)} fit: write dates as {form}" if others else ""
                raise InputError(
                    f"{source}: column {column.name!r}, row {text.index[row]}: {text.iloc[row]!r} is no date of the "
                    f"format {form}{several}"
                )
            log.info("%s: dates of column %r are read as %s, not %s", source, column.name, others[0], form)
            days = dates.days(text, others[0])
    since: np.ndarray = days - dates.days(pd.Series([how["origin"]]), "%Y-%m-%d")[0]
    return since


@WRITERS.add("table")
def table_frame(raw: Tensor, modality: Modality, index: pd.Index | None) -> pd.DataFrame:
    """Raw values as a table without covariates, with the names of levels."""
    features, conditions = modality["features"], set(modality.get("covariates", []))
    at = [number for number, name in enumerate(features) if name not in conditions]
    table = pd.DataFrame(raw.detach().cpu().numpy()[:, at], index, [features[number] for number in at])
    levels = modality.get("levels", {})
    named = {name: _named(table[name].to_numpy(), levels[name]) for name in table if name in levels}
    return table.assign(**named) if named else table


def _named(codes: np.ndarray, levels: list[str]) -> np.ndarray:
    names = np.array([*levels, None], dtype=object)
    result: np.ndarray = names[np.where(np.isnan(codes), len(levels), codes).clip(0, len(levels)).astype(int)]
    return result


@CARDS.add("table")
def table_card(modality: Modality, names: list[str]) -> InputLines:
    """Inputs of a model of tables, for its card."""
    columns = ", ".join(f"`{name}`" for name in names)
    return InputLines(
        "tabular",
        "model.predict(table)  # a raw pandas table; columns are matched by name",
        f"Inputs, in any order: {columns}.",
    )


@layer("table", "standardised", default=True)
class TableEncoder(Encoder):
    """Encodes a table by mean imputation, standardisation and one-hot columns, with statistics of the training rows.

    Numbers and ranks are standardised, ``(x - mean) / standard deviation``; missing values are set to 0, the training
    mean. A category has one column per level and one for 'unknown', which stands for missing values and for levels that
    are not in the training data. Covariates are the last columns.

    Args:
        modality: Features, levels of categorical features, and names of covariates.
        categories: ``"one-hot"``: a column for each level. ``"full-rank"``: no column for the first level, so that the
            columns of a category do not sum to one (for linear models with interpretable coefficients).
        missing_indicator: Add a column for each number with missing values in training rows, 1 where it is missing.

    Attributes:
        out_shape: Width of the output.
        feature_names: Names of the output columns, such as ``"sex=female"``.
        levels_of: First output column and number of columns of each category, without covariates.

    Shape:
        ``(batch, features) -> (batch, out_features)``

    Example:
        >>> layer = TableEncoder({"kind": "table", "shape": [1], "features": ["age"]})
        >>> layer.fit(torch.tensor([[20.0], [40.0], [float("nan")]]))
        >>> layer(torch.tensor([[40.0], [float("nan")]]))
        tensor([[1.],
                [0.]])
    """

    mean: Tensor
    scale: Tensor
    numeric: Tensor
    flagged: Tensor
    source: Tensor
    level: Tensor
    unknown: Tensor
    order: Tensor
    of: Tensor

    def __init__(
        self,
        modality: Modality,
        categories: Literal["one-hot", "full-rank"] = "one-hot",
        missing_indicator: bool = False,
    ) -> None:
        super().__init__()
        check_choice("categories", categories, ("one-hot", "full-rank"))
        self.modality, self.missing_indicator, self.full_rank = modality, missing_indicator, categories == "full-rank"
        features, levels = modality["features"], modality.get("levels", {})
        ordered = set(modality.get("ordered", []))
        nominal = {name: known for name, known in levels.items() if name not in ordered}
        place = {name: number for number, name in enumerate(features)}
        numeric = [name for name in features if name not in nominal]
        columns = [
            (place[name], code, known)
            for name, known in nominal.items()
            for code in range(1 if categories == "full-rank" else 0, len(known) + 1)
        ]
        incomplete = set(modality.get("incomplete", numeric)) if missing_indicator else set()
        flagged = [name for name in numeric if name in incomplete]
        self.feature_names = numeric + [f"{name} missing" for name in flagged]
        self.feature_names += [f"{features[i]}={[*known, 'unknown'][code]}" for i, code, known in columns]
        self.out_shape = (len(self.feature_names),)
        of = [place[name] for name in (*numeric, *flagged)] + [i for i, _, _ in columns]
        given = set(modality.get("covariates", []))
        conditions = [features[i] in given for i in of]
        order = sorted(range(len(of)), key=conditions.__getitem__)  # a stable sort: covariates last
        self.covariates = sum(conditions)
        self.feature_names = [self.feature_names[i] for i in order]
        self.register_buffer("order", torch.tensor(order, dtype=torch.long), False)
        self.register_buffer("of", torch.tensor(of, dtype=torch.long)[order], False)
        content = [of[i] for i in order[: len(order) - self.covariates]]
        nominal_at = {place[name] for name in nominal}
        first: dict[int, int] = {}
        for position, i in enumerate(content):
            first.setdefault(i, position)
        counts = Counter(content)
        self.levels_of = {position: counts[i] for i, position in first.items() if i in nominal_at}
        # Not saved, since they follow from the modality.
        self.register_buffer("numeric", torch.tensor([place[n] for n in numeric], dtype=torch.long), False)
        self.register_buffer("flagged", torch.tensor([place[n] for n in flagged], dtype=torch.long), False)
        self.register_buffer("source", torch.tensor([i for i, _, _ in columns], dtype=torch.long), False)
        self.register_buffer("level", torch.tensor([float(code) for _, code, _ in columns]), False)
        self.register_buffer("unknown", torch.tensor([float(len(known)) for _, _, known in columns]), False)
        self.register_buffer("mean", torch.zeros(len(numeric)))
        self.register_buffer("scale", torch.ones(len(numeric)))
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, x: Tensor) -> None:
        """Fit mean and standard deviation to raw training rows, ``shape=(samples, features)``.

        The scale of a column that is constant or missing throughout is 1.
        """
        values = x[:, self.numeric.to(x.device)].double()
        mean = values.nanmean(0).nan_to_num(0.0)
        scale = (values - mean).square().nanmean(0).sqrt().nan_to_num(0.0)
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(scale > 1e-12 * mean.abs().clamp(min=1e-30), scale, 1.0))
        self.fitted.fill_(True)

    def example(self, rows: int, seed: int = 0) -> Tensor:
        """Simulated raw values, a few of them missing: ``shape=(rows, features)``."""
        generator = torch.Generator().manual_seed(seed)
        x = torch.empty(rows, len(self.numeric) + len(self.source.unique()))
        x[:, self.numeric] = self.mean.cpu() + self.scale.cpu() * torch.randn(
            rows, len(self.numeric), generator=generator
        )
        for column in self.source.unique():
            unknown = int(self.unknown[self.source == column][0])
            x[:, column] = torch.randint(unknown + 1, (rows,), generator=generator).float()
        x[torch.rand(x.shape, generator=generator) < 0.1] = torch.nan
        return x

    def scores(self, numeric: Tensor) -> Tensor:
        """Standardised numbers, NaN where missing: ``(batch, numbers) -> (batch, numbers)``."""
        return (numeric - self.mean) / self.scale

    def forward(self, x: Tensor) -> Tensor:
        """Encode raw values: ``(batch, features) -> (batch, out_features)``."""
        numeric = x[:, self.numeric] if len(self.source) else x
        parts = [self.scores(numeric).nan_to_num(0.0)]
        if len(self.flagged):
            parts.append(x[:, self.flagged].isnan().to(x.dtype))
        if len(self.source):
            codes = x[:, self.source]
            parts.append((torch.where(codes.isnan(), self.unknown, codes) == self.level).to(x.dtype))
        encoded = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
        return encoded[:, self.order] if self.covariates else encoded

    def feature_numbers(self) -> Tensor:
        """As in `Encoder`: ``(out_features,)``."""
        return self.of.cpu()

    def observed(self, x: Tensor) -> Tensor | None:
        """Mask of measured values, ``(batch, features) -> (batch, content)``; None if all were measured."""
        missing = x.isnan()
        return ~missing[:, self.of[: len(self.of) - self.covariates]] if missing.any() else None

    def inverse(self, encoded: Tensor) -> Tensor:
        """Numbers in their units, rounded ranks, the most probable level of each category; covariates are NaN.

        ``(batch, content) -> (batch, features)``
        """
        if self.missing_indicator or self.full_rank:
            raise InputError(
                "missing_indicator and full-rank categories are not invertible: leave them out of encoding"
            )
        names, at = self.modality["features"], self.of[: encoded.shape[1]]
        raw = encoded.new_full((len(encoded), len(names)), torch.nan)
        place = {int(feature): number for number, feature in enumerate(self.numeric.tolist())}
        columns = [column for column, feature in enumerate(at.tolist()) if feature in place]
        where = [place[feature] for feature in at[columns].tolist()]
        raw[:, at[columns]] = encoded[:, columns] * self.scale[where] + self.mean[where]
        for name, levels in self.modality.get("levels", {}).items():
            if name in self.modality.get("ordered", []):
                feature = names.index(name)
                raw[:, feature] = raw[:, feature].round().clamp(0, len(levels) - 1)
        for start, count in self.levels_of.items():
            # The last column, 'unknown', is excluded.
            raw[:, at[start]] = encoded[:, start : start + count - 1].argmax(1).to(raw.dtype)
        return raw

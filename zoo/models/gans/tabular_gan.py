"""Generative adversarial network of tables: synthetic rows with numbers, categories and missing values."""

from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...encode import encoder, from_tensor
from ...encode.quantile import QuantileEncoder, interpolate
from ...encode.table import TableEncoder
from ...errors import InputError, check_range, suggest
from ...spec import Modality, modality_of
from ...tables import dates
from ..base import Batch
from ..layers import dense_layers
from .generative import Generative, Projection

TEMPERATURE = 0.5  # of the Gumbel-softmax
SHARPNESS = 16.0  # logit of a category per standard deviation of its liability
STRONGEST = 0.99  # maximum absolute correlation, so that rounding does not make columns identical
QUANTILES = 257
MANY = 100  # number of generated rows of a class from which they are calibrated by their own quantiles
DRAWS = 2000  # generated rows of each class from which quantiles are computed
ROUNDS = 50  # maximum number of draws until enough rows fulfil the conditions


class TableGenerator(nn.Module):
    """Generator of encoded rows: a linear map of the noise for each class plus a nonlinear correction.

    The outputs for numbers are the encoded numbers; those for missingness and levels are logits, from which categories
    are drawn with the straight-through Gumbel-softmax (Jang et al. 2017, arXiv:1611.01144). All weights are trained,
    but `begin` initialises the linear map as the Gaussian copula of each class and the correction as zero: with a few
    hundred training rows a random initialisation hardly reaches the quality of this start.

    Args:
        noise: Number of noise dimensions.
        classes: Number of classes; 0 for none.
        hidden: Width of each hidden layer of the correction.
        numbers: Number of encoded numbers, the first columns.
        flags: Number of missingness columns, which belong to the first ``flags`` numbers.
        groups: Number of levels of each category.

    Shape:
        ``(batch, noise), (batch,) -> (batch, numbers + flags + sum(groups))``
    """

    allowed: Tensor

    def __init__(
        self, noise: int, classes: int, hidden: list[int], numbers: int, flags: int, groups: list[int]
    ) -> None:
        super().__init__()
        self.noise, self.classes, self.parts = noise, classes, [numbers, flags, *groups]
        width = sum(self.parts)
        self.correction = dense_layers([noise + classes, *hidden], "leaky_relu", "none", 0.0)
        self.head = nn.Linear(hidden[-1], width)
        self.slope = nn.Parameter(torch.randn(max(1, classes), noise, width) / noise**0.5)
        self.offset = nn.Parameter(torch.zeros(max(1, classes), width))
        self.register_buffer("allowed", torch.ones(width, dtype=torch.bool))

    @torch.no_grad()
    def begin(self, spread: Tensor, middle: Tensor, codes: Tensor) -> None:
        """Initialise with the Gaussian copula of the training rows of each class, see `gaussian`.

        Missingness and levels that do not occur in the training rows are never generated.

        Args:
            spread: Training rows with their ties spread evenly, ``shape=(rows, width)``.
            middle: The same rows with each tie at its middle.
            codes: Their classes, ``shape=(rows,)``.
        """
        numbers, flags = self.parts[:2]
        self.allowed[numbers:] = (spread[:, numbers:] > 0).any(0)
        self.head.weight.zero_()
        self.head.bias.zero_()
        for code in range(len(self.offset)):
            if (rows := codes == code).sum() > 1:
                offset, slope = gaussian(spread[rows].double(), middle[rows].double(), numbers, flags, self.noise)
                self.offset[code], self.slope[code] = offset.float(), slope.float()

    def forward(self, noise: Tensor, label: Tensor | None) -> Tensor:
        """Generate rows; ``label`` is None without classes."""
        if label is None:
            output = torch.addmm(self.offset[0], noise, self.slope[0]) + self.head(self.correction(noise))
        else:
            one_hot = F.one_hot(label, self.classes).to(noise)
            # The outer product of class and noise, so that one matrix product covers all classes of a batch.
            by_class = (one_hot.unsqueeze(2) * noise.unsqueeze(1)).flatten(1)
            output = one_hot @ self.offset + by_class @ self.slope.flatten(0, 1)
            output = output + self.head(self.correction(torch.cat([noise, one_hot], 1)))
        numbers, flags, *groups = output.masked_fill(~self.allowed, -1e4).split(self.parts, 1)
        missing = F.gumbel_softmax(torch.stack([flags, torch.zeros_like(flags)], 2), TEMPERATURE, hard=True)[..., 0]
        levels = [F.gumbel_softmax(group, TEMPERATURE, hard=True) for group in groups]
        return torch.cat([hide(numbers, missing), missing, *levels], 1)


def hide(numbers: Tensor, missing: Tensor) -> Tensor:
    """Set missing numbers to 0, as the encoding does: ``(rows, numbers), (rows, flags) -> (rows, numbers)``."""
    count = missing.shape[1]
    return torch.cat([numbers[:, :count] * (1 - missing), numbers[:, count:]], 1) if count else numbers


def gaussian(spread: Tensor, middle: Tensor, numbers: int, flags: int, noise: int) -> tuple[Tensor, Tensor]:
    """The Gaussian copula of encoded rows as a linear map from noise to numbers and logits.

    Missingness and levels are modelled by liabilities (Pearson 1900): latent normal variables that exceed a threshold.
    Each observed value is replaced by the conditional mean of its liability; pairwise complete correlations are
    corrected for the variance that is lost, to first order (the polyserial correlation, Olsson et al. 1982,
    doi:10.1007/BF02294164).

    Args:
        spread: Rows of one class with their ties spread evenly, ``shape=(rows, width)``: numbers, missingness, levels.
        middle: The same rows with each tie at its middle.
        numbers: Number of columns with numbers.
        flags: Number of missingness columns, which belong to the first numbers.
        noise: Number of noise dimensions; if smaller than ``width``, the largest components are retained.

    Returns:
        Offset ``(width,)`` and slope ``(noise, width)``.
    """
    present = torch.ones_like(spread, dtype=torch.bool)
    present[:, :flags] = spread[:, numbers : numbers + flags] < 0.5
    weight = present[:, :numbers].double()
    count = weight.sum(0).clamp(min=1)
    mean = (spread[:, :numbers] * weight).sum(0) / count
    scale = (((spread[:, :numbers] - mean) * weight).square().sum(0) / count).sqrt().clamp(min=1e-3)
    share = spread[:, numbers:].mean(0).clamp(1e-3, 1 - 1e-3)
    threshold = torch.special.ndtri(1 - share)
    density = (-threshold.square() / 2).exp() / (2 * torch.pi) ** 0.5
    liability = torch.where(spread[:, numbers:] > 0.5, density / share, -density / (1 - share))
    liability[:, (spread[:, numbers:] == spread[:1, numbers:]).all(0)] = 0.0  # a constant column has no correlations
    latent = torch.cat([(middle[:, :numbers] - mean) / scale * weight, liability], 1)
    variance = latent.square().sum(0) / present.double().sum(0).clamp(min=1)  # of the conditional means
    pairs = (present.double().T @ present.double()).clamp(min=1)
    correlation = (latent.T @ latent / pairs / variance.outer(variance).clamp(min=1e-6)).clamp(-STRONGEST, STRONGEST)
    correlation.fill_diagonal_(1.0)
    values, vectors = torch.linalg.eigh(correlation)
    rank = min(noise, len(values))
    factor = vectors[:, -rank:] * values[-rank:].clamp(min=1e-6).sqrt()
    if rank == len(values):
        factor = factor / factor.norm(dim=1, keepdim=True)  # a positive semidefinite correlation matrix near to it
    units = torch.cat([scale, torch.full_like(threshold, SHARPNESS)])
    slope = spread.new_zeros(noise, spread.shape[1])
    slope[:rank] = factor.T * units
    return torch.cat([mean, -SHARPNESS * threshold]), slope


class Calibration(nn.Module):
    """Quantile mapping of generated values to real ones, for each class and column separately.

    Trained on a few hundred rows, a generator reproduces the dependence between columns better than their marginal
    distributions, which are known. The mapping is monotonic. Many rows of a class are calibrated by their own
    quantiles, so that a large table has the marginals of the training rows without sampling noise; a few rows by the
    quantiles of the generator.

    Args:
        classes: Number of classes; 0 for none.
        columns: Number of columns.

    Attributes:
        made: Quantiles of generated values, ``shape=(classes, columns, 257)``.
        real: Quantiles of real values, the same shape.
    """

    made: Tensor
    real: Tensor

    def __init__(self, classes: int, columns: int) -> None:
        super().__init__()
        identity = torch.linspace(-3, 3, QUANTILES).repeat(max(1, classes), columns, 1)
        self.register_buffer("made", identity)
        self.register_buffer("real", identity.clone())

    def learn(self, which: str, values: Tensor, codes: Tensor) -> None:
        """Compute the quantiles of generated or real values.

        Args:
            which: ``"made"`` for generated values, or ``"real"``.
            values: ``shape=(rows, columns)``, NaN where missing; quantiles of a column without values do not change.
            codes: Their classes, ``(rows,)``; zeros without classes.
        """
        known: Tensor = getattr(self, which)
        for code in range(len(known)):
            if len(rows := values[codes == code]):
                known[code] = _quantiles(rows, known[code])

    def forward(self, values: Tensor, codes: Tensor) -> Tensor:
        """Calibrated values of generated rows, ``(rows, columns)``, NaN where missing; ``codes`` are their classes."""
        result = values.clone()
        for code in codes.unique().tolist():
            rows = values[codes == code]
            generated = _quantiles(rows, self.made[code]) if len(rows) >= MANY else self.made[code]
            result[codes == code] = interpolate(rows, generated, self.real[code])
        return result


def _quantiles(values: Tensor, known: Tensor) -> Tensor:
    """Quantiles of each column, ``(columns, 257)``; ``known`` for a column without values."""
    levels = torch.linspace(0, 1, QUANTILES, device=values.device)
    quantiles: Tensor = torch.nanquantile(values.float(), levels, dim=0).T
    return torch.where(quantiles.isnan(), known, quantiles)


class Components(nn.Module):
    """Principal components of numbers, scaled to a standard deviation of 1, and the residual noise.

    Args:
        columns: Number of columns with numbers.
        count: Number of components.
    """

    centre: Tensor
    loadings: Tensor
    scale: Tensor
    residual: Tensor

    def __init__(self, columns: int, count: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(columns))
        self.register_buffer("loadings", torch.zeros(columns, count))
        self.register_buffer("scale", torch.ones(count))
        self.register_buffer("residual", torch.zeros(columns))

    def fit(self, numbers: Tensor) -> None:
        """Fit to encoded training rows, ``shape=(rows, columns)``."""
        count = self.loadings.shape[1]
        centre = numbers.mean(0)
        _, values, vectors = torch.linalg.svd(numbers - centre, full_matrices=False)
        loadings = vectors[:count].T
        residual = numbers - centre - (numbers - centre) @ loadings @ loadings.T
        self.centre.copy_(centre)
        self.loadings.copy_(loadings)
        self.scale.copy_((values[:count] / max(1, len(numbers) - 1) ** 0.5).clamp(min=1e-6))
        self.residual.copy_(residual.std(0, correction=0))

    def forward(self, numbers: Tensor) -> Tensor:
        """Numbers to components: ``(rows, columns) -> (rows, count)``."""
        return (numbers - self.centre) @ self.loadings / self.scale

    def inverse(self, components: Tensor, seed: int) -> Tensor:
        """Components to numbers, with noise of the residual variance: ``(rows, count) -> (rows, columns)``."""
        noise = torch.randn(len(components), len(self.centre), generator=torch.Generator().manual_seed(seed))
        return self.centre + (components * self.scale) @ self.loadings.T + noise.to(components) * self.residual


class TabularGAN(Generative):
    """A GAN of tables with numbers, categories and missing values, conditional on the class if there is one.

    Numbers are encoded as rank-based normal scores (`zoo.encode.quantile`), whatever their distribution; missingness
    and levels are drawn with the Gumbel-softmax (after CTGAN, Xu et al. 2019, arXiv:1907.00503). The generator is
    initialised as the Gaussian copula of each class; after each epoch its marginals are calibrated to those of the
    training rows. A continuous target or a survival time is generated like any other column.

    At least a few hundred training rows are needed. For more than some hundred columns give ``components``: up to a few
    thousand columns are then feasible, with the correlations that the components explain. For tens of thousands of
    columns, or counts of single cells, use a `VAE`.

    Args:
        hidden: Width of each hidden layer of the generator.
        discriminator_hidden: Width of each hidden layer of the discriminator.
        dropout: Dropout rate of the discriminator.
        components: Number of principal components that are modelled instead of the numbers; 0 for the numbers.
        encoding: ``{missing_indicator: false}`` if a wide table has no missing values.
        **shared: Arguments of `Generative`, `Adversarial` and `Model`.

    Raises:
        InputError: The data are not a table or expression, a column has no values, or expression has covariates.
    """

    modalities = ("table", "expression")
    generator: TableGenerator
    components: Components | None

    def __init__(
        self,
        hidden: list[int] = [128, 128],  # noqa: B006 (never changed; shown by --help)
        discriminator_hidden: list[int] = [128, 128],  # noqa: B006
        dropout: float = 0.0,
        components: int = 0,
        encoding: dict[str, Any] | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(encoding=encoding, **shared)
        modality = modality_of(self.spec)
        check_range("dropout", dropout, 0, 1)
        for name, widths in {"hidden": hidden, "discriminator_hidden": discriminator_hidden}.items():
            check_range(f"widths of {name}", min(widths, default=0), 1)
        self.targets = [] if self.classes else [n for n in (self.target["name"], self.target.get("event")) if n]
        if not isinstance(self.encode, TableEncoder):
            if modality.get("covariates") or self.targets:
                raise InputError(
                    "TabularGAN of expression generates genes and a class; leave out data.covariates, and set "
                    "data.target_kind to none unless the target is a class"
                )
            numbers, flags, groups = self.encode.out_features, 0, []
        else:
            self.encode = encoder(_with_targets(modality, self.targets), {"layer": "quantile", **(encoding or {})})
            assert isinstance(self.encode, QuantileEncoder)
            numbers = len(self.encode.numeric)
            flags = numbers if self.encode.missing_indicator else 0
            groups = list(self.encode.levels_of.values())
        check_range("components", components, 0, numbers)
        self.numbers = numbers
        self.components = Components(numbers, components) if components else None
        modelled = components or numbers
        flags = flags if modelled == numbers else 0  # with components, missing values are imputed by the median
        self.levels_at = self.encode.out_features - sum(groups)
        generator = TableGenerator(self.noise, self.classes, hidden, modelled, flags, groups)
        width = modelled + flags + sum(groups)
        trunk = dense_layers([width, *discriminator_hidden], "leaky_relu", "none", dropout)
        self.calibration = Calibration(self.classes, modelled)
        self.set_networks(generator, Projection(trunk, discriminator_hidden[-1], self.classes))

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """Fit quantiles, components and the Gaussian copula of each class to raw training rows."""
        raw = self.complete(x, y)
        features = modality_of(self.spec)["features"] + self.targets
        if (empty := raw.isnan().all(0)).any():
            name = features[int(empty.nonzero()[0])]
            raise InputError(f"column {name!r} has no value in the training rows; leave it out of --data.features")
        super().fit_encoders(raw, y)
        if self.components is not None:
            self.components.fit(self.encode(raw)[:, : self.numbers])
        training, _ = self.training, self.train()
        rows, codes = self.rows(raw), self.codes(y, len(x))
        self.eval()
        middle = self.rows(raw)
        self.train(training)
        for generator in {self.generator, self.sampler}:
            assert isinstance(generator, TableGenerator)
            generator.begin(rows, middle, codes)
        self.calibration.learn("real", self._present(rows), codes)

    def codes(self, y: Tensor | None, rows: int) -> Tensor:
        """Class codes, zeros without classes: ``(rows,)``."""
        return y if self.classes and y is not None else torch.zeros(rows, dtype=torch.long, device=self.device)

    def complete(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Raw values with the columns of a target that is generated like a column; NaN if it is unknown."""
        missing = self.encode_width - x.shape[1]
        if not missing:
            return x
        values = x.new_full((len(x), missing), torch.nan) if y is None else y.view(len(x), missing).to(x)
        return torch.cat([x, values], 1)

    @property
    def encode_width(self) -> int:
        """Number of raw columns, including those of the target."""
        return modality_of(self.spec)["shape"][0] + len(self.targets)

    def rows(self, raw: Tensor) -> Tensor:
        """Complete raw values in the form of generated rows: ``(batch, columns) -> (batch, width)``."""
        encoded = self.encode(raw)
        if self.components is None:
            return encoded  # type: ignore[no-any-return]
        return torch.cat([self.components(encoded[:, : self.numbers]), encoded[:, self.levels_at :]], 1)

    def encoded(self, x: Tensor) -> Tensor:
        """Raw values in the form of generated rows."""
        return self.rows(self.complete(x))

    def real(self, batch: Batch) -> Tensor:
        """Encoded rows, with the target unless it is a class."""
        return self.rows(self.complete(batch["x"], batch["y"] if self.targets else None))

    def _present(self, rows: Tensor) -> Tensor:
        """The numbers of rows, NaN where they are missing."""
        modelled, flags, *_ = self.generator.parts
        numbers = rows[:, :modelled].clone()
        numbers[:, :flags][rows[:, modelled : modelled + flags] > 0.5] = torch.nan
        return numbers

    def on_validation_epoch_start(self) -> None:
        """Compute the quantiles of the current generator for the calibration."""
        codes = torch.arange(max(1, self.classes), device=self.device).repeat_interleave(DRAWS)
        generated = super().sample(codes if self.classes else None, len(codes), seed=0)
        self.calibration.learn("made", self._present(generated), codes)

    @torch.inference_mode()
    def sample(self, labels: Tensor | None, n: int, seed: int) -> Tensor:
        """As in `Generative`, with calibrated marginals."""
        generated = super().sample(labels, n, seed)
        modelled, flags, *_ = self.generator.parts
        numbers = self.calibration(self._present(generated), self.codes(labels, n)).nan_to_num(0.0)
        return torch.cat([hide(numbers, generated[:, modelled : modelled + flags]), generated[:, modelled:]], 1)

    def synthesise(self, n: int, conditions: dict[str, Any] | None = None, seed: int = 0) -> pd.DataFrame:
        """As in `Generative`; other categories may be conditions too, by rejection sampling."""
        remaining = dict(conditions or {})
        levels = {k: v for k, v in modality_of(self.spec).get("levels", {}).items() if k != self.target["name"]}
        given = {name: str(remaining.pop(name)) for name in list(remaining) if name in levels}
        for name in remaining:
            if name != self.target["name"]:
                known = [*levels, *([self.target["name"]] if self.classes else [])]
                raise InputError(f"samples cannot be conditioned on {name!r}; {suggest(name, known)}")
        for name, level in given.items():
            if level not in levels[name]:
                raise InputError(f"{name} {level!r} is not in the training data; {suggest(level, levels[name])}")
        if not given:
            return super().synthesise(n, remaining, seed)
        check_range("n", n, 1)
        accepted: list[pd.DataFrame] = []
        for turn in range(ROUNDS):
            generated = super().synthesise(4 * n, remaining, seed * ROUNDS + turn)
            fits = pd.concat([generated[name].astype(str) == level for name, level in given.items()], axis=1).all(
                axis=1
            )
            accepted.append(generated[fits])
            if sum(map(len, accepted)) >= n:
                return pd.concat(accepted)[:n].set_axis(generated.index[:n])
        values = ", ".join(f"{name} {level!r}" for name, level in given.items())
        raise InputError(f"too few generated rows have {values}; leave out some of these conditions")

    def as_frame(self, encoded: Tensor, labels: Tensor | None, seed: int) -> pd.DataFrame:
        """Rows in the types and with the decimals of the training table; missing values are empty."""
        if self.components is not None:
            count = self.components.loadings.shape[1]
            numbers = self.components.inverse(encoded[:, :count], seed)
            flags = numbers.new_zeros(len(numbers), self.levels_at - self.numbers)
            encoded = torch.cat([numbers, flags, encoded[:, count:]], 1)
        modality = _with_targets(modality_of(self.spec), self.targets)
        index = pd.RangeIndex(1, len(encoded) + 1, name="sample")
        frame = from_tensor(self.encode.inverse(encoded), modality, index)
        assert isinstance(frame, pd.DataFrame)
        if isinstance(self.encode, QuantileEncoder):
            at = self.encode.numeric.tolist()
            names, levels = [modality["features"][place] for place in at], modality.get("levels", {})
            pairs = zip(names, self.encode.decimals.tolist(), strict=True)
            decimals = {name: count for name, count in pairs if name not in levels}  # ordered levels are text again
            frame = frame.astype(dict.fromkeys(decimals, float)).round(decimals)
        if labels is not None:
            frame[self.target["name"]] = [self.target["classes"][code] for code in labels.tolist()]
        for name, how in modality.get("dates", {}).items():
            frame[name] = dates.written(frame[name].to_numpy(dtype=float), how).to_numpy()
        return as_typed(frame, modality.get("dtypes", {}))


def _with_targets(modality: Modality, targets: list[str]) -> Modality:
    """The modality with generated targets as additional columns, and without covariates."""
    features = [*modality["features"], *targets]
    return Modality(**{**modality, "features": features, "shape": [len(features)], "covariates": []})


def as_typed(frame: pd.DataFrame, types: dict[str, str]) -> pd.DataFrame:
    """Columns in their original types and order; columns of integers or booleans with missing values keep these."""
    columns: dict[str, Any] = {}
    for name in dict.fromkeys([*(name for name in types if name in frame), *frame]):
        column, kind = frame[name], types.get(name)
        complete = column.notna().all()
        if kind in ("Int64", "int64") and not (complete and kind == "int64"):
            columns[name] = column.astype(float).round().astype("Int64")
        elif kind == "bool" and complete and not pd.api.types.is_numeric_dtype(column):
            columns[name] = column == "True"
        elif kind is not None and kind != "category" and (kind.startswith("float") or complete):
            columns[name] = column.astype(kind)
        else:
            columns[name] = column
    return pd.DataFrame(columns, frame.index)

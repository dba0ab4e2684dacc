"""Generative adversarial network of tables: made-up patients."""

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
from ..base import Batch
from ..layers import dense_layers
from .generative import Generative, Projection

TEMPERATURE = 0.5  # of the relaxed draws
SHARPNESS = 16.0  # logits of a category for each standard deviation of its liability
STRONGEST = 0.99  # correlation, lest rounding makes columns the same
QUANTILES = 257
MANY = 100  # made rows of a class that have quantiles of their own
DRAWS = 2000  # made rows of each class that quantiles are taken of
ROUNDS = 50  # of drawing rows until enough of them are as wanted


class TableGenerator(nn.Module):
    """Noise to an encoded row: ``correction(noise, class) + class Gaussian(noise)``, then a draw of each category.

    Numbers are taken as they are. Missingness and levels are drawn by the Gumbel-max trick, through which gradients
    pass (Jang et al. 2017, arXiv:1611.01144). The linear part is learnt like the rest, but `begin` sets it to the
    Gaussian copula of each class and the correction to zero: on a few hundred rows that is where a network that starts
    at random hardly gets to.

    Args:
        noise: Width of the noise.
        classes: Number of classes; 0 for none.
        hidden: Width of each hidden layer of the correction.
        numbers: Encoded numbers, which come first.
        flags: Missingness columns, of the first ``flags`` numbers.
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
        """Start at the copula of training rows, twice ``(rows, width)``, of these classes, ``(rows,)``; see `gaussian`.

        What is never 1 among them, such as missingness of a column that is always there, will never be made.
        """
        numbers, flags = self.parts[:2]
        self.allowed[numbers:] = (spread[:, numbers:] > 0).any(0)
        self.head.weight.zero_()
        self.head.bias.zero_()
        for code in range(len(self.offset)):
            if (own := codes == code).sum() > 1:
                offset, slope = gaussian(spread[own].double(), middle[own].double(), numbers, flags, self.noise)
                self.offset[code], self.slope[code] = offset.float(), slope.float()

    def forward(self, noise: Tensor, label: Tensor | None) -> Tensor:
        """Rows of these classes; None without classes."""
        if label is None:
            output = torch.addmm(self.offset[0], noise, self.slope[0]) + self.head(self.correction(noise))
        else:
            told = F.one_hot(label, self.classes).to(noise)
            # The noise times each class, so that one product serves all classes of a batch.
            by_class = (told.unsqueeze(2) * noise.unsqueeze(1)).flatten(1)
            output = told @ self.offset + by_class @ self.slope.flatten(0, 1)
            output = output + self.head(self.correction(torch.cat([noise, told], 1)))
        numbers, flags, *groups = output.masked_fill(~self.allowed, -1e4).split(self.parts, 1)
        missing = F.gumbel_softmax(torch.stack([flags, torch.zeros_like(flags)], 2), TEMPERATURE, hard=True)[..., 0]
        levels = [F.gumbel_softmax(group, TEMPERATURE, hard=True) for group in groups]
        return torch.cat([hide(numbers, missing), missing, *levels], 1)


def hide(numbers: Tensor, missing: Tensor) -> Tensor:
    """Numbers with 0 where they are missing, as the encoding has it: ``(rows, numbers), (rows, flags)``."""
    count = missing.shape[1]
    return torch.cat([numbers[:, :count] * (1 - missing), numbers[:, count:]], 1) if count else numbers


def gaussian(spread: Tensor, middle: Tensor, numbers: int, flags: int, noise: int) -> tuple[Tensor, Tensor]:
    """A Gaussian copula of encoded rows as a linear map from noise to numbers and logits.

    Missingness and levels count as liabilities (Pearson 1900): normal numbers that are above a threshold. Of each value
    the mean of its normal number is taken, and correlations, of the pairs of values that are there, are corrected for
    what this mean hides, to the first order (the polyserial correlation, Olsson et al. 1982, doi:10.1007/BF02294164).

    Args:
        spread: Rows of one class with their ties spread evenly, ``shape=(rows, width)``: numbers, missingness, levels.
        middle: The same rows with each tie at its middle.
        numbers: How many columns are numbers.
        flags: How many are missingness, of the first numbers.
        noise: Width of the noise; if it is smaller than that of the rows, the largest components are kept.

    Returns:
        Offset ``(width,)`` and slope ``(noise, width)``.
    """
    there = torch.ones_like(spread, dtype=torch.bool)
    there[:, :flags] = spread[:, numbers : numbers + flags] < 0.5
    weight = there[:, :numbers].double()
    count = weight.sum(0).clamp(min=1)
    mean = (spread[:, :numbers] * weight).sum(0) / count
    scale = (((spread[:, :numbers] - mean) * weight).square().sum(0) / count).sqrt().clamp(min=1e-3)
    share = spread[:, numbers:].mean(0).clamp(1e-3, 1 - 1e-3)
    threshold = torch.special.ndtri(1 - share)
    density = (-threshold.square() / 2).exp() / (2 * torch.pi) ** 0.5
    liability = torch.where(spread[:, numbers:] > 0.5, density / share, -density / (1 - share))
    liability[:, (spread[:, numbers:] == spread[:1, numbers:]).all(0)] = 0.0  # what never varies goes with nothing
    latent = torch.cat([(middle[:, :numbers] - mean) / scale * weight, liability], 1)
    told = latent.square().sum(0) / there.double().sum(0).clamp(min=1)  # share of the variance that the means have
    pairs = (there.double().T @ there.double()).clamp(min=1)
    correlation = (latent.T @ latent / pairs / told.outer(told).clamp(min=1e-6)).clamp(-STRONGEST, STRONGEST)
    correlation.fill_diagonal_(1.0)
    values, vectors = torch.linalg.eigh(correlation)
    kept = min(noise, len(values))
    factor = vectors[:, -kept:] * values[-kept:].clamp(min=1e-6).sqrt()
    if kept == len(values):
        factor = factor / factor.norm(dim=1, keepdim=True)  # the nearest correlations that are possible together
    units = torch.cat([scale, torch.full_like(threshold, SHARPNESS)])
    slope = spread.new_zeros(noise, spread.shape[1])
    slope[:kept] = factor.T * units
    return torch.cat([mean, -SHARPNESS * threshold]), slope


class Calibration(nn.Module):
    """Quantile by quantile, what is made becomes what is real, in each class and each column by itself.

    A generator of a few hundred rows learns how columns hang together long before it has the exact distribution of each
    one, which is known. The order of the made values stays. Many rows of a class are calibrated by their own quantiles,
    so that a large table has the distributions of the training rows without the noise of sampling; a few rows by those
    of the generator.

    Args:
        classes: Number of classes; 0 for none.
        columns: Number of columns.
    """

    made: Tensor
    real: Tensor

    def __init__(self, classes: int, columns: int) -> None:
        super().__init__()
        identity = torch.linspace(-3, 3, QUANTILES).repeat(max(1, classes), columns, 1)
        self.register_buffer("made", identity)
        self.register_buffer("real", identity.clone())

    def learn(self, which: str, values: Tensor, codes: Tensor) -> None:
        """Learn the quantiles of ``"made"`` or ``"real"`` values.

        Args:
            which: Which they are.
            values: ``shape=(rows, columns)``, NaN where missing; a column without values keeps what it has.
            codes: Their classes, ``(rows,)``; zeros without classes.
        """
        known: Tensor = getattr(self, which)
        for code in range(len(known)):
            if len(rows := values[codes == code]):
                known[code] = _quantiles(rows, known[code])

    def forward(self, values: Tensor, codes: Tensor) -> Tensor:
        """Calibrated values of made rows, ``(rows, columns)``, NaN where missing, of these classes."""
        result = values.clone()
        for code in codes.unique().tolist():
            own = values[codes == code]
            made = _quantiles(own, self.made[code]) if len(own) >= MANY else self.made[code]
            result[codes == code] = interpolate(own, made, self.real[code])
        return result


def _quantiles(values: Tensor, known: Tensor) -> Tensor:
    """Quantiles of each column, ``(columns, 257)``; known ones where it has no value."""
    levels = torch.linspace(0, 1, QUANTILES, device=values.device)
    found: Tensor = torch.nanquantile(values.float(), levels, dim=0).T
    return torch.where(found.isnan(), known, found)


class Components(nn.Module):
    """Principal components of numbers, each with a standard deviation of 1, and the noise that they leave out.

    Args:
        columns: Number of numbers.
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
        """Learn from encoded training rows, ``shape=(rows, columns)``."""
        count = self.loadings.shape[1]
        centre = numbers.mean(0)
        _, values, vectors = torch.linalg.svd(numbers - centre, full_matrices=False)
        kept = vectors[:count].T
        left = numbers - centre - (numbers - centre) @ kept @ kept.T
        self.centre.copy_(centre)
        self.loadings.copy_(kept)
        self.scale.copy_((values[:count] / max(1, len(numbers) - 1) ** 0.5).clamp(min=1e-6))
        self.residual.copy_(left.std(0, correction=0))

    def forward(self, numbers: Tensor) -> Tensor:
        """``(rows, columns) -> (rows, count)``."""
        return (numbers - self.centre) @ self.loadings / self.scale

    def inverse(self, components: Tensor, seed: int) -> Tensor:
        """``(rows, count) -> (rows, columns)``, with noise of the variance that the components leave out."""
        noise = torch.randn(len(components), len(self.centre), generator=torch.Generator().manual_seed(seed))
        return self.centre + (components * self.scale) @ self.loadings.T + noise.to(components) * self.residual


class TabularGAN(Generative):
    """Makes rows of a table: numbers, categories and missing values, of the classes that it is told.

    Numbers are learnt as normal scores by their rank (`zoo.encode.quantile`), so that a skewed hormone is as easy as an
    age; missingness and levels are drawn by the Gumbel-max trick (after CTGAN, Xu et al. 2019, arXiv:1907.00503). The
    generator starts at the Gaussian copula of each class and learns what that lacks; after each epoch its marginals are
    set to those of the training rows. A number or a survival time as target is made up like any other column.

    Rows of a table can be told from few hundred training rows on. Beyond some hundred columns give ``components``; a
    few thousand columns are sensible then, of which the correlations are kept that so many components hold. Tens of
    thousands, or counts of single cells, are for a `VAE`.

    Args:
        hidden: Width of each hidden layer of the generator.
        discriminator_hidden: Width of each hidden layer of the discriminator.
        dropout: Share of its units silenced in each training step.
        components: Principal components of the numbers that are learnt in place of the numbers; 0 for the numbers.
        encoding: ``{missing_indicator: false}`` if a wide table has no missing values.
        **shared: Arguments of `Generative`, `Adversarial` and `Model`.

    Raises:
        InputError: Data that are no table; a column without any value; a covariate of expression.
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
                    "TabularGAN of expression makes genes and a class; leave out data.covariates, and set "
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
        learnt = components or numbers
        flags = flags if learnt == numbers else 0  # components have no missing values; those are at the median
        self.levels_at = self.encode.out_features - sum(groups)
        generator = TableGenerator(self.noise, self.classes, hidden, learnt, flags, groups)
        width = learnt + flags + sum(groups)
        trunk = dense_layers([width, *discriminator_hidden], "leaky_relu", "none", dropout)
        self.calibration = Calibration(self.classes, learnt)
        self.set_networks(generator, Projection(trunk, discriminator_hidden[-1], self.classes))

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """Learn quantiles, components and the Gaussian copula of each class from raw training rows."""
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
        """Raw values with those of a target that is made up like a column, NaN if it is not known."""
        lacking = self.encode_width - x.shape[1]
        if not lacking:
            return x
        values = x.new_full((len(x), lacking), torch.nan) if y is None else y.view(len(x), lacking).to(x)
        return torch.cat([x, values], 1)

    @property
    def encode_width(self) -> int:
        """Raw columns, those of the target among them."""
        return modality_of(self.spec)["shape"][0] + len(self.targets)

    def rows(self, raw: Tensor) -> Tensor:
        """What the networks see of complete raw values: ``(batch, columns) -> (batch, width)``."""
        encoded = self.encode(raw)
        if self.components is None:
            return encoded  # type: ignore[no-any-return]
        return torch.cat([self.components(encoded[:, : self.numbers]), encoded[:, self.levels_at :]], 1)

    def encoded(self, x: Tensor) -> Tensor:
        """What the networks see of raw values."""
        return self.rows(self.complete(x))

    def real(self, batch: Batch) -> Tensor:
        """Encoded rows, with a target that is no class."""
        return self.rows(self.complete(batch["x"], batch["y"] if self.targets else None))

    def _present(self, rows: Tensor) -> Tensor:
        """The numbers of rows, NaN where they are missing."""
        learnt, flags, *_ = self.generator.parts
        numbers = rows[:, :learnt].clone()
        numbers[:, :flags][rows[:, learnt : learnt + flags] > 0.5] = torch.nan
        return numbers

    def on_validation_epoch_start(self) -> None:
        """Learn how the marginals of the present generator differ from those of the training rows."""
        codes = torch.arange(max(1, self.classes), device=self.device).repeat_interleave(DRAWS)
        made = super().sample(codes if self.classes else None, len(codes), seed=0)
        self.calibration.learn("made", self._present(made), codes)

    @torch.inference_mode()
    def sample(self, labels: Tensor | None, n: int, seed: int) -> Tensor:
        """As in `Generative`, with calibrated marginals."""
        made = super().sample(labels, n, seed)
        learnt, flags, *_ = self.generator.parts
        numbers = self.calibration(self._present(made), self.codes(labels, n)).nan_to_num(0.0)
        return torch.cat([hide(numbers, made[:, learnt : learnt + flags]), made[:, learnt:]], 1)

    def synthesise(self, n: int, conditions: dict[str, Any] | None = None, seed: int = 0) -> pd.DataFrame:
        """As in `Generative`; conditions may also be on other categories: rows are drawn until enough are as wanted."""
        wanted = dict(conditions or {})
        levels = {k: v for k, v in modality_of(self.spec).get("levels", {}).items() if k != self.target["name"]}
        given = {name: str(wanted.pop(name)) for name in list(wanted) if name in levels}
        for name in wanted:
            if name != self.target["name"]:
                known = [*levels, *([self.target["name"]] if self.classes else [])]
                raise InputError(f"samples cannot be conditioned on {name!r}; {suggest(name, known)}")
        for name, level in given.items():
            if level not in levels[name]:
                raise InputError(f"{name} {level!r} was never seen; {suggest(level, levels[name])}")
        if not given:
            return super().synthesise(n, wanted, seed)
        check_range("n", n, 1)
        found: list[pd.DataFrame] = []
        for turn in range(ROUNDS):
            made = super().synthesise(4 * n, wanted, seed * ROUNDS + turn)
            fits = pd.concat([made[name].astype(str) == level for name, level in given.items()], axis=1).all(axis=1)
            found.append(made[fits])
            if sum(map(len, found)) >= n:
                return pd.concat(found)[:n].set_axis(made.index[:n])
        raise InputError(f"hardly any made-up row has {', '.join(f'{k} {v!r}' for k, v in given.items())}; drop some")

    def as_frame(self, encoded: Tensor, labels: Tensor | None, seed: int) -> pd.DataFrame:
        """Rows in the types and with the decimals of the file; missing values are empty."""
        if self.components is not None:
            learnt = self.components.loadings.shape[1]
            numbers = self.components.inverse(encoded[:, :learnt], seed)
            flags = numbers.new_zeros(len(numbers), self.levels_at - self.numbers)
            encoded = torch.cat([numbers, flags, encoded[:, learnt:]], 1)
        modality = _with_targets(modality_of(self.spec), self.targets)
        index = pd.RangeIndex(1, len(encoded) + 1, name="sample")
        frame = from_tensor(self.encode.inverse(encoded), modality, index)
        assert isinstance(frame, pd.DataFrame)
        if isinstance(self.encode, QuantileEncoder):
            at = self.encode.numeric.tolist()
            names = [modality["features"][place] for place in at]
            decimals = dict(zip(names, self.encode.decimals.tolist(), strict=True))
            frame = frame.astype(dict.fromkeys(names, float)).round(decimals)
        if labels is not None:
            frame[self.target["name"]] = [self.target["classes"][code] for code in labels.tolist()]
        return as_typed(frame, modality.get("dtypes", {}))


def _with_targets(modality: Modality, targets: list[str]) -> Modality:
    """The modality with targets that are made up as further columns, and no covariates."""
    features = [*modality["features"], *targets]
    return Modality(**{**modality, "features": features, "shape": [len(features)], "covariates": []})


def as_typed(frame: pd.DataFrame, types: dict[str, str]) -> pd.DataFrame:
    """Columns in the types that they had; whole numbers stay floats where some are missing."""
    kinds = {n: k for n, k in types.items() if n in frame and (k.startswith("float") or frame[n].notna().all())}
    words = [n for n, kind in kinds.items() if kind == "bool" and not pd.api.types.is_numeric_dtype(frame[n])]
    return frame.assign(**{name: frame[name] == "True" for name in words}).astype(kinds)

"""Generative adversarial network of tables: made-up patients."""

from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ..encode import encoder, from_tensor
from ..encode.quantile import QuantileEncoder
from ..errors import InputError, check_range, suggest
from ..spec import Modality, modality_of
from .base import Batch
from .calibration import Calibration
from .components import Components
from .generative import Generative
from .mlp import dense_layers
from .projection import Projection
from .table_generator import TableGenerator, hide

DRAWS = 2000  # made rows of each class that quantiles are taken of
ROUNDS = 50  # of drawing rows until enough of them are as wanted


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
        if modality["kind"] not in ("table", "expression") or self.target["kind"] == "segmentation":
            raise InputError(f"TabularGAN takes a table; these data are of kind {modality['kind']!r}")
        self.targets = [] if self.classes else [n for n in (self.target["name"], self.target.get("event")) if n]
        if modality["kind"] == "expression":
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
